//! Taxis on their way from rows to memory: some that changed, or all.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::engine::Engine;
use engine::profile::{Description, Profile, Status};
use engine::territory::Insee;
use ingest::directory::{Directory, Taxi};
use ingest::position::{OperatorKey, TaxiKey};
use ingest::projection::{Projection, Reading};

use super::card::Card;
use crate::store::Result;
use crate::store::bulk::Text;
use crate::store::projected::ProjectedRow;

/// Every projection of taxis. Clones share them.
#[derive(Clone)]
pub(super) struct Taxis {
    pub(super) directory: Arc<Directory>,
    pub(super) cards: Arc<Projection<TaxiKey, Arc<Card>>>,
    /// Its profiles are a projection like the others.
    pub(super) engine: Engine,
}

/// A full reading; the default is none.
#[derive(Default)]
pub(super) struct Readings {
    directory: Reading,
    profiles: Reading,
    cards: Reading,
}

impl Taxis {
    /// Begins a full reading. Call it before the database is asked.
    pub(super) fn begin_reading(&self) -> Readings {
        Readings {
            directory: self.directory.taxis().begin_reading(),
            profiles: self.engine.profiles().begin_reading(),
            cards: self.cards.begin_reading(),
        }
    }

    /// Makes room for so many.
    pub(super) fn reserve(&self, taxis: usize) {
        self.directory.taxis().reserve(taxis);
        self.engine.profiles().reserve(taxis);
        self.cards.reserve(taxis);
    }

    /// Projects taxis, all rows of each, that `reading` found. Takes microseconds a taxi: not for an asynchronous
    /// thread where there are many.
    pub(super) fn put(&self, text: &Text, reading: &Readings) -> Result<()> {
        let mut rows = text.rows::<ProjectedRow<'_>>()?;
        rows.sort_unstable_by_key(|row| (row.taxi_id, row.operator_id));
        let each_taxi = rows.chunk_by(|a, b| a.taxi_id == b.taxi_id);
        for ProjectedTaxi { key, version, profile, card } in each_taxi.filter_map(ProjectedTaxi::new) {
            let operators = profile.descriptions.iter().map(|description| description.operator).collect();
            let (public_id, taxi) = (card.public_id.as_str().into(), Taxi { key, operators });
            self.directory.taxis().put_read(&reading.directory, public_id, version, taxi);
            self.engine.profiles().put_read(&reading.profiles, key, version, profile);
            self.cards.put_read(&reading.cards, key, version, Arc::new(card));
        }
        Ok(())
    }

    /// Ends a full reading, all of whose taxis were put.
    pub(super) fn finish_reading(&self, reading: &Readings) {
        self.directory.taxis().finish_reading(&reading.directory);
        self.engine.profiles().finish_reading(&reading.profiles);
        self.cards.finish_reading(&reading.cards);
    }
}

/// One taxi as memory holds it, from one snapshot of its rows.
struct ProjectedTaxi {
    key: TaxiKey,
    version: u64,
    profile: Profile,
    card: Card,
}

impl ProjectedTaxi {
    /// None for rows that no version of the program writes; they are left out rather than shown wrong.
    fn new(rows: &[ProjectedRow<'_>]) -> Option<Self> {
        let first = rows.first()?;
        let version: i64 = first.taxi_version + rows.iter().map(|row| row.description_version).sum::<i64>();
        let mut descriptions = BTreeMap::new();
        for row in rows {
            let operator = OperatorKey(u32::try_from(row.operator_id).ok()?);
            let status: Status = row.status.parse().ok()?;
            let radius_m = row.radius.and_then(|radius| u16::try_from(radius).ok());
            descriptions.insert(operator, Description { operator, status, radius_m });
        }
        Some(Self {
            key: TaxiKey(u32::try_from(first.taxi_id).ok()?),
            version: u64::try_from(version).ok()?,
            profile: Profile {
                ads_town: first.insee.parse::<Insee>().ok()?,
                descriptions: descriptions.into_values().collect(),
                trial_for: first.trial_for,
            },
            card: Card::new(rows)?,
        })
    }
}
