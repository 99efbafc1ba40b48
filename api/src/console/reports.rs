//! The ministry's reports: what each means, and its figures of a period and a territory.

use analytics::report::{self, Report};
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use chrono::Days;
use maud::{Markup, html};

use super::layout::{self, Notice};
use super::refusal::{Shown, within};
use super::rows::{self, FILES};
use super::session::Session;
use crate::app::App;
use crate::error::Problem;
use crate::form::query::Query;
use crate::role::ANALYSTS;
use crate::routes::analytics::reports;

/// Where they are listed.
pub(super) const PATH: &str = "/console/reports";

/// What a report is asked for.
const ARGUMENTS: [&str; 3] = ["from", "to", "territory"];
/// Days of the period that the form proposes.
const PROPOSED_DAYS: u64 = 7;

/// All of them.
pub(super) async fn list(State(app): State<App>, session: Session) -> Shown {
    session.caller.require(ANALYSTS)?;
    app.asked.read_ahead(app.registry.store(), app.registry.territory());
    let content = html! {
        @for report in report::all() {
            h2 { a href=(address(report)) { (report.french.title) } }
            p { (report.french.definition) }
            p.hint { "Unités : " (report.french.unit) ". Source : " (report.french.source) "." }
        }
    };
    Ok(layout::page(Some(&session), PATH, "Rapports", &content))
}

/// One of them, of the period and the territory that are asked for.
pub(super) async fn show(
    State(app): State<App>,
    session: Session,
    Path(name): Path<String>,
    query: Query,
) -> Shown {
    session.caller.require(ANALYSTS)?;
    let report = report::named(&name).ok_or_else(Problem::unknown_path)?;
    let given = ARGUMENTS.into_iter().filter_map(|name| Some((name, query.first(name)?.trim())));
    let asked: Vec<_> =
        given.filter(|(_, text)| !text.is_empty()).map(|(a, b)| (a.into(), b.into())).collect();
    let asked = Query::new(asked);
    if asked == Query::default() {
        app.asked.read_ahead(app.registry.store(), app.registry.territory());
        let now = app.clock.now().0;
        let today =
            chrono::DateTime::from_timestamp_millis(now).map(|at| at.date_naive()).unwrap_or_default();
        let from = today.checked_sub_days(Days::new(PROPOSED_DAYS)).unwrap_or(today);
        let proposed = [("from".to_owned(), from.to_string()), ("to".to_owned(), today.to_string())];
        return Ok(page(&session, report, &Query::new(proposed.into()), None, &html! {}));
    }
    let file = query.first("format").filter(|format| !format.is_empty());
    let made = async || {
        let (_, rows) = reports::rows(&app, &session.caller, &name, &asked).await?;
        if let Some(format) = file {
            return rows::file(rows, format, report.name).await;
        }
        let table = rows::read(rows).await?;
        Ok(page(&session, report, &asked, None, &rows::shown(&table)))
    };
    match made().await {
        Ok(response) => Ok(response),
        Err(problem) => within(problem, |why| {
            page(&session, report, &asked, Some(Notice::Failed(why)), &html! {}).into_response()
        }),
    }
}

fn address(report: &Report) -> String {
    format!("{PATH}/{}", report.name)
}

fn page(
    session: &Session,
    report: &Report,
    asked: &Query,
    notice: Option<Notice<'_>>,
    result: &Markup,
) -> Response {
    let words = &report.french;
    let content = html! {
        (layout::notice(notice))
        p { (words.definition) }
        p.hint { "Unités : " (words.unit) ". Source : " (words.source) "." }
        form.search method="get" action=(address(report)) {
            div {
                label for="from" { "Premier jour (UTC)" }
                input #from name="from" type="date" required value=[asked.first("from")];
            }
            div {
                label for="to" { "Jusqu’au jour, non compris" }
                input #to name="to" type="date" required value=[asked.first("to")];
            }
            div {
                label for="territory" { "Territoire" }
                input #territory name="territory" autocomplete="off" value=[asked.first("territory")]
                    aria-describedby="territory-hint";
            }
            p.hint #territory-hint {
                "Code INSEE d’une commune, numéro d’un département ou identifiant d’une ZUPC ; vide : toute la France. "
                (rows::files_hint())
            }
            div.actions {
                button type="submit" { "Afficher" }
                @for (format, label) in FILES { button type="submit" name="format" value=(format) { (label) } }
            }
        }
        (result)
        h2 { "Colonnes" }
        dl { @for (name, meaning) in &words.columns { dt { code { (name) } } dd { (meaning) } } }
        p { a href=(PATH) { "Tous les rapports" } }
    };
    layout::page(Some(session), PATH, &words.title, &content)
}
