//! The real binary as a process of its own: bounded in time, and ended with its owner.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::wait::{SOON, within};

/// How long a command may take on a busy machine: one imports the whole country.
const COMMAND: Duration = Duration::from_mins(4);

/// The binary over one data directory and one database.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    folder: PathBuf,
    database: Option<String>,
}

impl Program {
    /// Its data lives in `folder`; its rows too, unless another database is named.
    pub(crate) fn new(folder: &Path, database: Option<&str>) -> Self {
        Self { folder: folder.to_owned(), database: database.map(str::to_owned) }
    }

    /// Runs a command to its end; gives what it wrote to the standard output and the standard error.
    pub(crate) async fn run(&self, arguments: &[&str]) -> (ExitStatus, String, String) {
        let mut running = Running::start(self.command(arguments).stderr(Stdio::piped()));
        let status = running.end_within(COMMAND).await;
        (status, running.rest().await, running.complaints().await)
    }

    /// Runs a command that is to succeed; gives what it wrote.
    pub(crate) async fn done(&self, arguments: &[&str]) -> String {
        let (status, out, complaints) = self.run(arguments).await;
        assert!(status.success(), "{arguments:?}: {status}\n{out}\n{complaints}");
        out
    }

    /// Starts a server on free ports; what it complains of is shown.
    pub(crate) async fn serve(&self) -> (Running, SocketAddr, SocketAddr) {
        let arguments = ["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--logging", "warn"];
        let mut running = Running::start(&mut self.command(&arguments));
        let http = running.line("  http  ").await;
        let http = http.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        let udp = running.line("  udp  ").await;
        let udp =
            udp.split_whitespace().nth(1).and_then(|address| address.trim_end_matches(',').parse().ok());
        (running, http.and_then(|address| address.parse().ok()).unwrap(), udp.unwrap())
    }

    /// The command, in its folder and with no setting of the caller's.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maraude"));
        command.env_clear().current_dir(&self.folder).args(arguments).arg("--data-dir").arg(&self.folder);
        if let Some(database) = &self.database {
            command.env("MARAUDE_DATABASE", database);
        }
        command
    }
}

/// A process that runs; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    out: mpsc::UnboundedReceiver<String>,
    complaints: Option<mpsc::UnboundedReceiver<String>>,
}

impl Running {
    /// Starts a command whose standard output is read line by line, and its standard error where it is piped.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let complaints = child.stderr.take().map(lines);
        Self { child, out, complaints }
    }

    /// The next line with `part` in it; those before are passed over.
    pub(crate) async fn line(&mut self, part: &str) -> String {
        let found = async {
            while let Some(line) = self.out.recv().await {
                if line.contains(part) {
                    return Some(line);
                }
            }
            None
        };
        timeout(SOON, found).await.ok().flatten().unwrap_or_else(|| panic!("no line with {part:?} came"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        self.end_within(SOON).await
    }

    async fn end_within(&mut self, limit: Duration) -> ExitStatus {
        within(limit, "the end of a process", async || self.child.try_wait().unwrap()).await
    }

    /// The lines of its standard output that nobody asked for yet, up to its end.
    pub(crate) async fn rest(&mut self) -> String {
        all(&mut self.out).await
    }

    async fn complaints(&mut self) -> String {
        match &mut self.complaints {
            Some(complaints) => all(complaints).await,
            None => String::new(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pipe's lines, read by a thread of their own so that the process never waits for us. As many as a test's process
/// writes: a screen, and a line a second.
fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

async fn all(lines: &mut mpsc::UnboundedReceiver<String>) -> String {
    let gather = async {
        let mut text = String::new();
        while let Some(line) = lines.recv().await {
            let _ = writeln!(text, "{line}");
        }
        text
    };
    timeout(SOON, gather).await.unwrap()
}
