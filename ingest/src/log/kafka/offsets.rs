//! Where a topic's partitions begin and end, asked every second, and where an instant is in one.

use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset as Place, TopicPartitionList};

use super::client::Quiet;
use super::{Shared, Topic, cause};
use crate::clock::Millis;
use crate::limits::{BROKERS_ANSWER_WITHIN, BROKERS_ASKED_EVERY};
use crate::log::{Entry, Offset, Partition};

/// Keeps what is known of a topic up to date, until `stop` is disconnected.
pub(super) struct Watch<E: Entry> {
    pub(super) shared: Arc<Shared<E>>,
    pub(super) asker: Arc<BaseConsumer<Quiet>>,
    pub(super) stop: Receiver<()>,
}

impl<E: Entry> Watch<E> {
    pub(super) fn run(self) {
        let Self { shared, asker, stop } = self;
        while stop.recv_timeout(BROKERS_ASKED_EVERY) == Err(RecvTimeoutError::Timeout) {
            let known = bounds(&asker, &shared.topic, shared.partitions);
            let mut state = shared.state();
            match (&known, state.answers) {
                (Err(error), true) => {
                    tracing::warn!(cause = cause(error), "the brokers of the log do not answer");
                }
                (Ok(_), false) => tracing::info!("the brokers of the log answer again"),
                _ => {}
            }
            state.answers = known.is_ok();
            if let Ok((starts, ends)) = known {
                // An answer may be older than an acknowledgement that came meanwhile.
                raise(&mut state.starts, &starts);
                raise(&mut state.ends, &ends);
            }
            drop(state);
            // What the library has to say waits to be taken.
            while asker.poll(Duration::ZERO).is_some() {}
        }
    }
}

fn raise(offsets: &mut [u64], to: &[u64]) {
    for (offset, to) in offsets.iter_mut().zip(to) {
        *offset = (*offset).max(*to);
    }
}

/// The first offset and the next one of every partition, one request to each broker for each of the two.
pub(super) fn bounds(
    asker: &BaseConsumer<Quiet>,
    topic: &Topic,
    partitions: u16,
) -> KafkaResult<(Vec<u64>, Vec<u64>)> {
    let all = |place| {
        let mut list = TopicPartitionList::with_capacity(usize::from(partitions));
        for partition in 0..partitions {
            list.add_partition_offset(&topic.name, partition.into(), place)?;
        }
        let found = ask(asker, list)?;
        let known = |offset: Option<u64>| offset.ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset));
        found.into_iter().map(known).collect::<KafkaResult<Vec<_>>>()
    };
    // The starts first: no start may lie behind its end.
    Ok((all(Place::Beginning)?, all(Place::End)?))
}

/// The first offset of a partition whose record was appended at `at` or later; None if there is none.
pub(super) fn since(
    asker: &BaseConsumer<Quiet>,
    topic: &Topic,
    partition: Partition,
    at: Millis,
) -> KafkaResult<Option<Offset>> {
    let mut list = TopicPartitionList::with_capacity(1);
    // Below 0 are words and not times.
    list.add_partition_offset(&topic.name, partition.0.into(), Place::Offset(at.0.max(0)))?;
    Ok(ask(asker, list)?.into_iter().next().flatten().map(Offset))
}

/// The offsets that lie at places or times of partitions, in the order of these; None where there is none.
fn ask(asker: &BaseConsumer<Quiet>, places: TopicPartitionList) -> KafkaResult<Vec<Option<u64>>> {
    let found = asker.offsets_for_times(places, BROKERS_ANSWER_WITHIN)?;
    let mut elements = found.elements();
    elements.sort_by_key(TopicPartitionListElem::partition);
    elements
        .into_iter()
        .map(|element| {
            element.error()?;
            Ok(element.offset().to_raw().and_then(|offset| u64::try_from(offset).ok()))
        })
        .collect()
}
