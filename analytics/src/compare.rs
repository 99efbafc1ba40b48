//! The archive against the log, as far back as the log goes: what became of each record, blurred alike where it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::error::ArrowError;
use engine::territory::{Insee, Territory};
use ingest::log::{Damage, Log, LogError, Offset, Partition};
use ingest::position::TaxiKey;
use thiserror::Error;

use crate::archive::Registry;
use crate::blur::blurred;
use crate::current::Current;
use crate::digest::Digest;
use crate::footer::{BadFile, Covered, Footer};
use crate::places::Places;
use crate::progress::checked;
use crate::root::Root;
use crate::rows::{BadColumn, Known, Logged, Placed, placed};

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Rows of days and recent files of which the log still has every record.
    pub rows: u64,
    /// Days and files whose rows are not those of the log, and records of its beginning that none has, a sentence each.
    pub problems: Vec<String>,
}

/// The log cannot be compared with the archive.
#[derive(Debug, Error)]
pub enum CompareError {
    /// A file of the archive.
    #[error(transparent)]
    File(#[from] BadFile),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log brings nothing, though it says that it has more.
    #[error("the log brings nothing more within {} s", PATIENCE.as_secs())]
    Silent,
    /// Columns that do not fit together.
    #[error("what was logged cannot be put into columns: {0}")]
    Columns(#[from] ArrowError),
    /// Columns that are not those of the stream.
    #[error(transparent)]
    Column(#[from] BadColumn),
}

/// How long a log may bring nothing before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A day or a recent file.
struct Unit {
    name: String,
    is_blurred: bool,
    rows: u64,
    digest: Digest,
    /// What the log has of it.
    found: Digest,
}

/// Reads a log and compares it with what the archive has of it. `told` is told of how many records of how many. Memory:
/// a record.
pub async fn compare<L: Logged>(
    root: &Root,
    log: &Log<L::Entry>,
    told: &dyn Fn(u64, u64),
) -> Result<Compared, CompareError> {
    // What is wrong with a day or a file that is damaged is told by `verify`; nobody knows what it had.
    let (current, damaged) = Current::read_sound(root, L::STREAM).await?;
    let (mut is_all_known, mut covers) = (damaged.is_empty(), Vec::new());
    covers.extend(current.days.values().flat_map(|manifest| manifest.covers.iter().copied()));
    let has = |covered: &Covered| {
        let is_of_log = covered.epoch == log.epoch() && covered.partition.0 < log.partitions();
        is_of_log
            && covered.from >= log.start(covered.partition)
            && covered.next <= log.end(covered.partition)
    };
    let (mut units, mut places) = (Vec::new(), BTreeMap::new());
    let mut add = |unit: Unit, covers: &[Covered]| {
        if covers.iter().all(has) {
            let number = units.len();
            let of = |covered: &Covered| ((covered.partition, covered.from), (covered.next, number));
            places.extend(covers.iter().map(of));
            units.push(unit);
        }
    };
    // Of a day that was deleted the log may have more.
    for (day, manifest) in current.days.iter().filter(|(_, manifest)| !manifest.parts.is_empty()) {
        let (is_blurred, rows, digest) = (!manifest.is_exact, manifest.rows(), manifest.digest());
        let found = Digest::default();
        add(Unit { name: format!("day {day}"), is_blurred, rows, digest, found }, &manifest.covers);
    }
    for file in &current.recent {
        let read = Footer::read(root, file).await.and_then(|footer| Ok((checked(file, &footer)?, footer)));
        let (covered, footer) = match read {
            Ok(read) => read,
            Err(BadFile::Damaged { .. }) => {
                is_all_known = false;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        covers.push(covered);
        let Footer { rows, digest, is_blurred, .. } = footer;
        let found = Digest::default();
        add(Unit { name: file.name.to_string(), is_blurred, rows, digest, found }, &[covered]);
    }
    let partitions = || (0..log.partitions()).map(Partition);
    let ends: Vec<_> = partitions().map(|partition| log.end(partition)).collect();
    let starts: Vec<_> = partitions().map(|partition| log.start(partition)).collect();
    let all: u64 = ends.iter().zip(&starts).map(|(end, start)| end.0 - start.0).sum();
    let mut reader = log.reader(&starts);
    let mut read = 0;
    let mut blurring = Blurring::new();
    let mut heard = Instant::now();
    while reader.offsets().iter().zip(&ends).any(|(next, end)| next < end) {
        let record = match reader.poll(Duration::from_millis(100)) {
            Ok(Some(record)) => record,
            Ok(None) if heard.elapsed() < PATIENCE => continue,
            Ok(None) => return Err(CompareError::Silent),
            // The archive has no rows of it either.
            Err(LogError::Damaged { partition, offset, damage }) if !matches!(damage, Damage::Version(_)) => {
                reader.seek(partition, Offset(offset.0 + 1));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        heard = Instant::now();
        read += 1;
        told(read, all);
        let (partition, offset) = (record.partition, record.offset);
        let before = places.range(..=(partition, offset)).next_back();
        let of = before.filter(|((of, _), (next, _))| *of == partition && offset < *next);
        if let Some((_, (_, unit))) = of {
            let (unit, entries) = (&mut units[*unit], placed(record).collect::<Vec<_>>());
            unit.found += if unit.is_blurred {
                blurring.digest_of_log::<L>(partition, &entries)?
            } else {
                L::digest_of_log(partition, &entries)
            };
        }
    }
    let different = units.iter().filter(|unit| unit.digest != unit.found);
    let mut problems: Vec<_> =
        different.map(|unit| format!("{} does not hold the rows of the log", unit.name)).collect();
    if is_all_known {
        problems.extend(beginnings(log.epoch(), &starts, &covers));
    }
    Ok(Compared { rows: units.iter().map(|unit| unit.rows).sum(), problems })
}

/// Records before the first that the archive has of a partition, where the log still has them: gaps after that one are
/// found by `verify`.
fn beginnings(epoch: u64, starts: &[Offset], covers: &[Covered]) -> Vec<String> {
    let missing = (0..).map(Partition).zip(starts).filter_map(|(partition, start)| {
        let of_it = covers.iter().filter(|one| (one.epoch, one.partition) == (epoch, partition));
        let first = of_it.map(|one| one.from).min().filter(|first| start < first)?;
        let (start, last, partition) = (start.0, first.0 - 1, partition.0);
        Some(format!("records {start} to {last} of partition {partition} of log {epoch:016x} are missing"))
    });
    missing.collect()
}

/// Makes of the log what blurring makes of the archive: of what is left the registry told nothing that is digested.
pub struct Blurring(Places);

impl Blurring {
    /// It remembers nothing yet.
    pub fn new() -> Self {
        Self(Places::new(Arc::new(nowhere())))
    }

    /// The digest of entries of a partition of the log, blurred.
    pub fn digest_of_log<L: Logged>(
        &mut self,
        partition: Partition,
        entries: &[Placed<L::Entry>],
    ) -> Result<Digest, CompareError> {
        let batch = L::encode(partition, entries, Known { places: &mut self.0, registry: &Nobody })?;
        Ok(L::digest_of(&blurred::<L>(&batch)?)?)
    }
}

impl Default for Blurring {
    fn default() -> Self {
        Self::new()
    }
}

/// A registry that knows nothing.
struct Nobody;

fn nowhere() -> Territory {
    Territory::new(Vec::new(), Vec::new(), Vec::new())
}

impl Registry for Nobody {
    fn territory(&self) -> Arc<Territory> {
        Arc::new(nowhere())
    }

    fn ads_town(&self, _: TaxiKey) -> Option<Insee> {
        None
    }
}
