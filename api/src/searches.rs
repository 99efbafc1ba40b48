//! Searches as statistics need them: each is logged as it is answered, and what is logged, by this process or another,
//! is read back into memory, a year of it.
//!
//! A search waits for nothing here. One that the log does not take is counted, and in no statistic.

pub mod kept;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use engine::follow::Follower;
use engine::territory::Territory;
use ingest::clock::{Clock, Millis};
use ingest::counter::Counter;
use ingest::log::{Log, LogError, LogUrl, Offset, OpenError, Partition, Settings};
use ingest::searches::Search;

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

/// Opens the log of searches beside that of positions at `positions`, whose settings these are. Waits for disks and
/// brokers.
pub fn open_log(positions: &LogUrl, settings: &Settings, clock: Clock) -> Result<Log<Search>, OpenError> {
    let settings = Settings {
        partitions: 1,
        commit_interval_ms: SEARCHES_GATHERED_MS,
        retain_for_ms: SEARCHES_KEPT_DAYS.unsigned_abs() * 86_400_000,
        retain_bytes: settings.retain_bytes,
    };
    Log::open(&positions.searches(), &settings, clock)
}

impl History {
    /// Begins to read a log of searches. Points are exact for as long as `exact`.
    pub fn read(log: Log<Search>, exact: Duration) -> std::io::Result<Self> {
        let opened_at = (0..log.partitions()).map(|partition| log.end(Partition(partition))).collect();
        let kept = Arc::new(RwLock::new(Kept::new(exact)));
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
        let Inner { log, follower, opened_at, .. } = &*self.0;
        let ends = (0..).map(Partition).zip(opened_at);
        // Where retention left nothing to read, nothing is read.
        follower
            .offsets()
            .iter()
            .zip(ends)
            .all(|(next, (partition, end))| log.start(partition).max(*next) >= *end)
    }

    /// Why it reads no further, if it does not: a record that cannot be read, as one of a later version.
    pub fn failure(&self) -> Option<LogError> {
        self.0.follower.failure()
    }

    /// The searches that are kept at this moment, those that are older blurred or gone.
    pub fn kept(&self, now: Millis, territory: &Territory) -> RwLockReadGuard<'_, Kept> {
        self.0.kept.write().unwrap_or_else(PoisonError::into_inner).forget(now, territory);
        self.0.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.0.kept.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Searches that are logged and that there was no room for: see [`Kept::left_out`].
    pub fn left_out(&self) -> u64 {
        self.0.kept.read().unwrap_or_else(PoisonError::into_inner).left_out()
    }

    /// Searches that were logged.
    pub fn logged(&self) -> u64 {
        self.0.log.meters().entries.get()
    }

    /// Searches that were answered and could not be logged.
    pub fn lost(&self) -> u64 {
        self.0.refused.get() + self.0.log.meters().lost.get()
    }

    /// Reads no further.
    pub fn stop(&self) {
        self.0.follower.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ingest::position::LatLon;

    use super::*;

    const NOW: Millis = Millis(1_790_000_000_000);

    fn open(url: &LogUrl) -> (Log<Search>, History) {
        let log = open_log(url, &Settings::default(), Clock::manual(NOW)).unwrap();
        (log.clone(), History::read(log, Duration::from_hours(24 * 60)).unwrap())
    }

    fn search(caller: i32) -> Search {
        Search {
            at: NOW,
            caller,
            customer: LatLon::new(48.86, 2.35).unwrap(),
            town: "75056".parse().unwrap(),
            found: 1,
            seen: 0,
            closest_m: Some(700.0),
        }
    }

    fn await_all(history: &History, count: usize) {
        let began = Instant::now();
        while history.len() < count || !history.is_whole() {
            assert!(began.elapsed() < Duration::from_secs(30), "{count} searches do not come");
            std::thread::yield_now();
        }
    }

    #[test]
    fn searches_outlive_the_process_and_what_is_not_logged_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let url = LogUrl::File(folder.path().join("log"));
        let (log, history) = open(&url);
        assert!(history.is_whole() && history.is_empty());
        (1..=3).for_each(|caller| history.add(search(caller)));
        await_all(&history, 3);
        assert_eq!((history.logged(), history.lost()), (3, 0));
        log.close();
        history.add(search(4));
        assert_eq!((history.logged(), history.lost()), (3, 1));
        drop((log, history));
        assert!(folder.path().join("log-searches").is_dir(), "beside the log of positions");

        let (_, history) = open(&url);
        await_all(&history, 3);
        let territory = Territory::new(vec![], vec![], vec![]);
        let callers = history.kept(NOW, &territory).callers(NOW, |_, _| true);
        assert_eq!(callers, [(3, 1), (2, 1), (1, 1)]);
    }
}
