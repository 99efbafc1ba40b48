//! A registry to call, emptied before each sequence.

use api::config::{Config, Values};
use api::registry::add_user;
use api::serve::{Server, open_store};
use api::store::places::ShapeRow;
use ingest::clock::{Clock, Millis};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::calls::{self, ACCOUNTS, Act, Call, Managed, Who};
use crate::database::{Backend, Database};
use crate::harness::client::{Answer, Client};
use crate::harness::places::towns;
use crate::harness::wait::{SOON, within};
use crate::model::{Account, Model, NO_NUMBER};
use crate::sequences::{Difference, Met, Sequence, Stage};

/// From the rows that refer to the rows that are referred to.
const TABLES: [&str; 7] =
    ["last_positions", "taxis", "ads", "drivers", "vehicle_descriptions", "vehicles", "activity_log"];

/// Kinds of calls, and the statuses of their answers.
const EVERY: [(&str, &[u16]); 12] = [
    ("add a driver", &[200, 201, 400, 401, 403, 404]),
    ("add a vehicle", &[200, 201, 400, 401, 403]),
    ("add an ADS", &[200, 201, 400, 401, 403, 404]),
    ("add a taxi", &[200, 201, 400, 401, 403, 404]),
    ("read a taxi", &[200, 401, 403, 404]),
    ("change a taxi", &[200, 400, 401, 403, 404]),
    ("list taxis", &[200, 401, 403]),
    ("read an account", &[200, 401, 403, 404]),
    ("change an account", &[200, 400, 401, 403, 404]),
    ("list accounts", &[200, 401, 403]),
    ("log in", &[200, 400, 401]),
    ("read the log", &[200, 401, 403]),
];

/// A server, its rows, and the way to remove them.
pub(crate) struct World {
    server: Server,
    client: Client,
    clock: Clock,
    beside: Beside,
    /// Numbers and keys, in the order of [`ACCOUNTS`].
    accounts: Vec<(i32, String)>,
    // Dropped last: the database goes when nobody uses it any more.
    _database: Database,
    _folder: TempDir,
}

/// A connection of our own.
enum Beside {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Stage for World {
    type Given = Managed;
    type Step = Call;

    const NAME: &str = "model";

    fn all() -> Vec<String> {
        EVERY.iter().flat_map(|(act, statuses)| statuses.iter().map(|status| met(act, *status))).collect()
    }

    fn random(seed: u64) -> Sequence<Managed, Call> {
        calls::random(seed)
    }

    async fn begin(backend: Backend) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::new(backend, folder.path()).await?;
        let flags = [
            ("data_dir", folder.path().to_str().unwrap()),
            ("http", "127.0.0.1:0"),
            ("udp", "127.0.0.1:0"),
            ("database", &database.url),
            ("integration_account", Who::Lent.email()),
        ];
        let flags = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let config = Config::new(&Values::of_flags(&flags)).unwrap();
        let clock = Clock::manual(Millis(1_790_000_000_000));
        let (store, secret) = open_store(&config, clock.clone()).await.unwrap();
        let text = |feature: &Value, name: &str| feature["properties"][name].as_str().unwrap().to_owned();
        let rows: Vec<_> = towns()["features"]
            .as_array()
            .unwrap()
            .iter()
            .map(|feature| ShapeRow {
                key: text(feature, "insee"),
                name: text(feature, "nom"),
                shape: feature["geometry"].to_string(),
            })
            .collect();
        store.import_towns(&rows, |_| {}).await.unwrap();
        let mut accounts = Vec::new();
        for (_, email, roles) in ACCOUNTS {
            let roles: Vec<_> = roles.iter().map(|role| role.parse().unwrap()).collect();
            accounts.push(add_user(&store, &secret, (email, email), "", &roles).await.unwrap());
        }
        store.close().await;
        let server = Server::start(&config, clock.clone()).await.unwrap();
        let client = Client::new(server.http);
        let ready = async || (client.get("", "/health/ready").await.status == 200).then_some(());
        within(SOON, "readiness", ready).await;
        let beside = match backend {
            Backend::Sqlite => Beside::Sqlite(SqliteConnection::connect(&database.url).await.unwrap()),
            Backend::Postgres => Beside::Postgres(PgConnection::connect(&database.url).await.unwrap()),
        };
        Some(Self { server, client, clock, beside, accounts, _database: database, _folder: folder })
    }

    async fn play(&mut self, sequence: &Sequence<Managed, Call>, all: &mut Met) -> Result<(), Difference> {
        let mut model = self.empty(&sequence.given).await;
        for (at, call) in sequence.steps.iter().enumerate() {
            let answer = self.call(&model, call).await;
            *all.entry(met(call.act.name(), answer.status)).or_default() += 1;
            let (status, body) = model.expect(call, &answer);
            let mut got = answer.body;
            without_times(&mut got);
            if (answer.status, &got) != (status, &body) {
                let difference = format!("expected {status} {body}\n     got {} {got}", answer.status);
                return Err((at, difference));
            }
        }
        Ok(())
    }

    async fn stop(self) {
        self.server.stop().await;
    }
}

impl World {
    /// Removes every row but the accounts, which become what they were; the model of that.
    async fn empty(&mut self, managers: &[Managed]) -> Model {
        // Versions of rows begin with the time, and memory only goes forward.
        self.clock.advance(60_000);
        let mut sql: Vec<_> = TABLES.iter().map(|table| format!("DELETE FROM {table}")).collect();
        sql.push(
            "UPDATE users SET name = email, phone_number_customer = '', manager_id = NULL, version = version + 1"
                .to_owned(),
        );
        let number = |who: Who| self.accounts[who.index().unwrap()].0;
        for Managed { who, by } in managers {
            let (managed, manager) = (number(*who), number(*by));
            sql.push(format!("UPDATE users SET manager_id = {manager} WHERE id = {managed}"));
        }
        let sql = AssertSqlSafe(format!("BEGIN; {}; COMMIT", sql.join("; ")));
        match &mut self.beside {
            Beside::Sqlite(connection) => drop(connection.execute(sql).await.unwrap()),
            Beside::Postgres(connection) => drop(connection.execute(sql).await.unwrap()),
        }
        self.server.app.registry.read_all().await.unwrap();
        let mut model = Model::default();
        for ((who, email, _), (id, key)) in ACCOUNTS.iter().zip(&self.accounts) {
            let manager = managers.iter().find(|managed| managed.who == *who);
            let manager = manager.and_then(|managed| managed.by.index());
            model.accounts.push(Account::new(i64::from(*id), key, email, manager));
        }
        model
    }

    async fn call(&self, model: &Model, call: &Call) -> Answer {
        let account = |who: Who| who.index().map_or(NO_NUMBER, |at| model.accounts[at].id);
        let (method, path) = match &call.act {
            Act::AddDriver { .. } => (Method::POST, "/drivers".to_owned()),
            Act::AddVehicle { .. } => (Method::POST, "/vehicles".to_owned()),
            Act::AddAds { .. } => (Method::POST, "/ads".to_owned()),
            Act::AddTaxi { .. } => (Method::POST, "/taxis".to_owned()),
            Act::ReadTaxi(n) => (Method::GET, format!("/taxis/{}", model.taxi(*n))),
            Act::ChangeTaxi { taxi, .. } => (Method::PUT, format!("/taxis/{}", model.taxi(*taxi))),
            Act::ListTaxis { plate, page } => {
                let page = page.to_string();
                (Method::GET, with("/taxis/all", &[("licence_plate", *plate), ("p", Some(&page))]))
            }
            Act::ReadAccount(whom) => (Method::GET, format!("/users/{}", account(*whom))),
            Act::ChangeAccount { whom, .. } => (Method::PUT, format!("/users/{}", account(*whom))),
            Act::ListAccounts { email, role } => {
                (Method::GET, with("/users", &[("email", *email), ("role", *role)]))
            }
            Act::LogIn { .. } => (Method::POST, "/internal/auth".to_owned()),
            Act::ReadLog(n) => {
                (Method::GET, format!("/activity_logs?resource=taxi&resource_id={}", model.taxi(*n)))
            }
        };
        let mut request = self.client.http.request(method, format!("{}{path}", self.client.base));
        if let Some(key) = self.key(call.who) {
            request = request.header("X-Api-Key", key);
        }
        if let Some(other) = call.log_as {
            request = request.header("X-Logas", other.email());
        }
        if let Some(element) = call.element(|n| model.vehicle(n), |who| self.key(who)) {
            request = request.json(&json!({"data": [element]}));
        }
        Answer::of(request).await.unwrap()
    }

    fn key(&self, who: Who) -> Option<String> {
        match who {
            Who::Nobody => None,
            who => Some(who.index().map_or("no-such-key".to_owned(), |at| self.accounts[at].1.clone())),
        }
    }
}

fn met(act: &str, status: u16) -> String {
    format!("{act}: {status}")
}

fn with(path: &str, arguments: &[(&str, Option<&str>)]) -> String {
    let given: Vec<_> =
        arguments.iter().filter_map(|(name, value)| Some(format!("{name}={}", (*value)?))).collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

/// Times, and numbers of entries of the log, are not the model's.
fn without_times(body: &mut Value) {
    for element in body.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten() {
        let is_entry = element["action"].is_string();
        if let Some(fields) = element.as_object_mut() {
            fields.remove("added_at");
            if is_entry {
                fields.remove("time");
                fields.remove("id");
            }
        }
    }
}
