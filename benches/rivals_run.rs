//! The index and its rivals in one run on the same data: what an update and a search cost of CPU, by how many taxis
//! there are; how long searches take while another thread writes all it can; and what a taxi takes of memory.
//!
//! A rival that is a server is measured by the CPU time of its process; what is in this process by the process's.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use benches::cpu;
use benches::rivals::Index;
use benches::rivals::grid::Grid;
use benches::rivals::redis::Redis;
use benches::rivals::rtree::Tree;
use benches::world::{Customer, Found, World};
use clap::Parser;
use engine::cover::cell_at;
use engine::engine::{Engine, Fix, Search};
use hdrhistogram::Histogram;
use ingest::clock::Millis;
use ingest::counter::Flag;
use ingest::position::Order;

const SEED: u64 = 1;
/// The furthest a driving taxi comes between two fixes, in metres, so that one move in ten crosses a cell.
const STRIDE_M: f64 = 160.0;
const BATCH: usize = 1_000;
const BATCHES: usize = 500;
const RADII_M: [f64; 2] = [500.0, 1_000.0];
/// So many taxis are looked for around one customer, again and again.
const WARM_HITS: [usize; 3] = [6, 63, 596];
/// Customers who search in turn: those of a million taxis do not fit into any cache.
const CUSTOMERS: usize = 16_384;
/// How long each measurement takes at least.
const AT_LEAST: Duration = Duration::from_millis(400);
const LATENCY_MAX_NS: u64 = 1_000_000_000;

/// How many taxis there are, and who is measured.
#[derive(Debug, Parser)]
struct Args {
    /// Taxis.
    #[arg(long, default_value_t = 1_000_000)]
    taxis: u32,
    /// Ours alone.
    #[arg(long)]
    ours: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let world = World::new(SEED, args.taxis)?.striding(STRIDE_M);
    let customers = world.clone().customers(CUSTOMERS);
    let mut ahead = world.clone();
    let batches: Vec<_> = (0..BATCHES).map(|_| ahead.batch(BATCH)).collect();
    let bench = Bench { now: ahead.now(), customers, batches };
    println!("{} taxis, seed {SEED}", args.taxis);
    bench.crossings(&world);
    let engine = settle_in(&world)?;
    let warm = bench.warm(&engine)?;
    bench.run("maraude", &warm, &Ours(&engine))?;
    bench.latencies(&engine)?;
    drop(engine);
    if args.ours {
        return Ok(());
    }
    let everybody = world.everybody();
    bench.run("RwLock<HashMap<Cell, Vec>>", &warm, &Grid::new(&everybody))?;
    bench.run("R-tree", &warm, &Tree::new(&everybody))?;
    bench.run_redis(&warm, &everybody.iter().map(|(fix, _)| *fix).collect::<Vec<_>>())?;
    if !is_on_path("tile38-server") {
        println!("Tile38: skipped, no tile38-server on the PATH");
    }
    Ok(())
}

/// Puts everybody on a map, and says what that takes of memory.
fn settle_in(world: &World) -> anyhow::Result<Engine> {
    let everybody = world.everybody();
    let taxis = u64::try_from(everybody.len())?;
    let empty = cpu::resident_bytes("self")?;
    let engine = Engine::start(1);
    for chunk in everybody.chunks(BATCH) {
        engine.apply(&chunk.iter().map(|(fix, _)| *fix).collect::<Vec<_>>());
        engine.settle();
    }
    let positions = cpu::resident_bytes("self")? - empty;
    world.settle_in(&engine);
    let profiles = cpu::resident_bytes("self")? - empty - positions;
    println!(
        "maraude: memory a taxi: {} bytes, by its own count {}; {:?}",
        positions / taxis,
        engine.memory_bytes() / taxis,
        engine.room()
    );
    println!("maraude: the registry's profiles: {} bytes a taxi", profiles / taxis);
    Ok(engine)
}

/// Ours, as the rivals are driven.
struct Ours<'a>(&'a Engine);

impl Index for Ours<'_> {
    fn apply(&self, fixes: &[Fix]) {
        self.0.apply(fixes);
        self.0.settle();
    }

    fn nearby(&self, search: &Search<'_>) -> Vec<Found> {
        self.0.nearby(search).into_iter().map(|hit| (hit.source, hit.distance_m)).collect()
    }
}

/// What everybody is measured with.
struct Bench {
    now: Millis,
    customers: Vec<Customer>,
    batches: Vec<Vec<Fix>>,
}

/// Customers by radius, and how many taxis each finds.
type Warm = Vec<(f64, Vec<(usize, Customer)>)>;

impl Bench {
    fn search<'a>(&self, customer: &'a Customer, radius_m: f64) -> Search<'a> {
        customer.search(radius_m, self.now)
    }

    fn crossings(&self, world: &World) {
        let mut cells: Vec<_> = world.everybody().iter().map(|(fix, _)| cell_at(fix.at)).collect();
        let mut crossed = 0_usize;
        for fix in self.batches.iter().flatten() {
            let known = &mut cells[fix.source.taxi.0 as usize];
            crossed += usize::from(std::mem::replace(known, cell_at(fix.at)) != cell_at(fix.at));
        }
        println!("{crossed} of {} moves cross a cell", BATCH * BATCHES);
    }

    /// Customers around whom there are as many as are looked for.
    fn warm(&self, engine: &Engine) -> anyhow::Result<Warm> {
        let of_radius = |radius_m| {
            let found =
                self.customers.iter().map(|one| (engine.nearby(&self.search(one, radius_m)).len(), *one));
            let found: Vec<_> = found.collect();
            let nearest = |hits: usize| found.iter().min_by_key(|(count, _)| count.abs_diff(hits)).copied();
            let picked: Option<Vec<_>> = WARM_HITS.into_iter().map(nearest).collect();
            Some((radius_m, picked?))
        };
        RADII_M.into_iter().map(of_radius).collect::<Option<_>>().context("no customers")
    }

    fn run(&self, name: &str, warm: &Warm, index: &dyn Index) -> anyhow::Result<()> {
        let own_cpu = || cpu::used();
        for (radius_m, customers) in warm {
            for (hits, customer) in customers {
                let search = |_| Ok(index.nearby(&self.search(customer, *radius_m)).len());
                let cost = measure(search, own_cpu)?;
                ensure!((cost.found_each() - number(*hits as u64)).abs() < 1e-6, "{name} finds others");
                println!("{name}: {radius_m} m, {hits} hits, warm: {cost}");
            }
            let each = |turn: usize| {
                Ok(index.nearby(&self.search(&self.customers[turn % CUSTOMERS], *radius_m)).len())
            };
            println!("{name}: {radius_m} m, at random places: {}", measure(each, own_cpu)?.with_hits());
        }
        let cpu_before = own_cpu()?;
        let began = Instant::now();
        self.batches.iter().for_each(|batch| index.apply(batch));
        self.tell_updates(name, began.elapsed(), own_cpu()?.saturating_sub(cpu_before));
        Ok(())
    }

    fn tell_updates(&self, name: &str, took: Duration, cpu: Duration) {
        let fixes = self.batches.len() * BATCH;
        let each = |time: Duration| time.as_secs_f64() * 1e9 / number(fixes as u64);
        println!(
            "{name}: an update: {:.0} ns, {:.0} ns of CPU; {:.2} M/s",
            each(took),
            each(cpu),
            1e3 / each(took)
        );
    }

    fn run_redis(&self, warm: &Warm, everybody: &[Fix]) -> anyhow::Result<()> {
        let Some(redis) = Redis::start()? else {
            println!("Redis: skipped, no redis-server on the PATH");
            return Ok(());
        };
        let empty = redis.resident_bytes()?;
        let redis = std::cell::RefCell::new(redis);
        redis.borrow_mut().apply(everybody)?;
        let memory = redis.borrow().resident_bytes()? - empty;
        println!("Redis: memory a taxi: {} bytes", memory / u64::try_from(everybody.len())?);
        let its_cpu = || redis.borrow().cpu();
        for (radius_m, customers) in warm {
            for (hits, customer) in customers {
                let cost = measure(|_| redis.borrow_mut().search(customer.at, *radius_m), its_cpu)?;
                println!(
                    "Redis: {radius_m} m, {hits} hits ({:.0} by its own), warm: {cost}",
                    cost.found_each()
                );
            }
            let each =
                |turn: usize| redis.borrow_mut().search(self.customers[turn % CUSTOMERS].at, *radius_m);
            println!("Redis: {radius_m} m, at random places: {}", measure(each, its_cpu)?.with_hits());
        }
        let (began, cpu_before) = (Instant::now(), its_cpu()?);
        for batch in &self.batches {
            redis.borrow_mut().apply(batch)?;
        }
        self.tell_updates("Redis", began.elapsed(), its_cpu()?.saturating_sub(cpu_before));
        Ok(())
    }

    /// How long searches take, alone and while another thread writes all it can.
    fn latencies(&self, engine: &Engine) -> anyhow::Result<()> {
        for radius_m in RADII_M {
            println!(
                "maraude: {radius_m} m, quiet: {}",
                percentiles(&self.search_for_a_while(engine, radius_m)?)
            );
            let stop = Flag::default();
            let (latencies, updates) = std::thread::scope(|scope| {
                let writing = scope.spawn(|| self.write_until(engine, &stop));
                let latencies = self.search_for_a_while(engine, radius_m);
                stop.raise();
                (latencies, writing.join())
            });
            let updates = updates.map_err(|_| anyhow::anyhow!("the thread that writes panicked"))?;
            println!(
                "maraude: {radius_m} m, beside {:.2} M updates/s: {}",
                updates / 1e6,
                percentiles(&latencies?)
            );
        }
        Ok(())
    }

    fn search_for_a_while(&self, engine: &Engine, radius_m: f64) -> anyhow::Result<Histogram<u64>> {
        let mut took_ns = Histogram::new_with_max(LATENCY_MAX_NS, 3)?;
        let began = Instant::now();
        for customer in self.customers.iter().cycle() {
            let one = Instant::now();
            black_box(engine.nearby(&self.search(customer, radius_m)));
            took_ns.saturating_record(u64::try_from(one.elapsed().as_nanos())?.max(1));
            if began.elapsed() > 3 * AT_LEAST {
                break;
            }
        }
        Ok(took_ns)
    }

    /// Writes until told to stop; gives the updates a second.
    fn write_until(&self, engine: &Engine, stop: &Flag) -> f64 {
        let (began, mut written) = (Instant::now(), 0_u32);
        for batch in self.batches.iter().cycle() {
            if stop.is_raised() {
                break;
            }
            // Later than all before, or nothing would be shown.
            let later = |fix: &Fix| {
                let order =
                    Order { received_at: fix.order.received_at.plus(i64::from(written)), ..fix.order };
                Fix { order, ..*fix }
            };
            engine.apply(&batch.iter().map(later).collect::<Vec<_>>());
            engine.settle();
            written += 1;
        }
        f64::from(written) * number(BATCH as u64) / began.elapsed().as_secs_f64()
    }
}

/// What searches came to.
struct Cost {
    searches: f64,
    found: f64,
    took: Duration,
    cpu: Duration,
    /// Of the quickest of ten parts.
    best: Duration,
}

impl Cost {
    fn found_each(&self) -> f64 {
        self.found / self.searches
    }

    fn with_hits(&self) -> String {
        let hit = self.took.as_secs_f64() * 1e9 / self.found;
        let hit_cpu = self.cpu.as_secs_f64() * 1e9 / self.found;
        format!("{self}; {:.0} hits, {hit:.1} ns a hit, {hit_cpu:.1} ns of CPU", self.found_each())
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let us = |time: Duration, of: f64| time.as_secs_f64() * 1e6 / of;
        let (took, cpu) = (us(self.took, self.searches), us(self.cpu, self.searches));
        write!(f, "{took:.2} us, at best {:.2}; {cpu:.2} us of CPU", us(self.best, self.searches / 10.0))
    }
}

/// Searches for a while, in ten parts of equally many.
fn measure(
    mut search: impl FnMut(usize) -> anyhow::Result<usize>,
    cpu: impl Fn() -> anyhow::Result<Duration>,
) -> anyhow::Result<Cost> {
    let (mut turn, trying) = (0, Instant::now());
    while trying.elapsed() < AT_LEAST / 10 {
        black_box(search(turn)?);
        turn += 1;
    }
    let (a_part, mut found, mut best) = (turn.max(1), 0_usize, Duration::MAX);
    let (cpu_before, began) = (cpu()?, Instant::now());
    for _ in 0..10 {
        let part = Instant::now();
        for _ in 0..a_part {
            found += black_box(search(turn)?);
            turn += 1;
        }
        best = best.min(part.elapsed());
    }
    let (searches, took) = (10.0 * number(a_part as u64), began.elapsed());
    Ok(Cost { searches, found: number(found as u64), took, cpu: cpu()?.saturating_sub(cpu_before), best })
}

fn percentiles(of: &Histogram<u64>) -> String {
    let us = |quantile| number(of.value_at_quantile(quantile)) / 1e3;
    format!("p50 {:.1} p99 {:.1} p99.9 {:.1} us, {} searches", us(0.5), us(0.99), us(0.999), of.len())
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds are below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}
