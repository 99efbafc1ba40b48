//! Reading requests: every wrong field at once, in the contract's words.
//!
//! A [`Form`] is one JSON object being read. Each field is asked for once, by name and kind; what is wrong with it is
//! noted and the value is None. At the end [`Form::finish`] adds the fields nobody asked for. The kinds are in
//! [`kind`]; what surrounds an object in a body is in [`envelope`].
//!
//! The function that reads an object also tells the reference what the object looks like ([`Form::describe`]), so that
//! the two cannot drift apart.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use self::kind::Kind;

pub mod envelope;
pub mod filters;
pub mod instant;
pub mod kind;
pub mod moment;
pub mod query;

/// One field's value, or the errors that stand in its place.
pub type Field<T> = Result<T, Value>;

/// One object being read, or the fields that such an object has being written down.
#[derive(Debug)]
pub struct Form<'a> {
    /// None while it is only described.
    fields: Option<&'a Map<String, Value>>,
    asked: BTreeSet<&'static str>,
    errors: Map<String, Value>,
    /// Fields of a partial update may all be absent.
    partial: bool,
    described: Description,
}

/// What the reference says of an object.
#[derive(Debug, Default)]
struct Description {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    may_be_empty: bool,
}

/// The messages of one leaf.
pub(crate) fn messages(message: &str) -> Value {
    json!([message])
}

impl<'a> Form<'a> {
    /// Begins to read `value`, which is an object or an error.
    pub fn begin(value: &'a Value) -> Field<Self> {
        let fields = value.as_object().ok_or_else(|| json!({"_schema": ["Invalid input type."]}))?;
        Ok(Self::over(Some(fields)))
    }

    /// The JSON Schema of the objects that `read` reads: it is asked which fields it asks for. As it has to ask for
    /// all of them whatever is wrong with one, it leaves none out.
    pub fn describe<T>(read: impl FnOnce(&mut Form<'_>) -> Option<T>) -> Value {
        let mut form = Form::over(None);
        read(&mut form);
        let Description { properties, required, may_be_empty } = form.described;
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if !may_be_empty {
            schema["minProperties"] = json!(1);
        }
        schema
    }

    fn over(fields: Option<&'a Map<String, Value>>) -> Self {
        let described = Description { may_be_empty: true, ..Description::default() };
        Self { fields, asked: BTreeSet::new(), errors: Map::new(), partial: false, described }
    }

    /// Whoever is asked for may be absent from here on.
    pub fn partial(&mut self) {
        self.partial = true;
    }

    /// A field that must be there and not null.
    pub fn required<K: Kind>(&mut self, name: &'static str, kind: K) -> Option<K::Read> {
        if !self.partial {
            self.described.required.push(name);
            if self.fields.is_some_and(|fields| !fields.contains_key(name)) {
                self.asked.insert(name);
                self.error(name, messages("Missing data for required field."));
                return None;
            }
        }
        self.optional(name, kind)
    }

    /// A field that may be absent but not null.
    pub fn optional<K: Kind>(&mut self, name: &'static str, kind: K) -> Option<K::Read> {
        let value = self.take(name, kind, false)?;
        if value.is_none() {
            self.error(name, messages("Field may not be null."));
        }
        value
    }

    /// A field that may be absent (None) or null (Some(None)).
    pub fn nullable<K: Kind>(&mut self, name: &'static str, kind: K) -> Option<Option<K::Read>> {
        self.take(name, kind, true)
    }

    #[expect(clippy::needless_pass_by_value, reason = "kinds are written down where a field is asked for")]
    fn take<K: Kind>(&mut self, name: &'static str, kind: K, or_null: bool) -> Option<Option<K::Read>> {
        let Some(fields) = self.fields else {
            let schema = kind.schema();
            self.described
                .properties
                .insert(name.to_owned(), if or_null { nullable(schema) } else { schema });
            return None;
        };
        self.asked.insert(name);
        match fields.get(name)? {
            Value::Null => Some(None),
            value => match kind.read(value) {
                Ok(value) => Some(Some(value)),
                Err(errors) => {
                    self.error(name, errors);
                    None
                }
            },
        }
    }

    /// Wants at least one field, and misses this one where there is none.
    pub fn not_empty(&mut self, name: &'static str, message: &str) {
        self.described.may_be_empty = false;
        if self.fields.is_some_and(Map::is_empty) {
            self.error(name, messages(message));
        }
    }

    /// Notes an error of a field.
    pub fn error(&mut self, name: &str, errors: Value) {
        let merged = match self.errors.remove(name) {
            Some(before) => merge(before, errors),
            None => errors,
        };
        self.errors.insert(name.to_owned(), merged);
    }

    /// Ends with the value, unless a field was wrong or was never asked for.
    pub fn finish<T>(mut self, value: Option<T>) -> Field<T> {
        let names = self.fields.into_iter().flat_map(Map::keys);
        let unknown: Vec<_> = names.filter(|name| !self.asked.contains(name.as_str())).cloned().collect();
        for name in unknown {
            self.error(&name, messages("Unknown field."));
        }
        self.finish_leniently(value)
    }

    /// Ends with the value, unless a field was wrong; fields that were never asked for are left alone.
    pub fn finish_leniently<T>(self, value: Option<T>) -> Field<T> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(Value::Object(self.errors)),
        }
    }
}

/// A schema that admits null, too.
fn nullable(mut schema: Value) -> Value {
    if let Some(kind) = schema.get("type").cloned() {
        schema["type"] = json!([kind, "null"]);
    }
    if let Some(Value::Array(choices)) = schema.get_mut("enum") {
        choices.push(Value::Null);
    }
    schema
}

/// Two errors at one place: messages follow each other; beside errors of elements they move to `_schema`.
pub(crate) fn merge(before: Value, after: Value) -> Value {
    match (before, after) {
        (Value::Array(mut a), Value::Array(b)) => {
            a.extend(b);
            Value::Array(a)
        }
        (Value::Object(mut elements), list @ Value::Array(_))
        | (list @ Value::Array(_), Value::Object(mut elements)) => {
            let own = match elements.remove("_schema") {
                Some(own) => merge(own, list),
                None => list,
            };
            elements.insert("_schema".to_owned(), own);
            Value::Object(elements)
        }
        (Value::Object(mut a), Value::Object(b)) => {
            for (key, errors) in b {
                let merged = match a.remove(&key) {
                    Some(before) => merge(before, errors),
                    None => errors,
                };
                a.insert(key, merged);
            }
            Value::Object(a)
        }
        (before, _) => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_is_told_at_once() {
        let value = json!({"a": 1, "b": null, "z": 0});
        let mut form = Form::begin(&value).unwrap();
        let a = form.required("a", kind::Text);
        let b = form.required("b", kind::Text);
        let c = form.required("c", kind::Text);
        assert!(a.is_none() && b.is_none() && c.is_none());
        assert_eq!(
            form.finish(Some(())).unwrap_err(),
            json!({
                "a": ["Not a valid string."], "b": ["Field may not be null."],
                "c": ["Missing data for required field."], "z": ["Unknown field."],
            })
        );
    }

    #[test]
    fn a_partial_form_misses_nothing_but_checks_what_is_there() {
        let value = json!({"b": 1});
        let mut form = Form::begin(&value).unwrap();
        form.partial();
        assert_eq!(form.required("a", kind::Text), None);
        form.required("b", kind::Text);
        assert_eq!(form.finish(Some(())).unwrap_err(), json!({"b": ["Not a valid string."]}));
    }

    #[test]
    fn what_reads_an_object_describes_it() {
        fn read(form: &mut Form<'_>) -> Option<(String, i32)> {
            form.not_empty("name", "Say something.");
            let name = form.required("name", kind::NonEmpty.about("Its name."));
            let radius = form.nullable("radius", kind::IntegerWithin(150..=500));
            form.optional("kind", kind::OneOf(&["a", "b"]));
            Some((name?, radius.flatten()?))
        }
        assert_eq!(
            kind::Object(read).schema(),
            json!({
                "type": "object", "required": ["name"], "minProperties": 1, "additionalProperties": false,
                "properties": {
                    "name": {"type": "string", "minLength": 1, "description": "Its name."},
                    "radius": {"type": ["integer", "null"], "minimum": 150, "maximum": 500},
                    "kind": {"type": "string", "enum": ["a", "b"]},
                },
            })
        );
        let errors = kind::Object(read).read(&json!({"radius": 1})).unwrap_err();
        assert_eq!(errors["name"], json!(["Missing data for required field."]));
        assert_eq!(kind::Object(read).read(&json!({"name": "x", "radius": 200})), Ok(("x".to_owned(), 200)));
    }

    #[test]
    fn errors_of_a_list_and_of_its_elements_stand_together() {
        assert_eq!(
            merge(json!({"0": {"a": ["x"]}}), json!(["too long"])),
            json!({"0": {"a": ["x"]}, "_schema": ["too long"]})
        );
        assert_eq!(merge(json!(["a"]), json!(["b"])), json!(["a", "b"]));
    }
}
