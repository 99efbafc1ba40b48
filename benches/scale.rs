//! Many processes, simulated: what a deployment of some size does with a stream of positions, in calm, when a replica
//! starts again, and when the brokers are away. `docs/scale.md` has what came of it.
//!
//! Time goes in steps of ten milliseconds. Positions come at random instants (a Poisson process) and are spread over
//! partitions by chance; each stage does in a step what its cores have time for, and leaves the rest waiting:
//!
//! 1. an ingest checks datagrams; what it has no time for waits in the kernel's buffer, then is dropped;
//! 2. a partition takes what its broker's disk and network have room for; while brokers are away positions wait in the
//!    ingest, then are dropped;
//! 3. each replica reads every partition with one thread, and writes its map with as many as it has shards.
//!
//! What a step costs is measured (`benches/README.md`) and given as arguments.

#![expect(clippy::cast_precision_loss, reason = "counts, to be divided and rounded")]

use clap::Parser;
use ingest::limits::{MAX_QUEUED_ENTRIES, SOCKET_BUFFER};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Steps in a second.
const STEPS: usize = 100;
/// What is simulated, in seconds; what goes wrong does so after a third of it.
const SECONDS: usize = 180;
/// For how long the brokers are away, in seconds.
const AWAY_S: usize = 60;
/// The oldest that the last saving of positions may be when a replica starts again, in seconds, and how long it takes
/// to read them for each million taxis.
const SAVED_S: f64 = 60.0;

/// A deployment, its load, and what each stage costs.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Positions a second.
    #[arg(long, default_value_t = 60_000.0)]
    rate: f64,
    /// Positions in a datagram: 1 for JSON, some dozens for compact ones.
    #[arg(long, default_value_t = 1.0)]
    in_a_datagram: f64,
    /// Processes that take positions, with one socket and core each.
    #[arg(long, default_value_t = 2)]
    ingests: usize,
    /// Partitions of the log.
    #[arg(long, default_value_t = 8)]
    partitions: usize,
    /// Brokers, each leader of an equal part of the partitions.
    #[arg(long, default_value_t = 1)]
    brokers: usize,
    /// Processes that search.
    #[arg(long, default_value_t = 2)]
    replicas: usize,
    /// Writer threads of each replica's map.
    #[arg(long, default_value_t = 1)]
    shards: usize,
    /// Seconds that a replica takes until it has read its rows.
    #[arg(long, default_value_t = 1.0)]
    load_s: f64,
    /// Nanoseconds of an ingest's core for a datagram.
    #[arg(long, default_value_t = 2_000.0)]
    datagram_ns: f64,
    /// Nanoseconds of an ingest's core for a position in it.
    #[arg(long, default_value_t = 300.0)]
    position_ns: f64,
    /// Bytes of a position in the log.
    #[arg(long, default_value_t = 30.0)]
    log_bytes: f64,
    /// Bytes a second that a broker takes in and gives out, together.
    #[arg(long, default_value_t = 200e6)]
    broker_bytes: f64,
    /// Nanoseconds of the reading thread for a position.
    #[arg(long, default_value_t = 150.0)]
    read_ns: f64,
    /// Nanoseconds of a shard's thread for a position.
    #[arg(long, default_value_t = 300.0)]
    apply_ns: f64,
    /// Decides what chance decides.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Nothing,
    ReplicaStarts,
    BrokersAway,
}

fn main() {
    let args = Args::parse();
    let usage = Usage::of(&args);
    println!("of what each has time or room for: {usage}");
    for trouble in [Trouble::Nothing, Trouble::ReplicaStarts, Trouble::BrokersAway] {
        println!("{trouble:?}: {}", Run::new(&args, trouble).play());
    }
}

/// How much of what each stage has is used, on average.
struct Usage([(&'static str, f64); 4]);

impl Usage {
    fn of(args: &Args) -> Self {
        let datagrams = args.rate / args.in_a_datagram;
        let ingests =
            (datagrams * args.datagram_ns + args.rate * args.position_ns) / 1e9 / args.ingests as f64;
        // Each position is written once and read by each replica.
        let bytes = args.rate * args.log_bytes * (1.0 + args.replicas as f64);
        let brokers = bytes / args.broker_bytes / args.brokers as f64;
        let (reading, shards) =
            (args.rate * args.read_ns / 1e9, args.rate * args.apply_ns / 1e9 / args.shards as f64);
        Self([("ingests", ingests), ("brokers", brokers), ("reading threads", reading), ("shards", shards)])
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<_> =
            self.0.iter().map(|(what, part)| format!("{what} {:.0} %", part * 100.0)).collect();
        let (first, _) =
            self.0.iter().max_by(|a, b| a.1.total_cmp(&b.1)).copied().unwrap_or(("nothing", 0.0));
        write!(f, "{}; {first} give way first", parts.join(", "))
    }
}

/// A simulation under way.
struct Run<'a> {
    args: &'a Args,
    trouble: Trouble,
    rng: StdRng,
    /// Datagrams that wait in each ingest's kernel buffer.
    in_kernel: Vec<f64>,
    /// Positions that each ingest has checked and its brokers have not taken.
    in_ingest: Vec<f64>,
    /// How many positions each partition has.
    logged: Vec<f64>,
    /// How many of them each replica has put on its map.
    applied: Vec<Vec<f64>>,
    came: f64,
    dropped: f64,
    /// How far behind the furthest replica was, in milliseconds of the stream, at each step.
    behind_ms: Vec<f64>,
}

/// What came of it.
struct Outcome {
    dropped: f64,
    behind_p50_ms: f64,
    behind_p99_ms: f64,
    /// Since the trouble, until nobody is more than a second behind; None: never.
    calm_after_s: Option<f64>,
}

impl<'a> Run<'a> {
    fn new(args: &'a Args, trouble: Trouble) -> Self {
        Self {
            args,
            trouble,
            rng: StdRng::seed_from_u64(args.seed),
            in_kernel: vec![0.0; args.ingests],
            in_ingest: vec![0.0; args.ingests],
            logged: vec![0.0; args.partitions],
            applied: vec![vec![0.0; args.partitions]; args.replicas],
            came: 0.0,
            dropped: 0.0,
            behind_ms: Vec::new(),
        }
    }

    fn play(mut self) -> Outcome {
        let troubled_at = SECONDS / 3 * STEPS;
        for step in 0..SECONDS * STEPS {
            let since_s = step.checked_sub(troubled_at).map(|steps| steps as f64 / STEPS as f64);
            let away =
                self.trouble == Trouble::BrokersAway && since_s.is_some_and(|since| since < AWAY_S as f64);
            if self.trouble == Trouble::ReplicaStarts && step == troubled_at {
                self.forget(0);
            }
            let loads = self.trouble == Trouble::ReplicaStarts
                && since_s.is_some_and(|since| since < self.args.load_s);
            self.receive();
            if !away {
                self.log();
            }
            for replica in usize::from(loads)..self.args.replicas {
                self.apply(replica);
            }
            self.behind_ms.push(self.behind_s() * 1e3);
        }
        self.outcome(troubled_at)
    }

    /// A replica that starts has what was saved, and reads on from there.
    fn forget(&mut self, replica: usize) {
        for (applied, logged) in self.applied[replica].iter_mut().zip(&self.logged) {
            let saved = self.args.rate * SAVED_S / self.args.partitions as f64;
            *applied = (logged - saved).max(0.0);
        }
    }

    /// Datagrams come, wait, and are checked.
    fn receive(&mut self) {
        let args = self.args;
        // The kernel counts a datagram of a kilobyte or less as about twice that.
        let room = SOCKET_BUFFER as f64 / 2_048.0;
        let cost_ns = args.datagram_ns + args.in_a_datagram * args.position_ns;
        let time = 1e9 / STEPS as f64 / cost_ns;
        for ingest in 0..args.ingests {
            let mean = args.rate / args.in_a_datagram / args.ingests as f64 / STEPS as f64;
            let datagrams = poisson(&mut self.rng, mean);
            self.came += datagrams * args.in_a_datagram;
            let waiting = self.in_kernel[ingest] + datagrams;
            let checked = waiting.min(time);
            let left = waiting - checked;
            self.in_kernel[ingest] = left.min(room);
            let positions = self.in_ingest[ingest] + checked * args.in_a_datagram;
            self.in_ingest[ingest] = positions.min(MAX_QUEUED_ENTRIES as f64);
            self.dropped += (left - self.in_kernel[ingest]) * args.in_a_datagram;
            self.dropped += positions - self.in_ingest[ingest];
        }
    }

    /// Brokers take what they have room for; what replicas read goes through them, too.
    fn log(&mut self) {
        let args = self.args;
        let bytes = args.broker_bytes * args.brokers as f64 / STEPS as f64;
        let room = bytes / args.log_bytes / (1.0 + args.replicas as f64);
        let waiting: f64 = self.in_ingest.iter().sum();
        let taken = waiting.min(room);
        if waiting > 0.0 {
            self.in_ingest.iter_mut().for_each(|positions| *positions *= 1.0 - taken / waiting);
        }
        let mean = taken / args.partitions as f64;
        // Chance makes some partitions fuller than others by the root of their number, as for any hash.
        let parts: Vec<_> = self.logged.iter().map(|_| poisson(&mut self.rng, mean)).collect();
        let sum: f64 = parts.iter().sum();
        for (logged, part) in self.logged.iter_mut().zip(parts) {
            *logged += if sum > 0.0 { part / sum * taken } else { 0.0 };
        }
    }

    /// A replica puts on its map what it has time for, of each partition in proportion to what waits there.
    fn apply(&mut self, replica: usize) {
        let args = self.args;
        let step_ns = 1e9 / STEPS as f64;
        let time = (step_ns / args.read_ns).min(step_ns * args.shards as f64 / args.apply_ns);
        let waiting: f64 =
            self.logged.iter().zip(&self.applied[replica]).map(|(logged, applied)| logged - applied).sum();
        let part = if waiting > time { time / waiting } else { 1.0 };
        for (applied, logged) in self.applied[replica].iter_mut().zip(&self.logged) {
            *applied += (logged - *applied) * part;
        }
    }

    /// How many seconds of the stream are on their way to the replica that has least.
    fn behind_s(&self) -> f64 {
        let in_kernel: f64 = self.in_kernel.iter().sum::<f64>() * self.args.in_a_datagram;
        let before = in_kernel + self.in_ingest.iter().sum::<f64>() + self.logged.iter().sum::<f64>();
        let least =
            self.applied.iter().map(|applied| applied.iter().sum::<f64>()).fold(f64::INFINITY, f64::min);
        (before - least) / self.args.rate
    }

    fn outcome(self, troubled_at: usize) -> Outcome {
        let late = self.behind_ms[troubled_at..].iter().rposition(|behind| *behind > 1_000.0);
        let steps = late.map_or(0, |last| last + 1);
        let ends = troubled_at + steps < self.behind_ms.len();
        let mut behind_ms = self.behind_ms;
        behind_ms.sort_unstable_by(f64::total_cmp);
        let at = |part: usize| behind_ms[(behind_ms.len() * part / 100).min(behind_ms.len() - 1)];
        Outcome {
            dropped: self.dropped / self.came,
            behind_p50_ms: at(50),
            behind_p99_ms: at(99),
            calm_after_s: ends.then_some(steps as f64 / STEPS as f64),
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { dropped, behind_p50_ms, behind_p99_ms, calm_after_s } = self;
        let calm = calm_after_s.map_or("never".to_owned(), |seconds| format!("after {seconds:.1} s"));
        write!(
            f,
            "dropped {:.2} %, behind by {behind_p50_ms:.0} ms, p99 {behind_p99_ms:.0} ms, within a second again {calm}",
            dropped * 100.0
        )
    }
}

/// A number of a Poisson process; by the normal distribution, which is close where many come in a step.
fn poisson(rng: &mut StdRng, mean: f64) -> f64 {
    let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    (mean + normal * mean.sqrt()).round().max(0.0)
}
