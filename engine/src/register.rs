//! Everyone whom a shard ever heard, by slot: what does not depend on the cell, and who has which slot.
//!
//! Written by the shard's one writer, but for offers ([`crate::profile`]); read by anybody without waiting. Nothing is
//! ever taken out, so that what readers hold on to stays. A table of 32-bit marks leads from a source to its slot; a
//! fuller one is made beside it, and those before it (as large together as itself) are left to whoever still looks
//! there.

use std::sync::OnceLock;

use ingest::clock::Millis;
use ingest::position::{LatLon, OperatorKey, Order, SourceKey, TaxiKey};

use crate::block::{Entry, MAX_SLOTS, Mark, Sighting, Slot, Word};
use crate::profile::Offer;

/// Records are made so many at once: 400 kB.
const CHUNK: usize = 1 << 13;
/// The first table has so many marks, each later one twice as many.
const FIRST_MARKS: usize = 1 << 10;
const TABLES: usize = 16;
const _: () = assert!(FIRST_MARKS << (TABLES - 1) > 2 * MAX_SLOTS, "the last table holds everyone");

/// In [`Record::lives`]: entries of the source wait to die.
pub(crate) const WAITS: u64 = 1 << 31;

/// What is known of one source. 48 bytes.
#[derive(Default)]
pub(crate) struct Record {
    key: Word,
    offer: Word,
    /// The last shown fix, however old.
    pub(crate) home: Entry,
    /// The writer's alone: what the device said, in ms since 1970, or [`UNSAID`].
    device_at: Word,
    /// The cell where it lives and its entry there, as the writer packs them; and [`WAITS`], which readers look at.
    pub(crate) lives: Word,
}

/// What a search asks of a source.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) source: SourceKey,
    pub(crate) offer: Offer,
    /// Whether it may have several entries in the cells. A search that saw two and asks then is told so: the writer
    /// says it before the second is there, and takes it back when every search has ended that may have seen the first.
    pub(crate) waits: bool,
}

/// No device time.
const UNSAID: u64 = i64::MIN.cast_unsigned();

impl Record {
    /// Whose it is.
    #[inline]
    pub(crate) fn source(&self) -> SourceKey {
        unpack(self.key.get())
    }

    /// What the registry says of it.
    #[inline]
    pub(crate) fn offer(&self) -> Offer {
        Offer::from_bits(self.offer.get())
    }

    /// Keeps what the registry says of it: see [`crate::profile::Profiles`] for who may.
    pub(crate) fn set_offer(&self, offer: Offer) {
        self.offer.set(offer.bits());
    }

    /// The place of the last shown fix in the order of its source. The writer's alone.
    #[inline]
    pub(crate) fn order(&self) -> Option<Order> {
        let received_at = self.home.load()?.received_at;
        let device_at = self.device_at.get();
        let device_at = (device_at != UNSAID).then(|| Millis(device_at.cast_signed()));
        Some(Order { received_at, device_at })
    }

    /// Shows a fix. The writer's alone.
    #[inline]
    pub(crate) fn show(&self, sighting: Sighting, order: Order) {
        self.home.store(sighting);
        self.device_at.set(order.device_at.map_or(UNSAID, |at| at.0.cast_unsigned()));
    }
}

/// Every source of a shard.
pub(crate) struct Register {
    chunks: Box<[OnceLock<Box<[Record]>>]>,
    tables: [OnceLock<Box<[Mark]>>; TABLES],
    /// Which table counts.
    table: Mark,
    /// How many sources there are.
    len: Mark,
}

impl Default for Register {
    fn default() -> Self {
        Self {
            chunks: (0..=MAX_SLOTS / CHUNK).map(|_| OnceLock::new()).collect(),
            tables: Default::default(),
            table: Mark::default(),
            len: Mark::default(),
        }
    }
}

impl Register {
    /// How many sources there are.
    pub(crate) fn len(&self) -> usize {
        self.len.read() as usize
    }

    /// Every record, by slot.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.chunks.iter().map_while(OnceLock::get).flatten().take(self.len())
    }

    /// The record of a slot that was given.
    #[inline]
    pub(crate) fn record(&self, slot: Slot) -> Option<&Record> {
        self.chunks[slot.index() / CHUNK].get().map(|chunk| &chunk[slot.index() % CHUNK])
    }

    /// What a search asks of the source of a slot that it found in a cell.
    #[inline]
    pub(crate) fn known(&self, slot: Slot) -> Known {
        match self.record(slot) {
            Some(record) => Known {
                source: record.source(),
                offer: record.offer(),
                waits: record.lives.get() & WAITS != 0,
            },
            // There is none: a record is made before its slot is in a cell.
            None => Known { source: unpack(0), offer: Offer::default(), waits: false },
        }
    }

    /// The slot and the record of a source, if it was ever heard.
    #[inline]
    pub(crate) fn find(&self, source: SourceKey) -> Option<(Slot, &Record)> {
        let marks = self.marks()?;
        let (hash, key) = (source.stable_hash(), pack(source));
        let mut at = place_in(marks, hash);
        loop {
            let mark = marks[at].read();
            let slot = Slot::from_number(mark & SLOT)?;
            if mark & !SLOT == tag(hash) {
                let record = self.record(slot)?;
                if record.key.get() == key {
                    return Some((slot, record));
                }
            }
            at = (at + 1) % marks.len();
        }
    }

    /// Most likely what [`Register::find`] would find, by what is left of its hash in a mark.
    #[inline]
    pub(crate) fn guess(&self, source: SourceKey) -> Option<&Record> {
        let (marks, hash) = (self.marks()?, source.stable_hash());
        let mut at = place_in(marks, hash);
        loop {
            let mark = marks[at].read();
            let slot = Slot::from_number(mark & SLOT)?;
            if mark & !SLOT == tag(hash) {
                return self.record(slot);
            }
            at = (at + 1) % marks.len();
        }
    }

    /// Brings near what [`Register::find`] looks at first; the number means nothing.
    pub(crate) fn touch(&self, source: SourceKey) -> u32 {
        self.marks().map_or(0, |marks| marks[place_in(marks, source.stable_hash())].read())
    }

    /// Gives a slot to a source that has none, with its first fix and what the registry says of it. None where all are
    /// given. The writer's alone.
    pub(crate) fn admit(
        &self,
        source: SourceKey,
        at: LatLon,
        order: Order,
        offer: Offer,
    ) -> Option<(Slot, &Record)> {
        let slot = Slot::new(self.len())?;
        self.chunks[slot.index() / CHUNK].get_or_init(|| (0..CHUNK).map(|_| Record::default()).collect());
        let record = self.record(slot)?;
        record.key.set(pack(source));
        record.set_offer(offer);
        record.show(Sighting { slot, at, received_at: order.received_at }, order);
        self.len.lead_to(slot.number());
        let room = self.marks().map_or(0, <[Mark]>::len);
        if 2 * self.len() > room {
            self.grow(room);
        } else {
            insert(self.marks()?, source, slot);
        }
        Some((slot, record))
    }

    /// Makes the next table, with everyone in it, and leads readers there.
    fn grow(&self, room: usize) {
        let marks: Box<[Mark]> = (0..(2 * room).max(FIRST_MARKS)).map(|_| Mark::default()).collect();
        for (index, record) in self.records().enumerate() {
            if let Some(slot) = Slot::new(index) {
                insert(&marks, record.source(), slot);
            }
        }
        let table = if room == 0 { 0 } else { self.table.read() + 1 };
        if self.tables[table as usize].set(marks).is_ok() {
            self.table.lead_to(table);
        }
    }

    #[inline]
    fn marks(&self) -> Option<&[Mark]> {
        self.tables[self.table.read() as usize].get().map(|marks| &**marks)
    }

    /// What it takes of memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let records = self.chunks.iter().map_while(OnceLock::get).map(|chunk| size_of_val(&**chunk));
        let marks = self.tables.iter().map_while(OnceLock::get).map(|marks| size_of_val(&**marks));
        size_of_val(&*self.chunks) + records.sum::<usize>() + marks.sum::<usize>()
    }
}

/// A mark is a slot's number, and above it a part of its source's hash.
const SLOT: u32 = (1 << 24) - 1;

#[inline]
fn tag(hash: u64) -> u32 {
    // Bits that choose neither shard nor place.
    u32::try_from(hash >> 24 & 0xff).unwrap_or_default() << 24
}

#[inline]
fn place_in(marks: &[Mark], hash: u64) -> usize {
    // Their number is a power of two.
    usize::try_from(hash >> 32).unwrap_or_default() & (marks.len() - 1)
}

/// Puts a source where [`Register::find`] looks for it. There is room.
fn insert(marks: &[Mark], source: SourceKey, slot: Slot) {
    let hash = source.stable_hash();
    let mut at = place_in(marks, hash);
    while marks[at].read() != 0 {
        at = (at + 1) % marks.len();
    }
    marks[at].lead_to(tag(hash) | slot.number());
}

#[inline]
fn pack(source: SourceKey) -> u64 {
    u64::from(source.taxi.0) << 32 | u64::from(source.operator.0)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
#[inline]
fn unpack(key: u64) -> SourceKey {
    SourceKey { taxi: TaxiKey((key >> 32) as u32), operator: OperatorKey(key as u32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> SourceKey {
        SourceKey { taxi: TaxiKey(number / 3), operator: OperatorKey(u32::MAX - number % 3) }
    }

    #[test]
    fn everyone_is_found_through_every_table() {
        let register = Register::default();
        let at = LatLon::new(48.0, 2.0).unwrap();
        let order = Order { received_at: Millis(1_764_000_000_000), device_at: None };
        for number in 0..20_000 {
            assert!(register.find(source(number)).is_none());
            let (slot, _) = register.admit(source(number), at, order, Offer::default()).unwrap();
            assert_eq!(slot.index(), number as usize);
        }
        assert_eq!((register.len(), register.records().count()), (20_000, 20_000));
        for number in 0..20_000 {
            let (slot, record) = register.find(source(number)).unwrap();
            assert_eq!((slot.index(), record.source()), (number as usize, source(number)));
            assert_eq!((record.order(), register.known(slot).source), (Some(order), source(number)));
        }
        let each = register.bytes() / 20_000;
        assert!(each < 100, "{each} bytes for each of a few");
    }

    #[test]
    fn a_record_keeps_what_it_is_told() {
        let record = Record::default();
        let sighting = |received_at| Sighting {
            slot: Slot::new(0).unwrap(),
            at: LatLon::new(-48.0, -2.0).unwrap(),
            received_at: Millis(received_at),
        };
        assert_eq!(record.order(), None);
        for device_at in [None, Some(Millis(0)), Some(Millis(-1)), Some(Millis(1_764_000_000_123))] {
            let order = Order { received_at: Millis(1_764_000_000_000), device_at };
            record.show(sighting(order.received_at.0), order);
            assert_eq!(record.order(), Some(order));
        }
    }
}
