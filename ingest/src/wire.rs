//! Datagrams as bytes: what they say, not whether it is true.

pub mod arrow;
pub mod binary;
pub mod json;

/// Positions that a datagram of either kind has at most, by what it says itself. O(1).
pub fn positions_at_most(datagram: &[u8]) -> usize {
    if binary::is_one(datagram) { binary::positions_at_most(datagram) } else { 1 }
}
