//! Rows of the archive: a table, a chart beside it, and files.

use analytics::encode::{Cell, Format, cells};
use analytics::session::Answer as Rows;
use axum::response::Response;
use maud::{Markup, html};

use super::csv;
use crate::error::{Answer, Problem};
use crate::limits::{QUERY_ROWS_MAX, ROWS_SHOWN};
use crate::routes::analytics::{answer, problem};

/// The files in which rows are kept: what a form calls each, and what people do.
pub(super) const FILES: [(&str, &str); 2] =
    [("csv", "Télécharger en CSV"), ("parquet", "Télécharger en Parquet")];

/// The first rows of an answer.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
    /// Whether there are more.
    is_cut: bool,
}

impl Table {
    /// Reads what is shown of an answer. What there is more of it is not asked for.
    pub(super) async fn read(mut rows: Rows) -> Answer<Self> {
        let columns = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut table = Self { columns, rows: Vec::new(), is_cut: false };
        while table.rows.len() <= ROWS_SHOWN {
            let Some(batch) = rows.next().await else { return Ok(table) };
            let batch = batch.map_err(|error| problem(&error))?;
            let batch = batch.slice(0, batch.num_rows().min(ROWS_SHOWN + 1));
            table.rows.extend(cells(&batch).map_err(|error| Problem::internal().because(&error))?);
        }
        table.rows.truncate(ROWS_SHOWN);
        table.is_cut = true;
        Ok(table)
    }

    /// Rows of three texts, of which the first is the same in several that follow each other: one for each.
    pub(super) fn grouped(self) -> Vec<(String, Vec<(String, String)>)> {
        let mut groups: Vec<(String, Vec<(String, String)>)> = Vec::new();
        for row in self.rows {
            let Ok([Cell::Text(group), Cell::Text(name), Cell::Text(value)]) = <[Cell; 3]>::try_from(row)
            else {
                continue;
            };
            match groups.last_mut() {
                Some((last, pairs)) if *last == group => pairs.push((name, value)),
                _ => groups.push((group, vec![(name, value)])),
            }
        }
        groups
    }

    /// The table.
    pub(super) fn show(&self) -> Markup {
        let count = match self.rows.len() {
            _ if self.is_cut => format!("Les {ROWS_SHOWN} premières lignes ; un fichier les a toutes"),
            0 => "Aucune ligne".to_owned(),
            1 => "1 ligne".to_owned(),
            rows => format!("{rows} lignes"),
        };
        let is_number = |i: usize| self.rows.iter().any(|row| matches!(row.get(i), Some(Cell::Number(_))));
        html! {
            div.scroll tabindex="0" role="region" aria-label="Résultat" {
                table {
                    caption { (count) }
                    thead { tr { @for (i, name) in self.columns.iter().enumerate() {
                        th.number[is_number(i)] scope="col" { (name) }
                    } } }
                    tbody { @for row in &self.rows { tr { @for cell in row {
                        @match cell {
                            Cell::Unknown => td { span aria-label="inconnu" { "–" } },
                            Cell::Number(number) => td.number { (decimal(number)) },
                            Cell::Text(text) => td { (text) },
                        }
                    } } } }
                }
            }
        }
    }
}

/// A file of rows, as a form asks for it.
pub(super) async fn file(rows: Rows, format: &str, name: &str) -> Answer<Response> {
    match format {
        "parquet" => answer(rows, Format::Parquet, name).await,
        _ => csv::of_rows(name, rows).await,
    }
}

/// What is said of files.
pub(super) fn files_hint() -> String {
    format!(
        "Au-delà de {} lignes, un fichier est refusé : agrégez, ou ajoutez une limite.",
        thousands(QUERY_ROWS_MAX)
    )
}

/// A number as in French, with three decimals at most where it is 1 or more.
fn decimal(number: &str) -> String {
    let short = match number.split_once('.') {
        // Neither `0.00012` nor `1.234567e-9`.
        Some((whole, decimals))
            if whole.trim_start_matches('-') != "0"
                && decimals.len() > 3
                && decimals.bytes().all(|digit| digit.is_ascii_digit()) =>
        {
            number.parse::<f64>().map_or_else(|_| number.to_owned(), |read| format!("{read:.3}"))
        }
        _ => number.to_owned(),
    };
    short.replace('.', ",")
}

/// A whole number with spaces between its thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let groups = rest.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let groups = Some(head.to_owned()).filter(|head| !head.is_empty()).into_iter().chain(groups);
    groups.collect::<Vec<_>>().join("\u{202f}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_french() {
        for (number, text) in [
            ("71.66666666666667", "71,667"),
            ("-3.5", "-3,5"),
            ("0.00001234", "0,00001234"),
            ("12", "12"),
            ("1.5e300", "1,5e300"),
        ] {
            assert_eq!(decimal(number), text);
        }
        assert_eq!(thousands(1_000_000), "1\u{202f}000\u{202f}000");
        assert_eq!((thousands(12), thousands(12_345)), ("12".to_owned(), "12\u{202f}345".to_owned()));
    }
}
