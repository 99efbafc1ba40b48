//! `maraude archive`: what the archive holds, which files others may read, and whether it is what was written.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use ingest::clock::{Clock, Millis};
use ingest::log::Log;

use analytics::blur::{Plan, blur, plan};
use analytics::compact::{CompactError, Outcome, compact};
use analytics::compare::{Compared, compare};
use analytics::current::Current;
use analytics::footer::{Footer, Skipped};
use analytics::hails::{self, Hails};
use analytics::layout::{Day, Stream};
use analytics::limits::REPLACED_LEFT_MS;
use analytics::positions::Positions;
use analytics::root::Root;
use analytics::rows::{Logged, Rows};
use analytics::searches::Searches;
use analytics::verify::{Findings, verify};

use crate::config::Config;
use crate::searches;
use crate::serve::archive::settings;

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
    /// Delete days of hails that are older than `retain_hails_days`. A server that archives does so by itself.
    Delete {
        /// Change nothing; list days and hails.
        #[arg(long)]
        dry_run: bool,
    },
    /// Read every file again: count, digest, look for records of the log that are missing or there twice, and for exact
    /// places older than `retain_exact_days`.
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
            for stream in Stream::ALL {
                status(&root, stream).await?;
            }
        }
        Command::Files { stream } => {
            for name in Current::read(&root, *stream).await?.names() {
                println!("{}", root.place_of(&name));
            }
        }
        Command::Compact { day } => {
            let written = write_days::<Positions>(&root, *day, config, &clock).await?
                + write_days::<Searches>(&root, *day, config, &clock).await?;
            if written == 0 {
                println!("there is no day to write");
            }
        }
        Command::Blur { dry_run: true, .. } => {
            let exact_since = config.retention.exact_since(clock.now());
            for (stream, plans) in [
                (Stream::Positions, plan::<Positions>(&root, exact_since).await?),
                (Stream::Searches, plan::<Searches>(&root, exact_since).await?),
            ] {
                for Plan { day, rows, files } in plans {
                    println!("{day}: {} would be blurred: {}", counted(rows, stream), files.join(", "));
                }
            }
        }
        Command::Blur { day, .. } => {
            let blurred = blur_days::<Positions>(&root, *day, config, &clock).await?
                + blur_days::<Searches>(&root, *day, config, &clock).await?;
            if blurred == 0 {
                println!("there is no day to blur");
            }
        }
        Command::Delete { dry_run } => {
            let days = hails::older(&root, config.retention.hails_since(clock.now())).await?;
            for (&day, &rows) in &days {
                if *dry_run {
                    println!("{day}: {} would be deleted", counted(rows, Stream::Hails));
                    continue;
                }
                hails::delete(&root, day).await.with_context(|| format!("deleting {day}"))?;
                println!("{day}: {} deleted", counted(rows, Stream::Hails));
            }
            if days.is_empty() {
                println!("there is no day to delete");
            }
        }
        Command::Verify { with_log } => {
            let now = clock.now();
            let mut problems = check::<Positions>(&root, config, now).await?
                + check::<Searches>(&root, config, now).await?
                + check::<Hails>(&root, config, now).await?;
            if *with_log {
                let (log, clock) = (config.log.clone(), clock.clone());
                let positions = Log::open(&log, &config.log_settings, clock.clone())?;
                problems += hold_against::<Positions>(&root, &positions).await?;
                let searches = searches::open_log(&log, &config.log_settings, config.retention.exact, clock)?;
                problems += hold_against::<Searches>(&root, &searches).await?;
            }
            if problems > 0 {
                bail!("{problems} problem(s)");
            }
            println!("all is as it was written");
        }
    }
    Ok(())
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

async fn status(root: &Root, stream: Stream) -> anyhow::Result<()> {
    let current = Current::read(root, stream).await?;
    println!("{stream}");
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
        let footer = Footer::read(root, file).await?;
        recent += footer.rows;
        until = until.max(footer.covered.map(|covered| covered.appended_until));
        bar.inc(1);
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

/// Writes days of a stream; gives how many were looked at.
async fn write_days<R: Rows>(
    root: &Root,
    day: Option<Day>,
    config: &Config,
    clock: &Clock,
) -> anyhow::Result<usize> {
    let today = Day::of(clock.now());
    let days = match day {
        Some(day) if day >= today => bail!("{day} is not over yet; it is in UTC"),
        Some(day) => vec![day],
        None => {
            let closed = Current::read(root, R::STREAM).await?.closed_days();
            closed.into_iter().filter(|day| *day < today).collect()
        }
    };
    let aside = settings(config).aside;
    for &day in &days {
        rewritten(R::STREAM, day, async |told| compact::<R>(root, day, &aside, told).await).await?;
    }
    Ok(days.len())
}

/// Blurs days of a stream; gives how many were looked at.
async fn blur_days<R: Rows>(
    root: &Root,
    day: Option<Day>,
    config: &Config,
    clock: &Clock,
) -> anyhow::Result<usize> {
    let days = match day {
        Some(day) if day >= Day::of(clock.now()) => bail!("{day} is not over yet; it is in UTC"),
        Some(day) => vec![day],
        None => {
            let plans = plan::<R>(root, config.retention.exact_since(clock.now())).await?;
            plans.into_iter().map(|plan| plan.day).collect()
        }
    };
    let aside = settings(config).aside;
    for &day in &days {
        rewritten(R::STREAM, day, async |told| blur::<R>(root, day, &aside, told).await).await?;
    }
    Ok(days.len())
}

/// Writes a day anew, tells how far that is and what became of it.
async fn rewritten(
    stream: Stream,
    day: Day,
    write: impl AsyncFnOnce(&dyn Fn(u64, u64)) -> Result<Outcome, CompactError>,
) -> anyhow::Result<()> {
    let bar = bar(&format!("{{pos}}/{{len}} {stream}"), 0);
    let told = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let outcome = write(&told).await.with_context(|| format!("writing {day}"))?;
    bar.finish_and_clear();
    match outcome {
        Outcome::Written(manifest) => {
            let rows = counted(manifest.rows(), stream);
            let blurred = if manifest.is_exact { "" } else { ", blurred" };
            println!("{day}: {rows} in {} file(s){blurred}", manifest.parts.len());
        }
        Outcome::Nothing => println!("{day}: there are no {stream} to write"),
        Outcome::Outrun => println!("{day}: another process has written its {stream}"),
    }
    Ok(())
}

/// Reads a stream; gives how many problems it has.
async fn check<R: Rows>(root: &Root, config: &Config, now: Millis) -> anyhow::Result<usize> {
    let bar = bar("{bytes}/{total_bytes} read", 0);
    let told = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let findings = verify::<R>(root, &told).await?;
    bar.finish_and_clear();
    let too_exact = findings.too_exact(config.retention.exact_since(now), now.plus(-REPLACED_LEFT_MS));
    let Findings { files, rows, bytes, digest, mut problems, skipped, exact } = findings;
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
    problems.extend(too_exact);
    for problem in &problems {
        println!("{problem}");
    }
    Ok(problems.len())
}

/// Holds a stream against its log; gives how many problems it has.
async fn hold_against<L: Logged>(root: &Root, log: &Log<L::Entry>) -> anyhow::Result<usize> {
    let Compared { rows, problems } = compare::<L>(root, log).await?;
    println!("{} compared with what their log has", counted(rows, L::STREAM));
    for problem in &problems {
        println!("{problem}");
    }
    Ok(problems.len())
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
