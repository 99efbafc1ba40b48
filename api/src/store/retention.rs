//! What is too old: found, blurred or deleted, each step of it in a run of its own.

use ingest::clock::Millis;
use sqlx::{AssertSqlSafe, FromRow};

use super::batch::{Batch, Value};
use super::daily::Run;
use super::hails::tracks;
use super::{Result, Store, read};
use crate::limits::DELETED_A_TRANSACTION;
use crate::retention::E7;

/// What stands in place of a text that is not kept.
pub const REDACTED: &str = "[REDACTED]";

/// A source's last position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the table")]
pub struct LastPosition {
    pub taxi_id: i32,
    pub operator_id: i32,
    pub lat_e7: i32,
    pub lon_e7: i32,
    pub received_at: i64,
}

/// A hail's positions.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the table")]
pub struct HailPositions {
    pub id: String,
    pub taxi_lat_e7: i32,
    pub taxi_lon_e7: i32,
    pub customer_lat_e7: i32,
    pub customer_lon_e7: i32,
}

/// Rows that are deleted once they are old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doomed {
    /// Hails that are blurred, with their transitions and calls.
    Hails,
    /// Taxis that no hail has and that were silent through every operator.
    Taxis,
    /// Drivers without a taxi.
    Drivers,
    /// ADS without a taxi.
    Ads,
    /// Descriptions of vehicles without a taxi.
    Descriptions,
    /// Vehicles without a taxi, an ADS and a description.
    Vehicles,
    /// Sessions without a hail.
    Sessions,
    /// Customers without a hail and a session.
    Customers,
}

impl Doomed {
    /// What is left when a taxi or a hail is gone, in the order in which it goes.
    pub const ORPHANS: [Self; 6] =
        [Self::Drivers, Self::Ads, Self::Descriptions, Self::Vehicles, Self::Sessions, Self::Customers];

    /// Their table.
    pub fn table(self) -> &'static str {
        match self {
            Self::Hails => "hails",
            Self::Taxis => "taxis",
            Self::Drivers => "drivers",
            Self::Ads => "ads",
            Self::Descriptions => "vehicle_descriptions",
            Self::Vehicles => "vehicles",
            Self::Sessions => "hail_sessions",
            Self::Customers => "customers",
        }
    }

    fn key(self) -> &'static str {
        if self == Self::Customers { "app_id, id" } else { "id" }
    }

    /// How somebody finds a row again who reads of it.
    fn name(self) -> &'static str {
        match self {
            Self::Taxis => "public_id",
            Self::Vehicles => "licence_plate",
            Self::Hails | Self::Sessions => "id",
            Self::Customers => "CAST(app_id AS TEXT) || ' ' || id",
            Self::Drivers | Self::Ads | Self::Descriptions => "CAST(id AS TEXT)",
        }
    }

    /// Which they are, of the table as `o`, added before an instant.
    fn condition(self, before: Millis) -> String {
        let none = match self {
            Self::Hails => "o.blurred_at IS NOT NULL".to_owned(),
            Self::Taxis => format!(
                "NOT EXISTS (SELECT 1 FROM hails h WHERE h.taxi_id = o.id) AND NOT EXISTS
                 (SELECT 1 FROM last_positions p WHERE p.taxi_id = o.id AND p.received_at >= {})",
                before.0
            ),
            Self::Drivers => "NOT EXISTS (SELECT 1 FROM taxis t WHERE t.driver_id = o.id)".to_owned(),
            Self::Ads => "NOT EXISTS (SELECT 1 FROM taxis t WHERE t.ads_id = o.id)".to_owned(),
            Self::Descriptions => "NOT EXISTS (SELECT 1 FROM taxis t WHERE t.vehicle_id = o.vehicle_id)
                 AND NOT EXISTS (SELECT 1 FROM hails h WHERE h.description_id = o.id)"
                .to_owned(),
            Self::Vehicles => "NOT EXISTS (SELECT 1 FROM taxis t WHERE t.vehicle_id = o.id)
                 AND NOT EXISTS (SELECT 1 FROM ads a WHERE a.vehicle_id = o.id)
                 AND NOT EXISTS (SELECT 1 FROM vehicle_descriptions d WHERE d.vehicle_id = o.id)"
                .to_owned(),
            Self::Sessions => "NOT EXISTS (SELECT 1 FROM hails h WHERE h.session_id = o.id)".to_owned(),
            Self::Customers => "NOT EXISTS
                 (SELECT 1 FROM hails h WHERE h.app_id = o.app_id AND h.customer_id = o.id) AND NOT EXISTS
                 (SELECT 1 FROM hail_sessions s WHERE s.app_id = o.app_id AND s.customer_id = o.id)"
                .to_owned(),
        };
        format!("o.created_at < {} AND {none}", before.0)
    }
}

impl Store {
    /// Last positions received then or before.
    pub async fn old_positions(&self, received_until: Millis) -> Result<Vec<LastPosition>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT taxi_id, operator_id, lat_e7, lon_e7, received_at FROM last_positions
                 WHERE received_at <= $1 ORDER BY taxi_id, operator_id",
            )
            .bind(received_until.0)
            .fetch_all(db)
        })
    }

    /// Moves last positions, unless a later one came meanwhile. False: another process has the run.
    pub async fn move_positions(&self, run: &Run, moved: &[(LastPosition, E7)]) -> Result<bool> {
        let row = |(old, (lat_e7, lon_e7)): &(LastPosition, E7)| {
            let LastPosition { taxi_id, operator_id, received_at, .. } = old;
            format!("({taxi_id}, {operator_id}, {received_at}, {lat_e7}, {lon_e7})")
        };
        let rows: Vec<_> = moved.iter().map(row).collect();
        let mut batch = Batch::default();
        if !rows.is_empty() {
            let sql = format!(
                "UPDATE last_positions SET lat_e7 = v.column4, lon_e7 = v.column5 FROM (VALUES {}) AS v
                 WHERE taxi_id = v.column1 AND operator_id = v.column2 AND received_at = v.column3",
                rows.join(", ")
            );
            batch.add(&sql, []);
        }
        self.step(run, moved.len(), vec![batch]).await
    }

    /// Hails made before then whose positions are exact, the oldest first; at most so many.
    pub async fn exact_hails(&self, before: Millis, most: i64) -> Result<Vec<HailPositions>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT id, taxi_lat_e7, taxi_lon_e7, customer_lat_e7, customer_lon_e7 FROM hails
                 WHERE blurred_at IS NULL AND created_at < $1 ORDER BY created_at, id LIMIT $2",
            )
            .bind(before.0)
            .bind(most)
            .fetch_all(db)
        })
    }

    /// Replaces the positions of hails, and takes addresses and phone numbers from them. False: another process has
    /// the run.
    pub async fn blur_hails(&self, run: &Run, blurred: &[HailPositions]) -> Result<bool> {
        let (mut rows, mut ids): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
        for hail in blurred {
            ids.push((&hail.id).into());
            let HailPositions { taxi_lat_e7, taxi_lon_e7, customer_lat_e7, customer_lon_e7, .. } = hail;
            let positions = format!("{taxi_lat_e7}, {taxi_lon_e7}, {customer_lat_e7}, {customer_lon_e7}");
            rows.push(format!("(${}, {positions})", ids.len()));
        }
        let mut batch = Batch::default();
        if !rows.is_empty() {
            batch.add(&tracks::forget(ids.len()), ids.clone());
            let sql = format!(
                "UPDATE hails SET taxi_lat_e7 = v.column2, taxi_lon_e7 = v.column3, customer_lat_e7 = v.column4,
                 customer_lon_e7 = v.column5, customer_address = '{REDACTED}', customer_phone_number = '{REDACTED}',
                 taxi_phone_number = '{REDACTED}', blurred_at = {} FROM (VALUES {}) AS v WHERE id = v.column1",
                self.now_ms(),
                rows.join(", ")
            );
            batch.add(&sql, ids);
        }
        self.step(run, blurred.len(), vec![batch]).await
    }

    /// The names of all rows that would be deleted of those added before then.
    pub async fn doomed(&self, doomed: Doomed, before: Millis) -> Result<Vec<String>> {
        let (table, name, condition) = (doomed.table(), doomed.name(), doomed.condition(before));
        let sql = format!("SELECT {name} FROM {table} o WHERE {condition} ORDER BY created_at, id");
        let rows: Vec<(String,)> = read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).fetch_all(db))?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Deletes some of those rows; gives how many. None: another process has the run. A conflict: something came to
    /// refer to one of them meanwhile, and none was deleted.
    pub async fn delete_some(&self, run: &Run, doomed: Doomed, before: Millis) -> Result<Option<u64>> {
        let (table, key, condition) = (doomed.table(), doomed.key(), doomed.condition(before));
        let sql = format!(
            "DELETE FROM {table} WHERE ({key}) IN
             (SELECT {key} FROM {table} o WHERE {condition} ORDER BY created_at, id LIMIT {DELETED_A_TRANSACTION})"
        );
        self.sweep(run, sql).await
    }
}
