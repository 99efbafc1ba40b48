//! What is too old is deleted: searches and hails, by days, once these ended as long ago as hails are kept.
//!
//! Of a day a manifest is left that lists no part. It covers the records of the log that were in it, of hours that
//! never became a day, too, so that none of them is taken for missing, or for one to be archived. It replaces the day
//! as any manifest does: queries under way end well, and the files go after a time of grace, by [`crate::clean`]. What
//! the day added up to stays, and is not made anew.

use ingest::clock::Millis;

use crate::blur::{Plan, is_old};
use crate::compact::{CompactError, Outcome, joined};
use crate::current::Current;
use crate::footer::{BadFile, Footer};
use crate::layout::{Day, ManifestName};
use crate::manifest::Manifest;
use crate::progress::checked;
use crate::root::Root;
use crate::rows::Rows;

/// The days of a stream that are to be deleted, in order, where what is not older than `kept_since` is kept.
pub fn due<R: Rows>(found: &Current, kept_since: Millis) -> Vec<Day> {
    if !R::STREAM.expires() {
        return Vec::new();
    }
    let written = found.days.iter().filter(|(_, manifest)| !manifest.parts.is_empty()).map(|(day, _)| *day);
    let mut days: Vec<_> = written.chain(found.open_days()).filter(|&day| is_old(day, kept_since)).collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// What would be deleted of a stream, and what is wrong with days that are damaged, whatever their age.
pub async fn plan<R: Rows>(root: &Root, kept_since: Millis) -> Result<(Vec<Plan>, Vec<BadFile>), BadFile> {
    let (found, damaged) = Current::read_sound(root, R::STREAM).await?;
    let (plans, more) = Plan::of_each(root, &found, due::<R>(&found, kept_since)).await?;
    Ok((plans, damaged.into_values().chain(more).collect()))
}

/// Deletes a day, whatever its age.
pub async fn delete<R: Rows>(root: &Root, day: Day) -> Result<Outcome, CompactError> {
    let found = Current::read_for(root, R::STREAM, day).await?;
    let current = found.days.get(&day);
    let is_open = found.recent_of(day).next().is_some();
    if !is_open && current.is_none_or(|manifest| manifest.parts.is_empty()) {
        return Ok(Outcome::Nothing);
    }
    let mut covers = current.map_or(Vec::new(), |manifest| manifest.covers.clone());
    let mut skipped = current.map_or(Vec::new(), |manifest| manifest.skipped.clone());
    for file in found.recent_of(day) {
        let footer = Footer::read(root, file).await?;
        covers.push(checked(file, &footer)?);
        skipped.extend(footer.skipped);
    }
    skipped.sort_unstable();
    let number = current.map_or(0, |manifest| manifest.name.number) + 1;
    let name = ManifestName { stream: R::STREAM, day, number };
    let covers = joined(day, covers)?;
    let manifest = Manifest { name, parts: Vec::new(), covers, skipped, is_exact: false };
    Ok(if manifest.create(root).await? { Outcome::Written(manifest) } else { Outcome::Outrun })
}
