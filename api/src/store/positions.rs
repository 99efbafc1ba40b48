//! Each source's last position, written in bulk with the offsets of the log that it covers.

use engine::engine::Fix;
use ingest::clock::Millis;
use ingest::log::{Offset, Partition};
use ingest::position::{LatLon, ORDERING_SKEW_MS, OperatorKey, Order, SourceKey, TaxiKey};
use serde::Deserialize;
use sqlx::AssertSqlSafe;

use super::{Result, Store, read, write};
use crate::limits::{POSITIONS_A_STATEMENT, POSITIONS_A_TRANSACTION};

/// The columns of [`COLUMNS`], in their order.
#[derive(Deserialize)]
struct LastRow {
    taxi_id: i32,
    operator_id: i32,
    lat_e7: i32,
    lon_e7: i32,
    received_at: i64,
    device_at: Option<i64>,
}

const COLUMNS: &str = "taxi_id, operator_id, lat_e7, lon_e7, received_at, device_at";

impl Store {
    /// The last position of each source whose taxi's number is beyond `after` and not beyond `upto`, in no order.
    pub async fn last_positions(&self, after: i32, upto: i32) -> Result<Vec<Fix>> {
        let from = "last_positions WHERE taxi_id > $1 AND taxi_id <= $2";
        let text = self.text_of("last_positions", (COLUMNS, from), &[after, upto]).await?;
        let rows: Vec<LastRow> = text.rows()?;
        // A row out of range was not written by us; it is left out rather than shown somewhere.
        Ok(rows.into_iter().filter_map(|row| fix(&row)).collect())
    }

    /// How far the log of this epoch is covered by the last positions; None: this log was never covered.
    pub async fn covered_offsets(&self, epoch: u64) -> Result<Option<Vec<(Partition, Offset)>>> {
        let rows: Vec<(i32, i64)> = read!(self, db => {
            sqlx::query_as("SELECT log_partition, next_offset FROM log_offsets
                 WHERE log_epoch = $1 ORDER BY log_partition",
            )
                .bind(epoch_text(epoch))
                .fetch_all(db)
        })?;
        let pairs = rows.into_iter().filter_map(|(partition, offset)| {
            Some((Partition(u16::try_from(partition).ok()?), Offset(u64::try_from(offset).ok()?)))
        });
        let pairs: Vec<_> = pairs.collect();
        Ok((!pairs.is_empty()).then_some(pairs))
    }

    /// Writes last positions and the offsets that they cover. Several processes do, one further in the log than the
    /// other: of two positions of a source the one that [`Order::supersedes`] the other stays, a row that is as it
    /// should be is not written again, and offsets only grow.
    ///
    /// Many transactions, so that other writes have their turn, the offsets in the last one: whatever ends this early
    /// leaves offsets that are covered, and positions that are later than these, as a replay from there makes them.
    pub async fn save_last_positions(&self, fixes: &[Fix], epoch: u64, offsets: &[Offset]) -> Result<()> {
        let mut rows: Vec<_> = fixes.iter().filter_map(LastRow::new).collect();
        // In one order, so that of two processes none waits for a row of the other's while that waits for one of its.
        rows.sort_unstable_by_key(|row| (row.taxi_id, row.operator_id));
        let (mut parts, mut is_last) = (rows.chunks(POSITIONS_A_TRANSACTION).peekable(), false);
        while !is_last {
            let part = parts.next().unwrap_or_default();
            is_last = parts.peek().is_none();
            let covered = if is_last { offsets } else { &[] };
            write!(self, tx => {
                for rows in part.chunks(POSITIONS_A_STATEMENT) {
                    // Only whole ones are worth being remembered by the connection.
                    let query = sqlx::query(AssertSqlSafe(insert(rows.len())))
                        .persistent(rows.len() == POSITIONS_A_STATEMENT);
                    let bound = rows.iter().fold(query, |query, row| {
                        query
                            .bind(row.taxi_id)
                            .bind(row.operator_id)
                            .bind(row.lat_e7)
                            .bind(row.lon_e7)
                            .bind(row.received_at)
                            .bind(row.device_at)
                    });
                    bound.execute(&mut **tx).await?;
                }
                for (partition, offset) in covered.iter().enumerate() {
                    sqlx::query(
                        "INSERT INTO log_offsets (log_epoch, log_partition, next_offset) VALUES ($1, $2, $3)
                         ON CONFLICT (log_epoch, log_partition) DO UPDATE SET next_offset = excluded.next_offset
                         WHERE excluded.next_offset > log_offsets.next_offset",
                    )
                    .bind(epoch_text(epoch))
                    .bind(i32::try_from(partition).unwrap_or(i32::MAX))
                    .bind(i64::try_from(offset.0).unwrap_or(i64::MAX))
                    .execute(&mut **tx)
                    .await?;
                }
            })?;
        }
        Ok(())
    }
}

/// A statement that writes so many positions. A taxi that was deleted meanwhile has no row to refer to, and no
/// position to keep.
fn insert(rows: usize) -> String {
    let row = |i: usize| {
        let parameters: Vec<_> = (1..=6).map(|column| format!("${}", i * 6 + column)).collect();
        format!("({})", parameters.join(", "))
    };
    let rows: Vec<_> = (0..rows).map(row).collect();
    format!(
        "INSERT INTO last_positions (taxi_id, operator_id, lat_e7, lon_e7, received_at, device_at)
         SELECT t.id, u.id, v.column3, v.column4, v.column5, v.column6
         FROM (VALUES {}) AS v, taxis t, users u WHERE t.id = v.column1 AND u.id = v.column2
         ORDER BY v.column1, v.column2
         ON CONFLICT (taxi_id, operator_id)
         DO UPDATE SET lat_e7 = excluded.lat_e7, lon_e7 = excluded.lon_e7,
         received_at = excluded.received_at, device_at = excluded.device_at
         WHERE CASE WHEN {} AND {} AND excluded.device_at <> last_positions.device_at
         THEN excluded.device_at > last_positions.device_at
         ELSE excluded.received_at > last_positions.received_at
         OR excluded.received_at = last_positions.received_at AND (excluded.lat_e7 <> last_positions.lat_e7
         OR excluded.lon_e7 <> last_positions.lon_e7) END",
        rows.join(", "),
        trusted("excluded"),
        trusted("last_positions"),
    )
}

/// Whether a row's device time counts; null where it has none. No difference of the two, which may have no number.
fn trusted(row: &str) -> String {
    format!(
        "{row}.device_at BETWEEN {row}.received_at - {ORDERING_SKEW_MS} AND {row}.received_at + {ORDERING_SKEW_MS}"
    )
}

impl LastRow {
    fn new(fix: &Fix) -> Option<Self> {
        Some(Self {
            taxi_id: i32::try_from(fix.source.taxi.0).ok()?,
            operator_id: i32::try_from(fix.source.operator.0).ok()?,
            lat_e7: fix.at.lat_e7(),
            lon_e7: fix.at.lon_e7(),
            received_at: fix.order.received_at.0,
            device_at: fix.order.device_at.map(|at| at.0),
        })
    }
}

fn epoch_text(epoch: u64) -> String {
    format!("{epoch:016x}")
}

fn fix(row: &LastRow) -> Option<Fix> {
    let taxi = TaxiKey(u32::try_from(row.taxi_id).ok()?);
    let operator = OperatorKey(u32::try_from(row.operator_id).ok()?);
    Some(Fix {
        source: SourceKey { taxi, operator },
        at: LatLon::from_e7(row.lat_e7, row.lon_e7).ok()?,
        order: Order { received_at: Millis(row.received_at), device_at: row.device_at.map(Millis) },
    })
}
