//! Deadlines: a status that has lasted as long as it may ends by itself, whoever was to end it.
//!
//! They are columns of the hails: any process may find one overdue, and whoever locks the hail first ends it, were it
//! to move it. After a stop, however long, all that is overdue is found at once, in order.

use std::convert::Infallible;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::activity::Actor;
use crate::app::App;
use crate::limits::{DEADLINES_AT_ONCE, DEADLINES_EVERY, DEADLINES_FOUND};
use crate::store::Result;
use crate::store::hails::change::{Held, Step};

/// Ends what is overdue, until `stop`.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let mut ticker = interval(DEADLINES_EVERY);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticker.tick() => {}
        }
        let outcome = end_overdue(&app).await;
        // Once is enough: it is tried ten times a second.
        if let (Err(error), false) = (&outcome, is_failing) {
            tracing::warn!(%error, "deadlines of hails are not kept; trying again");
        }
        is_failing = outcome.is_err();
    }
}

/// Ends every hail that is overdue now, a few at a time, so that they are made safe together. Where one cannot be ended
/// the others are all the same.
async fn end_overdue(app: &App) -> Result<()> {
    loop {
        let overdue = app.registry.upkeep().hails_overdue(DEADLINES_FOUND).await?;
        let is_all = i64::try_from(overdue.len()).unwrap_or(i64::MAX) < DEADLINES_FOUND;
        let (mut ending, mut outcome, mut ended) = (JoinSet::new(), Ok(()), 0);
        let mut overdue = overdue.into_iter();
        loop {
            while ending.len() < DEADLINES_AT_ONCE
                && let Some(id) = overdue.next()
            {
                ending.spawn(end(app.clone(), id));
            }
            match ending.join_next().await {
                None => break,
                Some(Ok(Ok(true))) => ended += 1,
                Some(Ok(Err(error))) => outcome = Err(error),
                // Another process has it; or we are ending.
                Some(Ok(Ok(false)) | Err(_)) => {}
            }
        }
        if is_all || ended == 0 || outcome.is_err() {
            return outcome;
        }
    }
}

/// Ends a hail, if it is still overdue once it is held.
async fn end(app: App, id: String) -> Result<bool> {
    let nothing = |_: &_| Ok::<_, Infallible>(Step::default());
    let changed = app.registry.change_hail(Actor::REGISTRY, id, Held::Skip, nothing).await?;
    Ok(changed.is_some_and(|changed| changed.was_due.is_some()))
}
