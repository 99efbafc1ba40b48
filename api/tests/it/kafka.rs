//! The log on Kafka, from end to end: positions taken by one server and found by another; and what is told while the
//! broker is away.

use std::time::Duration;

use api::limits::SYNC_WITHIN;
use ingest::gate::Refusal;
use ingest::log::LogUrl;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::task::block_in_place;
use tokio::time::Instant;

use crate::broker::{self, Broker};
use crate::database::Backend;
use crate::harness::client::Client;
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::positions::{Device, logged};
use crate::world::{NOW, World};

on_each_database!(what_one_server_takes_another_finds);

const HERE: (f64, f64) = (48.83, 2.35);
const THERE: (f64, f64) = (48.831, 2.351);
/// How long an answer may take that waits for nothing, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Starts the server again, over another log.
async fn over(world: &mut World, log: &LogUrl) {
    world.stop().await;
    world.start_as(|config| config.log = log.clone()).await;
}

async fn what_one_server_takes_another_finds(world: &mut World) {
    let Some(log) = broker::new_log() else { return };
    over(world, &log).await;
    let (first, second) = (world.register("op-a", 1, MIDDLE).await, world.register("op-a", 2, MIDDLE).await);
    world.place("op-a", &first, HERE).await;
    // One that comes later reads what was there before, and then follows.
    let (other, _folder) = world.another(|config| config.log = log.clone()).await;
    let client = Client::new(other.http);
    let path = format!("/taxis?lon={}&lat={}", HERE.1, HERE.0);
    let finds = async |count| {
        let found = async || {
            let found = client.get(world.key("app"), &path).await.body["data"].as_array().map(Vec::len);
            (found == Some(count)).then_some(())
        };
        within(SOON, "what the other server took", found).await;
    };
    finds(1).await;
    Device::new(world, "op-a").send(NOW.seconds(), &second, THERE.0);
    finds(2).await;
    // Who took it may read it later than others.
    let finds_both = async || (world.search("app", HERE).await.len() == 2).then_some(());
    within(SOON, "what the server took itself", finds_both).await;
    assert_eq!(other.app.log.epoch(), world.server().app.log.epoch());
    other.stop().await;

    over(world, &log).await;
    world.shown("op-a", &second, (THERE.0, 2.35)).await;
    world.place("op-a", &first, THERE).await;
    assert_eq!(logged(world).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_goes_away_and_comes_back() {
    let Some(broker) = block_in_place(Broker::start) else { return };
    let Some(mut world) = World::begin(Backend::Sqlite).await else { return };
    over(&mut world, &broker.new_log()).await;
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let device = Device::new(&world, "op-a");
    world.place("op-a", &taxi, HERE).await;

    broker.signal(Signal::SIGSTOP);
    let stopped_at = Instant::now();
    let unknown = world.report("op-a", &[(&taxi, HERE.0, HERE.1)]).await;
    assert!(stopped_at.elapsed() < SYNC_WITHIN + AT_ONCE, "{:?}", stopped_at.elapsed());
    assert_refused(&unknown.headers, unknown.status, &unknown.body);
    assert_eq!(readiness(&world).await, (503, [json!("ready"), json!("not ready"), json!("ready")]));
    let began = Instant::now();
    let refused = world.report("op-a", &[(&taxi, HERE.0, HERE.1)]).await;
    assert!(began.elapsed() < AT_ONCE, "{:?}: who waits keeps others from being served", began.elapsed());
    assert_refused(&refused.headers, refused.status, &refused.body);

    // Datagrams wait for the broker, and searches do not.
    let refusals = world.server().app.refusals.clone();
    let dropped = refusals.total(Refusal::Overloaded);
    let mut sent = 0;
    while sent < 20 || stopped_at.elapsed() < outage() {
        sent += 1;
        // As long as the taxi is not silent for those who see none of this.
        world.clock.advance(if sent <= 20 { 1_000 } else { 0 });
        device.send(world.clock.now().seconds(), &taxi, THERE.0);
        let accepted = async || (refusals.accepted() >= sent).then_some(());
        within(SOON, "a datagram", accepted).await;
        assert_eq!(readiness(&world).await.0, 503);
    }
    assert_eq!(world.search("app", HERE).await.len(), 1);
    world.shown("op-a", &taxi, HERE).await;

    broker.signal(Signal::SIGCONT);
    let ready = async || (readiness(&world).await.0 == 200).then_some(());
    within(SOON, "readiness", ready).await;
    world.shown("op-a", &taxi, (THERE.0, 2.35)).await;
    assert_eq!(refusals.total(Refusal::Overloaded), dropped, "there was room for all");
    world.clock.advance(1_000);
    world.place("op-a", &taxi, HERE).await;
    assert_eq!(world.server().app.log.meters().lost.get(), 0);

    // Whether its broker is there or not, the server stops in time.
    broker.signal(Signal::SIGSTOP);
    device.send(world.clock.now().seconds(), &taxi, THERE.0);
    let began = Instant::now();
    world.stop().await;
    assert!(began.elapsed() < api::limits::STOP_WITHIN, "{:?}", began.elapsed());
}

/// How long the broker is away at least.
fn outage() -> Duration {
    let seconds = std::env::var("MARAUDE_OUTAGE_S").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    Duration::from_secs(seconds)
}

fn assert_refused(headers: &reqwest::header::HeaderMap, status: u16, body: &Value) {
    assert_eq!((status, &headers["retry-after"]), (503, &"1".parse().unwrap()), "{body}");
    let message = body["errors"][""][0].as_str().unwrap();
    assert!(message.contains("log of positions") && message.contains("repeat"), "{message}");
}

/// The status of readiness, and its words on the map, the log and the database.
async fn readiness(world: &World) -> (u16, [Value; 3]) {
    let answer = world.client.get("", "/health/ready").await;
    (answer.status, ["map", "log", "database"].map(|part| answer.body[part].clone()))
}
