//! What copies of hails add up to, as figures are made of it; and how many hails there are, and where, of those kept.

use std::ops::Range;

use ingest::clock::Millis;
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, FromRow, Row, Type};

use super::copies::DELAYS;
use crate::statistics::filter::Filter;
use crate::statistics::outcome::Outcome;
use crate::store::{Result, Store, read};

/// Copies of hails that came out alike, of one day or of a part of one.
#[derive(Clone, Copy, Debug, PartialEq, FromRow)]
pub struct Tally {
    /// When the day began, in milliseconds since 1970.
    pub day: i64,
    /// How they came out.
    #[sqlx(try_from = "String")]
    pub outcome: Outcome,
    /// How many there are.
    pub copies: i64,
    /// Of how many the distance is known.
    pub distances: i64,
    /// These distances together, in metres.
    pub distance_m: f64,
}

/// How long it took from one transition to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// In how many hails.
    pub hails: i64,
    /// In all of them together.
    pub took_ms: i64,
}

/// The delays of which figures tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays([Delay; DELAYS.len()]);

impl Delays {
    /// The one of this name; none of another.
    pub fn named(&self, name: &str) -> Delay {
        let mut named = DELAYS.iter().zip(self.0);
        named.find(|((delay, ..), _)| *delay == name).map(|(_, delay)| delay).unwrap_or_default()
    }
}

impl<'r, R: Row> FromRow<'r, R> for Delays
where
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let mut delays = Self::default();
        for (place, delay) in delays.0.iter_mut().enumerate() {
            *delay = Delay { hails: row.try_get(2 * place)?, took_ms: row.try_get(2 * place + 1)? };
        }
        Ok(delays)
    }
}

impl Store {
    /// What the copies of each day add up to.
    pub async fn copies_by_day(&self, filter: &Filter) -> Result<Vec<Tally>> {
        let sql = format!(
            "SELECT day, outcome, CAST(sum(copies) AS BIGINT) AS copies, CAST(sum(distances) AS BIGINT) AS distances,
             sum(distance_m) AS distance_m FROM hail_days WHERE {} GROUP BY day, outcome",
            condition(filter)
        );
        read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(db))
    }

    /// What the copies of hails add up to that were added within a part of a day.
    pub async fn copies_within(&self, filter: &Filter, part: &Range<Millis>) -> Result<Vec<Tally>> {
        let Range { start, end } = part;
        let sql = format!(
            "SELECT CAST({} AS BIGINT) AS day, outcome, count(*) AS copies, count(distance_m) AS distances,
             coalesce(sum(distance_m), 0.0) AS distance_m FROM hail_copies
             WHERE added_at >= {} AND added_at < {} AND {} GROUP BY outcome",
            start.0,
            start.0,
            end.0,
            condition(filter)
        );
        read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(db))
    }

    /// How long all copied hails took.
    pub async fn copies_delays(&self, filter: &Filter) -> Result<Delays> {
        let sum = |column: &str| format!("coalesce(CAST(sum({column}) AS BIGINT), 0)");
        let sums = DELAYS.map(|(name, ..)| format!("{}, {}", sum(name), sum(&format!("{name}_ms"))));
        let sql = format!("SELECT {} FROM hail_days WHERE {}", sums.join(", "), condition(filter));
        read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_one(db))
    }

    /// The hash of the taxi of each copy of a hail added within these days: an index's entry for each, twenty bytes of
    /// text.
    pub async fn taxis_of_copies(&self, days: &Range<Millis>) -> Result<Vec<i64>> {
        let (start, end) = (days.start.0, days.end.0);
        let within = format!("hail_copies WHERE added_at >= {start} AND added_at < {end}");
        self.numbers_of("hail_copies", "taxi_hash", &within).await
    }

    /// Where the customer of each hail that is kept was, as latitude and longitude in 1e-7 degrees: an index's entry
    /// for each. No map has those of trials.
    pub async fn customers_at(&self) -> Result<Vec<(i32, i32)>> {
        self.customers_of("hails WHERE NOT is_trial").await
    }

    /// The same of hails that are not blurred: a row for each.
    pub async fn customers_exactly_at(&self) -> Result<Vec<(i32, i32)>> {
        self.customers_of("hails WHERE blurred_at IS NULL AND NOT is_trial").await
    }

    /// About 25 bytes of text a hail.
    async fn customers_of(&self, hails: &str) -> Result<Vec<(i32, i32)>> {
        self.text_of("hails", ("customer_lat_e7, customer_lon_e7", hails), &[]).await?.rows()
    }

    /// How many hails were made since then, but for those of trials: two indexes' entries.
    pub async fn hails_since(&self, since: Millis) -> Result<u64> {
        let (count,): (i64,) = read!(self, db => {
            sqlx::query_as(
                "SELECT (SELECT COUNT(*) FROM hails WHERE created_at >= $1)
                 - (SELECT COUNT(*) FROM hails WHERE created_at >= $1 AND is_trial)",
            )
            .bind(since.0)
            .fetch_one(db)
        })?;
        Ok(count.unsigned_abs())
    }
}

/// Narrows copies by the customer's town and the operator. Of a day, no town is an empty text, which no filter takes.
fn condition(filter: &Filter) -> String {
    filter.condition("insee", "operator_id")
}
