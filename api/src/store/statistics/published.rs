//! What published statistics of a month are made of.

use std::ops::Range;

use engine::heard::HOUR_MS;
use ingest::clock::Millis;
use sqlx::{AssertSqlSafe, FromRow};

use crate::statistics::outcome::Outcome;
use crate::store::{Result, Store, read};

/// A copied hail.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct MonthsHail {
    pub insee: String,
    #[sqlx(try_from = "String")]
    pub outcome: Outcome,
    /// Which vehicle was hailed, and by whose customer; None once the hail itself is deleted.
    pub vehicle_id: Option<i64>,
    pub app_id: Option<i64>,
    pub customer_id: Option<String>,
    /// Where the customer was; None once that is blurred.
    pub customer_lat_e7: Option<i32>,
    pub customer_lon_e7: Option<i32>,
}

/// A side of a hail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party<'a> {
    /// The number of the vehicle: one for each plate, whoever registers it, with whatever ADS and driver.
    Vehicle(i64),
    /// The app's number, and the customer's name there.
    Customer(i64, &'a str),
}

impl MonthsHail {
    /// Both sides, while they are known.
    pub fn parties(&self) -> Option<[Party<'_>; 2]> {
        let customer = Party::Customer(self.app_id?, self.customer_id.as_deref()?);
        Some([Party::Vehicle(self.vehicle_id?), customer])
    }
}

/// How often as many vehicles of a town were connected within an hour, each one taxi whoever registers it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct MonthsHours {
    /// The town of their ADS.
    pub insee: String,
    /// Which quarter of the day, from 0.
    pub quarter: i64,
    /// How many vehicles.
    pub taxis: i64,
    /// In how many hours.
    pub hours: i64,
}

impl Store {
    /// The hails of a town that were added within this time.
    pub async fn hails_of_month(&self, month: &Range<Millis>) -> Result<Vec<MonthsHail>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT c.insee, c.outcome, CAST(t.vehicle_id AS BIGINT) AS vehicle_id,
                 CAST(h.app_id AS BIGINT) AS app_id, h.customer_id,
                 CASE WHEN h.blurred_at IS NULL THEN h.customer_lat_e7 END AS customer_lat_e7,
                 CASE WHEN h.blurred_at IS NULL THEN h.customer_lon_e7 END AS customer_lon_e7
                 FROM hail_copies c LEFT JOIN hails h ON h.id = c.id LEFT JOIN taxis t ON t.id = h.taxi_id
                 WHERE c.added_at >= $1 AND c.added_at < $2 AND c.insee IS NOT NULL",
            )
            .bind(month.start.0)
            .bind(month.end.0)
            .fetch_all(db)
        })
    }

    /// The hours that began within this time, by town, quarter of the day (UTC) and number of connected vehicles.
    pub async fn hours_of_month(&self, month: &Range<Millis>) -> Result<Vec<MonthsHours>> {
        let sql = format!(
            "SELECT insee, CAST(hour / {HOUR_MS} % 24 / 6 AS BIGINT) AS quarter, vehicles AS taxis, count(*) AS hours
             FROM connected_vehicles WHERE hour >= $1 AND hour < $2 GROUP BY insee, quarter, vehicles"
        );
        read!(self, db => {
            sqlx::query_as(AssertSqlSafe(sql)).bind(month.start.0).bind(month.end.0).fetch_all(db)
        })
    }

    /// When the first day with copied hails began; None without any.
    pub async fn first_copied_day(&self) -> Result<Option<Millis>> {
        let (first,): (Option<i64>,) =
            read!(self, db => sqlx::query_as("SELECT min(day) FROM hail_days").fetch_one(db))?;
        Ok(first.map(Millis))
    }

    /// The first hour of which connected vehicles were counted, and the first that is not counted yet; each None
    /// without any.
    pub async fn hours_counted(&self) -> Result<(Option<Millis>, Option<Millis>)> {
        let (first, uncounted): (Option<i64>, Option<i64>) = read!(self, db => {
            sqlx::query_as("SELECT (SELECT min(hour) FROM connected_vehicles), (SELECT min(hour) FROM heard_hours)")
                .fetch_one(db)
        })?;
        Ok((first.map(Millis), uncounted.map(Millis)))
    }
}
