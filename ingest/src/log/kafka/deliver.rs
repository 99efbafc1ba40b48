//! The way to the brokers: appends are gathered into groups, a group becomes a message a partition, and once the last
//! of its messages is acknowledged, so is the group.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, select_biased};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig};

use super::{Shared, cause, client};
use crate::limits::{LOG_CLOSES_WITHIN, MAX_RECORD_ROWS};
use crate::log::group::{Append, Group};
use crate::log::{Done, Entry, LogError, Partition, record};

/// The longest that acknowledgements are waited for before it is looked whether any more can come.
const LISTEN: Duration = Duration::from_millis(100);

/// Hands over what comes through the queue until that is closed and empty. Then `_handed_over` goes.
pub(super) fn gather<E: Entry>(
    shared: &Arc<Shared<E>>,
    producer: &BaseProducer<Deliveries<E>>,
    queue: &Receiver<Append<E>>,
    _handed_over: Sender<Infallible>,
) {
    let _end = Poisons(shared, "the thread that gathers panicked");
    let spares = &shared.intake.spares.0;
    while let Ok(first) = queue.recv() {
        let mut group = Group::gather(first, queue, shared.commit_interval, shared.partitions, spares);
        // While the brokers have enough to do, or are away, the group grows; the intake bounds it.
        loop {
            select_biased! {
                send(shared.under_way.0, ()) -> _ => break,
                recv(queue) -> append => match append {
                    Ok(append) => group.add(append, spares),
                    // Closing: what is left is one group too many.
                    Err(_) => break,
                },
            }
        }
        send(shared, producer, group);
    }
}

/// Hears what became of what was handed over, until nothing more can come.
pub(super) fn listen<E: Entry>(
    shared: &Arc<Shared<E>>,
    producer: &BaseProducer<Deliveries<E>>,
    handed_over: &Receiver<Infallible>,
) {
    let _end = End(shared);
    let _panic = Poisons(shared, "the thread that listens panicked");
    while handed_over.recv_timeout(Duration::ZERO) == Err(RecvTimeoutError::Timeout) {
        producer.poll(LISTEN);
        if let Some((_, reason)) = producer.client().fatal_error() {
            shared.fail(&reason.into());
        }
    }
    if producer.flush(LOG_CLOSES_WITHIN).is_err() {
        tracing::warn!("the brokers did not acknowledge in time what the log took last; it is given up");
        producer.purge(PurgeConfig::default().queue().inflight());
        // What was purged only has to be told.
        let _ = producer.flush(LISTEN);
    }
}

/// Tells readers that this process writes nothing more, however the thread ends.
struct End<'a, E: Entry>(&'a Shared<E>);

impl<E: Entry> Drop for End<'_, E> {
    fn drop(&mut self) {
        self.0.state().ended = true;
    }
}

/// Poisons the log where its thread panics.
struct Poisons<'a, E: Entry>(&'a Shared<E>, &'static str);

impl<E: Entry> Drop for Poisons<'_, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&self.1.into());
            // Nobody ends the groups under way any more: the next ones need not wait for them.
            while self.0.under_way.1.try_recv().is_ok() {}
        }
    }
}

impl<E: Entry> Shared<E> {
    /// Refuses appends from now on, and says so.
    fn fail(&self, cause: &Arc<str>) {
        if !self.intake.poisoned.is_raised() {
            tracing::error!(%cause, "the log could not be written; it takes nothing more until a restart");
            self.poison(cause);
        }
    }
}

/// A group under way. Whoever lets go of it last tells those who wait.
struct Sent<E: Entry> {
    shared: Arc<Shared<E>>,
    began: Instant,
    entries: usize,
    waiting: Mutex<Waiting>,
}

/// Who waits for a group, and for what.
struct Waiting {
    done: Vec<Done>,
    /// Why a part of the group may not be in the log.
    failure: Option<LogError>,
}

/// A message of a group under way.
pub(super) struct Part<E: Entry> {
    sent: Arc<Sent<E>>,
    partition: Partition,
    rows: u64,
}

fn send<E: Entry>(shared: &Arc<Shared<E>>, producer: &BaseProducer<Deliveries<E>>, group: Group<E>) {
    let _span =
        tracing::debug_span!("commit", entries = group.len, acknowledged = group.done.len()).entered();
    let sent = Arc::new(Sent {
        shared: Arc::clone(shared),
        began: Instant::now(),
        entries: group.len,
        waiting: Mutex::new(Waiting { done: group.done, failure: None }),
    });
    let now = shared.clock.now();
    for (partition, entries) in (0..).map(Partition).zip(&group.by_partition) {
        for rows in entries.chunks(MAX_RECORD_ROWS) {
            let part = Box::new(Part { sent: Arc::clone(&sent), partition, rows: rows.len() as u64 });
            let failed = shared.state().failed.clone();
            if let Some(cause) = failed {
                part.fail(LogError::Poisoned { cause });
                continue;
            }
            let bytes = match record::encode(rows, now) {
                Ok(bytes) => bytes,
                Err(error) => {
                    part.fail(LogError::Unacknowledged { cause: error.to_string().into() });
                    continue;
                }
            };
            let message = BaseRecord::<(), [u8], _>::with_opaque_to(&shared.topic.name, part)
                .partition(partition.0.into())
                .payload(&bytes);
            if let Err((error, message)) = producer.send(message) {
                message.delivery_opaque.fail(unacknowledged(&error));
            }
        }
    }
    Sent::release(sent);
}

fn unacknowledged(error: &KafkaError) -> LogError {
    LogError::Unacknowledged { cause: cause(error).into() }
}

impl<E: Entry> Sent<E> {
    fn release(sent: Arc<Self>) {
        let Some(sent) = Arc::into_inner(sent) else { return };
        let intake = &sent.shared.intake;
        intake.room.give(sent.entries as u64);
        let _ = sent.shared.under_way.1.try_recv();
        let Waiting { done, failure } = sent.waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
        let outcome = failure.map_or(Ok(()), Err);
        if outcome.is_ok() {
            intake.meters.syncs.record(sent.began.elapsed());
        }
        for done in done {
            done(outcome.clone());
        }
    }
}

impl<E: Entry> Part<E> {
    fn succeed(self, offset: i64) {
        let Self { sent, partition, rows } = self;
        sent.shared.intake.meters.entries.add(rows);
        let end = u64::try_from(offset).map_or(0, |offset| offset + 1);
        if let Some(known) = sent.shared.state().ends.get_mut(usize::from(partition.0)) {
            *known = end.max(*known);
        }
        Sent::release(sent);
    }

    fn fail(self, error: LogError) {
        self.sent.shared.intake.meters.lost.add(self.rows);
        let mut waiting = self.sent.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.failure.get_or_insert(error);
        drop(waiting);
        Sent::release(self.sent);
    }
}

/// What the producer tells of messages.
pub(super) struct Deliveries<E: Entry>(pub(super) Arc<Shared<E>>);

impl<E: Entry> ProducerContext for Deliveries<E> {
    type DeliveryOpaque = Box<Part<E>>;

    fn delivery(&self, result: &DeliveryResult<'_>, part: Box<Part<E>>) {
        match result {
            Ok(message) => part.succeed(message.offset()),
            Err((error, _)) => {
                let failed = self.0.state().failed.clone();
                part.fail(failed.map_or_else(|| unacknowledged(error), |cause| LogError::Poisoned { cause }));
            }
        }
    }
}

impl<E: Entry> ClientContext for Deliveries<E> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason);
    }
}
