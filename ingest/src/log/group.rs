//! Appends that are written together.

use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TryRecvError};

use super::{Done, Partition, partition_of};
use crate::limits::{DATAGRAMS_PER_CALL, GATHERED_EVERY, MAX_BATCH, MAX_GROUP};
use crate::position::Position;

/// Positions that wait to be written, and who waits for them.
pub(super) struct Append {
    pub(super) positions: Vec<Position>,
    pub(super) done: Option<Done>,
}

/// Appends that are written together, their positions by partition.
pub(super) struct Group {
    pub(super) by_partition: Vec<Vec<Position>>,
    pub(super) done: Vec<Done>,
    /// Positions.
    pub(super) len: usize,
}

impl Group {
    /// The group that begins with `first`: open for `interval`, but closed once somebody waits and nothing is queued.
    pub(super) fn gather(
        first: Append,
        queue: &Receiver<Append>,
        interval: Duration,
        partitions: u16,
        spares: &Sender<Vec<Position>>,
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

    pub(super) fn add(&mut self, mut append: Append, spares: &Sender<Vec<Position>>) {
        self.len += append.positions.len();
        let partitions = u16::try_from(self.by_partition.len()).unwrap_or(u16::MAX);
        for position in append.positions.drain(..) {
            let Partition(partition) = partition_of(position.source, partitions);
            self.by_partition[usize::from(partition)].push(position);
        }
        self.done.extend(append.done);
        // Those of the receiving threads come back to them; larger ones would only hold memory. With enough in stock
        // it is dropped.
        if (DATAGRAMS_PER_CALL..=MAX_BATCH).contains(&append.positions.capacity()) {
            drop(spares.try_send(append.positions));
        }
    }
}
