//! Reports of acceptance runs, by account.

use sqlx::FromRow;

use super::{Result, Store, read, write};
use crate::limits::CERTIFICATIONS_AN_ACCOUNT;

/// A report, as it was signed.
#[derive(Clone, Debug, FromRow)]
pub struct CertificationRow {
    /// Its number.
    pub id: String,
    /// JSON.
    pub report: String,
    /// What the deployment signed it with.
    pub signature: String,
}

impl Store {
    /// Keeps a report of an account. Of many the oldest go.
    pub async fn keep_certification(&self, user: i32, ended_at: i64, row: &CertificationRow) -> Result<()> {
        write!(self, tx => {
            sqlx::query(
                "INSERT INTO certifications (id, user_id, ended_at, report, signature) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(&row.id)
            .bind(user)
            .bind(ended_at)
            .bind(&row.report)
            .bind(&row.signature)
            .execute(&mut **tx)
            .await?;
            sqlx::query(
                "DELETE FROM certifications WHERE user_id = $1 AND id NOT IN (
                    SELECT id FROM certifications WHERE user_id = $1 ORDER BY ended_at DESC, id LIMIT $2)",
            )
            .bind(user)
            .bind(CERTIFICATIONS_AN_ACCOUNT)
            .execute(&mut **tx)
            .await?;
        })
    }

    /// Those of an account, the latest first.
    pub async fn certifications(&self, user: i32) -> Result<Vec<CertificationRow>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT id, report, signature FROM certifications WHERE user_id = $1 ORDER BY ended_at DESC, id",
            )
            .bind(user)
            .fetch_all(db)
        })
    }

    /// One of them.
    pub async fn certification(&self, user: i32, id: &str) -> Result<Option<CertificationRow>> {
        read!(self, db => {
            sqlx::query_as("SELECT id, report, signature FROM certifications WHERE user_id = $1 AND id = $2")
                .bind(user)
                .bind(id)
                .fetch_optional(db)
        })
    }
}
