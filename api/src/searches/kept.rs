//! What memory holds of searches: 32 bytes each, by days in UTC, and what statistics ask of them.
//!
//! Days are blurred and forgotten as wholes: a search's point becomes that of its town once its day ended as
//! long ago as positions are exact, and it is gone once that was as long ago as hails are kept, or
//! [`SEARCHES_KEPT_DAYS`].

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use analytics::past::PastSearch;
use engine::territory::{Insee, Territory};
use ingest::clock::Millis;
use ingest::position::LatLon;

use crate::limits::{SEARCHES_KEPT_DAYS, SEARCHES_KEPT_MAX};
use crate::registry::geometry::inside;
use crate::retention::Retention;

/// Searches, in the order of their days.
#[derive(Debug)]
pub struct Kept {
    /// Days for which they are exact.
    exact_days: i64,
    /// Days after which they are gone.
    gone_days: i64,
    /// By the number of the day since 1970.
    days: BTreeMap<i64, Day>,
    towns: Vec<Insee>,
    /// Where each town is in `towns`.
    numbers: HashMap<Insee, u32>,
    len: usize,
    /// How many there may be.
    most: usize,
    /// Searches that the newest day had no room for.
    left_out: u64,
}

/// The searches of a day, in the order in which they came.
#[derive(Debug, Default)]
struct Day {
    searches: Vec<Compact>,
    /// How many of the first have their town's point.
    blurred: usize,
}

/// A search.
#[derive(Clone, Copy, Debug)]
struct Compact {
    /// Since midnight.
    at_ms: u32,
    caller: i32,
    /// None: forgotten, and its town is not known any more.
    customer: Option<LatLon>,
    /// To the nearest taxi, in tenths of a millimetre; [`NONE_FOUND`] without one.
    closest: u32,
    /// Where its town is in [`Kept::towns`].
    town: u32,
    found: u16,
    seen: u16,
}

const NONE_FOUND: u32 = u32::MAX;
/// Of a metre, as distances are told.
const CLOSEST_SCALE: f64 = 1e4;
const DAY_MS: i64 = 86_400_000;

/// What searches found.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Quartiles of taxis around, whatever their radius; None without searches.
    pub found: Option<Quartiles>,
    /// Quartiles of taxis in the answer.
    pub seen: Option<Quartiles>,
    /// Quartiles of metres to the nearest taxi around; None where none was found.
    pub closest_m: Option<Quartiles>,
}

/// The values at a quarter, a half and three quarters.
pub type Quartiles = [f64; 3];

/// For how many days searches are kept: as long as hails, and no longer than statistics look back.
pub fn kept_days(retention: &Retention) -> i64 {
    whole_days(retention.hails).min(SEARCHES_KEPT_DAYS)
}

fn whole_days(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs() / 86_400).unwrap_or(i64::MAX)
}

impl<S: Into<PastSearch>> Extend<S> for Kept {
    fn extend<I: IntoIterator<Item = S>>(&mut self, searches: I) {
        for search in searches {
            self.add(search.into());
        }
    }
}

impl Kept {
    /// None yet; they are exact and kept for so many whole days.
    pub fn new(retention: &Retention) -> Self {
        Self {
            exact_days: whole_days(retention.exact),
            gone_days: kept_days(retention),
            days: BTreeMap::new(),
            towns: Vec::new(),
            numbers: HashMap::new(),
            len: 0,
            most: SEARCHES_KEPT_MAX,
            left_out: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are in no statistic, because later days have [`SEARCHES_KEPT_MAX`], or their own alone has.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Blurs and forgets what is due at `now`.
    pub fn forget(&mut self, now: Millis, territory: &Territory) {
        let today = now.0.div_euclid(DAY_MS);
        while let Some(oldest) = self.days.first_entry() {
            if *oldest.key() >= today - self.gone_days {
                break;
            }
            self.len -= oldest.remove().searches.len();
        }
        let mut points = HashMap::new();
        for day in self.days.range_mut(..today.saturating_sub(self.exact_days)).map(|(_, day)| day) {
            for search in &mut day.searches[day.blurred..] {
                let town = self.towns[search.town as usize];
                search.customer = *points
                    .entry(search.town)
                    .or_insert_with(|| territory.town(town).and_then(|town| inside(&town.shape)));
            }
            day.blurred = day.searches.len();
        }
    }

    /// Quartiles over the searches that `wanted` says by town and caller.
    pub fn statistics(&self, wanted: impl Fn(Insee, i32) -> bool) -> Statistics {
        let values = |value: fn(&Compact) -> Option<u32>| {
            let wanted = |search: &&Compact| wanted(self.towns[search.town as usize], search.caller);
            self.all().map(|(_, search)| search).filter(wanted).filter_map(value).collect::<Vec<_>>()
        };
        Statistics {
            found: quartiles(values(|search| Some(search.found.into()))),
            seen: quartiles(values(|search| Some(search.seen.into()))),
            closest_m: quartiles(values(|search| (search.closest != NONE_FOUND).then_some(search.closest)))
                .map(|quartiles| quartiles.map(|closest| closest / CLOSEST_SCALE)),
        }
    }

    /// Who searched since `since`, and how often, of the searches that are wanted as in [`Kept::statistics`]: whoever
    /// searched most comes first, of equals whoever did last.
    pub fn callers(&self, since: Millis, wanted: impl Fn(Insee, i32) -> bool) -> Vec<(i32, u64)> {
        let mut callers = HashMap::<i32, (u64, (Millis, usize))>::new();
        let since_day = since.0.div_euclid(DAY_MS);
        for (place, (at, search)) in self.since_day(since_day).enumerate() {
            if at >= since && wanted(self.towns[search.town as usize], search.caller) {
                let (count, last) = callers.entry(search.caller).or_insert((0, (at, place)));
                *count += 1;
                *last = (at, place).max(*last);
            }
        }
        let mut callers: Vec<_> = callers.into_iter().collect();
        callers.sort_unstable_by_key(|(_, rank)| std::cmp::Reverse(*rank));
        callers.into_iter().map(|(caller, (count, _))| (caller, count)).collect()
    }

    /// Where customers were, the latest day first, `count` at most.
    pub fn points(&self, count: usize) -> Vec<LatLon> {
        let days = self.days.values().rev();
        days.flat_map(|day| &day.searches).filter_map(|search| search.customer).take(count).collect()
    }

    /// The same of searches that are not blurred.
    pub fn exact_points(&self, count: usize) -> Vec<LatLon> {
        let searches = self.days.values().rev().flat_map(|day| &day.searches[day.blurred..]);
        searches.filter_map(|search| search.customer).take(count).collect()
    }

    fn add(&mut self, search: PastSearch) {
        let PastSearch { at, caller, customer, town, found, seen, closest_m } = search;
        let day = at.0.div_euclid(DAY_MS);
        if !self.make_room(day) {
            self.left_out += 1;
            return;
        }
        let number = *self.numbers.entry(town).or_insert_with(|| {
            self.towns.push(town);
            u32::try_from(self.towns.len() - 1).unwrap_or(u32::MAX)
        });
        let at_ms = u32::try_from(at.0.rem_euclid(DAY_MS)).unwrap_or(0);
        let closest = closest_m.map_or(NONE_FOUND, scaled);
        self.days.entry(day).or_default().searches.push(Compact {
            at_ms,
            caller,
            customer,
            closest,
            town: number,
            found,
            seen,
        });
        self.len += 1;
    }

    /// Lets the oldest days go where there are as many as there may be; false if none is older than `day`.
    fn make_room(&mut self, day: i64) -> bool {
        while self.len >= self.most {
            match self.days.first_entry() {
                Some(oldest) if *oldest.key() < day => self.len -= oldest.remove().searches.len(),
                _ => return false,
            }
        }
        true
    }

    fn all(&self) -> impl Iterator<Item = (Millis, &Compact)> {
        self.since_day(i64::MIN)
    }

    fn since_day(&self, day: i64) -> impl Iterator<Item = (Millis, &Compact)> {
        self.days.range(day..).flat_map(|(day, of_day)| {
            let midnight = Millis(day.saturating_mul(DAY_MS));
            of_day.searches.iter().map(move |search| (midnight.plus(search.at_ms.into()), search))
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is out of range stops at its ends"
)]
fn scaled(closest_m: f64) -> u32 {
    ((closest_m * CLOSEST_SCALE).round() as u32).min(NONE_FOUND - 1)
}

/// Interpolated: of n values in order, from 0, the one at p (n - 1), linear between its neighbours. O(values).
fn quartiles(mut values: Vec<u32>) -> Option<Quartiles> {
    let last = values.len().checked_sub(1)?;
    Some([1, 2, 3].map(|quarter| {
        let (index, rest) = (quarter * last / 4, quarter * last % 4);
        let (_, low, above) = values.select_nth_unstable(index);
        let low = f64::from(*low);
        let high = above.iter().min().map_or(low, |high| f64::from(*high));
        let quarters = [0.0, 0.25, 0.5, 0.75][rest];
        low + quarters * (high - low)
    }))
}

#[cfg(test)]
mod tests {
    use engine::territory::Town;
    use geo::polygon;
    use ingest::searches::Search;

    use super::*;

    const LYON: &str = "69123";
    const GRENOBLE: &str = "38185";
    const APP1: i32 = 5;
    const APP2: i32 = 6;
    const OP_A: i32 = 3;

    fn at(text: &str) -> Millis {
        Millis(
            chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
                .unwrap()
                .and_utc()
                .timestamp_millis(),
        )
    }

    fn town(insee: &str, (west, south, east, north): (f64, f64, f64, f64)) -> Town {
        let shape =
            polygon![(x: west, y: south), (x: east, y: south), (x: east, y: north), (x: west, y: north)];
        Town { insee: insee.parse().unwrap(), name: insee.to_owned(), shape: shape.into() }
    }

    fn territory() -> Territory {
        let towns = vec![town(LYON, (4.77, 45.71, 4.90, 45.81)), town(GRENOBLE, (5.68, 45.15, 5.76, 45.22))];
        Territory::new(towns, vec![], vec![])
    }

    /// The worked example of the definitions.
    fn searches() -> Vec<Search> {
        let search = |(when, caller, found, seen, closest_m, (lat, lon))| {
            let customer = LatLon::new(lat, lon).unwrap();
            let town = if lon < 5.0 { LYON } else { GRENOBLE };
            Search { at: at(when), caller, customer, town: town.parse().unwrap(), found, seen, closest_m }
        };
        [
            ("2025-12-01 09:00", APP1, 4, 2, Some(120.0), (45.75, 4.84)),
            ("2026-02-17 23:59", APP1, 0, 0, None, (45.76, 4.85)),
            ("2026-02-18 00:00", APP1, 3, 3, Some(80.0), (45.76, 4.86)),
            ("2026-03-01 12:00", APP2, 1, 0, Some(700.0), (45.18, 5.72)),
            ("2026-03-10 08:00", APP1, 2, 1, Some(250.5), (45.19, 5.72)),
            ("2026-03-15 19:00", APP2, 5, 4, Some(45.5), (45.75, 4.83)),
            ("2026-03-18 10:00", APP1, 0, 0, None, (45.78, 4.80)),
            ("2026-03-18 10:29", OP_A, 1, 1, Some(310.0), (45.77, 4.85)),
        ]
        .map(search)
        .into()
    }

    /// For how long places are exact, and hails are kept, in days.
    fn retained(exact: u64, hails: u64) -> Retention {
        let [exact, hails] = [exact, hails].map(|days| Duration::from_hours(24 * days));
        Retention { exact, hails, taxis: hails }
    }

    fn kept(now: Millis) -> Kept {
        let mut kept = Kept::new(&retained(60, 365));
        kept.extend(searches());
        kept.forget(now, &territory());
        kept
    }

    fn now() -> Millis {
        at("2026-03-18 10:30")
    }

    #[test]
    fn the_worked_example_holds() {
        let (kept, since) = (kept(now()), at("2026-02-18 00:00"));
        let all = |_, _| true;
        let whole = Statistics {
            found: Some([0.75, 1.5, 3.25]),
            seen: Some([0.0, 1.0, 2.25]),
            closest_m: Some([90.0, 185.25, 295.125]),
        };
        assert_eq!(kept.statistics(all), whole);
        assert_eq!(kept.callers(since, all), [(APP1, 3), (APP2, 2), (OP_A, 1)]);

        let isere = |town: Insee, _| town.as_str().starts_with("38");
        let of_isere = Statistics {
            found: Some([1.25, 1.5, 1.75]),
            seen: Some([0.25, 0.5, 0.75]),
            closest_m: Some([362.875, 475.25, 587.625]),
        };
        assert_eq!(kept.statistics(isere), of_isere);
        assert_eq!(kept.callers(since, isere), [(APP1, 1), (APP2, 1)], "of equals the one who searched last");

        let of_op_a = |_, caller| caller == OP_A;
        let alone = Statistics { found: Some([1.0; 3]), seen: Some([1.0; 3]), closest_m: Some([310.0; 3]) };
        assert_eq!(kept.statistics(of_op_a), alone);
        assert_eq!(kept.callers(since, of_op_a), [(OP_A, 1)]);

        let nobodys = Statistics { found: None, seen: None, closest_m: None };
        assert_eq!((kept.statistics(|_, _| false), kept.callers(since, |_, _| false)), (nobodys, vec![]));
    }

    #[test]
    fn old_points_are_their_towns_and_the_others_exact() {
        let points = kept(now()).points(10);
        let degrees: Vec<_> = points.iter().map(|point| [point.lat(), point.lon()]).collect();
        let expected = [
            [45.78, 4.80],
            [45.77, 4.85],
            [45.75, 4.83],
            [45.19, 5.72],
            [45.18, 5.72],
            [45.76, 4.86],
            [45.76, 4.85],
            [45.76, 4.835],
        ];
        assert_eq!(degrees, expected);
        assert_eq!(kept(now()).points(1), points[..1]);
    }

    #[test]
    fn a_day_is_blurred_after_60_days_and_gone_after_365() {
        let first = |now| kept(now).points(10).last().map(|point| (point.lat(), point.lon()));
        assert_eq!(first(at("2026-01-30 23:59")), Some((45.75, 4.84)));
        assert_eq!(first(at("2026-01-31 00:00")), Some((45.76, 4.835)));
        assert_eq!(kept(at("2026-12-01 23:59")).len(), 8);
        assert_eq!(kept(at("2026-12-02 00:00")).len(), 7);
        for (hails, left) in [(90, 7), (107, 7), (108, 8), (36_500, 8)] {
            let mut kept = Kept::new(&retained(60, hails));
            kept.extend(searches());
            kept.forget(at("2026-03-19 00:00"), &territory());
            assert_eq!(kept.len(), left, "hails are kept for {hails} days");
        }
        let mut kept = Kept::new(&retained(60, 36_500));
        kept.extend(searches());
        kept.forget(at("2026-12-02 00:00"), &territory());
        assert_eq!(kept.len(), 7, "statistics look back a year");
    }

    #[test]
    fn what_comes_late_is_blurred_too_and_what_has_no_town_any_more_has_no_point() {
        let mut kept = kept(now());
        kept.extend(searches().into_iter().take(1));
        kept.extend(
            searches().into_iter().take(1).map(|search| Search { town: "01001".parse().unwrap(), ..search }),
        );
        kept.forget(now(), &territory());
        let centres = kept.points(20).iter().filter(|point| point.lon_e7() == 48_350_000).count();
        assert_eq!((kept.len(), kept.points(20).len(), centres), (10, 9, 2));
    }

    #[test]
    fn beyond_what_it_may_hold_the_oldest_days_go_and_the_newest_takes_no_more() {
        let mut kept = Kept { most: 3, ..Kept::new(&retained(60, 365)) };
        kept.extend(searches());
        let of_the_last_day = |_, caller| caller != APP2;
        assert_eq!((kept.len(), kept.left_out()), (3, 0));
        assert_eq!(kept.callers(Millis(0), of_the_last_day), [(OP_A, 1), (APP1, 1)]);
        kept.extend(searches().into_iter().skip(6).chain(searches()));
        assert_eq!(
            (kept.len(), kept.left_out()),
            (3, 9),
            "one of the day, and all that are of earlier ones or of it"
        );
        assert_eq!(kept.callers(Millis(0), |_, _| true), [(APP1, 2), (OP_A, 1)]);
    }

    #[test]
    fn a_search_is_as_small_as_said() {
        assert!(size_of::<Compact>() <= 32, "{}", size_of::<Compact>());
    }

    #[test]
    fn quartiles_lie_between_their_neighbours() {
        assert_eq!(quartiles(vec![]), None);
        assert_eq!(quartiles(vec![7]), Some([7.0; 3]));
        assert_eq!(quartiles(vec![3, 1]), Some([1.5, 2.0, 2.5]));
        assert_eq!(quartiles(vec![5, 4, 3, 2, 1]), Some([2.0, 3.0, 4.0]));
    }
}
