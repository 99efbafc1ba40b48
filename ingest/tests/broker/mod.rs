//! Apache Kafka for tests: the broker that `MARAUDE_TEST_KAFKA` names, and brokers of a test's own, which may go away.
//!
//! `scripts/test` sees to both; a broker of one's own is started from the jars in `KAFKA_JARS`.

use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Once;
use std::time::{Duration, Instant};

use ingest::log::LogUrl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The broker on which tests make topics.
const BROKER: &str = "MARAUDE_TEST_KAFKA";
/// What a broker of a test's own is started from.
const JARS: &str = "KAFKA_JARS";
/// What starts it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka/kafka.sh");

/// How long one may take to hang.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

static SKIP_SAID: Once = Once::new();

/// A log that is new, on the broker that is there for all. None where there is no broker and none is demanded.
pub(crate) fn new_log() -> Option<LogUrl> {
    if let Ok(broker) = std::env::var(BROKER) {
        return Some(topic_on(&broker));
    }
    let demanded = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!demanded, "{BROKER} names no Kafka, and CI=true demands one");
    // Not by a macro: what those print is shown only where a test fails.
    SKIP_SAID.call_once(|| {
        let _ = writeln!(std::io::stderr(), "SKIPPED, all tests on Kafka: {BROKER} names no broker");
    });
    None
}

/// The URL of a topic that is not there yet, named after the test.
fn topic_on(broker: &str) -> LogUrl {
    let test = std::thread::current().name().unwrap_or_default().replace("::", ".");
    let number = RandomState::new().hash_one(0);
    format!("kafka://{broker}/{test}-{number:x}").parse().unwrap()
}

/// A broker of a test's own. It is killed when this is dropped.
pub(crate) struct Broker {
    folder: TempDir,
    address: String,
    ports: [String; 2],
}

impl Broker {
    /// None where tests of Kafka are skipped.
    pub(crate) fn start() -> Option<Self> {
        new_log()?;
        assert!(std::env::var(JARS).is_ok(), "{BROKER} is set, but not {JARS}");
        // Both are held until both are known, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.each_ref().map(|port| port.local_addr().unwrap().port().to_string());
        drop(free);
        let address = format!("127.0.0.1:{}", ports[0]);
        let broker = Self { folder: tempfile::tempdir().unwrap(), address, ports };
        broker.start_again();
        Some(broker)
    }

    /// After it was killed: with what it had.
    pub(crate) fn start_again(&self) {
        let started = Command::new(SCRIPT).arg("start").arg(self.folder.path()).args(&self.ports).status();
        assert!(started.unwrap().success());
    }

    /// A log that is new.
    pub(crate) fn new_log(&self) -> LogUrl {
        topic_on(&self.address)
    }

    /// Stops it so that it hangs, lets it go on, or kills it.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = self.process();
        kill(process, signal).unwrap();
        // Its threads stop one after the other; until then they take what comes.
        let asked = Instant::now();
        while signal == Signal::SIGSTOP && !is_stopped(process) {
            assert!(asked.elapsed() < STOPS_WITHIN, "the broker goes on");
            std::thread::yield_now();
        }
    }

    fn process(&self) -> Pid {
        let number = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
        Pid::from_raw(number.trim().parse().unwrap())
    }
}

/// Whether each thread of a process is stopped, or ended meanwhile.
fn is_stopped(process: Pid) -> bool {
    let mut threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    threads.all(|thread| {
        let said = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        said.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
    })
}

impl Drop for Broker {
    fn drop(&mut self) {
        // A test that failed may have killed it, or not have started it.
        if self.folder.path().join("pid").exists() {
            let _ = kill(self.process(), Signal::SIGKILL);
        }
    }
}
