//! Webhooks of search apps. What they are to be told is in [`deliveries`], what they were not told in [`dead_letters`],
//! how much of either there may be in [`backlog`].

use sqlx::{AssertSqlSafe, FromRow};

use super::{Pool, Result, Store, read, write};
use crate::limits::{DELIVERIES_A_TRANSACTION, WEBHOOKS_AN_ACCOUNT};

pub mod backlog;
pub mod dead_letters;
pub mod deliveries;

/// A webhook as stored.
#[derive(Clone, Debug, FromRow)]
pub struct WebhookRow {
    /// Its id.
    pub id: String,
    /// Whose hails it is told of.
    pub app_id: i32,
    /// Where it is.
    pub url: String,
    /// What it knows us by, sealed.
    pub secret_sealed: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl Store {
    /// Adds a webhook; None: the account has as many as it may.
    pub async fn add_webhook(
        &self,
        id: &str,
        app: i32,
        url: &str,
        secret_sealed: &str,
    ) -> Result<Option<WebhookRow>> {
        let now = self.now_ms();
        // Whoever else adds one to the account waits here.
        let account = format!("SELECT id FROM users WHERE id = $1{}", self.locked(" FOR NO KEY UPDATE"));
        write!(self, tx => { 'added: {
            sqlx::query(AssertSqlSafe(account)).bind(app).fetch_optional(&mut **tx).await?;
            let (count,): (i64,) =
                sqlx::query_as("SELECT COUNT(*) FROM webhooks WHERE app_id = $1 AND removed_at IS NULL")
                    .bind(app)
                    .fetch_one(&mut **tx)
                    .await?;
            if count >= WEBHOOKS_AN_ACCOUNT {
                break 'added None;
            }
            let row = sqlx::query_as(
                "INSERT INTO webhooks (id, app_id, url, secret_sealed, created_at) VALUES ($1, $2, $3, $4, $5)
                 RETURNING id, app_id, url, secret_sealed, created_at",
            )
            .bind(id)
            .bind(app)
            .bind(url)
            .bind(secret_sealed)
            .bind(now)
            .fetch_one(&mut **tx)
            .await?;
            Some(row)
        } })
    }

    /// The webhooks of an account, the oldest first.
    pub async fn webhooks(&self, app: i32) -> Result<Vec<WebhookRow>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT id, app_id, url, secret_sealed, created_at FROM webhooks
                 WHERE app_id = $1 AND removed_at IS NULL ORDER BY created_at, id",
            )
            .bind(app)
            .fetch_all(db)
        })
    }

    /// A webhook of an account.
    pub async fn webhook(&self, app: i32, id: &str) -> Result<Option<WebhookRow>> {
        // PostgreSQL would refuse the question.
        if id.contains('\0') {
            return Ok(None);
        }
        read!(self, db => {
            sqlx::query_as(
                "SELECT id, app_id, url, secret_sealed, created_at FROM webhooks
                 WHERE app_id = $1 AND id = $2 AND removed_at IS NULL",
            )
            .bind(app)
            .bind(id)
            .fetch_optional(db)
        })
    }

    /// Removes a webhook: it is told nothing more. What it was to be told goes by [`Store::prune_webhooks`].
    pub async fn remove_webhook(&self, id: &str) -> Result<()> {
        let now = self.now_ms();
        write!(self, tx => {
            sqlx::query("UPDATE webhooks SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL")
                .bind(id)
                .bind(now)
                .execute(&mut **tx)
                .await?;
        })
    }

    /// Removes what is left of webhooks that were removed: much, perhaps, and others write between.
    pub async fn prune_webhooks(&self) -> Result<()> {
        let removed: Vec<(String,)> = read!(self, db => {
            sqlx::query_as("SELECT id FROM webhooks WHERE removed_at IS NOT NULL").fetch_all(db)
        })?;
        let deliveries = format!(
            "DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND event_id IN
             (SELECT event_id FROM webhook_deliveries WHERE webhook_id = $1 LIMIT $2{})",
            self.locked(" FOR UPDATE SKIP LOCKED")
        );
        for (id,) in &removed {
            loop {
                let gone = write!(self, tx => {
                    sqlx::query(AssertSqlSafe(deliveries.clone()))
                        .bind(id)
                        .bind(DELIVERIES_A_TRANSACTION)
                        .execute(&mut **tx)
                        .await?
                        .rows_affected()
                })?;
                if gone < DELIVERIES_A_TRANSACTION.unsigned_abs() {
                    break;
                }
            }
            // What somebody had locked is left for the next time.
            write!(self, tx => {
                sqlx::query(
                    "DELETE FROM webhooks WHERE id = $1
                     AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE webhook_id = $1)",
                )
                .bind(id)
                .execute(&mut **tx)
                .await?;
            })?;
        }
        Ok(())
    }

    /// How rows are locked as they are read; on `SQLite` no other transaction writes.
    pub(in crate::store) fn locked(&self, how: &'static str) -> &'static str {
        match self.pool {
            Pool::Sqlite { .. } => "",
            Pool::Postgres(_) => how,
        }
    }
}
