//! The CPU time that a process and its threads have used, and its memory, as Linux counts them.

use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Ticks of `/proc` in a second: Linux shows 100 to programs whatever its own beat is.
const TICKS_PER_S: u64 = 100;

/// The CPU time of all threads so far, user and system, to 10 ms. Fails where there is no `/proc`.
pub fn used() -> anyhow::Result<Duration> {
    used_by("self")
}

/// The same of a process by its number, or of `self`.
pub fn used_by(process: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("reading /proc/*/stat")?;
    // The program's name, in parentheses, may hold spaces: what counts comes after it.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/*/stat has no name")?;
    let ticks = |at: usize| -> anyhow::Result<u64> {
        let field = fields.split(' ').nth(at).context("/proc/*/stat is too short")?;
        Ok(field.parse()?)
    };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * (1000 / TICKS_PER_S)))
}

/// A thread of this process.
pub struct Thread {
    /// Whether it is the first one, which runs `main`.
    pub is_main: bool,
    /// Its name, of which Linux keeps 15 bytes.
    pub name: String,
    /// The CPU time that it has used, to the nanosecond when it sleeps, else up to a tick of the kernel's less.
    pub used: Duration,
}

/// Every thread that runs. Fails where there is no `/proc`, or no count of the scheduler's in it.
pub fn threads() -> anyhow::Result<Vec<Thread>> {
    let mut threads = Vec::new();
    for entry in std::fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        let (folder, id) = (entry.path(), entry.file_name());
        let read = |file| std::fs::read_to_string(folder.join(file));
        // One that ends just now has no files any more.
        let (Ok(name), Ok(schedule)) = (read("comm"), read("schedstat")) else { continue };
        let used = schedule.split(' ').next().and_then(|nanos| nanos.parse().ok());
        let used = Duration::from_nanos(used.context("the scheduler counts nothing here")?);
        let is_main = id.to_str() == Some(&std::process::id().to_string());
        threads.push(Thread { is_main, name: name.trim_end().to_owned(), used });
    }
    Ok(threads)
}

/// What of a process's memory is resident, in bytes; by its number, or of `self`.
pub fn resident_bytes(process: &str) -> anyhow::Result<u64> {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).context("reading /proc/*/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// On the clock.
    pub wall: Duration,
    /// Of all threads.
    pub cpu: Duration,
    /// The most memory that the process had, in MB.
    pub peak_mb: u64,
}

impl Used {
    /// More than anything takes.
    pub const MAX: Self = Self { wall: Duration::MAX, cpu: Duration::MAX, peak_mb: 0 };

    /// The least of times, the most of memory.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        let (wall, cpu) = (self.wall.min(other.wall), self.cpu.min(other.cpu));
        Self { wall, cpu, peak_mb: self.peak_mb.max(other.peak_mb) }
    }
}

impl std::ops::AddAssign for Used {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.peak_mb = self.peak_mb.max(other.peak_mb);
    }
}

/// Does something, and tells what this process took meanwhile.
pub fn measured<T>(work: impl FnOnce() -> T) -> anyhow::Result<(T, Used)> {
    // The peak from now on.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (before, began) = (used()?, Instant::now());
    let done = work();
    let (wall, cpu) = (began.elapsed(), used()?.saturating_sub(before));
    Ok((done, Used { wall, cpu, peak_mb: peak_mb_of("self")? }))
}

/// The most memory that a process, by its number or `self`, ever had, in MB.
pub fn peak_mb_of(process: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? >> 10)
}
