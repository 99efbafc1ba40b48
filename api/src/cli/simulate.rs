//! `maraude simulate`: the demonstration's fleet against any server.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use ingest::clock::Clock;
use reqwest::Url;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::fleet::plan::{Operator, plan};
use crate::simulation::drive::Fleet;
use crate::simulation::post::Protocol;
use crate::simulation::register::register;
use crate::simulation::{Target, parse_operator, towns};

/// The fleet, and whom it reports to.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many taxis.
    #[arg(long, default_value_t = 500)]
    taxis: usize,
    /// Positions a second of each taxi.
    #[arg(long, default_value_t = 0.2)]
    hz: f64,
    /// Which datagrams are sent: 1 is JSON, 2 is compact (docs/protocol.md).
    #[arg(long, default_value = "1", value_parser = Protocol::parse)]
    protocol: Protocol,
    /// INSEE codes of the towns, separated by commas; all that ship with the program if not given.
    #[arg(long, value_delimiter = ',')]
    towns: Vec<String>,
    /// An operator of the fleet, EMAIL:KEY. May be repeated; taxis are shared among them in turn.
    #[arg(long = "operator", value_parser = parse_operator, required = true)]
    operators: Vec<Operator>,
    /// The server's HTTP interface.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    server: Url,
    /// Where the server takes datagrams.
    #[arg(long, default_value = "127.0.0.1:8090")]
    positions: SocketAddr,
    /// A search app's key: customers search with it.
    #[arg(long)]
    app: Option<String>,
    /// Searches a second.
    #[arg(long, default_value_t = 10.0)]
    searches: f64,
    /// Chooses the fleet and its ways: the same seed, the same fleet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after so many seconds; without it, at Ctrl-C.
    #[arg(long)]
    seconds: Option<u64>,
}

/// Registers the fleet and drives it.
pub(super) async fn run(args: &Args, clock: Clock) -> anyhow::Result<()> {
    let target = Target::new(args.server.clone(), args.positions)?;
    let plans = plan(args.seed, args.taxis, &args.operators, &towns(&args.towns)?);
    let bar =
        ProgressBar::new(u64::try_from(plans.len()).unwrap_or(u64::MAX)).with_message("taxis registered");
    let progress = |done| bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    let ids = register(&target, &args.operators, &plans, progress).await.context("registering the fleet")?;
    bar.finish_and_clear();
    println!("{} taxis of {} operators are registered at {}", ids.len(), args.operators.len(), args.server);
    let fleet = Fleet::new(target, &args.operators, &plans, ids, args.seed, clock);
    let mut fleet = fleet.speaking(args.protocol);
    fleet.begin().await?;
    let (done, stop) = (fleet.done(), CancellationToken::new());
    let app = args.app.clone().map(|key| (key, args.searches));
    let driving = tokio::spawn(fleet.drive(args.hz, app, stop.clone()));
    let mut every = interval(Duration::from_secs(5));
    let end = async {
        match args.seconds {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None => drop(tokio::signal::ctrl_c().await),
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = every.tick() => println!("{}", summary(&done)),
        }
    }
    stop.cancel();
    driving.await??;
    println!("{}", summary(&done));
    Ok(())
}

fn summary(done: &crate::simulation::Done) -> String {
    format!(
        "{} positions sent, {} statuses changed, {} searches that found {} taxis, {} failures",
        done.sent.get(),
        done.statuses.get(),
        done.searches.get(),
        done.found.get(),
        done.failed.get()
    )
}
