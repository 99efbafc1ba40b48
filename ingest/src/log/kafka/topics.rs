//! The two topics of a log: made where they are missing, and looked at before anything is written.

use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, Quiet};
use super::{Topic, cause};
use crate::clock::Clock;
use crate::limits::{BROKERS_ANSWER_WITHIN, LOG_OPENS_WITHIN, MAX_PARTITIONS};
use crate::log::{Settings, epoch};

/// Makes what is missing; gives the number of partitions and the epoch, or says what is wrong.
pub(super) fn prepare(topic: &Topic, settings: &Settings, clock: &Clock) -> Result<(u16, u64), String> {
    let deadline = Instant::now() + LOG_OPENS_WITHIN;
    let admin: AdminClient<_> =
        client::asker(topic).create_with_context(Quiet).map_err(|error| cause(&error))?;
    let reader: BaseConsumer<_> =
        client::reader(topic).create_with_context(Quiet).map_err(|error| cause(&error))?;
    let epoch_topic = topic.epoch();
    let is_missing = |name: &str| match partitions(&reader, name) {
        Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)) => Ok(true),
        other => other.map(|_| false).map_err(|error| cause(&error)),
    };
    if is_missing(&topic.name)? || is_missing(&epoch_topic)? {
        make(&admin, topic, settings)?;
    }
    let count = settled(deadline, || partitions(&reader, &topic.name))?;
    settled(deadline, || partitions(&reader, &epoch_topic))?;
    let partitions = u16::try_from(count).ok().filter(|count| (1..=MAX_PARTITIONS).contains(count));
    let partitions =
        partitions.ok_or_else(|| format!("it has {count} partitions; 1 to {MAX_PARTITIONS} are read"))?;
    check_times(settled(deadline, || times(&admin, &topic.name))?.as_deref())?;
    Ok((partitions, agree_on_epoch(topic, &reader, clock, deadline)?))
}

/// How long to wait for brokers to learn of a topic before they are asked again.
const LOOK: Duration = Duration::from_millis(50);

/// What the brokers answer once all of them know of a topic that was made just now, and lead it.
pub(super) fn settled<T>(deadline: Instant, mut ask: impl FnMut() -> KafkaResult<T>) -> Result<T, String> {
    loop {
        let error = match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let passes = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::LeaderNotAvailable
                    | RDKafkaErrorCode::NotLeaderForPartition
            )
        );
        if !passes || Instant::now() >= deadline {
            return Err(cause(&error));
        }
        std::thread::park_timeout(LOOK);
    }
}

fn options() -> AdminOptions {
    let within = Some(BROKERS_ANSWER_WITHIN);
    AdminOptions::new().request_timeout(within).operation_timeout(within)
}

/// How many partitions a topic has, each with a leader.
fn partitions(asker: &BaseConsumer<Quiet>, topic: &str) -> KafkaResult<usize> {
    let metadata = asker.fetch_metadata(Some(topic), BROKERS_ANSWER_WITHIN)?;
    let failed = |code| Err(KafkaError::MetadataFetch(code));
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return failed(RDKafkaErrorCode::UnknownTopicOrPartition);
    };
    if let Some(error) = found.error() {
        return failed(error.into());
    }
    let is_led = found.partitions().iter().all(|partition| partition.leader() >= 0);
    if is_led { Ok(found.partitions().len()) } else { failed(RDKafkaErrorCode::LeaderNotAvailable) }
}

fn make(admin: &AdminClient<Quiet>, topic: &Topic, settings: &Settings) -> Result<(), String> {
    let epoch = topic.epoch();
    let retain_ms = settings.retain_for_ms.clamp(1, MAX_NUMBER);
    let retain_bytes = (settings.retain_bytes / u64::from(settings.partitions)).min(MAX_NUMBER);
    // Kafka forgets whole segments, and none that is still written: a day's at most, and an eighth of the size.
    let segment_ms = retain_ms.min(DAY_MS);
    let segment_bytes = (retain_bytes / 8).clamp(1 << 20, 1 << 30);
    let [retain_ms, retain_bytes, segment_ms, segment_bytes] =
        [retain_ms, retain_bytes, segment_ms, segment_bytes].map(|number| number.to_string());
    let records = NewTopic::new(&topic.name, settings.partitions.into(), BROKERS_DEFAULT)
        .set(TIMESTAMP_TYPE, LOG_APPEND_TIME)
        .set("cleanup.policy", "delete")
        .set("retention.ms", &retain_ms)
        .set("retention.bytes", &retain_bytes)
        .set("segment.ms", &segment_ms)
        .set("segment.bytes", &segment_bytes);
    let epoch = NewTopic::new(&epoch, 1, BROKERS_DEFAULT)
        .set("cleanup.policy", "delete")
        .set("retention.ms", "-1")
        .set("retention.bytes", "-1");
    let made =
        block_on(admin.create_topics([&records, &epoch], &options())).map_err(|error| cause(&error))?;
    for outcome in made {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(format!("topic {name} cannot be made: {code}")),
        }
    }
    Ok(())
}

/// How many replicas: whoever runs the brokers knows best.
const BROKERS_DEFAULT: TopicReplication<'_> = TopicReplication::Fixed(-1);
const DAY_MS: u64 = 86_400_000;
/// The largest number that Kafka reads.
const MAX_NUMBER: u64 = i64::MAX.unsigned_abs();
const TIMESTAMP_TYPE: &str = "message.timestamp.type";
const LOG_APPEND_TIME: &str = "LogAppendTime";

/// Whose time a topic's messages carry. A broker may be asked that has not heard of the topic yet.
fn times(admin: &AdminClient<Quiet>, topic: &str) -> KafkaResult<Option<String>> {
    let described = block_on(admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options()))?;
    let found = described.into_iter().next().transpose().map_err(KafkaError::MetadataFetch)?;
    Ok(found.and_then(|found| found.get(TIMESTAMP_TYPE)?.value.clone()))
}

/// A topic that somebody else made may keep its writers' times, which order nothing.
fn check_times(times: Option<&str>) -> Result<(), String> {
    match times {
        Some(LOG_APPEND_TIME) => Ok(()),
        other => Err(format!(
            "its {TIMESTAMP_TYPE} is {}; it must be {LOG_APPEND_TIME}",
            other.unwrap_or("unknown")
        )),
    }
}

/// The epoch that the first message of its topic says. Where there is none one is written; of two that are written at
/// once the first counts, for both.
fn agree_on_epoch(
    topic: &Topic,
    reader: &BaseConsumer<Quiet>,
    clock: &Clock,
    deadline: Instant,
) -> Result<u64, String> {
    let name = topic.epoch();
    let (_, end) = settled(deadline, || reader.fetch_watermarks(&name, 0, BROKERS_ANSWER_WITHIN))?;
    if end == 0 {
        write(topic, &name, &describe(epoch::random(clock)))?;
    }
    let mut first = TopicPartitionList::with_capacity(1);
    first
        .add_partition_offset(&name, 0, Offset::Offset(0))
        .and_then(|()| reader.assign(&first))
        .map_err(|error| cause(&error))?;
    while Instant::now() < deadline {
        if let Some(Ok(message)) = reader.poll(LOOK) {
            let epoch = (message.offset() == 0).then(|| message.payload().and_then(parse)).flatten();
            return epoch.ok_or_else(|| format!("the first message of topic {name} is not that of a log"));
        }
    }
    Err(format!("the first message of topic {name} did not come"))
}

fn write(topic: &Topic, name: &str, payload: &[u8]) -> Result<(), String> {
    let producer: BaseProducer = client::producer(topic).create().map_err(|error| cause(&error))?;
    let record = BaseRecord::<(), [u8]>::to(name).partition(0).payload(payload);
    producer.send(record).map_err(|(error, _)| cause(&error))?;
    // Whether it is there is seen by reading it.
    producer.flush(BROKERS_ANSWER_WITHIN).map_err(|error| cause(&error))
}

/// The format of the epoch's message and of the topic of records.
const FORMAT: u16 = 1;
const MAGIC: &[u8; 4] = b"mre\0";

fn describe(epoch: u64) -> Vec<u8> {
    [MAGIC.as_slice(), &FORMAT.to_be_bytes(), &epoch.to_be_bytes()].concat()
}

fn parse(payload: &[u8]) -> Option<u64> {
    let (format, epoch) = payload.strip_prefix(MAGIC)?.split_first_chunk::<2>()?;
    (u16::from_be_bytes(*format) == FORMAT).then_some(())?;
    epoch.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_an_epoch_is_read_back_and_no_other_is() {
        assert_eq!(parse(&describe(7)), Some(7));
        let mut later = describe(7);
        later[5] = 2;
        for other in [&later[..], &describe(7)[..13], &[], b"mrd\0\0\x01\0\0\0\0\0\0\0\x07"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }
}
