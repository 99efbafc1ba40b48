//! The live map: twenty thousand taxis that move once a second, and what who looks at them takes of the server.
//!
//! The server is the program itself, in a process of its own, so that its CPU time is its own. It takes the positions
//! in each phase; what a phase takes beyond the first is its viewers'. Each of these sees every taxi, which is the most
//! that a stream may show.

#![expect(clippy::cast_precision_loss, reason = "counts and times, to be divided and rounded")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use api::config::{Config, Values};
use api::limits::{LIVE_STREAMS_AN_ACCOUNT, LIVE_TAXIS_MAX};
use api::registry::add_user;
use api::role::Role;
use api::serve::open_store;
use benches::open_loop::wait_until;
use benches::program::Program;
use benches::rows::{self, Row};
use benches::town_server::seed_rows;
use clap::Parser;
use ingest::clock::Clock;
use ingest::counter::{Counter, Flag};
use ingest::wire::binary::{Claim, Head, MacKey, Writer};

/// How long the server may take to begin.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often some of the taxis report, and how many parts of them there are: each reports once a second.
const BEAT: Duration = Duration::from_millis(20);
const PARTS: usize = 50;
/// The number of "free" in a compact datagram.
const FREE: u8 = 1;
/// How far a taxi drives in a second, in 1e-7 degrees of latitude: about 11 m; and after how many it turns.
const STEP_E7: i32 = 1_000;
const TURNS_AFTER: u32 = 60;
/// West, south, east and north of where all of them drive.
const WINDOW: &str = "2.2,48.78,2.5,48.95";
const SKIPPED: &[u8] = b"event: skipped";

/// What runs, and how many look.
#[derive(Debug, Parser)]
struct Args {
    /// The program.
    #[arg(long, default_value = "target/release/maraude")]
    binary: PathBuf,
    /// How many taxis move, at most as many as a stream shows.
    #[arg(long, default_value_t = LIVE_TAXIS_MAX)]
    taxis: usize,
    /// How many look, phase by phase.
    #[arg(long, default_values_t = [0, 1, 10, 100])]
    viewers: Vec<usize>,
    /// Seconds of a phase.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let http = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let udp = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    let flags = [("data_dir", folder.path().display().to_string()), ("http", http.to_string())];
    let config = Config::new(&Values::of_flags(&flags.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let most = args.viewers.iter().copied().max().unwrap_or(0);
    let (operator, admins) = runtime.block_on(seed(&config, most.div_ceil(LIVE_STREAMS_AN_ACCOUNT)))?;
    let rows = rows::rows(1, args.taxis)?;
    runtime.block_on(rows::write(&config.database, 1, &rows))?;
    let server = Program::serve(&args.binary, folder.path(), (http, udp), PATIENCE)?;
    println!("{} taxis, each once a second", rows.len());
    let stop = Flag::default();
    std::thread::scope(|scope| {
        let driving = scope.spawn(|| drive(&rows, &operator, udp, &stop));
        let measured = measure(&args, &server, http, &admins);
        stop.raise();
        driving.join().map_err(|_| anyhow::anyhow!("the thread that drives panicked"))??;
        measured
    })
}

/// Towns, an operator, and administrators, who see every taxi; gives their keys.
async fn seed(config: &Config, admins: usize) -> anyhow::Result<(String, Vec<String>)> {
    let (operator, _) = seed_rows(config).await?;
    let (store, secret) = open_store(config, Clock::System).await?;
    let mut keys = Vec::new();
    for number in 0..admins {
        let name = format!("admin-{number}");
        keys.push(add_user(&store, &secret, (&name, &name), "", &[Role::Admin]).await?.1);
    }
    store.close().await;
    Ok((operator, keys))
}

/// Where a taxi begins, in 1e-7 degrees: anywhere in Paris, the same in each run.
fn begins(taxi: usize) -> anyhow::Result<(i32, i32)> {
    let (north, east) = (i32::try_from(taxi * 7_919 % 1_000)?, i32::try_from(taxi * 104_729 % 1_000)?);
    Ok((488_100_000 + north * 1_000, 22_500_000 + east * 1_700))
}

/// Sends each taxi's position once a second, to and fro, until it is to stop.
fn drive(rows: &[Row], key: &str, udp: SocketAddr, stop: &Flag) -> anyhow::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(udp)?;
    let (key, mut writer, mut sequence) = (MacKey::of_api_key(key), Writer::default(), 0);
    let mut next = Instant::now();
    for beat in 0_usize.. {
        if stop.is_raised() {
            break;
        }
        let second = u32::try_from(beat / PARTS)? % (2 * TURNS_AFTER);
        let north_e7 = STEP_E7 * i32::try_from(second.min(2 * TURNS_AFTER - second))?;
        let mut rest = rows.iter().enumerate().skip(beat % PARTS).step_by(PARTS).peekable();
        while rest.peek().is_some() {
            let sent_at = Clock::System.now();
            let head =
                Head { wants_acknowledgement: false, sequence, session: 1, sent_at, operator: "operator" };
            sequence += 1;
            writer.begin(&head).map_err(|_| anyhow::anyhow!("no room for a head"))?;
            while let Some((number, row)) = rest.peek() {
                let (lat_e7, lon_e7) = begins(*number)?;
                let claim = Claim {
                    taxi: row.id.as_bytes(),
                    status: FREE,
                    lat_e7: lat_e7 + north_e7,
                    lon_e7,
                    device_after_ms: None,
                    speed_cm_s: None,
                    heading_cdeg: None,
                    accuracy_dm: None,
                };
                if writer.push(&claim).is_err() {
                    break;
                }
                rest.next();
            }
            socket.send(writer.seal(&key))?;
        }
        next += BEAT;
        wait_until(next);
    }
    Ok(())
}

/// Phase after phase: what the server takes without viewers, and what more with some.
fn measure(args: &Args, server: &Program, http: SocketAddr, admins: &[String]) -> anyhow::Result<()> {
    let mut alone = 0.0;
    for &count in &args.viewers {
        let heard = Arc::new(Heard::default());
        let mut viewers = Vec::new();
        for viewer in 0..count {
            viewers.push(look(http, &admins[viewer / LIVE_STREAMS_AN_ACCOUNT], Arc::clone(&heard))?);
        }
        // Until everybody has a snapshot, and all taxis were heard.
        wait_until(Instant::now() + Duration::from_secs(5));
        let (cpu, bytes, skipped, began) =
            (server.cpu()?, heard.bytes.get(), heard.skipped.get(), Instant::now());
        wait_until(began + Duration::from_secs(args.seconds));
        let took_s = began.elapsed().as_secs_f64();
        let percent = (server.cpu()?.saturating_sub(cpu)).as_secs_f64() / took_s * 100.0;
        let bytes = (heard.bytes.get() - bytes) as f64 / took_s / 1e6;
        let skipped = heard.skipped.get() - skipped;
        if count == 0 {
            alone = percent;
            println!("nobody looks: {percent:.1} % of a core");
        } else {
            let each = (percent - alone) / count as f64;
            println!(
                "{count} look: {percent:.1} % of a core, {each:.2} % a viewer; {:.2} MB/s each, {skipped} times \
                 one read too slowly; memory {} MB",
                bytes / count as f64,
                server.resident_mb()?
            );
        }
        ensure!(viewers.iter().all(|(_, thread)| !thread.is_finished()), "a stream ended");
        for (connection, thread) in viewers {
            connection.shutdown(std::net::Shutdown::Both)?;
            thread.join().map_err(|_| anyhow::anyhow!("a viewer panicked"))??;
        }
    }
    Ok(())
}

/// What all viewers of a phase were sent.
#[derive(Debug, Default)]
struct Heard {
    bytes: Counter,
    skipped: Counter,
}

/// A viewer, who reads as fast as it can until its connection is shut.
type Viewer = (TcpStream, std::thread::JoinHandle<anyhow::Result<()>>);

fn look(http: SocketAddr, key: &str, heard: Arc<Heard>) -> anyhow::Result<Viewer> {
    let mut connection = TcpStream::connect(http)?;
    write!(connection, "GET /live?bbox={WINDOW} HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n")?;
    let mut buffer = vec![0; 256 << 10];
    let read = connection.read(&mut buffer)?;
    let answer = String::from_utf8_lossy(&buffer[..read]);
    ensure!(answer.starts_with("HTTP/1.1 200"), "a stream is answered {answer}");
    let kept = connection.try_clone().context("another handle of a connection")?;
    let thread = std::thread::spawn(move || {
        loop {
            let read = connection.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            heard.bytes.add(read as u64);
            let lines = buffer[..read].split(|byte| *byte == b'\n');
            heard.skipped.add(lines.filter(|line| line.starts_with(SKIPPED)).count() as u64);
        }
    });
    Ok((kept, thread))
}
