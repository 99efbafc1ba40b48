//! The contract of the log, run over every kind of log there is; then what only the embedded one promises.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[expect(dead_code, reason = "brokers that go away have tests of their own")]
mod broker;
mod contract;

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use contract::{Sample as _, batch, drain, position};
use ingest::clock::{Clock, Millis};
use ingest::limits::{LOG_QUEUE, MAX_GROUP, MAX_QUEUED_ENTRIES, MAX_RECORD_ROWS};
use ingest::log::{Damage, Entry, Full, Log, LogError, LogUrl, Offset, OpenError, Partition, Settings};
use ingest::position::Position;
use ingest::searches::Search;

const NOON: Millis = Millis(1_764_158_400_000);
const DAY_MS: i64 = 86_400_000;

fn open(path: &Path, clock: &Clock) -> Log {
    open_with(path, clock, &Settings { commit_interval_ms: 1, ..Settings::default() })
}

fn open_with(path: &Path, clock: &Clock, settings: &Settings) -> Log {
    Log::open(&LogUrl::File(path.to_owned()), settings, clock.clone()).unwrap()
}

/// How many positions are in a log.
fn rows(log: &Log) -> usize {
    drain(log, &[]).iter().map(|record| record.entries.len()).sum()
}

/// Runs one case of the contract over a fresh log of each kind, of entries that are inferred.
fn over_every_log<E: Entry>(case: impl Fn(Log<E>, &Clock)) {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let settings = Settings { commit_interval_ms: 1, ..Settings::default() };
    for url in [Some(LogUrl::File(directory.path().to_owned())), broker::new_log()].into_iter().flatten() {
        case(Log::open(&url, &settings, clock.clone()).unwrap(), &clock);
    }
}

/// Runs one case of the contract over a fresh log of each kind, of positions and of searches.
macro_rules! over_every_log {
    ($case:expr) => {
        over_every_log::<Position>($case);
        over_every_log::<Search>($case);
    };
}

#[test]
fn what_is_appended_is_read_in_order_from_consecutive_offsets() {
    over_every_log!(|log, _| contract::order_and_offsets(&log));
}

#[test]
fn a_waiting_reader_wakes_when_a_record_is_synced() {
    over_every_log!(|log, _| contract::tailing(&log));
}

#[test]
fn a_reader_starts_and_goes_on_where_it_is_told() {
    over_every_log!(|log, _| contract::seeking(&log));
}

#[test]
fn an_instant_has_an_offset() {
    over_every_log!(|log, clock| contract::seeking_by_time(&log, clock));
}

#[test]
fn an_acknowledged_append_can_be_read_at_once() {
    over_every_log!(|log, _| contract::acknowledged_is_readable(&log));
}

#[test]
fn a_closed_log_has_what_it_took_and_takes_no_more() {
    over_every_log!(|log, _| contract::closing(&log));
}

#[test]
fn a_record_of_another_kind_is_named_and_is_no_entries() {
    let directory = tempfile::tempdir().unwrap();
    let searches = [Some(LogUrl::File(directory.path().to_owned())), broker::new_log()];
    for url in searches.into_iter().flatten() {
        let log = Log::open(&url, &Settings::default(), Clock::manual(NOON)).unwrap();
        contract::append(&log, vec![Search::sample(1, 1)]);
        log.close();
        drop(log);
        let log: Log = Log::open(&url, &Settings::default(), Clock::manual(NOON)).unwrap();
        let error = log.reader(&[]).poll(contract::LONG).unwrap_err();
        assert!(matches!(error, LogError::Damaged { damage: Damage::Kind(1), .. }), "{error}");
    }
}

#[test]
fn partitions_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &Clock::manual(NOON));
    let partition = |n| log.partition_of(&position(n));
    let other = (1..1_000).find(|n| partition(*n) != partition(0)).unwrap();
    for n in [0, other].repeat(10) {
        contract::append(&log, vec![position(n)]);
    }
    let mut reader = log.reader(&[]);
    let first: Vec<_> = (0..4).map(|_| reader.poll(Duration::ZERO).unwrap().unwrap().partition).collect();
    assert!(
        first[0] != first[1] && first[..2] == first[2..],
        "what is there is given without waiting: {first:?}"
    );
}

#[test]
fn append_times_never_fall() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let log = open(directory.path(), &clock);
    contract::append(&log, batch(0..3));
    clock.advance(-2 * DAY_MS);
    contract::append(&log, batch(3..6));
    drop(log);
    let log = open(directory.path(), &clock);
    contract::append(&log, batch(6..9));
    assert!(drain(&log, &[]).iter().all(|record| record.appended_at == NOON));
}

#[test]
fn a_log_opened_again_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let log = open(directory.path(), &clock);
    contract::append(&log, batch(0..100));
    clock.advance(DAY_MS);
    contract::append(&log, batch(100..200));
    let (epoch, before) = (log.epoch(), drain(&log, &[]));
    drop(log);

    let log = open_with(directory.path(), &clock, &Settings { partitions: 9, ..Settings::default() });
    assert_eq!(log.epoch(), epoch);
    assert_eq!(log.partitions(), 4, "the number of partitions is the one it was made with");
    assert_eq!(drain(&log, &[]), before);
    assert_eq!(log.end(Partition(0)), Offset(2));

    let elsewhere = tempfile::tempdir().unwrap();
    assert_ne!(open(elsewhere.path(), &clock).epoch(), epoch);
}

/// What a killed process leaves is what its files hold at that moment; that they outlive the machine too is fjall's
/// promise.
#[test]
fn what_is_acknowledged_is_in_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let log = open(directory.path(), &clock);
    contract::append(&log, batch(0..100));
    let copy = tempfile::tempdir().unwrap();
    copy_files(directory.path(), copy.path());
    assert_eq!(drain(&open(copy.path(), &clock), &[]), drain(&log, &[]));
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_files(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_write_that_fails_ends_the_taking() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let log = open(directory.path(), &clock);
    contract::append(&log, batch(0..4));
    // The next day's records need new files, where there is no directory any more.
    std::fs::rename(directory.path().join("keyspaces"), directory.path().join("moved")).unwrap();
    std::fs::write(directory.path().join("keyspaces"), "").unwrap();
    clock.advance(DAY_MS);
    let (sender, done) = mpsc::channel();
    log.append_acknowledged(batch(0..4), Box::new(move |outcome| sender.send(outcome).unwrap())).unwrap();
    let outcome = done.recv().unwrap();
    assert!(matches!(outcome, Err(LogError::Poisoned { .. })), "{outcome:?}");
    assert_eq!(log.append(batch(0..4)), Err(Full::Poisoned));
    assert_eq!(rows(&log), 4);
}

#[test]
fn a_panic_on_the_logs_thread_ends_the_taking() {
    over_every_log(|log, _| {
        let breaks_the_rules = Box::new(|_| panic!("an acknowledgement that breaks the rules"));
        log.append_acknowledged(batch(0..4), breaks_the_rules).unwrap();
        let asked = Instant::now();
        while log.is_writable() {
            assert!(asked.elapsed() < contract::LONG, "nobody noticed");
            std::thread::yield_now();
        }
        log.close();
        assert_eq!(log.append(batch(0..4)), Err(Full::Poisoned));
        let refused = log.append_acknowledged(batch(0..4), Box::new(|_| ()));
        assert_eq!((refused, log.is_writable()), (Err(Full::Poisoned), false));
        assert_eq!(rows(&log), 4);
    });
}

#[test]
fn a_directory_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let _log = open(directory.path(), &clock);
    let again = <Log>::open(&LogUrl::File(directory.path().to_owned()), &Settings::default(), clock);
    assert!(matches!(again, Err(OpenError::Locked { .. })), "{again:?}");
}

#[test]
fn offsets_outlive_the_records() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let settings = Settings { retain_for_ms: DAY_MS.unsigned_abs(), ..Settings::default() };
    let log = open_with(directory.path(), &clock, &settings);
    contract::append(&log, batch(0..50));
    contract::append(&log, batch(50..99));
    assert_eq!(log.retain(), Ok(0), "the day is not over");

    clock.advance(3 * DAY_MS);
    let ends: Vec<_> = (0..4).map(|p| log.end(Partition(p))).collect();
    assert_eq!(ends, [Offset(2); 4]);
    assert_eq!(log.retain_unless_needed(&[Offset(2), Offset(2), Offset(1), Offset(2)]), Ok(0));
    assert_eq!(log.retain_unless_needed(&ends[..3]), Ok(0), "a partition not mentioned is needed");
    assert_eq!(log.retain_unless_needed(&ends), Ok(1));
    assert_eq!(drain(&log, &[]), []);
    assert_eq!(log.start(Partition(1)), Offset(2));
    assert_eq!(log.offset_at(Partition(1), NOON), Offset(2));
    drop(log);

    let log = open_with(directory.path(), &clock, &settings);
    assert_eq!((log.start(Partition(1)), log.end(Partition(1))), (Offset(2), Offset(2)));
    contract::append(&log, batch(0..50));
    let records = drain(&log, &[]);
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|record| record.offset == Offset(2)));
    drop(log);
    assert_eq!(drain(&open_with(directory.path(), &clock, &settings), &[]), records);
}

#[test]
fn a_reader_that_retention_overtakes_moves_to_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let settings = Settings { partitions: 1, retain_for_ms: 0, ..Settings::default() };
    let log = open_with(directory.path(), &clock, &settings);
    contract::append(&log, batch(0..5));
    clock.advance(DAY_MS);
    contract::append(&log, batch(5..10));
    let mut reader = log.reader(&[Offset(0)]);
    assert_eq!(log.retain(), Ok(1));
    let record = reader.poll(Duration::ZERO).unwrap().unwrap();
    assert_eq!((record.offset, record.entries), (Offset(1), batch(5..10)));
}

#[test]
fn a_full_queue_refuses_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &Clock::manual(NOON));
    let (blocked, is_blocked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let block = move |_| {
        blocked.send(()).unwrap();
        released.recv().unwrap();
    };
    log.append_acknowledged(vec![position(0)], Box::new(block)).unwrap();
    is_blocked.recv().unwrap();

    for n in 0..LOG_QUEUE {
        log.append(vec![position(u32::try_from(n).unwrap())]).unwrap();
    }
    assert_eq!(log.append(vec![position(0)]), Err(Full::Queue));
    release.send(()).unwrap();
    log.close();
    assert_eq!(rows(&log), LOG_QUEUE + 1);
}

#[test]
fn a_queue_is_full_by_positions_too() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &Clock::manual(NOON));
    let many = usize::try_from(MAX_QUEUED_ENTRIES).unwrap();
    assert_eq!(log.append(vec![position(0); many + 1]), Err(Full::Queue));
    contract::append(&log, vec![position(0); MAX_GROUP + 1]);
    let records = drain(&log, &[]);
    assert_eq!(records.len(), MAX_GROUP / MAX_RECORD_ROWS + 1, "a large append makes several records");
    contract::append(&log, vec![position(0); many]);
}
