//! Departements, towns, ZUPC and exclusion zones: read whole, written by imports in one transaction.

use std::collections::HashMap;

use sqlx::FromRow;

use super::changes::{Announce as _, Change};
use super::{Result, Store, read, write};

/// A town or an exclusion zone: its INSEE code or id, its name, its GeoJSON geometry.
#[derive(Clone, Debug, FromRow, PartialEq, Eq)]
pub struct ShapeRow {
    /// INSEE code, or the zone's id.
    pub key: String,
    /// Name.
    pub name: String,
    /// GeoJSON geometry, Polygon or MultiPolygon.
    pub shape: String,
}

/// A ZUPC and the INSEE codes of its towns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZupcRow {
    /// UUID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Whose ADS may pick up here, sorted.
    pub insee: Vec<String>,
    /// GeoJSON geometry of its own land; None: it holds in its towns.
    pub shape: Option<String>,
}

/// A departement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartementRow {
    /// As `75`, `2A` or `971`.
    pub numero: String,
    /// Name.
    pub nom: String,
}

/// How many inhabitants a town has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PopulationRow {
    /// INSEE code.
    pub insee: String,
    /// Inhabitants.
    pub population: i32,
}

/// Every place.
#[derive(Debug, Default)]
pub struct Places {
    /// Towns by INSEE code.
    pub towns: Vec<ShapeRow>,
    /// ZUPC by id.
    pub zupc: Vec<ZupcRow>,
    /// Exclusion zones by id.
    pub exclusions: Vec<ShapeRow>,
}

/// What an import did with its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// New rows.
    pub added: usize,
    /// Rows that were there and differed.
    pub changed: usize,
    /// Rows that were there already, the same.
    pub same: usize,
}

impl Imported {
    /// Counts a row: None where there was none before, else whether it was the same.
    pub(super) fn count(&mut self, before: Option<bool>) {
        match before {
            None => self.added += 1,
            Some(false) => self.changed += 1,
            Some(true) => self.same += 1,
        }
    }
}

impl Store {
    /// Every town, ZUPC and exclusion zone.
    pub async fn places(&self) -> Result<Places> {
        let towns = read!(self, db => {
            sqlx::query_as("SELECT insee AS key, name, shape FROM towns ORDER BY insee").fetch_all(db)
        })?;
        let exclusions = read!(self, db => {
            sqlx::query_as("SELECT id AS key, name, shape FROM exclusion_zones ORDER BY id").fetch_all(db)
        })?;
        let zones: Vec<(String, String, Option<String>)> =
            read!(self, db => sqlx::query_as("SELECT id, name, shape FROM zupc ORDER BY id").fetch_all(db))?;
        let members: Vec<(String, String)> = read!(self, db => {
            sqlx::query_as("SELECT zupc_id, insee FROM zupc_towns ORDER BY zupc_id, insee").fetch_all(db)
        })?;
        let zone = |(id, name, shape)| ZupcRow { id, name, insee: Vec::new(), shape };
        let mut zupc: Vec<_> = zones.into_iter().map(zone).collect();
        // Databases sort texts each in their own way.
        let places: HashMap<_, _> = zupc.iter().enumerate().map(|(at, zone)| (zone.id.clone(), at)).collect();
        for (id, insee) in members {
            if let Some(&at) = places.get(&id) {
                zupc[at].insee.push(insee);
            }
        }
        Ok(Places { towns, zupc, exclusions })
    }

    /// A stamp that moves whenever a place is added or changed: how many there are, and a sum over their times.
    pub async fn places_stamp(&self) -> Result<(i64, i64)> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT count(*), coalesce(CAST(sum(updated_at % 1000000007) AS BIGINT), 0) FROM (
                 SELECT updated_at FROM towns UNION ALL SELECT updated_at FROM zupc
                 UNION ALL SELECT updated_at FROM exclusion_zones) AS places",
            )
            .fetch_one(db)
        })
    }

    /// The INSEE codes of every town, sorted.
    pub async fn insee_codes(&self) -> Result<Vec<String>> {
        let rows: Vec<(String,)> =
            read!(self, db => sqlx::query_as("SELECT insee FROM towns ORDER BY insee").fetch_all(db))?;
        Ok(rows.into_iter().map(|(insee,)| insee).collect())
    }

    /// A town's name.
    pub async fn town_name(&self, insee: &str) -> Result<Option<String>> {
        let row: Option<(String,)> = read!(self, db => {
            sqlx::query_as("SELECT name FROM towns WHERE insee = $1").bind(insee).fetch_optional(db)
        })?;
        Ok(row.map(|(name,)| name))
    }

    /// Adds or updates towns in one transaction, telling after each how many are done.
    pub async fn import_towns(&self, rows: &[ShapeRow], progress: impl Fn(usize)) -> Result<Imported> {
        self.import_shapes(TOWNS, rows, progress).await
    }

    /// Adds or updates exclusion zones in one transaction, telling after each how many are done.
    pub async fn import_exclusions(&self, rows: &[ShapeRow], progress: impl Fn(usize)) -> Result<Imported> {
        self.import_shapes(EXCLUSIONS, rows, progress).await
    }

    /// Adds or renames departements in one transaction, telling after each how many are done.
    pub async fn import_departements(
        &self,
        rows: &[DepartementRow],
        progress: impl Fn(usize),
    ) -> Result<Imported> {
        write!(self, tx => {
            let mut imported = Imported::default();
            for (done, row) in rows.iter().enumerate() {
                let before: Option<(String,)> = sqlx::query_as("SELECT nom FROM departements WHERE numero = $1")
                    .bind(&row.numero)
                    .fetch_optional(&mut **tx)
                    .await?;
                let same = before.map(|(nom,)| nom == row.nom);
                if same != Some(true) {
                    sqlx::query(
                        "INSERT INTO departements (numero, nom) VALUES ($1, $2)
                         ON CONFLICT (numero) DO UPDATE SET nom = excluded.nom",
                    )
                    .bind(&row.numero)
                    .bind(&row.nom)
                    .execute(&mut **tx)
                    .await?;
                }
                imported.count(same);
                progress(done + 1);
            }
            imported
        })
    }

    async fn import_shapes(
        &self,
        table: ShapeTable,
        rows: &[ShapeRow],
        progress: impl Fn(usize),
    ) -> Result<Imported> {
        let now = self.now_ms();
        write!(self, tx => {
            let mut imported = Imported::default();
            for (done, row) in rows.iter().enumerate() {
                let before: Option<(String, String)> =
                    sqlx::query_as(table.select).bind(&row.key).fetch_optional(&mut **tx).await?;
                let same = before.map(|(name, shape)| name == row.name && shape == row.shape);
                if same != Some(true) {
                    sqlx::query(table.upsert)
                        .bind(&row.key)
                        .bind(&row.name)
                        .bind(&row.shape)
                        .bind(now)
                        .execute(&mut **tx)
                        .await?;
                }
                imported.count(same);
                progress(done + 1);
            }
            tx.announce(Change::Places).await?;
            imported
        })
    }

    /// Sets the populations of towns in one transaction, telling after each how many are done.
    pub async fn import_populations(
        &self,
        rows: &[PopulationRow],
        progress: impl Fn(usize),
    ) -> Result<Imported> {
        write!(self, tx => {
            let mut imported = Imported::default();
            for (done, row) in rows.iter().enumerate() {
                let before: Option<(Option<i32>,)> =
                    sqlx::query_as("SELECT population FROM towns WHERE insee = $1")
                        .bind(&row.insee)
                        .fetch_optional(&mut **tx)
                        .await?;
                let same = before.and_then(|(population,)| population).map(|before| before == row.population);
                if same != Some(true) {
                    sqlx::query("UPDATE towns SET population = $2 WHERE insee = $1")
                        .bind(&row.insee)
                        .bind(row.population)
                        .execute(&mut **tx)
                        .await?;
                }
                imported.count(same);
                progress(done + 1);
            }
            imported
        })
    }

    /// The INSEE code and the population of every town of which it is known.
    pub async fn populations(&self) -> Result<Vec<(String, i32)>> {
        read!(self, db => {
            sqlx::query_as("SELECT insee, population FROM towns WHERE population IS NOT NULL ORDER BY insee")
                .fetch_all(db)
        })
    }

    /// Adds or updates ZUPC with their towns in one transaction, telling after each how many are done.
    pub async fn import_zupc(&self, rows: &[ZupcRow], progress: impl Fn(usize)) -> Result<Imported> {
        let now = self.now_ms();
        write!(self, tx => {
            let mut imported = Imported::default();
            for (done, row) in rows.iter().enumerate() {
                let before: Option<(String, Option<String>)> =
                    sqlx::query_as("SELECT name, shape FROM zupc WHERE id = $1")
                        .bind(&row.id)
                        .fetch_optional(&mut **tx)
                        .await?;
                let towns: Vec<(String,)> =
                    sqlx::query_as("SELECT insee FROM zupc_towns WHERE zupc_id = $1 ORDER BY insee")
                    .bind(&row.id)
                    .fetch_all(&mut **tx)
                    .await?;
                let same = before.map(|(name, shape)| {
                    name == row.name && shape == row.shape && towns.iter().map(|(insee,)| insee).eq(&row.insee)
                });
                if same != Some(true) {
                    sqlx::query(
                        "INSERT INTO zupc (id, name, shape, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
                         ON CONFLICT (id) DO UPDATE SET name = excluded.name, shape = excluded.shape,
                             updated_at = excluded.updated_at",
                    )
                    .bind(&row.id)
                    .bind(&row.name)
                    .bind(&row.shape)
                    .bind(now)
                    .execute(&mut **tx)
                    .await?;
                    sqlx::query("DELETE FROM zupc_towns WHERE zupc_id = $1").bind(&row.id).execute(&mut **tx).await?;
                    for insee in &row.insee {
                        sqlx::query("INSERT INTO zupc_towns (zupc_id, insee) VALUES ($1, $2)")
                            .bind(&row.id)
                            .bind(insee)
                            .execute(&mut **tx)
                            .await?;
                    }
                }
                imported.count(same);
                progress(done + 1);
            }
            tx.announce(Change::Places).await?;
            imported
        })
    }
}

/// The statements of one of the two tables of named shapes.
#[derive(Clone, Copy)]
struct ShapeTable {
    select: &'static str,
    upsert: &'static str,
}

const TOWNS: ShapeTable = ShapeTable {
    select: "SELECT name, shape FROM towns WHERE insee = $1",
    upsert: "INSERT INTO towns (insee, name, shape, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
             ON CONFLICT (insee) DO UPDATE SET name = excluded.name, shape = excluded.shape,
             updated_at = excluded.updated_at",
};

const EXCLUSIONS: ShapeTable = ShapeTable {
    select: "SELECT name, shape FROM exclusion_zones WHERE id = $1",
    upsert:
        "INSERT INTO exclusion_zones (id, name, shape, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, shape = excluded.shape,
             updated_at = excluded.updated_at",
};
