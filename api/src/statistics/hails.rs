//! Figures of hails, from what their copies add up to.

use std::collections::BTreeSet;
use std::ops::Range;

use chrono::{Datelike as _, NaiveDate};
use ingest::clock::Millis;

use super::calendar::{date, first_of_month, monday};
use super::outcome::Outcome;
use super::ratio;
use crate::store::statistics::hails::{Delay, Tally};

/// Which copies are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those that came out so.
    That(Outcome),
}

/// How many copies there are a day, a week and a month, of those that have any.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Busy {
    /// A busy day.
    pub daily: f64,
    /// A week in which one was busy.
    pub weekly: f64,
    /// A month in which one was.
    pub monthly: f64,
}

impl Which {
    fn takes(self, tally: &Tally) -> bool {
        match self {
            Self::All => true,
            Self::That(outcome) => tally.outcome == outcome,
        }
    }
}

/// How many copies there are.
pub fn count<'a>(tallies: impl IntoIterator<Item = &'a Tally>, which: Which) -> i64 {
    taken(tallies, which).map(|tally| tally.copies).sum()
}

/// Their mean distance, cut to whole metres; 0 where none is known.
#[expect(clippy::cast_possible_truncation, reason = "the Earth is 4e7 metres around")]
#[expect(clippy::cast_precision_loss, reason = "2^53 hails are more than there will be")]
pub fn mean_distance_m<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> i64 {
    let (known, together_m) = tallies.into_iter().fold((0, 0.0), |(known, together_m), tally| {
        (known + tally.distances, together_m + tally.distance_m)
    });
    if known == 0 { 0 } else { (together_m / known as f64) as i64 }
}

/// Days within a window.
pub fn within<'a>(days: &'a [Tally], window: &Range<Millis>) -> impl Iterator<Item = &'a Tally> {
    let window = window.start.0..window.end.0;
    days.iter().filter(move |tally| window.contains(&tally.day))
}

/// How many copies each month of a year has, of those that have any: number and count.
pub fn by_month(days: &[Tally], year: &Range<Millis>) -> Vec<[i64; 2]> {
    let mut months = [0; 12];
    for tally in within(days, year) {
        months[date(Millis(tally.day)).month0() as usize] += tally.copies;
    }
    (1..).zip(months).filter(|(_, count)| *count > 0).map(|(month, count)| [month, count]).collect()
}

/// The mean of busy days, weeks and months.
pub fn busy<'a>(days: impl IntoIterator<Item = &'a Tally>, which: Which) -> Busy {
    let (mut copies, mut dates) = (0, BTreeSet::new());
    for tally in taken(days, which).filter(|tally| tally.copies > 0) {
        copies += tally.copies;
        dates.insert(date(Millis(tally.day)));
    }
    let mean = |of: fn(NaiveDate) -> NaiveDate| {
        let busy: BTreeSet<_> = dates.iter().copied().map(of).collect();
        ratio(copies, i64::try_from(busy.len()).unwrap_or(i64::MAX)).unwrap_or(0.0)
    };
    Busy { daily: mean(|date| date), weekly: mean(monday), monthly: mean(first_of_month) }
}

/// A mean delay in seconds, to the microsecond; 0 where there is none.
pub fn mean_s(delay: Delay) -> f64 {
    let took_ms = ratio(delay.took_ms, delay.hails).unwrap_or(0.0);
    (took_ms * 1_000.0).round() / 1_000_000.0
}

fn taken<'a>(tallies: impl IntoIterator<Item = &'a Tally>, which: Which) -> impl Iterator<Item = &'a Tally> {
    tallies.into_iter().filter(move |tally| which.takes(tally))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::instant::instant;

    fn tally(day: &str, outcome: Outcome, copies: i64) -> Tally {
        Tally { day: instant(day).unwrap().0, outcome, copies, distances: 0, distance_m: 0.0 }
    }

    #[test]
    fn empty_days_do_not_weigh_and_weeks_begin_on_mondays() {
        let days = [
            tally("2026-02-01", Outcome::Finished, 2),
            tally("2026-02-02", Outcome::Finished, 1),
            tally("2026-02-02", Outcome::DeclinedByTaxi, 2),
            tally("2026-02-08", Outcome::Finished, 1),
            tally("2026-03-01", Outcome::Failure, 0),
        ];
        // The first is a Sunday, the others of one week.
        let all = Busy { daily: 2.0, weekly: 3.0, monthly: 6.0 };
        assert_eq!(busy(&days, Which::All), all);
        let declined = Busy { daily: 2.0, weekly: 2.0, monthly: 2.0 };
        assert_eq!(busy(&days, Which::That(Outcome::DeclinedByTaxi)), declined);
        assert_eq!(busy(&days, Which::That(Outcome::IncidentTaxi)), Busy::default());
        assert_eq!(count(&days, Which::That(Outcome::Finished)), 4);
    }

    #[test]
    fn months_without_copies_are_left_out() {
        let days = [
            tally("2025-12-31", Outcome::Finished, 9),
            tally("2026-01-01", Outcome::Finished, 1),
            tally("2026-12-31", Outcome::Failure, 2),
            tally("2026-12-30", Outcome::Finished, 3),
            tally("2027-01-01", Outcome::Finished, 9),
        ];
        let year = instant("2026-01-01").unwrap()..instant("2027-01-01").unwrap();
        assert_eq!(by_month(&days, &year), [[1, 1], [12, 5]]);
    }

    #[test]
    fn means_are_cut_to_metres_and_rounded_to_microseconds() {
        let known = |distances, distance_m| Tally {
            distances,
            distance_m,
            ..tally("2026-02-01", Outcome::Finished, 5)
        };
        assert_eq!(mean_distance_m(&[known(2, 5.999_9), known(1, 0.0)]), 1);
        assert_eq!(mean_distance_m(&[known(1, 230.999_7)]), 230);
        assert_eq!(mean_distance_m(&[known(0, 0.0)]), 0);
        assert!((mean_s(Delay { hails: 7, took_ms: 76_000 }) - 10.857_143).abs() < 1e-12);
        assert!(mean_s(Delay::default()).abs() < f64::EPSILON);
    }
}
