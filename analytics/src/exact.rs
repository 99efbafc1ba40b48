//! Which files have places finer than a town: what their statistics say, and what their rows are.

use datafusion::arrow::array::{Array as _, AsArray as _, RecordBatch};
use datafusion::arrow::compute::min;
use datafusion::arrow::datatypes::TimestampMillisecondType;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::statistics::Statistics;
use ingest::clock::Millis;

use crate::blur::is_old;
use crate::layout::Day;
use crate::rows::Rows;
use crate::schema::time_of;

/// A file with exact places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exact {
    /// Its name.
    pub name: String,
    /// Its day.
    pub day: Day,
    /// The time of its oldest row.
    pub oldest: Millis,
    /// When another file took its place, if one did: it is there until no query reads it any more.
    pub replaced_at: Option<Millis>,
}

/// How far the time of a row may lie before the day of its file: a day is one of when the log took a row, by its clock.
const BESIDE_DAY_MS: i64 = 24 * 3_600_000;

impl Exact {
    /// Whether it should not be there: it is too old where places are exact that are not older than `exact_since`, and
    /// was not replaced after `replaced_since`.
    pub fn is_too_old(&self, exact_since: Millis, replaced_since: Millis) -> bool {
        // Days are blurred as wholes, the last row of one as it comes to be too old.
        let has_old_rows = self.oldest < exact_since.plus(-2 * BESIDE_DAY_MS);
        let is_left = self.replaced_at.is_none_or(|replaced_at| replaced_at < replaced_since);
        (is_old(self.day, exact_since) || has_old_rows) && is_left
    }
}

/// The time of the oldest row of those with exact places, or of one beside them; None: there are none.
pub(crate) fn oldest_of_rows<R: Rows>(batch: &RecordBatch) -> Option<Millis> {
    let is_exact =
        |name: &&str| batch.column_by_name(name).is_none_or(|column| column.null_count() < column.len());
    if !R::BLURRED.iter().any(is_exact) {
        return None;
    }
    let times = batch.column_by_name(time_of(R::STREAM))?;
    min(times.as_primitive_opt::<TimestampMillisecondType>()?).map(Millis)
}

/// The same of a whole file, by the statistics in its footer. A count of nulls that is not there proves nothing.
pub(crate) fn oldest_by_statistics<R: Rows>(metadata: &ParquetMetaData) -> Option<Millis> {
    let statistics = |group: &RowGroupMetaData, name: &str| {
        let column = group.columns().iter().find(|column| column.column_path().string() == name);
        column.and_then(|column| column.statistics().cloned())
    };
    let is_exact = |group: &&RowGroupMetaData| {
        R::BLURRED.iter().any(|name| {
            let nulls = statistics(group, name).and_then(|statistics| statistics.null_count_opt());
            nulls != u64::try_from(group.num_rows()).ok()
        })
    };
    let oldest = |group: &RowGroupMetaData| match statistics(group, time_of(R::STREAM)) {
        Some(Statistics::Int64(times)) => times.min_opt().copied(),
        _ => None,
    };
    let groups = metadata.row_groups().iter().filter(is_exact);
    // Without a time they may be of any.
    groups.map(|group| Millis(oldest(group).unwrap_or(i64::MIN))).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blur::blurred;
    use crate::file::{FileWriter, open};
    use crate::footer::Footer;
    use crate::positions::Positions;
    use crate::positions::tests::{NOON, batch};

    fn oldest_of_file(batch: &RecordBatch) -> Option<Millis> {
        let mut file = FileWriter::new::<Positions>().unwrap();
        file.write(batch).unwrap();
        let (content, _) = file.finish(Footer::default()).unwrap();
        oldest_by_statistics::<Positions>(open(content).unwrap().metadata())
    }

    #[test]
    fn rows_and_statistics_say_which_places_are_exact() {
        let exact = batch(100);
        let rows = blurred::<Positions>(&exact).unwrap();
        assert_eq!(oldest_of_rows::<Positions>(&exact), Some(NOON));
        assert_eq!(oldest_of_file(&exact), Some(NOON));
        assert_eq!(oldest_of_rows::<Positions>(&rows), None);
        assert_eq!(oldest_of_file(&rows), None);
        for name in Positions::BLURRED {
            let schema = rows.schema();
            let columns = schema.fields().iter().map(|field| {
                let from = if field.name() == name { &exact } else { &rows };
                from[field.name().as_str()].clone()
            });
            let columns = columns.collect();
            let left = RecordBatch::try_new(rows.schema(), columns).unwrap();
            assert_eq!(oldest_of_rows::<Positions>(&left), Some(NOON), "{name} is left");
            assert_eq!(oldest_of_file(&left), Some(NOON), "{name} is left");
        }
    }

    #[test]
    fn a_file_is_too_old_once_its_day_is_and_replaced_ones_have_their_time() {
        let day = Day::of(NOON);
        let file = |oldest, replaced_at| Exact { name: "a".to_owned(), day, oldest, replaced_at };
        let (end, never) = (day.next().begins(), Millis(i64::MIN));
        assert!(file(NOON, None).is_too_old(end, never));
        assert!(!file(NOON, None).is_too_old(end.plus(-1), never));
        assert!(!file(NOON.plus(-BESIDE_DAY_MS), None).is_too_old(end.plus(-1), never));
        assert!(
            file(NOON.plus(-2 * BESIDE_DAY_MS), None).is_too_old(end.plus(-1), never),
            "a clock ran ahead"
        );
        let replaced = file(NOON, Some(Millis(1_000)));
        assert!(!replaced.is_too_old(end, Millis(1_000)));
        assert!(replaced.is_too_old(end, Millis(1_001)));
    }
}
