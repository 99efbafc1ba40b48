//! From the log to the map, across a restart.

#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod records;

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use engine::follow::Follower;
use engine::{Engine, Fix};
use ingest::batch::SCHEMA_VERSION;
use ingest::clock::{Clock, Millis};
use ingest::log::{Damage, Log, LogError, LogUrl, Offset, Partition, Settings};
use ingest::position::{
    LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport,
};

const NOW: Millis = Millis(1_764_000_000_000);
const TAXIS: u32 = 200;

fn open(path: &Path) -> Log {
    let settings = Settings { commit_interval_ms: 0, ..Settings::default() };
    Log::open(&LogUrl::File(path.to_owned()), &settings, Clock::manual(NOW)).unwrap()
}

fn positions(round: u32) -> Vec<Position> {
    let position = |taxi| Position {
        source: SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(1) },
        at: LatLon::new(48.0 + f64::from(round) / 100.0, f64::from(taxi) / 100.0).unwrap(),
        received_at: NOW.plus(i64::from(round)),
        device_at: None,
        status: ReportedStatus::Unsaid,
        motion: Motion::default(),
        transport: Transport::Http,
    };
    (0..TAXIS).map(position).collect()
}

/// Appends positions and waits until they are synced.
fn append(log: &Log, positions: Vec<Position>) {
    let (done, synced) = mpsc::channel();
    log.append_acknowledged(positions, Box::new(move |outcome| done.send(outcome).unwrap())).unwrap();
    synced.recv().unwrap().unwrap();
}

fn wait_until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "nothing happens");
        thread::yield_now();
    }
}

fn shown(engine: &Engine) -> Vec<Fix> {
    let mut fixes = engine.dump(Millis(0));
    fixes.sort_by_key(|fix| fix.source);
    fixes
}

fn fixes(round: u32) -> Vec<Fix> {
    positions(round).iter().map(Fix::from).collect()
}

#[test]
fn the_map_shows_what_the_log_has_and_goes_on_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    (0..3).for_each(|round| append(&log, positions(round)));
    let engine = Engine::start(2);
    let follower = Follower::start(log.clone(), engine.clone(), &[]).unwrap();
    wait_until(|| follower.caught_up());
    assert_eq!(shown(&engine), fixes(2));
    append(&log, positions(3));
    wait_until(|| follower.caught_up());
    assert_eq!(shown(&engine), fixes(3));

    follower.stop();
    let stopped_at = follower.offsets();
    append(&log, positions(4).split_off(150));
    assert!(follower.lag() >= 1 && !follower.caught_up(), "it is stopped, and says how far behind it is");
    assert_eq!(follower.offsets(), stopped_at);
    assert_eq!(shown(&engine), fixes(3));

    // Another process: nothing but where the last one stopped.
    let engine = Engine::start(3);
    let follower = Follower::start(log.clone(), engine.clone(), &stopped_at).unwrap();
    wait_until(|| follower.caught_up());
    assert_eq!(shown(&engine), fixes(4)[150..], "only what came since");
    let ends: Vec<Offset> = (0..log.partitions()).map(|partition| log.end(Partition(partition))).collect();
    assert_eq!((follower.offsets(), follower.lag()), (ends, 0));
    assert_eq!(follower.failure(), None);
    assert_eq!(engine.get(fixes(4)[150].source).map(|seen| seen.at), Some(fixes(4)[150].at));
}

#[test]
fn what_the_offsets_leave_behind_is_on_the_map() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    (0..100).for_each(|round| append(&log, positions(round)));
    // Stopped wherever it is, again and again: the map and the offsets are saved as a keeper of both would,
    // offsets first.
    let (mut saved, mut from) = (Vec::<Fix>::new(), Vec::new());
    for _ in 0..50 {
        let engine = Engine::start(2);
        engine.apply(&saved);
        let follower = Follower::start(log.clone(), engine.clone(), &from).unwrap();
        from = follower.offsets();
        saved = engine.dump(Millis(0));
    }
    let engine = Engine::start(2);
    engine.apply(&saved);
    let follower = Follower::start(log, engine.clone(), &from).unwrap();
    wait_until(|| follower.caught_up());
    assert_eq!(shown(&engine), fixes(99));
}

#[test]
fn what_was_removed_before_it_was_read_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOW);
    let settings = Settings { partitions: 1, commit_interval_ms: 0, retain_for_ms: 0, ..Settings::default() };
    let log: Log = Log::open(&LogUrl::File(directory.path().to_owned()), &settings, clock.clone()).unwrap();
    (0..3).for_each(|round| append(&log, positions(round)));
    clock.advance(2 * 86_400_000);
    append(&log, positions(3));
    assert_eq!(log.retain(), Ok(1));
    let engine = Engine::start(1);
    let follower = Follower::start(log.clone(), engine.clone(), &[Offset(1)]).unwrap();
    wait_until(|| follower.caught_up());
    assert_eq!((follower.skipped(), shown(&engine)), (2, fixes(3)));
    append(&log, positions(4));
    wait_until(|| follower.caught_up());
    assert_eq!((follower.skipped(), shown(&engine)), (2, fixes(4)));
}

#[test]
fn a_record_of_a_later_version_ends_it_and_a_damaged_one_is_passed_over() {
    let (directory, later) = (tempfile::tempdir().unwrap(), SCHEMA_VERSION + 1);
    let url = LogUrl::File(directory.path().to_owned());
    let settings = Settings { partitions: 1, commit_interval_ms: 0, ..Settings::default() };
    // Follows all of it with a map that knows nothing, for as long as that goes on.
    let follow = |read: u64| {
        let (log, engine) = (Log::open(&url, &settings, Clock::manual(NOW)).unwrap(), Engine::start(1));
        let follower = Follower::start(log.clone(), engine.clone(), &[]).unwrap();
        wait_until(|| follower.caught_up() || !follower.is_alive());
        assert_eq!((follower.offsets(), follower.lag()), (vec![Offset(read)], 3 - read));
        let told = (follower.failure(), follower.skipped(), shown(&engine));
        drop((follower, engine));
        log.close();
        told
    };
    let log = Log::open(&url, &settings, Clock::manual(NOW)).unwrap();
    (0..3).for_each(|round| append(&log, positions(round)));
    drop(log);
    records::change(directory.path(), 1, |record| record[4..6].copy_from_slice(&later.to_le_bytes()));
    let damage = Damage::Version(later);
    let failure = LogError::Damaged { partition: Partition(0), offset: Offset(1), damage };
    assert_eq!(follow(1), (Some(failure), 0, fixes(0)), "a later program reads it, and what comes after it");
    records::change(directory.path(), 1, |record| {
        record[4..6].copy_from_slice(&SCHEMA_VERSION.to_le_bytes());
    });
    assert_eq!(follow(3), (None, 0, fixes(2)));
    records::change(directory.path(), 1, |record| record[40] ^= 1);
    assert_eq!(follow(3), (None, 1, fixes(2)), "no program reads it");
}
