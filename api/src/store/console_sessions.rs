//! Sessions of the console: by the hash of their token, for twelve hours.

use sqlx::FromRow;

use super::{Result, Store, read, write};
use crate::limits::{SESSION_LASTS, SESSIONS_AN_ACCOUNT};

/// Who is logged in, and for whom they act.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct ConsoleSessionRow {
    /// Who logged in.
    pub user_id: i32,
    /// For which account they act, if another.
    pub acting_as: Option<i32>,
}

impl Store {
    /// Begins a session of an account whose password still has this hash. False: it has another one by now. Of many
    /// sessions of an account the oldest end.
    pub async fn begin_console_session(
        &self,
        token_sha256: &str,
        user: i32,
        password_hash: &str,
    ) -> Result<bool> {
        let now = self.now_ms();
        write!(self, tx => {
            // Locks the account: a password changes before this, or after it and ends the session.
            let stands = sqlx::query("UPDATE users SET version = version WHERE id = $1 AND password_hash = $2")
                .bind(user)
                .bind(password_hash)
                .execute(&mut **tx)
                .await?
                .rows_affected();
            if stands == 1 {
                sqlx::query("INSERT INTO console_sessions (token_sha256, user_id, started_at) VALUES ($1, $2, $3)")
                    .bind(token_sha256)
                    .bind(user)
                    .bind(now)
                    .execute(&mut **tx)
                    .await?;
                sqlx::query(
                    "DELETE FROM console_sessions WHERE user_id = $1 AND token_sha256 NOT IN (
                        SELECT token_sha256 FROM console_sessions WHERE user_id = $1
                        ORDER BY started_at DESC, token_sha256 LIMIT $2)",
                )
                .bind(user)
                .bind(SESSIONS_AN_ACCOUNT)
                .execute(&mut **tx)
                .await?;
            }
            stands == 1
        })
    }

    /// A session that lasts.
    pub async fn console_session(&self, token_sha256: &str) -> Result<Option<ConsoleSessionRow>> {
        let since = self.oldest_session();
        read!(self, db => {
            sqlx::query_as(
                "SELECT user_id, acting_as FROM console_sessions WHERE token_sha256 = $1 AND started_at > $2",
            )
            .bind(token_sha256)
            .bind(since)
            .fetch_optional(db)
        })
    }

    /// Says for which account a session acts; None: its own.
    pub async fn act_in_console(&self, token_sha256: &str, acting_as: Option<i32>) -> Result<()> {
        write!(self, tx => {
            sqlx::query("UPDATE console_sessions SET acting_as = $2 WHERE token_sha256 = $1")
                .bind(token_sha256)
                .bind(acting_as)
                .execute(&mut **tx)
                .await?;
        })
    }

    /// Ends a session.
    pub async fn end_console_session(&self, token_sha256: &str) -> Result<()> {
        write!(self, tx => {
            sqlx::query("DELETE FROM console_sessions WHERE token_sha256 = $1")
                .bind(token_sha256)
                .execute(&mut **tx)
                .await?;
        })
    }

    /// Removes sessions that are over; gives how many.
    pub async fn prune_console_sessions(&self) -> Result<u64> {
        let since = self.oldest_session();
        write!(self, tx => {
            sqlx::query("DELETE FROM console_sessions WHERE started_at <= $1")
                .bind(since)
                .execute(&mut **tx)
                .await?
                .rows_affected()
        })
    }

    /// What began then or before is over.
    fn oldest_session(&self) -> i64 {
        self.now_ms() - i64::try_from(SESSION_LASTS.as_millis()).unwrap_or(i64::MAX)
    }
}
