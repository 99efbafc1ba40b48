//! The embedded log: a fjall database in a directory, written by one thread that commits appends in groups.
//!
//! One keyspace for each partition and day, so that a day is forgotten by dropping its keyspaces; keys are offsets in
//! big endian, values are records. A keyspace `meta` has the epoch, the number of partitions, and
//! each partition's next offset, written in the same atomic batch as its records: it outlives them.
//!
//! Memory: the queue, a memtable of up to 16 MiB a partition, and fjall's cache.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fjall::config::FilterPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::days::{Day, Days, keyspace_name, parse_keyspace_name};
use super::intake::Intake;
use super::reader::LocalReader;
use super::worker::Worker;
use super::{Entry, LogError, Offset, OpenError, Partition, Settings};
use super::{commit, epoch, record};
use crate::clock::{Clock, Millis};
use crate::limits::MAX_PARTITIONS;

/// An embedded log. Cheap to clone; the last clone to go closes it.
#[derive(Clone)]
pub struct LocalLog<E: Entry>(Arc<Handle<E>>);

/// What the clones share. The commit thread does not hold it, so that it can end.
struct Handle<E: Entry> {
    shared: Arc<Shared<E>>,
    committer: Worker,
}

/// What the commit thread, readers and callers share.
pub(super) struct Shared<E: Entry> {
    pub(super) database: Database,
    pub(super) meta: Keyspace,
    pub(super) epoch: u64,
    pub(super) partitions: u16,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) intake: Intake<E>,
    /// Held while a group is written and while days are dropped: no group goes into a keyspace being dropped.
    pub(super) writing: Mutex<()>,
    state: Mutex<State>,
    changed: Condvar,
}

/// What is synced.
pub(super) struct State {
    /// The next offset, by partition.
    pub(super) ends: Vec<u64>,
    pub(super) days: Days,
    /// When the last record of any partition was appended.
    pub(super) appended_at: Millis,
    /// Why nothing can be written any more.
    pub(super) failed: Option<Arc<str>>,
    /// No record will come any more.
    pub(super) ended: bool,
}

impl<E: Entry> LocalLog<E> {
    /// Opens the log in a directory, and makes both if need be.
    pub fn open(path: &Path, settings: &Settings, clock: Clock) -> Result<Self, OpenError> {
        let (intake, queue) = Intake::new();
        let shared = Arc::new(Shared::open(path, settings, clock, intake)?);
        let committer = Worker::start("log-commit", {
            let shared = Arc::clone(&shared);
            move || commit::run(&shared, &queue)
        });
        let committer =
            committer.map_err(|e| OpenError::Storage { path: path.to_owned(), cause: e.to_string() })?;
        Ok(Self(Arc::new(Handle { shared, committer })))
    }

    pub(super) fn intake(&self) -> &Intake<E> {
        &self.0.shared.intake
    }

    pub(super) fn epoch(&self) -> u64 {
        self.0.shared.epoch
    }

    pub(super) fn partitions(&self) -> u16 {
        self.0.shared.partitions
    }

    pub(super) fn start(&self, partition: Partition) -> Offset {
        Offset(self.0.shared.state().start(partition))
    }

    pub(super) fn end(&self, partition: Partition) -> Offset {
        Offset(self.0.shared.state().end(partition))
    }

    pub(super) fn offset_at(&self, partition: Partition, at: Millis) -> Offset {
        let state = self.0.shared.state();
        let end = state.end(partition);
        let Some((keyspace, offsets)) = state.days.since_day(partition, Day::of(at), end) else {
            return Offset(end);
        };
        drop(state);
        let (mut low, mut high) = (offsets.start, offsets.end);
        while low < high {
            let middle = low + (high - low) / 2;
            // What cannot be read counts as late enough: the search goes on before it.
            if appended_at(&keyspace, middle).is_some_and(|appended_at| appended_at < at) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Offset(low)
    }

    pub(super) fn reader(&self, from: &[Offset]) -> LocalReader<E> {
        LocalReader::new(Arc::clone(&self.0.shared), from)
    }

    pub(super) fn close(&self) {
        self.0.close();
    }

    pub(super) fn retain(&self, needed_from: Option<&[Offset]>) -> Result<usize, LogError> {
        self.0.shared.retain(needed_from)
    }
}

impl<E: Entry> Handle<E> {
    fn close(&self) {
        self.shared.intake.close();
        self.committer.join();
    }
}

impl<E: Entry> Drop for Handle<E> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<E: Entry> fmt::Debug for LocalLog<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLog").field("epoch", &self.0.shared.epoch).finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn start(&self, partition: Partition) -> u64 {
        self.days.start(partition).unwrap_or_else(|| self.end(partition))
    }

    pub(super) fn end(&self, partition: Partition) -> u64 {
        self.ends.get(usize::from(partition.0)).copied().unwrap_or(0)
    }
}

impl<E: Entry> Shared<E> {
    fn open(path: &Path, settings: &Settings, clock: Clock, intake: Intake<E>) -> Result<Self, OpenError> {
        let explain = |error: fjall::Error| explain(path, &error);
        let database = Database::builder(path)
            .manual_journal_persist(true)
            .worker_threads(1)
            .max_journaling_size(JOURNAL_BYTES)
            .open()
            .map_err(explain)?;
        let meta = database.keyspace(META, keyspace_options).map_err(explain)?;
        let (epoch, partitions) =
            identity(&database, &meta, settings, &clock).map_err(explain)?.ok_or_else(|| {
                OpenError::Foreign { path: path.to_owned(), cause: "its description is damaged".to_owned() }
            })?;
        let state = recover(&database, &meta, partitions).map_err(explain)?;
        Ok(Self {
            database,
            meta,
            epoch,
            partitions,
            settings: settings.clone(),
            clock,
            intake,
            writing: Mutex::new(()),
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what readers see, and wakes them.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until something changes or the time is over; None: for ever.
    pub(super) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        time: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match time {
            Some(time) => self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0,
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The keyspace of a partition and day, made if need be.
    pub(super) fn keyspace(&self, partition: Partition, day: Day) -> fjall::Result<Keyspace> {
        self.database.keyspace(&keyspace_name(partition, day), keyspace_options)
    }
}

/// The key in `meta` of a partition's next offset.
pub(super) fn next_key(partition: Partition) -> [u8; 6] {
    let [high, low] = partition.0.to_be_bytes();
    [b'n', b'e', b'x', b't', high, low]
}

const META: &str = "meta";
const IDENTITY: &str = "identity";
/// The format of `meta` and of the keyspaces' names and keys.
const FORMAT: u16 = 1;
const MEMTABLE_BYTES: u64 = 16 << 20;
/// What a crash may leave to be read again before the log opens.
const JOURNAL_BYTES: u64 = 256 << 20;

fn keyspace_options() -> KeyspaceCreateOptions {
    // Records are found by range, never by guess: filters would only take room.
    KeyspaceCreateOptions::default()
        .manual_journal_persist(true)
        .max_memtable_size(MEMTABLE_BYTES)
        .filter_policy(FilterPolicy::disabled())
}

/// The epoch and the number of partitions, as the log was made or is made now. None: unreadable.
fn identity(
    database: &Database,
    meta: &Keyspace,
    settings: &Settings,
    clock: &Clock,
) -> fjall::Result<Option<(u64, u16)>> {
    if let Some(bytes) = meta.get(IDENTITY)? {
        return Ok(parse_identity(&bytes));
    }
    let epoch = epoch::random(clock);
    let mut bytes = FORMAT.to_be_bytes().to_vec();
    bytes.extend(epoch.to_be_bytes());
    bytes.extend(settings.partitions.to_be_bytes());
    let mut batch = database.batch();
    batch.insert(meta, IDENTITY, bytes);
    batch.commit()?;
    database.persist(PersistMode::SyncAll)?;
    Ok(Some((epoch, settings.partitions)))
}

fn parse_identity(bytes: &[u8]) -> Option<(u64, u16)> {
    let (format, rest) = bytes.split_first_chunk::<2>()?;
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let partitions = u16::from_be_bytes(rest.try_into().ok()?);
    (u16::from_be_bytes(*format) == FORMAT && (1..=MAX_PARTITIONS).contains(&partitions))
        .then_some((u64::from_be_bytes(*epoch), partitions))
}

/// What is in the log, from its keyspaces. Those that a crash left without a record stay for the records of their day.
fn recover(database: &Database, meta: &Keyspace, partitions: u16) -> fjall::Result<State> {
    let mut days = Days::default();
    let mut appended = Millis(i64::MIN);
    for name in database.list_keyspace_names() {
        let Some((partition, day)) = parse_keyspace_name(&name) else { continue };
        let keyspace = database.keyspace(&name, keyspace_options)?;
        let (Some(first), Some(last)) = (keyspace.first_key_value(), keyspace.last_key_value()) else {
            continue;
        };
        days.begin(partition, day, &keyspace, offset_of_key(&first.key()?).unwrap_or(0));
        let last = record::appended_at(&last.value()?).unwrap_or(Millis(day.0.saturating_mul(86_400_000)));
        appended = appended.max(last);
    }
    let mut ends = Vec::new();
    for partition in (0..partitions).map(Partition) {
        let next = meta.get(next_key(partition))?;
        ends.push(next.and_then(|bytes| offset_of_key(&bytes)).unwrap_or(0));
    }
    Ok(State { ends, days, appended_at: appended, failed: None, ended: false })
}

fn appended_at(keyspace: &Keyspace, offset: u64) -> Option<Millis> {
    record::appended_at(&keyspace.get(offset.to_be_bytes()).ok()??).ok()
}

/// The offset that a key, or the value of a `next` key, says.
pub(super) fn offset_of_key(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn explain(path: &Path, error: &fjall::Error) -> OpenError {
    let path = path.to_owned();
    match error {
        fjall::Error::Locked => OpenError::Locked { path },
        fjall::Error::InvalidVersion(_) => OpenError::Foreign { path, cause: error.to_string() },
        _ => OpenError::Storage { path, cause: cause(error).to_string() },
    }
}

/// What the disk said, without the database's debug output around it where that is possible.
pub(super) fn cause(error: &fjall::Error) -> Arc<str> {
    match error {
        fjall::Error::Io(error) => error.to_string().into(),
        fjall::Error::Poisoned => "an earlier write failed".into(),
        _ => error.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::{Damage, Full, Record};
    use super::*;
    use crate::position::{
        LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport,
    };

    const NOON: Millis = Millis(1_764_158_400_000);
    const LONG: Duration = Duration::from_secs(30);

    fn open(path: &Path) -> LocalLog<Position> {
        let settings = Settings { partitions: 1, commit_interval_ms: 0, ..Settings::default() };
        LocalLog::open(path, &settings, Clock::manual(NOON)).unwrap()
    }

    fn position() -> Position {
        Position {
            source: SourceKey { taxi: TaxiKey(1), operator: OperatorKey(1) },
            at: LatLon::new(48.8, 2.3).unwrap(),
            received_at: NOON,
            device_at: None,
            status: ReportedStatus::Free,
            motion: Motion::default(),
            transport: Transport::Http,
        }
    }

    /// Appends and gives the acknowledgement to come.
    fn append(log: &LocalLog<Position>) -> mpsc::Receiver<Result<(), LogError>> {
        let (sender, done) = mpsc::channel();
        let tell = Box::new(move |outcome| sender.send(outcome).unwrap());
        log.intake().append(vec![position()], Some(tell)).unwrap();
        done
    }

    fn poll(reader: &mut LocalReader<Position>) -> Result<Option<Record>, LogError> {
        reader.poll(Duration::ZERO)
    }

    #[test]
    fn a_failed_log_tells_those_who_wait_and_refuses_those_who_come() {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path());
        assert_eq!(append(&log).recv_timeout(LONG), Ok(Ok(())));
        let (blocked, is_blocked) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let block = move |_| {
            blocked.send(()).unwrap();
            released.recv().unwrap();
        };
        log.intake().append(vec![position()], Some(Box::new(block))).unwrap();
        is_blocked.recv().unwrap();
        let waiting = append(&log);
        commit::poison(&log.0.shared, &"the disk is on fire".into());
        release.send(()).unwrap();

        let error = waiting.recv_timeout(LONG).unwrap().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the disk is on fire") && text.contains("restart"), "{text}");
        assert_eq!(log.intake().append(vec![position()], None), Err(Full::Poisoned));
        let mut reader = log.reader(&[]);
        assert!(poll(&mut reader).unwrap().is_some() && poll(&mut reader).unwrap().is_some());
        assert_eq!(poll(&mut reader), Ok(None), "what was synced can still be read, and no more");
    }

    #[test]
    fn a_record_that_is_not_what_was_written_is_named_and_can_be_passed() {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path());
        for _ in 0..4 {
            assert_eq!(append(&log).recv_timeout(LONG), Ok(Ok(())));
        }
        let partition = Partition(0);
        let keyspace = log.0.shared.keyspace(partition, Day::of(NOON)).unwrap();
        keyspace.insert(1_u64.to_be_bytes(), b"mrd\0\x63\0 a later version").unwrap();
        keyspace.remove(2_u64.to_be_bytes()).unwrap();
        let damaged = |offset, damage| Err(LogError::Damaged { partition, offset: Offset(offset), damage });

        let mut reader = log.reader(&[]);
        assert_eq!(poll(&mut reader).unwrap().unwrap().offset, Offset(0));
        assert_eq!(poll(&mut reader), damaged(1, Damage::Header), "too short for a header");
        assert_eq!(poll(&mut reader), damaged(1, Damage::Header), "it is not passed over by itself");
        reader.seek(partition, Offset(2));
        let error = poll(&mut reader).unwrap_err();
        assert_eq!(Err(error.clone()), damaged(2, Damage::Missing));
        assert_eq!(error.to_string(), "record 2 of partition 0 of the log cannot be read: it is missing");
        reader.seek(partition, Offset(3));
        assert_eq!(poll(&mut reader).unwrap().unwrap().offset, Offset(3));
    }

    #[test]
    fn a_day_that_a_crash_left_without_a_record_takes_some_later() {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path());
        assert_eq!(append(&log).recv_timeout(LONG), Ok(Ok(())));
        // What a crash leaves that comes between the two steps of the first record of a day.
        drop(log.0.shared.keyspace(Partition(0), Day(Day::of(NOON).0 + 1)).unwrap());
        drop(log);
        let settings = Settings { partitions: 1, commit_interval_ms: 0, ..Settings::default() };
        let open =
            || LocalLog::open(directory.path(), &settings, Clock::manual(NOON.plus(86_400_000))).unwrap();
        drop(open());
        for records in 1..4 {
            let log = open();
            let mut reader = log.reader(&[]);
            for offset in 0..records {
                assert_eq!(poll(&mut reader).unwrap().unwrap().offset, Offset(offset), "of {records}");
            }
            assert_eq!(append(&log).recv_timeout(LONG), Ok(Ok(())));
        }
    }

    #[test]
    fn a_description_of_another_format_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path());
        log.0.shared.meta.insert(IDENTITY, [0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1]).unwrap();
        drop(log);
        let again = LocalLog::<Position>::open(directory.path(), &Settings::default(), Clock::manual(NOON));
        assert!(matches!(again, Err(OpenError::Foreign { .. })), "{again:?}");
    }
}
