//! `maraude archive`: what the archive holds, which files others may read, and whether it is what was written.

use std::fmt::Display;

use anyhow::ensure;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use ingest::clock::{Clock, Millis};
use ingest::log::Log;

use analytics::compare::{Compared, compare};
use analytics::current::Current;
use analytics::footer::{BadFile, Footer, Skipped};
use analytics::hails::Hails;
use analytics::layout::{Day, Stream};
use analytics::limits::REPLACED_LEFT_MS;
use analytics::positions::Positions;
use analytics::rollups;
use analytics::root::Root;
use analytics::rows::{Logged, Rows};
use analytics::searches::Searches;
use analytics::verify::{Findings, verify};

use self::days::Days;
use crate::config::Config;
use crate::searches;

mod days;

/// What is done.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell how much there is, and up to when.
    Status,
    /// List the files that hold each row of a stream once, for other engines to read.
    Files {
        /// Which stream: positions, searches or hails.
        #[arg(default_value = "positions")]
        stream: Stream,
    },
    /// Write days that are over from their hours. A server that archives does so by itself.
    Compact {
        /// This day alone (UTC), even if more of it may come: what comes later is added to it.
        #[arg(long, value_name = "YYYY-MM-DD")]
        day: Option<Day>,
    },
    /// Leave nothing finer than the town of days that are older than `retain_exact_days`. A server that archives does
    /// so by itself.
    Blur {
        /// Change nothing; list days, files and rows.
        #[arg(long)]
        dry_run: bool,
        /// This day alone (UTC), whatever its age.
        #[arg(long, value_name = "YYYY-MM-DD", conflicts_with = "dry_run")]
        day: Option<Day>,
    },
    /// Delete days of searches and hails that are older than `retain_hails_days`. A server that archives does so by
    /// itself.
    Delete {
        /// Change nothing; list days, files and rows.
        #[arg(long)]
        dry_run: bool,
    },
    /// Read every file again, of what days add up to, too: count, digest, look for records of the log that are missing
    /// or there twice, and for exact places older than `retain_exact_days`.
    Verify {
        /// Compare with the logs, too, as far back as they go; an embedded one must not be in use.
        #[arg(long)]
        with_log: bool,
    },
}

/// Does it.
pub(super) async fn run(command: &Command, config: &Config, clock: Clock) -> anyhow::Result<()> {
    let root = Root::open(&config.archive)?;
    match command {
        Command::Status => {
            println!("archive {}", root.url());
            let mut problems = Problems::default();
            for stream in Stream::ALL {
                status(&root, stream, &mut problems).await?;
            }
            problems.end()?;
        }
        Command::Files { stream } => {
            let (current, damaged) = Current::read_sound(&root, *stream).await?;
            for name in current.names() {
                println!("{}", root.place_of(&name));
            }
            // Who reads the list takes each line for a file.
            let damaged = damaged.values().map(ToString::to_string).collect::<Vec<_>>();
            ensure!(damaged.is_empty(), "the list is without days that are damaged: {}", damaged.join("; "));
        }
        Command::Compact { day } => {
            let mut days = Days::new(&root, config, &clock);
            days.write::<Positions>(*day).await?;
            days.write::<Searches>(*day).await?;
            days.end("write")?;
        }
        Command::Blur { dry_run, day } => {
            let mut days = Days::new(&root, config, &clock);
            days.blur::<Positions>(*day, *dry_run).await?;
            days.blur::<Searches>(*day, *dry_run).await?;
            days.forget_cells(*day, *dry_run).await?;
            days.end("blur")?;
        }
        Command::Delete { dry_run } => {
            let mut days = Days::new(&root, config, &clock);
            days.delete::<Searches>(*dry_run).await?;
            days.delete::<Hails>(*dry_run).await?;
            days.end("delete")?;
        }
        Command::Verify { with_log } => {
            let now = clock.now();
            let mut problems = Problems::default();
            check::<Positions>(&root, config, now, &mut problems).await?;
            check::<Searches>(&root, config, now, &mut problems).await?;
            check::<Hails>(&root, config, now, &mut problems).await?;
            check_rollups(&root, config, now, &mut problems).await?;
            if *with_log {
                let (log, clock) = (config.log.clone(), clock.clone());
                let positions = Log::open(&log, &config.log_settings, clock.clone())?;
                hold_against::<Positions>(&root, &positions, &mut problems).await?;
                let searches = searches::open_log(&log, &config.log_settings, config.retention.exact, clock)?;
                hold_against::<Searches>(&root, &searches, &mut problems).await?;
            }
            problems.end()?;
            println!("all is as it was written");
        }
    }
    Ok(())
}

/// What is wrong, told as it is found: it keeps nothing else from being done or told.
#[derive(Default)]
struct Problems(usize);

impl Problems {
    fn tell(&mut self, problem: &dyn Display) {
        println!("{problem}");
        self.0 += 1;
    }

    fn tell_all(&mut self, problems: impl IntoIterator<Item = impl Display>) {
        problems.into_iter().for_each(|problem| self.tell(&problem));
    }

    /// Fails if there was any.
    fn end(&self) -> anyhow::Result<()> {
        ensure!(self.0 == 0, "{} problem(s)", self.0);
        Ok(())
    }
}

/// What a stream's rows are, so many of them.
fn counted(rows: u64, stream: Stream) -> String {
    let what = match stream {
        Stream::Positions => "position(s)",
        Stream::Searches => "search(es)",
        Stream::Hails => "hail(s)",
    };
    format!("{rows} {what}")
}

async fn status(root: &Root, stream: Stream, problems: &mut Problems) -> anyhow::Result<()> {
    let (current, damaged) = Current::read_sound(root, stream).await?;
    println!("{stream}");
    problems.tell_all(damaged.values());
    let parts: usize = current.days.values().map(|manifest| manifest.parts.len()).sum();
    let rows: u64 = current.days.values().map(analytics::manifest::Manifest::rows).sum();
    let days = current.days.keys();
    let span = match (days.clone().next(), days.clone().next_back()) {
        (Some(first), Some(last)) => format!(", {first} to {last}"),
        _ => String::new(),
    };
    let days = current.days.len();
    println!("  days     {days} with {} in {parts} file(s){span}", counted(rows, stream));
    let bar = bar("{pos}/{len} files", current.recent.len() as u64);
    let (mut recent, mut until) = (0, None);
    for file in &current.recent {
        bar.inc(1);
        match Footer::read(root, file).await {
            Ok(footer) => {
                recent += footer.rows;
                until = until.max(footer.covered.map(|covered| covered.appended_until));
            }
            Err(error @ BadFile::Damaged { .. }) => bar.suspend(|| problems.tell(&error)),
            Err(error) => return Err(error.into()),
        }
    }
    bar.finish_and_clear();
    println!("  recent   {} in {} file(s)", counted(recent, stream), current.recent.len());
    let until = until
        .max(current.days.values().flat_map(|day| &day.covers).map(|covered| covered.appended_until).max());
    if let Some(until) = until.and_then(|until| chrono::DateTime::from_timestamp_millis(until.0)) {
        println!("  until    {}", until.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
    }
    let bytes = current.bytes();
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let each = bytes as f64 / (rows + recent).max(1) as f64;
    println!("  bytes    {bytes}, {each:.2} a row with its place in the log");
    Ok(())
}

/// A bar of bytes that are read, and who tells it of how many of them, and how many there are.
fn reading() -> (ProgressBar, impl Fn(u64, u64)) {
    let bar = bar("{bytes}/{total_bytes} read", 0);
    let shown = bar.clone();
    let told = move |done, all| {
        shown.set_length(all);
        shown.set_position(done);
    };
    (bar, told)
}

/// Reads a stream.
async fn check<R: Rows>(
    root: &Root,
    config: &Config,
    now: Millis,
    problems: &mut Problems,
) -> anyhow::Result<()> {
    let (bar, told) = reading();
    let findings = verify::<R>(root, &told).await?;
    bar.finish_and_clear();
    let too_exact = findings.too_exact(config.retention.exact_since(now), now.plus(-REPLACED_LEFT_MS));
    let Findings { files, rows, bytes, digest, problems: found, skipped, exact } = findings;
    println!("{files} file(s) with {}, {bytes} bytes, digest {digest}", counted(rows, R::STREAM));
    let replaced = exact.iter().filter(|file| file.replaced_at.is_some()).count();
    println!("{} file(s) with exact places, {replaced} of them replaced and soon removed", exact.len());
    for Skipped { epoch, partition, from, next } in &skipped {
        let (partition, from, last) = (partition.0, from.0, next.0 - 1);
        println!(
            "records {from} to {last} of partition {partition} of log {epoch:016x} could not be read when they were \
             archived"
        );
    }
    problems.tell_all(found.iter().chain(&too_exact));
    Ok(())
}

/// Reads what the archive adds up to.
async fn check_rollups(
    root: &Root,
    config: &Config,
    now: Millis,
    problems: &mut Problems,
) -> anyhow::Result<()> {
    let (bar, told) = reading();
    let exact_since = config.retention.exact_since(now);
    let rollups::verify::Findings { files, rows, bytes, unsealed, problems: found } =
        rollups::verify::verify(root, exact_since, &told).await?;
    bar.finish_and_clear();
    println!("{files} file(s) of what that adds up to, with {rows} row(s), {bytes} bytes");
    if unsealed > 0 {
        println!("{unsealed} of them are of a version that did not seal them: they can be read");
    }
    problems.tell_all(found);
    Ok(())
}

/// Holds a stream against its log.
async fn hold_against<L: Logged>(
    root: &Root,
    log: &Log<L::Entry>,
    problems: &mut Problems,
) -> anyhow::Result<()> {
    let bar = bar("{pos}/{len} records of the log", 0);
    let told = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let Compared { rows, problems: found } = compare::<L>(root, log, &told).await?;
    bar.finish_and_clear();
    println!("{} compared with what their log has", counted(rows, L::STREAM));
    problems.tell_all(found);
    Ok(())
}

/// Progress on the standard error.
fn bar(what: &str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) =
        ProgressStyle::with_template(&format!("{{bar:40}} {what}, {{elapsed}} of {{duration}}"))
    {
        bar.set_style(style);
    }
    bar
}
