//! Whether the process lives, and whether it is ready, part by part.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;

/// The process answers.
pub async fn live() -> Json<Value> {
    Json(json!({"status": "live"}))
}

/// 200 once every part is ready; else 503, and which part is not.
pub async fn ready(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let [(_, map), (_, log)] = app.parts();
    let status = if map && log { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |ready| if ready { "ready" } else { "not ready" };
    (status, Json(json!({"status": word(map && log), "map": word(map), "log": word(log)})))
}
