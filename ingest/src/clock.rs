//! Time as a parameter: the system's clock, or one that a test moves by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

/// Milliseconds since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Millis(pub i64);

impl Millis {
    /// This instant moved by `ms` milliseconds (negative: earlier), stopping at the ends of the range.
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; negative when it lies before.
    pub fn since(self, earlier: Millis) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// Where the time comes from. Cheap to clone; clones of a manual clock show the same time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's wall clock.
    System,
    /// A clock that moves only by [`Clock::advance`].
    Manual(Arc<Mutex<Millis>>),
}

impl Clock {
    /// A clock that stands still at `at`.
    pub fn manual(at: Millis) -> Self {
        Self::Manual(Arc::new(Mutex::new(at)))
    }

    /// The time now.
    pub fn now(&self) -> Millis {
        match self {
            Self::System => system_now(),
            Self::Manual(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves a manual clock forward by `ms` milliseconds; the system's clock is left alone.
    pub fn advance(&self, ms: i64) {
        if let Self::Manual(at) = self {
            let mut at = at.lock().unwrap_or_else(PoisonError::into_inner);
            *at = at.plus(ms);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn system_now() -> Millis {
    // A clock before 1970 reads as 1970: wrong by decades either way, and never a panic.
    let since_1970 = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_by_hand_and_its_clones_with_it() {
        let clock = Clock::manual(Millis(1_000));
        let clone = clock.clone();
        clock.advance(250);
        assert_eq!(clone.now(), Millis(1_250));
    }

    #[test]
    fn seconds_round_down_on_both_sides_of_1970() {
        assert_eq!(Millis(1_999).seconds(), 1);
        assert_eq!(Millis(-1).seconds(), -1);
    }
}
