//! Searches as they are logged, for statistics: a second stream beside the positions, and as a batch in columns.
//!
//! Schema version 1:
//!
//! | column      | type                    | meaning                                                      |
//! |-------------|-------------------------|--------------------------------------------------------------|
//! | `at`        | timestamp(ms, UTC)      | when it was answered                                         |
//! | `caller`    | i32                     | the registry's number of the account that searched           |
//! | `lat_e7`    | i32                     | latitude of the customer, WGS 84, in 1e-7 degrees            |
//! | `lon_e7`    | i32                     | longitude of the customer, WGS 84, in 1e-7 degrees           |
//! | `town`      | utf8                    | INSEE code of the customer's town                            |
//! | `found`     | u16                     | taxis around that pass every rule but their own radius       |
//! | `seen`      | u16                     | those of them within their own radius                        |
//! | `closest_m` | f64, null               | metres to the nearest that was found; null: none was         |

use std::sync::{Arc, LazyLock};

use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int32Type, TimestampMillisecondType, UInt16Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, Int32Array, PrimitiveArray, RecordBatch, StringArray, StructArray,
    TimestampMillisecondArray, UInt16Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::batch::BadBatch;
use crate::clock::Millis;
use crate::insee::Insee;
use crate::log::Entry;
use crate::position::{LatLon, mixed};

/// A search that was answered from a town.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// When.
    pub at: Millis,
    /// The registry's number of the account that searched.
    pub caller: i32,
    /// Where the customer was.
    pub customer: LatLon,
    /// In which town that is.
    pub town: Insee,
    /// How many taxis were around that pass every rule but their own radius; the greatest number stands for more.
    pub found: u16,
    /// How many of them within their own radius.
    pub seen: u16,
    /// How far the nearest of those found was, in metres.
    pub closest_m: Option<f64>,
}

impl Entry for Search {
    const KIND: u16 = 1;
    const VERSION: u16 = 1;

    fn schema_of(version: u16) -> Option<SchemaRef> {
        (version == Self::VERSION).then(|| SCHEMA.clone())
    }

    fn encode(entries: &[Self]) -> RecordBatch {
        let at = TimestampMillisecondArray::from_iter_values(entries.iter().map(|search| search.at.0));
        let customers = entries.iter().map(|search| search.customer);
        let columns: [ArrayRef; NAMES.len()] = [
            Arc::new(at.with_timezone(UTC)),
            Arc::new(Int32Array::from_iter_values(entries.iter().map(|search| search.caller))),
            Arc::new(Int32Array::from_iter_values(customers.clone().map(LatLon::lat_e7))),
            Arc::new(Int32Array::from_iter_values(customers.map(LatLon::lon_e7))),
            Arc::new(StringArray::from_iter_values(entries.iter().map(|search| search.town.as_str()))),
            Arc::new(UInt16Array::from_iter_values(entries.iter().map(|search| search.found))),
            Arc::new(UInt16Array::from_iter_values(entries.iter().map(|search| search.seen))),
            Arc::new(entries.iter().map(|search| search.closest_m).collect::<Float64Array>()),
        ];
        let fields = SCHEMA.fields().iter().cloned();
        RecordBatch::from(StructArray::from(fields.zip(columns).collect::<Vec<_>>()))
    }

    fn decode(batch: &RecordBatch) -> Result<Vec<Self>, BadBatch> {
        let at = numbers::<TimestampMillisecondType>(batch, 0)?;
        let caller = numbers::<Int32Type>(batch, 1)?;
        let lat_e7 = numbers::<Int32Type>(batch, 2)?;
        let lon_e7 = numbers::<Int32Type>(batch, 3)?;
        let town = column::<StringArray>(batch, 4)?;
        let found = numbers::<UInt16Type>(batch, 5)?;
        let seen = numbers::<UInt16Type>(batch, 6)?;
        let closest_m = numbers::<Float64Type>(batch, 7)?;
        let search = |row: usize| {
            let customer = LatLon::from_e7(lat_e7.value(row), lon_e7.value(row));
            Ok(Self {
                at: Millis(at.value(row)),
                caller: caller.value(row),
                customer: customer.map_err(|_| BadBatch::Point { row })?,
                town: town.value(row).parse().map_err(|_| BadBatch::Town { row })?,
                found: found.value(row),
                seen: seen.value(row),
                closest_m: closest_m.is_valid(row).then(|| closest_m.value(row)),
            })
        };
        (0..batch.num_rows()).map(search).collect()
    }

    /// Spread by place: they need no order.
    fn stable_hash(&self) -> u64 {
        let [lat, lon] = [self.customer.lat_e7(), self.customer.lon_e7()].map(i32::cast_unsigned);
        mixed(u64::from(lat) << 32 | u64::from(lon))
    }
}

const UTC: &str = "UTC";

const NAMES: [&str; 8] = ["at", "caller", "lat_e7", "lon_e7", "town", "found", "seen", "closest_m"];

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let types = [
        DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        DataType::Int32,
        DataType::Int32,
        DataType::Int32,
        DataType::Utf8,
        DataType::UInt16,
        DataType::UInt16,
        DataType::Float64,
    ];
    let field = |(name, data_type)| Field::new(name, data_type, name == "closest_m");
    Arc::new(Schema::new(NAMES.into_iter().zip(types).map(field).collect::<Vec<_>>()))
});

fn numbers<T: ArrowPrimitiveType>(batch: &RecordBatch, index: usize) -> Result<&PrimitiveArray<T>, BadBatch> {
    column(batch, index)
}

fn column<A: Array + 'static>(batch: &RecordBatch, index: usize) -> Result<&A, BadBatch> {
    let column = NAMES[index];
    let array = batch.column_by_name(column).and_then(|array| array.as_any().downcast_ref::<A>());
    array
        .filter(|array| array.null_count() == 0 || SCHEMA.field(index).is_nullable())
        .ok_or(BadBatch::Column { column })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(found: u16) -> Search {
        Search {
            at: Millis(1_764_000_000_123),
            caller: i32::MAX,
            customer: LatLon::new(-48.86, 2.35).unwrap(),
            town: "2A004".parse().unwrap(),
            found,
            seen: found / 2,
            closest_m: (found > 0).then_some(73.3077),
        }
    }

    #[test]
    fn a_batch_gives_back_what_it_was_made_of() {
        let searches = vec![search(0), search(3), search(u16::MAX)];
        let batch = Search::encode(&searches);
        assert_eq!(Some(batch.schema()), Search::schema_of(1));
        assert_eq!(Search::decode(&batch), Ok(searches));
        assert_eq!(Search::decode(&Search::encode(&[])), Ok(vec![]));
        assert_eq!(Search::schema_of(2), None);
    }

    #[test]
    fn a_batch_that_is_none_of_searches_is_refused() {
        let batch = Search::encode(&[search(1)]);
        let shorter = batch.project(&[0, 1, 2, 3, 5, 6, 7]).unwrap();
        assert_eq!(Search::decode(&shorter), Err(BadBatch::Column { column: "town" }));
        let with = |index: usize, array: ArrayRef| {
            let mut columns = batch.columns().to_vec();
            columns[index] = array;
            Search::decode(&RecordBatch::try_new(batch.schema(), columns).unwrap())
        };
        assert_eq!(with(2, Arc::new(Int32Array::from(vec![900_000_001]))), Err(BadBatch::Point { row: 0 }));
        assert_eq!(with(4, Arc::new(StringArray::from(vec!["7505"]))), Err(BadBatch::Town { row: 0 }));
    }
}
