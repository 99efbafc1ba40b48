//! What webhooks were not told, and are told again.

use sqlx::{AssertSqlSafe, FromRow};

use crate::limits::DELIVERIES_A_TRANSACTION;
use crate::store::{Result, Store, read, write};

/// A delivery that was given up.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct DeadRow {
    pub event_id: i64,
    pub hail_id: String,
    pub to_status: String,
    pub at: i64,
    pub tries: i32,
    pub outcome: Option<String>,
    pub ended_at: Option<i64>,
}

/// Which deliveries are to be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Those that were given up.
    Dead,
    /// Those that were given up of what happened since then, in milliseconds since 1970.
    DeadSince(i64),
    /// That of this event, told or given up.
    Event(i64),
}

impl Store {
    /// A page of what was given up of a webhook, in the order of its events, and how much there is in all.
    pub async fn dead_letters(
        &self,
        webhook: &str,
        (limit, offset): (i64, i64),
    ) -> Result<(Vec<DeadRow>, i64)> {
        let rows = read!(self, db => {
            sqlx::query_as(
                "SELECT d.event_id, d.hail_id, t.to_status, t.at, d.tries, d.outcome, d.ended_at
                 FROM webhook_deliveries d JOIN hail_transitions t ON t.event_id = d.event_id
                 WHERE d.webhook_id = $1 AND d.is_dead ORDER BY d.event_id LIMIT $2 OFFSET $3",
            )
            .bind(webhook)
            .bind(limit)
            .bind(offset)
            .fetch_all(db)
        })?;
        let (total,): (i64,) = read!(self, db => {
            sqlx::query_as("SELECT COUNT(*) FROM webhook_deliveries WHERE webhook_id = $1 AND is_dead")
                .bind(webhook)
                .fetch_one(db)
        })?;
        Ok((rows, total))
    }

    /// Makes deliveries that ended due again, the earliest events first, up to `limit`; gives how many. Others write
    /// between.
    pub async fn redeliver(&self, webhook: &str, again: Again, limit: i64) -> Result<u64> {
        let mut next = match again {
            Again::Event(id) => {
                let events = self.make_due(webhook, "ended_at IS NOT NULL AND event_id = $3", id, 1).await?;
                return Ok(count(&events));
            }
            Again::Dead => Some(0),
            Again::DeadSince(at) => self.first_dead_since(webhook, at).await?,
        };
        let mut all = 0;
        while let Some(first) = next {
            let room = (limit - i64::try_from(all).unwrap_or(limit)).min(DELIVERIES_A_TRANSACTION);
            let events = self.make_due(webhook, "is_dead AND event_id >= $3", first, room).await?;
            all += count(&events);
            next = events.iter().max().map(|last| last + 1);
        }
        Ok(all)
    }

    /// Makes those of a webhook's deliveries due that are so, up to `limit`; gives their events. Where an earlier one
    /// of a hail waits for its next try, they wait with it.
    async fn make_due(&self, webhook: &str, so: &str, event: i64, limit: i64) -> Result<Vec<i64>> {
        let now = self.now_ms();
        let sql = format!(
            "UPDATE webhook_deliveries AS d SET since = $2, tries = 0, ended_at = NULL, is_dead = FALSE,
                 due_at = COALESCE((SELECT b.due_at FROM webhook_deliveries b
                     WHERE b.webhook_id = d.webhook_id AND b.hail_id = d.hail_id AND b.ended_at IS NULL
                     AND b.event_id < d.event_id ORDER BY b.event_id LIMIT 1), $2)
             WHERE webhook_id = $1 AND event_id IN (SELECT event_id FROM webhook_deliveries
                 WHERE webhook_id = $1 AND {so} ORDER BY event_id LIMIT $4{}) RETURNING event_id",
            self.locked(" FOR UPDATE")
        );
        let events: Vec<(i64,)> = write!(self, tx => {
            sqlx::query_as(AssertSqlSafe(sql))
                .bind(webhook)
                .bind(now)
                .bind(event)
                .bind(limit)
                .fetch_all(&mut **tx)
                .await?
        })?;
        Ok(events.into_iter().map(|event| event.0).collect())
    }

    /// The first event that a webhook was not told of those that happened at a time or later.
    async fn first_dead_since(&self, webhook: &str, at: i64) -> Result<Option<i64>> {
        let first: Option<(i64,)> = read!(self, db => {
            sqlx::query_as(
                "SELECT d.event_id FROM webhook_deliveries d JOIN hail_transitions t ON t.event_id = d.event_id
                 WHERE d.webhook_id = $1 AND d.is_dead AND t.at >= $2 ORDER BY d.event_id LIMIT 1",
            )
            .bind(webhook)
            .bind(at)
            .fetch_optional(db)
        })?;
        Ok(first.map(|first| first.0))
    }
}

fn count(events: &[i64]) -> u64 {
    u64::try_from(events.len()).unwrap_or(u64::MAX)
}
