//! An open-loop HTTP client: it asks when the schedule says, whether or not earlier answers have come.
//!
//! Customers do not wait for each other. A client that sends only after the last answer measures a server that stalls
//! for a second as one slow request; here every request that was due in that second counts its whole wait, because
//! latency runs from the instant at which a request was *due* to the last byte of its answer. Requests are due at
//! random instants (a Poisson process) drawn from a seed. Each connection is a blocking thread with one request under
//! way, as tokio's timers would add up to a millisecond of their own.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// The part of a run at its beginning that is not recorded.
const WARM_UP: Duration = Duration::from_secs(1);
/// How late the client may be before it gives up: the rate is far beyond what the server does.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const LATENCY_MAX_US: u64 = 60_000_000;
/// Of so many answers, the taxis of one are counted.
const LOOK_EVERY: u64 = 64;

/// What to ask, how often, for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub server: SocketAddr,
    /// The search app's key.
    pub key: String,
    /// Where customers stand: latitude and longitude, in turn.
    pub customers: Vec<(f64, f64)>,
    /// Requests a second.
    pub rate: f64,
    /// For how long it is measured, in seconds.
    pub seconds: u64,
    /// How many requests can be under way.
    pub connections: usize,
    /// Decides when requests are due.
    pub seed: u64,
}

/// What came of a run. Latencies in microseconds, from when a request was due.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Requests a second that were due.
    pub offered: f64,
    /// Requests a second that were answered.
    pub answered: f64,
    /// Requests that failed: refused, cut off, another status than 200, or so late that the client gave up.
    pub failed: u64,
    /// Bytes of an answer's body, on average.
    pub bytes_mean: u64,
    /// Taxis in an answer, on average.
    pub taxis_mean: f64,
    /// Percentiles.
    pub p50_us: u64,
    /// 90th.
    pub p90_us: u64,
    /// 99th.
    pub p99_us: u64,
    /// 99.9th.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// Asks and measures. Blocks until the last answer.
pub fn run(plan: &Plan) -> anyhow::Result<Report> {
    ensure!(!plan.customers.is_empty() && plan.rate > 0.0, "nobody asks");
    let schedule = Mutex::new(Schedule::new(plan));
    let began = Instant::now();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let connections: Vec<_> =
            (0..plan.connections).map(|_| scope.spawn(|| serve(plan, &schedule, began))).collect();
        let joined = connections.into_iter().map(|connection| connection.join().ok()?.ok());
        joined.flatten().collect()
    });
    ensure!(tallies.len() == plan.connections, "a connection failed to start");
    let mut all = Tally::new()?;
    for tally in tallies {
        all.add(&tally)?;
    }
    all.report(plan, began.elapsed().saturating_sub(WARM_UP))
}

/// When requests are due, and from where.
struct Schedule {
    rng: StdRng,
    due: Duration,
    ends: Duration,
    rate: f64,
    next: usize,
}

impl Schedule {
    fn new(plan: &Plan) -> Self {
        let ends = WARM_UP + Duration::from_secs(plan.seconds);
        Self { rng: StdRng::seed_from_u64(plan.seed), due: Duration::ZERO, ends, rate: plan.rate, next: 0 }
    }

    /// When the next request is due, from the beginning, and its number.
    fn take(&mut self) -> Option<(Duration, usize)> {
        let gap_s = -(1.0 - self.rng.random::<f64>()).ln() / self.rate;
        self.due += Duration::from_secs_f64(gap_s);
        self.next += 1;
        (self.due < self.ends).then_some((self.due, self.next))
    }
}

/// What one connection saw.
struct Tally {
    latency_us: Histogram<u64>,
    failed: u64,
    bytes: u64,
    looked_at: u64,
    taxis: u64,
}

/// One connection, until the schedule ends.
fn serve(plan: &Plan, schedule: &Mutex<Schedule>, began: Instant) -> anyhow::Result<Tally> {
    let mut tally = Tally::new()?;
    let mut connection = Connection::open(plan.server, &plan.key)?;
    loop {
        let taken = schedule.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((due, number)) = taken else { return Ok(tally) };
        if began.elapsed() > due + GIVE_UP_AFTER {
            tally.failed += 1;
            return Ok(tally);
        }
        wait_until(began + due);
        let (lat, lon) = plan.customers[number % plan.customers.len()];
        let answered = connection.get(&format!("/taxis?lon={lon:.6}&lat={lat:.6}"));
        let latency = began.elapsed().saturating_sub(due);
        let answered = answered.and_then(|status| {
            ensure!(status == 200, "status {status}");
            Ok(())
        });
        if answered.is_err() {
            connection = Connection::open(plan.server, &plan.key)?;
        }
        if due >= WARM_UP {
            tally.record(answered.is_ok(), latency, &connection.body);
        }
    }
}

/// Waits until it is due.
#[expect(clippy::disallowed_methods, reason = "there is nothing to await but the time itself")]
pub fn wait_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        let latency_us = Histogram::new_with_max(LATENCY_MAX_US, 3)?;
        Ok(Self { latency_us, failed: 0, bytes: 0, looked_at: 0, taxis: 0 })
    }

    fn record(&mut self, answered: bool, latency: Duration, body: &[u8]) {
        if !answered {
            self.failed += 1;
            return;
        }
        self.latency_us
            .saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LATENCY_MAX_US).max(1));
        self.bytes += body.len() as u64;
        if self.latency_us.len() % LOOK_EVERY == 1 {
            let field = br#""crowfly_distance""#;
            self.looked_at += 1;
            self.taxis += body.windows(field.len()).filter(|window| window == field).count() as u64;
        }
    }

    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latency_us.add(&other.latency_us)?;
        self.failed += other.failed;
        self.bytes += other.bytes;
        self.looked_at += other.looked_at;
        self.taxis += other.taxis;
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of requests, to be divided and rounded")]
    fn report(&self, plan: &Plan, took: Duration) -> anyhow::Result<Report> {
        let answered = self.latency_us.len();
        ensure!(answered > 0, "no request was answered");
        let at = |quantile| self.latency_us.value_at_quantile(quantile);
        Ok(Report {
            offered: plan.rate,
            answered: answered as f64 / took.as_secs_f64().max(plan.seconds as f64),
            failed: self.failed,
            bytes_mean: self.bytes / answered,
            taxis_mean: self.taxis as f64 / self.looked_at.max(1) as f64,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: self.latency_us.max(),
        })
    }
}

/// A connection kept open, over which one request at a time goes: no more of HTTP than our server speaks, so that the
/// client takes little of the processors that it shares with the server.
pub struct Connection {
    stream: BufReader<TcpStream>,
    /// The header that says who asks.
    who: String,
    line: String,
    /// The cookie that the last answer set, if it set one.
    pub cookie: Option<String>,
    /// The body of the last answer.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects as the account of an API key.
    pub fn open(server: SocketAddr, key: &str) -> anyhow::Result<Self> {
        Self::new(server, format!("X-Api-Key: {key}"))
    }

    /// Logs an account in to the console, and connects as its browser.
    pub fn log_in(server: SocketAddr, name: &str, password: &str) -> anyhow::Result<Self> {
        let mut nobody = Self::new(server, "Sec-Fetch-Site: same-origin".to_owned())?;
        let form = format!("email={name}&password={password}");
        let status = nobody.post_form("/console/login", &form)?;
        let cookie = nobody.cookie.with_context(|| format!("logging in is answered {status}"))?;
        Self::new(server, format!("Cookie: {cookie}\r\nSec-Fetch-Site: same-origin"))
    }

    fn new(server: SocketAddr, who: String) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        let stream = BufReader::with_capacity(1 << 16, stream);
        Ok(Self { stream, who, line: String::new(), cookie: None, body: Vec::new() })
    }

    /// Asks, and gives the status.
    pub fn get(&mut self, path: &str) -> anyhow::Result<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{}\r\n\r\n", self.who);
        self.send(&request)
    }

    /// Sends JSON, and gives the status.
    pub fn post(&mut self, path: &str, json: &str) -> anyhow::Result<u16> {
        self.send_body("POST", path, "application/json", json)
    }

    /// Sends a form, as a browser encodes it, and gives the status.
    pub fn post_form(&mut self, path: &str, form: &str) -> anyhow::Result<u16> {
        self.send_body("POST", path, "application/x-www-form-urlencoded", form)
    }

    /// Sends JSON in place of what is there, and gives the status.
    pub fn put(&mut self, path: &str, json: &str) -> anyhow::Result<u16> {
        self.send_body("PUT", path, "application/json", json)
    }

    fn send_body(&mut self, method: &str, path: &str, kind: &str, body: &str) -> anyhow::Result<u16> {
        let (who, length) = (&self.who, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{who}\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n{body}",
        );
        self.send(&request)
    }

    fn send(&mut self, request: &str) -> anyhow::Result<u16> {
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.read_line()?;
        let status = self.line.split(' ').nth(1).context("no status")?.parse()?;
        let mut length = 0;
        self.cookie = None;
        while self.read_line()? > 2 {
            let Some((name, value)) = self.line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("set-cookie") {
                self.cookie = value.split(';').next().map(|cookie| cookie.trim().to_owned());
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        Ok(status)
    }

    fn read_line(&mut self) -> anyhow::Result<usize> {
        self.line.clear();
        let length = self.stream.read_line(&mut self.line)?;
        ensure!(length > 0, "the server hung up");
        Ok(length)
    }
}
