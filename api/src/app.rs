//! What a handler may touch.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use analytics::suppress::Rule;
use engine::engine::Engine;
use hdrhistogram::Histogram;
use ingest::clock::{Clock, Millis};
use ingest::counter::{Counter, Flag};
use ingest::gate::Refusals;
use ingest::histogram::{Histogram as Durations, Snapshot};
use ingest::log::Log;
use ingest::searches::Search;
use ingest::udp::Drops;
use reqwest::Url;

use crate::config::Tiles;
use crate::console::recette::runs::Runs;
use crate::geocoder::Geocoder;
use crate::hail::streams::Streams;
use crate::metrics::Requests;
use crate::outbound::Outbound;
use crate::passwords::Passwords;
use crate::pseudonym::Pseudonyms;
use crate::rates::Buckets;
use crate::registry::Registry;
use crate::retention::Retention;
use crate::routes::opendata::OpenData;
use crate::searches::History;
use crate::serve::{Archivers, ProcessRole};
use crate::statistics::taxi_hash::TaxiHashes;
use crate::warehouse::Asked;

/// The parts of a running server. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// What this process does.
    pub role: ProcessRole,
    /// Rows, and what memory holds of them.
    pub registry: Arc<Registry>,
    /// The live map.
    pub engine: Engine,
    /// The log of positions.
    pub log: Log,
    /// The log of searches; None: this process neither answers nor archives any.
    pub searches_log: Option<Log<Search>>,
    /// What archives both, if this process does.
    pub archivers: Option<Arc<Archivers>>,
    /// The time.
    pub clock: Clock,
    /// Where passwords are hashed and tried.
    pub passwords: Arc<Passwords>,
    /// How often each account may ask.
    pub buckets: Arc<Buckets>,
    /// Makes and reads taxis' pseudonyms.
    pub pseudonyms: Pseudonyms,
    /// Hashes taxis for statistics.
    pub taxi_hashes: TaxiHashes,
    /// Calls operators' servers.
    pub outbound: Outbound,
    /// Calls webhooks, on connections and turns of their own.
    pub to_webhooks: Outbound,
    /// Tells where a customer stands.
    pub geocoder: Geocoder,
    /// Who listens to events of hails.
    pub streams: Arc<Streams>,
    /// How long what is kept.
    pub retention: Retention,
    /// When a figure may be published.
    pub disclosure: Rule,
    /// The archive.
    pub asked: Arc<Asked>,
    /// How answers are to look.
    pub behaviour: Arc<Behaviour>,
    /// Since when this process takes datagrams.
    pub intake: Intake,
    /// What was refused of datagrams, and why.
    pub refusals: Arc<Refusals>,
    /// What is counted of requests, and of what is published.
    pub meters: Arc<Meters>,
    /// Searches so far.
    pub searches: Arc<Searches>,
    /// What statistics need of the searches of a year; None: this process answers none.
    pub history: Option<History>,
    /// What is published for everybody.
    pub open_data: Arc<OpenData>,
    /// Acceptance runs that were begun on the console.
    pub(crate) runs: Arc<Runs>,
    /// Whether each part is ready.
    pub readiness: Arc<Readiness>,
}

impl App {
    /// Each part that this process has, and whether it is ready.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let Readiness { caught_up, lost } = &*self.readiness;
        let map = self
            .role
            .follows()
            .then(|| ("map", caught_up.is_raised() && !lost.is_raised() && self.engine.is_alive()));
        let archive = self.archivers.as_ref().map(|archivers| ("archive", archivers.are_well()));
        map.into_iter()
            .chain([("log", self.log.is_writable())])
            .chain(archive)
            .chain([("database", self.registry.is_current())])
    }
}

/// What is counted of requests, and of what is published.
#[derive(Debug, Default)]
pub struct Meters {
    /// Positions that were acknowledged over HTTP.
    pub http_positions: Counter,
    /// Of those that passed every check, those whose device's clock is more than two minutes off.
    pub http_clocks_off: Counter,
    /// Requests by route, method and status.
    pub requests: Requests,
    /// Times that a month could not be published by cell.
    pub publications_put_off: Counter,
}

/// Since when a process takes datagrams: what its counts of them are about.
#[derive(Clone, Debug)]
pub struct Intake {
    /// When it started to count.
    pub started_at: Millis,
    /// What the kernel drops of what is sent to its sockets; None: it takes no datagrams.
    pub drops: Option<Drops>,
}

/// Settings that change answers.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The account anybody may log as, for integration tests by partners.
    pub integration_account: Option<String>,
    /// Whether search apps see pseudonyms of taxis.
    pub fake_taxi_id: bool,
    /// Whether search apps see one neutral operator in place of each.
    pub neutral_operator: bool,
    /// Whether hail endpoints may be on private addresses.
    pub private_endpoints: bool,
    /// Where browsers reach the server, if that is not where it listens.
    pub public_url: Option<Url>,
    /// What maps are drawn over, if anything.
    pub tiles: Option<Tiles>,
}

/// How many searches were answered, and how fast.
#[derive(Debug)]
pub struct Searches {
    count: Counter,
    hits: Counter,
    durations: Durations,
    /// Microseconds, of the searches since the last look.
    latency_us: Mutex<Histogram<u32>>,
}

/// The longest search that is told from longer ones, in microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;
/// Ranges of the time that a search takes, in microseconds.
const BOUNDS_US: [u64; 13] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000];

impl Searches {
    /// None yet.
    pub fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            count: Counter::default(),
            hits: Counter::default(),
            durations: Durations::new(&BOUNDS_US),
            latency_us: Mutex::new(Histogram::new_with_max(LATENCY_MAX_US, 2)?),
        })
    }

    /// Counts one that took this long and found so many.
    pub fn record(&self, took: Duration, hits: usize) {
        self.count.add(1);
        self.hits.add(hits as u64);
        self.durations.record(took);
        let micros = u64::try_from(took.as_micros()).unwrap_or(LATENCY_MAX_US);
        self.latency_us.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros.max(1));
    }

    /// How many so far, of those asked from a town.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// How many taxis were found.
    pub fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// How long they took.
    pub fn durations(&self) -> Snapshot {
        self.durations.snapshot()
    }

    /// The 99th percentile of those since the last call, in microseconds; None without any.
    pub fn take_p99_us(&self) -> Option<u64> {
        let mut latency = self.latency_us.lock().unwrap_or_else(PoisonError::into_inner);
        let p99 = (!latency.is_empty()).then(|| latency.value_at_quantile(0.99));
        latency.reset();
        p99
    }
}

/// Whether the map is up to date.
#[derive(Debug, Default)]
pub struct Readiness {
    /// It has caught up with the log.
    pub caught_up: Flag,
    /// It no longer follows the log.
    pub lost: Flag,
}
