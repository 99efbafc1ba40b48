//! A list as a table for spreadsheets, as French ones read it: with semicolons, and a mark that says that it is UTF-8.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::error::{Answer, Problem};

/// What a spreadsheet would take for the beginning of a formula.
const FORMULAE: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// Where a spreadsheet that was told of another delimiter, or splits a text, begins another cell.
const SEPARATORS: [char; 5] = [';', ',', '\t', '\n', '\r'];
/// Without it, spreadsheets take the text for Windows-1252.
const MARK: &str = "\u{feff}";

/// A file of these rows, to be kept under this name.
pub(super) fn download(
    name: &str,
    columns: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Answer<Response> {
    let text = write(columns, rows).map_err(|error| Problem::internal().because(&error))?;
    let place = format!("attachment; filename=\"{name}.csv\"");
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, place.as_str())];
    Ok((headers, text).into_response())
}

fn write(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> csv::Result<Vec<u8>> {
    let mut builder = csv::WriterBuilder::new();
    builder.delimiter(b';').quote_style(csv::QuoteStyle::Always);
    let mut writer = builder.from_writer(MARK.as_bytes().to_vec());
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| plain(cell)))?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// A text that no spreadsheet computes: whoever named a vehicle is not who opens the file.
fn plain(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    let mut begins = true;
    for letter in cell.chars() {
        if begins && FORMULAE.contains(&letter) {
            text.push('\'');
        }
        text.push(letter);
        begins = SEPARATORS.contains(&letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulae_are_texts() {
        let rows = [vec!["=1+1".to_owned(), "a;\"b\"".to_owned()], vec!["-x".to_owned(), "é".to_owned()]];
        let text = write(&["a", "b"], rows.into_iter()).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "\u{feff}\"a\";\"b\"\n\"'=1+1\";\"a;\"\"b\"\"\"\n\"'-x\";\"é\"\n"
        );
    }

    #[test]
    fn formulae_are_texts_wherever_a_cell_is_split() {
        for (cell, text) in [
            ("x;=cmd|'/C calc'!A0", "x;'=cmd|'/C calc'!A0"),
            ("x,+1", "x,'+1"),
            ("x\t@a", "x\t'@a"),
            ("x\r\n-1\n=2", "x\r\n'-1\n'=2"),
            (";=1;=2", ";'=1;'=2"),
            ("a-b = c+d@e; f", "a-b = c+d@e; f"),
        ] {
            assert_eq!(plain(cell), text);
        }
    }
}
