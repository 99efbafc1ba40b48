//! Recorded traces against a server: each row becomes a signed datagram, sent as a device would, in the rows' rhythm.
//!
//! [`trace`] reads a file, [`enrol`] finds or registers its taxis through the API, [`pace`] says when each position
//! is due, [`drive`] sends them, [`tally`] asks the server what it counted, and [`account`] puts all of it together:
//! every row has its place there.

pub mod account;
pub mod drive;
pub mod enrol;
pub mod pace;
pub mod tally;
pub mod trace;
