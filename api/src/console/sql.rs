//! The archive and the registry asked in SQL, as analysts may.

use analytics::limits::SQL_MAX_BYTES;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::json;
use tokio::sync::OnceCell;

use super::layout;
use super::refusal::{Shown, is_french, within};
use super::rows::{self, FILES};
use super::session::{Posted, Session};
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::query::Query;
use crate::limits::{QUERIES_AT_ONCE, QUERY_MEMORY_BYTES, QUERY_WITHIN};
use crate::role::ANALYSTS;
use crate::routes;

/// Where it is.
pub(super) const PATH: &str = "/console/sql";

/// Queries to begin with.
const EXAMPLES: [(&str, &str); 3] = [
    (
        "Positions reçues par heure et par statut",
        "SELECT date_trunc('hour', received_at) AS heure, status, count(*) AS positions\nFROM positions\n\
         GROUP BY 1, 2\nORDER BY 1, 2",
    ),
    (
        "Recherches par commune, et celles qui ont trouvé un taxi",
        "SELECT towns.name, count(*) AS recherches, count(*) FILTER (WHERE seen > 0) AS abouties\nFROM searches JOIN \
         towns ON towns.insee = searches.town\nGROUP BY towns.name\nORDER BY recherches DESC\nLIMIT 50",
    ),
    (
        "Courses par issue",
        "SELECT status, count(*) AS courses, avg(distance_m) AS metres\nFROM hails\nGROUP BY status\n\
         ORDER BY courses DESC",
    ),
];

/// A table, and its columns with their types.
type View = (String, Vec<(String, String)>);

/// The form, with the query that is in the address.
pub(super) async fn show(State(app): State<App>, session: Session, query: Query) -> Shown {
    session.caller.require(ANALYSTS)?;
    app.asked.read_ahead(app.registry.store(), app.registry.territory());
    let sql = query.first("sql").unwrap_or(EXAMPLES[0].1);
    Ok(page(&session, sql, &views(&app, &session.caller).await, &html! {}, &html! {}))
}

/// Answers a query: as a table, or as a file.
pub(super) async fn ask(State(app): State<App>, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    session.caller.require(ANALYSTS)?;
    let sql = fields.first("sql").unwrap_or_default();
    let file = fields.first("format").filter(|format| !format.is_empty());
    // Before the query, which takes the one turn that there may be.
    let views = views(&app, &session.caller).await;
    let asked = async || {
        let rows = routes::analytics::rows(&app, &session.caller, &json!({"data": [{"sql": sql}]})).await?;
        if let Some(format) = file {
            return rows::file(rows, format, "requete").await;
        }
        let table = rows::read(rows).await?;
        Ok(page(&session, sql, &views, &html! {}, &rows::shown(&table)))
    };
    match asked().await {
        Ok(response) => Ok(response),
        Err(problem) => {
            // What the engine says, it says in English.
            let is_english = problem.status() == StatusCode::BAD_REQUEST && !is_french(problem.errors());
            let language = is_english.then_some("en");
            within(problem, |why| page(&session, sql, &views, &failed(why, language), &html! {}))
        }
    }
}

/// What there is to ask, read once: tables are the program's. None where nobody has time to tell.
async fn views(app: &App, caller: &Caller) -> Vec<View> {
    static VIEWS: OnceCell<Vec<View>> = OnceCell::const_new();
    let read = async || -> Answer<_> {
        let rows = routes::analytics::columns(app, caller).await?;
        Ok(rows::read(rows).await?.grouped())
    };
    VIEWS.get_or_try_init(read).await.cloned().unwrap_or_default()
}

fn failed(why: &[String], language: Option<&str>) -> Markup {
    html! {
        div.notice.failed role="alert" {
            p { "La requête n’a pas abouti." }
            @for reason in why { p lang=[language] { (reason) } }
        }
    }
}

fn page(session: &Session, sql: &str, views: &[View], notice: &Markup, result: &Markup) -> Response {
    let content = html! {
        (notice)
        form method="post" action=(PATH) {
            (session.token_field())
            label for="sql" { "Requête SQL" }
            p.hint #sql-hint {
                "Une instruction SELECT, EXPLAIN ou SHOW, de " (SQL_MAX_BYTES / 1024) " Kio au plus ; "
                (QUERY_WITHIN.as_secs()) " s et " (QUERY_MEMORY_BYTES >> 20) " Mio de mémoire ; "
                (QUERIES_AT_ONCE) " à la fois sur ce serveur. Les heures sont UTC. " (rows::files_hint())
            }
            textarea #sql name="sql" rows="10" required spellcheck="false" autocomplete="off"
                aria-describedby="sql-hint" { "\n" (sql) }
            div.actions {
                button type="submit" { "Exécuter" }
                @for (format, label) in FILES { button type="submit" name="format" value=(format) { (label) } }
            }
        }
        (result)
        h2 { "Exemples" }
        ul { @for (title, sql) in EXAMPLES { li { a href=(with(sql)) { (title) } } } }
        h2 { "Tables" }
        @if views.is_empty() { p { "La liste des tables n’est pas disponible en ce moment." } }
        @for (name, columns) in views {
            details {
                summary { code { (name) } " (" (columns.len()) " colonnes)" }
                ul { @for (column, kind) in columns { li { code { (column) } " " span.hint { (kind) } } } }
            }
        }
    };
    layout::page(Some(session), PATH, "SQL", &content)
}

/// The form with this query.
fn with(sql: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("sql", sql).finish();
    format!("{PATH}?{query}")
}
