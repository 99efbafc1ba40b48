//! Where taxis were, by H3 cell, from what the archive's days add up to.
//!
//! Whose position was in which cell may be known for as long as places are exact, and not a day longer: so a month is
//! published as soon as all of its days are written, when its first is a month old, and from then on there are its sums
//! alone. Where places are exact for less, there is never a month of which all days are known, and none is published.

use std::collections::HashMap;

use analytics::footer::BadFile;
use analytics::layout::Day;
use analytics::opendata::presence::{Presence, Unread};
use analytics::rollups::presence::{of_days, written};
use analytics::root::Root;
use analytics::suppress::Rule;
use chrono::NaiveDate;
use ingest::clock::Millis;
use tokio_util::sync::CancellationToken;

use super::{Dataset, Failed, made, months, packed, period, range};
use crate::app::App;
use crate::store::daily::Run;
use crate::store::releases::NewRelease;
use crate::store::{Result, Store};

/// Publishes the months that are new and of which all days are written and exact.
pub(super) async fn publish(
    app: &App,
    run: &Run,
    stop: &CancellationToken,
    is_new: impl Fn(&NaiveDate) -> bool,
) -> Result<()> {
    let (store, root) = (app.registry.upkeep(), app.asked.root());
    let exact_since = app.retention.exact_since(run.due_at);
    let known = match written(root).await {
        Ok(known) => known,
        Err(error) => {
            app.meters.publications_put_off.add(1);
            tracing::warn!(%error, "availability by cell is published another day");
            return Ok(());
        }
    };
    // Whatever a clock that was wrong made of the days' names, no month is over before it is.
    let until = |last: Day| last.begins().min(run.due_at);
    let months = known.map_or(Vec::new(), |(first, last)| months(first.begins(), until(last)));
    // Of one that began before, the first days are not known any more.
    let is_exact = |month: &NaiveDate| range(*month).start >= exact_since;
    for month in months.into_iter().filter(|month| is_exact(month) && is_new(month)) {
        let vehicles = vehicles(store).await?;
        let (root, rule) = (root.clone(), app.disclosure);
        let make = move || release(&root, month, exact_since, &vehicles, rule);
        let made = made(|| store.keep_run(run), stop, make).await?;
        let Some(made) = made else { return Ok(()) };
        let month = period(month);
        let release = match made {
            Made::Release(release) => release,
            Made::Waits => continue,
            Made::Not(why) => {
                app.meters.publications_put_off.add(1);
                tracing::warn!(month, why, "availability by cell is not published");
                continue;
            }
        };
        let resolution = release.resolution;
        if !store.release(run, vec![release]).await? {
            return Ok(());
        }
        tracing::info!(month, resolution, "availability by cell was published down to this resolution");
    }
    Ok(())
}

/// Which vehicle each taxi is, by their numbers: one for each plate, whoever registers it.
async fn vehicles(store: &Store) -> Result<HashMap<u32, u64>> {
    let mut plates = HashMap::new();
    let taxis = store.registered_taxis().await?.into_iter();
    let taxis = taxis.filter_map(|taxi| {
        let next = plates.len() as u64;
        let vehicle = *plates.entry(taxi.licence_plate).or_insert(next);
        Some((u32::try_from(taxi.id).ok()?, vehicle))
    });
    Ok(taxis.collect())
}

/// What became of a month.
enum Made {
    /// Its table.
    Release(NewRelease),
    /// It is not known whole, yet or any more.
    Waits,
    /// It cannot be made, and why; it is tried again the next night, as long as its places are exact.
    Not(String),
}

fn release(
    root: &Root,
    month: NaiveDate,
    exact_since: Millis,
    vehicles: &HashMap<u32, u64>,
    rule: Rule,
) -> std::result::Result<Made, Failed> {
    let days = range(month);
    let days = Day::of(days.start)..Day::of(days.end);
    let read = async {
        let Some(files) = of_days(root, days, exact_since).await? else { return Ok(None) };
        Presence::read(root, &files, |taxi| vehicles.get(&taxi).copied()).await.map(Some)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let presence = match runtime.block_on(read) {
        Ok(Some(presence)) => presence,
        Ok(None) => return Ok(Made::Waits),
        Err(Unread::File(BadFile::Unavailable(error))) => return Err(BadFile::Unavailable(error).into()),
        // A damaged file is named by `maraude archive verify`, and made again once it is removed.
        Err(error) => return Ok(Made::Not(error.to_string())),
    };
    let dataset = Dataset::AvailabilityByCell;
    let table = presence.table(&period(month), &dataset.columns()[0], rule)?;
    Ok(Made::Release(packed(dataset, &period(month), table)?))
}
