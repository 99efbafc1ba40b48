//! What no reader needs any more is removed, a time of grace after the manifest that replaced it was put: queries that
//! began before may still read it.

use std::collections::BTreeSet;

use ingest::clock::Millis;

use crate::current::is_late;
use crate::footer::BadFile;
use crate::layout::{ManifestName, Part, Recent};
use crate::manifest::{Manifest, manifests};
use crate::progress::newest;
use crate::root::Root;
use crate::rows::Rows;

/// Removes recent files, parts and manifests that manifests put before `before` have replaced, and what kills left.
/// Returns how many objects went.
///
/// Of a day whose manifest is damaged all stays: who writes days tells of it.
///
/// Of a day what kills left goes first: what was replaced leads to it, and is there as long as it is.
///
/// The newest recent file of each partition stays, because it says how far the archive is, until its day is blurred:
/// then it is the last of its partition's, and what the manifest says of that is enough. Parts of a number above the
/// manifest's stay, too: somebody may be writing them.
pub async fn clean<R: Rows>(root: &Root, before: Millis) -> Result<usize, BadFile> {
    let recent = root.list::<Recent>(&R::STREAM.recent_folder()).await?;
    let all_manifests = root.list::<ManifestName>(&R::STREAM.manifest_folder()).await?;
    let keeps = newest(&recent).into_values().map(|file| file.name).collect::<BTreeSet<_>>();
    let partition_of = |name: &Recent| (name.epoch, name.partition);
    let is_last = |name: &Recent| {
        recent.iter().filter(|file| partition_of(&file.name) == partition_of(name)).count() == 1
    };
    // Where no recent file leads to what a kill left of a first manifest, all parts are looked at.
    let all_parts = match recent.as_slice() {
        [] => Some(root.list::<Part>(R::STREAM.as_str()).await?),
        _ => None,
    };
    let mut removed = 0;
    for (day, found) in manifests(root, R::STREAM).await? {
        let is_touched = recent.iter().any(|file| file.name.hour.day() == day)
            || all_parts.is_some()
            || all_manifests.iter().any(|file| file.name.day == day && file.name != found.name);
        let is_settled = found.put_at < before;
        if !is_settled || !is_touched {
            continue;
        }
        let manifest = match Manifest::read(root, found.name).await {
            // Of such a day nobody knows what is of use.
            Err(BadFile::Damaged { .. }) => continue,
            manifest => manifest?,
        };
        let Some(manifest) = manifest else { continue };
        let replaced: Vec<_> = recent
            .iter()
            .filter(|file| file.name.hour.day() == day && !is_late(file, Some(&manifest)))
            .map(|file| file.name)
            .filter(|name| !keeps.contains(name) || !manifest.is_exact && is_last(name))
            .collect();
        // The manifests last: as long as one is there, what it replaced is looked for.
        let older: Vec<_> = all_manifests
            .iter()
            .map(|file| file.name)
            .filter(|name| name.day == day && *name < found.name)
            .collect();
        if replaced.is_empty() && older.is_empty() && all_parts.is_none() {
            continue;
        }
        let listed: BTreeSet<_> = manifest.parts.iter().map(|listed| listed.part).collect();
        let of_day;
        let parts = if let Some(parts) = &all_parts {
            parts
        } else {
            of_day = root.list::<Part>(&Part::folder(R::STREAM, day)).await?;
            &of_day
        };
        let orphans: Vec<_> = parts
            .iter()
            .map(|file| file.name)
            .filter(|part| part.day == day && part.manifest <= found.name.number && !listed.contains(part))
            .collect();
        removed += replaced.len() + orphans.len() + older.len();
        root.remove(orphans).await?;
        root.remove(replaced).await?;
        root.remove(older).await?;
    }
    root.sweep(before).await?;
    Ok(removed)
}
