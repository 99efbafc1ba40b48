//! What memory holds of taxis: one reading of a taxi with every operator's description of its vehicle.

use std::borrow::Cow;

use serde::Deserialize;

use super::bulk::Text;
use super::{Pool, Result, Store, read};

/// One taxi as one operator describes its vehicle: the columns of `COLUMNS`, in their order.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct ProjectedRow<'a> {
    pub taxi_id: i32,
    #[serde(borrow)]
    pub public_id: Cow<'a, str>,
    pub taxi_version: i64,
    #[serde(borrow)]
    pub insee: Cow<'a, str>,
    #[serde(borrow)]
    pub licence_plate: Cow<'a, str>,
    pub operator_id: i32,
    pub description_version: i64,
    #[serde(borrow)]
    pub status: Cow<'a, str>,
    pub radius: Option<i32>,
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    #[serde(borrow)]
    pub constructor: Cow<'a, str>,
    #[serde(borrow)]
    pub engine: Cow<'a, str>,
    pub nb_seats: Option<i32>,
    /// What the vehicle offers, a bit each, in the order of [`crate::registry::card::characteristics`].
    pub offers: u8,
    pub trial_for: Option<i32>,
}

/// Which taxis to read.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// Those whose number is beyond the first and not beyond the second.
    Between(i32, i32),
    /// One, by its number.
    Taxi(i32),
    /// Those of a vehicle.
    Vehicle(i32),
}

const COLUMNS: &str =
    "t.id, t.public_id, t.version, a.insee, v.licence_plate, d.operator_id, d.version, d.status,
    d.radius, d.model, d.constructor, d.engine, d.nb_seats,
    CASE WHEN d.pet_accepted THEN 1 ELSE 0 END + CASE WHEN d.bike_accepted THEN 2 ELSE 0 END
    + CASE WHEN d.baby_seat THEN 4 ELSE 0 END + CASE WHEN d.wifi THEN 8 ELSE 0 END
    + CASE WHEN d.vasp_handicap THEN 16 ELSE 0 END + CASE WHEN d.amex_accepted THEN 32 ELSE 0 END
    + CASE WHEN d.bank_check_accepted THEN 64 ELSE 0 END, t.trial_for";

const FROM: &str = "taxis t JOIN ads a ON a.id = t.ads_id JOIN vehicles v ON v.id = t.vehicle_id
    JOIN vehicle_descriptions d ON d.vehicle_id = t.vehicle_id";

impl Store {
    /// Taxis with their descriptions, one snapshot, to be read as [`ProjectedRow`]s.
    pub async fn projected(&self, which: Which) -> Result<Text> {
        // One number is asked for as such: of a range of unknown ends PostgreSQL expects hundreds of taxis, and reads
        // whole tables to join them.
        let (condition, numbers) = match which {
            Which::Between(after, upto) => ("t.id > $1 AND t.id <= $2", vec![after, upto]),
            Which::Taxi(id) => ("t.id = $1", vec![id]),
            Which::Vehicle(id) => ("t.vehicle_id = $1", vec![id]),
        };
        let from = format!("{FROM} WHERE {condition}");
        self.text_of("taxis", (COLUMNS, &from), &numbers).await
    }

    /// The number of a taxi.
    pub async fn taxi_called(&self, public_id: &str) -> Result<Option<i32>> {
        let number: Option<(i32,)> = read!(self, db => {
            sqlx::query_as("SELECT id FROM taxis WHERE public_id = $1").bind(public_id).fetch_optional(db)
        })?;
        Ok(number.map(|(id,)| id))
    }

    /// Whether other processes write at any time, of which this one hears a moment later.
    pub fn is_shared(&self) -> bool {
        matches!(self.pool, Pool::Postgres(_))
    }

    /// The highest number that a taxi has; 0 without any.
    pub async fn last_taxi(&self) -> Result<i32> {
        let (last,): (Option<i32>,) =
            read!(self, db => sqlx::query_as("SELECT max(id) FROM taxis").fetch_one(db))?;
        Ok(last.unwrap_or(0))
    }

    /// How many taxis there are. O(taxis).
    pub async fn taxis_there(&self) -> Result<usize> {
        let (count,): (i64,) = read!(self, db => sqlx::query_as("SELECT count(*) FROM taxis").fetch_one(db))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }
}
