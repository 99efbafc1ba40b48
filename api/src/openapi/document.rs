//! One document of all operations: OpenAPI 3.1.

use serde_json::{Map, Value, json};

use super::routes::Registered;
use super::{Callers, Chapter, Operation, RATE_LIMIT, retry_after};
use crate::error::Problem;
use crate::limits::REQUEST_READ_WITHIN;
use crate::rates::too_many_requests;
use crate::router::too_large;
use crate::routes::webhooks::describe_event;

/// What holds for every operation.
const ABOUT: &str = "\
The registry of available taxis: operators tell where their taxis are, search apps ask which are free around a customer.

**Requests** carry one element, `{\"data\": [{...}]}`, as `application/json`. Numbers written as texts are read, too. \
A path answers with and without a slash at its end.

**Answers** carry elements likewise, and every field of an element: null where there is nothing to say. Times are in \
UTC.

**Errors** are a tree in the shape of the request with lists of messages at its leaves; `\"\"` is the whole request, \
`\"url\"` its path: `{\"errors\": {\"data\": {\"0\": {\"insee\": [\"Missing data for required field.\"]}}}}`. Every \
wrong field is told at once. A wrong method is a 405 that names the right ones.

**Who calls** is told by the header `X-Api-Key`. `X-Logas` with the email of another account acts for it: \
administrators for any, a manager for those it manages, everybody for the account of integration tests.

**How often** is up to everybody, unless whoever runs the registry sets limits by role. Then each answer to a limited \
account's key tells what is left in `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`, and a request too \
many is a 429 with `Retry-After`. Whoever acts for another account uses up what its own key may.";

/// The document, OpenAPI 3.1.
pub fn of(operations: &[Registered]) -> Value {
    let mut paths = Map::new();
    let mut schemas = errors();
    for Registered { method, path, operation } in operations {
        schemas.extend(operation.schemas.clone());
        let mut rendered = render(operation);
        rendered["operationId"] = json!(id(method, path));
        paths.entry((*path).to_owned()).or_insert_with(|| json!({}))[*method] = rendered;
    }
    let told = describe_event();
    schemas.extend(told.schemas.clone());
    let tag = |chapter: &Chapter| json!({"name": chapter.name(), "description": chapter.about()});
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "maraude", "version": env!("CARGO_PKG_VERSION"), "summary": "The registry of available taxis",
            "description": ABOUT, "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": Chapter::ALL.iter().map(tag).collect::<Vec<_>>(),
        "paths": paths,
        "webhooks": {"hail": {"post": sent(&told)}},
        "components": {
            "schemas": schemas,
            "responses": shared(),
            "headers": RATE_LIMIT.map(|(name, words)| {
                (name.to_owned(), json!({"description": words, "schema": {"type": "integer", "minimum": 0}}))
            }).into_iter().collect::<Map<_, _>>(),
            "parameters": {"LogAs": {
                "name": "X-Logas", "in": "header", "required": false, "schema": {"type": "string"},
                "description": "The email of the account to act for.",
            }},
            "securitySchemes": {"ApiKey": {
                "type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The key of an account.",
            }},
        },
    })
}

/// `get_taxis_by_id` for `GET /taxis/{id}`.
fn id(method: &str, path: &str) -> String {
    let words = path.split('/').filter(|word| !word.is_empty()).map(|word| match word.strip_prefix('{') {
        Some(name) => format!("by_{}", name.trim_end_matches('}')),
        None => word.replace(['.', '-'], "_"),
    });
    let words = words.collect::<Vec<_>>().join("_");
    format!("{method}_{}", if words.is_empty() { "root" } else { &words })
}

fn render(operation: &Operation) -> Value {
    let mut operation = operation.clone();
    if operation.body.is_some() {
        operation = operation.refuses_with("The body is no JSON.", &Problem::not_json());
    }
    let mut responses: Map<_, _> =
        operation.responses.iter().map(|(status, response)| (status.to_string(), response.clone())).collect();
    if operation.callers != Callers::Anybody {
        responses.values_mut().for_each(tell_rates);
    }
    let mut add = |status: u16, name: &str| {
        responses
            .entry(status.to_string())
            .or_insert_with(|| json!({"$ref": format!("#/components/responses/{name}")}));
    };
    let mut parameters = operation.parameters.clone();
    let mut rendered = json!({
        "tags": [operation.chapter.name()], "summary": operation.summary, "description": operation.description,
    });
    if operation.callers != Callers::Anybody {
        rendered["security"] = json!([{"ApiKey": []}]);
        parameters.push(json!({"$ref": "#/components/parameters/LogAs"}));
        add(401, "Unauthorized");
        add(429, "Throttled");
    }
    if let Callers::Roles(roles) = operation.callers {
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        let who = format!("{}\n\nFor accounts with the role {}.", operation.description, names.join(" or "));
        rendered["description"] = json!(who);
        rendered["x-roles"] = json!(names);
        add(403, "Forbidden");
    }
    if let Some(body) = &operation.body {
        rendered["requestBody"] = json!({"required": true, "content": {"application/json": body}});
    } else if !operation.media.is_empty() {
        rendered["requestBody"] = json!({"required": true, "content": operation.media});
    }
    if rendered.get("requestBody").is_some() {
        add(408, "Slow");
        add(413, "TooLarge");
    }
    add(414, "LongAddress");
    add(431, "LargeHead");
    add(500, "Internal");
    add(503, "Unavailable");
    rendered["parameters"] = json!(parameters);
    rendered["responses"] = json!(responses);
    rendered
}

/// What we send: whoever gets it answers as they like.
fn sent(operation: &Operation) -> Value {
    json!({
        "tags": [operation.chapter.name()], "operationId": "told_hail",
        "summary": operation.summary, "description": operation.description,
        "requestBody": {"required": true, "content": {"application/json": operation.body}},
        "responses": operation.responses.iter().map(|(status, response)| (status.to_string(), response.clone()))
            .collect::<Map<_, _>>(),
    })
}

/// The shape of errors.
fn errors() -> Map<String, Value> {
    let tree = json!({"$ref": "#/components/schemas/ErrorTree"});
    let errors = json!({
        "type": "object", "required": ["errors"], "description": "What is wrong, in the shape of the request.",
        "properties": {"errors": {"type": "object", "additionalProperties": tree}},
    });
    let tree = json!({
        "description": "Messages, or errors by field or by place in a list.",
        "oneOf": [
            {"type": "array", "items": {"type": "string"}},
            {"type": "object", "additionalProperties": tree},
        ],
    });
    Map::from_iter([("Errors".to_owned(), errors), ("ErrorTree".to_owned(), tree)])
}

/// Answers that many operations share.
fn shared() -> Value {
    let mut unavailable =
        problem("A part that is needed does not answer.", &Problem::unavailable("database"));
    unavailable["headers"] = retry_after();
    let mut throttled = problem("The account asks too often.", &too_many_requests(1));
    throttled["headers"] = retry_after();
    tell_rates(&mut throttled);
    json!({
        "Unauthorized": problem("The key is missing or wrong.", &Problem::no_key()),
        "Forbidden": problem("The account may not do this.", &Problem::forbidden()),
        "Slow": problem("The body does not come in time.", &Problem::slow_request(REQUEST_READ_WITHIN)),
        "TooLarge": problem("The body is too large.", &too_large()),
        "LongAddress": problem("The address is too long.", &Problem::long_uri()),
        "LargeHead": problem("The header fields are too many or too large.", &Problem::large_head()),
        "Throttled": throttled,
        "Internal": problem("Our fault.", &Problem::internal()),
        "Unavailable": unavailable,
    })
}

/// Says that an answer to a limited account has the headers of what is left.
fn tell_rates(response: &mut Value) {
    for (name, _) in RATE_LIMIT {
        response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
    }
}

fn problem(words: &str, problem: &Problem) -> Value {
    json!({"description": words, "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/Errors"}, "example": {"errors": problem.errors()},
    }}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_after_their_paths() {
        assert_eq!(id("get", "/taxis/{id}"), "get_taxis_by_id");
        assert_eq!(id("get", "/stations/stations.csv"), "get_stations_stations_csv");
        assert_eq!(id("get", "/"), "get_root");
    }
}
