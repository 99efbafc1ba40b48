//! Positions on their way into the log, in appends of which a few are under way at a time.

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::StatusCode;
use ingest::log::{Full, LogError};
use ingest::position::{Position, Transport};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::error::Problem;
use crate::limits::{APPENDS_UNDER_WAY, POSITIONS_AN_APPEND, SYNC_WITHIN};

/// The appends of one request.
pub(super) struct Appends<'a> {
    app: &'a App,
    batch: Vec<Position>,
    /// How many positions each has, and who is told when it is synced.
    under_way: VecDeque<(u64, oneshot::Receiver<Result<(), LogError>>)>,
    taken: u64,
    /// When the request has to be answered, whatever became of them.
    until: Instant,
}

/// Why positions are not safe.
pub(super) enum NotTaken {
    /// The log has not taken them.
    Full(Full),
    /// The log took them, and it is unknown what became of them.
    Unknown(String),
}

impl<'a> Appends<'a> {
    /// Of a request that may be read for so long.
    pub(super) fn new(app: &'a App, read_within: Duration) -> Self {
        let until = Instant::now() + read_within + SYNC_WITHIN;
        Self { app, batch: Vec::new(), under_way: VecDeque::new(), taken: 0, until }
    }

    /// How many positions are synced in the log.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Adds a position; waits while too many before it are under way.
    pub(super) async fn add(&mut self, position: Position) -> Result<(), NotTaken> {
        self.batch.push(position);
        if self.batch.len() < POSITIONS_AN_APPEND {
            return Ok(());
        }
        self.append()?;
        self.settle(APPENDS_UNDER_WAY - 1).await
    }

    /// Appends what is left, and waits for everything that is under way, whatever failed.
    pub(super) async fn finish(&mut self) -> Result<(), NotTaken> {
        let appended = self.append();
        self.settle(0).await.and(appended)
    }

    fn append(&mut self) -> Result<(), NotTaken> {
        let positions = std::mem::take(&mut self.batch);
        if positions.is_empty() {
            return Ok(());
        }
        let count = positions.len() as u64;
        let operators: Vec<_> = positions.iter().map(|position| position.source.operator).collect();
        let (done, synced) = oneshot::channel();
        let acknowledge = Box::new(move |outcome| {
            // A client that hung up is not there to be told.
            let _ = done.send(outcome);
        });
        match self.app.log.append_acknowledged(positions, acknowledge) {
            Ok(()) => {
                self.under_way.push_back((count, synced));
                Ok(())
            }
            Err(full) => {
                let now = self.app.clock.now();
                self.app.refusals.count_overloaded(operators, Transport::Http, now);
                Err(NotTaken::Full(full))
            }
        }
    }

    /// Waits until at most so many are under way. Where one failed, the others are waited for all the same: what is
    /// safe shall be told as such.
    async fn settle(&mut self, at_most: usize) -> Result<(), NotTaken> {
        let (mut outcome, until) = (Ok(()), self.until.min(Instant::now() + SYNC_WITHIN));
        while self.under_way.len() > at_most || (outcome.is_err() && !self.under_way.is_empty()) {
            let Some((count, synced)) = self.under_way.pop_front() else { break };
            let unknown = match timeout_at(until, synced).await {
                Ok(Ok(Ok(()))) => {
                    self.taken += count;
                    continue;
                }
                Ok(Ok(Err(error))) => error.to_string(),
                Ok(Err(_)) | Err(_) => "it did not answer".to_owned(),
            };
            outcome = outcome.and(Err(NotTaken::Unknown(unknown)));
        }
        outcome
    }
}

impl NotTaken {
    /// The answer, without what became of the positions before.
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::Full(full) => {
                let message = "The log of positions takes nothing more now. What of this request is safe is in data; \
                               please repeat the rest, or all of it.";
                Problem::whole(StatusCode::SERVICE_UNAVAILABLE, message).because(&full)
            }
            Self::Unknown(cause) => Problem::unavailable("log of positions").because(&cause),
        }
    }
}
