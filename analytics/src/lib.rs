//! The log, kept and asked: what became of it as Parquet, what can be asked of that, and what may be published.

pub mod archive;
pub mod archiver;
mod cells;
pub mod clean;
pub mod compact;
pub mod current;
pub mod digest;
pub mod dimensions;
pub mod encode;
pub mod file;
pub mod footer;
mod functions;
pub mod hails;
pub mod layout;
pub mod limits;
pub mod manifest;
pub mod meters;
pub mod places;
pub mod positions;
pub mod progress;
pub mod pseudonym;
pub mod report;
pub mod rollups;
pub mod root;
pub mod rows;
#[cfg(test)]
mod sample;
mod scan;
pub mod schema;
mod seal;
pub mod searches;
pub mod session;
mod size;
mod sort;
pub mod tables;
pub mod verify;
pub mod views;
