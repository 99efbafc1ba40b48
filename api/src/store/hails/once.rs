//! Requests that an app names, so that they may be repeated: what was answered is answered again for a day.

use std::fmt;

use super::HailRow;
use crate::store::{Result, Store, read, write};

/// How long an answer is remembered, in milliseconds.
pub(super) const REMEMBERED_MS: i64 = 24 * 3_600_000;

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

    /// Removes what is no longer remembered; gives how many.
    pub async fn prune_remembered(&self) -> Result<u64> {
        let before = self.now_ms() - REMEMBERED_MS;
        write!(self, tx => {
            sqlx::query("DELETE FROM idempotency_keys WHERE created_at < $1")
                .bind(before)
                .execute(&mut **tx)
                .await?
                .rows_affected()
        })
    }
}
