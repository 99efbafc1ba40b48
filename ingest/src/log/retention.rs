//! Which days of the embedded log go, and their going.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::days::{Day, parse_keyspace_name};
use super::local::{Shared, cause};
use super::{Entry, LogError, Offset, Partition, Settings};
use crate::clock::Millis;

impl<E: Entry> Shared<E> {
    /// Removes days that are due. See [`super::Log::retain_unless_needed`].
    pub(super) fn retain(&self, needed_from: Option<&[Offset]>) -> Result<usize, LogError> {
        // Groups wait meanwhile: days are few and dropping one takes about a tenth of a second.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error: fjall::Error| LogError::Storage { cause: cause(&error) };
        let now = self.clock.now().max(self.state().appended_at);
        let doomed = {
            let state = self.state();
            let mut sizes = BTreeMap::<Day, DaySize>::new();
            for (partition, day, held, next_first) in state.days.all() {
                let end = next_first.unwrap_or_else(|| state.end(partition));
                let size = sizes.entry(day).or_default();
                size.bytes += held.keyspace.disk_space();
                size.is_needed |= needed_from.is_some_and(|needed| {
                    needed.get(usize::from(partition.0)).is_none_or(|needed| needed.0 < end)
                });
            }
            due(&sizes, now, &self.settings)
        };
        if !doomed.is_empty() {
            // fjall numbers keyspaces from the last that is left, and forgets one that takes the number of one removed:
            // what is made before the removals keeps their numbers from being used again.
            self.keyspace(Partition(0), Day::of(now)).map_err(failed)?;
        }
        for day in &doomed {
            let mut keyspaces = Vec::new();
            // First unseen, then gone: a reader that came before still holds what it reads.
            self.change(|state| keyspaces = state.days.forget(*day));
            for keyspace in keyspaces {
                self.database.delete_keyspace(keyspace).map_err(failed)?;
            }
        }
        if let Some(last) = doomed.last() {
            self.remove_empty(*last).map_err(failed)?;
        }
        Ok(doomed.len())
    }
}

impl<E: Entry> Shared<E> {
    /// Removes what never had a record of days that are gone.
    fn remove_empty(&self, until: Day) -> fjall::Result<()> {
        for name in self.database.list_keyspace_names() {
            if let Some((partition, day)) = parse_keyspace_name(&name)
                && day <= until
            {
                self.database.delete_keyspace(self.keyspace(partition, day)?)?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct DaySize {
    bytes: u64,
    is_needed: bool,
}

/// The days to remove: from the oldest on, while one is too old or the log too large, up to the first that is needed
/// or is not over.
fn due(days: &BTreeMap<Day, DaySize>, now: Millis, settings: &Settings) -> Vec<Day> {
    let oldest_kept =
        Day::of(now.plus(i64::try_from(settings.retain_for_ms).unwrap_or(i64::MAX).saturating_neg()));
    let mut bytes: u64 = days.values().map(|size| size.bytes).sum();
    let mut due = Vec::new();
    for (day, size) in days {
        let is_wanted = *day >= oldest_kept && bytes <= settings.retain_bytes;
        if is_wanted || size.is_needed || *day >= Day::of(now) {
            break;
        }
        bytes -= size.bytes;
        due.push(*day);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    /// The days due of days 1, 2, ... of these sizes.
    fn due_of(sizes: &[(u64, bool)], now: Millis, settings: &Settings) -> Vec<i64> {
        let size = |(bytes, is_needed)| DaySize { bytes, is_needed };
        let days = (1..).map(Day).zip(sizes.iter().copied().map(size)).collect();
        due(&days, now, settings).into_iter().map(|day| day.0).collect()
    }

    fn settings(days: u64, retain_bytes: u64) -> Settings {
        Settings { retain_for_ms: days * DAY_MS.unsigned_abs(), retain_bytes, ..Settings::default() }
    }

    #[test]
    fn days_go_once_they_ended_longer_ago_than_they_are_kept() {
        let sizes = [(10, false); 4];
        // Day 1 ends as day 2 begins; kept for two days more, it goes as day 4 begins.
        assert_eq!(due_of(&sizes, Millis(4 * DAY_MS - 1), &settings(2, 100)), [0_i64; 0]);
        assert_eq!(due_of(&sizes, Millis(4 * DAY_MS), &settings(2, 100)), [1]);
    }

    #[test]
    fn the_oldest_days_go_until_the_size_is_right_but_never_the_current_one() {
        let sizes = [(10, false), (20, false), (30, false)];
        assert_eq!(due_of(&sizes, Millis(3 * DAY_MS), &settings(99, 60)), [0_i64; 0]);
        assert_eq!(due_of(&sizes, Millis(3 * DAY_MS), &settings(99, 50)), [1]);
        assert_eq!(due_of(&sizes, Millis(3 * DAY_MS), &settings(99, 49)), [1, 2]);
        assert_eq!(due_of(&sizes, Millis(3 * DAY_MS), &settings(99, 0)), [1, 2]);
    }

    #[test]
    fn a_needed_day_and_those_after_it_stay() {
        let sizes = [(10, false), (10, true), (10, false), (10, false)];
        assert_eq!(due_of(&sizes, Millis(90 * DAY_MS), &settings(1, 0)), [1]);
    }
}
