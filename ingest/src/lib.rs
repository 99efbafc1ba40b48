//! Positions in: checked once, ordered and durable.
//!
//! A datagram or a batch becomes [`position::Position`]s, whose ranges are checked here and nowhere else; the
//! [`directory`] says who may report which taxi, the [`gate`] lets through or counts, and the [`log`] keeps what
//! came through, in order, until nobody needs it any more. This crate knows nothing of HTTP, SQL or the map.

pub mod batch;
pub mod clock;
pub mod counter;
pub mod directory;
pub mod gate;
pub mod histogram;
pub mod insee;
pub mod limits;
pub mod log;
pub mod position;
pub mod projection;
pub mod searches;
pub mod udp;
pub mod wire;
