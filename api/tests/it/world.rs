//! A registry of three towns and five accounts, served in this process.

use std::collections::BTreeMap;
use std::time::Duration;

use api::config::{Config, Values};
use api::limits;
use api::registry::add_user;
use api::role::Role;
use api::secrets::SecretKey;
use api::serve::{Server, open_store};
use api::store::Store;
use api::store::places::{ShapeRow, ZupcRow};
use ingest::clock::{Clock, Millis};
use ingest::position::{OperatorKey, SourceKey, TaxiKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::database::{Backend, Database};
use crate::harness::client::{Answer, Client};
use crate::harness::places::{MIDDLE, WEST, rectangle, towns};
use crate::harness::program::Program;
use crate::harness::wait::{SOON, within};

/// When every world begins.
pub(crate) const NOW: Millis = Millis(1_790_000_000_000);

/// By name: number and API key.
pub(crate) type Accounts = BTreeMap<String, (i32, String)>;

/// How long a test may take.
const PATIENCE: Duration = Duration::from_mins(2);

const ACCOUNTS: [(&str, Role); 5] = [
    ("admin", Role::Admin),
    ("app", Role::Moteur),
    ("other-app", Role::Moteur),
    ("op-a", Role::Operateur),
    ("op-b", Role::Operateur),
];

/// Makes of each test that is named two: one over each database.
/// With `in` and the name of a function that makes a world: in such a world.
macro_rules! on_each_database {
    (in $world:ident: $($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let world = super::$world($crate::database::Backend::Sqlite).await;
                $crate::world::within_patience(world, super::$test).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let world = super::$world($crate::database::Backend::Postgres).await;
                $crate::world::within_patience(world, super::$test).await;
            })+
        }
    };
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $crate::world::over($crate::database::Backend::Sqlite, super::$test).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $crate::world::over($crate::database::Backend::Postgres, super::$test).await;
            })+
        }
    };
}

/// Runs a test in a world of its own, bounded in time.
pub(crate) async fn over(backend: Backend, test: impl AsyncFnOnce(&mut World)) {
    within_patience(World::begin(backend).await, test).await;
}

/// Runs a test in a world, if there is one, bounded in time.
pub(crate) async fn within_patience(world: Option<World>, test: impl AsyncFnOnce(&mut World)) {
    let Some(mut world) = world else {
        return;
    };
    tokio::time::timeout(PATIENCE, test(&mut world)).await.expect("a test takes too long");
    world.stop().await;
}

/// A server and all that it stands on. Its clock moves by hand.
pub(crate) struct World {
    server: Option<Server>,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    accounts: Accounts,
    folder: TempDir,
}

impl World {
    pub(crate) async fn begin(backend: Backend) -> Option<Self> {
        Self::begin_with(backend, NOW, seed).await
    }

    /// One that begins then, with what `seed` puts into it; the clock may go on meanwhile.
    pub(crate) async fn begin_with(
        backend: Backend,
        now: Millis,
        seed: impl AsyncFnOnce(&Store, &SecretKey, &Clock) -> Accounts,
    ) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::new(backend, folder.path()).await?;
        let clock = Clock::manual(now);
        let config = config(&folder, &database);
        let (store, secret) = open_store(&config, clock.clone()).await.unwrap();
        let accounts = seed(&store, &secret, &clock).await;
        store.close().await;
        let server = Server::start(&config, clock.clone()).await.unwrap();
        let client = Client::new(server.http);
        let world = Self { server: Some(server), client, clock, database, accounts, folder };
        world.ready().await;
        Some(world)
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Stops the server; what it stands on stays.
    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Starts the server again, on other ports.
    pub(crate) async fn start(&mut self) {
        self.start_with(limits::Http::default()).await;
    }

    /// Starts the server again with limits that a test can reach.
    pub(crate) async fn start_with(&mut self, limits: limits::Http) {
        self.start_as(|config| config.limits = limits).await;
    }

    /// Starts the server again with other settings.
    pub(crate) async fn start_as(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = config(&self.folder, &self.database);
        change(&mut config);
        let server = Server::start(&config, self.clock.clone()).await.unwrap();
        self.client = Client::new(server.http);
        self.server = Some(server);
        self.ready().await;
    }

    /// Another server over the same database and with the same secret, its log in a folder of its own.
    pub(crate) async fn another(&self, change: impl FnOnce(&mut Config)) -> (Server, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(self.folder().join("secret.key"), folder.path().join("secret.key")).unwrap();
        let mut config = config(&folder, &self.database);
        change(&mut config);
        (Server::start(&config, self.clock.clone()).await.unwrap(), folder)
    }

    async fn ready(&self) {
        let ready = async || (self.client.get("", "/health/ready").await.status == 200).then_some(());
        within(SOON, "readiness", ready).await;
    }

    /// The real binary over the same data and database.
    pub(crate) fn program(&self) -> Program {
        Program::new(self.folder.path(), Some(&self.database.url))
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn key(&self, account: &str) -> &str {
        &self.accounts[account].1
    }

    pub(crate) fn number(&self, account: &str) -> i32 {
        self.accounts[account].0
    }

    /// Adds this many accounts without a role.
    pub(crate) async fn add_accounts(&mut self, count: usize) {
        for number in 0..count {
            self.add_account(&format!("account-{number}"), &[]).await;
        }
    }

    /// Adds an account of these roles.
    pub(crate) async fn add_account(&mut self, name: &str, roles: &[Role]) {
        let (store, secret) =
            open_store(&config(&self.folder, &self.database), self.clock.clone()).await.unwrap();
        let account = add_user(&store, &secret, (name, name), "", roles).await.unwrap();
        store.close().await;
        self.accounts.insert(name.to_owned(), account);
        self.server().app.registry.read_all().await.unwrap();
    }

    /// The source that an operator's reports of a taxi belong to.
    pub(crate) fn source(&self, operator: &str, taxi: &str) -> Option<SourceKey> {
        self.server().app.registry.directory().source(taxi, self.operator(operator))
    }

    pub(crate) fn operator(&self, account: &str) -> OperatorKey {
        OperatorKey(self.number(account).unsigned_abs())
    }

    /// The registry's number of a taxi.
    pub(crate) fn taxi(&self, operator: &str, taxi: &str) -> TaxiKey {
        self.source(operator, taxi).unwrap().taxi
    }

    /// Registers the `number`-th taxi of an operator, free.
    pub(crate) async fn register(&self, operator: &str, number: u32, insee: &str) -> String {
        self.client.register(self.key(operator), number, insee).await
    }

    /// Posts positions: taxi, latitude, longitude.
    pub(crate) async fn report(&self, operator: &str, positions: &[(&str, f64, f64)]) -> Answer {
        let positions: Vec<_> = positions
            .iter()
            .map(|(taxi, lat, lon)| json!({"taxi_id": taxi, "lat": lat, "lon": lon}))
            .collect();
        self.client.post(self.key(operator), "/geotaxi/", &json!({"positions": positions})).await
    }

    /// A taxi as its operator sees it.
    pub(crate) async fn look(&self, operator: &str, taxi: &str) -> Value {
        self.client.get(self.key(operator), &format!("/taxis/{taxi}")).await.element(200)
    }

    /// Waits until an operator sees its taxi at a place.
    pub(crate) async fn shown(&self, operator: &str, taxi: &str, (lat, lon): (f64, f64)) {
        let what = format!("{taxi} at {lat} {lon}");
        let shown = async || {
            let at = self.look(operator, taxi).await["position"].take();
            (at == json!({"lat": lat, "lon": lon})).then_some(())
        };
        within(SOON, &what, shown).await;
    }

    /// Waits until a position of op-a's taxi that was received then is shown.
    pub(crate) async fn heard(&self, taxi: &str, at_s: i64) {
        let heard = async || (self.look("op-a", taxi).await["last_update"] == at_s).then_some(());
        within(SOON, "a position", heard).await;
    }

    /// Reports a position and waits until it is shown: another one than before, or in another second.
    pub(crate) async fn place(&self, operator: &str, taxi: &str, (lat, lon): (f64, f64)) {
        let answer = self.report(operator, &[(taxi, lat, lon)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let now_s = self.clock.now().seconds();
        let updated = async || (self.look(operator, taxi).await["last_update"] == now_s).then_some(());
        within(SOON, "a position received now", updated).await;
        self.shown(operator, taxi, (lat, lon)).await;
    }

    /// Says that a taxi is free, whatever it is.
    pub(crate) async fn free(&self, operator: &str, taxi: &str) {
        let free = json!({"status": "free"});
        self.client.put(self.key(operator), &format!("/taxis/{taxi}"), &free).await.element(200);
    }

    /// Frees a taxi that was seen and hails it for a customer in the middle; gives the hail's id.
    pub(crate) async fn hail(&self, app: &str, taxi: &str, operator: &str) -> String {
        self.free(operator, taxi).await;
        let hail = self.client.post(self.key(app), "/hails", &wanted(taxi)).await.element(201);
        hail["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a hail stands somewhere, as an administrator sees it.
    pub(crate) async fn stands(&self, hail: &str, status: &str) -> Value {
        let stands = async || {
            let hail = self.client.get(self.key("admin"), &format!("/hails/{hail}")).await.element(200);
            (hail["status"] == status).then_some(hail)
        };
        within(SOON, status, stands).await
    }

    /// Moves a hail as this account.
    pub(crate) async fn moves(&self, account: &str, hail: &str, wish: &Value) -> Value {
        self.client.put(self.key(account), &format!("/hails/{hail}"), wish).await.element(200)
    }

    /// Lets an operator without a server take a hail.
    pub(crate) async fn take(&self, operator: &str, hail: &str) {
        self.stands(hail, "sent_to_operator").await;
        self.moves(operator, hail, &json!({"status": "received_by_operator"})).await;
    }

    /// What an account finds around a customer.
    pub(crate) async fn search(&self, account: &str, (lat, lon): (f64, f64)) -> Vec<Value> {
        let answer = self.client.get(self.key(account), &format!("/taxis?lon={lon}&lat={lat}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["data"].as_array().unwrap().clone()
    }
}

/// The request for a taxi, by a customer in the middle.
pub(crate) fn wanted(taxi: &str) -> Value {
    json!({"customer_id": "ann", "customer_lon": 2.3522, "customer_lat": 48.8566, "customer_address": "1 rue X",
           "customer_phone_number": "0611111111", "taxi_id": taxi})
}

/// One partition: what is posted after something else is shown after it.
fn config(folder: &TempDir, database: &Database) -> Config {
    let flags = [
        ("data_dir", folder.path().to_str().unwrap()),
        ("http", "127.0.0.1:0"),
        ("udp", "127.0.0.1:0"),
        ("metrics", "127.0.0.1:0"),
        ("database", &database.url),
        ("log_partitions", "1"),
    ];
    let flags = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    Config::new(&Values::of_flags(&flags)).unwrap()
}

/// Towns, one ZUPC, one exclusion zone and the accounts.
async fn seed(store: &Store, secret: &SecretKey, _: &Clock) -> Accounts {
    let rows: Vec<_> = towns()["features"].as_array().unwrap().iter().map(town).collect();
    store.import_towns(&rows, |_| {}).await.unwrap();
    let zupc =
        ZupcRow { id: "z".into(), name: "Z".into(), insee: vec![MIDDLE.into(), WEST.into()], shape: None };
    store.import_zupc(&[zupc], |_| {}).await.unwrap();
    let shape = rectangle((2.36, 2.37), (48.86, 48.87)).to_string();
    let exclusion = ShapeRow { key: "e".into(), name: "Airport".into(), shape };
    store.import_exclusions(&[exclusion], |_| {}).await.unwrap();
    let mut accounts = BTreeMap::new();
    for (name, role) in ACCOUNTS {
        let account = add_user(store, secret, (name, name), "", &[role]).await.unwrap();
        accounts.insert(name.to_owned(), account);
    }
    accounts
}

fn town(feature: &Value) -> ShapeRow {
    let text = |name: &str| feature["properties"][name].as_str().unwrap().to_owned();
    ShapeRow { key: text("insee"), name: text("nom"), shape: feature["geometry"].to_string() }
}
