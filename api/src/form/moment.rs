//! Moments and days in the forms that partners' clients were always allowed to write.

use std::fmt;
use std::ops::RangeInclusive;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use serde_json::{Value, json};

use super::kind::Kind;
use super::{Field, messages};

/// A date and a time of day, with the offset from UTC with which it was written, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    written: NaiveDateTime,
    offset_min: Option<i32>,
}

impl Moment {
    /// Milliseconds since 1970; without an offset it is in UTC.
    pub fn ms(self) -> i64 {
        self.written.and_utc().timestamp_millis() - i64::from(self.offset_min.unwrap_or(0)) * 60_000
    }
}

impl fmt::Display for Moment {
    /// ISO 8601 as it was given: microseconds where there are some, the offset where there was one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_fraction = self.written.and_utc().timestamp_subsec_micros() != 0;
        let format = if has_fraction { "%Y-%m-%dT%H:%M:%S%.6f" } else { "%Y-%m-%dT%H:%M:%S" };
        write!(f, "{}", self.written.format(format))?;
        let Some(offset) = self.offset_min else { return Ok(()) };
        let sign = if offset < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
    }
}

/// A kind of fields that are a date and a time of day in ISO 8601.
#[derive(Clone, Copy, Debug)]
pub struct DateTime;

impl Kind for DateTime {
    type Read = Moment;

    fn read(&self, value: &Value) -> Field<Moment> {
        value.as_str().and_then(moment).ok_or_else(|| messages("Not a valid datetime."))
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "format": "date-time"})
    }
}

/// A kind of arguments that are a day, `YYYY/MM/DD`; month and day may have one digit.
#[derive(Clone, Copy, Debug)]
pub struct SlashedDay;

impl Kind for SlashedDay {
    type Read = NaiveDate;

    fn read(&self, value: &Value) -> Field<NaiveDate> {
        value.as_str().and_then(slashed_day).ok_or_else(|| messages("Not a valid date."))
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "pattern": "^[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}$"})
    }
}

fn slashed_day(text: &str) -> Option<NaiveDate> {
    let mut rest = Rest(text);
    let day = rest.day('/')?;
    rest.0.is_empty().then_some(day)
}

/// `YYYY-MM-DD` and `HH:MM` with `T` or a space between them, then perhaps `:SS`, a fraction of it of up to twelve
/// digits, and `Z` or an offset.
fn moment(text: &str) -> Option<Moment> {
    let mut rest = Rest(text);
    let day = rest.day('-')?;
    rest.one_of(&['T', ' '])?;
    let hour = rest.number(1..=2)?;
    rest.one_of(&[':'])?;
    let minute = rest.number(1..=2)?;
    let (mut second, mut micros) = (0, 0);
    if rest.one_of(&[':']).is_some() {
        second = rest.number(1..=2)?;
        if rest.one_of(&['.']).is_some() {
            let digits = rest.digits(1..=12)?;
            // What is finer than a microsecond is cut off.
            micros = format!("{digits:0<6}")[..6].parse().ok()?;
        }
    }
    let time = NaiveTime::from_hms_micro_opt(hour, minute, second, micros)?;
    let offset_min = if rest.0.is_empty() { None } else { Some(rest.offset_min()?) };
    rest.0.is_empty().then_some(Moment { written: day.and_time(time), offset_min })
}

/// What is left to be read of a text.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn one_of(&mut self, choices: &[char]) -> Option<char> {
        let first = self.0.chars().next().filter(|first| choices.contains(first))?;
        self.0 = &self.0[first.len_utf8()..];
        Some(first)
    }

    /// As many digits as there are, within a range.
    fn digits(&mut self, count: RangeInclusive<usize>) -> Option<&'a str> {
        let found = self.0.bytes().take(*count.end()).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(found);
        self.0 = rest;
        count.contains(&found).then_some(digits)
    }

    fn number(&mut self, digits: RangeInclusive<usize>) -> Option<u32> {
        self.digits(digits)?.parse().ok()
    }

    fn day(&mut self, between: char) -> Option<NaiveDate> {
        let year = self.number(4..=4)?;
        self.one_of(&[between])?;
        let month = self.number(1..=2)?;
        self.one_of(&[between])?;
        let day = self.number(1..=2)?;
        // Year 0 exists in chrono's calendar, not in the contract's.
        NaiveDate::from_ymd_opt(i32::try_from(year).ok().filter(|year| *year >= 1)?, month, day)
    }

    /// `Z`, `+HH`, `+HHMM` or `+HH:MM`: less than a day.
    fn offset_min(&mut self) -> Option<i32> {
        let sign = match self.one_of(&['Z', '+', '-'])? {
            'Z' => return Some(0),
            '+' => 1,
            _ => -1,
        };
        let hours = self.number(2..=2)?;
        let minutes = match self.one_of(&[':']) {
            None if self.0.is_empty() => 0,
            _ => self.number(2..=2)?,
        };
        let offset = i32::try_from(hours * 60 + minutes).ok().filter(|offset| *offset < 24 * 60)?;
        Some(sign * offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        DateTime.read(&json!(text)).ok().map(|moment| moment.to_string())
    }

    #[test]
    fn moments_are_written_as_they_were_given() {
        for (given, written) in [
            ("2022-02-01T16:42:58.248Z", "2022-02-01T16:42:58.248000+00:00"),
            ("2022-02-01T00:00:00", "2022-02-01T00:00:00"),
            ("2022-02-01 16:42", "2022-02-01T16:42:00"),
            ("2022-2-1T6:4:8", "2022-02-01T06:04:08"),
            ("2022-02-01T16:42:58.000000", "2022-02-01T16:42:58"),
            ("2022-02-01T16:42:58.1234567", "2022-02-01T16:42:58.123456"),
            ("2022-02-01T16:42:58.123456789012+02:00", "2022-02-01T16:42:58.123456+02:00"),
            ("2022-02-01T16:42+0530", "2022-02-01T16:42:00+05:30"),
            ("2022-02-01T16:42:58-08", "2022-02-01T16:42:58-08:00"),
            ("2022-02-01T16:42:58-00:30", "2022-02-01T16:42:58-00:30"),
            ("2022-02-01T16:42:58-00:00", "2022-02-01T16:42:58+00:00"),
            ("2022-02-01T16:42:58+22:99", "2022-02-01T16:42:58+23:39"),
            ("0001-01-01T00:00:00", "0001-01-01T00:00:00"),
        ] {
            assert_eq!(read(given).as_deref(), Some(written), "{given}");
        }
    }

    #[test]
    fn what_is_no_moment_is_told() {
        for given in [
            "",
            "yesterday",
            "2022-02-01",
            "22-02-01T16:42:58",
            "2022-02-30T16:42:58",
            "0000-01-01T00:00:00",
            "2022-02-01t16:42:58",
            "2022-02-01T16",
            "2022-02-01T24:00:00",
            "2022-02-01T16:42:60",
            "2022-02-01T16:42:58.",
            "2022-02-01T16:42:58,5",
            "2022-02-01T16:42.5",
            "2022-02-01T16:42:58.1234567890123",
            "2022-02-01T16:42:58z",
            "2022-02-01T16:42:58 Z",
            "2022-02-01T16:42:58+2",
            "2022-02-01T16:42:58+02:",
            "2022-02-01T16:42:58+02:0",
            "2022-02-01T16:42:58+02:00:00",
            "2022-02-01T16:42:58+24:00",
            " 2022-02-01T16:42:58",
            "20220201T164258",
            "1643733778",
            "2022-02-01T16:4é",
        ] {
            assert_eq!(read(given), None, "{given}");
        }
        for given in [json!(3), json!(1.5), json!(true), json!([]), json!({})] {
            assert_eq!(DateTime.read(&given), Err(json!(["Not a valid datetime."])), "{given}");
        }
    }

    #[test]
    fn a_moment_without_an_offset_is_in_utc() {
        let ms = |text: &str| moment(text).map(Moment::ms);
        assert_eq!(ms("1970-01-01T00:00:01.5"), Some(1_500));
        assert_eq!(ms("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(ms("1969-12-31T23:30:00-00:30"), Some(0));
        assert_eq!(ms("1970-01-01T00:00:00.000999"), Some(0));
    }

    #[test]
    fn days_of_lists_have_slashes() {
        let read = |text: &str| SlashedDay.read(&json!(text));
        assert_eq!(read("1988/12/03"), Ok(NaiveDate::from_ymd_opt(1988, 12, 3).unwrap()));
        assert_eq!(read("1988/2/3"), read("1988/02/03"));
        for given in
            ["1988-12-03", "", "88/12/03", "1988/13/03", "1988/02/30", "1988/12/03/", "1988/12", "0000/01/01"]
        {
            assert_eq!(read(given), Err(json!(["Not a valid date."])), "{given}");
        }
    }
}
