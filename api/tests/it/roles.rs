//! Roles as processes of their own, over one log and one database: what one takes another finds, what one writes the
//! others know, and each answers for what it does.

use std::time::Duration;

use api::serve::{ProcessRole, Server};
use engine::engine::Fix;
use ingest::log::{LogUrl, Offset};
use ingest::position::{LatLon, Order, SourceKey};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use crate::broker;
use crate::database::Backend;
use crate::harness::client::Client;
use crate::harness::places::MIDDLE;
use crate::harness::program::Program;
use crate::harness::wait::{SOON, within};
use crate::positions::Device;
use crate::world::{NOW, World, wanted};

on_each_database!(of_two_savings_the_later_position_stays);

const HERE: (f64, f64) = (48.83, 2.35);
/// Within which everything is read again whatever was heard, and some time for a busy machine.
const READ_AGAIN: Duration = Duration::from_secs(75);

/// A world whose server has the role api, over Kafka; and an ingest beside it.
struct Deployment {
    world: World,
    log: LogUrl,
    ingest: Server,
    /// Asks the ingest.
    taking: Client,
    _folder: TempDir,
}

impl Deployment {
    /// None where there is no Kafka or no `PostgreSQL`.
    async fn begin() -> Option<Self> {
        let log = broker::new_log()?;
        let mut world = World::begin(Backend::Postgres).await?;
        world.stop().await;
        world.start_as(|config| (config.role, config.log) = (ProcessRole::Api, log.clone())).await;
        let (ingest, folder) = another(&world, &log, ProcessRole::Ingest).await;
        let taking = Client::new(ingest.http);
        Some(Self { world, log, ingest, taking, _folder: folder })
    }

    async fn end(mut self) {
        self.ingest.stop().await;
        self.world.stop().await;
    }
}

/// Another process's server, ready.
async fn another(world: &World, log: &LogUrl, role: ProcessRole) -> (Server, TempDir) {
    let (server, folder) = world.another(|config| (config.role, config.log) = (role, log.clone())).await;
    let client = Client::new(server.http);
    let ready = async || (client.get("", "/health/ready").await.status == 200).then_some(());
    within(SOON, "readiness", ready).await;
    (server, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_ingest_takes_an_api_finds() {
    let Some(Deployment { mut world, ingest, taking, .. }) = Deployment::begin().await else { return };
    let (key, app) = (world.key("op-a").to_owned(), world.key("app").to_owned());
    let first = world.register("op-a", 1, MIDDLE).await;
    let knows = async || ingest.app.registry.directory().source(&first, world.operator("op-a"));
    within(SOON, "the taxi at the ingest", knows).await;

    let mut device = Device { server: ingest.udp.unwrap(), ..device_of(&world, "op-a") };
    device.send(NOW.seconds(), &first, HERE.0);
    world.shown("op-a", &first, (HERE.0, 2.35)).await;
    // Over HTTP either takes them, at once: of a taxi that a client has registered through one the other knows.
    for number in 3..20 {
        let taxi = world.register("op-a", number, MIDDLE).await;
        let unheard = json!({"positions": [{"taxi_id": taxi, "lat": 48.8, "lon": 2.4}]});
        assert_eq!(taking.post(&key, "/geotaxi", &unheard).await.status, 200, "{number}");
    }
    let second = world.register("op-a", 2, MIDDLE).await;
    let at_the_ingest = json!({"positions": [{"taxi_id": second, "lat": HERE.0, "lon": HERE.1}]});
    assert_eq!(taking.post(&key, "/geotaxi", &at_the_ingest).await.status, 200);
    world.shown("op-a", &second, HERE).await;
    world.clock.advance(1_000);
    world.place("op-a", &second, (48.831, 2.351)).await;

    // Each answers for what it does.
    device.key = "wrong".to_owned();
    device.send(NOW.seconds(), &first, HERE.0);
    let refused = async || {
        let came = taking.get(&key, "/operators/me/positions").await.element(200);
        (came["refused"]["bad_hash"] == 1).then_some(came)
    };
    let came = within(SOON, "the count of what was refused", refused).await;
    assert_eq!((&came["accepted"], &came["operator"]), (&json!(1), &json!("op-a")));
    let elsewhere = world.client.get(&key, "/operators/me/positions").await;
    assert_eq!((elsewhere.status, &elsewhere.body["errors"]["url"][0]), (404, &json!(ELSEWHERE)));
    for path in ["/taxis?lon=2.35&lat=48.83", "/hails", "/users", "/events"] {
        assert_eq!(taking.get(&app, path).await.status, 404, "{path}");
    }
    let of_the_ingest = taking.get("", "/health/ready").await.body;
    assert_eq!(of_the_ingest, json!({"status": "ready", "log": "ready", "database": "ready"}));
    let documented = taking.get("", "/openapi.json").await.body;
    let paths: Vec<_> = documented["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert!(paths.contains(&"/geotaxi") && !paths.contains(&"/taxis"), "{paths:?}");
    // What an ingest refused anybody may ask any api for.
    let told = async || {
        let told = world.client.get(&key, "/operators/me/refusals").await.body;
        (told["data"][0]["reasons"][0]["reason"] == "bad_hash").then_some(())
    };
    within(SOON, "why it was refused, at the api", told).await;
    let (of_ingest, of_api) = (scraped(&ingest).await, scraped(world.server()).await);
    assert!(
        of_ingest.contains("maraude_datagrams_accepted_total 1") && !of_ingest.contains("maraude_engine")
    );
    assert!(of_api.contains("maraude_engine_taxis_online") && !of_api.contains("maraude_datagrams_dropped"));
    ingest.stop().await;
    world.stop().await;
}

const ELSEWHERE: &str = "This process takes no datagrams; ask one that does.";

fn device_of(world: &World, operator: &str) -> Device {
    Device {
        socket: std::net::UdpSocket::bind("127.0.0.1:0").unwrap(),
        server: ([127, 0, 0, 1], 0).into(),
        operator: operator.to_owned(),
        key: world.key(operator).to_owned(),
    }
}

async fn scraped(server: &Server) -> String {
    let url = format!("http://{}/metrics", server.metrics.unwrap());
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hail_lives_in_several_processes() {
    let Some(deployment) = Deployment::begin().await else { return };
    let world = &deployment.world;
    let (other, _folder) = another(world, &deployment.log, ProcessRole::Api).await;
    let there = Client::new(other.http);
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, (48.8566, 2.3522)).await;
    let (operator, app) = (world.key("op-a"), world.key("app"));
    let found = async || {
        let found = there.get(app, "/taxis?lon=2.3522&lat=48.8566").await.body;
        found["data"][0]["id"].as_str().map(str::to_owned)
    };
    let pseudonym = within(SOON, "the taxi at the other", found).await;
    let mut events =
        there.http.get(format!("{}/events", there.base)).header("X-Api-Key", operator).send().await.unwrap();
    // A pseudonym of one is read by the other, whose events tell of the hail.
    let hail = world.client.post(app, "/hails", &wanted(&pseudonym)).await.element(201);
    let path = format!("/hails/{}", hail["id"].as_str().unwrap());
    let stands = async || {
        let hail = there.get(operator, &path).await.element(200);
        (hail["status"] == "sent_to_operator").then_some(())
    };
    within(SOON, "the call", stands).await;
    there.put(operator, &path, &json!({"status": "received_by_operator"})).await.element(200);
    let mut told = String::new();
    while !told.contains("received_by_operator") {
        let part = tokio::time::timeout(SOON, events.chunk()).await.unwrap().unwrap().unwrap();
        told.push_str(&String::from_utf8_lossy(&part));
    }
    assert!(told.contains("sent_to_operator"), "{told}");
    drop(events);
    other.stop().await;
    deployment.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_writes_the_others_hear_of_or_read_again() {
    let Some(Deployment { mut world, ingest, .. }) = Deployment::begin().await else { return };
    let program = world.program();
    program.done(&["user", "add", "op-c", "--role", "operateur"]).await;
    let known = async || ingest.app.registry.directory().operators().get("op-c");
    within(SOON, "a new operator", known).await;
    let called = async |name: &str, limit| {
        let called = async || {
            let accounts = ingest.app.registry.accounts();
            accounts.email("op-c").is_some_and(|account| account.name == name).then_some(())
        };
        within(limit, name, called).await;
    };

    // Nobody is told of this, as where a notification was lost.
    let mut rows = PgConnection::connect(&world.database.url).await.unwrap();
    let call = async |rows: &mut PgConnection, name: &str| {
        let sql = format!("UPDATE users SET name = '{name}', version = version + 1 WHERE email = 'op-c'");
        assert_eq!(rows.execute(AssertSqlSafe(sql)).await.unwrap().rows_affected(), 1);
    };
    call(&mut rows, "Unheard of").await;
    // Connections that listen are lost, and made again.
    let listening =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
                     AND query LIKE 'LISTEN%'";
    assert!(rows.execute(listening).await.unwrap().rows_affected() >= 2, "both processes listen");
    called("Unheard of", SOON).await;

    call(&mut rows, "Read again").await;
    called("Read again", READ_AGAIN).await;
    ingest.stop().await;
    world.stop().await;
}

async fn of_two_savings_the_later_position_stays(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let source = world.source("op-a", &taxi).unwrap();
    world.stop().await;
    let (store, _) = api::serve::open_store(&config_of(world), world.clock.clone()).await.unwrap();
    let saved = async |fix: Fix, offset| {
        store.save_last_positions(&[fix], 1, &[Offset(offset)]).await.unwrap();
        let (fixes, covered) =
            (store.last_positions(0, i32::MAX).await.unwrap(), store.covered_offsets(1).await.unwrap());
        (fixes[0].at.lat_e7(), covered.unwrap()[0].1)
    };
    let second = 1_000;
    let (one, two, three) = (
        fix(source, 1, second, None),
        fix(source, 2, 2 * second, Some(2 * second)),
        fix(source, 3, 3 * second, Some(second)),
    );
    assert_eq!(saved(two, 20).await, (2, Offset(20)));
    assert_eq!(saved(one, 10).await, (2, Offset(20)), "who is behind takes nothing back");
    assert_eq!(
        saved(three, 30).await,
        (2, Offset(30)),
        "what a network delayed is older, though received later"
    );
    let later = fix(source, 4, 3 * second, None);
    assert_eq!(saved(later, 30).await, (4, Offset(30)));
    store.close().await;
}

fn fix(source: SourceKey, lat_e7: i32, received_at: i64, device_at: Option<i64>) -> Fix {
    let order = Order { received_at: NOW.plus(received_at), device_at: device_at.map(|at| NOW.plus(at)) };
    Fix { source, at: LatLon::from_e7(lat_e7, 0).unwrap(), order }
}

fn config_of(world: &World) -> api::config::Config {
    let flags =
        [("data_dir", world.folder().display().to_string()), ("database", world.database.url.clone())];
    api::config::Config::new(&api::config::Values::of_flags(&flags.into())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path(), None);
    let (mut server, http, _) = program.serve().await;
    let http = http.to_string();
    let ready = async || program.run(&["health", "--http", &http]).await.0.success().then_some(());
    within(SOON, "readiness", ready).await;
    let answer: Value = serde_json::from_str(&program.done(&["health", "--http", &http]).await).unwrap();
    assert_eq!(answer["status"], "ready");
    server.signal(Signal::SIGTERM);
    assert!(server.end().await.success());
    let (status, _, complaints) = program.run(&["health", "--http", &http]).await;
    assert!(
        !status.success() && complaints.contains(&format!("asking http://{http}/health/ready")),
        "{complaints}"
    );
}
