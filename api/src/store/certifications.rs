//! Acceptance runs: who takes part in one, and their reports, by account.

use sqlx::FromRow;

use super::{Result, Store, read, write};
use crate::limits::{CERTIFICATION_LEASE, CERTIFICATIONS_AN_ACCOUNT};

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

const LEAVE: &str = "DELETE FROM certification_parties WHERE run_id = $1";

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

    /// Takes the accounts of a run for it, or keeps them, for a while. Gives those that take part in another run,
    /// whichever process has that; where there are any, this one has none.
    pub async fn take_parties(&self, run: &str, parties: &[i32]) -> Result<Vec<i32>> {
        // In one order, so that none waits for each other.
        let mut parties = parties.to_vec();
        parties.sort_unstable();
        let now = self.now_ms();
        let until = now + i64::try_from(CERTIFICATION_LEASE.as_millis()).unwrap_or(i64::MAX);
        write!(self, tx => {
            let mut busy = Vec::new();
            for &account in &parties {
                let is_taken = sqlx::query(
                    "INSERT INTO certification_parties AS p (account_id, run_id, leased_until) VALUES ($1, $2, $3)
                     ON CONFLICT (account_id) DO UPDATE
                     SET run_id = excluded.run_id, leased_until = excluded.leased_until
                     WHERE p.run_id = excluded.run_id OR p.leased_until <= $4",
                )
                .bind(account)
                .bind(run)
                .bind(until)
                .bind(now)
                .execute(&mut **tx)
                .await?
                .rows_affected() == 1;
                if !is_taken {
                    busy.push(account);
                }
            }
            if !busy.is_empty() {
                sqlx::query(LEAVE).bind(run).execute(&mut **tx).await?;
            }
            busy
        })
    }

    /// Lets the accounts of a run go.
    pub async fn leave_parties(&self, run: &str) -> Result<()> {
        write!(self, tx => {
            sqlx::query(LEAVE).bind(run).execute(&mut **tx).await?;
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
