//! `POST /analytics/query`: the archive and the registry in SQL, as analysts may see them. [`reports`] are ready-made.

use std::sync::Arc;

use analytics::encode::{Encoder, Format};
use analytics::limits::SQL_MAX_BYTES;
use analytics::session::{Answer as Rows, QueryError};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{once, unfold};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::Form;
use crate::form::envelope;
use crate::form::kind::{Kind as _, Length, Object};
use crate::limits::{ANSWER_HELD_BYTES, QUERIES_AT_ONCE, QUERY_MEMORY_BYTES, QUERY_ROWS_MAX, QUERY_WITHIN};
use crate::openapi::{Chapter, Operation};
use crate::role::ANALYSTS;
use crate::router::Payload;

pub mod reports;

/// Answers a query.
pub async fn query(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Payload(body): Payload,
) -> Answer<Response> {
    answer(rows(&app, &caller, &body).await?, format_of(&headers), "query").await
}

/// The rows of a query.
pub(crate) async fn rows(app: &App, caller: &Caller, body: &Value) -> Answer<Rows> {
    caller.require(ANALYSTS)?;
    let sql = envelope::one(body, Object(read_query))?;
    let turn = app.asked.turn().map_err(|error| problem(&error))?;
    let dimensions = app.asked.dimensions(app.registry.store(), app.registry.territory()).await?;
    let rows = turn.query(&sql, app.asked.view(app.clock.now()), &dimensions).await;
    rows.map_err(|error| problem(&error))
}

/// What analysts see.
const COLUMNS: &str = "SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = 'public' ORDER BY table_name, ordinal_position";

/// Table, column and type of all that may be asked. That is the same whatever the registry knows, which is not read.
pub(crate) async fn columns(app: &App, caller: &Caller) -> Answer<Rows> {
    caller.require(ANALYSTS)?;
    let turn = app.asked.turn().map_err(|error| problem(&error))?;
    let rows = turn.query(COLUMNS, app.asked.view(app.clock.now()), &Arc::default()).await;
    rows.map_err(|error| problem(&error))
}

/// `POST /analytics/query` in the reference.
pub fn describe_query() -> Operation {
    let about = "Of statements there are `SELECT`, `EXPLAIN` and `SHOW` (`SHOW TABLES`, `SHOW COLUMNS FROM \
                 positions`). Taxis have a name that is another each year, and in hails none; places are towns, \
                 and of positions H3 cells; hails are told to the hour, searches to the minute; the operator \
                 where it has five ADS or more, and the town of an ADS where its operator has five there or more. \
                 Functions are those whose value is a number, a moment, or a text no longer than what they are \
                 given: `||`, `concat`, `replace` or `array_agg` are not, nor are window functions (`OVER`). Answers \
                 are JSON, CSV (`text/csv`) or Parquet (`application/vnd.apache.parquet`), as `Accept` says; a \
                 connection that is cut off before its end says that the query failed after its first rows. Hanging \
                 up ends the query.";
    let example = json!({"sql": "SELECT name, departement FROM towns ORDER BY insee LIMIT 3"});
    let rows = json!({"data": [{"name": "Paris", "departement": "75"}]});
    let operation = Operation::new(Chapter::Statistics, "Asks the archive in SQL", about)
        .roles(ANALYSTS)
        .body(&Object(read_query), &example);
    let wrong =
        QueryError::Refused("Error during planning: table 'maraude.public.taxi' not found".to_owned());
    in_every_form(operation, &rows)
        .refuses_with("The query is wrong, or takes more than it may.", &problem(&wrong))
        .refuses_with("As many queries as may be are under way.", &problem(&QueryError::Busy))
}

fn read_query(form: &mut Form<'_>) -> Option<String> {
    form.required("sql", Length(1..=SQL_MAX_BYTES).about("One statement."))
}

/// The forms in which rows are answered, in the reference.
fn in_every_form(operation: Operation, rows: &Value) -> Operation {
    let bounds = format!(
        "The rows, at most {QUERY_ROWS_MAX}. A query may take {} s and {} MiB of memory; {QUERIES_AT_ONCE} may be \
         under way.",
        QUERY_WITHIN.as_secs(),
        QUERY_MEMORY_BYTES >> 20
    );
    let object = json!({"type": "object"});
    let list = json!({"type": "array", "items": object});
    let schema = json!({"type": "object", "properties": {"data": list}, "required": ["data"]});
    Format::ALL.into_iter().fold(operation, |operation, format| {
        let content = match format {
            Format::Json => json!({"schema": schema, "example": rows}),
            Format::Csv => json!({"schema": {"type": "string"}}),
            Format::Parquet => json!({"schema": {"type": "string", "format": "binary"}}),
        };
        operation.content(200, &bounds, format.media_type(), content)
    })
}

/// The form that a client accepts: the first that we know, or JSON.
fn format_of(headers: &HeaderMap) -> Format {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kinds = accepted.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let known = kinds.filter_map(|kind| Format::ALL.into_iter().find(|format| format.media_type() == kind));
    known.into_iter().next().unwrap_or(Format::Json)
}

/// Sends rows in a form.
pub(crate) async fn answer(rows: Rows, format: Format, name: &str) -> Answer<Response> {
    let encoder = Encoder::new(format, rows.schema()).map_err(|error| Problem::internal().because(&error))?;
    let mut response = written(rows, encoder).await?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let extension = match format {
        Format::Json => return Ok(response),
        Format::Csv => "csv",
        Format::Parquet => "parquet",
    };
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}.{extension}\""));
    if let Ok(disposition) = disposition {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// Writes rows down as they come. What fails while little of them was written is an answer of its own; later the
/// connection is cut off, so that nobody takes a part for the whole.
pub(crate) async fn written(mut rows: Rows, mut encoder: Encoder) -> Answer<Body> {
    let failed = |error: &dyn std::fmt::Display| Problem::internal().because(error);
    let mut held = Vec::new();
    let mut is_whole = false;
    while held.len() < ANSWER_HELD_BYTES {
        let Some(batch) = rows.next().await else {
            is_whole = true;
            break;
        };
        held.extend(encoder.rows(&batch.map_err(|error| problem(&error))?).map_err(|error| failed(&error))?);
    }
    Ok(if is_whole {
        held.extend(encoder.finish().map_err(|error| failed(&error))?);
        Body::from(held)
    } else {
        let rest = unfold(Some((rows, encoder)), async |state| {
            let (mut rows, mut encoder) = state?;
            Some(match rows.next().await {
                Some(Ok(batch)) => match encoder.rows(&batch) {
                    Ok(bytes) => (Ok(bytes), Some((rows, encoder))),
                    Err(error) => (Err(std::io::Error::other(error)), None),
                },
                Some(Err(error)) => {
                    tracing::info!(%error, "an answer was cut off");
                    (Err(std::io::Error::other(error)), None)
                }
                None => (encoder.finish().map_err(std::io::Error::other), None),
            })
        });
        let rest = rest.map_ok(Bytes::from);
        Body::from_stream(once(async { Ok(Bytes::from(held)) }).chain(rest))
    })
}

/// What is said where a query is not answered.
pub(crate) fn problem(error: &QueryError) -> Problem {
    match error {
        QueryError::Refused(_)
        | QueryError::TooLong(_)
        | QueryError::TooLarge(_)
        | QueryError::TooMany(_) => {
            Problem::data(StatusCode::BAD_REQUEST, &json!({"sql": [error.to_string()]}))
        }
        QueryError::Busy => Problem::overloaded("queries under way"),
        QueryError::Unavailable(_) => Problem::unavailable("archive").because(error),
    }
}
