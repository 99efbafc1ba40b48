//! The settings there are.

/// What a setting is.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key in the file; the flag is `--` and the key with dashes, the variable `MARAUDE_` and the key in capitals.
    pub key: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// Its default as text; empty: none. `<data>` stands for the data directory.
    pub default: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
}

const fn setting(key: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { key, meaning, default, secret: false }
}

/// Every setting, in the order in which they are shown.
pub const SETTINGS: [Setting; 30] = [
    setting(
        ROLE,
        "all",
        "what the process does: all, or over Kafka and PostgreSQL ingest (takes positions), api (answers) or archive",
    ),
    setting("data_dir", "./data", "where embedded data lives"),
    setting("http", "127.0.0.1:8080", "address of the HTTP interface"),
    setting(
        "public_url",
        "",
        "where browsers reach the server, like https://taxis.example.org; with https, the console's cookies are for \
         https alone; without it, the console is at the address of http",
    ),
    setting(
        "tiles",
        "",
        "what maps of the console are drawn over: the URL of raster tiles with {z}, {x} and {y}, a space, and whose \
         they are, which is shown; browsers ask that host for them; without it, maps have lines and points alone",
    ),
    setting("udp", "127.0.0.1:8090", "address on which positions come in as datagrams; not of the role api"),
    setting(
        "metrics",
        "",
        "address of the metrics, told in Prometheus' text format at /metrics; without it, none are",
    ),
    setting("udp_threads", "1", "sockets that receive datagrams, each with a thread of its own"),
    setting("database", "sqlite:<data>/maraude.db", "the registry's rows"),
    setting(
        "log",
        "file:<data>/log",
        "the log of positions: file:<directory>, or kafka://<host>:<port>[,<host>:<port>...]/<topic>",
    ),
    setting("log_partitions", "4", "partitions of a new log"),
    setting("log_commit_ms", "10", "the longest a position waits for others before the log is synced"),
    setting(
        "log_retain_hours",
        "48",
        "how long the log is kept, at most as long as places are exact; whole days (UTC) go once they ended so long \
         ago; of a topic of Kafka's, set when it is made",
    ),
    setting(
        "log_retain_mb",
        "4096",
        "beyond which the oldest days of the log go, but never the current one; of a topic of Kafka's, set when it is \
         made",
    ),
    setting(
        "archive",
        "file:<data>/archive",
        "the archive of the log: file:<directory>, or s3://<bucket>[/<prefix>] with keys, region and endpoint in AWS_*",
    ),
    setting(
        "archive_after_s",
        "600",
        "how long what the log took waits for more before it is archived; the shorter, the more files",
    ),
    setting(
        "query",
        "",
        "where queries of the archive run: ballista://<scheduler>[:50050], in a build with that feature; without \
         it, in this process",
    ),
    setting("shards", "1", "writer threads of the live map"),
    Setting {
        key: "secret_key",
        meaning: "64 hexadecimal digits that seal API keys, the same for every process; without it, and only where one \
                  process has every role, a key file in the data directory",
        default: "",
        secret: true,
    },
    setting("integration_account", "", "the account anybody may X-Logas, for integration tests by partners"),
    setting("fake_taxi_id", "true", "search apps see a fresh pseudonym of a taxi at each search"),
    setting("neutral_operator", "true", "search apps see one neutral operator"),
    setting("private_endpoints", "false", "hail endpoints may be on private addresses (development only)"),
    setting(
        "rate_limits",
        "",
        "how often an account may ask, by role, like moteur=50/s,operateur=6000/m:400; without it, nobody is limited",
    ),
    setting(
        "geocoder",
        "",
        "URL of a geocoder, asked for a customer's address where a hail has none; without it, none is",
    ),
    setting(
        "retain_exact_days",
        "60",
        "days for which positions, hails and searches are exact; then they become those of their town, and hails lose \
         addresses and phone numbers",
    ),
    setting(
        "retain_hails_days",
        "365",
        "days after which hails and archived searches are deleted; statistics outlive them",
    ),
    setting(
        "retain_taxis_days",
        "365",
        "days after which taxis are deleted that nobody hears and no hail has, and what nothing refers to any more",
    ),
    setting("opendata_taxis", "5", "vehicles, and customers, that each published figure is about, at least"),
    setting("logging", "info,fjall=warn,lsm_tree=warn", "what is logged, as a tracing filter"),
];

/// The setting whose flag is `maraude serve`'s alone: other commands mean an account's role by it.
pub const ROLE: &str = "role";

/// The settings that are a flag of every command.
pub fn global_settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.key != ROLE)
}
