//! The contract's shape of answers, whatever comes in.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::{Answer, parts};
use crate::harness::places::MIDDLE;
use crate::world::World;

on_each_database!(
    a_body_is_json_and_small,
    a_path_answers_with_and_without_its_slash,
    a_wrong_method_is_told_the_right_ones,
    browsers_of_any_origin_may_ask,
    a_key_is_needed_and_a_role,
    no_text_breaks_the_database,
);

const WRONG_TYPE: &str = "POST requests require to set the Content-Type header to application/json";
const NOT_JSON: &str = "No data provided, or data is not valid JSON.";

async fn a_body_is_json_and_small(world: &mut World) {
    let client = &world.client;
    let post = async |path: &str, kind: &str, body: String| {
        let request = client.http.post(format!("{}{path}", client.base));
        let request = request.header("X-Api-Key", world.key("op-a")).body(body);
        Answer::of(if kind.is_empty() { request } else { request.header("Content-Type", kind) })
            .await
            .unwrap()
    };
    let whole = |message: &str| json!({"errors": {"": [message]}});
    // Before the path, the key and the role are looked at.
    for path in ["/nowhere", "/taxis", "/taxis/x/y"] {
        let answer = post(path, "text/plain", "x".to_owned()).await;
        assert_eq!((answer.status, answer.body), (400, whole(WRONG_TYPE)), "{path}");
        let answer = post(path, "application/json", "{".to_owned()).await;
        assert_eq!((answer.status, answer.body), (400, whole(NOT_JSON)), "{path}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(post("/ads", "application/json", deep).await.body, whole(NOT_JSON));
    assert_eq!(post("/ads", "application/json", r#""\ud800""#.to_owned()).await.body, whole(NOT_JSON));
    let plain = post("/ads", "", "[]".to_owned()).await;
    assert_eq!(plain.body, json!({"errors": {"_schema": ["Invalid input type."]}}), "no type counts as JSON");
    let charset = post("/ads", "application/json; charset=utf-8", "{}".to_owned()).await;
    assert_eq!(charset.body, json!({"errors": {"data": ["Missing data for required field."]}}));

    let padded = |size: usize| format!("{{}}{}", " ".repeat(size - 2));
    assert_eq!(post("/ads", "application/json", padded(1 << 20)).await.status, 400, "just small enough");
    for size in [(1 << 20) + 1, 8 << 20] {
        let answer = post("/ads", "application/json", padded(size)).await;
        let message = "The body of a request may not exceed 1048576 bytes.";
        assert_eq!((answer.status, answer.body), (413, whole(message)), "{size}");
    }
}

async fn a_path_answers_with_and_without_its_slash(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let one = (format!("/taxis/{taxi}"), format!("/taxis/{taxi}/"));
    let all = ("/taxis/all?p=1".to_owned(), "/taxis/all/?p=1".to_owned());
    for (without, with) in [one, all] {
        let answer = world.client.get(world.key("op-a"), &without).await;
        let same = world.client.get(world.key("op-a"), &with).await;
        assert_eq!((answer.status, answer.body), (200, same.body), "{without}");
    }
    for path in ["/drivers", "/drivers/"] {
        let [(_, driver), ..] = parts(1, MIDDLE);
        assert_eq!(world.client.post(world.key("op-a"), path, &driver).await.status, 200);
    }
    for path in ["/nowhere", "/taxis/a/b"] {
        let answer = world.client.get(world.key("op-a"), path).await;
        let unknown = json!({"errors": {"url": ["API endpoint not found."]}});
        assert_eq!((answer.status, answer.body), (404, unknown), "{path}");
    }
}

async fn a_wrong_method_is_told_the_right_ones(world: &mut World) {
    let wrong = [
        (Method::DELETE, "/taxis", "GET, HEAD, OPTIONS, POST"),
        (Method::GET, "/drivers", "OPTIONS, POST"),
        (Method::PUT, "/geotaxi/", "OPTIONS, POST"),
        (Method::POST, "/taxis/x", "GET, HEAD, OPTIONS, PUT"),
        (Method::PATCH, "/users/1", "GET, HEAD, OPTIONS, PUT"),
    ];
    for (method, path, right) in wrong {
        let answer = world.client.ask(method.clone(), path, "", Some(&json!({}))).await.unwrap();
        let told =
            json!({"errors": {"url": [format!("This endpoint only accepts requests of type: {right}.")]}});
        assert_eq!((answer.status, answer.body), (405, told), "{method} {path}");
        assert!(answer.headers.contains_key("allow"), "{method} {path}");
    }
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let head =
        world.client.ask(Method::HEAD, &format!("/taxis/{taxi}"), world.key("op-a"), None).await.unwrap();
    assert_eq!((head.status, head.body), (200, Value::Null));
    assert_eq!(head.headers["content-type"], "application/json");
    assert_eq!(world.client.ask(Method::HEAD, "/taxis/x", "", None).await.unwrap().status, 401);
}

async fn browsers_of_any_origin_may_ask(world: &mut World) {
    let client = &world.client;
    let preflight = client
        .http
        .request(Method::OPTIONS, format!("{}/taxis", client.base))
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "x-api-key");
    let answer = Answer::of(preflight).await.unwrap();
    assert_eq!(answer.status, 200);
    for header in
        ["access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"]
    {
        assert_eq!(answer.headers[header], "*", "{header}");
    }
    // Errors too, or a page could not read why.
    for path in ["/taxis?lon=x", "/nowhere", "/health/live"] {
        let request =
            client.http.get(format!("{}{path}", client.base)).header("Origin", "https://app.example");
        let answer = Answer::of(request.header("X-Api-Key", world.key("app"))).await.unwrap();
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
    }
}

async fn a_key_is_needed_and_a_role(world: &mut World) {
    let told = |message: &str| json!({"errors": {"": [message]}});
    let ask = async |headers: &[(&str, &str)]| {
        let request = world.client.http.get(format!("{}/taxis/all", world.client.base));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = Answer::of(request).await.unwrap();
        (answer.status, answer.body)
    };
    let (admin, operator, app) = (world.key("admin"), world.key("op-a"), world.key("app"));
    assert_eq!(ask(&[]).await, (401, told("Header X-Api-Key required.")));
    for wrong in ["", "wrong", "é"] {
        assert_eq!(ask(&[("X-Api-Key", wrong)]).await, (401, told("Header X-Api-Key not valid.")));
    }
    let not_enough = told("You do not have enough permissions to access this ressource.");
    assert_eq!(ask(&[("X-Api-Key", app)]).await, (403, not_enough));
    assert_eq!(ask(&[("X-Api-Key", operator)]).await.0, 200);
    assert_eq!(ask(&[("X-Api-Key", admin), ("X-Logas", "op-a")]).await.0, 200);
    assert_eq!(ask(&[("X-Api-Key", operator), ("X-Logas", "op-a")]).await.0, 200);
    assert_eq!(ask(&[("X-Api-Key", operator), ("X-Logas", "")]).await.0, 200);
    for other in ["op-b", "admin", "nobody"] {
        let refused = told("Header X-Api-Key and/or X-Logas not valid.");
        assert_eq!(ask(&[("X-Api-Key", operator), ("X-Logas", other)]).await, (401, refused));
    }
}

/// Texts that one of the two databases would not keep, and those that look like something else.
async fn no_text_breaks_the_database(world: &mut World) {
    let key = world.key("op-a");
    let texts =
        ["\0", "a\0b", "'; DROP TABLE taxis; --", "%_\\", "\u{feff}", "🚕", "\u{202e}", &"x".repeat(10_000)];
    for text in texts {
        let driver = json!({"first_name": text, "last_name": text, "professional_licence": text,
                            "birth_date": null, "departement": {"numero": "75"}});
        let driver = world.client.post(key, "/drivers", &driver).await;
        let vehicle = json!({"licence_plate": format!("{text:7.7}"), "model": text, "color": text});
        let vehicle = world.client.post(key, "/vehicles", &vehicle).await;
        let ads = json!({"insee": text, "numero": text});
        let ads = world.client.post(key, "/ads", &ads).await;
        let part = json!({"insee": text, "numero": text, "licence_plate": format!("{text:7.7}"),
                          "professional_licence": text, "departement": "75"});
        let taxi = json!({"ads": part, "vehicle": part, "driver": part});
        let taxi = world.client.post(key, "/taxis", &taxi).await;
        let encoded = text.bytes().take(100).fold(String::new(), |all, byte| format!("{all}%{byte:02x}"));
        let one = world.client.get(key, &format!("/taxis/{encoded}")).await;
        let list = world.client.get(key, &format!("/taxis/all?id={encoded}&licence_plate={encoded}")).await;
        let position = json!({"positions": [{"taxi_id": text, "lon": 2.3, "lat": 48.8}]});
        let position = world.client.post(key, "/geotaxi/", &position).await;
        for answer in [driver, vehicle, ads, taxi, one, list, position] {
            assert!(answer.status < 500, "{text:?}: {answer:?}");
            assert!(answer.body["data"].is_array() || answer.body["errors"].is_object(), "{answer:?}");
        }
    }
    let page = world.client.get(key, "/taxis/all?p=2147483647").await;
    assert_eq!((page.status, &page.body["data"]), (200, &json!([])));
    world.register("op-a", 1, MIDDLE).await;
}
