//! What a kind of rows has to say of itself to be archived.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use crate::digest::Digest;
use crate::layout::Stream;

/// A stream whose files are written, sorted and checked.
pub trait Rows: 'static {
    /// Which one.
    const STREAM: Stream;

    /// By what a day is sorted. Each row has a place of its own, so that the same rows make the same files.
    const ORDER: &'static [&'static str];

    /// Columns that few values have many rows of: a dictionary of them takes less room than deltas.
    const DICTIONARIES: &'static [&'static str];

    /// The column by which rows are looked for one by one.
    const LOOKED_FOR: &'static str;

    /// Its columns.
    fn schema() -> SchemaRef;

    /// The digest of archived rows. O(rows).
    fn digest_of(batch: &RecordBatch) -> Result<Digest, BadColumn>;
}

/// A column is missing, or of another type than the schema says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {0} is missing or not what the archive's schema says")]
pub struct BadColumn(pub &'static str);
