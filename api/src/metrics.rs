//! The numbers of a running server, for Prometheus, on a listener of their own.
//!
//! Nothing is gathered until somebody asks: each part counts for itself, with counters that cost its threads one
//! relaxed addition, and a scrape reads them all.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use engine::follow::Follower;
use prometheus::TEXT_FORMAT;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;

mod families;
mod requests;
mod scrape;

pub use requests::Requests;

/// What is scraped.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) app: App,
    /// None: the process has no map.
    pub(crate) follower: Option<Arc<Follower>>,
}

/// Answers `GET /metrics` until `stop`.
pub(crate) async fn serve(listener: TcpListener, sources: Sources, stop: CancellationToken) {
    let routes = Router::new().route("/metrics", get(metrics)).with_state(sources);
    let served = axum::serve(listener, routes).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(error) = served.await {
        tracing::error!(%error, "the listener of metrics ended");
    }
}

async fn metrics(State(sources): State<Sources>) -> Response {
    // Walks the cells of the map and reads a table of the kernel's: not on a thread that others wait for.
    let text = tokio::task::spawn_blocking(move || scrape::gather(&sources).text()).await;
    match text.map_err(|error| error.to_string()).and_then(|text| text.map_err(|error| error.to_string())) {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(error, "the metrics cannot be told");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
