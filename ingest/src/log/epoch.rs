//! The number that tells a log from any other.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::clock::Clock;

/// A new one. No secret and no key: it only has to differ from one log to the next.
pub(super) fn random(clock: &Clock) -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_i64(clock.now().0);
    hasher.finish()
}
