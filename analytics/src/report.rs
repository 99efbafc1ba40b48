//! The ministry's reports: one file of SQL each, which begins with what it means.
//!
//! Beside it, `<name>.fr.txt` says the same in French, without the dashes.
//!
//! ```text
//! -- Title
//! --
//! -- Definition: what is counted, in as many lines as it takes.
//! -- Unit: ...
//! -- Source: ...
//! -- Column: name: meaning
//! SELECT ...
//! ```
//!
//! A report is asked with everything in view, and tells nothing of one taxi or one customer: a figure to which
//! fewer than [`FEWEST_SHOWN`] contribute is null or not there, by a rule that its definition states; a part is,
//! too, where it is smaller than its whole by fewer. That holds within a report: subtracting that of one period
//! from that of another, which has a day, a town or an hour less, is not prevented. Beside the tables of
//! [`crate::views`] it has `territory` (the INSEE codes it is about), `days` of the period (`day`, `begins_at`,
//! `ends_at`), `cells` (the H3 cells of the territory, with their town), and the parameters `$begins`, `$ends`
//! and `$fewest`.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, Date32Array, RecordBatch, StringViewArray, TimestampMillisecondArray,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use engine::territory::Insee;

use crate::dimensions::Dimensions;
use crate::layout::Day;
use crate::limits::{FEWEST_SHOWN, REPORT_DAYS_MAX};
use crate::session::{Answer, QueryError, Turn, Warehouse, plan};
use crate::views::{View, register_batch};

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it is asked for by.
    pub name: &'static str,
    /// What it means, in English.
    pub words: Words,
    /// The same in French.
    pub french: Words,
    sql: &'static str,
}

/// What a report means, in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// What it is about.
    pub title: String,
    /// What is counted.
    pub definition: String,
    /// In what.
    pub unit: String,
    /// Of what.
    pub source: String,
    /// Its columns: name and meaning.
    pub columns: Vec<(String, String)>,
}

/// Of when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    from: Day,
    to: Day,
}

impl Period {
    /// From the beginning of a day to the beginning of another, in UTC. None: that is no time, or more than
    /// [`REPORT_DAYS_MAX`].
    pub fn new(from: Day, to: Day) -> Option<Self> {
        let days = to.0.checked_sub(from.0)?;
        (1..=REPORT_DAYS_MAX).contains(&days).then_some(Self { from, to })
    }

    fn days(self) -> impl Iterator<Item = Day> + Clone {
        (self.from.0..self.to.0).map(Day)
    }
}

/// Every report, by name.
pub fn all() -> &'static [Report] {
    &REPORTS
}

/// The report of a name.
pub fn named(name: &str) -> Option<&'static Report> {
    REPORTS.iter().find(|report| report.name == name)
}

impl Warehouse {
    /// Makes a report in a turn of its own: see [`Turn::report`].
    pub async fn report(
        &self,
        report: &Report,
        period: Period,
        towns: Option<BTreeSet<Insee>>,
        dimensions: &Arc<Dimensions>,
    ) -> Result<Answer, QueryError> {
        self.turn()?.report(report, period, towns, dimensions).await
    }
}

impl Turn<'_> {
    /// Makes a report of a period and a territory: the towns of [`Dimensions::towns_of`], or None for all.
    pub async fn report(
        self,
        report: &Report,
        period: Period,
        towns: Option<BTreeSet<Insee>>,
        dimensions: &Arc<Dimensions>,
    ) -> Result<Answer, QueryError> {
        self.report_of(report, period, towns, dimensions, FEWEST_SHOWN).await
    }

    /// The same, with figures to which so many contribute.
    async fn report_of(
        self,
        report: &Report,
        period: Period,
        towns: Option<BTreeSet<Insee>>,
        dimensions: &Arc<Dimensions>,
        fewest: u32,
    ) -> Result<Answer, QueryError> {
        let (sessions, dimensions, sql) = (self.sessions(), dimensions.clone(), report.sql);
        let moment = |day: Day| ScalarValue::TimestampMillisecond(Some(day.begins().0), Some("UTC".into()));
        let fewest = ScalarValue::Int64(Some(fewest.into()));
        let values = vec![("begins", moment(period.from)), ("ends", moment(period.to)), ("fewest", fewest)];
        let query = async move {
            let context = sessions.begin(&View::Everything, &dimensions).await?;
            let towns = towns.unwrap_or_else(|| dimensions.every_town());
            for (name, batch) in tables(period, &towns)? {
                register_batch(&context, name, batch)?;
            }
            if sql.contains("FROM cells") {
                let cells = sessions.land().table(dimensions.territory.as_ref(), &towns).await?;
                register_batch(&context, "cells", cells)?;
            }
            plan(&context, sql, values).await
        };
        self.ask(query).await
    }
}

/// What a report has beside what everybody has.
fn tables(period: Period, towns: &BTreeSet<Insee>) -> Result<[(&'static str, RecordBatch); 2], ArrowError> {
    let moments = |days: &mut dyn Iterator<Item = Day>| -> ArrayRef {
        let moments = TimestampMillisecondArray::from_iter_values(days.map(|day| day.begins().0));
        Arc::new(moments.with_timezone("UTC"))
    };
    let days = RecordBatch::try_from_iter([
        ("day", Arc::new(Date32Array::from_iter_values(period.days().map(|day| day.0))) as ArrayRef),
        ("begins_at", moments(&mut period.days())),
        ("ends_at", moments(&mut period.days().map(Day::next))),
    ])?;
    let insee = StringViewArray::from_iter_values(towns.iter().map(Insee::as_str));
    let territory = RecordBatch::try_from_iter([("insee", Arc::new(insee) as ArrayRef)])?;
    Ok([("days", days), ("territory", territory)])
}

static REPORTS: LazyLock<Vec<Report>> = LazyLock::new(|| {
    macro_rules! files {
        ($($name:literal),+) => {
            [$((
                $name,
                include_str!(concat!("reports/", $name, ".sql")),
                include_str!(concat!("reports/", $name, ".fr.txt")),
            )),+]
        };
    }
    let files = files!("availability", "balance", "compliance", "coverage", "response", "work");
    let comments = |sql: &'static str| sql.lines().map_while(|line| line.strip_prefix("--"));
    let read = |(name, sql, french): (_, _, &'static str)| Report {
        name,
        words: Words::read(comments(sql)),
        french: Words::read(french.lines()),
        sql,
    };
    files.into_iter().map(read).collect()
});

impl Words {
    fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut words = Self::default();
        let mut under_way = "";
        for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
            let begun = line.split_once(": ").filter(|(word, _)| KEYS.contains(word));
            let text = begun.map_or(line, |(key, text)| {
                under_way = key;
                text
            });
            match under_way {
                "Definition" => add(&mut words.definition, text),
                "Unit" => add(&mut words.unit, text),
                "Source" => add(&mut words.source, text),
                "Column" if begun.is_some() => {
                    let (name, meaning) = text.split_once(": ").unwrap_or((text, ""));
                    words.columns.push((name.to_owned(), meaning.to_owned()));
                }
                "Column" => {
                    if let Some((_, meaning)) = words.columns.last_mut() {
                        add(meaning, text);
                    }
                }
                _ => add(&mut words.title, text),
            }
        }
        words
    }
}

const KEYS: [&str; 4] = ["Definition", "Unit", "Source", "Column"];

fn add(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(line);
}

#[cfg(test)]
mod tests;
