//! What is due of hails: deadlines that have passed, operators to be called.

use sqlx::AssertSqlSafe;

use crate::store::{Pool, Result, Store, read, write};

impl Store {
    /// Hails whose status has lasted as long as it may, the longest overdue first, and since when (milliseconds since
    /// 1970).
    pub async fn hails_overdue(&self, limit: i64) -> Result<Vec<(String, i64)>> {
        let now = self.now_ms();
        read!(self, db => {
            sqlx::query_as(
                "SELECT id, deadline_at FROM hails WHERE deadline_at <= $1 ORDER BY deadline_at, id LIMIT $2",
            )
            .bind(now)
            .bind(limit)
            .fetch_all(db)
        })
    }

    /// Takes calls that are due, the oldest first: no other process takes them within the next `lease_ms`.
    pub async fn claim_calls(&self, limit: i64, lease_ms: i64) -> Result<Vec<String>> {
        let now = self.now_ms();
        let due = "SELECT id FROM hails WHERE call_due_at <= $1 ORDER BY call_due_at, id LIMIT $2";
        // Mostly there is none: whoever only looks keeps no writer waiting.
        let some: Vec<(String,)> =
            read!(self, db => sqlx::query_as(due).bind(now).bind(1_i64).fetch_all(db))?;
        if some.is_empty() {
            return Ok(Vec::new());
        }
        let lock = match self.pool {
            Pool::Sqlite { .. } => "",
            Pool::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        };
        let claim = format!("UPDATE hails SET call_due_at = $3 WHERE id IN ({due}{lock}) RETURNING id");
        let rows: Vec<(String,)> = write!(self, tx => {
            sqlx::query_as(AssertSqlSafe(claim))
                .bind(now)
                .bind(limit)
                .bind(now + lease_ms)
                .fetch_all(&mut **tx)
                .await?
        })?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Keeps a call of one's own from others for `lease_ms` more.
    pub async fn renew_call(&self, hail: &str, lease_ms: i64) -> Result<()> {
        let until = self.now_ms() + lease_ms;
        write!(self, tx => {
            sqlx::query("UPDATE hails SET call_due_at = $2 WHERE id = $1 AND call_due_at IS NOT NULL")
                .bind(hail)
                .bind(until)
                .execute(&mut **tx)
                .await?;
        })
    }
}
