//! Appends that are written together.

use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TryRecvError};

use super::{Done, Entry, Partition, partition_of};
use crate::limits::{DATAGRAMS_PER_CALL, GATHERED_EVERY, MAX_BATCH, MAX_GROUP};

/// Entries that wait to be written, and who waits for them.
pub(super) struct Append<E> {
    pub(super) entries: Vec<E>,
    pub(super) done: Option<Done>,
}

/// Appends that are written together, their entries by partition.
pub(super) struct Group<E> {
    pub(super) by_partition: Vec<Vec<E>>,
    pub(super) done: Vec<Done>,
    /// Entries.
    pub(super) len: usize,
}

impl<E: Entry> Group<E> {
    /// The group that begins with `first`: open for `interval`, but closed once somebody waits and nothing is queued.
    pub(super) fn gather(
        first: Append<E>,
        queue: &Receiver<Append<E>>,
        interval: Duration,
        partitions: u16,
        spares: &Sender<Vec<E>>,
    ) -> Self {
        let deadline = Instant::now() + interval;
        let by_partition = vec![Vec::new(); usize::from(partitions)];
        let mut group = Self { by_partition, done: Vec::new(), len: 0 };
        group.add(first, spares);
        while group.len < MAX_GROUP {
            match queue.try_recv() {
                Ok(append) => group.add(append, spares),
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if !group.done.is_empty() || left.is_zero() {
                        break;
                    }
                    // Who waited at the queue would be woken for each append, which costs its sender more than all
                    // the rest of it.
                    std::thread::park_timeout(left.min(GATHERED_EVERY));
                }
            }
        }
        group
    }

    pub(super) fn add(&mut self, mut append: Append<E>, spares: &Sender<Vec<E>>) {
        self.len += append.entries.len();
        let partitions = u16::try_from(self.by_partition.len()).unwrap_or(u16::MAX);
        for entry in append.entries.drain(..) {
            let Partition(partition) = partition_of(entry.stable_hash(), partitions);
            self.by_partition[usize::from(partition)].push(entry);
        }
        self.done.extend(append.done);
        // Those of the receiving threads come back to them; larger ones would only hold memory. With enough in stock
        // it is dropped.
        if (DATAGRAMS_PER_CALL..=MAX_BATCH).contains(&append.entries.capacity()) {
            drop(spares.try_send(append.entries));
        }
    }
}
