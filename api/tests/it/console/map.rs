//! The map: what everybody sees of it, and who sees taxis.

use api::limits::SESSION_LASTS;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Browser, PASSWORD};
use crate::events::Stream;
use crate::harness::places::MIDDLE;
use crate::harness::wait::SOON;
use crate::world::World;

on_each_database!(
    everybody_sees_places_and_nobody_taxis,
    who_may_ask_for_taxis_sees_them_move_until_the_session_ends,
    a_stream_ends_with_the_password_that_it_began_with,
    a_stream_ends_after_twelve_hours,
    a_stream_ends_when_its_session_acts_for_another_or_no_longer,
    a_customers_view_is_told_check_by_check,
    the_tiles_host_is_the_one_that_is_asked_for_more,
);

const HERE: (f64, f64) = (48.8566, 2.3522);
const WINDOW: &str = "bbox=2.30,48.80,2.40,48.90";

async fn everybody_sees_places_and_nobody_taxis(world: &mut World) {
    let nobody = Browser::new(world);
    let page = nobody.get("/console/map").await;
    page.says("Zone d’exclusion").says("data-lat=");
    assert!(!page.html.contains("data-live") && !page.html.contains("Un client le verrait-il"), "{page:?}");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.ends_with("; worker-src blob:") && !policy.contains("unsafe"), "{policy}");
    let elsewhere = nobody.get("/console/login").await;
    assert!(!elsewhere.headers["content-security-policy"].to_str().unwrap().contains("blob:"));

    let places: Value =
        serde_json::from_str(&nobody.get(&format!("/console/map/places?{WINDOW}")).await.html).unwrap();
    let features = places["features"].as_array().unwrap();
    let of_kind = |kind: &str| features.iter().filter(|one| one["properties"]["kind"] == kind).count();
    // The neighbours share borders with the window.
    assert_eq!((of_kind("town"), of_kind("exclusion")), (3, 1), "{places}");
    let far: Value =
        serde_json::from_str(&nobody.get("/console/map/places?bbox=5,45,5.5,45.5").await.html).unwrap();
    assert_eq!(far["features"].as_array().unwrap().len(), 0, "{far}");
    assert_eq!(nobody.get("/console/map/places?bbox=0,40,9,49").await.status, 400);

    let live = nobody.get(&format!("/console/map/live?{WINDOW}")).await;
    assert_eq!(live.location().split('?').next(), Some("/console/login"));
    let app = Browser::of(world, "app").await;
    assert!(!app.get("/console/map").await.says("Carte").html.contains("data-live"));
    assert_eq!(app.get(&format!("/console/map/live?{WINDOW}")).await.status, 403);
}

async fn who_may_ask_for_taxis_sees_them_move_until_the_session_ends(world: &mut World) {
    let own = world.register("op-a", 1, MIDDLE).await;
    let other = world.register("op-b", 2, MIDDLE).await;
    for (operator, taxi) in [("op-a", &own), ("op-b", &other)] {
        world.place(operator, taxi, HERE).await;
    }
    for (account, mut sees) in [("admin", vec![&own, &other]), ("op-a", vec![&own])] {
        let browser = Browser::of(world, account).await;
        let page = browser.get("/console/map").await;
        page.says("data-live=\"/console/map/live\"");
        assert_eq!(page.html.contains("id=\"operator\""), account == "admin", "{page:?}");
        let mut stream = live(&browser).await;
        let told = stream.next("snapshot").await.data;
        let mut told: Vec<_> = told["taxis"].as_array().unwrap().iter().map(|taxi| &taxi["taxi"]).collect();
        told.sort_by_key(|id| id.as_str());
        sees.sort();
        assert_eq!(told, sees, "{account}");

        browser.post("/console", "/console/logout", &[]).await;
        ends(stream).await;
    }
}

/// The stream of a browser.
async fn live(browser: &Browser) -> Stream {
    let answer = browser.request(Method::GET, &format!("/console/map/live?{WINDOW}")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    Stream::of(answer)
}

async fn ends(mut stream: Stream) {
    let ended = async { while stream.block().await.is_some() {} };
    timeout(SOON, ended).await.expect("a stream ends with its session");
}

/// That a stream goes on: it tells of a taxi that moves.
async fn goes_on(world: &World, stream: &mut Stream, taxi: &str, at: (f64, f64)) {
    world.clock.advance(1_000);
    world.place("op-a", taxi, at).await;
    let moved = stream.next("changes").await.data;
    assert_eq!(moved["moved"][0]["taxi"], taxi, "{moved}");
}

async fn a_stream_ends_with_the_password_that_it_began_with(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, HERE).await;
    let (own, admin) = (Browser::of(world, "op-a").await, Browser::of(world, "admin").await);
    let (stream, mut other) = (live(&own).await, live(&admin).await);
    other.next("snapshot").await;
    let path = format!("/users/{}", world.number("op-a"));
    world.client.put(world.key("op-a"), &path, &json!({"password": "another horse"})).await.element(200);
    ends(stream).await;
    goes_on(world, &mut other, &taxi, (48.857, 2.353)).await;
}

async fn a_stream_ends_after_twelve_hours(world: &mut World) {
    let early = Browser::of(world, "admin").await;
    let lasts_ms = i64::try_from(SESSION_LASTS.as_millis()).unwrap();
    world.clock.advance(lasts_ms - 1);
    let mut late = Browser::new(world);
    late.log_in("admin", PASSWORD).await;
    let (stream, mut other) = (live(&early).await, live(&late).await);
    let taxi = world.register("op-a", 1, MIDDLE).await;
    other.next("snapshot").await;
    world.clock.advance(1);
    ends(stream).await;
    goes_on(world, &mut other, &taxi, HERE).await;
}

async fn a_stream_ends_when_its_session_acts_for_another_or_no_longer(world: &mut World) {
    let admin = Browser::of(world, "admin").await;
    let elsewhere = {
        let mut browser = Browser::new(world);
        browser.log_in("admin", PASSWORD).await;
        browser
    };
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let (stream, mut other) = (live(&admin).await, live(&elsewhere).await);
    other.next("snapshot").await;
    let number = world.number("op-a").to_string();
    admin.post("/console/act-as", "/console/act-as", &[("account", &number)]).await;
    // What an administrator saw is not shown on under an operator's name, nor what that saw afterwards.
    ends(stream).await;
    let stream = live(&admin).await;
    admin.post("/console", "/console/act-as/end", &[]).await;
    ends(stream).await;
    goes_on(world, &mut other, &taxi, HERE).await;
}

async fn a_customers_view_is_told_check_by_check(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, HERE).await;
    world.free("op-a", &taxi).await;
    let ask = |lat: f64, lon: f64| format!("/console/map?taxi={taxi}&lat={lat}&lon={lon}");
    let browser = Browser::of(world, "op-a").await;
    let near = browser.get(&ask(HERE.0, HERE.1)).await;
    near.says("est proposé à un client à cet endroit").says("À 0 m");
    assert!(!near.html.contains("data-passed=\"false\""), "{near:?}");
    let excluded = browser.get(&ask(48.865, 2.365)).await;
    excluded.says("n’est pas proposé").says("Zone « Airport »").says("data-passed=\"false\"");
    browser.get(&ask(0.0, 0.0)).await.says("n’est pas proposé");
    for wrong in ["/console/map?taxi=nowhere&lat=48&lon=2", "/console/map?taxi=x&lat=a&lon=%3Cb%3E"] {
        let page = browser.get(wrong).await;
        page.says("n’est pas des vôtres");
        assert!(!page.html.contains("<b>"), "{page:?}");
    }
    // Of somebody else's taxi nothing is told.
    let other = Browser::of(world, "op-b").await;
    other.get(&ask(HERE.0, HERE.1)).await.says("n’est pas des vôtres");
}

async fn the_tiles_host_is_the_one_that_is_asked_for_more(world: &mut World) {
    world.stop().await;
    let tiles = "https://tiles.example/{z}/{x}/{y}.png © <b>Some One</b>".parse().unwrap();
    world.start_as(|config| config.behaviour.tiles = Some(tiles)).await;
    let nobody = Browser::new(world);
    let page = nobody.get("/console/map").await;
    page.says("data-tiles=\"https://tiles.example/{z}/{x}/{y}.png\"").says("© &lt;b&gt;Some One");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    for directive in
        ["connect-src 'self' https://tiles.example;", "img-src 'self' data: https://tiles.example;"]
    {
        assert!(policy.contains(directive), "{policy}");
    }
    let home = nobody.get("/console").await;
    assert!(!home.headers["content-security-policy"].to_str().unwrap().contains("tiles.example"));
}
