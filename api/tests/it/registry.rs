//! Writes to the registry: races, failures, clients that hang up.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use api::store::taxis::TaxiFilter;
use engine::profile::Status;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::client::{parts, taxi};
use crate::harness::places::MIDDLE;
use crate::harness::wait::within;
use crate::world::World;

on_each_database!(
    a_race_of_equal_posts_makes_one_row,
    a_race_of_operators_makes_one_vehicle,
    a_failing_change_changes_nothing,
    a_client_that_hangs_up_skips_no_projection,
    a_client_that_hangs_up_leaves_no_taxi_unknown,
);

/// How many at once.
const RACERS: usize = 20;

async fn a_race_of_equal_posts_makes_one_row(world: &mut World) {
    let key = world.key("op-a").to_owned();
    let mut requests: Vec<_> = parts(1, MIDDLE).into();
    requests.push(("/taxis", taxi(1, MIDDLE)));
    for (path, element) in requests {
        let mut racing = JoinSet::new();
        for _ in 0..RACERS {
            let (client, key, element) = (world.client.clone(), key.clone(), element.clone());
            racing.spawn(async move { client.post(&key, path, &element).await });
        }
        let mut statuses = BTreeMap::new();
        let mut elements = Vec::new();
        for answer in racing.join_all().await {
            *statuses.entry(answer.status).or_insert(0) += 1;
            elements.push(answer.body["data"][0]["id"].clone());
        }
        assert_eq!(statuses, BTreeMap::from([(200, RACERS - 1), (201, 1)]), "{path}");
        elements.dedup();
        assert_eq!(elements.len(), 1, "{path}: one row, one id");
    }
    let all = world.client.get(&key, "/taxis/all").await;
    assert_eq!(all.body["meta"]["total"], 1);
}

/// Two operators of one vehicle register it at the same time.
async fn a_race_of_operators_makes_one_vehicle(world: &mut World) {
    for number in 0..10 {
        let [_, (path, element), _] = parts(number, MIDDLE);
        let (a, b) = tokio::join!(
            world.client.post(world.key("op-a"), path, &element),
            world.client.post(world.key("op-b"), path, &element)
        );
        assert_eq!(a.element(201)["id"], b.element(201)["id"]);
    }
}

async fn a_failing_change_changes_nothing(world: &mut World) {
    let id = world.register("op-a", 1, MIDDLE).await;
    let path = format!("/taxis/{id}");
    let before = world.look("op-a", &id).await;
    let wrong = [
        (json!({"status": "occupied", "radius": 149}), 400),
        (json!({"status": "occupied", "radius": 501}), 400),
        (json!({"status": "nonsense", "radius": 200}), 400),
        (json!({"status": "answering"}), 400),
        (json!({"status": null, "radius": 200}), 400),
    ];
    for (element, status) in wrong {
        let answer = world.client.put(world.key("op-a"), &path, &element).await;
        assert_eq!(answer.status, status, "{element} {answer:?}");
    }
    let off = json!({"status": "off"});
    assert_eq!(world.client.put(world.key("op-b"), &path, &off).await.status, 404, "it is not theirs");
    assert_eq!(world.client.put(world.key("app"), &path, &off).await.status, 403);
    assert_eq!(world.client.put("nobody", &path, &off).await.status, 401);
    assert_eq!(world.look("op-a", &id).await, before);
    assert_eq!(status_in_memory(world, &id), Status::Free);

    let user = format!("/users/{}", world.number("op-a"));
    let account = world.client.get(world.key("op-a"), &user).await.body;
    let wrong = json!({"name": "Other", "password": "short"});
    assert_eq!(world.client.put(world.key("op-a"), &user, &wrong).await.status, 400);
    assert_eq!(world.client.get(world.key("op-a"), &user).await.body, account);
}

/// A request that is cut off at any moment either did nothing or is in memory as it is in SQL.
async fn a_client_that_hangs_up_skips_no_projection(world: &mut World) {
    let id = world.register("op-a", 1, MIDDLE).await;
    let mut committed = 0;
    for round in 0..60 {
        let before = status_in_sql(world, &id).await;
        let wanted = if before == Status::Free { "occupied" } else { "free" };
        let body = json!({"data": [{"status": wanted}]}).to_string();
        let stream = send(world, "PUT", &format!("/taxis/{id}"), &body);
        // The moment falls before, into and after the write, which takes a millisecond or so.
        let looked = async { while status_in_sql(world, &id).await == before {} };
        let _ = tokio::time::timeout(Duration::from_micros(round * 50), looked).await;
        drop(stream);
        let agreed = async || {
            let (sql, memory) = (status_in_sql(world, &id).await, status_in_memory(world, &id));
            (sql == memory).then_some(sql)
        };
        let after = within(Duration::from_secs(2), "one status in SQL and in memory", agreed).await;
        committed += u32::from(after != before);
    }
    assert!(committed > 0, "every request was cut off before its write");
}

/// The same of what makes a row: each taxi that is there may report positions.
async fn a_client_that_hangs_up_leaves_no_taxi_unknown(world: &mut World) {
    let mut rows = 0;
    for number in 0..40 {
        for (path, element) in parts(number, MIDDLE) {
            world.client.post(world.key("op-a"), path, &element).await.element(201);
        }
        let before = registered(world).await.len();
        let body = json!({"data": [taxi(number, MIDDLE)]}).to_string();
        let stream = send(world, "POST", "/taxis", &body);
        let looked = async { while registered(world).await.len() == before {} };
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(number).pow(2) * 40), looked).await;
        drop(stream);
        let agreed = async || {
            let registered = registered(world).await;
            registered.iter().all(|id| world.source("op-a", id).is_some()).then_some(registered.len())
        };
        rows = within(Duration::from_secs(2), "every taxi's row in memory", agreed).await;
    }
    assert!(rows > 0, "every request was cut off before its write");
}

/// Sends a whole request and waits for nothing.
fn send(world: &World, method: &str, path: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.server().http).unwrap();
    stream.set_nodelay(true).unwrap();
    let key = world.key("op-a");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: test\r\nX-Api-Key: {key}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream
}

/// The ids of all taxis, by SQL.
async fn registered(world: &World) -> Vec<String> {
    let (store, filter) = (world.server().app.registry.store(), TaxiFilter::default());
    let (rows, _) = store.taxis(world.number("op-a"), &filter, (1000, 0)).await.unwrap();
    rows.into_iter().map(|row| row.public_id).collect()
}

async fn status_in_sql(world: &World, id: &str) -> Status {
    let row = world.server().app.registry.store().taxi(world.number("op-a"), id).await.unwrap().unwrap();
    row.status.parse().unwrap()
}

fn status_in_memory(world: &World, id: &str) -> Status {
    let profile = world.server().app.engine.profiles().get(&world.taxi("op-a", id)).unwrap();
    let operator = world.operator("op-a");
    profile.descriptions.iter().find(|description| description.operator == operator).unwrap().status
}
