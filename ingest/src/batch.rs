//! A batch of positions in columns: the one format from the log to the archive and to SQL.
//!
//! Schema version 2:
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
//! | `speed_cm_s`  | u16, null                 | speed over ground in cm/s, at most 15,000; null: unknown   |
//! | `heading_cdeg`| u16, null                 | direction of motion clockwise from true north in 0.01      |
//! |               |                           | degrees, below 36,000; null: unknown                       |
//! | `accuracy_dm` | u16, null                 | the radius around the point in which the device believes   |
//! |               |                           | itself, in dm, at most 50,000; null: unknown               |
//!
//! Version 1 ends with `transport`: of its positions no motion is known.

use std::sync::{Arc, LazyLock};

use arrow_array::types::{
    ArrowPrimitiveType, Int32Type, TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type,
};
use arrow_array::{
    Array, ArrayRef, Int32Array, PrimitiveArray, RecordBatch, StructArray, TimestampMillisecondArray,
    UInt8Array, UInt16Array, UInt32Array,
};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use thiserror::Error;

use crate::clock::Millis;
use crate::log::Entry;
use crate::position::{
    Accuracy, Heading, LatLon, Motion, NoMotion, OperatorKey, Position, ReportedStatus, SourceKey, Speed,
    TaxiKey, Transport,
};

/// The version of the schema that [`encode`] writes.
pub const SCHEMA_VERSION: u16 = 2;

/// The schema that [`encode`] writes.
pub fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// The schema of a version; None if this program knows none of that number.
pub fn schema_of(version: u16) -> Option<SchemaRef> {
    match version {
        1 => Some(SCHEMA_1.clone()),
        SCHEMA_VERSION => Some(schema()),
        _ => None,
    }
}

/// The batch of some positions, in their order. O(positions).
pub fn encode(positions: &[Position]) -> RecordBatch {
    let received_at = TimestampMillisecondArray::from_iter_values(positions.iter().map(|p| p.received_at.0));
    let device_at: TimestampMillisecondArray = positions.iter().map(|p| p.device_at.map(|at| at.0)).collect();
    let motions = positions.iter().map(|p| p.motion);
    let columns: [ArrayRef; NAMES.len()] = [
        Arc::new(received_at.with_timezone(UTC)),
        Arc::new(device_at.with_timezone(UTC)),
        Arc::new(UInt32Array::from_iter_values(positions.iter().map(|p| p.source.taxi.0))),
        Arc::new(UInt32Array::from_iter_values(positions.iter().map(|p| p.source.operator.0))),
        Arc::new(Int32Array::from_iter_values(positions.iter().map(|p| p.at.lat_e7()))),
        Arc::new(Int32Array::from_iter_values(positions.iter().map(|p| p.at.lon_e7()))),
        Arc::new(UInt8Array::from_iter_values(positions.iter().map(|p| p.status as u8))),
        Arc::new(UInt8Array::from_iter_values(positions.iter().map(|p| p.transport as u8))),
        Arc::new(motions.clone().map(|motion| motion.speed.map(Speed::cm_s)).collect::<UInt16Array>()),
        Arc::new(
            motions.clone().map(|motion| motion.heading.map(Heading::centidegrees)).collect::<UInt16Array>(),
        ),
        Arc::new(motions.map(|motion| motion.accuracy.map(Accuracy::dm)).collect::<UInt16Array>()),
    ];
    let fields = SCHEMA.fields().iter().cloned();
    RecordBatch::from(StructArray::from(fields.zip(columns).collect::<Vec<_>>()))
}

/// The positions of a batch of any version, in its order. O(rows).
pub fn decode(batch: &RecordBatch) -> Result<Vec<Position>, BadBatch> {
    let received_at = column::<TimestampMillisecondType>(batch, 0)?;
    let device_at = column::<TimestampMillisecondType>(batch, 1)?;
    let taxi = column::<UInt32Type>(batch, 2)?;
    let operator = column::<UInt32Type>(batch, 3)?;
    let lat_e7 = column::<Int32Type>(batch, 4)?;
    let lon_e7 = column::<Int32Type>(batch, 5)?;
    let status = column::<UInt8Type>(batch, 6)?;
    let transport = column::<UInt8Type>(batch, 7)?;
    let motions = Motions::of(batch)?;
    let position = |row: usize| {
        Ok(Position {
            source: SourceKey { taxi: TaxiKey(taxi.value(row)), operator: OperatorKey(operator.value(row)) },
            at: LatLon::from_e7(lat_e7.value(row), lon_e7.value(row)).map_err(|_| BadBatch::Point { row })?,
            received_at: Millis(received_at.value(row)),
            device_at: device_at.is_valid(row).then(|| Millis(device_at.value(row))),
            status: ReportedStatus::from_number(status.value(row)),
            motion: motions.get(row).map_err(|_| BadBatch::Motion { row })?,
            transport: transport_of(transport.value(row)).ok_or(BadBatch::Transport { row })?,
        })
    };
    (0..batch.num_rows()).map(position).collect()
}

impl Entry for Position {
    const KIND: u16 = 0;
    const VERSION: u16 = SCHEMA_VERSION;

    fn schema_of(version: u16) -> Option<SchemaRef> {
        schema_of(version)
    }

    fn encode(entries: &[Self]) -> RecordBatch {
        encode(entries)
    }

    fn decode(batch: &RecordBatch) -> Result<Vec<Self>, BadBatch> {
        decode(batch)
    }

    fn stable_hash(&self) -> u64 {
        self.source.stable_hash()
    }
}

/// A batch is not what it should be one of: positions, or what else is logged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadBatch {
    /// A column is missing, has another type, or holds nulls where there are none.
    #[error("column {column} of the batch is missing or not what the schema says")]
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
    /// A speed, a heading or an accuracy is one that no position has.
    #[error("row {row} of the batch has a motion out of range")]
    Motion {
        /// Which row.
        row: usize,
    },
    /// A position came in by a transport that this version does not know.
    #[error("row {row} of the batch came in by an unknown transport")]
    Transport {
        /// Which row.
        row: usize,
    },
    /// A town's code is none.
    #[error("row {row} of the batch is of a town that has no INSEE code")]
    Town {
        /// Which row.
        row: usize,
    },
}

const UTC: &str = "UTC";

const NAMES: [&str; 11] = [
    "received_at",
    "device_at",
    "taxi",
    "operator",
    "lat_e7",
    "lon_e7",
    "status",
    "transport",
    "speed_cm_s",
    "heading_cdeg",
    "accuracy_dm",
];
/// Columns that may hold nulls.
const NULLABLE: [&str; 4] = ["device_at", "speed_cm_s", "heading_cdeg", "accuracy_dm"];
/// How many of the columns version 1 has.
const COLUMNS_1: usize = 8;

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
        DataType::UInt16,
        DataType::UInt16,
        DataType::UInt16,
    ];
    let field = |(name, data_type)| Field::new(name, data_type, NULLABLE.contains(&name));
    Arc::new(Schema::new(NAMES.into_iter().zip(types).map(field).collect::<Fields>()))
});

static SCHEMA_1: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(SCHEMA.fields()[..COLUMNS_1].iter().cloned().collect::<Fields>())));

/// The columns of motion; None in a batch of version 1.
struct Motions<'a>(Option<[&'a UInt16Array; 3]>);

impl<'a> Motions<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, BadBatch> {
        if batch.num_columns() == COLUMNS_1 {
            return Ok(Self(None));
        }
        let column = |index| column::<UInt16Type>(batch, index);
        Ok(Self(Some([column(COLUMNS_1)?, column(COLUMNS_1 + 1)?, column(COLUMNS_1 + 2)?])))
    }

    fn get(&self, row: usize) -> Result<Motion, NoMotion> {
        let Some(columns) = self.0 else { return Ok(Motion::default()) };
        let [speed, heading, accuracy] =
            columns.map(|column| column.is_valid(row).then(|| column.value(row)));
        Ok(Motion {
            speed: speed.map(Speed::from_cm_s).transpose()?,
            heading: heading.map(Heading::from_centidegrees).transpose()?,
            accuracy: accuracy.map(Accuracy::from_dm).transpose()?,
        })
    }
}

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
            motion: Motion {
                speed: device_at.map(|_| Speed::from_cm_s(15_000).unwrap()),
                heading: Some(Heading::from_centidegrees(0).unwrap()),
                accuracy: device_at.map(|_| Accuracy::from_dm(50_000).unwrap()),
            },
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
        let between = batch.project(&[0, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        assert_eq!(decode(&between), Err(BadBatch::Column { column: "heading_cdeg" }));
    }

    #[test]
    fn of_a_batch_of_version_1_no_motion_is_known() {
        let batch = encode(&[position(1, Some(3))]).project(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        assert_eq!(Some(batch.schema()), schema_of(1));
        assert_eq!(decode(&batch), Ok(vec![Position { motion: Motion::default(), ..position(1, Some(3)) }]));
        assert_eq!((schema_of(SCHEMA_VERSION), schema_of(SCHEMA_VERSION + 1)), (Some(schema()), None));
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
        for (column, wrong) in [(8, 15_001), (9, 36_000), (10, 50_001)] {
            let wrong = with(column, Arc::new(UInt16Array::from(vec![wrong])));
            assert_eq!(wrong, Err(BadBatch::Motion { row: 0 }), "{}", NAMES[column]);
        }
        let status = with(6, Arc::new(UInt8Array::from(vec![200]))).unwrap()[0].status;
        assert_eq!(status, ReportedStatus::Other, "a status of a later version is still a position");
    }
}
