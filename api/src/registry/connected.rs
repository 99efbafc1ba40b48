//! Who is connected: which taxis were heard within the last minute, by the town of their ADS.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use engine::engine::Engine;
use engine::profile::Profile;
use engine::territory::Insee;
use ingest::clock::Millis;
use ingest::position::{OperatorKey, SourceKey, TaxiKey};

/// A taxi is connected while its last position was received at most this long ago, in milliseconds.
pub const CONNECTED_MS: i64 = 60_000;

/// How long what was found is told again, in milliseconds: each finding is work for the map's writers.
const TOLD_AGAIN_MS: i64 = 1_000;

/// Who was found connected last. Those who ask meanwhile wait for one finding.
#[derive(Debug, Default)]
pub(super) struct LastFound(Mutex<Option<(Millis, Arc<Connected>)>>);

impl LastFound {
    /// Who is connected now, or was a moment ago. Blocks: not for an asynchronous thread.
    pub(super) fn now(&self, engine: &Engine, now: Millis) -> Arc<Connected> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((found_at, found)) = &*last
            && (0..TOLD_AGAIN_MS).contains(&now.since(*found_at))
        {
            return found.clone();
        }
        let found = Arc::new(Connected::now(engine, now));
        *last = Some((now, found.clone()));
        found
    }
}

/// Taxis that customers may find, heard since then through an operator that describes their vehicle, and when last.
/// O(sources), in the map's writers.
pub fn heard_since(engine: &Engine, since: Millis) -> HashMap<TaxiKey, Millis> {
    let mut heard: HashMap<TaxiKey, Millis> = HashMap::new();
    for fix in engine.dump(since) {
        let source = fix.source;
        if engine.profiles().with(&source.taxi, |profile| counts(profile, source)) == Some(true) {
            let last = heard.entry(source.taxi).or_insert(fix.order.received_at);
            *last = fix.order.received_at.max(*last);
        }
    }
    heard
}

/// Whether the operator describes the taxi, and more than one account may find it.
fn counts(profile: &Profile, source: SourceKey) -> bool {
    profile.trial_for.is_none() && profile.descriptions.iter().any(|one| one.operator == source.operator)
}

/// Connected taxis at an instant.
///
/// Registered taxis heard through an operator that describes their vehicle, whatever their status, wherever they
/// drive, but for those of trials. One heard through two operators counts once for each, and once in all.
#[derive(Debug, Default)]
pub struct Connected {
    all: HashMap<Insee, u64>,
    by_operator: HashMap<(OperatorKey, Insee), u64>,
}

impl Connected {
    /// Asks the map. O(sources), in the writers.
    fn now(engine: &Engine, now: Millis) -> Self {
        let mut connected = Self::default();
        let mut seen: HashSet<TaxiKey> = HashSet::new();
        for fix in engine.dump(now.plus(-CONNECTED_MS)) {
            let source = fix.source;
            let town = engine
                .profiles()
                .with(&source.taxi, |profile| counts(profile, source).then_some(profile.ads_town));
            let Some(town) = town.flatten() else { continue };
            *connected.by_operator.entry((source.operator, town)).or_default() += 1;
            if seen.insert(source.taxi) {
                *connected.all.entry(town).or_default() += 1;
            }
        }
        connected
    }

    /// How many there are.
    pub fn everywhere(&self) -> u64 {
        self.all.values().sum()
    }

    /// How many have an ADS of one of these towns.
    pub fn in_towns(&self, towns: &[Insee]) -> u64 {
        towns.iter().filter_map(|town| self.all.get(town)).sum()
    }

    /// How many of these are heard through an operator.
    pub fn of_operator(&self, operator: OperatorKey, towns: &[Insee]) -> u64 {
        towns.iter().filter_map(|town| self.by_operator.get(&(operator, *town))).sum()
    }
}
