//! The whole way of a position, from a datagram to the map, at a given rate for a given time: how soon it is seen, and
//! whether any is lost.
//!
//! A fleet of taxis reports in turn, each to the north of where it was; one thread signs and sends, another looks when
//! what was sent a moment ago is on the map. Both share the machine with the server, and with Kafka's broker where
//! `--log` names one on it.

#![expect(clippy::cast_precision_loss, reason = "counts and times, to be divided and rounded")]

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use api::fleet::datagram::{Report, Writer};
use api::fleet::taxi::Status;
use api::fleet::town::Place;
use api::serve::Server;
use benches::cpu;
use benches::open_loop::wait_until;
use benches::town_server::{Crowding, TownServer};
use clap::Parser;
use hdrhistogram::Histogram;
use ingest::clock::Clock;
use ingest::gate::Refusal;
use ingest::position::{Motion, OperatorKey, SourceKey};

/// How often datagrams are sent, all that have become due.
const BEAT: Duration = Duration::from_millis(1);
/// How often one is followed to the map.
const FOLLOWED_EVERY: Duration = Duration::from_millis(10);
/// Between two looks at the map.
const LOOK: Duration = Duration::from_micros(100);
/// The longest that is waited for one, and for all at the end.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// How often it is said how things stand.
const SAID_EVERY: Duration = Duration::from_secs(30);
/// The part at the beginning that is not recorded.
const WARM_UP: Duration = Duration::from_secs(2);
/// Where the first taxi is at first, in 1e-7 degrees; each is a bit to the east of the one before.
const SOUTH_WEST: (i32, i32) = (488_000_000, 23_000_000);

/// How many, how often, over what.
#[derive(Debug, Parser)]
struct Args {
    /// An empty database; without one, `SQLite` in a directory of its own.
    #[arg(long)]
    database: Option<String>,
    /// The log, for example a new topic of Kafka's; without one, the embedded one.
    #[arg(long)]
    log: Option<String>,
    /// How many taxis report.
    #[arg(long, default_value_t = 10_000)]
    taxis: usize,
    /// Datagrams a second.
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    /// Seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Decides what the taxis are.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A position on its way: whose, how far north, and when it was sent.
type Followed = (SourceKey, i32, Instant);

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut settings = BTreeMap::new();
    settings.extend(args.database.clone().map(|database| ("database", database)));
    settings.extend(args.log.clone().map(|log| ("log", log)));
    let town = runtime.block_on(TownServer::start_with(args.seed, args.taxis, Crowding::Spread, settings))?;
    let (cpu_before, began) = (cpu::used()?, Instant::now());
    let (followed, following) = sync_channel(1_024);
    let latency = std::thread::scope(|scope| {
        let looking = scope.spawn(|| look(&town.server, following));
        let sent = send(&args, &town, &followed);
        drop(followed);
        let latency = looking.join().map_err(|_| anyhow::anyhow!("the thread that looks panicked"))??;
        sent.map(|()| latency)
    })?;
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu::used()?.saturating_sub(cpu_before).as_secs_f64());
    let us = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
    println!("from the datagram to the map, of {} positions, ms:", latency.len());
    let max = latency.max() as f64 / 1e3;
    println!(
        "  p50 {:.1}   p90 {:.1}   p99 {:.1}   p99.9 {:.1}   longest {max:.1}",
        us(0.5),
        us(0.9),
        us(0.99),
        us(0.999)
    );
    println!("CPU of the server and its senders: {:.2} cores", cpu / took);
    runtime.block_on(town.server.stop());
    Ok(())
}

/// Sends what is due, and waits until all of it is on the map; fails if anything was lost.
fn send(
    args: &Args,
    town: &TownServer,
    followed: &std::sync::mpsc::SyncSender<Followed>,
) -> anyhow::Result<()> {
    let server = &town.server;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server.udp.context("a server of every role takes datagrams")?)?;
    let operator = OperatorKey(town.operator_number()?.unsigned_abs());
    let sources: Vec<_> =
        town.ids().iter().map(|id| server.app.registry.directory().source(id, operator)).collect();
    let sources: Vec<_> = sources.into_iter().collect::<Option<_>>().context("a taxi is not registered")?;
    let (mut writer, began) = (Writer::default(), Instant::now());
    let (mut sent, mut next_followed, mut next_said) = (0_u64, began + WARM_UP, began + SAID_EVERY);
    let all = args.rate * args.seconds;
    while sent < all {
        let due = u64::try_from(began.elapsed().as_micros())? * args.rate / 1_000_000;
        while sent < due.min(all) {
            let taxi = usize::try_from(sent)? % sources.len();
            let (lat_e7, lon_e7) = place(taxi, sent / sources.len() as u64)?;
            let report = Report {
                at: Clock::System.now(),
                operator: "operator",
                key: town.operator_key(),
                taxi: &town.ids()[taxi],
                place: Place { lat: f64::from(lat_e7) / 1e7, lon: f64::from(lon_e7) / 1e7 },
                status: Status::Free,
                motion: Motion::default(),
            };
            let datagram = writer.write(&report);
            let now = Instant::now();
            socket.send(datagram)?;
            sent += 1;
            if now >= next_followed {
                // One that finds no room is not followed: who looks is still busy with others, which says enough.
                let _ = followed.try_send((sources[taxi], lat_e7, now));
                next_followed = now + FOLLOWED_EVERY;
            }
        }
        if Instant::now() >= next_said {
            next_said += SAID_EVERY;
            say(server, sent, began);
        }
        wait_until(Instant::now() + BEAT);
    }
    let last = Instant::now() + SEEN_WITHIN;
    while server.app.refusals.accepted() < sent && Instant::now() < last {
        wait_until(Instant::now() + BEAT);
    }
    say(server, sent, began);
    for (taxi, source) in sources.iter().enumerate() {
        let (lat_e7, _) = place(taxi, (sent - 1 - taxi as u64) / sources.len() as u64)?;
        while server.app.engine.get(*source).is_none_or(|seen| seen.at.lat_e7() < lat_e7) {
            ensure!(Instant::now() < last, "the last position of taxi {taxi} is not on the map");
            wait_until(Instant::now() + BEAT);
        }
    }
    let (accepted, logged) = (server.app.refusals.accepted(), server.app.log.meters().entries.get());
    ensure!((accepted, logged) == (sent, sent), "sent {sent}, accepted {accepted}, logged {logged}");
    println!("none of {sent} positions was lost");
    Ok(())
}

/// Where a taxi is when it reports for the `round`-th time.
fn place(taxi: usize, round: u64) -> anyhow::Result<(i32, i32)> {
    Ok((SOUTH_WEST.0 + i32::try_from(round)? * 10, SOUTH_WEST.1 + i32::try_from(taxi)? * 100))
}

fn say(server: &Server, sent: u64, began: Instant) {
    let app = &server.app;
    let dropped = app.intake.drops.as_ref().and_then(|drops| drops.count().ok()).unwrap_or_default();
    println!(
        "{:>4.0} s: {sent} sent, {} accepted, {} overloaded, {dropped} dropped by the kernel, {} logged",
        began.elapsed().as_secs_f64(),
        app.refusals.accepted(),
        app.refusals.total(Refusal::Overloaded),
        app.log.meters().entries.get(),
    );
}

/// How long it took until each position was on the map, or a later one of its taxi; in microseconds.
fn look(server: &Server, following: Receiver<Followed>) -> anyhow::Result<Histogram<u64>> {
    let mut latency = Histogram::new(3)?;
    for (source, lat_e7, sent_at) in following {
        while server.app.engine.get(source).is_none_or(|seen| seen.at.lat_e7() < lat_e7) {
            ensure!(sent_at.elapsed() < SEEN_WITHIN, "a position is not on the map within {SEEN_WITHIN:?}");
            wait_until(Instant::now() + LOOK);
        }
        latency.record(u64::try_from(sent_at.elapsed().as_micros())?)?;
    }
    Ok(latency)
}
