//! Searches as statistics need them: each is logged as it is answered, and what is logged, by this process or another,
//! is read back into memory, a year of it at most: what the log has forgotten, because it has exact points, from the
//! archive.
//!
//! A search waits for nothing here. One that the log does not take is counted, and in no statistic.

pub mod kept;
pub mod restore;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use analytics::layout::Day;
use analytics::past::Logged;
use analytics::root::Root;
use engine::follow::Follower;
use engine::territory::Territory;
use ingest::clock::{Clock, Millis};
use ingest::counter::Counter;
use ingest::log::{Log, LogError, LogUrl, Offset, OpenError, Partition, Settings};
use ingest::searches::Search;

use self::kept::{Kept, kept_days};
use self::restore::Restoring;
use crate::limits::{SEARCHES_GATHERED_MS, SEARCHES_KEPT_DAYS};
use crate::retention::Retention;

/// The searches of a year. Cheap to clone.
#[derive(Clone, Debug)]
pub struct History(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: Log<Search>,
    follower: Follower<Search>,
    kept: Arc<RwLock<Kept>>,
    /// What the log has no more.
    restoring: Restoring,
    /// Where the log ended when it was opened, by partition.
    opened_at: Vec<Offset>,
    /// Searches that the log had no room for.
    refused: Counter,
}

/// Opens the log of searches beside that of positions at `positions`, whose settings these are. It has exact points, so
/// it keeps its days for `exact` at most. Waits for disks and brokers.
pub fn open_log(
    positions: &LogUrl,
    settings: &Settings,
    exact: Duration,
    clock: Clock,
) -> Result<Log<Search>, OpenError> {
    let exact_ms = u64::try_from(exact.as_millis()).unwrap_or(u64::MAX);
    let settings = Settings {
        partitions: 1,
        commit_interval_ms: SEARCHES_GATHERED_MS,
        retain_for_ms: exact_ms.min(SEARCHES_KEPT_DAYS.unsigned_abs() * 86_400_000),
        retain_bytes: settings.retain_bytes,
    };
    Log::open(&positions.searches(), &settings, clock)
}

impl History {
    /// Begins to read a log of searches and, as of `now`, what the archive has of the time before it for which searches
    /// are kept.
    pub fn read(
        log: Log<Search>,
        archive: Root,
        retention: &Retention,
        now: Millis,
    ) -> std::io::Result<Self> {
        let partitions = || (0..log.partitions()).map(Partition);
        let opened_at = partitions().map(|partition| log.end(partition)).collect();
        // What is before comes from the archive, and nothing else, however much the log forgets meanwhile.
        let read = Logged { epoch: log.epoch(), from: partitions().map(|of| log.start(of)).collect() };
        let kept = Arc::new(RwLock::new(Kept::new(retention)));
        let reads = kept.clone();
        let follower = Follower::hand_over(log.clone(), &read.from, move |record| {
            reads.write().unwrap_or_else(PoisonError::into_inner).extend(record.entries);
        })?;
        let since = Day::of(now.plus(-kept_days(retention) * 86_400_000));
        let restoring = Restoring::start(archive, read, since, kept.clone())?;
        Ok(Self(Arc::new(Inner { log, follower, kept, restoring, opened_at, refused: Counter::default() })))
    }

    /// Remembers a search, or counts it as lost.
    pub fn add(&self, search: Search) {
        if self.0.log.append(vec![search]).is_err() {
            self.0.refused.add(1);
        }
    }

    /// Whether all searches from before this process was started are here.
    pub fn is_whole(&self) -> bool {
        let Inner { log, follower, restoring, opened_at, .. } = &*self.0;
        if !restoring.is_done() {
            return false;
        }
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
        self.0.restoring.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use analytics::archive::{Filing, Registry};
    use analytics::blur::blur;
    use analytics::layout::{ManifestName, Recent, Stream};
    use analytics::meters::Meters;
    use analytics::past::forgotten;
    use analytics::root::ArchiveUrl;
    use analytics::searches::Searches;
    use engine::territory::Insee;
    use ingest::position::{LatLon, TaxiKey};

    use super::*;

    const NOW: Millis = Millis(1_790_000_000_000);

    const EXACT: Duration = Duration::from_hours(24 * 60);

    /// The log in a folder, the archive beside it, at a time.
    fn open(folder: &Path, now: Millis) -> (Log<Search>, History) {
        let url = LogUrl::File(folder.join("log"));
        let log = open_log(&url, &Settings::default(), EXACT, Clock::manual(now)).unwrap();
        let hails = Duration::from_hours(24 * 365);
        let retention = Retention { exact: EXACT, hails, taxis: hails };
        let history = History::read(log.clone(), archive(folder), &retention, now).unwrap();
        (log, history)
    }

    fn archive(folder: &Path) -> Root {
        Root::open(&ArchiveUrl::File(folder.join("archive"))).unwrap()
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
        let (log, history) = open(folder.path(), NOW);
        await_all(&history, 0);
        assert!(history.is_empty());
        (1..=3).for_each(|caller| history.add(search(caller)));
        await_all(&history, 3);
        assert_eq!((history.logged(), history.lost()), (3, 0));
        log.close();
        history.add(search(4));
        assert_eq!((history.logged(), history.lost()), (3, 1));
        drop((log, history));
        assert!(folder.path().join("log-searches").is_dir(), "beside the log of positions");

        let (_, history) = open(folder.path(), NOW);
        await_all(&history, 3);
        let territory = Territory::new(vec![], vec![], vec![]);
        let callers = history.kept(NOW, &territory).callers(NOW, |_, _| true);
        assert_eq!(callers, [(3, 1), (2, 1), (1, 1)]);
    }

    /// A registry without towns and taxis.
    struct Nobody;

    impl Registry for Nobody {
        fn territory(&self) -> Arc<Territory> {
            Arc::new(Territory::new(vec![], vec![], vec![]))
        }

        fn ads_town(&self, _: TaxiKey) -> Option<Insee> {
            None
        }
    }

    /// Puts what the log has into the archive, hour by hour.
    async fn file(log: &Log<Search>, root: &Root, now: Millis) {
        let (clock, meters) = (Clock::manual(now), Meters::default());
        let mut filing = Filing::<Searches>::begin(log, root, &Nobody, &clock, &meters).await.unwrap();
        while filing.take(Duration::ZERO).await.unwrap() {}
        filing.file_since(now).await.unwrap();
    }

    #[test]
    fn exact_points_leave_the_log_and_searches_come_back_from_the_archive_blurred() {
        let folder = tempfile::tempdir().unwrap();
        let (log, history) = open(folder.path(), NOW);
        (1..=3).for_each(|caller| history.add(search(caller)));
        await_all(&history, 3);
        let (root, day) = (archive(folder.path()), Day::of(NOW));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            file(&log, &root, NOW).await;
            blur::<Searches>(&root, day, &folder.path().join("aside"), &|_, _| ()).await.unwrap();
        });
        log.close();
        drop((log, history));

        let (log, history) = open(folder.path(), NOW);
        await_all(&history, 3);
        assert_eq!(history.len(), 3, "each once: the log has them still");
        log.close();
        drop((log, history));

        let later = day.next().begins().plus(i64::try_from(EXACT.as_millis()).unwrap());
        let (log, history) = open(folder.path(), later);
        await_all(&history, 3);
        assert_eq!(log.retain(), Ok(1), "a day of exact points");
        let of_archive = |from| {
            let logged = Logged { epoch: log.epoch(), from: vec![from] };
            runtime.block_on(forgotten(&root, &logged, day)).unwrap().len()
        };
        assert_eq!(of_archive(Offset(0)), 0, "what was read before the log forgot it is there already");
        let start = log.end(Partition(0));
        assert_eq!(of_archive(start), 1);
        history.add(Search { at: later, ..search(4) });
        await_all(&history, 4);
        log.close();
        drop((log, history));

        let (log, history) = open(folder.path(), later);
        assert_eq!(log.start(Partition(0)), start);
        await_all(&history, 4);
        let kept = history.kept(later, &Nobody.territory());
        assert_eq!(kept.callers(NOW, |_, _| true).len(), 4);
        assert_eq!(kept.points(10).len(), 1, "the others' town is not known any more");
        assert_eq!(kept.statistics(|_, _| true).closest_m, Some([700.0; 3]));
    }

    #[test]
    fn what_is_damaged_in_the_archive_is_left_out_and_the_rest_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let root = archive(folder.path());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let days = [0, 1, 2].map(|day| NOW.plus(day * 86_400_000));
        for (now, caller) in days.into_iter().zip(1..) {
            let (log, history) = open(folder.path(), now);
            history.add(Search { at: now, ..search(caller) });
            await_all(&history, usize::try_from(caller).unwrap());
            runtime.block_on(file(&log, &root, now));
            log.close();
        }
        // Of the first day a file of an hour is damaged, of the second one the manifest.
        let [first, second, third] = days.map(Day::of);
        let aside = folder.path().join("aside");
        for day in [second, third] {
            runtime.block_on(blur::<Searches>(&root, day, &aside, &|_, _| ())).unwrap();
        }
        let hours = runtime.block_on(root.list::<Recent>("recent/searches")).unwrap();
        let hour = hours.iter().find(|file| file.name.hour.day() == first).unwrap();
        let manifest = ManifestName { stream: Stream::Searches, day: second, number: 1 };
        for name in [root.place_of(&hour.name), root.place_of(&manifest)] {
            assert!(Path::new(&name).is_file(), "{name}");
            std::fs::write(name, [0; 1_000]).unwrap();
        }

        let later = third.next().begins().plus(i64::try_from(EXACT.as_millis()).unwrap());
        let (log, history) = open(folder.path(), later);
        assert_eq!(log.retain(), Ok(3), "days of exact points");
        log.close();
        drop((log, history));
        let (_, history) = open(folder.path(), later);
        await_all(&history, 1);
        let kept = history.kept(later, &Nobody.territory());
        assert_eq!(kept.callers(NOW, |_, _| true), [(3, 1)]);
    }
}
