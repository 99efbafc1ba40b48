//! How old positions are when they come, by the time of their devices.

use crate::counter::Counter;
use crate::position::Position;

/// How far a device's time is from the time of receipt. A clock that is ahead is as wrong as one that is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Age {
    /// At most 5 seconds.
    UpTo5s,
    /// At most 15 seconds.
    UpTo15s,
    /// At most a minute.
    UpTo60s,
    /// More than that.
    Older,
    /// The device tells no time.
    Unknown,
}

impl Age {
    /// Every age, in order.
    pub const ALL: [Self; 5] = [Self::UpTo5s, Self::UpTo15s, Self::UpTo60s, Self::Older, Self::Unknown];

    /// That of a position.
    pub fn of(position: &Position) -> Self {
        let Some(device_at) = position.device_at else { return Self::Unknown };
        match device_at.0.abs_diff(position.received_at.0) {
            0..=5_000 => Self::UpTo5s,
            5_001..=15_000 => Self::UpTo15s,
            15_001..=60_000 => Self::UpTo60s,
            _ => Self::Older,
        }
    }

    /// Its name in answers: `snake_case`, never changed.
    pub fn name(self) -> &'static str {
        match self {
            Self::UpTo5s => "up_to_5_s",
            Self::UpTo15s => "up_to_15_s",
            Self::UpTo60s => "up_to_60_s",
            Self::Older => "over_60_s",
            Self::Unknown => "unknown",
        }
    }
}

/// Some positions of one operator that passed every check, on their way to the counts of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// How many are of each age.
    ages: [u64; Age::ALL.len()],
    /// Of how many the device's clock is more than [`crate::limits::MAX_CLOCK_SKEW_MS`] off ours.
    pub clocks_off: u64,
    /// How many came in compact datagrams.
    pub compact: u64,
}

impl Passed {
    /// Adds one.
    pub fn add(&mut self, position: &Position) {
        self.ages[Age::of(position) as usize] += 1;
        self.clocks_off += u64::from(position.is_clock_off());
    }
}

/// How many positions were of each age.
#[derive(Debug, Default)]
pub(super) struct Ages([Counter; Age::ALL.len()]);

impl Ages {
    /// Adds some. Mostly they are of one age: a counter that does not move is not written.
    pub(super) fn add(&self, passed: &Passed) {
        for (counter, count) in self.0.iter().zip(passed.ages).filter(|(_, count)| *count > 0) {
            counter.add(count);
        }
    }

    /// How many were of an age.
    pub(super) fn of(&self, age: Age) -> u64 {
        self.0[age as usize].get()
    }

    /// How many there were.
    pub(super) fn all(&self) -> u64 {
        self.0.iter().map(Counter::get).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::position::{LatLon, Motion, OperatorKey, ReportedStatus, SourceKey, TaxiKey, Transport};

    #[test]
    fn an_age_is_how_far_apart_two_clocks_are() {
        for (place, age) in Age::ALL.into_iter().enumerate() {
            assert_eq!(age as usize, place);
        }
        let position = |device_at| Position {
            source: SourceKey { taxi: TaxiKey(1), operator: OperatorKey(1) },
            at: LatLon::new(48.0, 2.0).unwrap(),
            received_at: Millis(100_000),
            device_at,
            status: ReportedStatus::Free,
            motion: Motion::default(),
            transport: Transport::Udp,
        };
        let of = |device_ms| Age::of(&position(Some(Millis(device_ms))));
        assert_eq!([95_000, 100_000, 105_000].map(of), [Age::UpTo5s; 3]);
        assert_eq!([94_999, 85_000, 115_000].map(of), [Age::UpTo15s; 3]);
        assert_eq!([84_999, 40_000, 160_000].map(of), [Age::UpTo60s; 3]);
        assert_eq!([39_999, i64::MIN, i64::MAX].map(of), [Age::Older; 3]);
        assert_eq!(Age::of(&position(None)), Age::Unknown);
    }
}
