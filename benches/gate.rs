//! Datagrams of both kinds checked, and JSON ones checked and logged.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use benches::cpu;
use benches::datagrams::{Datagrams, datagrams};
use criterion::{Criterion, Throughput};
use ingest::clock::{Clock, Millis};
use ingest::gate::{Gate, Refusals, Scratch};
use ingest::limits::MAX_BATCH;
use ingest::log::{Log, LogError, LogUrl, Settings};
use ingest::position::Position;
use ingest::wire::positions_at_most;

const SEED: u64 = 1;
const TAXIS: u32 = 10_000;
/// More than any cache holds.
const MANY_TAXIS: u32 = 1_000_000;
/// Datagrams that one system call brings at most, and one append takes.
const BATCH: usize = 64;
/// Batches of each when ours and the rival take turns.
const TURNS: usize = 100_000;
/// Appends between two that are acknowledged, and how many of these may be under way: less than the log's queue.
const APPENDS_PER_ACKNOWLEDGED: usize = 256;
const ACKNOWLEDGED_AT_ONCE: usize = 16;
/// Datagrams of one measurement of gate and log: enough for dozens of syncs.
const LOGGED: usize = 40 * BATCH * APPENDS_PER_ACKNOWLEDGED;
/// Batches of each kind of datagram when these take turns.
const TURNS_OF_KINDS: usize = 20_000;
const NOW: Millis = Millis(1_800_000_000_000);

fn main() -> anyhow::Result<()> {
    let mut data = datagrams(SEED, TAXIS, NOW);
    check_alike(&data)?;
    let mut criterion = Criterion::default().configure_from_args();
    check(&mut criterion, &data);
    check_in_turn(&data);
    check_kinds_in_turn(&mut data, TAXIS)?;
    check_kinds_in_turn(&mut datagrams(SEED, MANY_TAXIS, NOW), MANY_TAXIS)?;
    check_and_log(&mut criterion, &data)?;
    criterion.final_summary();
    Ok(())
}

fn gate(data: &Datagrams) -> Gate {
    Gate::new(data.directory.clone(), Arc::new(Refusals::default()))
}

/// Ours and the rival must make the same position of each datagram.
fn check_alike(data: &Datagrams) -> anyhow::Result<()> {
    let (gate, mut scratch) = (gate(data), Scratch::default());
    let mut bytes = 0;
    for datagram in &data.datagrams {
        let ours = gate.check(&mut scratch, datagram, None, NOW).ok().context("a datagram was refused")?;
        ensure!(data.rival.check(datagram, NOW) == Some(ours), "the rival disagrees");
        bytes += datagram.len();
    }
    println!("{} datagrams of {} bytes on average", data.datagrams.len(), bytes / data.datagrams.len());
    Ok(())
}

fn check(criterion: &mut Criterion, data: &Datagrams) {
    let mut group = criterion.benchmark_group("datagrams_checked");
    group.throughput(Throughput::Elements(BATCH as u64));
    let (gate, mut scratch) = (gate(data), Scratch::default());
    let mut batches = data.datagrams.chunks_exact(BATCH).cycle();
    group.bench_function("maraude", |bencher| {
        bencher.iter(|| {
            for datagram in batches.next().into_iter().flatten() {
                black_box(gate.check(&mut scratch, datagram, None, NOW).is_ok());
            }
        });
    });
    group.bench_function("serde_json", |bencher| {
        bencher.iter(|| {
            for datagram in batches.next().into_iter().flatten() {
                black_box(data.rival.check(datagram, NOW).is_some());
            }
        });
    });
    group.finish();
}

/// Ours and the rival by turns, a batch each: on a machine whose speed changes from second to second, two measurements
/// one after the other say little of which is faster. Each goes first every other time, as whoever does brings the
/// batch into the cache. Prints the median batch of each.
fn check_in_turn(data: &Datagrams) {
    let (gate, mut scratch) = (gate(data), Scratch::default());
    let mut ours = |datagram: &[u8]| gate.check(&mut scratch, datagram, None, NOW).is_ok();
    let mut rival = |datagram: &[u8]| data.rival.check(datagram, NOW).is_some();
    let (mut ours_ns, mut rival_ns) = (Vec::with_capacity(TURNS), Vec::with_capacity(TURNS));
    for (turn, batch) in data.datagrams.chunks_exact(BATCH).cycle().take(TURNS).enumerate() {
        if turn % 2 == 0 {
            ours_ns.push(nanos_each(batch, &mut ours));
            rival_ns.push(nanos_each(batch, &mut rival));
        } else {
            rival_ns.push(nanos_each(batch, &mut rival));
            ours_ns.push(nanos_each(batch, &mut ours));
        }
    }
    for (name, times_ns) in [("maraude", &mut ours_ns), ("serde_json", &mut rival_ns)] {
        times_ns.sort_unstable();
        println!("by turns, {name}: a datagram takes {} ns (median of {TURNS} batches)", times_ns[TURNS / 2]);
    }
}

/// JSON datagrams, compact ones that say as much, and compact ones with speed, heading and accuracy by turns, about as
/// many positions of each, copied into buffers as the kernel would, and their positions into batches as large as the
/// receiving thread's. Prints the median of each, a position.
fn check_kinds_in_turn(data: &mut Datagrams, taxis: u32) -> anyhow::Result<()> {
    let mut kinds = Kinds::of(gate(data));
    let mut times_ns = [Vec::new(), Vec::new(), Vec::new()];
    let mut in_each = [1, 0, 0];
    for (turn, batch) in data.datagrams.chunks_exact(BATCH).cycle().take(TURNS_OF_KINDS).enumerate() {
        kinds.buffers.clear();
        kinds.buffers.extend(batch.iter().cloned());
        times_ns[0].push(kinds.nanos_a_position(BATCH)?);
        for (kind, moving) in [(1, false), (2, true)] {
            kinds.buffers.clear();
            let (mut positions, mut sender) = (0, turn);
            while positions + in_each[kind] / 2 < BATCH {
                sender = (sender + 1) % data.senders.len();
                let (datagram, count) = data.senders[sender].write(NOW, moving)?;
                kinds.buffers.push(datagram.to_vec());
                positions += count;
                in_each[kind] = count;
            }
            times_ns[kind].push(kinds.nanos_a_position(positions)?);
        }
    }
    let [json, bare, moving] = times_ns.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[TURNS_OF_KINDS / 2]
    });
    println!(
        "by turns, {taxis} taxis, a position of a JSON datagram: {json:.0} ns (medians of {TURNS_OF_KINDS})"
    );
    for (what, compact, in_each) in
        [("as much", bare, in_each[1]), ("with speed, heading and accuracy", moving, in_each[2])]
    {
        let (millions, ratio) = (1e3 / compact, json / compact);
        println!(
            "    of a compact one, {what}, {in_each} in each: {compact:.1} ns, {millions:.1} M/s, ratio {ratio:.1}"
        );
    }
    Ok(())
}

/// What receives datagrams of both kinds.
struct Kinds {
    gate: Gate,
    scratch: Scratch,
    positions: Vec<Position>,
    buffers: Vec<Vec<u8>>,
}

impl Kinds {
    fn of(gate: Gate) -> Self {
        let (scratch, positions) = (Scratch::default(), Vec::with_capacity(MAX_BATCH));
        Self { gate, scratch, positions, buffers: Vec::new() }
    }

    /// How long it takes to check what is in the buffers, which are so many positions, all of them good.
    fn nanos_a_position(&mut self, positions: usize) -> anyhow::Result<f64> {
        let began = Instant::now();
        let mut taken = 0;
        for datagram in &self.buffers {
            if self.positions.len() + positions_at_most(datagram) > MAX_BATCH {
                taken += self.positions.len();
                black_box(&mut self.positions).clear();
            }
            black_box(self.gate.admit(&mut self.scratch, datagram, None, NOW, &mut self.positions));
        }
        taken += self.positions.len();
        black_box(&mut self.positions).clear();
        let elapsed = began.elapsed();
        ensure!(taken == positions, "{} of {positions} positions were refused", positions - taken);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        Ok(elapsed.as_secs_f64() * 1e9 / positions as f64)
    }
}

fn nanos_each(batch: &[Vec<u8>], check: &mut dyn FnMut(&[u8]) -> bool) -> u128 {
    let began = Instant::now();
    for datagram in batch {
        black_box(check(datagram));
    }
    began.elapsed().as_nanos() / BATCH as u128
}

/// From the first datagram to the sync of the last, on the log's own disk: this thread checks, the log's thread encodes
/// and syncs.
fn check_and_log(criterion: &mut Criterion, data: &Datagrams) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let log = Log::open(&LogUrl::File(folder.path().join("log")), &Settings::default(), Clock::System)?;
    let (gate, mut failed, mut runs) = (gate(data), None, 0_u32);
    let (mut took, mut cpu_time) = (Duration::ZERO, Duration::ZERO);
    let mut group = criterion.benchmark_group("datagrams_checked_and_logged");
    group.sample_size(10).throughput(Throughput::Elements(LOGGED as u64));
    group.measurement_time(Duration::from_secs(15));
    group.bench_function("maraude", |bencher| {
        bencher.iter_custom(|iterations| {
            let cpu_before = cpu::used().unwrap_or_default();
            let began = Instant::now();
            for _ in 0..iterations {
                runs += 1;
                if let Err(error) = log_all(&gate, &log, data) {
                    failed = Some(error);
                }
            }
            let elapsed = began.elapsed();
            took += elapsed;
            cpu_time += cpu::used().unwrap_or_default().saturating_sub(cpu_before);
            elapsed
        });
    });
    group.finish();
    log.close();
    if let Some(error) = failed {
        return Err(error);
    }
    if runs > 0 {
        #[expect(clippy::cast_precision_loss, reason = "a few million, to be divided and rounded")]
        let logged = f64::from(runs) * LOGGED as f64;
        println!(
            "{logged} datagrams logged, warm-up included: {:.0}/s, {:.0} per second of CPU",
            logged / took.as_secs_f64(),
            logged / cpu_time.as_secs_f64()
        );
    }
    Ok(())
}

/// Checks and appends [`LOGGED`] datagrams and waits until all are synced. Like the receiving thread, but that it
/// waits where that one would drop.
fn log_all(gate: &Gate, log: &Log, data: &Datagrams) -> anyhow::Result<()> {
    let (done, synced): (Sender<Result<(), LogError>>, Receiver<_>) = channel();
    let (mut scratch, mut under_way) = (Scratch::default(), 0);
    let appends = data.datagrams.chunks_exact(BATCH).cycle().take(LOGGED / BATCH);
    for (batch, number) in appends.zip(1..) {
        let checked = batch.iter().map(|datagram| gate.check(&mut scratch, datagram, None, NOW));
        let positions: Vec<_> = checked.filter_map(Result::ok).collect();
        ensure!(positions.len() == BATCH, "a datagram was refused");
        if number % APPENDS_PER_ACKNOWLEDGED == 0 {
            let done = done.clone();
            log.append_acknowledged(positions, Box::new(move |outcome| drop(done.send(outcome))))?;
            under_way += 1;
        } else {
            log.append(positions)?;
        }
        if under_way == ACKNOWLEDGED_AT_ONCE {
            synced.recv()??;
            under_way -= 1;
        }
    }
    for _ in 0..under_way {
        synced.recv()??;
    }
    Ok(())
}

const _: () = assert!(APPENDS_PER_ACKNOWLEDGED * ACKNOWLEDGED_AT_ONCE < ingest::limits::LOG_QUEUE);
const _: () = assert!(
    ((BATCH * APPENDS_PER_ACKNOWLEDGED * (ACKNOWLEDGED_AT_ONCE + 1)) as u64)
        < ingest::limits::MAX_QUEUED_ENTRIES
);
