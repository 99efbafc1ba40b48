//! Streams of the map from end to end: who is in the window, what changes there, and to whom it is told.

use api::limits::{Http, LIVE_EVERY, LIVE_STREAMS_AN_ACCOUNT};
use api::router;
use axum::body::Body;
use axum::extract::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::events::{Stream, Told};
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    a_window_tells_who_is_there_then_what_changes,
    an_operator_sees_its_own_taxis_alone,
    who_reads_too_slowly_is_told_so_and_begins_anew,
    a_window_with_too_many_taxis_is_refused_and_a_stream_of_it_ends,
    who_crosses_from_tile_to_tile_is_not_gone,
    windows_and_roles_are_checked,
    one_account_leaves_room_for_others,
);

const WINDOW: &str = "/live?bbox=2.30,48.80,2.40,48.90";
const HERE: (f64, f64) = (48.8566, 2.3522);
const NEAR: (f64, f64) = (48.86, 2.36);
const OUTSIDE: (f64, f64) = (48.8566, 2.41);

async fn taxi(world: &World, operator: &str, number: u32, at: (f64, f64)) -> String {
    let taxi = world.register(operator, number, MIDDLE).await;
    world.place(operator, &taxi, at).await;
    taxi
}

async fn open(world: &World, account: &str) -> Stream {
    let mut stream = Stream::begin(&world.client, world.key(account), WINDOW, None).await;
    assert_eq!(stream.block().await, Some(Told::default()), "when to come back");
    stream
}

/// The ids of those told under a name, in order.
fn ids(told: &Told, name: &str) -> Vec<String> {
    let mut ids: Vec<_> = told.data[name].as_array().unwrap().iter().map(id).collect();
    ids.sort_unstable();
    ids
}

fn id(taxi: &Value) -> String {
    taxi["taxi"].as_str().unwrap().to_owned()
}

fn sorted(mut ids: Vec<&str>) -> Vec<String> {
    ids.sort_unstable();
    ids.into_iter().map(str::to_owned).collect()
}

async fn a_window_tells_who_is_there_then_what_changes(world: &mut World) {
    let [a, b] = [taxi(world, "op-a", 1, HERE).await, taxi(world, "op-b", 2, OUTSIDE).await];
    let mut stream = open(world, "admin").await;
    let snapshot = stream.next("snapshot").await;
    let shown = json!({"taxi": a, "operator": "op-a", "status": "free", "lat": HERE.0, "lon": HERE.1,
                       "last_update": world.clock.now().seconds()});
    assert_eq!(snapshot.data, json!({"taxis": [shown]}));

    world.clock.advance(5_000);
    world.place("op-a", &a, NEAR).await;
    let moved = stream.next("changes").await.data;
    let shown = json!({"taxi": a, "operator": "op-a", "status": "free", "lat": NEAR.0, "lon": NEAR.1,
                       "last_update": world.clock.now().seconds()});
    assert_eq!(moved, json!({"moved": [shown], "gone": []}));

    let path = format!("/taxis/{a}");
    world.client.put(world.key("op-a"), &path, &json!({"status": "occupied"})).await.element(200);
    assert_eq!(stream.next("changes").await.data["moved"][0]["status"], "occupied");

    world.clock.advance(5_000);
    world.place("op-b", &b, HERE).await;
    let came = stream.next("changes").await;
    assert_eq!((ids(&came, "moved"), ids(&came, "gone")), (vec![b.clone()], vec![]));

    world.clock.advance(5_000);
    world.place("op-b", &b, OUTSIDE).await;
    let left = stream.next("changes").await.data;
    assert_eq!(left, json!({"moved": [], "gone": [{"taxi": b, "operator": "op-b"}]}));

    world.clock.advance(120_000);
    let silent = stream.next("changes").await.data;
    assert_eq!(silent, json!({"moved": [], "gone": [{"taxi": a, "operator": "op-a"}]}));

    world.place("op-a", &a, NEAR).await;
    assert_eq!(ids(&stream.next("changes").await, "moved"), [a]);
    let account = format!("/users/{}", world.number("admin"));
    world.client.put(world.key("admin"), &account, &json!({"name": "Another"})).await.element(200);
    assert_eq!(stream.block().await, None, "whoever is not who he was hears nothing more");
}

async fn an_operator_sees_its_own_taxis_alone(world: &mut World) {
    let [a, b] = [taxi(world, "op-a", 1, HERE).await, taxi(world, "op-b", 2, HERE).await];
    let mut everybody = open(world, "admin").await;
    let mut own = open(world, "op-a").await;
    assert_eq!(ids(&everybody.next("snapshot").await, "taxis"), sorted(vec![&a, &b]));
    assert_eq!(ids(&own.next("snapshot").await, "taxis"), sorted(vec![&a]));
    world.clock.advance(1_000);
    world.place("op-b", &b, NEAR).await;
    assert_eq!(ids(&everybody.next("changes").await, "moved"), sorted(vec![&b]));
    world.clock.advance(1_000);
    world.place("op-a", &a, NEAR).await;
    assert_eq!(ids(&own.next("changes").await, "moved"), sorted(vec![&a]), "nothing of others before");
}

async fn who_reads_too_slowly_is_told_so_and_begins_anew(world: &mut World) {
    let a = taxi(world, "op-a", 1, HERE).await;
    // Without a connection: what a connection does that cannot send more is not to ask for more.
    let service = router::http(world.server().app.clone(), Http::default());
    let request = Request::get(WINDOW).header("X-Api-Key", world.key("admin")).body(Body::empty()).unwrap();
    let mut body = service.oneshot(request).await.unwrap().into_body();
    let mut next = async || {
        let frame = timeout(SOON, body.frame()).await.unwrap().unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    };
    assert!(next().await.contains("event: snapshot"));
    for (at, seconds) in [(NEAR, 1), (OUTSIDE, 2), (HERE, 3)] {
        world.clock.advance(seconds * 1_000);
        world.place("op-a", &a, at).await;
    }
    sleep(3 * LIVE_EVERY).await;
    let told = next().await;
    let blocks: Vec<_> = told.trim_end().split("\n\n").collect();
    let [skipped, snapshot] = blocks[..] else { panic!("{told}") };
    let beats = skipped.strip_prefix("event: skipped\ndata: ").unwrap();
    assert!(serde_json::from_str::<Value>(beats).unwrap()["beats"].as_u64() >= Some(3), "{beats}");
    let snapshot: Value =
        serde_json::from_str(snapshot.strip_prefix("event: snapshot\ndata: ").unwrap()).unwrap();
    assert_eq!((id(&snapshot["taxis"][0]), &snapshot["taxis"][0]["lat"]), (a.clone(), &json!(HERE.0)));
    world.clock.advance(1_000);
    world.place("op-a", &a, NEAR).await;
    assert!(next().await.starts_with("event: "), "it goes on");
}

async fn a_window_with_too_many_taxis_is_refused_and_a_stream_of_it_ends(world: &mut World) {
    world.stop().await;
    world.start_with(Http { live_taxis: 1, ..Http::default() }).await;
    taxi(world, "op-a", 1, HERE).await;
    let mut stream = open(world, "admin").await;
    assert_eq!(ids(&stream.next("snapshot").await, "taxis").len(), 1);
    taxi(world, "op-b", 2, HERE).await;
    assert_eq!(stream.next("too_many").await.data, json!({"most": 1}));
    assert_eq!(stream.block().await, None);
    let refused = world.client.get(world.key("admin"), WINDOW).await;
    let told = json!({"errors": {"bbox": ["Holds more than 1 taxis; look at less of the map."]}});
    assert_eq!((refused.status, &refused.body), (400, &told));
    let mut own = open(world, "op-b").await;
    assert_eq!(ids(&own.next("snapshot").await, "taxis").len(), 1, "others' are not counted");
}

/// A window is looked at tile by tile, each a tenth of a degree.
async fn who_crosses_from_tile_to_tile_is_not_gone(world: &mut World) {
    let a = taxi(world, "op-a", 1, (48.8566, 2.399)).await;
    let wide = "/live?bbox=2.25,48.75,2.45,48.95";
    let mut streams = Vec::new();
    for account in ["admin", "admin", "op-a"] {
        let mut stream = Stream::begin(&world.client, world.key(account), wide, None).await;
        assert_eq!(ids(&stream.next("snapshot").await, "taxis"), [a.as_str()]);
        streams.push(stream);
    }
    for (lat, lon) in [(48.8566, 2.401), (48.901, 2.401), (48.901, 2.399), (48.8566, 2.299)] {
        world.clock.advance(1_000);
        world.place("op-a", &a, (lat, lon)).await;
        for stream in &mut streams {
            loop {
                let told = stream.next("changes").await;
                assert_eq!(told.data["gone"], json!([]), "{told:?}");
                if told.data["moved"][0]["lon"] == lon {
                    break;
                }
            }
        }
    }
    world.clock.advance(1_000);
    world.place("op-a", &a, (48.8566, 2.46)).await;
    for stream in &mut streams {
        let told = stream.next("changes").await;
        assert_eq!(ids(&told, "gone"), [a.as_str()], "{told:?}");
    }
}

async fn windows_and_roles_are_checked(world: &mut World) {
    for (query, wrong) in [
        ("", "Missing data for required field."),
        ("?bbox=2,48,3", "Must be four numbers: west,south,east,north, in degrees."),
        ("?bbox=2,48,4,48.5", "Must not be wider or higher than 1 degree."),
        ("?bbox=2,49,2.5,48.5", "South must not lie north of north."),
    ] {
        let refused = world.client.get(world.key("op-a"), &format!("/live{query}")).await;
        let told = json!({"errors": {"bbox": [wrong]}});
        assert_eq!((refused.status, &refused.body), (400, &told), "{query}");
    }
    // Exactly a degree, whatever the difference of two numbers with points comes to.
    let whole = format!("{}/live?bbox=1.2,48,2.2,49", world.client.base);
    let opened = world.client.http.get(whole).header("X-Api-Key", world.key("op-a")).send().await.unwrap();
    assert_eq!(opened.status(), 200);
    drop(opened);
    assert_eq!(world.client.get(world.key("app"), WINDOW).await.status, 403);
    assert_eq!(world.client.get("", WINDOW).await.status, 401);
}

async fn one_account_leaves_room_for_others(world: &mut World) {
    let mut looking = Vec::new();
    for _ in 0..LIVE_STREAMS_AN_ACCOUNT {
        looking.push(open(world, "op-a").await);
    }
    let refused = world.client.get(world.key("op-a"), WINDOW).await;
    let message =
        "The server has too many streams of the map of this account now. Please repeat this request.";
    assert_eq!((refused.status, refused.body), (503, json!({"errors": {"": [message]}})));
    open(world, "op-b").await;
    looking.pop();
    let opened = async || {
        let url = format!("{}{WINDOW}", world.client.base);
        let answer = world.client.http.get(url).header("X-Api-Key", world.key("op-a")).send().await.unwrap();
        (answer.status() == 200).then_some(())
    };
    within(SOON, "room where a stream ended", opened).await;
}
