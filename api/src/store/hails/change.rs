//! The one way in which a hail changes: its row locked, what is to happen decided, and all of it written at once.

use sqlx::{AssertSqlSafe, FromRow};

use super::writes::Changing;
use super::{COLUMNS, FROM, HailRow};
use crate::activity::Actor;
use crate::hail::{Event, Status};
use crate::store::batch::Run as _;
use crate::store::{Pool, Result, Store, write};

/// The reason of a transition that nobody made in time.
pub const DEADLINE: &str = "deadline";

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
#[derive(FromRow, Clone, Debug)]
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
pub struct Changed<E> {
    /// As it is now.
    pub row: HailRow,
    /// Where it was before the step, if the step moved it.
    pub moved_from: Option<Status>,
    /// When it should have ended by itself, if it had not yet: then it did so before the step was decided.
    pub was_due: Option<i64>,
    /// Whether the taxi's status changed with it.
    pub moved_taxi: bool,
    /// Why there was no step.
    pub refused: Option<E>,
}

impl Store {
    /// Lets `decide` say what is to happen to a hail, and does it: status, transition, deadline, call, taxi and
    /// customer in one transaction. What is overdue ends first: nobody moves a hail whose time is over. None: no such
    /// hail, or another process has it ([`Held::Skip`]).
    pub async fn change_hail<E: Send>(
        &self,
        by: Actor,
        id: &str,
        held: Held,
        decide: impl FnOnce(&HailRow) -> std::result::Result<Step, E> + Send,
    ) -> Result<Option<Changed<E>>> {
        if id.contains('\0') {
            return Ok(None);
        }
        let lock = match (&self.pool, held) {
            (Pool::Sqlite { .. }, _) => "",
            (Pool::Postgres(_), Held::Wait) => " FOR UPDATE OF h, d",
            (Pool::Postgres(_), Held::Skip) => " FOR UPDATE OF h, d SKIP LOCKED",
        };
        let select = format!("SELECT {COLUMNS} FROM {FROM} WHERE h.id = $1{lock}");
        write!(self, tx => { 'changed: {
            let row: Option<HailRow> =
                sqlx::query_as(AssertSqlSafe(select)).bind(id).fetch_optional(&mut **tx).await?;
            let Some(row) = row else { break 'changed None };
            // Of the time while others had it none counts; and what happened later has the later time, whatever the
            // clock of another process says.
            let now = self.now_ms().max(row.status_at);
            let was_due = row.deadline_at.filter(|due| *due <= now);
            let mut changing = Changing::new(row, now);
            if was_due.is_some() {
                changing.take(Event::Deadline, Some(DEADLINE), Actor::REGISTRY);
            }
            let (before, mut moved_from) = (changing.row.status, None);
            let refused = match decide(&changing.row) {
                Ok(step) => {
                    if let Some(call) = &step.call {
                        changing.insert_call(call);
                    }
                    if let Some(row) = step.row {
                        changing.row = *row;
                    }
                    if let Some(event) = step.event
                        && changing.take(event, step.reason.as_deref(), by)
                    {
                        moved_from = Some(before);
                    }
                    None
                }
                Err(refused) => Some(refused),
            };
            let (batch, row, moved_taxi) = changing.end();
            tx.run(batch).await?;
            Some(Changed { row, moved_from, was_due, moved_taxi, refused })
        } })
    }
}
