//! A log in a directory, its archive beside it, and time that is moved by hand.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use analytics::archive::{Filing, Registry};
use analytics::digest::Digest;
use analytics::meters::Meters;
use analytics::positions::Positions;
use analytics::root::{ArchiveUrl, Root};
use analytics::rows::{Logged, placed};
use analytics::verify::{Findings, verify};
use engine::geo::{LineString, MultiPolygon, Polygon};
use engine::territory::{Insee, Territory, Town};
use ingest::clock::{Clock, Millis};
use ingest::log::{Entry, Log, LogUrl, Partition, Settings};
use ingest::position::{
    Heading, LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, Speed, TaxiKey, Transport,
};

/// 2025-11-26T12:00:00 UTC.
pub(crate) const NOON: Millis = Millis(1_764_158_400_000);
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;

const LONG: Duration = Duration::from_secs(30);

pub(crate) struct World {
    directory: tempfile::TempDir,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    pub(crate) root: Root,
    pub(crate) meters: Meters,
    territory: Arc<Territory>,
}

impl World {
    pub(crate) fn new(partitions: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let log = open_log(&directory.path().join("log"), partitions, &clock);
        let root = Root::open(&ArchiveUrl::File(directory.path().join("archive"))).unwrap();
        let ring = [(2.0, 48.0), (2.36, 48.0), (2.36, 49.0), (2.0, 49.0)];
        let paris = Town {
            insee: "75056".parse().unwrap(),
            name: "Paris".to_owned(),
            shape: MultiPolygon::new(vec![Polygon::new(LineString::from(ring.to_vec()), vec![])]),
        };
        let territory = Arc::new(Territory::new(vec![paris], vec![], vec![]));
        Self { directory, clock, log, root, meters: Meters::default(), territory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Appends positions of taxis and waits until they are synced.
    pub(crate) fn append(&self, taxis: std::ops::Range<u32>) {
        append(&self.log, taxis.map(|taxi| position(taxi, self.clock.now())).collect());
    }

    pub(crate) async fn filing(&self) -> Filing<'_, Positions> {
        self.filing_of(&self.log).await
    }

    /// Files all there is.
    pub(crate) async fn archive(&self) {
        self.archive_all::<Positions>(&self.log).await;
    }

    async fn filing_of<L: Logged>(&self, log: &Log<L::Entry>) -> Filing<'_, L> {
        Filing::begin(log, &self.root, self, &self.clock, &self.meters).await.unwrap()
    }

    /// Files all there is of a log.
    pub(crate) async fn archive_all<L: Logged>(&self, log: &Log<L::Entry>) {
        let mut filing = self.filing_of::<L>(log).await;
        while filing.take(Duration::ZERO).await.unwrap() {}
        filing.file_since(self.clock.now()).await.unwrap();
    }

    /// The digest of the log.
    pub(crate) fn digest_of_log(&self) -> Digest {
        digest_of::<Positions>(&self.log)
    }

    /// What is in the archive; nothing may be wrong with it, and it has what the log has.
    pub(crate) async fn verified(&self) -> Findings {
        self.verified_against::<Positions>(&self.log).await
    }

    /// What is in the archive of a stream, which has what its log has.
    pub(crate) async fn verified_against<L: Logged>(&self, log: &Log<L::Entry>) -> Findings {
        let findings = verify::<L>(&self.root, &|_, _| ()).await.unwrap();
        assert_eq!(findings.problems, [""; 0]);
        assert_eq!(findings.digest, digest_of::<L>(log));
        findings
    }

    /// How many rows the archive has.
    pub(crate) async fn archive_rows(&self) -> u64 {
        verify::<Positions>(&self.root, &|_, _| ()).await.unwrap().rows
    }

    /// Whether the archive has reached the end of the log.
    pub(crate) fn has_reached_the_end(&self) -> bool {
        let reached = self.meters.reached().unwrap();
        (0..).map(Partition).zip(reached).all(|(partition, next)| next == self.log.end(partition))
    }
}

/// Opens a log in a folder.
pub(crate) fn open_log<E: Entry>(folder: &Path, partitions: u16, clock: &Clock) -> Log<E> {
    let settings = Settings { partitions, commit_interval_ms: 0, ..Settings::default() };
    Log::open(&LogUrl::File(folder.to_owned()), &settings, clock.clone()).unwrap()
}

/// Appends and waits until it is synced.
pub(crate) fn append<E: Entry>(log: &Log<E>, entries: Vec<E>) {
    let (sender, done) = mpsc::channel();
    log.append_acknowledged(entries, Box::new(move |outcome| sender.send(outcome).unwrap())).unwrap();
    done.recv_timeout(LONG).unwrap().unwrap();
}

/// The digest of a log, read record by record.
fn digest_of<L: Logged>(log: &Log<L::Entry>) -> Digest {
    let (mut reader, mut digest) = (log.reader(&[]), Digest::default());
    while let Some(record) = reader.poll(Duration::ZERO).unwrap() {
        let partition = record.partition;
        digest += L::digest_of_log(partition, &placed(record).collect::<Vec<_>>());
    }
    digest
}

impl Registry for World {
    fn territory(&self) -> Arc<Territory> {
        Arc::clone(&self.territory)
    }

    /// Every second one is known.
    fn ads_town(&self, taxi: TaxiKey) -> Option<Insee> {
        taxi.0.is_multiple_of(2).then(|| "75056".parse().unwrap())
    }
}

/// One of a taxi, whose place and motion its number and the time decide.
pub(crate) fn position(taxi: u32, now: Millis) -> Position {
    let step = i32::try_from(taxi % 5_000).unwrap();
    let minute = i32::try_from(now.0 / MINUTE % 60).unwrap();
    Position {
        source: SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(taxi % 3) },
        at: LatLon::from_e7(488_600_000 + 2_000 * minute, 23_300_000 + 100 * step).unwrap(),
        received_at: now,
        device_at: (!taxi.is_multiple_of(5)).then(|| now.plus(-120)),
        status: ReportedStatus::Free,
        motion: Motion {
            speed: taxi.is_multiple_of(2).then(|| Speed::from_cm_s(830).unwrap()),
            heading: taxi.is_multiple_of(3).then(|| Heading::from_centidegrees(4_500).unwrap()),
            accuracy: None,
        },
        transport: Transport::Udp,
    }
}
