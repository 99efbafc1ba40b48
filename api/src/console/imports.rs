//! Imports of places, for administrators: what each did, and how one is begun, which the command line does alone.

use axum::extract::{Path, State};
use maud::{Markup, html};
use serde_json::Map;

use super::list::{Column, Field, List, heads};
use super::refusal::Shown;
use super::session::Session;
use super::{layout, moment};
use crate::app::App;
use crate::error::{Answer, Problem};
use crate::form::envelope::Paged;
use crate::form::query::{Query, not_one_of, page_beside};
use crate::import::KINDS;
use crate::limits::{IMPORTS_KEPT, PER_PAGE};
use crate::role::ADMINISTRATORS;
use crate::routes::naive_timestamp;
use crate::store::imports::{ImportRow, RemarkRow};

/// Where they are.
pub(super) const PATH: &str = "/console/imports";

const COLUMNS: &[Column<ImportRow>] = &[
    Column::new("Début (UTC)", "debut", |run: &ImportRow| naive_timestamp(run.started_at))
        .shown(|run| html! { a href={(PATH) "/" (run.id)} { (moment(&naive_timestamp(run.started_at))) } }),
    Column::new("Quoi", "quoi", |run: &ImportRow| in_french(&run.what).to_owned()),
    Column::new("Fichier", "fichier", |run: &ImportRow| run.file.clone()),
    Column::new("Issue", "issue", |run: &ImportRow| outcome(run).to_owned()),
    Column::new("Durée", "duree", duration),
    Column::new("Lues", "lues", |run: &ImportRow| read(run).to_string()),
    Column::new("Nouvelles", "nouvelles", |run: &ImportRow| run.added_count.to_string()),
    Column::new("Modifiées", "modifiees", |run: &ImportRow| run.changed_count.to_string()),
    Column::new("Inchangées", "inchangees", |run: &ImportRow| run.same_count.to_string()),
    Column::new("Refusées", "refusees", |run: &ImportRow| run.refused_count.to_string()),
    Column::new("Signalées", "signalees", |run: &ImportRow| run.noted_count.to_string()),
];

/// The list.
pub(super) async fn list(State(app): State<App>, session: Session, query: Query) -> Shown {
    session.caller.require(ADMINISTRATORS)?;
    let kinds = KINDS.iter().map(|kind| ((*kind).to_owned(), in_french(kind).to_owned()));
    let fields = vec![Field::named_choice("what", "Quoi", "Tout", kinds.collect())];
    let list = List {
        path: PATH,
        title: "Imports",
        file: "imports",
        file_rows: IMPORTS_KEPT,
        fields,
        query: &query,
    };
    let found = found(&app, &list.asked(), list.per_page(PER_PAGE)).await;
    list.answer_above(&session, found, COLUMNS, &how_to())
}

async fn found(app: &App, query: &Query, per_page: i64) -> Answer<Paged<ImportRow>> {
    let wrong = not_one_of(query, "what", KINDS).map(|wrong| ("what".to_owned(), wrong));
    let page = page_beside(query, &["what"], Map::from_iter(wrong))?.of(per_page);
    let (rows, total) = app.registry.store().imports(query.first("what"), page.limit_offset()).await?;
    Ok(Paged::new(rows, page.meta(total)))
}

/// One of them.
pub(super) async fn show(State(app): State<App>, session: Session, Path(id): Path<String>) -> Shown {
    session.caller.require(ADMINISTRATORS)?;
    // No row has a NUL.
    let known = if id.contains('\0') { None } else { app.registry.store().import(&id).await? };
    let (run, remarks) = known.ok_or_else(Problem::unknown_path)?;
    let (refused, noted): (Vec<_>, Vec<_>) = remarks.iter().partition(|remark| remark.is_refusal);
    let content = html! {
        @match &run.error {
            Some(error) => {
                div.notice.failed { p { "Rien n’a été importé :" } p lang="en" { (error) } }
            }
            None if run.ended_at.is_none() => {
                p.notice.failed {
                    "Cet import est en cours, ou son processus a été interrompu : alors rien n’a été importé."
                }
            }
            None => {}
        }
        dl {
            dt { "Quoi" } dd { (in_french(&run.what)) }
            dt { "Fichier" } dd { (run.file) }
            dt { "Par" } dd { "la ligne de commande" }
            dt { "Début (UTC)" } dd { (moment(&naive_timestamp(run.started_at))) }
            dt { "Issue" } dd { (outcome(&run)) }
            @if run.ended_at.is_some() { dt { "Durée" } dd { (duration(&run)) } }
            @if run.ended_at.is_some() && run.error.is_none() {
                dt { "Lignes lues" } dd { (read(&run)) }
                dt { "Nouvelles" } dd { (run.added_count) }
                dt { "Modifiées" } dd { (run.changed_count) }
                dt { "Inchangées" } dd { (run.same_count) }
                dt { "Refusées" } dd { (run.refused_count) }
                dt { "Signalées" } dd { (run.noted_count) }
            }
        }
        (table("Refusées", "Ce qui n’a pas été importé, et pourquoi", run.refused_count, &refused))
        (table("Signalées", "Ce qui a été importé autrement qu’écrit, ou semble faux", run.noted_count, &noted))
        p { a href=(PATH) { "Tous les imports" } }
    };
    let title = format!("Import : {}", in_french(&run.what));
    Ok(layout::page(Some(&session), "", &title, &content))
}

/// What was remarked, as the command line tells it.
fn table(title: &str, caption: &str, count: i64, remarks: &[&RemarkRow]) -> Markup {
    html! {
        @if !remarks.is_empty() {
            h2 { (title) }
            div.scroll tabindex="0" role="region" aria-label=(title) {
                table {
                    caption {
                        (caption)
                        @if i64::try_from(remarks.len()).is_ok_and(|shown| shown < count) {
                            " (les " (remarks.len()) " premières sur " (count) ")"
                        }
                    }
                    (heads(&["Ligne ou élément", "Champ", "Raison"]))
                    tbody { @for remark in remarks { tr {
                        th scope="row" { (remark.row_number) }
                        td { (remark.field) }
                        td lang="en" { (remark.reason) }
                    } } }
                }
            }
        }
    }
}

/// How an import is begun: files are larger than what a form may carry.
fn how_to() -> Markup {
    html! {
        p.hint { "Les rapports des " (IMPORTS_KEPT) " derniers imports sont conservés." }
        h2 { "Importer" }
        p {
            "Un import se lance en ligne de commande, sur une machine qui a les réglages du serveur ; celui-ci suit \
             sans redémarrer. Un fichier en " code { ".gz" } " est décompressé."
        }
        dl {
            @for kind in KINDS {
                dt { (in_french(kind)) }
                dd { code { "maraude import " (kind) " FICHIER" } }
            }
        }
    }
}

fn in_french(kind: &str) -> &str {
    match kind {
        "towns" => "Communes",
        "zupc" => "ZUPC",
        "exclusions" => "Zones d’exclusion",
        "stations" => "Stations",
        "departements" => "Départements",
        "populations" => "Populations",
        other => other,
    }
}

fn outcome(run: &ImportRow) -> &'static str {
    match (run.ended_at, &run.error) {
        (_, Some(_)) => "échec",
        (Some(_), None) => "terminé",
        (None, None) => "en cours ou interrompu",
    }
}

/// How many rows there were.
fn read(run: &ImportRow) -> i64 {
    run.added_count + run.changed_count + run.same_count + run.refused_count
}

fn duration(run: &ImportRow) -> String {
    let Some(ended_at) = run.ended_at else { return String::new() };
    let ms = ended_at - run.started_at;
    format!("{},{:03} s", ms / 1_000, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_imported_is_said_in_french() {
        for kind in KINDS {
            assert_ne!(in_french(kind), *kind);
        }
    }
}
