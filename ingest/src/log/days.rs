//! Which keyspace holds which records: one for each partition and day (UTC) of append time.

use std::collections::BTreeMap;
use std::ops::Range;

use fjall::Keyspace;

use crate::clock::Millis;
use crate::log::Partition;

/// The number of a day since 1970, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(pub(super) i64);

impl Day {
    pub(super) fn of(at: Millis) -> Self {
        Self(at.0.div_euclid(86_400_000))
    }
}

/// The name of the keyspace of a partition and day.
pub(super) fn keyspace_name(partition: Partition, day: Day) -> String {
    format!("p{}-d{}", partition.0, day.0)
}

/// What [`keyspace_name`] was made of.
pub(super) fn parse_keyspace_name(name: &str) -> Option<(Partition, Day)> {
    let (partition, day) = name.strip_prefix('p')?.split_once("-d")?;
    Some((Partition(partition.parse().ok()?), Day(day.parse().ok()?)))
}

/// The keyspaces that have records, in order of partition and day.
#[derive(Default)]
pub(super) struct Days(BTreeMap<(Partition, Day), Held>);

/// The records of one partition and day: from `first` to where the next day begins.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) keyspace: Keyspace,
    pub(super) first: u64,
}

impl Days {
    /// Remembers that the records of a partition and day begin at `first`, unless they already did.
    pub(super) fn begin(&mut self, partition: Partition, day: Day, keyspace: &Keyspace, first: u64) {
        self.0.entry((partition, day)).or_insert_with(|| Held { keyspace: keyspace.clone(), first });
    }

    /// The first record kept of a partition.
    pub(super) fn start(&self, partition: Partition) -> Option<u64> {
        self.of(partition).next().map(|(_, held, _)| held.first)
    }

    /// Where the record at `offset` is, and the offsets of its keyspace. `end` is the partition's.
    pub(super) fn holding(
        &self,
        partition: Partition,
        offset: u64,
        end: u64,
    ) -> Option<(Keyspace, Range<u64>)> {
        let (_, held, next) = self.of(partition).take_while(|(_, held, _)| held.first <= offset).last()?;
        Some((held.keyspace.clone(), held.first..next.unwrap_or(end)))
    }

    /// The first keyspace of a partition whose day is `day` or later, and its offsets.
    pub(super) fn since_day(
        &self,
        partition: Partition,
        day: Day,
        end: u64,
    ) -> Option<(Keyspace, Range<u64>)> {
        let (_, held, next) = self.of(partition).find(|(of, _, _)| *of >= day)?;
        Some((held.keyspace.clone(), held.first..next.unwrap_or(end)))
    }

    /// Every partition and day with its keyspace and the offset after its last; None where that is the end.
    pub(super) fn all(&self) -> impl Iterator<Item = (Partition, Day, &Held, Option<u64>)> {
        self.0.iter().map(|(&(partition, day), held)| (partition, day, held, self.next_first(partition, day)))
    }

    /// Forgets a day and gives its keyspaces.
    pub(super) fn forget(&mut self, day: Day) -> Vec<Keyspace> {
        self.0.extract_if(.., |(_, of), _| *of == day).map(|(_, held)| held.keyspace).collect()
    }

    fn of(&self, partition: Partition) -> impl Iterator<Item = (Day, &Held, Option<u64>)> {
        let days = (partition, Day(i64::MIN))..=(partition, Day(i64::MAX));
        self.0.range(days).map(move |(&(_, day), held)| (day, held, self.next_first(partition, day)))
    }

    fn next_first(&self, partition: Partition, day: Day) -> Option<u64> {
        let later = (partition, Day(day.0.saturating_add(1)))..=(partition, Day(i64::MAX));
        self.0.range(later).next().map(|(_, held)| held.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keyspaces_say_what_they_hold() {
        for (partition, day) in [(0, 0), (255, 20_420), (3, -1)] {
            let name = keyspace_name(Partition(partition), Day(day));
            assert_eq!(parse_keyspace_name(&name), Some((Partition(partition), Day(day))));
        }
        for other in ["meta", "p1", "p1-d", "px-d1", "p70000-d1"] {
            assert_eq!(parse_keyspace_name(other), None);
        }
    }

    #[test]
    fn days_begin_at_midnight_utc() {
        assert_eq!(Day::of(Millis(86_399_999)), Day(0));
        assert_eq!(Day::of(Millis(86_400_000)), Day(1));
        assert_eq!(Day::of(Millis(-1)), Day(-1));
    }
}
