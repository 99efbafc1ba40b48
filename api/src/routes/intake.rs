//! `GET /operators/me/positions`: what came of the datagrams sent with the caller's key.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::naive_timestamp;
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope;
use crate::role::Role;
use ingest::gate::Refusal;

/// Counts since this process started, whoever sent with the key: accepted, and refused by reason. Beside them what the
/// kernel dropped before it was read, of all senders, where it says so.
pub async fn read(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    caller.require(&[Role::Admin, Role::Operateur])?;
    let operator = caller.operator();
    let port = app.intake.udp_port;
    let dropped = tokio::task::spawn_blocking(move || ingest::udp::dropped_by_kernel(port)).await;
    let refused = app.refusals.refused_of(operator);
    let overloaded = refused.iter().find(|(reason, _)| *reason == Refusal::Overloaded);
    // What found the log full had passed every check before.
    let accepted =
        app.refusals.accepted_of(operator).saturating_sub(overloaded.map_or(0, |(_, count)| *count));
    let refused: Map<_, _> =
        refused.iter().map(|(reason, count)| (reason.name().to_owned(), json!(count))).collect();
    Ok(Json(envelope::answer(&json!({
        "operator": caller.0.email, "since": naive_timestamp(app.intake.started_at.0),
        "accepted": accepted, "refused": refused, "dropped_by_kernel": dropped.ok().and_then(Result::ok),
    }))))
}
