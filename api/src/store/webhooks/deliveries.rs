//! What webhooks are to be told: a row for each event and webhook, inserted as the event gets its number.
//!
//! Of one hail, a webhook is told one event after the other: it is the turn of what somebody tells already, or else of
//! the earliest event. That is looked at when a delivery is claimed, by one process at a time for each webhook; that
//! those who wait are put off with whom they wait for only spares looking at them.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, FromRow};

use super::WebhookRow;
use crate::store::hails::due::numbers;
use crate::store::{Result, Store, read, write};

/// Makes deliveries of the events after `$1` up to `$2`, at `$3`. Where one of a hail waits for its next try, what
/// follows waits with it.
const INSERT: &str =
    "INSERT INTO webhook_deliveries (webhook_id, event_id, hail_id, due_at, since, tries, is_dead)
     SELECT w.id, t.event_id, t.hail_id, COALESCE((SELECT b.due_at FROM webhook_deliveries b
         WHERE b.webhook_id = w.id AND b.hail_id = t.hail_id AND b.ended_at IS NULL
         ORDER BY b.event_id LIMIT 1), $3), $3, 0, FALSE
     FROM hail_transitions t JOIN webhooks w ON w.app_id = t.app_id AND w.removed_at IS NULL
     WHERE t.event_id > $1 AND t.event_id <= $2";

/// What of a webhook is due and free and has its turn at `$2`, the longest due first. It is looked for among the first
/// few, however much there is: only those that wait for what somebody tells just now are passed over.
const DUE: &str = "SELECT d.event_id FROM (SELECT webhook_id, event_id, hail_id FROM webhook_deliveries
         WHERE webhook_id = $1 AND due_at <= $2 AND leased_until <= $2 ORDER BY due_at, event_id LIMIT 2000) d
     WHERE d.event_id = (SELECT b.event_id FROM webhook_deliveries b
         WHERE b.webhook_id = d.webhook_id AND b.hail_id = d.hail_id AND b.ended_at IS NULL
         ORDER BY b.leased_until <= $2, b.event_id LIMIT 1)
     LIMIT $3";

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

/// Events of which one has deliveries, by webhook.
pub type Held = BTreeMap<String, BTreeSet<i64>>;

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

/// What came of a delivery.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The webhook.
    pub webhook: String,
    /// The delivery.
    pub claimed: Claimed,
    /// How it goes on.
    pub then: Then,
    /// What came of it, in words.
    pub outcome: String,
}

impl Store {
    /// What makes deliveries of numbered events.
    pub(in crate::store) fn deliveries_of_events(&self) -> String {
        // A webhook that is going is waited for, for the moment that this takes, and is then gone.
        format!("{INSERT}{}", self.locked(" FOR KEY SHARE OF w"))
    }

    /// Webhooks of which something is due.
    pub async fn webhooks_due(&self) -> Result<Vec<WebhookRow>> {
        let now = self.now_ms();
        read!(self, db => {
            sqlx::query_as(
                "SELECT w.id, w.app_id, w.url, w.secret_sealed, w.created_at FROM webhooks w
                 WHERE w.removed_at IS NULL AND EXISTS (SELECT 1 FROM webhook_deliveries d
                     WHERE d.webhook_id = w.id AND d.due_at <= $1 AND d.leased_until <= $1)",
            )
            .bind(now)
            .fetch_all(db)
        })
    }

    /// Takes deliveries of a webhook that are due, for `who`: no other process takes them within the next `lease_ms`.
    pub async fn claim_deliveries(
        &self,
        webhook: &str,
        who: &str,
        limit: i64,
        lease_ms: i64,
    ) -> Result<Vec<Claimed>> {
        let now = self.now_ms();
        // All that is due may wait for something else: whoever only looks keeps no writer waiting.
        let some: Vec<(i64,)> = read!(self, db => {
            sqlx::query_as(DUE).bind(webhook).bind(now).bind(1_i64).fetch_all(db)
        })?;
        if some.is_empty() {
            return Ok(Vec::new());
        }
        let alone = format!(
            "SELECT id FROM webhooks WHERE id = $1 AND removed_at IS NULL{}",
            self.locked(" FOR NO KEY UPDATE SKIP LOCKED")
        );
        // What somebody gave up since it was looked for stays so.
        let claim = format!(
            "UPDATE webhook_deliveries SET leased_until = $4, leased_by = $5
             WHERE webhook_id = $1 AND event_id IN ({DUE}) AND ended_at IS NULL
             RETURNING event_id, hail_id, since, tries"
        );
        write!(self, tx => { 'claimed: {
            let held: Option<(String,)> =
                sqlx::query_as(AssertSqlSafe(alone)).bind(webhook).fetch_optional(&mut **tx).await?;
            if held.is_none() {
                break 'claimed Vec::new();
            }
            // Whoever waited for the writer begins to count now.
            let now = self.now_ms();
            sqlx::query_as(AssertSqlSafe(claim))
                .bind(webhook)
                .bind(now)
                .bind(limit)
                .bind(now + lease_ms)
                .bind(who)
                .fetch_all(&mut **tx)
                .await?
        } })
    }

    /// Keeps deliveries of one's own, by webhook, from others for `lease_ms` from now on; 0 gives them back.
    pub async fn renew_deliveries(&self, who: &str, held: &Held, lease_ms: i64) -> Result<()> {
        let sql = |count| {
            format!(
                "UPDATE webhook_deliveries SET leased_until = $3
                 WHERE webhook_id = $1 AND leased_by = $2 AND leased_until > 0 AND event_id IN ({})",
                numbers(4, count)
            )
        };
        write!(self, tx => {
            let until = self.now_ms() + lease_ms;
            for (webhook, events) in held {
                let query = sqlx::query(AssertSqlSafe(sql(events.len()))).bind(webhook).bind(who).bind(until);
                events.iter().fold(query, |query, event| query.bind(*event)).execute(&mut **tx).await?;
            }
        })
    }

    /// Writes down how deliveries of one's own ended, and gives how those go on that nobody else took meanwhile. What
    /// waits for one goes on with it.
    pub async fn end_deliveries(&self, who: &str, ended: &[Ended]) -> Result<Vec<Then>> {
        let now = self.now_ms();
        write!(self, tx => {
            let mut went = Vec::new();
            for Ended { webhook, claimed, then, outcome } in ended {
                let (due_at, ended_at) = match then {
                    Then::Again(at) => (Some(*at), None),
                    Then::Told | Then::Dead => (None, Some(now)),
                };
                let hit = sqlx::query(
                    "UPDATE webhook_deliveries SET due_at = $4, ended_at = $5, is_dead = $6, outcome = $7,
                         tries = tries + 1, leased_until = 0
                     WHERE webhook_id = $1 AND event_id = $2 AND leased_by = $3 AND leased_until > 0",
                )
                .bind(webhook)
                .bind(claimed.event_id)
                .bind(who)
                .bind(due_at)
                .bind(ended_at)
                .bind(*then == Then::Dead)
                .bind(outcome)
                .execute(&mut **tx)
                .await?
                .rows_affected();
                if hit == 0 {
                    continue;
                }
                went.push(*then);
                // What was told at once has put nobody off.
                if due_at.is_none() && claimed.tries == 0 {
                    continue;
                }
                sqlx::query(
                    "UPDATE webhook_deliveries SET due_at = $4
                     WHERE webhook_id = $1 AND hail_id = $2 AND event_id > $3 AND ended_at IS NULL AND due_at <> $4",
                )
                .bind(webhook)
                .bind(&claimed.hail_id)
                .bind(claimed.event_id)
                .bind(due_at.unwrap_or(now))
                .execute(&mut **tx)
                .await?;
            }
            went
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Pool;

    /// Neither looks at more than it has to, however much waits.
    #[tokio::test]
    async fn sqlite_plans_as_meant() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("maraude.db").display()).parse().unwrap();
        let store = Store::open(&url, ingest::clock::Clock::System).await.unwrap();
        let Pool::Sqlite { readers, .. } = &store.pool else { unreachable!() };
        for (sql, meant) in [
            (
                INSERT,
                [
                    "t USING INDEX sqlite_autoindex_hail_transitions_1 (event_id>? AND event_id<?)",
                    "b USING INDEX webhook_deliveries_of_hail (webhook_id=? AND hail_id=?)",
                ],
            ),
            (
                DUE,
                [
                    "webhook_deliveries USING INDEX webhook_deliveries_due (webhook_id=? AND due_at<?)",
                    "b USING INDEX webhook_deliveries_of_hail (webhook_id=? AND hail_id=?)",
                ],
            ),
        ] {
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let query = sqlx::query_as(AssertSqlSafe(explain)).bind("w").bind(1_i64).bind(1_i64);
            let steps: Vec<(i32, i32, i32, String)> = query.fetch_all(readers).await.unwrap();
            for step in meant {
                assert!(steps.iter().any(|(.., told)| told.contains(step)), "{step}: {steps:#?}");
            }
        }
        store.close().await;
    }
}
