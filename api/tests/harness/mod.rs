//! What every test of the program needs: a client, a place on the map, the real binary, and the one way to wait.

pub(crate) mod client;
#[allow(dead_code, reason = "not every test needs somebody else's server")]
pub(crate) mod operator;
pub(crate) mod places;
pub(crate) mod program;
pub(crate) mod wait;
