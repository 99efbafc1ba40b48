//! The threads that keep the archive of a log: one files what it takes, one writes days from their hours.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ingest::clock::Clock;
use ingest::counter::Flag;
use ingest::log::{Log, Offset, Partition};

use crate::archive::{ArchiveError, Filing, Registry};
use crate::blur::{Plan, blur, due};
use crate::clean::clean;
use crate::compact::{CompactError, Outcome, compact};
use crate::current::Current;
use crate::expire::{self, delete};
use crate::footer::BadFile;
use crate::layout::{Day, Stream};
use crate::limits::GRACE_MS;
use crate::meters::Meters;
use crate::progress::progress;
use crate::rollups::{self, RollupError, Since, presence};
use crate::root::Root;
use crate::rows::Logged;

/// How long a reading waits for a record before the thread looks what is due and whether it should stop.
const WAIT: Duration = Duration::from_millis(100);

/// How an archive is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What the log took is filed this much later at the latest, in milliseconds, so that files are worth reading.
    pub filed_after_ms: i64,
    /// How long after a day's end what the log held then is asked, in milliseconds: by so much the brokers' clocks may
    /// be behind ours.
    pub day_ends_after_ms: i64,
    /// For how long replaced files stay, in milliseconds: longer than a query lasts.
    pub grace_ms: i64,
    /// For how long places are exact, in milliseconds: a day that ended longer ago is blurred.
    pub exact_ms: i64,
    /// For how long hails and searches are kept, in milliseconds: a day that ended longer ago is deleted, and what it
    /// adds up to is not made anew.
    pub hails_ms: i64,
    /// How often it is looked whether a day is due, and again after how long what failed is tried again.
    pub every: Duration,
    /// A directory for what does not fit in memory while a day is sorted.
    pub aside: PathBuf,
}

/// What keeps the archive of a log. Dropping it stops its threads.
pub struct Archiver<L: Logged> {
    shared: Arc<Shared<L>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared<L: Logged> {
    log: Log<L::Entry>,
    root: Root,
    registry: Arc<dyn Registry>,
    settings: Settings,
    clock: Clock,
    meters: Meters,
    stop: Flag,
    /// Whether the last try to file, and to write days, failed.
    failing: [Mutex<bool>; 2],
}

impl Settings {
    /// With a directory for what does not fit in memory.
    pub fn new(aside: PathBuf) -> Self {
        Self {
            filed_after_ms: 600_000,
            day_ends_after_ms: 60_000,
            grace_ms: GRACE_MS,
            exact_ms: i64::MAX,
            hails_ms: i64::MAX,
            every: Duration::from_secs(10),
            aside,
        }
    }
}

impl<L: Logged> Archiver<L> {
    /// Starts its threads.
    pub fn start(
        log: Log<L::Entry>,
        root: Root,
        registry: Arc<dyn Registry>,
        settings: Settings,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            log,
            root,
            registry,
            settings,
            clock,
            meters: Meters::default(),
            stop: Flag::default(),
            failing: Default::default(),
        });
        let archiver = Self { shared: Arc::clone(&shared), threads: Mutex::default() };
        let spawn = |part: &str, run: fn(&Shared<L>)| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("{}-{part}", L::STREAM)).spawn(move || run(&shared))
        };
        for (part, run) in [("file", Shared::<L>::file as fn(&Shared<L>)), ("days", Shared::<L>::write_days)]
        {
            locked(&archiver.threads).push(spawn(part, run)?);
        }
        Ok(archiver)
    }
}

impl<L: Logged> Archiver<L> {
    /// What was counted, and how far the archive is.
    pub fn meters(&self) -> &Meters {
        &self.shared.meters
    }

    /// The next record of each partition to archive; None until that is known. What lies before may be forgotten.
    pub fn reached(&self) -> Option<Vec<Offset>> {
        self.shared.meters.reached()
    }

    /// How many records of the log are not archived yet.
    pub fn lag(&self) -> u64 {
        self.shared.lag()
    }

    /// Whether it does what it should: its threads run, and what was tried last did not fail.
    pub fn is_well(&self) -> bool {
        let threads = locked(&self.threads);
        let is_failing = self.shared.failing.iter().any(|failing| *locked(failing));
        !is_failing && threads.iter().all(|thread| !thread.is_finished())
    }

    /// Ends the threads and waits for them. What was not filed is read again when the next one starts.
    pub fn stop(&self) {
        self.shared.stop.raise();
        let threads = std::mem::take(&mut *locked(&self.threads));
        // A thread that panicked has ended too.
        for thread in threads {
            drop(thread.join());
        }
    }
}

impl<L: Logged> Drop for Archiver<L> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<L: Logged> std::fmt::Debug for Archiver<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archiver").field("root", &self.shared.root).finish_non_exhaustive()
    }
}

/// What a thread does, by the place of its flag.
const FILING: usize = 0;
const DAYS: usize = 1;

impl<L: Logged> Shared<L> {
    fn file(&self) {
        self.again(FILING, "archiving", async || self.follow().await);
    }

    fn write_days(&self) {
        // When what a day's log held was asked, by day.
        let ends = Mutex::default();
        self.again(DAYS, "writing days of the archive", async || {
            loop {
                let written = self.write_due(&ends).await;
                // What was written is added up, whatever was not.
                self.add_up().await?;
                written?;
                *locked(&self.failing[DAYS]) = false;
                if self.rest() {
                    return Ok::<_, DaysError>(());
                }
            }
        });
    }

    /// Does something that ends by failing, or because it should stop, again and again.
    fn again<E: std::fmt::Display>(&self, part: usize, what: &str, work: impl AsyncFn() -> Result<(), E>) {
        let stream = L::STREAM.as_str();
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, stream, what, "it cannot begin; a restart is the remedy");
                *locked(&self.failing[part]) = true;
                return;
            }
        };
        while !self.stop.is_raised() {
            let worked = runtime.block_on(async {
                tokio::select! {
                    worked = work() => worked,
                    // A day takes minutes, and an archive may to say that it does not answer. What is cut off is
                    // begun again by whoever starts next, as after a kill.
                    () = self.stopped() => Ok(()),
                }
            });
            let Err(error) = worked else { return };
            let was_failing = std::mem::replace(&mut *locked(&self.failing[part]), true);
            self.meters.failures.add(1);
            if was_failing {
                tracing::debug!(%error, stream, what, "it still fails");
            } else {
                let every_s = self.settings.every.as_secs();
                tracing::warn!(%error, stream, what, every_s, "it failed, and is tried again");
            }
            self.rest();
        }
    }

    async fn follow(&self) -> Result<(), ArchiveError> {
        let Self { log, root, registry, settings, clock, meters, .. } = self;
        let mut filing = Filing::<L>::begin(log, root, &**registry, clock, meters).await?;
        let filed = meters.files.get() + meters.outrun.get();
        while !self.stop.is_raised() {
            filing.take(WAIT).await?;
            let is_failing = *locked(&self.failing[FILING]);
            // Who has failed to file something does not wait as long to know whether it still does.
            let after_ms = if is_failing { 0 } else { settings.filed_after_ms };
            filing.file_since(clock.now().plus(-after_ms)).await?;
            if is_failing && (meters.files.get() + meters.outrun.get() > filed || self.lag() == 0) {
                *locked(&self.failing[FILING]) = false;
                tracing::info!(stream = %L::STREAM, "archiving goes on");
            }
        }
        Ok(())
    }

    async fn write_due(&self, ends: &Mutex<Ends>) -> Result<(), CompactError> {
        let Self { root, settings, clock, meters, .. } = self;
        // A day whose manifest is damaged waits, and no other.
        let (mut found, damaged) = Current::read_sound(root, L::STREAM).await?;
        let mut failed = damaged.into_values().next().map(CompactError::from);
        let expired = expire::due::<L>(&found, clock.now().plus(settings.hails_ms.saturating_neg()));
        failed = failed.or(self.delete_days(&found, &expired).await);
        // What could not be deleted is neither blurred nor written: it is to go.
        found.days.retain(|day, _| !expired.contains(day));
        found.recent.retain(|file| !expired.contains(&file.name.hour.day()));
        let due = due::<L>(&found, clock.now().plus(settings.exact_ms.saturating_neg()));
        failed = failed.or(self.blur_days(&due).await);
        // A day that is blurred is written as it is.
        for day in found.open_days().into_iter().filter(|day| !due.contains(day)) {
            if !self.is_due(day, ends).await? {
                break;
            }
            match compact::<L>(root, day, &settings.aside, &|_, _| ()).await {
                // A file that is damaged keeps its own day waiting, and no other.
                Err(error) => failed = failed.or(Some(error)),
                Ok(Outcome::Written(manifest)) => {
                    meters.days.add(1);
                    let (rows, files) = (manifest.rows(), manifest.parts.len());
                    tracing::info!(stream = %L::STREAM, %day, rows, files, "a day of the archive was written");
                }
                Ok(Outcome::Nothing | Outcome::Outrun) => {}
            }
        }
        clean::<L>(root, clock.now().plus(-settings.grace_ms)).await?;
        failed.map_or(Ok(()), Err)
    }

    /// Adds up what was written. Of a process' archivers that of positions does so for all streams.
    async fn add_up(&self) -> Result<(), RollupError> {
        if L::STREAM != Stream::Positions {
            return Ok(());
        }
        let Self { root, registry, settings, clock, .. } = self;
        let mut failed = None;
        let before = |kept_ms: i64| clock.now().plus(kept_ms.saturating_neg());
        let since = Since { kept: before(settings.hails_ms), exact: before(settings.exact_ms) };
        let forgotten = presence::forget(root, since.exact).await?;
        if forgotten > 0 {
            tracing::info!(files = forgotten, "where taxis were by cell was forgotten");
        }
        for due in rollups::due(root, since).await? {
            let territory = registry.territory();
            match rollups::make(root, &territory, &settings.aside, (due, since)).await {
                Ok(()) => tracing::debug!(?due, "what the archive adds up to was made"),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        rollups::clean(root, clock.now().plus(-settings.grace_ms)).await?;
        failed.map_or(Ok(()), Err)
    }

    /// Deletes days. Returns what failed first: one day keeps no other waiting.
    async fn delete_days(&self, found: &Current, days: &[Day]) -> Option<CompactError> {
        let root = &self.root;
        let delete = async |day| {
            let rows = Plan::of(root, found, day).await?.rows;
            if let Outcome::Written(_) = delete::<L>(root, day).await? {
                tracing::info!(stream = %L::STREAM, %day, rows, "a day of the archive was deleted");
            }
            Ok(())
        };
        let mut failed = None;
        for &day in days {
            failed = failed.or(delete(day).await.err());
        }
        failed
    }

    /// Blurs days. Returns what failed first: one day keeps no other waiting.
    async fn blur_days(&self, days: &[Day]) -> Option<CompactError> {
        let Self { root, settings, meters, .. } = self;
        let mut failed = None;
        for &day in days {
            match blur::<L>(root, day, &settings.aside, &|_, _| ()).await {
                Err(error) => failed = failed.or(Some(error)),
                Ok(Outcome::Written(manifest)) => {
                    meters.blurred.add(1);
                    let (rows, files) = (manifest.rows(), manifest.parts.len());
                    tracing::info!(stream = %L::STREAM, %day, rows, files, "a day of the archive was blurred to towns");
                }
                Ok(Outcome::Nothing | Outcome::Outrun) => {}
            }
        }
        failed
    }

    /// Waits until it should stop.
    async fn stopped(&self) {
        let mut looks = tokio::time::interval(WAIT);
        while !self.stop.is_raised() {
            looks.tick().await;
        }
    }

    /// Whether a day is over, and everything that the log held then is archived.
    async fn is_due(&self, day: Day, ends: &Mutex<Ends>) -> Result<bool, BadFile> {
        let Self { log, root, settings, clock, .. } = self;
        if clock.now() < day.next().begins().plus(settings.day_ends_after_ms) {
            return Ok(false);
        }
        let partitions = (0..log.partitions()).map(Partition);
        let asked = locked(ends).get(&day).cloned();
        let asked = match asked {
            Some(asked) => asked,
            // A log that is away does not tell where it ends now.
            None if !log.is_writable() => return Ok(false),
            None => locked(ends)
                .entry(day)
                .or_insert(partitions.map(|partition| log.end(partition)).collect())
                .clone(),
        };
        let reached = progress(root, L::STREAM, log.epoch(), log.partitions()).await?;
        Ok(reached.iter().zip(asked).all(|(reached, end)| reached.next >= end))
    }

    fn lag(&self) -> u64 {
        let Some(reached) = self.meters.reached() else { return 0 };
        let behind = |(number, next): (u16, Offset)| self.log.end(Partition(number)).0.saturating_sub(next.0);
        (0..).zip(reached).map(behind).sum()
    }

    /// Waits until it is time again; true if it should stop.
    fn rest(&self) -> bool {
        let mut left = self.settings.every;
        while !self.stop.is_raised() && !left.is_zero() {
            let some = left.min(WAIT);
            std::thread::park_timeout(some);
            left = left.saturating_sub(some);
        }
        self.stop.is_raised()
    }
}

/// Days were not written, or not added up.
#[derive(Debug, thiserror::Error)]
enum DaysError {
    #[error(transparent)]
    Compact(#[from] CompactError),
    #[error(transparent)]
    Rollup(#[from] RollupError),
}

/// Where the log ended, by day, when that was asked first after it.
type Ends = std::collections::BTreeMap<Day, Vec<Offset>>;

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
