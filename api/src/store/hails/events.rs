//! Events: transitions in one order, for who resumes after the last one that it heard of.
//!
//! A transition gets its number after it was committed, from whoever holds the row of the last number: nothing gets a
//! lower number later, so a reader that asks for what is after a number skips nothing.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, FromRow};

use super::{COLUMNS, FROM, HailRow, TransitionRow};
use crate::hail::Status;
use crate::store::{Pool, Result, Store, read, write};

/// How far the numbering is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Numbering {
    /// The number given last; 0: none.
    pub last: i64,
    /// Whether transitions wait for theirs.
    pub is_behind: bool,
}

/// Whose events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventsOf<'a> {
    /// Everybody's.
    All,
    /// Those of hails that an account made, or that are of its taxis.
    Account(i32),
    /// Those of one hail.
    Hail(&'a str),
}

/// A transition that has its number.
#[derive(Clone, Debug, FromRow)]
pub struct EventRow {
    /// The number.
    pub event_id: i64,
    /// Which transition of its hail, from 0.
    pub number: i32,
    /// What happened.
    #[sqlx(flatten)]
    pub transition: TransitionRow,
    /// The hail as it is now.
    #[sqlx(flatten)]
    pub hail: HailRow,
    /// How it came to where it stands now.
    #[sqlx(skip)]
    pub transitions: Vec<TransitionRow>,
}

/// A hail that has not ended, and its taxi.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct InProgress {
    pub id: String,
    pub app_id: i32,
    pub operator_id: i32,
    pub taxi_id: i32,
    pub public_taxi_id: String,
    pub shown_taxi_id: String,
}

/// A transition, and whose it is.
#[derive(FromRow)]
struct OfHail {
    hail_id: String,
    #[sqlx(flatten)]
    transition: TransitionRow,
}

impl Store {
    /// How far the numbering is. Cheap.
    pub async fn numbering(&self) -> Result<Numbering> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT last, EXISTS (SELECT 1 FROM hail_transitions WHERE event_id IS NULL) AS is_behind
                 FROM event_numbers",
            )
            .fetch_one(db)
        })
    }

    /// Numbers transitions that are committed, up to `limit`, in the order of their times, and makes them due to be
    /// told to webhooks. None: another process is at it.
    pub async fn number_events(&self, limit: i64) -> Result<Option<Numbering>> {
        let lock = match self.pool {
            Pool::Sqlite { .. } => "",
            Pool::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        };
        let (last, now) = (format!("SELECT last FROM event_numbers{lock}"), self.now_ms());
        let deliveries = self.deliveries_of_events();
        write!(self, tx => { 'numbered: {
            let held: Option<(i64,)> =
                sqlx::query_as(AssertSqlSafe(last)).fetch_optional(&mut **tx).await?;
            let Some((last,)) = held else { break 'numbered None };
            // What is committed by now, as the lock is ours: PostgreSQL looks again for each statement.
            let given: Vec<(i64,)> = sqlx::query_as(
                "UPDATE hail_transitions SET event_id = following.place
                 FROM (SELECT hail_id, number, $1 + ROW_NUMBER() OVER (ORDER BY at, hail_id, number) AS place
                       FROM hail_transitions WHERE event_id IS NULL ORDER BY at, hail_id, number LIMIT $2) following
                 WHERE hail_transitions.hail_id = following.hail_id AND hail_transitions.number = following.number
                 RETURNING event_id",
            )
            .bind(last)
            .bind(limit)
            .fetch_all(&mut **tx)
            .await?;
            let Some((newest,)) = given.iter().copied().max() else {
                break 'numbered Some(Numbering { last, is_behind: false });
            };
            sqlx::query(AssertSqlSafe(deliveries))
                .bind(last)
                .bind(newest)
                .bind(now)
                .execute(&mut **tx)
                .await?;
            sqlx::query("UPDATE event_numbers SET last = $1").bind(newest).execute(&mut **tx).await?;
            let is_behind = i64::try_from(given.len()).unwrap_or(i64::MAX) >= limit;
            Some(Numbering { last: newest, is_behind })
        } })
    }

    /// Events after a number, in order, each with its hail.
    pub async fn events_after(&self, of: EventsOf<'_>, after: i64, limit: i64) -> Result<Vec<EventRow>> {
        let page = of.page();
        let events = format!(
            "SELECT e.event_id, e.number, e.at, e.from_status, e.to_status, e.reason, {COLUMNS} FROM {FROM}
             JOIN hail_transitions e ON e.hail_id = h.id WHERE e.event_id IN ({page}) ORDER BY e.event_id LIMIT $2"
        );
        let transitions = format!(
            "SELECT hail_id, at, from_status, to_status, reason FROM hail_transitions
             WHERE hail_id IN (SELECT hail_id FROM hail_transitions WHERE event_id IN ({page}))
             ORDER BY hail_id, number"
        );
        let mut events: Vec<EventRow> = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(events)).bind(after).bind(limit);
            match of {
                EventsOf::All => query,
                EventsOf::Account(id) => query.bind(id),
                EventsOf::Hail(id) => query.bind(id),
            }
            .fetch_all(db)
        })?;
        if events.is_empty() {
            return Ok(events);
        }
        let transitions: Vec<OfHail> = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(transitions)).bind(after).bind(limit);
            match of {
                EventsOf::All => query,
                EventsOf::Account(id) => query.bind(id),
                EventsOf::Hail(id) => query.bind(id),
            }
            .fetch_all(db)
        })?;
        let of_hails = transitions.chunk_by(|a, b| a.hail_id == b.hail_id);
        let of_hails: HashMap<_, _> = of_hails.map(|rows| (rows[0].hail_id.as_str(), rows)).collect();
        for event in &mut events {
            let rows = of_hails.get(event.hail.id.as_str()).copied().unwrap_or_default();
            // What came after the hail was read is a later event's.
            let known = usize::try_from(event.hail.transitions).unwrap_or(0);
            event.transitions = rows.iter().take(known).map(|row| row.transition.clone()).collect();
        }
        Ok(events)
    }

    /// An event by its number, with its hail.
    pub async fn event(&self, id: i64) -> Result<Option<EventRow>> {
        let next = self.events_after(EventsOf::All, id - 1, 1).await?.pop();
        Ok(next.filter(|event| event.event_id == id))
    }

    /// Whether anything of a hail is after a number, or will be.
    pub async fn has_events_after(&self, hail: &str, after: i64) -> Result<bool> {
        let (some,): (bool,) = read!(self, db => {
            sqlx::query_as(
                "SELECT EXISTS (SELECT 1 FROM hail_transitions
                 WHERE hail_id = $1 AND (event_id IS NULL OR event_id > $2))",
            )
            .bind(hail)
            .bind(after)
            .fetch_one(db)
        })?;
        Ok(some)
    }

    /// Hails that have not ended.
    pub async fn hails_in_progress(&self, limit: i64) -> Result<Vec<InProgress>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT h.id, h.app_id, h.operator_id, h.taxi_id, t.public_id AS public_taxi_id, h.shown_taxi_id
                 FROM hails h JOIN taxis t ON t.id = h.taxi_id WHERE h.deadline_at IS NOT NULL
                 ORDER BY h.deadline_at LIMIT $1",
            )
            .bind(limit)
            .fetch_all(db)
        })
    }
}

impl EventRow {
    /// Whether nothing follows it in its hail.
    pub fn is_end(&self) -> bool {
        Status::try_from(self.transition.to_status.clone()).is_ok_and(Status::is_end)
    }

    /// Its hail, where that has not ended.
    pub fn in_progress(&self) -> Option<InProgress> {
        let hail = &self.hail;
        (!hail.status.is_end()).then(|| InProgress {
            id: hail.id.clone(),
            app_id: hail.app_id,
            operator_id: hail.operator_id,
            taxi_id: hail.taxi_id,
            public_taxi_id: hail.public_taxi_id.clone(),
            shown_taxi_id: hail.shown_taxi_id.clone(),
        })
    }
}

impl EventsOf<'_> {
    /// The numbers after `$1`, `$2` of them at most or few more, of `$3`.
    fn page(self) -> &'static str {
        match self {
            Self::All => "SELECT event_id FROM hail_transitions WHERE event_id > $1 ORDER BY event_id LIMIT $2",
            // Each side has an index; of one over both there is none.
            Self::Account(_) => {
                "SELECT event_id FROM (SELECT event_id FROM hail_transitions WHERE app_id = $3 AND event_id > $1
                     ORDER BY event_id LIMIT $2) made
                 UNION ALL SELECT event_id FROM (SELECT event_id FROM hail_transitions WHERE operator_id = $3
                     AND event_id > $1 ORDER BY event_id LIMIT $2) taken"
            }
            Self::Hail(_) => {
                "SELECT event_id FROM hail_transitions WHERE hail_id = $3 AND event_id > $1
                 ORDER BY event_id LIMIT $2"
            }
        }
    }
}
