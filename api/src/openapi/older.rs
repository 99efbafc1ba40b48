//! The same document in OpenAPI 3.0, for tools that do not read 3.1.
//!
//! `/swagger.json` of the registry in service was OpenAPI 3.0 despite its name, so this is what partners' tools read
//! there. Of what 3.1 has and 3.0 has not our document uses few things, each with an exact equivalent: null among the
//! types of a value, keywords beside a reference, what names of fields are, and two texts about the whole. What
//! webhooks are sent, and what a line of a text says, 3.0 cannot say.

use serde_json::{Map, Value, json};

/// The OpenAPI 3.0 document that says what this OpenAPI 3.1 document says.
pub fn of(document: &Value) -> Value {
    let mut older = convert(document);
    older["openapi"] = json!("3.0.3");
    if let Some(whole) = older.as_object_mut() {
        whole.remove("webhooks");
    }
    if let Some(info) = older["info"].as_object_mut() {
        info.remove("summary");
        if let Some(license) = info.get_mut("license").and_then(Value::as_object_mut) {
            license.remove("identifier");
        }
    }
    older
}

fn convert(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(convert).collect(),
        Value::Object(fields) => {
            let known = fields
                .iter()
                .filter(|(name, _)| !["contentMediaType", "contentSchema"].contains(&name.as_str()));
            let fields = known.map(|(name, value)| match (name.as_str(), value) {
                // The names in there are ours, whatever they look like.
                ("properties", Value::Object(properties)) => {
                    let properties = properties.iter().map(|(name, schema)| (name.clone(), convert(schema)));
                    (name.clone(), Value::Object(properties.collect()))
                }
                // What an example shows is data, whatever it looks like.
                ("example" | "value" | "enum" | "required" | "default", _) => (name.clone(), value.clone()),
                _ => (name.clone(), convert(value)),
            });
            without_null(fields.collect())
        }
        other => other.clone(),
    }
}

/// A schema whose values may be null says so by `nullable`.
fn without_null(mut schema: Map<String, Value>) -> Value {
    if let Some(Value::Array(types)) = schema.get("type") {
        let rest: Vec<_> = types.iter().filter(|kind| *kind != "null").cloned().collect();
        if let [kind] = rest.as_slice() {
            schema.insert("type".to_owned(), kind.clone());
            schema.insert("nullable".to_owned(), json!(true));
        }
    }
    for word in ["oneOf", "anyOf"] {
        let Some(Value::Array(choices)) = schema.get(word) else { continue };
        let rest: Vec<_> = choices.iter().filter(|choice| choice["type"] != "null").cloned().collect();
        if rest.len() < choices.len() {
            schema.insert(if rest.len() == 1 { "allOf" } else { word }.to_owned(), json!(rest));
            if rest.len() == 1 {
                schema.remove(word);
            }
            schema.insert("nullable".to_owned(), json!(true));
        }
    }
    // That the names of fields are texts goes without saying.
    schema.remove("propertyNames");
    // Whatever stands beside a reference is not read.
    if schema.len() > 1
        && let Some(target) = schema.remove("$ref")
    {
        schema.insert("allOf".to_owned(), json!([{"$ref": target}]));
    }
    Value::Object(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_a_property_of_a_schema() {
        for (newer, older) in [
            (json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true})),
            (
                json!({"oneOf": [{"type": "null"}, {"$ref": "#/a"}]}),
                json!({"allOf": [{"$ref": "#/a"}], "nullable": true}),
            ),
            (
                json!({"$ref": "#/a", "description": "A."}),
                json!({"allOf": [{"$ref": "#/a"}], "description": "A."}),
            ),
            (json!({"example": {"type": ["a", "null"]}}), json!({"example": {"type": ["a", "null"]}})),
            (
                json!({"properties": {"value": {"type": ["number", "null"]}}}),
                json!({"properties": {"value": {"type": "number", "nullable": true}}}),
            ),
            (
                json!({"items": {"oneOf": [{"type": "null"}, {"type": "string"}, {"type": "integer"}]}}),
                json!({"items": {"oneOf": [{"type": "string"}, {"type": "integer"}], "nullable": true}}),
            ),
        ] {
            assert_eq!(convert(&newer), older);
        }
    }
}
