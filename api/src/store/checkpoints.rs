//! `SQLite`'s checkpoints, beside its writer: what the write-ahead log holds goes to the database.
//!
//! By itself `SQLite` does that in every thousandth page's commit, which then takes a tenth of a second. Here another
//! connection does most of it while commits go on, and keeps them waiting for the rest, a moment at most: what readers
//! still need is left for the next time. A log that could be reused is, by the next commit; RESTART and TRUNCATE would
//! do that at once, but to the writer they look like another process's commit.

use sqlx::sqlite::SqlitePool;
use tokio::time::{MissedTickBehavior, interval};

use super::{Pool, Store};
use crate::limits::{CHECKPOINTS_EVERY, WAL_PAGES};

impl Store {
    /// Keeps the write-ahead log short, for good; on `PostgreSQL` there is nothing to do.
    pub async fn keep_checkpoints(&self) {
        let Pool::Sqlite { checkpoints, .. } = &self.pool else { return std::future::pending().await };
        let mut ticker = interval(CHECKPOINTS_EVERY);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticker.tick().await;
            if let Err(error) = checkpoint(checkpoints).await {
                // The writer does it by itself where nobody else does, only later.
                tracing::debug!(%error, "the write-ahead log is not shortened now");
            }
        }
    }
}

async fn checkpoint(pool: &SqlitePool) -> sqlx::Result<()> {
    // Whether something was in the way, pages in the log, pages of them that are in the database.
    let (_, pages, _): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(pool).await?;
    if pages > WAL_PAGES {
        sqlx::query("PRAGMA wal_checkpoint(FULL)").execute(pool).await?;
    }
    Ok(())
}
