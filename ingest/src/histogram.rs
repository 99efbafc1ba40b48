//! How long things took, counted into fixed ranges. Whoever records takes no lock and allocates nothing.

use std::time::Duration;

use crate::counter::Counter;

/// Counts of durations, by the range that each falls into.
#[derive(Debug)]
pub struct Histogram {
    /// The longest duration of each range, in microseconds, rising; longer ones have a range of their own.
    bounds_us: &'static [u64],
    /// One more than there are bounds.
    counts: Box<[Counter]>,
    sum_us: Counter,
}

/// A histogram as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Each bound in microseconds, and how many took as long as that at most.
    pub within: Vec<(u64, u64)>,
    /// How many there were in all.
    pub count: u64,
    /// How long they took together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// Nothing recorded yet. The bounds are in microseconds and rise.
    pub fn new(bounds_us: &'static [u64]) -> Self {
        debug_assert!(bounds_us.is_sorted());
        let counts = (0..=bounds_us.len()).map(|_| Counter::default()).collect();
        Self { bounds_us, counts, sum_us: Counter::default() }
    }

    /// Counts one that took so long.
    pub fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts[self.bounds_us.partition_point(|bound| *bound < us)].add(1);
        self.sum_us.add(us);
    }

    /// What was recorded so far. The count is that of the ranges; the sum may be a moment ahead or behind.
    pub fn snapshot(&self) -> Snapshot {
        let mut count = 0;
        let mut within = Vec::with_capacity(self.bounds_us.len());
        for (range, bound) in self.counts.iter().zip(self.bounds_us) {
            count += range.get();
            within.push((*bound, count));
        }
        count += self.counts.last().map_or(0, Counter::get);
        Snapshot { within, count, sum_us: self.sum_us.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_range() {
        let histogram = Histogram::new(&[10, 20]);
        for us in [0, 10, 11, 20, 21, 1_000] {
            histogram.record(Duration::from_micros(us));
        }
        let expected = Snapshot { within: vec![(10, 2), (20, 4)], count: 6, sum_us: 1_062 };
        assert_eq!(histogram.snapshot(), expected);
    }

    #[test]
    fn recording_allocates_nothing() {
        let histogram = Histogram::new(&[10, 20]);
        let allocations = allocation_counter::measure(|| histogram.record(Duration::from_micros(15)));
        assert_eq!(allocations.count_total, 0);
    }
}
