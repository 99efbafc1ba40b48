//! Whether the process lives, and whether it is ready, part by part.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::openapi::{Chapter, Operation};

/// Whether the process lives.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Live)]
pub struct LiveAnswer {
    /// `live`.
    pub status: &'static str,
}

/// Whether it is ready, part by part.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Ready)]
pub struct ReadyAnswer {
    /// Whether every part is: `ready` or `not ready`.
    pub status: &'static str,
    /// Whether the map of positions is up to date.
    pub map: &'static str,
    /// Whether the log takes positions.
    pub log: &'static str,
}

/// The process answers.
pub async fn live() -> Json<LiveAnswer> {
    Json(LiveAnswer { status: "live" })
}

/// `GET /health/live` in the reference.
pub fn describe_live() -> Operation {
    Operation::new(
        Chapter::Service,
        "Whether the process lives",
        "For whoever restarts it where it does not answer.",
    )
    .bare(200, "It does.", &LiveAnswer { status: "live" })
}

/// 200 once every part is ready; else 503, and which part is not.
pub async fn ready(State(app): State<App>) -> (StatusCode, Json<ReadyAnswer>) {
    let [(_, map), (_, log)] = app.parts();
    let status = if map && log { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyAnswer { status: word(map && log), map: word(map), log: word(log) }))
}

/// `GET /health/ready` in the reference.
pub fn describe_ready() -> Operation {
    let answer = |map, log| ReadyAnswer { status: word(map && log), map: word(map), log: word(log) };
    Operation::new(
        Chapter::Service,
        "Whether every part is ready",
        "For whoever sends requests to those that are.",
    )
    .bare(200, "Every part is.", &answer(true, true))
    .bare(503, "A part is not.", &answer(false, true))
}

fn word(ready: bool) -> &'static str {
    if ready { "ready" } else { "not ready" }
}
