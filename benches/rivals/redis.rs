//! Redis as a registry of positions uses it: `GEOADD` for each fix, `GEOSEARCH` with coordinates and distances for each
//! search. It runs beside us, over a Unix socket, and what counts is its own CPU time.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use engine::engine::Fix;
use ingest::position::LatLon;
use tempfile::TempDir;

use crate::cpu;

/// How long it may take to start.
const STARTED_WITHIN: Duration = Duration::from_secs(10);
/// Commands of one `write`.
const PIPELINED: usize = 1_000;

/// A server of its own, which ends with this value.
pub struct Redis {
    server: Child,
    stream: BufReader<UnixStream>,
    _folder: TempDir,
}

impl Redis {
    /// Starts `redis-server`; None where there is none on the `PATH`.
    pub fn start() -> anyhow::Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("socket");
        let settings = ["--port", "0", "--save", "", "--appendonly", "no", "--dir", ".", "--unixsocket"];
        let started = Command::new("redis-server")
            .args(settings)
            .arg(&socket)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let mut server = match started {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            started => started?,
        };
        match connect(&socket) {
            Ok(stream) => Ok(Some(Self { server, stream: BufReader::new(stream), _folder: folder })),
            Err(error) => {
                server.kill()?;
                Err(error)
            }
        }
    }

    /// Shows fixes, many commands under way at a time.
    pub fn apply(&mut self, fixes: &[Fix]) -> anyhow::Result<()> {
        for fixes in fixes.chunks(PIPELINED) {
            let mut commands = Vec::new();
            for Fix { source, at, .. } in fixes {
                let member = format!("{}:{}", source.taxi.0, source.operator.0);
                push(
                    &mut commands,
                    &["GEOADD", "geo", &at.lon().to_string(), &at.lat().to_string(), &member],
                );
            }
            self.stream.get_mut().write_all(&commands)?;
            for _ in fixes {
                self.reply()?;
            }
        }
        Ok(())
    }

    /// How many are within a radius, each answered with its coordinates and its distance.
    pub fn search(&mut self, at: LatLon, radius_m: f64) -> anyhow::Result<usize> {
        let (lon, lat, radius) = (at.lon().to_string(), at.lat().to_string(), radius_m.to_string());
        let mut command = Vec::new();
        let words =
            ["GEOSEARCH", "geo", "FROMLONLAT", &lon, &lat, "BYRADIUS", &radius, "m", "WITHCOORD", "WITHDIST"];
        push(&mut command, &words);
        self.stream.get_mut().write_all(&command)?;
        self.reply()
    }

    /// The server's CPU time so far, to 10 ms.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        cpu::used_by(&self.server.id().to_string())
    }

    /// What of the server's memory is resident, in bytes.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        cpu::resident_bytes(&self.server.id().to_string())
    }

    /// Reads a reply to its end, and gives how many elements it has itself.
    fn reply(&mut self) -> anyhow::Result<usize> {
        let (mut rest, mut elements) = (1_usize, None);
        let mut line = String::new();
        while rest > 0 {
            rest -= 1;
            line.clear();
            self.stream.read_line(&mut line)?;
            let (kind, of) = line.trim_end().split_at_checked(1).context("Redis says nothing")?;
            let size = match kind {
                "*" => of.parse()?,
                "$" => {
                    // The text and the end of its line.
                    let length: u64 = of.parse::<u64>()? + 2;
                    std::io::copy(&mut self.stream.by_ref().take(length), &mut std::io::sink())?;
                    0
                }
                ":" | "+" => 0,
                _ => bail!("Redis says {line}"),
            };
            elements.get_or_insert(size);
            rest += size;
        }
        Ok(elements.unwrap_or(0))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // One that has ended by itself is no harm.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn connect(socket: &PathBuf) -> anyhow::Result<UnixStream> {
    let began = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) => ensure!(began.elapsed() < STARTED_WITHIN, "Redis does not start: {error}"),
        }
        std::thread::yield_now();
    }
}

fn push(commands: &mut Vec<u8>, words: &[&str]) {
    commands.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        commands.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}
