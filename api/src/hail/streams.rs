//! Who listens to events: a line for each account, hail or administrator's view that somebody listens to.
//!
//! A line holds the last few messages, for all its listeners together; whoever falls behind reads rows instead
//! ([`crate::routes::hails::stream`]). What is told is text already: of a thousand listeners none renders anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use ingest::counter::Counter;
use tokio::sync::{Semaphore, SemaphorePermit, broadcast};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::limits::{
    self, LINE_MESSAGES, LINE_OF_ALL_MESSAGES, LIVE_LOOKS_MAX, LIVE_STREAMS_AN_ACCOUNT, LIVE_STREAMS_MAX,
    STREAM_READINGS_MAX,
};
use crate::routes::hails::answer::Eyes;
use crate::routes::live::frames::Frames;
use crate::shares::{NoShare, Share, Shares};

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
    /// The account has too many that look at the map.
    MapOfAccount,
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
    /// What those who look at the map share.
    pub(crate) frames: Frames,
    /// Positions that were sent, likewise.
    pub positions_sent: Counter,
    lines: Mutex<Lines>,
    all: Shares,
    of_map: Shares,
    readings: Semaphore,
    looks: Arc<Semaphore>,
}

type Lines = HashMap<Line, broadcast::Sender<Message>>;

impl Streams {
    /// Nobody listens yet. Streams end at `stop`.
    pub fn new(limits: limits::Http, stop: CancellationToken) -> Self {
        Self {
            limits,
            stop,
            events_sent: Counter::default(),
            positions_sent: Counter::default(),
            frames: Frames::default(),
            lines: Mutex::default(),
            all: Shares::new(limits.streams, limits.streams_an_account),
            of_map: Shares::new(LIVE_STREAMS_MAX, LIVE_STREAMS_AN_ACCOUNT),
            readings: Semaphore::new(STREAM_READINGS_MAX),
            looks: Arc::new(Semaphore::new(LIVE_LOOKS_MAX)),
        }
    }

    /// Begins to listen as an account: whatever is told from here on is heard.
    pub fn listen(self: &Arc<Self>, account: i32, line: Line) -> Result<Listener, Full> {
        let share = self.all.take(account).map_err(|why| match why {
            NoShare::Left => Full::Server,
            NoShare::OfAccount => Full::Account,
        })?;
        let looks = (line == Line::Map).then(|| self.of_map.take(account)).transpose();
        let looks = looks.map_err(|why| match why {
            NoShare::Left => Full::Map,
            NoShare::OfAccount => Full::MapOfAccount,
        })?;
        let capacity = if line == Line::All { LINE_OF_ALL_MESSAGES } else { LINE_MESSAGES };
        let mut lines = self.lines();
        let sender = lines.entry(line.clone()).or_insert_with(|| broadcast::Sender::new(capacity));
        let heard = sender.subscribe();
        drop(lines);
        Ok(Listener { streams: self.clone(), line, heard, _shares: (share, looks) })
    }

    /// Tells those who listen to a line.
    pub fn tell(&self, line: &Line, message: Message) {
        if let Some(sender) = self.lines().get(line) {
            // Nobody is left where the last one is just leaving.
            let _ = sender.send(message);
        }
    }

    /// Whether somebody listens to a line.
    pub fn has(&self, line: &Line) -> bool {
        self.lines().contains_key(line)
    }

    /// How many streams there are.
    pub fn count(&self) -> usize {
        self.all.count()
    }

    /// A turn to read rows: a few streams do at a time, so that those who resume leave the database to others.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.readings.acquire().await.ok()
    }

    /// Does what looks at the map where it keeps nobody waiting: a window takes milliseconds, for which a thread that
    /// serves requests would serve none. None: it panicked.
    pub async fn look<T: Send + 'static>(&self, look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        // The look has it, not the stream, which may end before it.
        let turn = self.looks.clone().acquire_owned().await.ok()?;
        let looked = spawn_blocking(move || {
            let seen = look();
            drop(turn);
            seen
        });
        looked.await.ok()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's end of a line. Dropping it makes room for another.
#[derive(Debug)]
pub struct Listener {
    streams: Arc<Streams>,
    line: Line,
    heard: broadcast::Receiver<Message>,
    /// Of all streams, and of those that look at the map if it is one.
    _shares: (Share, Option<Share>),
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
        let mut lines = self.streams.lines();
        // Nobody begins to listen meanwhile: that takes the lock, too.
        if lines.get(&self.line).is_some_and(|sender| sender.receiver_count() <= 1) {
            lines.remove(&self.line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::JoinSet;

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
        assert!(streams.lines().is_empty() && streams.count() == 0, "{streams:?}");
    }

    #[test]
    fn few_look_at_the_map_and_the_others_may_still_listen() {
        let streams = streams(LIVE_STREAMS_MAX + 2, LIVE_STREAMS_MAX + 2);
        let look = |account| streams.listen(account, Line::Map);
        let mut looking: Vec<_> = (0..LIVE_STREAMS_AN_ACCOUNT).map(|_| look(0).unwrap()).collect();
        assert_eq!(look(0).err(), Some(Full::MapOfAccount), "which leaves room for others");
        looking.extend((1..).flat_map(look).take(LIVE_STREAMS_MAX - LIVE_STREAMS_AN_ACCOUNT));
        assert_eq!(look(-1).err(), Some(Full::Map));
        assert_eq!(streams.count(), LIVE_STREAMS_MAX, "who was refused takes no room");
        let _listening = streams.listen(0, Line::Account(0)).unwrap();
        looking.pop();
        assert!(look(-1).is_ok());
    }

    #[tokio::test]
    async fn a_few_look_at_a_time_and_none_on_a_thread_that_serves() {
        let streams = streams(10, 10);
        let (serves, at_once) = (std::thread::current().id(), Arc::new(Mutex::new(0)));
        let mut looks = JoinSet::new();
        for _ in 0..8 {
            let (streams, at_once) = (streams.clone(), at_once.clone());
            let look = move || {
                let count = |by: isize| {
                    let mut at_once = at_once.lock().unwrap();
                    *at_once += by;
                    *at_once
                };
                let beside = count(1);
                // Long enough for the others to come, too, if they may.
                std::thread::park_timeout(Duration::from_millis(20));
                count(-1);
                (usize::try_from(beside).unwrap(), std::thread::current().id())
            };
            looks.spawn(async move { streams.look(look).await.unwrap() });
        }
        for (at_once, thread) in looks.join_all().await {
            assert!(at_once <= LIVE_LOOKS_MAX && thread != serves, "{at_once}");
        }
        assert_eq!(streams.look(|| panic!("as it should")).await, None::<()>);
        assert_eq!(streams.look(|| 7).await, Some(7), "one that failed keeps no turn");
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
