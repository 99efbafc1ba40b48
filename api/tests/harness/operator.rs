//! Somebody else's server, which answers as it is told: an operator's that takes hails, or a geocoder.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::wait::SOON;

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// With a status and a body.
    With(u16, &'static str),
    /// Never.
    Never,
    /// With a status and a body, as soon as somebody says which.
    When(watch::Receiver<Option<(u16, &'static str)>>),
}

/// What it was sent.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    /// The hail.
    pub(crate) hail: Value,
}

/// The server; it ends when it is dropped.
pub(crate) struct Operator {
    pub(crate) url: String,
    reply: Arc<Mutex<Reply>>,
    received: mpsc::UnboundedReceiver<Received>,
    serving: JoinHandle<()>,
}

/// What takes a hail, and nothing else.
pub(crate) const TAKEN: Reply = Reply::With(200, r#"{"data": [{}]}"#);

impl Operator {
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hail", listener.local_addr().unwrap());
        let reply = Arc::new(Mutex::new(reply));
        let (sender, received) = mpsc::unbounded_channel();
        let routes = Router::new().fallback(answer).with_state((reply.clone(), sender));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, reply, received, serving }
    }

    /// Answers so from now on.
    pub(crate) fn reply(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// The next hail that it is sent; panics where none comes soon.
    pub(crate) async fn next(&mut self) -> Received {
        timeout(SOON, self.received.recv()).await.unwrap().unwrap()
    }

    /// One that it was sent already and nobody has looked at.
    pub(crate) fn look(&mut self) -> Option<Received> {
        self.received.try_recv().ok()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    State((reply, sender)): State<(Arc<Mutex<Reply>>, mpsc::UnboundedSender<Received>)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let hail = body.pointer("/data/0").cloned().unwrap_or_default();
    // The test may have seen enough.
    let _ = sender.send(Received { headers, bytes, hail });
    let reply = reply.lock().unwrap().clone();
    match reply {
        Reply::With(status, body) => with(status, body),
        Reply::Never => std::future::pending().await,
        Reply::When(mut told) => {
            // Nobody says anything any more: the test is over.
            let told = told.wait_for(Option::is_some).await.ok().and_then(|told| *told);
            told.map_or(StatusCode::GONE.into_response(), |(status, body)| with(status, body))
        }
    }
}

fn with(status: u16, body: &'static str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
