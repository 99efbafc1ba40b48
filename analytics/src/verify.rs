//! Whether the archive is what was written: every file is read again, counted and digested, no record of the log is
//! missing between two that are there, or there twice, and which files have exact places is told by their statistics
//! and their rows, not by what they say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use bytes::Bytes;
use ingest::clock::Millis;
use ingest::log::Partition;

use crate::current::Current;
use crate::digest::Digest;
use crate::exact::{Exact, oldest_by_statistics, oldest_of_rows};
use crate::file;
use crate::footer::{BadFile, Covered, Footer, Skipped};
use crate::layout::{Day, Part, Recent};
use crate::manifest::{Listed, Manifest, manifests};
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
    /// Records of the log that could not be read when they were archived.
    pub skipped: Vec<Skipped>,
    /// Files with exact places, those that were replaced and are still there among them.
    pub exact: Vec<Exact>,
}

impl Findings {
    /// What has exact places though it should not any more, a sentence each: see [`Exact::is_too_old`].
    pub fn too_exact(&self, exact_since: Millis, replaced_since: Millis) -> Vec<String> {
        let is_too_old = |file: &&Exact| file.is_too_old(exact_since, replaced_since);
        let sentence = |Exact { name, replaced_at, .. }: &Exact| {
            let replaced = if replaced_at.is_some() { " and was replaced long ago" } else { "" };
            format!("{name} has exact places that are too old{replaced}")
        };
        self.exact.iter().filter(is_too_old).map(sentence).collect()
    }
}

/// Reads what the archive holds of a stream, each row once. `told` hears of how many bytes are read, and how many there
/// are. Of files that a manifest has replaced footers are read alone.
pub async fn verify<R: Rows>(root: &Root, told: &dyn Fn(u64, u64)) -> Result<Findings, BadFile> {
    let (current, damaged) = Current::read_sound(root, R::STREAM).await?;
    let all = current.bytes();
    let mut reading = Reading { root, all, told, findings: Findings::default(), covers: Vec::new() };
    reading.findings.problems.extend(damaged.values().map(ToString::to_string));
    for manifest in current.days.values() {
        reading.covers.extend(&manifest.covers);
        reading.findings.skipped.extend(&manifest.skipped);
        for listed in &manifest.parts {
            reading.part::<R>(manifest, listed).await?;
        }
    }
    for file in &current.recent {
        reading.recent::<R>(file).await?;
    }
    if !R::BLURRED.is_empty() {
        reading.replaced::<R>(&current, &damaged).await?;
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

/// What a file is found to hold.
struct Read {
    footer: Footer,
    rows: u64,
    digest: Digest,
    /// Of exact places.
    oldest: Option<Millis>,
}

impl Reading<'_> {
    async fn part<R: Rows>(&mut self, manifest: &Manifest, listed: &Listed) -> Result<(), BadFile> {
        let name = listed.part.to_string();
        let Some(read) = self.read::<R>(&name, listed.part.day).await? else { return Ok(()) };
        let is_blurred = R::BLURRED.is_empty() || read.footer.is_blurred != manifest.is_exact;
        if (read.footer.rows, read.footer.digest) != (listed.rows, listed.digest) || !is_blurred {
            self.findings.problems.push(format!("{name} is not the file that its day's manifest lists"));
        } else if (read.rows, read.digest) != (listed.rows, listed.digest) {
            self.findings.problems.push(format!("{name} does not hold the rows that it says"));
        }
        Ok(())
    }

    async fn recent<R: Rows>(&mut self, file: &Found<Recent>) -> Result<(), BadFile> {
        let name = file.name.to_string();
        let Some(read) = self.read::<R>(&name, file.name.hour.day()).await? else { return Ok(()) };
        match checked(file, &read.footer) {
            Ok(covered) => self.covers.push(covered),
            Err(error) => self.findings.problems.push(error.to_string()),
        }
        if (read.rows, read.digest) != (read.footer.rows, read.footer.digest) {
            self.findings.problems.push(format!("{name} does not hold the rows that it says"));
        }
        self.findings.skipped.extend(read.footer.skipped);
        Ok(())
    }

    /// What a file holds.
    async fn read<R: Rows>(&mut self, name: &str, day: Day) -> Result<Option<Read>, BadFile> {
        let Some(content) = self.root.get(&name).await? else {
            self.findings.problems.push(format!("{name} is not there"));
            return Ok(None);
        };
        self.findings.files += 1;
        self.findings.bytes += content.len() as u64;
        let read = count::<R>(content);
        (self.told)(self.findings.bytes, self.all);
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                self.findings.problems.push(format!("{name} cannot be read: {error}"));
                return Ok(None);
            }
        };
        self.findings.rows += read.rows;
        self.findings.digest += read.digest;
        if let Some(oldest) = read.oldest {
            if read.footer.is_blurred {
                self.findings.problems.push(format!("{name} has exact places, and says that it is blurred"));
            }
            self.findings.exact.push(Exact { name: name.to_owned(), day, oldest, replaced_at: None });
        }
        Ok(Some(read))
    }

    /// Files that count no more and still are there. Of days that are damaged nobody knows whether they count.
    async fn replaced<R: Rows>(
        &mut self,
        current: &Current,
        damaged: &BTreeMap<Day, BadFile>,
    ) -> Result<(), BadFile> {
        let root = self.root;
        let counting: BTreeSet<_> = current.names().collect();
        let manifests = manifests(root, R::STREAM).await?;
        for file in root.list::<Recent>(&R::STREAM.recent_folder()).await? {
            let day = file.name.hour.day();
            // One that is new does count.
            if let Some(manifest) = manifests.get(&day)
                && !counting.contains(&file.name.to_string())
            {
                let replaced_at = (!damaged.contains_key(&day)).then_some(manifest.put_at);
                self.left::<R, _>(&file, day, replaced_at).await?;
            }
        }
        for file in root.list::<Part>(R::STREAM.as_str()).await? {
            if !counting.contains(&file.name.to_string()) {
                let manifest = manifests.get(&file.name.day);
                // One that no manifest came to list was of no use from the beginning.
                let replaced_at = manifest.map_or(file.put_at, |manifest| manifest.put_at.max(file.put_at));
                let replaced_at = (!damaged.contains_key(&file.name.day)).then_some(replaced_at);
                self.left::<R, _>(&file, file.name.day, replaced_at).await?;
            }
        }
        Ok(())
    }

    async fn left<R: Rows, N: Display>(
        &mut self,
        file: &Found<N>,
        day: Day,
        replaced_at: Option<Millis>,
    ) -> Result<(), BadFile> {
        let oldest = match Footer::metadata(self.root, file).await {
            Ok(metadata) => oldest_by_statistics::<R>(&metadata),
            Err(BadFile::Gone(_)) => None,
            // Whatever it was: it cannot be shown to have no places.
            Err(BadFile::Damaged { .. }) => Some(Millis(i64::MIN)),
            Err(error) => return Err(error),
        };
        let name = file.name.to_string();
        self.findings.exact.extend(oldest.map(|oldest| Exact { name, day, oldest, replaced_at }));
        Ok(())
    }
}

fn count<R: Rows>(content: Bytes) -> Result<Read, Box<dyn std::error::Error + Send + Sync>> {
    let builder = file::open(content)?;
    let footer = Footer::of(builder.metadata())?;
    let mut read = Read { footer, rows: 0, digest: Digest::default(), oldest: None };
    let by_statistics = oldest_by_statistics::<R>(builder.metadata());
    let mut by_rows: Option<Millis> = None;
    for batch in builder.build()? {
        let batch = batch?;
        read.rows += batch.num_rows() as u64;
        read.digest += R::digest_of(&batch)?;
        by_rows = by_rows.into_iter().chain(oldest_of_rows::<R>(&batch)).min();
    }
    // What either of them shows to be exact is.
    read.oldest = by_rows.into_iter().chain(by_statistics).min();
    Ok(read)
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
