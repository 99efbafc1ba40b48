//! What only the log on Kafka promises: one epoch for all who open it, and that brokers may go away and come back.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod broker;
#[expect(dead_code, reason = "the cases of the contract are run beside the embedded log's")]
mod contract;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use broker::Broker;
use contract::{append, batch, drain, position};
use ingest::clock::{Clock, Millis};
use ingest::limits::{LOG_CLOSES_WITHIN, LOG_OPENS_WITHIN, MAX_GROUP, MAX_QUEUED_ENTRIES};
use ingest::log::{Damage, Full, Log, LogError, LogUrl, Offset, OpenError, Partition, Settings};
use ingest::position::Position;
use nix::sys::signal::Signal;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

/// A broker starts within seconds, and within a minute among compilers.
const LONG: Duration = Duration::from_mins(1);
/// An outage is noticed in four seconds, and a moment.
const NOTICED: Duration = Duration::from_secs(8);

fn open(url: &LogUrl) -> Log {
    open_with(url, &Settings { commit_interval_ms: 1, ..Settings::default() })
}

fn open_with(url: &LogUrl, settings: &Settings) -> Log {
    Log::open(url, settings, Clock::System).unwrap()
}

fn one_partition() -> Settings {
    Settings { partitions: 1, commit_interval_ms: 1, ..Settings::default() }
}

/// Brokers and the name of the topic.
fn parts(url: &LogUrl) -> (&str, &str) {
    match url {
        LogUrl::Kafka(topic) => (&topic.brokers, &topic.name),
        LogUrl::File(_) => unreachable!("only Kafka's logs are tried here"),
    }
}

fn config(url: &LogUrl) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", parts(url).0);
    config
}

fn admin(url: &LogUrl) -> AdminClient<DefaultClientContext> {
    config(url).create().unwrap()
}

fn make_topic(url: &LogUrl, name: &str) {
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let made = futures_executor::block_on(admin(url).create_topics([&topic], &AdminOptions::new()));
    made.unwrap().remove(0).unwrap();
}

fn write(url: &LogUrl, topic: &str, payload: &[u8]) {
    let producer: BaseProducer = config(url).create().unwrap();
    let message = BaseRecord::<(), [u8]>::to(topic).partition(0).payload(payload);
    assert!(producer.send(message).is_ok());
    producer.flush(LONG).unwrap();
}

/// Waits until the log knows whether its brokers are there.
fn answers(log: &Log, wanted: bool) {
    let deadline = Instant::now() + NOTICED;
    let mut reader = log.reader(&vec![Offset(u64::MAX >> 1); usize::from(log.partitions())]);
    while log.is_writable() != wanted {
        assert!(Instant::now() < deadline, "not noticed: {wanted}");
        // Nothing is there: a pause.
        assert_eq!(reader.poll(Duration::from_millis(10)), Ok(None));
    }
}

/// How often each position is in a log, by its taxi.
fn counts(log: &Log) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for position in drain(log, &[]).into_iter().flat_map(|record| record.entries) {
        *counts.entry(position.source.taxi.0).or_default() += 1;
    }
    counts
}

type Outcome = mpsc::Receiver<Result<(), LogError>>;

/// Appends, and gives the acknowledgement to come.
fn begin(log: &Log, positions: Vec<Position>) -> Outcome {
    let (sender, done) = mpsc::channel();
    let tell = Box::new(move |outcome| drop(sender.send(outcome)));
    log.append_acknowledged(positions, tell).unwrap();
    done
}

#[test]
fn all_who_open_a_log_at_once_agree_which_one_it_is() {
    let Some(url) = broker::new_log() else { return };
    let epochs: Vec<_> = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..4).map(|_| scope.spawn(|| open(&url).epoch())).collect();
        openers.into_iter().map(|opener| opener.join().unwrap()).collect()
    });
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    let LogUrl::Kafka(mut topic) = url else { return };
    topic.name += "-other";
    assert_ne!(open(&LogUrl::Kafka(topic)).epoch(), epochs[0]);
}

#[test]
fn a_log_opened_again_is_the_same_and_others_see_what_one_writes() {
    let Some(url) = broker::new_log() else { return };
    let log = open(&url);
    append(&log, batch(0..100));
    let other = open_with(&url, &Settings { partitions: 9, ..Settings::default() });
    assert_eq!((other.epoch(), other.partitions()), (log.epoch(), 4), "as it was made");
    assert_eq!(drain(&other, &[]), drain(&log, &[]));
    let mut reader = other.reader(&[Offset(1); 4]);
    append(&log, vec![position(7)]);
    assert_eq!(reader.poll(LONG).unwrap().unwrap().entries, [position(7)]);
    assert_eq!(other.offset_at(Partition(4), Millis(0)), Offset(0), "there is no such partition");
}

#[test]
fn a_large_append_makes_several_records_that_a_broker_takes() {
    let Some(url) = broker::new_log() else { return };
    let log = open_with(&url, &one_partition());
    // As different as they can be: nothing to compress.
    let position = |n: u32| Position {
        received_at: Millis(i64::from(n.wrapping_mul(0x9e37_79b9)) << 20),
        device_at: Some(Millis(i64::from(n.wrapping_mul(0x85eb_ca6b)) << 20)),
        ..position(n.wrapping_mul(0xc2b2_ae35))
    };
    let many: Vec<_> = (0..=u32::try_from(MAX_GROUP).unwrap()).map(position).collect();
    append(&log, many.clone());
    let records = drain(&log, &[]);
    assert_eq!(records.len(), 5);
    assert!(records.into_iter().flat_map(|record| record.entries).eq(many));
}

#[test]
fn a_reader_that_retention_overtakes_moves_to_the_start() {
    let Some(url) = broker::new_log() else { return };
    let log = open_with(&url, &one_partition());
    for n in 0..4 {
        append(&log, vec![position(n)]);
    }
    let remove_before = |offset| {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(parts(&url).1, 0, rdkafka::Offset::Offset(offset)).unwrap();
        futures_executor::block_on(admin(&url).delete_records(&list, &AdminOptions::new())).unwrap();
    };
    let mut reader = log.reader(&[]);
    remove_before(2);
    assert_eq!(reader.poll(LONG).unwrap().unwrap().offset, Offset(2));
    let mut late = log.reader(&[]);
    remove_before(4);
    let deadline = Instant::now() + LONG;
    while late.offsets() != [Offset(4)] {
        // It learns of that although no record comes.
        assert_eq!(late.poll(Duration::from_millis(10)), Ok(None));
        assert!(Instant::now() < deadline);
    }
    assert_eq!((log.start(Partition(0)), log.end(Partition(0))), (Offset(4), Offset(4)));
}

#[test]
fn a_message_that_is_no_record_is_named_and_can_be_passed() {
    let Some(url) = broker::new_log() else { return };
    let log = open_with(&url, &one_partition());
    append(&log, vec![position(0)]);
    write(&url, parts(&url).1, b"mrd\0 something else");
    append(&log, vec![position(1)]);
    let damaged =
        Err(LogError::Damaged { partition: Partition(0), offset: Offset(1), damage: Damage::Header });
    let mut reader = log.reader(&[]);
    assert_eq!(reader.poll(LONG).unwrap().unwrap().offset, Offset(0));
    assert_eq!(reader.poll(LONG), damaged);
    assert_eq!(reader.poll(LONG), damaged, "it is not passed over by itself");
    assert_eq!(reader.offsets(), [Offset(1)]);
    reader.seek(Partition(0), Offset(2));
    assert_eq!(reader.poll(LONG).unwrap().unwrap().entries, [position(1)]);
    reader.seek(Partition(0), Offset(1));
    assert_eq!(reader.poll(LONG), damaged);
}

#[test]
fn what_is_no_log_is_refused_and_so_is_what_does_not_answer() {
    let Some(url) = broker::new_log() else { return };
    let refusal = || match <Log>::open(&url, &Settings::default(), Clock::System) {
        Err(error @ OpenError::Kafka { .. }) => error.to_string(),
        other => unreachable!("{other:?}"),
    };
    let (_, name) = parts(&url);
    make_topic(&url, name);
    assert!(refusal().contains("message.timestamp.type is CreateTime"), "{}", refusal());

    let LogUrl::Kafka(mut topic) = url.clone() else { return };
    topic.name += "-x";
    make_topic(&url, &format!("{}.epoch", topic.name));
    write(&url, &format!("{}.epoch", topic.name), b"something else");
    let error = <Log>::open(&LogUrl::Kafka(topic), &Settings::default(), Clock::System).unwrap_err();
    assert!(error.to_string().contains("is not that of a log"), "{error}");

    // Bound, and nobody listens.
    let nobody = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    nobody.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = nobody.local_addr().unwrap().as_socket().unwrap().port();
    let began = Instant::now();
    let away = format!("kafka://127.0.0.1:{port}/t").parse().unwrap();
    let error = <Log>::open(&away, &Settings::default(), Clock::System).unwrap_err();
    assert!(matches!(error, OpenError::Kafka { .. }) && began.elapsed() < LOG_OPENS_WITHIN, "{error}");
}

/// First the broker hangs, then it is killed: what waited is there once, and what came meanwhile, too.
#[test]
fn brokers_go_away_and_come_back() {
    let Some(broker) = Broker::start() else { return };
    let url = broker.new_log();
    let log = open(&url);
    let mut reader = log.reader(&[]);
    append(&log, vec![position(0)]);
    assert_eq!(reader.poll(LONG).unwrap().unwrap().entries, [position(0)]);

    broker.signal(Signal::SIGSTOP);
    let waiting: Vec<_> = (1..50).map(|n| begin(&log, vec![position(n)])).collect();
    answers(&log, false);
    let refused = log.append_acknowledged(vec![position(0)], Box::new(|_| ()));
    assert_eq!(refused, Err(Full::Away), "who wants to know is told at once");
    for n in 50..99 {
        log.append(vec![position(n)]).unwrap();
    }
    let (sender, told) = mpsc::channel();
    log.append_and_tell(vec![position(99)], Box::new(move |outcome| drop(sender.send(outcome)))).unwrap();
    assert!(told.recv().is_err(), "it is taken, and nobody waits for it");
    assert_eq!((log.end(Partition(0)), log.meters().entries.get()), (log.end(Partition(0)), 1));
    assert!(waiting.iter().all(|outcome| outcome.try_recv().is_err()), "nothing was acknowledged");
    broker.signal(Signal::SIGCONT);
    for outcome in waiting {
        assert_eq!(outcome.recv_timeout(LONG), Ok(Ok(())));
    }
    answers(&log, true);

    broker.signal(Signal::SIGKILL);
    let waiting: Vec<_> = (100..150).map(|n| begin(&log, vec![position(n)])).collect();
    answers(&log, false);
    broker.start_again();
    for outcome in waiting {
        assert_eq!(outcome.recv_timeout(LONG), Ok(Ok(())));
    }
    answers(&log, true);
    append(&log, vec![position(150)]);
    let once: BTreeMap<_, _> = (0..=150).map(|n| (n, 1)).collect();
    assert_eq!(counts(&log), once, "everything, once");
    // Who read all the time has missed nothing.
    let mut read: Vec<u32> = vec![0];
    while read.len() < 151 {
        let record = reader.poll(LONG).unwrap().unwrap();
        read.extend(record.entries.iter().map(|position| position.source.taxi.0));
    }
    read.sort_unstable();
    assert!(read.into_iter().eq(0..=150));
    assert_eq!((log.meters().entries.get(), log.meters().lost.get()), (151, 0));
}

#[test]
fn a_log_that_is_away_takes_what_it_has_room_for_and_closes_in_time() {
    let Some(broker) = Broker::start() else { return };
    let log = open(&broker.new_log());
    append(&log, vec![position(0)]);
    broker.signal(Signal::SIGSTOP);
    let many = usize::try_from(MAX_QUEUED_ENTRIES / 64).unwrap();
    let waiting = begin(&log, vec![position(1)]);
    // One by one, as datagrams come at an ordinary pace: it is the positions that fill it, not the appends.
    let mut taken = 1;
    for n in 0..64 {
        log.append(vec![position(n); many - 1]).unwrap();
        taken += many as u64 - 1;
    }
    assert_eq!(log.queue_room(), MAX_QUEUED_ENTRIES - taken);
    assert_eq!(log.append(vec![position(0); many]), Err(Full::Queue));
    answers(&log, false);
    let began = Instant::now();
    log.close();
    assert!(began.elapsed() < LOG_CLOSES_WITHIN * 3, "{:?}", began.elapsed());
    let outcome = waiting.try_recv().unwrap();
    assert!(matches!(outcome, Err(LogError::Unacknowledged { .. })), "{outcome:?}");
    assert_eq!((log.meters().lost.get(), log.queue_room()), (taken, MAX_QUEUED_ENTRIES));
    assert_eq!(log.append(vec![position(0)]), Err(Full::Closed));
}
