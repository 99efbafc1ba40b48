//! The activity log: written with the change it tells of, read in pages, forgotten after a year.

use std::time::Duration;

use sqlx::{AssertSqlSafe, FromRow};

use super::batch::{Batch, Run, Value};
use super::{Result, Store, read, write};
use crate::activity::{Actor, Entry};

/// How long an entry is kept.
pub const ACTIVITY_KEPT: Duration = Duration::from_hours(365 * 24);
/// How many of the newest entries that a reader asks for can be turned over: counting all of a year's would take
/// seconds. A narrower question reaches further back.
pub const ACTIVITY_LISTED_MAX: i64 = 10_000;
/// How many old entries are removed in one transaction, so that no other write waits for long.
const PRUNED_AT_ONCE: i64 = 1_000;

/// An entry as stored.
#[derive(Clone, Debug, FromRow)]
pub struct ActivityRow {
    /// Rises with time.
    pub id: i64,
    /// Milliseconds since 1970.
    pub at: i64,
    /// What it is about.
    pub resource: String,
    /// Which one.
    pub resource_id: String,
    /// What happened.
    pub action: String,
    /// The text of a JSON object.
    pub detail: String,
}

/// Which entries to read; None takes all.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    /// About what.
    pub resource: Option<String>,
    /// About which one.
    pub resource_id: Option<String>,
    /// Of what.
    pub action: Option<String>,
}

/// Writes entries in a transaction under way.
pub(super) trait Remember {
    /// Writes `entry`, as done by `by` at `now` (milliseconds since 1970).
    async fn remember(&mut self, now: i64, by: Actor, entry: &Entry) -> Result<()>;
}

const INSERT: &str = "INSERT INTO activity_log (at, user_id, resource, resource_id, action, detail)";

impl<C: Run> Remember for C {
    async fn remember(&mut self, now: i64, by: Actor, entry: &Entry) -> Result<()> {
        let mut batch = Batch::default();
        batch.remember(now, by, std::slice::from_ref(entry));
        self.run(batch).await
    }
}

impl Batch {
    /// Writes `entries` in this order, as done by `by` at `now` (milliseconds since 1970).
    pub(super) fn remember(&mut self, now: i64, by: Actor, entries: &[Entry]) {
        let rows = (0..entries.len()).map(|row| {
            let columns: Vec<_> = (1..=6).map(|column| format!("${}", 6 * row + column)).collect();
            format!("({})", columns.join(", "))
        });
        let sql = format!("{INSERT} VALUES {}", rows.collect::<Vec<_>>().join(", "));
        let values = entries.iter().flat_map(|entry| -> [Value; 6] {
            let (about, detail) = (&entry.resource_id, entry.detail(by));
            [
                now.into(),
                by.account.into(),
                entry.resource.into(),
                about.into(),
                entry.action.into(),
                detail.into(),
            ]
        });
        self.add(&sql, values);
    }
}

impl Store {
    /// Writes an entry about what is no change of rows: a login, say.
    pub async fn log_activity(&self, by: Actor, entry: &Entry) -> Result<()> {
        let now = self.now_ms();
        write!(self, tx => { tx.remember(now, by, entry).await? })
    }

    /// Entries, the newest first, and how many there are up to [`ACTIVITY_LISTED_MAX`].
    pub async fn activity(
        &self,
        filter: &ActivityFilter,
        (limit, offset): (i64, i64),
    ) -> Result<(Vec<ActivityRow>, i64)> {
        let columns = [
            ("resource", filter.resource.as_deref()),
            ("resource_id", filter.resource_id.as_deref()),
            ("action", filter.action.as_deref()),
        ];
        let asked: Vec<_> =
            columns.into_iter().filter_map(|(column, wanted)| Some((column, wanted?))).collect();
        let conditions: Vec<_> =
            (1..).zip(&asked).map(|(number, (column, _))| format!("{column} = ${number}")).collect();
        let condition = if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") };
        let next = asked.len() + 1;
        let count = format!(
            "SELECT count(*) FROM (SELECT id FROM activity_log WHERE {condition} ORDER BY id DESC LIMIT ${next}) newest"
        );
        let (total,): (i64,) = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(count));
            asked.iter().fold(query, |query, (_, wanted)| query.bind(*wanted)).bind(ACTIVITY_LISTED_MAX).fetch_one(db)
        })?;
        let page = format!(
            "SELECT id, at, resource, resource_id, action, detail FROM activity_log WHERE {condition}
             ORDER BY id DESC LIMIT ${next} OFFSET ${}",
            next + 1
        );
        let limit = limit.min(ACTIVITY_LISTED_MAX - offset).max(0);
        let rows = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(page));
            asked.iter().fold(query, |query, (_, wanted)| query.bind(*wanted)).bind(limit).bind(offset).fetch_all(db)
        })?;
        Ok((rows, total))
    }

    /// Removes entries older than [`ACTIVITY_KEPT`], a few at a time; gives how many.
    pub async fn prune_activity(&self) -> Result<u64> {
        let kept_ms = i64::try_from(ACTIVITY_KEPT.as_millis()).unwrap_or(i64::MAX);
        let before = self.now_ms() - kept_ms;
        let mut pruned = 0;
        loop {
            let some = self.prune_some_activity(before).await?;
            pruned += some;
            if some == 0 {
                return Ok(pruned);
            }
        }
    }

    /// Entries are numbered in time: looking at the first ones is enough, and needs no index of times.
    async fn prune_some_activity(&self, before: i64) -> Result<u64> {
        write!(self, tx => {
            sqlx::query(
                "DELETE FROM activity_log
                 WHERE id IN (SELECT id FROM activity_log ORDER BY id LIMIT $1) AND at < $2",
            )
            .bind(PRUNED_AT_ONCE)
            .bind(before)
            .execute(&mut **tx)
            .await?
            .rows_affected()
        })
    }
}
