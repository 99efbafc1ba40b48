//! What the archive of a stream consists of now: each row once. It is what every reader reads, here and elsewhere.

use std::collections::BTreeMap;

use ingest::log::Partition;

use crate::footer::BadFile;
use crate::layout::{Day, Recent, Stream};
use crate::manifest::{Manifest, manifests};
use crate::root::{Found, Root};

/// The files that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// Days that are written, in order, each with the parts that it lists.
    pub days: BTreeMap<Day, Manifest>,
    /// Recent files that no manifest covers, in the order of their names.
    pub recent: Vec<Found<Recent>>,
}

impl Current {
    /// Looks what there is. One listing of recent files, one of manifests, and a reading of each of these that was not
    /// read before.
    pub async fn read(root: &Root, stream: Stream) -> Result<Self, BadFile> {
        let (current, damaged) = Self::read_sound(root, stream).await?;
        damaged.into_values().next().map_or(Ok(current), Err)
    }

    /// As [`Self::read`], for what is done with one day: other days may be damaged.
    pub async fn read_for(root: &Root, stream: Stream, day: Day) -> Result<Self, BadFile> {
        let (current, mut damaged) = Self::read_sound(root, stream).await?;
        damaged.remove(&day).map_or(Ok(current), Err)
    }

    /// As [`Self::read`], without the days whose manifests are damaged; and what is wrong with these.
    pub async fn read_sound(root: &Root, stream: Stream) -> Result<(Self, BTreeMap<Day, BadFile>), BadFile> {
        // The files first: one that is replaced meanwhile is found in the manifest that replaced it.
        let mut recent = root.list::<Recent>(&stream.recent_folder()).await?;
        let (mut days, mut damaged) = (BTreeMap::new(), BTreeMap::new());
        for (day, found) in manifests(root, stream).await? {
            match Manifest::read(root, found.name).await {
                Ok(Some(manifest)) => {
                    days.insert(day, manifest);
                }
                // The one of a higher number may have replaced it just now.
                Ok(None) => return Err(BadFile::Gone(found.name.to_string())),
                Err(error @ BadFile::Damaged { .. }) => {
                    recent.retain(|file| file.name.hour.day() != day);
                    damaged.insert(day, error);
                }
                Err(error) => return Err(error),
            }
        }
        recent.retain(|file| is_late(file, days.get(&file.name.hour.day())));
        Ok((Self { days, recent }, damaged))
    }

    /// Recent files of a day.
    pub fn recent_of(&self, day: Day) -> impl Iterator<Item = &Found<Recent>> {
        self.recent.iter().filter(move |file| file.name.hour.day() == day)
    }

    /// Days that have files which no manifest covers, in order.
    pub fn open_days(&self) -> Vec<Day> {
        let mut days: Vec<_> = self.recent.iter().map(|file| file.name.hour.day()).collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    /// Those of them after which every partition that has such a file went on: by their names nothing more comes.
    pub fn closed_days(&self) -> Vec<Day> {
        let newest: BTreeMap<(u64, Partition), Day> = self
            .recent
            .iter()
            .map(|file| ((file.name.epoch, file.name.partition), file.name.hour.day()))
            .collect();
        let goes_on = |file: &Found<Recent>, day| newest[&(file.name.epoch, file.name.partition)] > day;
        self.open_days()
            .into_iter()
            .filter(|&day| self.recent_of(day).all(|file| goes_on(file, day)))
            .collect()
    }

    /// The names of all files, days first.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let parts = self.days.values().flat_map(|manifest| &manifest.parts);
        parts
            .map(|listed| listed.part.to_string())
            .chain(self.recent.iter().map(|file| file.name.to_string()))
    }

    /// The size of all files.
    pub fn bytes(&self) -> u64 {
        let parts = self.days.values().flat_map(|manifest| &manifest.parts);
        parts.map(|listed| listed.bytes).sum::<u64>() + self.recent.iter().map(|file| file.bytes).sum::<u64>()
    }
}

/// Whether a recent file holds what the manifest of its day does not.
pub fn is_late(file: &Found<Recent>, manifest: Option<&Manifest>) -> bool {
    let Recent { epoch, partition, first, .. } = file.name;
    !manifest.is_some_and(|manifest| manifest.covers(epoch, partition, first))
}
