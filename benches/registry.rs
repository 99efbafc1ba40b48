//! A large registry behind its interface: pages of its list, single calls, and searches while it is written and read
//! again. One client after the other, so that a latency is the work of one call.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use api::fleet::town::Place;
use api::serve::Server;
use benches::open_loop::Connection;
use benches::rows::{self, Row};
use benches::town_server::{on_free_ports, seed_rows};
use clap::Parser;
use ingest::clock::{Clock, Millis};
use ingest::counter::Flag;
use ingest::log::{Offset, Partition};

/// Positions of one request.
const BATCH: usize = 50;

/// How large, where, how often.
#[derive(Debug, Parser)]
struct Args {
    /// How many taxis, all of one operator.
    #[arg(long, default_value_t = 60_000)]
    taxis: usize,
    /// An empty database; without one, `SQLite` in a directory of its own, removed at the end.
    #[arg(long)]
    database: Option<String>,
    /// How often each call is made.
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// Where the directory is made.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Decides what the taxis are.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir_in(&args.folder)?;
    let config = on_free_ports(folder.path(), args.database.as_deref())?;
    let rows = rows::rows(args.seed, args.taxis)?;
    let began = Instant::now();
    let (operator_key, app_key) = runtime.block_on(async {
        let keys = seed_rows(&config).await?;
        rows::write(&config.database, 1, &rows).await?;
        Ok::<_, anyhow::Error>(keys)
    })?;
    println!("{} taxis written in {:.1} s", rows.len(), began.elapsed().as_secs_f64());
    let began = Instant::now();
    let server = runtime.block_on(Server::start(&config, Clock::System))?;
    println!("started in {:.1} s", began.elapsed().as_secs_f64());
    let registry = Registry { server, operator_key, app_key, rows, calls: args.calls };
    registry.report_positions()?;
    registry.pages()?;
    registry.calls()?;
    registry.searches(&runtime)?;
    runtime.block_on(registry.server.stop());
    Ok(())
}

struct Registry {
    server: Server,
    operator_key: String,
    app_key: String,
    rows: Vec<Row>,
    calls: usize,
}

impl Registry {
    fn operator(&self) -> anyhow::Result<Connection> {
        Connection::open(self.server.http, &self.operator_key)
    }

    fn report_positions(&self) -> anyhow::Result<()> {
        let mut connection = self.operator()?;
        let began = Instant::now();
        for batch in self.rows.chunks(BATCH) {
            let position = |row: &Row| {
                let Place { lat, lon } = row.place;
                serde_json::json!({"taxi_id": row.id, "lat": lat, "lon": lon})
            };
            let positions: Vec<_> = batch.iter().map(position).collect();
            let status = connection.post("/geotaxi/", &one(&serde_json::json!({"positions": positions})))?;
            ensure!(status == 200, "positions were answered {status}");
        }
        println!("{} positions reported in {:.1} s", self.rows.len(), began.elapsed().as_secs_f64());
        Ok(())
    }

    /// The list: first, middle and last page, each kind of filter.
    fn pages(&self) -> anyhow::Result<()> {
        let mut connection = self.operator()?;
        let (last, some) = (self.rows.len().div_ceil(30), &self.rows[self.rows.len() / 3]);
        let fifty = |name: &str, value: &dyn Fn(&Row) -> &str| {
            let step = self.rows.len() / 50;
            let each: Vec<_> = self
                .rows
                .iter()
                .step_by(step.max(1))
                .take(50)
                .map(|row| format!("{name}={}", value(row)))
                .collect();
            each.join("&")
        };
        title("GET /taxis/all");
        for (what, query) in [
            ("first page", String::new()),
            ("middle page", format!("p={}", last / 2)),
            ("last page", format!("p={last}")),
            ("beyond the last", format!("p={}", i32::MAX)),
            ("an id", format!("id={}", some.id)),
            ("ids that begin with a letter", format!("id={}", &some.id[..1])),
            ("the same, third page", format!("id={}&p=3", &some.id[..1])),
            ("fifty ids", fifty("id", &|row| &row.id)),
            ("no such id", "id=nobody".to_owned()),
            ("a plate", format!("licence_plate={}", some.plate)),
            ("plates that begin with a letter", format!("licence_plate={}", &some.plate[..1])),
            ("fifty plates", fifty("licence_plate", &|row| &row.plate)),
            ("no such plate", "licence_plate=nobody".to_owned()),
            ("an id and its plate", format!("id={}&licence_plate={}", some.id, some.plate)),
        ] {
            self.measure(what, 200, || connection.get(&format!("/taxis/all?{query}")))?;
        }
        Ok(())
    }

    /// Single calls, each on another taxi.
    fn calls(&self) -> anyhow::Result<()> {
        let mut connection = self.operator()?;
        let mut next = self.rows.iter().cycle().step_by(7);
        let mut row = || next.next().context("there are no taxis");
        title("single calls");
        self.measure("GET /taxis/:id", 200, || connection.get(&format!("/taxis/{}", row()?.id)))?;
        let mut radius = 150;
        self.measure("PUT /taxis/:id", 200, || {
            radius = if radius == 500 { 150 } else { radius + 1 };
            let body = one(&serde_json::json!({"status": "free", "radius": radius}));
            connection.put(&format!("/taxis/{}", row()?.id), &body)
        })?;
        let body = |number: usize| {
            serde_json::json!({
                "ads": {"numero": format!("new-{number}"), "insee": "75056"},
                "vehicle": {"licence_plate": format!("NEW-{number:05}")},
                "driver": {"professional_licence": format!("new-{number}"), "departement": "75"}
            })
        };
        let mut numbers = 0..;
        let mut number = || numbers.next().context("numbers end");
        self.measure("POST /drivers, new", 201, || {
            let number = number()?;
            let driver = serde_json::json!({"first_name": "Ada", "last_name": "Martin", "birth_date": null,
                "professional_licence": format!("new-{number}"), "departement": {"numero": "75"}});
            connection.post("/drivers", &one(&driver))
        })?;
        let mut numbers = 0..;
        let mut number = || numbers.next().context("numbers end");
        self.measure("POST /vehicles, new", 201, || {
            let vehicle =
                serde_json::json!({"licence_plate": format!("NEW-{:05}", number()?), "model": "Zoé"});
            connection.post("/vehicles", &one(&vehicle))
        })?;
        let mut numbers = 0..;
        let mut number = || numbers.next().context("numbers end");
        self.measure("POST /ads, new", 201, || {
            let ads = serde_json::json!({"numero": format!("new-{}", number()?), "insee": "75056"});
            connection.post("/ads", &one(&ads))
        })?;
        for (what, status) in [("POST /taxis, new", 201), ("POST /taxis, known", 200)] {
            let mut numbers = 0..;
            let mut number = || numbers.next().context("numbers end");
            self.measure(what, status, || connection.post("/taxis", &one(&body(number()?))))?;
        }
        Ok(())
    }

    /// Searches alone, while rows are written, while all are read again, and while last positions are saved.
    fn searches(&self, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
        title("GET /taxis, one after the other");
        self.search_while("alone", || {
            wait(Duration::from_secs(3));
            Ok(())
        })?;
        self.search_while("while one client writes", || self.put_for(Duration::from_secs(3)))?;
        self.search_while("while all rows are read again", || {
            runtime.block_on(self.server.app.registry.read_all())?;
            Ok(())
        })?;
        let app = &self.server.app;
        let began = Instant::now();
        let fixes = app.engine.dump(Millis(i64::MIN));
        println!("{} last positions dumped in {:.3} s", fixes.len(), began.elapsed().as_secs_f64());
        let offsets: Vec<Offset> =
            (0..app.log.partitions()).map(|partition| app.log.end(Partition(partition))).collect();
        self.search_while("while last positions are saved", || {
            runtime.block_on(app.registry.store().save_last_positions(&fixes, app.log.epoch(), &offsets))?;
            Ok(())
        })?;
        title("PUT /taxis/:id, one after the other");
        let done = Arc::new(Flag::default());
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| self.put_until(&done));
            let began = Instant::now();
            let saved =
                runtime.block_on(app.registry.store().save_last_positions(&fixes, app.log.epoch(), &offsets));
            done.raise();
            let took = writing.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            saved?;
            show("while last positions are saved", took);
            println!("{:<34} {:>9.1} ms", "  saving them took", began.elapsed().as_secs_f64() * 1e3);
            Ok(())
        })
    }

    fn search_while(&self, what: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let done = Arc::new(Flag::default());
        std::thread::scope(|scope| {
            let searching = scope.spawn(|| self.search_until(&done));
            let began = Instant::now();
            let outcome = work();
            let took = began.elapsed();
            done.raise();
            let latencies = searching.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            show(what, latencies);
            println!("{:<34} {:>9.1} ms", "  that took", took.as_secs_f64() * 1e3);
            outcome
        })
    }

    fn search_until(&self, done: &Flag) -> anyhow::Result<Vec<Duration>> {
        let mut connection = Connection::open(self.server.http, &self.app_key)?;
        let mut latencies = Vec::new();
        for row in self.rows.iter().cycle().step_by(11) {
            if done.is_raised() {
                break;
            }
            let path = format!("/taxis?lon={:.6}&lat={:.6}", row.place.lon, row.place.lat);
            let began = Instant::now();
            ensure!(connection.get(&path)? == 200);
            latencies.push(began.elapsed());
        }
        Ok(latencies)
    }

    fn put_for(&self, time: Duration) -> anyhow::Result<()> {
        let (done, began) = (Flag::default(), Instant::now());
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| self.put_until(&done));
            wait(time.saturating_sub(began.elapsed()));
            done.raise();
            let latencies = writing.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            show("  PUT /taxis/:id meanwhile", latencies);
            Ok(())
        })
    }

    fn put_until(&self, done: &Flag) -> anyhow::Result<Vec<Duration>> {
        let (mut connection, mut latencies, mut radius) = (self.operator()?, Vec::new(), 150);
        for row in self.rows.iter().cycle().step_by(13) {
            if done.is_raised() {
                break;
            }
            radius = if radius == 500 { 150 } else { radius + 1 };
            let body = one(&serde_json::json!({"radius": radius}));
            let began = Instant::now();
            ensure!(connection.put(&format!("/taxis/{}", row.id), &body)? == 200);
            latencies.push(began.elapsed());
        }
        Ok(latencies)
    }

    fn measure(
        &self,
        what: &str,
        wanted: u16,
        mut call: impl FnMut() -> anyhow::Result<u16>,
    ) -> anyhow::Result<()> {
        let mut latencies = Vec::with_capacity(self.calls);
        for _ in 0..self.calls {
            let began = Instant::now();
            let status = call()?;
            latencies.push(began.elapsed());
            ensure!(status == wanted, "{what}: {status}");
        }
        show(what, latencies);
        Ok(())
    }
}

fn one(element: &serde_json::Value) -> String {
    serde_json::json!({"data": [element]}).to_string()
}

fn title(what: &str) {
    println!("\n{what:<34}     calls    p50 ms    p99 ms    max ms");
}

fn show(what: &str, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let at = |percent: usize| {
        let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    };
    println!("{what:<34} {:>9} {:>9.2} {:>9.2} {:>9.2}", latencies.len(), at(50), at(99), at(100));
}

#[expect(clippy::disallowed_methods, reason = "there is nothing to await but the time itself")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}
