//! The index of where everyone is, and the search in it.
//!
//! **Consistency.** What is applied becomes visible soon, in the order of its source ([`Order::supersedes`]),
//! and certainly by the return of [`Engine::settle`]. A search takes no snapshot: each taxi is seen as of
//! some instant during it, a place possibly with the receipt time of the fix before ([`crate::block`]). A
//! taxi that stays inside the disk and may be offered throughout is in every answer, once, however it moves.
//!
//! **Cost.** A fix takes about a quarter of a microsecond of its shard's writer. A search is O(cells covered x shards +
//! entries in them), a quarter of a microsecond and a dozen nanoseconds for each hit where memory is near; it takes no
//! lock and waits for nobody. Each source holds about a hundred bytes, and what the registry says of it as much again,
//! once and for all: a source is never forgotten, as there are only so many.
//!
//! **Limits.** Radius, freshness and queues as named below; sources and receipt times as in [`crate::block`].

use std::cmp::Ordering;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded};
use ingest::clock::Millis;
use ingest::position::{LatLon, OperatorKey, Order, Position, SourceKey};

use crate::block::Sighting;
use crate::heard::Heard;
use crate::offer::is_within;
use crate::profile::Profiles;
use crate::shard::{Shard, shard_of};
use crate::territory::Insee;
use crate::writer::{self, Message};

/// A position counts while it was received less than this ago, in milliseconds.
pub const FRESH_MS: i64 = 120_000;

/// The greatest radius of a search, in metres; a greater one is searched as this.
pub const MAX_RADIUS_M: f64 = 5_000.0;

/// How many batches may wait for one shard's writer before [`Engine::apply`] does.
pub const QUEUE_BATCHES: usize = 64;

/// What a cell takes of memory besides its entries, about: its place in two maps and its block's head.
const CELL_BYTES: usize = 200;

/// What an entry of a cell takes of memory.
const ENTRY_BYTES: usize = 16;

/// A handle on the index; clones share it, and the last one dropped stops its threads.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

/// Where a source is said to be, and its place in the order of that source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Whose.
    pub source: SourceKey,
    /// Where.
    pub at: LatLon,
    /// When it was received, and when the device says it was there.
    pub order: Order,
}

impl From<&Position> for Fix {
    fn from(position: &Position) -> Self {
        Self { source: position.source, at: position.at, order: position.order() }
    }
}

/// A question: which taxis are near a customer?
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Where the customer is.
    pub customer: LatLon,
    /// How far to look, in metres; at most [`MAX_RADIUS_M`].
    pub radius_m: f64,
    /// When it is asked; freshness counts from here.
    pub now: Millis,
    /// The towns whose ADS may pick up there, sorted.
    pub towns: &'a [Insee],
    /// Where given, only this operator's descriptions count.
    pub operator: Option<OperatorKey>,
    /// The number of the account that searches: it alone finds the taxis of its trials.
    pub account: Option<i32>,
}

/// A taxi found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Which taxi, as which operator describes it.
    pub source: SourceKey,
    /// Where it is.
    pub at: LatLon,
    /// When that was received.
    pub received_at: Millis,
    /// How far from the customer, in metres.
    pub distance_m: f64,
    /// How far from a customer it wants to be offered, in metres.
    pub reach_m: u16,
}

impl Hit {
    /// Which of two comes first: the nearer; of two as near, the smaller key.
    pub fn nearer(&self, other: &Self) -> Ordering {
        self.distance_m.total_cmp(&other.distance_m).then(self.source.cmp(&other.source))
    }

    /// The nearest `count` of some, in the order of [`Hit::nearer`]. O(hits + count log count).
    pub fn nearest(mut hits: Vec<Self>, count: usize) -> Vec<Self> {
        if hits.len() > count {
            hits.select_nth_unstable_by(count, Self::nearer);
            hits.truncate(count);
        }
        hits.sort_unstable_by(Self::nearer);
        hits
    }

    /// Whether it is to be offered to this customer.
    pub fn within_reach(&self) -> bool {
        is_within(self.distance_m, f64::from(self.reach_m))
    }
}

/// The last shown fix of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub at: LatLon,
    /// When it was received, within the limits of [`crate::block`].
    pub received_at: Millis,
}

/// What the cells take of memory: an entry is 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Cells with members, each counted once a shard.
    pub cells: usize,
    /// Entries that their blocks have, used or not.
    pub entries: usize,
}

pub(crate) struct Shared {
    profiles: Arc<Profiles>,
    heard: Heard,
    pub(crate) shards: Vec<Arc<Shard>>,
    /// By shard.
    queues: Vec<Sender<Message>>,
    writers: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts an empty index with one writer thread a shard (at least one).
    ///
    /// One shard carries millions of fixes a second; a search asks each in turn, so have few. A thread
    /// that the system refuses is not a panic: see [`Engine::is_alive`].
    pub fn start(shards: usize) -> Self {
        let shards: Vec<Arc<Shard>> = (0..shards.max(1)).map(|_| Arc::default()).collect();
        let profiles = Arc::new(Profiles::new(&shards));
        let (mut queues, mut writers) = (Vec::new(), Vec::new());
        for (number, shard) in shards.iter().enumerate() {
            let (queue, messages) = bounded(QUEUE_BATCHES);
            let (shard, profiles) = (Arc::clone(shard), Arc::clone(&profiles));
            let spawned = Builder::new()
                .name(format!("shard-{number}"))
                .spawn(move || writer::run(shard, profiles, &messages));
            match spawned {
                Ok(writer) => writers.push(writer),
                Err(error) => tracing::error!(shard = number, %error, "the index has no thread for a shard"),
            }
            queues.push(queue);
        }
        Self { shared: Arc::new(Shared { profiles, heard: Heard::default(), shards, queues, writers }) }
    }

    /// Hands fixes to the writers of their shards; waits while a queue is full. Fixes of one source applied
    /// by one thread are considered in this order.
    pub fn apply(&self, fixes: &[Fix]) {
        let mut batches = vec![Vec::new(); self.shared.shards.len()];
        for fix in fixes {
            batches[self.shard_of(fix.source)].push(*fix);
        }
        for (queue, batch) in self.shared.queues.iter().zip(batches) {
            if !batch.is_empty() {
                // Refused only if the writer is gone: see `is_alive`.
                drop(queue.send(Message::Fixes(batch)));
            }
        }
    }

    /// Returns once everything applied before is visible.
    pub fn settle(&self) {
        self.ask(Message::Settle);
    }

    /// The last shown fix of a source, however old. O(1).
    pub fn get(&self, source: SourceKey) -> Option<Seen> {
        let sighting = self.home(source)?;
        Some(Seen { at: sighting.at, received_at: sighting.received_at })
    }

    /// Takes sources unheard for [`FRESH_MS`] out of the cells and counts the others; [`Engine::get`] still
    /// knows them, and the next fix brings them back. Call it every few seconds, with a `now` not ahead of
    /// the searches': what is stale then is stale for them too. O(sources), in the writers.
    pub fn sweep(&self, now: Millis) {
        self.ask(|done| Message::Sweep(now, done));
    }

    /// How many sources had been heard within [`FRESH_MS`] at the last sweep.
    pub fn online(&self) -> u64 {
        self.shared.shards.iter().map(|shard| shard.online.get()).sum()
    }

    /// The last shown fix of each source received since, in no order; covers everything applied before.
    /// O(sources).
    pub fn dump(&self, received_since: Millis) -> Vec<Fix> {
        self.ask(|answer| Message::Dump(received_since, answer)).into_iter().flatten().collect()
    }

    /// Who was heard in which hour, of all that was followed: see [`crate::follow`].
    pub fn heard(&self) -> &Heard {
        &self.shared.heard
    }

    /// What the registry says of the taxis.
    pub fn profiles(&self) -> &Profiles {
        &self.shared.profiles
    }

    /// How many fixes were refused because their shard has no slot left for another source.
    pub fn refused(&self) -> u64 {
        self.shared.shards.iter().map(|shard| shard.refused.get()).sum()
    }

    /// How much the cells hold now. O(cells).
    pub fn room(&self) -> Room {
        let mut room = Room { cells: 0, entries: 0 };
        for shard in &self.shared.shards {
            for block in shard.cells.pin().values() {
                room.cells += 1;
                room.entries += block.capacity();
            }
        }
        room
    }

    /// About how much memory the index takes, in bytes. O(cells).
    pub fn memory_bytes(&self) -> u64 {
        let Room { cells, entries } = self.room();
        let registers: usize = self.shared.shards.iter().map(|shard| shard.register.bytes()).sum();
        (registers + cells * CELL_BYTES + entries * ENTRY_BYTES) as u64
    }

    /// Whether every shard has its writer. If not, that shard's taxis stand still, and a restart is the
    /// remedy.
    pub fn is_alive(&self) -> bool {
        let Shared { shards, writers, .. } = &*self.shared;
        writers.len() == shards.len() && !writers.iter().any(JoinHandle::is_finished)
    }

    /// The last shown fix of a source, however old, as its entry holds it.
    pub(crate) fn home(&self, source: SourceKey) -> Option<Sighting> {
        self.shared.shards[self.shard_of(source)].home(source)
    }

    /// Asks every writer, and gives their answers once they have done all that was asked before.
    fn ask<T>(&self, message: impl Fn(Sender<T>) -> Message) -> Vec<T> {
        let asked = |queue: &Sender<Message>| {
            let (answer, answers): (Sender<T>, Receiver<T>) = bounded(1);
            drop(queue.send(message(answer)));
            answers
        };
        // All are asked before the first is waited for. A writer that is gone answers nothing.
        let answers: Vec<Receiver<T>> = self.shared.queues.iter().map(asked).collect();
        answers.iter().filter_map(|answer| answer.recv().ok()).collect()
    }

    fn shard_of(&self, source: SourceKey) -> usize {
        shard_of(source, self.shared.shards.len())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queues.clear();
        for writer in self.writers.drain(..) {
            if writer.join().is_err() {
                tracing::error!("a writer of the index had panicked");
            }
        }
    }
}
