//! `GET /analytics/reports`: the ministry's reports, each with what it means.

use analytics::layout::Day;
use analytics::limits::REPORT_DAYS_MAX;
use analytics::report::{self, Period, Report};
use analytics::session::{Answer as Rows, QueryError};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::NaiveDate;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{answer, format_of, in_every_form, problem};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::envelope::{self, Elements};
use crate::form::kind::{AtMost, Day as DayKind, Kind as _};
use crate::form::query::Query;
use crate::form::{Form, messages};
use crate::limits::NAME_MAX_CHARS;
use crate::openapi::{Chapter, Operation};
use crate::role::ANALYSTS;

/// A report that can be asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Report)]
pub struct ReportAnswer {
    /// What it is called in paths.
    pub name: &'static str,
    /// What it is about.
    pub title: String,
    /// What is counted, and what is not.
    pub definition: String,
    /// In which units.
    pub unit: String,
    /// Of what.
    pub source: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnAnswer>,
}

/// A column of a report.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ReportColumn)]
pub struct ColumnAnswer {
    /// Its name.
    pub name: String,
    /// What it says.
    pub meaning: String,
}

impl ReportAnswer {
    pub(crate) fn new(report: &Report) -> Self {
        let column = |(name, meaning): &(String, String)| ColumnAnswer {
            name: name.clone(),
            meaning: meaning.clone(),
        };
        let words = report.words.clone();
        Self {
            name: report.name,
            title: words.title,
            definition: words.definition,
            unit: words.unit,
            source: words.source,
            columns: words.columns.iter().map(column).collect(),
        }
    }
}

/// Every report.
pub async fn list(caller: Caller) -> Answer<Json<Elements<ReportAnswer>>> {
    caller.require(ANALYSTS)?;
    Ok(envelope::of_all(report::all().iter().map(ReportAnswer::new).collect()))
}

/// `GET /analytics/reports` in the reference.
pub fn describe_list() -> Operation {
    let reports: Vec<_> = report::all().iter().take(1).map(ReportAnswer::new).collect();
    let about = "What each counts, in which unit, and of what.";
    Operation::new(Chapter::Statistics, "Every report", about)
        .roles(ANALYSTS)
        .list("The reports, by name.", &reports)
}

/// Makes a report.
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Answer<Response> {
    let (report, rows) = rows(&app, &caller, &name, &query).await?;
    answer(rows, format_of(&headers), report.name).await
}

/// The rows of a report.
pub(crate) async fn rows(
    app: &App,
    caller: &Caller,
    name: &str,
    query: &Query,
) -> Answer<(&'static Report, Rows)> {
    caller.require(ANALYSTS)?;
    let report = report::named(name).ok_or_else(unknown)?;
    let asked = query.read_strictly(read_report)?;
    let period = period(asked.from, asked.to).ok_or_else(no_period)?;
    let turn = app.asked.turn().map_err(|error| problem(&error))?;
    let dimensions = app.asked.dimensions(app.registry.store(), app.registry.territory()).await?;
    let towns = asked.territory.map(|name| dimensions.towns_of(&name));
    if towns.as_ref().is_some_and(std::collections::BTreeSet::is_empty) {
        return Err(no_territory());
    }
    let rows = turn.report(report, period, towns, &dimensions).await.map_err(|error| match error {
        QueryError::Refused(_) => Problem::internal().because(&error),
        error => problem(&error),
    })?;
    Ok((report, rows))
}

/// `GET /analytics/reports/{name}` in the reference.
pub fn describe_read() -> Operation {
    let names: Vec<_> = report::all().iter().map(|report| report.name).collect();
    let about = "As JSON, CSV (`text/csv`) or Parquet (`application/vnd.apache.parquet`), as `Accept` says. What fewer \
                 than five taxis, searches or hails make is not told, by the rule in the report's definition. \
                 `GET /analytics/reports` says what its columns mean.";
    let operation = Operation::new(Chapter::Statistics, "A report of some days and a territory", about)
        .roles(ANALYSTS)
        .path("name", &json!({"type": "string", "enum": names}), "Which one.", "coverage")
        .closed_query(read_report, &json!({"from": "2026-09-01", "to": "2026-09-08", "territory": "75056"}));
    let row = json!({
        "day": "2026-09-01", "insee": "75056", "town": "Paris", "ads": 30, "taxis_registered": 30,
        "taxis_connected": 20, "registered_percent": 100.0, "connected_percent": 66.7,
    });
    in_every_form(operation, &json!({"data": [row]}))
        .refuses_with("There is no such report.", &unknown())
        .refuses_with("That is no period.", &no_period())
        .refuses_with("There is no such territory.", &no_territory())
        .refuses_with("As many queries as may be are under way.", &problem(&QueryError::Busy))
}

/// What a report is asked about.
struct Asked {
    from: NaiveDate,
    to: NaiveDate,
    territory: Option<String>,
}

fn read_report(form: &mut Form<'_>) -> Option<Asked> {
    let from = form.required("from", DayKind.about("The first day, in UTC."));
    let to = form.required("to", DayKind.about("The day after the last one."));
    let territory = form.optional(
        "territory",
        AtMost(NAME_MAX_CHARS)
            .about("INSEE code of a town, number of a departement or id of a ZUPC; without it, all."),
    );
    Some(Asked { from: from?, to: to?, territory })
}

/// Of some days; None: of none, or of too many.
pub(crate) fn period(from: NaiveDate, to: NaiveDate) -> Option<Period> {
    Period::new(Day(from.to_epoch_days()), Day(to.to_epoch_days()))
}

fn unknown() -> Problem {
    Problem::url(StatusCode::NOT_FOUND, "There is no such report.")
}

fn no_period() -> Problem {
    let message = format!("Must be later than the first day, by {REPORT_DAYS_MAX} days at most.");
    Problem::invalid(json!({"to": messages(&message)}))
}

fn no_territory() -> Problem {
    Problem::invalid(json!({"territory": messages("No town, departement or ZUPC is called so.")}))
}
