//! Who was heard in which hour: each taxi once an hour, for whoever keeps it.
//!
//! A restart forgets it and learns it again from the log: it is to be kept before the offsets that cover it are.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use ingest::clock::Millis;
use ingest::position::{Position, TaxiKey};

/// An hour in milliseconds. Hours are those of UTC.
pub const HOUR_MS: i64 = 3_600_000;

/// A taxi that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeardTaxi {
    /// Which one.
    pub taxi: TaxiKey,
    /// When, for the first time in that hour.
    pub received_at: Millis,
}

/// Taxis that were taken, to be kept. They are given back if this is dropped before they are: whoever keeps them may be
/// stopped midway.
#[derive(Debug)]
pub struct Taken<'a> {
    heard: &'a Heard,
    taxis: Vec<HeardTaxi>,
}

impl Taken<'_> {
    /// Which ones.
    pub fn taxis(&self) -> &[HeardTaxi] {
        &self.taxis
    }

    /// They are kept.
    pub fn keep(mut self) {
        self.taxis.clear();
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.heard.state().untold.append(&mut self.taxis);
    }
}

/// Taxis heard, noted by one thread that follows the log and taken by another.
#[derive(Debug, Default)]
pub struct Heard(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The hour in which each taxi was noted last: a word or two a taxi, once and for all.
    noted: HashMap<TaxiKey, i64, RandomState>,
    untold: Vec<HeardTaxi>,
}

impl Heard {
    /// Notes those that were not heard in their hour before. One that comes late to an hour that is over may be noted
    /// in the next one twice. O(positions).
    pub(crate) fn note(&self, positions: &[Position]) {
        let mut state = self.state();
        for position in positions {
            let (taxi, received_at) = (position.source.taxi, position.received_at);
            let hour = received_at.0.div_euclid(HOUR_MS);
            if state.noted.insert(taxi, hour) != Some(hour) {
                state.untold.push(HeardTaxi { taxi, received_at });
            }
        }
    }

    /// Those noted since the last call.
    pub fn take(&self) -> Taken<'_> {
        Taken { heard: self, taxis: std::mem::take(&mut self.state().untold) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ingest::position::{LatLon, Motion, OperatorKey, ReportedStatus, SourceKey, Transport};

    use super::*;

    fn position(taxi: u32, operator: u32, received_at: i64) -> Position {
        Position {
            source: SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(operator) },
            at: LatLon::new(48.0, 2.0).unwrap(),
            received_at: Millis(received_at),
            device_at: None,
            status: ReportedStatus::Unsaid,
            motion: Motion::default(),
            transport: Transport::Udp,
        }
    }

    #[test]
    fn each_taxi_is_told_once_an_hour() {
        let heard = Heard::default();
        heard.note(&[position(1, 1, 5), position(1, 2, 6), position(2, 1, HOUR_MS - 1)]);
        heard.note(&[position(1, 1, HOUR_MS), position(1, 1, HOUR_MS + 1)]);
        let told = |taxi, received_at| HeardTaxi { taxi: TaxiKey(taxi), received_at: Millis(received_at) };
        let taken = heard.take();
        let first = [told(1, 5), told(2, HOUR_MS - 1), told(1, HOUR_MS)];
        assert_eq!(taken.taxis(), first);
        assert_eq!(heard.take().taxis(), []);
        drop(taken);
        heard.note(&[position(2, 1, HOUR_MS + 7)]);
        let taken = heard.take();
        assert_eq!(taken.taxis(), [&first[..], &[told(2, HOUR_MS + 7)]].concat());
        taken.keep();
        assert_eq!(heard.take().taxis(), []);
    }
}
