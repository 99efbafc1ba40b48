//! The reference of the HTTP interface, generated from the code that answers.
//!
//! An [`Operation`] stands beside its handler and is registered with it ([`routes::Routes`]): no route without one.
//! What a request looks like is told by the function that reads it ([`crate::form`]), what an answer looks like by the
//! type that is sent, with an example that is a value of this type; who may call by the list of roles that the handler
//! requires. [`document`] makes one document of all operations.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::form::envelope;
use crate::form::kind::{Kind, OpenObject};
use crate::form::query::Meta;
use crate::limits::{FILTERS_MAX, NAME_MAX_CHARS, PER_PAGE};
use crate::role::Role;

pub mod document;
pub mod older;
pub mod page;
pub mod routes;

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Everybody, without a key.
    Anybody,
    /// Every account.
    AnyAccount,
    /// Accounts with one of these roles.
    Roles(&'static [Role]),
}

/// Whom an operation is for: how the reference is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    /// Search apps.
    Search,
    /// Both sides of a hail.
    Hails,
    /// Operators of taxis.
    Operators,
    /// Accounts.
    Accounts,
    /// Towns, zones and stations.
    Places,
    /// Who looks at figures.
    Statistics,
    /// Those who keep it running, and the reference itself.
    Service,
}

impl Chapter {
    /// Every chapter, in the order of the reference.
    pub const ALL: [Self; 7] = [
        Self::Search,
        Self::Hails,
        Self::Operators,
        Self::Accounts,
        Self::Places,
        Self::Statistics,
        Self::Service,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "Search apps",
            Self::Hails => "Hails",
            Self::Operators => "Operators",
            Self::Accounts => "Accounts",
            Self::Places => "Places",
            Self::Statistics => "Statistics",
            Self::Service => "Service",
        }
    }

    /// One sentence on it.
    pub fn about(self) -> &'static str {
        match self {
            Self::Search => "Which free taxis are around a customer.",
            Self::Hails => "A customer asks for a taxi, and both sides bring that to an end.",
            Self::Operators => "Registering taxis, and telling where they are and whether they are free.",
            Self::Accounts => "What an account says of itself.",
            Self::Places => "Towns, and where taxis may pick up.",
            Self::Statistics => "What taxis, hails and searches add up to.",
            Self::Service => "Whether it runs, and this reference.",
        }
    }
}

/// One operation of the interface: what the reference says of it.
#[derive(Clone, Debug)]
pub struct Operation {
    chapter: Chapter,
    summary: &'static str,
    description: &'static str,
    callers: Callers,
    parameters: Vec<Value>,
    body: Option<Value>,
    /// Bodies that are no JSON, by media type.
    media: Map<String, Value>,
    responses: BTreeMap<u16, Value>,
    schemas: Map<String, Value>,
}

impl Operation {
    /// An operation that anybody may call, with a line and a paragraph on it.
    pub fn new(chapter: Chapter, summary: &'static str, description: &'static str) -> Self {
        Self {
            chapter,
            summary,
            description,
            callers: Callers::Anybody,
            parameters: Vec::new(),
            body: None,
            media: Map::new(),
            responses: BTreeMap::new(),
            schemas: Map::new(),
        }
    }

    /// Needs a key, and one of these roles: those that the handler requires.
    pub fn roles(mut self, roles: &'static [Role]) -> Self {
        self.callers = Callers::Roles(roles);
        self
    }

    /// Needs a key.
    pub fn any_account(mut self) -> Self {
        self.callers = Callers::AnyAccount;
        self
    }

    /// A part of the path.
    pub fn path(mut self, name: &str, schema: &Value, words: &str, example: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "path", "required": true, "schema": schema, "description": words, "example": example,
        }));
        self
    }

    /// A header that may be left out.
    pub fn header(mut self, name: &str, words: &str) -> Self {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": NAME_MAX_CHARS});
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false, "schema": schema, "description": words,
        }));
        self
    }

    /// The arguments that `read` reads of a query in which no others may stand.
    pub fn closed_query<T>(self, read: fn(&mut crate::form::Form<'_>) -> Option<T>, example: &Value) -> Self {
        let errors = json!({"foo": ["Unknown field."]});
        self.query(read, example).refuses(400, "An argument is unknown.", &errors)
    }

    /// The arguments that `read` reads of a query.
    pub fn query<T>(mut self, read: fn(&mut crate::form::Form<'_>) -> Option<T>, example: &Value) -> Self {
        let schema = OpenObject(read).schema();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let required = required.contains(&json!(name));
            self = self.parameter(name, required, schema.clone(), example.get(name));
        }
        if let Err(errors) = OpenObject(read).read(&json!({})) {
            self = self.refuses(400, "An argument is missing or wrong.", &errors);
        }
        self
    }

    /// An argument of the query that is a text and may be left out.
    pub fn argument(self, name: &str, words: &str) -> Self {
        self.parameter(name, false, json!({"type": "string", "description": words}), None)
    }

    /// An argument of the query that is one of these texts and may be left out.
    pub fn choice(self, name: &str, choices: &[&str], words: &str) -> Self {
        let schema = json!({"type": "string", "enum": choices, "description": words});
        self.parameter(name, false, schema, None)
    }

    /// A text by which a list may be narrowed, repeated so often as a list takes.
    pub fn filter(self, name: &str, words: &str) -> Self {
        self.repeated(name, words, Some(FILTERS_MAX))
    }

    /// The same with something of this kind.
    pub fn filter_of<K: Kind>(self, name: &str, kind: &K, words: &str) -> Self {
        let items = kind.schema();
        let schema = json!({"type": "array", "items": items, "maxItems": FILTERS_MAX, "description": words});
        self.parameter(name, false, schema, None)
    }

    /// An argument of the query that may be repeated, so often at most.
    pub fn repeated(self, name: &str, words: &str, max: Option<usize>) -> Self {
        let mut schema = json!({"type": "array", "items": {"type": "string"}, "description": words});
        if let Some(max) = max {
            schema["maxItems"] = json!(max);
        }
        self.parameter(name, false, schema, None)
    }

    /// The argument `p`: pages of a list.
    pub fn pages(self) -> Self {
        let words = "The number of the page, from 1; a page before the first is the first.";
        self.parameter("p", false, json!({"type": "integer", "format": "int32", "description": words}), None)
            .refuses(400, "An argument is wrong or unknown.", &json!({"p": {"0": ["Not a valid integer."]}}))
    }

    fn parameter(mut self, name: &str, required: bool, mut schema: Value, example: Option<&Value>) -> Self {
        let words = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut argument = json!({"name": name, "in": "query", "required": required, "schema": schema});
        if let Some(words) = words {
            argument["description"] = words;
        }
        if let Some(example) = example {
            argument["example"] = example.clone();
        }
        self.parameters.push(argument);
        self
    }

    /// A body of one element, read by this kind; the example is one that is taken.
    pub fn body<K: Kind>(mut self, element: &K, example: &Value) -> Self {
        let example = json!({"data": [example]});
        self.body = Some(json!({"schema": envelope::schema(element), "example": example}));
        // What the reader itself says of an element without fields.
        if let Err(errors) = element.read(&json!({})) {
            let errors = json!({"data": {"0": errors}});
            self = self.refuses(400, "A field is missing, wrong or unknown.", &errors);
        }
        self
    }

    /// A body of one of these media types, described by hand.
    pub fn media<const N: usize>(mut self, types: [(&str, Value); N]) -> Self {
        self.media =
            types.map(|(media_type, content)| (media_type.to_owned(), content)).into_iter().collect();
        self
    }

    /// Answers with one element.
    pub fn one<T: Serialize + ToSchema>(self, status: u16, words: &str, example: &T) -> Self {
        self.elements::<T>(status, words, &json!({"data": [example]}), json!({"maxItems": 1, "minItems": 1}))
    }

    /// Answers with any number of elements.
    pub fn list<T: Serialize + ToSchema>(self, words: &str, example: &[T]) -> Self {
        self.elements::<T>(200, words, &json!({"data": example}), json!({}))
    }

    /// Answers with a page of elements.
    pub fn page<T: Serialize + ToSchema>(self, words: &str, example: &[T]) -> Self {
        self.page_of(PER_PAGE, words, example)
    }

    /// Answers with a page of elements, of so many at most.
    pub fn page_of<T: Serialize + ToSchema>(mut self, per_page: i64, words: &str, example: &[T]) -> Self {
        let meta = Meta::example(example.len(), per_page);
        self = self.elements::<T>(200, words, &json!({"data": example, "meta": meta}), json!({}));
        let meta = self.refer::<Meta>();
        let schema = &mut self.responses.entry(200).or_default()["content"]["application/json"]["schema"];
        schema["properties"]["meta"] = meta;
        schema["required"] = json!(["data", "meta"]);
        self
    }

    fn elements<T: ToSchema>(mut self, status: u16, words: &str, example: &Value, mut list: Value) -> Self {
        list["type"] = json!("array");
        list["items"] = self.refer::<T>();
        let schema = json!({"type": "object", "properties": {"data": list}, "required": ["data"]});
        self.content(status, words, "application/json", json!({"schema": schema, "example": example}))
    }

    /// Carries this value, as it is: what we send ourselves.
    pub fn sends<T: Serialize + ToSchema>(mut self, example: &T) -> Self {
        self.body = Some(json!({"schema": self.refer::<T>(), "example": example}));
        self
    }

    /// Answers with this value, as it is.
    pub fn bare<T: Serialize + ToSchema>(mut self, status: u16, words: &str, example: &T) -> Self {
        let schema = self.refer::<T>();
        self.content(status, words, "application/json", json!({"schema": schema, "example": example}))
    }

    /// Answers with something that is described by hand: a page, a file.
    pub fn content(mut self, status: u16, words: &str, media_type: &str, content: Value) -> Self {
        let response = self.responses.entry(status).or_insert_with(|| json!({"content": {}}));
        response["description"] = json!(words);
        response["content"][media_type] = content;
        self
    }

    /// Answers without a body.
    pub fn empty(mut self, status: u16, words: &str) -> Self {
        self.responses.insert(status, json!({"description": words}));
        self
    }

    /// Refuses with these errors, for this reason. What holds for many operations (401, 403, 413...) is added to
    /// each by itself.
    pub fn refuses(mut self, status: u16, why: &str, errors: &Value) -> Self {
        let response = self.responses.entry(status).or_insert_with(|| {
            let schema = json!({"$ref": "#/components/schemas/Errors"});
            let content = json!({"application/json": {"schema": schema, "examples": {}}});
            let mut response = json!({"description": "", "content": content});
            if matches!(status, 429 | 503) {
                response["headers"] = retry_after();
            }
            response
        });
        let known = response["description"].as_str().unwrap_or_default();
        let words = if known.is_empty() || known == why { why.to_owned() } else { format!("{known} {why}") };
        response["description"] = json!(words);
        if let Some(examples) = response["content"]["application/json"]["examples"].as_object_mut() {
            let name = format!("e{}", examples.len() + 1);
            examples.insert(name, json!({"summary": why, "value": {"errors": errors}}));
        }
        self
    }

    /// Writes rows, which may be refused where others are written at the same time.
    pub fn writes(self) -> Self {
        self.refuses_with("It conflicts with what is registered at the same time.", &Problem::conflict())
    }

    /// Refuses with this problem, for this reason.
    pub fn refuses_with(self, why: &str, problem: &Problem) -> Self {
        self.refuses(problem.status().as_u16(), why, problem.errors())
    }

    /// A reference to a type's schema, which is kept among the components.
    fn refer<T: ToSchema>(&mut self) -> Value {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        for (name, schema) in schemas {
            let mut schema = json!(schema);
            require_all(&mut schema);
            self.schemas.insert(name, schema);
        }
        json!({"$ref": format!("#/components/schemas/{}", T::name())})
    }
}

/// The headers of answers to accounts that may ask only so often.
const RATE_LIMIT: [(&str, &str); 3] = [
    ("RateLimit-Limit", "How many requests the account may make at once when it made none for a while."),
    ("RateLimit-Remaining", "How many of these are left."),
    ("RateLimit-Reset", "After how many seconds there is at least one more."),
];

/// The header of what may be repeated later.
fn retry_after() -> Value {
    let words = "After how many seconds to repeat the request.";
    json!({"Retry-After": {"description": words, "schema": {"type": "integer", "minimum": 0}}})
}

/// An answer says null where there is nothing to say: every field is always there.
fn require_all(schema: &mut Value) {
    if let Some(properties) = schema["properties"].as_object() {
        let names: Vec<_> = properties.keys().cloned().collect();
        schema["required"] = json!(names);
    }
}
