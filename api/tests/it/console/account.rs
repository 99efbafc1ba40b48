//! « Mon compte ».

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Browser, HOSTILE, PASSWORD};
use crate::world::World;

on_each_database!(
    hails_are_sent_where_the_page_says,
    a_trial_call_tells_what_came_of_it,
    a_key_is_shown_once_and_the_old_one_is_refused,
    a_password_is_changed_by_who_knows_it,
    names_of_html_are_text,
);

const PAGE: &str = "/console/account";
const ENDPOINT: &str = "/console/account/endpoint";

async fn hails_are_sent_where_the_page_says(world: &mut World) {
    let browser = Browser::of(world, "op-a").await;
    let set = async |fields: &[(&str, &str)]| browser.post(PAGE, ENDPOINT, fields).await;
    let account = async || {
        let path = format!("/users/{}", world.number("op-a"));
        world.client.get(world.key("op-a"), &path).await.element(200)
    };
    let public = "https://8.8.8.8/hails";
    set(&[
        ("hail_endpoint_production", public),
        ("operator_header_name", "X-Secret"),
        ("operator_api_key", "open sesame"),
    ])
    .await
    .says("enregistrés")
    .says(public);
    let page = browser.get(PAGE).await;
    assert!(!page.html.contains("open sesame"), "a secret is not shown: {page:?}");
    set(&[
        ("hail_endpoint_production", public),
        ("operator_header_name", "X-Other"),
        ("operator_api_key", ""),
    ])
    .await;
    let now = account().await;
    assert_eq!(
        (&now["operator_header_name"], &now["operator_api_key"]),
        (&json!("X-Other"), &json!("open sesame"))
    );
    for (endpoint, header, why) in [
        ("http://127.0.0.1:9/", "X-Other", "Cette adresse ne peut pas être appelée"),
        (public, "X: Y", "Ce nom d’en-tête n’est pas valable"),
    ] {
        let refused = set(&[("hail_endpoint_production", endpoint), ("operator_header_name", header)]).await;
        assert!(refused.status == 400 && refused.html.contains(why), "{refused:?}");
    }
    assert_eq!(account().await, now);
    // An app has no hails sent to it.
    let app = Browser::of(world, "app").await.get(PAGE).await;
    assert!(app.status == 200 && !app.html.contains("Réception des courses"), "{app:?}");
}

async fn a_trial_call_tells_what_came_of_it(world: &mut World) {
    world.stop().await;
    world.start_as(|config| config.behaviour.private_endpoints = true).await;
    let browser = Browser::of(world, "op-a").await;
    let trial = async || browser.post(PAGE, "/console/account/trial", &[]).await;
    trial().await.says("Enregistrez d’abord");

    let (heard, mut hears) = mpsc::channel(4);
    let answer = |headers: HeaderMap, body: String| async move {
        heard.send((headers, body)).await.unwrap();
        "{}"
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/good", post(answer)).route("/words", post(|| async { "hello" }));
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
    let set = async |path: &str| {
        let url = format!("{url}{path}");
        let fields = [
            ("hail_endpoint_production", &*url),
            ("operator_header_name", "X-Secret"),
            ("operator_api_key", "s"),
        ];
        browser.post(PAGE, ENDPOINT, &fields).await.says("enregistrés");
    };
    set("/good").await;
    trial().await.says("L’appel d’essai a réussi : réponse 200");
    let (headers, body) = hears.recv().await.unwrap();
    assert_eq!(headers["x-secret"], "s");
    assert!(headers.contains_key("x-maraude-signature"), "{headers:?}");
    let hail: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&hail["data"][0]["id"], &hail["data"][0]["status"]), (&json!("exemple"), &json!("received")));
    set("/words").await;
    trial().await.says("mais pas en JSON");
    set("/nowhere").await;
    trial().await.says("a répondu 404");
    serving.abort();
    let _ = serving.await;
    trial().await.says("aucun serveur n’écoute");
}

async fn a_key_is_shown_once_and_the_old_one_is_refused(world: &mut World) {
    let browser = Browser::of(world, "op-a").await;
    let old = world.key("op-a").to_owned();
    let page = browser.get(PAGE).await;
    assert!(!page.html.contains(&old), "{page:?}");
    let rotated = browser.post(PAGE, "/console/account/key", &[]).await;
    let (_, rest) = rotated.says("ne sera plus montrée").html.split_once("id=\"key\">").unwrap();
    let key = rest.split('<').next().unwrap();
    assert_eq!(world.client.get(&old, "/taxis/all").await.status, 401);
    assert_eq!(world.client.get(key, "/taxis/all").await.status, 200);
    let page = browser.get(PAGE).await;
    assert!(page.status == 200 && !page.html.contains(key), "{page:?}");
    let logged = world.client.get(world.key("admin"), "/activity_logs?action=apikey_rotated").await;
    assert_eq!(logged.body["data"][0]["extra"], json!({"user_id": world.number("op-a")}));
}

async fn a_password_is_changed_by_who_knows_it(world: &mut World) {
    let browser = Browser::of(world, "op-a").await;
    let change = async |old, new, again| {
        let fields = [("old", old), ("new", new), ("again", again)];
        browser.post(PAGE, "/console/account/password", &fields).await
    };
    change("wrong horse", "another horse", "another horse").await.says("mot de passe actuel est incorrect");
    change(PASSWORD, "another horse", "another house").await.says("diffèrent");
    change(PASSWORD, "", "").await.says("vide");
    let short = change(PASSWORD, "short", "short").await;
    assert!(short.status == 400 && short.html.contains("au moins 8 caractères"), "{short:?}");
    assert!(browser.is_known().await);
    let changed = change(PASSWORD, "another horse", "another horse").await;
    assert_eq!(changed.location(), "/console/login?changed=1");
    assert!(!browser.is_known().await);
    let mut again = Browser::new(world);
    assert_eq!(again.log_in("op-a", PASSWORD).await.status, 401);
    assert_eq!(again.log_in("op-a", "another horse").await.location(), "/console");
}

async fn names_of_html_are_text(world: &mut World) {
    let path = format!("/users/{}", world.number("op-a"));
    world.client.put(world.key("op-a"), &path, &json!({"name": HOSTILE})).await.element(200);
    let browser = Browser::of(world, "op-a").await;
    browser.get(PAGE).await.shows_html_as_text();
    browser.get("/console").await.shows_html_as_text();
}
