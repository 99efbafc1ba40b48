//! Hails that nobody answers: how late the registry ends them.
//!
//! Each taxi is hailed once, as fast as a few clients can, and its operator has no server: the hail waits on a stream
//! that nobody reads, and its ten seconds are over about as densely as hails were made.

#![expect(clippy::cast_precision_loss, reason = "counts and times, to be divided and rounded")]

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use anyhow::ensure;
use benches::open_loop::{Connection, wait_until};
use benches::town_server::{Crowding, TownServer};
use clap::Parser;
use serde_json::json;

/// How long all of them may take to end.
const ENDED_WITHIN: Duration = Duration::from_mins(1);

/// How many, where.
#[derive(Debug, Parser)]
struct Args {
    /// An empty database; without one, `SQLite` in a directory of its own.
    #[arg(long)]
    database: Option<String>,
    /// Taxis, and hails.
    #[arg(long, default_value = "2000")]
    hails: NonZeroUsize,
    /// Clients that hail.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Decides where the taxis are.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let town = TownServer::start(args.seed, args.hails.get(), Crowding::Spread, args.database.as_deref());
    let town = runtime.block_on(town)?;
    town.report_positions()?;
    let began = Instant::now();
    std::thread::scope(|scope| {
        let parts = town.ids().chunks(args.hails.get().div_ceil(args.clients.max(1)));
        let clients: Vec<_> = parts.map(|taxis| scope.spawn(|| hail(&town, taxis))).collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
    })?;
    let took = began.elapsed().as_secs_f64();
    println!("{} hails made in {took:.1} s, {:.0}/s", args.hails.get(), args.hails.get() as f64 / took);
    let meters = town.server.app.registry.hail_meters();
    let last = Instant::now() + ENDED_WITHIN;
    let hails = u64::try_from(args.hails.get())?;
    while meters.late().count < hails {
        ensure!(Instant::now() < last, "only {} hails ended", meters.late().count);
        wait_until(Instant::now() + Duration::from_millis(100));
    }
    let late = meters.late();
    println!("ended late by {:.0} ms on average", late.sum_us as f64 / 1e3 / late.count as f64);
    for (bound_us, within) in &late.within {
        println!("  by {:>6.0} ms at most: {within:>6}", *bound_us as f64 / 1e3);
        if *within == late.count {
            break;
        }
    }
    runtime.block_on(town.server.stop());
    Ok(())
}

fn hail(town: &TownServer, taxis: &[String]) -> anyhow::Result<()> {
    let mut app = Connection::open(town.server.http, &town.app_key)?;
    for taxi in taxis {
        let wanted = json!({"data": [{
            "customer_id": taxi, "customer_lon": 2.35, "customer_lat": 48.86,
            "customer_address": "25 rue Quincampoix 75004 Paris", "customer_phone_number": "0678901234",
            "taxi_id": taxi,
        }]});
        let status = app.post("/hails", &wanted.to_string())?;
        ensure!(status == 201, "POST /hails was answered {status}");
    }
    Ok(())
}
