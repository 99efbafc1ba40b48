//! Positions in: checked once, ordered and durable.
//!
//! A datagram or a batch becomes [`position::Position`]s, whose ranges are checked here and nowhere else; the
//! [`directory`] says who may report which taxi. This crate knows nothing of HTTP, SQL or the map.

pub mod clock;
pub mod counter;
pub mod position;
pub mod projection;
