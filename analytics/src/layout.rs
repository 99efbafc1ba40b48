//! What the archive's objects are called, and which there are.
//!
//! | object                                                                        | holds                         |
//! |-------------------------------------------------------------------------------|-------------------------------|
//! | `recent/<stream>/epoch=<16 hex>/partition=<3>/hour=<date>T<hour>/<20>.parquet` | what one partition of one log |
//! |                                                                               | took in one hour, from the    |
//! |                                                                               | offset in the name on         |
//! | `<stream>/date=<date>/<6>-<3>-<16 hex>.parquet`                               | a part of a day: number of    |
//! |                                                                               | its manifest, its own number, |
//! |                                                                               | and what its bytes hash to    |
//! | `manifests/<stream>/date=<date>/<6>.json`                                     | which parts make the day      |
//! | `rollups/<table>/date=<date>/<6>.parquet`                                     | what a day or week adds up to |
//!
//! Digits are counted; dates and hours are UTC. Names sort as what they say: by time, then by offset or number. A part
//! whose content differs has another name, so that of two rewriters of a day neither writes over the other's.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, NaiveDate, Timelike as _};
use ingest::clock::Millis;
use ingest::log::{Offset, Partition};

/// What is archived, each kind in a folder of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Positions, from the log.
    Positions,
    /// Searches, from a log of their own.
    Searches,
    /// Hails, from the registry's rows.
    Hails,
}

/// A day of the calendar, in UTC: days since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub i32);

/// An hour of the calendar, in UTC: hours since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hour(pub i32);

/// A file of what one partition of a log took in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recent {
    /// Of which stream.
    pub stream: Stream,
    /// Of which log.
    pub epoch: u64,
    /// Of which partition.
    pub partition: Partition,
    /// When it was appended.
    pub hour: Hour,
    /// The offset of its first record.
    pub first: Offset,
}

/// A file of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    /// Of which stream.
    pub stream: Stream,
    /// Of which day.
    pub day: Day,
    /// The number of the manifest that it was written for.
    pub manifest: u32,
    /// Its place in the day, from 0.
    pub number: u16,
    /// The first bytes of the BLAKE3 hash of its content.
    pub hash: u64,
}

/// A list of a day's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ManifestName {
    /// Of which stream.
    pub stream: Stream,
    /// Of which day.
    pub day: Day,
    /// The highest of a day counts.
    pub number: u32,
}

/// The highest number of each day, of the names of manifests.
pub fn highest(names: impl IntoIterator<Item = ManifestName>) -> BTreeMap<Day, ManifestName> {
    let mut highest = BTreeMap::new();
    for name in names {
        let known = highest.entry(name.day).or_insert(name);
        *known = name.max(*known);
    }
    highest
}

impl Stream {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Positions, Self::Searches, Self::Hails];

    /// The name of its folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Positions => "positions",
            Self::Searches => "searches",
            Self::Hails => "hails",
        }
    }

    /// Whether its days go once they are as old as hails may be. Of positions the town is left, for good.
    pub fn expires(self) -> bool {
        self != Self::Positions
    }

    /// The folder of its recent files.
    pub fn recent_folder(self) -> String {
        format!("recent/{self}")
    }

    /// The folder of its manifests.
    pub fn manifest_folder(self) -> String {
        format!("manifests/{self}")
    }
}

impl Day {
    /// The day of an instant, the nearest that can be named.
    pub fn of(at: Millis) -> Self {
        Self(clamped(at.0.div_euclid(DAY_MS), MAX_DAY))
    }

    /// Its first instant.
    pub fn begins(self) -> Millis {
        Millis(i64::from(self.0) * DAY_MS)
    }

    /// The day after.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The first day of its week; the first of 1970 was a Thursday.
    pub fn monday(self) -> Self {
        Self(self.0 - (self.0 + 3).rem_euclid(7))
    }
}

impl Hour {
    /// The hour of an instant, the nearest that can be named.
    pub fn of(at: Millis) -> Self {
        Self(clamped(at.0.div_euclid(HOUR_MS), MAX_DAY * 24 + 23))
    }

    /// Its day.
    pub fn day(self) -> Day {
        Day(self.0.div_euclid(24))
    }

    /// Its first instant.
    pub fn begins(self) -> Millis {
        Millis(i64::from(self.0) * HOUR_MS)
    }
}

impl Part {
    /// The folder of a day's parts.
    pub fn folder(stream: Stream, day: Day) -> String {
        format!("{stream}/date={day}")
    }
}

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 9999-12-31, the last day with a year of four digits.
const MAX_DAY: i32 = 2_932_896;

/// A clock that is wrong by millennia still gives a name that can be read back.
fn clamped(number: i64, most: i32) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { 0 } else { most }).clamp(0, most)
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = DateTime::from_timestamp_millis(self.begins().0).unwrap_or_default();
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hour = DateTime::from_timestamp_millis(self.begins().0).unwrap_or_default().hour();
        write!(f, "{}T{hour:02}", self.day())
    }
}

impl fmt::Display for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, epoch, partition, hour, first } = self;
        write!(
            f,
            "recent/{stream}/epoch={epoch:016x}/partition={:03}/hour={hour}/{:020}.parquet",
            partition.0, first.0
        )
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, day, manifest, number, hash } = self;
        write!(f, "{}/{manifest:06}-{number:03}-{hash:016x}.parquet", Self::folder(*stream, *day))
    }
}

impl fmt::Display for ManifestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "manifests/{}/date={}/{:06}.json", self.stream, self.day, self.number)
    }
}

/// A text is not what it should name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the name of an object of an archive")]
pub struct NoName;

impl FromStr for Stream {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        Self::ALL.into_iter().find(|stream| stream.as_str() == text).ok_or(NoName)
    }
}

impl FromStr for Day {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| NoName)?;
        let day = Self(date.to_epoch_days());
        same(day, text)
    }
}

impl FromStr for Hour {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let (day, hour) = text.split_once('T').ok_or(NoName)?;
        let (day, hour) = (day.parse::<Day>()?, hour.parse::<i32>().map_err(|_| NoName)?);
        same(Self(day.0 * 24 + hour), text)
    }
}

impl FromStr for Recent {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let mut steps = text.strip_prefix("recent/").ok_or(NoName)?.split('/');
        let mut step = |key: &str| steps.next().and_then(|step| step.strip_prefix(key)).ok_or(NoName);
        let recent = Self {
            stream: step("")?.parse()?,
            epoch: u64::from_str_radix(step("epoch=")?, 16).map_err(|_| NoName)?,
            partition: Partition(step("partition=")?.parse().map_err(|_| NoName)?),
            hour: step("hour=")?.parse()?,
            first: Offset(number(step("")?.strip_suffix(".parquet").ok_or(NoName)?)?),
        };
        same(recent, text)
    }
}

impl FromStr for Part {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let (stream, rest) = text.split_once("/date=").ok_or(NoName)?;
        let (day, file) = rest.split_once('/').ok_or(NoName)?;
        let mut numbers = file.strip_suffix(".parquet").ok_or(NoName)?.splitn(3, '-');
        let mut next = || numbers.next().ok_or(NoName);
        let part = Self {
            stream: stream.parse()?,
            day: day.parse()?,
            manifest: number(next()?)?,
            number: number(next()?)?,
            hash: u64::from_str_radix(next()?, 16).map_err(|_| NoName)?,
        };
        same(part, text)
    }
}

impl FromStr for ManifestName {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let (stream, rest) =
            text.strip_prefix("manifests/").and_then(|rest| rest.split_once("/date=")).ok_or(NoName)?;
        let (day, file) = rest.split_once('/').ok_or(NoName)?;
        let digits = file.strip_suffix(".json").ok_or(NoName)?;
        same(Self { stream: stream.parse()?, day: day.parse()?, number: number(digits)? }, text)
    }
}

pub(crate) fn number<N: FromStr>(digits: &str) -> Result<N, NoName> {
    digits.parse().map_err(|_| NoName)
}

/// What was read, if it is called as it was read: no object has two names.
pub(crate) fn same<T: fmt::Display>(read: T, text: &str) -> Result<T, NoName> {
    if read.to_string() == text { Ok(read) } else { Err(NoName) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Millis = Millis(1_764_158_400_000);

    fn recent(first: u64) -> Recent {
        Recent {
            stream: Stream::Positions,
            epoch: 0xfe,
            partition: Partition(7),
            hour: Hour::of(NOON),
            first: Offset(first),
        }
    }

    #[test]
    fn names_say_what_they_name() {
        let name = "recent/positions/epoch=00000000000000fe/partition=007/hour=2025-11-26T12/\
                    00000000000000000042.parquet";
        assert_eq!(recent(42).to_string(), name);
        assert_eq!(name.parse(), Ok(recent(42)));

        let day = Day::of(NOON);
        let part = Part { stream: Stream::Searches, day, manifest: 3, number: 1, hash: 0xab };
        assert_eq!(part.to_string(), "searches/date=2025-11-26/000003-001-00000000000000ab.parquet");
        assert_eq!(part.to_string().parse(), Ok(part));

        let manifest = ManifestName { stream: Stream::Hails, day, number: 12 };
        assert_eq!(manifest.to_string(), "manifests/hails/date=2025-11-26/000012.json");
        assert_eq!(manifest.to_string().parse(), Ok(manifest));
    }

    #[test]
    fn another_name_names_nothing() {
        for other in [
            "",
            "recent/positions",
            "recent/positions/epoch=fe/partition=007/hour=2025-11-26T12/00000000000000000042.parquet",
            "recent/positions/epoch=00000000000000fe/partition=007/hour=2025-11-26T24/00000000000000000042.parquet",
            "recent/positions/epoch=00000000000000fe/partition=007/hour=2025-11-26T12/42.parquet",
            "recent/maps/epoch=00000000000000fe/partition=007/hour=2025-11-26T12/00000000000000000042.parquet",
        ] {
            assert_eq!(other.parse::<Recent>(), Err(NoName), "{other}");
        }
        for other in [
            "positions/date=2025-11-26/000003-001.parquet",
            "positions/date=2025-11-31/000003-001-00000000000000ab.parquet",
        ] {
            assert_eq!(other.parse::<Part>(), Err(NoName), "{other}");
        }
        assert_eq!("manifests/hails/date=2025-11-26/12.json".parse::<ManifestName>(), Err(NoName));
    }

    #[test]
    fn names_sort_as_what_they_say() {
        let names = [2, 10, 9_000_000_000].map(|first| recent(first).to_string());
        assert!(names.is_sorted());
        assert!(recent(2) < recent(10));
    }

    #[test]
    fn days_and_hours_begin_in_utc() {
        assert_eq!(Day::of(Day(5).begins()), Day(5));
        assert_eq!(Day::of(Day(5).begins().plus(-1)), Day(4));
        assert_eq!(Hour::of(NOON).begins(), NOON);
        assert_eq!(Hour::of(NOON.plus(-1)).day(), Day::of(NOON));
        assert_eq!("2025-11-26".parse(), Ok(Day::of(NOON)));
        for wrong in [Millis(i64::MIN), Millis(i64::MAX)] {
            assert_eq!(Day::of(wrong).to_string().parse(), Ok(Day::of(wrong)));
            assert_eq!(Hour::of(wrong).to_string().parse(), Ok(Hour::of(wrong)));
        }
    }

    #[test]
    fn the_highest_manifest_of_a_day_counts() {
        let name = |day, number| ManifestName { stream: Stream::Positions, day: Day(day), number };
        let highest = highest([name(1, 2), name(1, 11), name(2, 1), name(1, 3)]);
        assert_eq!(highest.into_values().collect::<Vec<_>>(), [name(1, 11), name(2, 1)]);
    }
}
