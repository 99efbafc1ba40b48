//! Writes of webhooks, and their secrets.

use std::sync::Arc;

use super::Registry;
use super::writes::detached;
use crate::limits::REDELIVERED_MAX;
use crate::secrets::{SecretError, hex, random};
use crate::store::webhooks::WebhookRow;
use crate::store::webhooks::dead_letters::Again;
use crate::store::{Result, StoreError};

/// Random bytes of a secret that is made here.
const SECRET_BYTES: usize = 32;

impl Registry {
    /// Adds a webhook to an account, with a secret that is made here where it has none; gives the secret, too. None:
    /// the account has as many as it may.
    pub async fn add_webhook(
        self: &Arc<Self>,
        app: i32,
        url: String,
        secret: Option<String>,
    ) -> Result<Option<(WebhookRow, String)>> {
        let registry = self.clone();
        detached(async move {
            let id = uuid::Uuid::new_v4().to_string();
            let (secret, sealed) = registry.seal_webhook(&id, secret).map_err(|error| {
                StoreError::Damaged { table: "webhooks", key: id.clone(), reason: error.to_string() }
            })?;
            let row = registry.store.add_webhook(&id, app, &url, &sealed).await?;
            Ok(row.map(|row| (row, secret)))
        })
        .await
    }

    fn seal_webhook(
        &self,
        id: &str,
        secret: Option<String>,
    ) -> std::result::Result<(String, String), SecretError> {
        let secret = secret.map_or_else(|| random::<SECRET_BYTES>().map(|bytes| hex(&bytes)), Ok)?;
        let sealed = self.secret.seal(&context(id), &secret)?;
        Ok((secret, sealed))
    }

    /// What a webhook knows us by.
    pub fn webhook_secret(&self, webhook: &WebhookRow) -> std::result::Result<String, SecretError> {
        self.secret.open(&context(&webhook.id), &webhook.secret_sealed)
    }

    /// Removes a webhook, with all that it was to be told. Where that comes to nothing half way, the rest goes later.
    pub async fn remove_webhook(self: &Arc<Self>, id: String) -> Result<()> {
        let registry = self.clone();
        detached(async move {
            registry.store.remove_webhook(&id).await?;
            tokio::spawn(async move { registry.upkeep.prune_webhooks().await });
            Ok(())
        })
        .await
    }

    /// Makes what a webhook was not told due again; gives how much.
    pub async fn redeliver(self: &Arc<Self>, webhook: String, again: Again) -> Result<u64> {
        let registry = self.clone();
        detached(async move {
            let events = registry.store.redeliver(&webhook, again, REDELIVERED_MAX).await?;
            registry.deliveries_due.notify_one();
            Ok(events)
        })
        .await
    }
}

/// Where alone a secret opens.
fn context(id: &str) -> String {
    format!("webhook {id}")
}
