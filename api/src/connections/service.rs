//! The routes as hyper calls them, telling the connection's pace where each request stands.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use tower::ServiceExt as _;

use super::pace::{Pace, Stage};
use crate::router::HttpService;

/// In the extensions of an answer that goes on until one of both sides ends it, and its connection with it. Whoever
/// gives it bounds how many there are: the connection is no longer counted among those that requests share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endless;

/// The routes, for one connection.
#[derive(Clone)]
pub(super) struct PacedService {
    routes: HttpService,
    pace: Arc<Pace>,
    peer: SocketAddr,
}

impl PacedService {
    pub(super) fn new(routes: HttpService, pace: Arc<Pace>, peer: SocketAddr) -> Self {
        Self { routes, pace, peer }
    }
}

impl hyper::service::Service<Request<Incoming>> for PacedService {
    type Response = Response<PacedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let Self { routes, pace, peer } = self.clone();
        request.extensions_mut().insert(ConnectInfo(peer));
        pace.enter(Stage::Serving);
        Box::pin(async move {
            let response = routes.oneshot(request.map(Body::new)).await?;
            let is_endless = response.extensions().get::<Endless>().is_some();
            pace.enter(if is_endless { Stage::Streaming } else { Stage::Answering });
            Ok(response.map(|body| PacedBody { body, pace }))
        })
    }
}

/// The body of an answer; hyper drops it when it needs no more of it.
#[derive(Debug)]
pub(super) struct PacedBody {
    body: Body,
    pace: Arc<Pace>,
}

impl Drop for PacedBody {
    fn drop(&mut self) {
        self.pace.enter(Stage::Flushing);
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
