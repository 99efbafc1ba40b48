//! Arguments by which a list is narrowed: any of them may be repeated, so often at most.

use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::messages;
use super::query::{Page, Query, page_beside};
use crate::error::{Answer, Problem};
use crate::limits::FILTERS_MAX;

/// The filters of a query being read; what is wrong with any of them is told at the end, with the page.
#[derive(Debug)]
pub struct Filters<'a> {
    query: &'a Query,
    asked: Vec<&'static str>,
    errors: Map<String, Value>,
}

impl<'a> Filters<'a> {
    /// Begins to read a query.
    pub fn of(query: &'a Query) -> Self {
        Self { query, asked: Vec::new(), errors: Map::new() }
    }

    /// With what a text is to begin; nothing where anything will do, which begins with the empty text, too.
    pub fn beginnings(&mut self, name: &'static str) -> Vec<String> {
        let texts = self.take(name);
        if texts.iter().any(String::is_empty) { Vec::new() } else { texts }
    }

    /// Values of a kind; what is wrong is told by its place.
    pub fn values<K: Kind>(&mut self, name: &'static str, kind: &K) -> Vec<K::Read> {
        let (mut values, mut wrong) = (Vec::new(), Map::new());
        for (place, text) in self.take(name).into_iter().enumerate() {
            match kind.read(&Value::String(text)) {
                Ok(value) => values.push(value),
                Err(errors) => {
                    wrong.insert(place.to_string(), errors);
                }
            }
        }
        if !wrong.is_empty() {
            self.errors.insert(name.to_owned(), Value::Object(wrong));
        }
        values
    }

    /// Ends with the page asked for, unless a filter was wrong or was never asked for.
    pub fn page(self) -> Answer<Page> {
        page_beside(self.query, &self.asked, self.errors)
    }

    /// The values of a name; none where they are too many.
    fn take(&mut self, name: &'static str) -> Vec<String> {
        self.asked.push(name);
        let values = self.query.all(name);
        if values.len() <= FILTERS_MAX {
            return values;
        }
        self.errors.insert(name.to_owned(), too_many_values());
        Vec::new()
    }
}

/// What is answered where this filter has too many values.
pub fn too_many(name: &str) -> Problem {
    Problem::invalid(json!({name: too_many_values()}))
}

fn too_many_values() -> Value {
    messages(&format!("Up to {FILTERS_MAX} values are accepted"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::kind::OneOf;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query::new(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
    }

    #[test]
    fn what_begins_with_nothing_begins_with_anything() {
        let given = query(&[("id", "a"), ("id", "B"), ("taxi", "a"), ("taxi", "")]);
        let mut filters = Filters::of(&given);
        assert_eq!(filters.beginnings("id"), ["a", "B"]);
        assert!(filters.beginnings("taxi").is_empty());
        assert!(filters.beginnings("customer").is_empty());
        assert!(filters.page().is_ok());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let mut pairs = vec![("kind", "a"), ("kind", "x"), ("foo", "1"), ("p", "x")];
        pairs.extend([("id", "a"); FILTERS_MAX + 1]);
        let given = query(&pairs);
        let mut filters = Filters::of(&given);
        assert!(filters.beginnings("id").is_empty());
        assert_eq!(filters.values("kind", &OneOf(&["a", "b"])), ["a"]);
        assert_eq!(
            *filters.page().unwrap_err().errors(),
            json!({
                "id": ["Up to 50 values are accepted"], "kind": {"1": ["Must be one of: a, b."]},
                "foo": ["Unknown field."], "p": {"0": ["Not a valid integer."]},
            })
        );
    }
}
