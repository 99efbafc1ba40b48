//! Arguments in the query of a path.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::kind::{Integer, Kind as _, Object, OneOf, OpenObject};
use super::{Field, Form, messages};
use crate::error::{Answer, Problem};
use crate::limits::PER_PAGE;

/// The arguments of a query, in their order; names may repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Of already decoded pairs. A NUL, which no database row has, is replaced.
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name, value.replace('\0', "\u{fffd}"))).collect())
    }

    /// The first value of a name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a name.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// What `read` reads of it, as if it were the object of a body: the first value of each name it asks for. Other
    /// names are left alone.
    pub fn read<T>(&self, read: fn(&mut Form<'_>) -> Option<T>) -> Answer<T> {
        OpenObject(read).read(&self.firsts()).map_err(Problem::invalid)
    }

    /// As [`Query::read`], but names that nobody asks for are errors.
    pub fn read_strictly<T>(&self, read: fn(&mut Form<'_>) -> Option<T>) -> Answer<T> {
        Object(read).read(&self.firsts()).map_err(Problem::invalid)
    }

    /// The first value of each name.
    fn firsts(&self) -> Value {
        let mut first = Map::new();
        for (name, value) in &self.0 {
            first.entry(name.as_str()).or_insert_with(|| json!(value));
        }
        Value::Object(first)
    }
}

/// How much of a list is told at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How many elements make a page.
    pub per_page: i64,
    /// How many are counted and can be turned over, the newest: counting a year of them takes long. None: all.
    pub counted: Option<i64>,
}

impl Extent {
    /// As the API has it: pages of so many, and everything is counted.
    pub const fn whole(per_page: i64) -> Self {
        Self { per_page, counted: None }
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    number: i64,
    per_page: i64,
}

impl Page {
    /// The page of this number, from 1.
    fn new(number: i64) -> Self {
        Self { number, per_page: PER_PAGE }
    }

    /// The page of the same number where so many elements make one.
    pub fn of(self, per_page: i64) -> Self {
        Self { per_page, ..self }
    }

    /// Limit and offset of its rows.
    pub fn limit_offset(self) -> (i64, i64) {
        (self.per_page, (self.number - 1) * self.per_page)
    }

    /// The `meta` of an answer: where this page stands among `total` elements.
    pub fn meta(self, total: i64) -> Meta {
        let pages = (total + self.per_page - 1) / self.per_page;
        Meta {
            next_page: (self.number < pages).then_some(self.number + 1),
            prev_page: (self.number > 1).then_some(self.number - 1),
            pages,
            per_page: self.per_page,
            total,
        }
    }
}

/// Where a page stands among all elements of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Meta {
    /// The number of the next page; null on the last.
    pub next_page: Option<i64>,
    /// The number of the page before; null on the first.
    pub prev_page: Option<i64>,
    /// How many pages there are.
    pub pages: i64,
    /// How many elements a full page has.
    pub per_page: i64,
    /// How many elements there are in all.
    pub total: i64,
}

impl Meta {
    /// Of one page with so many elements.
    pub fn example(elements: usize, per_page: i64) -> Self {
        Page::new(1).of(per_page).meta(i64::try_from(elements).unwrap_or_default())
    }
}

/// The page asked for by `p`, once; anything but the names in `known` and `p` is refused.
pub fn page(query: &Query, known: &[&str]) -> Answer<Page> {
    page_beside(query, known, Map::new())
}

/// As [`page`], beside `errors` of other arguments.
pub fn page_beside(query: &Query, known: &[&str], mut errors: Map<String, Value>) -> Answer<Page> {
    for (name, _) in &query.0 {
        if name != "p" && !known.contains(&name.as_str()) {
            errors.insert(name.clone(), messages("Unknown field."));
        }
    }
    match page_number(&query.all("p")) {
        Ok(page) if errors.is_empty() => Ok(page),
        Ok(_) => Err(Problem::invalid(Value::Object(errors))),
        Err(error) => {
            errors.insert("p".to_owned(), error);
            Err(Problem::invalid(Value::Object(errors)))
        }
    }
}

/// What is wrong with the values of an argument that may be one of `choices`, by their places; None: nothing.
pub fn not_one_of(query: &Query, name: &str, choices: &'static [&'static str]) -> Option<Value> {
    let read = query.all(name).into_iter().map(|text| OneOf(choices).read(&json!(text)));
    let wrong = read.enumerate().filter_map(|(i, outcome)| Some((i.to_string(), outcome.err()?)));
    let wrong: Map<_, _> = wrong.collect();
    (!wrong.is_empty()).then_some(Value::Object(wrong))
}

fn page_number(given: &[String]) -> Field<Page> {
    let read: Vec<_> = given.iter().map(|text| Integer.read(&json!(text))).collect();
    let wrong: Map<_, _> = read
        .iter()
        .enumerate()
        .filter_map(|(i, page)| page.as_ref().err().map(|error| (i.to_string(), error.clone())))
        .collect();
    let readable = read.len() - wrong.len();
    let many = (readable > 1).then(|| messages("Argument `p` is specified more than once"));
    match (wrong.is_empty(), many) {
        // A page before the first is the first.
        (true, None) => {
            Ok(Page::new(read.into_iter().find_map(Result::ok).map_or(1, |page| i64::from(page.max(1)))))
        }
        (true, Some(many)) => Err(many),
        (false, None) => Err(Value::Object(wrong)),
        (false, Some(many)) => Err(super::merge(Value::Object(wrong), many)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query::new(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
    }

    #[test]
    fn pages_begin_at_one() {
        assert_eq!(page(&query(&[]), &[]).unwrap(), Page::new(1));
        assert_eq!(page(&query(&[("p", "0")]), &[]).unwrap(), Page::new(1));
        assert_eq!(page(&query(&[("p", "3"), ("id", "x")]), &["id"]).unwrap().limit_offset(), (30, 60));
    }

    #[test]
    fn wrong_pages_are_told_by_their_place() {
        assert_eq!(page_number(&["x".into()]), Err(json!({"0": ["Not a valid integer."]})));
        assert_eq!(
            page_number(&["1".into(), "2".into()]),
            Err(json!(["Argument `p` is specified more than once"]))
        );
        assert!(page(&query(&[("foo", "1")]), &["id"]).is_err());
    }

    #[test]
    fn wrong_choices_are_told_by_their_place() {
        let given = query(&[("kind", "a"), ("kind", "x")]);
        assert_eq!(not_one_of(&given, "kind", &["a", "b"]), Some(json!({"1": ["Must be one of: a, b."]})));
        assert_eq!(not_one_of(&given, "other", &["a", "b"]), None);
    }

    #[test]
    fn meta_says_where_a_page_stands() {
        assert_eq!(
            json!(Page::new(2).meta(61)),
            json!({"next_page": 3, "prev_page": 1, "pages": 3, "per_page": 30, "total": 61})
        );
        assert_eq!(Page::new(1).meta(0).pages, 0);
        assert_eq!(Page::new(2).of(100).limit_offset(), (100, 100));
        assert_eq!(Page::new(2).of(100).meta(201).next_page, Some(3));
        assert_eq!(Page::new(1).meta(30).next_page, None);
    }
}
