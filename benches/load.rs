//! `GET /taxis` over HTTP without waiting for answers: at given rates, or up to the highest one that is sustained.
//! See [`benches::open_loop`].

use benches::open_loop::{Plan, Report, run};
use benches::town_server::{Crowding, TownServer};
use clap::Parser;

/// A rate is sustained if nothing fails and the 99th percentile is no longer than this.
const P99_MAX_US: u64 = 100_000;
/// From the first rate on each is so many times the one before, until one is not sustained; then the interval between
/// the last two is halved so often.
const FIRST_RATE: f64 = 100.0;
const STEP: f64 = 1.5;
const HALVINGS: usize = 3;
/// How often the rate found, and half of it, are measured.
const REPEATS: u64 = 3;

/// The taxis, the rates, the time.
#[derive(Debug, Parser)]
struct Args {
    /// How many taxis.
    #[arg(long, default_value_t = 10_000)]
    taxis: usize,
    /// Where they are.
    #[arg(long, value_enum, default_value_t = Crowding::Spread)]
    crowding: Crowding,
    /// Searches a second, one run after the other; without it, the highest sustained rate is looked for.
    #[arg(long, value_delimiter = ',')]
    rates: Vec<f64>,
    /// Seconds of each run. A position is seen for two minutes, and reported before each run.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=90))]
    seconds: u64,
    /// Requests that can be under way.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Decides where taxis stand and when searches are due.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let towns = runtime.block_on(TownServer::start(args.seed, args.taxis, args.crowding, None))?;
    println!("offered/s  answered/s  failed  taxis  bytes   p50 us   p90 us   p99 us  p99.9 us   max us");
    if args.rates.is_empty() {
        find(&args, &towns)?;
    }
    for rate in &args.rates {
        measure(&args, &towns, *rate, args.seed)?;
    }
    runtime.block_on(towns.server.stop());
    Ok(())
}

/// Looks for the highest sustained rate, and measures there and at half of it.
fn find(args: &Args, towns: &TownServer) -> anyhow::Result<()> {
    let (mut sustained, mut beyond) = (0.0, FIRST_RATE);
    while is_sustained(&measure(args, towns, beyond, args.seed)?) {
        (sustained, beyond) = (beyond, beyond * STEP);
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(sustained, beyond);
        if is_sustained(&measure(args, towns, middle, args.seed)?) {
            sustained = middle;
        } else {
            beyond = middle;
        }
    }
    anyhow::ensure!(sustained > 0.0, "no rate is sustained");
    for rate in [sustained, sustained / 2.0] {
        println!("again at {rate:.0} a second:");
        for repeat in 1..=REPEATS {
            measure(args, towns, rate, args.seed + repeat)?;
        }
    }
    Ok(())
}

fn is_sustained(report: &Report) -> bool {
    report.failed == 0 && report.p99_us <= P99_MAX_US
}

fn measure(args: &Args, towns: &TownServer, rate: f64, seed: u64) -> anyhow::Result<Report> {
    towns.report_positions()?;
    let report = run(&Plan {
        server: towns.server.http,
        key: towns.app_key.clone(),
        customers: towns.customers.clone(),
        rate,
        seconds: args.seconds,
        connections: args.connections,
        seed,
    })?;
    println!(
        "{:>9.0} {:>11.0} {:>7} {:>6.1} {:>6} {:>8} {:>8} {:>8} {:>9} {:>8}",
        report.offered,
        report.answered,
        report.failed,
        report.taxis_mean,
        report.bytes_mean,
        report.p50_us,
        report.p90_us,
        report.p99_us,
        report.p999_us,
        report.max_us
    );
    Ok(report)
}
