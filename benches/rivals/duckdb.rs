//! `DuckDB` as the rival of reports: a process of Python's, asked by lines of JSON. `duckdb_reports.py` beside it says
//! what they mean.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::cpu;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rivals/duckdb_reports.py");

/// `DuckDB`, in a process of its own: a line of JSON asks, a line answers.
pub struct DuckDb {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl DuckDb {
    /// Starts it, by a Python that has duckdb and pyarrow.
    pub fn start(python: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(python);
        command.arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("starting {}", python.display()))?;
        let questions = process.stdin.take().context("its input")?;
        let answers = BufReader::new(process.stdout.take().context("its output")?);
        Ok(Self { process, questions, answers })
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, question: &Value) -> anyhow::Result<Value> {
        writeln!(self.questions, "{question}")?;
        let mut answer = String::new();
        ensure!(self.answers.read_line(&mut answer)? > 0, "{SCRIPT} has ended");
        Ok(serde_json::from_str(&answer)?)
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        cpu::used_by(&self.process.id().to_string())
    }

    /// The most memory that it ever had, in MB.
    pub fn peak_mb(&self) -> anyhow::Result<u64> {
        cpu::peak_mb_of(&self.process.id().to_string())
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
