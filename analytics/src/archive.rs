//! From a log to the archive's recent files.
//!
//! Each file holds consecutive records of one partition that were appended in one hour, is named by its first offset,
//! says the next in its footer, and is created only where there is none of its name. So two archivers that work on one
//! log do each other's work at worst: of each file one wins, and the other goes on from where the winner's ends. After
//! a kill, names and footers say where to go on. A record that cannot be read is passed over, and the file that covers
//! it says so: no day waits for it, and it is not taken for missing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::arrow::error::ArrowError;
use datafusion::parquet::errors::ParquetError;
use engine::territory::{Insee, Territory};
use ingest::clock::{Clock, Millis};
use ingest::log::{Damage, Log, LogError, Offset, Partition, Reader, Record};
use ingest::position::TaxiKey;
use thiserror::Error;

use crate::file::FileWriter;
use crate::footer::{BadFile, Covered, Footer, Skipped};
use crate::layout::{Hour, Recent};
use crate::limits::{RECENT_ROWS, WAITING_ROWS};
use crate::meters::Meters;
use crate::places::Places;
use crate::progress::{NOTHING, Reached, covered, progress};
use crate::root::{Created, Found, Root, Unavailable};
use crate::rows::{Known, Logged, Placed, placed};

/// What the archive asks of the registry.
pub trait Registry: Send + Sync {
    /// Towns.
    fn territory(&self) -> Arc<Territory>;

    /// The town of a taxi's ADS; None for a taxi that it does not know.
    fn ads_town(&self, taxi: TaxiKey) -> Option<Insee>;
}

/// Archiving cannot go on. What was not archived still is in the log.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file of the archive.
    #[error(transparent)]
    File(#[from] BadFile),
    /// Columns that do not fit together.
    #[error("what was logged cannot be put into columns: {0}")]
    Columns(#[from] ArrowError),
    /// Columns that cannot be written.
    #[error("what was logged cannot be written as Parquet: {0}")]
    Parquet(#[from] ParquetError),
}

impl From<Unavailable> for ArchiveError {
    fn from(error: Unavailable) -> Self {
        Self::File(error.into())
    }
}

/// Files records of a log. Memory: [`WAITING_ROWS`] rows, and one file.
pub struct Filing<'a, L: Logged> {
    root: &'a Root,
    registry: &'a dyn Registry,
    clock: &'a Clock,
    meters: &'a Meters,
    epoch: u64,
    reader: Reader<L::Entry>,
    /// How far the archive is, by partition.
    reached: Vec<Reached>,
    /// What waits to be filed, by partition.
    waiting: Vec<Waiting<L::Entry>>,
    places: Places,
}

/// Consecutive records of an hour.
struct Waiting<E> {
    from: Offset,
    next: Offset,
    appended_until: Option<Millis>,
    /// When the first of them came, by our clock.
    since: Option<Millis>,
    entries: Vec<Placed<E>>,
    /// Which records could not be read.
    skipped: Vec<Skipped>,
}

impl<E> Waiting<E> {
    /// Goes on to behind a record.
    fn go_on(&mut self, offset: Offset, now: Millis) {
        if self.since.is_none() {
            (self.since, self.from) = (Some(now), offset);
        }
        self.next = Offset(offset.0 + 1);
    }
}

impl<E> Default for Waiting<E> {
    fn default() -> Self {
        Self {
            from: Offset::default(),
            next: Offset::default(),
            appended_until: None,
            since: None,
            entries: Vec::new(),
            skipped: Vec::new(),
        }
    }
}

impl<'a, L: Logged> Filing<'a, L> {
    /// Goes on with a log where the archive ends.
    pub async fn begin(
        log: &Log<L::Entry>,
        root: &'a Root,
        registry: &'a dyn Registry,
        clock: &'a Clock,
        meters: &'a Meters,
    ) -> Result<Self, ArchiveError> {
        let reached = progress(root, L::STREAM, log.epoch(), log.partitions()).await?;
        meters.reach(&reached);
        let from: Vec<_> = reached.iter().map(|reached| reached.next).collect();
        let waiting = reached.iter().map(|_| Waiting::default()).collect();
        Ok(Self {
            root,
            registry,
            clock,
            meters,
            epoch: log.epoch(),
            reader: log.reader(&from),
            reached,
            waiting,
            places: Places::new(registry.territory()),
        })
    }

    /// Takes the next record of the log, if one comes within `wait`; says whether one came. Files what has to be, so
    /// that it can be taken.
    pub async fn take(&mut self, wait: Duration) -> Result<bool, ArchiveError> {
        match self.reader.poll(wait) {
            Ok(None) => Ok(false),
            Ok(Some(record)) => self.add(record).await.map(|()| true),
            // Not one of a later version of the program, which loses nothing by waiting for that.
            Err(LogError::Damaged { partition, offset, damage }) if !matches!(damage, Damage::Version(_)) => {
                tracing::error!(
                    stream = L::STREAM.as_str(),
                    partition = partition.0,
                    offset = offset.0,
                    %damage,
                    "a record is not archived"
                );
                self.skip(partition, offset).await.map(|()| true)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Files what has waited since `before` or longer.
    pub async fn file_since(&mut self, before: Millis) -> Result<(), ArchiveError> {
        for partition in 0..self.waiting.len() {
            if self.waiting[partition].since.is_some_and(|since| since <= before) {
                self.file(partition).await?;
            }
        }
        Ok(())
    }

    /// Passes over a record. It belongs to the hour of the one before it: that is the same for every archiver.
    async fn skip(&mut self, partition: Partition, offset: Offset) -> Result<(), ArchiveError> {
        let at = usize::from(partition.0);
        if self.waiting[at].since.is_some() && self.waiting[at].next != offset && !self.clear(at).await? {
            return Ok(());
        }
        self.meters.skipped.add(1);
        let next = Offset(offset.0 + 1);
        self.reader.seek(partition, next);
        self.waiting[at].go_on(offset, self.clock.now());
        let skipped = &mut self.waiting[at].skipped;
        match skipped.last_mut() {
            Some(last) if last.next == offset => last.next = next,
            _ => skipped.push(Skipped { epoch: self.epoch, partition, from: offset, next }),
        }
        Ok(())
    }

    async fn add(&mut self, record: Record<L::Entry>) -> Result<(), ArchiveError> {
        let partition = usize::from(record.partition.0);
        // An hour that a file closed is not opened again, whatever the brokers' clocks say.
        let last = self.waiting[partition].appended_until.unwrap_or(self.reached[partition].appended_until);
        let appended_at = record.appended_at.max(last);
        let waiting = &self.waiting[partition];
        let fits = waiting.next == record.offset
            && waiting.entries.len() + record.entries.len() <= RECENT_ROWS
            && (last == NOTHING.appended_until || Hour::of(last) == Hour::of(appended_at));
        if waiting.since.is_some() && !fits && !self.clear(partition).await? {
            // Another archiver was here, and the reader stands where it ended: the record comes again, if it is left.
            return Ok(());
        }
        let (now, waiting) = (self.clock.now(), &mut self.waiting[partition]);
        waiting.go_on(record.offset, now);
        waiting.appended_until = Some(appended_at);
        waiting.entries.extend(placed(record));
        let rows = |waiting: &Waiting<_>| waiting.entries.len();
        if self.waiting.iter().map(rows).sum::<usize>() > WAITING_ROWS {
            let most = (0..self.waiting.len()).max_by_key(|&partition| rows(&self.waiting[partition]));
            self.file(most.unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// Lets nothing wait of a partition; says whether the next record to read is still the same.
    async fn clear(&mut self, partition: usize) -> Result<bool, ArchiveError> {
        let is_same = self.file(partition).await?;
        self.waiting[partition] = Waiting::default();
        Ok(is_same)
    }

    /// Makes a file of what waits of a partition; says whether the next record to read is still the same.
    async fn file(&mut self, partition: usize) -> Result<bool, ArchiveError> {
        // What could not be read does not say when it was appended.
        let before = self.reached[partition].appended_until;
        let appended_until = self.waiting[partition].appended_until.unwrap_or(before);
        let Ok(number) = u16::try_from(partition) else { return Ok(true) };
        if appended_until == NOTHING.appended_until {
            // Nor does anything before it: the next record will.
            return Ok(true);
        }
        let waiting = std::mem::take(&mut self.waiting[partition]);
        let covered = Covered {
            epoch: self.epoch,
            partition: Partition(number),
            from: waiting.from,
            next: waiting.next,
            appended_until,
        };
        let name = Recent {
            stream: L::STREAM,
            epoch: self.epoch,
            partition: covered.partition,
            hour: Hour::of(appended_until),
            first: covered.from,
        };
        let about = Footer { covered: Some(covered), skipped: waiting.skipped, ..Footer::default() };
        let content = self.content(&waiting.entries, covered.partition, about)?;
        let bytes = content.len() as u64;
        let is_ours = self.root.create(&name, content).await? == Created::New;
        let reached = if is_ours {
            self.meters.files.add(1);
            self.meters.rows.add(waiting.entries.len() as u64);
            self.meters.bytes.add(bytes);
            covered.into()
        } else {
            self.meters.outrun.add(1);
            self.winners(&name).await?
        };
        let is_same = reached.next == covered.next;
        if !is_same {
            self.reader.seek(covered.partition, reached.next);
        }
        self.reached[partition] = reached;
        self.meters.reach(&self.reached);
        Ok(is_same)
    }

    /// How far the file of another archiver reaches.
    async fn winners(&self, name: &Recent) -> Result<Reached, ArchiveError> {
        let folder = name.to_string();
        let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
        let files: Vec<Found<Recent>> = self.root.list(folder).await?;
        let file = files.iter().find(|file| file.name == *name);
        Ok(covered(self.root, file.ok_or_else(|| BadFile::Gone(name.to_string()))?).await?.into())
    }

    fn content(
        &mut self,
        entries: &[Placed<L::Entry>],
        partition: Partition,
        about: Footer,
    ) -> Result<Bytes, ArchiveError> {
        self.places.move_to(&self.registry.territory());
        let known = Known { places: &mut self.places, registry: self.registry };
        let batch = L::encode(partition, entries, known)?;
        let mut file = FileWriter::new::<L>()?;
        file.write(&batch)?;
        Ok(file.finish(about)?.0)
    }
}
