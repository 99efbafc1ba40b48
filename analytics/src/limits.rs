//! Every limit of this crate, and how they relate.

use ingest::limits::MAX_RECORD_ROWS;

/// Objects that are removed by one request.
pub const REMOVED_AT_ONCE: usize = 1_000;

/// Squares of about 50 m of which it is remembered in which town and cell they lie: 30 MB.
pub const SQUARES_REMEMBERED: usize = 1 << 19;

/// Rows of a recent file: about 5 MB of Parquet.
pub const RECENT_ROWS: usize = 1 << 19;

/// Rows that wait to be archived, over all partitions: 75 MB. Beyond, the partition with most of them is archived.
pub const WAITING_ROWS: usize = 1 << 20;

/// Rows of a part of a day: about 32 MB of Parquet, which is held in memory until it is whole.
pub const PART_ROWS: usize = 1 << 22;

/// Rows of a row group, of which statistics and a bloom filter tell whether it has to be read.
pub const ROW_GROUP_ROWS: usize = 1 << 19;

/// Rows of a page, the least that a reader decompresses.
pub const PAGE_ROWS: usize = 1 << 14;

/// Memory in which a day is sorted, in bytes; what does not fit goes to disk.
pub const SORT_BYTES: usize = 256 << 20;

/// For how long a file stays that another has replaced, in milliseconds, so that who found it before can read it to the
/// end: longer than a query may take.
pub const GRACE_MS: i64 = 25 * 3_600_000;

/// How long after it was replaced a file may still be there, in milliseconds: its time of grace, and until the archiver
/// comes round, which may have a day to sort first.
pub const REPLACED_LEFT_MS: i64 = GRACE_MS + 3 * 3_600_000;

/// Bytes at the end of a file that are read at first to learn what it holds.
pub const FOOTER_BYTES: u64 = 64 << 10;

const _: () = assert!(RECENT_ROWS <= WAITING_ROWS, "a file may be filled");
const _: () = assert!(MAX_RECORD_ROWS <= RECENT_ROWS, "a record fits a file");
const _: () = assert!(RECENT_ROWS <= PART_ROWS && ROW_GROUP_ROWS <= PART_ROWS);
const _: () = assert!(PAGE_ROWS <= ROW_GROUP_ROWS, "a row group has whole pages");

/// Bytes of a query.
pub const SQL_MAX_BYTES: usize = 16 << 10;
/// Words and signs of a query: an expression of so many is planned within a second.
pub const SQL_MAX_TOKENS: usize = 1_000;
/// Bytes of one of them: a text of a query may stand in each row of a batch.
pub const SQL_MAX_WORD_BYTES: usize = 1 << 10;
/// How often a query of a `WITH` may be planned.
pub const SQL_MAX_REPEATS: u64 = 1_000;
/// Rows of a batch of an analyst's query: what it computes of one is neither counted as memory nor interrupted.
pub const ANALYST_BATCH_ROWS: usize = 1 << 10;
/// Stack of a thread that plans queries and runs them, of which pages are taken as they are needed.
pub const STACK_BYTES: usize = 128 << 20;
/// Batches of an answer that wait for whoever reads them.
pub const BATCHES_AHEAD: usize = 2;
/// Bytes of a row of an answer.
pub const ANSWER_ROW_BYTES: usize = 1 << 20;
/// Bytes of an answer's rows that are written down at a time.
pub const ANSWER_PIECE_BYTES: usize = 4 << 20;
/// Days that a report may span.
pub const REPORT_DAYS_MAX: i32 = 366;
/// Rows of a Parquet file's row group in an answer.
pub const ANSWER_GROUP_ROWS: usize = 64 << 10;

/// How many contribute to a figure that analysts are shown, at least: taxis, searches or hails. Reports say by which
/// rule, and taxis of an operator that has fewer ADS, or fewer of a town, are not told by it.
pub const FEWEST_SHOWN: u32 = 5;

/// Pairs of cell and vehicle of which a month is published by cell: 500 MB meanwhile. Of more, coarser cells are; where
/// the coarsest are more, the month is not.
pub const PRESENCES_MAX: usize = 2_000_000;

/// Files of which it is remembered from when and until when their rows are: 30 MB.
pub const TIMES_REMEMBERED: usize = 1 << 18;
/// Footers that are read at a time to learn it.
pub const FOOTERS_AT_ONCE: usize = 16;

const _: () = assert!(SQL_MAX_WORD_BYTES <= SQL_MAX_BYTES && ANSWER_ROW_BYTES <= ANSWER_PIECE_BYTES);
const _: () = assert!(SQL_MAX_BYTES <= ANSWER_ROW_BYTES, "a row may have what its query says");
