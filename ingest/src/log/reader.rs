//! Reading the embedded log: each partition in its order, all partitions in turn.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::Slice;

use super::local::{Shared, cause, offset_of_key};
use super::record::{self, Damage};
use super::{Entry, LogError, Offset, Partition, Record};
use crate::limits::READ_AHEAD;

/// A reader of an embedded log.
pub struct LocalReader<E: Entry> {
    shared: Arc<Shared<E>>,
    /// The next record to give, by partition.
    next: Vec<Offset>,
    /// What was read ahead, by partition: records from `next` on.
    ahead: Vec<VecDeque<Slice>>,
    /// The partition whose turn it is.
    turn: usize,
}

impl<E: Entry> LocalReader<E> {
    pub(super) fn new(shared: Arc<Shared<E>>, from: &[Offset]) -> Self {
        let partitions = usize::from(shared.partitions);
        let next =
            (0..partitions).map(|partition| from.get(partition).copied().unwrap_or_default()).collect();
        Self { shared, next, ahead: vec![VecDeque::new(); partitions], turn: 0 }
    }

    pub(super) fn poll(&mut self, wait: Duration) -> Result<Option<Record<E>>, LogError> {
        // A wait too long for the machine's clock is one without end.
        let deadline = Instant::now().checked_add(wait);
        loop {
            if let Some(record) = self.take()? {
                return Ok(Some(record));
            }
            if !self.wait(deadline) {
                return Ok(None);
            }
        }
    }

    pub(super) fn offsets(&self) -> &[Offset] {
        &self.next
    }

    pub(super) fn seek(&mut self, partition: Partition, offset: Offset) {
        let partition = usize::from(partition.0);
        if let (Some(next), Some(ahead)) = (self.next.get_mut(partition), self.ahead.get_mut(partition)) {
            *next = offset;
            ahead.clear();
        }
    }

    /// The next record of the first partition, from the one whose turn it is, that has one.
    fn take(&mut self) -> Result<Option<Record<E>>, LogError> {
        let partitions = self.next.len();
        for index in (self.turn..partitions).chain(0..self.turn) {
            if self.ahead[index].is_empty() {
                self.fill(index)?;
            }
            let Some(bytes) = self.ahead[index].front() else { continue };
            let (partition, offset) = (self.partition(index), self.next[index]);
            let (appended_at, entries) =
                record::decode(bytes).map_err(|damage| LogError::Damaged { partition, offset, damage })?;
            self.ahead[index].pop_front();
            self.next[index] = Offset(offset.0 + 1);
            self.turn = (index + 1) % partitions;
            return Ok(Some(Record { partition, offset, appended_at, entries }));
        }
        Ok(None)
    }

    /// Reads ahead what is synced, if anything is.
    fn fill(&mut self, index: usize) -> Result<(), LogError> {
        let partition = self.partition(index);
        let state = self.shared.state();
        let end = state.end(partition);
        let next = self.next[index].0.max(state.start(partition));
        self.next[index] = Offset(next);
        if next >= end {
            return Ok(());
        }
        let held = state.days.holding(partition, next, end);
        drop(state);
        let Some((keyspace, offsets)) = held else { return Ok(()) };
        let records = keyspace.range(next.to_be_bytes()..offsets.end.to_be_bytes());
        for (expected, guard) in (next..offsets.end).zip(records).take(READ_AHEAD) {
            let (key, bytes) =
                guard.into_inner().map_err(|error| LogError::Storage { cause: cause(&error) })?;
            if offset_of_key(&key) != Some(expected) {
                break;
            }
            self.ahead[index].push_back(bytes);
        }
        if self.ahead[index].is_empty() {
            let damage = Damage::Missing;
            return Err(LogError::Damaged { partition, offset: Offset(next), damage });
        }
        Ok(())
    }

    /// Waits for a record; false if the time is over or none can come any more.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.shared.state();
        loop {
            if self.next.iter().zip(&state.ends).any(|(next, end)| next.0 < *end) {
                return true;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if state.ended || left == Some(Duration::ZERO) {
                return false;
            }
            state = self.shared.wait(state, left);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "there are at most 256 partitions")]
    fn partition(&self, index: usize) -> Partition {
        debug_assert!(index < self.next.len());
        Partition(index as u16)
    }
}

impl<E: Entry> fmt::Debug for LocalReader<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalReader").field("next", &self.next).finish_non_exhaustive()
    }
}
