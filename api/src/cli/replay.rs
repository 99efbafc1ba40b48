//! `maraude replay`: recorded traces against any server, with an account of every position.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use ingest::clock::Clock;
use reqwest::Url;
use tokio_util::sync::CancellationToken;

use super::{file, json};
use crate::fleet::plan::Operator;
use crate::fleet::taxi::Status;
use crate::replay::account::Account;
use crate::replay::drive::{Fleet, Sent, drive};
use crate::replay::pace::Pace;
use crate::replay::tally::{Outcome, Tally};
use crate::replay::{enrol, trace};
use crate::simulation::post::{Post, Protocol};
use crate::simulation::{Target, parse_operator};

/// The trace, and whom it is reported to.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// CSV with the columns `taxi_id`, `unix_ts`, `lat` and `lon`, others being ignored; .gz is decompressed.
    file: PathBuf,
    /// Seconds of the trace in one.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    speed: f64,
    /// Only so many hours from the first position on.
    #[arg(long, value_parser = positive)]
    limit_hours: Option<f64>,
    /// What every taxi is doing, set through the API: free, occupied or off.
    #[arg(long, default_value = "free", value_parser = parse_status)]
    status: Status,
    /// Register the trace's taxis, in the town of --insee; without it they must be there from an earlier run.
    #[arg(long, requires = "insee")]
    register: bool,
    /// INSEE code of the town of their ADS.
    #[arg(long, requires = "register")]
    insee: Option<String>,
    /// The operator of the taxis, EMAIL:KEY.
    #[arg(long, value_parser = parse_operator)]
    operator: Operator,
    /// The server's HTTP interface.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    server: Url,
    /// Where the server takes datagrams.
    #[arg(long, default_value = "127.0.0.1:8090")]
    positions: SocketAddr,
    /// Which datagrams are sent: 1 is JSON, 2 is compact (docs/protocol.md).
    #[arg(long, default_value = "1", value_parser = Protocol::parse)]
    protocol: Protocol,
    /// Positions a second, at most.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_rate: u32,
    /// The account as JSON.
    #[arg(long)]
    json: bool,
}

/// Reads, registers, sends, and gives the account.
pub(super) async fn run(args: &Args, clock: Clock) -> anyhow::Result<()> {
    let (file, hours) = (args.file.clone(), args.limit_hours);
    let trace = tokio::task::spawn_blocking(move || read(&file, hours)).await??;
    ensure!(
        !trace.fixes.is_empty(),
        "{} has no position to send, of {} rows",
        args.file.display(),
        trace.read
    );
    let target = Target::new(args.server.clone(), args.positions)?;
    let tally = Tally::begin(&target, &args.operator).await.context("asking what the server counts")?;
    let stop = CancellationToken::new();
    let interrupted = tokio::spawn({
        let stop = stop.clone();
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.cancel();
            }
        }
    });
    let prepared = tokio::select! {
        () = stop.cancelled() => None,
        prepared = prepare(args, &target, &trace.taxis, tally) => Some(prepared?),
    };
    let account = if let Some((ids, tally)) = prepared {
        let began = Instant::now();
        let sent = send(args, &target, &trace, &ids, (&clock, &stop)).await?;
        let seconds = began.elapsed().as_secs_f64();
        let outcome = tally.end(&target, sent.sent).await;
        Account { trace, sent, outcome, seconds }
    } else {
        let sent = Sent { not_due: trace.fixes.len() as u64, ..Sent::default() };
        let outcome = Outcome::Unknown("the run was stopped before the first one".to_owned());
        Account { trace, sent, outcome, seconds: 0.0 }
    };
    interrupted.abort();
    if args.json {
        return json::print(&account.json());
    }
    print!("{account}");
    Ok(())
}

fn read(path: &Path, hours: Option<f64>) -> anyhow::Result<trace::Trace> {
    let text = file::open(path).with_context(|| path.display().to_string())?;
    trace::read(text, hours).with_context(|| path.display().to_string())
}

/// What comes before the first position: the taxis' ids, and a last look at the server's counts.
async fn prepare(
    args: &Args,
    target: &Target,
    taxis: &[Box<str>],
    tally: Tally,
) -> anyhow::Result<(Vec<String>, Tally)> {
    let ids = enrol(args, target, taxis).await?;
    Ok((ids, tally.ready(target).await.context("asking what the server counts")?))
}

/// The taxis' ids, in their order; each has the status asked for.
async fn enrol(args: &Args, target: &Target, taxis: &[Box<str>]) -> anyhow::Result<Vec<String>> {
    let bar = bar(taxis.len() as u64, "taxis registered");
    let progress = |done: usize| bar.set_position(done as u64);
    let ids = match &args.insee {
        Some(insee) => enrol::register(target, &args.operator, taxis, insee, progress).await,
        None => enrol::find(target, &args.operator, taxis, progress).await,
    };
    let ids = ids.context("registering the trace's taxis")?;
    let set = enrol::set_status(target, &args.operator, &ids, args.status, progress).await;
    set.context("setting the taxis' status")?;
    bar.finish_and_clear();
    Ok(ids)
}

async fn send(
    args: &Args,
    target: &Target,
    trace: &trace::Trace,
    ids: &[String],
    (clock, stop): (&Clock, &CancellationToken),
) -> anyhow::Result<Sent> {
    let mut post = Post::open(target, args.protocol).await?;
    let first_s = trace.fixes.first().map_or(0, |fix| fix.at_s);
    let mut pace = Pace::new(first_s, args.speed, args.max_rate, clock.now());
    let bar = bar(trace.fixes.len() as u64, "positions sent");
    let fleet = Fleet { operator: &args.operator, ids, status: args.status };
    let sent = drive(&mut post, trace, fleet, (&mut pace, clock), stop, |done| bar.set_position(done)).await;
    bar.finish_and_clear();
    Ok(sent)
}

/// Shows itself on the standard error where that is a terminal.
fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}, {elapsed} of {duration}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "a number above 0".to_owned())
}

fn parse_status(text: &str) -> Result<Status, String> {
    let statuses = [Status::Free, Status::Occupied, Status::Off];
    let status = statuses.into_iter().find(|status| status.as_str() == text);
    status.ok_or_else(|| "free, occupied or off".to_owned())
}
