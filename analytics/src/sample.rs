//! A small archive and a small registry, written by hand, for tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::NaiveDateTime;
use datafusion::arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use engine::territory::{Insee, Territory, Town, Zupc};
use geo::{LineString, MultiPolygon, Polygon};
use h3o::Resolution;
use ingest::clock::Millis;
use ingest::log::{Offset, Partition};
use ingest::position::{
    LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport,
};
use tempfile::TempDir;

use crate::cells::cell_at;
use crate::digest::Digest;
use crate::dimensions::{Account, Ads, Dimensions, Made, Taxi};
use crate::footer::Covered;
use crate::layout::{Day, Hour, ManifestName, Part, Recent, Stream};
use crate::manifest::{Listed, Manifest};
use crate::places::{Place, RESOLUTION};
use crate::positions::{self, Facts};
use crate::root::{ArchiveUrl, Root};
use crate::rows::Placed;
use crate::schema::{self, STEPS};
use crate::session::{Limits, Warehouse};

pub(crate) const LYON: (f64, f64) = (45.76, 4.83);
pub(crate) const GRENOBLE: (f64, f64) = (45.18, 5.72);
const EPOCH: u64 = 7;
const RESOLUTION_KEPT: Option<Resolution> = Some(RESOLUTION);

/// What a query may take in a test.
pub(crate) const LIMITS: Limits = Limits {
    within: Duration::from_mins(1),
    memory_bytes: 64 << 20,
    spill_bytes: 64 << 20,
    rows: 10_000,
    at_once: 2,
    threads: 2,
};

/// A moment, written `2026-03-18T10:00:00`.
pub(crate) fn at(text: &str) -> Millis {
    let at = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").unwrap();
    Millis(at.and_utc().timestamp_millis())
}

/// A position: when, which taxi, which operator, what it said, where, the town of that, the town of the ADS.
pub(crate) type Heard<'a> = (Millis, u32, u32, ReportedStatus, (f64, f64), &'a str, &'a str);
/// A search: when, by whom, where, the town of that, taxis found, seen, metres to the nearest.
pub(crate) type Asked<'a> = (&'a str, i32, (f64, f64), &'a str, u16, u16, Option<f64>);
/// A hail: when, how it ended, operator, taxi, town, and the seconds after which it came into some statuses.
pub(crate) type Hailed<'a> = (&'a str, &'a str, i32, u32, &'a str, &'a [(&'a str, i64)]);

pub(crate) struct Sample {
    _folder: TempDir,
    pub(crate) root: Root,
    pub(crate) dimensions: Arc<Dimensions>,
}

impl Sample {
    /// An empty archive, and a registry of two towns, two operators and three taxis.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(folder.path().to_owned())).unwrap();
        Self { _folder: folder, root, dimensions: Arc::new(dimensions()) }
    }

    pub(crate) fn warehouse(&self, limits: Limits) -> Warehouse {
        Warehouse::new(self.root.clone(), limits).unwrap()
    }

    /// Puts positions into a recent file whose first offset is this.
    pub(crate) async fn recent(&self, first: u64, rows: &[Heard<'_>]) {
        self.taken(Hour::of(rows[0].0), first, rows).await;
    }

    /// The same, by a log whose clock said another hour.
    pub(crate) async fn taken(&self, hour: Hour, first: u64, rows: &[Heard<'_>]) {
        let (stream, partition, first) = (Stream::Positions, Partition(0), Offset(first));
        let name = Recent { stream, epoch: EPOCH, partition, hour, first };
        self.root.create(&name, parquet(&heard(first.0, rows, RESOLUTION_KEPT))).await.unwrap();
    }

    /// Puts positions into the only part of a day, as it is once it is blurred.
    pub(crate) async fn blurred_day(&self, rows: &[Heard<'_>]) {
        self.part(Stream::Positions, Day::of(rows[0].0), &heard(0, rows, None), Vec::new()).await;
    }

    /// Puts positions into the only part of a day, whose manifest covers offsets up to `next`.
    pub(crate) async fn day(&self, next: u64, rows: &[Heard<'_>]) {
        let covers = Covered {
            epoch: EPOCH,
            partition: Partition(0),
            from: Offset(0),
            next: Offset(next),
            appended_until: rows[rows.len() - 1].0,
        };
        self.part(Stream::Positions, Day::of(rows[0].0), &heard(0, rows, RESOLUTION_KEPT), vec![covers])
            .await;
    }

    pub(crate) async fn searches(&self, rows: &[Asked<'_>]) {
        let numbers = |number: fn(&Asked<'_>) -> u16| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(number(row))).collect::<UInt16Array>())
        };
        let count = u32::try_from(rows.len()).unwrap();
        let columns: Vec<ArrayRef> = vec![
            instants(rows.iter().map(|row| Some(at(row.0)))),
            Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|row| Some(point(row.2).lat_e7())).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|row| Some(point(row.2).lon_e7())).collect::<Int32Array>()),
            words(rows.iter().map(|row| row.3)),
            numbers(|row| row.4),
            numbers(|row| row.5),
            Arc::new(rows.iter().map(|row| row.6).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| cell_at(point(row.2), RESOLUTION)).collect::<UInt64Array>()),
            Arc::new(UInt16Array::from_value(0, rows.len())),
            Arc::new(UInt64Array::from_iter_values((0..count).map(u64::from))),
            Arc::new(UInt32Array::from_value(0, rows.len())),
        ];
        let batch = RecordBatch::try_new(schema::of(Stream::Searches), columns).unwrap();
        self.part(Stream::Searches, Day::of(at(rows[0].0)), &batch, Vec::new()).await;
    }

    pub(crate) async fn hails(&self, rows: &[Hailed<'_>]) {
        let ids: Vec<_> = (0..rows.len()).map(|number| format!("H{number}")).collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(ids)),
            instants(rows.iter().map(|row| Some(at(row.0)))),
            words(rows.iter().map(|row| row.1)),
            Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int32Array>()),
            Arc::new(Int32Array::from_value(4, rows.len())),
            Arc::new(rows.iter().map(|row| Some(row.3)).collect::<UInt32Array>()),
            words(rows.iter().map(|row| row.4)),
            Arc::new(Float64Array::from_value(151.0, rows.len())),
        ];
        columns.extend(STEPS.map(|step| {
            instants(rows.iter().map(|row| {
                let (_, seconds) = row.5.iter().find(|(status, _)| *status == step)?;
                Some(at(row.0).plus(seconds * 1000))
            }))
        }));
        let batch = RecordBatch::try_new(schema::of(Stream::Hails), columns).unwrap();
        self.part(Stream::Hails, Day::of(at(rows[0].0)), &batch, Vec::new()).await;
    }

    async fn part(&self, stream: Stream, day: Day, batch: &RecordBatch, covers: Vec<Covered>) {
        let part = Part { stream, day, manifest: 1, number: 0, hash: 1 };
        let content = parquet(batch);
        let (rows, bytes) = (batch.num_rows() as u64, content.len() as u64);
        self.root.create(&part, content).await.unwrap();
        let parts = vec![Listed { part, rows, bytes, digest: Digest::default() }];
        let name = ManifestName { stream, day, number: 1 };
        assert!(
            Manifest { name, parts, covers, skipped: Vec::new(), is_exact: true }
                .create(&self.root)
                .await
                .unwrap()
        );
    }
}

/// Rows as a table of text.
pub(crate) fn table(batches: &[RecordBatch]) -> String {
    pretty_format_batches(batches).unwrap().to_string()
}

/// A town of four sides.
pub(crate) fn town(insee: &str, name: &str, (west, south, east, north): (f64, f64, f64, f64)) -> Town {
    let corners = vec![(west, south), (east, south), (east, north), (west, north), (west, south)];
    let shape = MultiPolygon(vec![Polygon::new(LineString::from(corners), vec![])]);
    Town { insee: insee.parse().unwrap(), name: name.to_owned(), shape }
}

/// Lyon is smaller than a cell, so that it has one.
fn dimensions() -> Dimensions {
    let towns = vec![
        town("69123", "Lyon", (4.8299, 45.7599, 4.8301, 45.7601)),
        town("38185", "Grenoble", (5.68, 45.15, 5.76, 45.22)),
    ];
    let insee = |code: &str| code.parse::<Insee>().unwrap();
    let zone = |id: &str, allowed| Zupc { id: id.to_owned(), name: id.to_owned(), allowed, area: None };
    let zones = vec![zone("Z1", vec![insee("69123")]), zone("Z2", vec![insee("69123"), insee("38185")])];
    let account = |id, email: &str, roles: &str| Account {
        id,
        email: email.to_owned(),
        name: email.to_uppercase(),
        roles: roles.to_owned(),
        manager: None,
    };
    let taxi = |taxi, operator, insee: &str, added: &str| Taxi {
        taxi,
        public_id: format!("T{taxi}"),
        operator,
        insee: insee.to_owned(),
        licence_plate: format!("AB-{taxi}-CD"),
        added_at: at(added),
    };
    let ads = |numero: &str, operator, insee: &str, added: &str| Ads {
        insee: insee.to_owned(),
        numero: numero.to_owned(),
        operator,
        added_at: at(added),
    };
    Dimensions {
        accounts: vec![
            account(2, "opA", "operateur"),
            account(3, "opB", "operateur"),
            account(4, "app", "moteur"),
        ],
        taxis: vec![
            taxi(1, 2, "69123", "2026-03-01T00:00:00"),
            taxi(2, 3, "69123", "2026-03-17T12:00:00"),
            taxi(3, 2, "38185", "2026-03-01T00:00:00"),
        ],
        // Number 1 of Lyon is registered by both.
        ads: vec![
            ads("1", 2, "69123", "2026-03-01T00:00:00"),
            ads("1", 3, "69123", "2026-03-17T11:00:00"),
            ads("2", 3, "69123", "2026-03-17T11:00:00"),
            ads("1", 2, "38185", "2026-03-01T00:00:00"),
        ],
        populations: [(insee("69123"), 2_400)].into(),
        territory: Some(Arc::new(Territory::new(towns, zones, Vec::new()))),
        made: Made::default(),
    }
}

fn point((lat, lon): (f64, f64)) -> LatLon {
    LatLon::new(lat, lon).unwrap()
}

/// Cells are of a resolution, or there are none.
fn heard(first: u64, rows: &[Heard<'_>], cells: Option<Resolution>) -> RecordBatch {
    let entries = rows.iter().zip(first..).map(|(row, offset)| Placed {
        offset: Offset(offset),
        row: 0,
        entry: Position {
            source: SourceKey { taxi: TaxiKey(row.1), operator: OperatorKey(row.2) },
            at: point(row.4),
            received_at: row.0,
            device_at: None,
            status: row.3,
            motion: Motion::default(),
            transport: Transport::Udp,
        },
    });
    let entries: Vec<_> = entries.collect();
    let facts = rows.iter().map(|row| Facts {
        place: Place { town: row.5.parse().ok(), cell: cells.and_then(|of| cell_at(point(row.4), of)) },
        ads: row.6.parse().ok(),
    });
    positions::encode(Partition(0), &entries, facts).unwrap()
}

fn instants(values: impl Iterator<Item = Option<Millis>>) -> ArrayRef {
    let values: TimestampMillisecondArray = values.map(|at| at.map(|at| at.0)).collect();
    Arc::new(values.with_timezone("UTC"))
}

fn words<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(values.collect::<DictionaryArray<Int32Type>>())
}

fn parquet(batch: &RecordBatch) -> Bytes {
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    file.into()
}
