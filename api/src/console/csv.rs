//! A list as a table for spreadsheets.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::error::{Answer, Problem};

/// What a spreadsheet would take for the beginning of a formula.
const FORMULAE: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

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
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| plain(cell)))?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// A text that no spreadsheet computes: whoever named a vehicle is not who opens the file.
fn plain(cell: &str) -> String {
    if cell.starts_with(FORMULAE) { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulae_are_texts() {
        let rows = [vec!["=1+1".to_owned(), "a;\"b\"".to_owned()], vec!["-x".to_owned(), "é".to_owned()]];
        let text = write(&["a", "b"], rows.into_iter()).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "a,b\n'=1+1,\"a;\"\"b\"\"\"\n'-x,é\n");
    }
}
