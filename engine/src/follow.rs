//! From the log to the map: a thread that reads each record and hands its fixes to the engine. Whatever else is made of
//! a log, record by record, is made by such a thread, too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ingest::counter::Flag;
use ingest::log::{Damage, Entry, Log, LogError, Offset, Partition, Reader, Record};
use ingest::position::Position;

use crate::engine::{Engine, Fix};

/// How long a reading waits for a record before the thread looks whether it should stop.
const WAIT: Duration = Duration::from_millis(100);

/// A thread that follows a log. Dropping it stops the thread.
#[derive(Debug)]
pub struct Follower<E: Entry = Position> {
    log: Log<E>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: Flag,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// The next record to read of each partition: those before were handed over.
    offsets: Vec<Offset>,
    /// Records that were passed over.
    skipped: u64,
    /// Why following ended, if it did.
    failure: Option<LogError>,
}

impl Follower {
    /// Hands a log's positions to the engine, from these offsets, by partition.
    pub fn start(log: Log, engine: Engine, from: &[Offset]) -> std::io::Result<Self> {
        let mut fixes = Vec::new();
        Self::hand_over(log, from, move |record| {
            apply(&record, &engine, &mut fixes);
            engine.heard().note(&record.entries);
        })
    }
}

impl<E: Entry> Follower<E> {
    /// Hands each record of a log over, from these offsets, by partition.
    pub fn hand_over(
        log: Log<E>,
        from: &[Offset],
        take: impl FnMut(Record<E>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let reader = log.reader(from);
        let shared = Arc::new(Shared::default());
        shared.state().offsets = reader.offsets().to_vec();
        let run = {
            let shared = shared.clone();
            move || follow(reader, take, &shared)
        };
        let thread = std::thread::Builder::new().name("follow-log".to_owned()).spawn(run)?;
        Ok(Self { log, shared, thread: Mutex::new(Some(thread)) })
    }

    /// The next record to read of each partition. Whatever was before was handed over; it is on the map once the
    /// engine has settled.
    pub fn offsets(&self) -> Vec<Offset> {
        self.shared.state().offsets.clone()
    }

    /// How many records it is behind.
    pub fn lag(&self) -> u64 {
        let offsets = self.offsets();
        let behind =
            |(partition, next): (u16, &Offset)| self.log.end(Partition(partition)).0.saturating_sub(next.0);
        (0..).zip(&offsets).map(behind).sum()
    }

    /// How many records were passed over: damaged, or removed before they were read.
    pub fn skipped(&self) -> u64 {
        self.shared.state().skipped
    }

    /// Whether everything in the log was handed over.
    pub fn caught_up(&self) -> bool {
        self.lag() == 0
    }

    /// Why following ended, if it did. What was made of the log stays as it was; a restart, once the log is in order,
    /// is the remedy.
    pub fn failure(&self) -> Option<LogError> {
        self.shared.state().failure.clone()
    }

    /// Whether the thread still follows.
    pub fn is_alive(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Ends the thread and waits for it.
    pub fn stop(&self) {
        self.shared.stop.raise();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }
}

impl<E: Entry> Drop for Follower<E> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Goes on to `offsets` with a record of `partition` that stood at `offset` and was handed over.
    fn move_to(&mut self, offsets: &[Offset], partition: Partition, offset: Offset) {
        let expected = self.offsets.get(usize::from(partition.0)).copied().unwrap_or_default();
        self.skipped += offset.0.saturating_sub(expected.0);
        self.offsets = offsets.to_vec();
    }
}

fn follow<E: Entry>(mut reader: Reader<E>, mut take: impl FnMut(Record<E>), shared: &Shared) {
    while !shared.stop.is_raised() {
        match reader.poll(WAIT) {
            Ok(None) => {}
            Ok(Some(record)) => {
                let Record { partition, offset, .. } = record;
                let entries = record.entries.len();
                let _span =
                    tracing::debug_span!("follow", partition = partition.0, offset = offset.0, entries)
                        .entered();
                take(record);
                shared.state().move_to(reader.offsets(), partition, offset);
            }
            // Not one of a later version of the program, which loses nothing by waiting for that, nor another log's.
            Err(LogError::Damaged { partition, offset, damage })
                if !matches!(damage, Damage::Version(_) | Damage::Kind(_)) =>
            {
                // The next record may be whole: one that cannot be read costs its own positions only.
                tracing::error!(partition = partition.0, offset = offset.0, %damage, "a record of the log is skipped");
                reader.seek(partition, Offset(offset.0 + 1));
                let mut state = shared.state();
                state.offsets = reader.offsets().to_vec();
                state.skipped += 1;
            }
            Err(failure) => {
                tracing::error!(%failure, "the log is no longer followed");
                shared.state().failure = Some(failure);
                return;
            }
        }
    }
}

fn apply(record: &Record, engine: &Engine, fixes: &mut Vec<Fix>) {
    fixes.clear();
    fixes.extend(record.entries.iter().map(Fix::from));
    engine.apply(fixes);
}
