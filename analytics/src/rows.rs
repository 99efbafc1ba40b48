//! What a kind of rows has to say of itself to be archived.

use datafusion::arrow::array::{
    ArrowPrimitiveType, AsArray as _, DictionaryArray, PrimitiveArray, RecordBatch, StringArray,
    TypedDictionaryArray,
};
use datafusion::arrow::datatypes::{Int32Type, SchemaRef};
use datafusion::arrow::error::ArrowError;
use ingest::log::{self, Offset, Partition};

use crate::archive::Registry;
use crate::digest::Digest;
use crate::layout::Stream;
use crate::places::Places;

/// A stream whose files are written, sorted and checked.
pub trait Rows: 'static {
    /// Which one.
    const STREAM: Stream;

    /// By what a day is sorted. Each row has a place of its own, so that the same rows make the same files.
    const ORDER: &'static [&'static str];

    /// What is forgotten of old rows: whatever tells of a place more than its town. These columns become null.
    const BLURRED: &'static [&'static str];

    /// By what a day is sorted of which that is forgotten. Each row has a place of its own here, too.
    const BLURRED_ORDER: &'static [&'static str];

    /// Columns that few values have many rows of: a dictionary of them takes less room than deltas.
    const DICTIONARIES: &'static [&'static str];

    /// Columns that move little but for jumps, from taxi to taxi: deltas would all be as wide as these are, so that the
    /// first bytes of all values stand together, then the second ones, and so on.
    const SPLIT: &'static [&'static str] = &[];

    /// Columns whose values stand still or repeat what was before: they are left as they are, for zstd to find.
    const PLAIN: &'static [&'static str] = &[];

    /// The column by which rows are looked for one by one, if by any.
    const LOOKED_FOR: Option<&'static str>;

    /// Its columns.
    fn schema() -> SchemaRef;

    /// The digest of archived rows. O(rows).
    fn digest_of(batch: &RecordBatch) -> Result<Digest, BadColumn>;
}

/// Rows that are the entries of a log.
pub trait Logged: Rows {
    /// What the log is a log of.
    type Entry: log::Entry;

    /// The batch of some entries of one partition, in their order, and of what is known of them. O(entries).
    fn encode(
        partition: Partition,
        entries: &[Placed<Self::Entry>],
        known: Known<'_>,
    ) -> Result<RecordBatch, ArrowError>;

    /// The digest of entries of a partition of the log, as they are there.
    fn digest_of_log(partition: Partition, entries: &[Placed<Self::Entry>]) -> Digest;
}

/// An entry of a log, with its place there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed<E> {
    /// The offset of its record.
    pub offset: Offset,
    /// Its place in the record.
    pub row: u32,
    /// What it is.
    pub entry: E,
}

/// What is asked of the registry and the map while entries become rows.
pub struct Known<'a> {
    /// Where points lie.
    pub places: &'a mut Places,
    /// Taxis.
    pub registry: &'a dyn Registry,
}

/// The entries of a record, each with its place.
pub fn placed<E: log::Entry>(record: log::Record<E>) -> impl Iterator<Item = Placed<E>> {
    let offset = record.offset;
    (0..).zip(record.entries).map(move |(row, entry)| Placed { offset, row, entry })
}

/// A column of numbers.
pub(crate) fn column<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &'static str,
) -> Result<&'a PrimitiveArray<T>, BadColumn> {
    let column = batch.column_by_name(name).and_then(|array| array.as_any().downcast_ref());
    column.ok_or(BadColumn(name))
}

/// A column of texts of which there are few.
pub(crate) fn words<'a>(
    batch: &'a RecordBatch,
    name: &'static str,
) -> Result<TypedDictionaryArray<'a, Int32Type, StringArray>, BadColumn> {
    let column = batch.column_by_name(name).and_then(|array| array.as_dictionary_opt::<Int32Type>());
    column.and_then(DictionaryArray::downcast_dict).ok_or(BadColumn(name))
}

/// A column is missing, or of another type than the schema says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {0} is missing or not what the archive's schema says")]
pub struct BadColumn(pub &'static str);
