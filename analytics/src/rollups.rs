//! What days of the archive add up to, kept beside it so that a figure over a year is read and not counted.
//!
//! | table              | a row for each                                     | figures                            |
//! |--------------------|----------------------------------------------------|------------------------------------|
//! | `connected_minute` | minute and, by `by`, all, `town`, `operator`,      | `taxis`, each once                 |
//! | `connected_hour`   | `town_operator`, `zupc`, `zupc_operator`           |                                    |
//! | `connected_day`    | the same of an hour, of a day, of a week           |                                    |
//! | `connected_week`   |                                                    |                                    |
//! | `searches_hour`    | hour, town, account                                | `searches`, `found`, `answered`    |
//! | `hails_day`        | day, town, operator, app, status                   | `hails`, `taxis` they are of, each |
//! |                    |                                                    | once, delays p50 and p90 where     |
//! |                    |                                                    | five hails have them               |
//!
//! Beside these tables there are two kinds of files that nobody is shown: `heard`, of which weeks are made, and
//! [`presence`].
//!
//! Each is a file of SQL, which says what is counted, run over one day of when things happened, or over the days of a
//! week. A day is made once its manifest is there, and again with the next day's, which has what was received before
//! midnight and logged after it, or when either is rewritten: files are numbered by the sum of the numbers of these
//! manifests, weeks by the sum of their days', and the highest counts.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ingest::clock::Millis;

use crate::blur::is_old;
use crate::footer::BadFile;
use crate::layout::{Day, ManifestName, NoName, Stream, number, same};
use crate::manifest::{Manifest, manifests};
use crate::root::{Found, Root, Unavailable};

pub(crate) mod make;
pub mod presence;
pub(crate) mod table;
pub mod verify;

pub use make::{RollupError, make};

/// The folder of all of them.
const FOLDER: &str = "rollups";

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rollup {
    /// Connected taxis of each minute.
    ConnectedMinute,
    /// Of each hour.
    ConnectedHour,
    /// Of each day.
    ConnectedDay,
    /// In which cell each taxi was in how many minutes: see [`presence`].
    Presence,
    /// Who they were, a row a day: no table, but what weeks are made of.
    Heard,
    /// Connected taxis of each week, under its Monday.
    ConnectedWeek,
    /// Searches.
    SearchesHour,
    /// Hails.
    HailsDay,
}

/// A file of a rollup: what one day, or the week that begins with it, adds up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RollupName {
    /// Of what.
    pub rollup: Rollup,
    /// Of when.
    pub day: Day,
    /// The highest of a day counts.
    pub number: u32,
}

/// Of when what was taken into account may be added up still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// Days of hails and searches that ended before are deleted.
    pub kept: Millis,
    /// Days of positions that ended before are not exact any more.
    pub exact: Millis,
}

impl Since {
    /// Of ever.
    pub const EVER: Self = Self { kept: Millis(i64::MIN), exact: Millis(i64::MIN) };
}

/// What is to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// What a day of a stream adds up to.
    Day(Stream, Day, u32),
    /// What the week of a Monday adds up to.
    Week(Day, u32),
}

impl Rollup {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::ConnectedMinute,
        Self::ConnectedHour,
        Self::ConnectedDay,
        Self::Presence,
        Self::Heard,
        Self::ConnectedWeek,
        Self::SearchesHour,
        Self::HailsDay,
    ];

    /// Its name, as a folder and as a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectedMinute => "connected_minute",
            Self::ConnectedHour => "connected_hour",
            Self::ConnectedDay => "connected_day",
            Self::Presence => "presence",
            Self::Heard => "heard",
            Self::ConnectedWeek => "connected_week",
            Self::SearchesHour => "searches_hour",
            Self::HailsDay => "hails_day",
        }
    }

    /// Whether it can be asked. Who was heard, and where, is told by `positions`.
    pub(crate) fn is_table(self) -> bool {
        !matches!(self, Self::Heard | Self::Presence)
    }

    /// Whether it is made of a day of positions, where these are exact since then: what is finer than a town is not, of
    /// an old one.
    fn is_made_of(self, day: Day, exact_since: Millis) -> bool {
        self != Self::Presence || !is_old(day, exact_since)
    }

    /// The column that says of how many a row is. A taxi's hails are many, and tell of it alone.
    pub(crate) fn figure(self) -> &'static str {
        match self {
            Self::SearchesHour => "searches",
            _ => "taxis",
        }
    }

    fn folder(self) -> String {
        format!("{FOLDER}/{self}")
    }

    /// Those that are made of a day of a stream, in this order.
    fn of(stream: Stream) -> &'static [Self] {
        match stream {
            Stream::Positions => {
                &[Self::ConnectedMinute, Self::ConnectedHour, Self::ConnectedDay, Self::Presence, Self::Heard]
            }
            Stream::Searches => &[Self::SearchesHour],
            Stream::Hails => &[Self::HailsDay],
        }
    }

    /// The last of them: where it is, all are, but for what somebody removed.
    fn last_of(stream: Stream) -> Self {
        match stream {
            Stream::Positions => Self::Heard,
            Stream::Searches => Self::SearchesHour,
            Stream::Hails => Self::HailsDay,
        }
    }

    /// The files that count, by day.
    pub(crate) async fn files(self, root: &Root) -> Result<BTreeMap<Day, Found<RollupName>>, Unavailable> {
        // In the order of their names, of a day the highest last.
        let files = root.list::<RollupName>(&self.folder()).await?;
        Ok(files.into_iter().map(|found| (found.name.day, found)).collect())
    }
}

/// What is to be made, days before weeks, the oldest first. What days of hails and searches that are deleted add up to
/// is as it was.
pub async fn due(root: &Root, since: Since) -> Result<Vec<Due>, Unavailable> {
    let mut due = Vec::new();
    for stream in Stream::ALL {
        let written = manifests(root, stream).await?;
        let mut made = Made::new();
        for &rollup in Rollup::of(stream) {
            made.push((rollup, rollup.files(root).await?));
        }
        let number_of = |day: Day| written.get(&day).map_or(0, |found| found.name.number);
        let is_there = |day: &&Day| !stream.expires() || day.next().begins() > since.kept;
        for &day in written.keys().filter(is_there) {
            let number = number_of(day) + number_of(day.next());
            if is_due(root, &made, (written[&day].name, number), since).await? {
                due.push(Due::Day(stream, day, number));
            }
        }
    }
    due.sort_unstable();
    let made = Rollup::ConnectedWeek.files(root).await?;
    let mut weeks = BTreeMap::<Day, u32>::new();
    for (day, found) in Rollup::Heard.files(root).await? {
        *weeks.entry(day.monday()).or_default() += found.name.number;
    }
    weeks.retain(|monday, number| made.get(monday).is_none_or(|found| found.name.number < *number));
    due.extend(weeks.into_iter().map(|(monday, number)| Due::Week(monday, number)));
    Ok(due)
}

/// What is there of each rollup, by day.
type Made = Vec<(Rollup, BTreeMap<Day, Found<RollupName>>)>;

/// Whether a day is to be added up under this number: something of it is behind, or not there. One that was damaged and
/// removed is made again, like one that never was; where the day was deleted, what there is of it stays.
async fn is_due(
    root: &Root,
    made: &Made,
    (manifest, number): (ManifestName, u32),
    since: Since,
) -> Result<bool, Unavailable> {
    let ManifestName { stream, day, .. } = manifest;
    let mut wanted = made.iter().filter(|(rollup, _)| rollup.is_made_of(day, since.exact));
    if !wanted.any(|(_, files)| files.get(&day).is_none_or(|found| found.name.number < number)) {
        return Ok(false);
    }
    let was_added_up = made.iter().all(|(_, files)| files.contains_key(&day));
    Ok(!(stream.expires() && was_added_up && is_deleted(root, manifest).await?))
}

/// Whether nothing is left of a day, by whosever setting: of nothing, what it added up to would be made anew.
async fn is_deleted(root: &Root, name: ManifestName) -> Result<bool, Unavailable> {
    match Manifest::read(root, name).await {
        Ok(manifest) => Ok(manifest.is_some_and(|manifest| manifest.parts.is_empty())),
        Err(BadFile::Unavailable(error)) => Err(error),
        // Making its rollups says what is wrong.
        Err(_) => Ok(false),
    }
}

/// Removes files that others replaced before `before`: queries that began until then may still read them.
pub async fn clean(root: &Root, before: Millis) -> Result<(), Unavailable> {
    for rollup in Rollup::ALL {
        let counting = rollup.files(root).await?;
        let all = root.list::<RollupName>(&rollup.folder()).await?;
        let is_replaced = |name: &RollupName| {
            let counts = counting.get(&name.day);
            counts.is_some_and(|counts| name.number < counts.name.number && counts.put_at < before)
        };
        root.remove(all.into_iter().map(|found| found.name).filter(is_replaced)).await?;
    }
    Ok(())
}

impl fmt::Display for Rollup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RollupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FOLDER}/{}/date={}/{:06}.parquet", self.rollup, self.day, self.number)
    }
}

impl FromStr for RollupName {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let rest = text.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/')).ok_or(NoName)?;
        let (rollup, rest) = rest.split_once("/date=").ok_or(NoName)?;
        let (day, file) = rest.split_once('/').ok_or(NoName)?;
        let digits = file.strip_suffix(".parquet").ok_or(NoName)?;
        let rollup = Rollup::ALL.into_iter().find(|known| known.as_str() == rollup).ok_or(NoName)?;
        same(Self { rollup, day: day.parse()?, number: number(digits)? }, text)
    }
}

#[cfg(test)]
mod tests;
