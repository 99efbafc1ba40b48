//! A server that starts again: how soon it searches, with a registry of a million taxis, the last position of each in
//! its rows, and ten million positions in the log after these.
//!
//! Prepares all that in a directory of its own, which takes minutes; then starts a server over it, and waits until it
//! is ready and has answered a search, which finds somebody as long as the positions are younger than two minutes.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use api::config::{Config, Values};
use api::serve::open_store;
use benches::open_loop::Connection;
use benches::program::{NO_DATAGRAMS, Program};
use benches::rows::{self, Row};
use benches::town_server::seed_rows;
use clap::Parser;
use engine::Fix;
use ingest::clock::{Clock, Millis};
use ingest::log::{Log, Partition};
use ingest::position::{
    LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport,
};

/// Positions of one append.
const BATCH: usize = 10_000;
/// How long the server may take.
const READY_WITHIN: Duration = Duration::from_mins(5);
/// How far a taxi comes between two positions, in 1e-7 degrees: 50 m to the north.
const STEP_E7: i32 = 4_500;

/// How many, how often.
#[derive(Debug, Parser)]
struct Args {
    /// How many taxis are registered.
    #[arg(long, default_value_t = 1_000_000)]
    taxis: usize,
    /// Positions of each in the log.
    #[arg(long, default_value_t = 10)]
    rounds: i32,
    /// The program.
    #[arg(long, default_value = "target/release/maraude")]
    binary: PathBuf,
    /// How often it starts again; each time it is killed, so that the next one has as much to do.
    #[arg(long, default_value_t = 3)]
    starts: usize,
    /// Decides where the taxis are.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let flags = BTreeMap::from([
        ("data_dir", folder.path().display().to_string()),
        ("http", TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string()),
    ]);
    let config = Config::new(&Values::of_flags(&flags))?;
    let rows = rows::rows(args.seed, args.taxis)?;
    let (_, app_key) = runtime.block_on(seed_rows(&config))?;
    let began = Instant::now();
    runtime.block_on(rows::write(&config.database, 1, &rows))?;
    println!("{} taxis registered in {:.0} s", rows.len(), began.elapsed().as_secs_f64());
    prepare(&args, &config, &rows, &runtime)?;
    for _ in 0..args.starts {
        let began = Instant::now();
        let server = Program::serve(&args.binary, folder.path(), (config.http, NO_DATAGRAMS), READY_WITHIN)?;
        let ready_s = began.elapsed().as_secs_f64();
        let at = fix(&rows[0], 0, args.rounds, Millis(0))?.at;
        let mut app = Connection::open(config.http, &app_key)?;
        let status = app.get(&format!("/taxis?lat={}&lon={}", at.lat(), at.lon()))?;
        let found = String::from_utf8_lossy(&app.body).matches("\"crowfly_distance\"").count();
        ensure!(status == 200, "a search is answered {status}");
        let answered_s = began.elapsed().as_secs_f64();
        let (cpu_s, memory_mb) = (server.cpu()?.as_secs_f64(), server.resident_mb()?);
        println!(
            "ready after {ready_s:.1} s, has answered after {answered_s:.1} s, {found} taxis; \
             {cpu_s:.1} s of CPU, {memory_mb} MB"
        );
    }
    Ok(())
}

/// The first position of each taxi in the rows, the others in the log.
fn prepare(
    args: &Args,
    config: &Config,
    rows: &[Row],
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<()> {
    let clock = Clock::System;
    let log: Log = Log::open(&config.log, &config.log_settings, clock.clone())?;
    let starts: Vec<_> = (0..log.partitions()).map(|partition| log.start(Partition(partition))).collect();
    let began = Instant::now();
    let fixes: Vec<Fix> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| Ok(Fix::from(&fix(row, number, 0, clock.now())?)))
        .collect::<anyhow::Result<_>>()?;
    runtime.block_on(async {
        let (store, _) = open_store(config, clock.clone()).await?;
        store.save_last_positions(&fixes, log.epoch(), &starts).await?;
        store.close().await;
        Ok::<_, anyhow::Error>(())
    })?;
    println!("{} last positions saved in {:.0} s", fixes.len(), began.elapsed().as_secs_f64());
    let began = Instant::now();
    for round in 1..=args.rounds {
        for (chunk, rows) in rows.chunks(BATCH).enumerate() {
            let now = clock.now();
            let positions = rows.iter().enumerate();
            let positions = positions.map(|(i, row)| fix(row, chunk * BATCH + i, round, now));
            let (done, synced) = std::sync::mpsc::channel();
            let acknowledge = Box::new(move |outcome| drop(done.send(outcome)));
            log.append_acknowledged(positions.collect::<anyhow::Result<_>>()?, acknowledge)?;
            synced.recv().context("the log has ended")??;
        }
    }
    log.close();
    let positions = rows.len() * usize::try_from(args.rounds)?;
    println!("{positions} positions logged in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn fix(row: &Row, number: usize, round: i32, now: Millis) -> anyhow::Result<Position> {
    let at = LatLon::new(row.place.lat, row.place.lon)?;
    let taxi = TaxiKey(u32::try_from(number)? + 1);
    Ok(Position {
        source: SourceKey { taxi, operator: OperatorKey(1) },
        at: LatLon::from_e7(at.lat_e7() + STEP_E7 * round, at.lon_e7())?,
        received_at: now,
        device_at: None,
        status: ReportedStatus::Unsaid,
        motion: Motion::default(),
        transport: Transport::Udp,
    })
}
