//! Searches as the archive has them: the columns of their log, and the H3 cell of the customer. See [`crate::schema`].

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Float64Array, Int32Array, RecordBatch, StringDictionaryBuilder,
    TimestampMillisecondArray, UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{
    Float64Type, Int32Type, SchemaRef, TimestampMillisecondType, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use ingest::log::Partition;
use ingest::searches::Search;

use crate::digest::Digest;
use crate::layout::Stream;
use crate::rows::{self, BadColumn, Known, Logged, Placed, Rows, column};
use crate::schema;

/// Searches, as rows of the archive.
#[derive(Debug)]
pub enum Searches {}

impl Rows for Searches {
    const STREAM: Stream = Stream::Searches;
    const ORDER: &'static [&'static str] = &["cell", "at", "partition", "offset", "row"];
    const BLURRED: &'static [&'static str] = &["lat_e7", "lon_e7", "cell"];
    const BLURRED_ORDER: &'static [&'static str] = &["town", "at", "partition", "offset", "row"];
    const DICTIONARIES: &'static [&'static str] = &["caller", "town", "found", "seen", "cell", "partition"];
    const LOOKED_FOR: Option<&'static str> = None;

    fn schema() -> SchemaRef {
        schema::of(Self::STREAM)
    }

    fn digest_of(batch: &RecordBatch) -> Result<Digest, BadColumn> {
        digest_of(batch)
    }
}

impl Logged for Searches {
    type Entry = Search;

    fn encode(
        partition: Partition,
        entries: &[Placed<Search>],
        Known { places, .. }: Known<'_>,
    ) -> Result<RecordBatch, ArrowError> {
        let searches = || entries.iter().map(|placed| placed.entry);
        let at = TimestampMillisecondArray::from_iter_values(searches().map(|search| search.at.0));
        let mut towns = StringDictionaryBuilder::<Int32Type>::new();
        // Where it was answered from, whatever has become of the towns since.
        searches().for_each(|search| towns.append_value(search.town.as_str()));
        let columns: [ArrayRef; 12] = [
            Arc::new(at.with_timezone("UTC")),
            Arc::new(Int32Array::from_iter_values(searches().map(|search| search.caller))),
            Arc::new(Int32Array::from_iter_values(searches().map(|search| search.customer.lat_e7()))),
            Arc::new(Int32Array::from_iter_values(searches().map(|search| search.customer.lon_e7()))),
            Arc::new(towns.finish()),
            Arc::new(UInt16Array::from_iter_values(searches().map(|search| search.found))),
            Arc::new(UInt16Array::from_iter_values(searches().map(|search| search.seen))),
            Arc::new(searches().map(|search| search.closest_m).collect::<Float64Array>()),
            Arc::new(searches().map(|search| places.at(search.customer).cell).collect::<UInt64Array>()),
            Arc::new(UInt16Array::from_value(partition.0, entries.len())),
            Arc::new(UInt64Array::from_iter_values(entries.iter().map(|placed| placed.offset.0))),
            Arc::new(UInt32Array::from_iter_values(entries.iter().map(|placed| placed.row))),
        ];
        RecordBatch::try_new(Self::schema(), columns.to_vec())
    }

    fn digest_of_log(partition: Partition, entries: &[Placed<Search>]) -> Digest {
        let mut digest = Digest::default();
        for Placed { offset, row, entry: search } in entries {
            digest.add(&words(&Content {
                partition: partition.0,
                offset: offset.0,
                row: *row,
                at: search.at.0,
                caller: search.caller,
                customer: Some((search.customer.lat_e7(), search.customer.lon_e7())),
                town: search.town.as_str(),
                found: search.found,
                seen: search.seen,
                closest_m: search.closest_m,
            }));
        }
        digest
    }
}

fn digest_of(batch: &RecordBatch) -> Result<Digest, BadColumn> {
    let at = column::<TimestampMillisecondType>(batch, "at")?;
    let caller = column::<Int32Type>(batch, "caller")?;
    let lat_e7 = column::<Int32Type>(batch, "lat_e7")?;
    let lon_e7 = column::<Int32Type>(batch, "lon_e7")?;
    let town = rows::words(batch, "town")?;
    let found = column::<UInt16Type>(batch, "found")?;
    let seen = column::<UInt16Type>(batch, "seen")?;
    let closest_m = column::<Float64Type>(batch, "closest_m")?;
    let partition = column::<UInt16Type>(batch, "partition")?;
    let offset = column::<UInt64Type>(batch, "offset")?;
    let row = column::<UInt32Type>(batch, "row")?;
    let mut digest = Digest::default();
    for (n, town) in town.into_iter().enumerate() {
        let customer = lat_e7.is_valid(n) && lon_e7.is_valid(n);
        digest.add(&words(&Content {
            partition: partition.value(n),
            offset: offset.value(n),
            row: row.value(n),
            at: at.value(n),
            caller: caller.value(n),
            customer: customer.then(|| (lat_e7.value(n), lon_e7.value(n))),
            town: town.unwrap_or_default(),
            found: found.value(n),
            seen: seen.value(n),
            closest_m: closest_m.is_valid(n).then(|| closest_m.value(n)),
        }));
    }
    Ok(digest)
}

/// What of a row its digest is made of.
struct Content<'a> {
    partition: u16,
    offset: u64,
    row: u32,
    at: i64,
    caller: i32,
    customer: Option<(i32, i32)>,
    /// Five letters and digits; of none, empty.
    town: &'a str,
    found: u16,
    seen: u16,
    closest_m: Option<f64>,
}

/// A row as words, each value and whether it is known in a place of its own.
fn words(row: &Content<'_>) -> [u64; 8] {
    let (lat, lon) = row.customer.unwrap_or_default();
    let known = u64::from(row.customer.is_some()) << 1 | u64::from(row.closest_m.is_some());
    [
        u64::from(row.partition) << 32 | u64::from(row.row),
        row.offset,
        row.at.cast_unsigned(),
        u64::from(row.caller.cast_unsigned()),
        u64::from(lat.cast_unsigned()) << 32 | u64::from(lon.cast_unsigned()),
        row.town.bytes().fold(0, |word, byte| word << 8 | u64::from(byte)),
        known << 32 | u64::from(row.found) << 16 | u64::from(row.seen),
        row.closest_m.unwrap_or_default().to_bits(),
    ]
}

#[cfg(test)]
mod tests {
    use engine::territory::{Insee, Territory};
    use ingest::clock::Millis;
    use ingest::log::Offset;
    use ingest::position::{LatLon, TaxiKey};

    use super::*;
    use crate::archive::Registry;
    use crate::places::Places;

    struct Nobody;

    impl Registry for Nobody {
        fn territory(&self) -> Arc<Territory> {
            Arc::new(Territory::new(vec![], vec![], vec![]))
        }

        fn ads_town(&self, _: TaxiKey) -> Option<Insee> {
            None
        }
    }

    fn search(n: u16) -> Placed<Search> {
        let entry = Search {
            at: Millis(1_764_158_400_000 + 13 * i64::from(n)),
            caller: i32::from(n % 3),
            customer: LatLon::from_e7(488_600_000 + i32::from(n), 23_500_000 - i32::from(n)).unwrap(),
            town: if n.is_multiple_of(2) { "75056" } else { "2A004" }.parse().unwrap(),
            found: n,
            seen: n / 2,
            closest_m: (n > 0).then(|| 73.3077 * f64::from(n)),
        };
        Placed { offset: Offset(u64::from(n / 10)), row: u32::from(n % 10), entry }
    }

    #[test]
    fn a_batch_has_the_digest_of_what_it_was_made_of() {
        let entries: Vec<_> = (0..100).map(search).collect();
        let mut places = Places::new(Nobody.territory());
        let known = Known { places: &mut places, registry: &Nobody };
        let batch = Searches::encode(Partition(3), &entries, known).unwrap();
        assert_eq!(Searches::digest_of(&batch), Ok(Searches::digest_of_log(Partition(3), &entries)));
        assert_eq!(batch["cell"].null_count(), 0);
        assert_ne!(
            Searches::digest_of(&batch),
            Ok(Searches::digest_of_log(Partition(4), &entries)),
            "of another partition"
        );
        assert_eq!(Searches::digest_of(&batch.project(&[0, 1, 2, 3]).unwrap()), Err(BadColumn("town")));
    }

    #[test]
    fn every_value_of_a_search_is_part_of_its_digest() {
        let placed = search(42);
        let changes: [fn(&mut Placed<Search>); 10] = [
            |placed| placed.offset.0 += 1,
            |placed| placed.row += 1,
            |placed| placed.entry.at.0 += 1,
            |placed| placed.entry.caller += 1,
            |placed| placed.entry.customer = LatLon::from_e7(placed.entry.customer.lat_e7(), 1).unwrap(),
            |placed| placed.entry.customer = LatLon::from_e7(1, placed.entry.customer.lon_e7()).unwrap(),
            |placed| placed.entry.town = "75057".parse().unwrap(),
            |placed| placed.entry.found += 1,
            |placed| placed.entry.seen += 1,
            |placed| placed.entry.closest_m = None,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = placed;
            change(&mut changed);
            let digest = |placed| Searches::digest_of_log(Partition(0), &[placed]);
            assert_ne!(digest(placed), digest(changed), "change {number}");
        }
    }
}
