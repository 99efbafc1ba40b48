//! The registry's rows: one SQL text over two databases.
//!
//! Embedded, `SQLite`: one connection writes, several read. At scale, `PostgreSQL`. `$1` means the same to both, so
//! each statement stands once, in the file of its family of tables; the macros `read!` and `write!` run it on
//! whichever pool is there. An error is as small as what a caller can do about it: [`StoreError`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ingest::clock::Clock;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use thiserror::Error;

use self::health::Health;
use self::meters::Failures;
pub use self::meters::PoolUse;
use self::synced::Synced;
use self::writer::Writer;
use crate::limits::{
    CHECKPOINT_BUSY, CONNECTION_WITHIN, POSTGRES_CONNECTIONS, SQLITE_CACHE_KIB, SQLITE_READERS, WAL_PAGES_MAX,
};

pub mod activity;
pub mod ads;
mod batch;
pub mod bulk;
pub mod certifications;
pub mod changes;
mod checkpoints;
pub mod console_sessions;
pub mod customers;
pub mod daily;
pub mod dimensions;
pub mod drivers;
pub mod hails;
mod health;
pub mod imports;
pub mod listings;
mod meters;
mod migrate;
pub mod places;
pub mod positions;
pub mod projected;
pub mod refusals;
pub mod releases;
pub mod retention;
pub mod stations;
pub mod statistics;
mod synced;
pub mod taxis;
pub mod users;
pub mod vehicles;
pub mod webhooks;
mod writer;

/// The database, opened and migrated. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    clock: Clock,
    failures: Arc<Failures>,
    health: Arc<Health>,
    /// How long a statement may take; None: as long as it takes.
    within: Option<Duration>,
    /// Who asks is no client: what is done again and again.
    is_upkeep: bool,
}

#[derive(Clone, Debug)]
enum Pool {
    Sqlite {
        /// The one connection that writes, so that `PRAGMA data_version` asked on it tells of other processes.
        writer: Writer,
        readers: SqlitePool,
        /// One more, for what is done beside the writer.
        checkpoints: SqlitePool,
        /// What commits are made safe by.
        synced: Synced,
    },
    Postgres(PgPool),
}

/// What `PostgreSQL` does about a client whose machine is gone: without these it would hold the client's locks for two
/// hours.
const LOST_CLIENT: [(&str, &str); 4] = [
    ("idle_in_transaction_session_timeout", "20s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:<path>`, made when absent.
    Sqlite(PathBuf),
    /// `postgres://user@host:port/name`.
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            Ok(Self::Sqlite(PathBuf::from(path.trim_start_matches("//"))).absolute_slashes(path))
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            PgConnectOptions::from_str(text).map_err(|error| error.to_string())?;
            Ok(Self::Postgres(text.to_owned()))
        } else {
            Err("sqlite:<path> or postgres://user:password@host:port/name".to_owned())
        }
    }
}

impl DatabaseUrl {
    /// `sqlite:///var/x` and `sqlite:/var/x` are the same absolute path.
    fn absolute_slashes(self, path: &str) -> Self {
        if path.starts_with('/') {
            Self::Sqlite(PathBuf::from(format!("/{}", path.trim_start_matches('/'))))
        } else {
            self
        }
    }

    /// The URL without its password, to be shown.
    pub fn masked(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            // Built of what was understood: a password may stand in several places of the text.
            Self::Postgres(url) => PgConnectOptions::from_str(url).map_or("***".to_owned(), |options| {
                let database = options.get_database().unwrap_or_default();
                format!(
                    "postgres://{}:***@{}:{}/{database}",
                    options.get_username(),
                    options.get_host(),
                    options.get_port()
                )
            }),
        }
    }
}

/// What a caller can do about a failed statement: nothing but say so, or try again later.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A unique key or a reference forbids it.
    #[error("the database refused the change: {0}")]
    Conflict(String),
    /// The database cannot be reached, is busy or is broken; the statement may or may not have happened.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The database was made by a newer version of the program, or its migration failed.
    #[error("the database cannot be migrated: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// What was stored cannot be read back as what it should be.
    #[error("{table} {key} is damaged: {reason}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The key of the row.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(db)
                if db.is_unique_violation() || db.is_foreign_key_violation() || db.is_check_violation() =>
            {
                Self::Conflict(db.message().to_owned())
            }
            _ => Self::Unavailable(error),
        }
    }
}

/// What statements return.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Runs a reading statement on whichever pool there is: `read!(store, db => query.fetch_all(db))`.
macro_rules! read {
    ($store:expr, $db:ident => $query:expr) => {
        match &$store.pool {
            $crate::store::Pool::Sqlite { readers, .. } => {
                let $db = readers;
                $store
                    .reading(Box::pin(async { $query.await.map_err($crate::store::StoreError::from) }))
                    .await
            }
            $crate::store::Pool::Postgres(pool) => {
                let $db = pool;
                $store
                    .reading(Box::pin(async { $query.await.map_err($crate::store::StoreError::from) }))
                    .await
            }
        }
    };
}

/// Runs statements in one transaction and commits unless one fails: `write!(store, tx => { ...; value })`.
/// Inside, `&mut *tx` is the connection and `?` leaves and rolls back.
macro_rules! write {
    ($store:expr, $tx:ident => $body:block) => {
        match &$store.pool {
            $crate::store::Pool::Sqlite { writer, synced, .. } => {
                let work = async {
                    synced.check().map_err(sqlx::Error::Io)?;
                    // Immediate: a read that turns into a write could not wait for another process's write.
                    let mut held = writer.hold().await?;
                    let mut transaction = sqlx::Connection::begin_with(&mut *held, "BEGIN IMMEDIATE").await?;
                    let outcome = {
                        let $tx = &mut transaction;
                        $body
                    };
                    transaction.commit().await?;
                    drop(held);
                    synced.sync().await.map_err(sqlx::Error::Io)?;
                    Ok::<_, $crate::store::StoreError>(outcome)
                };
                $store.writing(Box::pin(work)).await
            }
            $crate::store::Pool::Postgres(pool) => {
                let work = async {
                    let mut transaction = pool.begin().await?;
                    let outcome = {
                        let $tx = &mut transaction;
                        $body
                    };
                    transaction.commit().await?;
                    Ok::<_, $crate::store::StoreError>(outcome)
                };
                $store.writing(Box::pin(work)).await
            }
        }
    };
}

pub(crate) use {read, write};

impl Store {
    /// Opens the database, making and migrating it as needed.
    pub async fn open(url: &DatabaseUrl, clock: Clock) -> Result<Self> {
        let _alone = match url {
            DatabaseUrl::Sqlite(path) => Some(hold_folder(path).await?),
            // Its migrations hold a lock of their own.
            DatabaseUrl::Postgres(_) => None,
        };
        let (pool, aside) = match url {
            DatabaseUrl::Sqlite(path) => (open_sqlite(path).await?, None),
            DatabaseUrl::Postgres(url) => {
                let options =
                    PgConnectOptions::from_str(url)?.application_name("maraude").options(LOST_CLIENT);
                let pool = health::busy_pool_options()
                    .max_connections(POSTGRES_CONNECTIONS)
                    .acquire_timeout(CONNECTION_WITHIN)
                    .connect_with(options.clone())
                    .await?;
                (Pool::Postgres(pool), Some(health::pool_aside(options)))
            }
        };
        let store = Self {
            pool,
            clock,
            health: Health::new(aside),
            within: None,
            failures: Arc::default(),
            is_upkeep: false,
        };
        store.migrate().await?;
        Ok(store)
    }

    /// Closes every connection, waiting for statements under way.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite { writer, readers, checkpoints, .. } => {
                checkpoints.close().await;
                readers.close().await;
                writer.close().await;
            }
            Pool::Postgres(pool) => {
                if let Some(aside) = self.health.aside() {
                    aside.close().await;
                }
                pool.close().await;
            }
        }
    }

    /// Milliseconds since 1970 now, for `created_at`, `updated_at` and first versions.
    fn now_ms(&self) -> i64 {
        self.clock.now().0
    }
}

/// Makes the folder of an `SQLite` database, and keeps other processes from opening it as long as the file is held:
/// neither making a database nor migrating it does so by itself.
async fn hold_folder(path: &Path) -> Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    let held = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        let file = File::open(&folder)?;
        file.lock()?;
        Ok(file)
    });
    held.await
        .unwrap_or_else(|error| Err(error.into()))
        .map_err(|error| StoreError::Unavailable(sqlx::Error::Io(error)))
}

async fn open_sqlite(path: &Path) -> Result<Pool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", WAL_PAGES_MAX.to_string())
        // Below nought it is in KiB.
        .pragma("cache_size", format!("-{SQLITE_CACHE_KIB}"))
        .foreign_keys(true)
        .busy_timeout(CONNECTION_WITHIN);
    let writer = Writer::connect(&options, CONNECTION_WITHIN).await?;
    let checkpoints = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECTION_WITHIN)
        .connect_lazy_with(options.clone().busy_timeout(CHECKPOINT_BUSY));
    // There is no network in which a connection could be lost before it is used.
    let readers = SqlitePoolOptions::new()
        .test_before_acquire(false)
        .max_connections(SQLITE_READERS)
        .acquire_timeout(CONNECTION_WITHIN)
        .connect_with(options.read_only(true))
        .await?;
    // Whoever reads makes the write-ahead log, where it is not there yet.
    sqlx::query("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *writer.hold().await?).await?;
    let synced = Synced::start(path).map_err(sqlx::Error::Io)?;
    Ok(Pool::Sqlite { writer, readers, checkpoints, synced })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_chooses_the_database_and_hides_its_password() {
        assert_eq!("sqlite:data/maraude.db".parse(), Ok(DatabaseUrl::Sqlite("data/maraude.db".into())));
        assert_eq!("sqlite:///var/maraude.db".parse(), Ok(DatabaseUrl::Sqlite("/var/maraude.db".into())));
        let url: DatabaseUrl = "postgres://ann:secret@127.0.0.1:5432/maraude".parse().unwrap();
        assert_eq!(url.masked(), "postgres://ann:***@127.0.0.1:5432/maraude");
        let url: DatabaseUrl = "postgres://127.0.0.1/m?user=ann&password=secret".parse().unwrap();
        assert_eq!(url.masked(), "postgres://ann:***@127.0.0.1:5432/m");
        assert!("mysql://x".parse::<DatabaseUrl>().unwrap_err().contains("postgres://"));
    }
}
