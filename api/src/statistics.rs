//! What the figures of `/stats` mean: by what they are narrowed, where their windows begin and end, what they add up
//! to. The rows are read in `store/statistics`, the answers written in `routes/stats`.

pub(crate) mod archived;
pub mod calendar;
pub mod conurbations;
pub(crate) mod copies;
pub mod filter;
pub mod hails;
pub mod outcome;
pub mod taxi_hash;

/// A part of something; None of nothing.
#[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285 thousand years")]
pub fn ratio(part: i64, of: i64) -> Option<f64> {
    (of != 0).then(|| part as f64 / of as f64)
}
