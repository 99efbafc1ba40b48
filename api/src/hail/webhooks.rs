//! Telling webhooks: each event at least once, those of one hail one after the other, until each is told or a day is
//! over.
//!
//! What is to be told is a row that any process takes with a lease, which it renews while it tells and gives back when
//! it stops: what a process that ended had taken is free again soon. Each webhook has a line of its own: one that is
//! slow keeps no other waiting.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::limits::{
    DELIVERIES_A_WEBHOOK, DELIVERIES_EVERY, DELIVERIES_MAX, DELIVERY_LEASE, DELIVERY_READINGS_MAX,
    DELIVERY_WITHIN, RETRIED_AFTER_MAX, RETRIED_FOR,
};
use crate::outbound;
use crate::routes::hails::event::webhook_body;
use crate::routes::hails::eyes_of;
use crate::routes::webhooks::may_listen;
use crate::store::Result;
use crate::store::webhooks::WebhookRow;
use crate::store::webhooks::deliveries::{Claimed, Ended, Held, Then};

/// Tells webhooks, until `stop`. What is under way is cut off then, and due again at once.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let mut lines = Lines::new();
    let ticker = |period| {
        let mut ticker = interval(period);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticker
    };
    let (mut look, mut renew) = (ticker(DELIVERIES_EVERY), ticker(DELIVERY_LEASE / 3));
    let mut is_failing = false;
    loop {
        let outcome = tokio::select! {
            () = stop.cancelled() => break,
            _ = renew.tick() => lines.renew(&app).await,
            () = app.registry.deliveries_due().notified() => lines.go_on(&app).await,
            _ = look.tick() => lines.go_on(&app).await,
            true = lines.ended() => lines.go_on(&app).await,
        };
        if let (Err(error), false) = (&outcome, is_failing) {
            tracing::warn!(%error, "webhooks are not told; trying again");
        }
        is_failing = outcome.is_err();
    }
    if let Err(error) = lines.give_back(&app).await {
        tracing::debug!(%error, "what webhooks were being told is due again when its leases are over");
    }
}

/// Deliveries under way.
struct Lines {
    /// How other processes know ours.
    who: String,
    deliveries: JoinSet<Result<Ended>>,
    /// What each task is at.
    tasks: HashMap<Id, (String, i64)>,
    /// What ended and is not written down yet.
    ended: Vec<Ended>,
    /// Events of which we have the lease, by webhook: what is under way or not written down yet.
    held: Held,
    /// The webhook that was looked at last: the next round begins after it.
    last: String,
    readings: Arc<Semaphore>,
}

impl Lines {
    fn new() -> Self {
        Self {
            who: uuid::Uuid::new_v4().to_string(),
            deliveries: JoinSet::new(),
            tasks: HashMap::new(),
            ended: Vec::new(),
            held: Held::new(),
            last: String::new(),
            readings: Arc::new(Semaphore::new(DELIVERY_READINGS_MAX)),
        }
    }

    /// Waits until a delivery ends, and takes those that have ended with it; false: there is none.
    async fn ended(&mut self) -> bool {
        let Some(first) = self.deliveries.join_next_with_id().await else { return false };
        self.take(first);
        self.take_ended();
        true
    }

    fn take_ended(&mut self) {
        while let Some(next) = self.deliveries.try_join_next_with_id() {
            self.take(next);
        }
    }

    fn take(&mut self, joined: std::result::Result<(Id, Result<Ended>), JoinError>) {
        let (id, outcome) = match joined {
            Ok((id, outcome)) => (id, outcome.map_err(|error| error.to_string())),
            Err(error) => (error.id(), Err(error.to_string())),
        };
        let Some((webhook, event)) = self.tasks.remove(&id) else { return };
        match outcome {
            Ok(ended) => self.ended.push(ended),
            // It was not even tried: it is due again when the lease is over.
            Err(error) => {
                tracing::debug!(webhook, event, error, "a delivery will be repeated");
                self.let_go(&webhook, event);
            }
        }
    }

    fn let_go(&mut self, webhook: &str, event: i64) {
        if let Some(events) = self.held.get_mut(webhook) {
            events.remove(&event);
            if events.is_empty() {
                self.held.remove(webhook);
            }
        }
    }

    /// Writes down what ended, and begins whatever is due and has room.
    async fn go_on(&mut self, app: &App) -> Result<()> {
        self.write_down(app).await?;
        let mut webhooks = app.registry.upkeep().webhooks_due().await?;
        webhooks.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let after = webhooks.partition_point(|webhook| webhook.id <= self.last);
        webhooks.rotate_left(after);
        let began = Instant::now();
        for webhook in webhooks {
            // Leases are to be renewed meanwhile, and what ended to be written down.
            if began.elapsed() > DELIVERY_LEASE / 3 {
                break;
            }
            let line =
                DELIVERIES_A_WEBHOOK.saturating_sub(self.held.get(&webhook.id).map_or(0, BTreeSet::len));
            let room = line.min(DELIVERIES_MAX.saturating_sub(self.deliveries.len()));
            if room == 0 {
                continue;
            }
            let (limit, lease_ms) = (i64::try_from(room).unwrap_or(0), ms(DELIVERY_LEASE));
            // The next round begins with another one, whatever is the matter with this.
            self.last.clone_from(&webhook.id);
            let store = app.registry.upkeep();
            let claimed = store.claim_deliveries(&webhook.id, &self.who, limit, lease_ms).await?;
            let webhook = Arc::new(webhook);
            for claimed in claimed {
                self.begin(app, &webhook, claimed);
            }
        }
        Ok(())
    }

    fn begin(&mut self, app: &App, webhook: &Arc<WebhookRow>, claimed: Claimed) {
        let event = claimed.event_id;
        // Where the lease ran out before it was renewed, it is our own that we took again.
        if self.held.entry(webhook.id.clone()).or_default().insert(event) {
            let delivery = deliver(app.clone(), self.readings.clone(), webhook.clone(), claimed);
            let id = self.deliveries.spawn(delivery).id();
            self.tasks.insert(id, (webhook.id.clone(), event));
        }
    }

    /// All that ended, in one transaction.
    async fn write_down(&mut self, app: &App) -> Result<()> {
        if self.ended.is_empty() {
            return Ok(());
        }
        for then in app.registry.upkeep().end_deliveries(&self.who, &self.ended).await? {
            app.registry.hail_meters().delivered(then);
        }
        for ended in std::mem::take(&mut self.ended) {
            self.let_go(&ended.webhook, ended.claimed.event_id);
        }
        Ok(())
    }

    /// Keeps other processes from what is under way.
    async fn renew(&self, app: &App) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        app.registry.upkeep().renew_deliveries(&self.who, &self.held, ms(DELIVERY_LEASE)).await
    }

    /// Leaves what is under way to other processes.
    async fn give_back(mut self, app: &App) -> Result<()> {
        self.take_ended();
        self.deliveries.shutdown().await;
        self.write_down(app).await?;
        if self.held.is_empty() {
            return Ok(());
        }
        app.registry.upkeep().renew_deliveries(&self.who, &self.held, 0).await
    }
}

/// What came of telling a webhook of an event.
enum Told {
    /// It answered so.
    Yes(u16),
    /// It is to be tried again.
    Not(String),
    /// It will not be told.
    Never(String),
}

async fn deliver(
    app: App,
    readings: Arc<Semaphore>,
    webhook: Arc<WebhookRow>,
    claimed: Claimed,
) -> Result<Ended> {
    // A webhook that takes less than there is would be told of ever older events.
    let told = if app.clock.now().0 - claimed.since > ms(2 * RETRIED_FOR) {
        Told::Never("its turn came too late".to_owned())
    } else {
        tell(&app, &readings, &webhook, claimed.event_id).await?
    };
    let (then, outcome) = match told {
        Told::Yes(status) => (Then::Told, status.to_string()),
        Told::Never(why) => (Then::Dead, why),
        Told::Not(why) => {
            let at = app.clock.now().0 + ms(retried_after(claimed.tries, chance()));
            let is_over = at > claimed.since + ms(RETRIED_FOR);
            (if is_over { Then::Dead } else { Then::Again(at) }, why)
        }
    };
    Ok(Ended { webhook: webhook.id.clone(), claimed, then, outcome })
}

async fn tell(app: &App, readings: &Semaphore, webhook: &WebhookRow, event: i64) -> Result<Told> {
    let turn = readings.acquire().await;
    let Some(event) = app.registry.upkeep().event(event).await? else {
        return Ok(Told::Never("the hail was removed".to_owned()));
    };
    drop(turn);
    let account = app.registry.accounts().id(webhook.app_id).cloned();
    let (Some(account), Ok(secret)) = (account, app.registry.webhook_secret(webhook)) else {
        return Ok(Told::Not("the account or the secret of the webhook cannot be read".to_owned()));
    };
    if !may_listen(&account) {
        return Ok(Told::Never("the account may have no webhooks any more".to_owned()));
    }
    let eyes = match eyes_of(&account, &event.hail, app.clock.now()) {
        Ok(eyes) => eyes,
        Err(unseen) => return Ok(Told::Never(unseen.to_string())),
    };
    let call = outbound::Call {
        url: &webhook.url,
        header: None,
        signing_key: Some(&secret),
        body: webhook_body(app, &event, eyes),
        at: app.clock.now(),
        within: DELIVERY_WITHIN,
    };
    Ok(match app.to_webhooks.tell(call).await {
        Ok(status) if (200..300).contains(&status) => Told::Yes(status),
        Ok(status) => Told::Not(format!("the server answered {status}")),
        Err(error) => Told::Not(error.to_string()),
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
