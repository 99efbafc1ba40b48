//! The services of the compose file, running as processes that may be killed and started again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::broker;
use crate::compose::{self, Beside, Service};
use crate::database::{Backend, Database};
use crate::harness::client::Client;
use crate::harness::places::towns;
use crate::harness::program::Running;
use crate::harness::wait::{SOON, within};

/// How long a process that has just begun may take to catch up with what others took meanwhile, and go on taking.
const CATCHES_UP_WITHIN: Duration = Duration::from_mins(1);

/// Every service, and what stands beside them.
pub(crate) struct Cluster {
    pub(crate) services: BTreeMap<String, Process>,
    pub(crate) beside: Beside,
    pub(crate) operator: String,
    pub(crate) app: String,
    pub(crate) admin: String,
    _database: Database,
    _folder: TempDir,
}

/// A service; while it is down, its addresses are those that it had.
pub(crate) struct Process {
    service: Service,
    folder: TempDir,
    beside: Beside,
    running: Running,
    pub(crate) client: Client,
    pub(crate) udp: Option<SocketAddr>,
    metrics: String,
}

impl Cluster {
    /// Everything, with towns and an account for each side. None where there is no Kafka or no `PostgreSQL`.
    pub(crate) async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let log = broker::new_log()?;
        let database = Database::new(Backend::Postgres, folder.path()).await?;
        let archive = format!("file:{}", folder.path().join("archive").display());
        let beside = Beside { database: database.url.clone(), log: log.to_string(), archive };
        // All at once, as `docker compose up` does, over nothing.
        let mut begun = Vec::new();
        for service in compose::services() {
            let folder = tempfile::tempdir().unwrap();
            begun.push((begin(&service, folder.path(), &beside), service, folder));
        }
        let mut services = BTreeMap::new();
        for (running, service, folder) in begun {
            let process = Process::new(running, service, folder, &beside).await;
            services.insert(process.service.name.clone(), process);
        }
        let mut cluster = Self {
            services,
            beside,
            operator: String::new(),
            app: String::new(),
            admin: String::new(),
            _database: database,
            _folder: folder,
        };
        cluster.seed().await;
        Some(cluster)
    }

    /// What whoever runs it does first, in the container of an api.
    async fn seed(&mut self) {
        let api = &self.services[&self.of_role("api")[0]];
        let file = api.folder.path().join("towns.json");
        std::fs::write(&file, towns().to_string()).unwrap();
        api.done(&["import", "towns", file.to_str().unwrap()]).await;
        let mut keys = Vec::new();
        for (name, role) in [("op", "operateur"), ("app", "moteur"), ("boss", "admin")] {
            let added = api.done(&["user", "add", name, "--role", role, "--json"]).await;
            let added: Value = serde_json::from_str(&added).unwrap();
            keys.push(added["apikey"].as_str().unwrap().to_owned());
        }
        [self.operator, self.app, self.admin] = keys.try_into().unwrap();
        for process in self.services.values().filter(|process| process.takes_positions()) {
            let known = async || {
                let answer = process
                    .client
                    .post(&self.operator, "/geotaxi", &serde_json::json!({"positions": []}))
                    .await;
                (answer.status == 200).then_some(())
            };
            within(SOON, "the accounts", known).await;
        }
    }

    /// Names of services of a role.
    pub(crate) fn of_role(&self, role: &str) -> Vec<String> {
        let of_role = self.services.iter().filter(|(_, process)| process.service.is(role));
        of_role.map(|(name, _)| name.clone()).collect()
    }

    /// Ends those of a role, in order.
    pub(crate) async fn stop(&mut self, role: &str) {
        for process in self.services.values_mut().filter(|process| process.service.is(role)) {
            process.running.signal(Signal::SIGTERM);
            assert!(process.running.end().await.success(), "{}", process.service.name);
        }
    }
}

impl Process {
    /// One that was begun, once it is ready.
    async fn new(mut running: Running, service: Service, folder: TempDir, beside: &Beside) -> Self {
        let (client, udp, metrics) = addresses(&mut running, &service).await;
        let process = Self { service, folder, beside: beside.clone(), running, client, udp, metrics };
        process.ready().await;
        process
    }

    /// Whether it takes positions over HTTP.
    pub(crate) fn takes_positions(&self) -> bool {
        !self.service.is("archive")
    }

    /// Kills it.
    pub(crate) async fn kill(&mut self) {
        self.running.signal(Signal::SIGKILL);
        assert!(!self.running.end().await.success());
    }

    /// Starts it again, as its container's restart policy would, elsewhere, and waits until it is ready.
    pub(crate) async fn start_again(&mut self) {
        self.running = begin(&self.service, self.folder.path(), &self.beside);
        (self.client, self.udp, self.metrics) = addresses(&mut self.running, &self.service).await;
        self.ready().await;
    }

    async fn ready(&self) {
        let ready = async || (self.client.get("", "/health/ready").await.status == 200).then_some(());
        within(CATCHES_UP_WITHIN, &format!("readiness of {}", self.service.name), ready).await;
    }

    /// What a command in its container writes, which is to succeed.
    pub(crate) async fn done(&self, arguments: &[&str]) -> String {
        let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
        let mut running =
            Running::start(&mut self.service.other(&arguments, self.folder.path(), &self.beside));
        let status = running.end().await;
        let out = running.rest().await;
        assert!(status.success(), "{arguments:?}: {status}\n{out}");
        out
    }

    /// What a counter without labels has come to.
    pub(crate) async fn counted(&self, name: &str) -> u64 {
        let text = reqwest::get(&self.metrics).await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{} tells no {name}", self.service.name)).parse().unwrap()
    }
}

fn begin(service: &Service, folder: &Path, beside: &Beside) -> Running {
    let mut command = service.process(folder, beside);
    Running::start(command.env("MARAUDE_LOGGING", "error").stderr(Stdio::inherit()))
}

/// Where a process that has just begun listens: its HTTP, its datagrams and its metrics.
async fn addresses(running: &mut Running, service: &Service) -> (Client, Option<SocketAddr>, String) {
    let http = word(&running.line("  http  ").await).trim_start_matches("http://").parse().unwrap();
    let udp = if service.is("ingest") {
        Some(word(&running.line("  udp  ").await).trim_end_matches(',').parse().unwrap())
    } else {
        None
    };
    (Client::new(http), udp, word(&running.line("  metrics  ").await))
}

/// The second word of a line.
fn word(line: &str) -> String {
    line.split_whitespace().nth(1).unwrap().to_owned()
}
