//! `docker-compose.yml`, read as a container engine would, and its services as processes of this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker-compose.yml");
/// What the program's image is called; its entry point is the program.
const IMAGE: &str = "maraude:";
/// Where the file expects what is beside the program, and with which name and password.
const POSTGRES: &str = "postgres://maraude:hush@postgres:5432/maraude";
const KAFKA: &str = "kafka://kafka:9092/positions";
/// Where it mounts the volume of the archive.
const ARCHIVE: &str = "/var/lib/maraude-archive";
/// A secret of 64 hexadecimal digits.
const SECRET: &str = "7a6f1b0c9d8e2f3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f901234";

#[derive(Deserialize)]
struct File {
    services: BTreeMap<String, Value>,
}

/// What one of the program's services runs.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    /// Where its volumes are mounted.
    mounts: Vec<String>,
}

/// What stands in for the other services.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    pub(crate) database: String,
    pub(crate) log: String,
    pub(crate) archive: String,
}

/// The program's services, by name.
pub(crate) fn services() -> Vec<Service> {
    let file: File = serde_saphyr::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    let ours = file
        .services
        .into_iter()
        .filter(|(_, service)| service["image"].as_str().is_some_and(|image| image.starts_with(IMAGE)));
    ours.map(|(name, service)| Service::new(name, &service)).collect()
}

impl Service {
    fn new(name: String, service: &Value) -> Self {
        let text = |value: &Value| with_variables(value.as_str().expect("a text; numbers are quoted"));
        let environment = service["environment"].as_object().unwrap();
        // `volume:path`, or the path alone of a volume without a name.
        let mount = |value: &Value| text(value).rsplit(':').next().unwrap().to_owned();
        Self {
            name,
            command: service["command"].as_array().unwrap().iter().map(text).collect(),
            environment: environment.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            mounts: service["volumes"].as_array().into_iter().flatten().map(mount).collect(),
        }
    }

    /// Whether it runs this role.
    pub(crate) fn is(&self, role: &str) -> bool {
        self.command.ends_with(&["--role".to_owned(), role.to_owned()])
    }

    /// It as a process: its command and its environment, but for where it finds others and listens itself, which is
    /// on loopback, at ports that are free. What comes is archived within a second.
    pub(crate) fn process(&self, folder: &Path, beside: &Beside) -> Command {
        let mut command = self.other(&self.command, folder, beside);
        command.env("MARAUDE_ARCHIVE_AFTER_S", "1");
        for address in ["MARAUDE_HTTP", "MARAUDE_UDP", "MARAUDE_METRICS"] {
            if let Some(everywhere) = self.environment.get(address) {
                assert!(everywhere.starts_with("0.0.0.0:"), "{address} of {} is published", self.name);
                command.env(address, "127.0.0.1:0");
            }
        }
        command
    }

    /// Another command in its container.
    pub(crate) fn other(&self, arguments: &[String], folder: &Path, beside: &Beside) -> Command {
        let environment = &self.environment;
        assert_eq!((&*environment["MARAUDE_DATABASE"], &*environment["MARAUDE_LOG"]), (POSTGRES, KAFKA));
        assert_eq!(environment["MARAUDE_ARCHIVE"], format!("file:{ARCHIVE}"));
        // Positions are taken without it.
        assert!(
            self.is("ingest") || self.mounts.iter().any(|at| at == ARCHIVE),
            "{} has no archive",
            self.name
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_maraude"));
        command.env_clear().current_dir(folder).args(arguments).envs(environment);
        command.env("MARAUDE_DATABASE", &beside.database).env("MARAUDE_LOG", &beside.log);
        command.env("MARAUDE_ARCHIVE", &beside.archive);
        command
    }
}

/// `${NAME:?why}` filled in.
fn with_variables(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (variable, after) = rest.split_once('}').unwrap();
    let (name, _) = variable.split_once(":?").expect("a secret without which nothing starts");
    let value = match name {
        "MARAUDE_SECRET_KEY" => SECRET,
        "POSTGRES_PASSWORD" => "hush",
        other => panic!("nobody says what {other} is"),
    };
    format!("{before}{value}{}", with_variables(after))
}
