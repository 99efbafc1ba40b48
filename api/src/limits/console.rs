//! Limits of the console.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{REQUEST_WITHIN, TRACKS_EVERY};
use crate::hail::Status;
use crate::store::activity::ACTIVITY_LISTED_MAX;
use crate::store::hails::tracks::SLOT_MS;

/// How long a session lasts from its login, whatever happens in it.
pub const SESSION_LASTS: Duration = Duration::from_hours(12);
/// Sessions of one account; at one more the oldest ends.
pub const SESSIONS_AN_ACCOUNT: i64 = 20;
/// How long figures are told as they were read, and how long while others are read: those on the home page, which are
/// of months.
pub const FIGURES_STAND: (Duration, Duration) = (Duration::from_mins(10), Duration::from_hours(1));
/// Figures of now, and maps of them.
pub const FIGURES_OF_NOW_STAND: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(10));
/// How long an operator's server may take to answer a call that tries it.
pub const TRIAL_WITHIN: Duration = Duration::from_secs(5);
/// Such calls at a time; one more is answered 503.
pub const TRIALS_MAX: usize = 8;
/// Calls of an operator's server that a hail's page shows; nearly all hails have one.
pub const CALLS_SHOWN: i64 = 100;
/// Places of its taxi that a hail's page shows: those of one that lasts as long as any may.
pub const TRACK_POSITIONS_MAX: i64 = 1_000;
/// Rows of a list that is downloaded as CSV, the newest; a narrower search reaches the others.
pub const CSV_ROWS_MAX: i64 = 10_000;
/// Sessions of customers in such a file, each with its hails.
pub const CSV_SESSIONS_MAX: i64 = 1_000;
/// Rows that are counted and turned over in lists of what happened; a narrower search reaches the others.
pub const LISTED_MAX: i64 = 10_000;
/// Rows of the archive that a page shows; a file has all of them.
pub const ROWS_SHOWN: usize = 500;
/// Rows of a table that is drawn, too.
pub const CHART_BARS_MAX: usize = 200;
/// Lines or kinds of bars of a chart.
pub const CHART_SERIES_MAX: usize = 12;
/// Cells of a map that are drawn, those with most in them first: the same that are in the table beside it.
pub const CELLS_DRAWN: usize = ROWS_SHOWN;
/// Reports of acceptance runs that are kept of an account, the latest.
pub const CERTIFICATIONS_AN_ACCOUNT: i64 = 50;
/// For how long the accounts of an acceptance run are its own, unless its process says again that they are.
pub const CERTIFICATION_LEASE: Duration = Duration::from_mins(1);
/// Acceptance runs that go on in a process; one more is answered 503.
pub const CERTIFICATIONS_AT_ONCE: usize = 16;
/// Between two looks of one at what its partner does: they are taken out of the partner's own bucket of requests.
pub const CERTIFICATION_LOOKS_EVERY: Duration = Duration::from_millis(500);
/// How long one waits at most for each answer of a server.
pub const CERTIFICATION_ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// The largest answer that one reads within the process: a page of hails is a hundredth.
pub const CERTIFICATION_ANSWER_MAX_BYTES: usize = 4 << 20;
/// How often one repeats a request that came too early for its account's bucket.
pub const CERTIFICATION_ASKS_AGAIN: usize = 20;
/// How long it waits before that at most, whatever it is told.
pub const CERTIFICATION_WAITS: Duration = Duration::from_secs(10);
/// Pages of hails that one looks through for those of its app.
pub const CERTIFICATION_PAGES: usize = 20;
/// How patient one may be with its partner, in seconds.
pub const CERTIFICATION_PATIENCE_S: RangeInclusive<u64> = 5..=1_800;
/// How many positions one may watch before its first hail.
pub const CERTIFICATION_POSITIONS: RangeInclusive<u64> = 2..=100;
// Simulators
/// The largest answer of the API that one reads: a page of a list is a hundredth.
pub const SIMULATED_ANSWER_MAX_BYTES: usize = 4 << 20;
/// Hails whose details a simulator asks for each time, the newest that have not ended.
pub const SIMULATED_HAILS_FOLLOWED: usize = 5;
/// How often one looks whether a position that was taken is shown, before it shows what there is.
pub const SIMULATED_POSITION_LOOKS: usize = 5;
/// After the first of these looks; it is twice as long after each.
pub const SIMULATED_POSITION_PAUSE: Duration = Duration::from_millis(50);
// Imports
/// Imports whose reports are kept, the newest.
pub const IMPORTS_KEPT: i64 = 200;
/// Refused rows that are kept of one, the first, and as many that were imported otherwise than they were written.
pub const IMPORT_REMARKS_KEPT: usize = 1_000;
/// Characters of a remark, a file's path or an error that are kept: a wrong value may be the whole file.
pub const IMPORT_TEXT_CHARS: usize = 500;

const _: () =
    assert!(TRIAL_WITHIN.as_secs() < REQUEST_WITHIN.as_secs(), "whoever tries hears what came of it");
const _: () = assert!(LISTED_MAX == ACTIVITY_LISTED_MAX, "lists say alike that there are more");
const _: () =
    assert!(CSV_SESSIONS_MAX <= CSV_ROWS_MAX && CSV_ROWS_MAX <= LISTED_MAX, "files have what is listed");
const _: () = {
    let (mut lasts_s, mut i) = (0, 0);
    while i < Status::ALL.len() {
        if let Some(lasts) = Status::ALL[i].lasts() {
            lasts_s += lasts.as_secs();
        }
        i += 1;
    }
    let slot_s = SLOT_MS.unsigned_abs() / 1_000;
    assert!(lasts_s / slot_s + 2 <= TRACK_POSITIONS_MAX.unsigned_abs(), "a hail's whole track is shown");
    assert!(TRACKS_EVERY.as_secs() * 2 <= slot_s, "a position is found for each place in it");
};
const _: () = assert!(CHART_BARS_MAX <= ROWS_SHOWN, "what is drawn is in the table beside it");
const _: () = assert!(IMPORTS_KEPT <= CSV_ROWS_MAX, "a file of them has all");
