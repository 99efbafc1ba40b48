//! The tracks of hails: where each one's taxi was while it lasted, from the map's memory to rows of its own.
//!
//! Every process that has a map keeps them, and each position finds its place once. To look for them later in the log
//! or the archive would be to read a country's day for one taxi. They go when their hail is blurred.

use std::collections::HashMap;

use engine::engine::Seen;
use ingest::position::{OperatorKey, SourceKey, TaxiKey};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::limits::{FOLLOWED_MAX, TRACKS_EVERY};
use crate::store::Result;
use crate::store::hails::tracks::{Sight, Tracked};

/// Keeps where the taxis of hails in progress are, until `stop`.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let mut ticker = interval(TRACKS_EVERY);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut kept, mut is_failing) = (HashMap::new(), false);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticker.tick() => {}
        }
        let outcome = save(&app, &mut kept).await;
        if let (Err(error), false) = (&outcome, is_failing) {
            tracing::warn!(%error, "where the taxis of hails are is not kept; trying again");
        }
        is_failing = outcome.is_err();
    }
}

/// Keeps what is new; `kept` has of each hail in progress the ten seconds that were kept last.
async fn save(app: &App, kept: &mut HashMap<String, i64>) -> Result<()> {
    let store = app.registry.upkeep();
    let hails = store.hails_tracked(i64::try_from(FOLLOWED_MAX).unwrap_or(i64::MAX)).await?;
    let seen: Vec<_> = hails.iter().filter_map(|hail| Some((hail.id.as_str(), sight(app, hail)?))).collect();
    let is_new = |(hail, sight): &&(&str, Sight)| kept.get(*hail) != Some(&sight.slot());
    let new: Vec<_> = seen.iter().filter(is_new).copied().collect();
    store.save_sights(&new).await?;
    *kept = seen.into_iter().map(|(hail, sight)| (hail.to_owned(), sight.slot())).collect();
    Ok(())
}

/// Where a hail's taxi is, if it was heard since the hail was made.
fn sight(app: &App, hail: &Tracked) -> Option<Sight> {
    let seen = last_seen(app, hail.taxi_id, hail.operator_id)?;
    let sight = Sight { at: seen.received_at.0, lat_e7: seen.at.lat_e7(), lon_e7: seen.at.lon_e7() };
    (sight.at > hail.created_at).then_some(sight)
}

/// Where a taxi was seen last, as an operator reports it; both by their numbers.
pub(crate) fn last_seen(app: &App, taxi: i32, operator: i32) -> Option<Seen> {
    let (taxi, operator) = (u32::try_from(taxi).ok()?, u32::try_from(operator).ok()?);
    app.engine.get(SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(operator) })
}
