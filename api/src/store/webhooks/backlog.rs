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
                "SELECT d.webhook_id, COUNT(*) AS events, MIN(d.since) AS since FROM webhook_deliveries d
                 JOIN webhooks w ON w.id = d.webhook_id AND w.removed_at IS NULL
                 WHERE d.due_at IS NOT NULL GROUP BY d.webhook_id",
            )
            .fetch_all(db)
        })
    }

    /// Gives up events that wait for a webhook, all but the last `max` and what is being told; gives how many. Others
    /// write between.
    pub async fn give_up_all_but(&self, webhook: &str, max: i64) -> Result<u64> {
        let now = self.now_ms();
        let sql = |events: &[i64]| {
            format!(
                "UPDATE webhook_deliveries SET due_at = NULL, ended_at = $2, is_dead = TRUE, outcome = $3,
                     leased_until = 0
                 WHERE webhook_id = $1 AND event_id IN (SELECT event_id FROM webhook_deliveries WHERE webhook_id = $1
                     AND due_at IS NOT NULL AND leased_until <= $2 AND event_id IN ({}){})",
                numbers(4, events.len()),
                self.locked(" FOR UPDATE SKIP LOCKED")
            )
        };
        let mut all = 0;
        let Some(cut) = self.before_last(webhook, "due_at IS NOT NULL", max).await? else { return Ok(all) };
        loop {
            let events = self.earliest(webhook, "due_at IS NOT NULL", cut).await?;
            if events.is_empty() {
                return Ok(all);
            }
            let given_up = write!(self, tx => {
                let query = sqlx::query(AssertSqlSafe(sql(&events))).bind(webhook).bind(now).bind(TOO_MANY);
                let query = events.iter().fold(query, |query, event| query.bind(*event));
                query.execute(&mut **tx).await?.rows_affected()
            })?;
            if given_up == 0 {
                // Somebody has all of them just now.
                return Ok(all);
            }
            all += given_up;
        }
    }

    /// Forgets dead letters of each webhook, all but the last `max`. Others write between.
    pub async fn forget_dead_letters(&self, max: i64) -> Result<()> {
        let many: Vec<(String,)> = read!(self, db => {
            sqlx::query_as(
                "SELECT webhook_id FROM webhook_deliveries WHERE is_dead GROUP BY webhook_id HAVING COUNT(*) > $1",
            )
            .bind(max)
            .fetch_all(db)
        })?;
        for (webhook,) in many {
            let Some(cut) = self.before_last(&webhook, "is_dead", max).await? else { continue };
            loop {
                let events = self.earliest(&webhook, "is_dead", cut).await?;
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
                let forgotten = write!(self, tx => {
                    let query = sqlx::query(AssertSqlSafe(sql)).bind(&webhook);
                    let query = events.iter().fold(query, |query, event| query.bind(*event));
                    query.execute(&mut **tx).await?.rows_affected()
                })?;
                if forgotten == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The last event before the last `max` of a webhook's deliveries that are so: what is done up to there is done
    /// once, by however many processes.
    async fn before_last(&self, webhook: &str, so: &str, max: i64) -> Result<Option<i64>> {
        let sql = format!(
            "SELECT event_id FROM webhook_deliveries WHERE webhook_id = $1 AND {so}
             ORDER BY event_id DESC LIMIT 1 OFFSET $2"
        );
        let cut: Option<(i64,)> =
            read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).bind(webhook).bind(max).fetch_optional(db))?;
        Ok(cut.map(|cut| cut.0))
    }

    /// The earliest events up to one of a webhook's deliveries that are so and nobody has, as many as one transaction
    /// takes. They are looked for beside the writer.
    async fn earliest(&self, webhook: &str, so: &str, until: i64) -> Result<Vec<i64>> {
        let now = self.now_ms();
        let sql = format!(
            "SELECT event_id FROM webhook_deliveries
             WHERE webhook_id = $1 AND {so} AND leased_until <= $3 AND event_id <= $4 ORDER BY event_id LIMIT $2"
        );
        let events: Vec<(i64,)> = read!(self, db => {
            sqlx::query_as(AssertSqlSafe(sql))
                .bind(webhook)
                .bind(DELIVERIES_A_TRANSACTION)
                .bind(now)
                .bind(until)
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
