//! Taxi stations.

use sqlx::FromRow;

use super::places::Imported;
use super::{Result, Store, read, write};

/// A station, by the national schema of stations.
#[derive(Clone, Debug, FromRow, PartialEq, Eq)]
pub struct StationRow {
    /// As `38185-T-001`.
    pub id: String,
    /// Name.
    pub name: String,
    /// INSEE code of its town.
    pub insee: String,
    /// Latitude, in E7.
    pub lat_e7: i32,
    /// Longitude, in E7.
    pub lon_e7: i32,
    /// Address; may be empty.
    pub address: String,
    /// How many taxis may wait; None where nobody said.
    pub places: Option<i32>,
    /// Its telephone's number; may be empty.
    pub call_number: String,
    /// For customers; may be empty.
    pub info: String,
}

impl Store {
    /// Every station, by id.
    pub async fn stations(&self) -> Result<Vec<StationRow>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT id, name, insee, lat_e7, lon_e7, address, places, call_number, info FROM stations ORDER BY id",
            )
            .fetch_all(db)
        })
    }

    /// Adds or updates stations in one transaction, telling after each how many are done.
    pub async fn import_stations(&self, rows: &[StationRow], progress: impl Fn(usize)) -> Result<Imported> {
        let now = self.now_ms();
        write!(self, tx => {
            let mut imported = Imported::default();
            for (done, row) in rows.iter().enumerate() {
                let before: Option<StationRow> = sqlx::query_as(
                    "SELECT id, name, insee, lat_e7, lon_e7, address, places, call_number, info
                     FROM stations WHERE id = $1",
                )
                .bind(&row.id)
                .fetch_optional(&mut **tx)
                .await?;
                let same = before.map(|before| before == *row);
                if same != Some(true) {
                    sqlx::query(
                        "INSERT INTO stations (id, name, insee, lat_e7, lon_e7, address, places, call_number, info,
                             created_at, updated_at)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
                         ON CONFLICT (id) DO UPDATE SET name = excluded.name, insee = excluded.insee,
                             lat_e7 = excluded.lat_e7, lon_e7 = excluded.lon_e7, address = excluded.address,
                             places = excluded.places, call_number = excluded.call_number, info = excluded.info,
                             updated_at = excluded.updated_at",
                    )
                    .bind(&row.id)
                    .bind(&row.name)
                    .bind(&row.insee)
                    .bind(row.lat_e7)
                    .bind(row.lon_e7)
                    .bind(&row.address)
                    .bind(row.places)
                    .bind(&row.call_number)
                    .bind(&row.info)
                    .bind(now)
                    .execute(&mut **tx)
                    .await?;
                }
                imported.count(same);
                progress(done + 1);
            }
            imported
        })
    }
}
