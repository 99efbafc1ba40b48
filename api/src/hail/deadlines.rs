//! Deadlines: a status that has lasted as long as it may ends by itself, whoever was to end it.
//!
//! They are columns of the hails: any process may find one overdue, and the one that locks the hail first ends it.
//! After a stop, however long, all that is overdue is found at once, in order.

use std::convert::Infallible;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Event;
use crate::activity::Actor;
use crate::app::App;
use crate::limits::{DEADLINES_AT_ONCE, DEADLINES_EVERY};
use crate::store::Result;
use crate::store::hails::HailRow;
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
        match end_overdue(&app).await {
            Ok(()) => is_failing = false,
            // Once is enough: it is tried ten times a second.
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(%error, "deadlines of hails are not kept; trying again");
            }
            Err(_) => {}
        }
    }
}

/// Ends every hail that is overdue now.
async fn end_overdue(app: &App) -> Result<()> {
    loop {
        let overdue = app.registry.upkeep().hails_overdue(DEADLINES_AT_ONCE).await?;
        let (found, mut ended) = (overdue.len(), 0);
        for (id, due_at) in overdue {
            let now = app.clock.now().0;
            let is_over = move |hail: &HailRow| {
                // It may have moved since it was found.
                let is_over = hail.deadline_at.is_some_and(|deadline| deadline <= now);
                let event = is_over.then_some(Event::Deadline);
                Ok::<_, Infallible>(Step { event, reason: Some("deadline".to_owned()), ..Step::default() })
            };
            let changed = app.registry.change_hail(Actor::REGISTRY, id, Held::Skip, is_over).await?;
            if let Some(Ok(changed)) = changed
                && let Some(from) = changed.moved_from
            {
                ended += 1;
                app.registry.hail_meters().ended_late(app.clock.now().0 - due_at);
                let (hail, to) = (&changed.row.id, changed.row.status);
                tracing::debug!(hail, %from, %to, "a deadline has passed");
            }
        }
        // What others hold is theirs; the rest of a long list comes at once.
        if i64::try_from(found).unwrap_or(i64::MAX) < DEADLINES_AT_ONCE || ended == 0 {
            return Ok(());
        }
    }
}
