//! The public API as a partner asks it: the whole router of this process without a socket, with the key of whoever is
//! logged in, so that rights, limits, rates and errors are a partner's.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::{Builder, Parts};
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::exchange::Exchange;
use crate::app::App;
use crate::console::refusal::Refusal;
use crate::console::session::Session;
use crate::error::{Answer, Problem};
use crate::limits::{self, SIMULATED_ANSWER_MAX_BYTES};
use crate::router::{self, HttpService};

/// What a stream is resumed after.
const LAST_EVENT_ID: &str = "Last-Event-ID";

/// What answers in this process, made where somebody asks first.
#[derive(Debug, Default)]
pub(in crate::console) struct Within(OnceLock<HttpService>);

/// The way there, from where a request of a browser came.
#[derive(Clone, Debug)]
pub(in crate::console) struct Api {
    service: HttpService,
    from: Option<ConnectInfo<SocketAddr>>,
}

impl FromRequestParts<App> for Api {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let within: &Arc<Within> = parts.extensions.get().ok_or_else(Problem::internal)?;
        let service = within.0.get_or_init(|| router::http(app.clone(), limits::Http::default()));
        Ok(Self { service: service.clone(), from: parts.extensions.get().copied() })
    }
}

impl Api {
    /// As the account that a session acts for: by the key of whoever logged in, with `X-Logas` for another.
    pub(super) fn of(self, session: &Session) -> Partner {
        let log_as = session.acts_for_another().then(|| session.caller.0.email.clone());
        Partner { api: self, key: session.own.api_key().to_owned(), log_as }
    }
}

/// Somebody who asks the API.
pub(super) struct Partner {
    api: Api,
    key: String,
    log_as: Option<String>,
}

impl Partner {
    /// What is at a path, for these arguments.
    pub(super) async fn get(&self, path: &str, arguments: &[(&str, &str)]) -> Answer<Exchange> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(arguments).finish();
        let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        self.exchange(Method::GET, path, None).await
    }

    /// Sends an element.
    pub(super) async fn send(&self, method: Method, path: &str, element: Value) -> Answer<Exchange> {
        self.exchange(method, path.to_owned(), Some(json!({"data": [element]}))).await
    }

    /// What happens to the account's hails, from the event on that the browser heard of last.
    pub(super) async fn events(&self, browser: &HeaderMap) -> Answer<Response> {
        let mut request = self.request(Method::GET, "/events");
        if let Some(last) = browser.get(LAST_EVENT_ID) {
            request = request.header(LAST_EVENT_ID, last);
        }
        let response = self.answer(request, Body::empty()).await?;
        if !response.status().is_success() {
            return Err(Problem::new(response.status(), Value::Null));
        }
        Ok(response)
    }

    async fn exchange(&self, method: Method, path: String, body: Option<Value>) -> Answer<Exchange> {
        let mut request = self.request(method.clone(), &path);
        let mut sent = Body::empty();
        if let Some(body) = &body {
            request = request.header(header::CONTENT_TYPE, "application/json");
            sent = Body::from(body.to_string());
        }
        let response = self.answer(request, sent).await?;
        let status = response.status();
        let read = axum::body::to_bytes(response.into_body(), SIMULATED_ANSWER_MAX_BYTES).await;
        let bytes = read.map_err(|error| Problem::internal().because(&error))?;
        // Of positions nothing is said.
        let answer = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Exchange { method, path, body, status, answer })
    }

    fn request(&self, method: Method, path: &str) -> Builder {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("X-Api-Key", &self.key).header("X-Version", "2");
        if let Some(email) = &self.log_as {
            request = request.header("X-Logas", email);
        }
        request
    }

    async fn answer(&self, request: Builder, body: Body) -> Answer<Response> {
        let mut request = request.body(body).map_err(|error| Problem::internal().because(&error))?;
        if let Some(from) = self.api.from {
            request.extensions_mut().insert(from);
        }
        let answered = self.api.service.clone().oneshot(request).await;
        answered.map_err(|error| Problem::internal().because(&error))
    }
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_leads_nowhere_else() {
        assert_eq!(segment("yCnSfFy"), "yCnSfFy");
        assert_eq!(segment("a b/../c?d"), "a%20b%2F..%2Fc%3Fd");
    }
}
