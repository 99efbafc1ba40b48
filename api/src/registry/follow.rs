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

/// Follows until `stop`, whatever fails meanwhile.
pub async fn follow(registry: Arc<Registry>, stop: CancellationToken) {
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            outcome = follow_until_failure(&registry) => {
                if let Err(error) = outcome && !failing {
                    tracing::warn!(%error, "following the database's changes failed; trying again every second");
                    failing = true;
                }
            }
        }
        tokio::select! { () = stop.cancelled() => return, () = sleep(RETRY) => {} }
        if failing && registry.read_all().await.is_ok() {
            tracing::info!("the database is back");
            failing = false;
        }
    }
}

async fn follow_until_failure(registry: &Registry) -> Result<()> {
    let mut changes = registry.store.changes().await?;
    // What was written before we began to listen.
    registry.read_all().await?;
    let mut full_reading = interval(FULL_READING);
    full_reading.set_missed_tick_behavior(MissedTickBehavior::Delay);
    full_reading.tick().await;
    loop {
        tokio::select! {
            _ = full_reading.tick() => registry.read_all().await?,
            () = registry.stale.notified() => registry.read_all().await?,
            heard = next(&mut changes) => match heard? {
                Heard::Change(change) => registry.read_change(change).await?,
                Heard::Reconnected => registry.read_all().await?,
            },
        }
    }
}

/// The next thing heard. May be dropped and called again: nothing heard is lost with it.
async fn next(changes: &mut Changes) -> Result<Heard> {
    match changes {
        Changes::Notified(notified) => notified.next().await,
        Changes::Polled(polled) => moved(polled).await.map(|()| Heard::Reconnected),
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
