//! How much waits for webhooks, and that it stays bounded.

use sqlx::{AssertSqlSafe, FromRow};

use crate::limits::DELIVERIES_A_TRANSACTION;
use crate::store::hails::due::numbers;
use crate::store::{Result, Store, read, write};

/// How long is known what was told, in milliseconds.
const TOLD_KEPT_MS: i64 = 24 * 3_600_000;
/// How long is known what was given up, in milliseconds.
const DEAD_KEPT_MS: i64 = 30 * TOLD_KEPT_MS;
/// What came of a delivery that was given up for want of room.
const TOO_MANY: &str = "too many events waited";

/// What waits for a webhook.
#[derive(Clone, Debug, FromRow)]
pub struct Waiting {
    /// The webhook.
    pub webhook_id: String,
    /// How many events.
    pub events: i64,
    /// From when on the first of them was to be told.
    pub since: i64,
}

impl Store {
    /// What waits, for each webhook for which anything does.
    pub async fn deliveries_waiting(&self) -> Result<Vec<Waiting>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT webhook_id, COUNT(*) AS events, MIN(since) AS since FROM webhook_deliveries
                 WHERE due_at IS NOT NULL GROUP BY webhook_id",
            )
            .fetch_all(db)
        })
    }

    /// Gives up the earliest events that wait for a webhook, so many, but those that are being told; gives how many
    /// that were. Others write between.
    pub async fn give_up_earliest(&self, webhook: &str, count: i64) -> Result<u64> {
        let now = self.now_ms();
        let (mut left, mut all) = (count, 0);
        while left > 0 {
            let events = self.earliest(webhook, "due_at IS NOT NULL", left).await?;
            if events.is_empty() {
                break;
            }
            let sql = format!(
                "UPDATE webhook_deliveries SET due_at = NULL, ended_at = $2, is_dead = TRUE, outcome = $3
                 WHERE webhook_id = $1 AND event_id IN (SELECT event_id FROM webhook_deliveries WHERE webhook_id = $1
                     AND due_at IS NOT NULL AND leased_until <= $2 AND event_id IN ({}){})",
                numbers(4, events.len()),
                self.locked(" FOR UPDATE SKIP LOCKED")
            );
            all += write!(self, tx => {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(webhook).bind(now).bind(TOO_MANY);
                let query = events.iter().fold(query, |query, event| query.bind(*event));
                query.execute(&mut **tx).await?.rows_affected()
            })?;
            left -= DELIVERIES_A_TRANSACTION;
        }
        Ok(all)
    }

    /// Forgets dead letters, the earliest, of each webhook that has more than `max`. Others write between.
    pub async fn forget_dead_letters(&self, max: i64) -> Result<()> {
        let many: Vec<(String, i64)> = read!(self, db => {
            sqlx::query_as(
                "SELECT webhook_id, COUNT(*) FROM webhook_deliveries WHERE is_dead
                 GROUP BY webhook_id HAVING COUNT(*) > $1",
            )
            .bind(max)
            .fetch_all(db)
        })?;
        for (webhook, count) in many {
            let mut left = count - max;
            while left > 0 {
                let events = self.earliest(&webhook, "is_dead", left).await?;
                if events.is_empty() {
                    break;
                }
                let sql = format!(
                    "DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND event_id IN
                     (SELECT event_id FROM webhook_deliveries WHERE webhook_id = $1 AND is_dead
                      AND event_id IN ({}){})",
                    numbers(2, events.len()),
                    self.locked(" FOR UPDATE SKIP LOCKED")
                );
                write!(self, tx => {
                    let query = sqlx::query(AssertSqlSafe(sql)).bind(&webhook);
                    events.iter().fold(query, |query, event| query.bind(*event)).execute(&mut **tx).await?;
                })?;
                left -= DELIVERIES_A_TRANSACTION;
            }
        }
        Ok(())
    }

    /// The earliest events of a webhook's deliveries that are so and nobody has, up to `limit` and to what one
    /// transaction takes. They are looked for beside the writer; and of several processes that find the same, the first
    /// one does what is done.
    async fn earliest(&self, webhook: &str, so: &str, limit: i64) -> Result<Vec<i64>> {
        let now = self.now_ms();
        let sql = format!(
            "SELECT event_id FROM webhook_deliveries
             WHERE webhook_id = $1 AND {so} AND leased_until <= $3 ORDER BY event_id LIMIT $2"
        );
        let events: Vec<(i64,)> = read!(self, db => {
            sqlx::query_as(AssertSqlSafe(sql))
                .bind(webhook)
                .bind(limit.min(DELIVERIES_A_TRANSACTION))
                .bind(now)
                .fetch_all(db)
        })?;
        Ok(events.into_iter().map(|event| event.0).collect())
    }

    /// Removes what ended long ago; others write between.
    pub async fn prune_deliveries(&self) -> Result<()> {
        let now = self.now_ms();
        for (which, before) in [("NOT is_dead", now - TOLD_KEPT_MS), ("is_dead", now - DEAD_KEPT_MS)] {
            let sql = format!(
                "DELETE FROM webhook_deliveries WHERE (webhook_id, event_id) IN
                 (SELECT webhook_id, event_id FROM webhook_deliveries
                  WHERE ended_at IS NOT NULL AND {which} AND ended_at < $1 LIMIT $2{})",
                self.locked(" FOR UPDATE SKIP LOCKED")
            );
            loop {
                let removed = write!(self, tx => {
                    sqlx::query(AssertSqlSafe(sql.clone()))
                        .bind(before)
                        .bind(DELIVERIES_A_TRANSACTION)
                        .execute(&mut **tx)
                        .await?
                        .rows_affected()
                })?;
                if removed < DELIVERIES_A_TRANSACTION.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(())
    }
}
