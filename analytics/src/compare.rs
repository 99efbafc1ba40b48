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
    /// Days and files whose rows are not those of the log, a sentence each.
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

/// Reads a log and compares it with what the archive has of it. Memory: a record.
pub async fn compare<L: Logged>(root: &Root, log: &Log<L::Entry>) -> Result<Compared, CompareError> {
    // What is wrong with a day or a file that is damaged is told by `verify`.
    let (current, _) = Current::read_sound(root, L::STREAM).await?;
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
            Err(BadFile::Damaged { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let Footer { rows, digest, is_blurred, .. } = footer;
        let found = Digest::default();
        add(Unit { name: file.name.to_string(), is_blurred, rows, digest, found }, &[covered]);
    }
    let partitions = || (0..log.partitions()).map(Partition);
    let ends: Vec<_> = partitions().map(|partition| log.end(partition)).collect();
    let mut reader = log.reader(&partitions().map(|partition| log.start(partition)).collect::<Vec<_>>());
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
    let problems = different.map(|unit| format!("{} does not hold the rows of the log", unit.name)).collect();
    Ok(Compared { rows: units.iter().map(|unit| unit.rows).sum(), problems })
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
