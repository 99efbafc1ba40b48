//! The log as a topic of Apache Kafka, which any number of processes write and read.
//!
//! A record is a message, without a key and in the partition that its entries hash to; its offset and its time of
//! append are the broker's. Beside the topic stands another one, `<topic>.epoch`, whose first message says which log
//! this is. Both are made where they are missing; whoever removes one removes the other, too.
//!
//! Three threads: one gathers appends and hands them over, one hears what became of them, and one asks every second
//! where the log begins and ends, which also tells whether the brokers are there.
//!
//! Memory: the queue, [`GROUPS_UNDER_WAY`] groups as records, and what a reader has
//! fetched ahead, 16 MiB.

mod client;
mod deliver;
mod offsets;
mod reader;
mod topic;
mod topics;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;

use self::client::Quiet;
use self::deliver::Deliveries;
use self::offsets::Watch;
pub use self::reader::KafkaReader;
pub use self::topic::Topic;
use super::intake::Intake;
use super::worker::Worker;
use super::{Entry, Offset, OpenError, Partition, Settings};
use crate::clock::{Clock, Millis};
use crate::limits::{GROUPS_UNDER_WAY, LOG_OPENS_WITHIN};

/// A log on Kafka. Cheap to clone; the last clone to go closes it.
#[derive(Clone)]
pub struct KafkaLog<E: Entry>(Arc<Handle<E>>);

/// What the clones share. The threads do not hold it, so that they can end.
struct Handle<E: Entry> {
    shared: Arc<Shared<E>>,
    gatherer: Worker,
    listener: Worker,
    /// Asks where the log begins and ends; thread-safe.
    asker: Arc<BaseConsumer<Quiet>>,
    /// Dropped to end the thread that asks every second. It is not waited for: it may be waiting for an answer.
    _watching: Sender<()>,
}

/// What the threads, readers and callers share.
struct Shared<E: Entry> {
    topic: Topic,
    epoch: u64,
    partitions: u16,
    commit_interval: Duration,
    clock: Clock,
    intake: Intake<E>,
    /// Holds an entry for each group under way.
    under_way: (Sender<()>, Receiver<()>),
    state: Mutex<State>,
}

/// What is known of the topic.
struct State {
    /// The first offset kept, by partition.
    starts: Vec<u64>,
    /// The next offset, by partition.
    ends: Vec<u64>,
    /// Whether the brokers answered when they were asked last.
    answers: bool,
    /// Why nothing can be written any more.
    failed: Option<Arc<str>>,
    /// This process will write nothing more.
    ended: bool,
}

impl<E: Entry> KafkaLog<E> {
    /// Opens the log on a topic, and makes that if need be. Waits for the brokers, [`LOG_OPENS_WITHIN`] for each of two
    /// steps at most.
    pub fn open(topic: &Topic, settings: &Settings, clock: Clock) -> Result<Self, OpenError> {
        let explain = |cause: String| OpenError::Kafka { topic: topic.clone(), cause };
        let (partitions, epoch) = topics::prepare(topic, settings, &clock).map_err(explain)?;
        let asker: BaseConsumer<_> =
            client::asker(topic).create_with_context(Quiet).map_err(|error| explain(cause(&error)))?;
        let deadline = Instant::now() + LOG_OPENS_WITHIN;
        let bounds = || offsets::bounds(&asker, topic, partitions);
        let (starts, ends) = topics::settled(deadline, bounds).map_err(explain)?;
        let (intake, queue) = Intake::new();
        let shared = Arc::new(Shared {
            topic: topic.clone(),
            epoch,
            partitions,
            commit_interval: Duration::from_millis(settings.commit_interval_ms),
            clock,
            intake,
            under_way: bounded(GROUPS_UNDER_WAY),
            state: Mutex::new(State { starts, ends, answers: true, failed: None, ended: false }),
        });
        let deliveries = Deliveries(Arc::clone(&shared));
        let producer: BaseProducer<_> = client::producer(topic)
            .create_with_context(deliveries)
            .map_err(|error| explain(cause(&error)))?;
        let producer = Arc::new(producer);
        let (handed_over, all_handed_over) = bounded(0);
        let gatherer = Worker::start("log-commit", {
            let (shared, producer) = (Arc::clone(&shared), Arc::clone(&producer));
            move || deliver::gather(&shared, &producer, &queue, handed_over)
        });
        let listener = Worker::start("log-deliver", {
            let shared = Arc::clone(&shared);
            move || deliver::listen(&shared, &producer, &all_handed_over)
        });
        let (watching, stop) = bounded(0);
        let asker = Arc::new(asker);
        let watch = Watch { shared: Arc::clone(&shared), asker: Arc::clone(&asker), stop };
        let watcher = Worker::start("log-watch", move || watch.run());
        let failed = |error: std::io::Error| explain(error.to_string());
        watcher.map_err(failed)?;
        Ok(Self(Arc::new(Handle {
            gatherer: gatherer.map_err(failed)?,
            listener: listener.map_err(failed)?,
            shared,
            asker,
            _watching: watching,
        })))
    }

    pub(super) fn intake(&self) -> &Intake<E> {
        &self.0.shared.intake
    }

    /// Whether the brokers answered when they were asked last.
    pub(super) fn answers(&self) -> bool {
        self.0.shared.state().answers
    }

    pub(super) fn epoch(&self) -> u64 {
        self.0.shared.epoch
    }

    pub(super) fn partitions(&self) -> u16 {
        self.0.shared.partitions
    }

    pub(super) fn start(&self, partition: Partition) -> Offset {
        let state = self.0.shared.state();
        Offset(state.starts.get(usize::from(partition.0)).copied().unwrap_or(0))
    }

    pub(super) fn end(&self, partition: Partition) -> Offset {
        let state = self.0.shared.state();
        Offset(state.ends.get(usize::from(partition.0)).copied().unwrap_or(0))
    }

    pub(super) fn offset_at(&self, partition: Partition, at: Millis) -> Offset {
        let Handle { shared, asker, .. } = &*self.0;
        // Before anything is asked: an offset too early is right, one too late is not.
        let end = self.end(partition);
        if partition.0 >= shared.partitions {
            return end;
        }
        match offsets::since(asker, &shared.topic, partition, at) {
            Ok(offset) => offset.unwrap_or(end),
            Err(_) => self.start(partition),
        }
    }

    pub(super) fn reader(&self, from: &[Offset]) -> KafkaReader<E> {
        KafkaReader::new(Arc::clone(&self.0.shared), from)
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

impl<E: Entry> Handle<E> {
    fn close(&self) {
        self.shared.intake.close();
        self.gatherer.join();
        self.listener.join();
    }
}

impl<E: Entry> Drop for Handle<E> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<E: Entry> fmt::Debug for KafkaLog<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("topic", &self.0.shared.topic).finish_non_exhaustive()
    }
}

impl<E: Entry> Shared<E> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses appends from now on.
    fn poison(&self, cause: &Arc<str>) {
        self.intake.poisoned.raise();
        self.state().failed.get_or_insert_with(|| Arc::clone(cause));
    }
}

/// What Kafka's library said, without the names of its types around it where that is possible.
fn cause(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(code) => code.to_string(),
        None => error.to_string(),
    }
}
