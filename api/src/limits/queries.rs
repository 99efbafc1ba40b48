//! Limits of queries of the archive.

use std::time::Duration;

use analytics::limits::{GRACE_MS, SQL_MAX_BYTES};

use super::{BODY_MAX_BYTES, REQUEST_WITHIN};

/// Rows of the answer to a query of the archive.
pub const QUERY_ROWS_MAX: u64 = 1_000_000;
/// Bytes of such an answer that are held until the first are sent: what fails before is an answer of its own.
pub const ANSWER_HELD_BYTES: usize = 1 << 20;
/// Queries of the archive under way; one more is answered 503.
pub const QUERIES_AT_ONCE: usize = 2;
/// Memory in which one of them groups, joins and sorts.
pub const QUERY_MEMORY_BYTES: usize = 512 << 20;
/// What all of them may put aside into temporary files.
pub const QUERY_SPILL_BYTES: u64 = 2 << 30;
/// How long a query of the archive may take, until its last row is read.
pub const QUERY_WITHIN: Duration = Duration::from_secs(40);
/// How long a query of `maraude sql` may take.
pub const OWN_QUERY_WITHIN: Duration = Duration::from_hours(24);
/// How long what the registry knows is told to queries, and read for none of them.
pub const DIMENSIONS_FRESH: Duration = Duration::from_mins(1);
/// How long it is told to a query while it is read anew.
pub const DIMENSIONS_STAND: Duration = Duration::from_mins(10);

const _: () = {
    let (longest, grace) = (OWN_QUERY_WITHIN.as_millis(), GRACE_MS.unsigned_abs());
    assert!(longest < grace as u128, "a query reads its files to the end");
};
const _: () = assert!(QUERY_WITHIN.as_secs() < REQUEST_WITHIN.as_secs(), "a query that is too long hears so");
const _: () = assert!(SQL_MAX_BYTES * 2 <= BODY_MAX_BYTES, "a query fits a body");
