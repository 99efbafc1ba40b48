//! What is asked before a hail is made, in its transaction, on either database.

use sqlx::postgres::PgConnection;
use sqlx::{FromRow, SqliteConnection};

use super::once::{Once, REMEMBERED_MS};
use crate::store::Result;

/// An operator's description of a vehicle, as a hail needs it.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Described {
    pub(super) id: i32,
    pub(super) operator_id: i32,
    pub(super) status: String,
    pub(super) vehicle_id: i32,
    /// The taxi's.
    pub(super) public_id: String,
    /// The hail that it follows goes on.
    pub(super) is_held: bool,
    /// When the ban of the customer who hails it ends.
    pub(super) ban_end: Option<i64>,
}

impl Described {
    /// Whether a hail has the vehicle, and its operator has not said otherwise since.
    pub(super) fn is_taken(&self) -> bool {
        self.is_held && !["free", "off"].contains(&self.status.as_str())
    }
}

/// Questions, and the writes that answer them. `now` is in milliseconds since 1970 throughout.
pub(super) trait Rows {
    /// Keeps others from a taxi's vehicle until the transaction ends.
    async fn hold_vehicle(&mut self, taxi: i32) -> Result<()>;
    /// Whose session of an app it is.
    async fn customer_of(&mut self, app: i32, session: &str) -> Result<Option<String>>;
    /// The session of a customer's hail that moved last, if it moved after that.
    async fn session_after(&mut self, app: i32, customer: &str, after: i64) -> Result<Option<String>>;
    /// Adds a request that is to take effect once; false: its answer is remembered.
    async fn begin_once(&mut self, app: i32, once: &Once, now: i64) -> Result<bool>;
    /// Remembers the answer to it.
    async fn end_once(&mut self, app: i32, key: &str, hail: &str, answer: &str) -> Result<()>;
    /// Adds a customer, unless there is one; whoever else hails for this customer waits from here on.
    async fn put_customer(&mut self, app: i32, customer: &str, now: i64) -> Result<()>;
}

macro_rules! rows {
    ($connection:ty, $hold_vehicle:expr) => {
        impl Rows for $connection {
            async fn hold_vehicle(&mut self, taxi: i32) -> Result<()> {
                let sql: Option<&'static str> = $hold_vehicle;
                if let Some(sql) = sql {
                    sqlx::query(sql).bind(taxi).execute(self).await?;
                }
                Ok(())
            }

            async fn customer_of(&mut self, app: i32, session: &str) -> Result<Option<String>> {
                let row: Option<(String,)> =
                    sqlx::query_as("SELECT customer_id FROM hail_sessions WHERE id = $1 AND app_id = $2")
                        .bind(session)
                        .bind(app)
                        .fetch_optional(self)
                        .await?;
                Ok(row.map(|row| row.0))
            }

            async fn session_after(&mut self, app: i32, customer: &str, after: i64) -> Result<Option<String>> {
                let row: Option<(String,)> = sqlx::query_as(
                    "SELECT session_id FROM hails WHERE app_id = $1 AND customer_id = $2 AND status_at > $3
                     ORDER BY status_at DESC LIMIT 1",
                )
                .bind(app)
                .bind(customer)
                .bind(after)
                .fetch_optional(self)
                .await?;
                Ok(row.map(|row| row.0))
            }

            async fn begin_once(&mut self, app: i32, once: &Once, now: i64) -> Result<bool> {
                // What is remembered no longer is replaced.
                let begun = sqlx::query(
                    "INSERT INTO idempotency_keys (app_id, key, body_sha256, answer, created_at)
                     VALUES ($1, $2, $3, '', $4)
                     ON CONFLICT (app_id, key) DO UPDATE
                     SET body_sha256 = $3, answer = '', created_at = $4, hail_id = NULL, is_repeated = FALSE
                     WHERE idempotency_keys.created_at < $4 - $5",
                )
                .bind(app)
                .bind(&once.key)
                .bind(&once.body_sha256)
                .bind(now)
                .bind(REMEMBERED_MS)
                .execute(self)
                .await?;
                Ok(begun.rows_affected() == 1)
            }

            async fn end_once(&mut self, app: i32, key: &str, hail: &str, answer: &str) -> Result<()> {
                sqlx::query("UPDATE idempotency_keys SET answer = $3, hail_id = $4 WHERE app_id = $1 AND key = $2")
                    .bind(app)
                    .bind(key)
                    .bind(answer)
                    .bind(hail)
                    .execute(self)
                    .await?;
                Ok(())
            }

            async fn put_customer(&mut self, app: i32, customer: &str, now: i64) -> Result<()> {
                sqlx::query(
                    "INSERT INTO customers (app_id, id, created_at, updated_at) VALUES ($1, $2, $3, $3)
                     ON CONFLICT (app_id, id) DO UPDATE SET updated_at = customers.updated_at",
                )
                .bind(app)
                .bind(customer)
                .bind(now)
                .execute(self)
                .await?;
                Ok(())
            }
        }
    };
}

// No other transaction writes.
rows!(SqliteConnection, None);
rows!(
    PgConnection,
    Some(
        "SELECT d.id FROM vehicle_descriptions d JOIN taxis t ON t.vehicle_id = d.vehicle_id WHERE t.id = $1
         ORDER BY d.id FOR UPDATE OF d"
    )
);
