//! A day is written from its hours: sorted, in few files, and then described by a manifest.
//!
//! It is due once the day is over and everything that the log held then is archived. What is written again later, for
//! files that came late, replaces the day in the same way. Nothing is removed here: see [`crate::clean`].

use std::path::Path as FilePath;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use futures_util::TryStreamExt as _;
use thiserror::Error;

use crate::blur::blurred;
use crate::current::Current;
use crate::digest::Digest;
use crate::file::{self, FileWriter};
use crate::footer::{BadFile, Covered, Footer, Skipped};
use crate::layout::{Day, ManifestName, Part};
use crate::limits::PART_ROWS;
use crate::manifest::{Listed, Manifest};
use crate::progress::checked;
use crate::root::{Root, Unavailable};
use crate::rows::Rows;
use crate::sort;

/// A day could not be written. It is as it was.
#[derive(Debug, Error)]
pub enum CompactError {
    /// A file of the archive.
    #[error(transparent)]
    File(#[from] BadFile),
    /// Two files hold the same records: neither is believed.
    #[error("files of {day} overlap at record {} of partition {}", at.0, partition.0)]
    Overlap {
        /// Of which day.
        day: Day,
        /// In which partition.
        partition: ingest::log::Partition,
        /// Where.
        at: ingest::log::Offset,
    },
    /// What was read is not what the files say they hold.
    #[error("{day} was read as {read} rows of {expected}, or they are not those that were written")]
    Different {
        /// Which day.
        day: Day,
        /// Rows that were read.
        read: u64,
        /// Rows that the files say they have.
        expected: u64,
    },
    /// Sorting.
    #[error("sorting a day: {0}")]
    Sort(#[from] DataFusionError),
    /// Writing columns.
    #[error("a day cannot be written as Parquet: {0}")]
    Parquet(#[from] ParquetError),
}

impl From<Unavailable> for CompactError {
    fn from(error: Unavailable) -> Self {
        Self::File(error.into())
    }
}

/// What became of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is written.
    Written(Manifest),
    /// Everything of it was written before.
    Nothing,
    /// Somebody else has written it meanwhile.
    Outrun,
}

/// Writes a day from its manifest's parts, if it has one, and the recent files that this does not cover: exact, unless
/// the day is blurred already. `aside` is a directory for what does not fit in memory; `told` hears how many rows are
/// done, and of how many.
pub async fn compact<R: Rows>(
    root: &Root,
    day: Day,
    aside: &FilePath,
    told: &dyn Fn(u64, u64),
) -> Result<Outcome, CompactError> {
    let found = Current::read_for(root, R::STREAM, day).await?;
    if found.recent_of(day).next().is_none() {
        return Ok(Outcome::Nothing);
    }
    let is_blurred = found.days.get(&day).is_some_and(|manifest| !manifest.is_exact);
    rewrite::<R>(root, &found, day, is_blurred, aside, told).await
}

/// Writes all that there is of a day as its next manifest, exact or blurred.
pub(crate) async fn rewrite<R: Rows>(
    root: &Root,
    found: &Current,
    day: Day,
    is_blurred: bool,
    aside: &FilePath,
    told: &dyn Fn(u64, u64),
) -> Result<Outcome, CompactError> {
    let current = found.days.get(&day);
    let number = current.map_or(0, |manifest| manifest.name.number) + 1;
    let name = ManifestName { stream: R::STREAM, day, number };
    let inputs = inputs(root, found, day).await?;
    let mut parts = Parts::<R>::new(root, name)?;
    parts.is_blurred = is_blurred;
    let order = if is_blurred { R::BLURRED_ORDER } else { R::ORDER };
    let mut digest = Digest::default();
    // A day of which nothing could be read has no file.
    if !inputs.files.is_empty() {
        let mut rows = sort::sorted::<R>(root, &inputs.files, order, aside).await?;
        while let Some(batch) = rows.try_next().await? {
            digest += R::digest_of(&batch).map_err(|error| ParquetError::External(error.into()))?;
            parts.add(batch).await?;
            told(parts.rows, inputs.rows);
        }
    }
    let (rows, listed) = parts.finish().await?;
    if (rows, digest) != (inputs.rows, inputs.digest) {
        return Err(CompactError::Different { day, read: rows, expected: inputs.rows });
    }
    let Inputs { covers, skipped, .. } = inputs;
    let manifest = Manifest { name, parts: listed, covers, skipped, is_exact: !is_blurred };
    if manifest.create(root).await? {
        return Ok(Outcome::Written(manifest));
    }
    // What the other one did not write the same goes at once: nobody has read it.
    if let Some(winner) = Manifest::read(root, name).await? {
        let parts = manifest.parts.iter().filter(|listed| !winner.parts.contains(listed));
        root.remove(parts.map(|listed| listed.part)).await?;
    }
    Ok(Outcome::Outrun)
}

/// What a day is written from.
#[derive(Default)]
struct Inputs {
    files: Vec<String>,
    rows: u64,
    digest: Digest,
    covers: Vec<Covered>,
    skipped: Vec<Skipped>,
}

async fn inputs(root: &Root, found: &Current, day: Day) -> Result<Inputs, CompactError> {
    let mut inputs = Inputs::default();
    if let Some(current) = found.days.get(&day) {
        for listed in &current.parts {
            let name = listed.part.to_string();
            intact(root, &name).await?;
            inputs.files.push(name);
        }
        (inputs.rows, inputs.digest) = (current.rows(), current.digest());
        inputs.covers.extend(&current.covers);
        inputs.skipped.extend(&current.skipped);
    }
    for file in found.recent_of(day) {
        let footer = intact(root, &file.name.to_string()).await?;
        inputs.covers.push(checked(file, &footer)?);
        inputs.rows += footer.rows;
        inputs.digest += footer.digest;
        inputs.skipped.extend(footer.skipped);
        inputs.files.push(file.name.to_string());
    }
    inputs.covers = joined(day, inputs.covers)?;
    inputs.skipped.sort_unstable();
    Ok(inputs)
}

/// The footer of a file whose columns are those that were written. Sorting believes them.
async fn intact(root: &Root, name: &str) -> Result<Footer, BadFile> {
    let content = root.get(&name).await?.ok_or_else(|| BadFile::Gone(name.to_owned()))?;
    let read = file::read(content);
    let (footer, _) =
        read.map_err(|error| BadFile::Damaged { name: name.to_owned(), cause: error.to_string() })?;
    Ok(footer)
}

/// Ranges in order, those that follow one another as one.
pub(crate) fn joined(day: Day, mut covers: Vec<Covered>) -> Result<Vec<Covered>, CompactError> {
    covers.sort_unstable();
    let mut joined: Vec<Covered> = Vec::new();
    for covered in covers {
        let last = joined.last_mut();
        match last.filter(|last| (last.epoch, last.partition) == (covered.epoch, covered.partition)) {
            Some(last) if last.next > covered.from => {
                return Err(CompactError::Overlap { day, partition: covered.partition, at: covered.from });
            }
            Some(last) if last.next == covered.from => {
                last.next = covered.next;
                last.appended_until = last.appended_until.max(covered.appended_until);
            }
            _ => joined.push(covered),
        }
    }
    Ok(joined)
}

/// The files of a day, one being written.
pub(crate) struct Parts<'a, R: Rows> {
    root: &'a Root,
    name: ManifestName,
    is_blurred: bool,
    listed: Vec<Listed>,
    file: FileWriter,
    rows: u64,
    of: std::marker::PhantomData<R>,
}

impl<'a, R: Rows> Parts<'a, R> {
    pub(crate) fn new(root: &'a Root, name: ManifestName) -> Result<Self, ParquetError> {
        let file = FileWriter::new::<R>()?;
        Ok(Self {
            root,
            name,
            is_blurred: false,
            listed: Vec::new(),
            file,
            rows: 0,
            of: std::marker::PhantomData,
        })
    }

    /// Adds rows, in their order.
    pub(crate) async fn add(&mut self, batch: RecordBatch) -> Result<(), CompactError> {
        // What was read may say of columns without nulls that they might have some, or the other way round.
        let batch = RecordBatch::try_new(R::schema(), batch.columns().to_vec());
        let batch = if self.is_blurred { batch.and_then(|batch| blurred::<R>(&batch)) } else { batch };
        let mut batch = batch.map_err(ParquetError::from)?;
        while batch.num_rows() > 0 {
            let room = PART_ROWS - usize::try_from(self.file.rows()).unwrap_or(PART_ROWS);
            let taken = batch.num_rows().min(room);
            self.file.write(&batch.slice(0, taken))?;
            self.rows += taken as u64;
            batch = batch.slice(taken, batch.num_rows() - taken);
            if taken == room {
                self.end_file().await?;
            }
        }
        Ok(())
    }

    async fn end_file(&mut self) -> Result<(), CompactError> {
        let file = std::mem::replace(&mut self.file, FileWriter::new::<R>()?);
        let about = Footer { is_blurred: self.is_blurred, ..Footer::default() };
        let (content, footer) = file.finish(about)?;
        let number = u16::try_from(self.listed.len()).unwrap_or(u16::MAX);
        let ManifestName { stream, day, number: manifest } = self.name;
        let part = Part { stream, day, manifest, number, hash: hash(&content) };
        let bytes = content.len() as u64;
        // One of this name has this content.
        self.root.create(&part, content).await?;
        self.listed.push(Listed { part, rows: footer.rows, bytes, digest: footer.digest });
        Ok(())
    }

    /// Ends it: how many rows there are, and the files.
    pub(crate) async fn finish(mut self) -> Result<(u64, Vec<Listed>), CompactError> {
        if self.file.rows() > 0 {
            self.end_file().await?;
        }
        Ok((self.rows, self.listed))
    }
}

fn hash(content: &Bytes) -> u64 {
    let hash = blake3::hash(content);
    let (first, _) = hash.as_bytes().split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use ingest::clock::Millis;
    use ingest::log::{Offset, Partition};

    use super::*;

    fn covered(partition: u16, from: u64, next: u64) -> Covered {
        let (partition, from, next) = (Partition(partition), Offset(from), Offset(next));
        Covered { epoch: 1, partition, from, next, appended_until: Millis(i64::try_from(next.0).unwrap()) }
    }

    #[test]
    fn ranges_that_follow_one_another_are_one() {
        let covers = vec![covered(0, 5, 9), covered(1, 0, 2), covered(0, 0, 5), covered(1, 3, 4)];
        let expected = [covered(0, 0, 9), covered(1, 0, 2), covered(1, 3, 4)];
        assert_eq!(joined(Day(1), covers).unwrap(), expected);
    }

    #[test]
    fn records_that_are_there_twice_make_no_day() {
        let error = joined(Day(1), vec![covered(0, 0, 5), covered(0, 4, 9)]).unwrap_err();
        assert!(matches!(error, CompactError::Overlap { at: Offset(4), .. }), "{error}");
    }
}
