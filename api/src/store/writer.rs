//! The one connection that writes `SQLite`: held by one transaction at a time, in the order in which they came.
//!
//! No pool of one: a pool asks its connection between any two transactions whether it is still there, while everybody
//! waits. It lies in the process; what is lost is the disk, and each transaction tells.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Error, Result, SqliteConnection};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::time::timeout;

/// Cheap to clone: the same connection.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    /// None: it was closed.
    connection: Arc<Mutex<Option<SqliteConnection>>>,
    within: Duration,
}

impl Writer {
    /// Opens it. Whoever wants it waits for others no longer than `within`.
    pub(super) async fn connect(options: &SqliteConnectOptions, within: Duration) -> Result<Self> {
        let connection = SqliteConnection::connect_with(options).await?;
        Ok(Self { connection: Arc::new(Mutex::new(Some(connection))), within })
    }

    /// Waits for it. A transaction that is dropped before its end is rolled back before the next one begins. An error:
    /// others have it ([`Error::PoolTimedOut`]), or it was closed.
    pub(super) async fn hold(&self) -> Result<MappedMutexGuard<'_, SqliteConnection>> {
        let held = timeout(self.within, self.connection.lock()).await.map_err(|_| Error::PoolTimedOut)?;
        MutexGuard::try_map(held, Option::as_mut).map_err(|_| Error::PoolClosed)
    }

    /// Whether somebody has it now.
    pub(super) fn is_held(&self) -> bool {
        self.connection.try_lock().is_err()
    }

    /// Closes it, after whoever has it.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "the database was not closed in order");
        }
    }
}
