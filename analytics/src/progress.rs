//! How far an archive is: what the names and footers of its recent files say and, of a partition of which none is left
//! because they were blurred, the manifests of days.

use std::collections::BTreeMap;

use ingest::clock::Millis;
use ingest::log::{Offset, Partition};

use crate::footer::{BadFile, Covered, Footer};
use crate::layout::{Recent, Stream};
use crate::manifest::{Manifest, manifests};
use crate::root::{Found, Root};

/// How far one partition of a log is archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The next record to archive.
    pub next: Offset,
    /// When the last one that is archived was appended: none that follows counts as earlier.
    pub appended_until: Millis,
}

/// Of nothing.
pub const NOTHING: Reached = Reached { next: Offset(0), appended_until: Millis(i64::MIN) };

/// How far each partition of a log is archived: the newest file of a partition says it, or the newest day that has it.
///
/// A day whose manifest is damaged says nothing, and keeps no other waiting. What only it would say is blurred, so old
/// that the log has it no more; where a log does, that is filed again, and counts if the manifest is gone for good.
pub async fn progress(
    root: &Root,
    stream: Stream,
    epoch: u64,
    partitions: u16,
) -> Result<Vec<Reached>, BadFile> {
    let files = root.list::<Recent>(&format!("{}/epoch={epoch:016x}", stream.recent_folder())).await?;
    let newest = newest(&files);
    let (mut reached, mut unknown) = (Vec::new(), Vec::new());
    for partition in (0..partitions).map(Partition) {
        if let Some(file) = newest.get(&(epoch, partition)) {
            reached.push(Reached::from(covered(root, file).await?));
        } else {
            unknown.push(partition);
            reached.push(NOTHING);
        }
    }
    if unknown.is_empty() {
        return Ok(reached);
    }
    // A later day has later records.
    for (_, found) in manifests(root, stream).await?.into_iter().rev() {
        let manifest = match Manifest::read(root, found.name).await {
            Err(BadFile::Damaged { .. }) => continue,
            manifest => manifest?,
        };
        let manifest = manifest.ok_or_else(|| BadFile::Gone(found.name.to_string()))?;
        let of_log = manifest.covers.iter().filter(|covered| covered.epoch == epoch);
        // They are in order: the last of a partition counts.
        for covered in of_log.filter(|covered| unknown.contains(&covered.partition)) {
            reached[usize::from(covered.partition.0)] = (*covered).into();
        }
        unknown.retain(|partition| reached[usize::from(partition.0)] == NOTHING);
        if unknown.is_empty() {
            break;
        }
    }
    Ok(reached)
}

/// The newest file of each partition of each log. It stays when a day is written from it and others, because it says
/// how far the archive is, until that day is blurred.
pub fn newest(files: &[Found<Recent>]) -> BTreeMap<(u64, Partition), &Found<Recent>> {
    // By name is by hour and offset, and the later of two with one key stays.
    files.iter().map(|file| ((file.name.epoch, file.name.partition), file)).collect()
}

/// The records that a recent file holds.
pub async fn covered(root: &Root, file: &Found<Recent>) -> Result<Covered, BadFile> {
    checked(file, &Footer::read(root, file).await?)
}

/// The records that a recent file holds by its footer, if that is the footer of a file of this name.
pub fn checked(file: &Found<Recent>, footer: &Footer) -> Result<Covered, BadFile> {
    let Recent { epoch, partition, first, .. } = file.name;
    let is_named = |covered: &Covered| {
        (covered.epoch, covered.partition, covered.from) == (epoch, partition, first)
            && covered.from < covered.next
    };
    footer.covered.filter(is_named).ok_or_else(|| BadFile::Damaged {
        name: file.name.to_string(),
        cause: "its footer is that of another file".to_owned(),
    })
}

impl From<Covered> for Reached {
    fn from(covered: Covered) -> Self {
        Self { next: covered.next, appended_until: covered.appended_until }
    }
}
