//! `/openapi.json` and `/swagger.json`: this interface, described.

use std::sync::Arc;

use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::openapi::routes::Registered;
use crate::openapi::{Chapter, Operation, document, older};

const JSON: &str = "application/json";

/// The reference in every form it is served in, made once.
#[derive(Debug)]
pub struct Reference {
    openapi: String,
    swagger: String,
}

impl Reference {
    /// The reference of these operations.
    pub fn of(operations: &[Registered]) -> Self {
        let document = document::of(operations);
        Self { openapi: document.to_string(), swagger: older::of(&document).to_string() }
    }
}

/// The interface as OpenAPI 3.1.
pub async fn openapi(Extension(reference): Extension<Arc<Reference>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, JSON)], reference.openapi.clone())
}

/// `GET /openapi.json` in the reference.
pub fn describe_openapi() -> Operation {
    Operation::new(Chapter::Service, "This reference as OpenAPI 3.1", "For tools; people read `/doc`.")
        .content(200, "The document.", JSON, document_content("3.1.0"))
}

/// The interface as OpenAPI 3.0, under the path at which the registry before this one served its own.
pub async fn swagger(Extension(reference): Extension<Arc<Reference>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, JSON)], reference.swagger.clone())
}

/// `GET /swagger.json` in the reference.
pub fn describe_swagger() -> Operation {
    let why = "The same reference for tools that do not read OpenAPI 3.1 yet.";
    Operation::new(Chapter::Service, "This reference as OpenAPI 3.0", why).content(
        200,
        "The document.",
        JSON,
        document_content("3.0.3"),
    )
}

fn document_content(version: &str) -> Value {
    json!({"schema": {"type": "object", "required": ["openapi", "paths"]},
           "example": {"openapi": version, "paths": {}}})
}
