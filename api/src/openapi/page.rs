//! The reference as a page for people: one file, no script, nothing from elsewhere.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The style of our pages.
const STYLE: &str = include_str!("page.css");

/// What a browser is allowed on our pages: their own style, and nothing else.
pub fn security_policy() -> String {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// A whole page.
pub fn page(language: &str, title: &str, content: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang=(language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (content) }
        }
    }
    .into_string()
}

/// The reference of this document (OpenAPI 3.1).
pub fn reference(document: &Value) -> String {
    let content = html! {
        nav aria-label="Operations" {
            h1 { "maraude" }
            @for chapter in list(&document["tags"]) {
                h2 { (text(&chapter["name"])) }
                ul { @for operation in operations(document, &chapter["name"]) { li { (operation.link()) } } }
            }
        }
        main {
            h1 { (text(&document["info"]["summary"])) }
            (paragraphs(text(&document["info"]["description"])))
            p {
                "For tools: " a href="/openapi.json" { "OpenAPI 3.1" } ", " a href="/swagger.json" { "OpenAPI 3.0" } "."
            }
            @for chapter in list(&document["tags"]) {
                h2 { (text(&chapter["name"])) }
                p { (text(&chapter["description"])) }
                @for operation in operations(document, &chapter["name"]) { (operation.render()) }
            }
        }
    };
    page("en", "maraude: API reference", &content)
}

/// One operation at its place in the document.
struct Operation<'a> {
    document: &'a Value,
    method: &'a str,
    path: &'a str,
    described: &'a Value,
}

fn operations<'a>(document: &'a Value, chapter: &Value) -> Vec<Operation<'a>> {
    let mut found = Vec::new();
    for (path, methods) in fields(&document["paths"]) {
        for (method, described) in fields(methods) {
            if described["tags"][0] == *chapter {
                found.push(Operation { document, method, path, described });
            }
        }
    }
    found
}

impl Operation<'_> {
    fn id(&self) -> &str {
        text(&self.described["operationId"])
    }

    fn name(&self) -> Markup {
        html! { span.method.(self.method) { (self.method.to_uppercase()) } " " code { (self.path) } }
    }

    fn link(&self) -> Markup {
        html! { a href={"#" (self.id())} { (self.name()) } }
    }

    fn render(&self) -> Markup {
        let asked = self.body().map(|(kind, body)| match kind {
            "application/json" => &body["schema"]["properties"]["data"]["items"],
            _ => &body["schema"]["contentSchema"],
        });
        html! {
            section id=(self.id()) {
                h3 { a href={"#" (self.id())} { (self.name()) } }
                p.summary { (text(&self.described["summary"])) "." }
                (paragraphs(text(&self.described["description"])))
                @if self.described["security"].is_null() { p { "For everybody, without a key." } }
                (self.parameters())
                pre { code { (self.command()) } }
                @if let Some(asked) = asked {
                    details {
                        summary { "The request, field by field" }
                        (self.schema(asked))
                    }
                }
                @for (status, response) in fields(&self.described["responses"]) { (self.response(status, response)) }
            }
        }
    }

    /// The body that it shows an example of, and of which type that is.
    fn body(&self) -> Option<(&str, &Value)> {
        let mut bodies = fields(&self.described["requestBody"]["content"]);
        let (kind, body) = bodies.find(|(_, body)| body.get("example").is_some())?;
        Some((kind, body))
    }

    fn parameters(&self) -> Markup {
        let named = |parameter: &&Value| parameter.get("name").is_some();
        let parameters: Vec<_> = list(&self.described["parameters"]).iter().filter(named).collect();
        html! {
            @if !parameters.is_empty() {
                table {
                    @for parameter in parameters {
                        tr {
                            th scope="row" { code { (text(&parameter["name"])) } }
                            td { (kind(&parameter["schema"])) @if parameter["required"] == true { ", required" } }
                            td { (words(text(&parameter["description"]))) }
                        }
                    }
                }
            }
        }
    }

    /// The operation as a command to paste.
    fn command(&self) -> String {
        let mut path = self.path.to_owned();
        let mut query = Vec::new();
        for parameter in list(&self.described["parameters"]) {
            let Some(example) = parameter.get("example") else { continue };
            let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            match text(&parameter["in"]) {
                "path" => path = path.replace(&format!("{{{}}}", text(&parameter["name"])), &example),
                _ => query.push(format!("{}={example}", text(&parameter["name"]))),
            }
        }
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let method =
            if self.method == "get" { String::new() } else { format!(" -X {}", self.method.to_uppercase()) };
        let key = if self.described["security"].is_null() { "" } else { " -H \"X-Api-Key: $KEY\"" };
        let body = match self.body() {
            Some(("application/json", body)) => {
                format!(" -H 'Content-Type: application/json' \\\n  -d '{}'", pretty(&body["example"]))
            }
            Some((kind, body)) => {
                format!(" -H 'Content-Type: {kind}' \\\n  --data-binary '{}'", text(&body["example"]))
            }
            None => String::new(),
        };
        format!("curl{method}{key} \"$SERVER{path}{query}\"{body}")
    }

    fn response(&self, status: &str, response: &Value) -> Markup {
        let response = self.resolve(response);
        html! {
            details {
                summary {
                    span.status.{"s" (status.get(..1).unwrap_or_default())} { (status) }
                    " " (words(text(&response["description"])))
                }
                @for (kind, content) in fields(&response["content"]) {
                    @if kind != "application/json" { p { code { (kind) } } }
                    @if let Some(example) = content.get("example") { pre { code { (shown(example)) } } }
                    @for (_, example) in fields(&content["examples"]) {
                        p { (words(text(&example["summary"]))) }
                        pre { code { (shown(&example["value"])) } }
                    }
                    @let schema = &content["schema"];
                    @let element = schema["properties"]["data"].get("items").unwrap_or(schema);
                    @if !status.starts_with(['4', '5']) { (self.schema(element)) }
                }
            }
        }
    }

    /// The fields of an object, one a row; those of objects within it follow.
    fn schema(&self, schema: &Value) -> Markup {
        let schema = self.resolve(schema);
        let required = list(&schema["required"]);
        let is_answer = schema.get("additionalProperties").is_none();
        html! {
            @if schema["properties"].is_object() {
                table {
                    @for (name, field) in fields(&schema["properties"]) {
                        @let resolved = self.within(field);
                        @if field["deprecated"] != true {
                            tr {
                                th scope="row" { code { (name) } }
                                td {
                                    (kind(field))
                                    @if !is_answer && required.iter().any(|one| one == name) { ", required" }
                                }
                                td {
                                    (words(text(&field["description"])))
                                    @if resolved["properties"].is_object() { (self.schema(resolved)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The object that a field holds, or that the list it holds is of.
    fn within<'b>(&'b self, field: &'b Value) -> &'b Value {
        let choice = list(&field["oneOf"]).iter().find(|choice| choice["type"] != "null");
        let field = self.resolve(choice.unwrap_or(field));
        field.get("items").map_or(field, |items| self.resolve(items))
    }

    fn resolve<'b>(&'b self, value: &'b Value) -> &'b Value {
        let target = value.get("$ref").and_then(Value::as_str);
        target.and_then(|target| self.document.pointer(target.trim_start_matches('#'))).unwrap_or(value)
    }
}

/// What values a schema admits, in a word or two.
fn kind(schema: &Value) -> String {
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().map(text).collect::<Vec<_>>().join(" or "),
        Value::String(one) => one.clone(),
        _ if schema["oneOf"].is_array() => "object or null".to_owned(),
        _ if schema.get("$ref").is_some() => "object".to_owned(),
        _ => "any".to_owned(),
    };
    let mut words = vec![types];
    if let Some(choices) = schema["enum"].as_array() {
        words = vec![choices.iter().map(shown).collect::<Vec<_>>().join(", ")];
    }
    for (name, before) in [
        ("minimum", "from "),
        ("maximum", "to "),
        ("minLength", "characters from "),
        ("maxLength", "to "),
        ("maxItems", "at most "),
    ] {
        if let Some(limit) = schema[name].as_f64() {
            words.push(format!("{before}{limit}"));
        }
    }
    if let Some(format) = schema["format"].as_str().filter(|format| *format == "date") {
        words.push(format.to_owned());
    }
    words.join(" ")
}

/// Paragraphs with `code` and **strong** words in them.
fn paragraphs(text: &str) -> Markup {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.is_empty());
    html! { @for paragraph in paragraphs { p { (words(paragraph)) } } }
}

/// A line with `code` and **strong** words in it.
pub fn words(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else {
                @for (j, part) in part.split("**").enumerate() {
                    @if j % 2 == 1 { strong { (part) } } @else { (part) }
                }
            }
        }
    }
}

/// An example: JSON on lines of its own, a text as it is.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| pretty(value), str::to_owned)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_marked_and_nothing_else_gets_through() {
        assert_eq!(words("**a** `b` <c>").into_string(), "<strong>a</strong> <code>b</code> &lt;c&gt;");
    }

    #[test]
    fn kinds_are_said_in_words() {
        for (schema, said) in [
            (
                json!({"type": ["integer", "null"], "minimum": 150, "maximum": 500}),
                "integer or null from 150 to 500",
            ),
            (json!({"type": "string", "enum": ["free", "off"]}), "free, off"),
            (json!({}), "any"),
        ] {
            assert_eq!(kind(&schema), said);
        }
    }
}
