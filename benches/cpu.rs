//! The CPU time that this process has used, as Linux counts it.

use std::time::Duration;

use anyhow::Context as _;

/// Ticks of `/proc` in a second: Linux shows 100 to programs whatever its own beat is.
const TICKS_PER_S: u64 = 100;

/// The CPU time of all threads so far, user and system, to 10 ms. Fails where there is no `/proc`.
pub fn used() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    // The program's name, in parentheses, may hold spaces: what counts comes after it.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/self/stat has no name")?;
    let ticks = |at: usize| -> anyhow::Result<u64> {
        let field = fields.split(' ').nth(at).context("/proc/self/stat is too short")?;
        Ok(field.parse()?)
    };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * (1000 / TICKS_PER_S)))
}
