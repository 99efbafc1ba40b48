//! The database goes away under load and comes back: search and positions go on, the registry says 503 in time,
//! readiness says which part, and nobody restarts anything.
//!
//! Three seconds long; `MARAUDE_OUTAGE_S` says otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::limits::{CONNECTION_WITHIN, PROBE_EVERY, PROBE_WITHIN};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::database::Backend;
use crate::harness::client::{Client, parts};
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::positions::Device;
use crate::proxy::{Proxy, Way};
use crate::world::World;

const HERE: (f64, f64) = (48.83, 2.35);
/// Between two requests of one client: some hundred a second in all.
const PAUSE: Duration = Duration::from_millis(20);
/// An answer that waited for the database waits for a connection or until the outage is noticed, and a moment.
const BOUND: Duration =
    Duration::from_secs(CONNECTION_WITHIN.as_secs() * 2 + PROBE_WITHIN.as_secs() + PROBE_EVERY.as_secs() + 2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_refuses() {
    postgres_is_gone(Way::Refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_silent() {
    postgres_is_gone(Way::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_locked() {
    let Some(mut world) = World::begin(Backend::Sqlite).await else { return };
    let path = world.database.url.trim_start_matches("sqlite:").to_owned();
    let options = SqliteConnectOptions::new().filename(path);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    let load = Load::start(&world).await;
    load.steady(&world).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    load.outage(&world).await;
    other.execute("ROLLBACK").await.unwrap();
    load.recovery(&mut world).await;
}

async fn postgres_is_gone(how: Way) {
    let Some(mut world) = World::begin(Backend::Postgres).await else { return };
    world.stop().await;
    let direct = world.database.url.clone();
    let (before, after) = direct.split_once('@').unwrap();
    let (server, name) = after.split_once('/').unwrap();
    let proxy = Proxy::to(server.parse().unwrap()).await;
    world.database.url = format!("{before}@{}/{name}", proxy.address);
    world.start().await;
    // Whoever is asked beside the server takes the direct way.
    world.database.url = direct;
    let load = Load::start(&world).await;
    load.steady(&world).await;
    proxy.set(how);
    load.outage(&world).await;
    proxy.set(Way::Open);
    load.recovery(&mut world).await;
}

/// What is asked all the time, and what was answered.
struct Load {
    clients: JoinSet<Tally>,
    stop: watch::Sender<bool>,
    seen: Arc<watch::Sender<BTreeMap<(Kind, u16), u64>>>,
    taxi: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Search,
    Position,
    Registry,
}

/// The longest answer of a client.
type Tally = (Kind, Duration);

impl Load {
    async fn start(world: &World) -> Self {
        let taxi = world.register("op-a", 1, MIDDLE).await;
        world.place("op-a", &taxi, HERE).await;
        let (stop, stopped) = watch::channel(false);
        let seen = Arc::new(watch::Sender::new(BTreeMap::new()));
        let mut clients = JoinSet::new();
        let (operator, app) = (world.key("op-a").to_owned(), world.key("app").to_owned());
        let position = json!({"positions": [{"taxi_id": taxi, "lat": HERE.0, "lon": HERE.1}]});
        let [(_, driver), (_, vehicle), _] = parts(1, MIDDLE);
        let one = format!("/taxis/{taxi}");
        let search = format!("/taxis?lon={}&lat={}", HERE.1, HERE.0);
        let free = |radius| Some(json!({"status": "free", "radius": radius}));
        let requests = [
            (Kind::Search, &app, Method::GET, search.as_str(), None),
            (Kind::Search, &app, Method::GET, search.as_str(), None),
            (Kind::Position, &operator, Method::POST, "/geotaxi/", Some(position)),
            (Kind::Registry, &operator, Method::GET, "/taxis/all", None),
            (Kind::Registry, &operator, Method::GET, one.as_str(), None),
            (Kind::Registry, &operator, Method::PUT, one.as_str(), free(200)),
            (Kind::Registry, &operator, Method::PUT, one.as_str(), free(300)),
            (Kind::Registry, &operator, Method::POST, "/drivers", Some(driver)),
            (Kind::Registry, &operator, Method::POST, "/vehicles", Some(vehicle)),
        ];
        for (kind, key, method, path, element) in requests {
            let client = Client::new(world.server().http);
            let asked = Asked { kind, key: key.clone(), method, path: path.to_owned(), element };
            clients.spawn(ask_until(client, asked, stopped.clone(), seen.clone()));
        }
        let device = Device::new(world, "op-a");
        let (sent, clock, mut ended) = (taxi.clone(), world.clock.clone(), stopped);
        clients.spawn(async move {
            while !*ended.borrow_and_update() {
                device.send(clock.now().seconds(), &sent, HERE.0);
                // Time stands still but for this: what is shown stays fresh.
                clock.advance(1);
                sleep(PAUSE).await;
            }
            (Kind::Position, Duration::ZERO)
        });
        Self { clients, stop, seen, taxi }
    }

    fn count(&self, kind: Kind, status: u16) -> u64 {
        self.seen.borrow().get(&(kind, status)).copied().unwrap_or(0)
    }

    async fn reaches(&self, kind: Kind, status: u16, count: u64) {
        let what = format!("{count} answers {status} of {kind:?}: {:?}", self.seen.borrow());
        within(SOON, &what, async || (self.count(kind, status) >= count).then_some(())).await;
    }

    async fn steady(&self, world: &World) {
        for kind in [Kind::Search, Kind::Position, Kind::Registry] {
            self.reaches(kind, 200, 20).await;
        }
        assert!(!self.seen.borrow().keys().any(|(_, status)| *status >= 300), "{:?}", self.seen.borrow());
        assert_eq!(readiness(world).await, (200, json!("ready")));
    }

    /// From the beginning of the outage to its end.
    async fn outage(&self, world: &World) {
        let began = Instant::now();
        let seconds = std::env::var("MARAUDE_OUTAGE_S").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
        let told = async || (readiness(world).await == (503, json!("not ready"))).then_some(());
        within(BOUND, "readiness that names the database", told).await;
        let noticed = began.elapsed();
        self.reaches(Kind::Registry, 503, 20).await;
        let datagrams = world.server().app.refusals.accepted();
        for kind in [Kind::Search, Kind::Position] {
            self.reaches(kind, 200, self.count(kind, 200) + 20).await;
        }
        sleep(Duration::from_secs(seconds).saturating_sub(began.elapsed())).await;
        assert!(world.server().app.refusals.accepted() > datagrams + 10, "datagrams go on");
        let parts = world.client.get("", "/health/ready").await.body;
        assert_eq!((&parts["map"], &parts["log"]), (&json!("ready"), &json!("ready")));
        eprintln!("gone for {:?}, noticed after {noticed:?}", began.elapsed());
    }

    async fn recovery(mut self, world: &mut World) {
        let began = Instant::now();
        let ready = async || (readiness(world).await == (200, json!("ready"))).then_some(());
        within(SOON, "readiness", ready).await;
        let ready = began.elapsed();
        self.reaches(Kind::Registry, 200, self.count(Kind::Registry, 200) + 50).await;
        let taxi = world.register("op-b", 2, MIDDLE).await;
        world.place("op-b", &taxi, (48.85, 2.31)).await;
        // What another process writes is heard of again.
        let added = world.program().done(&["user", "add", "op-c", "--role", "operateur", "--json"]).await;
        let added: Value = serde_json::from_str(&added).unwrap();
        let (path, key) = (format!("/users/{}", added["id"]), added["apikey"].as_str().unwrap());
        let known = async || (world.client.get(key, &path).await.status == 200).then_some(());
        within(Duration::from_secs(2), "another process's write", known).await;
        self.stop.send_replace(true);
        let mut longest = BTreeMap::new();
        while let Some(tally) = self.clients.join_next().await {
            let (kind, took) = tally.unwrap();
            let so_far = longest.entry(kind).or_insert(Duration::ZERO);
            *so_far = took.max(*so_far);
        }
        eprintln!("ready again after {ready:?}; answers {:?}; longest {longest:?}", self.seen.borrow());
        assert!(self.seen.borrow().keys().all(|(_, status)| [200, 503].contains(status)));
        assert!(longest.values().all(|took| *took < BOUND), "{longest:?}");
        for kind in [Kind::Search, Kind::Position] {
            assert_eq!(self.count(kind, 503), 0, "{kind:?}");
            assert!(longest[&kind] < CONNECTION_WITHIN, "{longest:?}");
        }
        // Last positions are saved again.
        let shown = world.look("op-a", &self.taxi).await;
        world.stop().await;
        std::fs::remove_dir_all(world.folder().join("log")).unwrap();
        world.start().await;
        assert_eq!(world.look("op-a", &self.taxi).await["position"], shown["position"]);
        world.stop().await;
    }
}

struct Asked {
    kind: Kind,
    key: String,
    method: Method,
    path: String,
    element: Option<Value>,
}

/// Asks again and again, and counts; gives the longest it waited.
async fn ask_until(
    client: Client,
    asked: Asked,
    mut stopped: watch::Receiver<bool>,
    seen: Arc<watch::Sender<BTreeMap<(Kind, u16), u64>>>,
) -> Tally {
    let mut longest = Duration::ZERO;
    while !*stopped.borrow_and_update() {
        let began = Instant::now();
        let Asked { kind, key, method, path, element } = &asked;
        let answer = client.ask(method.clone(), path, key, element.as_ref()).await.unwrap();
        longest = longest.max(began.elapsed());
        if answer.status == 503 {
            assert_eq!(answer.headers["retry-after"], "1", "{path} {answer:?}");
            assert!(answer.body["errors"][""][0].as_str().unwrap().contains("repeat"), "{path} {answer:?}");
        } else if *kind == Kind::Search {
            assert_eq!(answer.body["data"].as_array().unwrap().len(), 1, "{answer:?}");
        }
        seen.send_modify(|seen| *seen.entry((*kind, answer.status)).or_default() += 1);
        sleep(PAUSE).await;
    }
    (asked.kind, longest)
}

/// The status of readiness, and its word on the database.
async fn readiness(world: &World) -> (u16, Value) {
    let mut answer = world.client.get("", "/health/ready").await;
    (answer.status, answer.body["database"].take())
}
