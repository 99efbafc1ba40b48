//! Writing and reading the archive's Parquet files.
//!
//! zstd over encodings by what a column is like, chosen by what it took in `benches/archive.rs`: deltas of what is
//! sorted, bytes side by side of what moves little but for jumps, dictionaries of what has few values. Each row group
//! has statistics and a bloom filter of taxis, each page its least and greatest values.

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use datafusion::parquet::schema::types::ColumnPath;

use crate::digest::Digest;
use crate::footer::Footer;
use crate::limits::{PAGE_ROWS, ROW_GROUP_ROWS};
use crate::rows::{BadColumn, Rows};
use crate::seal;

/// A file being written, in memory.
pub struct FileWriter {
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
    digest: Digest,
    digest_of: fn(&RecordBatch) -> Result<Digest, BadColumn>,
}

impl FileWriter {
    /// An empty one.
    pub fn new<R: Rows>() -> Result<Self, ParquetError> {
        let writer = ArrowWriter::try_new(Vec::new(), R::schema(), Some(properties::<R>()))?;
        Ok(Self { writer, rows: 0, digest: Digest::default(), digest_of: R::digest_of })
    }

    /// Adds rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.digest += (self.digest_of)(batch).map_err(|error| ParquetError::External(error.into()))?;
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch)
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends it with a footer that says what it holds: its rows and their digest, and else what `about` says.
    pub fn finish(mut self, about: Footer) -> Result<(Bytes, Footer), ParquetError> {
        let footer = Footer { rows: self.rows, digest: self.digest, ..about };
        footer.pairs().into_iter().for_each(|pair| self.writer.append_key_value_metadata(pair));
        let mut content = self.writer.into_inner()?;
        if !seal::seal(&mut content) {
            return Err(ParquetError::General("its footer has no room for a seal".to_owned()));
        }
        Ok((content.into(), footer))
    }
}

/// Opens a file, if it is as it was written.
pub fn open(content: Bytes) -> Result<ParquetRecordBatchReaderBuilder<Bytes>, ParquetError> {
    if !seal::is_intact(&content) {
        return Err(ParquetError::General("its bytes are not those that were written".to_owned()));
    }
    ParquetRecordBatchReaderBuilder::try_new(content)
}

/// The footer and the rows of a file, if it is as it was written.
pub fn read(content: Bytes) -> Result<(Footer, ParquetRecordBatchReader), ParquetError> {
    let builder = open(content)?;
    let footer = Footer::of(builder.metadata())?;
    Ok((footer, builder.build()?))
}

/// Beyond it files shrink by a few percent and writing takes twice as long.
const ZSTD_LEVEL: i32 = 3;

fn properties<R: Rows>() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(concat!("maraude ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BINARY_PACKED);
    for field in R::schema().fields() {
        // Deltas are of whole numbers.
        let encoding = match field.data_type() {
            DataType::Float64 => Encoding::BYTE_STREAM_SPLIT,
            DataType::Utf8 => Encoding::DELTA_BYTE_ARRAY,
            _ => continue,
        };
        properties = properties.set_column_encoding(ColumnPath::from(field.name().as_str()), encoding);
    }
    for column in R::DICTIONARIES {
        let column = ColumnPath::from(*column);
        // Where there come to be too many values, they are written as they are.
        properties = properties
            .set_column_dictionary_enabled(column.clone(), true)
            .set_column_encoding(column, Encoding::PLAIN);
    }
    let others = [(R::SPLIT, Encoding::BYTE_STREAM_SPLIT), (R::PLAIN, Encoding::PLAIN)];
    for (columns, encoding) in others {
        for column in columns {
            properties = properties.set_column_encoding(ColumnPath::from(*column), encoding);
        }
    }
    if let Some(looked_for) = R::LOOKED_FOR.map(ColumnPath::from) {
        properties = properties
            .set_column_bloom_filter_enabled(looked_for.clone(), true)
            .set_column_bloom_filter_fpp(looked_for.clone(), 0.01)
            .set_column_bloom_filter_max_ndv(looked_for, ROW_GROUP_ROWS as u64);
    }
    properties.build()
}
