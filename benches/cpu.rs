//! The CPU time that a process and its threads have used, and its memory, as Linux counts them.

use std::time::Duration;

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
