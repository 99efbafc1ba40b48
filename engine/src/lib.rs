//! The live map: where is everyone, who is near.
//!
//! [`Engine`] takes fixes and answers searches from memory; [`territory`] says in which town a point lies;
//! [`profile`] holds what the registry says of each taxi. This crate knows nothing of HTTP or SQL, does no
//! I/O but following the log, and its core cannot fail. It is not a store: it holds each source's last fix,
//! which the log can bring again.

pub mod block;
mod sync;

#[cfg(not(loom))]
pub mod cover;
#[cfg(not(loom))]
pub mod disk;
#[cfg(not(loom))]
pub mod distance;
#[cfg(not(loom))]
mod elsewhere;
#[cfg(not(loom))]
pub mod engine;
#[cfg(not(loom))]
pub mod follow;
#[cfg(not(loom))]
pub mod heard;
#[cfg(not(loom))]
mod lives;
#[cfg(not(loom))]
mod nearby;
#[cfg(not(loom))]
pub mod offer;
#[cfg(not(loom))]
pub mod profile;
#[cfg(not(loom))]
mod register;
#[cfg(not(loom))]
mod shard;
#[cfg(not(loom))]
pub mod territory;
#[cfg(not(loom))]
pub mod window;
#[cfg(not(loom))]
mod writer;

#[cfg(not(loom))]
pub use engine::{Engine, Fix, Hit, Search, Seen};
/// The geometry library in whose types shapes are given.
#[cfg(not(loom))]
pub use geo;
