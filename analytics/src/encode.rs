//! Answers as others read them: JSON, CSV and Parquet, batch by batch.

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, RecordBatch, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::WriterBuilder;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches_with_schema;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::WriterProperties;

use crate::limits::ANSWER_GROUP_ROWS;

/// A form of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `{"data": [...]}`, an object a row. Moments in ISO 8601; whole numbers of 64 bits without a sign, as H3 cells
    /// are, as texts, because many readers know no integers beyond 2^53.
    Json,
    /// RFC 4180 with a heading; what is unknown is empty.
    Csv,
    /// One file, zstd.
    Parquet,
}

impl Format {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Parquet];

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// An answer cannot be written in a form.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A type that the form has no words for.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// The same.
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

/// Rows as a table of text, with lines around its cells.
pub fn table(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String, EncodeError> {
    Ok(pretty_format_batches_with_schema(schema.clone(), batches).map(|table| table.to_string())?)
}

/// A value as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nobody knows it.
    Unknown,
    /// A number, with a point before its decimals.
    Number(String),
    /// Anything else. Moments are in UTC, a space between day and time.
    Text(String),
}

/// How moments are written in cells.
const MOMENT: &str = "%Y-%m-%d %H:%M:%S%.f";

/// The rows as people read them. Whole numbers of 64 bits without a sign are numbers as long as every reader knows them
/// exactly: others, as H3 cells are, are names.
pub fn cells(batch: &RecordBatch) -> Result<Vec<Vec<Cell>>, EncodeError> {
    let options =
        FormatOptions::new().with_timestamp_format(Some(MOMENT)).with_timestamp_tz_format(Some(MOMENT));
    let mut rows = vec![Vec::with_capacity(batch.num_columns()); batch.num_rows()];
    for column in batch.columns() {
        let is_number = column.data_type().is_numeric() && !has_names(column);
        let formatter = ArrayFormatter::try_new(column, &options)?;
        for (i, row) in rows.iter_mut().enumerate() {
            row.push(match is_number {
                _ if column.is_null(i) => Cell::Unknown,
                true => Cell::Number(formatter.value(i).try_to_string()?),
                false => Cell::Text(formatter.value(i).try_to_string()?),
            });
        }
    }
    Ok(rows)
}

/// Whether numbers of a column are beyond those that every reader knows exactly.
fn has_names(column: &ArrayRef) -> bool {
    const EXACT: u64 = 1 << 53;
    let numbers = column.as_any().downcast_ref::<UInt64Array>();
    numbers.is_some_and(|numbers| numbers.iter().flatten().any(|number| number >= EXACT))
}

/// Writes one answer.
pub struct Encoder(Kind);

/// Writes a line of cells.
pub type Line = fn(&[Cell]) -> String;

enum Kind {
    Lines { heading: String, line: Line },
    Json { is_first: bool },
    Csv { heading: Option<SchemaRef> },
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

impl Encoder {
    /// Of an answer with these columns.
    pub fn new(format: Format, schema: SchemaRef) -> Result<Self, EncodeError> {
        Ok(Self(match format {
            Format::Json => Kind::Json { is_first: true },
            Format::Csv => Kind::Csv { heading: Some(schema) },
            Format::Parquet => {
                // What is said of the columns is said of the file, where others look for it.
                let mut told: Vec<_> = schema.metadata().iter().collect();
                told.sort_unstable();
                let told = told.into_iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_key_value_metadata(Some(told.collect()))
                    .set_max_row_group_row_count(Some(ANSWER_GROUP_ROWS))
                    .build();
                Kind::Parquet(Box::new(ArrowWriter::try_new(Vec::new(), schema, Some(properties))?))
            }
        }))
    }

    /// Of lines that somebody else writes: what they begin with, the names of the columns, and each row.
    pub fn of_lines(schema: &SchemaRef, begin: &str, line: Line) -> Self {
        let names: Vec<_> = schema.fields().iter().map(|field| Cell::Text(field.name().clone())).collect();
        Self(Kind::Lines { heading: format!("{begin}{}", line(&names)), line })
    }

    /// The next bytes, which may be none.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, EncodeError> {
        match &mut self.0 {
            Kind::Lines { heading, line } => {
                let mut text = std::mem::take(heading);
                text.extend(cells(batch)?.iter().map(|row| line(row)));
                Ok(text.into_bytes())
            }
            Kind::Json { is_first } => {
                let mut bytes = if std::mem::take(is_first) { BEGIN.to_vec() } else { b",".to_vec() };
                bytes.extend(objects(batch)?);
                Ok(bytes)
            }
            Kind::Csv { heading } => {
                let heading = heading.take().is_some();
                let mut bytes = Vec::new();
                csv::WriterBuilder::new().with_header(heading).build(&mut bytes).write(batch)?;
                Ok(bytes)
            }
            Kind::Parquet(writer) => {
                writer.write(batch)?;
                Ok(std::mem::take(writer.inner_mut()))
            }
        }
    }

    /// The last bytes.
    pub fn finish(self) -> Result<Vec<u8>, EncodeError> {
        match self.0 {
            Kind::Lines { heading, .. } => Ok(heading.into_bytes()),
            Kind::Json { is_first } => Ok(if is_first { [BEGIN, END].concat() } else { END.to_vec() }),
            Kind::Csv { heading: None } => Ok(Vec::new()),
            Kind::Csv { heading: Some(schema) } => {
                let mut bytes = Vec::new();
                csv::WriterBuilder::new().build(&mut bytes).write(&RecordBatch::new_empty(schema))?;
                Ok(bytes)
            }
            Kind::Parquet(writer) => Ok(writer.into_inner()?),
        }
    }
}

const BEGIN: &[u8] = br#"{"data":["#;
const END: &[u8] = b"]}\n";

/// The rows as JSON objects with commas between them.
fn objects(batch: &RecordBatch) -> Result<Vec<u8>, EncodeError> {
    let batch = with_text_of_large_numbers(batch)?;
    let mut lines = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
    writer.write(&batch)?;
    writer.finish()?;
    // A newline in a text is written as an escape: those here end a row.
    lines.pop();
    lines.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b',');
    Ok(lines)
}

fn with_text_of_large_numbers(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let told = |(field, column): (&Arc<Field>, &ArrayRef)| match field.data_type() {
        DataType::UInt64 => {
            let field = field.as_ref().clone().with_data_type(DataType::Utf8);
            Ok((Arc::new(field), cast(column, &DataType::Utf8)?))
        }
        _ => Ok((field.clone(), column.clone())),
    };
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(told);
    let (fields, columns): (Vec<_>, Vec<_>) =
        columns.collect::<Result<Vec<_>, ArrowError>>()?.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use datafusion::arrow::array::{Int64Array, StringArray, TimestampMillisecondArray};
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReader;

    use super::*;

    fn batch() -> RecordBatch {
        let at = TimestampMillisecondArray::from(vec![Some(1_500), None]).with_timezone("UTC");
        RecordBatch::try_from_iter_with_nullable([
            ("cell", Arc::new(UInt64Array::from(vec![u64::MAX, 1])) as ArrayRef, false),
            ("text", Arc::new(StringArray::from(vec!["a \"b\"\n,c", "é"])), false),
            ("n", Arc::new(Int64Array::from(vec![None, Some(-3)])), true),
            ("at", Arc::new(at), true),
        ])
        .unwrap()
    }

    fn encode(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
        let mut encoder = Encoder::new(format, batch().schema()).unwrap();
        let mut bytes: Vec<u8> = batches.iter().flat_map(|batch| encoder.rows(batch).unwrap()).collect();
        bytes.extend(encoder.finish().unwrap());
        bytes
    }

    #[test]
    fn json_is_one_object_whatever_the_batches() {
        let told = encode(Format::Json, &[batch(), batch().slice(1, 1)]);
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        let second = serde_json::json!({"cell": "1", "text": "é", "n": -3, "at": null});
        let first = serde_json::json!({
            "cell": "18446744073709551615", "text": "a \"b\"\n,c", "n": null, "at": "1970-01-01T00:00:01.500Z",
        });
        assert_eq!(told, serde_json::json!({"data": [first, second, second]}));
        let none: serde_json::Value = serde_json::from_slice(&encode(Format::Json, &[])).unwrap();
        assert_eq!(none, serde_json::json!({"data": []}));
    }

    #[test]
    fn csv_has_one_heading() {
        let told = String::from_utf8(encode(Format::Csv, &[batch(), batch().slice(1, 1)])).unwrap();
        let expected = "cell,text,n,at\n18446744073709551615,\"a \"\"b\"\"\n,c\",,1970-01-01T00:00:01.500Z\n\
                        1,é,-3,\n1,é,-3,\n";
        assert_eq!(told, expected);
        assert_eq!(encode(Format::Csv, &[]), b"cell,text,n,at\n");
    }

    #[test]
    fn lines_are_written_by_others() {
        let line: Line = |cells| {
            let text = |cell: &Cell| match cell {
                Cell::Unknown => "?".to_owned(),
                Cell::Number(number) => format!("#{number}"),
                Cell::Text(text) => text.clone(),
            };
            cells.iter().map(text).collect::<Vec<_>>().join("|") + "\n"
        };
        let mut encoder = Encoder::of_lines(&batch().schema(), "^", line);
        let mut bytes = encoder.rows(&batch()).unwrap();
        bytes.extend(encoder.finish().unwrap());
        let expected =
            "^cell|text|n|at\n18446744073709551615|a \"b\"\n,c|?|1970-01-01 00:00:01.500\n1|é|#-3|?\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        assert_eq!(Encoder::of_lines(&batch().schema(), "", line).finish().unwrap(), b"cell|text|n|at\n");
        let small = cells(&batch().slice(1, 1)).unwrap();
        assert_eq!(small[0][0], Cell::Number("1".to_owned()), "what counts is a number, of whatever type");
    }

    #[test]
    fn parquet_is_a_file_of_the_same_rows() {
        let file = Bytes::from(encode(Format::Parquet, &[batch(), batch()]));
        let mut reader = ParquetRecordBatchReader::try_new(file, 10).unwrap();
        let read = reader.next().unwrap().unwrap();
        assert_eq!(read.slice(0, 2), batch());
        assert_eq!(read.num_rows(), 4);
        let none = Bytes::from(encode(Format::Parquet, &[]));
        assert!(ParquetRecordBatchReader::try_new(none, 10).unwrap().next().is_none());
    }
}
