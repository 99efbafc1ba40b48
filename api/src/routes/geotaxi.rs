//! `POST /geotaxi/`: up to 50 positions of the caller's taxis, all or none, acknowledged when synced in the log.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use ingest::position::{LatLon, MAX_REPORTABLE_LAT, Position, ReportedStatus, SourceKey, Transport};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::{Field, Form, envelope, kind, merge, messages};
use crate::role::Role;
use crate::router::Payload;

/// How many positions a request may carry.
pub const POSITIONS_MAX: usize = 50;
/// How long the log may take to sync before the client is told that the outcome is unknown.
const SYNC_WITHIN: Duration = Duration::from_secs(10);

/// Takes positions: 200 without a body once all of them are safe.
pub async fn create(State(app): State<App>, caller: Caller, Payload(body): Payload) -> Answer<Response> {
    caller.require(&[Role::Admin, Role::Operateur])?;
    let given = envelope::one(&body, read)?;
    let sources = find_sources(&app, &caller, &given)?;
    let received_at = app.clock.now();
    let positions: Vec<_> = given
        .iter()
        .zip(sources)
        .map(|(given, source)| Position {
            source,
            at: given.at,
            received_at,
            device_at: None,
            status: ReportedStatus::Unsaid,
            transport: Transport::Http,
        })
        .collect();
    if !positions.is_empty() {
        let count = positions.len() as u64;
        append(&app, positions).await?;
        app.meters.http_positions.add(count);
    }
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], "").into_response())
}

struct Given {
    taxi_id: String,
    at: LatLon,
}

fn read(element: &Value) -> Field<Vec<Given>> {
    let mut form = Form::begin(element)?;
    let positions = form.required("positions", read_positions);
    form.finish(positions)
}

fn read_positions(value: &Value) -> Field<Vec<Given>> {
    let Value::Array(elements) = value else {
        return Err(messages("Invalid type."));
    };
    let mut positions = Vec::with_capacity(elements.len());
    let mut errors = Map::new();
    for (i, element) in elements.iter().enumerate() {
        match read_position(element) {
            Ok(position) => positions.push(position),
            Err(error) => {
                errors.insert(i.to_string(), error);
            }
        }
    }
    let too_many = (elements.len() > POSITIONS_MAX).then(|| messages("Up to 50 positions are accepted"));
    match (errors.is_empty(), too_many) {
        (true, None) => Ok(positions),
        (true, Some(too_many)) => Err(too_many),
        (false, None) => Err(Value::Object(errors)),
        (false, Some(too_many)) => Err(merge(Value::Object(errors), too_many)),
    }
}

fn read_position(element: &Value) -> Field<Given> {
    let mut form = Form::begin(element)?;
    let lon = form.required("lon", kind::float_within(-180.0..=180.0));
    let lat = form.required("lat", kind::float_within(-MAX_REPORTABLE_LAT..=MAX_REPORTABLE_LAT));
    let taxi_id = form.required("taxi_id", kind::string);
    // The ranges were checked just now, with the messages of the contract.
    let given = (|| Some(Given { at: LatLon::reportable(lat?, lon?).ok()?, taxi_id: taxi_id? }))();
    form.finish(given)
}

/// The sources of positions, or where there are none.
fn find_sources(app: &App, caller: &Caller, given: &[Given]) -> Answer<Vec<SourceKey>> {
    let found: Vec<_> = given
        .iter()
        .map(|position| app.registry.directory().source(&position.taxi_id, caller.operator()))
        .collect();
    let unknown: Map<_, _> = found
        .iter()
        .enumerate()
        .filter(|(_, source)| source.is_none())
        .map(|(i, _)| (i.to_string(), json!({"taxi_id": ["Identifiant de taxi inconnu"]})))
        .collect();
    if unknown.is_empty() {
        Ok(found.into_iter().flatten().collect())
    } else {
        Err(Problem::data(StatusCode::BAD_REQUEST, &json!({"positions": unknown})))
    }
}

async fn append(app: &App, positions: Vec<Position>) -> Answer<()> {
    let (done, synced) = oneshot::channel();
    let acknowledge = Box::new(move |outcome| {
        // A client that hung up is not there to be told.
        let _ = done.send(outcome);
    });
    if let Err(error) = app.log.append_acknowledged(positions, acknowledge) {
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
