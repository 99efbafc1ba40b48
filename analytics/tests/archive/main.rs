//! From the log to recent files, from these to days: nothing is lost and nothing doubled, whatever goes wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails its test")]

mod blurring;
mod compacting;
mod damage;
mod expiring;
mod filing;
mod searches;
mod skipping;
mod world;
