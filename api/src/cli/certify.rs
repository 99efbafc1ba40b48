//! `maraude certify`: an integrator's acceptance run against a running registry.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args as Arguments, Subcommand};
use ingest::clock::Clock;
use reqwest::Url;
use tokio_util::sync::CancellationToken;

use crate::certify::as_operator::Stand;
use crate::certify::observed::Observed;
use crate::certify::report::{Report, Signer, file, moment, read_signed, title};
use crate::certify::run::{self, Pace, Party, Run, Server};
use crate::certify::{Rules, Side, Verdict, as_app, as_operator, judge};
use crate::config::Config;
use crate::serve::open_store;

/// Who is judged.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Hail an operator's taxi as a search app would, and judge what comes of it.
    Operator {
        /// The taxi, by its id: one whose driver knows of it, as seven hails will ring.
        #[arg(long)]
        taxi: String,
        #[command(flatten)]
        args: Args,
    },
    /// Wait with a taxi for the hails of a search app, and judge what comes of them. With --log-as that app alone finds
    /// the taxi.
    Search {
        /// Where the taxi waits: longitude in degrees.
        #[arg(long, default_value_t = 2.3522, allow_negative_numbers = true)]
        lon: f64,
        /// Latitude in degrees.
        #[arg(long, default_value_t = 48.8566, allow_negative_numbers = true)]
        lat: f64,
        /// INSEE code of the town there, whose ADS the taxi has.
        #[arg(long, default_value = "75056")]
        insee: String,
        #[command(flatten)]
        args: Args,
    },
    /// Tell whether a report is as this deployment signed it, with the secret that the settings tell.
    Verify {
        /// The report as HTML: what these commands wrote, or a report's page of the console.
        file: PathBuf,
    },
}

/// What runs have.
#[derive(Debug, Arguments)]
pub(super) struct Args {
    /// The server's HTTP interface.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    server: Url,
    /// The partner's API key.
    #[arg(long)]
    key: String,
    /// The account that is judged, as the report names it; by default what the server calls it.
    #[arg(long)]
    account: Option<String>,
    /// The API key of an account that plays the other side; or see --log-as.
    #[arg(long, required_unless_present = "log_as", conflicts_with = "log_as")]
    counterpart: Option<String>,
    /// The account that plays the other side, which the partner's key may act for: the server's integration account.
    #[arg(long)]
    log_as: Option<String>,
    /// Where the report is written, as HTML.
    #[arg(long, short, default_value = "recette.html")]
    output: PathBuf,
    /// Sign the report with the deployment's secret, which the settings tell, as the server's would.
    #[arg(long)]
    sign: bool,
    /// How long the partner may take for each thing that it is asked to do, in seconds.
    #[arg(long, default_value_t = 300)]
    patience_s: u64,
    /// Positions that are waited for first, from a taxi that is left alone.
    #[arg(long, default_value_t = 12)]
    positions: usize,
    /// How long, at most, in seconds.
    #[arg(long, default_value_t = 120)]
    watch_s: u64,
    /// Between two looks, in milliseconds.
    #[arg(long, default_value_t = 500)]
    poll_ms: u64,
    /// The longest time without a new position that is still well, in seconds.
    #[arg(long, default_value_t = Rules::default().cadence_s)]
    cadence_s: i64,
}

/// Runs it, writes the report and fails where the partner is not certified; or fails where a report was changed.
pub(super) async fn run(command: &Command, config: &Config, clock: Clock) -> anyhow::Result<()> {
    match command {
        Command::Operator { taxi, args } => {
            let observe = async |run: &Run<'_>| as_app::observe(run, taxi).await;
            certify(Side::Operator, args, observe, (config, clock)).await
        }
        Command::Search { lon, lat, insee, args } => {
            let stand = Stand { lon: *lon, lat: *lat, insee: insee.clone() };
            let observe = async |run: &Run<'_>| as_operator::observe(run, &stand).await;
            certify(Side::Search, args, observe, (config, clock)).await
        }
        Command::Verify { file } => verify(file, config, clock).await,
    }
}

async fn verify(file: &Path, config: &Config, clock: Clock) -> anyhow::Result<()> {
    let page = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let (text, signature) = read_signed(&page).context("the file has no signed report")?;
    let signer = signer(config, clock).await?;
    ensure!(
        signer.is_right(&text, &signature),
        "the signature is not of this report, or not of this deployment"
    );
    // What is shown beside it on the page is not signed.
    show(&Report::read(&text).context("the signed text is no report that this version knows")?);
    println!("the signature is right");
    Ok(())
}

async fn certify(
    side: Side,
    args: &Args,
    observe: impl AsyncFnOnce(&Run<'_>) -> run::Result<Observed>,
    (config, clock): (&Config, Clock),
) -> anyhow::Result<()> {
    // Before an hour is spent: a secret that is not there.
    let signer = if args.sign { Some(signer(config, clock.clone()).await?) } else { None };
    let tell = |line: String| println!("{line}");
    let stop = CancellationToken::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    let counterpart = args.counterpart.clone().unwrap_or_else(|| args.key.clone());
    let run = Run {
        side,
        server: Server::new(args.server.clone())?,
        partner: Party { key: args.key.clone(), log_as: None },
        counterpart: Party { key: counterpart, log_as: args.log_as.clone() },
        pace: Pace {
            poll: Duration::from_millis(args.poll_ms.max(1)),
            patience: Duration::from_secs(args.patience_s),
            positions: args.positions,
            watch: Duration::from_secs(args.watch_s),
        },
        clock: clock.clone(),
        stop: stop.clone(),
        tell: &tell,
    };
    let begun_at = clock.now();
    let observed = observe(&run).await?;
    let rules = Rules { cadence_s: args.cadence_s, ..Rules::default() };
    let report = Report {
        side: run.side,
        account: args.account.clone().unwrap_or_else(|| observed.account.clone()),
        server: args.server.to_string(),
        taxi: observed.taxi.clone(),
        begun_at: begun_at.0,
        ended_at: clock.now().0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        findings: judge(run.side, &observed, rules),
    };
    show(&report);
    let signed = signer.map(|signer| signer.sign(&report.text()));
    std::fs::write(&args.output, file(&report, signed.as_deref()))
        .with_context(|| format!("writing {}", args.output.display()))?;
    println!("{}", args.output.display());
    ensure!(report.verdict() == Verdict::Passed, "the partner is not certified");
    Ok(())
}

async fn signer(config: &Config, clock: Clock) -> anyhow::Result<Signer> {
    let (store, secret) = open_store(config, clock).await.context("reading the deployment's secret")?;
    store.close().await;
    Ok(Signer::new(&secret))
}

fn show(report: &Report) {
    println!("{} : {}", title(report), moment(report.ended_at));
    for finding in &report.findings {
        println!(
            "{:<28} {:<12} {}",
            finding.item.name(),
            finding.verdict.name(),
            finding.evidence.join(" ; ")
        );
    }
}
