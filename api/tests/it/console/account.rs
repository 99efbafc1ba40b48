//! « Mon compte ».

use api::passwords::TRIES_MAX;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Browser, HOSTILE, PASSWORD, Page};
use crate::world::World;

on_each_database!(
    hails_are_sent_where_the_page_says,
    a_trial_call_tells_what_came_of_it,
    a_key_is_shown_once_and_the_old_one_is_refused,
    a_key_is_made_by_who_knows_the_password_and_once_a_form,
    an_administrator_makes_a_key_with_its_own_password,
    a_password_is_changed_by_who_knows_it,
    names_of_html_are_text,
);

const PAGE: &str = "/console/account";
const ENDPOINT: &str = "/console/account/endpoint";
const KEY: &str = "/console/account/key";

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
    let page = browser.get(PAGE).await;
    page.says("name=\"operator_api_key\" type=\"password\" autocomplete=\"new-password\"");
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
    page.says("Retirer la valeur").says("name=\"remove_secret\"");
    set(&[
        ("hail_endpoint_production", public),
        ("operator_header_name", "X-Other"),
        ("operator_api_key", ""),
        ("remove_secret", "1"),
    ])
    .await
    .says("Aucune n’est enregistrée");
    assert_eq!(account().await["operator_api_key"], json!(""));
    let page = browser.get(PAGE).await;
    assert!(!page.html.contains("Retirer la valeur"), "nothing is left to remove: {page:?}");
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
    let rotated = rotate(&browser, PASSWORD).await;
    let (_, rest) = rotated.says("ne sera plus montrée").html.split_once("id=\"key\">").unwrap();
    let key = rest.split('<').next().unwrap();
    assert_eq!(world.client.get(&old, "/taxis/all").await.status, 401);
    assert_eq!(world.client.get(key, "/taxis/all").await.status, 200);
    let page = browser.get(PAGE).await;
    assert!(page.status == 200 && !page.html.contains(key), "{page:?}");
    let logged = world.client.get(world.key("admin"), "/activity_logs?action=apikey_rotated").await;
    assert_eq!(logged.body["data"][0]["extra"], json!({"user_id": world.number("op-a")}));
}

/// Asks for a fresh key in the form of the page as it is now.
async fn rotate(browser: &Browser, password: &str) -> Page {
    let version = version(&browser.get(PAGE).await);
    browser.post(PAGE, KEY, &[("version", &version), ("current", password)]).await
}

/// The version of the account that a page's form is of.
fn version(page: &Page) -> String {
    let (_, rest) = page.says("name=\"version\"").html.split_once("name=\"version\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

async fn a_key_is_made_by_who_knows_the_password_and_once_a_form(world: &mut World) {
    let browser = Browser::of(world, "op-a").await;
    let old = world.key("op-a").to_owned();
    let status = async |key: &str| world.client.get(key, "/taxis/all").await.status;
    for password in ["", "wrong horse"] {
        rotate(&browser, password).await.says("mot de passe actuel est incorrect");
    }
    let without = browser.post(PAGE, KEY, &[("current", PASSWORD)]).await;
    assert_eq!(without.status, 403, "{without:?}");
    assert_eq!(status(&old).await, 200);
    // The page of the new key is loaded again: the browser sends the form again.
    let first = version(&browser.get(PAGE).await);
    let fields = [("version", first.as_str()), ("current", PASSWORD)];
    let made = browser.post(PAGE, KEY, &fields).await;
    let (_, rest) = made.says("ne sera plus montrée").html.split_once("id=\"key\">").unwrap();
    let key = rest.split('<').next().unwrap();
    let again = browser.post(PAGE, KEY, &fields).await;
    assert!(again.status == 403 && again.html.contains("Formulaire refusé"), "{again:?}");
    assert_eq!((status(&old).await, status(key).await), (401, 200));
    // The form beside the new key is a new one.
    assert_ne!(version(&made), first);
    for _ in 0..TRIES_MAX {
        rotate(&browser, "wrong horse").await.says("incorrect");
    }
    assert_eq!(rotate(&browser, PASSWORD).await.status, 429);
    assert_eq!(status(key).await, 200);
}

async fn an_administrator_makes_a_key_with_its_own_password(world: &mut World) {
    let path = format!("/users/{}", world.number("op-a"));
    world.client.put(world.key("op-a"), &path, &json!({"password": "another horse"})).await.element(200);
    let admin = Browser::of(world, "admin").await;
    let number = world.number("op-a").to_string();
    admin.post("/console", "/console/act-as", &[("account", &number)]).await;
    rotate(&admin, "another horse").await.says("incorrect").says("Votre propre mot de passe");
    assert_eq!(world.client.get(world.key("op-a"), "/taxis/all").await.status, 200);
    rotate(&admin, PASSWORD).await.says("ne sera plus montrée");
    assert_eq!(world.client.get(world.key("op-a"), "/taxis/all").await.status, 401);
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
