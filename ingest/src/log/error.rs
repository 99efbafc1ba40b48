//! What a log may refuse, and how it may fail.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::{Damage, Offset, Partition, Topic};

/// An append was refused. Nothing of it is or will be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Full {
    /// More is waiting to be written than the log takes.
    #[error("the log's queue is full: what is to be logged comes in faster than they are written")]
    Queue,
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// The log is far away and does not answer now.
    #[error("the brokers of the log do not answer now")]
    Away,
    /// A write failed earlier.
    #[error("the log takes nothing more since a write failed; restart the process once its cause is mended")]
    Poisoned,
}

/// A log could not do what it was asked. Cheap to clone: one failure answers many.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// A write or a sync failed for good, now or earlier.
    #[error(
        "the log could not write ({cause}) and takes nothing more; restart the process once that is mended"
    )]
    Poisoned {
        /// What the disk said, or Kafka.
        cause: Arc<str>,
    },
    /// The log was away for too long, or would not take it: whether it is in the log is not known.
    #[error("the brokers of the log did not acknowledge: {cause}")]
    Unacknowledged {
        /// What Kafka said.
        cause: Arc<str>,
    },
    /// A read or a deletion failed.
    #[error("the log could not be read or cleared: {cause}")]
    Storage {
        /// What the disk said, or Kafka.
        cause: Arc<str>,
    },
    /// A record is not what was written.
    #[error("record {} of partition {} of the log cannot be read: {damage}", offset.0, partition.0)]
    Damaged {
        /// Of which partition.
        partition: Partition,
        /// Which record.
        offset: Offset,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// A log could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A setting is out of its range.
    #[error("the log's setting {setting} must be {allowed}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
    /// Another process has it.
    #[error("the log in {} is open in another process; one at a time may use it", path.display())]
    Locked {
        /// Where it is.
        path: PathBuf,
    },
    /// What is there was not made by this version.
    #[error("what is in {} is no log that this version can read: {cause}", path.display())]
    Foreign {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The disk said no.
    #[error("the log in {} cannot be opened: {cause}", path.display())]
    Storage {
        /// Where it is.
        path: PathBuf,
        /// What the disk said.
        cause: String,
    },
    /// Kafka does not answer, or has something else under the topic's name.
    #[error("the log at {topic} cannot be opened: {cause}")]
    Kafka {
        /// Which topic, on which brokers.
        topic: Topic,
        /// What is wrong.
        cause: String,
    },
}

/// A text is not the URL of a log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not the URL of a log: it must be file:<path of a directory> or \
     kafka://<host>:<port>[,<host>:<port>...]/<topic>"
)]
pub struct BadLogUrl(pub(super) String);
