//! `kill -9` a hundred times while two archivers work on one log, file its hours, write its days, blur them five days
//! later and remove what was replaced: then the archive has the digest of the log, blurred alike.
//!
//! Each life is a process of its own: this program again, with the number of the life. Time is moved by hand, four
//! hours or four days a life, so that days end; it lies far ahead of the clock of the disk, so that what is replaced
//! goes at once, while the other archiver may still be reading it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails here fails a test, which says what it did"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use analytics::archive::{Filing, Registry};
use analytics::archiver::{Archiver, Settings};
use analytics::blur::{blur, due, is_old};
use analytics::clean::clean;
use analytics::compact::compact;
use analytics::compare::{Blurring, Compared, compare};
use analytics::current::Current;
use analytics::digest::Digest;
use analytics::layout::{Day, Part, Recent, Stream};
use analytics::meters::Meters;
use analytics::positions::Positions;
use analytics::rollups::{self, RollupName, Since};
use analytics::root::{ArchiveUrl, Root};
use analytics::rows::{Logged, Rows as _, placed};
use analytics::searches::Searches;
use analytics::verify::verify;
use datafusion::arrow::array::AsArray as _;
use datafusion::arrow::datatypes::UInt32Type;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use engine::territory::{Insee, Territory};
use ingest::clock::{Clock, Millis};
use ingest::log::{self, Entry, Log, LogUrl};
use ingest::position::{
    LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport,
};
use ingest::searches::Search;

const LIVES: u32 = 100;
/// Between the start of a life and its end, in milliseconds: for the n-th, so that ends fall everywhere.
fn lasts_ms(life: u32) -> u64 {
    30 + u64::from(life) * 7_919 % 331
}

/// 2100-01-01T00:00:00 UTC.
const BEGIN: Millis = Millis(4_102_444_800_000);
const MINUTE: i64 = 60_000;
/// For how long places are exact, so that days come to be blurred, too.
const EXACT_MS: i64 = 5 * 1_440 * MINUTE;
/// However slow the machine is: some lives last until a day is written, and end then.
fn is_long(life: u32) -> bool {
    life % 10 == 9
}
/// Every other of those lasts until one is added up, too.
fn lasts_until_a_day_is_added_up(life: u32) -> bool {
    life % 20 == 19
}

/// How far time moves in a life, and by how much at a time.
fn minutes(life: u32) -> (i64, i64) {
    if is_long(life) { (4 * 1_440, 120) } else { (240, 1) }
}

/// When a life begins.
fn begin_of(life: u32) -> Millis {
    BEGIN.plus((0..life).map(|life| minutes(life).0 * MINUTE).sum())
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
    drop(open::<Positions>(folder.path(), &Clock::manual(BEGIN)));
    drop(open::<Searches>(folder.path(), &Clock::manual(BEGIN)));
    for life in 0..LIVES {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program);
        child.arg(folder.path()).arg(life.to_string()).stdin(Stdio::null());
        let mut child = child.spawn().unwrap();
        if is_long(life) {
            until_there_is_more(|| {
                let mut counts = manifests(folder.path());
                if lasts_until_a_day_is_added_up(life) {
                    counts.push(days_added_up(folder.path()));
                }
                counts
            });
        } else {
            std::thread::park_timeout(Duration::from_millis(lasts_ms(life)));
        }
        assert!(child.try_wait().unwrap().is_none(), "life {life} ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        account::<Positions>(folder.path()).await;
        account::<Searches>(folder.path()).await;
        add_up(folder.path()).await;
    });
}

/// Waits until there is more of each than at the call.
fn until_there_is_more(counts: impl Fn() -> Vec<usize>) {
    let (before, deadline) = (counts(), Instant::now() + Duration::from_mins(2));
    while counts().iter().zip(&before).any(|(now, before)| now <= before) {
        assert!(Instant::now() < deadline, "nothing was written within two minutes: {before:?}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// How many manifests each stream has.
fn manifests(folder: &Path) -> Vec<usize> {
    let of = |stream: Stream| {
        let files = std::fs::read_dir(folder.join("archive").join(stream.manifest_folder()));
        files.map_or(0, Iterator::count)
    };
    [Positions::STREAM, Searches::STREAM].map(of).into()
}

/// Of how many days it is told who was heard.
fn days_added_up(folder: &Path) -> usize {
    let entries = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
    // What is being written has a name that is longer.
    let is_file = |name: &Path| name.extension().is_some_and(|extension| extension == "parquet");
    entries(folder.join("archive/rollups/heard"))
        .filter(|day| entries(day.path()).any(|file| is_file(&file.path())))
        .count()
}

/// Ends what the last life left, and holds the archive of a stream against its log.
async fn account<L: Logged>(folder: &Path) {
    let (log, root) = open::<L>(folder, &Clock::manual(BEGIN));
    let before = Current::read(&root, L::STREAM).await.unwrap();
    let (clock, meters) = (Clock::manual(BEGIN), Meters::default());
    let mut filing = Filing::<L>::begin(&log, &root, &Nobody, &clock, &meters).await.unwrap();
    while filing.take(Duration::ZERO).await.unwrap() {}
    filing.file_since(Millis(i64::MAX)).await.unwrap();
    let (sorting, exact_since) = (folder.join("sorting"), begin_of(LIVES).plus(-EXACT_MS));
    for day in Current::read(&root, L::STREAM).await.unwrap().closed_days() {
        compact::<L>(&root, day, &sorting, &|_, _| ()).await.unwrap();
    }
    for day in due::<L>(&Current::read(&root, L::STREAM).await.unwrap(), exact_since) {
        blur::<L>(&root, day, &sorting, &|_, _| ()).await.unwrap();
    }
    let whenever = Millis(i64::MAX);
    while clean::<L>(&root, whenever).await.unwrap() > 0 {}
    let findings = verify::<L>(&root, &|_, _| ()).await.unwrap();
    assert_eq!((&findings.problems, findings.too_exact(exact_since, whenever)), (&vec![], vec![]));
    let (rows, digest) = digest_of::<L>(&log, exact_since);
    assert_eq!((findings.rows, findings.digest), (rows, digest));
    let compared = compare::<L>(&root, &log, &|_, _| ()).await.unwrap();
    assert_eq!(compared, Compared { rows, problems: vec![] });

    let recent = root.list::<Recent>(&L::STREAM.recent_folder()).await.unwrap().len();
    let mut parts = 0;
    for day in before.days.keys() {
        parts += root.list::<Part>(&Part::folder(L::STREAM, *day)).await.unwrap().len();
    }
    let blurred = before.days.values().filter(|manifest| !manifest.is_exact).count();
    println!(
        "{LIVES} lives: {rows} {}, {} days written before the last, {blurred} of them blurred, {recent} recent files, \
         {parts} parts",
        L::STREAM,
        before.days.len()
    );
    assert!(blurred >= 8, "days were blurred between kills: {blurred}");
    assert!(before.days.len() >= 8, "days were written between kills: {}", before.days.len());
}

/// Makes what is due of what days add up to, and was cut off.
async fn add_up(folder: &Path) {
    let root = Root::open(&ArchiveUrl::File(folder.join("archive"))).unwrap();
    let made = root.list::<RollupName>("rollups/heard").await.unwrap().len();
    // Weeks are made of days.
    for _ in ["days", "weeks"] {
        for due in rollups::due(&root, Since::EVER).await.unwrap() {
            rollups::make(&root, &Nobody.territory(), &folder.join("sorting"), (due, Since::EVER))
                .await
                .unwrap();
        }
    }
    println!("{made} days added up between kills");
    assert!(made > 0, "days were added up between kills");
    assert_eq!(
        rollups::due(&root, Since::EVER).await.unwrap(),
        [],
        "whatever was cut off, all that is due is made"
    );
    let days = Current::read(&root, Positions::STREAM).await.unwrap().days;
    let (heard, mut logged) = (heard_of(&root).await, heard_of_log(folder));
    logged.retain(|(day, _)| days.contains_key(day));
    assert_eq!(heard, logged, "and right");
}

/// Who was heard on which day, as the archive adds it up.
async fn heard_of(root: &Root) -> BTreeSet<(Day, u32)> {
    // Of a day the highest last.
    let files = root.list::<RollupName>("rollups/heard").await.unwrap();
    let files: BTreeMap<Day, RollupName> = files.into_iter().map(|file| (file.name.day, file.name)).collect();
    let mut heard = BTreeSet::new();
    for (day, name) in files {
        let content = root.get(&name).await.unwrap().unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(content).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let taxis = batch.column_by_name("taxi").unwrap().as_primitive::<UInt32Type>().clone();
            heard.extend(taxis.values().iter().map(|taxi| (day, *taxi)));
        }
    }
    heard
}

/// The same as the log has it.
fn heard_of_log(folder: &Path) -> BTreeSet<(Day, u32)> {
    let (log, _) = open::<Positions>(folder, &Clock::manual(BEGIN));
    let (mut reader, mut heard) = (log.reader(&[]), BTreeSet::new());
    while let Some(record) = reader.poll(Duration::ZERO).unwrap() {
        heard.extend(record.entries.iter().map(|one| (Day::of(one.received_at), one.source.taxi.0)));
    }
    heard
}

/// The rows of a log and their digest, those of old days blurred.
fn digest_of<L: Logged>(log: &Log<L::Entry>, exact_since: Millis) -> (u64, Digest) {
    let (mut reader, mut rows, mut digest) = (log.reader(&[]), 0, Digest::default());
    let mut blurring = Blurring::new();
    while let Some(record) = reader.poll(Duration::ZERO).unwrap() {
        let (partition, is_old) = (record.partition, is_old(Day::of(record.appended_at), exact_since));
        let entries: Vec<_> = placed(record).collect();
        rows += entries.len() as u64;
        digest += if is_old {
            blurring.digest_of_log::<L>(partition, &entries).unwrap()
        } else {
            L::digest_of_log(partition, &entries)
        };
    }
    (rows, digest)
}

/// Appends, and archives both logs twice, until it is killed.
fn live(folder: &Path, life: u32) {
    let began = begin_of(life);
    let (lasts, step) = minutes(life);
    let clock = Clock::manual(began);
    let (positions, searches) = (open::<Positions>(folder, &clock), open::<Searches>(folder, &clock));
    let settings = Settings {
        // However late a thread has its turn: once time stands still, days become due without its moving.
        filed_after_ms: if is_long(life) { 0 } else { 20 * MINUTE },
        day_ends_after_ms: MINUTE,
        grace_ms: 0,
        exact_ms: EXACT_MS,
        every: Duration::from_millis(20),
        ..Settings::new(folder.join("sorting"))
    };
    let _archivers = [(); 2].map(|()| {
        (
            archiver::<Positions>(&positions, &settings, &clock),
            archiver::<Searches>(&searches, &settings, &clock),
        )
    });
    for n in 0_u32.. {
        append(&positions.0, (0..40).map(|taxi| position(taxi, clock.now(), n)).collect());
        append(&searches.0, vec![search(clock.now(), n)]);
        if clock.now() < began.plus((lasts - step) * MINUTE) {
            clock.advance(step * MINUTE);
        } else if is_long(life) {
            // Until the end, which is a day's.
            std::thread::park();
        }
    }
}

fn archiver<L: Logged>(
    (log, root): &(Log<L::Entry>, Root),
    settings: &Settings,
    clock: &Clock,
) -> Archiver<L> {
    Archiver::start(log.clone(), root.clone(), Arc::new(Nobody), settings.clone(), clock.clone()).unwrap()
}

fn append<E: Entry>(log: &Log<E>, entries: Vec<E>) {
    let (sender, done) = mpsc::channel();
    log.append_acknowledged(entries, Box::new(move |outcome| sender.send(outcome).unwrap())).unwrap();
    done.recv().unwrap().unwrap();
}

fn open<L: Logged>(folder: &Path, clock: &Clock) -> (Log<L::Entry>, Root) {
    let settings = log::Settings { partitions: 2, commit_interval_ms: 0, ..log::Settings::default() };
    let log = Log::open(&LogUrl::File(folder.join(format!("log-{}", L::STREAM))), &settings, clock.clone())
        .unwrap();
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

fn search(now: Millis, n: u32) -> Search {
    Search {
        at: now,
        caller: 1,
        customer: LatLon::from_e7(488_000_000 + i32::try_from(n % 10_000).unwrap(), 23_000_000).unwrap(),
        town: "75056".parse().unwrap(),
        found: 0,
        seen: 0,
        closest_m: None,
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
