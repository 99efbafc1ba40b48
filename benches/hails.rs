//! Whole hails through the interface: request, the operator's server called, five transitions; how many a second, and
//! how soon after the request the operator's server has it.
//!
//! Each client has a taxi of its own and hails it again and again, as the app and as the operator. At a given rate
//! hails are due at given times, and a latency counts from when its hail was due: who is late does not look quick.

#![expect(clippy::cast_precision_loss, reason = "counts and times, to be divided and rounded")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use benches::cpu;
use benches::open_loop::{Connection, wait_until};
use benches::town_server::{Crowding, TownServer};
use clap::Parser;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// How long an operator's server may be waited for.
const CALL_WITHIN: Duration = Duration::from_secs(12);

/// How many, how fast, where.
#[derive(Debug, Parser)]
struct Args {
    /// An empty database; without one, `SQLite` in a directory of its own.
    #[arg(long)]
    database: Option<String>,
    /// Clients, and taxis.
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Hails a second that are due; without it, each client hails again as soon as its hail is over.
    #[arg(long)]
    rate: Option<f64>,
    /// Decides where the taxis are.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let town = TownServer::start(args.seed, args.clients, Crowding::Spread, args.database.as_deref());
    let town = runtime.block_on(town)?;
    town.report_positions()?;
    let (senders, receivers): (HashMap<_, _>, Vec<_>) = (town.ids().iter())
        .map(|id| {
            let (sender, receiver) = channel();
            ((id.clone(), sender), (id.clone(), receiver))
        })
        .unzip();
    let address = operators_server(senders)?;
    let endpoint = json!({"hail_endpoint_production": format!("http://{address}/hail")});
    let mut operator = Connection::open(town.server.http, town.operator_key())?;
    ensure!(operator.put(&format!("/users/{}", town.operator_number()?), &one(&endpoint))? == 200);

    let due = Due { began: Instant::now(), rate: args.rate, next: Mutex::new(0), lasts: args.seconds };
    let cpu_before = cpu::used()?;
    let reports = std::thread::scope(|scope| {
        let clients = receivers.into_iter().map(|(taxi, calls)| {
            let (town, due) = (&town, &due);
            scope.spawn(move || Client::new(town, taxi, calls)?.run(due))
        });
        let clients: Vec<_> = clients.collect();
        let joined = clients.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|joined| joined.map_err(|_| anyhow::anyhow!("a client panicked"))?)
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    let took = due.began.elapsed().as_secs_f64();
    let cpu_ms = cpu::used()?.saturating_sub(cpu_before).as_secs_f64() * 1e3;
    let mut all = Report::new()?;
    for report in &reports {
        all.add(report)?;
    }
    let hails = all.whole.len();
    println!("{} clients, {took:.1} s: {hails} whole hails, {:.0}/s", args.clients, hails as f64 / took);
    println!("CPU of server, clients and operator: {:.2} ms a hail", cpu_ms / hails.max(1) as f64);
    show("POST /hails to the operator's server", &all.called);
    show("POST /hails answered", &all.posted);
    show("a transition by PUT", &all.moved);
    show("a whole hail", &all.whole);
    println!("PUTs refused because the operator was quicker than its answer: {}", all.early);
    runtime.block_on(town.server.stop());
    Ok(())
}

/// When hails are due.
struct Due {
    began: Instant,
    rate: Option<f64>,
    next: Mutex<u32>,
    lasts: u64,
}

impl Due {
    /// When the next hail is due; None: there are no more.
    fn next(&self) -> Option<Instant> {
        let until = self.began + Duration::from_secs(self.lasts);
        let at = match self.rate {
            None => Instant::now(),
            Some(rate) => {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                *next += 1;
                self.began + Duration::from_secs_f64(f64::from(*next) / rate)
            }
        };
        wait_until(at);
        (at < until).then_some(at)
    }
}

/// What clients saw, in microseconds.
struct Report {
    called: Histogram<u64>,
    posted: Histogram<u64>,
    moved: Histogram<u64>,
    whole: Histogram<u64>,
    early: usize,
}

impl Report {
    fn new() -> anyhow::Result<Self> {
        let histogram = || Histogram::new_with_max(60_000_000, 3);
        let (called, posted, moved, whole) = (histogram()?, histogram()?, histogram()?, histogram()?);
        Ok(Self { called, posted, moved, whole, early: 0 })
    }

    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.called.add(&other.called)?;
        self.posted.add(&other.posted)?;
        self.moved.add(&other.moved)?;
        self.whole.add(&other.whole)?;
        self.early += other.early;
        Ok(())
    }
}

/// One taxi, its customer's app and its operator.
struct Client {
    app: Connection,
    operator: Connection,
    taxi: String,
    calls: Receiver<(Instant, String)>,
    report: Report,
}

impl Client {
    fn new(town: &TownServer, taxi: String, calls: Receiver<(Instant, String)>) -> anyhow::Result<Self> {
        let app = Connection::open(town.server.http, &town.app_key)?;
        let operator = Connection::open(town.server.http, town.operator_key())?;
        Ok(Self { app, operator, taxi, calls, report: Report::new()? })
    }

    fn run(mut self, due: &Due) -> anyhow::Result<Report> {
        let mut number = 0;
        while let Some(at) = due.next() {
            number += 1;
            self.hail(at, number)?;
        }
        Ok(self.report)
    }

    fn hail(&mut self, due: Instant, number: usize) -> anyhow::Result<()> {
        // Customers are many: none of them has hailed within five minutes.
        let wanted = json!({
            "customer_id": format!("{}-{number}", self.taxi), "customer_lon": 2.35, "customer_lat": 48.86,
            "customer_address": "25 rue Quincampoix 75004 Paris", "customer_phone_number": "0678901234",
            "taxi_id": self.taxi,
        });
        let status = self.app.post("/hails", &one(&wanted))?;
        ensure!(status == 201, "POST /hails was answered {status}");
        record(&mut self.report.posted, due);
        let (called_at, hail) =
            self.calls.recv_timeout(CALL_WITHIN).context("the operator was not called")?;
        let waited = called_at.saturating_duration_since(due);
        self.report.called.saturating_record(u64::try_from(waited.as_micros())?);
        let path = format!("/hails/{hail}");
        for (is_app, wish) in [
            (false, json!({"status": "received_by_taxi"})),
            (false, json!({"status": "accepted_by_taxi", "taxi_phone_number": "0612345678"})),
            (true, json!({"status": "accepted_by_customer"})),
            (false, json!({"status": "customer_on_board"})),
            (false, json!({"status": "finished"})),
        ] {
            let side = if is_app { &mut self.app } else { &mut self.operator };
            loop {
                let began = Instant::now();
                match side.put(&path, &one(&wish))? {
                    200 => {
                        record(&mut self.report.moved, began);
                        break;
                    }
                    // Our answer to the call is not written down yet.
                    400 if self.report.early < 1_000_000 => self.report.early += 1,
                    status => bail!("PUT {path} {wish} was answered {status}"),
                }
                wait_until(Instant::now() + Duration::from_millis(1));
            }
        }
        record(&mut self.report.whole, due);
        Ok(())
    }
}

fn record(histogram: &mut Histogram<u64>, since: Instant) {
    histogram.saturating_record(u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX));
}

fn one(element: &Value) -> String {
    json!({"data": [element]}).to_string()
}

fn show(what: &str, us: &Histogram<u64>) {
    let ms = |quantile| us.value_at_quantile(quantile) as f64 / 1e3;
    println!("{what:<38} p50 {:>7.2} ms  p99 {:>7.2} ms  max {:>7.2} ms", ms(0.5), ms(0.99), ms(1.0));
}

/// Whoever waits for the calls of a taxi.
type Waiting = HashMap<String, Sender<(Instant, String)>>;

/// An operator's server that takes every hail at once and tells who waits for it; its threads end with the process.
fn operators_server(waiting: Waiting) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (address, waiting) = (listener.local_addr()?, Arc::new(Mutex::new(waiting)));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let waiting = waiting.clone();
            std::thread::spawn(move || take_hails(stream, &waiting));
        }
    });
    Ok(address)
}

fn take_hails(stream: TcpStream, waiting: &Mutex<Waiting>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut answers = stream.try_clone()?;
    let mut stream = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let field = line.trim().to_ascii_lowercase();
            if let Some(value) = field.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if field.is_empty() {
                break;
            }
        }
        let came = Instant::now();
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        answers.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{\"data\": [{}]}",
        )?;
        let hail: Value = serde_json::from_slice(&body)?;
        let text = |pointer| hail.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, taxi) = (text("/data/0/id"), text("/data/0/taxi/id"));
        if let Ok(waiting) = waiting.lock()
            && let Some(client) = waiting.get(&taxi)
        {
            // A client that has ended waits no more.
            let _ = client.send((came, id));
        }
    }
}
