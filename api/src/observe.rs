//! What is seen of every request: its number, its span, its duration, and the log line where it failed.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use tracing::field::Empty;
use uuid::Uuid;

use crate::app::Meters;

/// The header in which a client may name its request, and finds the name again.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest name that is taken from a client, in bytes.
const REQUEST_ID_MAX_BYTES: usize = 64;

/// That a request failed, and why, as far as that is known: what the client is not shown. In the extensions of a
/// response; one of 5xx without it is no failure, as when a server says that it is not ready.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) Option<Arc<str>>);

/// The route that a request takes, once it is known.
#[derive(Clone, Debug, Default)]
struct Route(Arc<OnceLock<MatchedPath>>);

/// Numbers, times and counts a request; logs it where it failed. The outermost of all layers.
pub(crate) async fn observe(mut request: Request, next: Next, meters: Arc<Meters>) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let (method, route) = (request.method().clone(), Route::default());
    request.extensions_mut().insert(route.clone());
    let request_id = id.to_str().unwrap_or_default();
    let span = tracing::debug_span!("request", request_id, route = Empty, status = Empty);
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, route) = (response.status(), route.0.get().map(MatchedPath::as_str));
    span.record("route", route).record("status", status.as_u16());
    meters.requests.record(route, &method, status, began.elapsed());
    if let Some(Cause(cause)) = response.extensions().get() {
        let (cause, route, status) = (cause.as_deref(), route.unwrap_or_default(), status.as_u16());
        tracing::error!(request_id, %method, route, status, cause, "a request failed");
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Says which route was found. On each route, where it is known.
pub(crate) async fn note_route(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let (Some(route), Some(path)) = (extensions.get::<Route>(), extensions.get::<MatchedPath>()) {
        // Set once: a request takes one route.
        let _ = route.0.set(path.clone());
    }
    next.run(request).await
}

/// The client's name for its request where it is short and plain; else one of ours.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_sane = |id: &&HeaderValue| {
        (1..=REQUEST_ID_MAX_BYTES).contains(&id.len()) && id.as_bytes().iter().all(is_plain)
    };
    if let Some(id) = headers.get(REQUEST_ID).filter(is_sane) {
        return id.clone();
    }
    let id = Uuid::new_v4().simple().to_string();
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(given: &[u8]) -> HeaderValue {
        let value = HeaderValue::from_bytes(given).unwrap();
        request_id(&HeaderMap::from_iter([(REQUEST_ID, value)]))
    }

    #[test]
    fn a_clients_name_is_kept_where_it_is_short_and_plain() {
        assert_eq!(id_of(b"Trace-1_a.b"), "Trace-1_a.b");
        assert_eq!(id_of(&[b'x'; 64]).len(), 64);
        for odd in [&b""[..], b"a b", b"a\"b", b"caf\xc3\xa9", b"a=b", &[b'x'; 65]] {
            let id = id_of(odd);
            assert!(id != odd && id.len() == 32, "{odd:?} {id:?}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
