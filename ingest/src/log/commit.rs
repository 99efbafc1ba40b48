//! The thread that writes: it gathers appends into a group, commits the group as one atomic batch, syncs once, shows
//! it to readers and acknowledges.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;
use fjall::PersistMode;

use super::days::Day;
use super::group::{Append, Group};
use super::local::{Shared, cause, next_key};
use super::{Entry, LogError, Partition, record};
use crate::limits::MAX_RECORD_ROWS;

/// Writes what comes through the queue until all its senders are gone and it is empty.
pub(super) fn run<E: Entry>(shared: &Shared<E>, queue: &Receiver<Append<E>>) {
    let _end = End(shared);
    let interval = Duration::from_millis(shared.settings.commit_interval_ms);
    while let Ok(first) = queue.recv() {
        let spares = &shared.intake.spares.0;
        let group = Group::gather(first, queue, interval, shared.partitions, spares);
        shared.intake.room.give(group.len as u64);
        commit(shared, group);
    }
}

/// Tells readers that nothing more comes, however the thread ends.
struct End<'a, E: Entry>(&'a Shared<E>);

impl<E: Entry> Drop for End<'_, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            poison(self.0, &"the commit thread panicked".into());
        }
        self.0.change(|state| state.ended = true);
    }
}

fn commit<E: Entry>(shared: &Shared<E>, group: Group<E>) {
    let _span =
        tracing::debug_span!("commit", entries = group.len, acknowledged = group.done.len()).entered();
    let failed = shared.state().failed.clone();
    let outcome = match failed {
        Some(cause) => Err(LogError::Poisoned { cause }),
        None => write(shared, &group).map_err(|cause| {
            tracing::error!(%cause, "the log could not be written; it takes nothing more until a restart");
            poison(shared, &cause);
            LogError::Poisoned { cause }
        }),
    };
    if outcome.is_err() {
        shared.intake.meters.lost.add(group.len as u64);
    }
    for done in group.done {
        done(outcome.clone());
    }
}

/// Refuses appends from now on.
pub(super) fn poison<E: Entry>(shared: &Shared<E>, cause: &Arc<str>) {
    shared.intake.poisoned.raise();
    shared.change(|state| state.failed = Some(Arc::clone(cause)));
}

/// Writes and syncs entries, then shows them to readers.
fn write<E: Entry>(shared: &Shared<E>, group: &Group<E>) -> Result<(), Arc<str>> {
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
    for ((partition, entries), end) in (0..).map(Partition).zip(&group.by_partition).zip(&mut ends) {
        if entries.is_empty() {
            continue;
        }
        let keyspace = shared.keyspace(partition, day).map_err(|error| cause(&error))?;
        let first = *end;
        for rows in entries.chunks(MAX_RECORD_ROWS) {
            let bytes = record::encode(rows, now).map_err(|error| Arc::<str>::from(error.to_string()))?;
            batch.insert(&keyspace, end.to_be_bytes(), bytes);
            *end += 1;
        }
        batch.insert(&shared.meta, next_key(partition), end.to_be_bytes());
        begun.push((partition, keyspace, first));
    }
    batch.commit().map_err(|error| cause(&error))?;
    shared.database.persist(PersistMode::SyncData).map_err(|error| cause(&error))?;
    shared.intake.meters.syncs.record(began.elapsed());
    shared.intake.meters.entries.add(group.len as u64);
    shared.change(|state| {
        for (partition, keyspace, first) in &begun {
            state.days.begin(*partition, day, keyspace, *first);
        }
        state.ends = ends;
        state.appended_at = now;
    });
    Ok(())
}
