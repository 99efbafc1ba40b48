//! A running server: opens what it needs, starts every role, and stops in order.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;

use analytics::root::Root;
use engine::engine::Engine;
use engine::follow::Follower;
use ingest::clock::Clock;
use ingest::counter::Flag;
use ingest::gate::{Gate, Refusals};
use ingest::log::{Log, LogUrl, Partition};
use ingest::searches::Search;
use ingest::udp::{self, Beside, Drops, Threads};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Intake, Readiness, Searches};
use crate::config::Config;
use crate::geocoder::Geocoder;
use crate::hail::streams::Streams;
use crate::hail::{backlog, deadlines, dispatch, events, tracks, webhooks};
use crate::keep::Keeper;
use crate::limits::{DRAIN, END, PARTNER_LOOKUPS_MAX, TAXIS_A_READING, WEBHOOK_LOOKUPS_MAX};
use crate::outbound::Outbound;
use crate::passwords::Passwords;
use crate::pseudonym::Pseudonyms;
use crate::rates::Buckets;
use crate::registry::{Registry, follow};
use crate::searches::{self, History};
use crate::secrets::{SecretError, SecretKey};
use crate::statistics::archived;
use crate::statistics::taxi_hash::{self, TaxiHashes};
use crate::store::{Store, StoreError};
use crate::warehouse::Asked;
use crate::{connections, daily, keep, metrics, refused, router};

pub(crate) mod archive;
mod role;

pub use archive::Archivers;
pub use role::ProcessRole;

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {what} {address}: {error}")]
    Listen {
        /// `http`, `udp` or `metrics`.
        what: &'static str,
        /// Which address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The secret key.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The log.
    #[error(transparent)]
    Log(#[from] ingest::log::OpenError),
    /// What the archive is asked with.
    #[error(transparent)]
    Queries(#[from] crate::warehouse::NoWarehouse),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] analytics::root::Unavailable),
    /// The data directory or a thread.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: std::io::Error,
    },
    /// The histogram of searches.
    #[error("the histogram of searches cannot be made: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
    /// What calls other servers.
    #[error("what calls other servers cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// Opens the registry's rows and the secret that seals them: what the command line needs, too.
pub async fn open_store(config: &Config, clock: Clock) -> Result<(Store, SecretKey), StartError> {
    let made = std::fs::create_dir_all(&config.data_dir);
    made.map_err(|error| StartError::System {
        what: format!("making {}", config.data_dir.display()),
        error,
    })?;
    let secret = match &config.secret_key {
        Some(secret) => secret.clone(),
        None => SecretKey::from_file(&config.data_dir.join("secret.key"))?,
    };
    let store = Store::open(&config.database, clock).await?;
    // A key made just now in a wrong directory would seal accounts that no server could open.
    if let Some((first, _)) = store.users().await?.first() {
        secret.open(&first.email, &first.apikey_sealed)?;
    }
    Ok((store, secret))
}

/// A process of some role.
pub struct Server {
    /// What handlers touch.
    pub app: App,
    /// Where HTTP is listened for.
    pub http: SocketAddr,
    /// Where datagrams are listened for, if they are.
    pub udp: Option<SocketAddr>,
    /// Where metrics are told, if they are.
    pub metrics: Option<SocketAddr>,
    /// None: it has no map.
    keeper: Option<Keeper>,
    receivers: Vec<Threads>,
    stop_receiving: Arc<Flag>,
    stop_serving: CancellationToken,
    stop_tasks: CancellationToken,
    serving: JoinSet<()>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Starts it. Returns once its addresses are listened on; readiness comes when the map, if it has one, has caught
    /// up.
    pub async fn start(config: &Config, clock: Clock) -> Result<Self, StartError> {
        let listen = |what, address| move |error| StartError::Listen { what, address, error };
        let listener = TcpListener::bind(config.http).await.map_err(listen("http", config.http))?;
        let http = listener.local_addr().map_err(listen("http", config.http))?;
        let scraped = match config.metrics {
            Some(address) => Some(TcpListener::bind(address).await.map_err(listen("metrics", address))?),
            None => None,
        };
        let (store, secret) = open_store(config, clock.clone()).await?;
        let limits = connections::within_files(config.limits);
        let (stop_serving, stop_tasks) = (CancellationToken::new(), CancellationToken::new());
        let engine = Engine::start(config.shards);
        // Before everything is read, so that nothing falls between, and nothing is read twice.
        let changes = store.changes().await?;
        let store = store.bounded();
        let (registry, (log, follower), (searches_log, history)) = tokio::try_join!(
            async { Ok(Registry::load(store.clone(), secret.clone(), engine.clone()).await?) },
            open_and_follow(config, &store, &engine, clock.clone()),
            open_searches(config, clock.clone()),
        )?;
        let sockets = if config.role.takes_datagrams() {
            listen_for_datagrams(config).map_err(listen("udp", config.udp))?
        } else {
            Vec::new()
        };
        let udp =
            sockets.first().map(UdpSocket::local_addr).transpose().map_err(listen("udp", config.udp))?;
        let drops = udp.map(|_| Drops::of(&sockets)).transpose().map_err(listen("udp", config.udp))?;
        let archivers = archive::start(config, &registry, &engine, (&log, searches_log.as_ref()), &clock)?;
        let refusals = Arc::new(Refusals::default());
        let app = App {
            role: config.role,
            registry: registry.clone(),
            engine,
            log,
            searches_log,
            archivers,
            clock: clock.clone(),
            passwords: Arc::new(Passwords::new()?),
            buckets: Arc::new(Buckets::new(&config.rate_limits, clock.clone())),
            pseudonyms: Pseudonyms::new(&secret),
            taxi_hashes: TaxiHashes::new(&secret),
            outbound: Outbound::new(PARTNER_LOOKUPS_MAX, config.behaviour.private_endpoints)?,
            to_webhooks: Outbound::new(WEBHOOK_LOOKUPS_MAX, config.behaviour.private_endpoints)?,
            geocoder: Geocoder::new(config.geocoder.clone())?,
            streams: Arc::new(Streams::new(limits, stop_serving.clone())),
            retention: config.retention,
            disclosure: config.disclosure,
            asked: Arc::new(Asked::new(config, &secret)?),
            behaviour: Arc::new(config.behaviour.clone()),
            intake: Intake { started_at: clock.now(), drops },
            refusals: refusals.clone(),
            meters: Arc::default(),
            searches: Arc::new(Searches::new()?),
            history,
            open_data: Arc::default(),
            runs: Arc::default(),
            readiness: Arc::new(Readiness::default()),
        };
        let stop_receiving = Arc::new(Flag::default());
        let gate = Arc::new(Gate::new(registry.directory().clone(), refusals.clone()));
        let mut receivers = Vec::new();
        for socket in sockets {
            let served =
                udp::serve(socket, gate.clone(), app.log.clone(), clock.clone(), stop_receiving.clone());
            receivers.push(served.map_err(listen("udp", config.udp))?);
        }
        let keeper = follower.clone().map(|follower| Keeper::new(app.clone(), follower));
        let mut tasks = JoinSet::new();
        tasks.spawn(follow::follow(registry, changes, stop_tasks.clone()));
        spawn_tasks(&mut tasks, config, (&app, keeper.as_ref()), &stop_tasks)?;
        let mut serving = JoinSet::new();
        let routes = router::http(app.clone(), limits);
        serving.spawn(connections::serve(listener, routes, limits, stop_serving.clone()));
        let metrics = scraped.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(listener) = scraped {
            let sources = metrics::Sources { app: app.clone(), follower };
            serving.spawn(metrics::serve(listener, sources, stop_serving.clone()));
        }
        Ok(Self {
            app,
            http,
            udp,
            metrics,
            keeper,
            receivers,
            stop_receiving,
            stop_serving,
            stop_tasks,
            serving,
            tasks,
        })
    }

    /// Stops intake, drains to the log, saves what is known of each source and ends, in under 5 s.
    pub async fn stop(mut self) {
        self.stop_receiving.raise();
        self.stop_serving.cancel();
        let receivers = std::mem::take(&mut self.receivers).into_iter();
        let (receiving, answering): (Vec<_>, Vec<_>) =
            receivers.map(|threads| (threads.receiving, threads.answering)).unzip();
        let joined = join(receiving);
        let drained =
            tokio::time::timeout(DRAIN, async { while self.serving.join_next().await.is_some() {} });
        // What acceptance runs began is tidied up by requests, too.
        let ((), drained, ()) = tokio::join!(joined, drained, self.app.runs.end());
        if drained.is_err() {
            tracing::warn!(after_s = DRAIN.as_secs(), "requests still under way were cut off");
            self.serving.abort_all();
        }
        self.stop_tasks.cancel();
        let ended =
            tokio::time::timeout(END, async { while self.tasks.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            self.tasks.abort_all();
        }
        let (log, archivers) = (self.app.log.clone(), self.app.archivers.clone());
        let (searches, history) = (self.app.searches_log.clone(), self.app.history.clone());
        let stop_archiving = move || archivers.iter().for_each(|archivers| archivers.stop());
        if let Err(error) = tokio::task::spawn_blocking(stop_archiving).await {
            tracing::error!(%error, "archiving did not end cleanly; what is missing is archived at the next start");
        }
        let closed = tokio::join!(
            tokio::task::spawn_blocking(move || log.close()),
            tokio::task::spawn_blocking(move || {
                searches.iter().for_each(Log::close);
                history.iter().for_each(History::stop);
            }),
        );
        if let (Err(error), _) | (_, Err(error)) = closed {
            tracing::error!(%error, "a log did not close cleanly; what was acknowledged is safe");
        }
        // What the log took last is acknowledged now.
        let answered = tokio::time::timeout(END, join(answering));
        // A courtesy to the next start, which replays more of the log without it.
        let saved = tokio::time::timeout(END, async {
            if let Some(keeper) = &self.keeper {
                keeper.finish().await;
            }
        });
        let (_, saved) = tokio::join!(answered, saved);
        if saved.is_err() {
            tracing::warn!("last positions were not saved in time; the next start replays more of the log");
        }
        // A connection on which nothing answers any more would be waited for.
        let _ = tokio::time::timeout(END, self.app.registry.store().close()).await;
    }
}

/// What is done again and again in a process of this role.
fn spawn_tasks(
    tasks: &mut JoinSet<()>,
    config: &Config,
    (app, keeper): (&App, Option<&Keeper>),
    stop: &CancellationToken,
) -> Result<(), StartError> {
    tasks.spawn(refused::keep(app.clone(), stop.clone()));
    tasks.spawn(keep::keep_short(app.clone(), stop.clone()));
    if let Some(keeper) = keeper {
        tasks.spawn(keep::keep_map(keeper.clone(), stop.clone()));
        tasks.spawn(deadlines::keep(app.clone(), stop.clone()));
        tasks.spawn(dispatch::keep(app.clone(), stop.clone()));
        tasks.spawn(events::keep(app.clone(), stop.clone()));
        tasks.spawn(tracks::keep(app.clone(), stop.clone()));
        tasks.spawn(webhooks::keep(app.clone(), stop.clone()));
        tasks.spawn(backlog::keep(app.clone(), stop.clone()));
        tasks.spawn(daily::keep(app.clone(), stop.clone()));
        tasks.spawn(taxi_hash::make_ahead(app.clone()));
    }
    if config.role.archives() {
        let (root, settings) = (Root::open(&config.archive)?, archive::settings(config));
        let kept = archived::Kept { hails_ms: settings.hails_ms, grace_ms: settings.grace_ms };
        tasks.spawn(archived::keep(app.clone(), root, kept, stop.clone()));
    }
    Ok(())
}

/// Waits for threads that end.
async fn join(threads: Vec<JoinHandle<()>>) {
    // One that panicked has ended, too.
    let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
    let _ = tokio::task::spawn_blocking(join).await;
}

/// The sockets of datagrams. Only who fills the same log may take some beside us; an embedded one has a single process.
fn listen_for_datagrams(config: &Config) -> std::io::Result<Vec<UdpSocket>> {
    let beside = match config.log {
        LogUrl::File(_) => Beside::Nobody,
        LogUrl::Kafka(_) => Beside::Processes,
    };
    udp::listen(config.udp, config.udp_threads, beside)
}

/// Opens the log, on a thread that may wait for disks and brokers.
async fn open_log(config: &Config, clock: Clock) -> Result<Log, StartError> {
    let (url, settings) = (config.log.clone(), config.log_settings.clone());
    Ok(aside("opening the log", move || Log::open(&url, &settings, clock)).await??)
}

/// Opens the log of searches where the role answers any or archives them, and reads it where it answers them.
async fn open_searches(
    config: &Config,
    clock: Clock,
) -> Result<(Option<Log<Search>>, Option<History>), StartError> {
    if !config.role.follows() && !config.role.archives() {
        return Ok((None, None));
    }
    let (url, settings, exact) = (config.log.clone(), config.log_settings.clone(), config.retention.exact);
    let now = clock.now();
    let open = move || searches::open_log(&url, &settings, exact, clock);
    let log = aside("opening the log of searches", open).await??;
    let archive = Root::open(&config.archive)?;
    let read = config.role.follows().then(|| History::read(log.clone(), archive, &config.retention, now));
    let read = read.transpose();
    let failed = |error| StartError::System { what: "reading the log of searches".to_owned(), error };
    Ok((Some(log), read.map_err(failed)?))
}

/// Opens the log, and follows it where the role has a map.
async fn open_and_follow(
    config: &Config,
    store: &Store,
    engine: &Engine,
    clock: Clock,
) -> Result<(Log, Option<Arc<Follower>>), StartError> {
    let log = open_log(config, clock).await?;
    if !config.role.follows() {
        return Ok((log, None));
    }
    let follower = follow_log(store, engine, &log).await?;
    Ok((log, Some(Arc::new(follower))))
}

/// Puts the last positions known to SQL on the map, and follows the log from where they end.
async fn follow_log(store: &Store, engine: &Engine, log: &Log) -> Result<Follower, StartError> {
    // The offsets first: another process may save meanwhile, and positions later than the offsets are harmless.
    let covered = store.covered_offsets(log.epoch()).await?.unwrap_or_default();
    let (mut after, last) = (0, store.last_taxi().await?);
    while after < last {
        let upto = after.saturating_add(TAXIS_A_READING);
        let (fixes, map) = (store.last_positions(after, upto).await?, engine.clone());
        aside("putting last positions on the map", move || map.apply(&fixes)).await?;
        after = upto;
    }
    // A partition that was never covered is read from its start.
    let mut from: Vec<_> = (0..log.partitions()).map(|partition| log.start(Partition(partition))).collect();
    for (partition, offset) in covered {
        if let Some(at) = from.get_mut(usize::from(partition.0)) {
            // A log that was put back from a copy ends before what SQL has seen of it.
            *at = offset.min(log.end(partition));
        }
    }
    Follower::start(log.clone(), engine.clone(), &from).map_err(|error| StartError::System {
        what: "starting the thread that follows the log".to_owned(),
        error,
    })
}

/// Does what takes a while on a thread that may be kept.
async fn aside<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StartError::System { what: what.to_owned(), error: std::io::Error::other(error) })
}
