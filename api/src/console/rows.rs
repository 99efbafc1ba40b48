//! Rows of the archive, as pages show them and as files.

use analytics::encode::{Format, cells};
use analytics::session::Answer as Rows;
use axum::response::Response;
use maud::{Markup, html};

use super::chart::scripts;
use super::csv;
use super::table::{Table, thousands};
use crate::error::{Answer, Problem};
use crate::limits::{QUERY_ROWS_MAX, ROWS_SHOWN};
use crate::routes::analytics::{answer, problem};

/// The files in which rows are kept: what a form calls each, and what people do.
pub(super) const FILES: [(&str, &str); 2] =
    [("csv", "Télécharger en CSV"), ("parquet", "Télécharger en Parquet")];

/// The first rows of an answer: one more than are shown, where there are more. What comes after is not asked for.
pub(super) async fn read(mut rows: Rows) -> Answer<Table> {
    let columns = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut read = Vec::new();
    while read.len() <= ROWS_SHOWN {
        let Some(batch) = rows.next().await else { break };
        let batch = batch.map_err(|error| problem(&error))?;
        let batch = batch.slice(0, batch.num_rows().min(ROWS_SHOWN + 1));
        read.extend(cells(&batch).map_err(|error| Problem::internal().because(&error))?);
    }
    Ok(Table { columns, rows: read })
}

/// What is shown of them.
pub(super) fn shown(table: &Table) -> Markup {
    let chart = table.chart("Graphique du résultat, dont le tableau a les mêmes valeurs");
    html! {
        h2 { "Résultat" }
        @if let Some(chart) = chart { (chart) (scripts()) }
        (table.show("Résultat"))
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
        "Au-delà de {} lignes, un fichier échoue plutôt que d’être tronqué : agrégez, ou ajoutez une limite.",
        thousands(QUERY_ROWS_MAX)
    )
}
