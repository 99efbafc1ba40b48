//! `POST /geotaxi/`: up to 50 positions of the caller's taxis, all or none, acknowledged when synced in the log.

mod refused;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use ingest::directory::NoSource;
use ingest::position::{LatLon, MAX_REPORTABLE_LAT, Motion, Position, ReportedStatus, SourceKey, Transport};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use self::refused::Sender;
use crate::app::App;
use crate::auth::{Caller, Peer};
use crate::error::{Answer, Problem};
use crate::form::kind::{FloatWithin, Kind, Object, Text};
use crate::form::{Field, Form, envelope, merge, messages};
use crate::limits::{POSITIONS_MAX, SYNC_WITHIN};
use crate::openapi::{Chapter, Operation};
use crate::role::REGISTRARS;
use crate::router::Payload;

/// Takes positions: 200 without a body once all of them are safe. What is refused is noted for its operator.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Peer(from): Peer,
    Payload(body): Payload,
) -> Answer<Response> {
    caller.require(REGISTRARS)?;
    let received_at = app.clock.now();
    let sender = Sender { caller: &caller, from, at: received_at };
    let given = envelope::one(&body, Object(read)).inspect_err(|_| sender.note_body(&app.refusals, &body))?;
    let found = find_sources(&app, &caller, &given).await;
    sender.note_sources(&app.refusals, &body, found.iter().map(|source| source.err()));
    let sources = all_sources(&found)?;
    let positions: Vec<_> = given
        .iter()
        .zip(sources)
        .map(|(given, source)| Position {
            source,
            at: given.at,
            received_at,
            device_at: None,
            status: ReportedStatus::Unsaid,
            motion: Motion::default(),
            transport: Transport::Http,
        })
        .collect();
    if !positions.is_empty() {
        let count = positions.len() as u64;
        append(&app, positions).await?;
        app.meters.http_positions.add(count);
    }
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, NOTHING)], "").into_response())
}

/// `POST /geotaxi` in the reference.
pub fn describe_create() -> Operation {
    let about = "All positions or none. Answered once they are safe on disk: no acknowledged position is lost. A \
                 position counts for 120 seconds; devices that send many use UDP.";
    let position = json!({"taxi_id": "yCnSfFy", "lon": 2.3522, "lat": 48.8566});
    Operation::new(Chapter::Operators, "Tells where taxis are", about)
        .roles(REGISTRARS)
        .body(&Object(read), &json!({"positions": [position]}))
        .content(
            200,
            "All of them are safe; the body is empty.",
            "text/html",
            json!({"schema": {"maxLength": 0}}),
        )
        .refuses_with("A taxi is not the caller's.", &unknown_taxis(&Map::from_iter([unknown_taxi(0)])))
}

/// What the registry before this one said of an empty body.
const NOTHING: &str = "text/html; charset=utf-8";

struct Given {
    taxi_id: String,
    at: LatLon,
}

fn read(form: &mut Form<'_>) -> Option<Vec<Given>> {
    form.required("positions", Positions)
}

/// A list of positions, with the contract's messages on the whole of it.
struct Positions;

impl Kind for Positions {
    type Read = Vec<Given>;

    fn read(&self, value: &Value) -> Field<Vec<Given>> {
        let Value::Array(elements) = value else {
            return Err(messages("Invalid type."));
        };
        let mut positions = Vec::with_capacity(elements.len());
        let mut errors = Map::new();
        for (i, element) in elements.iter().enumerate() {
            match Object(read_position).read(element) {
                Ok(position) => positions.push(position),
                Err(error) => {
                    errors.insert(i.to_string(), error);
                }
            }
        }
        let too_many = || messages(&format!("Up to {POSITIONS_MAX} positions are accepted"));
        let too_many = (elements.len() > POSITIONS_MAX).then(too_many);
        match (errors.is_empty(), too_many) {
            (true, None) => Ok(positions),
            (true, Some(too_many)) => Err(too_many),
            (false, None) => Err(Value::Object(errors)),
            (false, Some(too_many)) => Err(merge(Value::Object(errors), too_many)),
        }
    }

    fn schema(&self) -> Value {
        json!({"type": "array", "maxItems": POSITIONS_MAX, "items": Object(read_position).schema()})
    }
}

fn read_position(form: &mut Form<'_>) -> Option<Given> {
    let lon = form.required("lon", FloatWithin(-180.0..=180.0).about("Longitude in degrees, WGS 84."));
    let lat = FloatWithin(-MAX_REPORTABLE_LAT..=MAX_REPORTABLE_LAT).about("Latitude in degrees, WGS 84.");
    let lat = form.required("lat", lat);
    let taxi_id = form.required("taxi_id", Text.about("The taxi's id, as its operator knows it."));
    // The ranges were checked just now, with the messages of the contract.
    Some(Given { at: LatLon::reportable(lat?, lon?).ok()?, taxi_id: taxi_id? })
}

/// The source of each position, or why there is none.
async fn find_sources(app: &App, caller: &Caller, given: &[Given]) -> Vec<Result<SourceKey, NoSource>> {
    let find = || -> Vec<_> {
        let taxis = given.iter().map(|position| &position.taxi_id);
        taxis.map(|taxi| app.registry.directory().find_source(taxi, caller.operator())).collect()
    };
    let found = find();
    let missing = given.iter().zip(&found).filter(|(_, source)| source.is_err());
    let missing: Vec<_> = missing.map(|(position, _)| position.taxi_id.as_str()).collect();
    if missing.is_empty() {
        return found;
    }
    app.registry.look_again(&missing).await;
    find()
}

/// The sources of positions, or where there are none.
fn all_sources(found: &[Result<SourceKey, NoSource>]) -> Answer<Vec<SourceKey>> {
    let unknown: Map<_, _> = found
        .iter()
        .enumerate()
        .filter(|(_, source)| source.is_err())
        .map(|(i, _)| unknown_taxi(i))
        .collect();
    if unknown.is_empty() {
        Ok(found.iter().flatten().copied().collect())
    } else {
        Err(unknown_taxis(&unknown))
    }
}

fn unknown_taxi(at: usize) -> (String, Value) {
    (at.to_string(), json!({"taxi_id": ["Identifiant de taxi inconnu"]}))
}

fn unknown_taxis(unknown: &Map<String, Value>) -> Problem {
    Problem::data(StatusCode::BAD_REQUEST, &json!({"positions": unknown}))
}

async fn append(app: &App, positions: Vec<Position>) -> Answer<()> {
    let (done, synced) = oneshot::channel();
    let acknowledge = Box::new(move |outcome| {
        // A client that hung up is not there to be told.
        let _ = done.send(outcome);
    });
    let (operators, at): (Vec<_>, _) =
        (positions.iter().map(|position| position.source.operator).collect(), app.clock.now());
    if let Err(error) = app.log.append_acknowledged(positions, acknowledge) {
        app.refusals.count_overloaded(operators, Transport::Http, at);
        let message =
            "The log of positions takes nothing now; nothing of this request was taken. Please repeat it.";
        return Err(Problem::whole(StatusCode::SERVICE_UNAVAILABLE, message).because(&error));
    }
    match tokio::time::timeout(SYNC_WITHIN, synced).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(Problem::unavailable("log of positions").because(&error)),
        Ok(Err(_)) | Err(_) => Err(Problem::unavailable("log of positions").because(&"it did not answer")),
    }
}
