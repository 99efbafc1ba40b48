//! Runs of what is done once a day: one process at a time does one, in steps, and another goes on where it ended.

use ingest::clock::Millis;
use sqlx::AssertSqlSafe;

use super::batch::{Batch, Run as _};
use super::{Result, Store, read, write};
use crate::limits::DAILY_LEASE;

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What is done.
    pub name: &'static str,
    /// When it was to be done.
    pub due_at: Millis,
    /// Which process does it.
    pub holder: String,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It is the asker's to do.
    Held,
    /// Another process does it.
    Elsewhere,
    /// It was done.
    Ended,
}

impl Store {
    /// Takes a run, unless it has ended or another process has it.
    pub async fn take_run(&self, run: &Run) -> Result<Stands> {
        if self.run_has_ended(run).await? {
            return Ok(Stands::Ended);
        }
        let now = self.now_ms();
        let taken = write!(self, tx => {
            sqlx::query(
                "INSERT INTO daily_runs (name, due_at, held_by, held_until, row_count) VALUES ($1, $2, $3, $4, 0)
                 ON CONFLICT (name, due_at) DO UPDATE SET held_by = excluded.held_by, held_until = excluded.held_until
                 WHERE daily_runs.ended_at IS NULL
                 AND (daily_runs.held_by = excluded.held_by OR daily_runs.held_until <= $5)",
            )
            .bind(run.name)
            .bind(run.due_at.0)
            .bind(&run.holder)
            .bind(now + lease_ms())
            .bind(now)
            .execute(&mut **tx)
            .await?
            .rows_affected() == 1
        })?;
        Ok(if taken { Stands::Held } else { Stands::Elsewhere })
    }

    /// Goes on with a run whose next step takes long. False: another process has it.
    pub async fn keep_run(&self, run: &Run) -> Result<bool> {
        self.step(run, 0, Vec::new()).await
    }

    /// Ends a run; gives how many rows it wrote or removed. None: another process has it.
    pub async fn end_run(&self, run: &Run) -> Result<Option<i64>> {
        let now = self.now_ms();
        write!(self, tx => {
            let ended: Option<(i64,)> = sqlx::query_as(
                "UPDATE daily_runs SET ended_at = $4
                 WHERE name = $1 AND due_at = $2 AND held_by = $3 AND ended_at IS NULL RETURNING row_count",
            )
            .bind(run.name)
            .bind(run.due_at.0)
            .bind(&run.holder)
            .bind(now)
            .fetch_optional(&mut **tx)
            .await?;
            ended.map(|(rows,)| rows)
        })
    }

    /// Runs batches, one after the other, as a step of a run that writes or removes so many rows. False: another
    /// process has the run, and nothing was done.
    pub(super) async fn step(&self, run: &Run, rows: usize, batches: Vec<Batch>) -> Result<bool> {
        let held_until = self.now_ms() + lease_ms();
        write!(self, tx => { 'step: {
            // Holds the row until the commit.
            let held = sqlx::query(
                "UPDATE daily_runs SET row_count = row_count + $5, held_until = $4
                 WHERE name = $1 AND due_at = $2 AND held_by = $3 AND ended_at IS NULL",
            )
            .bind(run.name)
            .bind(run.due_at.0)
            .bind(&run.holder)
            .bind(held_until)
            .bind(i64::try_from(rows).unwrap_or(i64::MAX))
            .execute(&mut **tx)
            .await?
            .rows_affected() == 1;
            if !held {
                break 'step false;
            }
            for batch in batches {
                tx.run(batch).await?;
            }
            true
        } })
    }

    /// Runs a statement that writes or removes rows as a step of a run; gives how many. None: another process has the
    /// run, and nothing was done.
    pub(super) async fn sweep(&self, run: &Run, sql: String) -> Result<Option<u64>> {
        let held_until = self.now_ms() + lease_ms();
        write!(self, tx => { 'sweep: {
            let held = sqlx::query(
                "UPDATE daily_runs SET held_until = $4
                 WHERE name = $1 AND due_at = $2 AND held_by = $3 AND ended_at IS NULL",
            )
            .bind(run.name)
            .bind(run.due_at.0)
            .bind(&run.holder)
            .bind(held_until)
            .execute(&mut **tx)
            .await?
            .rows_affected() == 1;
            if !held {
                break 'sweep None;
            }
            let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
            let rows = query.execute(&mut **tx).await?.rows_affected();
            sqlx::query("UPDATE daily_runs SET row_count = row_count + $3 WHERE name = $1 AND due_at = $2")
                .bind(run.name)
                .bind(run.due_at.0)
                .bind(i64::try_from(rows).unwrap_or(i64::MAX))
                .execute(&mut **tx)
                .await?;
            Some(rows)
        } })
    }

    async fn run_has_ended(&self, run: &Run) -> Result<bool> {
        let (ended,): (i64,) = read!(self, db => {
            sqlx::query_as(
                "SELECT count(*) FROM daily_runs WHERE name = $1 AND due_at = $2 AND ended_at IS NOT NULL",
            )
            .bind(run.name)
            .bind(run.due_at.0)
            .fetch_one(db)
        })?;
        Ok(ended == 1)
    }
}

/// For how long a run is its holder's from its last step on.
pub(super) fn lease_ms() -> i64 {
    i64::try_from(DAILY_LEASE.as_millis()).unwrap_or(i64::MAX)
}
