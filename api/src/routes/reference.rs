//! `/`, `/doc`, `/openapi.json` and `/swagger.json`: this interface, described for people and for tools.

use std::sync::Arc;

use axum::Extension;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::html;
use serde_json::{Value, json};

use crate::openapi::routes::Registered;
use crate::openapi::{Chapter, Operation, document, older, page};

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// The reference in every form it is served in, made once.
#[derive(Debug)]
pub struct Reference {
    openapi: String,
    swagger: String,
    page: String,
    home: String,
    policy: String,
}

impl Reference {
    /// The reference of these operations.
    pub fn of(operations: &[Registered]) -> Self {
        let document = document::of(operations);
        Self {
            openapi: document.to_string(),
            swagger: older::of(&document).to_string(),
            page: page::reference(&document),
            home: home(),
            policy: page::security_policy(),
        }
    }

    fn page(&self, page: &str) -> Response {
        let headers = [(header::CONTENT_TYPE, HTML), (header::CONTENT_SECURITY_POLICY, self.policy.as_str())];
        (headers, page.to_owned()).into_response()
    }
}

/// The way in, for whoever opens the server's address in a browser.
pub async fn root(Extension(reference): Extension<Arc<Reference>>) -> Response {
    reference.page(&reference.home)
}

/// `GET /` in the reference.
pub fn describe_root() -> Operation {
    Operation::new(Chapter::Service, "What this is, in French", "Links for whoever opens it in a browser.")
        .content(200, "The page.", "text/html", json!({"schema": {"type": "string"}}))
}

fn home() -> String {
    let content = html! {
        main {
            h1 { "Registre des taxis disponibles" }
            p {
                "Les opérateurs y transmettent la position de leurs taxis ; les applications de recherche y trouvent \
                 ceux qui sont libres autour d’un client."
            }
            ul {
                li { a href="/doc/guide" { "Guide des partenaires" } }
                li { a href="/doc" { "Documentation de l’API" } " (en anglais), " a href="/openapi.json" { "OpenAPI" } }
                li { a href="/health/ready" { "État du service" } }
            }
            p { "maraude " (env!("CARGO_PKG_VERSION")) ", logiciel libre (MIT ou Apache 2.0)." }
        }
    };
    page::page("fr", "Registre des taxis disponibles", &content)
}

/// The reference for people.
pub async fn doc(Extension(reference): Extension<Arc<Reference>>) -> Response {
    reference.page(&reference.page)
}

/// `GET /doc` in the reference.
pub fn describe_doc() -> Operation {
    Operation::new(
        Chapter::Service,
        "This reference for people",
        "One page, without scripts and from here alone.",
    )
    .content(200, "The page.", "text/html", json!({"schema": {"type": "string"}}))
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
