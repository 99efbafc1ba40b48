//! Positions on their way from a receiving thread to the log, and who wants to hear of them.

use super::answers::{Answer, Answers};
use crate::clock::Millis;
use crate::gate::Refusals;
use crate::limits::{DATAGRAMS_PER_CALL, MAX_BATCH};
use crate::log::{Log, LogError};
use crate::position::{OperatorKey, Position, Transport};

pub(super) struct Batch {
    log: Log,
    /// Empty, to be filled; without room once it was given to the log.
    pub(super) positions: Vec<Position>,
    /// To be answered once these positions are synced.
    pub(super) waiting: Vec<Answer>,
    answers: Answers,
    /// Whose positions are being appended, should the log have no room for them.
    operators: Vec<OperatorKey>,
}

impl Batch {
    pub(super) fn new(log: Log, answers: Answers) -> Self {
        let operators = Vec::with_capacity(DATAGRAMS_PER_CALL);
        Self { log, positions: Vec::new(), waiting: Vec::new(), answers, operators }
    }

    /// Makes room for `count` more, which come in one datagram: one that many JSON datagrams fill grows once for
    /// compact ones, and one that is full is appended.
    pub(super) fn make_room(&mut self, count: usize, refusals: &Refusals, now: Millis) {
        if self.positions.capacity() == 0 {
            self.positions = self.log.spare_batch();
        }
        if self.positions.len() + count > self.positions.capacity() {
            if self.positions.len() + count > MAX_BATCH {
                self.append(refusals, now);
                self.positions = self.log.spare_batch();
            }
            self.positions.reserve_exact(MAX_BATCH - self.positions.len());
        }
    }

    /// Gives what there is to the log, which counts it where there is no room. Whoever waits is answered once it is
    /// synced, or not at all.
    pub(super) fn append(&mut self, refusals: &Refusals, now: Millis) {
        let waiting = std::mem::take(&mut self.waiting);
        if self.positions.is_empty() {
            if !waiting.is_empty() {
                self.answers.send(waiting);
            }
            return;
        }
        let _span = tracing::debug_span!("append", positions = self.positions.len()).entered();
        let positions = std::mem::take(&mut self.positions);
        self.operators.clear();
        self.operators.extend(positions.iter().map(|position| position.source.operator));
        let appended = if waiting.is_empty() {
            self.log.append(positions)
        } else {
            let answers = self.answers.clone();
            let done = move |synced: Result<(), LogError>| {
                if synced.is_ok() {
                    answers.send(waiting);
                }
            };
            self.log.append_and_tell(positions, Box::new(done))
        };
        if appended.is_err() {
            refusals.count_overloaded(self.operators.iter().copied(), Transport::Udp, now);
        }
    }
}
