//! Who comes most often among any number of names, in the memory of a few.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams,
//! 2005): a newcomer takes the place and the count of the rarest, and remembers how much of its count may be others'.
//! So whoever makes up more than one in `room` of all is among them, whatever else comes, and what is certainly its own
//! is known. Names may be made up by an attacker: they neither grow this nor push out who comes often.

/// The names that come most often, each with a count. O(room) a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heaviest<K> {
    room: usize,
    entries: Vec<Weight<K>>,
}

/// A name and how often it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight<K> {
    /// Who.
    pub name: K,
    /// How often it came at most.
    pub at_most: u64,
    /// How much of that may have been others.
    pub doubtful: u64,
}

impl<K> Weight<K> {
    /// How often it came at least.
    pub fn at_least(&self) -> u64 {
        self.at_most.saturating_sub(self.doubtful)
    }
}

impl<K: Eq> Heaviest<K> {
    /// Nobody yet, with room for so many; at least one.
    pub fn new(room: usize) -> Self {
        let room = room.max(1);
        Self { room, entries: Vec::with_capacity(room) }
    }

    /// Counts one, or what another table counted of it. Allocates nothing.
    pub fn add(&mut self, weight: Weight<K>) {
        if let Some(known) = self.entries.iter_mut().find(|known| known.name == weight.name) {
            known.at_most = known.at_most.saturating_add(weight.at_most);
            known.doubtful = known.doubtful.saturating_add(weight.doubtful);
        } else if self.entries.len() < self.room {
            self.entries.push(weight);
        } else if let Some(rarest) = self.entries.iter_mut().min_by_key(|known| known.at_most) {
            let before = rarest.at_most;
            *rarest = weight;
            rarest.at_most = rarest.at_most.saturating_add(before);
            rarest.doubtful = rarest.doubtful.saturating_add(before);
        }
    }

    /// Counts one.
    pub fn count(&mut self, name: K) {
        self.add(Weight { name, at_most: 1, doubtful: 0 });
    }

    /// Everybody who has a place, in no order.
    pub fn weights(&self) -> &[Weight<K>] {
        &self.entries
    }

    /// Forgets everybody; the room stays.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_comes_often_stays_whatever_is_made_up() {
        let mut heaviest = Heaviest::new(4);
        for made_up in 0..1_000 {
            heaviest.count(made_up);
            if made_up % 3 == 0 {
                heaviest.count(-1);
            }
        }
        assert_eq!(heaviest.weights().len(), 4);
        let often = heaviest.weights().iter().find(|one| one.name == -1).unwrap();
        assert_eq!((often.at_least(), often.at_most), (334, 334));
        assert!(heaviest.weights().iter().all(|one| one.name == -1 || one.at_least() == 1));
    }

    proptest! {
        #[test]
        fn counts_are_bounded_from_both_sides_also_when_tables_are_put_together(
            names in prop::collection::vec(0..12_u8, 0..400),
            parts in 1..5_usize,
        ) {
            let mut true_counts = BTreeMap::<u8, u64>::new();
            let mut tables = vec![Heaviest::new(5); parts];
            for (at, &name) in names.iter().enumerate() {
                *true_counts.entry(name).or_default() += 1;
                tables[at % parts].count(name);
            }
            let mut whole = Heaviest::new(5);
            for table in tables {
                table.weights().iter().for_each(|weight| whole.add(weight.clone()));
            }
            let mut certain = 0;
            for weight in whole.weights() {
                prop_assert!(weight.at_least() <= true_counts[&weight.name]);
                certain += weight.at_least();
            }
            prop_assert!(certain <= names.len() as u64, "the rest is others'");
            prop_assert!(whole.weights().len() <= 5);
            if parts == 1 {
                for (name, &count) in &true_counts {
                    let found = whole.weights().iter().find(|weight| weight.name == *name);
                    prop_assert!(found.is_some() || count <= names.len() as u64 / 5);
                    prop_assert!(found.is_none_or(|weight| weight.at_most >= count));
                }
            }
        }
    }
}
