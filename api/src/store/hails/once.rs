//! Requests that an app names, so that they may be repeated: what was answered is answered again for a day.

use std::fmt;

use super::HailRow;
use crate::store::{Result, Store, read, write};

/// How long an answer is remembered, in milliseconds.
pub(super) const REMEMBERED_MS: i64 = 24 * 3_600_000;

/// How many are removed in one transaction, so that no other write waits for long.
const PRUNED_AT_ONCE: i64 = 1_000;

/// A request that is to take effect once.
pub struct Once {
    /// The name that the app gave it.
    pub key: String,
    /// SHA-256 of its body, in hexadecimal: the same name for something else is a mistake.
    pub body_sha256: String,
    /// What is answered once the hail is made.
    pub answer: Box<dyn Fn(&HailRow) -> String + Send + Sync>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Store {
    /// What an app was answered under this name: the digest of the request's body, and the answer.
    pub async fn remembered(&self, app: i32, key: &str) -> Result<Option<(String, String)>> {
        let since = self.now_ms() - REMEMBERED_MS;
        read!(self, db => {
            sqlx::query_as(
                "SELECT body_sha256, answer FROM idempotency_keys
                 WHERE app_id = $1 AND key = $2 AND created_at >= $3",
            )
            .bind(app)
            .bind(key)
            .bind(since)
            .fetch_optional(db)
        })
    }

    /// Notes that an app asked again under this name.
    pub async fn note_repeated(&self, app: i32, key: &str) -> Result<()> {
        write!(self, tx => {
            sqlx::query(
                "UPDATE idempotency_keys SET is_repeated = TRUE WHERE app_id = $1 AND key = $2 AND NOT is_repeated",
            )
            .bind(app)
            .bind(key)
            .execute(&mut **tx)
            .await?;
        })
    }

    /// Removes what is no longer remembered, a part at a time; gives how many.
    pub async fn prune_remembered(&self) -> Result<u64> {
        let before = self.now_ms() - REMEMBERED_MS;
        let mut pruned = 0;
        loop {
            let some = write!(self, tx => {
                sqlx::query(
                    "DELETE FROM idempotency_keys WHERE (app_id, key) IN
                     (SELECT app_id, key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
                )
                .bind(before)
                .bind(PRUNED_AT_ONCE)
                .execute(&mut **tx)
                .await?
                .rows_affected()
            })?;
            pruned += some;
            if some == 0 {
                return Ok(pruned);
            }
        }
    }
}
