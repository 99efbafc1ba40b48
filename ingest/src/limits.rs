//! Every limit of this crate, and how they relate.

use std::time::Duration;

use crate::position::Position;

/// Bytes of a datagram. The ones in service have about 200; a kilobyte leaves room for long names, and still fits
/// the smallest packet that IPv6 promises to carry whole (1,280 bytes with its headers).
pub const MAX_DATAGRAM: usize = 1_024;

/// How deep arrays and objects may nest in what a datagram carries besides the fields we know.
pub const MAX_NESTING: u8 = 32;

/// Datagrams taken from a socket by one system call.
pub const DATAGRAMS_PER_CALL: usize = 64;

/// Positions that a receiving thread appends together. Those of JSON datagrams are one call's, and fewer; compact ones
/// fill it.
pub const MAX_BATCH: usize = 256;

/// Appends whose acknowledgements may wait to be sent, for each socket. Those beyond are dropped.
pub const ANSWERS_WAITING: usize = 1_024;

/// Milliseconds a receiving thread may wait before it looks whether it should stop.
pub const STOP_LATENCY_MS: u64 = 50;

/// System calls spent on what a socket still holds when it is asked to stop: should it still be sent to, that must not
/// keep the process from ending.
pub const DRAIN_CALLS: usize = 1_024;

/// Bytes the kernel is asked to hold per socket while its thread is busy. It may grant less (`net.core.rmem_max`).
pub const SOCKET_BUFFER: usize = 8 << 20;

/// Receiving threads of one address.
pub const MAX_SOCKETS: usize = 64;

/// Milliseconds between a device's clock and ours from which on the clock is counted as off.
pub const MAX_CLOCK_SKEW_MS: u64 = 120_000;

/// Sessions of compact datagrams that one operator may have within about [`SESSION_KEPT_MS`]: half a megabyte.
pub const MAX_SESSIONS: usize = 1_024;

/// How long a session is remembered after the sending time of its latest datagram, in milliseconds. The first half is
/// needed, as long as that datagram could be sent again; the second is for threads that look at their clock seldom.
pub const SESSION_KEPT_MS: u64 = 2 * MAX_CLOCK_SKEW_MS;

/// Milliseconds between two looks for sessions that need not be remembered any more, while there are too many.
pub const SESSIONS_SWEPT_EVERY_MS: i64 = 1_000;

/// Sequence numbers of a session by which a datagram may be late, at least.
pub const REPLAY_WINDOW: u32 = 992;

/// Taxis that are told apart among what was refused of one operator for one reason.
pub const MAX_REFUSED_TAXIS: usize = 20;

/// Senders that are told apart among what was refused of one operator for one reason.
pub const MAX_REFUSED_SOURCES: usize = 20;

/// Refused positions that are kept whole, the latest, of one operator and one reason.
pub const MAX_REFUSED_EXAMPLES: usize = 5;

/// Bytes of a refused position's taxi id, and of each of its fields, that are kept.
pub const MAX_REFUSED_FIELD: usize = 64;

/// Bytes that describe a message of an Arrow stream: a schema has most, with what its writer notes of itself.
pub const MAX_ARROW_METADATA: usize = 16 << 10;

/// Bytes of the columns of a batch in an Arrow stream.
pub const MAX_ARROW_BODY: usize = 1 << 20;

/// Rows of a batch in an Arrow stream.
pub const MAX_ARROW_ROWS: usize = 16_384;

/// Batches without rows in an Arrow stream: nothing else that it has bounds how many there are.
pub const MAX_EMPTY_BATCHES: usize = 1_000;

/// Partitions of a log.
pub const MAX_PARTITIONS: u16 = 256;

/// Entries in one record. More entries of one partition and flush make several records.
pub const MAX_RECORD_ROWS: usize = 16_384;

/// Bytes of a record that is worth reading: a header, the message's metadata, and below 64 bytes a row.
pub const MAX_RECORD_BYTES: usize = 4_096 + 64 * MAX_RECORD_ROWS;

/// Entries committed together. A group closes early when it has this many.
pub const MAX_GROUP: usize = 65_536;

/// How often an open group takes what has come. Who wants to hear of its append waits that much longer at most.
pub const GATHERED_EVERY: Duration = Duration::from_millis(1);

/// Appends that may wait for the commit thread.
pub const LOG_QUEUE: usize = 8_192;

/// Emptied batches that the log keeps for the next appends: enough for what one commit gathers at an ordinary pace.
pub const SPARE_BATCHES: usize = 256;

/// Entries that may wait for the commit thread, over all appends: 25 MB of positions, and with what batches of few
/// positions have room for, 100 MB.
pub const MAX_QUEUED_ENTRIES: u64 = 524_288;

/// Groups that are on their way to Kafka at a time. While there are so many, what comes is gathered into one more
/// group, so that an outage makes few large records and not many small ones.
pub const GROUPS_UNDER_WAY: usize = 4;

/// Bytes that a record may have on its way to Kafka: what its brokers take of a message unless they are told otherwise.
pub const MAX_MESSAGE_BYTES: usize = 1_000_000;

/// How long Kafka may take to acknowledge a record before it is given up, and counted: well over a minute's outage.
pub const DELIVERED_WITHIN: Duration = Duration::from_mins(5);

/// How long Kafka may take to answer where its log begins and ends.
pub const BROKERS_ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How often it is asked; an outage is noticed in about this and the time to answer.
pub const BROKERS_ASKED_EVERY: Duration = Duration::from_secs(1);

/// How long the topics of a log of Kafka's may take to be there and led, and again its partitions to tell where they
/// begin and end.
pub const LOG_OPENS_WITHIN: Duration = Duration::from_secs(20);

/// How long closing a log of Kafka's waits for acknowledgements.
pub const LOG_CLOSES_WITHIN: Duration = Duration::from_millis(500);

/// Records that a reader takes from one partition at a time.
pub const READ_AHEAD: usize = 16;

/// The longest a group may be held open, in milliseconds.
pub const MAX_COMMIT_INTERVAL_MS: u64 = 10_000;

const _: () = assert!(MAX_DATAGRAM >= 512, "recorded datagrams must fit, with names three times as long");
const _: () = assert!(MAX_DATAGRAM + 48 <= 1_280, "a datagram must not be fragmented");
const _: () =
    assert!(DRAIN_CALLS * DATAGRAMS_PER_CALL >= 2 * SOCKET_BUFFER / 512, "a full buffer is drained");
const _: () =
    assert!(REPLAY_WINDOW as usize > 4 * DATAGRAMS_PER_CALL, "one call's datagrams come in any order");
const _: () = assert!(SESSION_KEPT_MS > MAX_CLOCK_SKEW_MS, "what is forgotten is too old to be sent again");
const _: () = assert!(DATAGRAMS_PER_CALL <= MAX_BATCH, "one call's JSON datagrams make one append");
const _: () =
    assert!(MAX_DATAGRAM / 11 <= MAX_BATCH, "a compact datagram's positions, of 11 bytes at least, fit");
const _: () = assert!(STOP_LATENCY_MS * 2 <= 100, "a stop is seen within a tenth of a second");
const _: () =
    assert!(DATAGRAMS_PER_CALL <= MAX_RECORD_ROWS, "one call's positions make one record a partition");
const _: () = assert!(MAX_GROUP as u64 <= MAX_QUEUED_ENTRIES, "the queue holds a full group");
const _: () =
    assert!(LOG_QUEUE * DATAGRAMS_PER_CALL >= MAX_GROUP, "the queue holds a full group of datagrams");
const _: () = assert!(
    LOG_QUEUE * MAX_BATCH * size_of::<Position>() <= 101_000_000,
    "the room of queued batches is as said"
);
const _: () = assert!(MAX_RECORD_ROWS <= MAX_GROUP, "a group may fill a record");
const _: () = assert!(DELIVERED_WITHIN.as_secs() >= 2 * 60, "an outage of a minute loses nothing");
const _: () = assert!(
    BROKERS_ANSWER_WITHIN.as_secs() * 4 <= LOG_OPENS_WITHIN.as_secs(),
    "each step of opening has time"
);
const _: () = assert!(MAX_RECORD_BYTES <= u32::MAX as usize, "lengths in a record are 32 bits");
