//! Demand of the made-up France: searches and hails of a day, in the archive beside the positions.
//!
//! Customers are where taxis are, and as many ask in each minute: no more than what makes reports work. Of hails some
//! are accepted, refused, or left without an answer, with delays of minutes.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use analytics::archive::Filing;
use analytics::compact::{Outcome, compact};
use analytics::hails::{Hail, HailsOfDay};
use analytics::layout::Day;
use analytics::meters::Meters;
use analytics::root::Root;
use analytics::schema::STEPS;
use analytics::searches::Searches;
use anyhow::{Context as _, bail};
use ingest::clock::{Clock, Millis};
use ingest::log::{Log, LogUrl, Settings};
use ingest::searches::Search;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Runtime;

use crate::france::{BEGIN, France};

/// The account that searches and hails.
const APP: i32 = 9;
/// Searches that are logged together, and hails that are written so.
const TOGETHER: u32 = 4_000;

/// How much of it there is, and within which time from [`BEGIN`] on.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Searches.
    pub searches: u32,
    /// Hails.
    pub hails: u32,
    /// In milliseconds.
    pub within_ms: i64,
}

/// Archives it as a day of each.
pub fn archive(
    seed: u64,
    demand: Demand,
    france: &France,
    root: &Root,
    folder: &Path,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let at = |n: u32, all: u32| BEGIN.plus(demand.within_ms * i64::from(n) / i64::from(all.max(1)));
    let clock = Clock::manual(BEGIN);
    let settings = Settings { commit_interval_ms: 0, ..Settings::default() };
    let log = Log::<Search>::open(&LogUrl::File(folder.join("searches")), &settings, clock.clone())?;
    let mut some = Vec::new();
    for n in 0..demand.searches {
        let (_, customer, town) = france.taxi(&mut rng)?;
        let found = rng.random_range(0..20);
        let closest_m = (found > 0).then(|| rng.random_range(0.0..1_000.0));
        let seen = found.min(rng.random_range(0..20));
        some.push(Search { at: at(n, demand.searches), caller: APP, customer, town, found, seen, closest_m });
        if (n + 1) % TOGETHER == 0 || n + 1 == demand.searches {
            clock.advance(at(n, demand.searches).since(clock.now()).max(0));
            let (done, synced) = mpsc::channel();
            log.append_acknowledged(
                std::mem::take(&mut some),
                Box::new(move |outcome| drop(done.send(outcome))),
            )?;
            synced.recv().context("the log has ended")??;
        }
    }
    let (registry, meters) = (france.registry(), Meters::default());
    runtime.block_on(async {
        let mut filing = Filing::<Searches>::begin(&log, root, &registry, &clock, &meters).await?;
        while filing.take(Duration::ZERO).await? {}
        filing.file_since(Millis(i64::MAX)).await
    })?;
    log.close();
    let day = Day::of(BEGIN);
    let aside = folder.join("sorting");
    let Outcome::Written(_) = runtime.block_on(compact::<Searches>(root, day, &aside, &|_, _| ()))? else {
        bail!("the day of searches was not written");
    };
    let mut writing = runtime.block_on(HailsOfDay::begin(root, day))?;
    for first in (0..demand.hails).step_by(TOGETHER as usize) {
        let some = first..demand.hails.min(first + TOGETHER);
        let hails: anyhow::Result<Vec<_>> =
            some.map(|n| hail(n, at(n, demand.hails), france, &mut rng)).collect();
        runtime.block_on(writing.add(&hails?))?;
    }
    runtime.block_on(writing.finish())?;
    Ok(())
}

fn hail(n: u32, added_at: Millis, france: &France, rng: &mut StdRng) -> anyhow::Result<Hail> {
    let (source, _, town) = france.taxi(rng)?;
    let mut steps = [None; STEPS.len()];
    let mut at = added_at;
    let mut enter = |status: &str, within_ms: i64, rng: &mut StdRng| {
        at = at.plus(rng.random_range(100..within_ms));
        if let Some(step) = STEPS.iter().position(|known| *known == status) {
            steps[step] = Some(at);
        }
    };
    for status in ["received", "sent_to_operator", "received_by_operator", "received_by_taxi"] {
        enter(status, 3_000, rng);
    }
    let status = match rng.random_range(0..10) {
        0 => "declined_by_taxi",
        1 => "timeout_taxi",
        _ => {
            for status in ["accepted_by_taxi", "accepted_by_customer"] {
                enter(status, 20_000, rng);
            }
            enter("customer_on_board", 600_000, rng);
            "finished"
        }
    };
    enter(status, 30_000, rng);
    Ok(Hail {
        id: format!("H{n:07}"),
        added_at,
        status: status.to_owned(),
        operator: i32::try_from(source.operator.0)?,
        app: APP,
        taxi: Some(source.taxi.0),
        town: Some(town),
        distance_m: Some(rng.random_range(0.0..1_000.0)),
        steps,
    })
}
