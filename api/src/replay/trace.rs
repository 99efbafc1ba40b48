//! Reading a trace: CSV with the columns `taxi_id`, `unix_ts`, `lat` and `lon`, in any order and among others.
//!
//! A row that cannot be sent is refused with its number, its field and the reason; the others are sorted by time.
//! The whole trace is held in memory: 24 bytes a row, within the limits named here.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use csv::{ByteRecord, ReaderBuilder, Trim};
use ingest::position::{LatLon, OutOfRange};
use thiserror::Error;

use crate::limits::TEXT_MAX_BYTES;

/// Rows of a trace: 240 MB of memory.
pub const ROWS_MAX: u32 = 10_000_000;
/// Taxis of a trace.
pub const TAXIS_MAX: usize = 100_000;
/// Bytes of a taxi's id.
pub const TAXI_ID_MAX_BYTES: usize = 64;
/// Refused rows of which number, field and reason are kept; the others are counted.
pub const EXAMPLES_MAX: usize = 20;
/// The last second that a row may name: the year 9999 ends with it.
pub const UNIX_TS_MAX: f64 = 253_402_300_799.0;

/// The columns that are read.
const COLUMNS: [&str; 4] = ["taxi_id", "unix_ts", "lat", "lon"];

/// Why a file is no trace.
#[derive(Debug, Error)]
pub enum TraceError {
    /// A column is missing.
    #[error(
        "the header names no column {column}; it must name taxi_id, unix_ts, lat and lon, and names: {given}"
    )]
    MissingColumn {
        /// Which one.
        column: &'static str,
        /// Those there are.
        given: String,
    },
    /// It cannot be read on.
    #[error("after row {row}: {reason}")]
    Unreadable {
        /// The last row that was read.
        row: u32,
        /// Why.
        reason: String,
    },
    /// It is too large.
    #[error("the trace has more than {limit} {what}: cut it into parts")]
    TooLarge {
        /// Of what there are too many.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
}

/// A trace, ready to be sent.
#[derive(Debug, Default)]
pub struct Trace {
    /// The taxis that have positions to be sent, as the file names them.
    pub taxis: Vec<Box<str>>,
    /// Their positions in the order of time.
    pub fixes: Vec<Fix>,
    /// How many rows there were.
    pub read: u64,
    /// How many of them are past the last hour asked for.
    pub past_limit: u64,
    /// Those that cannot be sent.
    pub refused: RefusedRows,
}

/// A position of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fix {
    /// When, in seconds since 1970.
    pub at_s: i64,
    /// Where.
    pub at: LatLon,
    /// Whose: an index into [`Trace::taxis`].
    pub taxi: u32,
    row: u32,
}

/// Rows that cannot be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RefusedRows {
    /// How many, by field and reason.
    pub by_reason: BTreeMap<(&'static str, &'static str), u64>,
    /// Up to [`EXAMPLES_MAX`] of them.
    pub examples: Vec<RefusedRow>,
}

/// A row that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// Its number: the row after the header is the first.
    pub row: u32,
    /// The field that is wrong.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl RefusedRows {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.by_reason.values().sum()
    }

    fn add(&mut self, row: u32, (field, reason): Wrong) {
        *self.by_reason.entry((field, reason)).or_default() += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(RefusedRow { row, field, reason });
        }
    }
}

/// How large a trace may be.
#[derive(Clone, Copy, Debug)]
struct Limits {
    rows: u32,
    text_bytes: u64,
    taxis: usize,
}

const LIMITS: Limits = Limits { rows: ROWS_MAX, text_bytes: TEXT_MAX_BYTES, taxis: TAXIS_MAX };

/// Reads a trace; with `hours`, what is so long after its first position is left out.
pub fn read(text: impl Read, hours: Option<f64>) -> Result<Trace, TraceError> {
    read_within(LIMITS, text, hours)
}

fn read_within(limits: Limits, text: impl Read, hours: Option<f64>) -> Result<Trace, TraceError> {
    // One byte more than is allowed, to tell a text that has too many.
    let text = text.take(limits.text_bytes + 1);
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(text);
    let mut gathered = Gathered { taxis_max: limits.taxis, ..Gathered::default() };
    let columns = find_columns(reader.byte_headers().map_err(|error| unreadable(0, &error))?)?;
    let mut record = ByteRecord::new();
    let mut row = 0;
    while reader.read_byte_record(&mut record).map_err(|error| unreadable(row, &error))? {
        if row == limits.rows {
            return Err(TraceError::TooLarge { what: "rows", limit: u64::from(limits.rows) });
        }
        row += 1;
        gathered.take(row, &record, columns)?;
    }
    if reader.get_ref().limit() == 0 {
        return Err(TraceError::TooLarge { what: "bytes", limit: limits.text_bytes });
    }
    Ok(gathered.finish(row, hours))
}

/// A field and what is wrong with it.
type Wrong = (&'static str, &'static str);

/// Where the four columns are.
type Columns = [usize; 4];

#[derive(Default)]
struct Gathered {
    taxis_max: usize,
    numbers: HashMap<Box<str>, u32>,
    taxis: Vec<Box<str>>,
    fixes: Vec<Fix>,
    refused: RefusedRows,
}

impl Gathered {
    fn take(&mut self, row: u32, record: &ByteRecord, columns: Columns) -> Result<(), TraceError> {
        match understand(record, columns) {
            Ok((taxi, at_s, at)) => {
                let taxi = self.number(taxi)?;
                self.fixes.push(Fix { at_s, at, taxi, row });
            }
            Err(wrong) => self.refused.add(row, wrong),
        }
        Ok(())
    }

    fn number(&mut self, taxi: &str) -> Result<u32, TraceError> {
        if let Some(number) = self.numbers.get(taxi) {
            return Ok(*number);
        }
        let number = u32::try_from(self.taxis.len()).ok().filter(|_| self.taxis.len() < self.taxis_max);
        let too_many = || TraceError::TooLarge { what: "taxis", limit: self.taxis_max as u64 };
        let number = number.ok_or_else(too_many)?;
        self.numbers.insert(taxi.into(), number);
        self.taxis.push(taxi.into());
        Ok(number)
    }

    /// Sorted, each taxi at most once a second, up to the last hour; and only the taxis that are left.
    fn finish(mut self, read: u32, hours: Option<f64>) -> Trace {
        self.fixes.sort_unstable_by_key(|fix| (fix.at_s, fix.taxi, fix.row));
        self.fixes.dedup_by(|later, earlier| {
            let repeats = (later.at_s, later.taxi) == (earlier.at_s, earlier.taxi);
            if repeats {
                self.refused.add(later.row, ("unix_ts", "repeats an earlier row of this taxi and second"));
            }
            repeats
        });
        let all = self.fixes.len();
        if let (Some(hours), Some(first)) = (hours, self.fixes.first()) {
            let first_s = first.at_s;
            #[expect(clippy::cast_precision_loss, reason = "seconds of a trace, far below 2^53")]
            let is_within = |fix: &Fix| ((fix.at_s - first_s) as f64) < hours * 3600.0;
            self.fixes.truncate(self.fixes.partition_point(is_within));
        }
        let past_limit = (all - self.fixes.len()) as u64;
        Trace {
            taxis: number_again(&mut self.fixes, self.taxis),
            fixes: self.fixes,
            read: u64::from(read),
            past_limit,
            refused: self.refused,
        }
    }
}

/// Leaves out the taxis without a position.
fn number_again(fixes: &mut [Fix], taxis: Vec<Box<str>>) -> Vec<Box<str>> {
    let mut numbers: Vec<Option<u32>> = vec![None; taxis.len()];
    let mut named: Vec<Option<Box<str>>> = taxis.into_iter().map(Some).collect();
    let mut left = Vec::new();
    for fix in fixes {
        let old = fix.taxi as usize;
        fix.taxi = *numbers[old].get_or_insert_with(|| {
            left.extend(named[old].take());
            u32::try_from(left.len() - 1).unwrap_or(u32::MAX)
        });
    }
    left
}

fn find_columns(header: &ByteRecord) -> Result<Columns, TraceError> {
    // A byte order mark before the first name is no part of it.
    let name = |field: &[u8]| String::from_utf8_lossy(field).trim_start_matches('\u{feff}').to_owned();
    let names: Vec<_> = header.iter().map(name).collect();
    let mut columns = [0; 4];
    for (at, column) in columns.iter_mut().zip(COLUMNS) {
        let found = names.iter().position(|name| name == column);
        let given = || names.join(", ").chars().take(200).collect();
        *at = found.ok_or_else(|| TraceError::MissingColumn { column, given: given() })?;
    }
    Ok(columns)
}

fn understand(record: &ByteRecord, columns: Columns) -> Result<(&str, i64, LatLon), Wrong> {
    let [taxi, time, lat, lon] = columns;
    let taxi = text(record, taxi, "taxi_id")?;
    if taxi.len() > TAXI_ID_MAX_BYTES {
        return Err(("taxi_id", "is longer than 64 bytes"));
    }
    let at_s = number(record, time, "unix_ts")?;
    if !(0.0..UNIX_TS_MAX + 1.0).contains(&at_s) {
        return Err(("unix_ts", "is not between 1970 and 9999"));
    }
    let (lat, lon) = (number(record, lat, "lat")?, number(record, lon, "lon")?);
    let at = LatLon::reportable(lat, lon).map_err(|out| match out {
        OutOfRange::Lat => ("lat", "is out of range (-85.05112878 to 85.05112878)"),
        OutOfRange::Lon => ("lon", "is out of range (-180 to 180)"),
    })?;
    #[expect(clippy::cast_possible_truncation, reason = "its integer part, which an i64 holds")]
    Ok((taxi, at_s as i64, at))
}

fn text<'a>(record: &'a ByteRecord, column: usize, field: &'static str) -> Result<&'a str, Wrong> {
    let bytes = record.get(column).filter(|bytes| !bytes.is_empty()).ok_or((field, "is missing"))?;
    std::str::from_utf8(bytes).map_err(|_| (field, "is not UTF-8"))
}

fn number(record: &ByteRecord, column: usize, field: &'static str) -> Result<f64, Wrong> {
    let number = text(record, column, field)?.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or((field, "is not a number"))
}

fn unreadable(row: u32, error: &csv::Error) -> TraceError {
    TraceError::Unreadable { row, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(trace: &Trace) -> Vec<(&str, i64, f64)> {
        trace.fixes.iter().map(|fix| (&*trace.taxis[fix.taxi as usize], fix.at_s, fix.at.lat())).collect()
    }

    #[test]
    fn columns_go_by_their_names_and_rows_by_their_time() {
        let text = "\u{feff}occupied,lon,unix_ts, lat ,taxi_id,unix_ts_2\n\
                    1,-8.6,30,41.3,b,x\n0,-8.6,10.9,41.1,a,x\n0,-8.6,20,41.2,b,x\n\"1\",-8.6,\"10\",41.4,b,x\n";
        let trace = read(text.as_bytes(), None).unwrap();
        assert_eq!(rows(&trace), [("b", 10, 41.4), ("a", 10, 41.1), ("b", 20, 41.2), ("b", 30, 41.3)]);
        assert_eq!((trace.read, trace.past_limit, trace.refused.count()), (4, 0, 0));
    }

    #[test]
    fn what_cannot_be_sent_is_told_by_row_field_and_reason() {
        let cases: [(&[u8], Wrong); 15] = [
            (b",1,41,-8", ("taxi_id", "is missing")),
            (b"\xff,1,41,-8", ("taxi_id", "is not UTF-8")),
            (b"a", ("unix_ts", "is missing")),
            (b"a,,41,-8", ("unix_ts", "is missing")),
            (b"a,NaN,41,-8", ("unix_ts", "is not a number")),
            (b"a,1,inf,-8", ("lat", "is not a number")),
            (b"a,1,41,8W", ("lon", "is not a number")),
            (b"a,-1,41,-8", ("unix_ts", "is not between 1970 and 9999")),
            (b"a,253402300800,41,-8", ("unix_ts", "is not between 1970 and 9999")),
            (b"a,1,41", ("lon", "is missing")),
            (b"a,1,85.06,-8", ("lat", "is out of range (-85.05112878 to 85.05112878)")),
            (b"a,1,41,-180.1", ("lon", "is out of range (-180 to 180)")),
            (b"a,1,NaN,-8", ("lat", "is not a number")),
            (b"a,1e400,41,-8", ("unix_ts", "is not a number")),
            (b"a,7.9,41,-8", ("unix_ts", "repeats an earlier row of this taxi and second")),
        ];
        let mut text = b"taxi_id,unix_ts,lat,lon\na,7,41,-8\n".to_vec();
        for (row, _) in cases {
            text.extend(row);
            text.push(b'\n');
        }
        text.extend(format!("{},8,41,-8\n{},8,41,-8\n", "x".repeat(64), "x".repeat(65)).bytes());
        let trace = read(&text[..], None).unwrap();
        let mut wrong: Vec<_> = trace.refused.examples.iter().map(|e| (e.row, (e.field, e.reason))).collect();
        wrong.sort_unstable();
        let mut expected: Vec<_> = (2..).zip(cases.map(|(_, wrong)| wrong)).collect();
        expected.push((18, ("taxi_id", "is longer than 64 bytes")));
        assert_eq!(wrong, expected);
        assert_eq!((trace.read, trace.fixes.len(), trace.refused.count()), (18, 2, 16));
    }

    #[test]
    fn the_year_9999_is_the_last() {
        let trace = read("taxi_id,unix_ts,lat,lon\na,253402300799.9,41,-8\n".as_bytes(), None).unwrap();
        assert_eq!(trace.fixes[0].at_s, 253_402_300_799);
    }

    #[test]
    fn examples_are_bounded_and_counts_are_not() {
        let text = format!("taxi_id,unix_ts,lat,lon\n{}", "a,x,1,1\n".repeat(EXAMPLES_MAX + 5));
        let trace = read(text.as_bytes(), None).unwrap();
        assert_eq!(trace.refused.examples.len(), EXAMPLES_MAX);
        assert_eq!(trace.refused.count(), EXAMPLES_MAX as u64 + 5);
    }

    #[test]
    fn hours_count_from_the_first_position_and_leave_taxis_out() {
        let text = "taxi_id,unix_ts,lat,lon\nlate,4600,41,-8\na,4599,41,-8\nb,1000,41,-8\n";
        let trace = read(text.as_bytes(), Some(1.0)).unwrap();
        assert_eq!(rows(&trace), [("b", 1000, 41.0), ("a", 4599, 41.0)]);
        assert_eq!(trace.past_limit, 1);
        assert_eq!(trace.taxis, ["b".into(), "a".into()]);
    }

    #[test]
    fn a_file_that_is_no_trace_says_why() {
        let error = read("taxi,unix_ts,lat,lon\n".as_bytes(), None).unwrap_err().to_string();
        assert!(error.contains("no column taxi_id") && error.contains("taxi, unix_ts"), "{error}");
        assert!(read(&b""[..], None).is_err());
        let header = "taxi_id,unix_ts,lat,lon\na,1,2,3\n".as_bytes();
        let broken = header.chain(flate2::read::GzDecoder::new(&b"no gzip"[..]));
        let error = read(broken, None).unwrap_err().to_string();
        assert!(error.starts_with("after row 1: "), "{error}");
        let none = read("taxi_id,unix_ts,lat,lon\n".as_bytes(), Some(1.0)).unwrap();
        assert_eq!((none.read, none.fixes.len()), (0, 0));
    }

    #[test]
    fn a_trace_is_as_large_as_the_limits_and_no_larger() {
        let text = "taxi_id,unix_ts,lat,lon\na,1,41,-8\nb,2,41,-8\na,3,41,-8\n";
        let just = Limits { rows: 3, text_bytes: text.len() as u64, taxis: 2 };
        assert_eq!(read_within(just, text.as_bytes(), None).unwrap().fixes.len(), 3);
        for (limits, told) in [
            (Limits { rows: 2, ..just }, "more than 2 rows"),
            (Limits { text_bytes: just.text_bytes - 1, ..just }, "more than 53 bytes"),
            (Limits { taxis: 1, ..just }, "more than 1 taxis"),
        ] {
            let error = read_within(limits, text.as_bytes(), None).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
