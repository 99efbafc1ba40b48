//! Every setting: its name, default, source and meaning. Reading them has no side effects.
//!
//! A value comes from a flag, else from the environment (`MARAUDE_*`), else from a file (`maraude.toml`), else it is
//! the default. A wrong one names the key, the value and what is allowed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use analytics::root::ArchiveUrl;
use analytics::suppress::Rule;
use ingest::log::LogUrl;
use reqwest::Url;
use thiserror::Error;

use crate::outbound::address;
use crate::rates::RateLimits;
use crate::retention::Retention;
use crate::secrets::SecretKey;
use crate::serve::ProcessRole;
use crate::store::DatabaseUrl;

mod query;
mod settings;
mod tiles;

pub use query::QueryUrl;
pub use settings::{ROLE, SETTINGS, Setting, global_settings};
pub use tiles::Tiles;

/// The file that is read when there is one and no other is named.
pub const FILE: &str = "maraude.toml";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The default.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A value that is not allowed.
    #[error("{key} = \"{value}\" (from {origin}) is not allowed: it must be {allowed}")]
    Value {
        /// Which setting.
        key: &'static str,
        /// Its value; masked for secrets.
        value: String,
        /// Where it came from.
        origin: Source,
        /// What is allowed.
        allowed: String,
    },
    /// A key in the file that is no setting.
    #[error("{path}: there is no setting {key}; there are {known}")]
    UnknownKey {
        /// The file.
        path: String,
        /// The key.
        key: String,
        /// Every key there is.
        known: String,
    },
    /// A file that cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Values as text with their sources, before they are understood.
#[derive(Clone, Debug)]
pub struct Values(BTreeMap<&'static str, (String, Source)>);

impl Values {
    /// Gathers values: `flags` first, then the environment, then the file (if `file` is None, [`FILE`] where there is
    /// one), then defaults.
    pub fn gather(
        flags: &BTreeMap<&'static str, String>,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new(FILE));
        let in_file = if file.is_some() || path.exists() { read_file(path)? } else { BTreeMap::new() };
        Ok(Self::resolve(flags, environment, path, &in_file))
    }

    /// Values of a file's text and defaults alone.
    pub fn of_text(text: &str) -> Result<Self, ConfigError> {
        let path = Path::new(FILE);
        Ok(Self::resolve(&BTreeMap::new(), |_| None, path, &read_text(path, text)?))
    }

    /// Values of flags and defaults alone.
    pub fn of_flags(flags: &BTreeMap<&'static str, String>) -> Self {
        Self::resolve(flags, |_| None, Path::new(FILE), &BTreeMap::new())
    }

    fn resolve(
        flags: &BTreeMap<&'static str, String>,
        environment: impl Fn(&str) -> Option<String>,
        path: &Path,
        in_file: &BTreeMap<String, String>,
    ) -> Self {
        let mut values = BTreeMap::new();
        for setting in &SETTINGS {
            let variable = format!("MARAUDE_{}", setting.key.to_uppercase());
            let value = if let Some(value) = flags.get(setting.key) {
                (value.clone(), Source::Flag(format!("--{}", setting.key.replace('_', "-"))))
            } else if let Some(value) = environment(&variable).filter(|value| !value.is_empty()) {
                (value, Source::Environment(variable))
            } else if let Some(value) = in_file.get(setting.key) {
                (value.clone(), Source::File(path.to_owned()))
            } else {
                (setting.default.to_owned(), Source::Default)
            };
            values.insert(setting.key, value);
        }
        let data = values["data_dir"].0.clone();
        for (value, source) in values.values_mut() {
            if *source == Source::Default {
                *value = value.replace("<data>", data.trim_end_matches('/'));
            }
        }
        Self(values)
    }

    /// Each setting with its value, masked where it is a secret, and its source.
    pub fn shown(&self) -> Vec<(&'static Setting, String, Source)> {
        let show = |setting: &'static Setting| {
            let (value, source) = &self.0[setting.key];
            let value = match setting.key {
                _ if setting.secret && !value.is_empty() => "***".to_owned(),
                "database" => value.parse::<DatabaseUrl>().map_or("***".to_owned(), |url| url.masked()),
                _ => value.clone(),
            };
            (setting, value, source.clone())
        };
        SETTINGS.iter().map(show).collect()
    }

    fn get<T: FromStr>(&self, key: &'static str, allowed: &str) -> Result<T, ConfigError> {
        self.parse(key, |value| value.parse().map_err(|_| allowed.to_owned()))
    }

    fn number(&self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Result<u64, ConfigError> {
        self.parse(key, |value| {
            let number = value.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| format!("a whole number from {} to {}", range.start(), range.end()))
        })
    }

    fn parse<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let (value, source) = &self.0[key];
        parse(value).map_err(|allowed| {
            let shown = self.shown().into_iter().find(|(setting, _, _)| setting.key == key);
            let value = shown.map_or_else(|| value.clone(), |(_, value, _)| value);
            ConfigError::Value { key, value, origin: source.clone(), allowed }
        })
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.display().to_string(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    read_text(path, &text)
}

fn read_text(path: &Path, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.display().to_string(), reason };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| failed(error.to_string()))?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        if !SETTINGS.iter().any(|setting| setting.key == key) {
            let known: Vec<_> = SETTINGS.iter().map(|setting| setting.key).collect();
            return Err(ConfigError::UnknownKey {
                path: path.display().to_string(),
                key,
                known: known.join(", "),
            });
        }
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            other => {
                return Err(failed(format!(
                    "{key} must be a text, a whole number or a boolean, not a {}",
                    other.type_str()
                )));
            }
        };
        values.insert(key, value);
    }
    Ok(values)
}

/// The configuration, understood.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the process does.
    pub role: ProcessRole,
    /// Where embedded data lives.
    pub data_dir: PathBuf,
    /// Address of the HTTP interface.
    pub http: SocketAddr,
    /// Address of datagrams.
    pub udp: SocketAddr,
    /// Address of the metrics; None: they are not told.
    pub metrics: Option<SocketAddr>,
    /// Sockets that receive datagrams.
    pub udp_threads: usize,
    /// The registry's rows.
    pub database: DatabaseUrl,
    /// The log of positions.
    pub log: LogUrl,
    /// How it is kept.
    pub log_settings: ingest::log::Settings,
    /// The archive of the log.
    pub archive: ArchiveUrl,
    /// How long what the log took waits for more before it is archived.
    pub archive_after: Duration,
    /// Where queries of the archive run; None: in this process.
    pub query: Option<QueryUrl>,
    /// Writer threads of the live map.
    pub shards: usize,
    /// Seals API keys; None: the key file in the data directory does.
    pub secret_key: Option<SecretKey>,
    /// Where customers' addresses are asked for; None: nowhere.
    pub geocoder: Option<Url>,
    /// How answers are to look.
    pub behaviour: crate::app::Behaviour,
    /// Limits of the HTTP interface: no setting, but a test may lower them.
    pub limits: crate::limits::Http,
    /// How often an account may ask, by role.
    pub rate_limits: RateLimits,
    /// How long what is kept.
    pub retention: Retention,
    /// When a figure may be published.
    pub disclosure: Rule,
    /// What is logged.
    pub logging: String,
}

impl Config {
    /// Understands values.
    pub fn new(values: &Values) -> Result<Self, ConfigError> {
        let address = "an address with a port, like 127.0.0.1:8080";
        let small =
            |key, range| Ok::<_, ConfigError>(usize::try_from(values.number(key, range)?).unwrap_or(1));
        let text = |key: &'static str| values.0[key].0.clone();
        let config = Self {
            role: values.get(ROLE, "all, ingest, api or archive")?,
            data_dir: PathBuf::from(text("data_dir")),
            http: values.get("http", address)?,
            udp: values.get("udp", address)?,
            metrics: match text("metrics").as_str() {
                "" => None,
                _ => Some(values.get("metrics", address)?),
            },
            udp_threads: small("udp_threads", 1..=64)?,
            database: values.parse("database", DatabaseUrl::from_str)?,
            log: values.parse("log", |value| {
                value.parse().map_err(|error: ingest::log::BadLogUrl| error.to_string())
            })?,
            log_settings: ingest::log::Settings {
                partitions: u16::try_from(values.number("log_partitions", 1..=64)?).unwrap_or(1),
                commit_interval_ms: values.number("log_commit_ms", 1..=1000)?,
                retain_for_ms: logged_for_ms(values)?,
                retain_bytes: values.number("log_retain_mb", 1..=1_000_000_000)? * 1_000_000,
            },
            archive: values.parse("archive", |value| {
                value.parse().map_err(|error: analytics::root::BadArchiveUrl| error.to_string())
            })?,
            archive_after: Duration::from_secs(values.number("archive_after_s", 0..=3_600)?),
            query: match text("query").as_str() {
                "" => None,
                _ => Some(values.parse("query", QueryUrl::from_str)?),
            },
            shards: small("shards", 1..=64)?,
            secret_key: match text("secret_key").as_str() {
                "" => None,
                _ => Some(values.parse("secret_key", |value| {
                    SecretKey::from_hex(value).map_err(|error| error.to_string())
                })?),
            },
            geocoder: match text("geocoder").as_str() {
                "" => None,
                _ => Some(values.parse("geocoder", |value| {
                    address::read(value).ok_or_else(|| "a URL of http or https".to_owned())
                })?),
            },
            behaviour: crate::app::Behaviour {
                integration_account: Some(text("integration_account")).filter(|email| !email.is_empty()),
                fake_taxi_id: values.get("fake_taxi_id", "true or false")?,
                neutral_operator: values.get("neutral_operator", "true or false")?,
                private_endpoints: values.get("private_endpoints", "true or false")?,
                public_url: match text("public_url").as_str() {
                    "" => None,
                    _ => Some(values.parse("public_url", read_public_url)?),
                },
                tiles: match text("tiles").as_str() {
                    "" => None,
                    _ => Some(values.parse("tiles", Tiles::from_str)?),
                },
            },
            limits: crate::limits::Http::default(),
            rate_limits: values.parse("rate_limits", RateLimits::from_str)?,
            retention: retention(values)?,
            disclosure: Rule { least: small("opendata_taxis", 3..=1_000)?, ..Rule::default() },
            logging: values.parse("logging", |value| {
                value
                    .parse::<tracing_subscriber::EnvFilter>()
                    .map(|_| value.to_owned())
                    .map_err(|_| "a filter like info or info,api=debug".to_owned())
            })?,
        };
        config.check_role(values)?;
        Ok(config)
    }

    /// Processes of one role each share their log, their rows and the key that seals them.
    fn check_role(&self, values: &Values) -> Result<(), ConfigError> {
        if self.role == ProcessRole::All {
            return Ok(());
        }
        let shared = [
            ("log", matches!(self.log, LogUrl::Kafka(_)), "a kafka:// URL"),
            ("database", matches!(self.database, DatabaseUrl::Postgres(_)), "a postgres:// URL"),
            ("secret_key", self.secret_key.is_some(), "64 hexadecimal digits"),
        ];
        match shared.into_iter().find(|(_, is_shared, _)| !is_shared) {
            None => Ok(()),
            Some((key, _, needed)) => {
                let allowed = format!("{needed} where the role is {}, so that processes share it", self.role);
                values.parse(key, |_| Err(allowed))
            }
        }
    }
}

/// The beginning of every address at which browsers reach the server.
fn read_public_url(text: &str) -> Result<Url, String> {
    let is_bare = |url: &Url| url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let url = address::read(text).filter(|url| is_bare(url) && url.username().is_empty());
    url.ok_or_else(|| "a URL of http or https without a path".to_owned())
}

/// Hails are kept at least as long as they are exact, and these until they are copied.
fn retention(values: &Values) -> Result<Retention, ConfigError> {
    const DAYS_MAX: u64 = 36_500;
    let days = |key, least| values.number(key, least..=DAYS_MAX);
    let exact = days("retain_exact_days", 3)?;
    let of_days = |days: u64| Duration::from_hours(24 * days);
    Ok(Retention {
        exact: of_days(exact),
        hails: of_days(days("retain_hails_days", exact)?),
        taxis: of_days(days("retain_taxis_days", exact)?),
    })
}

/// The log has exact places, so it keeps them no longer than they may be exact.
fn logged_for_ms(values: &Values) -> Result<u64, ConfigError> {
    let hours = values.number("log_retain_hours", 1..=87_600)?;
    Ok(hours.min(retention(values)?.exact.as_secs() / 3_600) * 3_600_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(
        flags: &[(&'static str, &str)],
        environment: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<(Values, Config), ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.toml");
        let path = file.map(|text| {
            std::fs::write(&path, text).unwrap();
            path.as_path()
        });
        let flags = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let variable = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let values = Values::gather(&flags, variable, path)?;
        let config = Config::new(&values)?;
        Ok((values, config))
    }

    #[test]
    fn flags_beat_the_environment_beats_the_file_beats_defaults() {
        let file = "http = \"127.0.0.1:1\"\nudp = \"127.0.0.1:1\"\nshards = 2\nfake_taxi_id = false";
        let environment = [("MARAUDE_HTTP", "127.0.0.1:2"), ("MARAUDE_UDP", "127.0.0.1:2")];
        let (values, config) = config(&[("udp", "127.0.0.1:3")], &environment, Some(file)).unwrap();
        assert_eq!((config.udp.port(), config.http.port(), config.shards), (3, 2, 2));
        assert!(!config.behaviour.fake_taxi_id && config.behaviour.neutral_operator);
        let source = |key| values.shown().into_iter().find(|(s, _, _)| s.key == key).unwrap().2;
        assert_eq!(source("udp"), Source::Flag("--udp".to_owned()));
        assert_eq!(source("http"), Source::Environment("MARAUDE_HTTP".to_owned()));
        assert!(matches!(source("shards"), Source::File(_)));
        assert_eq!(source("log"), Source::Default);
    }

    #[test]
    fn defaults_live_in_the_data_directory() {
        let (_, config) = config(&[("data_dir", "/srv/taxis/")], &[], None).unwrap();
        assert_eq!(config.database, DatabaseUrl::Sqlite("/srv/taxis/maraude.db".into()));
    }

    #[test]
    fn a_wrong_value_names_key_value_source_and_what_is_allowed() {
        let error = config(&[], &[("MARAUDE_HTTP", "here")], None).unwrap_err().to_string();
        for part in ["http", "\"here\"", "MARAUDE_HTTP", "127.0.0.1:8080"] {
            assert!(error.contains(part), "{error}");
        }
        let error = config(&[("shards", "65")], &[], None).unwrap_err().to_string();
        assert!(error.contains("from 1 to 64"), "{error}");
        let error = config(&[], &[], Some("htpp = \"x\"")).unwrap_err().to_string();
        assert!(error.contains("htpp") && error.contains("udp_threads"), "{error}");
        assert!(config(&[], &[], Some("http = ")).is_err());
        assert!(config(&[], &[("MARAUDE_LOGGING", "a=b=c")], None).is_err());
        let error = config(&[], &[("MARAUDE_METRICS", "9100")], None).unwrap_err().to_string();
        assert!(error.contains("metrics = \"9100\" (from MARAUDE_METRICS)"), "{error}");
        let error = config(&[], &[("MARAUDE_RATE_LIMITS", "cook=5/s")], None).unwrap_err().to_string();
        assert!(error.starts_with("rate_limits = \"cook=5/s\" (from MARAUDE_RATE_LIMITS)"), "{error}");
        let error = config(&[], &[("MARAUDE_GEOCODER", "ftp://a/")], None).unwrap_err().to_string();
        assert!(error.contains("geocoder = \"ftp://a/\"") && error.contains("http or https"), "{error}");
        let (_, defaults) = config(&[], &[], None).unwrap();
        assert_eq!((defaults.metrics, defaults.geocoder), (None, None), "off unless asked for");
        assert_eq!(defaults.rate_limits, RateLimits::default(), "off unless asked for");
    }

    #[test]
    fn a_role_of_its_own_needs_what_processes_share() {
        let secret = "ab".repeat(32);
        let mut flags = vec![("role", "ingest")];
        for (key, value) in [
            ("log", "kafka://127.0.0.1:9092/p"),
            ("database", "postgres://m@127.0.0.1/m"),
            ("secret_key", &*secret),
        ] {
            let error = config(&flags, &[], None).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key} = ")), "{error}");
            assert!(error.contains("where the role is ingest"), "{error}");
            flags.push((key, value));
        }
        assert_eq!(config(&flags, &[], None).unwrap().1.role, ProcessRole::Ingest);
        let error = config(&[("role", "cook")], &[], None).unwrap_err().to_string();
        assert!(error.contains("all, ingest, api or archive"), "{error}");
    }

    #[test]
    fn hails_are_kept_as_long_as_they_are_exact() {
        let days = |exact: &str, hails: &str| {
            let flags = [("retain_exact_days", exact), ("retain_hails_days", hails)];
            config(&flags, &[], None).map(|(_, config)| config.retention.exact.as_secs() / 86_400)
        };
        assert_eq!(days("90", "90").unwrap(), 90);
        let error = days("90", "89").unwrap_err().to_string();
        assert!(error.contains("retain_hails_days = \"89\"") && error.contains("from 90 to"), "{error}");
        // Copies are of exact ones.
        assert!(days("2", "365").is_err());
    }

    #[test]
    fn the_log_keeps_exact_places_no_longer_than_they_may_be_exact() {
        let days = |exact: &str, hours: &str| {
            let flags = [("retain_exact_days", exact), ("log_retain_hours", hours)];
            config(&flags, &[], None).unwrap().1.log_settings.retain_for_ms / 86_400_000
        };
        assert_eq!(days("60", "48"), 2);
        assert_eq!(days("3", "168"), 3);
        assert_eq!(days("60", "87600"), 60);
    }

    #[test]
    fn secrets_are_never_shown() {
        let secret = "ab".repeat(32);
        let flags = [("secret_key", secret.as_str()), ("database", "postgres://ann:hush@127.0.0.1/m")];
        let (values, _) = config(&flags, &[], None).unwrap();
        let shown = format!("{:?}", values.shown());
        assert!(!shown.contains(&secret) && !shown.contains("hush"), "{shown}");
        let error = config(&[("secret_key", "hush")], &[], None).unwrap_err().to_string();
        assert!(!error.contains("hush") && error.contains("64 hexadecimal"), "{error}");
        let error = config(&[("database", "mysql://ann:hush@x")], &[], None).unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }
}
