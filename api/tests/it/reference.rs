//! The reference and the server agree: what it shows is taken, what it lists is answered, whom it names may call.

use std::collections::BTreeSet;

use api::openapi::document;
use api::router::routes;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::client::Answer;
use crate::harness::places::MIDDLE;
use crate::world::World;

on_each_database!(
    its_examples_are_answered_as_it_shows,
    who_may_call_is_who_it_says,
    it_is_served_in_two_versions,
    its_pages_stand_alone,
);

/// The taxi that examples tell of.
const TAXI_OF_EXAMPLES: &str = "yCnSfFy";

/// The same, as a search app sees it.
const PSEUDONYM_OF_EXAMPLES: &str = "u3bQ0yVnXw7sZkWlTqPa1g";

/// The account that examples tell of, and its key.
const ACCOUNT_OF_EXAMPLES: (&str, &str) = ("my-taxis", "53e3cb9e-3d07-4f7f-a4b2-31f6a8b1b5d0");

/// The customer that examples tell of: they have hailed before anything is said of them.
const CUSTOMER_OF_EXAMPLES: &str = "customer-1";

/// How old a hail is when it is listed for customer support.
const SETTLED_MS: i64 = 13 * 3_600_000;

/// What describes itself is not shown in its own example.
const DOCUMENTS: [&str; 2] = ["/openapi.json", "/swagger.json"];

/// One operation of the document.
struct Operation {
    method: Method,
    path: String,
    described: Value,
}

fn operations() -> Vec<Operation> {
    let (_, registered) = routes().finish();
    let document = document::of(&registered);
    let one = |registered: &api::openapi::routes::Registered| Operation {
        method: registered.method.to_uppercase().parse().unwrap(),
        path: registered.path.to_owned(),
        described: document["paths"][registered.path][registered.method].clone(),
    };
    registered.iter().map(one).collect()
}

impl Operation {
    /// Asks with the example that the reference shows, as this account; None without a key.
    async fn ask(&self, world: &World, account: Option<&str>, id: &str) -> Answer {
        let mut query = Vec::new();
        let mut path = self.path.clone();
        for parameter in self.described["parameters"].as_array().unwrap() {
            let Some(example) = parameter.get("example") else { continue };
            let name = parameter["name"].as_str().unwrap();
            match parameter["in"].as_str().unwrap() {
                "path" => path = path.replace(&format!("{{{name}}}"), id),
                "query" => query.push(format!("{name}={}", example.to_string().trim_matches('"'))),
                other => panic!("{other}"),
            }
        }
        let url = format!("{}{path}?{}", world.client.base, query.join("&"));
        let request = world.client.http.request(self.method.clone(), url);
        let request = match account {
            Some(account) => request.header("X-Api-Key", world.key(account)),
            None => request,
        };
        if self.described["responses"]["200"]["content"].get("text/event-stream").is_some() {
            // It ends when it likes; its events are told of elsewhere.
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            return Answer { status, headers, body: Value::Null };
        }
        let mut bodies = self.described["requestBody"]["content"].as_object().into_iter().flatten();
        let example = bodies.find_map(|(kind, body)| Some((kind, body.get("example")?)));
        Answer::of(match example {
            Some((kind, example)) => request.header("Content-Type", kind).body(
                example
                    .as_str()
                    .map_or_else(|| example.to_string(), str::to_owned)
                    .replace(TAXI_OF_EXAMPLES, id)
                    .replace(PSEUDONYM_OF_EXAMPLES, id)
                    .replace(ACCOUNT_OF_EXAMPLES.0, "op-a")
                    .replace(ACCOUNT_OF_EXAMPLES.1, world.key("op-a")),
            ),
            None => request,
        })
        .await
        .unwrap()
    }

    fn statuses(&self) -> BTreeSet<u16> {
        self.described["responses"]
            .as_object()
            .unwrap()
            .keys()
            .map(|status| status.parse().unwrap())
            .collect()
    }

    fn roles(&self) -> Option<BTreeSet<&str>> {
        Some(self.described["x-roles"].as_array()?.iter().map(|role| role.as_str().unwrap()).collect())
    }
}

/// Whether two values have the same fields; null and what is empty agree with everything.
pub(crate) fn same_shape(example: &Value, answer: &Value) -> Result<(), String> {
    match (example, answer) {
        (Value::Object(a), Value::Object(b)) if !a.is_empty() && !b.is_empty() => {
            let names = |fields: &Map<String, Value>| fields.keys().cloned().collect::<BTreeSet<_>>();
            if names(a) != names(b) {
                return Err(format!("{:?} is not {:?}", names(a), names(b)));
            }
            a.iter().try_for_each(|(name, value)| {
                same_shape(value, &b[name]).map_err(|why| format!("{name}: {why}"))
            })
        }
        (Value::Array(a), Value::Array(b)) => match (a.first(), b.first()) {
            (Some(a), Some(b)) => same_shape(a, b),
            _ => Ok(()),
        },
        (Value::Null, _)
        | (_, Value::Null)
        | (Value::Object(_), Value::Object(_))
        | (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => Ok(()),
        _ => Err(format!("{example} is of another kind than {answer}")),
    }
}

/// An account that may call, and the id that stands in the path.
fn caller<'a>(operation: &Operation, taxi: &'a str, user: &'a str) -> (Option<&'static str>, &'a str) {
    let id = match operation.path.split('/').nth(1) {
        Some("users") => user,
        Some("operators") => "me",
        Some("customers") => CUSTOMER_OF_EXAMPLES,
        _ => taxi,
    };
    let account = match operation.roles() {
        Some(roles) if roles.contains("operateur") => Some("op-a"),
        Some(roles) if roles.contains("moteur") => Some("app"),
        Some(_) => Some("admin"),
        None if operation.path.starts_with("/webhooks") => Some("app"),
        None => operation.described.get("security").map(|_| "op-a"),
    };
    (account, id)
}

async fn its_examples_are_answered_as_it_shows(world: &mut World) {
    let operations = operations();
    let user = world.number("op-a").to_string();
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, (48.8566, 2.3522)).await;
    // Twice: what is added at first is there then.
    for operation in operations.iter().chain(&operations) {
        let made = match operation.path.as_str() {
            "/hails" => {
                world.free("op-a", &taxi).await;
                None
            }
            "/internal/customers" => {
                world.clock.advance(SETTLED_MS);
                world.place("op-a", &taxi, (48.8566, 2.3522)).await;
                None
            }
            "/hails/{id}/events" => {
                let hail = world.hail("app", &taxi, "op-a").await;
                world.moves("app", &hail, &json!({"status": "declined_by_customer"})).await;
                Some(hail)
            }
            // Every step that an example shows can be taken from there.
            "/hails/{id}" => {
                let hail = world.hail("app", &taxi, "op-a").await;
                world.take("op-a", &hail).await;
                world.moves("op-a", &hail, &json!({"status": "received_by_taxi"})).await;
                Some(hail)
            }
            "/analytics/reports/{name}" => Some("coverage".to_owned()),
            "/opendata/{file}" => Some("hails.schema.json".to_owned()),
            path if path.starts_with("/webhooks/") => Some(webhook(world).await),
            _ => None,
        };
        let (account, id) = caller(operation, &taxi, &user);
        let id = made.as_deref().unwrap_or(id);
        let answer = operation.ask(world, account, id).await;
        let name = format!("{} {}", operation.method, operation.path);
        assert!(answer.status < 300, "{name}: {answer:?}");
        let content = &operation.described["responses"][answer.status.to_string()]["content"];
        if answer.status == 204 {
            assert!(content.is_null() && answer.body.is_null(), "{name}: {answer:?}");
            continue;
        }
        let kind = answer.headers["content-type"].to_str().unwrap().split(';').next().unwrap().to_owned();
        assert!(content.get(&kind).is_some(), "{name} answers {} {kind}, which is not shown", answer.status);
        if kind == "application/json" && !DOCUMENTS.contains(&operation.path.as_str()) {
            let same = same_shape(&content[&kind]["example"], &answer.body);
            assert_eq!(same, Ok(()), "{name}: {}", answer.body);
        }
    }
}

/// A webhook of the app's, made where there is none.
async fn webhook(world: &World) -> String {
    let mut webhooks = world.client.get(world.key("app"), "/webhooks").await.body["data"].take();
    if webhooks[0].is_null() {
        let url = json!({"url": "https://192.0.2.1/"});
        webhooks = json!([world.client.post(world.key("app"), "/webhooks", &url).await.element(201)]);
    }
    webhooks[0]["id"].as_str().unwrap().to_owned()
}

async fn who_may_call_is_who_it_says(world: &mut World) {
    for operation in operations() {
        let name = format!("{} {}", operation.method, operation.path);
        let statuses = operation.statuses();
        for (account, role) in [("admin", "admin"), ("app", "moteur"), ("op-a", "operateur")] {
            let answer = operation.ask(world, Some(account), "0").await;
            assert!(statuses.contains(&answer.status), "{name} as {role}: {answer:?}");
            if let Some(roles) = operation.roles() {
                assert_eq!(answer.status == 403, !roles.contains(role), "{name} as {role}: {answer:?}");
            }
        }
        let answer = operation.ask(world, None, "0").await;
        let needs_key = operation.described.get("security").is_some();
        assert_eq!(answer.status == 401, needs_key, "{name} without a key: {answer:?}");
        assert!(statuses.contains(&answer.status), "{name}: {answer:?}");
    }
}

async fn it_is_served_in_two_versions(world: &mut World) {
    for (path, version) in [("/openapi.json", "3.1.0"), ("/swagger.json", "3.0.3")] {
        let answer = world.client.get("", path).await;
        assert_eq!((answer.status, &answer.body["openapi"]), (200, &json!(version)));
        let mut references = BTreeSet::new();
        gather(&answer.body, &mut references);
        assert!(references.len() > 10, "{references:?}");
        for reference in references {
            assert!(answer.body.pointer(reference.trim_start_matches('#')).is_some(), "{path}: {reference}");
        }
        let text = answer.body.to_string();
        assert_eq!(text.contains(r#","null"]"#), version == "3.1.0", "{path}");
    }
}

/// Every reference within a document.
fn gather(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| gather(element, references)),
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                references.insert(reference.clone());
            }
            fields.values().for_each(|field| gather(field, references));
        }
        _ => {}
    }
}

/// A browser that opens a page loads nothing else, and what is not ours in it stays text.
async fn its_pages_stand_alone(world: &mut World) {
    for (path, language) in [("/", "fr"), ("/doc", "en"), ("/doc/", "en")] {
        let response = world.client.http.get(format!("{}{path}", world.client.base)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8", "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        let page = response.text().await.unwrap();
        assert!(page.contains(&format!("<html lang=\"{language}\">")), "{path}");
        for loaded in
            ["<script", "<link", "<img", "<iframe", "url(", "@import", "style=", "http://", "https://"]
        {
            // The reference's own examples name some.
            let named = ["https://example.org/", "https://192.0.2.1/"].map(|url| page.matches(url).count());
            let examples = named.iter().sum();
            let expected = if loaded == "https://" { examples } else { 0 };
            assert_eq!(page.matches(loaded).count(), expected, "{path} has {loaded}");
        }
    }
    let page = world.client.http.get(format!("{}/doc", world.client.base)).send().await.unwrap();
    let page = page.text().await.unwrap();
    for operation in operations() {
        let id = operation.described["operationId"].as_str().unwrap();
        assert_eq!(page.matches(&format!("<section id=\"{id}\">")).count(), 1, "{id}");
    }
}
