//! kill -9 while hails are made and moved, fifty a second: none is lost, none is doubled, no taxi is left behind.
//!
//! `MARAUDE_CHAOS_SECONDS` says how long, `MARAUDE_TEST_SEED` which moments and ends are chosen.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use crate::database::{Backend, Database};
use crate::driver::Driver;
use crate::harness::client::Client;
use crate::harness::operator::{Operator, TAKEN};
use crate::harness::places::{MIDDLE, towns};
use crate::harness::program::{Program, Running};
use crate::harness::wait::{SOON, within};

mod account;
#[path = "../it/database.rs"]
mod database;
mod driver;
#[path = "../harness/mod.rs"]
mod harness;

/// Hails a second, while there is a process to take them.
const RATE: u32 = 50;
const TAXIS: u32 = 60;
/// How long a process lives once it is ready, in milliseconds.
const LIFE_MS: std::ops::RangeInclusive<u64> = 1_000..=4_000;
const SEED: u64 = 5;

/// What clients were told: this has to be so in the end.
#[derive(Debug, Default)]
struct Told {
    /// Hails that were made, by their customer.
    made: BTreeMap<String, String>,
    /// Where hails were moved.
    moved: BTreeSet<(String, String)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hails_outlive_crashes_over_sqlite() {
    over(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hails_outlive_crashes_over_postgres() {
    over(Backend::Postgres).await;
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn over(backend: Backend) {
    let (seed, seconds) = (number("MARAUDE_TEST_SEED", SEED), number("MARAUDE_CHAOS_SECONDS", 20));
    println!("{seconds} s of seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let Some(database) = Database::new(backend, folder.path()).await else { return };
    std::fs::write(folder.path().join("maraude.toml"), "private_endpoints = true\n").unwrap();
    let program = Program::new(folder.path(), Some(&database.url));
    let mut operator = Operator::start(TAKEN).await;
    let keys = make_registry(&program, folder.path()).await;

    let (mut server, client) = start(&program).await;
    let endpoint = json!({"hail_endpoint_production": operator.url});
    client.put(&keys.operator, &format!("/users/{}", keys.operator_id), &endpoint).await.element(200);
    let mut taxis = Vec::new();
    for taxi in 0..TAXIS {
        taxis.push(client.register(&keys.operator, taxi, MIDDLE).await);
    }

    let (clients, told, due) = (watch::Sender::new(client), Arc::new(Mutex::new(Told::default())), due());
    let mut driving = JoinSet::new();
    for (place, taxi) in (0..).zip(taxis) {
        let rng = StdRng::seed_from_u64(seed + 1_000 + u64::from(place));
        let driver = Driver::new(&keys, taxi, place, clients.subscribe(), told.clone(), rng);
        driving.spawn(driver.drive(due.0.clone()));
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut crashes = 0;
    while Instant::now() < until {
        sleep(Duration::from_millis(rng.random_range(LIFE_MS))).await;
        server.signal(Signal::SIGKILL);
        assert!(!server.end().await.success());
        let (next, client) = start(&program).await;
        (server, crashes) = (next, crashes + 1);
        clients.send_replace(client);
    }
    // No more are due: what is under way comes to its end.
    due.0.close();
    due.1.abort();
    while let Some(ended) = driving.join_next().await {
        ended.unwrap();
    }
    server.signal(Signal::SIGTERM);
    assert!(server.end().await.success());

    let mut called = BTreeSet::new();
    while let Some(received) = operator.look() {
        called.insert(received.hail["id"].as_str().unwrap().to_owned());
    }
    let told = Arc::into_inner(told).unwrap().into_inner().unwrap();
    let hails = account::hails(&database.url).await;
    account::settle(&hails, &told, &called);
    account::assert_taxis_follow(&database.url, &hails).await;
    println!("{} hails and {} moves acknowledged in {crashes} lives", told.made.len(), told.moved.len());
    assert!(told.made.len() as u64 > seconds * 8, "crashes have to fall into something: {}", told.made.len());
}

/// Hails that are due, and who says so.
fn due() -> (Arc<Semaphore>, tokio::task::JoinHandle<()>) {
    let due = Arc::new(Semaphore::new(0));
    let (adding, mut ticker) = (due.clone(), interval(Duration::from_secs(1) / RATE));
    let saying = tokio::spawn(async move {
        loop {
            ticker.tick().await;
            // Who is down for a while has not missed them: the rate is that of a living process.
            if adding.available_permits() < 5 {
                adding.add_permits(1);
            }
        }
    });
    (due, saying)
}

/// Keys of both sides.
#[derive(Clone, Debug)]
struct Keys {
    operator: String,
    operator_id: i64,
    app: String,
}

async fn make_registry(program: &Program, folder: &std::path::Path) -> Keys {
    let file = folder.join("towns.json");
    std::fs::write(&file, towns().to_string()).unwrap();
    program.done(&["import", "towns", file.to_str().unwrap()]).await;
    let add = async |name: &str, role: &str| {
        let added = program.done(&["user", "add", name, "--role", role, "--json"]).await;
        serde_json::from_str::<Value>(&added).unwrap()
    };
    let (operator, app) = (add("op", "operateur").await, add("app", "moteur").await);
    let key = |user: &Value| user["apikey"].as_str().unwrap().to_owned();
    Keys { operator: key(&operator), operator_id: operator["id"].as_i64().unwrap(), app: key(&app) }
}

async fn start(program: &Program) -> (Running, Client) {
    let (server, http, _) = program.serve().await;
    let client = Client::new(http);
    let ready = async || (client.get("", "/health/ready").await.status == 200).then_some(());
    within(SOON, "readiness", ready).await;
    (server, client)
}
