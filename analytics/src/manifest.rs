//! Which files make a day of a stream, in a file of JSON that other engines can read, too.
//!
//! Manifests of a day are numbered, and each is created only where there is none of its number: of two that rewrite the
//! day that `n` describes, one creates `n + 1`, and the other has lost. The highest counts. Before the first, the day
//! is what its recent files hold; after it, what the manifest lists, and those recent files that it does not cover.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ingest::clock::Millis;
use ingest::log::{Offset, Partition};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::footer::{BadFile, Covered, Skipped};
use crate::layout::{Day, ManifestName, Part, Stream, highest};
use crate::root::{Created, Found, Root, Unavailable};

/// What makes a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its name: stream, day and number.
    pub name: ManifestName,
    /// Its files, in the order of their rows.
    pub parts: Vec<Listed>,
    /// The records of the log that they hold, in order, none twice; empty for a stream that is not the log's.
    pub covers: Vec<Covered>,
    /// Which of them could not be read when they were archived, in order.
    pub skipped: Vec<Skipped>,
    /// Whether exact points are left in it; blurred, it is for good.
    pub is_exact: bool,
}

/// A file of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub part: Part,
    /// How many rows it has.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// What its rows are.
    pub digest: Digest,
}

impl Manifest {
    /// The rows of the day.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|listed| listed.rows).sum()
    }

    /// The digest of the day.
    pub fn digest(&self) -> Digest {
        let mut sum = Digest::default();
        self.parts.iter().for_each(|listed| sum += listed.digest);
        sum
    }

    /// Whether it has the record at an offset.
    pub fn covers(&self, epoch: u64, partition: Partition, offset: Offset) -> bool {
        let holds = |covered: &Covered| {
            (covered.epoch, covered.partition) == (epoch, partition)
                && (covered.from..covered.next).contains(&offset)
        };
        self.covers.iter().any(holds)
    }

    /// Reads the manifest of a name, or remembers it; None if there is none.
    pub async fn read(root: &Root, name: ManifestName) -> Result<Option<Self>, BadFile> {
        if let Some(known) = root.known().locked().get(&name) {
            return Ok(Some(known.clone()));
        }
        let Some(content) = root.get(&name).await? else { return Ok(None) };
        let damaged = |cause: String| BadFile::Damaged { name: name.to_string(), cause };
        let text: Text = serde_json::from_slice(&content).map_err(|error| damaged(error.to_string()))?;
        let manifest = text.into_manifest(name).map_err(|cause| damaged(cause.to_owned()))?;
        root.known().locked().insert(name, manifest.clone());
        Ok(Some(manifest))
    }

    /// Creates it; false if there is one of its number.
    pub async fn create(&self, root: &Root) -> Result<bool, Unavailable> {
        let mut text = serde_json::to_vec_pretty(&Text::of(self)).unwrap_or_default();
        text.push(b'\n');
        Ok(root.create(&self.name, text.into()).await? == Created::New)
    }
}

/// Manifests that were read and count, as far as is known: what was written under a name is never another.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<ManifestName, Manifest>>);

impl Known {
    fn locked(&self) -> MutexGuard<'_, HashMap<ManifestName, Manifest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The manifest of each day of a stream that has one, with when it was put.
pub async fn manifests(
    root: &Root,
    stream: Stream,
) -> Result<BTreeMap<Day, Found<ManifestName>>, Unavailable> {
    let files = root.list::<ManifestName>(&stream.manifest_folder()).await?;
    let counting = highest(files.iter().map(|file| file.name));
    let counts = |name: &ManifestName| name.stream != stream || counting.get(&name.day) == Some(name);
    root.known().locked().retain(|name, _| counts(name));
    Ok(files
        .into_iter()
        .filter(|file| counting.get(&file.name.day) == Some(&file.name))
        .map(|file| (file.name.day, file))
        .collect())
}

/// As it is written. Numbers beyond 2^53, which not every reader of JSON keeps, are texts.
#[derive(Serialize, Deserialize)]
struct Text {
    stream: String,
    day: String,
    number: u32,
    rows: u64,
    digest: String,
    exact: bool,
    parts: Vec<PartText>,
    covers: Vec<CoveredText>,
    /// Manifests of before have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<SkippedText>,
}

#[derive(Serialize, Deserialize)]
struct PartText {
    name: String,
    rows: u64,
    bytes: u64,
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct CoveredText {
    epoch: String,
    partition: u16,
    from: u64,
    next: u64,
    appended_until_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct SkippedText {
    epoch: String,
    partition: u16,
    from: u64,
    next: u64,
}

impl Text {
    fn of(manifest: &Manifest) -> Self {
        let Manifest { name, parts, covers, skipped, is_exact } = manifest;
        Self {
            stream: name.stream.to_string(),
            day: name.day.to_string(),
            number: name.number,
            rows: manifest.rows(),
            digest: manifest.digest().to_string(),
            exact: *is_exact,
            parts: parts
                .iter()
                .map(|listed| PartText {
                    name: listed.part.to_string(),
                    rows: listed.rows,
                    bytes: listed.bytes,
                    digest: listed.digest.to_string(),
                })
                .collect(),
            covers: covers
                .iter()
                .map(|covered| CoveredText {
                    epoch: format!("{:016x}", covered.epoch),
                    partition: covered.partition.0,
                    from: covered.from.0,
                    next: covered.next.0,
                    appended_until_ms: covered.appended_until.0,
                })
                .collect(),
            skipped: skipped
                .iter()
                .map(|skipped| SkippedText {
                    epoch: format!("{:016x}", skipped.epoch),
                    partition: skipped.partition.0,
                    from: skipped.from.0,
                    next: skipped.next.0,
                })
                .collect(),
        }
    }

    fn into_manifest(self, name: ManifestName) -> Result<Manifest, &'static str> {
        let is_named = (self.stream, self.day, self.number)
            == (name.stream.to_string(), name.day.to_string(), name.number);
        if !is_named {
            return Err("it is the manifest of another day");
        }
        let part = |text: PartText| {
            Ok::<_, &str>(Listed {
                part: text.name.parse().map_err(|_| "it lists what is no part of a day")?,
                rows: text.rows,
                bytes: text.bytes,
                digest: text.digest.parse().map_err(|_| "a part's digest is none")?,
            })
        };
        let covered = |text: CoveredText| {
            Ok::<_, &str>(Covered {
                epoch: u64::from_str_radix(&text.epoch, 16).map_err(|_| "an epoch is none")?,
                partition: Partition(text.partition),
                from: Offset(text.from),
                next: Offset(text.next),
                appended_until: Millis(text.appended_until_ms),
            })
        };
        let skipped = |text: SkippedText| {
            Ok::<_, &str>(Skipped {
                epoch: u64::from_str_radix(&text.epoch, 16).map_err(|_| "an epoch is none")?,
                partition: Partition(text.partition),
                from: Offset(text.from),
                next: Offset(text.next),
            })
        };
        let manifest = Manifest {
            name,
            parts: self.parts.into_iter().map(part).collect::<Result<_, _>>()?,
            covers: self.covers.into_iter().map(covered).collect::<Result<_, _>>()?,
            skipped: self.skipped.into_iter().map(skipped).collect::<Result<_, _>>()?,
            is_exact: self.exact,
        };
        if (manifest.rows(), manifest.digest().to_string()) != (self.rows, self.digest) {
            return Err("its parts do not add up");
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::current::Current;
    use crate::root::ArchiveUrl;

    const DAY: Day = Day(20_000);

    fn manifest(number: u32) -> Manifest {
        let listed = |number: u16| {
            let mut digest = Digest::default();
            digest.add(&[u64::from(number)]);
            let part = Part {
                stream: Stream::Positions,
                day: DAY,
                manifest: 1,
                number,
                hash: u64::MAX - u64::from(number),
            };
            Listed { part, rows: 10, bytes: 100, digest }
        };
        let covered = Covered {
            epoch: u64::MAX,
            partition: Partition(3),
            from: Offset(10),
            next: Offset(20),
            appended_until: DAY.begins(),
        };
        Manifest {
            name: ManifestName { stream: Stream::Positions, day: DAY, number },
            parts: vec![listed(0), listed(1)],
            covers: vec![covered],
            skipped: vec![Skipped {
                epoch: u64::MAX,
                partition: Partition(3),
                from: Offset(12),
                next: Offset(13),
            }],
            is_exact: true,
        }
    }

    #[tokio::test]
    async fn a_manifest_is_read_back_and_the_highest_counts() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(directory.path().to_owned())).unwrap();
        assert!(manifest(1).create(&root).await.unwrap());
        assert!(manifest(2).create(&root).await.unwrap());
        assert!(!manifest(2).create(&root).await.unwrap(), "of two one wins");
        let found = manifests(&root, Stream::Positions).await.unwrap();
        assert_eq!(found.values().map(|file| file.name.number).collect::<Vec<_>>(), [2]);
        assert_eq!(Manifest::read(&root, found[&DAY].name).await.unwrap(), Some(manifest(2)));
        assert_eq!(Manifest::read(&root, manifest(3).name).await.unwrap(), None);
    }

    #[test]
    fn records_are_covered_from_the_first_to_before_the_next() {
        let manifest = manifest(1);
        let covers = |epoch, partition, offset| manifest.covers(epoch, Partition(partition), Offset(offset));
        assert!(covers(u64::MAX, 3, 10) && covers(u64::MAX, 3, 19));
        assert!(!covers(u64::MAX, 3, 9) && !covers(u64::MAX, 3, 20));
        assert!(!covers(0, 3, 10) && !covers(u64::MAX, 2, 10));
    }

    #[tokio::test]
    async fn what_was_read_is_remembered_while_it_counts() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(directory.path().to_owned())).unwrap();
        manifest(1).create(&root).await.unwrap();
        let current = async || Current::read(&root, Stream::Positions).await.unwrap().days[&DAY].name.number;
        assert_eq!(current().await, 1);
        // Whoever reads it again would find this.
        std::fs::write(root.place_of(&manifest(1).name), "not what was written").unwrap();
        assert_eq!(current().await, 1);
        manifest(2).create(&root).await.unwrap();
        assert_eq!(current().await, 2);
        std::fs::remove_file(root.place_of(&manifest(1).name)).unwrap();
        assert_eq!(
            Manifest::read(&root, manifest(1).name).await.unwrap(),
            None,
            "what counts no more is forgotten"
        );
    }

    #[tokio::test]
    async fn no_damage_to_a_manifest_changes_what_it_says() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(directory.path().to_owned())).unwrap();
        let manifest = manifest(1);
        manifest.create(&root).await.unwrap();
        let path = root.place_of(&manifest.name);
        let content = std::fs::read(&path).unwrap();
        for length in 0..content.len() - 1 {
            std::fs::write(&path, &content[..length]).unwrap();
            let read = Manifest::read(&root, manifest.name).await;
            assert!(matches!(read, Err(BadFile::Damaged { .. })), "cut to {length} bytes: {read:?}");
        }
    }
}
