//! Where the taxis of hails were while these lasted.

use sqlx::{AssertSqlSafe, FromRow};

use super::due::numbers;
use crate::limits::{TRACK_POSITIONS_MAX, TRACKED_A_TRANSACTION};
use crate::store::{Result, Store, read, write};

/// Of so many milliseconds a position is kept.
pub const SLOT_MS: i64 = 10_000;

/// A hail that has not ended, and its taxi as an operator reports it.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the table")]
pub struct Tracked {
    pub id: String,
    pub operator_id: i32,
    pub taxi_id: i32,
    pub created_at: i64,
}

/// Where a hail's taxi was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Sight {
    /// When its position was received, in milliseconds since 1970.
    pub at: i64,
    /// In 1e-7 degrees; so is the longitude.
    pub lat_e7: i32,
    #[expect(missing_docs, reason = "told above")]
    pub lon_e7: i32,
}

impl Sight {
    /// The number of its ten seconds.
    pub fn slot(&self) -> i64 {
        self.at.div_euclid(SLOT_MS)
    }
}

impl Store {
    /// Hails that have not ended.
    pub async fn hails_tracked(&self, limit: i64) -> Result<Vec<Tracked>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT id, operator_id, taxi_id, created_at FROM hails
                 WHERE deadline_at IS NOT NULL AND blurred_at IS NULL ORDER BY deadline_at LIMIT $1",
            )
            .bind(limit)
            .fetch_all(db)
        })
    }

    /// Keeps where the taxis of hails are, each for its ten seconds; several processes may, and the first one's stays.
    /// A hail that was removed meanwhile is left out.
    pub async fn save_sights(&self, seen: &[(&str, Sight)]) -> Result<()> {
        for some in seen.chunks(TRACKED_A_TRANSACTION) {
            let row = |(place, (_, sight)): (usize, &(&str, Sight))| {
                let Sight { at, lat_e7, lon_e7 } = sight;
                format!("(${}, {}, {at}, {lat_e7}, {lon_e7})", place + 1, sight.slot())
            };
            let rows: Vec<_> = some.iter().enumerate().map(row).collect();
            let sql = format!(
                "INSERT INTO hail_positions (hail_id, slot, at, lat_e7, lon_e7)
                 SELECT h.id, v.column2, v.column3, v.column4, v.column5
                 FROM (VALUES {}) AS v, hails h WHERE h.id = v.column1 ORDER BY h.id
                 ON CONFLICT (hail_id, slot) DO NOTHING",
                rows.join(", ")
            );
            write!(self, tx => {
                let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
                some.iter().fold(query, |query, (hail, _)| query.bind(*hail)).execute(&mut **tx).await?;
            })?;
        }
        Ok(())
    }

    /// Where a hail's taxi was: when the hail was made, then while it lasted, in order. Nothing of one that is blurred.
    pub async fn track(&self, hail: &str) -> Result<Vec<Sight>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT created_at AS at, taxi_lat_e7 AS lat_e7, taxi_lon_e7 AS lon_e7 FROM hails
                 WHERE id = $1 AND blurred_at IS NULL
                 UNION ALL SELECT at, lat_e7, lon_e7 FROM hail_positions WHERE hail_id = $1 ORDER BY at LIMIT $2",
            )
            .bind(hail)
            .bind(TRACK_POSITIONS_MAX)
            .fetch_all(db)
        })
    }
}

/// The statement that removes where the taxis of so many hails were, which are its parameters.
pub(in crate::store) fn forget(hails: usize) -> String {
    format!("DELETE FROM hail_positions WHERE hail_id IN ({})", numbers(1, hails))
}
