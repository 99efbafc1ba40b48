//! What the archive's numbers stand for, read whole.

use sqlx::FromRow;

use super::{Result, Store, read};
use crate::limits::TAXIS_A_READING;

/// A taxi as an operator registered it.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct RegisteredTaxi {
    pub id: i32,
    pub public_id: String,
    pub operator_id: i32,
    pub insee: String,
    pub licence_plate: String,
    pub created_at: i64,
}

/// An ADS as an operator registered it.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct RegisteredAds {
    pub id: i32,
    pub insee: String,
    pub numero: String,
    pub operator_id: i32,
    pub created_at: i64,
}

impl Store {
    /// Every taxi, by number.
    pub async fn registered_taxis(&self) -> Result<Vec<RegisteredTaxi>> {
        let mut taxis: Vec<RegisteredTaxi> = Vec::new();
        loop {
            let after = taxis.last().map_or(0, |taxi| taxi.id);
            let part: Vec<RegisteredTaxi> = read!(self, db => {
                sqlx::query_as(
                    "SELECT t.id, t.public_id, t.operator_id, a.insee, v.licence_plate, t.created_at
                     FROM taxis t JOIN ads a ON a.id = t.ads_id JOIN vehicles v ON v.id = t.vehicle_id
                     WHERE t.id > $1 ORDER BY t.id LIMIT $2",
                )
                .bind(after)
                .bind(i64::from(TAXIS_A_READING))
                .fetch_all(db)
            })?;
            if part.is_empty() {
                return Ok(taxis);
            }
            taxis.extend(part);
        }
    }

    /// Every ADS, by its row.
    pub async fn registered_ads(&self) -> Result<Vec<RegisteredAds>> {
        let mut all: Vec<RegisteredAds> = Vec::new();
        loop {
            let after = all.last().map_or(0, |ads| ads.id);
            let part: Vec<RegisteredAds> = read!(self, db => {
                sqlx::query_as(
                    "SELECT id, insee, numero, operator_id, created_at FROM ads WHERE id > $1 ORDER BY id LIMIT $2",
                )
                .bind(after)
                .bind(i64::from(TAXIS_A_READING))
                .fetch_all(db)
            })?;
            if part.is_empty() {
                return Ok(all);
            }
            all.extend(part);
        }
    }
}
