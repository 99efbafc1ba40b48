//! The wire: what a core receives, checks and hands to the log, beside what it would only receive and count.
//!
//! In turns, each with a thread and a socket of its own that already holds a backlog, as under a load that a core
//! cannot keep up with: so each call brings as many datagrams as it can, and neither waits. What counts is the CPU
//! time of the receiving thread, which is the same however busy the machine is. Compact datagrams of the same positions
//! have turns, too. Then each is sent to as fast as another thread can, and what is sent must be received or dropped by
//! the kernel.

#![expect(clippy::cast_precision_loss, reason = "counts and times, to be divided and rounded")]

use std::io;
use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use benches::cpu;
use benches::datagrams::datagrams;
use benches::open_loop::wait_until;
use clap::Parser;
use ingest::clock::Clock;
use ingest::counter::{Counter, Flag};
use ingest::gate::{Gate, Refusals};
use ingest::limits::{DATAGRAMS_PER_CALL, MAX_DATAGRAM};
use ingest::log::{Log, LogUrl, Settings};
use ingest::udp::{self, Beside, Drops};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

/// How long what was sent may take to be received, or logged.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// How much, how often.
#[derive(Debug, Parser)]
struct Args {
    /// Turns of each.
    #[arg(long, default_value_t = 100)]
    turns: usize,
    /// Datagrams that a socket holds before its thread starts; its buffer must have room for them.
    #[arg(long, default_value_t = 4_096)]
    backlog: u64,
    /// The same of compact datagrams, which are larger and of which each has dozens of positions.
    #[arg(long, default_value_t = 512)]
    compact_backlog: usize,
    /// Seconds that each is sent to as fast as possible.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Where the log is; else in a temporary directory.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Decides what the datagrams say.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut data = datagrams(args.seed, 10_000, Clock::System.now());
    let folder = tempfile::tempdir()?;
    let url = LogUrl::File(args.log.clone().unwrap_or_else(|| folder.path().join("log")));
    let log = Log::open(&url, &Settings::default(), Clock::System)?;
    let gate = Arc::new(Gate::new(data.directory.clone(), Arc::new(Refusals::default())));
    let (counter, maraude) = (Bare::default(), Maraude { gate, log });
    let bytes = data.datagrams.iter().map(Vec::len).sum::<usize>() / data.datagrams.len();
    println!("seed {}, 10000 taxis, {bytes} bytes a datagram on average", args.seed);

    println!("{} turns of each, {} datagrams that wait in the socket:", args.turns, args.backlog);
    let (mut of_counter, mut of_maraude, mut of_compact) = (Vec::new(), Vec::new(), Vec::new());
    let mut logged = 0;
    for turn in 0..args.turns {
        let json = Backlog { datagrams: &data.datagrams, count: args.backlog, positions: args.backlog };
        let mut ours = || drain(&maraude, &json).map(|took| of_maraude.push(took));
        let mut bare = || drain(&counter, &json).map(|took| of_counter.push(took));
        // Each goes first every other time.
        if turn % 2 == 0 {
            bare()?;
            ours()?;
        } else {
            ours()?;
            bare()?;
        }
        let (datagrams, positions) = compact(&mut data.senders, args.compact_backlog)?;
        let backlog = Backlog { datagrams: &datagrams, count: datagrams.len() as u64, positions };
        of_compact.push(drain(&maraude, &backlog)?);
        logged += args.backlog + positions;
    }
    await_logged(&maraude.log, logged)?;
    let bare = tell("a counter", &mut of_counter);
    let ours = tell("received, checked and handed to the log", &mut of_maraude);
    println!("  of what the counter receives: {:.0} %", 100.0 * bare / ours);
    let compact = tell("the same of compact datagrams, each with dozens of positions", &mut of_compact);
    println!("  positions in compact datagrams for each in one of JSON: {:.1}", ours / compact);
    println!("sent to for {} s as fast as a thread can:", args.seconds);
    flood("a counter", &counter, &data.datagrams, args.seconds)?;
    let log_before = of_log()?;
    let taken = flood("received, checked and handed to the log", &maraude, &data.datagrams, args.seconds)?;
    await_logged(&maraude.log, logged + taken)?;
    let of_log = of_log()?.saturating_sub(log_before).as_nanos() as f64 / taken as f64;
    println!(
        "  all {taken} that were received were checked and logged: {of_log:.0} ns each of the log's threads"
    );
    Ok(())
}

/// Compact datagrams of these senders in turn, each of which passes once, and how many positions are in them.
fn compact(senders: &mut [benches::datagrams::Sender], count: usize) -> anyhow::Result<(Vec<Vec<u8>>, u64)> {
    let (mut datagrams, mut positions) = (Vec::with_capacity(count), 0);
    while datagrams.len() < count {
        for sender in &mut *senders {
            let (datagram, of_it) = sender.write(Clock::System.now(), false)?;
            datagrams.push(datagram.to_vec());
            positions += of_it as u64;
        }
    }
    Ok((datagrams, positions))
}

/// What a socket holds before its thread starts.
struct Backlog<'a> {
    /// Sent in their order, again and again.
    datagrams: &'a [Vec<u8>],
    /// How many of them.
    count: u64,
    /// How many positions these have.
    positions: u64,
}

/// One that receives.
trait Receive {
    /// Starts its thread, which is named `udp-` and the port.
    fn start(&self, socket: UdpSocket, stop: Arc<Flag>) -> io::Result<JoinHandle<()>>;

    /// How many positions it has taken so far.
    fn taken(&self) -> u64;
}

/// Ours, as the program runs it.
struct Maraude {
    gate: Arc<Gate>,
    log: Log,
}

impl Receive for Maraude {
    fn start(&self, socket: UdpSocket, stop: Arc<Flag>) -> io::Result<JoinHandle<()>> {
        Ok(udp::serve(socket, self.gate.clone(), self.log.clone(), Clock::System, stop)?.receiving)
    }

    fn taken(&self) -> u64 {
        self.gate.refusals().accepted()
    }
}

/// Receives as ours does, and counts.
#[derive(Default)]
struct Bare {
    count: Arc<Counter>,
}

impl Receive for Bare {
    fn start(&self, socket: UdpSocket, stop: Arc<Flag>) -> io::Result<JoinHandle<()>> {
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let (name, count) = (thread_name(&socket)?, self.count.clone());
        std::thread::Builder::new().name(name).spawn(move || count_all(&socket, &count, &stop))
    }

    fn taken(&self) -> u64 {
        self.count.get()
    }
}

fn count_all(socket: &UdpSocket, count: &Counter, stop: &Flag) {
    let mut headers = MultiHeaders::<()>::preallocate(DATAGRAMS_PER_CALL, None);
    let mut buffers = vec![[0; MAX_DATAGRAM + 1]; DATAGRAMS_PER_CALL];
    while !stop.is_raised() {
        let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        match recvmmsg(socket.as_raw_fd(), &mut headers, &mut slices, flags, None) {
            Ok(received) => count.add(received.count() as u64),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => {
                println!("the counter cannot receive: {error}");
                return;
            }
        }
    }
}

/// Lets a receiver's thread take a backlog, and gives its CPU time a position, in nanoseconds.
fn drain(receiver: &impl Receive, backlog: &Backlog<'_>) -> anyhow::Result<f64> {
    let socket = udp::listen("127.0.0.1:0".parse()?, 1, Beside::Nobody)?.remove(0);
    let (name, drops) = (thread_name(&socket)?, Drops::of(std::slice::from_ref(&socket))?);
    let mut sender = Sender::to(&socket, backlog.datagrams)?;
    while sender.sent < backlog.count {
        sender.send((backlog.count - sender.sent).min(DATAGRAMS_PER_CALL as u64))?;
    }
    ensure!(drops.count()? == 0, "the socket has no room for the backlog: see --backlog, net.core.rmem_max");
    let before = receiver.taken();
    let running = Running::start(receiver, socket)?;
    await_until(|| Ok(receiver.taken() == before + backlog.positions))?;
    let took = of_sleeping(&name)?;
    running.stop()?;
    Ok(took.as_nanos() as f64 / backlog.positions as f64)
}

/// Sends as fast as this thread can, tells what came of it, and gives how many were received.
fn flood(name: &str, receiver: &impl Receive, datagrams: &[Vec<u8>], seconds: u64) -> anyhow::Result<u64> {
    let socket = udp::listen("127.0.0.1:0".parse()?, 1, Beside::Nobody)?.remove(0);
    let (thread, drops) = (thread_name(&socket)?, Drops::of(std::slice::from_ref(&socket))?);
    let mut sender = Sender::to(&socket, datagrams)?;
    let before = receiver.taken();
    let running = Running::start(receiver, socket)?;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(seconds) {
        sender.send(DATAGRAMS_PER_CALL as u64)?;
    }
    let took_s = began.elapsed().as_secs_f64();
    await_until(|| Ok(receiver.taken() - before + drops.count()? == sender.sent))?;
    let (taken, dropped) = (receiver.taken() - before, drops.count()?);
    let cpu_ns = of_sleeping(&thread)?.as_nanos() as f64 / taken as f64;
    running.stop()?;
    println!(
        "  {name}: {:.0}/s sent, {:.0}/s received, {dropped} of {} dropped by the kernel; {cpu_ns:.0} ns of CPU each",
        sender.sent as f64 / took_s,
        taken as f64 / took_s,
        sender.sent,
    );
    Ok(taken)
}

/// A receiver's thread.
struct Running {
    stop: Arc<Flag>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(receiver: &impl Receive, socket: UdpSocket) -> anyhow::Result<Self> {
        let stop = Arc::new(Flag::default());
        Ok(Self { thread: receiver.start(socket, stop.clone())?, stop })
    }

    fn stop(self) -> anyhow::Result<()> {
        self.stop.raise();
        self.thread.join().map_err(|_| anyhow::anyhow!("the receiving thread panicked"))
    }
}

/// Sends datagrams in their order, again and again: many a system call, each a packet of its own.
struct Sender<'a> {
    socket: UdpSocket,
    datagrams: &'a [Vec<u8>],
    sent: u64,
}

impl<'a> Sender<'a> {
    fn to(receiver: &UdpSocket, datagrams: &'a [Vec<u8>]) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(receiver.local_addr()?)?;
        Ok(Self { socket, datagrams, sent: 0 })
    }

    fn send(&mut self, count: u64) -> anyhow::Result<()> {
        let from = usize::try_from(self.sent)?;
        let next =
            (from..from + usize::try_from(count)?).map(|at| &self.datagrams[at % self.datagrams.len()]);
        let slices: Vec<_> = next.map(|datagram| [IoSlice::new(datagram)]).collect();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slices.len(), None);
        let to = vec![None; slices.len()];
        let fd = self.socket.as_raw_fd();
        let sent = sendmmsg(fd, &mut headers, &slices, &to, [], MsgFlags::empty())?;
        self.sent += sent.count() as u64;
        Ok(())
    }
}

fn thread_name(socket: &UdpSocket) -> io::Result<String> {
    Ok(format!("udp-{}", socket.local_addr()?.port()))
}

/// The CPU time of a thread that has nothing more to do: once it sleeps, it is known exactly.
fn of_sleeping(name: &str) -> anyhow::Result<Duration> {
    let used = || -> anyhow::Result<Duration> {
        let threads = cpu::threads()?;
        Ok(threads.iter().find(|thread| thread.name == name).context("the receiving thread has ended")?.used)
    };
    let mut last = used()?;
    loop {
        wait_until(Instant::now() + Duration::from_millis(2));
        let now = used()?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
}

/// The CPU time of the log's threads, ours and the store's.
fn of_log() -> anyhow::Result<Duration> {
    Ok(cpu::threads()?.iter().filter(|thread| !thread.is_main).map(|thread| thread.used).sum())
}

fn await_logged(log: &Log, positions: u64) -> anyhow::Result<()> {
    await_until(|| Ok(log.meters().entries.get() == positions)).context("positions are missing in the log")
}

fn await_until(is_so: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let last = Instant::now() + TAKEN_WITHIN;
    while !is_so()? {
        ensure!(Instant::now() < last, "datagrams are missing");
        // Seldom: who looks at a counter takes it out of the cache of who counts.
        wait_until(Instant::now() + Duration::from_millis(1));
    }
    Ok(())
}

/// Prints what a position takes of a core, and gives the median.
fn tell(name: &str, turns: &mut [f64]) -> f64 {
    turns.sort_by(f64::total_cmp);
    let at = |tenths: usize| turns.get(turns.len() * tenths / 10).copied().unwrap_or(f64::NAN);
    let median = at(5);
    println!(
        "  {name}: {median:.0} ns a position (a tenth below {:.0}, a tenth above {:.0}), {:.0}/s of a core",
        at(1),
        at(9),
        1e9 / median
    );
    median
}
