//! The one connection that writes `SQLite`: held by one transaction at a time, in the order in which they came.
//!
//! No pool of one: a pool asks its connection between any two transactions whether it is still there, while everybody
//! waits.

use std::sync::Arc;
use std::time::Duration;

use ingest::counter::Counter;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Error, Result, SqliteConnection};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::time::timeout;

/// Cheap to clone: the same connection.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    /// None: it was closed.
    connection: Arc<Mutex<Option<SqliteConnection>>>,
    options: Arc<SqliteConnectOptions>,
    replaced: Arc<Counter>,
    within: Duration,
}

impl Writer {
    /// Opens it. Whoever wants it waits for others no longer than `within`.
    pub(super) async fn connect(options: &SqliteConnectOptions, within: Duration) -> Result<Self> {
        let connection = SqliteConnection::connect_with(options).await?;
        let (connection, options) = (Arc::new(Mutex::new(Some(connection))), Arc::new(options.clone()));
        Ok(Self { connection, options, replaced: Arc::default(), within })
    }

    /// Waits for it. A transaction that is dropped before its end is rolled back before the next one begins. An error:
    /// others have it ([`Error::PoolTimedOut`]), or it was closed.
    pub(super) async fn hold(&self) -> Result<MappedMutexGuard<'_, SqliteConnection>> {
        let held = timeout(self.within, self.connection.lock()).await.map_err(|_| Error::PoolTimedOut)?;
        let mut held = MutexGuard::try_map(held, Option::as_mut).map_err(|_| Error::PoolClosed)?;
        if held.is_in_transaction() {
            self.put_right(&mut held).await?;
        }
        Ok(held)
    }

    /// Sees to it that no transaction is open. `SQLite` itself rolls back what finds no room on the disk; sqlx then
    /// fails to, and takes the transaction for open ever after.
    async fn put_right(&self, connection: &mut SqliteConnection) -> Result<()> {
        // What was dropped is rolled back before this is answered.
        let is_there = connection.ping().await.is_ok();
        if is_there && !connection.is_in_transaction() {
            return Ok(());
        }
        // The new one is there before the old one goes: the last to close a database removes its write-ahead log.
        let old = std::mem::replace(connection, SqliteConnection::connect_with(&self.options).await?);
        self.replaced.add(1);
        if let Err(error) = old.close_hard().await {
            tracing::debug!(%error, "a connection that was given up was not closed in order");
        }
        Ok(())
    }

    /// How often it was replaced: what one connection says of others' commits means nothing on the next.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced.get()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_that_was_full_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let options =
            SqliteConnectOptions::new().filename(folder.path().join("m.db")).create_if_missing(true);
        let writer = Writer::connect(&options, Duration::from_secs(1)).await.unwrap();
        let write = async |bytes: usize| {
            let mut held = writer.hold().await?;
            let mut transaction = held.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("INSERT INTO t VALUES ($1)").bind(vec![0; bytes]).execute(&mut *transaction).await?;
            transaction.commit().await
        };
        let full = "CREATE TABLE t (a BLOB); PRAGMA max_page_count = 4";
        sqlx::raw_sql(full).execute(&mut *writer.hold().await.unwrap()).await.unwrap();
        write(10).await.unwrap();
        let error = write(100_000).await.unwrap_err().to_string();
        assert!(error.contains("full"), "{error}");
        assert_eq!(writer.replaced(), 0);
        write(10).await.unwrap();
        assert_eq!(writer.replaced(), 1);

        // What is dropped in the middle is rolled back, and the connection stays the same.
        let mut held = writer.hold().await.unwrap();
        let mut transaction = held.begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("DELETE FROM t").execute(&mut *transaction).await.unwrap();
        drop(transaction);
        drop(held);
        let (left,): (i64,) = sqlx::query_as("SELECT count(*) FROM t")
            .fetch_one(&mut *writer.hold().await.unwrap())
            .await
            .unwrap();
        assert_eq!(left, 2);
        writer.close().await;
        assert!(matches!(writer.hold().await, Err(Error::PoolClosed)));
    }
}
