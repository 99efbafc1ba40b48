//! `GET /live`: where taxis are in a window of the map, as Server-Sent Events: all of them at first, then what changed.
//!
//! A stream asks the map at beats of its own and tells what differs from what it told before. No writer knows of it, so
//! none can be held up by it, and what it holds does not grow while its client reads slowly: a client that kept it
//! waiting is told how many beats were left out, and begins anew. What streams see of a tile they share.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use engine::window::Window;
use futures_util::stream::unfold;
use ingest::position::{LatLon, MAX_REPORTABLE_LAT};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::hails::stream::{EVENT_STREAM, HEARTBEAT, endless, full};
use super::search::not_yet;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::kind::{Kind, float_text};
use crate::form::query::Query;
use crate::form::{Field, Form, messages};
use crate::hail::streams::{Full, Line, Listener};
use crate::limits::{LIVE_EVERY, LIVE_SIDE_MAX_E7};
use crate::openapi::{Chapter, Operation};
use crate::role::{REGISTRARS, Role};

use view::{Told, View};

pub(crate) mod frames;
mod view;

/// A taxi on the map, as one operator reports it.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct LiveTaxi<'a> {
    /// The taxi's id, as its operator knows it.
    taxi: &'a str,
    /// Email of the operator; null for an account that cannot be opened.
    operator: Option<String>,
    /// What the taxi does, as the registry knows it.
    status: &'static str,
    /// Latitude in degrees.
    lat: f64,
    /// Longitude in degrees.
    lon: f64,
    /// When this was received, in seconds since 1970.
    last_update: i64,
}

/// A taxi that is on this part of the map no longer.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct GoneTaxi<'a> {
    taxi: &'a str,
    operator: Option<String>,
}

/// Opens a stream of what is in a window.
pub async fn open(State(app): State<App>, caller: Caller, query: Query) -> Answer<Response> {
    caller.require(REGISTRARS)?;
    let window = query.read(read_window)?;
    if !app.readiness.caught_up.is_raised() {
        return Err(not_yet());
    }
    let listener = app.streams.listen(caller.0.id, Line::Map).map_err(full)?;
    let mut beat = interval(LIVE_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let operator = (!caller.0.has(Role::Admin)).then(|| caller.operator());
    let view = Arc::new(View::new(app.clone(), window, operator));
    let looks = view.clone();
    if !app.streams.look(move || looks.may_be_told()).await.ok_or_else(Problem::internal)? {
        return Err(too_many(app.streams.limits.live_taxis));
    }
    let now = Instant::now();
    let live = Live {
        view,
        caller,
        _listener: listener,
        beat,
        shown: None,
        told_at: now,
        waits_since: now,
        is_over: false,
    };
    Ok(endless(unfold(live, async |mut live| Some((live.next().await?, live)))))
}

/// `GET /live` in the reference.
pub fn describe_open() -> Operation {
    let about = "An administrator sees every taxi, an operator its own, whatever they do, as long as they were heard \
                 less than 120 seconds ago. First comes a `snapshot` of all, then, at most twice a second, `changes`: \
                 those that were heard again or changed their status, each in its last state, and those that are \
                 gone. A client that reads too slowly misses what is between: it is told so by `skipped`, and a new \
                 `snapshot` follows. Where there come to be too many taxis, `too_many` ends the stream.";
    Operation::new(Chapter::Operators, "Where taxis are in a window of the map, as it happens", about)
        .roles(REGISTRARS)
        .query(read_window, &json!({"bbox": "2.25,48.81,2.42,48.91"}))
        .content(
            200,
            "The events.",
            EVENT_STREAM,
            json!({"schema": {"type": "string"}, "example": example_text()}),
        )
        .refuses(400, "The window is none, or too large.", &json!({"bbox": [SIDES]}))
        .refuses_with("The map does not know everybody yet.", &not_yet())
        .refuses_with("The account has too many streams of the map.", &full(Full::MapOfAccount))
        .refuses_with("There are too many streams of the map.", &full(Full::Map))
}

const FOUR_NUMBERS: &str = "Must be four numbers: west,south,east,north, in degrees.";
const SIDES: &str = "Must not be wider or higher than 1 degree.";

fn too_many(most: usize) -> Problem {
    Problem::invalid(json!({"bbox": [format!("Holds more than {most} taxis; look at less of the map.")]}))
}

/// A window of the map.
pub(crate) fn read_window(form: &mut Form<'_>) -> Option<Window> {
    form.required(
        "bbox",
        Corners.about(
            "West, south, east and north of the window in degrees, WGS 84. Where west is \
                                         greater than east, it reaches over the antimeridian.",
        ),
    )
}

/// Two corners as four numbers.
#[derive(Clone, Copy, Debug)]
struct Corners;

impl Kind for Corners {
    type Read = Window;

    fn read(&self, value: &Value) -> Field<Window> {
        let numbers: Option<Vec<f64>> =
            value.as_str().unwrap_or_default().split(',').map(float_text).collect();
        let Some(&[west, south, east, north]) = numbers.as_deref() else {
            return Err(messages(FOUR_NUMBERS));
        };
        let corner = |lat, lon| LatLon::reportable(lat, lon);
        let (Ok(from), Ok(to)) = (corner(south, west), corner(north, east)) else {
            return Err(messages(&format!(
                "Longitudes are within 180 degrees, latitudes within {MAX_REPORTABLE_LAT} degrees."
            )));
        };
        let window = Window::new(from, to).ok_or_else(|| messages("South must not lie north of north."))?;
        let (height, width) = window.size_e7();
        if height.max(width) > LIVE_SIDE_MAX_E7 { Err(messages(SIDES)) } else { Ok(window) }
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "pattern": r"^-?\d+(\.\d+)?(,-?\d+(\.\d+)?){3}$"})
    }
}

/// A stream that is being sent.
struct Live {
    view: Arc<View>,
    caller: Caller,
    /// Its place among the streams.
    _listener: Listener,
    beat: Interval,
    /// What the client was told; none before the snapshot.
    shown: Option<Told>,
    /// When it was last told something.
    told_at: Instant,
    /// Since when the client was to take what it was told last.
    waits_since: Instant,
    is_over: bool,
}

impl Live {
    /// What is sent next; None: the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        let left_out = beats_within(self.waits_since.elapsed());
        let text = self.tell(left_out).await?;
        self.told_at = Instant::now();
        self.waits_since = self.told_at;
        Some(text)
    }

    async fn tell(&mut self, left_out: u32) -> Option<Bytes> {
        let streams = self.view.app.streams.clone();
        while !self.is_over {
            tokio::select! {
                () = streams.stop.cancelled() => return None,
                _ = self.beat.tick() => {}
            }
            if !self.caller.stands(&self.view.app) {
                return None;
            }
            let (view, before) = (self.view.clone(), self.shown.take());
            let Some((now, text)) = streams.look(move || view.tell(before, left_out)).await? else {
                self.is_over = true;
                return Some(event("too_many", &json!({"most": streams.limits.live_taxis})).into());
            };
            self.shown = Some(now);
            if let Some(text) = text {
                return Some(text.into());
            }
            if self.told_at.elapsed() >= streams.limits.heartbeat {
                return Some(HEARTBEAT);
            }
        }
        None
    }
}

/// How many beats were left out where a client took so long; one that is a little late misses none.
fn beats_within(took: Duration) -> u32 {
    let beats = took.as_millis() / LIVE_EVERY.as_millis();
    if beats < 2 { 0 } else { u32::try_from(beats).unwrap_or(u32::MAX) }
}

fn event(kind: &str, data: &Value) -> String {
    format!("event: {kind}\ndata: {data}\n\n")
}

/// A stream, as the reference shows it.
fn example_text() -> String {
    let taxi = LiveTaxi {
        taxi: "yCnSfFy",
        operator: Some("my-taxis".to_owned()),
        status: "free",
        lat: 48.8566,
        lon: 2.3522,
        last_update: 1_795_591_820,
    };
    let moved = LiveTaxi { lat: 48.857, last_update: 1_795_591_825, ..taxi.clone() };
    let gone = GoneTaxi { taxi: "yCnSfFy", operator: Some("my-taxis".to_owned()) };
    event("snapshot", &json!({"taxis": [taxi]}))
        + &event("changes", &json!({"moved": [moved], "gone": []}))
        + &event("changes", &json!({"moved": [], "gone": [gone]}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_or_says_what_is_wrong() {
        let read = |text: &str| Corners.read(&json!(text)).map(|window| window.corners());
        let (from, to) = read("2.25,48.81,2.42,48.91").unwrap();
        assert_eq!((from.lon(), from.lat(), to.lon(), to.lat()), (2.25, 48.81, 2.42, 48.91));
        assert!(read(" 179.5 , -17 , -179.75 , -16.5 ").is_ok(), "over the antimeridian");
        for (text, wrong) in [
            ("", FOUR_NUMBERS),
            ("1,2,3", FOUR_NUMBERS),
            ("1,2,3,4,5", FOUR_NUMBERS),
            ("a,2,3,4", FOUR_NUMBERS),
            ("2,48,3.1,49", SIDES),
            ("2,48,2.5,49.1", SIDES),
            ("3,48,2,48.5", SIDES),
            ("2,48.5,2.5,48", "South must not lie north of north."),
        ] {
            assert_eq!(read(text), Err(messages(wrong)), "{text}");
        }
        for beyond in ["181,48,181.5,48.5", "2,86,2.5,86.5", "nan,48,2.5,48.5", "2,-inf,2.5,48.5"] {
            assert!(read(beyond).is_err(), "{beyond}");
        }
    }

    #[test]
    fn who_is_a_little_late_misses_nothing() {
        assert_eq!(
            [0, 1, 999, 1_000, 10_400].map(|ms| beats_within(Duration::from_millis(ms))),
            [0, 0, 0, 2, 20]
        );
    }
}
