//! How Kafka's library is set up: for each of the things that it does here, and for what it says.

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use super::topic::Topic;
use crate::limits::{DELIVERED_WITHIN, MAX_MESSAGE_BYTES};

/// What asks and administers.
pub(super) fn asker(topic: &Topic) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &topic.brokers)
        .set("client.id", "maraude")
        // Brokers that come back are found within a second.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.connection.setup.timeout.ms", "5000")
        // A small request waits for no other one.
        .set("socket.nagle.disable", "true");
    config
}

/// What writes: each message once and in order, even where it has to be sent again.
pub(super) fn producer(topic: &Topic) -> ClientConfig {
    let mut config = asker(topic);
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("compression.codec", "lz4")
        // Groups are gathered before.
        .set("linger.ms", "0")
        .set("message.max.bytes", MAX_MESSAGE_BYTES.to_string())
        .set("message.timeout.ms", DELIVERED_WITHIN.as_millis().to_string())
        // Who holds a connection open and does not answer is asked again.
        .set("request.timeout.ms", "10000")
        // Above what the log takes in: its own limits are reached first.
        .set("queue.buffering.max.messages", "100000")
        .set("queue.buffering.max.kbytes", "131072");
    config
}

/// What reads partitions that it is told, from offsets that it is told. The group is a name that the library asks for:
/// nobody joins it, and nothing is kept of it.
pub(super) fn reader(topic: &Topic) -> ClientConfig {
    let mut config = asker(topic);
    config
        .set("group.id", "maraude")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // What retention has overtaken goes on at the start.
        .set("auto.offset.reset", "earliest")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.error.backoff.ms", "100");
    config
}

/// Takes what the library says for details: whether the brokers answer is told elsewhere, once.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason);
    }
}

impl ConsumerContext for Quiet {}

pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, message);
        }
        _ => tracing::debug!(target: "librdkafka", facility, message),
    }
}
