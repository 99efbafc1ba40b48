//! One history of migrations for both databases.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::{Pool, Result, Store};

/// A step of the history: the same text for both databases, or a pair where a dialect truly differs.
struct Step {
    version: i64,
    description: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
    /// `SQLite`'s text has a transaction of its own, because something in it is impossible within one.
    sqlite_alone: bool,
}

const fn portable(version: i64, description: &'static str, sql: &'static str) -> Step {
    Step { version, description, sqlite: sql, postgres: sql, sqlite_alone: false }
}

const HISTORY: &[Step] = &[
    portable(1, "registry", include_str!("../../../migrations/0001_registry.sql")),
    Step {
        version: 2,
        description: "identity",
        sqlite: include_str!("../../../migrations/0002_identity.sqlite.sql"),
        postgres: include_str!("../../../migrations/0002_identity.postgres.sql"),
        sqlite_alone: false,
    },
    portable(3, "departements", include_str!("../../../migrations/0003_departements.sql")),
    portable(4, "places", include_str!("../../../migrations/0004_places.sql")),
    Step {
        version: 5,
        description: "accounts",
        sqlite: include_str!("../../../migrations/0005_accounts.sqlite.sql"),
        postgres: include_str!("../../../migrations/0005_accounts.postgres.sql"),
        sqlite_alone: true,
    },
    portable(6, "refusals", include_str!("../../../migrations/0006_refusals.sql")),
    Step {
        version: 7,
        description: "lists",
        sqlite: include_str!("../../../migrations/0007_lists.sqlite.sql"),
        postgres: include_str!("../../../migrations/0007_lists.postgres.sql"),
        sqlite_alone: false,
    },
    portable(8, "hails", include_str!("../../../migrations/0008_hails.sql")),
    Step {
        version: 9,
        description: "hail lists",
        sqlite: include_str!("../../../migrations/0009_hail_lists.sqlite.sql"),
        postgres: include_str!("../../../migrations/0009_hail_lists.postgres.sql"),
        sqlite_alone: false,
    },
    portable(10, "webhooks", include_str!("../../../migrations/0010_webhooks.sql")),
    portable(11, "webhook leases", include_str!("../../../migrations/0011_webhook_leases.sql")),
    portable(12, "statistics", include_str!("../../../migrations/0012_statistics.sql")),
    portable(13, "retention", include_str!("../../../migrations/0013_retention.sql")),
    portable(14, "populations", include_str!("../../../migrations/0014_populations.sql")),
    portable(15, "distances", include_str!("../../../migrations/0015_distances.sql")),
    portable(16, "releases", include_str!("../../../migrations/0016_releases.sql")),
    portable(17, "connected vehicles", include_str!("../../../migrations/0017_connected_vehicles.sql")),
    portable(18, "console sessions", include_str!("../../../migrations/0018_console_sessions.sql")),
    portable(19, "published places", include_str!("../../../migrations/0019_published_places.sql")),
    portable(22, "certifications", include_str!("../../../migrations/0022_certifications.sql")),
    portable(23, "rare rows", include_str!("../../../migrations/0023_rare_rows.sql")),
    portable(24, "current places", include_str!("../../../migrations/0024_current_places.sql")),
    portable(25, "imports", include_str!("../../../migrations/0025_imports.sql")),
    portable(26, "trials", include_str!("../../../migrations/0026_trials.sql")),
    Step {
        version: 27,
        description: "tracks and sessions",
        sqlite: include_str!("../../../migrations/0027_tracks_and_sessions.sqlite.sql"),
        postgres: include_str!("../../../migrations/0027_tracks_and_sessions.postgres.sql"),
        sqlite_alone: false,
    },
    portable(28, "taxis counted", include_str!("../../../migrations/0028_taxis_counted.sql")),
    portable(29, "hails of trials", include_str!("../../../migrations/0029_hails_of_trials.sql")),
];

impl Store {
    /// Brings the schema up to date. Several processes may do so at once: the first one does the work.
    pub(super) async fn migrate(&self) -> Result<()> {
        match &self.pool {
            Pool::Sqlite { writer, .. } => {
                migrator(|step| (step.sqlite, step.sqlite_alone)).run(&mut *writer.hold().await?).await?;
            }
            Pool::Postgres(pool) => migrator(|step| (step.postgres, false)).run(pool).await?,
        }
        Ok(())
    }
}

fn migrator(dialect: impl Fn(&Step) -> (&'static str, bool)) -> Migrator {
    let migrations = HISTORY
        .iter()
        .map(|step| {
            let (sql, alone) = dialect(step);
            Migration::new(
                step.version,
                step.description.into(),
                MigrationType::Simple,
                sql.into_sql_str(),
                alone,
            )
        })
        .collect();
    Migrator::with_migrations(migrations)
}
