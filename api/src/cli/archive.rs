//! `maraude archive`: what the archive holds, which files others may read, and whether it is what was written.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use ingest::clock::Clock;

use analytics::compact::{Outcome, compact};
use analytics::current::Current;
use analytics::footer::Footer;
use analytics::hails::Hails;
use analytics::layout::{Day, Stream};
use analytics::positions::Positions;
use analytics::root::Root;
use analytics::rows::Rows;
use analytics::searches::Searches;
use analytics::verify::{Findings, verify};

use crate::config::Config;
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
    /// Read every file again: count, digest, and look for records of the log that are missing or there twice.
    Verify,
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
        Command::Verify => {
            let problems = check::<Positions>(&root).await?
                + check::<Searches>(&root).await?
                + check::<Hails>(&root).await?;
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
    let (stream, aside) = (R::STREAM, settings(config).aside);
    for &day in &days {
        let bar = bar(&format!("{{pos}}/{{len}} {stream}"), 0);
        let told = |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        };
        let outcome =
            compact::<R>(root, day, &aside, &told).await.with_context(|| format!("writing {day}"))?;
        bar.finish_and_clear();
        match outcome {
            Outcome::Written(manifest) => {
                let rows = counted(manifest.rows(), stream);
                println!("{day}: {rows} in {} file(s)", manifest.parts.len());
            }
            Outcome::Nothing => println!("{day}: there are no {stream} to write"),
            Outcome::Outrun => println!("{day}: another process has written its {stream}"),
        }
    }
    Ok(days.len())
}

/// Reads a stream; gives how many problems it has.
async fn check<R: Rows>(root: &Root) -> anyhow::Result<usize> {
    let bar = bar("{bytes}/{total_bytes} read", 0);
    let told = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let findings = verify::<R>(root, &told).await?;
    bar.finish_and_clear();
    let Findings { files, rows, bytes, digest, problems } = findings;
    println!("{files} file(s) with {}, {bytes} bytes, digest {digest}", counted(rows, R::STREAM));
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
