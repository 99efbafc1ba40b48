//! What memory holds of taxis: one reading of a taxi with every operator's description of its vehicle.

use sqlx::{AssertSqlSafe, FromRow};

use super::{Pool, Result, Store, read};

/// One taxi as one operator describes its vehicle.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct ProjectedRow {
    pub taxi_id: i32,
    pub public_id: String,
    pub taxi_version: i64,
    pub insee: String,
    pub licence_plate: String,
    pub operator_id: i32,
    pub description_version: i64,
    pub status: String,
    pub radius: Option<i32>,
    pub model: String,
    pub constructor: String,
    pub engine: String,
    pub nb_seats: Option<i32>,
    pub amex_accepted: Option<bool>,
    pub bank_check_accepted: Option<bool>,
    pub wifi: Option<bool>,
    pub baby_seat: Option<bool>,
    pub bike_accepted: Option<bool>,
    pub pet_accepted: Option<bool>,
    pub vasp_handicap: Option<bool>,
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

const SELECT: &str = "SELECT t.id AS taxi_id, t.public_id, t.version AS taxi_version, a.insee,
    v.licence_plate, d.operator_id, d.version AS description_version, d.status, d.radius, d.model, d.constructor,
    d.engine, d.nb_seats,
    d.amex_accepted, d.bank_check_accepted, d.wifi, d.baby_seat, d.bike_accepted, d.pet_accepted, d.vasp_handicap
    FROM taxis t JOIN ads a ON a.id = t.ads_id JOIN vehicles v ON v.id = t.vehicle_id
    JOIN vehicle_descriptions d ON d.vehicle_id = t.vehicle_id";

impl Store {
    /// Taxis with their descriptions, one snapshot, ordered by taxi and operator.
    pub async fn projected(&self, which: Which) -> Result<Vec<ProjectedRow>> {
        // One number is asked for as such: of a range of unknown ends PostgreSQL expects hundreds of taxis, and reads
        // whole tables to join them.
        let (condition, numbers) = match which {
            Which::Between(after, upto) => ("t.id > $1 AND t.id <= $2", vec![after, upto]),
            Which::Taxi(id) => ("t.id = $1", vec![id]),
            Which::Vehicle(id) => ("t.vehicle_id = $1", vec![id]),
        };
        let sql = format!("{SELECT} WHERE {condition} ORDER BY t.id, d.operator_id");
        read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(sql));
            numbers.into_iter().fold(query, sqlx::query::QueryAs::bind).fetch_all(db)
        })
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
}
