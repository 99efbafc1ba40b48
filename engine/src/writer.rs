//! A shard's one writer: a thread that owns who is in which cell.
//!
//! A fix of a source that stays in its cell is stored in place. When the source has moved to another cell, it
//! is appended there first; its entry in the old cell then *waits*, and dies once every search that was under
//! way has ended. So a search that looked at the new cell too early finds it in the old one, whatever order
//! it goes in.
//!
//! **Why no search misses it.** A search is pinned (`crossbeam::epoch`) from before its first look to after
//! its last. At the end of a round the writer defers a function that raises a [`Signal`], and flushes.
//! Crossbeam runs it only when every thread that was pinned by then has unpinned; a search that pins later
//! sees all that was appended before (both sides pass a sequentially consistent fence). Only then do the
//! entries of that round die. `tests/loom.rs` checks the argument on the real entries.
//!
//! A waiting entry still gets each fix, so that a search never finds an old place beside a new one for long.
//! A source that comes back to a cell in which an entry of it waits revives that entry: a death carries the
//! number of the move that caused it, and is void when the entry waits for another move or for none.
//!
//! A full block is replaced by one that holds its living and waiting entries, a deserted one is dropped with
//! its cell. A search that still reads the former block sees its members as they were: what was appended
//! since is, for that search, still waiting elsewhere.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use crossbeam::epoch;
use h3o::CellIndex;
use ingest::clock::Millis;
use ingest::position::{LatLon, Order, SourceKey};

use crate::block::{Entry, Members, Sighting, Signal, Slot};
use crate::cover;
use crate::engine::{FRESH_MS, Fix};
use crate::heart::Heart;
use crate::shard::Shard;

/// How long a writer without work waits before it asks again whether searches have ended, while an entry
/// waits.
const IDLE: Duration = Duration::from_millis(1);

/// What a writer is asked.
pub(crate) enum Message {
    /// Show these fixes, in this order, where their order permits.
    Fixes(Vec<Fix>),
    /// Answer once all asked before is done.
    Settle(Sender<()>),
    /// Take what is stale at this instant out of the cells, then answer.
    Sweep(Millis, Sender<()>),
    /// Give the last fix of each source received since.
    Dump(Millis, Sender<Vec<Fix>>),
}

/// Runs a shard until every sender of messages is gone.
pub(crate) fn run(shard: Arc<Shard>, messages: &Receiver<Message>) {
    let mut writer = Writer::new(shard);
    loop {
        let message = if writer.waiting.is_empty() {
            messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            messages.recv_timeout(IDLE)
        };
        match message {
            Ok(message) => writer.handle(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        writer.end_round();
    }
}

struct Writer {
    shard: Arc<Shard>,
    slots: HashMap<SourceKey, Slot>,
    /// By slot.
    sources: Vec<Source>,
    cells: HashMap<u64, Cell>,
    /// How many times an entry was told to die: the number of the last.
    moves: u64,
    /// Deaths that this round caused.
    dying: Vec<Death>,
    /// Deaths of earlier rounds, each round's until its signal is raised.
    waiting: VecDeque<(Arc<Signal>, Vec<Death>)>,
}

struct Source {
    key: SourceKey,
    at: LatLon,
    order: Order,
    home: Arc<Entry>,
    /// The entry in its cell, unless it is stale and was swept; and those that wait to die. No cell is here
    /// twice.
    entries: Vec<Membership>,
}

/// A cell with members.
struct Cell {
    members: Members,
    heart: Heart,
}

struct Membership {
    cell: u64,
    index: usize,
    /// The move that it is to die of.
    dies_of: Option<u64>,
}

struct Death {
    slot: Slot,
    cell: u64,
    of: u64,
}

impl Writer {
    fn new(shard: Arc<Shard>) -> Self {
        Self {
            shard,
            slots: HashMap::new(),
            sources: Vec::new(),
            cells: HashMap::new(),
            moves: 0,
            dying: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    fn handle(&mut self, message: Message) {
        // Whoever asked may have gone; its answer is then dropped.
        match message {
            Message::Fixes(fixes) => {
                let _span = tracing::debug_span!("apply", fixes = fixes.len()).entered();
                for fix in &fixes {
                    self.show(fix);
                }
            }
            Message::Settle(done) => {
                let _ = done.send(());
            }
            Message::Sweep(now, done) => {
                self.sweep(now);
                let _ = done.send(());
            }
            Message::Dump(since, answer) => drop(answer.send(self.dump(since))),
        }
    }

    fn show(&mut self, fix: &Fix) {
        let known = self.slots.get(&fix.source).copied();
        if known.is_some_and(|slot| !fix.order.supersedes(self.sources[slot.index()].order)) {
            return;
        }
        let Some(slot) = known.or_else(|| Slot::new(self.sources.len())) else {
            self.shard.refused.add(1);
            return;
        };
        let sighting = Sighting { slot, at: fix.at, received_at: fix.order.received_at };
        if known.is_none() {
            self.admit(fix, slot);
        }
        let source = &mut self.sources[slot.index()];
        (source.at, source.order) = (fix.at, fix.order);
        source.home.store(sighting);
        if known.is_none() {
            // Published with its first fix in it: a home that is found is never empty.
            self.shard.homes.pin().insert(fix.source, Arc::clone(&source.home));
        }
        let mut stays = false;
        for entry in &source.entries {
            if let Some(cell) = self.cells.get(&entry.cell) {
                cell.members.store(entry.index, sighting);
                stays |= entry.dies_of.is_none() && cell.heart.holds(fix.at);
            }
        }
        // Most fixes are in the heart of the cell in which the source lives: nothing else is to be found out.
        if !stays {
            self.settle_in(cover::cell_at(fix.at), sighting);
        }
    }

    fn admit(&mut self, fix: &Fix, slot: Slot) {
        self.slots.insert(fix.source, slot);
        self.shard.sources.pin().insert(slot, fix.source);
        self.sources.push(Source {
            key: fix.source,
            at: fix.at,
            order: fix.order,
            home: Arc::new(Entry::default()),
            entries: Vec::new(),
        });
    }

    /// Makes `index` the one cell in which the source lives, then tells its other entries to die.
    fn settle_in(&mut self, index: CellIndex, sighting: Sighting) {
        let cell = u64::from(index);
        let source = &mut self.sources[sighting.slot.index()];
        if let Some(entry) = source.entries.iter_mut().find(|entry| entry.cell == cell) {
            if entry.dies_of.take().is_none() {
                return;
            }
        } else {
            let index = self.append(index, sighting);
            self.sources[sighting.slot.index()].entries.push(Membership { cell, index, dies_of: None });
        }
        self.leave(sighting.slot, Some(cell));
    }

    /// Tells each entry of a source outside `kept` to die, unless it was told before.
    fn leave(&mut self, slot: Slot, kept: Option<u64>) {
        for entry in &mut self.sources[slot.index()].entries {
            if Some(entry.cell) != kept && entry.dies_of.is_none() {
                self.moves += 1;
                entry.dies_of = Some(self.moves);
                self.dying.push(Death { slot, cell: entry.cell, of: self.moves });
            }
        }
    }

    fn append(&mut self, index: CellIndex, sighting: Sighting) -> usize {
        let cell = u64::from(index);
        let Cell { members, .. } = self.cells.entry(cell).or_insert_with(|| {
            let members = Members::with_capacity(0);
            self.shard.cells.pin().insert(cell, Arc::clone(members.block()));
            Cell { members, heart: Heart::of(index) }
        });
        loop {
            if let Some(index) = members.append(sighting) {
                return index;
            }
            *members = members.replacement();
            for (index, moved) in members.block().sightings().enumerate() {
                let entries = &mut self.sources[moved.slot.index()].entries;
                entries.iter_mut().filter(|entry| entry.cell == cell).for_each(|entry| entry.index = index);
            }
            self.shard.cells.pin().insert(cell, Arc::clone(members.block()));
        }
    }

    fn sweep(&mut self, now: Millis) {
        let mut online = 0;
        for index in 0..self.sources.len() {
            if now.since(self.sources[index].order.received_at) < FRESH_MS {
                online += 1;
            } else if let Some(slot) = Slot::new(index) {
                self.leave(slot, None);
            }
        }
        self.shard.online.set(online);
    }

    fn dump(&self, since: Millis) -> Vec<Fix> {
        let received = self.sources.iter().filter(|source| source.order.received_at >= since);
        received.map(|source| Fix { source: source.key, at: source.at, order: source.order }).collect()
    }

    fn end_round(&mut self) {
        if self.dying.is_empty() && self.waiting.is_empty() {
            return;
        }
        let guard = epoch::pin();
        if !self.dying.is_empty() {
            let ended = Arc::new(Signal::default());
            self.waiting.push_back((Arc::clone(&ended), std::mem::take(&mut self.dying)));
            guard.defer(move || ended.raise());
        }
        // In idle rounds too: nobody else may come to move the epoch on.
        guard.flush();
        drop(guard);
        while self.waiting.front().is_some_and(|(ended, _)| ended.is_raised()) {
            let deaths = self.waiting.pop_front().map(|(_, deaths)| deaths).unwrap_or_default();
            for death in &deaths {
                self.bury(death);
            }
        }
    }

    fn bury(&mut self, death: &Death) {
        let entries = &mut self.sources[death.slot.index()].entries;
        let dies = |entry: &Membership| entry.cell == death.cell && entry.dies_of == Some(death.of);
        let Some(position) = entries.iter().position(dies) else { return };
        let index = entries.swap_remove(position).index;
        let Some(Cell { members, .. }) = self.cells.get_mut(&death.cell) else { return };
        members.kill(index);
        if members.is_deserted() {
            self.cells.remove(&death.cell);
            self.shard.cells.pin().remove(&death.cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use ingest::position::{OperatorKey, TaxiKey};

    use super::*;

    fn fix(lat: f64, received_at: i64) -> Fix {
        let source = SourceKey { taxi: TaxiKey(1), operator: OperatorKey(1) };
        let order = Order { received_at: Millis(received_at), device_at: None };
        Fix { source, at: LatLon::new(lat, 2.0).unwrap(), order }
    }

    /// The cells that the source is in, in order, and the move that it dies of there.
    fn entries(writer: &Writer) -> Vec<(u64, Option<u64>)> {
        let mut entries: Vec<_> = writer.sources[0].entries.iter().map(|e| (e.cell, e.dies_of)).collect();
        entries.sort_by_key(|entry| entry.1);
        entries
    }

    #[test]
    fn a_death_is_void_once_a_later_move_superseded_it() {
        let mut writer = Writer::new(Arc::default());
        let [here, there] = [48.0, 48.1].map(|lat| u64::from(cover::cell_at(fix(lat, 0).at)));
        for (time, lat) in [48.0, 48.1, 48.0, 48.1].into_iter().enumerate() {
            writer.show(&fix(lat, i64::try_from(time).unwrap()));
        }
        assert_eq!(entries(&writer), [(there, None), (here, Some(3))], "there and back revives, twice");
        let deaths = std::mem::take(&mut writer.dying);
        assert_eq!(
            deaths.iter().map(|death| (death.cell, death.of)).collect::<Vec<_>>(),
            [(here, 1), (there, 2), (here, 3)]
        );
        writer.bury(&deaths[0]);
        writer.bury(&deaths[1]);
        assert_eq!(entries(&writer), [(there, None), (here, Some(3))]);
        writer.bury(&deaths[2]);
        assert_eq!(entries(&writer), [(there, None)]);
        assert_eq!(writer.cells.keys().copied().collect::<Vec<_>>(), [there]);
    }

    #[test]
    fn a_waiting_entry_gets_each_fix_and_survives_a_replacement() {
        let mut writer = Writer::new(Arc::default());
        writer.show(&fix(48.0, 0));
        writer.show(&fix(48.1, 1));
        let here = u64::from(cover::cell_at(fix(48.0, 0).at));
        for taxi in 2..20 {
            let source = SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(1) };
            writer.show(&Fix { source, ..fix(48.0, 2) });
        }
        writer.show(&fix(48.1, 3));
        let waiting =
            writer.cells[&here].members.block().sightings().find(|sighting| sighting.slot.index() == 0);
        assert_eq!(
            waiting.map(|w| (w.at, w.received_at)),
            Some((fix(48.1, 3).at, Millis(1_577_836_800_000)))
        );
    }

    #[test]
    fn no_entry_dies_while_a_search_is_under_way() {
        let mut writer = Writer::new(Arc::default());
        let searching = epoch::pin();
        writer.handle(Message::Fixes(vec![fix(48.0, 0), fix(48.1, 1)]));
        for _ in 0..1_000 {
            writer.end_round();
        }
        assert_eq!(writer.sources[0].entries.len(), 2);
        drop(searching);
        // Tests beside this one may be pinned for a moment, so it may take a few rounds.
        while writer.sources[0].entries.len() > 1 {
            writer.end_round();
            std::thread::yield_now();
        }
        assert!(writer.waiting.is_empty());
    }
}
