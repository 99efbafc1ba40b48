//! What a log is a log of.

use std::fmt;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::batch::BadBatch;

/// A kind of entry. All entries of a log are of one kind, and each record says of which.
pub trait Entry: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The kind's number in a record's header, never another kind's.
    const KIND: u16;
    /// The version of the schema that [`Entry::encode`] writes.
    const VERSION: u16;

    /// The schema of a version; None if this program knows none of that number.
    fn schema_of(version: u16) -> Option<SchemaRef>;

    /// The batch of some entries, in their order.
    fn encode(entries: &[Self]) -> RecordBatch;

    /// The entries of a batch of any version, in its order.
    fn decode(batch: &RecordBatch) -> Result<Vec<Self>, BadBatch>;

    /// A well-mixed hash, the same in every process and version: entries with the same one keep their order.
    fn stable_hash(&self) -> u64;
}
