//! Errors at the HTTP edge: one type, one shape, `{"errors": {...}}`.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::limits::{HEAD_MAX_BYTES, HEADERS_MAX, URI_MAX_BYTES};
use crate::observe::Cause;
use crate::store::StoreError;

/// How long a client should wait before it repeats what was answered 503, in seconds.
const RETRY_AFTER_S: u64 = 1;

/// An error answer. Its tree has the shape of the request, with messages at the leaves.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    errors: Value,
    /// What is told beside the errors: what took effect all the same.
    data: Option<Value>,
    /// How long the client should wait before it repeats the request.
    retry_after_s: Option<u64>,
    /// What the client is not shown.
    cause: Option<Arc<str>>,
}

/// What handlers return.
pub type Answer<T> = Result<T, Problem>;

impl Problem {
    /// An answer with this tree of errors.
    pub fn new(status: StatusCode, errors: Value) -> Self {
        let retry_after_s = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_S);
        Self { status, errors, data: None, retry_after_s, cause: None }
    }

    /// Why: for the log, never for the client.
    pub fn because(self, cause: &dyn Display) -> Self {
        Self { cause: Some(cause.to_string().into()), ..self }
    }

    /// Tells beside the errors what took effect all the same, as an answer without errors would.
    pub fn beside(self, data: Value) -> Self {
        Self { data: Some(data), ..self }
    }

    /// What concerns the whole request.
    pub fn whole(status: StatusCode, message: &str) -> Self {
        Self::new(status, json!({"": [message]}))
    }

    /// What concerns the path.
    pub fn url(status: StatusCode, message: &str) -> Self {
        Self::new(status, json!({"url": [message]}))
    }

    /// What concerns the one element of `data`.
    pub fn data(status: StatusCode, errors: &Value) -> Self {
        Self::new(status, json!({"data": {"0": errors}}))
    }

    /// Wrong values: 400.
    pub fn invalid(errors: Value) -> Self {
        Self::new(StatusCode::BAD_REQUEST, errors)
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its tree of errors.
    pub fn errors(&self) -> &Value {
        &self.errors
    }

    /// A body that is no JSON.
    pub fn not_json() -> Self {
        Self::whole(StatusCode::BAD_REQUEST, "No data provided, or data is not valid JSON.")
    }

    /// No key.
    pub fn no_key() -> Self {
        Self::whole(StatusCode::UNAUTHORIZED, "Header X-Api-Key required.")
    }

    /// The key is good, the role is not.
    pub fn forbidden() -> Self {
        // Spelt as partners have always received it.
        Self::whole(StatusCode::FORBIDDEN, "You do not have enough permissions to access this ressource.")
    }

    /// No such path.
    pub fn unknown_path() -> Self {
        Self::url(StatusCode::NOT_FOUND, "API endpoint not found.")
    }

    /// What is registered, or is being registered by somebody else, stands against it.
    pub fn conflict() -> Self {
        Self::whole(StatusCode::CONFLICT, "This conflicts with what is registered.")
    }

    /// Our fault.
    pub fn internal() -> Self {
        Self::whole(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal server error. If the problem persists, please contact the technical team.",
        )
    }

    /// The head or the body of the request did not come within its time.
    pub fn slow_request(within: Duration) -> Self {
        let message = format!("The request was not read within {} seconds.", within.as_secs_f64());
        Self::whole(StatusCode::REQUEST_TIMEOUT, &message)
    }

    /// Too many or too long header fields.
    pub fn large_head() -> Self {
        let message = format!(
            "The header fields of a request may not be more than {HEADERS_MAX}, nor exceed {HEAD_MAX_BYTES} bytes."
        );
        Self::whole(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &message)
    }

    /// Too long an address.
    pub fn long_uri() -> Self {
        let message = format!("The address of a request may not exceed {URI_MAX_BYTES} bytes.");
        Self::url(StatusCode::URI_TOO_LONG, &message)
    }

    /// One too many of something at once: nothing was done.
    pub fn overloaded(what: &str) -> Self {
        let message = format!("The server has too many {what} now. Please repeat this request.");
        Self::whole(StatusCode::SERVICE_UNAVAILABLE, &message)
    }

    /// The client asked too often: it may again after so many seconds.
    pub fn too_many(message: &str, wait_s: u64) -> Self {
        Self { retry_after_s: Some(wait_s), ..Self::whole(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// A part that is needed does not answer: whether the request took effect is unknown, repeating it is harmless.
    pub fn unavailable(part: &str) -> Self {
        Self::whole(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!(
                "The {part} is not available; it is unknown whether this request took effect. Please repeat it."
            ),
        )
    }
}

impl Problem {
    /// The answer as it goes over a connection that is closed after it: where no handler can answer.
    pub(crate) fn whole_answer(&self) -> Vec<u8> {
        let body = json!({"errors": self.errors}).to_string();
        let retry = self.retry_after_s.map(|wait_s| format!("retry-after: {wait_s}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\
             access-control-allow-origin: *\r\n{retry}\r\n",
            self.status,
            body.len()
        );
        (head + &body).into_bytes()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({"errors": self.errors});
        if let Some(data) = self.data {
            body["data"] = data;
        }
        let mut response = (self.status, Json(body)).into_response();
        if let Some(wait_s) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
        }
        // A refusal for want of room has no cause: whoever sheds load must not write a line for each request.
        if self.cause.is_some() || self.status == StatusCode::INTERNAL_SERVER_ERROR {
            response.extensions_mut().insert(Cause(self.cause));
        }
        response
    }
}

impl From<StoreError> for Problem {
    /// What the client is not shown is logged with its request.
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Conflict(reason) => {
                tracing::info!(reason, "a change was refused by the database");
                Self::conflict()
            }
            StoreError::Unavailable(_) => Self::unavailable("database").because(&error),
            StoreError::Migration(_) | StoreError::Damaged { .. } => Self::internal().because(&error),
        }
    }
}
