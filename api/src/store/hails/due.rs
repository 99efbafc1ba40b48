//! What is due of hails: deadlines that have passed, operators to be called.

use sqlx::AssertSqlSafe;

use crate::store::{Pool, Result, Store, read, write};

impl Store {
    /// Hails whose status has lasted as long as it may, the longest overdue first.
    pub async fn hails_overdue(&self, limit: i64) -> Result<Vec<String>> {
        let now = self.now_ms();
        let rows: Vec<(String,)> = read!(self, db => {
            sqlx::query_as("SELECT id FROM hails WHERE deadline_at <= $1 ORDER BY deadline_at, id LIMIT $2")
                .bind(now)
                .bind(limit)
                .fetch_all(db)
        })?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Calls that are due, the oldest first, but those of some operators: hails and their operators.
    pub async fn calls_due(&self, but: &[i32], limit: i64) -> Result<Vec<(String, i32)>> {
        let now = self.now_ms();
        let others = if but.is_empty() {
            String::new()
        } else {
            format!(" AND operator_id NOT IN ({})", numbers(3, but.len()))
        };
        let sql = format!(
            "SELECT id, operator_id FROM hails WHERE call_due_at <= $1{others} ORDER BY call_due_at, id LIMIT $2"
        );
        read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(sql)).bind(now).bind(limit);
            but.iter().fold(query, |query, operator| query.bind(*operator)).fetch_all(db)
        })
    }

    /// Takes those of these calls that are still due: no other process takes them within the next `lease_ms`.
    pub async fn claim_calls(&self, hails: &[String], lease_ms: i64) -> Result<Vec<String>> {
        let lock = match self.pool {
            Pool::Sqlite { .. } => "",
            Pool::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        };
        let sql = format!(
            "UPDATE hails SET call_due_at = $2 WHERE id IN
             (SELECT id FROM hails WHERE call_due_at <= $1 AND id IN ({}){lock}) RETURNING id",
            numbers(3, hails.len())
        );
        let rows: Vec<(String,)> = write!(self, tx => {
            // Whoever waited for the writer begins to count now.
            let now = self.now_ms();
            let query = sqlx::query_as(AssertSqlSafe(sql)).bind(now).bind(now + lease_ms);
            hails.iter().fold(query, sqlx::query::QueryAs::bind).fetch_all(&mut **tx).await?
        })?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Keeps calls of one's own from others for `lease_ms` more.
    pub async fn renew_calls(&self, hails: &[String], lease_ms: i64) -> Result<()> {
        let sql = format!(
            "UPDATE hails SET call_due_at = $1 WHERE call_due_at IS NOT NULL AND id IN ({})",
            numbers(2, hails.len())
        );
        write!(self, tx => {
            let query = sqlx::query(AssertSqlSafe(sql)).bind(self.now_ms() + lease_ms);
            hails.iter().fold(query, sqlx::query::Query::bind).execute(&mut **tx).await?;
        })
    }
}

/// So many parameters, from this number on.
pub(in crate::store) fn numbers(first: usize, count: usize) -> String {
    let each: Vec<_> = (first..first + count).map(|number| format!("${number}")).collect();
    each.join(", ")
}
