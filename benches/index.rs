//! The index: updates, searches, and searches while it is updated, with 10 thousand and with a million taxis.

use std::hint::black_box;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use benches::rivals::Index;
use benches::rivals::grid::Grid;
use benches::rivals::rtree::Tree;
use benches::world::{Customer, Found, World, nearest_first};
use criterion::{BatchSize, Criterion, Throughput};
use engine::cover::cell_at;
use engine::engine::{Engine, Fix, Search};
use hdrhistogram::Histogram;

const SEED: u64 = 1;
/// Fixes of one batch of the benches of updates.
const BATCH: usize = 1_000;
/// Customers who search in turn.
const CUSTOMERS: usize = 1_024;
/// Of these, how many answers are compared.
const COMPARED: usize = 64;
const RADII_M: [f64; 2] = [500.0, 1_000.0];
/// The load beside searches: so many fixes at once, about so often.
const BESIDE_BATCH: usize = 100;
const BESIDE_EVERY: Duration = Duration::from_millis(1);
const LATENCY_MAX_NS: u64 = 10_000_000_000;

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, taxis) in [("10k", 10_000), ("1M", 1_000_000)] {
        measure(&mut criterion, name, &World::new(SEED, taxis)?)?;
    }
    criterion.final_summary();
    Ok(())
}

/// Ours, as the rivals are driven.
struct Ours(Engine);

impl Index for Ours {
    fn apply(&self, fixes: &[Fix]) {
        self.0.apply(fixes);
        self.0.settle();
    }

    fn nearby(&self, search: &Search<'_>) -> Vec<Found> {
        self.0.nearby(search).into_iter().map(|hit| (hit.source, hit.distance_m)).collect()
    }
}

fn measure(criterion: &mut Criterion, name: &str, world: &World) -> anyhow::Result<()> {
    let ours = Ours(Engine::start(1));
    world.settle_in(&ours.0);
    let everybody = world.everybody();
    let (tree, grid) = (Tree::new(&everybody), Grid::new(&everybody));
    let indexes: [(&str, &dyn Index); 3] = [("maraude", &ours), ("rtree", &tree), ("grid", &grid)];
    let customers = world.clone().customers(CUSTOMERS);
    describe(name, world, &customers, &ours);
    check_alike(world, &customers, &indexes)?;
    for (index_name, index) in indexes {
        search(criterion, (name, index_name), index, &customers, world);
    }
    let mut worlds = Vec::new();
    for (index_name, index) in indexes {
        worlds.push(update(criterion, (name, index_name), index, world.clone()));
    }
    for ((_, index), world) in indexes.into_iter().zip(&worlds) {
        check_alike(world, &customers[..8], &[("an index after its updates", index)])?;
    }
    for ((index_name, index), world) in indexes.into_iter().zip(worlds) {
        search_beside(criterion, (name, index_name), index, &customers, world)?;
    }
    Ok(())
}

/// What kind of data this is.
fn describe(name: &str, world: &World, customers: &[Customer], ours: &Ours) {
    for radius_m in RADII_M {
        let found = customers.iter().map(|one| ours.nearby(&one.search(radius_m, world.now())).len());
        let mut counts: Vec<_> = found.collect();
        counts.sort_unstable();
        let sum: usize = counts.iter().sum();
        let (mean, median) = (sum / counts.len(), counts[counts.len() / 2]);
        println!("{name}: within {radius_m} m {mean} taxis on average, median {median}");
    }
    let mut ahead = world.clone();
    let before: Vec<_> = world.everybody().into_iter().map(|(fix, _)| cell_at(fix.at)).collect();
    let fixes = ahead.batch(BATCH);
    let taxi = |fix: &Fix| usize::try_from(fix.source.taxi.0).unwrap_or_default();
    let moved = fixes.iter().filter(|fix| before[taxi(fix)] != cell_at(fix.at)).count();
    println!("{name}: {moved} of {BATCH} fixes are in another cell than the one before; {:?}", ours.0.room());
}

/// Every index must give the answer that looking at every taxi gives.
fn check_alike(world: &World, customers: &[Customer], indexes: &[(&str, &dyn Index)]) -> anyhow::Result<()> {
    for customer in customers.iter().take(COMPARED) {
        for radius_m in RADII_M {
            let search = customer.search(radius_m, world.now());
            let all = world.nearby(&search);
            for (name, index) in indexes {
                ensure!(nearest_first(index.nearby(&search)) == all, "{name} finds others");
            }
        }
    }
    Ok(())
}

fn search(
    criterion: &mut Criterion,
    (size, name): (&str, &str),
    index: &dyn Index,
    customers: &[Customer],
    world: &World,
) {
    for radius_m in RADII_M {
        let mut group = criterion.benchmark_group(format!("searches_{radius_m}m/{size}"));
        group.throughput(Throughput::Elements(1)).sample_size(30);
        let mut customers = customers.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let customer = customers.next();
                black_box(customer.map(|customer| index.nearby(&customer.search(radius_m, world.now()))))
            });
        });
        group.finish();
    }
}

/// Gives the world as the index shows it in the end.
fn update(
    criterion: &mut Criterion,
    (size, name): (&str, &str),
    index: &dyn Index,
    mut world: World,
) -> World {
    let mut group = criterion.benchmark_group(format!("updates/{size}"));
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(30);
    group.bench_function(name, |bencher| {
        bencher.iter_batched(
            || world.batch(BATCH),
            |fixes| index.apply(black_box(&fixes)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    world
}

/// Searches on one thread while another updates. Means hide what a lock does: percentiles of both are printed, and how
/// many updates got through of those that were asked for.
fn search_beside(
    criterion: &mut Criterion,
    (size, name): (&str, &str),
    index: &dyn Index,
    customers: &[Customer],
    world: World,
) -> anyhow::Result<()> {
    let now = world.now();
    let mut latency_ns = Histogram::<u64>::new_with_max(LATENCY_MAX_NS, 3)?;
    let mut group = criterion.benchmark_group(format!("searches_500m_beside_updates/{size}"));
    group.throughput(Throughput::Elements(1)).sample_size(30);
    let updated = std::thread::scope(|scope| {
        let (stop, stopped) = channel::<()>();
        let updating = scope.spawn(move || update_until(index, world, &stopped));
        let mut customers = customers.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut sum = Duration::ZERO;
                for customer in customers.by_ref().take(usize::try_from(iterations).unwrap_or(usize::MAX)) {
                    let began = Instant::now();
                    black_box(index.nearby(&customer.search(RADII_M[0], now)));
                    let took = began.elapsed();
                    latency_ns.saturating_record(nanos(took));
                    sum += took;
                }
                sum
            });
        });
        drop(stop);
        updating.join()
    });
    group.finish();
    let updated = updated.map_err(|_| anyhow!("the thread that updates panicked"))??;
    if !latency_ns.is_empty() {
        println!("{size} {name}: a search in ns {}", percentiles(&latency_ns));
        println!(
            "{size} {name}: {:.0} updates/s, {BESIDE_BATCH} at once in ns {}",
            updated.0,
            percentiles(&updated.1)
        );
    }
    Ok(())
}

/// Updates as often as asked, or as often as possible where that is less. Gives the updates a second, and how long each
/// batch took to be visible.
fn update_until(
    index: &dyn Index,
    mut world: World,
    stopped: &Receiver<()>,
) -> anyhow::Result<(f64, Histogram<u64>)> {
    let mut took_ns = Histogram::new_with_max(LATENCY_MAX_NS, 3)?;
    let (began, mut batches) = (Instant::now(), 0_u32);
    let mut batch = world.batch(BESIDE_BATCH);
    loop {
        let wait = (BESIDE_EVERY * batches).saturating_sub(began.elapsed());
        let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(wait) else { break };
        let applying = Instant::now();
        index.apply(&batch);
        took_ns.saturating_record(nanos(applying.elapsed()));
        batches += 1;
        batch = world.batch(BESIDE_BATCH);
    }
    let updates = f64::from(batches) * f64::from(u32::try_from(BESIDE_BATCH).unwrap_or(u32::MAX));
    Ok((updates / began.elapsed().as_secs_f64(), took_ns))
}

fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(LATENCY_MAX_NS).max(1)
}

fn percentiles(of: &Histogram<u64>) -> String {
    let at = |quantile| of.value_at_quantile(quantile);
    format!("p50 {} p99 {} p99.9 {} max {}", at(0.5), at(0.99), at(0.999), of.max())
}
