//! What surrounds an object in a body: `{"data": [one element]}`.

use axum::Json;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::query::Meta;
use super::{Field, Form, merge, messages};
use crate::error::{Answer, Problem};

/// The one element of `data`.
pub fn one<K: Kind>(body: &Value, element: K) -> Answer<K::Read> {
    let mut form = Form::begin(body).map_err(Problem::invalid)?;
    let element = form.required("data", OneOfList(element));
    form.finish(element).map_err(Problem::invalid)
}

/// The one element of `data`; None without `data`.
pub fn one_if_any<K: Kind>(body: &Value, element: K) -> Answer<Option<K::Read>> {
    let mut form = Form::begin(body).map_err(Problem::invalid)?;
    form.partial();
    let element = form.required("data", OneOfList(element));
    form.finish(Some(element)).map_err(Problem::invalid)
}

/// What [`one`] reads, as a JSON Schema; [`one_if_any`] reads an empty object, too.
pub fn schema(element: &impl Kind) -> Value {
    let list = one_of(element);
    json!({"type": "object", "properties": {"data": list}, "required": ["data"], "additionalProperties": false})
}

fn one_of(element: &impl Kind) -> Value {
    json!({"type": "array", "minItems": 1, "maxItems": 1, "items": element.schema()})
}

/// A list of one element.
struct OneOfList<K>(K);

impl<K: Kind> Kind for OneOfList<K> {
    type Read = K::Read;

    fn read(&self, value: &Value) -> Field<K::Read> {
        one_of_list(value, |element| self.0.read(element))
    }

    fn schema(&self) -> Value {
        one_of(&self.0)
    }
}

fn one_of_list<T>(data: &Value, read: impl Fn(&Value) -> Field<T>) -> Field<T> {
    let Value::Array(elements) = data else {
        return Err(messages("Not a valid list."));
    };
    let mut errors = Map::new();
    let mut last = None;
    for (i, element) in elements.iter().enumerate() {
        let outcome = if element.is_null() { Err(messages("Field may not be null.")) } else { read(element) };
        match outcome {
            Ok(value) => last = Some(value),
            Err(error) => {
                errors.insert(i.to_string(), error);
            }
        }
    }
    // The length is told beside errors of elements, but nulls do not count; a list of nulls alone has no length.
    let counted = elements.iter().filter(|element| !element.is_null()).count();
    let told = counted > 0 || errors.is_empty();
    let mut errors = Value::Object(errors);
    if told && counted != 1 {
        let length = messages("data should be a list of one element.");
        errors = if errors == json!({}) { length } else { merge(errors, length) };
    }
    match last {
        Some(value) if errors == json!({}) => Ok(value),
        _ => Err(errors),
    }
}

/// An answer: elements, of which there may be one alone.
#[derive(Clone, Debug, Serialize)]
pub struct Elements<T> {
    data: Vec<T>,
}

impl<T> Elements<T> {
    /// The elements.
    pub fn into_inner(self) -> Vec<T> {
        self.data
    }
}

/// An answer of one element.
pub fn of_one<T>(element: T) -> Json<Elements<T>> {
    of_all(vec![element])
}

/// An answer of any number of elements.
pub fn of_all<T>(data: Vec<T>) -> Json<Elements<T>> {
    Json(Elements { data })
}

/// An answer of the elements of one page.
#[derive(Clone, Debug, Serialize)]
pub struct Paged<T> {
    data: Vec<T>,
    meta: Meta,
}

impl<T> Paged<T> {
    /// These elements, of a page that stands there.
    pub fn new(data: Vec<T>, meta: Meta) -> Self {
        Self { data, meta }
    }

    /// The elements, and where the page stands.
    pub fn into_parts(self) -> (Vec<T>, Meta) {
        (self.data, self.meta)
    }
}

/// An answer of one page.
pub fn of_page<T>(data: Vec<T>, meta: Meta) -> Json<Paged<T>> {
    Json(Paged { data, meta })
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;
    use crate::form::kind::{self, Object};

    fn name(form: &mut Form<'_>) -> Option<String> {
        form.required("name", kind::Text)
    }

    fn errors(body: &Value) -> Value {
        let problem = one(body, Object(name)).unwrap_err();
        assert!(!format!("{problem:?}").is_empty());
        let response = problem.into_response();
        assert_eq!(response.status(), 400);
        let body = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(axum::body::to_bytes(response.into_body(), 1 << 20))
            .unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()["errors"].clone()
    }

    #[test]
    fn one_element_is_needed() {
        assert_eq!(one(&json!({"data": [{"name": "x"}]}), Object(name)).unwrap(), "x");
        assert_eq!(errors(&json!([])), json!({"_schema": ["Invalid input type."]}));
        assert_eq!(errors(&json!({})), json!({"data": ["Missing data for required field."]}));
        assert_eq!(errors(&json!({"data": null})), json!({"data": ["Field may not be null."]}));
        assert_eq!(errors(&json!({"data": {}})), json!({"data": ["Not a valid list."]}));
        assert_eq!(errors(&json!({"data": []})), json!({"data": ["data should be a list of one element."]}));
        assert_eq!(
            errors(&json!({"data": [1]})),
            json!({"data": {"0": {"_schema": ["Invalid input type."]}}})
        );
        assert_eq!(errors(&json!({"data": [null]})), json!({"data": {"0": ["Field may not be null."]}}));
        assert_eq!(errors(&json!({"data": [{"name": "x"}], "x": 1})), json!({"x": ["Unknown field."]}));
        let two = json!({"data": [{"name": "x"}, {"name": "y"}]});
        assert_eq!(errors(&two), json!({"data": ["data should be a list of one element."]}));
    }

    #[test]
    fn errors_of_elements_and_of_the_list_stand_together() {
        let missing = json!({"name": ["Missing data for required field."]});
        assert_eq!(
            errors(&json!({"data": [{}, {}]})),
            json!({"data": {"0": missing, "1": missing, "_schema": ["data should be a list of one element."]}})
        );
    }

    #[test]
    fn a_partial_body_may_have_no_data() {
        assert_eq!(one_if_any(&json!({}), Object(name)).unwrap(), None);
        assert!(one_if_any(&json!({"data": []}), Object(name)).is_err());
    }
}
