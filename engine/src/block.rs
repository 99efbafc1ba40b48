//! A cell's members: entries of two atomic words, side by side; and what else one writer shares with readers. The one
//! file of the engine with memory orderings.
//!
//! ```text
//! place   63             32 31              0
//!         latitude in E7   longitude in E7      both two's complement
//! seen    63             24 23              0
//!         receipt          slot                 ms since 2020-01-01T00:00:00 UTC; 1..2^24 - 1
//! ```
//!
//! `seen == 0` is an entry that was never used or is dead; no live one has slot 0. The place of such an entry is
//! nowhere, so that whoever looks around a place passes over it without looking at `seen`.
//!
//! **What a reader gets.** Each word is whole. Place is stored before seen, and loaded after it: whoever
//! reads the receipt of a fix reads the place of that fix or of a later one of the same source, never an
//! older one. So the pair may mix two consecutive fixes of one source (a place with the receipt time of the
//! fix before), and that is all it may mix: a block is append-only, an index once used is never used for
//! another entry, and so no reader pairs one source's word with another's place. A reader who looks at the place first,
//! to see whether the rest is worth it, loads it again after `seen`.
//!
//! **Limits.** Receipt times outside 2020-01-01 .. 2054-11-03 (40 bits of milliseconds) are stored as the
//! nearer end. A shard has at most 2^24 - 1 sources.

use std::sync::Arc;

use ingest::clock::Millis;
use ingest::position::LatLon;

#[cfg(not(loom))]
use crate::disk::Disk;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// How many sources one shard can hold.
pub const MAX_SLOTS: usize = (1 << SLOT_BITS) - 1;

/// The least room of a block: what few members need is not worth a replacement.
pub const MIN_CAPACITY: usize = 4;

const SLOT_BITS: u32 = 24;
const RECEIPT_BITS: u32 = 64 - SLOT_BITS;
/// The place of whoever is nowhere: no latitude and no longitude.
const NOWHERE: u64 = 1 << 63 | 1 << 31;
/// 2020-01-01T00:00:00 UTC in milliseconds since 1970.
const ERA_MS: i64 = 1_577_836_800_000;

/// A shard's number of a source: 0..[`MAX_SLOTS`], stored one higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u32);

impl Slot {
    /// The slot of an index, unless the shard is full.
    pub fn new(index: usize) -> Option<Self> {
        if index < MAX_SLOTS { u32::try_from(index + 1).ok().map(Self) } else { None }
    }

    /// The index it was made of.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// It as a number, 1..=[`MAX_SLOTS`].
    #[inline]
    pub fn number(self) -> u32 {
        self.0
    }

    /// The slot of a number that [`Slot::number`] gave; none of 0.
    #[inline]
    pub fn from_number(number: u32) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }
}

/// What an entry says: who was heard when, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Which source of the shard.
    pub slot: Slot,
    /// Where.
    pub at: LatLon,
    /// When it was received, within the limits above.
    pub received_at: Millis,
}

/// Two words that one writer stores and any number of readers load.
#[derive(Debug)]
pub struct Entry {
    place: AtomicU64,
    seen: AtomicU64,
}

impl Default for Entry {
    /// An entry that was never used.
    fn default() -> Self {
        Self { place: AtomicU64::new(NOWHERE), seen: AtomicU64::new(0) }
    }
}

impl Entry {
    /// Stores a sighting. Only ever of the source that the entry was first given to.
    #[inline]
    pub fn store(&self, sighting: Sighting) {
        // Relaxed: the release below publishes it. That it may be seen before that release is the mixing
        // above.
        self.place.store(pack_place(sighting.at), Ordering::Relaxed);
        self.seen.store(pack_seen(sighting), Ordering::Release);
    }

    /// The sighting, if the entry is alive.
    #[inline]
    pub fn load(&self) -> Option<Sighting> {
        // Acquire: the place below is then at least as new as this receipt. It also makes visible whatever
        // the writer did before: the name of the slot, and for a dead entry the live one in another cell.
        let seen = self.seen.load(Ordering::Acquire);
        if seen == 0 {
            return None;
        }
        let (slot, received_at) = unpack_seen(seen)?;
        // Acquire: who died between the two loads is nowhere, and seen where it went, as above.
        let at = unpack_place(self.place.load(Ordering::Acquire))?;
        Some(Sighting { slot, at, received_at })
    }

    /// Ends its life. It is never used again.
    fn kill(&self) {
        // Release, both: whoever sees the death by either word sees the append elsewhere that it follows.
        self.seen.store(0, Ordering::Release);
        self.place.store(NOWHERE, Ordering::Release);
    }

    /// Brings its memory near, for who is about to store something in it; the number means nothing.
    #[inline]
    pub fn touch(&self) -> u64 {
        // Relaxed: nothing is read.
        self.place.load(Ordering::Relaxed)
    }
}

/// A fixed number of entries, as readers see them.
#[derive(Debug)]
pub struct Block {
    entries: Box<[Entry]>,
    /// How many were ever used.
    used: Mark,
}

impl Block {
    /// The live entries, each read at its turn. O(capacity).
    pub fn sightings(&self) -> impl Iterator<Item = Sighting> {
        self.used().iter().filter_map(Entry::load)
    }

    #[inline]
    fn used(&self) -> &[Entry] {
        &self.entries[..self.used.read() as usize]
    }

    /// Adds the live entries that may be in a disk, and most likely are. O(entries used), a nanosecond for each.
    #[cfg(not(loom))]
    pub fn sightings_in(&self, disk: &Disk, found: &mut Vec<Sighting>) {
        let (eights, rest) = self.used().as_chunks::<8>();
        for entries in eights {
            add_near(entries, disk, found);
        }
        for entry in rest {
            add_near(std::array::from_ref(entry), disk, found);
        }
    }

    /// How many entries it has room for.
    pub fn capacity(&self) -> usize {
        self.entries.len()
    }

    fn with_capacity(capacity: usize) -> Arc<Self> {
        Arc::new(Self { entries: (0..capacity).map(|_| Entry::default()).collect(), used: Mark::default() })
    }
}

#[cfg(not(loom))]
#[inline]
fn add_near<const N: usize>(entries: &[Entry; N], disk: &Disk, found: &mut Vec<Sighting>) {
    // Acquire: who is passed over because of death is seen where it went, as in `Entry::load`.
    let places = entries.each_ref().map(|entry| halves(entry.place.load(Ordering::Acquire)));
    // Which of them are near is a number's bits: what cannot be foretold is not branched on one by one.
    let mut near = disk.may_hold(places);
    while near != 0 {
        found.extend(entries[near.trailing_zeros() as usize].load());
        near &= near - 1;
    }
}

/// The writer's side of a block: what was used of it and how much of that lives.
#[derive(Debug)]
pub struct Members {
    block: Arc<Block>,
    used: usize,
    live: usize,
}

impl Members {
    /// An empty block with room for at least `capacity` entries.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { block: Block::with_capacity(capacity.max(MIN_CAPACITY)), used: 0, live: 0 }
    }

    /// The block, to give to readers.
    pub fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// Whether every entry ever used is dead.
    pub fn is_deserted(&self) -> bool {
        self.live == 0
    }

    /// Uses the next entry and gives its index, or nothing when none is left: then [`Members::replacement`].
    pub fn append(&mut self, sighting: Sighting) -> Option<usize> {
        let entry = self.block.entries.get(self.used)?;
        entry.store(sighting);
        self.used += 1;
        self.live += 1;
        // An entry that no reader was led to is as if it were not there.
        self.block.used.lead_to(u32::try_from(self.used).ok()?);
        Some(self.used - 1)
    }

    /// Stores a later sighting of the source to which the entry `index` was given.
    pub fn store(&self, index: usize, sighting: Sighting) {
        debug_assert_eq!(
            self.block.entries[index].load().map(|s| s.slot),
            Some(sighting.slot),
            "somebody else's"
        );
        self.block.entries[index].store(sighting);
    }

    /// Brings the entry `index` near: see [`Entry::touch`].
    pub fn touch(&self, index: usize) -> u64 {
        self.block.entries.get(index).map_or(0, Entry::touch)
    }

    /// Lets the live entry `index` die.
    pub fn kill(&mut self, index: usize) {
        debug_assert!(self.block.entries[index].load().is_some(), "dead already");
        self.block.entries[index].kill();
        self.live -= 1;
    }

    /// A block with the live entries of this one in their order and as much room again, for readers to find
    /// in its place. Those who still read this one see its members as they are now. O(capacity), paid by as
    /// many appends.
    pub fn replacement(&self) -> Self {
        let mut next = Self::with_capacity(self.live * 2);
        for sighting in self.block.sightings() {
            next.append(sighting);
        }
        next
    }
}

/// A word from whoever learns that the searches of a time have ended to the writer that waits for it.
#[derive(Debug, Default)]
pub struct Signal(AtomicBool);

impl Signal {
    /// Gives it.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was given; what those searches did then lies before what the caller does next.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A number that its writer changes at will and readers find at some value of late; what says that it is there at all
/// is published after it, by another's release.
#[derive(Debug, Default)]
pub struct Word(AtomicU64);

impl Word {
    /// The value.
    #[inline]
    pub fn get(&self) -> u64 {
        // Relaxed: it stands for itself.
        self.0.load(Ordering::Relaxed)
    }

    /// Changes it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// A number that leads to something: whoever reads it sees all that was done before it was set. At first it is zero.
#[derive(Debug, Default)]
pub struct Mark(AtomicU32);

impl Mark {
    /// Where it leads.
    #[inline]
    pub fn read(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Leads readers to what was made before.
    pub fn lead_to(&self, value: u32) {
        self.0.store(value, Ordering::Release);
    }
}

#[inline]
fn pack_place(at: LatLon) -> u64 {
    u64::from(at.lat_e7().cast_unsigned()) << 32 | u64::from(at.lon_e7().cast_unsigned())
}

/// Latitude and longitude.
#[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
#[inline]
fn halves(place: u64) -> (i32, i32) {
    (((place >> 32) as u32).cast_signed(), (place as u32).cast_signed())
}

#[inline]
fn unpack_place(place: u64) -> Option<LatLon> {
    let (lat_e7, lon_e7) = halves(place);
    LatLon::from_e7(lat_e7, lon_e7).ok()
}

/// A receipt time as it is stored: see the limits above.
#[inline]
pub fn storable(received_at: Millis) -> Millis {
    Millis(received_at.0.clamp(ERA_MS, ERA_MS + (1 << RECEIPT_BITS) - 1))
}

#[inline]
fn pack_seen(sighting: Sighting) -> u64 {
    let since_era = storable(sighting.received_at).since(Millis(ERA_MS));
    since_era.cast_unsigned() << SLOT_BITS | u64::from(sighting.slot.0)
}

#[expect(clippy::cast_possible_truncation, reason = "masked to 24 bits")]
#[inline]
fn unpack_seen(seen: u64) -> Option<(Slot, Millis)> {
    let slot = (seen & MAX_SLOTS as u64) as u32;
    let received_at = Millis(ERA_MS).plus((seen >> SLOT_BITS).cast_signed());
    (slot != 0).then_some((Slot(slot), received_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(index: usize, lat_e7: i32, lon_e7: i32, received_at: i64) -> Sighting {
        let at = LatLon::from_e7(lat_e7, lon_e7).unwrap();
        Sighting { slot: Slot::new(index).unwrap(), at, received_at: Millis(received_at) }
    }

    #[test]
    fn an_entry_gives_back_what_was_stored_at_every_limit() {
        let ends = [ERA_MS, ERA_MS + (1 << 40) - 1, 1_764_000_000_123];
        for (lat, lon) in
            [(900_000_000, 1_800_000_000), (-900_000_000, -1_800_000_000), (0, 0), (-1, 1), (1, -1)]
        {
            for (index, received_at) in [0, MAX_SLOTS - 1, 12_345].into_iter().zip(ends) {
                let (entry, told) = (Entry::default(), sighting(index, lat, lon, received_at));
                assert_eq!(entry.load(), None);
                entry.store(told);
                assert_eq!(entry.load(), Some(told));
            }
        }
        assert_eq!(Slot::new(MAX_SLOTS), None);
    }

    #[test]
    fn receipt_times_beyond_the_era_are_held_at_its_ends() {
        let entry = Entry::default();
        entry.store(sighting(0, 0, 0, -5));
        assert_eq!(entry.load().map(|s| s.received_at), Some(Millis(ERA_MS)));
        entry.store(sighting(0, 0, 0, i64::MAX));
        assert_eq!(
            entry.load().map(|s| s.received_at),
            Some(Millis(2_677_348_427_775)),
            "2054-11-03T19:53:47.775Z"
        );
    }

    #[test]
    fn an_index_is_never_used_again_and_a_replacement_takes_the_living() {
        let mut members = Members::with_capacity(3);
        let at = |index| sighting(index, 5, 5, ERA_MS + 9);
        let used: Vec<_> = (0..MIN_CAPACITY).map(|i| members.append(at(i))).collect();
        assert_eq!(used, (0..MIN_CAPACITY).map(Some).collect::<Vec<_>>());
        members.kill(1);
        assert_eq!(members.append(at(9)), None, "the room of the dead is not given away");
        let next = members.replacement();
        let living: Vec<_> = next.block().sightings().map(|s| s.slot.index()).collect();
        assert_eq!((living, next.block().capacity()), (vec![0, 2, 3], 6));
        for index in [0, 2, 3] {
            members.kill(index);
        }
        assert!(members.is_deserted() && members.replacement().is_deserted());
    }
}
