//! Telling webhooks: each event at least once, those of one hail one after the other, until each is told or a day is
//! over.
//!
//! What is to be told is a row that any process takes by putting it off; what a process that ended had taken is due
//! again soon. Each webhook has a line of its own: one that is slow keeps no other waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::limits::{
    DELIVERIES_A_WEBHOOK, DELIVERIES_EVERY, DELIVERIES_MAX, DELIVERY_LEASE, DELIVERY_WITHIN,
    RETRIED_AFTER_MAX, RETRIED_FOR,
};
use crate::outbound;
use crate::routes::hails::answer::Eyes;
use crate::routes::hails::event::webhook_body;
use crate::store::Result;
use crate::store::webhooks::WebhookRow;
use crate::store::webhooks::deliveries::{Claimed, Then};

/// How many deliveries to each webhook may be under way here.
type Lines = HashMap<String, Arc<Semaphore>>;

/// Tells webhooks, until `stop`. What is under way is cut off then: it is due again soon.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let (mut lines, mut deliveries) = (Lines::new(), JoinSet::new());
    let mut ticker = interval(DELIVERIES_EVERY);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.registry.deliveries_due().notified() => {}
            _ = ticker.tick() => {}
            Some(_) = deliveries.join_next() => continue,
        }
        match begin(&app, &mut lines, &mut deliveries).await {
            Ok(()) => is_failing = false,
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(%error, "webhooks are not told; trying again");
            }
            Err(_) => {}
        }
    }
}

/// Begins whatever is due and has room.
async fn begin(app: &App, lines: &mut Lines, deliveries: &mut JoinSet<()>) -> Result<()> {
    // Lines on which nothing is under way are as good as new.
    lines.retain(|_, line| line.available_permits() < DELIVERIES_A_WEBHOOK);
    for webhook in app.registry.upkeep().webhooks_due().await? {
        let line =
            lines.entry(webhook.id.clone()).or_insert_with(|| Arc::new(Semaphore::new(DELIVERIES_A_WEBHOOK)));
        let room = line.available_permits().min(DELIVERIES_MAX.saturating_sub(deliveries.len()));
        if room == 0 {
            continue;
        }
        let limit = i64::try_from(room).unwrap_or(0);
        let claimed = app.registry.upkeep().claim_deliveries(&webhook.id, limit, ms(DELIVERY_LEASE)).await?;
        for claimed in claimed {
            // There is room: permits are taken here alone.
            let Ok(turn) = line.clone().try_acquire_owned() else { continue };
            deliveries.spawn(deliver(app.clone(), webhook.clone(), claimed, turn));
        }
    }
    Ok(())
}

async fn deliver(app: App, webhook: WebhookRow, claimed: Claimed, turn: OwnedSemaphorePermit) {
    // What fails here fails on the database: the delivery is due again when the lease is over.
    if let Err(error) = try_deliver(&app, &webhook, &claimed).await {
        tracing::warn!(webhook = webhook.id, %error, "a delivery will be repeated");
    }
    drop(turn);
    // What waited for it, or for room.
    app.registry.deliveries_due().notify_one();
}

async fn try_deliver(app: &App, webhook: &WebhookRow, claimed: &Claimed) -> Result<()> {
    // A webhook that takes less than there is would be told of ever older events.
    let told = if app.clock.now().0 - claimed.since > ms(2 * RETRIED_FOR) {
        Err("its turn came too late".to_owned())
    } else {
        tell(app, webhook, claimed).await?
    };
    let now = app.clock.now().0;
    let (then, outcome) = match told {
        Ok(status) => (Then::Told, status.to_string()),
        Err(why) => {
            let at = now + ms(retried_after(claimed.tries, chance()));
            let is_over = at > claimed.since + ms(RETRIED_FOR);
            (if is_over { Then::Dead } else { Then::Again(at) }, why)
        }
    };
    app.registry.upkeep().end_delivery(&webhook.id, claimed, then, &outcome).await?;
    app.registry.hail_meters().delivered(then);
    Ok(())
}

/// Tells a webhook of an event; gives the status that it answered with, or why it was not told.
async fn tell(
    app: &App,
    webhook: &WebhookRow,
    claimed: &Claimed,
) -> Result<std::result::Result<u16, String>> {
    let Some(event) = app.registry.upkeep().event(claimed.event_id).await? else {
        return Ok(Err("the hail was removed".to_owned()));
    };
    let account = app.registry.accounts().id(webhook.app_id).cloned();
    let eyes = account.and_then(|account| Eyes::of(&account, event.hail.operator_id, event.hail.app_id));
    let secret = app.registry.webhook_secret(webhook);
    let (Some(eyes), Ok(secret)) = (eyes, secret) else {
        return Ok(Err("the account or the secret of the webhook cannot be read".to_owned()));
    };
    let call = outbound::Call {
        url: &webhook.url,
        header: None,
        signing_key: Some(&secret),
        body: webhook_body(app, &event, eyes),
        at: app.clock.now(),
        within: DELIVERY_WITHIN,
    };
    Ok(match app.outbound.post(call).await {
        Ok(reply) if (200..300).contains(&reply.status) => Ok(reply.status),
        Ok(reply) => Err(format!("the server answered {}", reply.status)),
        Err(error) => Err(error.to_string()),
    })
}

/// After how long a delivery is tried again that failed so often before: twice as long each time, up to a limit, and by
/// chance (of 2^32) between half of that and all of it, so that what failed together is not tried together.
fn retried_after(tries: i32, chance: u32) -> Duration {
    let whole = Duration::from_secs(1 << tries.clamp(0, 30)).min(RETRIED_AFTER_MAX);
    whole / 2 + (whole / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

/// None where the system gives no chance, which spares nobody anything.
fn chance() -> u32 {
    crate::secrets::random().map_or(u32::MAX, u32::from_ne_bytes)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_less_and_less_often() {
        let all: Vec<_> = (0..15).map(|tries| retried_after(tries, u32::MAX).as_secs()).collect();
        assert_eq!(all, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600, 3_600, 3_600]);
        assert_eq!(retried_after(0, 0), Duration::from_millis(500));
        assert_eq!(retried_after(i32::MAX, u32::MAX / 2).as_secs(), 2_699);
    }
}
