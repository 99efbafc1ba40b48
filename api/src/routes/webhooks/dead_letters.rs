//! What webhooks could not be told: listed, and told again.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{LISTENERS, find, one, require};
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::{self, Elements, Paged};
use crate::form::instant::instant;
use crate::form::kind::{Kind, Object, TextThat};
use crate::form::query::{Query, page};
use crate::form::{Field, Form, messages};
use crate::openapi::Operation;
use crate::router::Payload;
use crate::routes::hails::event::kind;
use crate::routes::naive_timestamp;
use crate::store::webhooks::dead_letters::{Again, DeadRow};

/// An event that a webhook was not told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    /// The event's number.
    pub event: i64,
    /// What it tells, as its `type`.
    pub r#type: String,
    /// The hail.
    pub hail: String,
    /// When it happened: ISO 8601 in UTC, without an offset.
    pub timestamp: String,
    /// How often it was tried.
    pub tries: i32,
    /// What came of the last time.
    pub outcome: String,
    /// When it was given up: ISO 8601 in UTC, without an offset.
    pub given_up_at: String,
}

/// How much is told again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Redelivered {
    /// So many events.
    pub events: u64,
}

/// A page of what a webhook of the caller's was not told, in the order in which it happened.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Answer<Json<Paged<DeadLetter>>> {
    let webhook = find(&app, &caller, &id).await?;
    let page = page(&query, &[])?;
    let (rows, total) = app.registry.store().dead_letters(&webhook.id, page.limit_offset()).await?;
    Ok(envelope::of_page(rows.into_iter().map(DeadLetter::new).collect(), page.meta(total)))
}

/// `GET /webhooks/{id}/dead_letters` in the reference.
pub fn describe_list() -> Operation {
    let letter = DeadLetter {
        event: 4_711,
        r#type: kind("accepted_by_taxi"),
        hail: "h7KqYbW".to_owned(),
        timestamp: "2026-11-25T07:30:09.123456".to_owned(),
        tries: 42,
        outcome: "the server answered 500".to_owned(),
        given_up_at: "2026-11-26T07:12:45.678901".to_owned(),
    };
    one("What a webhook was not told, page by page", "In the order of the events, for 30 days.")
        .pages()
        .page("A page of dead letters.", &[letter])
}

/// Tells a webhook of the caller's again what it was not told.
pub async fn redeliver(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Payload(body): Payload,
) -> Answer<Json<Elements<Redelivered>>> {
    require(&caller)?;
    let webhook = find(&app, &caller, &id).await?;
    let again = envelope::one_if_any(&body, Object(read_again))?.unwrap_or(Again::Dead);
    let events = app.registry.redeliver(webhook.id, again).await?;
    Ok(envelope::of_one(Redelivered { events }))
}

/// `POST /webhooks/{id}/redeliver` in the reference.
pub fn describe_redeliver() -> Operation {
    let about = "Its dead letters, or those of what happened `since` then, or one `event`, which it may also have been \
                 told within the last day. They are told in the order of the events, for up to a day again; 10,000 at \
                 most, the earliest, so that a long list takes several requests.";
    one("Tells a webhook again what it was not told", about)
        .roles(LISTENERS)
        .body(&Object(read_again), &json!({"since": "2026-11-25T07:00:00"}))
        .one(200, "How many are told again.", &Redelivered { events: 3 })
}

impl DeadLetter {
    fn new(row: DeadRow) -> Self {
        Self {
            event: row.event_id,
            r#type: kind(&row.to_status),
            hail: row.hail_id,
            timestamp: naive_timestamp(row.at),
            tries: row.tries,
            outcome: row.outcome.unwrap_or_default(),
            given_up_at: naive_timestamp(row.ended_at.unwrap_or_default()),
        }
    }
}

fn read_again(form: &mut Form<'_>) -> Option<Again> {
    let event = form.optional("event", EventNumber.about("The number of one event."));
    let since = form.optional("since", SINCE.about("Only what happened at that time or later; in UTC."));
    if event.is_some() && since.is_some() {
        form.error("since", messages("Not beside an event."));
    }
    Some(match (event, since.as_deref().and_then(instant)) {
        (Some(event), _) => Again::Event(event),
        (None, Some(since)) => Again::DeadSince(since.0),
        (None, None) => Again::Dead,
    })
}

/// A time.
const SINCE: TextThat = TextThat {
    schema: || json!({"format": "date-time"}),
    holds: |text| instant(text).is_some(),
    message: "Not a valid datetime.",
};

/// The number of an event.
struct EventNumber;

impl Kind for EventNumber {
    type Read = i64;

    fn read(&self, value: &Value) -> Field<i64> {
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        number.ok_or_else(|| messages("Not a valid integer."))
    }

    fn schema(&self) -> Value {
        json!({"type": "integer", "format": "int64"})
    }
}
