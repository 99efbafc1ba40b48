//! A list as a table for spreadsheets, as French ones read it: with semicolons, and a mark that says that it is UTF-8.

use analytics::encode::{Cell, Encoder};
use analytics::session::Answer as Rows;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::table::Table;
use crate::error::Answer;
use crate::routes::analytics::written;

/// What a spreadsheet would take for the beginning of a formula.
const FORMULAE: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// Where a spreadsheet that was told of another delimiter, or splits a text, begins another cell.
const SEPARATORS: [char; 5] = [';', ',', '\t', '\n', '\r'];
/// Without it, spreadsheets take the text for Windows-1252.
const MARK: &str = "\u{feff}";

/// A file of these rows, to be kept under this name.
pub(super) fn download(name: &str, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Response {
    let heading = line(columns.iter().map(|column| plain(column)));
    let text: String = rows.map(|row| line(row.iter().map(|cell| plain(cell)))).collect();
    file(name, Body::from(format!("{MARK}{heading}{text}")))
}

/// A file of a table.
pub(super) fn of_table(name: &str, table: &Table) -> Response {
    let heading = line(table.columns.iter().map(|column| plain(column)));
    let text: String = table.rows.iter().map(|row| line(row.iter().map(cell))).collect();
    file(name, Body::from(format!("{MARK}{heading}{text}")))
}

/// A file of the archive's rows as they come.
pub(super) async fn of_rows(name: &str, rows: Rows) -> Answer<Response> {
    let encoder = Encoder::of_lines(&rows.schema(), MARK, |cells| line(cells.iter().map(cell)));
    Ok(file(name, written(rows, encoder).await?))
}

fn file(name: &str, body: Body) -> Response {
    let place = format!("attachment; filename=\"{name}.csv\"");
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, place.as_str())];
    (headers, body).into_response()
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted: Vec<_> = cells.map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
    quoted.join(";") + "\n"
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Unknown => String::new(),
        Cell::Number(number) => number.replace('.', ","),
        Cell::Text(text) => plain(text),
    }
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
    fn formulae_are_texts_and_numbers_are_computed_with() {
        let row = [Cell::Text("=1+1".to_owned()), Cell::Number("-1.5".to_owned()), Cell::Unknown];
        assert_eq!(line(row.iter().map(cell)), "\"'=1+1\";\"-1,5\";\"\"\n");
        assert_eq!(line(["a;\"b\"", "é"].map(plain).into_iter()), "\"a;\"\"b\"\"\";\"é\"\n");
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
