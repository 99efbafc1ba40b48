//! Whether the archive is what was written: every file is read again, counted and digested, and no record of the log is
//! missing between two that are there, or there twice.

use std::collections::BTreeMap;

use ingest::log::Partition;

use crate::current::Current;
use crate::digest::Digest;
use crate::file;
use crate::footer::{BadFile, Covered};
use crate::layout::Recent;
use crate::manifest::Listed;
use crate::progress::checked;
use crate::root::{Found, Root};
use crate::rows::Rows;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Files that were read.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The digest of their rows.
    pub digest: Digest,
    /// What is wrong, a sentence each.
    pub problems: Vec<String>,
}

/// Reads what the archive holds of a stream, each row once. `told` hears of how many bytes are read, and how many there
/// are. Files that a manifest has replaced are not read.
pub async fn verify<R: Rows>(root: &Root, told: &dyn Fn(u64, u64)) -> Result<Findings, BadFile> {
    let current = Current::read(root, R::STREAM).await?;
    let all = current.bytes();
    let mut reading = Reading { root, all, told, findings: Findings::default(), covers: Vec::new() };
    for manifest in current.days.values() {
        reading.covers.extend(&manifest.covers);
        for listed in &manifest.parts {
            reading.part::<R>(listed).await?;
        }
    }
    for file in &current.recent {
        reading.recent::<R>(file).await?;
    }
    let Reading { mut findings, covers, .. } = reading;
    findings.problems.extend(gaps(covers));
    Ok(findings)
}

struct Reading<'a> {
    root: &'a Root,
    all: u64,
    told: &'a dyn Fn(u64, u64),
    findings: Findings,
    covers: Vec<Covered>,
}

impl Reading<'_> {
    async fn part<R: Rows>(&mut self, listed: &Listed) -> Result<(), BadFile> {
        let name = listed.part.to_string();
        let Some((footer, rows, digest)) = self.read::<R>(&name).await? else { return Ok(()) };
        if (footer.rows, footer.digest) != (listed.rows, listed.digest) {
            self.findings.problems.push(format!("{name} is not the file that its day's manifest lists"));
        } else if (rows, digest) != (listed.rows, listed.digest) {
            self.findings.problems.push(format!("{name} does not hold the rows that it says"));
        }
        Ok(())
    }

    async fn recent<R: Rows>(&mut self, file: &Found<Recent>) -> Result<(), BadFile> {
        let name = file.name.to_string();
        let Some((footer, rows, digest)) = self.read::<R>(&name).await? else { return Ok(()) };
        match checked(file, &footer) {
            Ok(covered) => self.covers.push(covered),
            Err(error) => self.findings.problems.push(error.to_string()),
        }
        if (rows, digest) != (footer.rows, footer.digest) {
            self.findings.problems.push(format!("{name} does not hold the rows that it says"));
        }
        Ok(())
    }

    /// A file's footer, and what its rows are.
    async fn read<R: Rows>(
        &mut self,
        name: &str,
    ) -> Result<Option<(crate::footer::Footer, u64, Digest)>, BadFile> {
        let Some(content) = self.root.get(&name).await? else {
            self.findings.problems.push(format!("{name} is not there"));
            return Ok(None);
        };
        self.findings.files += 1;
        self.findings.bytes += content.len() as u64;
        let counted = count::<R>(content);
        (self.told)(self.findings.bytes, self.all);
        match counted {
            Ok(counted) => {
                self.findings.rows += counted.1;
                self.findings.digest += counted.2;
                Ok(Some(counted))
            }
            Err(error) => {
                self.findings.problems.push(format!("{name} cannot be read: {error}"));
                Ok(None)
            }
        }
    }
}

fn count<R: Rows>(
    content: bytes::Bytes,
) -> Result<(crate::footer::Footer, u64, Digest), Box<dyn std::error::Error + Send + Sync>> {
    let (footer, batches) = file::read(content)?;
    let (mut rows, mut digest) = (0, Digest::default());
    for batch in batches {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        digest += R::digest_of(&batch)?;
    }
    Ok((footer, rows, digest))
}

/// Where records are missing between two that are there, or are there twice.
fn gaps(covers: Vec<Covered>) -> Vec<String> {
    let mut logs = BTreeMap::<(u64, Partition), Vec<Covered>>::new();
    for covered in covers {
        logs.entry((covered.epoch, covered.partition)).or_default().push(covered);
    }
    let mut problems = Vec::new();
    for ((epoch, partition), mut covers) in logs {
        covers.sort_unstable();
        for pair in covers.windows(2) {
            let (end, begin) = (pair[0].next.0, pair[1].from.0);
            let of = format!("of partition {} of log {epoch:016x}", partition.0);
            if end < begin {
                problems.push(format!("records {end} to {} {of} are missing", begin - 1));
            } else if end > begin {
                problems.push(format!("records {begin} to {} {of} are there twice", end - 1));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use ingest::clock::Millis;
    use ingest::log::Offset;

    use super::*;

    #[test]
    fn records_that_are_missing_or_there_twice_are_named() {
        let covered = |partition, from, next| {
            let (partition, from, next) = (Partition(partition), Offset(from), Offset(next));
            Covered { epoch: 1, partition, from, next, appended_until: Millis(0) }
        };
        assert_eq!(gaps(vec![covered(0, 5, 7), covered(1, 0, 3), covered(0, 7, 9)]), [""; 0]);
        let problems = gaps(vec![covered(0, 9, 12), covered(0, 0, 7), covered(1, 0, 3), covered(1, 2, 4)]);
        assert!(problems[0].starts_with("records 7 to 8 of partition 0"), "{problems:?}");
        assert!(problems[1].starts_with("records 2 to 2 of partition 1"), "{problems:?}");
        assert_eq!(problems.len(), 2);
    }
}
