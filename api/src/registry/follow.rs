//! Following what other processes write: the command line beside the server, other servers beside this one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::Registry;
use crate::store::Result;
use crate::store::changes::{Changes, Heard, Polled};

/// How often `SQLite` is asked whether another process wrote; well under the 2 s within which it must show.
const POLL: Duration = Duration::from_millis(500);
/// How often everything is read again whatever was heard.
const FULL_READING: Duration = Duration::from_mins(1);
/// The pause before trying again after the database failed.
const RETRY: Duration = Duration::from_secs(1);

/// Follows until `stop`, whatever fails meanwhile; watches whether the database answers, and keeps its log short. What
/// the registry holds was read after `changes` began.
pub async fn follow(registry: Arc<Registry>, changes: Changes, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = registry.store.watch() => {}
        () = registry.store.keep_checkpoints() => {}
        () = follow_for_good(&registry, changes) => {}
    }
}

async fn follow_for_good(registry: &Registry, changes: Changes) {
    let mut begun = Some(changes);
    loop {
        let outcome = tokio::select! {
            outcome = follow_until_failure(registry, begun.take()) => outcome,
            // A listening connection would not notice by itself.
            () = registry.store.lost() => Ok(()),
        };
        if registry.following.send_replace(false) {
            let error = outcome.err().map(|error| error.to_string());
            tracing::warn!(error, "the database's changes are no longer followed; trying again every second");
        }
        sleep(RETRY).await;
    }
}

async fn follow_until_failure(registry: &Registry, begun: Option<Changes>) -> Result<()> {
    let mut changes = if let Some(changes) = begun {
        changes
    } else {
        let changes = registry.store.changes().await?;
        // What was written before we began to listen.
        registry.read_all().await?;
        changes
    };
    registry.following.send_replace(true);
    let mut full_reading = interval(FULL_READING);
    full_reading.set_missed_tick_behavior(MissedTickBehavior::Delay);
    full_reading.tick().await;
    loop {
        tokio::select! {
            _ = full_reading.tick() => registry.read_all().await?,
            () = registry.stale.notified() => registry.read_all().await?,
            heard = next(&mut changes) => match heard? {
                Heard::Change(change) => registry.read_change(change).await?,
                Heard::Something => registry.read_all().await?,
            },
        }
    }
}

/// The next thing heard. May be dropped and called again: nothing heard is lost with it.
async fn next(changes: &mut Changes) -> Result<Heard> {
    match changes {
        Changes::Notified(notified) => notified.next().await,
        Changes::Polled(polled) => moved(polled).await.map(|()| Heard::Something),
    }
}

async fn moved(polled: &mut Polled) -> Result<()> {
    loop {
        sleep(POLL).await;
        if polled.moved().await? {
            return Ok(());
        }
    }
}
