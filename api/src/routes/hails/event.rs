//! What is told of events: to streams as Server-Sent Events, to webhooks as JSON.

use std::fmt::Write as _;

use axum::body::Bytes;
use engine::engine::Seen;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Beside, Eyes, HailAnswer, TransitionPart};
use super::last_seen;
use crate::app::App;
use crate::hail::Status;
use crate::store::hails::events::{EventRow, InProgress};

/// A step of a hail. The hail is as it was when this was sent, so that it may have gone further since the step; the
/// other fields are the step's own.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HailEvent {
    /// Where it stood; null: it began.
    pub from_status: Option<String>,
    /// Where it stood then.
    pub to_status: String,
    /// When: ISO 8601 in UTC, without an offset.
    pub timestamp: String,
    /// Why, where somebody said so.
    pub reason: Option<String>,
    /// The ground on which the taxi declined, where it did and said so.
    pub declined_by_taxi_reason: Option<String>,
    /// How long declining took it, in milliseconds.
    pub after_ms: Option<i64>,
    /// The hail.
    pub hail: HailAnswer,
}

/// The taxi of a hail was heard again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HailPosition<'a> {
    /// The hail's id.
    pub hail: &'a str,
    /// The taxi's id, as the hail shows it.
    pub taxi: &'a str,
    /// Latitude in degrees.
    pub lat: f64,
    /// Longitude in degrees.
    pub lon: f64,
    /// When it was received, in seconds since 1970.
    pub last_update: i64,
}

impl HailEvent {
    /// An event as these eyes see it.
    pub fn new(app: &App, event: &EventRow, eyes: Eyes) -> Self {
        let hail = &event.hail;
        let declined = event.transition.to_status == Status::DeclinedByTaxi.as_str();
        let TransitionPart { from_status, to_status, timestamp, reason } =
            TransitionPart::new(hail, &event.transition, eyes);
        let beside = Beside { transitions: &event.transitions, seen: last_seen(app, hail), has_moved: false };
        Self {
            from_status,
            to_status,
            timestamp,
            reason,
            declined_by_taxi_reason: hail.declined_by_taxi_reason.clone().filter(|_| declined),
            after_ms: hail.declined_after_ms.filter(|_| declined),
            hail: HailAnswer::new(app, hail, eyes, beside),
        }
    }

    /// That a taxi accepted, as the app sees it.
    pub fn example() -> Self {
        let hail = HailAnswer::example();
        Self {
            from_status: Some("received_by_taxi".to_owned()),
            to_status: hail.status.to_owned(),
            timestamp: hail.last_status_change.clone(),
            reason: None,
            declined_by_taxi_reason: None,
            after_ms: None,
            hail,
        }
    }
}

impl<'a> HailPosition<'a> {
    /// A taxi as these eyes see it.
    pub fn new(hail: &'a InProgress, eyes: Eyes, seen: Seen) -> Self {
        Self {
            hail: &hail.id,
            taxi: eyes.taxi_id(&hail.shown_taxi_id, &hail.public_taxi_id),
            lat: seen.at.lat(),
            lon: seen.at.lon(),
            last_update: seen.received_at.seconds(),
        }
    }
}

/// A step of a hail, as webhooks are told it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WebhookEvent {
    /// The event's number, the same as on streams.
    pub id: i64,
    /// What happened: `hail.` and where the hail stood then.
    pub r#type: String,
    /// The step.
    #[serde(flatten)]
    pub step: HailEvent,
}

impl WebhookEvent {
    /// That a taxi accepted, as the app is told it.
    pub fn example() -> Self {
        let step = HailEvent::example();
        Self { id: 4_711, r#type: kind(&step.to_status), step }
    }
}

/// What a webhook is sent of an event, as these eyes see it.
pub fn webhook_body(app: &App, event: &EventRow, eyes: Eyes) -> Vec<u8> {
    let (id, r#type) = (event.event_id, kind(&event.transition.to_status));
    json(&WebhookEvent { id, r#type, step: HailEvent::new(app, event, eyes) }).into_bytes()
}

/// What webhooks know a step to this status as.
pub fn kind(to_status: &str) -> String {
    format!("hail.{to_status}")
}

/// An event of a stream, whole.
pub fn event_text(id: i64, event: &HailEvent) -> Bytes {
    format!("id: {id}\nevent: hail\ndata: {}\n\n", json(event)).into()
}

/// Adds a position to the text of a stream. It has no number: nobody resumes after it.
pub fn push_position(text: &mut String, position: &HailPosition<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(text, "event: position\ndata: {}\n\n", json(position));
}

/// A stream, as the reference shows it.
pub fn example_text() -> String {
    let mut text = String::from_utf8_lossy(&event_text(4_711, &HailEvent::example())).into_owned();
    let (hail, taxi) = ("h7KqYbW", "u3bQ0yVnXw7sZkWlTqPa1g");
    push_position(
        &mut text,
        &HailPosition { hail, taxi, lat: 48.8566, lon: 2.3522, last_update: 1_795_591_820 },
    );
    text
}

/// On one line, as all JSON that is not made pretty.
fn json(value: &impl Serialize) -> String {
    // What is only texts and numbers can always be written.
    serde_json::to_string(value).unwrap_or_default()
}
