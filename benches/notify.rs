//! How soon another process knows what was written to the registry through this one, over `PostgreSQL`.
//!
//! An operator sets a taxi free and off again by turns; what is measured goes from the request to the moment at which
//! the other server's map has it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use api::config::{Config, Values};
use api::serve::Server;
use benches::open_loop::{Connection, wait_until};
use benches::town_server::{Crowding, TownServer};
use clap::Parser;
use engine::profile::Status;
use hdrhistogram::Histogram;
use ingest::clock::Clock;
use ingest::position::OperatorKey;

/// Between two looks at the other's map.
const LOOK: Duration = Duration::from_micros(100);
/// Between two writes.
const PAUSE: Duration = Duration::from_millis(10);
/// A notification that was lost shows within a minute.
const WITHIN: Duration = Duration::from_secs(90);
/// What seals keys for both.
const SECRET: &str = "5ec2e7005ec2e7005ec2e7005ec2e7005ec2e7005ec2e7005ec2e7005ec2e700";

/// Where, and how often.
#[derive(Debug, Parser)]
struct Args {
    /// An empty database of `PostgreSQL`.
    #[arg(long)]
    database: String,
    /// Writes.
    #[arg(long, default_value_t = 1_000)]
    writes: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let shared = BTreeMap::from([("database", args.database), ("secret_key", SECRET.to_owned())]);
    let town = TownServer::start_with(1, 1, Crowding::Spread, shared.clone());
    let town = runtime.block_on(town)?;
    let folder = tempfile::tempdir()?;
    let mut flags = shared;
    flags.insert("data_dir", folder.path().display().to_string());
    flags.extend([("http", "127.0.0.1:0".to_owned()), ("udp", "127.0.0.1:0".to_owned())]);
    let config = Config::new(&Values::of_flags(&flags))?;
    let other = runtime.block_on(Server::start(&config, Clock::System))?;
    while !other.app.registry.is_current() {
        wait_until(Instant::now() + PAUSE);
    }

    let operator = OperatorKey(town.operator_number()?.unsigned_abs());
    let id = &town.ids()[0];
    let taxi = other.app.registry.directory().source(id, operator).context("the taxi")?.taxi;
    let mut client = Connection::open(town.server.http, town.operator_key())?;
    let mut latency_us = Histogram::<u64>::new(3)?;
    for turn in 0..args.writes {
        let status = if turn % 2 == 0 { Status::Off } else { Status::Free };
        let body = serde_json::json!({"data": [{"status": status.as_str()}]}).to_string();
        let began = Instant::now();
        let answer = client.put(&format!("/taxis/{id}"), &body)?;
        ensure!(answer == 200, "a write was answered {answer}");
        let is_known = || {
            let status_of = |profile: &engine::profile::Profile| {
                profile.descriptions.iter().any(|one| one.status == status)
            };
            other.app.engine.profiles().with(&taxi, status_of) == Some(true)
        };
        while !is_known() {
            ensure!(began.elapsed() < WITHIN, "a write is not known to the other within {WITHIN:?}");
            wait_until(Instant::now() + LOOK);
        }
        latency_us.record(u64::try_from(began.elapsed().as_micros())?)?;
        wait_until(Instant::now() + PAUSE);
    }
    #[expect(clippy::cast_precision_loss, reason = "microseconds, to be shown as milliseconds")]
    let ms = |us: u64| us as f64 / 1e3;
    let at = |quantile| ms(latency_us.value_at_quantile(quantile));
    println!("from the request to the other's map, of {} writes, ms:", latency_us.len());
    println!("  p50 {:.1}   p99 {:.1}   longest {:.1}", at(0.5), at(0.99), ms(latency_us.max()));
    runtime.block_on(async {
        other.stop().await;
        town.server.stop().await;
    });
    Ok(())
}
