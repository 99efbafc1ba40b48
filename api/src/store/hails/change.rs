//! The one way in which a hail changes: its row locked, what is to happen decided, and all of it written at once.

use sqlx::AssertSqlSafe;

use super::rows::{Rows as _, Transition};
use super::{HailRow, SELECT, deadline};
use crate::activity::Actor;
use crate::hail::{Event, Status, next};
use crate::store::{Pool, Result, Store, write};

/// What to do where another transaction holds the hail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Wait for its turn.
    Wait,
    /// Leave the hail to it, as if there were none.
    Skip,
}

/// What is to happen to a hail, decided by whoever holds its row. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// The event; one that cannot happen to the hail as it is does not.
    pub event: Option<Event>,
    /// Why.
    pub reason: Option<String>,
    /// The hail's other columns as they are to be; None: as they are.
    pub row: Option<Box<HailRow>>,
    /// A call of the operator's server that ended.
    pub call: Option<Call>,
}

/// How a call of an operator's server ended.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it began, in milliseconds since 1970.
    pub at: i64,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// How it ended, for the operator to read.
    pub outcome: String,
}

/// A hail after a step.
#[derive(Clone, Debug)]
pub struct Changed {
    /// As it is now.
    pub row: HailRow,
    /// Where it was before, if it moved.
    pub moved_from: Option<Status>,
    /// Whether the taxi's status changed with it.
    pub moved_taxi: bool,
}

impl Store {
    /// Lets `decide` say what is to happen to a hail, and does it: status, transition, deadline, call, taxi and
    /// customer in one transaction. None: no such hail, or another process has it ([`Held::Skip`]).
    pub async fn change_hail<E: Send>(
        &self,
        by: Actor,
        id: &str,
        held: Held,
        decide: impl FnOnce(&HailRow) -> std::result::Result<Step, E> + Send,
    ) -> Result<Option<std::result::Result<Changed, E>>> {
        if id.contains('\0') {
            return Ok(None);
        }
        let now = self.now_ms();
        let lock = match (&self.pool, held) {
            (Pool::Sqlite { .. }, _) => "",
            (Pool::Postgres(_), Held::Wait) => " FOR UPDATE OF h, d",
            (Pool::Postgres(_), Held::Skip) => " FOR UPDATE OF h, d SKIP LOCKED",
        };
        let select = format!("{SELECT}{lock}");
        write!(self, tx => { 'changed: {
            let before: Option<HailRow> =
                sqlx::query_as(AssertSqlSafe(select)).bind(id).fetch_optional(&mut **tx).await?;
            let Some(before) = before else { break 'changed None };
            let step = match decide(&before) {
                Ok(step) => step,
                Err(refused) => break 'changed Some(Err(refused)),
            };
            let to = step.event.and_then(|event| next(before.status, event));
            let is_changed = step.row.is_some() || to.is_some();
            let mut row = step.row.map_or_else(|| before.clone(), |row| *row);
            if let Some(to) = to {
                row.come_to(to, &before, now);
                let (number, from, reason) = (before.transitions, Some(before.status), step.reason.as_deref());
                let transition = Transition { hail: id, number, from, to, reason };
                tx.insert_transition(transition, by, now).await?;
            }
            if is_changed {
                tx.update_hail(&row, now).await?;
            }
            let moved_taxi = match to.and_then(Status::taxi) {
                Some(taxi) => tx.set_taxi(&row, taxi.as_str(), by, now).await?,
                None => false,
            };
            if row.reporting_customer != before.reporting_customer {
                tx.report(&row, now).await?;
            }
            if let Some(call) = &step.call {
                tx.insert_call(id, call).await?;
            }
            Some(Ok(Changed { row, moved_from: to.map(|_| before.status), moved_taxi }))
        } })
    }
}

impl HailRow {
    /// Enters a status, from what the hail was `before`.
    fn come_to(&mut self, to: Status, before: &Self, now: i64) {
        if to == Status::DeclinedByTaxi {
            self.declined_after_ms = Some(now - before.status_at);
        }
        (self.status, self.status_at, self.transitions) = (to, now, before.transitions + 1);
        (self.deadline_at, self.call_due_at) = (deadline(to, now), None);
    }
}
