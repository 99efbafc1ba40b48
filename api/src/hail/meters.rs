//! What is counted of hails in this process.

use std::time::Duration;

use ingest::counter::{Counter, Gauge};
use ingest::histogram::{Histogram, Snapshot};

use super::Status;
use crate::store::webhooks::deliveries::Then;

/// Ranges of delays, in microseconds: a hail has ten seconds, a deadline a quarter of one.
const BOUNDS_US: [u64; 12] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];

/// The counts.
#[derive(Debug)]
pub struct Meters {
    /// By status, in the order of [`Status::ALL`].
    came_to: [Counter; Status::ALL.len()],
    /// Calls of operators' servers that were answered as they have to be.
    pub calls_answered: Counter,
    /// Calls that were not.
    pub calls_failed: Counter,
    /// Events that webhooks were told.
    pub deliveries_told: Counter,
    /// Tries to tell a webhook that failed.
    pub deliveries_failed: Counter,
    /// Events that were given up.
    pub dead_letters: Counter,
    /// Events that wait for webhooks, or did when it was looked last.
    pub deliveries_waiting: Gauge,
    /// For how long the first of them did, in seconds.
    pub delivery_waits_s: Gauge,
    waited: Histogram,
    lasted: Histogram,
    late: Histogram,
}

impl Default for Meters {
    fn default() -> Self {
        let histogram = || Histogram::new(&BOUNDS_US);
        let (waited, lasted, late) = (histogram(), histogram(), histogram());
        let (came_to, calls_answered, calls_failed) = Default::default();
        let (deliveries_told, deliveries_failed, dead_letters) = Default::default();
        let (deliveries_waiting, delivery_waits_s) = Default::default();
        Self {
            came_to,
            calls_answered,
            calls_failed,
            deliveries_told,
            deliveries_failed,
            dead_letters,
            deliveries_waiting,
            delivery_waits_s,
            waited,
            lasted,
            late,
        }
    }
}

impl Meters {
    /// A hail came to stand somewhere.
    pub(crate) fn came_to(&self, status: Status) {
        if let Some((_, counter)) = Status::ALL.iter().zip(&self.came_to).find(|(one, _)| **one == status) {
            counter.add(1);
        }
    }

    /// An operator was called so long after the hail was made, and the call took so long, in milliseconds.
    pub(crate) fn called(&self, waited_ms: i64, took_ms: i64, was_answered: bool) {
        self.waited.record(duration(waited_ms));
        self.lasted.record(duration(took_ms));
        if was_answered { &self.calls_answered } else { &self.calls_failed }.add(1);
    }

    /// A webhook was told of an event, or was not.
    pub(crate) fn delivered(&self, then: Then) {
        let counter = if then == Then::Told { &self.deliveries_told } else { &self.deliveries_failed };
        counter.add(1);
        self.dead_letters.add(u64::from(then == Then::Dead));
    }

    /// A deadline was kept so long after it had passed, in milliseconds.
    pub(crate) fn ended_late(&self, late_ms: i64) {
        self.late.record(duration(late_ms));
    }

    /// How often hails came to each status.
    pub fn statuses(&self) -> impl Iterator<Item = (Status, u64)> {
        Status::ALL.into_iter().zip(self.came_to.iter().map(Counter::get))
    }

    /// How long hails waited for the call of their operator.
    pub fn waited(&self) -> Snapshot {
        self.waited.snapshot()
    }

    /// How long calls took.
    pub fn lasted(&self) -> Snapshot {
        self.lasted.snapshot()
    }

    /// How late deadlines were kept.
    pub fn late(&self) -> Snapshot {
        self.late.snapshot()
    }
}

fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
