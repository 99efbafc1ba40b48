//! What waits for webhooks: counted, kept within its limits, and removed when it is of no use any more.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::limits::{BACKLOG_EVERY, DEAD_LETTERS_A_WEBHOOK, WAITING_A_WEBHOOK};
use crate::store::Result;

/// How often it is looked for what is of no use any more.
const PRUNED_EVERY: Duration = Duration::from_hours(1);

/// Counts and bounds, until `stop`.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let ticker = |period| {
        let mut ticker = interval(period);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticker
    };
    let (mut look, mut prune) = (ticker(BACKLOG_EVERY), ticker(PRUNED_EVERY));
    loop {
        let work = async {
            tokio::select! {
                _ = look.tick() => bound(&app).await,
                _ = prune.tick() => forget(&app).await,
            }
        };
        match stop.run_until_cancelled(work).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%error, "what waits for webhooks was not looked at"),
        }
    }
}

async fn bound(app: &App) -> Result<()> {
    let (store, meters) = (app.registry.upkeep(), app.registry.hail_meters());
    let waiting = store.deliveries_waiting().await?;
    let first = waiting.iter().map(|webhook| webhook.since).min();
    let waits_s = first.map_or(0, |since| (app.clock.now().0 - since) / 1_000);
    let events = waiting.iter().map(|webhook| webhook.events).sum::<i64>();
    meters.deliveries_waiting.set(events.try_into().unwrap_or(0));
    meters.delivery_waits_s.set(waits_s.try_into().unwrap_or(0));
    for webhook in waiting.iter().filter(|webhook| webhook.events > WAITING_A_WEBHOOK) {
        let given_up = store.give_up_all_but(&webhook.webhook_id, WAITING_A_WEBHOOK).await?;
        meters.dead_letters.add(given_up);
        tracing::warn!(webhook = webhook.webhook_id, given_up, "too many events wait for a webhook");
    }
    store.forget_dead_letters(DEAD_LETTERS_A_WEBHOOK).await
}

async fn forget(app: &App) -> Result<()> {
    let store = app.registry.upkeep();
    store.prune_webhooks().await?;
    store.prune_deliveries().await
}
