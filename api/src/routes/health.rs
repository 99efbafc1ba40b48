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
    /// Whether the map of positions is up to date; absent where the process has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<&'static str>,
    /// Whether the log is archived; absent where the process does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<&'static str>,
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
    let answer = ReadyAnswer::new(app.parts());
    let status = if answer.status == READY { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(answer))
}

/// `GET /health/ready` in the reference.
pub fn describe_ready() -> Operation {
    Operation::new(
        Chapter::Service,
        "Whether every part is ready",
        "For whoever sends requests to those that are. Without the database searches and positions go on.",
    )
    .bare(200, "Every part is.", &ReadyAnswer::new(PARTS.map(|part| (part, true))))
    .bare(503, "A part is not.", &ReadyAnswer::new(PARTS.map(|part| (part, part != "map"))))
}

const PARTS: [&str; 4] = ["map", "archive", "log", "database"];
const READY: &str = "ready";
const NOT_READY: &str = "not ready";

impl ReadyAnswer {
    fn new(parts: impl IntoIterator<Item = (&'static str, bool)>) -> Self {
        let word = |is_ready| if is_ready { READY } else { NOT_READY };
        let mut answer = Self { status: READY, map: None, archive: None, log: READY, database: READY };
        for (part, is_ready) in parts {
            match part {
                "map" => answer.map = Some(word(is_ready)),
                "archive" => answer.archive = Some(word(is_ready)),
                "log" => answer.log = word(is_ready),
                _ => answer.database = word(is_ready),
            }
            if !is_ready {
                answer.status = NOT_READY;
            }
        }
        answer
    }
}
