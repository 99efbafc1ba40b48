//! Days of hails go into the archive, from their copies, once all of a day's are there; and again were there more.
//!
//! Any number of processes may do so: what the archive has of a day is whole, whoever wrote it. Days that are older
//! than hails are kept are deleted, and not archived again from their copies, which have no taxi any more.

use analytics::blur::Plan;
use analytics::clean::clean;
use analytics::compact::{CompactError, Outcome};
use analytics::expire;
use analytics::hails::{Hail, Hails, HailsOfDay, archived};
use analytics::layout::Day;
use analytics::root::Root;
use ingest::clock::Millis;
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::limits::{DAILY_AGAIN, DAILY_EVERY};
use crate::store::statistics::archived::{ArchivedRow, Entered};
use crate::store::{Store, StoreError};

/// A day was not archived.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Archive(#[from] CompactError),
}

/// For how long there is what, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Hails, from the end of their day.
    pub(crate) hails_ms: i64,
    /// Files that were replaced.
    pub(crate) grace_ms: i64,
}

/// Archives days of hails as they are copied, until `stop`.
pub(crate) async fn keep(app: App, root: Root, kept: Kept, stop: CancellationToken) {
    let mut ticker = interval(DAILY_EVERY);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Until when all days are archived, and before when nothing is tried again.
    let (mut done, mut again_at) = (None, Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticker.tick() => {}
        }
        if Instant::now() < again_at {
            continue;
        }
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = archive(&app, &root, done, kept) => outcome,
        };
        match outcome {
            Ok(until) => done = until,
            Err(error) => {
                tracing::warn!(%error, "hails were not archived; trying again");
                again_at = Instant::now() + DAILY_AGAIN;
            }
        }
    }
}

/// Archives what is not, where there may be something since `done`; gives until when all is.
async fn archive(
    app: &App,
    root: &Root,
    done: Option<Millis>,
    kept: Kept,
) -> Result<Option<Millis>, Failure> {
    let store = app.registry.upkeep();
    let until = store.hails_copied_until().await?;
    let Some(until) = until.filter(|until| done != Some(*until)) else { return Ok(done) };
    let since = app.clock.now().plus(kept.hails_ms.saturating_neg());
    let (plans, _) = expire::plan::<Hails>(root, since).await.map_err(CompactError::from)?;
    // One day that fails keeps no other waiting; it is tried again with the next round.
    let mut failed = None;
    for Plan { day, rows, .. } in plans {
        match expire::delete::<Hails>(root, day).await {
            Ok(Outcome::Written(_)) => {
                tracing::info!(%day, rows, "a day of hails was deleted from the archive");
            }
            Ok(Outcome::Nothing | Outcome::Outrun) => {}
            Err(error) => failed = failed.or(Some(Failure::Archive(error))),
        }
    }
    let known = archived(root).await.map_err(CompactError::from)?;
    let copied = store.copied_days(until).await?.into_iter();
    for (begins, copies) in copied.filter(|(begins, _)| Day::of(*begins).next().begins() > since) {
        let day = Day::of(begins);
        // Copies are for good: where there are fewer, the database is not the one they came from.
        if known.get(&day).is_some_and(|known| *known >= copies) {
            continue;
        }
        match write(store, root, day).await {
            Ok(Outcome::Written(manifest)) => {
                tracing::info!(%day, rows = manifest.rows(), "a day of hails was archived");
            }
            Ok(Outcome::Nothing | Outcome::Outrun) => {}
            // What the database does not answer of one day it does not of another.
            Err(error @ Failure::Store(_)) => return Err(error),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    clean::<Hails>(root, app.clock.now().plus(-kept.grace_ms)).await.map_err(CompactError::from)?;
    failed.map_or(Ok(Some(until)), Err)
}

async fn write(store: &Store, root: &Root, day: Day) -> Result<Outcome, Failure> {
    let mut writing = HailsOfDay::begin(root, day).await?;
    let mut last = None;
    loop {
        let rows = store.copies_of_day(day.begins(), last.as_ref()).await?;
        if rows.is_empty() {
            return Ok(writing.finish().await?);
        }
        let hails: Vec<_> = rows.iter().map(hail).collect();
        writing.add(&hails).await?;
        last = rows.into_iter().next_back();
    }
}

fn hail(row: &ArchivedRow) -> Hail {
    let Entered {
        received_at,
        sent_to_operator_at,
        received_by_operator_at,
        received_by_taxi_at,
        accepted_by_taxi_at,
        accepted_by_customer_at,
        customer_on_board_at,
        finished_at,
        failure_at,
        declined_by_taxi_at,
        incident_taxi_at,
        timeout_taxi_at,
        declined_by_customer_at,
        incident_customer_at,
        timeout_customer_at,
    } = row.entered;
    // In the order of `analytics::schema::STEPS`.
    let steps = [
        received_at,
        sent_to_operator_at,
        received_by_operator_at,
        received_by_taxi_at,
        accepted_by_taxi_at,
        accepted_by_customer_at,
        customer_on_board_at,
        finished_at,
        failure_at,
        declined_by_taxi_at,
        incident_taxi_at,
        timeout_taxi_at,
        declined_by_customer_at,
        incident_customer_at,
        timeout_customer_at,
    ];
    Hail {
        id: row.id.clone(),
        added_at: Millis(row.added_at),
        status: row.status.clone(),
        operator: row.operator_id,
        app: row.app_id,
        taxi: row.taxi_id.map(i32::unsigned_abs),
        town: row.insee.as_deref().and_then(|insee| insee.parse().ok()),
        distance_m: row.distance_m,
        steps: steps.map(|at| at.map(Millis)),
    }
}
