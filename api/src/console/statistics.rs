//! Figures of the registry: each with what it means, as a table, as a chart, and as a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use maud::{Markup, html};

use super::chart::scripts;
use super::kept::Kept;
use super::layout::{self, Notice};
use super::list::{Field, List};
use super::refusal::{Shown, within};
use super::session::Session;
use super::table::Table;
use super::{ROOT, csv};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::limits::{CSV_ROWS_MAX, FIGURES_OF_NOW_STAND};
use crate::role::ADMINISTRATORS;
use crate::routes::stats::groups::{self, GroupAnswer};

mod hails;
mod heatmaps;
mod letaxi;
mod others;
mod taxis;

pub(super) use heatmaps::Maps;

/// Where they are.
pub(super) const PATH: &str = "/console/statistics";

/// A page of figures.
struct Topic {
    /// What it is called in paths.
    name: &'static str,
    title: &'static str,
    /// Of what, and of when.
    about: &'static str,
    /// Whether its figures are narrowed.
    is_narrowed: bool,
}

/// Every page.
const TOPICS: &[Topic] = &[
    Topic { name: "taxis", title: "Taxis", about: taxis::ABOUT, is_narrowed: true },
    Topic { name: "hails", title: "Courses", about: hails::ABOUT, is_narrowed: true },
    Topic { name: "searches", title: "Recherches", about: others::ABOUT_SEARCHES, is_narrowed: true },
    Topic { name: "groupements", title: "Groupements", about: others::ABOUT_GROUPS, is_narrowed: true },
    Topic { name: "adsmap", title: "Taxis par département", about: others::ABOUT_ADS, is_narrowed: true },
    Topic { name: "heatmaps", title: "Cartes de chaleur", about: heatmaps::ABOUT, is_narrowed: false },
    Topic { name: "letaxi", title: "Chiffres publics", about: letaxi::ABOUT, is_narrowed: false },
];

/// Figures that belong together.
#[derive(Debug)]
struct Sheet {
    /// What its file is called.
    name: &'static str,
    title: &'static str,
    table: Table,
    /// What is drawn beside the table.
    drawing: Option<Markup>,
    /// Its figures and what each means.
    terms: Vec<(&'static str, &'static str)>,
    /// Why there are none yet.
    missing: Option<&'static str>,
}

impl Sheet {
    /// A table and the chart of it.
    fn drawn(name: &'static str, title: &'static str, table: Table) -> Self {
        let label = format!("Graphique : {title}. Le tableau a les mêmes valeurs.");
        Self { name, title, drawing: table.chart(&label), table, terms: Vec::new(), missing: None }
    }

    /// A table whose figures are of several units, which its last column tells, and a chart of each.
    fn by_unit(name: &'static str, title: &'static str, table: Table) -> Self {
        let label = |unit: &str| format!("Graphique : {title}, en {unit}. Le tableau a les mêmes valeurs.");
        Self { name, title, drawing: table.charts_by_unit(label), table, terms: Vec::new(), missing: None }
    }

    /// A table, and the chart of another one beside it.
    fn beside(name: &'static str, title: &'static str, table: Table, drawn: &Table) -> Self {
        let Self { drawing, .. } = Self::drawn(name, title, drawn.clone());
        Self { name, title, drawing, table, terms: Vec::new(), missing: None }
    }

    fn explained(self, terms: Vec<(&'static str, &'static str)>) -> Self {
        Self { terms, ..self }
    }
}

/// What pages tell of everything, as it was read last.
#[derive(Debug)]
pub(super) struct Figures(BTreeMap<&'static str, Kept<Vec<Sheet>>>);

impl Default for Figures {
    fn default() -> Self {
        // Maps are kept each by itself.
        let topics = TOPICS.iter().filter(|topic| topic.name != "heatmaps");
        Self(topics.map(|topic| (topic.name, Kept::new(FIGURES_OF_NOW_STAND))).collect())
    }
}

/// All pages.
pub(super) async fn index(session: Session) -> Shown {
    session.caller.require(ADMINISTRATORS)?;
    let content = html! {
        @for topic in TOPICS {
            h2 { a href={(PATH) "/" (topic.name)} { (topic.title) } }
            p { (topic.about) }
        }
        p {
            "Les " a href={(PATH) "/letaxi"} { "chiffres publics" } " sont aussi sur la "
            a href=(ROOT) { "page d’accueil" } "."
        }
    };
    Ok(layout::page(Some(&session), PATH, "Statistiques", &content))
}

/// One of them.
pub(super) async fn show(
    State(app): State<App>,
    session: Session,
    Path(name): Path<String>,
    Extension(maps): Extension<Arc<Maps>>,
    Extension(figures): Extension<Arc<Figures>>,
    query: Query,
) -> Shown {
    session.caller.require(ADMINISTRATORS)?;
    let topic = TOPICS.iter().find(|topic| topic.name == name).ok_or_else(Problem::unknown_path)?;
    let path = format!("{PATH}/{name}");
    let fields = if topic.is_narrowed { filters(&app, &session.caller).await? } else { Vec::new() };
    let list = List {
        path: &path,
        title: topic.title,
        file: topic.name,
        fields,
        query: &query,
        file_rows: CSV_ROWS_MAX,
    };
    let page = |notice: Option<Notice<'_>>, content: &Markup| {
        let content = html! {
            (layout::notice(notice))
            p { (topic.about) }
            p.hint { (as_of(topic)) }
            (list.search())
            (content)
            p { a href=(PATH) { "Toutes les statistiques" } }
        };
        layout::page(Some(&session), "", topic.title, &content)
    };
    let wanted = query.first("table");
    let asked = list.asked();
    let read = |asked| sheets(app.clone(), session.caller.clone(), topic.name, asked);
    let sheets = match figures.0.get(topic.name) {
        _ if topic.name == "heatmaps" => {
            heatmaps::sheets(&maps, &app, &session.caller, wanted).await.map(Arc::new)
        }
        Some(kept) if asked == Query::default() => {
            // What reads is large.
            kept.read(app.clock.now(), Box::pin(read(asked))).await
        }
        _ => read(asked).await.map(Arc::new),
    };
    let sheets = match sheets {
        Ok(sheets) => sheets,
        Err(problem) => return within(problem, |why| page(Some(Notice::Failed(why)), &html! {})),
    };
    if let Some(wanted) = wanted {
        let sheet = sheets.iter().find(|sheet| sheet.name == wanted).ok_or_else(Problem::unknown_path)?;
        return Ok(csv::of_table(&format!("{}-{}", topic.name, sheet.name), &sheet.table));
    }
    let content = html! {
        @for sheet in &*sheets {
            h2 { (sheet.title) }
            @if let Some(why) = sheet.missing {
                p { (why) }
            } @else {
                @if let Some(drawing) = &sheet.drawing { (drawing) }
                (sheet.table.show(sheet.title))
                p { a href=(list.address(&[("table", sheet.name)])) download {
                    "Télécharger en CSV : " (sheet.title)
                } }
            }
            @if !sheet.terms.is_empty() {
                details {
                    summary { "Définitions" }
                    dl { @for (term, meaning) in &sheet.terms { dt { (term) } dd { (meaning) } } }
                }
            }
        }
        @if sheets.iter().any(|sheet| sheet.drawing.is_some()) { (scripts()) }
    };
    Ok(page(None, &content))
}

/// How old what a page tells may be.
fn as_of(topic: &Topic) -> String {
    let minutes = FIGURES_OF_NOW_STAND.1.as_secs() / 60;
    let told = format!("es chiffres ont {minutes} minutes au plus, si le service a pu les relever");
    if topic.is_narrowed {
        format!("Sans filtre, c{told} ; avec un filtre, ils sont de maintenant.")
    } else {
        format!("C{told}.")
    }
}

async fn sheets(app: App, caller: Caller, topic: &'static str, asked: Query) -> Answer<Vec<Sheet>> {
    let app = State(app);
    match topic {
        "taxis" => taxis::sheets(app, caller, asked).await,
        "hails" => hails::sheets(app, caller, asked).await,
        "searches" => others::searches(app, caller, asked).await,
        "groupements" => others::groupements(app, caller, asked).await,
        "letaxi" => letaxi::sheets(app).await,
        _ => others::adsmap(app, caller, asked).await,
    }
}

/// By what figures are narrowed.
async fn filters(app: &App, caller: &Caller) -> Answer<Vec<Field>> {
    let Json(groups) = groups::groups(State(app.clone()), caller.clone(), Query::default()).await?;
    let Json(managers) = groups::managers(State(app.clone()), caller.clone()).await?;
    let choices = |accounts: Vec<GroupAnswer>| {
        let choice = |one: GroupAnswer| {
            let name = if one.commercial_name.is_empty() { one.email } else { one.commercial_name };
            (one.id.to_string(), name)
        };
        accounts.into_iter().map(choice).collect()
    };
    Ok(vec![
        Field::text("departements", "Départements (numéros, avec des virgules)"),
        Field::text("insee", "Communes (codes INSEE, avec des virgules)"),
        Field::named_choice("groups", "Groupement", "Tous", choices(groups.into_inner())),
        Field::named_choice("manager", "Gestionnaire", "Tous", choices(managers.into_inner())),
    ])
}
