//! `kill -9` a hundred times while two archivers work on one log, file its hours, write its days and remove what these
//! replaced: then the archive has the digest of the log.
//!
//! Each life is a process of its own: this program again, with the number of the life. Time is moved by hand, four
//! hours or four days a life, so that days end; it lies far ahead of the clock of the disk, so that what is replaced
//! goes at once, while the other archiver may still be reading it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails here fails a test, which says what it did"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use analytics::archive::{Filing, Registry};
use analytics::archiver::{Archiver, Settings};
use analytics::compact::compact;
use analytics::current::Current;
use analytics::digest::Digest;
use analytics::layout::{Part, Recent, Stream};
use analytics::meters::Meters;
use analytics::positions::{Entry, Positions, digest_of_log};
use analytics::rollups::{self, RollupName};
use analytics::root::{ArchiveUrl, Root};
use analytics::verify::verify;
use engine::territory::{Insee, Territory};
use ingest::clock::{Clock, Millis};
use ingest::log::{self, Log, LogUrl};
use ingest::position::{
    LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport,
};

const LIVES: u32 = 100;
/// Between the start of a life and its end, in milliseconds: for the n-th, so that ends fall everywhere.
fn lasts_ms(life: u32) -> u64 {
    30 + u64::from(life) * 7_919 % 331
}

/// 2100-01-01T00:00:00 UTC.
const BEGIN: Millis = Millis(4_102_444_800_000);
const MINUTE: i64 = 60_000;
/// However slow the machine is: some lives last until a day is written, and end then.
fn is_long(life: u32) -> bool {
    life % 10 == 9
}

/// How far time moves in a life, and by how much at a time.
fn minutes(life: u32) -> (i64, i64) {
    if is_long(life) { (4 * 1_440, 10) } else { (240, 1) }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(folder), Some(life)) if Path::new(&folder).is_dir() => {
            live(Path::new(&folder), life.parse().unwrap());
        }
        _ => kill_again_and_again(),
    }
}

fn kill_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    // A log whose making was cut off holds nothing, and cannot be opened.
    drop(open(folder.path(), &Clock::manual(BEGIN)));
    for life in 0..LIVES {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program);
        child.arg(folder.path()).arg(life.to_string()).stdin(Stdio::null());
        let mut child = child.spawn().unwrap();
        if is_long(life) {
            until_a_day_is_written(folder.path());
        } else {
            std::thread::park_timeout(Duration::from_millis(lasts_ms(life)));
        }
        assert!(child.try_wait().unwrap().is_none(), "life {life} ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(account(folder.path()));
}

/// Waits until there is a manifest more than at the call.
fn until_a_day_is_written(folder: &Path) {
    let days = || {
        let days = std::fs::read_dir(folder.join("archive/manifests/positions"));
        days.map_or(0, Iterator::count)
    };
    let (before, deadline) = (days(), Instant::now() + Duration::from_secs(30));
    while days() <= before {
        assert!(Instant::now() < deadline, "no day was written within 30 s");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Ends what the last life left, and holds the archive against the log.
async fn account(folder: &Path) {
    let (log, root) = open(folder, &Clock::manual(BEGIN));
    let before = Current::read(&root, Stream::Positions).await.unwrap();
    let (clock, meters) = (Clock::manual(BEGIN), Meters::default());
    let mut filing = Filing::begin(&log, &root, &Nobody, &clock, &meters).await.unwrap();
    while filing.take(Duration::ZERO).await.unwrap() {}
    filing.file_since(Millis(i64::MAX)).await.unwrap();
    for day in Current::read(&root, Stream::Positions).await.unwrap().closed_days() {
        compact::<Positions>(&root, day, &folder.join("sorting"), &|_, _| ()).await.unwrap();
    }
    let findings = verify::<Positions>(&root, &|_, _| ()).await.unwrap();
    assert_eq!(findings.problems, [""; 0]);
    let (rows, digest) = digest_of(&log);
    assert_eq!((findings.rows, findings.digest), (rows, digest));

    let made = root.list::<RollupName>("rollups/heard").await.unwrap().len();
    // Weeks are made of days.
    for _ in ["days", "weeks"] {
        for due in rollups::due(&root).await.unwrap() {
            rollups::make(&root, &Nobody.territory(), &folder.join("sorting"), due).await.unwrap();
        }
    }
    assert!(made > 0, "days were added up between kills");
    assert_eq!(rollups::due(&root).await.unwrap(), [], "whatever was cut off, all that is due is made");

    let recent = root.list::<Recent>("recent/positions").await.unwrap().len();
    let mut parts = 0;
    for day in before.days.keys() {
        parts += root.list::<Part>(&Part::folder(Stream::Positions, *day)).await.unwrap().len();
    }
    println!(
        "{LIVES} lives: {rows} positions, {} days written before the last, {made} added up, \
         {recent} recent files, {parts} parts",
        before.days.len()
    );
    assert!(before.days.len() >= 8, "days were written between kills: {}", before.days.len());
}

fn digest_of(log: &Log) -> (u64, Digest) {
    let (mut reader, mut rows, mut digest) = (log.reader(&[]), 0, Digest::default());
    while let Some(record) = reader.poll(Duration::ZERO).unwrap() {
        let entries = (0..).zip(&record.entries);
        let entries: Vec<_> =
            entries.map(|(row, &position)| Entry { offset: record.offset, row, position }).collect();
        rows += entries.len() as u64;
        digest += digest_of_log(record.partition, &entries);
    }
    (rows, digest)
}

/// Appends, and archives twice, until it is killed.
fn live(folder: &Path, life: u32) {
    let began = BEGIN.plus((0..life).map(|life| minutes(life).0 * MINUTE).sum());
    let (lasts, step) = minutes(life);
    let clock = Clock::manual(began);
    let (log, root) = open(folder, &clock);
    let settings = Settings {
        filed_after_ms: 20 * MINUTE,
        day_ends_after_ms: MINUTE,
        grace_ms: 0,
        every: Duration::from_millis(3),
        ..Settings::new(folder.join("sorting"))
    };
    let archiver = || {
        Archiver::start(log.clone(), root.clone(), Box::new(Nobody), settings.clone(), clock.clone()).unwrap()
    };
    let _archivers = [archiver(), archiver()];
    for n in 0_u32.. {
        let positions = (0..40).map(|taxi| position(taxi, clock.now(), n)).collect();
        let (sender, done) = mpsc::channel();
        log.append_acknowledged(positions, Box::new(move |outcome| sender.send(outcome).unwrap())).unwrap();
        done.recv().unwrap().unwrap();
        if clock.now() < began.plus((lasts - step) * MINUTE) {
            clock.advance(step * MINUTE);
        }
    }
}

fn open(folder: &Path, clock: &Clock) -> (Log, Root) {
    let settings = log::Settings { partitions: 2, commit_interval_ms: 0, ..log::Settings::default() };
    let log = Log::open(&LogUrl::File(folder.join("log")), &settings, clock.clone()).unwrap();
    (log, Root::open(&ArchiveUrl::File(folder.join("archive"))).unwrap())
}

fn position(taxi: u32, now: Millis, n: u32) -> Position {
    Position {
        source: SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(1) },
        at: LatLon::from_e7(488_000_000 + i32::try_from(n % 10_000).unwrap(), 23_000_000).unwrap(),
        received_at: now,
        device_at: None,
        status: ReportedStatus::Free,
        motion: Motion::default(),
        transport: Transport::Udp,
    }
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
