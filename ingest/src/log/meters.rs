//! What a log counts of itself, to be read at any time.

use crate::counter::Counter;
use crate::histogram::Histogram;

/// Ranges of the time that writing and syncing a group takes, in microseconds.
const SYNC_BOUNDS_US: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// Counts since the log was opened.
#[derive(Debug)]
pub struct Meters {
    /// Appends that were taken into the queue.
    pub appends: Counter,
    /// Entries that were synced.
    pub entries: Counter,
    /// Entries that were taken and then could not be written, or not known to be.
    pub lost: Counter,
    /// How long writing a group and syncing it took.
    pub syncs: Histogram,
}

impl Default for Meters {
    fn default() -> Self {
        let syncs = Histogram::new(&SYNC_BOUNDS_US);
        let count = Counter::default;
        Self { appends: count(), entries: count(), lost: count(), syncs }
    }
}
