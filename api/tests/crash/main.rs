//! kill -9 while positions are posted, again and again: what was acknowledged is in the log, and each taxi is shown
//! where it was last.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ingest::clock::Clock;
use ingest::log::{Log, LogUrl, Settings};
use ingest::position::LatLon;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::harness::client::Client;
use crate::harness::places::{MIDDLE, towns};
use crate::harness::program::{Program, Running};
use crate::harness::wait::{SOON, within};

#[path = "../harness/mod.rs"]
mod harness;

const CRASHES: u32 = 20;
/// Several taxis, so that a crash falls into groups of positions.
const TAXIS: u32 = 6;
/// Between readiness and the crash, in milliseconds.
const DELAY_MS: std::ops::RangeInclusive<u64> = 50..=400;
/// Chooses the delays; `MARAUDE_TEST_SEED` names another.
const SEED: u64 = 20;

/// Positions of one taxi. The n-th one is at a place of its own.
#[derive(Clone, Debug, Default)]
struct Reported {
    taxi: String,
    /// How many were sent: one at a time, so that at most the last one of a life has no answer.
    sent: u32,
    /// Which were acknowledged.
    acknowledged: Vec<u32>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_outlives_twenty_crashes() {
    let seed = std::env::var("MARAUDE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    println!("delays of seed {seed}");
    let mut delays = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path(), None);
    let key = make_registry(&program, folder.path()).await;
    let mut reported = Vec::new();

    for crash in 0..=CRASHES {
        let (mut server, mut client) = start(&program).await;
        if crash % 5 == 3 {
            // A clean end in between: the next lives go on from what it saved, and not from the log's beginning.
            server.signal(Signal::SIGTERM);
            assert!(server.end().await.success());
            (server, client) = start(&program).await;
        }
        for one in &reported {
            assert_shown(&client, &key, one, crash).await;
        }
        if reported.is_empty() {
            reported = register(&client, &key).await;
        }
        if crash < CRASHES {
            let delay = Duration::from_millis(delays.random_range(DELAY_MS));
            reported = report_until_killed(server, &client, &key, reported, delay).await;
        }
    }

    let acknowledged: usize = reported.iter().map(|one| one.acknowledged.len()).sum();
    println!("{acknowledged} positions acknowledged in {CRASHES} lives");
    assert!(acknowledged > 500, "a crash has to fall into something: {acknowledged}");
    let logged = read_log(folder.path());
    for (number, one) in (0..).zip(&reported) {
        for n in &one.acknowledged {
            let at = place(number, *n);
            assert!(logged.contains(&at), "position {n} of {} was acknowledged and is lost", one.taxi);
        }
    }
}

/// A town and an operator; gives its key.
async fn make_registry(program: &Program, folder: &Path) -> String {
    let file = folder.join("towns.json");
    std::fs::write(&file, towns().to_string()).unwrap();
    program.done(&["import", "towns", file.to_str().unwrap()]).await;
    let added = program.done(&["user", "add", "op", "--role", "operateur", "--json"]).await;
    serde_json::from_str::<Value>(&added).unwrap()["apikey"].as_str().unwrap().to_owned()
}

async fn start(program: &Program) -> (Running, Client) {
    let (server, http, _): (_, SocketAddr, _) = program.serve().await;
    let client = Client::new(http);
    let ready = async || (client.get("", "/health/ready").await.status == 200).then_some(());
    within(SOON, "readiness", ready).await;
    (server, client)
}

async fn register(client: &Client, key: &str) -> Vec<Reported> {
    let mut reported = Vec::new();
    for number in 0..TAXIS {
        let taxi = client.register(key, number, MIDDLE).await;
        reported.push(Reported { taxi, ..Reported::default() });
    }
    reported
}

/// Every taxi reports as fast as it is answered, until the process is killed.
async fn report_until_killed(
    server: Running,
    client: &Client,
    key: &str,
    reported: Vec<Reported>,
    delay: Duration,
) -> Vec<Reported> {
    let at = Instant::now() + delay;
    let mut reporting = JoinSet::new();
    for (number, one) in (0..).zip(reported) {
        let (client, key) = (client.clone(), key.to_owned());
        reporting.spawn(async move { (number, report(&client, &key, number, one).await) });
    }
    sleep_until(at).await;
    server.signal(Signal::SIGKILL);
    let mut server = server;
    assert!(!server.end().await.success());
    let mut all = reporting.join_all().await;
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, one)| one).collect()
}

/// One position after the other until no answer comes.
async fn report(client: &Client, key: &str, number: u32, mut one: Reported) -> Reported {
    loop {
        let n = one.sent;
        one.sent += 1;
        let at = place(number, n);
        let position = json!({"taxi_id": one.taxi, "lat": at.lat(), "lon": at.lon()});
        let element = json!({"positions": [position]});
        match client.ask(reqwest::Method::POST, "/geotaxi/", key, Some(&element)).await {
            Ok(answer) if answer.status == 200 => one.acknowledged.push(n),
            Ok(answer) => panic!("{answer:?}"),
            Err(_) => return one,
        }
    }
}

/// The place of the last position that was acknowledged, or of one that was sent after it.
async fn assert_shown(client: &Client, key: &str, one: &Reported, crash: u32) {
    let seen = client.get(key, &format!("/taxis/{}", one.taxi)).await.element(200);
    let shown = seen["position"]["lon"].as_f64().map(sequence);
    let last = one.acknowledged.last().copied();
    let possible =
        (last.unwrap_or(0)..one.sent).contains(&shown.unwrap_or(0)) && (last.is_none() || shown.is_some());
    assert!(
        possible,
        "after crash {crash}, {} is shown at {shown:?}; acknowledged {last:?}, sent {}",
        one.taxi, one.sent
    );
}

/// The latitude tells the taxi, the longitude the position.
fn place(number: u32, n: u32) -> LatLon {
    LatLon::new(48.81 + f64::from(number) / 1e4, 2.31 + f64::from(n) / 1e6).unwrap()
}

/// Which position is at this longitude.
fn sequence(lon: f64) -> u32 {
    (0..100_000).find(|n| (place(0, *n).lon() - lon).abs() < 1e-9).unwrap()
}

/// Where taxis are said to be, by every record of the log.
fn read_log(folder: &Path) -> BTreeSet<LatLon> {
    let log: Log = Log::open(&LogUrl::File(folder.join("log")), &Settings::default(), Clock::System).unwrap();
    let mut reader = log.reader(&[]);
    let mut places = BTreeSet::new();
    while let Some(record) = reader.poll(Duration::ZERO).unwrap() {
        places.extend(record.entries.iter().map(|position| position.at));
    }
    log.close();
    places
}
