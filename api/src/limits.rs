//! Every limit of this crate, and how they relate.
//!
//! What is beyond a limit is refused and counted nowhere but in the answer: 413 for a body, 414 for an address, 431 for
//! header fields, 408 for a request that trickles in, 503 for one too many, 429 for one too soon, 400 where a form says
//! how many of something it takes. `ingest::limits` has those of datagrams and of the log, `engine::engine` those of
//! the map.

use std::time::Duration;

use ingest::limits::{
    BROKERS_ANSWER_WITHIN, BROKERS_ASKED_EVERY, DELIVERED_WITHIN, LOG_CLOSES_WITHIN, MAX_ARROW_BODY,
    MAX_DATAGRAM, MAX_QUEUED_ENTRIES, MAX_RECORD_ROWS,
};

use crate::hail::Status;

mod console;
mod http;
mod queries;
mod rows;

pub use self::console::*;
pub use self::http::Http;
pub use self::queries::*;
pub use self::rows::*;

// What a request may be.

/// The largest body of a request, in bytes.
pub const BODY_MAX_BYTES: usize = 1 << 20;
/// How much of a larger one is taken and dropped before it is answered; then the connection is closed.
pub const BODY_DROPPED_MAX_BYTES: usize = 16 * BODY_MAX_BYTES;
/// Header fields of a request. A browser behind two proxies sends about thirty.
pub const HEADERS_MAX: usize = 64;
/// Bytes of a request's first line and header fields together.
pub const HEAD_MAX_BYTES: usize = 16 << 10;
/// Bytes of the address in a request's first line. A list filtered by all the ids and plates it takes has about 2,500.
pub const URI_MAX_BYTES: usize = 8 << 10;
/// Positions that one `POST /geotaxi` may carry.
pub const POSITIONS_MAX: usize = 50;
/// Bytes of the body of a `POST /positions`, which is read in pieces and never held.
pub const STREAMED_MAX_BYTES: usize = 16 << 20;
/// Positions that one may carry.
pub const STREAMED_POSITIONS_MAX: u64 = 50_000;
/// Bytes of a line in one: as many as a datagram may have.
pub const LINE_MAX_BYTES: usize = MAX_DATAGRAM;
/// Refused positions that are told one by one in its answer; the others are counted.
pub const REFUSALS_SHOWN_MAX: usize = 100;
/// Positions that it appends to the log at a time.
pub const POSITIONS_AN_APPEND: usize = 1_024;
/// Appends of one that may be under way, before it is read on.
pub const APPENDS_UNDER_WAY: usize = 4;
/// Characters of a name, a phone number or an id in a hail.
pub const NAME_MAX_CHARS: usize = 255;
/// Characters of an address in a hail.
pub const ADDRESS_MAX_CHARS: usize = 1_000;
/// Characters of the URL of a webhook.
pub const WEBHOOK_URL_MAX_CHARS: usize = 2_000;
/// Webhooks of one account.
pub const WEBHOOKS_AN_ACCOUNT: i64 = 5;
/// Elements of a page of a list.
pub const PER_PAGE: i64 = 30;
/// Elements of a page of the list for customer support.
pub const SUPPORT_PER_PAGE: i64 = 100;
/// How many values of a filter a list may be asked for.
pub const FILTERS_MAX: usize = 50;
/// Towns that are outlined on a map: beyond, one sees nothing of each.
pub const OUTLINED_TOWNS_MAX: usize = 600;
/// Hails of one session in a list of sessions: a customer in need makes a few.
pub const SESSION_HAILS_MAX: usize = 100;

// What a file may be.

/// Bytes of the text of a file that a command reads, unpacked. All communes of France with their outlines are a tenth.
pub const TEXT_MAX_BYTES: u64 = 1 << 30;

// What an answer may be.

/// Taxis in the answer to one search: those beyond are the farthest. Three times what the densest rank of the
/// demonstration has.
pub const HITS_MAX: usize = 1_000;

// What statistics keep of searches.

/// The longest a search waits for others before it is logged, in milliseconds.
pub const SEARCHES_GATHERED_MS: u64 = 200;

/// Days for which searches are kept at most, in the statistics of them.
pub const SEARCHES_KEPT_DAYS: i64 = 365;

/// Searches in memory: 320 MB. Beyond, the oldest days go.
pub const SEARCHES_KEPT_MAX: usize = 10_000_000;

/// Points on a map of searches, the latest ones.
pub const SEARCH_POINTS_MAX: usize = 1_000_000;

const _: () = assert!(SEARCH_POINTS_MAX <= SEARCHES_KEPT_MAX, "a map has no more than there is");

// What a client may take of our time.

/// How long the head of a request may take from its first byte (of a new connection: from the beginning), and then
/// again its body.
pub const REQUEST_READ_WITHIN: Duration = Duration::from_secs(10);
/// How long the body of a `POST /positions` may take.
pub const STREAMED_WITHIN: Duration = Duration::from_secs(30);
/// How long a client may take to read an answer.
pub const ANSWER_READ_WITHIN: Duration = Duration::from_secs(30);
/// How long a connection may lie idle between two requests. Longer than what proxies keep theirs (60 s), so that it is
/// they who close, and no request crosses our closing.
pub const IDLE_WITHIN: Duration = Duration::from_secs(75);
/// How long a request may take in all, from the end of its head to the beginning of its answer.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(45);
/// How long a refused client is listened to, so that it hears the refusal before the connection is reset.
pub const LINGER: Duration = Duration::from_secs(1);
/// How much of what it sends meanwhile is taken and dropped, in bytes.
pub const LINGER_MAX_BYTES: usize = 256 << 10;
/// The largest rate limit that can be set, in requests a second or a minute; and how many of them may come at once.
pub const RATE_MAX: u32 = 1_000_000;

// How many at once.

/// Connections. One more is answered 503 at once and closed, so that its client can go elsewhere: waiting in the
/// system's queue it would not know why nothing comes.
pub const CONNECTIONS_MAX: usize = 2_048;
/// Connections beyond that can be told so at a time; more are closed without a word.
pub const TURNED_AWAY_MAX: usize = 64;
/// Event streams. Each is a connection of its own, which then counts as one of these and no longer as one of those.
pub const STREAMS_MAX: usize = 10_000;
/// Event streams of one account.
pub const STREAMS_AN_ACCOUNT: usize = 2_500;
/// Of these, streams of the map, each of which is told what is new in its window twice a second.
pub const LIVE_STREAMS_MAX: usize = 128;
/// The same of one account.
pub const LIVE_STREAMS_AN_ACCOUNT: usize = 32;
/// Such looks at a time, each of which takes a core for milliseconds; the others wait for their turn.
pub const LIVE_LOOKS_MAX: usize = 2;
/// The height and the width of such a window, in 1e-7 degrees: one degree, 40 thousand cells of each shard.
pub const LIVE_SIDE_MAX_E7: i64 = 10_000_000;
/// Taxis in such a window, each told in about 120 bytes: those of Paris.
pub const LIVE_TAXIS_MAX: usize = 20_000;
/// The height and the width of what is looked at for all streams together, in 1e-7 degrees: so that who looks at a town
/// has no country looked at, and who looks at a country has few.
pub const LIVE_TILE_E7: i64 = 1_000_000;
/// Event streams that read rows at a time; the others wait for their turn.
pub const STREAM_READINGS_MAX: usize = 2;
/// Events that a stream may be behind those before it, with one account's or one hail's events, until it reads rows.
pub const LINE_MESSAGES: usize = 32;
/// The same with everybody's events.
pub const LINE_OF_ALL_MESSAGES: usize = 1_024;
/// Hails in progress whose taxis are looked for, to tell streams where they are; the others' are not told.
pub const FOLLOWED_MAX: usize = 20_000;
/// Requests under way, their bodies read; one more is answered 503.
pub const REQUESTS_MAX: usize = 1_024;
/// `POST /positions` under way; one more is answered 503. Each may take longer than other requests, and more memory: a
/// batch of positions as it came.
pub const STREAMED_REQUESTS_MAX: usize = 32;
/// The same of one account.
pub const STREAMED_REQUESTS_AN_ACCOUNT: usize = 8;
/// Statements that run on the database or wait for a connection to it; one more is answered 503. What needs no
/// database (searches, positions) always has room besides.
pub const STATEMENTS_MAX: usize = 256;
/// Connections to `PostgreSQL` for statements; two more listen and watch.
pub const POSTGRES_CONNECTIONS: u32 = 16;
/// Connections that read `SQLite`; one more writes.
pub const SQLITE_READERS: u32 = 4;
/// What each connection keeps of the database in memory, in KiB: of 60 thousand taxis what figures and searches look
/// through.
pub const SQLITE_CACHE_KIB: u32 = 16 << 10;
/// Pages of 4 KiB in `SQLite`'s write-ahead log beyond which commits wait for it to be emptied.
pub const WAL_PAGES: i64 = 2_000;
/// Pages at which a commit empties it by itself, where nobody else does.
pub const WAL_PAGES_MAX: i64 = 16_000;
/// Open files that the process needs beside its connections and those to partners' servers: the log's, the database's,
/// sockets.
pub const FILES_BESIDE: usize = 512;
/// Names of hosts that are looked up at a time: each takes a thread for as long as name servers like.
pub const LOOKUPS_MAX: usize = 4;
/// Names of hosts of partners' servers that are looked up at a time, one lookup a name, to call them: apart from those
/// above, so that who tries addresses delays nobody's calls.
pub const PARTNER_LOOKUPS_MAX: usize = 64;
/// The same of webhooks: apart from those of operators, whom a customer waits for.
pub const WEBHOOK_LOOKUPS_MAX: usize = 32;
/// Threads for what blocks, tokio's default.
const BLOCKING_THREADS: usize = 512;
/// Connections to one partner's server that are kept for its next call.
pub const PARTNER_IDLE_MAX: usize = 16;
/// Readings of what was refused of an operator, of up to a month: each takes a core for a moment.
pub const REFUSALS_READ_MAX: usize = 1;

// What waits for others.

/// How long a lookup of a host's name waits for its turn, and again how long it may take.
pub const LOOKUP_WITHIN: Duration = Duration::from_secs(3);
/// How long a connection to a partner's server may take: the lookup of its name, TCP and TLS.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long a connection to a partner's server is kept idle. Shorter than what servers keep theirs (5 s is common), so
/// that it is we who close, and no call crosses their closing.
pub const PARTNER_IDLE_WITHIN: Duration = Duration::from_secs(4);
/// Bytes of the body of another server's answer; a larger one is as good as none.
pub const REPLY_MAX_BYTES: usize = 64 << 10;
/// How long the geocoder may take in all, while a search app waits for its hail.
pub const GEOCODED_WITHIN: Duration = Duration::from_secs(1);
/// How long a reading of what was refused waits for its turn.
pub const REFUSALS_READ_TURN_WITHIN: Duration = Duration::from_secs(5);

/// How long a statement waits for a connection, and on `SQLite` for another process's write.
pub const CONNECTION_WITHIN: Duration = Duration::from_secs(5);
/// How long a server's statement or transaction may take.
pub const STATEMENT_WITHIN: Duration = Duration::from_secs(20);
/// How long the database may take to answer whether it is there.
pub const PROBE_WITHIN: Duration = Duration::from_secs(3);
/// How often it is asked.
pub const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long emptying `SQLite`'s write-ahead log waits for readers, and commits with it.
pub const CHECKPOINT_BUSY: Duration = Duration::from_millis(20);
/// How often `SQLite`'s write-ahead log is looked at.
pub const CHECKPOINTS_EVERY: Duration = Duration::from_millis(500);
/// How long the log may take to sync before the client is told that the outcome is unknown. Once the log's brokers are
/// known to be away, a client is told at once, so that few wait for as long as this.
pub const SYNC_WITHIN: Duration = Duration::from_secs(10);
/// How often calls of operators' servers are looked for that another process left.
pub const CALLS_EVERY: Duration = Duration::from_millis(250);
/// How long a process has a call for itself; it renews that while the call lasts.
pub const CALL_LEASE: Duration = Duration::from_secs(3);
/// Calls of one operator's server that are under way at a time; the others stay due, as long as their hail waits.
pub const CALLS_AN_OPERATOR: usize = 64;
/// Calls that are under way; the others stay due.
pub const CALLS_MAX: usize = 4_096;
/// How many due calls are found at a time.
pub const CALLS_FOUND: i64 = 256;
/// How often deliveries to webhooks are looked for that have become due again, or that another process left.
pub const DELIVERIES_EVERY: Duration = Duration::from_millis(250);
/// How long a webhook may take in all to be told of an event.
pub const DELIVERY_WITHIN: Duration = Duration::from_secs(10);
/// How long a process has a delivery for itself; it renews that while the delivery lasts.
pub const DELIVERY_LEASE: Duration = Duration::from_secs(3);
/// Deliveries for which events are read at a time, so that a backlog leaves the database to others.
pub const DELIVERY_READINGS_MAX: usize = 1;
/// Deliveries to one webhook that are under way at a time, each of a hail of its own.
pub const DELIVERIES_A_WEBHOOK: usize = 16;
/// Deliveries that are under way at a time; the others stay due.
pub const DELIVERIES_MAX: usize = 2_048;
/// The longest that a delivery waits for its next try.
pub const RETRIED_AFTER_MAX: Duration = Duration::from_hours(1);
/// How long a delivery is tried.
pub const RETRIED_FOR: Duration = Duration::from_hours(24);
/// Events that wait for one webhook; beyond that the earliest become dead letters.
pub const WAITING_A_WEBHOOK: i64 = 100_000;
/// Dead letters of one webhook; beyond that the earliest are forgotten.
pub const DEAD_LETTERS_A_WEBHOOK: i64 = 100_000;
/// How often it is looked how many there are.
pub const BACKLOG_EVERY: Duration = Duration::from_secs(10);
/// Deliveries that are removed, given up or made due again in one transaction.
pub const DELIVERIES_A_TRANSACTION: i64 = 1_000;
/// Deliveries that are made due again at a time.
pub const REDELIVERED_MAX: i64 = 10_000;
/// How often overdue hails are looked for: what is due ends within 250 ms.
pub const DEADLINES_EVERY: Duration = Duration::from_millis(100);
/// How many of them are found at a time.
pub const DEADLINES_FOUND: i64 = 256;
/// How many of them are ended at a time.
pub const DEADLINES_AT_ONCE: usize = 8;
/// How often a process looks for transitions that another one wrote.
pub const EVENTS_EVERY: Duration = Duration::from_millis(200);
/// How long it waits, after it numbered some, for others that can be numbered with the next.
pub const EVENTS_PAUSE: Duration = Duration::from_millis(20);
/// Transitions that are numbered in one transaction, and events that are told at a time.
pub const EVENTS_AT_ONCE: i64 = 500;
/// Events, of one to two KB, that a stream reads at a time: as many as it holds in memory until its client has read.
pub const EVENTS_A_PAGE: i64 = 20;
/// How often streams are told where taxis are.
pub const POSITIONS_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked where the taxis of hails are, to keep that: twice as often as it is kept.
pub const TRACKS_EVERY: Duration = Duration::from_secs(5);
/// How often a stream of the map looks at it.
pub const LIVE_EVERY: Duration = Duration::from_millis(500);
/// How long what was seen of a tile is told to others, too: a stream alone sees what is there at each of its beats.
pub const FRAME_STANDS: Duration = Duration::from_millis(400);
/// How often a stream that somebody looks at in the console asks whether the session lasts.
pub const SESSION_ASKED_EVERY: Duration = Duration::from_secs(2);
/// How often a stream says something even where there is nothing to say.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long requests under way may take once the server is to stop.
pub const DRAIN: Duration = Duration::from_secs(2);
/// How long each of the last steps may take; there are three.
pub const END: Duration = Duration::from_millis(700);
/// What is promised of a whole stop.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Parameters that a statement may have, `PostgreSQL`'s limit and about `SQLite`'s.
const PARAMETERS_MAX: usize = 32_766;

const _: () = assert!(URI_MAX_BYTES < HEAD_MAX_BYTES, "a long address is told from long header fields");
const _: () = assert!(HEAD_MAX_BYTES < BODY_MAX_BYTES, "what is larger belongs in a body");
const _: () = assert!(HEADERS_MAX < 100, "a hundred is what hyper reads without allocating");
const _: () = assert!(BODY_MAX_BYTES < BODY_DROPPED_MAX_BYTES, "a body just too large is taken to its end");
const _: () =
    assert!(POSITIONS_MAX * 1_024 <= BODY_MAX_BYTES, "a whole batch fits a body, a kilobyte a position");
const _: () = assert!(
    STREAMED_MAX_BYTES >= BODY_MAX_BYTES && STREAMED_POSITIONS_MAX >= POSITIONS_MAX as u64,
    "a stream takes what other requests take"
);
const _: () = assert!(
    STREAMED_WITHIN.as_secs() + SYNC_WITHIN.as_secs() + LINGER.as_secs() < REQUEST_WITHIN.as_secs(),
    "who was too slow hears what was taken"
);
const _: () = assert!(
    ((STREAMED_REQUESTS_MAX * APPENDS_UNDER_WAY * POSITIONS_AN_APPEND) as u64) * 2 <= MAX_QUEUED_ENTRIES,
    "streams leave room in the log for datagrams"
);
const _: () = assert!(POSITIONS_AN_APPEND <= MAX_RECORD_ROWS, "an append makes one record a partition");
const _: () = assert!(MAX_ARROW_BODY <= STREAMED_MAX_BYTES, "a batch fits a body");
const _: () = assert!(STREAMED_REQUESTS_MAX * 16 <= REQUESTS_MAX, "streams leave room for searches");
const _: () = assert!(REQUESTS_MAX < CONNECTIONS_MAX, "who is one too many has a connection to be told so");
const _: () = assert!(
    STREAMS_AN_ACCOUNT * 4 <= STREAMS_MAX
        && LIVE_STREAMS_AN_ACCOUNT * 4 <= LIVE_STREAMS_MAX
        && STREAMED_REQUESTS_AN_ACCOUNT * 4 <= STREAMED_REQUESTS_MAX,
    "one account leaves room for others"
);
const _: () =
    assert!(STREAM_READINGS_MAX <= POSTGRES_CONNECTIONS as usize / 4, "who resumes leaves connections");
const _: () = assert!(STREAM_READINGS_MAX * 2 <= SQLITE_READERS as usize, "and readers");
const _: () = assert!(HEARTBEAT.as_secs() < 60, "proxies take a minute's silence for the end");
const _: () = assert!(STATEMENTS_MAX * 2 <= REQUESTS_MAX, "a database that hangs leaves room for searches");
const _: () =
    assert!(POSTGRES_CONNECTIONS as usize <= STATEMENTS_MAX, "no connection idles for want of statements");
const _: () = assert!(CONNECTION_WITHIN.as_secs() + STATEMENT_WITHIN.as_secs() < REQUEST_WITHIN.as_secs());
const _: () =
    assert!(SYNC_WITHIN.as_secs() < REQUEST_WITHIN.as_secs(), "the log's delay is told as the log's");
const _: () =
    assert!(REQUEST_READ_WITHIN.as_secs() < REQUEST_WITHIN.as_secs(), "a slow body is told as slow");
const _: () = assert!(WAL_PAGES * 4 <= WAL_PAGES_MAX, "who is to empty it has time to");
const _: () = assert!(CALLS_AN_OPERATOR * 16 <= CALLS_MAX, "several slow operators leave room for others");
const _: () = assert!(CALLS_MAX < PARAMETERS_MAX, "calls under way are renewed in one statement");
const _: () = assert!(CALLS_EVERY.as_millis() * 4 <= CALL_LEASE.as_millis());
const _: () = {
    let Some(received) = Status::Received.lasts() else { panic!("a hail waits for its call for a time") };
    assert!(CALL_LEASE.as_secs() * 2 <= received.as_secs(), "a hail whose process ended is called in time");
};
const _: () = assert!(DELIVERIES_EVERY.as_millis() * 4 <= DELIVERY_LEASE.as_millis());
const _: () = assert!(DELIVERIES_A_WEBHOOK < PARAMETERS_MAX, "a webhook's are renewed in one statement");
const _: () = assert!(DELIVERIES_A_TRANSACTION.unsigned_abs() < PARAMETERS_MAX as u64, "each is a parameter");
const _: () = assert!(
    STREAM_READINGS_MAX + DELIVERY_READINGS_MAX < SQLITE_READERS as usize,
    "who tells of events leaves readers to who asks"
);
const _: () = assert!(REDELIVERED_MAX * 4 <= WAITING_A_WEBHOOK, "what is told again finds room");
const _: () =
    assert!(DELIVERIES_A_WEBHOOK * 64 <= DELIVERIES_MAX, "many slow webhooks leave room for others");
const _: () =
    assert!(RETRIED_AFTER_MAX.as_secs() * 4 <= RETRIED_FOR.as_secs(), "a failure is tried again often");
const _: () = assert!(DEADLINES_EVERY.as_millis() < 250, "what is due is found in time");
const _: () = assert!(REQUEST_READ_WITHIN.as_secs() < IDLE_WITHIN.as_secs());
const _: () = assert!(RATE_MAX <= 1_000_000_000, "a token takes a nanosecond at least");
const _: () =
    assert!(60_000_000_000 < i64::MAX as u64 / RATE_MAX as u64, "the slowest bucket fills in countable time");
const _: () = assert!(
    DRAIN.as_millis() + 3 * END.as_millis() + LOG_CLOSES_WITHIN.as_millis() < STOP_WITHIN.as_millis(),
    "a stop is bounded"
);
const _: () = assert!(
    BROKERS_ASKED_EVERY.as_millis() + BROKERS_ANSWER_WITHIN.as_millis() < SYNC_WITHIN.as_millis(),
    "once a position has waited in vain, readiness says why"
);
const _: () =
    assert!(SYNC_WITHIN.as_millis() < DELIVERED_WITHIN.as_millis(), "what is unknown may still come");
const _: () = assert!(
    LOOKUPS_MAX + PARTNER_LOOKUPS_MAX + WEBHOOK_LOOKUPS_MAX <= BLOCKING_THREADS / 4,
    "name servers that hang leave threads for the rest"
);
const _: () = assert!(LIVE_STREAMS_MAX < STREAMS_MAX, "who looks at the map leaves room to who listens");
const _: () = assert!(LIVE_EVERY.as_millis() < HEARTBEAT.as_millis());
const _: () =
    assert!(FRAME_STANDS.as_millis() < LIVE_EVERY.as_millis(), "a stream is told news at each beat");
const _: () =
    assert!(1_800_000_000 % LIVE_TILE_E7 == 0 && LIVE_TILE_E7 * 10 <= LIVE_SIDE_MAX_E7, "tiles part the map");
const _: () = assert!(GEOCODED_WITHIN.as_secs() < REQUEST_WITHIN.as_secs());
const _: () = assert!(REPLY_MAX_BYTES <= BODY_MAX_BYTES, "nobody says more when asked than unasked");
