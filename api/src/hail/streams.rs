//! Who listens to events: a line for each account, hail or administrator's view that somebody listens to.
//!
//! A line holds the last few messages, for all its listeners together; whoever falls behind reads rows instead
//! ([`crate::routes::hails::stream`]). What is told is text already: of a thousand listeners none renders anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use ingest::counter::Counter;
use tokio::sync::{Semaphore, SemaphorePermit, broadcast};
use tokio_util::sync::CancellationToken;

use crate::limits::{self, LINE_MESSAGES, LINE_OF_ALL_MESSAGES, LIVE_STREAMS_MAX, STREAM_READINGS_MAX};
use crate::routes::hails::answer::Eyes;

/// What somebody may listen to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// Every hail, as an administrator sees it.
    All,
    /// The hails that an account made and those of its taxis.
    Account(i32),
    /// One hail, as these eyes see it.
    Hail(String, Eyes),
    /// Where taxis are: nobody tells anything, those who look ask for themselves.
    Map,
}

/// What is told on a line, in the words of an event stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A transition.
    Event {
        /// Its number.
        id: i64,
        /// Whether nothing follows it in its hail.
        is_end: bool,
        /// The event.
        text: Bytes,
    },
    /// Taxis were heard again.
    Positions {
        /// How many.
        count: u64,
        /// The events.
        text: Bytes,
    },
}

/// Why somebody may not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There are too many streams in all.
    Server,
    /// The account has too many.
    Account,
    /// There are too many that look at the map.
    Map,
}

/// Everybody who listens. Shared by reference.
#[derive(Debug)]
pub struct Streams {
    /// Those limits that a test may lower.
    pub limits: limits::Http,
    /// Streams are to end.
    pub stop: CancellationToken,
    /// Transitions that were sent, once for each stream.
    pub events_sent: Counter,
    /// Positions that were sent, likewise.
    pub positions_sent: Counter,
    open: Mutex<Open>,
    readings: Semaphore,
}

#[derive(Debug, Default)]
struct Open {
    lines: HashMap<Line, broadcast::Sender<Message>>,
    /// How many streams each account has.
    accounts: HashMap<i32, usize>,
    streams: usize,
}

impl Streams {
    /// Nobody listens yet. Streams end at `stop`.
    pub fn new(limits: limits::Http, stop: CancellationToken) -> Self {
        Self {
            limits,
            stop,
            events_sent: Counter::default(),
            positions_sent: Counter::default(),
            open: Mutex::default(),
            readings: Semaphore::new(STREAM_READINGS_MAX),
        }
    }

    /// Begins to listen as an account: whatever is told from here on is heard.
    pub fn listen(self: &Arc<Self>, account: i32, line: Line) -> Result<Listener, Full> {
        let mut open = self.open();
        if open.streams >= self.limits.streams {
            return Err(Full::Server);
        }
        let looking = open.lines.get(&Line::Map).map_or(0, broadcast::Sender::receiver_count);
        if line == Line::Map && looking >= LIVE_STREAMS_MAX {
            return Err(Full::Map);
        }
        let of_account = open.accounts.entry(account).or_default();
        if *of_account >= self.limits.streams_an_account {
            return Err(Full::Account);
        }
        *of_account += 1;
        open.streams += 1;
        let capacity = if line == Line::All { LINE_OF_ALL_MESSAGES } else { LINE_MESSAGES };
        let sender = open.lines.entry(line.clone()).or_insert_with(|| broadcast::Sender::new(capacity));
        let heard = sender.subscribe();
        drop(open);
        Ok(Listener { streams: self.clone(), account, line, heard })
    }

    /// Tells those who listen to a line.
    pub fn tell(&self, line: &Line, message: Message) {
        if let Some(sender) = self.open().lines.get(line) {
            // Nobody is left where the last one is just leaving.
            let _ = sender.send(message);
        }
    }

    /// Whether somebody listens to a line.
    pub fn has(&self, line: &Line) -> bool {
        self.open().lines.contains_key(line)
    }

    /// How many streams there are.
    pub fn count(&self) -> usize {
        self.open().streams
    }

    /// A turn to read rows: a few streams do at a time, so that those who resume leave the database to others.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.readings.acquire().await.ok()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's end of a line. Dropping it makes room for another.
#[derive(Debug)]
pub struct Listener {
    streams: Arc<Streams>,
    account: i32,
    line: Line,
    heard: broadcast::Receiver<Message>,
}

impl Listener {
    /// What is told next; None: something was missed before it.
    pub async fn next(&mut self) -> Option<Message> {
        // A line outlives its listeners: it is never closed.
        self.heard.recv().await.ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        open.streams -= 1;
        if let Some(count) = open.accounts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                open.accounts.remove(&self.account);
            }
        }
        // Nobody begins to listen meanwhile: that takes the lock, too.
        if open.lines.get(&self.line).is_some_and(|sender| sender.receiver_count() <= 1) {
            open.lines.remove(&self.line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(streams: usize, streams_an_account: usize) -> Arc<Streams> {
        let limits = limits::Http { streams, streams_an_account, ..Default::default() };
        Arc::new(Streams::new(limits, CancellationToken::new()))
    }

    fn event(id: i64) -> Message {
        Message::Event { id, is_end: false, text: Bytes::new() }
    }

    #[test]
    fn streams_are_bounded_in_all_and_by_account_and_make_room_when_they_end() {
        let streams = streams(3, 2);
        let first = streams.listen(1, Line::Account(1)).unwrap();
        let second = streams.listen(1, Line::Account(1)).unwrap();
        assert_eq!(streams.listen(1, Line::All).err(), Some(Full::Account));
        let third = streams.listen(2, Line::All).unwrap();
        assert_eq!(streams.listen(3, Line::All).err(), Some(Full::Server));
        drop(first);
        assert!(streams.has(&Line::Account(1)) && streams.count() == 2);
        drop(second);
        assert!(!streams.has(&Line::Account(1)));
        drop(streams.listen(1, Line::Account(1)).unwrap());
        drop(third);
        let open = streams.open();
        assert!(open.lines.is_empty() && open.accounts.is_empty() && open.streams == 0, "{open:?}");
    }

    #[test]
    fn few_look_at_the_map_and_the_others_may_still_listen() {
        let streams = streams(LIVE_STREAMS_MAX + 2, LIVE_STREAMS_MAX + 2);
        let mut looking: Vec<_> =
            (0..LIVE_STREAMS_MAX).map(|_| streams.listen(1, Line::Map).unwrap()).collect();
        assert_eq!(streams.listen(1, Line::Map).err(), Some(Full::Map));
        let _listening = streams.listen(1, Line::Account(1)).unwrap();
        looking.pop();
        assert!(streams.listen(1, Line::Map).is_ok());
    }

    #[tokio::test]
    async fn who_falls_behind_is_told_so_and_goes_on() {
        let streams = streams(10, 10);
        let line = Line::Hail("h".to_owned(), Eyes::App);
        streams.tell(&line, event(0));
        let mut listener = streams.listen(1, line.clone()).unwrap();
        let told = i64::try_from(LINE_MESSAGES).unwrap() + 1;
        for id in 1..=told {
            streams.tell(&line, event(id));
            streams.tell(&Line::Hail("h".to_owned(), Eyes::Operator), event(-id));
        }
        assert_eq!(listener.next().await, None);
        for id in 2..=told {
            assert_eq!(listener.next().await, Some(event(id)));
        }
    }
}
