//! Whether the database answers, and a bound on everything that is asked of it.
//!
//! Somebody asks it every second. Once it does not answer, what needs it fails at once and what is under way is given
//! up, until it answers again: nobody waits for a database that is known to be gone. `SQLite` whose write lock is held
//! still answers readers.

use std::future::Future;
use std::sync::Arc;

use ingest::counter::Counter;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::{Pool, Result, Store, StoreError};
use crate::limits::{PROBE_EVERY, PROBE_WITHIN, STATEMENT_WITHIN, STATEMENTS_MAX};

/// What all clones of a store know of its database.
#[derive(Debug)]
pub(super) struct Health {
    lost: watch::Sender<bool>,
    room: Semaphore,
    /// Our own transactions, committed.
    committed: Counter,
    /// To `PostgreSQL`, for who listens and who watches: a pool that is busy is no outage.
    aside: Option<PgPool>,
}

impl Health {
    pub(super) fn new(aside: Option<PgPool>) -> Arc<Self> {
        Arc::new(Self {
            lost: watch::Sender::new(false),
            room: Semaphore::new(STATEMENTS_MAX),
            committed: Counter::default(),
            aside,
        })
    }

    /// Where listening connections come from, as they are held for good.
    pub(super) fn aside(&self) -> Option<&PgPool> {
        self.aside.as_ref()
    }

    async fn lost(&self) {
        // The sender is ours: it is never gone.
        let _ = self.lost.subscribe().wait_for(|lost| *lost).await;
    }
}

/// Options of a pool whose connections are let go of in time: one on which an answer is missing would otherwise be
/// waited for on its way back, and its place in the pool be lost.
pub(super) fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new().after_release(|connection, _| {
        Box::pin(async move {
            match timeout(PROBE_WITHIN, connection.ping()).await {
                Ok(Ok(())) => Ok(true),
                // The pool closes it without a word to the other side.
                Ok(Err(error)) => Err(error),
                Err(_) => Err(sqlx::Error::PoolTimedOut),
            }
        })
    })
}

/// Options of the pool for statements, under load most of all: a connection that was in use a moment ago is there, or
/// the next statement tells that it is not.
pub(super) fn busy_pool_options() -> PgPoolOptions {
    pool_options().test_before_acquire(false).before_acquire(|connection, used| {
        Box::pin(async move {
            if used.idle_for >= PROBE_EVERY {
                connection.ping().await?;
            }
            Ok(true)
        })
    })
}

/// One connection that listens, one that watches.
pub(super) fn pool_aside(options: PgConnectOptions) -> PgPool {
    pool_options().max_connections(2).acquire_timeout(PROBE_WITHIN).connect_lazy_with(options)
}

impl Store {
    /// A store whose statements are bounded in time, as a server's must be. Those of the command line take the time
    /// that an import takes.
    pub fn bounded(self) -> Self {
        Self { within: Some(STATEMENT_WITHIN), ..self }
    }

    /// The same store for what is done again and again: it is not refused for the number of clients' statements, being
    /// a few of its own.
    pub fn for_upkeep(&self) -> Self {
        Self { is_upkeep: true, ..self.clone() }
    }

    /// Whether the database answered when it was last asked.
    pub fn is_available(&self) -> bool {
        !*self.health.lost.borrow()
    }

    /// Returns once the database is known to be gone.
    pub async fn lost(&self) {
        self.health.lost().await;
    }

    /// Asks for good, again and again, whether the database answers.
    pub async fn watch(&self) {
        loop {
            let answer = self.probe().await;
            let lost = answer.is_err();
            if self.health.lost.send_replace(lost) != lost {
                match answer {
                    Ok(()) => tracing::info!("the database is back"),
                    Err(error) => tracing::error!(%error, "the database is gone"),
                }
            }
            sleep(PROBE_EVERY).await;
        }
    }

    /// Asks whether it could be written.
    async fn probe(&self) -> Result<()> {
        match &self.pool {
            // Bounded by the writer's and SQLite's own waits. It is another process that holds the lock: ours go
            // through the same one connection. They may be many, and as long as they commit, nothing is gone.
            Pool::Sqlite { writer, synced, .. } => {
                synced.check().map_err(sqlx::Error::Io)?;
                let before = self.health.committed.get();
                match writer.hold().await {
                    Err(sqlx::Error::PoolTimedOut) if self.health.committed.get() > before => {}
                    held => held?.begin_with("BEGIN IMMEDIATE").await?.rollback().await?,
                }
            }
            Pool::Postgres(pool) => {
                let pool = self.health.aside.as_ref().unwrap_or(pool);
                let asked = async { sqlx::query("SELECT 1").execute(pool).await };
                timeout(PROBE_WITHIN, asked).await.map_err(|_| silent())??;
            }
        }
        Ok(())
    }

    /// Runs a statement that reads.
    pub(super) async fn reading<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.run(work, matches!(self.pool, Pool::Postgres(_))).await
    }

    /// Runs a transaction.
    pub(super) async fn writing<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = self.run(work, true).await;
        if outcome.is_ok() {
            self.health.committed.add(1);
        }
        outcome
    }

    async fn run<T>(&self, work: impl Future<Output = Result<T>>, needs_answers: bool) -> Result<T> {
        self.run_bounded(work, needs_answers).await.inspect_err(|error| self.failures.count(error))
    }

    async fn run_bounded<T>(&self, work: impl Future<Output = Result<T>>, needs_answers: bool) -> Result<T> {
        let room = self.health.room.try_acquire();
        if room.is_err() && !self.is_upkeep {
            return Err(unavailable(std::io::ErrorKind::ResourceBusy));
        }
        let Some(within) = self.within else {
            return work.await;
        };
        if needs_answers && !self.is_available() {
            return Err(silent());
        }
        // SQLite's waits end by themselves, and its connection is not to be left in the middle of one.
        let may_hang = matches!(self.pool, Pool::Postgres(_));
        tokio::select! {
            outcome = work => outcome,
            () = sleep(within), if may_hang => Err(silent()),
            () = self.lost(), if may_hang => Err(silent()),
        }
    }
}

fn silent() -> StoreError {
    unavailable(std::io::ErrorKind::TimedOut)
}

fn unavailable(kind: std::io::ErrorKind) -> StoreError {
    StoreError::Unavailable(sqlx::Error::Io(kind.into()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ingest::clock::Clock;
    use sqlx::sqlite::SqliteConnectOptions;
    use tempfile::TempDir;

    use super::super::changes::Changes;
    use super::super::writer::Writer;
    use super::super::{DatabaseUrl, write};
    use super::*;

    /// A store whose writer is waited for only a moment.
    async fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("maraude.db");
        let store = Store::open(&DatabaseUrl::Sqlite(path.clone()), Clock::System).await.unwrap();
        let Pool::Sqlite { readers, checkpoints, synced, .. } = &store.pool else {
            unreachable!("it is SQLite")
        };
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_millis(20));
        let writer = Writer::connect(&options, Duration::from_millis(200)).await.unwrap();
        let (readers, checkpoints, synced) = (readers.clone(), checkpoints.clone(), synced.clone());
        let pool = Pool::Sqlite { writer, readers, checkpoints, synced };
        (folder, Store { pool, ..store }.bounded())
    }

    #[tokio::test]
    async fn upkeep_is_not_refused_for_the_number_of_statements() {
        let (_folder, store) = store().await;
        let all = store.health.room.acquire_many(u32::try_from(STATEMENTS_MAX).unwrap()).await.unwrap();
        assert!(store.users().await.is_err());
        store.for_upkeep().users().await.unwrap();
        drop(all);
        store.users().await.unwrap();
    }

    #[tokio::test]
    async fn sqlite_that_is_busy_with_our_own_writes_is_not_gone() {
        let (folder, store) = store().await;
        let write = async || write!(store, tx => { sqlx::query("SELECT 1").execute(&mut **tx).await?; });
        write().await.unwrap();
        assert_eq!(store.health.committed.get(), 1);
        let Pool::Sqlite { writer, .. } = &store.pool else { unreachable!("it is SQLite") };
        let held = writer.hold().await.unwrap();
        // Nobody gets on.
        assert!(store.probe().await.is_err());
        let (probed, ()) = tokio::join!(store.probe(), async { store.health.committed.add(1) });
        probed.unwrap();
        // Nor is anything heard of others meanwhile, which is no failure.
        let Changes::Polled(mut polled) = store.changes().await.unwrap() else {
            unreachable!("it is SQLite")
        };
        assert!(!polled.moved().await.unwrap());
        drop(held);
        store.probe().await.unwrap();
        assert!(polled.moved().await.unwrap());

        // Another process's lock is an outage, whatever was committed before.
        let options = SqliteConnectOptions::new().filename(folder.path().join("maraude.db"));
        let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        let (probed, ()) = tokio::join!(store.probe(), async { store.health.committed.add(1) });
        assert!(probed.is_err());
        assert!(write().await.is_err());
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
        store.probe().await.unwrap();
    }
}
