//! What the figures of `/stats` mean: by what they are narrowed, where their windows begin and end, what they add up
//! to. The rows are read in `store/statistics`, the answers written in `routes/stats`.

pub mod calendar;
pub mod conurbations;
pub(crate) mod copies;
pub mod filter;
pub mod hails;
pub mod outcome;
pub mod taxi_hash;
