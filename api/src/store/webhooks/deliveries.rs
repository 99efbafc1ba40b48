//! What webhooks are to be told: a row for each event and webhook, inserted as the event gets its number.
//!
//! Whoever locks several rows of a webhook does so in the order of events, or passes over what others have.
//!
//! Of one hail, a webhook is told one event after the other: what is due waits as long as something earlier has not
//! ended. That is looked at when a delivery is claimed; that those who wait are put off with whom they wait for only
//! spares looking at them.

use sqlx::{AssertSqlSafe, FromRow};

use super::WebhookRow;
use crate::limits::DELIVERIES_A_TRANSACTION;
use crate::store::{Result, Store, read, write};

/// How long is known what was told, in milliseconds.
const TOLD_KEPT_MS: i64 = 24 * 3_600_000;
/// How long is known what was given up, in milliseconds.
const DEAD_KEPT_MS: i64 = 30 * TOLD_KEPT_MS;

/// Makes deliveries of the events after `$1` up to `$2`, at `$3`. Where one of a hail has failed, what follows waits
/// with it.
pub(in crate::store) const INSERT: &str =
    "INSERT INTO webhook_deliveries (webhook_id, event_id, hail_id, due_at, since, tries, is_dead)
     SELECT w.id, t.event_id, t.hail_id, COALESCE((SELECT MAX(b.due_at) FROM webhook_deliveries b
         WHERE b.webhook_id = w.id AND b.hail_id = t.hail_id AND b.due_at IS NOT NULL AND b.tries > 0), $3), $3, 0,
         FALSE
     FROM hail_transitions t JOIN webhooks w ON w.app_id = t.app_id WHERE t.event_id > $1 AND t.event_id <= $2";

/// What is due of a webhook and waits for nothing, the longest due first.
const DUE: &str = "SELECT d.event_id FROM webhook_deliveries d WHERE d.webhook_id = $1 AND d.due_at <= $2
     AND NOT EXISTS (SELECT 1 FROM webhook_deliveries b WHERE b.webhook_id = d.webhook_id AND b.hail_id = d.hail_id
         AND b.due_at IS NOT NULL AND b.event_id < d.event_id)
     ORDER BY d.due_at, d.event_id LIMIT $3";

/// A delivery that is one's own for a while.
#[derive(Clone, Debug, FromRow)]
pub struct Claimed {
    /// The event.
    pub event_id: i64,
    /// Its hail.
    pub hail_id: String,
    /// From when on it was to be told.
    pub since: i64,
    /// How often it was tried before.
    pub tries: i32,
}

/// How a delivery goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It was told.
    Told,
    /// It is to be tried again, from this time on.
    Again(i64),
    /// It is given up.
    Dead,
}

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
    /// Webhooks of which something is due.
    pub async fn webhooks_due(&self) -> Result<Vec<WebhookRow>> {
        let now = self.now_ms();
        read!(self, db => {
            sqlx::query_as(
                "SELECT w.id, w.app_id, w.url, w.secret_sealed, w.created_at FROM webhooks w
                 WHERE EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.due_at <= $1)",
            )
            .bind(now)
            .fetch_all(db)
        })
    }

    /// Takes deliveries of a webhook that are due: no other process takes them within the next `lease_ms`.
    pub async fn claim_deliveries(&self, webhook: &str, limit: i64, lease_ms: i64) -> Result<Vec<Claimed>> {
        let now = self.now_ms();
        // All that is due may wait for something else: whoever only looks keeps no writer waiting.
        let some: Vec<(i64,)> = read!(self, db => {
            sqlx::query_as(DUE).bind(webhook).bind(now).bind(1_i64).fetch_all(db)
        })?;
        if some.is_empty() {
            return Ok(Vec::new());
        }
        let lock = self.locked(" FOR UPDATE OF d SKIP LOCKED");
        let claim = format!(
            "UPDATE webhook_deliveries SET due_at = $4 WHERE webhook_id = $1 AND event_id IN ({DUE}{lock})
             RETURNING event_id, hail_id, since, tries"
        );
        write!(self, tx => {
            sqlx::query_as(AssertSqlSafe(claim))
                .bind(webhook)
                .bind(now)
                .bind(limit)
                .bind(now + lease_ms)
                .fetch_all(&mut **tx)
                .await?
        })
    }

    /// Writes down how a delivery ended, unless it has ended before; whatever waits for it goes on with it.
    pub async fn end_delivery(
        &self,
        webhook: &str,
        claimed: &Claimed,
        then: Then,
        outcome: &str,
    ) -> Result<()> {
        let now = self.now_ms();
        let (due_at, ended_at) = match then {
            Then::Again(at) => (Some(at), None),
            Then::Told | Then::Dead => (None, Some(now)),
        };
        write!(self, tx => {
            sqlx::query(
                "UPDATE webhook_deliveries SET due_at = $3, ended_at = $4, is_dead = $5, outcome = $6, tries = tries + 1
                 WHERE webhook_id = $1 AND event_id = $2 AND due_at IS NOT NULL",
            )
            .bind(webhook)
            .bind(claimed.event_id)
            .bind(due_at)
            .bind(ended_at)
            .bind(then == Then::Dead)
            .bind(outcome)
            .execute(&mut **tx)
            .await?;
            sqlx::query(
                "UPDATE webhook_deliveries SET due_at = $4
                 WHERE webhook_id = $1 AND hail_id = $2 AND event_id > $3 AND due_at IS NOT NULL",
            )
            .bind(webhook)
            .bind(&claimed.hail_id)
            .bind(claimed.event_id)
            .bind(due_at.unwrap_or(now))
            .execute(&mut **tx)
            .await?;
        })
    }

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

    /// Makes deliveries that ended due again, the earliest events first, up to `limit`; gives how many.
    pub async fn redeliver(&self, webhook: &str, again: Again, limit: i64) -> Result<u64> {
        let now = self.now_ms();
        let (which, bound) = match again {
            Again::Dead => ("d.is_dead AND d.event_id > $4", 0),
            Again::DeadSince(at) => ("d.is_dead AND t.at >= $4", at),
            Again::Event(id) => ("d.ended_at IS NOT NULL AND d.event_id = $4", id),
        };
        let sql = format!(
            "UPDATE webhook_deliveries SET due_at = $2, since = $2, tries = 0, ended_at = NULL, is_dead = FALSE
             WHERE webhook_id = $1 AND event_id IN (SELECT d.event_id FROM webhook_deliveries d
                 JOIN hail_transitions t ON t.event_id = d.event_id
                 WHERE d.webhook_id = $1 AND {which} ORDER BY d.event_id LIMIT $3{})",
            self.locked(" FOR UPDATE OF d")
        );
        write!(self, tx => {
            sqlx::query(AssertSqlSafe(sql))
                .bind(webhook)
                .bind(now)
                .bind(limit)
                .bind(bound)
                .execute(&mut **tx)
                .await?
                .rows_affected()
        })
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
