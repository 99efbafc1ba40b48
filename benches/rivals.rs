//! What our own code is measured against: what one would write with well-known libraries in an afternoon.
//!
//! Each does the same work on the same data, and the benches check that it gives the same answers before they measure.
//! None keeps our promises: the two indexes lock, and forget a taxi between its removal and its insertion but for the
//! lock; the datagram's reader takes strings only.

pub mod cells;
pub mod duckdb;
pub mod grid;
pub mod redis;
pub mod rtree;
pub mod serde;

use engine::engine::{FRESH_MS, Fix, Search};
use engine::profile::Status;
use engine::territory::Insee;

use crate::world::Found;

/// An index of positions.
pub trait Index: Sync {
    /// Shows fixes, in their order.
    fn apply(&self, fixes: &[Fix]);

    /// The taxis near a customer, in any order.
    fn nearby(&self, search: &Search<'_>) -> Vec<Found>;
}

/// A taxi as a rival keeps it: everything in one place, so that a search looks nothing up. Ours keeps the profile
/// apart, because the registry changes it without the position.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Kept {
    fix: Fix,
    town: Insee,
    status: Status,
}

impl Kept {
    fn new((fix, town): (Fix, Insee)) -> Self {
        Self { fix, town, status: Status::Free }
    }

    /// Whether a search may find it, wherever it is.
    fn may_be_offered(&self, search: &Search<'_>) -> bool {
        self.status == Status::Free
            && search.now.since(self.fix.order.received_at) < FRESH_MS
            && search.towns.binary_search(&self.town).is_ok()
    }
}

/// Half the width and half the height of a box around a disk, in degrees, a hundredth too large.
fn half_box(search: &Search<'_>) -> (f64, f64) {
    const M_PER_DEGREE: f64 = 110_574.0;
    let lat = search.radius_m / M_PER_DEGREE * 1.01;
    (lat / search.customer.lat().to_radians().cos(), lat)
}
