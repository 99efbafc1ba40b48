//! What imports of places did: the newest, each with the first of its remarks.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Result, Store, read, write};
use crate::import::{Remark, Report};
use crate::limits::{IMPORT_REMARKS_KEPT, IMPORT_TEXT_CHARS, IMPORTS_KEPT};

/// An import.
#[derive(Clone, Debug, FromRow, PartialEq, Eq)]
pub struct ImportRow {
    /// UUID.
    pub id: String,
    /// What was imported, by the command's name.
    pub what: String,
    /// The file's path, as it was given.
    pub file: String,
    /// Milliseconds since 1970.
    pub started_at: i64,
    /// The same; None while it lasts, and for ever where its process was killed.
    pub ended_at: Option<i64>,
    /// Why nothing was imported; None where it was.
    pub error: Option<String>,
    /// New rows.
    pub added_count: i64,
    /// Rows that were there and differed.
    pub changed_count: i64,
    /// Rows that were there already, the same.
    pub same_count: i64,
    /// Remarks on what was left out.
    pub refused_count: i64,
    /// Remarks on what was imported otherwise than it was written.
    pub noted_count: i64,
}

/// A remark of an import.
#[derive(Clone, Debug, FromRow, PartialEq, Eq)]
pub struct RemarkRow {
    /// Whether the row was left out.
    pub is_refusal: bool,
    /// As in [`Remark`].
    pub row_number: i64,
    /// The field's name in the file.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Store {
    /// Notes that an import begins; gives its id. Of the others the newest stay.
    pub async fn begin_import(&self, what: &str, file: &str) -> Result<String> {
        let (id, now) = (Uuid::new_v4().to_string(), self.now_ms());
        write!(self, tx => {
            sqlx::query(
                "INSERT INTO import_runs (id, what, file, started_at, added_count, changed_count, same_count,
                                          refused_count, noted_count)
                 VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0)",
            )
            .bind(&id)
            .bind(what)
            .bind(kept(file))
            .bind(now)
            .execute(&mut **tx)
            .await?;
            sqlx::query(
                "DELETE FROM import_runs WHERE id <> $1 AND id NOT IN (
                     SELECT id FROM import_runs WHERE id <> $1 ORDER BY started_at DESC, id DESC LIMIT $2)",
            )
            .bind(&id)
            .bind(IMPORTS_KEPT - 1)
            .execute(&mut **tx)
            .await?;
        })?;
        Ok(id)
    }

    /// Notes how an import ended: with a report, or an error.
    pub async fn end_import(&self, id: &str, outcome: std::result::Result<&Report, String>) -> Result<()> {
        let now = self.now_ms();
        let nothing = Report::default();
        let (report, error) = match &outcome {
            Ok(report) => (*report, None),
            Err(error) => (&nothing, Some(kept(error))),
        };
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let remarks: Vec<_> = [(true, &report.refused), (false, &report.noted)]
            .into_iter()
            .flat_map(|(is_refusal, all)| {
                let first = (1_i64..).zip(all).take(IMPORT_REMARKS_KEPT);
                first.map(move |(number, remark)| (is_refusal, number, remark))
            })
            .collect();
        write!(self, tx => {
            let there = sqlx::query(
                "UPDATE import_runs SET ended_at = $2, error = $3, added_count = $4, changed_count = $5,
                 same_count = $6, refused_count = $7, noted_count = $8 WHERE id = $1",
            )
            .bind(id)
            .bind(now)
            .bind(error.as_deref())
            .bind(count(report.imported.added))
            .bind(count(report.imported.changed))
            .bind(count(report.imported.same))
            .bind(count(report.refused.len()))
            .bind(count(report.noted.len()))
            .execute(&mut **tx)
            .await?
            .rows_affected();
            // So many others may have begun meanwhile that it is not kept.
            for (is_refusal, number, Remark { row, field, reason }) in remarks.iter().filter(|_| there == 1) {
                sqlx::query(
                    "INSERT INTO import_remarks (run_id, is_refusal, number, row_number, field, reason)
                     VALUES ($1, $2, $3, $4, $5, $6)",
                )
                .bind(id)
                .bind(*is_refusal)
                .bind(*number)
                .bind(count(*row))
                .bind(kept(field))
                .bind(kept(reason))
                .execute(&mut **tx)
                .await?;
            }
        })
    }

    /// Imports, the newest first, of `what` alone if that is given; and how many there are.
    pub async fn imports(
        &self,
        what: Option<&str>,
        (limit, offset): (i64, i64),
    ) -> Result<(Vec<ImportRow>, i64)> {
        let (total,): (i64,) = read!(self, db => {
            sqlx::query_as("SELECT count(*) FROM import_runs WHERE what = coalesce($1, what)").bind(what).fetch_one(db)
        })?;
        let rows = read!(self, db => {
            sqlx::query_as(
                "SELECT id, what, file, started_at, ended_at, error, added_count, changed_count, same_count,
                 refused_count, noted_count FROM import_runs WHERE what = coalesce($1, what)
                 ORDER BY started_at DESC, id DESC LIMIT $2 OFFSET $3",
            )
            .bind(what)
            .bind(limit)
            .bind(offset)
            .fetch_all(db)
        })?;
        Ok((rows, total))
    }

    /// One import and what is kept of its remarks, refusals first.
    pub async fn import(&self, id: &str) -> Result<Option<(ImportRow, Vec<RemarkRow>)>> {
        let run: Option<ImportRow> = read!(self, db => {
            sqlx::query_as(
                "SELECT id, what, file, started_at, ended_at, error, added_count, changed_count, same_count,
                 refused_count, noted_count FROM import_runs WHERE id = $1",
            )
            .bind(id)
            .fetch_optional(db)
        })?;
        let Some(run) = run else { return Ok(None) };
        let remarks = read!(self, db => {
            sqlx::query_as(
                "SELECT is_refusal, row_number, field, reason FROM import_remarks WHERE run_id = $1
                 ORDER BY is_refusal DESC, number",
            )
            .bind(id)
            .fetch_all(db)
        })?;
        Ok(Some((run, remarks)))
    }
}

/// What is kept of a text. A NUL, which no database row has, is replaced.
fn kept(text: &str) -> String {
    text.chars().take(IMPORT_TEXT_CHARS).collect::<String>().replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(kept("a\0é"), "a\u{fffd}é");
        assert_eq!(kept(&"é".repeat(IMPORT_TEXT_CHARS + 1)), "é".repeat(IMPORT_TEXT_CHARS));
    }
}
