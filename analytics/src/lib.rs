//! The log, kept and asked: what became of it as Parquet, what can be asked of that, and what may be published.

pub mod archive;
pub mod archiver;
pub mod clean;
pub mod compact;
pub mod current;
pub mod digest;
pub mod file;
pub mod footer;
pub mod layout;
pub mod limits;
pub mod manifest;
pub mod meters;
pub mod places;
pub mod positions;
pub mod progress;
pub mod root;
pub mod rows;
mod seal;
mod sort;
pub mod verify;
