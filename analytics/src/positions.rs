//! Positions as the archive has them: the columns of the log, and what the registry adds.
//!
//! | column      | type                            | meaning                                                          |
//! |-------------|---------------------------------|------------------------------------------------------------------|
//! | ...         | as in [`ingest::batch`]         | the 11 columns of the log; `lat_e7`, `lon_e7`, `speed_cm_s` and  |
//! |             |                                 | `heading_cdeg` are null where they were blurred                  |
//! | `town`      | dictionary(i32) of text, null   | INSEE code of the town of the point; null: in none               |
//! | `ads`       | dictionary(i32) of text, null   | INSEE code of the taxi's ADS; null: the registry knew no such    |
//! |             |                                 | taxi                                                             |
//! | `cell`      | u64, null                       | H3 cell of the point, resolution 8; null where it was blurred    |
//! | `partition` | u16                             | partition of the log                                             |
//! | `offset`    | u64                             | offset of the record in its partition                            |
//! | `row`       | u32                             | place in the record, from 0                                      |

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, RecordBatch, StringDictionaryBuilder, UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{
    DataType, Field, Fields, Int32Type, Schema, SchemaRef, TimestampMillisecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use engine::territory::Insee;
use ingest::log::Partition;
use ingest::position::{Accuracy, Heading, Position, Speed};

use crate::digest::Digest;
use crate::layout::Stream;
use crate::places::Place;
use crate::rows::{BadColumn, Known, Logged, Placed, Rows, column};

/// The schema of archived positions.
pub fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// Positions, as rows of the archive.
#[derive(Debug)]
pub enum Positions {}

impl Rows for Positions {
    const STREAM: Stream = Stream::Positions;
    const ORDER: &'static [&'static str] = &["cell", "taxi", "received_at", "partition", "offset", "row"];
    // Speeds and headings, five seconds apart, add up to a way, which a map finds again.
    const BLURRED: &'static [&'static str] = &["lat_e7", "lon_e7", "cell", "speed_cm_s", "heading_cdeg"];
    const BLURRED_ORDER: &'static [&'static str] =
        &["town", "taxi", "received_at", "partition", "offset", "row"];
    const DICTIONARIES: &'static [&'static str] =
        &["operator", "status", "transport", "town", "ads", "cell", "partition"];
    const SPLIT: &'static [&'static str] = &["received_at", "lat_e7", "lon_e7", "offset", "row"];
    const PLAIN: &'static [&'static str] = &["taxi", "speed_cm_s", "heading_cdeg", "accuracy_dm"];
    const LOOKED_FOR: Option<&'static str> = Some("taxi");

    fn schema() -> SchemaRef {
        schema()
    }

    fn digest_of(batch: &RecordBatch) -> Result<Digest, BadColumn> {
        digest_of(batch)
    }
}

impl Logged for Positions {
    type Entry = Position;

    fn encode(
        partition: Partition,
        entries: &[Placed<Position>],
        Known { places, registry }: Known<'_>,
    ) -> Result<RecordBatch, ArrowError> {
        let facts = entries.iter().map(|Placed { entry: position, .. }| Facts {
            place: places.at(position.at),
            ads: registry.ads_town(position.source.taxi),
        });
        encode(partition, entries, facts)
    }

    fn digest_of_log(partition: Partition, entries: &[Placed<Position>]) -> Digest {
        digest_of_log(partition, entries)
    }
}

/// What the registry knows of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Where it is.
    pub place: Place,
    /// The town of the taxi's ADS.
    pub ads: Option<Insee>,
}

/// The batch of some positions of one partition, in their order. O(positions).
pub fn encode(
    partition: Partition,
    entries: &[Placed<Position>],
    facts: impl Iterator<Item = Facts>,
) -> Result<RecordBatch, ArrowError> {
    let positions: Vec<_> = entries.iter().map(|placed| placed.entry).collect();
    let (mut towns, mut ads) = (Towns::new(), Towns::new());
    let mut cells = Vec::with_capacity(entries.len());
    for Facts { place, ads: town } in facts {
        towns.append_option(place.town.as_ref().map(Insee::as_str));
        ads.append_option(town.as_ref().map(Insee::as_str));
        cells.push(place.cell);
    }
    let mut columns = ingest::batch::encode(&positions).columns().to_vec();
    let added: [ArrayRef; ADDED] = [
        Arc::new(towns.finish()),
        Arc::new(ads.finish()),
        Arc::new(UInt64Array::from(cells)),
        Arc::new(UInt16Array::from_value(partition.0, entries.len())),
        Arc::new(UInt64Array::from_iter_values(entries.iter().map(|placed| placed.offset.0))),
        Arc::new(UInt32Array::from_iter_values(entries.iter().map(|placed| placed.row))),
    ];
    columns.extend(added);
    RecordBatch::try_new(schema(), columns)
}

/// The digest of positions of a partition of the log, as they are there.
pub fn digest_of_log(partition: Partition, entries: &[Placed<Position>]) -> Digest {
    let mut digest = Digest::default();
    for Placed { offset, row, entry: position } in entries {
        let at = position.at;
        digest.add(&words(&Content {
            partition: partition.0,
            offset: offset.0,
            row: *row,
            received_at: position.received_at.0,
            device_at: position.device_at.map(|at| at.0),
            taxi: position.source.taxi.0,
            operator: position.source.operator.0,
            at: Some((at.lat_e7(), at.lon_e7())),
            status: position.status as u8,
            transport: position.transport as u8,
            speed: position.motion.speed.map(Speed::cm_s),
            heading: position.motion.heading.map(Heading::centidegrees),
            accuracy: position.motion.accuracy.map(Accuracy::dm),
        }));
    }
    digest
}

/// The digest of archived positions: what the registry added is not part of it. O(rows).
pub fn digest_of(batch: &RecordBatch) -> Result<Digest, BadColumn> {
    let received_at = column::<TimestampMillisecondType>(batch, "received_at")?;
    let device_at = column::<TimestampMillisecondType>(batch, "device_at")?;
    let taxi = column::<UInt32Type>(batch, "taxi")?;
    let operator = column::<UInt32Type>(batch, "operator")?;
    let lat_e7 = column::<Int32Type>(batch, "lat_e7")?;
    let lon_e7 = column::<Int32Type>(batch, "lon_e7")?;
    let status = column::<UInt8Type>(batch, "status")?;
    let transport = column::<UInt8Type>(batch, "transport")?;
    let speed = column::<UInt16Type>(batch, "speed_cm_s")?;
    let heading = column::<UInt16Type>(batch, "heading_cdeg")?;
    let accuracy = column::<UInt16Type>(batch, "accuracy_dm")?;
    let partition = column::<UInt16Type>(batch, "partition")?;
    let offset = column::<UInt64Type>(batch, "offset")?;
    let row = column::<UInt32Type>(batch, "row")?;
    let mut digest = Digest::default();
    for at in 0..batch.num_rows() {
        let point = lat_e7.is_valid(at) && lon_e7.is_valid(at);
        digest.add(&words(&Content {
            partition: partition.value(at),
            offset: offset.value(at),
            row: row.value(at),
            received_at: received_at.value(at),
            device_at: device_at.is_valid(at).then(|| device_at.value(at)),
            taxi: taxi.value(at),
            operator: operator.value(at),
            at: point.then(|| (lat_e7.value(at), lon_e7.value(at))),
            status: status.value(at),
            transport: transport.value(at),
            speed: speed.is_valid(at).then(|| speed.value(at)),
            heading: heading.is_valid(at).then(|| heading.value(at)),
            accuracy: accuracy.is_valid(at).then(|| accuracy.value(at)),
        }));
    }
    Ok(digest)
}

/// What of a row its digest is made of.
struct Content {
    partition: u16,
    offset: u64,
    row: u32,
    received_at: i64,
    device_at: Option<i64>,
    taxi: u32,
    operator: u32,
    at: Option<(i32, i32)>,
    status: u8,
    transport: u8,
    speed: Option<u16>,
    heading: Option<u16>,
    accuracy: Option<u16>,
}

/// A row as words, each value and whether it is known in a place of its own.
fn words(row: &Content) -> [u64; 8] {
    let (lat, lon) = row.at.unwrap_or_default();
    let known = [
        row.device_at.is_some(),
        row.at.is_some(),
        row.speed.is_some(),
        row.heading.is_some(),
        row.accuracy.is_some(),
    ];
    let known = known.into_iter().fold(0, |bits, is_known| bits << 1 | u64::from(is_known));
    let motion = [row.speed, row.heading, row.accuracy];
    let motion = motion.into_iter().fold(0, |bits, value| bits << 16 | u64::from(value.unwrap_or_default()));
    [
        u64::from(row.partition) << 32 | u64::from(row.row),
        row.offset,
        row.received_at.cast_unsigned(),
        row.device_at.unwrap_or_default().cast_unsigned(),
        u64::from(row.taxi) << 32 | u64::from(row.operator),
        u64::from(lat.cast_unsigned()) << 32 | u64::from(lon.cast_unsigned()),
        known << 16 | u64::from(row.status) << 8 | u64::from(row.transport),
        motion,
    ]
}

type Towns = StringDictionaryBuilder<Int32Type>;
/// Columns that are not the log's.
const ADDED: usize = 6;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let blurred = ["lat_e7", "lon_e7"];
    let of_log = ingest::batch::schema();
    let of_log = of_log.fields().iter().map(|field| {
        let is_nullable = field.is_nullable() || blurred.contains(&field.name().as_str());
        Field::new(field.name(), field.data_type().clone(), is_nullable)
    });
    let town = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let added: [Field; ADDED] = [
        Field::new("town", town.clone(), true),
        Field::new("ads", town, true),
        Field::new("cell", DataType::UInt64, true),
        Field::new("partition", DataType::UInt16, false),
        Field::new("offset", DataType::UInt64, false),
        Field::new("row", DataType::UInt32, false),
    ];
    Arc::new(Schema::new(of_log.chain(added).collect::<Fields>()))
});

#[cfg(test)]
pub(crate) mod tests {
    use ingest::clock::Millis;
    use ingest::log::Offset;
    use ingest::position::{LatLon, Motion, OperatorKey, ReportedStatus, SourceKey, TaxiKey, Transport};

    use super::*;

    /// The n-th of some positions that differ in everything.
    pub(crate) fn position(n: u32, received_at: Millis) -> Position {
        let step = i32::try_from(n % 1_000).unwrap();
        Position {
            source: SourceKey { taxi: TaxiKey(n % 97), operator: OperatorKey(n % 3) },
            at: LatLon::from_e7(488_600_000 + 1_000 * step, 23_500_000 - 700 * step).unwrap(),
            received_at: received_at.plus(i64::from(n) * 13),
            device_at: (!n.is_multiple_of(5)).then(|| received_at.plus(i64::from(n) * 13 - 250)),
            status: ReportedStatus::from_number(u8::try_from(n % 6).unwrap()),
            motion: Motion {
                speed: n
                    .is_multiple_of(2)
                    .then(|| Speed::from_cm_s(u16::try_from(n % 3_000).unwrap()).unwrap()),
                heading: n.is_multiple_of(3).then(|| Heading::from_centidegrees(4_500).unwrap()),
                accuracy: n.is_multiple_of(7).then(|| Accuracy::from_dm(31).unwrap()),
            },
            transport: if n.is_multiple_of(4) { Transport::Http } else { Transport::Udp },
        }
    }

    fn entries() -> Vec<Placed<Position>> {
        let placed =
            |n| Placed { offset: Offset(7 + u64::from(n / 10)), row: n % 10, entry: position(n, NOON) };
        (0..100).map(placed).collect()
    }

    pub(crate) const NOON: Millis = Millis(1_764_158_400_000);
    const FACTS: Facts = Facts { place: Place { town: None, cell: Some(0x881f_b466_2dff_ffff) }, ads: None };

    /// A batch of some positions in a town.
    pub(crate) fn batch(rows: u32) -> RecordBatch {
        let placed = |n| Placed { offset: Offset(7), row: n, entry: position(n, NOON) };
        let entries: Vec<_> = (0..rows).map(placed).collect();
        let place = Place { town: "75056".parse().ok(), ..FACTS.place };
        encode(Partition(3), &entries, entries.iter().map(|_| Facts { place, ads: None })).unwrap()
    }

    #[test]
    fn a_batch_has_the_digest_of_what_it_was_made_of() {
        let entries = entries();
        let batch = encode(Partition(3), &entries, entries.iter().map(|_| FACTS)).unwrap();
        assert_eq!(batch.schema(), schema());
        assert_eq!(digest_of(&batch), Ok(digest_of_log(Partition(3), &entries)));
        let halves = [batch.slice(60, 40), batch.slice(0, 60)].map(|half| digest_of(&half).unwrap());
        let mut sum = halves[0];
        sum += halves[1];
        assert_eq!(sum, digest_of_log(Partition(3), &entries));
        assert_ne!(sum, digest_of_log(Partition(4), &entries));
        assert_eq!(digest_of(&batch.project(&[0, 1, 2]).unwrap()), Err(BadColumn("operator")));
    }

    #[test]
    fn every_value_of_a_position_is_part_of_its_digest() {
        let placed = Placed { offset: Offset(7), row: 1, entry: position(42, NOON) };
        let changes: [fn(&mut Placed<Position>); 13] = [
            |placed| placed.offset.0 += 1,
            |placed| placed.row += 1,
            |placed| placed.entry.source.taxi.0 += 1,
            |placed| placed.entry.source.operator.0 += 1,
            |placed| placed.entry.at = LatLon::from_e7(placed.entry.at.lat_e7() + 1, 0).unwrap(),
            |placed| placed.entry.at = LatLon::from_e7(placed.entry.at.lat_e7(), 1).unwrap(),
            |placed| placed.entry.received_at.0 += 1,
            |placed| placed.entry.device_at = None,
            |placed| placed.entry.status = ReportedStatus::Off,
            |placed| placed.entry.motion.speed = None,
            |placed| placed.entry.motion.heading = None,
            |placed| placed.entry.motion.accuracy = None,
            |placed| placed.entry.transport = Transport::Http,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = placed;
            change(&mut changed);
            let (before, after) =
                (digest_of_log(Partition(0), &[placed]), digest_of_log(Partition(0), &[changed]));
            assert_ne!(before, after, "change {number}");
        }
    }
}
