//! What is old is blurred: of a day's places nothing finer than the town is left.
//!
//! A day is due as a whole, once it ended as long ago as places are kept exact. It is written anew from all that there
//! is of it, hours that never became a day among them, as its next manifest: of two that do it one wins, and what a
//! kill cuts off is begun again. The files that it replaces, and so the exact bytes, go after a time of grace, by
//! [`crate::clean`]. What comes still later of a blurred day is blurred as it is added.

use std::path::Path as FilePath;

use datafusion::arrow::array::{RecordBatch, new_null_array};
use datafusion::arrow::error::ArrowError;
use ingest::clock::Millis;

use crate::compact::{CompactError, Outcome, rewrite};
use crate::current::Current;
use crate::footer::{BadFile, Footer};
use crate::layout::Day;
use crate::root::Root;
use crate::rows::Rows;

/// Rows of which what is finer than the town is forgotten. O(rows) at most.
pub fn blurred<R: Rows>(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = R::schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        if R::BLURRED.contains(&field.name().as_str()) {
            new_null_array(field.data_type(), batch.num_rows())
        } else {
            column.clone()
        }
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns)
}

/// Whether a day is too old to be exact, where places are exact that are not older than `exact_since`.
pub fn is_old(day: Day, exact_since: Millis) -> bool {
    day.next().begins() <= exact_since
}

/// The days that are to be blurred, in order.
pub fn due<R: Rows>(found: &Current, exact_since: Millis) -> Vec<Day> {
    if R::BLURRED.is_empty() {
        return Vec::new();
    }
    let exact = found.days.iter().filter(|(_, manifest)| manifest.is_exact).map(|(day, _)| *day);
    let mut days: Vec<_> = exact.chain(found.open_days()).filter(|&day| is_old(day, exact_since)).collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// Blurs a day, whatever its age. `aside` is a directory for what does not fit in memory; `told` hears how many rows
/// are done, and of how many.
pub async fn blur<R: Rows>(
    root: &Root,
    day: Day,
    aside: &FilePath,
    told: &dyn Fn(u64, u64),
) -> Result<Outcome, CompactError> {
    let found = Current::read_for(root, R::STREAM, day).await?;
    let is_exact = found.days.get(&day).is_some_and(|manifest| manifest.is_exact);
    let is_open = found.recent_of(day).next().is_some();
    if R::BLURRED.is_empty() || !(is_exact || is_open) {
        return Ok(Outcome::Nothing);
    }
    rewrite::<R>(root, &found, day, true, aside, told).await
}

/// What would be blurred, or deleted, of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which day.
    pub day: Day,
    /// Its rows.
    pub rows: u64,
    /// The names of its files.
    pub files: Vec<String>,
}

impl Plan {
    /// All of a day. Reads the footers of its recent files.
    pub async fn of(root: &Root, found: &Current, day: Day) -> Result<Self, BadFile> {
        let mut plan = Self { day, rows: 0, files: Vec::new() };
        if let Some(manifest) = found.days.get(&day) {
            plan.rows = manifest.rows();
            plan.files.extend(manifest.parts.iter().map(|listed| listed.part.to_string()));
        }
        for file in found.recent_of(day) {
            plan.rows += Footer::read(root, file).await?.rows;
            plan.files.push(file.name.to_string());
        }
        Ok(plan)
    }

    /// Some days, and what is wrong with those that are damaged. One whose file went meanwhile, because somebody wrote
    /// the day anew, is left out: who looks again finds what there is of it then.
    pub(crate) async fn of_each(
        root: &Root,
        found: &Current,
        days: Vec<Day>,
    ) -> Result<(Vec<Self>, Vec<BadFile>), BadFile> {
        let (mut plans, mut damaged) = (Vec::new(), Vec::new());
        for day in days {
            match Self::of(root, found, day).await {
                Ok(plan) => plans.push(plan),
                Err(error @ BadFile::Damaged { .. }) => damaged.push(error),
                Err(BadFile::Gone(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((plans, damaged))
    }
}

/// What would be blurred of a stream, and what is wrong with days that are damaged, whatever their age.
pub async fn plan<R: Rows>(root: &Root, exact_since: Millis) -> Result<(Vec<Plan>, Vec<BadFile>), BadFile> {
    let (found, damaged) = Current::read_sound(root, R::STREAM).await?;
    let (plans, more) = Plan::of_each(root, &found, due::<R>(&found, exact_since)).await?;
    Ok((plans, damaged.into_values().chain(more).collect()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use datafusion::arrow::array::Array as _;
    use ingest::log::{Offset, Partition};
    use proptest::prelude::*;

    use super::*;
    use crate::layout::{Hour, ManifestName, Recent, Stream};
    use crate::manifest::Manifest;
    use crate::positions::Positions;
    use crate::root::{ArchiveUrl, Found};

    const DAY_MS: i64 = 86_400_000;

    fn manifest(day: Day, is_exact: bool) -> Manifest {
        let name = ManifestName { stream: Stream::Positions, day, number: 1 };
        Manifest { name, parts: vec![], covers: vec![], skipped: vec![], is_exact }
    }

    fn recent(hour: Hour) -> Found<Recent> {
        let (partition, first) = (Partition(0), Offset(0));
        let name = Recent { stream: Stream::Positions, epoch: 1, partition, hour, first };
        Found { name, bytes: 1, put_at: Millis(0) }
    }

    proptest! {
        /// Days and hours around the limit, which falls anywhere in a day.
        #[test]
        fn what_is_older_than_the_limit_is_due_and_nothing_else(
            days in prop::collection::btree_map(19_990..20_010_i32, any::<bool>(), 0..12),
            hours in prop::collection::vec(19_990 * 24..20_010 * 24_i32, 0..6),
            limit in 19_995 * DAY_MS..20_005 * DAY_MS,
        ) {
            let limit = Millis(limit);
            let days: BTreeMap<_, _> =
                days.into_iter().map(|(day, is_exact)| (Day(day), manifest(Day(day), is_exact))).collect();
            let recent: Vec<_> = hours.iter().map(|&hour| recent(Hour(hour))).collect();
            let found = Current { days, recent };
            let due = due::<Positions>(&found, limit);
            prop_assert!(due.is_sorted_by(|a, b| a < b));
            for day in (19_989..20_011).map(Day) {
                let is_exact = found.days.get(&day).is_some_and(|manifest| manifest.is_exact)
                    || hours.iter().any(|&hour| Hour(hour).day() == day);
                // The last instant of the day is before the limit.
                let is_old = day.next().begins().0 - 1 < limit.0;
                prop_assert_eq!(due.contains(&day), is_exact && is_old, "{}", day);
            }
        }
    }

    #[tokio::test]
    async fn a_day_whose_file_went_meanwhile_keeps_no_other_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(folder.path().to_owned())).unwrap();
        let days = [19_990, 19_991].map(Day);
        // Of the first there is an hour's file that is not there any more, of the second a manifest of no part.
        let found = Current {
            days: [(days[1], manifest(days[1], true))].into(),
            recent: vec![recent(Hour(19_990 * 24))],
        };
        let (plans, damaged) = Plan::of_each(&root, &found, days.to_vec()).await.unwrap();
        assert_eq!(plans, [Plan { day: days[1], rows: 0, files: Vec::new() }]);
        assert!(damaged.is_empty(), "{damaged:?}");
    }

    #[test]
    fn of_blurred_rows_the_town_is_left_and_no_place_that_is_finer() {
        let batch = crate::positions::tests::batch(100);
        let rows = blurred::<Positions>(&batch).unwrap();
        assert_eq!((rows.schema(), rows.num_rows()), (batch.schema(), 100));
        for (field, column) in batch.schema().fields().iter().zip(rows.columns()) {
            let name = field.name().as_str();
            let is_place = ["lat_e7", "lon_e7", "cell", "speed_cm_s", "heading_cdeg"].contains(&name);
            if is_place {
                assert_eq!(column.logical_null_count(), 100, "{name}");
            } else {
                assert_eq!(column, &batch[name], "{name}");
            }
        }
        assert_eq!(blurred::<Positions>(&rows).unwrap(), rows, "what is blurred stays as it is");
    }
}
