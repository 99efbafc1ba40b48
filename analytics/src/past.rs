//! Searches that their log has forgotten and the archive has not: by days, each row that is not in the log any more.

use datafusion::arrow::array::{Array as _, RecordBatch};
use datafusion::arrow::datatypes::{
    Float64Type, Int32Type, TimestampMillisecondType, UInt16Type, UInt64Type,
};
use engine::territory::Insee;
use ingest::clock::Millis;
use ingest::log::{Offset, Partition};
use ingest::position::LatLon;
use ingest::searches::Search;

use crate::current::Current;
use crate::file;
use crate::footer::{BadFile, Covered};
use crate::layout::{Day, Stream};
use crate::progress::covered;
use crate::root::Root;
use crate::rows::{BadColumn, column, words};

/// A search, exact or blurred.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PastSearch {
    /// When.
    pub at: Millis,
    /// Who.
    pub caller: i32,
    /// Where the customer stood; None: blurred.
    pub customer: Option<LatLon>,
    /// In which town.
    pub town: Insee,
    /// As in [`Search`].
    pub found: u16,
    /// As in [`Search`].
    pub seen: u16,
    /// As in [`Search`].
    pub closest_m: Option<f64>,
}

impl From<Search> for PastSearch {
    fn from(search: Search) -> Self {
        let Search { at, caller, customer, town, found, seen, closest_m } = search;
        Self { at, caller, customer: Some(customer), town, found, seen, closest_m }
    }
}

/// A day of which the archive has more than the log.
#[derive(Clone, Debug)]
pub struct Forgotten {
    /// Which day.
    pub day: Day,
    files: Vec<String>,
    /// What of it the log still has.
    logged: Vec<(Partition, Offset, Offset)>,
}

/// What is read of a log of searches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Of which log.
    pub epoch: u64,
    /// From where on, by partition.
    pub from: Vec<Offset>,
}

/// The days since `since` of which the archive has searches that are not `read` from the log, in order. A day or file
/// that is damaged is said and left out.
pub async fn forgotten(root: &Root, read: &Logged, since: Day) -> Result<Vec<Forgotten>, BadFile> {
    let (current, damaged) = Current::read_sound(root, Stream::Searches).await?;
    let left_out = |error: BadFile| tracing::error!(%error, "its searches are in no statistic");
    damaged.into_values().for_each(left_out);
    let mut days: Vec<_> = current.days.keys().copied().chain(current.open_days()).collect();
    days.sort_unstable();
    days.dedup();
    let logged = |covered: &Covered| {
        let start = *read.from.get(usize::from(covered.partition.0))?;
        let is_there = covered.epoch == read.epoch && covered.next > start;
        is_there.then(|| (covered.partition, covered.from.max(start), covered.next))
    };
    let is_whole = |covered: &Covered| {
        logged(covered).is_some_and(|(_, from, next)| (from, next) == (covered.from, covered.next))
    };
    let mut forgotten = Vec::new();
    for day in days.into_iter().filter(|&day| day >= since) {
        let mut of_day = Forgotten { day, files: Vec::new(), logged: Vec::new() };
        if let Some(manifest) = current.days.get(&day)
            && !manifest.covers.iter().all(is_whole)
        {
            of_day.files.extend(manifest.parts.iter().map(|listed| listed.part.to_string()));
            of_day.logged.extend(manifest.covers.iter().filter_map(logged));
        }
        for file in current.recent_of(day) {
            let covered = match covered(root, file).await {
                Err(error @ BadFile::Damaged { .. }) => {
                    left_out(error);
                    continue;
                }
                covered => covered?,
            };
            if !is_whole(&covered) {
                of_day.files.push(file.name.to_string());
                of_day.logged.extend(logged(&covered));
            }
        }
        if !of_day.files.is_empty() {
            forgotten.push(of_day);
        }
    }
    Ok(forgotten)
}

impl Forgotten {
    /// Its searches. Holds the day in memory.
    pub async fn read(&self, root: &Root) -> Result<Vec<PastSearch>, BadFile> {
        let mut searches = Vec::new();
        for name in &self.files {
            let content = root.get(name).await?.ok_or_else(|| BadFile::Gone(name.clone()))?;
            let damaged = |cause: String| BadFile::Damaged { name: name.clone(), cause };
            let (_, batches) = file::read(content).map_err(|error| damaged(error.to_string()))?;
            for batch in batches {
                let batch = batch.map_err(|error| damaged(error.to_string()))?;
                self.decode(&batch, &mut searches).map_err(|error| damaged(error.to_string()))?;
            }
        }
        Ok(searches)
    }

    fn decode(&self, batch: &RecordBatch, searches: &mut Vec<PastSearch>) -> Result<(), BadColumn> {
        let at = column::<TimestampMillisecondType>(batch, "at")?;
        let caller = column::<Int32Type>(batch, "caller")?;
        let lat_e7 = column::<Int32Type>(batch, "lat_e7")?;
        let lon_e7 = column::<Int32Type>(batch, "lon_e7")?;
        let town = words(batch, "town")?;
        let found = column::<UInt16Type>(batch, "found")?;
        let seen = column::<UInt16Type>(batch, "seen")?;
        let closest_m = column::<Float64Type>(batch, "closest_m")?;
        let partition = column::<UInt16Type>(batch, "partition")?;
        let offset = column::<UInt64Type>(batch, "offset")?;
        for (n, town) in town.into_iter().enumerate() {
            let (partition, offset) = (Partition(partition.value(n)), Offset(offset.value(n)));
            let is_logged = |(of, from, next): &(Partition, Offset, Offset)| {
                *of == partition && (*from..*next).contains(&offset)
            };
            if self.logged.iter().any(is_logged) {
                continue;
            }
            let is_exact = lat_e7.is_valid(n) && lon_e7.is_valid(n);
            searches.push(PastSearch {
                at: Millis(at.value(n)),
                caller: caller.value(n),
                customer: is_exact.then(|| LatLon::from_e7(lat_e7.value(n), lon_e7.value(n)).ok()).flatten(),
                town: town.and_then(|town| town.parse().ok()).ok_or(BadColumn("town"))?,
                found: found.value(n),
                seen: seen.value(n),
                closest_m: closest_m.is_valid(n).then(|| closest_m.value(n)),
            });
        }
        Ok(())
    }
}
