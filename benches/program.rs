//! The program itself, in a process of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::cpu::used_by;
use crate::open_loop::{Connection, wait_until};

/// Where datagrams are taken that nobody sends.
pub const NO_DATAGRAMS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How often it is asked whether it is ready.
const LOOK: Duration = Duration::from_millis(5);

/// The program as a process of its own; it is killed when this is dropped.
pub struct Program(Child);

impl Program {
    /// Serves from a directory, at addresses for HTTP and for datagrams, and waits until it is ready.
    pub fn serve(
        binary: &Path,
        data: &Path,
        (http, udp): (SocketAddr, SocketAddr),
        within: Duration,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        command.arg("serve").env("MARAUDE_DATA_DIR", data).env("MARAUDE_HTTP", http.to_string());
        command.env("MARAUDE_UDP", udp.to_string()).env("MARAUDE_LOGGING", "warn").stdout(Stdio::null());
        let server = Self(command.spawn().with_context(|| format!("starting {}", binary.display()))?);
        let began = Instant::now();
        let ready = || Connection::open(http, "")?.get("/health/ready");
        while !matches!(ready(), Ok(200)) {
            ensure!(began.elapsed() < within, "the server is not ready");
            wait_until(Instant::now() + LOOK);
        }
        Ok(server)
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        used_by(&self.0.id().to_string())
    }

    /// What of its memory is in the machine's, in MB.
    pub fn resident_mb(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? >> 10)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
