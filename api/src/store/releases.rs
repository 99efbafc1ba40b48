//! The ledger of what was published, and the files of months as everybody has them; those of places are [`places`].

use std::ops::Range;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};

use super::batch::Batch;
use super::daily::Run;
use super::{Result, Store, read};

pub mod places;

/// What is released: a table of a month.
#[derive(Clone, Debug)]
pub struct NewRelease {
    /// Its name.
    pub dataset: &'static str,
    /// The month, as `2026-09`.
    pub period: String,
    /// How many rows it has.
    pub rows: usize,
    /// How many figures were withheld: never told, as of none every missing figure would be nil.
    pub withheld: usize,
    /// Of a table by cell, the finest H3 resolution of which it may have figures.
    pub resolution: Option<u8>,
    /// Its files.
    pub files: Vec<NewFile>,
}

/// One form of it, or of places.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// `csv`, `parquet` or `geojson`.
    pub form: &'static str,
    /// The SHA-256 of the content, in hexadecimal digits.
    pub sha256: String,
    /// The file.
    pub content: Vec<u8>,
    /// The same, compressed.
    pub gzip: Vec<u8>,
}

/// A file of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct ReleasedRow {
    pub dataset: String,
    pub period: String,
    pub version: i32,
    pub form: String,
    /// Milliseconds since 1970.
    pub released_at: i64,
    pub row_count: i64,
    pub sha256: String,
    pub byte_count: i64,
    /// Of a table by cell, the finest H3 resolution of which it may have figures; None: of another, or nobody noted it.
    pub resolution: Option<i32>,
}

/// What is known of a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct StoredFile {
    /// Of the file as it is, in hexadecimal digits.
    pub sha256: String,
    /// How large it is.
    pub byte_count: i64,
}

impl Store {
    /// Every file that was released, by dataset, period, version and form.
    pub async fn ledger(&self) -> Result<Vec<ReleasedRow>> {
        let mut rows: Vec<ReleasedRow> = read!(self, db => {
            sqlx::query_as(
                "SELECT r.dataset, r.period, r.version, f.form, r.released_at, r.row_count, f.sha256, f.byte_count,
                        r.resolution
                 FROM releases r JOIN release_files f
                 ON f.dataset = r.dataset AND f.period = r.period AND f.version = r.version
                 UNION ALL
                 SELECT dataset, period, version, form, released_at, row_count, sha256, byte_count, NULL
                 FROM published_places",
            )
            .fetch_all(db)
        })?;
        // Databases sort texts each in their own way.
        rows.sort_unstable();
        Ok(rows)
    }

    /// A file by dataset, period and form.
    pub async fn released_file(&self, name: [&str; 3]) -> Result<Option<StoredFile>> {
        self.released("sha256, byte_count", name).await
    }

    /// All of a file, as it is or compressed.
    pub async fn released_content(&self, name: [&str; 3], is_gzip: bool) -> Result<Option<Vec<u8>>> {
        self.content(if is_gzip { "gzip" } else { "content" }, name).await
    }

    /// These bytes of a file.
    pub async fn released_part(&self, name: [&str; 3], part: &Range<usize>) -> Result<Option<Vec<u8>>> {
        self.content(&format!("substr(content, {}, {})", part.start + 1, part.len()), name).await
    }

    async fn content(&self, bytes: &str, name: [&str; 3]) -> Result<Option<Vec<u8>>> {
        let row: Option<(Vec<u8>,)> = self.released(bytes, name).await?;
        Ok(row.map(|(bytes,)| bytes))
    }

    async fn released<R>(&self, columns: &str, [dataset, period, form]: [&str; 3]) -> Result<Option<R>>
    where
        R: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
    {
        let sql = format!(
            "SELECT {columns} FROM release_files
             WHERE dataset = $1 AND period = $2 AND form = $3 ORDER BY version DESC LIMIT 1"
        );
        read!(self, db => {
            sqlx::query_as(AssertSqlSafe(sql)).bind(dataset).bind(period).bind(form).fetch_optional(db)
        })
    }

    /// Releases what is released together, once and for all: of what is released already it is an error, and nothing
    /// is. False: another process has the run, and nothing was.
    pub async fn release(&self, run: &Run, releases: Vec<NewRelease>) -> Result<bool> {
        const VERSION: i32 = 1;
        let now = self.now_ms();
        let rows = releases.iter().map(|release| release.rows).sum();
        let (mut ledger, mut files) = (Batch::default(), Batch::default());
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        for release in releases {
            let (dataset, period) = (release.dataset, release.period);
            ledger.add(
                "INSERT INTO releases (dataset, period, version, released_at, row_count, withheld, resolution)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                [
                    dataset.into(),
                    (&period).into(),
                    VERSION.into(),
                    now.into(),
                    count(release.rows).into(),
                    count(release.withheld).into(),
                    release.resolution.map(i32::from).into(),
                ],
            );
            for file in release.files {
                files.add(
                    "INSERT INTO release_files (dataset, period, version, form, sha256, byte_count, content, gzip)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    [
                        dataset.into(),
                        (&period).into(),
                        VERSION.into(),
                        file.form.into(),
                        file.sha256.into(),
                        count(file.content.len()).into(),
                        file.content.into(),
                        file.gzip.into(),
                    ],
                );
            }
        }
        self.step(run, rows, vec![ledger, files]).await
    }
}
