//! Reading requests: every wrong field at once, in the contract's words.
//!
//! A [`Form`] is one JSON object being read. Each field is asked for once, by name and kind; what is wrong with it is
//! noted and the value is None. At the end [`Form::finish`] adds the fields nobody asked for. The kinds are in
//! [`kind`]; what surrounds an object in a body is in [`envelope`].

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

pub mod envelope;
pub mod kind;
pub mod query;

/// One field's value, or the errors that stand in its place.
pub type Field<T> = Result<T, Value>;

/// One object being read.
#[derive(Debug)]
pub struct Form<'a> {
    fields: &'a Map<String, Value>,
    asked: BTreeSet<&'static str>,
    errors: Map<String, Value>,
    /// Fields of a partial update may all be absent.
    partial: bool,
}

/// The messages of one leaf.
pub(crate) fn messages(message: &str) -> Value {
    json!([message])
}

impl<'a> Form<'a> {
    /// Begins to read `value`, which is an object or an error.
    pub fn begin(value: &'a Value) -> Field<Self> {
        let fields = value.as_object().ok_or_else(|| json!({"_schema": ["Invalid input type."]}))?;
        Ok(Self { fields, asked: BTreeSet::new(), errors: Map::new(), partial: false })
    }

    /// Whoever is asked for may be absent from here on.
    pub fn partial(&mut self) {
        self.partial = true;
    }

    /// A field that must be there and not null.
    pub fn required<T>(&mut self, name: &'static str, kind: impl FnOnce(&'a Value) -> Field<T>) -> Option<T> {
        if !self.partial && !self.fields.contains_key(name) {
            self.asked.insert(name);
            self.error(name, messages("Missing data for required field."));
            return None;
        }
        self.optional(name, kind)
    }

    /// A field that may be absent but not null.
    pub fn optional<T>(&mut self, name: &'static str, kind: impl FnOnce(&'a Value) -> Field<T>) -> Option<T> {
        let value = self.nullable(name, kind)?;
        if value.is_none() {
            self.error(name, messages("Field may not be null."));
        }
        value
    }

    /// A field that may be absent (None) or null (Some(None)).
    pub fn nullable<T>(
        &mut self,
        name: &'static str,
        kind: impl FnOnce(&'a Value) -> Field<T>,
    ) -> Option<Option<T>> {
        self.asked.insert(name);
        match self.fields.get(name)? {
            Value::Null => Some(None),
            value => match kind(value) {
                Ok(value) => Some(Some(value)),
                Err(errors) => {
                    self.error(name, errors);
                    None
                }
            },
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

    /// Whether nothing was wrong so far.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// Ends with the value, unless a field was wrong or was never asked for.
    pub fn finish<T>(mut self, value: Option<T>) -> Field<T> {
        let unknown: Vec<_> =
            self.fields.keys().filter(|name| !self.asked.contains(name.as_str())).cloned().collect();
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
        let a = form.required("a", kind::string);
        let b = form.required("b", kind::string);
        let c = form.required("c", kind::string);
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
        assert_eq!(form.required("a", kind::string), None);
        assert!(form.is_clean());
        form.required("b", kind::string);
        assert_eq!(form.finish(Some(())).unwrap_err(), json!({"b": ["Not a valid string."]}));
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
