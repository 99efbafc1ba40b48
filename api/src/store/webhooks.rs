//! Webhooks of search apps; what they are to be told is in [`deliveries`].

use sqlx::{AssertSqlSafe, FromRow};

use super::{Pool, Result, Store, read, write};
use crate::limits::{DELIVERIES_A_TRANSACTION, WEBHOOKS_AN_ACCOUNT};

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
            let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM webhooks WHERE app_id = $1")
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
                "SELECT id, app_id, url, secret_sealed, created_at FROM webhooks WHERE app_id = $1
                 ORDER BY created_at, id",
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
                "SELECT id, app_id, url, secret_sealed, created_at FROM webhooks WHERE app_id = $1 AND id = $2",
            )
            .bind(app)
            .bind(id)
            .fetch_optional(db)
        })
    }

    /// Removes a webhook with all that it was to be told: much, perhaps, and others write between.
    pub async fn remove_webhook(&self, id: &str) -> Result<()> {
        let lock = self.locked(" FOR UPDATE");
        // Nobody adds to it meanwhile; and whoever writes down how a delivery ended locks in the order of events, too.
        let webhook = format!("SELECT id FROM webhooks WHERE id = $1{lock}");
        let deliveries = format!(
            "DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND event_id IN
             (SELECT event_id FROM webhook_deliveries WHERE webhook_id = $1 ORDER BY event_id LIMIT $2{lock})"
        );
        loop {
            let is_removed = write!(self, tx => {
                sqlx::query(AssertSqlSafe(webhook.clone())).bind(id).fetch_optional(&mut **tx).await?;
                let removed = sqlx::query(AssertSqlSafe(deliveries.clone()))
                    .bind(id)
                    .bind(DELIVERIES_A_TRANSACTION)
                    .execute(&mut **tx)
                    .await?
                    .rows_affected();
                let is_last = removed < DELIVERIES_A_TRANSACTION.unsigned_abs();
                if is_last {
                    sqlx::query("DELETE FROM webhooks WHERE id = $1").bind(id).execute(&mut **tx).await?;
                }
                is_last
            })?;
            if is_removed {
                return Ok(());
            }
        }
    }

    /// How rows are locked as they are read; on `SQLite` no other transaction writes.
    fn locked(&self, how: &'static str) -> &'static str {
        match self.pool {
            Pool::Sqlite { .. } => "",
            Pool::Postgres(_) => how,
        }
    }
}
