//! What a Parquet file of the archive says of itself, in its footer: rows, digest, whether it is blurred and, for one
//! of the recent ones, which records of the log it holds.
//!
//! What a later version adds has keys of its own: a reader of before passes over them, and what has no such key is as
//! files were before.

use bytes::Bytes;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader};
use ingest::clock::Millis;
use ingest::log::{Offset, Partition};
use thiserror::Error;

use crate::digest::Digest;
use crate::limits::FOOTER_BYTES;
use crate::root::{Found, Root, Unavailable};
use crate::seal;

/// Records of a partition of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Covered {
    /// Of which log.
    pub epoch: u64,
    /// Of which partition.
    pub partition: Partition,
    /// The offset of the first record.
    pub from: Offset,
    /// The offset after the last one.
    pub next: Offset,
    /// When the last one was appended.
    pub appended_until: Millis,
}

/// Records of a partition that could not be read when they were archived: they are covered, and no row is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Of which log.
    pub epoch: u64,
    /// Of which partition.
    pub partition: Partition,
    /// The offset of the first.
    pub from: Offset,
    /// The offset after the last one.
    pub next: Offset,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// How many rows.
    pub rows: u64,
    /// What they are.
    pub digest: Digest,
    /// Which records of the log; None: those that the day's manifest says.
    pub covered: Option<Covered>,
    /// Which of those could not be read, in order.
    pub skipped: Vec<Skipped>,
    /// Whether nothing finer than a town is left in it: see [`crate::blur`].
    pub is_blurred: bool,
}

/// A file cannot be read, or is not what was written.
#[derive(Clone, Debug, Error)]
pub enum BadFile {
    /// The archive does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// It is not there any more.
    #[error("{0} is not there")]
    Gone(String),
    /// It is no file of the archive's.
    #[error("{name} cannot be read: {cause}")]
    Damaged {
        /// Which one.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl Footer {
    /// Reads the footer of a file.
    pub async fn read<N: std::fmt::Display>(root: &Root, file: &Found<N>) -> Result<Self, BadFile> {
        let damaged =
            |error: NoFooter| BadFile::Damaged { name: file.name.to_string(), cause: error.to_string() };
        Self::of(&Self::metadata(root, file).await?).map_err(damaged)
    }

    /// Reads the metadata of a file: its footer, and what statistics tell of its rows.
    pub async fn metadata<N: std::fmt::Display>(
        root: &Root,
        file: &Found<N>,
    ) -> Result<ParquetMetaData, BadFile> {
        metadata(root, &file.name.to_string(), file.bytes).await
    }

    /// What metadata says.
    pub fn of(metadata: &ParquetMetaData) -> Result<Self, NoFooter> {
        let pairs = metadata.file_metadata().key_value_metadata().map_or(&[][..], Vec::as_slice);
        let text = |key: &'static str| {
            let pair = pairs.iter().find(|pair| pair.key == key);
            pair.and_then(|pair| pair.value.as_deref()).ok_or(NoFooter(key))
        };
        let number = |key| text(key)?.parse::<u64>().map_err(|_| NoFooter(key));
        let covered = || {
            Ok::<_, NoFooter>(Covered {
                epoch: u64::from_str_radix(text(EPOCH)?, 16).map_err(|_| NoFooter(EPOCH))?,
                partition: Partition(number(PARTITION)?.try_into().map_err(|_| NoFooter(PARTITION))?),
                from: Offset(number(FROM)?),
                next: Offset(number(NEXT)?),
                appended_until: Millis(text(UNTIL)?.parse().map_err(|_| NoFooter(UNTIL))?),
            })
        };
        let is_recent = pairs.iter().any(|pair| pair.key == EPOCH);
        Ok(Self {
            rows: number(ROWS)?,
            digest: text(DIGEST)?.parse().map_err(|_| NoFooter(DIGEST))?,
            covered: is_recent.then(covered).transpose()?,
            skipped: text(SKIPPED)
                .map_or(Ok(Vec::new()), |ranges| skipped(ranges).ok_or(NoFooter(SKIPPED)))?,
            is_blurred: text(BLURRED).is_ok_and(|is_blurred| is_blurred == YES),
        })
    }

    /// As it is written, with room for the file's seal.
    pub fn pairs(&self) -> Vec<KeyValue> {
        let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
        let mut pairs = vec![
            pair(ROWS, self.rows.to_string()),
            pair(DIGEST, self.digest.to_string()),
            pair(SEAL, seal::unsealed()),
        ];
        if let Some(Covered { epoch, partition, from, next, appended_until }) = self.covered {
            pairs.extend([
                pair(EPOCH, format!("{epoch:016x}")),
                pair(PARTITION, partition.0.to_string()),
                pair(FROM, from.0.to_string()),
                pair(NEXT, next.0.to_string()),
                pair(UNTIL, appended_until.0.to_string()),
            ]);
        }
        if !self.skipped.is_empty() {
            let ranges: Vec<_> = self.skipped.iter().map(Skipped::to_string).collect();
            pairs.push(pair(SKIPPED, ranges.join(" ")));
        }
        if self.is_blurred {
            pairs.push(pair(BLURRED, YES.to_owned()));
        }
        pairs
    }
}

/// Reads how a file of some size is laid out, from its end.
pub(crate) async fn metadata(root: &Root, name: &str, bytes: u64) -> Result<ParquetMetaData, BadFile> {
    let gone = || BadFile::Gone(name.to_owned());
    let damaged = |cause: String| BadFile::Damaged { name: name.to_owned(), cause };
    let mut tail = root.tail(name, bytes, FOOTER_BYTES).await?.ok_or_else(gone)?;
    let length = metadata_length(&tail).ok_or_else(|| damaged("it does not end as a Parquet file".into()))?;
    let whole = u64::from(length) + TRAILER as u64;
    if whole > tail.len() as u64 {
        tail = root.tail(name, bytes, whole).await?.ok_or_else(gone)?;
    }
    let end = tail.len().saturating_sub(TRAILER);
    let begin = end.checked_sub(length as usize).ok_or_else(|| damaged("its footer is cut".into()))?;
    ParquetMetaDataReader::decode_metadata(&tail[begin..end]).map_err(|error| damaged(error.to_string()))
}

/// What a footer does not say, or not readably.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("its footer has no {0} that can be read")]
pub struct NoFooter(&'static str);

impl From<NoFooter> for ParquetError {
    fn from(error: NoFooter) -> Self {
        Self::General(error.to_string())
    }
}

const ROWS: &str = "maraude.rows";
const DIGEST: &str = "maraude.digest";
/// The key of a file's seal: see [`crate::seal`].
pub(crate) const SEAL: &str = "maraude.seal";
const EPOCH: &str = "maraude.epoch";
const PARTITION: &str = "maraude.partition";
const FROM: &str = "maraude.from";
const NEXT: &str = "maraude.next";
const UNTIL: &str = "maraude.appended_until_ms";
const SKIPPED: &str = "maraude.skipped";
const BLURRED: &str = "maraude.blurred";
const YES: &str = "true";

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { epoch, partition, from, next } = self;
        write!(f, "{epoch:016x}/{}/{}-{}", partition.0, from.0, next.0)
    }
}

fn skipped(ranges: &str) -> Option<Vec<Skipped>> {
    let range = |text: &str| {
        let (epoch, rest) = text.split_once('/')?;
        let (partition, offsets) = rest.split_once('/')?;
        let (from, next) = offsets.split_once('-')?;
        Some(Skipped {
            epoch: u64::from_str_radix(epoch, 16).ok()?,
            partition: Partition(partition.parse().ok()?),
            from: Offset(from.parse().ok()?),
            next: Offset(next.parse().ok()?),
        })
    };
    ranges.split(' ').map(range).collect()
}

/// The length of the metadata and the mark that end a Parquet file.
const TRAILER: usize = 8;

fn metadata_length(tail: &Bytes) -> Option<u32> {
    let (_, trailer) = tail.split_last_chunk::<TRAILER>()?;
    let (length, mark) = trailer.split_first_chunk::<4>()?;
    (mark == b"PAR1").then(|| u32::from_le_bytes(*length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_read_back() {
        let one = |partition, from, next| Skipped {
            epoch: u64::MAX,
            partition: Partition(partition),
            from: Offset(from),
            next: Offset(next),
        };
        let all = vec![one(3, 0, 1), one(7, 5, u64::MAX)];
        let text: Vec<_> = all.iter().map(Skipped::to_string).collect();
        assert_eq!(skipped(&text.join(" ")), Some(all));
        for bad in ["", "1", "1/2", "1/2/3", "x/2/3-4", "1/2/3-4 ", "1/70000/3-4"] {
            assert_eq!(skipped(bad), None, "{bad}");
        }
    }
}
