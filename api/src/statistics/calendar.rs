//! Instants and windows of figures. Everything is UTC.

use std::ops::Range;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveTime, Utc};
use ingest::clock::Millis;

pub use engine::heard::HOUR_MS;

/// From when on figures since the decree count: 2022-01-01T00:00:00.
pub const THRESHOLD: Millis = Millis(1_640_995_200_000);

/// A day in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// How many months ago the milestones are.
const MILESTONES: [u32; 4] = [0, 3, 6, 12];

/// The milestones as of now: today, three, six and twelve months ago, at this time of day. A day that a month lacks
/// is its last.
pub fn milestones(now: Millis) -> [Millis; 4] {
    let now = utc(now);
    MILESTONES.map(|months| {
        let then = now.checked_sub_months(Months::new(months)).unwrap_or(now);
        Millis(then.timestamp_millis())
    })
}

/// The date of an instant.
pub fn date(at: Millis) -> NaiveDate {
    utc(at).date_naive()
}

/// When a date begins.
pub fn begin(date: NaiveDate) -> Millis {
    Millis(date.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
}

/// When the day of an instant begins.
pub fn day(at: Millis) -> Millis {
    Millis(at.0 - at.0.rem_euclid(DAY_MS))
}

/// When the hour of an instant begins.
pub fn hour(at: Millis) -> Millis {
    Millis(at.0 - at.0.rem_euclid(HOUR_MS))
}

/// So many months before today, until today: whole days.
pub fn last_months(now: Millis, months: u32) -> Range<Millis> {
    let today = date(now);
    begin(today.checked_sub_months(Months::new(months)).unwrap_or(today))..begin(today)
}

/// The year so many years before this one.
pub fn year(now: Millis, ago: i32) -> Range<Millis> {
    let year = date(now).year() - ago;
    let first = |year| NaiveDate::from_ymd_opt(year, 1, 1).map_or(Millis(0), begin);
    first(year)..first(year + 1)
}

/// The first days of this month and of the twelve before, the oldest first.
pub fn firsts_of_months(now: Millis) -> Vec<NaiveDate> {
    let this = first_of_month(date(now));
    (0..=12).rev().filter_map(|ago| this.checked_sub_months(Months::new(ago))).collect()
}

/// The month that ended last, or the same so many years before.
pub fn last_month(now: Millis, years_ago: u32) -> Range<Millis> {
    let this = first_of_month(date(now));
    let ago = |months| begin(this.checked_sub_months(Months::new(months)).unwrap_or(this));
    ago(1 + 12 * years_ago)..ago(12 * years_ago)
}

/// The month of a date.
pub fn first_of_month(date: NaiveDate) -> NaiveDate {
    date.with_day(1).unwrap_or(date)
}

/// The week of a date: its Monday.
pub fn monday(date: NaiveDate) -> NaiveDate {
    let past = u64::from(date.weekday().num_days_from_monday());
    date.checked_sub_days(Days::new(past)).unwrap_or(date)
}

fn utc(at: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::instant::instant;

    fn at(text: &str) -> Millis {
        instant(text).unwrap()
    }

    #[test]
    fn each_milestone_is_clipped_alone() {
        assert_eq!(
            milestones(at("2026-03-18T10:30:00")),
            ["2026-03-18T10:30:00", "2025-12-18T10:30:00", "2025-09-18T10:30:00", "2025-03-18T10:30:00"]
                .map(at)
        );
        assert_eq!(
            milestones(at("2026-11-30T00:00:01")),
            ["2026-11-30T00:00:01", "2026-08-30T00:00:01", "2026-05-30T00:00:01", "2025-11-30T00:00:01"]
                .map(at)
        );
        let may = milestones(at("2028-05-31"));
        assert_eq!(may, ["2028-05-31", "2028-02-29", "2027-11-30", "2027-05-31"].map(at));
        assert_eq!(milestones(at("2028-02-29"))[3], at("2027-02-28"));
    }

    #[test]
    fn windows_are_whole_days_months_and_years() {
        let now = at("2026-03-18T10:30:00");
        assert_eq!(last_months(now, 3), at("2025-12-18")..at("2026-03-18"));
        assert_eq!(last_months(at("2026-05-31T23:59:59"), 3), at("2026-02-28")..at("2026-05-31"));
        assert_eq!(year(now, 0), at("2026-01-01")..at("2027-01-01"));
        assert_eq!(year(now, 1), at("2025-01-01")..at("2026-01-01"));
        assert_eq!(last_month(now, 0), at("2026-02-01")..at("2026-03-01"));
        assert_eq!(last_month(now, 1), at("2025-02-01")..at("2025-03-01"));
        assert_eq!(last_month(at("2026-01-01"), 0), at("2025-12-01")..at("2026-01-01"));
        assert_eq!((day(now), hour(now)), (at("2026-03-18"), at("2026-03-18T10:00:00")));
    }

    #[test]
    fn weeks_begin_on_mondays_and_thirteen_months_on_their_firsts() {
        let date_of = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert_eq!(monday(date_of("2026-02-04")), date_of("2026-02-02"));
        assert_eq!(monday(date_of("2026-02-02")), date_of("2026-02-02"));
        assert_eq!(monday(date_of("2026-02-01")), date_of("2026-01-26"));
        let firsts = firsts_of_months(at("2026-03-31T10:30:00"));
        assert_eq!((firsts.len(), firsts[0], firsts[12]), (13, date_of("2025-03-01"), date_of("2026-03-01")));
    }
}
