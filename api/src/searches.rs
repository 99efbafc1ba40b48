//! Searches as statistics need them: each is logged as it is answered, and what is logged, by this process or another,
//! is read back into memory, a year of it.
//!
//! A search waits for nothing here. One that the log does not take is counted, and in no statistic.

pub mod kept;

use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use engine::follow::Follower;
use engine::territory::Territory;
use ingest::clock::{Clock, Millis};
use ingest::counter::Counter;
use ingest::log::{Log, LogError, LogUrl, Offset, OpenError, Partition, Settings};
use ingest::searches::Search;
use thiserror::Error;

use self::kept::Kept;
use crate::limits::{SEARCHES_GATHERED_MS, SEARCHES_KEPT_DAYS};

/// The searches of a year. Cheap to clone.
#[derive(Clone, Debug)]
pub struct History(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: Log<Search>,
    follower: Follower<Search>,
    kept: Arc<RwLock<Kept>>,
    /// Where the log ended when it was opened, by partition.
    opened_at: Vec<Offset>,
    /// Searches that the log had no room for.
    refused: Counter,
}

/// The history cannot be opened.
#[derive(Debug, Error)]
pub enum OpenHistoryError {
    /// The log of searches cannot.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The thread that follows it cannot be started.
    #[error("the thread that reads the log of searches cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl History {
    /// Opens the log of searches beside that of positions at `positions`, and begins to read it. `settings` are those
    /// of positions. Waits for disks and brokers.
    pub fn open(positions: &LogUrl, settings: &Settings, clock: Clock) -> Result<Self, OpenHistoryError> {
        let settings = Settings {
            partitions: 1,
            commit_interval_ms: SEARCHES_GATHERED_MS,
            retain_for_ms: SEARCHES_KEPT_DAYS.unsigned_abs() * 86_400_000,
            retain_bytes: settings.retain_bytes,
        };
        let log = Log::open(&positions.searches(), &settings, clock)?;
        let opened_at = (0..log.partitions()).map(|partition| log.end(Partition(partition))).collect();
        let kept = Arc::new(RwLock::new(Kept::default()));
        let reads = kept.clone();
        let follower = Follower::hand_over(log.clone(), &[], move |record| {
            reads.write().unwrap_or_else(PoisonError::into_inner).extend(record.entries);
        })?;
        Ok(Self(Arc::new(Inner { log, follower, kept, opened_at, refused: Counter::default() })))
    }

    /// Remembers a search, or counts it as lost.
    pub fn add(&self, search: Search) {
        if self.0.log.append(vec![search]).is_err() {
            self.0.refused.add(1);
        }
    }

    /// Whether all searches from before this process was started are here.
    pub fn is_whole(&self) -> bool {
        self.0.follower.offsets().iter().zip(&self.0.opened_at).all(|(next, end)| next >= end)
    }

    /// The searches that are kept at this moment, those that are older blurred or gone.
    pub fn kept(&self, now: Millis, territory: &Territory) -> RwLockWriteGuard<'_, Kept> {
        let mut kept = self.0.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.forget(now, territory);
        kept
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.0.kept.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Searches that were logged.
    pub fn logged(&self) -> u64 {
        self.0.log.meters().entries.get()
    }

    /// Searches that were answered and could not be logged.
    pub fn lost(&self) -> u64 {
        self.0.refused.get() + self.0.log.meters().lost.get()
    }

    /// Removes days of the log that are over for longer than a year. Returns how many.
    pub fn retain(&self) -> Result<usize, LogError> {
        self.0.log.retain()
    }

    /// Logs what it took and takes no more.
    pub fn close(&self) {
        self.0.log.close();
        self.0.follower.stop();
    }
}
