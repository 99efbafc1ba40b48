//! Days that are written anew: from their hours, blurred, or of nothing. What is wrong with one keeps no other waiting.

use analytics::blur::{self, Plan, blur};
use analytics::compact::{CompactError, Outcome, compact};
use analytics::current::Current;
use analytics::expire;
use analytics::footer::BadFile;
use analytics::layout::{Day, Stream};
use analytics::rollups::presence;
use analytics::root::Root;
use analytics::rows::Rows;
use anyhow::{bail, ensure};
use ingest::clock::Clock;

use super::{Problems, bar, counted};
use crate::config::Config;
use crate::serve::archive::settings;

/// What is done with the days of an archive, stream by stream.
pub(super) struct Days<'a> {
    root: &'a Root,
    config: &'a Config,
    clock: &'a Clock,
    /// How many were looked at.
    looked_at: usize,
    problems: Problems,
}

impl<'a> Days<'a> {
    /// Of an archive.
    pub(super) fn new(root: &'a Root, config: &'a Config, clock: &'a Clock) -> Self {
        Self { root, config, clock, looked_at: 0, problems: Problems::default() }
    }

    /// Says so if there was none to do that with; fails if one could not be.
    pub(super) fn end(&self, what: &str) -> anyhow::Result<()> {
        self.problems.end()?;
        if self.looked_at == 0 {
            println!("there is no day to {what}");
        }
        Ok(())
    }

    /// Writes one day, or those that are over, from their hours.
    pub(super) async fn write<R: Rows>(&mut self, day: Option<Day>) -> anyhow::Result<()> {
        let days = if let Some(day) = self.over(day)? {
            vec![day]
        } else {
            let (current, damaged) = Current::read_sound(self.root, R::STREAM).await?;
            self.problems.tell_all(damaged.values());
            let today = Day::of(self.clock.now());
            current.closed_days().into_iter().filter(|day| *day < today).collect()
        };
        let (root, aside) = (self.root, settings(self.config).aside);
        for day in days {
            self.rewritten(R::STREAM, day, async |told| compact::<R>(root, day, &aside, told).await).await?;
        }
        Ok(())
    }

    /// Blurs one day, or those that are old enough.
    pub(super) async fn blur<R: Rows>(&mut self, day: Option<Day>, dry_run: bool) -> anyhow::Result<()> {
        let days = if let Some(day) = self.over(day)? {
            vec![day]
        } else {
            let exact_since = self.config.retention.exact_since(self.clock.now());
            let planned = blur::plan::<R>(self.root, exact_since).await?;
            self.planned(R::STREAM, planned, dry_run.then_some("blurred"))
        };
        let (root, aside) = (self.root, settings(self.config).aside);
        for day in days {
            self.rewritten(R::STREAM, day, async |told| blur::<R>(root, day, &aside, told).await).await?;
        }
        Ok(())
    }

    /// Forgets in which cells taxis were on days that are old enough, or on one.
    pub(super) async fn forget_cells(&mut self, day: Option<Day>, dry_run: bool) -> anyhow::Result<()> {
        let old = match day {
            Some(day) => presence::of_blurred_day(self.root, day).await?,
            None => presence::old(self.root, self.config.retention.exact_since(self.clock.now())).await?,
        };
        self.looked_at += old.len();
        let what = if dry_run { "would be removed" } else { "removed" };
        for name in &old {
            println!("{name} {what}");
        }
        if !dry_run {
            self.root.remove(old).await?;
        }
        Ok(())
    }

    /// Deletes the days that are old enough.
    pub(super) async fn delete<R: Rows>(&mut self, dry_run: bool) -> anyhow::Result<()> {
        let kept_since = self.config.retention.hails_since(self.clock.now());
        let (plans, damaged) = expire::plan::<R>(self.root, kept_since).await?;
        if dry_run {
            self.planned(R::STREAM, (plans, damaged), Some("deleted"));
            return Ok(());
        }
        self.problems.tell_all(damaged);
        for Plan { day, rows, .. } in plans {
            self.looked_at += 1;
            let rows = counted(rows, R::STREAM);
            match expire::delete::<R>(self.root, day).await {
                Ok(Outcome::Written(_)) => println!("{day}: {rows} deleted"),
                Ok(Outcome::Nothing | Outcome::Outrun) => {
                    println!("{day}: another process has written its {}", R::STREAM);
                }
                Err(error) => self.failed(day, error)?,
            }
        }
        Ok(())
    }

    /// The day that is asked for, which has to be over.
    fn over(&self, day: Option<Day>) -> anyhow::Result<Option<Day>> {
        let is_over = day.is_none_or(|day| day < Day::of(self.clock.now()));
        ensure!(is_over, "{} is not over yet; it is in UTC", day.unwrap_or(Day(0)));
        Ok(day)
    }

    /// The days that are planned; or none of them but a line for each, where it is told what would be done with it.
    fn planned(
        &mut self,
        stream: Stream,
        (plans, damaged): (Vec<Plan>, Vec<BadFile>),
        would_be: Option<&str>,
    ) -> Vec<Day> {
        self.problems.tell_all(damaged);
        let Some(what) = would_be else { return plans.into_iter().map(|plan| plan.day).collect() };
        self.looked_at += plans.len();
        for Plan { day, rows, files } in plans {
            println!("{day}: {} would be {what}: {}", counted(rows, stream), files.join(", "));
        }
        Vec::new()
    }

    /// Writes a day anew, tells how far that is and what became of it.
    async fn rewritten(
        &mut self,
        stream: Stream,
        day: Day,
        write: impl AsyncFnOnce(&dyn Fn(u64, u64)) -> Result<Outcome, CompactError>,
    ) -> anyhow::Result<()> {
        self.looked_at += 1;
        let bar = bar(&format!("{{pos}}/{{len}} {stream}"), 0);
        let told = |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        };
        let outcome = write(&told).await;
        bar.finish_and_clear();
        match outcome {
            Ok(Outcome::Written(manifest)) => {
                let rows = counted(manifest.rows(), stream);
                let blurred = if manifest.is_exact { "" } else { ", blurred" };
                println!("{day}: {rows} in {} file(s){blurred}", manifest.parts.len());
            }
            Ok(Outcome::Nothing) => println!("{day}: there are no {stream} to write"),
            Ok(Outcome::Outrun) => println!("{day}: another process has written its {stream}"),
            Err(error) => self.failed(day, error)?,
        }
        Ok(())
    }

    /// What is wrong with a day is told; what no day can do anything about ends it.
    fn failed(&mut self, day: Day, error: CompactError) -> anyhow::Result<()> {
        match error {
            CompactError::File(BadFile::Unavailable(error)) => bail!(error),
            error => self.problems.tell(&format!("{day}: {error}")),
        }
        Ok(())
    }
}
