//! A batch of positions in columns: the one format from the log to the archive and to SQL.
//!
//! Schema version 1:
//!
//! | column        | type                      | meaning                                                    |
//! |---------------|---------------------------|------------------------------------------------------------|
//! | `received_at` | timestamp(ms, UTC)        | when the registry received it                              |
//! | `device_at`   | timestamp(ms, UTC), null  | when the device says it was there; null: unknown           |
//! | `taxi`        | u32                       | the registry's number of the taxi                          |
//! | `operator`    | u32                       | the registry's number of the operator                      |
//! | `lat_e7`      | i32                       | latitude, WGS 84, in 1e-7 degrees                          |
//! | `lon_e7`      | i32                       | longitude, WGS 84, in 1e-7 degrees                         |
//! | `status`      | u8                        | [`ReportedStatus`] as a number                             |
//! | `transport`   | u8                        | [`Transport`] as a number                                  |

use std::sync::{Arc, LazyLock};

use arrow_array::types::{ArrowPrimitiveType, Int32Type, TimestampMillisecondType, UInt8Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, Int32Array, PrimitiveArray, RecordBatch, StructArray, TimestampMillisecondArray,
    UInt8Array, UInt32Array,
};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use thiserror::Error;

use crate::clock::Millis;
use crate::position::{LatLon, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport};

/// The version of the schema that [`encode`] writes.
pub const SCHEMA_VERSION: u16 = 1;

/// Schema version 1.
pub fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// The batch of some positions, in their order. O(positions).
pub fn encode(positions: &[Position]) -> RecordBatch {
    let received_at = TimestampMillisecondArray::from_iter_values(positions.iter().map(|p| p.received_at.0));
    let device_at: TimestampMillisecondArray = positions.iter().map(|p| p.device_at.map(|at| at.0)).collect();
    let columns: [ArrayRef; 8] = [
        Arc::new(received_at.with_timezone(UTC)),
        Arc::new(device_at.with_timezone(UTC)),
        Arc::new(UInt32Array::from_iter_values(positions.iter().map(|p| p.source.taxi.0))),
        Arc::new(UInt32Array::from_iter_values(positions.iter().map(|p| p.source.operator.0))),
        Arc::new(Int32Array::from_iter_values(positions.iter().map(|p| p.at.lat_e7()))),
        Arc::new(Int32Array::from_iter_values(positions.iter().map(|p| p.at.lon_e7()))),
        Arc::new(UInt8Array::from_iter_values(positions.iter().map(|p| p.status as u8))),
        Arc::new(UInt8Array::from_iter_values(positions.iter().map(|p| p.transport as u8))),
    ];
    let fields = SCHEMA.fields().iter().cloned();
    RecordBatch::from(StructArray::from(fields.zip(columns).collect::<Vec<_>>()))
}

/// The positions of a batch, in its order. O(rows).
pub fn decode(batch: &RecordBatch) -> Result<Vec<Position>, BadBatch> {
    let received_at = column::<TimestampMillisecondType>(batch, 0)?;
    let device_at = column::<TimestampMillisecondType>(batch, 1)?;
    let taxi = column::<UInt32Type>(batch, 2)?;
    let operator = column::<UInt32Type>(batch, 3)?;
    let lat_e7 = column::<Int32Type>(batch, 4)?;
    let lon_e7 = column::<Int32Type>(batch, 5)?;
    let status = column::<UInt8Type>(batch, 6)?;
    let transport = column::<UInt8Type>(batch, 7)?;
    let position = |row: usize| {
        Ok(Position {
            source: SourceKey { taxi: TaxiKey(taxi.value(row)), operator: OperatorKey(operator.value(row)) },
            at: LatLon::from_e7(lat_e7.value(row), lon_e7.value(row)).map_err(|_| BadBatch::Point { row })?,
            received_at: Millis(received_at.value(row)),
            device_at: device_at.is_valid(row).then(|| Millis(device_at.value(row))),
            status: ReportedStatus::from_number(status.value(row)),
            transport: transport_of(transport.value(row)).ok_or(BadBatch::Transport { row })?,
        })
    };
    (0..batch.num_rows()).map(position).collect()
}

/// A batch is not one of positions.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadBatch {
    /// A column is missing, has another type, or holds nulls where there are none.
    #[error("column {column} of the batch is missing or not what schema version 1 says")]
    Column {
        /// Which column.
        column: &'static str,
    },
    /// A point lies outside the globe.
    #[error("row {row} of the batch lies outside the globe")]
    Point {
        /// Which row.
        row: usize,
    },
    /// A position came in by a transport that this version does not know.
    #[error("row {row} of the batch came in by an unknown transport")]
    Transport {
        /// Which row.
        row: usize,
    },
}

const UTC: &str = "UTC";

const NAMES: [&str; 8] =
    ["received_at", "device_at", "taxi", "operator", "lat_e7", "lon_e7", "status", "transport"];

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let instant = DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()));
    let types = [
        instant.clone(),
        instant,
        DataType::UInt32,
        DataType::UInt32,
        DataType::Int32,
        DataType::Int32,
        DataType::UInt8,
        DataType::UInt8,
    ];
    let field = |(name, data_type)| Field::new(name, data_type, name == "device_at");
    Arc::new(Schema::new(NAMES.into_iter().zip(types).map(field).collect::<Fields>()))
});

fn column<T: ArrowPrimitiveType>(batch: &RecordBatch, index: usize) -> Result<&PrimitiveArray<T>, BadBatch> {
    let column = NAMES[index];
    let array =
        batch.column_by_name(column).and_then(|array| array.as_any().downcast_ref::<PrimitiveArray<T>>());
    array
        .filter(|array| array.null_count() == 0 || SCHEMA.field(index).is_nullable())
        .ok_or(BadBatch::Column { column })
}

fn transport_of(number: u8) -> Option<Transport> {
    [Transport::Udp, Transport::Http].into_iter().find(|transport| *transport as u8 == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(taxi: u32, device_at: Option<i64>) -> Position {
        Position {
            source: SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(u32::MAX) },
            at: LatLon::new(-48.86, 2.35).unwrap(),
            received_at: Millis(1_700_000_000_123),
            device_at: device_at.map(Millis),
            status: ReportedStatus::Oncoming,
            transport: Transport::Http,
        }
    }

    #[test]
    fn a_batch_gives_back_what_it_was_made_of() {
        let positions = vec![position(1, Some(-5)), position(u32::MAX, None)];
        let batch = encode(&positions);
        assert_eq!(batch.schema(), schema());
        assert_eq!(decode(&batch), Ok(positions));
        assert_eq!(decode(&encode(&[])), Ok(vec![]));
    }

    #[test]
    fn a_batch_of_another_schema_is_refused() {
        let batch = encode(&[position(1, None)]);
        let shorter = batch.project(&[0, 1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(decode(&shorter), Err(BadBatch::Column { column: "transport" }));
    }

    #[test]
    fn values_that_no_position_has_are_refused() {
        let with = |index: usize, array: ArrayRef| {
            let mut columns = encode(&[position(1, None)]).columns().to_vec();
            columns[index] = array;
            decode(&RecordBatch::try_new(schema(), columns).unwrap())
        };
        assert_eq!(with(4, Arc::new(Int32Array::from(vec![900_000_001]))), Err(BadBatch::Point { row: 0 }));
        assert_eq!(with(7, Arc::new(UInt8Array::from(vec![9]))), Err(BadBatch::Transport { row: 0 }));
        let status = with(6, Arc::new(UInt8Array::from(vec![200]))).unwrap()[0].status;
        assert_eq!(status, ReportedStatus::Other, "a status of a later version is still a position");
    }
}
