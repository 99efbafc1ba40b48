//! Reading a topic: partitions and offsets as they are told, without a group.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message as _;

use super::client::{self, Quiet};
use super::{Shared, cause};
use crate::clock::Millis;
use crate::log::record::{self, Damage};
use crate::log::{Entry, LogError, Offset, Partition, Record};

/// How long a message is waited for before it is looked whether any more can come.
const LOOK: Duration = Duration::from_millis(100);

/// A reader of a log on Kafka.
pub struct KafkaReader<E: Entry> {
    shared: Arc<Shared<E>>,
    /// Made when it is first asked, and again after each seek: so nothing comes that was fetched for another place.
    consumer: Option<BaseConsumer<Quiet>>,
    /// The next record to give, by partition.
    next: Vec<Offset>,
    /// The last record's time of append, by partition.
    appended_at: Vec<Millis>,
    /// What cannot be passed without a seek.
    damaged: Option<(Partition, Damage)>,
}

/// A message as it came.
struct Fetched<E> {
    partition: Partition,
    offset: u64,
    appended_at: Option<Millis>,
    entries: Result<Vec<E>, Damage>,
}

impl<E: Entry> KafkaReader<E> {
    pub(super) fn new(shared: Arc<Shared<E>>, from: &[Offset]) -> Self {
        let partitions = usize::from(shared.partitions);
        let next =
            (0..partitions).map(|partition| from.get(partition).copied().unwrap_or_default()).collect();
        let mut reader = Self {
            shared,
            consumer: None,
            next,
            appended_at: vec![Millis(i64::MIN); partitions],
            damaged: None,
        };
        reader.pass_removed();
        reader
    }

    pub(in crate::log) fn poll(&mut self, wait: Duration) -> Result<Option<Record<E>>, LogError> {
        if let Some((partition, damage)) = &self.damaged {
            return Err(self.damaged_at(*partition, damage.clone()));
        }
        // A wait too long for the machine's clock is one without end.
        let deadline = Instant::now().checked_add(wait);
        loop {
            let left = deadline.map_or(LOOK, |deadline| deadline.saturating_duration_since(Instant::now()));
            let is_over = left.is_zero() || self.has_ended();
            match self.fetch(if is_over { Duration::ZERO } else { left.min(LOOK) })? {
                Some(fetched) => {
                    if let Some(record) = self.take(fetched)? {
                        return Ok(Some(record));
                    }
                }
                None if is_over => {
                    self.pass_removed();
                    return Ok(None);
                }
                None => {}
            }
        }
    }

    pub(in crate::log) fn offsets(&self) -> &[Offset] {
        &self.next
    }

    pub(in crate::log) fn seek(&mut self, partition: Partition, offset: Offset) {
        let Some(next) = self.next.get_mut(usize::from(partition.0)) else {
            return;
        };
        // The record after a damaged one is what comes next anyway.
        let passes =
            self.damaged.as_ref().is_some_and(|(damaged, _)| *damaged == partition) && offset.0 == next.0 + 1;
        *next = offset;
        self.damaged = None;
        if !passes {
            self.consumer = None;
            self.appended_at[usize::from(partition.0)] = Millis(i64::MIN);
        }
    }

    /// The next message of any partition, or an event that is none.
    fn fetch(&mut self, wait: Duration) -> Result<Option<Fetched<E>>, LogError> {
        let unreadable = |error: &KafkaError| LogError::Storage { cause: cause(error).into() };
        let consumer = match &mut self.consumer {
            Some(consumer) => consumer,
            none => none.insert(assigned(&self.shared, &self.next).map_err(|error| unreadable(&error))?),
        };
        match consumer.poll(wait) {
            Some(Ok(message)) => Ok(Some(Fetched {
                partition: Partition(u16::try_from(message.partition()).unwrap_or(u16::MAX)),
                offset: u64::try_from(message.offset()).unwrap_or(0),
                appended_at: message.timestamp().to_millis().map(Millis),
                entries: record::decode(message.payload().unwrap_or_default()).map(|(_, entries)| entries),
            })),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => Err(unreadable(&error)),
            // Nothing, or brokers that are away: the library goes on by itself once they are back.
            None | Some(Err(_)) => Ok(None),
        }
    }

    /// The record in a message, unless it lies before what is to be read next.
    fn take(&mut self, fetched: Fetched<E>) -> Result<Option<Record<E>>, LogError> {
        let Fetched { partition, offset, appended_at, entries } = fetched;
        let index = usize::from(partition.0);
        let (Some(next), Some(last)) = (self.next.get_mut(index), self.appended_at.get_mut(index)) else {
            return Ok(None);
        };
        if offset < next.0 {
            return Ok(None);
        }
        *next = Offset(offset);
        let entries = match entries {
            Ok(entries) => entries,
            Err(damage) => {
                self.damaged = Some((partition, damage.clone()));
                return Err(self.damaged_at(partition, damage));
            }
        };
        *next = Offset(offset + 1);
        // Of brokers that lead a partition one after the other, the later one's clock may be behind.
        *last = appended_at.unwrap_or(*last).max(*last);
        Ok(Some(Record { partition, offset: Offset(offset), appended_at: *last, entries }))
    }

    fn damaged_at(&self, partition: Partition, damage: Damage) -> LogError {
        let offset = self.next.get(usize::from(partition.0)).copied().unwrap_or_default();
        LogError::Damaged { partition, offset, damage }
    }

    /// Moves to the start where retention has removed what was to be read next.
    fn pass_removed(&mut self) {
        let state = self.shared.state();
        for (next, start) in self.next.iter_mut().zip(&state.starts) {
            next.0 = next.0.max(*start);
        }
    }

    /// Whether the log was closed and is read to the end that it had then.
    fn has_ended(&self) -> bool {
        let state = self.shared.state();
        state.ended && self.next.iter().zip(&state.ends).all(|(next, end)| next.0 >= *end)
    }
}

/// A consumer of every partition, each from its offset.
fn assigned<E: Entry>(shared: &Shared<E>, from: &[Offset]) -> KafkaResult<BaseConsumer<Quiet>> {
    let consumer: BaseConsumer<Quiet> = client::reader(&shared.topic).create_with_context(Quiet)?;
    let mut partitions = TopicPartitionList::with_capacity(from.len());
    for (partition, offset) in (0..).zip(from) {
        let offset = i64::try_from(offset.0).unwrap_or(i64::MAX);
        partitions.add_partition_offset(&shared.topic.name, partition, rdkafka::Offset::Offset(offset))?;
    }
    consumer.assign(&partitions)?;
    Ok(consumer)
}

impl<E: Entry> fmt::Debug for KafkaReader<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaReader").field("next", &self.next).finish_non_exhaustive()
    }
}
