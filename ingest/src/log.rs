//! The log of positions: ordered, durable, and the truth about where taxis were. Searches have a log of their own.
//!
//! The contract, in words that every kind of log keeps:
//!
//! - A log has *entries* of one kind, as positions or searches.
//! - It has *partitions*, numbered from 0. All positions of a source are in one of them, in the order in which they
//!   were appended.
//! - A *record* is some entries of one partition that were committed together. Records of a partition have
//!   consecutive *offsets*.
//! - **An offset names the next record to read.** `start` is the first record that is still kept, `end` the one that
//!   will be appended next; they are equal if there is none. An offset is never used again, not even after retention
//!   has removed every record.
//! - A record is seen by readers once it is *synced*, and what was acknowledged is synced. What was appended and
//!   neither acknowledged nor refused may or may not be there after a crash, as a whole or in part.
//! - `appended_at` never falls from one record of a partition to the next.
//! - The *epoch* is a number made with the log: offsets mean nothing in a log of another epoch.
//! - After a write that failed for good nothing can be promised any more: the log is *poisoned*, refuses what comes,
//!   and says so; what was synced can still be read. The remedy is to restart the process.
//!
//! A log may be far away, on brokers that go and come back. Meanwhile it is not poisoned: it takes appends as long as
//! it has room for them, refuses those that want to be acknowledged, and goes on by itself.

mod commit;
mod days;
mod entry;
mod epoch;
mod error;
mod group;
mod intake;
pub mod kafka;
pub mod local;
mod meters;
mod reader;
pub mod record;
mod retention;
mod worker;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub use self::entry::Entry;
pub use self::error::{BadLogUrl, Full, LogError, OpenError};
use self::intake::Intake;
pub use self::kafka::{KafkaLog, Topic};
pub use self::local::LocalLog;
pub use self::meters::Meters;
pub use self::record::Damage;
use crate::clock::{Clock, Millis};
use crate::limits::{MAX_COMMIT_INTERVAL_MS, MAX_PARTITIONS};
use crate::position::Position;

/// The number of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub u16);

/// The next record to read of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset(pub u64);

/// Some entries of one partition that were committed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<E = Position> {
    /// Of which partition.
    pub partition: Partition,
    /// Where it stands there; the next one stands at this offset plus one.
    pub offset: Offset,
    /// When it was committed.
    pub appended_at: Millis,
    /// At least one. [`Entry::encode`] makes columns of them.
    pub entries: Vec<E>,
}

/// Where a log is kept: `file:<path of a directory>` or `kafka://<host>:<port>[,<host>:<port>...]/<topic>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogUrl {
    /// Embedded, in a directory of this machine that one process at a time may open.
    File(PathBuf),
    /// A topic of Apache Kafka, which any number of processes may open.
    Kafka(Topic),
}

/// How a log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Partitions of a log that is made now, 1 to 256; an existing log keeps the number it was made with.
    pub partitions: u16,
    /// For how long a group of appends is held open for more, in milliseconds, 0 to 10,000.
    pub commit_interval_ms: u64,
    /// Days that ended longer ago than this, in milliseconds, go. Kafka is told so when its topic is made, and removes
    /// segments rather than days.
    pub retain_for_ms: u64,
    /// The oldest days go as long as the log has more bytes than this on disk. Kafka is told when its topic is made, an
    /// equal part for each partition.
    pub retain_bytes: u64,
}

/// A log, of positions unless something else is said. Cheap to clone; clones are the same log.
#[derive(Clone, Debug)]
pub enum Log<E: Entry = Position> {
    /// Embedded.
    Local(LocalLog<E>),
    /// A topic of Kafka's.
    Kafka(KafkaLog<E>),
}

/// Reads a log from given offsets on and then follows it. Not to be shared: each consumer has its own.
#[derive(Debug)]
pub enum Reader<E: Entry = Position> {
    /// Of an embedded log.
    Local(reader::LocalReader<E>),
    /// Of a topic of Kafka's.
    Kafka(kafka::KafkaReader<E>),
}

/// What an acknowledged append calls, on the log's thread: it must be quick and must not wait.
pub type Done = Box<dyn FnOnce(Result<(), LogError>) + Send>;

impl Default for Settings {
    fn default() -> Self {
        Self { partitions: 4, commit_interval_ms: 10, retain_for_ms: 7 * 86_400_000, retain_bytes: 20 << 30 }
    }
}

impl<E: Entry> Log<E> {
    /// Opens the log at `url`, and makes it if there is none.
    pub fn open(url: &LogUrl, settings: &Settings, clock: Clock) -> Result<Self, OpenError> {
        settings.check()?;
        match url {
            LogUrl::File(path) => LocalLog::open(path, settings, clock).map(Self::Local),
            LogUrl::Kafka(topic) => KafkaLog::open(topic, settings, clock).map(Self::Kafka),
        }
    }

    fn intake(&self) -> &Intake<E> {
        match self {
            Self::Local(log) => log.intake(),
            Self::Kafka(log) => log.intake(),
        }
    }

    /// An empty batch with room for the entries of one receive call: one that was written already, where there is
    /// one, so that whoever appends at a steady pace allocates nothing.
    pub fn spare_batch(&self) -> Vec<E> {
        self.intake().spare_batch()
    }

    /// Appends entries, fire and forget: they are synced within the commit interval and the time of a sync, or lost
    /// if the machine fails before, or the log is away for too long. Never waits.
    pub fn append(&self, entries: Vec<E>) -> Result<(), Full> {
        self.intake().append(entries, None)
    }

    /// Appends entries and calls `done` once they are synced, or the log has failed. Never waits.
    /// Where the append is refused, `done` is dropped uncalled; a log that is known to be away refuses at once.
    ///
    /// The log commits as soon as nothing else is queued, without waiting for its interval to pass: a lone append
    /// takes the time of one sync, and under load one sync is shared by all that came during the last.
    pub fn append_acknowledged(&self, entries: Vec<E>, done: Done) -> Result<(), Full> {
        let intake = self.intake();
        if !self.is_writable() && !intake.poisoned.is_raised() {
            return Err(Full::Away);
        }
        intake.append(entries, Some(done))
    }

    /// Appends entries as [`Log::append`] does, also to a log that is away, and calls `done` once they are synced. It
    /// is dropped uncalled where the log is away, or the append is refused.
    pub fn append_and_tell(&self, entries: Vec<E>, done: Done) -> Result<(), Full> {
        self.intake().append(entries, self.is_writable().then_some(done))
    }

    /// Whether it writes what it takes, as far as it knows: false once a write has failed for good, and while the log
    /// is away.
    pub fn is_writable(&self) -> bool {
        let answers = match self {
            Self::Local(_) => true,
            Self::Kafka(log) => log.answers(),
        };
        answers && !self.intake().poisoned.is_raised()
    }

    /// What it counted since it was opened.
    pub fn meters(&self) -> &Meters {
        &self.intake().meters
    }

    /// How many more entries it has room for.
    pub fn queue_room(&self) -> u64 {
        self.intake().room.free()
    }

    /// The number that tells this log from any other.
    pub fn epoch(&self) -> u64 {
        match self {
            Self::Local(log) => log.epoch(),
            Self::Kafka(log) => log.epoch(),
        }
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> u16 {
        match self {
            Self::Local(log) => log.partitions(),
            Self::Kafka(log) => log.partitions(),
        }
    }

    /// The first record of a partition that is still kept. 0 for a partition that does not exist.
    /// Of a log that others write, too, this is what it was about a second ago; of one that is away, what it was last.
    pub fn start(&self, partition: Partition) -> Offset {
        match self {
            Self::Local(log) => log.start(partition),
            Self::Kafka(log) => log.start(partition),
        }
    }

    /// The record of a partition that will be appended next. 0 for a partition that does not exist. As old as
    /// [`Log::start`], but never before what this process was acknowledged.
    pub fn end(&self, partition: Partition) -> Offset {
        match self {
            Self::Local(log) => log.end(partition),
            Self::Kafka(log) => log.end(partition),
        }
    }

    /// The first record of a partition that was appended at `at` or later; its end if there is none.
    ///
    /// O(log records of a day) reads. Where one fails, it gives an earlier offset, never a later one: whoever reads
    /// from there meets the failure itself. Kafka is asked, and may take seconds to fail.
    pub fn offset_at(&self, partition: Partition, at: Millis) -> Offset {
        match self {
            Self::Local(log) => log.offset_at(partition, at),
            Self::Kafka(log) => log.offset_at(partition, at),
        }
    }

    /// The partition that an entry is in, or would be.
    pub fn partition_of(&self, entry: &E) -> Partition {
        partition_of(entry.stable_hash(), self.partitions())
    }

    /// A reader from `from`, by partition; from the start where `from` is shorter.
    pub fn reader(&self, from: &[Offset]) -> Reader<E> {
        match self {
            Self::Local(log) => Reader::Local(log.reader(from)),
            Self::Kafka(log) => Reader::Kafka(log.reader(from)),
        }
    }

    /// Stops taking appends, syncs those that were taken and acknowledges them. Readers can still read.
    /// Waits for all that; a second call does nothing. A log that is away is not waited for: what could not be handed
    /// over within [`crate::limits::LOG_CLOSES_WITHIN`] is given up, and counted.
    pub fn close(&self) {
        match self {
            Self::Local(log) => log.close(),
            Self::Kafka(log) => log.close(),
        }
    }

    /// Removes whole days (UTC, of append time) by age and by size, oldest first, never the current one.
    /// Returns how many. Kafka sees to that itself.
    pub fn retain(&self) -> Result<usize, LogError> {
        match self {
            Self::Local(log) => log.retain(None),
            Self::Kafka(_) => Ok(0),
        }
    }

    /// As [`Log::retain`], but a day stays as long as it has a record that `needed_from`, by partition, still names
    /// as one to read; a partition that it does not mention is needed whole.
    pub fn retain_unless_needed(&self, needed_from: &[Offset]) -> Result<usize, LogError> {
        match self {
            Self::Local(log) => log.retain(Some(needed_from)),
            Self::Kafka(_) => Ok(0),
        }
    }
}

impl<E: Entry> Reader<E> {
    /// The next record of any partition; None if none came within `wait`. Wakes as soon as one is synced, and at once
    /// if the log is closed and read to its end. An embedded log gives each partition its turn; Kafka sends what it has
    /// of all of them, up to a megabyte of each in a row, and nothing comes before it was sent, however short the wait.
    ///
    /// An offset that retention has overtaken moves to the start. After an error the reader stands where it stood, and
    /// the next poll gives the same error, unless it is sent elsewhere with [`Reader::seek`].
    pub fn poll(&mut self, wait: Duration) -> Result<Option<Record<E>>, LogError> {
        match self {
            Self::Local(reader) => reader.poll(wait),
            Self::Kafka(reader) => reader.poll(wait),
        }
    }

    /// The next record to read of each partition.
    pub fn offsets(&self) -> &[Offset] {
        match self {
            Self::Local(reader) => reader.offsets(),
            Self::Kafka(reader) => reader.offsets(),
        }
    }

    /// Goes on from `offset` in a partition. Does nothing for a partition that does not exist.
    pub fn seek(&mut self, partition: Partition, offset: Offset) {
        match self {
            Self::Local(reader) => reader.seek(partition, offset),
            Self::Kafka(reader) => reader.seek(partition, offset),
        }
    }
}

/// What the names of logs of searches end with.
const SEARCHES: &str = "-searches";

impl LogUrl {
    /// Where the searches are logged that are made beside a log of positions.
    pub fn searches(&self) -> Self {
        match self {
            Self::File(path) => {
                let mut name = path.file_name().unwrap_or_default().to_owned();
                name.push(SEARCHES);
                Self::File(path.parent().unwrap_or(Path::new("")).join(name))
            }
            Self::Kafka(topic) => Self::Kafka(topic.beside(SEARCHES)),
        }
    }
}

impl FromStr for LogUrl {
    type Err = BadLogUrl;

    fn from_str(text: &str) -> Result<Self, BadLogUrl> {
        let url = match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Some(Self::File(path.into())),
            Some(("kafka", _)) => Topic::read(text).map(Self::Kafka),
            _ => None,
        };
        url.ok_or_else(|| BadLogUrl(text.to_owned()))
    }
}

impl fmt::Display for LogUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Kafka(topic) => topic.fmt(f),
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), OpenError> {
        if !(1..=MAX_PARTITIONS).contains(&self.partitions) {
            return Err(OpenError::Setting { setting: "partitions", allowed: "1 to 256" });
        }
        if self.commit_interval_ms > MAX_COMMIT_INTERVAL_MS {
            return Err(OpenError::Setting { setting: "commit_interval_ms", allowed: "0 to 10000" });
        }
        Ok(())
    }
}

/// The high bits of the hash choose the partition, so that the low ones are free to choose shards.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the product's high half is below the number of partitions"
)]
fn partition_of(hash: u64, partitions: u16) -> Partition {
    Partition((((hash >> 32) * u64::from(partitions)) >> 32) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{OperatorKey, SourceKey, TaxiKey};

    #[test]
    fn urls_of_logs() {
        assert_eq!("file:/var/lib/x".parse(), Ok(LogUrl::File("/var/lib/x".into())));
        assert_eq!(LogUrl::File("a/b".into()).to_string(), "file:a/b");
        for kafka in ["kafka://a:9092/positions", "kafka://a:9092,[::1]:1/p.1_-"] {
            assert_eq!(kafka.parse::<LogUrl>().unwrap().to_string(), kafka);
        }
        for bad in ["", "file:", "/var/lib/x", "kafka:", "kafka://host", "kafka://host/topic", "kafka:a:1/t"]
        {
            let error = bad.parse::<LogUrl>().unwrap_err().to_string();
            assert!(error.contains("file:<path") && error.contains("kafka://<host>"), "{error}");
        }
    }

    #[test]
    fn searches_are_logged_beside_positions() {
        for (positions, searches) in [
            ("file:/var/lib/x/", "file:/var/lib/x-searches"),
            ("file:log", "file:log-searches"),
            ("kafka://a:9092/p", "kafka://a:9092/p-searches"),
        ] {
            assert_eq!(positions.parse::<LogUrl>().unwrap().searches().to_string(), searches);
        }
    }

    #[test]
    fn sources_spread_evenly_over_any_number_of_partitions() {
        for partitions in [1_u16, 3, 4, 256] {
            let mut counts = vec![0_u32; usize::from(partitions)];
            for taxi in 0..10_000 {
                let source = SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(1) };
                counts[usize::from(partition_of(source.stable_hash(), partitions).0)] += 1;
            }
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 10_000 / u32::from(partitions), "{counts:?}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused_with_what_is_allowed() {
        let settings = Settings { partitions: 0, ..Settings::default() };
        assert_eq!(
            settings.check().unwrap_err().to_string(),
            "the log's setting partitions must be 1 to 256"
        );
        assert!(Settings { commit_interval_ms: 10_001, ..Settings::default() }.check().is_err());
        assert!(Settings::default().check().is_ok());
    }
}
