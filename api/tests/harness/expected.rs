//! What a model expects to be answered, in the contract's shapes.

use serde_json::{Map, Value, json};

/// The status and the body.
pub(crate) type Expected = (u16, Value);

/// Whoever lacks a role is told so, whatever it asks for.
pub(crate) fn no_permission() -> Expected {
    whole(403, "You do not have enough permissions to access this ressource.")
}

/// An error of the whole request.
pub(crate) fn whole(status: u16, message: &str) -> Expected {
    (status, json!({"errors": {"": [message]}}))
}

/// An error of what the path names.
pub(crate) fn path_error(status: u16, message: &str) -> Expected {
    (status, json!({"errors": {"url": [message]}}))
}

/// Errors of the one element of the body.
pub(crate) fn element_error(status: u16, errors: &Value) -> Expected {
    (status, json!({"errors": {"data": {"0": errors}}}))
}

/// Errors of fields of it.
pub(crate) fn invalid(wrong: &Map<String, Value>) -> Expected {
    element_error(400, &json!(wrong))
}

/// A body of one element.
pub(crate) fn one(element: &Value) -> Value {
    json!({"data": [element]})
}
