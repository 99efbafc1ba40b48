//! How many rows are read and written at a time, so that memory stays small and others have their turn; and what is
//! done once a day.

use std::time::Duration;

use super::{PARAMETERS_MAX, STATEMENT_WITHIN};

/// Taxis, their numbers or ADS that one statement of a full reading reads: memory, and the time of a statement, stay
/// small whatever the registry's size.
pub const TAXIS_A_READING: i32 = 5_000;
/// Last positions in one statement: six parameters each.
pub const POSITIONS_A_STATEMENT: usize = 500;
/// Last positions in one transaction, between which other writes have their turn.
pub const POSITIONS_A_TRANSACTION: usize = 1_000;
/// Rows of what was refused in one transaction, two statements each; they wait in memory until it commits.
pub const REFUSALS_A_TRANSACTION: usize = 100;
/// Rows of what was refused, of about 5 KB, that are read and added up at a time.
pub const REFUSALS_A_PAGE: i64 = 200;

/// How often it is looked whether something is due that is done once a day.
pub const DAILY_EVERY: Duration = Duration::from_secs(1);
/// How long what is done once a day waits for its next try, where it failed.
pub const DAILY_AGAIN: Duration = Duration::from_mins(1);
/// How long a process has what is done once a day for itself; each step of it renews that.
pub const DAILY_LEASE: Duration = Duration::from_mins(2);
/// Hails that are copied in one transaction: thirty parameters each.
pub const COPIES_A_TRANSACTION: i64 = 500;
/// Copies of hails, of about 300 bytes, that are read at a time to be archived.
pub const ARCHIVED_COPIES_A_PAGE: i64 = 5_000;
/// Taxis that were heard in one statement, and in one transaction.
pub const HEARD_A_STATEMENT: usize = 1_000;
/// Taxis that were heard in an hour that is counted, and are forgotten in one transaction.
pub const HEARD_FORGOTTEN: i64 = 10_000;
/// Positions that are blurred in one transaction.
pub const BLURRED_A_TRANSACTION: usize = 500;
/// Hails that are: with each go the positions of its taxi, one for ten seconds.
pub const HAILS_BLURRED_A_TRANSACTION: usize = 50;
/// Places of hails' taxis that are written in one transaction, which keeps the hails from who would change them.
pub const TRACKED_A_TRANSACTION: usize = 500;
/// Rows that are deleted in one transaction because they are too old.
pub const DELETED_A_TRANSACTION: i64 = 500;

const _: () = assert!(COPIES_A_TRANSACTION.unsigned_abs() * 30 <= PARAMETERS_MAX as u64);
const _: () =
    assert!(STATEMENT_WITHIN.as_secs() * 2 <= DAILY_LEASE.as_secs(), "a step ends before its lease does");
const _: () = assert!(HAILS_BLURRED_A_TRANSACTION * 2 <= PARAMETERS_MAX, "a hail is named twice");
const _: () = assert!(TRACKED_A_TRANSACTION <= PARAMETERS_MAX);
const _: () = assert!(POSITIONS_A_STATEMENT * 6 <= PARAMETERS_MAX);
const _: () = assert!(POSITIONS_A_STATEMENT <= POSITIONS_A_TRANSACTION);
