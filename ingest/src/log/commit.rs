//! The thread that writes: it gathers appends into a group, commits the group as one atomic batch, syncs once, shows
//! it to readers and acknowledges.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender};
use fjall::PersistMode;

use super::days::Day;
use super::local::{Shared, cause, next_key};
use super::{Done, LogError, Partition, partition_of, record};
use crate::limits::{DATAGRAMS_PER_CALL, MAX_GROUP, MAX_RECORD_ROWS};
use crate::position::Position;

/// Positions that wait to be written, and who waits for them.
pub(super) struct Append {
    pub(super) positions: Vec<Position>,
    pub(super) done: Option<Done>,
}

/// Writes what comes through the queue until all its senders are gone and it is empty.
pub(super) fn run(shared: &Shared, queue: &Receiver<Append>) {
    let _end = End(shared);
    let interval = Duration::from_millis(shared.settings.commit_interval_ms);
    while let Ok(first) = queue.recv() {
        let group = gather(shared, first, queue, interval);
        shared.room.give(group.len as u64);
        commit(shared, group);
    }
}

/// Tells readers that nothing more comes, however the thread ends.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            poison(self.0, &"the commit thread panicked".into());
        }
        self.0.change(|state| state.ended = true);
    }
}

/// Appends that are committed together.
struct Group {
    by_partition: Vec<Vec<Position>>,
    done: Vec<Done>,
    len: usize,
}

impl Group {
    fn add(&mut self, mut append: Append, spares: &Sender<Vec<Position>>) {
        self.len += append.positions.len();
        let partitions = u16::try_from(self.by_partition.len()).unwrap_or(u16::MAX);
        for position in append.positions.drain(..) {
            let Partition(partition) = partition_of(position.source, partitions);
            self.by_partition[usize::from(partition)].push(position);
        }
        self.done.extend(append.done);
        // Those of the receiving threads come back to them; larger ones would only hold memory. With enough in stock
        // it is dropped.
        if (DATAGRAMS_PER_CALL..=2 * DATAGRAMS_PER_CALL).contains(&append.positions.capacity()) {
            drop(spares.try_send(append.positions));
        }
    }
}

/// The group that begins with `first`: open for `interval`, but closed once somebody waits and nothing is queued.
fn gather(shared: &Shared, first: Append, queue: &Receiver<Append>, interval: Duration) -> Group {
    let deadline = Instant::now() + interval;
    let by_partition = vec![Vec::new(); usize::from(shared.partitions)];
    let mut group = Group { by_partition, done: Vec::new(), len: 0 };
    group.add(first, &shared.spares.0);
    while group.len < MAX_GROUP {
        let next =
            if group.done.is_empty() { queue.recv_deadline(deadline).ok() } else { queue.try_recv().ok() };
        match next {
            Some(append) => group.add(append, &shared.spares.0),
            None => break,
        }
    }
    group
}

fn commit(shared: &Shared, group: Group) {
    let _span =
        tracing::debug_span!("commit", positions = group.len, acknowledged = group.done.len()).entered();
    let failed = shared.state().failed.clone();
    let outcome = match failed {
        Some(cause) => Err(LogError::Poisoned { cause }),
        None => write(shared, &group).map_err(|cause| {
            tracing::error!(%cause, "the log could not be written; it takes nothing more until a restart");
            poison(shared, &cause);
            LogError::Poisoned { cause }
        }),
    };
    for done in group.done {
        done(outcome.clone());
    }
}

/// Refuses appends from now on.
pub(super) fn poison(shared: &Shared, cause: &Arc<str>) {
    shared.poisoned.raise();
    shared.change(|state| state.failed = Some(Arc::clone(cause)));
}

/// Writes and syncs positions, then shows them to readers.
fn write(shared: &Shared, group: &Group) -> Result<(), Arc<str>> {
    let began = Instant::now();
    let _writing = shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut ends, last) = {
        let state = shared.state();
        (state.ends.clone(), state.appended_at)
    };
    // The wall clock may step back; append times never do.
    let now = shared.clock.now().max(last);
    let day = Day::of(now);
    let mut batch = shared.database.batch();
    let mut begun = Vec::new();
    for ((partition, positions), end) in (0..).map(Partition).zip(&group.by_partition).zip(&mut ends) {
        if positions.is_empty() {
            continue;
        }
        let keyspace = shared.keyspace(partition, day).map_err(|error| cause(&error))?;
        let first = *end;
        for rows in positions.chunks(MAX_RECORD_ROWS) {
            let bytes = record::encode(rows, now).map_err(|error| Arc::<str>::from(error.to_string()))?;
            batch.insert(&keyspace, end.to_be_bytes(), bytes);
            *end += 1;
        }
        batch.insert(&shared.meta, next_key(partition), end.to_be_bytes());
        begun.push((partition, keyspace, first));
    }
    batch.commit().map_err(|error| cause(&error))?;
    shared.database.persist(PersistMode::SyncData).map_err(|error| cause(&error))?;
    shared.meters.syncs.record(began.elapsed());
    shared.meters.positions.add(group.len as u64);
    shared.change(|state| {
        for (partition, keyspace, first) in &begun {
            state.days.begin(*partition, day, keyspace, *first);
        }
        state.ends = ends;
        state.appended_at = now;
    });
    Ok(())
}
