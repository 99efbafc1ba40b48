//! Copies of hails as the archive takes them: by whole days, a page at a time.

use ingest::clock::Millis;
use sqlx::FromRow;

use crate::limits::ARCHIVED_COPIES_A_PAGE;
use crate::statistics::calendar::DAY_MS;
use crate::store::{Result, Store, read};

/// A copy, and which taxi it is of as long as its hail is there.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct ArchivedRow {
    pub id: String,
    pub added_at: i64,
    pub status: String,
    pub operator_id: i32,
    pub app_id: i32,
    pub taxi_id: Option<i32>,
    pub insee: Option<String>,
    pub distance_m: Option<f64>,
    #[sqlx(flatten)]
    pub entered: Entered,
}

/// When a hail came into each status that it came into.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the table")]
pub struct Entered {
    pub received_at: Option<i64>,
    pub sent_to_operator_at: Option<i64>,
    pub received_by_operator_at: Option<i64>,
    pub received_by_taxi_at: Option<i64>,
    pub accepted_by_taxi_at: Option<i64>,
    pub accepted_by_customer_at: Option<i64>,
    pub customer_on_board_at: Option<i64>,
    pub finished_at: Option<i64>,
    pub failure_at: Option<i64>,
    pub declined_by_taxi_at: Option<i64>,
    pub incident_taxi_at: Option<i64>,
    pub timeout_taxi_at: Option<i64>,
    pub declined_by_customer_at: Option<i64>,
    pub incident_customer_at: Option<i64>,
    pub timeout_customer_at: Option<i64>,
}

impl Store {
    /// Before when every hail that was made has its copy; None: none was ever copied.
    pub async fn hails_copied_until(&self) -> Result<Option<Millis>> {
        let (due_at,): (Option<i64>,) = read!(self, db => {
            sqlx::query_as(
                "SELECT max(due_at) FROM daily_runs WHERE name = 'copy_hails' AND ended_at IS NOT NULL",
            )
            .fetch_one(db)
        })?;
        Ok(due_at.map(|due_at| Millis(due_at).plus(-DAY_MS)))
    }

    /// The days that end then or before and have copies: when each began, and how many it has.
    pub async fn copied_days(&self, until: Millis) -> Result<Vec<(Millis, u64)>> {
        let days: Vec<(i64, i64)> = read!(self, db => {
            sqlx::query_as(
                "SELECT day, CAST(sum(copies) AS BIGINT) FROM hail_days WHERE day <= $1 GROUP BY day ORDER BY day",
            )
            .bind(until.plus(-DAY_MS).0)
            .fetch_all(db)
        })?;
        Ok(days.into_iter().map(|(day, copies)| (Millis(day), copies.unsigned_abs())).collect())
    }

    /// Copies of hails added in the day that began then, in order, those after one of them: some, or none where there
    /// are no more.
    pub async fn copies_of_day(&self, day: Millis, after: Option<&ArchivedRow>) -> Result<Vec<ArchivedRow>> {
        let (added_at, id) = after.map_or((day.0, ""), |row| (row.added_at, row.id.as_str()));
        read!(self, db => {
            sqlx::query_as(
                "SELECT c.id, c.added_at, c.status, c.operator_id, c.app_id, h.taxi_id, c.insee, c.distance_m,
                 c.received_at, c.sent_to_operator_at, c.received_by_operator_at, c.received_by_taxi_at,
                 c.accepted_by_taxi_at, c.accepted_by_customer_at, c.customer_on_board_at, c.finished_at, c.failure_at,
                 c.declined_by_taxi_at, c.incident_taxi_at, c.timeout_taxi_at, c.declined_by_customer_at,
                 c.incident_customer_at, c.timeout_customer_at
                 FROM hail_copies c LEFT JOIN hails h ON h.id = c.id
                 WHERE c.added_at >= $1 AND c.added_at < $2 AND (c.added_at > $1 OR c.id > $3)
                 ORDER BY c.added_at, c.id LIMIT $4",
            )
            .bind(added_at)
            .bind(day.plus(DAY_MS).0)
            .bind(id)
            .bind(ARCHIVED_COPIES_A_PAGE)
            .fetch_all(db)
        })
    }
}
