//! What was appended and waits to be written: a queue bounded in appends and in entries.

use std::sync::{PoisonError, RwLock};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use super::group::Append;
use super::meters::Meters;
use super::{Done, Entry, Full};
use crate::counter::{Flag, Room};
use crate::limits::{DATAGRAMS_PER_CALL, LOG_QUEUE, MAX_QUEUED_ENTRIES, SPARE_BATCHES};

/// The way into a log, up to the thread that writes.
pub(super) struct Intake<E> {
    /// None: closed. A lock, so that an append is wholly before or wholly after the closing.
    queue: RwLock<Option<Sender<Append<E>>>>,
    /// Room for entries; who writes gives it back.
    pub(super) room: Room,
    /// Batches that were written, to be filled again.
    pub(super) spares: (Sender<Vec<E>>, Receiver<Vec<E>>),
    /// Raised once a write has failed, to refuse appends without a lock.
    pub(super) poisoned: Flag,
    pub(super) meters: Meters,
}

impl<E: Entry> Intake<E> {
    /// An empty one, and where the thread that writes takes from. That ends once the intake is closed and empty.
    pub(super) fn new() -> (Self, Receiver<Append<E>>) {
        let (sender, receiver) = bounded(LOG_QUEUE);
        let intake = Self {
            queue: RwLock::new(Some(sender)),
            room: Room::new(MAX_QUEUED_ENTRIES),
            spares: bounded(SPARE_BATCHES),
            poisoned: Flag::default(),
            meters: Meters::default(),
        };
        (intake, receiver)
    }

    pub(super) fn spare_batch(&self) -> Vec<E> {
        self.spares.1.try_recv().unwrap_or_else(|_| Vec::with_capacity(DATAGRAMS_PER_CALL))
    }

    pub(super) fn append(&self, entries: Vec<E>, done: Option<Done>) -> Result<(), Full> {
        if self.poisoned.is_raised() {
            return Err(Full::Poisoned);
        }
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or(Full::Closed)?;
        let taken = entries.len() as u64;
        if !self.room.take(taken) {
            return Err(Full::Queue);
        }
        queue.try_send(Append { entries, done }).map_err(|error| {
            self.room.give(taken);
            match error {
                TrySendError::Full(_) => Full::Queue,
                // The thread that writes ends before it is asked to only by failing.
                TrySendError::Disconnected(_) => Full::Poisoned,
            }
        })?;
        self.meters.appends.add(1);
        Ok(())
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.queue.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}
