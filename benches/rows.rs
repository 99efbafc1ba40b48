//! A registry of many taxis, all of one operator, written straight to the database: the interface would take minutes.

use anyhow::Context as _;
use api::fleet::town::Place;
use api::simulation::towns;
use api::store::DatabaseUrl;
use ingest::clock::Clock;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

/// Rows of one statement.
const BATCH: usize = 500;
/// Within which all were registered, up to now: the registry forgets taxis that nobody heard for longer.
const GREW_MS: i64 = 300 * 86_400_000;
const LETTERS: &[u8; 23] = b"ABCDEFGHJKLMNPQRSTVWXYZ";

/// A taxi of the registry.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its public id.
    pub id: String,
    /// Its plate.
    pub plate: String,
    /// Where it stands.
    pub place: Place,
    insee: String,
}

/// Made-up taxis; the same seed makes the same ones.
pub fn rows(seed: u64, taxis: usize) -> anyhow::Result<Vec<Row>> {
    let (towns, mut rng) = (towns(&[])?, StdRng::seed_from_u64(seed));
    let row = |i: usize| {
        let town = &towns[rng.random_range(0..towns.len())];
        let place = town.random_place(&mut rng);
        let letters = [(); 4].map(|()| char::from(LETTERS[rng.random_range(0..LETTERS.len())]));
        let (front, back) = (String::from_iter(&letters[..2]), String::from_iter(&letters[2..]));
        // A number in each makes them unique.
        let id = format!("{front}{i:05x}");
        let plate = format!("{front}-{:03}-{back}{:x}", i % 1_000, i / 1_000);
        Row { id, plate, place, insee: town.insee().to_owned() }
    };
    Ok((0..taxis).map(row).collect())
}

/// Writes them, with their vehicles, descriptions, ADS and drivers, free, as an operator's, into a database that has
/// none.
pub async fn write(database: &DatabaseUrl, operator: i32, rows: &[Row]) -> anyhow::Result<()> {
    let mut connection = Connection::open(database).await?;
    let (now, apart_ms) = (Clock::System.now().0, GREW_MS / i64::try_from(rows.len().max(1))?);
    let numbered: Vec<_> = (1..).zip(rows).collect::<Vec<(usize, _)>>();
    for batch in numbered.chunks(BATCH) {
        let mut insert = async |into: &str, row: &dyn Fn(usize, &Row) -> String| {
            let values: Vec<_> = batch.iter().map(|(i, taxi)| row(*i, taxi)).collect();
            connection.execute(format!("INSERT INTO {into} VALUES {}", values.join(", "))).await
        };
        insert("vehicles (id, licence_plate, created_at)", &|i, taxi| format!("({i}, '{}', 1)", taxi.plate))
            .await?;
        let into =
            "vehicle_descriptions (id, vehicle_id, operator_id, model, constructor, engine, color, nb_seats,
                    wifi, bank_check_accepted, status, created_at, updated_at, version)";
        let description = |i, _: &Row| {
            format!(
                "({i}, {i}, {operator}, 'Zoé', 'Renault', 'electric', 'blue', 4, true, false, 'free', 1, 1, 1)"
            )
        };
        insert(into, &description).await?;
        insert("ads (id, operator_id, insee, numero, created_at, updated_at)", &|i, taxi| {
            format!("({i}, {operator}, '{}', '{i}', 1, 1)", taxi.insee)
        })
        .await?;
        let into =
            "drivers (id, operator_id, departement, professional_licence, first_name, last_name, created_at,
                    updated_at)";
        insert(into, &|i, _| format!("({i}, {operator}, '75', 'licence-{i}', 'Ada', 'Martin', 1, 1)"))
            .await?;
        let into = "taxis (id, public_id, vehicle_id, ads_id, driver_id, operator_id, created_at, updated_at, version)";
        insert(into, &|i, taxi| {
            let at = now - GREW_MS + i64::try_from(i).unwrap_or_default() * apart_ms;
            format!("({i}, '{}', {i}, {i}, {i}, {operator}, {at}, {at}, 1)", taxi.id)
        })
        .await?;
    }
    connection.end().await
}

/// Gives every account this password, by its hash.
pub async fn set_passwords(database: &DatabaseUrl, hash: &str) -> anyhow::Result<()> {
    let mut connection = Connection::open(database).await?;
    connection.execute(format!("UPDATE users SET password_hash = '{hash}', version = version + 1")).await?;
    connection.execute("COMMIT".to_owned()).await
}

/// A transaction of whichever database it is.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    pub(crate) async fn open(database: &DatabaseUrl) -> anyhow::Result<Self> {
        let mut connection = match database {
            DatabaseUrl::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path);
                Self::Sqlite(SqliteConnection::connect_with(&options).await?)
            }
            DatabaseUrl::Postgres(url) => Self::Postgres(PgConnection::connect(url).await?),
        };
        connection.execute("BEGIN".to_owned()).await.context("beginning")?;
        Ok(connection)
    }

    pub(crate) async fn execute(&mut self, sql: String) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(connection) => connection.execute(AssertSqlSafe(sql)).await.map(|_| ())?,
            Self::Postgres(connection) => connection.execute(AssertSqlSafe(sql)).await.map(|_| ())?,
        }
        Ok(())
    }

    /// Commits. The numbers that `PostgreSQL` gives next are those after ours, and both know how the rows lie, as they
    /// would once they had grown.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        if let Self::Postgres(_) = self {
            for table in ["vehicles", "vehicle_descriptions", "ads", "drivers", "taxis"] {
                let next =
                    format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}");
                self.execute(next).await?;
            }
        }
        self.execute("COMMIT".to_owned()).await?;
        if let Self::Postgres(_) = self {
            self.execute("ANALYZE".to_owned()).await?;
        }
        Ok(())
    }
}
