//! A shard's one writer: a thread that owns who is in which cell.
//!
//! A fix of a source that stays in its cell is stored in place. Most of what that costs is waiting for memory, so the
//! fixes of a batch are looked up ahead, many at a time, that these waits overlap. When the source has moved to another
//! cell, it is appended there first; its entry in the old cell then *waits*, and dies once every search that was under
//! way has ended. So a search that looked at the new cell too early finds it in the old one, whatever order it goes in.
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
//! One that hops from cell to cell within a batch would leave an entry in each, and every fix would be stored in all of
//! them. Once a few wait, its later fixes are kept in its record alone, and its entries follow when the batch is done:
//! what a batch costs is linear in its fixes, and a search sees one place the less of somebody who was everywhere.
//!
//! A full block is replaced by one that holds its living and waiting entries, a deserted one is dropped with
//! its cell. A search that still reads the former block sees its members as they were: what was appended
//! since is, for that search, still waiting elsewhere.

use std::collections::{HashMap, VecDeque};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use crossbeam::epoch;
use foldhash::fast::RandomState;
use ingest::clock::Millis;
use ingest::position::Order;

use crate::block::{Members, Sighting, Signal, Slot, storable};
use crate::cover::{self, Cell};
use crate::elsewhere::{Due, Elsewhere, MOST_WAITING, Waiting};
use crate::engine::{FRESH_MS, Fix};
use crate::lives::{Entered, Lives};
use crate::profile::Profiles;
use crate::shard::Shard;

/// How long a writer without work waits before it asks again whether searches have ended, while an entry
/// waits.
const IDLE: Duration = Duration::from_millis(1);

/// So many fixes are looked up ahead: what they need fits into the nearest caches.
const AHEAD: usize = 64;

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
pub(crate) fn run(shard: Arc<Shard>, profiles: Arc<Profiles>, messages: &Receiver<Message>) {
    let mut writer = Writer::new(shard, profiles);
    loop {
        let message = if writer.told.is_empty() && writer.dying.is_empty() {
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
    profiles: Arc<Profiles>,
    /// The place of each cell with members in `populations`.
    cells: HashMap<Cell, u32, RandomState>,
    populations: Vec<Population>,
    /// Places in `populations` of nobody.
    deserted: Vec<u32>,
    /// Entries of sources outside the cell in which they live, of those who have any or had one a moment ago. No cell
    /// is there twice.
    waiting: HashMap<Slot, Elsewhere, RandomState>,
    /// Sources whose entries follow at the end of this batch.
    late: Vec<Slot>,
    /// How many times something was told to happen once searches have ended: the number of the last.
    moves: u64,
    /// What this round told to happen.
    told: Vec<Due>,
    /// What earlier rounds told to happen, each round's until its signal is raised.
    dying: VecDeque<(Arc<Signal>, Vec<Due>)>,
}

/// Who is in a cell.
struct Population {
    cell: Cell,
    members: Members,
}

impl Writer {
    fn new(shard: Arc<Shard>, profiles: Arc<Profiles>) -> Self {
        Self {
            shard,
            profiles,
            cells: HashMap::default(),
            populations: Vec::new(),
            deserted: Vec::new(),
            waiting: HashMap::default(),
            late: Vec::new(),
            moves: 0,
            told: Vec::new(),
            dying: VecDeque::new(),
        }
    }

    fn handle(&mut self, message: Message) {
        // Whoever asked may have gone; its answer is then dropped.
        match message {
            Message::Fixes(fixes) => {
                let _span = tracing::debug_span!("apply", fixes = fixes.len()).entered();
                for fixes in fixes.chunks(AHEAD) {
                    self.look_ahead(fixes);
                    for fix in fixes {
                        self.show(fix);
                    }
                }
                self.catch_up();
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

    /// Brings what these fixes will need near, and changes nothing: each loop is free of branches that depend on memory
    /// far away, so that the processor has many of its loads under way at once.
    fn look_ahead(&self, fixes: &[Fix]) {
        let register = &self.shard.register;
        let marks = fixes.iter().fold(0, |near, fix| near ^ register.touch(fix.source));
        let mut lives = [0; AHEAD];
        for (fix, lives) in fixes.iter().zip(&mut lives) {
            *lives = register.guess(fix.source).map_or(0, |record| record.lives.get());
        }
        let entries = lives.iter().fold(0, |near, lives| {
            let Some(entered) = Lives::from_bits(*lives).entered else { return near };
            near ^ self.populations[entered.population as usize].members.touch(entered.index as usize)
        });
        black_box((marks, entries));
    }

    fn show(&mut self, fix: &Fix) {
        let order = Order { received_at: storable(fix.order.received_at), ..fix.order };
        let register = &self.shard.register;
        let Some((slot, record)) = register.find(fix.source) else { return self.admit(fix, order) };
        if record.order().is_some_and(|shown| !order.supersedes(shown)) {
            return;
        }
        let sighting = Sighting { slot, at: fix.at, received_at: order.received_at };
        record.show(sighting, order);
        let lives = Lives::from_bits(record.lives.get());
        if !(lives.waits && self.is_put_off(slot)) {
            self.follow(sighting, lives);
        }
    }

    /// Whether a source has hopped so much that its entries follow later.
    fn is_put_off(&mut self, slot: Slot) -> bool {
        let Some(elsewhere) = self.waiting.get_mut(&slot) else { return false };
        let is_put_off = elsewhere.entries.len() >= MOST_WAITING;
        if is_put_off && !std::mem::replace(&mut elsewhere.is_late, true) {
            self.late.push(slot);
        }
        is_put_off
    }

    /// Lets the entries of who was put off follow to where it was shown last.
    fn catch_up(&mut self) {
        while let Some(slot) = self.late.pop() {
            if let Some(elsewhere) = self.waiting.get_mut(&slot) {
                elsewhere.is_late = false;
            }
            if let Some(shown) = self.shard.register.record(slot).and_then(|record| record.home.load()) {
                self.follow(shown, self.lives(slot));
            }
        }
    }

    /// Stores where a source was shown in its entries, and sees that one is in the cell around it.
    fn follow(&mut self, sighting: Sighting, lives: Lives) {
        if lives.waits {
            for one in self.waiting.get(&sighting.slot).into_iter().flat_map(|elsewhere| &elsewhere.entries) {
                self.store(one.entered, sighting);
            }
        }
        let stays = lives.entered.is_some_and(|home| {
            self.store(home, sighting);
            self.populations[home.population as usize].cell == cover::cell_at(sighting.at)
        });
        if !stays {
            self.settle_in(sighting);
        }
    }

    fn admit(&mut self, fix: &Fix, order: Order) {
        let register = &self.shard.register;
        let admit = |offer| Some(register.admit(fix.source, fix.at, order, offer)?.0);
        match self.profiles.admit(fix.source, admit) {
            Some(slot) => self.settle_in(Sighting { slot, at: fix.at, received_at: order.received_at }),
            None => self.shard.refused.add(1),
        }
    }

    fn store(&self, entered: Entered, sighting: Sighting) {
        self.populations[entered.population as usize].members.store(entered.index as usize, sighting);
    }

    fn lives(&self, slot: Slot) -> Lives {
        Lives::from_bits(self.shard.register.record(slot).map_or(0, |record| record.lives.get()))
    }

    fn set_lives(&self, slot: Slot, entered: Option<Entered>) {
        let waits = self.waiting.contains_key(&slot);
        if let Some(record) = self.shard.register.record(slot) {
            record.lives.set(Lives { entered, waits }.bits());
        }
    }

    /// Makes the cell around a source the one in which it lives, then tells its entry in the former one to die.
    fn settle_in(&mut self, sighting: Sighting) {
        let slot = sighting.slot;
        let population = self.population_of(cover::cell_at(sighting.at));
        let former = self.lives(slot).entered;
        let revived = self.revive(slot, population);
        if let Some(former) = former {
            self.tell(slot, former);
            // Before the second entry is there: see `Known`.
            self.set_lives(slot, None);
        }
        let entered = revived.unwrap_or_else(|| self.append(population, sighting));
        self.set_lives(slot, Some(entered));
    }

    /// The place of a cell's population, which is made where there is none.
    fn population_of(&mut self, cell: Cell) -> u32 {
        if let Some(&population) = self.cells.get(&cell) {
            return population;
        }
        let population = self.deserted.pop().unwrap_or_else(|| {
            self.populations.push(Population { cell, members: Members::with_capacity(0) });
            // No more than sources, of which there are fewer.
            u32::try_from(self.populations.len() - 1).unwrap_or(u32::MAX)
        });
        let settled = &mut self.populations[population as usize];
        settled.cell = cell;
        self.cells.insert(cell, population);
        self.shard.cells.pin().insert(cell, Arc::clone(settled.members.block()));
        population
    }

    /// The entry that waits in a population, if one does: it waits no longer.
    fn revive(&mut self, slot: Slot, population: u32) -> Option<Entered> {
        self.no_longer_waits(slot, |one| one.entered.population == population)
    }

    fn no_longer_waits(&mut self, slot: Slot, which: impl Fn(&Waiting) -> bool) -> Option<Entered> {
        let elsewhere = self.waiting.get_mut(&slot)?;
        let position = elsewhere.entries.iter().position(which)?;
        let entered = elsewhere.entries.swap_remove(position).entered;
        if elsewhere.entries.is_empty() {
            self.moves += 1;
            elsewhere.ends_by = self.moves;
            self.told.push(Due::End { slot, by: self.moves });
        }
        Some(entered)
    }

    fn append(&mut self, population: u32, sighting: Sighting) -> Entered {
        let Population { cell, members } = &mut self.populations[population as usize];
        loop {
            if let Some(index) = members.append(sighting) {
                // A block has fewer entries than there are sources, each once and once more for each that died.
                return Entered { population, index: u32::try_from(index).unwrap_or(u32::MAX) };
            }
            *members = members.replacement();
            for (index, moved) in (0..).zip(members.block().sightings()) {
                let Some(record) = self.shard.register.record(moved.slot) else { continue };
                let here = |entered: &Entered| entered.population == population;
                let mut lives = Lives::from_bits(record.lives.get());
                if let Some(entered) = lives.entered.as_mut().filter(|entered| here(entered)) {
                    entered.index = index;
                    record.lives.set(lives.bits());
                } else if let Some(elsewhere) = self.waiting.get_mut(&moved.slot) {
                    let one = elsewhere.entries.iter_mut().find(|one| here(&one.entered));
                    if let Some(one) = one {
                        one.entered.index = index;
                    }
                }
            }
            self.shard.cells.pin().insert(*cell, Arc::clone(members.block()));
        }
    }

    /// Tells an entry to die, once no search needs it.
    fn tell(&mut self, slot: Slot, entered: Entered) {
        self.moves += 1;
        let entries = &mut self.waiting.entry(slot).or_default().entries;
        entries.push(Waiting { entered, dies_of: self.moves });
        self.told.push(Due::Death { slot, population: entered.population, of: self.moves });
    }

    fn sweep(&mut self, now: Millis) {
        let mut online = 0;
        for index in 0..self.shard.register.len() {
            let Some(slot) = Slot::new(index) else { continue };
            let Some(record) = self.shard.register.record(slot) else { continue };
            let is_fresh = record.order().is_some_and(|order| now.since(order.received_at) < FRESH_MS);
            if is_fresh {
                online += 1;
            } else if let Some(entered) = self.lives(slot).entered {
                self.tell(slot, entered);
                self.set_lives(slot, None);
            }
        }
        self.shard.online.set(online);
    }

    fn dump(&self, since: Millis) -> Vec<Fix> {
        let fixes = self.shard.register.records().filter_map(|record| {
            let (at, order) = (record.home.load()?.at, record.order()?);
            (order.received_at >= since).then_some(Fix { source: record.source(), at, order })
        });
        fixes.collect()
    }

    fn end_round(&mut self) {
        if self.told.is_empty() && self.dying.is_empty() {
            return;
        }
        let guard = epoch::pin();
        if !self.told.is_empty() {
            let ended = Arc::new(Signal::default());
            self.dying.push_back((Arc::clone(&ended), std::mem::take(&mut self.told)));
            guard.defer(move || ended.raise());
        }
        // In idle rounds too: nobody else may come to move the epoch on.
        guard.flush();
        drop(guard);
        while self.dying.front().is_some_and(|(ended, _)| ended.is_raised()) {
            for due in self.dying.pop_front().map(|(_, due)| due).unwrap_or_default() {
                match due {
                    Due::Death { slot, population, of } => self.bury(slot, population, of),
                    Due::End { slot, by } => self.end(slot, by),
                }
            }
        }
    }

    fn bury(&mut self, slot: Slot, population: u32, of: u64) {
        let dies = |one: &Waiting| one.entered.population == population && one.dies_of == of;
        let Some(Entered { population, index }) = self.no_longer_waits(slot, dies) else { return };
        let Population { cell, members } = &mut self.populations[population as usize];
        members.kill(index as usize);
        if members.is_deserted() {
            *members = members.replacement();
            self.cells.remove(cell);
            self.shard.cells.pin().remove(cell);
            self.deserted.push(population);
        }
    }

    fn end(&mut self, slot: Slot, by: u64) {
        let ends = |elsewhere: &Elsewhere| elsewhere.entries.is_empty() && elsewhere.ends_by == by;
        if self.waiting.get(&slot).is_some_and(ends) {
            self.waiting.remove(&slot);
            self.set_lives(slot, self.lives(slot).entered);
        }
    }
}

#[cfg(test)]
mod tests {
    use ingest::position::{LatLon, OperatorKey, SourceKey, TaxiKey};

    use super::*;

    fn fix(lat: f64, received_at: i64) -> Fix {
        let source = SourceKey { taxi: TaxiKey(1), operator: OperatorKey(1) };
        let order = Order { received_at: Millis(received_at), device_at: None };
        Fix { source, at: LatLon::new(lat, 2.0).unwrap(), order }
    }

    fn writer() -> Writer {
        let shard = Arc::new(Shard::default());
        let profiles = Profiles::new(&[Arc::clone(&shard)]);
        Writer::new(shard, Arc::new(profiles))
    }

    /// The cell in which the first source lives, then those in which it waits, and the move that it dies of there.
    fn entries(writer: &Writer) -> Vec<(Cell, Option<u64>)> {
        let slot = Slot::new(0).unwrap();
        let cell = |entered: Entered| writer.populations[entered.population as usize].cell;
        let lives = writer.lives(slot).entered.map(|entered| (cell(entered), None));
        let waiting = writer.waiting.get(&slot).into_iter().flat_map(|elsewhere| &elsewhere.entries);
        let mut waiting: Vec<_> = waiting.map(|one| (cell(one.entered), Some(one.dies_of))).collect();
        assert!(writer.lives(slot).waits || waiting.is_empty());
        waiting.sort_by_key(|entry| entry.1);
        lives.into_iter().chain(waiting).collect()
    }

    #[test]
    fn a_death_is_void_once_a_later_move_superseded_it() {
        let mut writer = writer();
        let [here, there] = [48.0, 48.1].map(|lat| cover::cell_at(fix(lat, 0).at));
        for (time, lat) in [48.0, 48.1, 48.0, 48.1].into_iter().enumerate() {
            writer.show(&fix(lat, i64::try_from(time).unwrap()));
        }
        assert_eq!(entries(&writer), [(there, None), (here, Some(5))], "there and back revives, twice");
        let deaths: Vec<_> = std::mem::take(&mut writer.told)
            .into_iter()
            .filter_map(|due| match due {
                Due::Death { slot, population, of } => Some((slot, population, of)),
                Due::End { .. } => None,
            })
            .collect();
        let cell =
            |(_, population, of): &(Slot, u32, u64)| (writer.populations[*population as usize].cell, *of);
        assert_eq!(deaths.iter().map(cell).collect::<Vec<_>>(), [(here, 1), (there, 3), (here, 5)]);
        let mut bury = |(slot, population, of)| {
            writer.bury(slot, population, of);
            entries(&writer)
        };
        assert_eq!(bury(deaths[0]), [(there, None), (here, Some(5))]);
        assert_eq!(bury(deaths[1]), [(there, None), (here, Some(5))]);
        assert_eq!(bury(deaths[2]), [(there, None)]);
        assert_eq!(writer.cells.keys().copied().collect::<Vec<_>>(), [there]);
    }

    #[test]
    fn a_waiting_entry_gets_each_fix_and_survives_a_replacement() {
        let mut writer = writer();
        writer.show(&fix(48.0, 0));
        writer.show(&fix(48.1, 1));
        let here = writer.cells[&cover::cell_at(fix(48.0, 0).at)] as usize;
        for taxi in 2..20 {
            let source = SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(1) };
            writer.show(&Fix { source, ..fix(48.0, 2) });
        }
        writer.show(&fix(48.1, 3));
        let waiting =
            writer.populations[here].members.block().sightings().find(|sighting| sighting.slot.index() == 0);
        assert_eq!(
            waiting.map(|w| (w.at, w.received_at)),
            Some((fix(48.1, 3).at, Millis(1_577_836_800_000)))
        );
    }

    #[test]
    fn who_hops_from_cell_to_cell_leaves_a_few_entries_and_is_found_where_it_was_last() {
        let mut writer = writer();
        let _searching = epoch::pin();
        for batch in 0..3 {
            let hops: Vec<_> =
                (0..16_000).map(|hop| fix(f64::from(hop) / 100.0 - 80.0, batch + i64::from(hop))).collect();
            let last = hops[hops.len() - 1].at;
            writer.handle(Message::Fixes(hops));
            writer.end_round();
            let entries = entries(&writer);
            assert_eq!(entries[0], (cover::cell_at(last), None));
            // The one in which it lived before the batch, too.
            let most = MOST_WAITING + 1 + usize::try_from(batch).unwrap();
            assert!((MOST_WAITING..=most).contains(&(entries.len() - 1)), "{}", entries.len());
            for population in &writer.populations {
                assert!(population.members.block().sightings().all(|seen| seen.at == last));
            }
        }
    }

    #[test]
    fn no_entry_dies_while_a_search_is_under_way() {
        let mut writer = writer();
        let searching = epoch::pin();
        writer.handle(Message::Fixes(vec![fix(48.0, 0), fix(48.1, 1)]));
        for _ in 0..1_000 {
            writer.end_round();
        }
        assert_eq!(entries(&writer).len(), 2);
        drop(searching);
        // Tests beside this one may be pinned for a moment, so it may take a few rounds.
        while entries(&writer).len() > 1 {
            writer.end_round();
            std::thread::yield_now();
        }
        while writer.lives(Slot::new(0).unwrap()).waits {
            writer.end_round();
            std::thread::yield_now();
        }
        assert!(writer.told.is_empty() && writer.dying.is_empty() && writer.waiting.is_empty());
    }
}
