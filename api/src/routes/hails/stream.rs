//! `GET /events` and `GET /hails/:id/events`: what happens to hails, as Server-Sent Events.
//!
//! A stream listens first and reads rows afterwards, up to where the two meet: so nothing is missed between. Whoever
//! reads too slowly for its line reads rows again.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::event::{HailEvent, event_text, example_text};
use super::{eyes, not_theirs, seen_by, unknown};
use crate::app::App;
use crate::auth::Caller;
use crate::connections::Endless;
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::hail::streams::{Full, Line, Listener, Message};
use crate::limits::EVENTS_A_PAGE;
use crate::openapi::{Chapter, Operation};
use crate::role::{Role, SEARCHERS};
use crate::store::Result;
use crate::store::hails::events::EventsOf;

/// The header in which a client says which event it heard of last.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// The same in the query: a browser's `EventSource` sets no header when it begins.
const LAST_EVENT_ID_ARGUMENT: &str = "last_event_id";
/// After how many milliseconds a client is to come back.
pub(in crate::routes) const RETRY_MS: u32 = 2_000;
/// What is said where there is nothing to say: a comment.
pub(in crate::routes) const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");
/// The kind of the answers.
pub(in crate::routes) const EVENT_STREAM: &str = "text/event-stream";

/// What happens to all hails of the caller, from now on or after the event that it names.
pub async fn all(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
) -> Answer<Response> {
    caller.require(SEARCHERS)?;
    let after = last_event_id(&headers, &query)?;
    let line = if caller.0.has(Role::Admin) { Line::All } else { Line::Account(caller.0.id) };
    Stream::open(app, caller, line, after)
}

/// `GET /events` in the reference.
pub fn describe_all() -> Operation {
    let about = "Transitions and taxis' positions of the hails that the caller made and of those of its taxis, from \
                 now on, as Server-Sent Events that end only when the server does. An operator without a server takes \
                 its hails from here: one that has become `sent_to_operator` is to be moved to \
                 `received_by_operator`.";
    describe("What happens to hails", about)
}

/// What happens to one hail, from its beginning or after the event that the caller names.
pub async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Answer<Response> {
    caller.require(SEARCHERS)?;
    let (hail, eyes) = seen_by(&app, &caller, &id).await?;
    let after = last_event_id(&headers, &query)?.unwrap_or(0);
    if hail.status.is_end() && !app.registry.store().has_events_after(&id, after).await? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Stream::open(app, caller, Line::Hail(id, eyes), Some(after))
}

/// `GET /hails/{id}/events` in the reference.
pub fn describe_one() -> Operation {
    let about = "Transitions of a hail from its first one on, and its taxi's positions while it lasts, as Server-Sent \
                 Events that end when the hail does.";
    describe("What happens to a hail", about)
        .path("id", &json!({"type": "string"}), "The hail's id.", "h7KqYbW")
        .empty(204, "The hail has ended, and nothing is left to tell of it: there is no need to come back.")
        .refuses_with("No such hail.", &unknown())
        .refuses_with("The hail is somebody else's.", &not_theirs())
}

fn describe(summary: &'static str, about: &'static str) -> Operation {
    let last = "The number of the last event that was heard of: everything after it is told first.";
    let stream = json!({"schema": {"type": "string"}, "example": example_text()});
    Operation::new(Chapter::Hails, summary, about)
        .roles(SEARCHERS)
        .header(LAST_EVENT_ID, last)
        .argument(LAST_EVENT_ID_ARGUMENT, "The same, for who can set no header; the header counts.")
        .content(200, "The events, each with its number as its id.", EVENT_STREAM, stream)
        .refuses_with("The number is none.", &no_event_id())
        .refuses_with("The account has too many streams.", &full(Full::Account))
        .refuses_with("There are too many streams.", &full(Full::Server))
}

fn no_event_id() -> Problem {
    Problem::invalid(json!({LAST_EVENT_ID_ARGUMENT: ["Not the number of an event."]}))
}

pub(in crate::routes) fn full(full: Full) -> Problem {
    Problem::overloaded(match full {
        Full::Server => "event streams",
        Full::Account => "event streams of this account",
        Full::Map => "streams of the map",
        Full::MapOfAccount => "streams of the map of this account",
    })
}

/// The number of the last event that the caller heard of. A browser that comes back sets the header, and repeats the
/// query that it began with.
fn last_event_id(headers: &HeaderMap, query: &Query) -> Answer<Option<i64>> {
    let header = headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default());
    let Some(text) = header.or_else(|| query.first(LAST_EVENT_ID_ARGUMENT)) else { return Ok(None) };
    let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.map(Some).ok_or_else(no_event_id)
}

/// An answer that goes on as long as there are texts to send.
pub(in crate::routes) fn endless(
    events: impl futures_util::Stream<Item = Bytes> + Send + 'static,
) -> Response {
    let mut response = Body::from_stream(events.map(Ok::<_, std::convert::Infallible>)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    // Its connection is no longer one of those that requests share.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response.extensions_mut().insert(Endless);
    response
}

/// A stream that is being sent.
struct Stream {
    app: App,
    caller: Caller,
    line: Line,
    listener: Listener,
    heartbeat: Interval,
    /// The last event that the client has; before the stream began, that it says it has.
    last: Option<i64>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was said yet.
    New,
    /// What rows tell comes first.
    Behind,
    /// What the line tells comes next.
    Live,
    /// Nothing follows.
    Over,
}

impl Stream {
    fn open(app: App, caller: Caller, line: Line, last: Option<i64>) -> Answer<Response> {
        let listener = app.streams.listen(caller.0.id, line.clone()).map_err(full)?;
        let period = app.streams.limits.heartbeat;
        let mut heartbeat = interval_at(Instant::now() + period, period);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stream = Self { app, caller, line, listener, heartbeat, last, stage: Stage::New };
        Ok(endless(stream.events()))
    }

    /// What is sent, one text after the other.
    fn events(self) -> impl futures_util::Stream<Item = Bytes> + Send + 'static {
        unfold(self, async |mut stream| Some((stream.next().await?, stream)))
    }

    /// What is sent next; None: the stream ends, and the client comes back, here or elsewhere.
    async fn next(&mut self) -> Option<Bytes> {
        let stop = self.app.streams.stop.clone();
        loop {
            match self.stage {
                Stage::Over => return None,
                Stage::New | Stage::Behind => {
                    let read = tokio::select! {
                        () = stop.cancelled() => return None,
                        read = self.read() => read,
                    };
                    // A database that does not answer now may when the client comes back.
                    let text = read.ok()?;
                    if !text.is_empty() {
                        return Some(text);
                    }
                }
                Stage::Live => tokio::select! {
                    () = stop.cancelled() => return None,
                    _ = self.heartbeat.tick() => return self.caller.stands(&self.app).then_some(HEARTBEAT),
                    message = self.listener.next() => match message {
                        None => self.stage = Stage::Behind,
                        Some(message) => {
                            if let Some(text) = self.hear(message) {
                                return Some(text);
                            }
                        }
                    }
                },
            }
        }
    }

    /// What rows tell: where the stream begins, and then what is after that.
    async fn read(&mut self) -> Result<Bytes> {
        let store = self.app.registry.upkeep();
        let _turn = self.app.streams.turn().await;
        if self.stage == Stage::New {
            // What was never given is what a restored database has forgotten.
            let now = store.numbering().await?.last;
            let last = self.last.map_or(now, |last| last.min(now));
            (self.last, self.stage) = (Some(last), Stage::Behind);
            return Ok(format!("retry: {RETRY_MS}\nid: {last}\n\n").into());
        }
        let of = match &self.line {
            Line::All => EventsOf::All,
            Line::Account(id) => EventsOf::Account(*id),
            Line::Hail(id, _) => EventsOf::Hail(id),
            // No row tells of the map.
            Line::Map => {
                self.stage = Stage::Over;
                return Ok(Bytes::new());
            }
        };
        let events = store.events_after(of, self.last.unwrap_or(0), EVENTS_A_PAGE).await?;
        let Some(last) = events.last() else {
            self.stage = Stage::Live;
            return Ok(Bytes::new());
        };
        (self.last, self.stage) = (Some(last.event_id), self.after(last.is_end(), Stage::Behind));
        let mut text = Vec::new();
        for event in &events {
            // A hail of long ago is shown no longer.
            if let Ok(eyes) = eyes(&self.app, &self.caller, &event.hail) {
                text.extend_from_slice(&event_text(event.event_id, &HailEvent::new(&self.app, event, eyes)));
                self.app.streams.events_sent.add(1);
            }
        }
        Ok(text.into())
    }

    /// What of a message is to be sent: what is not known from rows.
    fn hear(&mut self, message: Message) -> Option<Bytes> {
        match message {
            Message::Positions { count, text } => {
                self.app.streams.positions_sent.add(count);
                Some(text)
            }
            Message::Event { id, is_end, text } => {
                if self.last.is_some_and(|last| id <= last) {
                    return None;
                }
                (self.last, self.stage) = (Some(id), self.after(is_end, Stage::Live));
                self.app.streams.events_sent.add(1);
                Some(text)
            }
        }
    }

    /// The end of a hail is the end of its stream.
    fn after(&self, is_end: bool, otherwise: Stage) -> Stage {
        if is_end && matches!(self.line, Line::Hail(..)) { Stage::Over } else { otherwise }
    }
}
