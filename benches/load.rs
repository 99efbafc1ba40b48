//! `GET /taxis` over HTTP, at given rates, without waiting for answers: see [`benches::open_loop`].

use benches::open_loop::{Plan, run};
use benches::town_server::TownServer;
use clap::Parser;

/// The rates, the taxis, the time.
#[derive(Debug, Parser)]
struct Args {
    /// How many taxis.
    #[arg(long, default_value_t = 10_000)]
    taxis: usize,
    /// Searches a second, one run after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [500.0, 1_000.0, 2_000.0, 4_000.0])]
    rates: Vec<f64>,
    /// Seconds of each run.
    #[arg(long, default_value_t = 10)]
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
    let towns = runtime.block_on(TownServer::start(args.seed, args.taxis))?;
    println!("offered/s  answered/s  failed  taxis  bytes   p50 us   p90 us   p99 us  p99.9 us   max us");
    for rate in &args.rates {
        // Fresh for the whole run: a position is seen for two minutes.
        towns.report_positions()?;
        let report = run(&Plan {
            server: towns.server.http,
            key: towns.app_key.clone(),
            customers: towns.places.clone(),
            rate: *rate,
            seconds: args.seconds,
            connections: args.connections,
            seed: args.seed,
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
    }
    runtime.block_on(towns.server.stop());
    Ok(())
}
