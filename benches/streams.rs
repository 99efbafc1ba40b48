//! Ten thousand open event streams: what they take of the server's memory, and how soon they hear of a hail.
//!
//! The server is the program itself, in a process of its own, so that its memory is its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use api::config::{Config, Values};
use api::registry::add_user;
use api::role::Role;
use api::serve::open_store;
use benches::open_loop::Connection;
use benches::program::{NO_DATAGRAMS, Program};
use benches::rows;
use benches::town_server::seed_rows;
use clap::Parser;
use ingest::clock::Clock;
use serde_json::{Value, json};

/// How long anything may take, a heartbeat included.
const PATIENCE: Duration = Duration::from_secs(30);

/// What runs, and how many listen.
#[derive(Debug, Parser)]
struct Args {
    /// The program.
    #[arg(long, default_value = "target/release/maraude")]
    binary: PathBuf,
    /// Streams in all.
    #[arg(long, default_value_t = 10_000)]
    streams: usize,
    /// Those of the search app that hails; the others are each of an account of its own.
    #[arg(long, default_value_t = 2_000)]
    listeners: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let http = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let flags = [("data_dir", folder.path().display().to_string()), ("http", http.to_string())];
    let config = Config::new(&Values::of_flags(&flags.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (operator, app, others) =
        runtime.block_on(seed(&config, args.streams.saturating_sub(args.listeners)))?;
    let taxi = rows::rows(1, 1)?.remove(0);
    runtime.block_on(rows::write(&config.database, 1, std::slice::from_ref(&taxi)))?;

    let server = Program::serve(&args.binary, folder.path(), (http, NO_DATAGRAMS), PATIENCE)?;
    println!("{} accounts; memory of the server: {} MB", others.len() + 2, server.resident_mb()?);
    let began = Instant::now();
    let mut listeners = Vec::new();
    for _ in 0..args.listeners {
        listeners.push(Stream::open(http, &app)?);
    }
    let mut idle = Vec::new();
    for key in &others {
        idle.push(Stream::open(http, key)?);
    }
    let (count, took_s) = (listeners.len() + idle.len(), began.elapsed().as_secs_f64());
    println!("{count} streams opened in {took_s:.1} s: {} MB", server.resident_mb()?);

    let place = json!({"positions": [{"taxi_id": taxi.id, "lat": taxi.place.lat, "lon": taxi.place.lon}]});
    let status = Connection::open(http, &operator)?.post("/geotaxi/", &one(&place))?;
    ensure!(status == 200, "a position was answered {status}");
    let began = Instant::now();
    let hail = hail(http, &app, &taxi)?;
    for status in ["received", "sent_to_operator"] {
        for stream in &mut listeners {
            stream.wait_for(&format!("\"to_status\":\"{status}\""))?;
        }
        let took_ms = began.elapsed().as_millis();
        println!("{status}: all {} listeners heard of it after {took_ms} ms", listeners.len());
    }
    println!("after hail {hail}: {} MB", server.resident_mb()?);
    for stream in listeners.iter_mut().chain(&mut idle) {
        stream.wait_for("\n:\n\n")?;
    }
    println!("after a heartbeat of each: {} MB", server.resident_mb()?);
    Ok(())
}

/// Towns, an operator (the first account), an app, and other apps; gives their keys.
async fn seed(config: &Config, others: usize) -> anyhow::Result<(String, String, Vec<String>)> {
    let (operator, app) = seed_rows(config).await?;
    let (store, secret) = open_store(config, Clock::System).await?;
    let mut keys = Vec::new();
    for number in 0..others {
        let name = format!("app-{number}");
        keys.push(add_user(&store, &secret, (&name, &name), "", &[Role::Moteur]).await?.1);
    }
    store.close().await;
    Ok((operator, app, keys))
}

/// Asks for the taxi until the map has it; gives the hail's id.
fn hail(http: SocketAddr, app: &str, taxi: &rows::Row) -> anyhow::Result<String> {
    let mut connection = Connection::open(http, app)?;
    let wanted = json!({
        "customer_id": "ann", "customer_phone_number": "06", "customer_address": "here", "taxi_id": taxi.id,
        "customer_lat": taxi.place.lat, "customer_lon": taxi.place.lon,
    });
    let began = Instant::now();
    while connection.post("/hails", &one(&wanted))? != 201 {
        let told = String::from_utf8_lossy(&connection.body);
        ensure!(began.elapsed() < PATIENCE, "no hail was made: {told}");
    }
    let hail: Value = serde_json::from_slice(&connection.body)?;
    Ok(hail["data"][0]["id"].as_str().context("an id")?.to_owned())
}

fn one(element: &Value) -> String {
    json!({"data": [element]}).to_string()
}

/// A client of a stream.
struct Stream {
    connection: TcpStream,
    unread: Vec<u8>,
}

impl Stream {
    /// Opens one, and waits until it has begun.
    fn open(http: SocketAddr, key: &str) -> anyhow::Result<Self> {
        let mut connection = TcpStream::connect(http)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        write!(connection, "GET /events HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n")?;
        let mut stream = Self { connection, unread: Vec::new() };
        stream.wait_for("id: ")?;
        Ok(stream)
    }

    /// Reads up to this text.
    fn wait_for(&mut self, text: &str) -> anyhow::Result<()> {
        let mut buffer = [0; 4_096];
        loop {
            if let Some(at) = self.unread.windows(text.len()).position(|part| part == text.as_bytes()) {
                self.unread.drain(..at + text.len());
                return Ok(());
            }
            let read = self.connection.read(&mut buffer)?;
            ensure!(read > 0, "a stream ended: {}", String::from_utf8_lossy(&self.unread));
            self.unread.extend_from_slice(&buffer[..read]);
        }
    }
}
