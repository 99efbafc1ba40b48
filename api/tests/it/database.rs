//! A database for each test, gone after it.

use std::io::Write as _;
use std::path::Path;
use std::sync::Once;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// The server on which tests make databases.
const SERVER: &str = "MARAUDE_TEST_POSTGRES";

static SKIP_SAID: Once = Once::new();

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// A database of its own; dropping this removes it.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
    /// Where and under which name it was made.
    on_server: Option<(String, String)>,
}

impl Database {
    /// An empty one; in `folder` if that is the kind. None where there is no server and none is demanded.
    pub(crate) async fn new(backend: Backend, folder: &Path) -> Option<Self> {
        if backend == Backend::Sqlite {
            let url = format!("sqlite:{}", folder.join("maraude.db").display());
            return Some(Self { url, on_server: None });
        }
        let Ok(server) = std::env::var(SERVER) else {
            let demanded = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!demanded, "{SERVER} names no PostgreSQL, and CI=true demands one");
            // Not by a macro: what those print is shown only where a test fails.
            SKIP_SAID.call_once(|| {
                let _ =
                    writeln!(std::io::stderr(), "SKIPPED, all tests on PostgreSQL: {SERVER} names no server");
            });
            return None;
        };
        let name = format!("maraude_test_{}", uuid::Uuid::new_v4().simple());
        execute(&server, format!("CREATE DATABASE {name}")).await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        Some(Self { url: format!("{base}/{name}"), on_server: Some((server, name)) })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.on_server.take() else {
            return;
        };
        // A thread with a runtime of its own: a test that failed removes its database, too.
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&server, format!("DROP DATABASE {name} WITH (FORCE)")))
        });
        if !matches!(removed.join(), Ok(Ok(()))) {
            let _ = writeln!(std::io::stderr(), "a database was left behind");
        }
    }
}

async fn execute(server: &str, sql: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await
}
