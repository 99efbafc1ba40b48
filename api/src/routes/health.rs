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
    /// Whether the log writes positions: not while its brokers are away, if it has some.
    pub log: &'static str,
    /// Whether the database answers, and its changes are followed.
    pub database: &'static str,
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

/// 200 once every part is ready; else 503, and which part is not. Without the database searches and positions go on,
/// from memory and to the log: whoever asks decides by the part.
pub async fn ready(State(app): State<App>) -> (StatusCode, Json<ReadyAnswer>) {
    let parts = app.parts().map(|(_, is_ready)| is_ready);
    let is_ready = parts.iter().all(|part| *part);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyAnswer::new(parts)))
}

/// `GET /health/ready` in the reference.
pub fn describe_ready() -> Operation {
    Operation::new(
        Chapter::Service,
        "Whether every part is ready",
        "For whoever sends requests to those that are. Without the database searches and positions go on.",
    )
    .bare(200, "Every part is.", &ReadyAnswer::new([true; 3]))
    .bare(503, "A part is not.", &ReadyAnswer::new([false, true, true]))
}

impl ReadyAnswer {
    fn new([map, log, database]: [bool; 3]) -> Self {
        let word = |is_ready| if is_ready { "ready" } else { "not ready" };
        Self {
            status: word(map && log && database),
            map: word(map),
            log: word(log),
            database: word(database),
        }
    }
}
