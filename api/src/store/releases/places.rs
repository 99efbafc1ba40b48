//! Places as they are published now, the same bytes by every process; of what they were before, the ledger.

use sqlx::FromRow;

use super::NewFile;
use crate::store::batch::{Batch, Run as _};
use crate::store::daily::{Run, lease_ms};
use crate::store::{Result, Store, read, write};

/// What is published of places.
#[derive(Clone, Debug)]
pub struct NewPlaces {
    /// Its name.
    pub dataset: &'static str,
    /// The day on which it was made, as `2026-09-21`.
    pub made_on: String,
    /// How many places it has.
    pub rows: usize,
    /// Its files.
    pub files: Vec<NewFile>,
}

/// A file of places as it is published now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct PlacesRow {
    pub dataset: String,
    pub form: String,
    pub made_on: String,
    pub row_count: i64,
    pub sha256: String,
    pub byte_count: i64,
}

/// The same with what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, FromRow)]
pub struct PlacesContent {
    /// What is known of it.
    #[sqlx(flatten)]
    pub about: PlacesRow,
    /// As it is.
    pub content: Vec<u8>,
    /// Compressed.
    pub gzip: Vec<u8>,
}

/// Whose turn it is to publish places.
#[derive(Clone, Copy, Debug)]
pub enum Turn<'a> {
    /// The nightly run's: everything is made anew.
    Nightly(&'a Run),
    /// Whoever asks first: only what was never published is, or was when there was none of it.
    First,
}

/// A file of the ledger's last version: its number, form and digest.
type Version = (i32, String, String);

impl Store {
    /// What of places is published now, by dataset and form.
    pub async fn current_places(&self) -> Result<Vec<PlacesRow>> {
        let mut rows: Vec<PlacesRow> = read!(self, db => {
            sqlx::query_as(
                "SELECT p.dataset, f.form, p.made_on, p.row_count, f.sha256, f.byte_count
                 FROM current_places p JOIN current_place_files f ON f.dataset = p.dataset",
            )
            .fetch_all(db)
        })?;
        // Databases sort texts each in their own way.
        rows.sort_unstable();
        Ok(rows)
    }

    /// The same with all files, as they are at one instant.
    pub async fn current_places_contents(&self) -> Result<Vec<PlacesContent>> {
        let mut rows: Vec<PlacesContent> = read!(self, db => {
            sqlx::query_as(
                "SELECT p.dataset, f.form, p.made_on, p.row_count, f.sha256, f.byte_count, f.content, f.gzip
                 FROM current_places p JOIN current_place_files f ON f.dataset = p.dataset",
            )
            .fetch_all(db)
        })?;
        rows.sort_unstable();
        Ok(rows)
    }

    /// Publishes places in place of what was; the ledger has a new version of those of which a file is another. Gives
    /// the names of these. None: another process has the run, and nothing was done.
    pub async fn publish_places(
        &self,
        turn: Turn<'_>,
        all: &[NewPlaces],
    ) -> Result<Option<Vec<&'static str>>> {
        let now = self.now_ms();
        let is_first = matches!(turn, Turn::First);
        write!(self, tx => { 'publish: {
            if let Turn::Nightly(run) = turn {
                let held = sqlx::query(
                    "UPDATE daily_runs SET held_until = $4
                     WHERE name = $1 AND due_at = $2 AND held_by = $3 AND ended_at IS NULL",
                )
                .bind(run.name)
                .bind(run.due_at.0)
                .bind(&run.holder)
                .bind(now + lease_ms())
                .execute(&mut **tx)
                .await?
                .rows_affected() == 1;
                if !held {
                    break 'publish None;
                }
            }
            let mut others = Vec::new();
            for places in all {
                // Holds the row until the commit: of two processes that publish the second sees what the first did.
                let is_its_turn = sqlx::query(
                    "INSERT INTO current_places (dataset, made_on, row_count) VALUES ($1, $2, $3)
                     ON CONFLICT (dataset) DO UPDATE
                     SET made_on = excluded.made_on, row_count = excluded.row_count
                     WHERE NOT $4 OR current_places.row_count = 0",
                )
                .bind(places.dataset)
                .bind(&places.made_on)
                .bind(count(places.rows))
                .bind(is_first)
                .execute(&mut **tx)
                .await?
                .rows_affected() == 1;
                if !is_its_turn {
                    continue;
                }
                let last: Vec<Version> = sqlx::query_as(
                    "SELECT version, form, sha256 FROM published_places WHERE dataset = $1
                     AND version = (SELECT max(version) FROM published_places WHERE dataset = $1)",
                )
                .bind(places.dataset)
                .fetch_all(&mut **tx)
                .await?;
                let version = new_version(places, &last);
                others.extend(version.is_some().then_some(places.dataset));
                tx.run(written(places, version, now)).await?;
            }
            Some(others)
        } })
    }
}

/// The number of the version that these are, unless all of their files are those of the last one.
fn new_version(places: &NewPlaces, last: &[Version]) -> Option<i32> {
    let is_same =
        |file: &NewFile| last.iter().any(|(_, form, sha256)| file.form == form && file.sha256 == *sha256);
    let is_another = last.len() != places.files.len() || !places.files.iter().all(is_same);
    is_another.then(|| last.first().map_or(1, |(version, ..)| version + 1))
}

/// Puts files in place of what was, and into the ledger as this version, if it is one.
fn written(places: &NewPlaces, version: Option<i32>, now: i64) -> Batch {
    let mut batch = Batch::default();
    for file in &places.files {
        let bytes = count(file.content.len());
        if let Some(version) = version {
            batch.add(
                "INSERT INTO published_places
                     (dataset, version, form, period, released_at, row_count, sha256, byte_count)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                [
                    places.dataset.into(),
                    version.into(),
                    file.form.into(),
                    (&places.made_on).into(),
                    now.into(),
                    count(places.rows).into(),
                    (&file.sha256).into(),
                    bytes.into(),
                ],
            );
        }
        // What is there already is not written again.
        batch.add(
            "INSERT INTO current_place_files (dataset, form, sha256, byte_count, content, gzip)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (dataset, form) DO UPDATE
             SET sha256 = excluded.sha256, byte_count = excluded.byte_count, content = excluded.content,
                 gzip = excluded.gzip
             WHERE current_place_files.sha256 <> excluded.sha256",
            [
                places.dataset.into(),
                file.form.into(),
                (&file.sha256).into(),
                bytes.into(),
                file.content.clone().into(),
                file.gzip.clone().into(),
            ],
        );
    }
    batch
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
