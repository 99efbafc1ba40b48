//! Rows of the registry as seen from memory: versioned, forward only, read without locks.
//!
//! A row's version rises with each write. Whoever reads a row from SQL may be overtaken by a later write and its
//! projection; so a projection replaces only what is not newer, and a deletion leaves a tombstone until the next
//! full reading. A row's first version is the time of its creation, so that one created under the key of a deleted one
//! is later than it. What is read from several rows at once carries the sum of their versions: two readings of the
//! same rows, each taken from one snapshot of the database, never disagree on which is later.

use std::hash::Hash;

use foldhash::fast::RandomState;
use papaya::{Compute, HashMap, HashMapRef, LocalGuard, Operation, ResizeMode};

use crate::counter::Generation;

/// A map from keys to values projected from rows. Readers never wait; a write costs O(1).
pub struct Projection<K, V> {
    /// Hashed quickly: what is in it comes from the registry's rows, so that nobody outside chooses keys that collide.
    slots: HashMap<K, Slot<V>, RandomState>,
    generation: Generation,
}

/// A projection that is read. Not to be kept: what is deleted meanwhile is not freed.
pub struct Pinned<'a, K, V>(HashMapRef<'a, K, Slot<V>, RandomState, LocalGuard<'a>>);

impl<K: Eq + Hash, V> Pinned<'_, K, V> {
    /// The value of a key.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.0.get(key)?.value.as_ref()
    }
}

/// A full reading of the rows, begun before the database was asked. The default is none.
#[derive(Debug, Default)]
pub struct Reading {
    began: u64,
}

#[derive(Debug)]
struct Slot<V> {
    version: u64,
    /// Which full reading was the last to begin before this slot was written.
    generation: u64,
    /// None: the row was deleted.
    value: Option<V>,
}

impl<V> Slot<V> {
    /// Whether it is more than a tombstone from before the full reading that `began` then.
    fn stands(&self, began: u64) -> bool {
        self.value.is_some() || self.generation >= began
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Default for Projection<K, V> {
    fn default() -> Self {
        // Else a table that has just grown stays half moved as long as nobody writes, and each reading searches two.
        let slots =
            HashMap::builder().hasher(RandomState::default()).resize_mode(ResizeMode::Blocking).build();
        Self { slots, generation: Generation::default() }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Projection<K, V> {
    /// The value of a key, cloned.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.with(key, V::clone)
    }

    /// What `read` makes of the value of a key, without cloning it.
    pub fn with<Q, R>(&self, key: &Q, read: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.slots.pin().get(key)?.value.as_ref().map(read)
    }

    /// For several readings in a row, of which each is cheaper than alone.
    pub fn pin(&self) -> Pinned<'_, K, V> {
        Pinned(self.slots.pin())
    }

    /// Projects a row read at `version`. Returns whether it was news; an equal version replaces, as it says the same.
    pub fn put(&self, key: K, version: u64, value: V) -> bool {
        self.write(key, version, Some(&value), 0)
    }

    /// Projects the deletion of a row whose last version was `version`.
    pub fn remove(&self, key: K, version: u64) -> bool {
        self.write(key, version, None, 0)
    }

    /// Begins a full reading. Call it before the database is asked.
    pub fn begin_reading(&self) -> Reading {
        Reading { began: self.generation.next() }
    }

    /// Makes room for so many rows in all: a map that grows by and by moves what it has each time.
    pub fn reserve(&self, rows: usize) {
        let slots = self.slots.pin();
        slots.reserve(rows.saturating_sub(slots.len()));
    }

    /// Projects a row that a full reading found, as [`Projection::put`] does; a tombstone older than the reading gives
    /// way to it.
    pub fn put_read(&self, reading: &Reading, key: K, version: u64, value: V) -> bool {
        self.write(key, version, Some(&value), reading.began)
    }

    /// Ends a full reading that found every row: those that are gone go, and so do tombstones older than the reading.
    pub fn finish_reading(&self, reading: &Reading) {
        self.slots.pin().retain(|_, slot| slot.generation >= reading.began);
    }

    /// How many rows there are. O(n).
    pub fn len(&self) -> usize {
        self.slots.pin().values().filter(|slot| slot.value.is_some()).count()
    }

    /// Whether there are none. O(n).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every value, in no order.
    pub fn values(&self) -> Vec<V> {
        self.slots.pin().values().filter_map(|slot| slot.value.clone()).collect()
    }

    /// Tombstones written before the full reading `began` count for nothing.
    fn write(&self, key: K, version: u64, value: Option<&V>, began: u64) -> bool {
        let generation = self.generation.now();
        let slots = self.slots.pin();
        let outcome = slots.compute(key, |old| match old.filter(|(_, old)| old.stands(began)) {
            Some((_, old)) if old.version > version => Operation::Abort(()),
            // A tombstone of the same version is the later word: rows are deleted, never undeleted.
            Some((_, old)) if old.version == version && old.value.is_none() => Operation::Abort(()),
            // A writer that was overtaken by a whole reading must not make the row look older than that.
            Some((_, old)) => {
                let generation = generation.max(old.generation);
                Operation::Insert(Slot { version, generation, value: value.cloned() })
            }
            None => Operation::Insert(Slot { version, generation, value: value.cloned() }),
        });
        !matches!(outcome, Compute::Aborted(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_goes_forward() {
        let map = Projection::default();
        assert!(map.put("a", 2, "two"));
        assert!(!map.put("a", 1, "one"));
        assert_eq!(map.get("a"), Some("two"));
        assert!(map.put("a", 3, "three"));
        assert_eq!(map.get("a"), Some("three"));
    }

    #[test]
    fn a_late_projection_does_not_bring_a_deleted_row_back() {
        let map = Projection::default();
        map.put("a", 4, "four");
        map.remove("a", 4);
        assert!(!map.put("a", 4, "four"));
        assert_eq!(map.get("a"), None);
    }

    #[test]
    fn a_full_reading_drops_what_is_gone_and_keeps_what_came_meanwhile() {
        let map = Projection::default();
        map.put("gone", 1, 1);
        map.put("stays", 1, 1);
        let reading = map.begin_reading();
        map.put("new", 1, 1);
        map.put("stays", 3, 3);
        map.put_read(&reading, "stays", 2, 2);
        map.finish_reading(&reading);
        assert_eq!((map.get("gone"), map.get("stays"), map.get("new")), (None, Some(3), Some(1)));
    }

    #[test]
    fn a_full_reading_buries_older_tombstones_only() {
        let map = Projection::default();
        map.remove("old", 1);
        map.remove("back", 7);
        let reading = map.begin_reading();
        map.remove("during", 5);
        assert!(!map.put_read(&reading, "during", 5, 5), "read before it was deleted");
        assert!(!map.put("back", 6, 6), "a tombstone stands until a reading knows better");
        assert!(map.put_read(&reading, "back", 6, 6));
        map.finish_reading(&reading);
        assert!(map.put("old", 1, 1), "a tombstone does not live for ever");
        assert_eq!((map.get("during"), map.get("back")), (None, Some(6)));
    }
}
