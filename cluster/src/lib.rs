//! Queries on a cluster of Ballista: what sends them there, and the scheduler and the executors that it is made of.
//!
//! A query is planned by whoever asks it, so that all that is decided of it (what a view shows, which files are read)
//! is decided where it is without a cluster. The scheduler cuts the plan into stages, the executors run these, read
//! the archive themselves and keep what one stage hands to the next in files of their own, until the scheduler has
//! them removed minutes after the query ended. Nothing of all that is encrypted or asks who calls: a cluster is
//! reached by the registry alone, in a network of its own.
//!
//! Without the feature `ballista` there is nothing here.
#![cfg(feature = "ballista")]

mod client;
mod codec;
mod job;
mod nodes;

pub use client::{Ballista, SCHEDULER_PORT};
pub use nodes::{Executor, NodeError, execute, schedule};

/// The longest message there is between its processes: a plan with all that the registry knows within it, a few tens
/// of megabytes for the country.
const MESSAGE_MAX_BYTES: u32 = 256 << 20;
