//! One history of migrations makes the same schema on both databases.

use std::collections::BTreeSet;

use api::role::Role;
use api::store::activity::ActivityFilter;
use api::store::{DatabaseUrl, Store, StoreError};
use ingest::clock::Clock;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection as _, Executor as _, PgConnection, SqlSafeStr as _, SqliteConnection};

use crate::database::{Backend, Database};

/// A column: table, name, type and whether it may be null.
type Column = (String, String, String, bool);
/// A key: table, `unique`, or the table that it refers to, and its columns in order.
type Key = (String, String, String);

/// What `SQLite` was told, and what `PostgreSQL` calls it.
const TYPES: [(&str, &str); 6] = [
    ("BIGINT", "bigint"),
    ("BOOLEAN", "boolean"),
    ("BYTEA", "bytea"),
    ("DOUBLE PRECISION", "double precision"),
    ("INTEGER", "integer"),
    ("TEXT", "text"),
];

/// How many steps the history has.
const MIGRATIONS: usize = 27;
/// `SQLite` numbers rows by itself only in a column whose type is INTEGER, which has 64 bits there.
const BIG_NUMBERS: [(&str, &str); 1] = [("activity_log", "id")];

const SQLITE_COLUMNS: &str = "SELECT m.name, c.name, c.type, c.\"notnull\" = 0 AND c.pk = 0
    FROM sqlite_schema m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
const POSTGRES_COLUMNS: &str =
    "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES'
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'";

/// An INTEGER PRIMARY KEY has no index; it is named by its column.
const SQLITE_KEYS: &str = "SELECT m.name, 'unique',
        (SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno))
    FROM sqlite_schema m, pragma_index_list(m.name) i
    WHERE m.type = 'table' AND i.\"unique\" AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\'
    UNION ALL SELECT m.name, 'unique', c.name FROM sqlite_schema m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND c.pk = 1 AND c.type = 'INTEGER' AND c.name = 'id'
    UNION ALL SELECT m.name, f.\"table\" || ' ' || lower(f.on_delete),
        (SELECT group_concat(k.\"from\", ' ' ORDER BY k.seq) FROM pragma_foreign_key_list(m.name) k WHERE k.id = f.id)
    FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' AND f.seq = 0";
const POSTGRES_KEYS: &str = "SELECT c.conrelid::regclass::text,
        CASE c.contype WHEN 'f' THEN c.confrelid::regclass::text
            || CASE c.confdeltype WHEN 'c' THEN ' cascade' ELSE ' no action' END ELSE 'unique' END,
        (SELECT string_agg(a.attname, ' ' ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k(attnum, n)
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum)
    FROM pg_constraint c WHERE c.contype IN ('p', 'u', 'f') AND c.connamespace = 'public'::regnamespace
    AND c.conrelid::regclass::text NOT LIKE '\\_sqlx%'";

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Database::new(Backend::Sqlite, folder.path()).await.unwrap();
    let Some(postgres) = Database::new(Backend::Postgres, folder.path()).await else {
        return;
    };
    for database in [&sqlite, &postgres] {
        open(database).await.close().await;
    }
    let mut sqlite = SqliteConnection::connect(&sqlite.url).await.unwrap();
    let mut postgres = PgConnection::connect(&postgres.url).await.unwrap();

    let columns: Vec<Column> = sqlx::query_as(SQLITE_COLUMNS).fetch_all(&mut sqlite).await.unwrap();
    let wanted: Vec<Column> = sqlx::query_as(POSTGRES_COLUMNS).fetch_all(&mut postgres).await.unwrap();
    let columns: BTreeSet<_> = columns.into_iter().map(as_postgres).collect();
    assert!(columns.len() > 90, "{columns:?}");
    assert_same(&columns, &wanted.into_iter().collect());

    let keys: Vec<Key> = sqlx::query_as(SQLITE_KEYS).fetch_all(&mut sqlite).await.unwrap();
    let wanted: Vec<Key> = sqlx::query_as(POSTGRES_KEYS).fetch_all(&mut postgres).await.unwrap();
    assert!(keys.len() > 30, "{keys:?}");
    assert_same(&keys.into_iter().collect(), &wanted.into_iter().collect());
}

async fn migrating_twice_does_nothing(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let Some(database) = Database::new(backend, folder.path()).await else {
        return;
    };
    let store = open(&database).await;
    let (departements, applied) = (store.departements().await.unwrap(), history(&database).await);
    assert_eq!((departements.len(), applied.len()), (101, MIGRATIONS));
    store.close().await;
    // Several processes may start at once.
    let (one, other) = tokio::join!(open(&database), open(&database));
    assert_eq!(one.departements().await.unwrap().len(), 101);
    assert_eq!(history(&database).await, applied);
    one.close().await;
    other.close().await;
}

#[tokio::test]
async fn migrating_twice_does_nothing_on_sqlite() {
    migrating_twice_does_nothing(Backend::Sqlite).await;
}

#[tokio::test]
async fn migrating_twice_does_nothing_on_postgres() {
    migrating_twice_does_nothing(Backend::Postgres).await;
}

#[tokio::test]
async fn several_processes_may_make_a_database_at_once() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let folder = tempfile::tempdir().unwrap();
        let Some(database) = Database::new(backend, folder.path()).await else {
            continue;
        };
        let stores = tokio::join!(open(&database), open(&database), open(&database));
        assert_eq!(history(&database).await.len(), MIGRATIONS);
        for store in [stores.0, stores.1, stores.2] {
            assert_eq!(store.departements().await.unwrap().len(), 101);
            store.close().await;
        }
    }
}

/// Rebuilding the table of accounts keeps its rows and all that refers to them.
#[tokio::test]
async fn an_older_database_keeps_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let Some(database) = Database::new(backend, folder.path()).await else {
            continue;
        };
        make_older(&database).await;
        let store = open(&database).await;
        let users = store.users().await.unwrap();
        assert_eq!(users.len(), 2);
        assert_eq!(
            (users[1].0.id, users[1].0.manager_id, users[1].1.as_slice()),
            (7, Some(3), [Role::Operateur].as_slice())
        );
        let (told, total) = store.activity(&ActivityFilter::default(), (30, 0)).await.unwrap();
        assert_eq!((total, told[0].action.as_str(), told[0].at), (1, "taxi_status", 5));
        assert_eq!(told[0].detail, "{\"availability\": \"status=free radius=300\"}");
        // What refers to an account keeps it.
        assert!(matches!(store.remove_user(3).await, Err(StoreError::Conflict(_))));
        assert!(store.remove_user(7).await.unwrap());
        assert!(store.remove_user(3).await.unwrap());
        store.close().await;
    }
}

/// A database as the first three steps of the history left it, with a manager and an operator in it.
async fn make_older(database: &Database) {
    let steps = [
        (
            1,
            include_str!("../../../migrations/0001_registry.sql"),
            include_str!("../../../migrations/0001_registry.sql"),
        ),
        (
            2,
            include_str!("../../../migrations/0002_identity.sqlite.sql"),
            include_str!("../../../migrations/0002_identity.postgres.sql"),
        ),
        (
            3,
            include_str!("../../../migrations/0003_departements.sql"),
            include_str!("../../../migrations/0003_departements.sql"),
        ),
    ];
    let is_sqlite = database.url.starts_with("sqlite:");
    let migrations = steps.map(|(version, sqlite, postgres)| {
        let sql = if is_sqlite { sqlite } else { postgres }.into_sql_str();
        Migration::new(version, "older".into(), MigrationType::Simple, sql, false)
    });
    let migrator = Migrator::with_migrations(migrations.into());
    let rows = "INSERT INTO users (id, email, name, apikey_sha256, apikey_sealed, manager_id, created_at, updated_at,
                                   version)
                VALUES (3, 'boss', 'Boss', 'a', '', NULL, 1, 1, 1), (7, 'op', 'Op', 'b', '', 3, 1, 1, 1);
                INSERT INTO user_roles (user_id, role) VALUES (7, 'operateur');
                INSERT INTO activity_log (at, user_id, resource, resource_id, action, detail)
                VALUES (5, 7, 'taxi', 'abc', 'availability', 'status=free radius=300');";
    if is_sqlite {
        let url = format!("{}?mode=rwc", database.url);
        let mut sqlite = SqliteConnection::connect(&url).await.unwrap();
        migrator.run(&mut sqlite).await.unwrap();
        sqlite.execute(rows).await.unwrap();
    } else {
        let mut postgres = PgConnection::connect(&database.url).await.unwrap();
        migrator.run(&mut postgres).await.unwrap();
        postgres.execute(rows).await.unwrap();
    }
}

async fn open(database: &Database) -> Store {
    let url: DatabaseUrl = database.url.parse().unwrap();
    Store::open(&url, Clock::System).await.unwrap()
}

/// What was applied, and how it went.
async fn history(database: &Database) -> Vec<(i64, bool, Vec<u8>)> {
    let sql = "SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version";
    if database.url.starts_with("sqlite:") {
        let mut sqlite = SqliteConnection::connect(&database.url).await.unwrap();
        sqlx::query_as(sql).fetch_all(&mut sqlite).await.unwrap()
    } else {
        let mut postgres = PgConnection::connect(&database.url).await.unwrap();
        sqlx::query_as(sql).fetch_all(&mut postgres).await.unwrap()
    }
}

fn as_postgres((table, column, kind, nullable): Column) -> Column {
    let known = TYPES.iter().find(|(sqlite, _)| *sqlite == kind);
    let (_, kind) = known.unwrap_or_else(|| panic!("{table}.{column}: {kind} has no equivalent"));
    let kind = if BIG_NUMBERS.contains(&(table.as_str(), column.as_str())) { "bigint" } else { kind };
    (table, column, kind.to_owned(), nullable)
}

fn assert_same<T: Ord + std::fmt::Debug>(sqlite: &BTreeSet<T>, postgres: &BTreeSet<T>) {
    let only_sqlite: Vec<_> = sqlite.difference(postgres).collect();
    let only_postgres: Vec<_> = postgres.difference(sqlite).collect();
    assert!(
        only_sqlite.is_empty() && only_postgres.is_empty(),
        "only SQLite: {only_sqlite:#?}\nonly PostgreSQL: {only_postgres:#?}"
    );
}
