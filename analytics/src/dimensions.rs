//! What the registry knows, as tables beside the archive's: whom and where its numbers stand for.
//!
//! Whoever asks hands these over as plain values, as of now; what was deleted from the registry is in the archive
//! alone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Datelike as _};
use datafusion::arrow::array::{
    ArrayRef, Int32Array, RecordBatch, StringViewArray, TimestampMillisecondArray, UInt32Array,
};
use datafusion::arrow::error::ArrowError;
use engine::territory::{Insee, Territory};
use ingest::clock::Millis;
use tokio::task::yield_now;

use crate::crowd::Crowd;
use crate::layout::Day;
use crate::pseudonym::{Pseudonyms, year};

mod made;

pub use made::Made;

/// What the registry knows.
#[derive(Clone, Default)]
pub struct Dimensions {
    /// Who reports, searches and hails.
    pub accounts: Vec<Account>,
    /// The taxis.
    pub taxis: Vec<Taxi>,
    /// The authorisations to park that towns gave.
    pub ads: Vec<Ads>,
    /// How many inhabitants towns have, by INSEE code, where that is known.
    pub populations: HashMap<Insee, u32>,
    /// Towns and zones.
    pub territory: Option<Arc<Territory>>,
    /// The tables that were made of all this; none yet, for whoever hands it over.
    pub made: Made,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: i32,
    /// Its fixed name.
    pub email: String,
    /// Its commercial name.
    pub name: String,
    /// What it may do, separated by commas.
    pub roles: String,
    /// The number of the account that manages it.
    pub manager: Option<i32>,
}

/// A taxi as an operator registered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taxi {
    /// Its number.
    pub taxi: u32,
    /// Its id, as partners know it.
    pub public_id: String,
    /// Who registered it.
    pub operator: i32,
    /// INSEE code of the town of its ADS.
    pub insee: String,
    /// The plate of its vehicle.
    pub licence_plate: String,
    /// When it was registered.
    pub added_at: Millis,
}

/// An ADS as an operator registered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ads {
    /// INSEE code of the town that gave it.
    pub insee: String,
    /// Its number there.
    pub numero: String,
    /// Who registered it.
    pub operator: i32,
    /// When it was registered.
    pub added_at: Millis,
}

/// A table's name and its one batch.
pub(crate) type Named = (&'static str, RecordBatch);

impl Dimensions {
    /// Everything, for administrators.
    fn make_tables(&self) -> Result<Vec<Named>, ArrowError> {
        let taxis = RecordBatch::try_from_iter([
            ("taxi", numbers(self.taxis.iter().map(|one| one.taxi))),
            ("public_id", texts(self.taxis.iter().map(|one| one.public_id.as_str()))),
            ("operator", accounts(self.taxis.iter().map(|one| one.operator))),
            ("insee", texts(self.taxis.iter().map(|one| one.insee.as_str()))),
            ("licence_plate", texts(self.taxis.iter().map(|one| one.licence_plate.as_str()))),
            ("added_at", moments(self.taxis.iter().map(|one| one.added_at))),
        ])?;
        let ads = RecordBatch::try_from_iter([
            ("insee", texts(self.ads.iter().map(|one| one.insee.as_str()))),
            ("numero", texts(self.ads.iter().map(|one| one.numero.as_str()))),
            ("operator", accounts(self.ads.iter().map(|one| one.operator))),
            ("added_at", moments(self.ads.iter().map(|one| one.added_at))),
        ])?;
        let managers: Int32Array = self.accounts.iter().map(|one| one.manager).collect();
        let accounts = RecordBatch::try_from_iter_with_nullable([
            ("id", accounts(self.accounts.iter().map(|one| one.id)), false),
            ("email", texts(self.accounts.iter().map(|one| one.email.as_str())), false),
            ("name", texts(self.accounts.iter().map(|one| one.name.as_str())), false),
            ("roles", texts(self.accounts.iter().map(|one| one.roles.as_str())), false),
            ("manager", Arc::new(managers) as ArrayRef, true),
        ])?;
        Ok(vec![("accounts", accounts), ("taxis", taxis), ("ads", ads), self.towns()?, self.zupc()?])
    }

    /// What analysts see: no plate, no id, no email, and taxis by their names of each year from when they were
    /// registered until now. Where few are of an operator, it is not told, and where few of these are of a town, that
    /// is not; nor is when in a month an ADS came.
    async fn make_tables_by(
        &self,
        pseudonyms: &Pseudonyms,
        now: Millis,
        crowd: &Crowd,
    ) -> Result<Vec<Named>, ArrowError> {
        let mut named = Vec::with_capacity(self.taxis.len());
        for some in self.taxis.chunks(NAMED_AT_ONCE) {
            yield_now().await;
            named.extend(some.iter().flat_map(|taxi| {
                (year(taxi.added_at.0)..=year(now.0))
                    .map(move |year| (year, pseudonyms.name(taxi.taxi, year), taxi))
            }));
        }
        // In the registry's order a name would tell its number.
        named.sort_unstable_by(|(a_year, a, _), (b_year, b, _)| (a_year, a).cmp(&(b_year, b)));
        let years: Int32Array = named.iter().map(|(year, _, _)| Some(*year)).collect();
        let is_told = |one: &Taxi| crowd.holds(one.operator.into(), &one.insee);
        let towns = named.iter().map(|(_, _, one)| is_told(one).then_some(one.insee.as_str()));
        let taxis = RecordBatch::try_from_iter([
            ("year", Arc::new(years) as ArrayRef),
            ("taxi", texts(named.iter().map(|(_, name, _)| name.as_str()))),
            ("operator", known(named.iter().map(|(_, _, one)| crowd.operator(one.operator)))),
            ("insee", Arc::new(towns.collect::<StringViewArray>())),
        ])?;
        let town = |one: &Ads| crowd.holds(one.operator.into(), &one.insee).then(|| one.insee.clone());
        let told = |one: &Ads| (town(one), crowd.operator(one.operator), month(one.added_at));
        let mut ads: Vec<_> = self.ads.iter().map(told).collect();
        // By what is told of them alone.
        ads.sort_unstable();
        let towns: StringViewArray = ads.iter().map(|(town, _, _)| town.as_deref()).collect();
        let ads = RecordBatch::try_from_iter([
            ("insee", Arc::new(towns) as ArrayRef),
            ("operator", known(ads.iter().map(|(_, operator, _)| *operator))),
            ("added_at", moments(ads.iter().map(|(_, _, month)| *month))),
        ])?;
        let accounts = RecordBatch::try_from_iter([
            ("id", accounts(self.accounts.iter().map(|one| one.id))),
            ("name", texts(self.accounts.iter().map(|one| one.name.as_str()))),
            ("roles", texts(self.accounts.iter().map(|one| one.roles.as_str()))),
        ])?;
        Ok(vec![("accounts", accounts), ("taxis", taxis), ("ads", ads), self.towns()?, self.zupc()?])
    }

    fn towns(&self) -> Result<Named, ArrowError> {
        let towns = self.territory.as_ref().map_or(&[][..], |territory| territory.towns());
        let people: UInt32Array =
            towns.iter().map(|town| self.populations.get(&town.insee).copied()).collect();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("insee", texts(towns.iter().map(|town| town.insee.as_str())), false),
            ("name", texts(towns.iter().map(|town| town.name.as_str())), false),
            ("departement", texts(towns.iter().map(|town| departement(town.insee.as_str()))), false),
            ("population", Arc::new(people) as ArrayRef, true),
        ])?;
        Ok(("towns", batch))
    }

    fn zupc(&self) -> Result<Named, ArrowError> {
        let zones = self.territory.as_ref().map_or(&[][..], |territory| territory.zupcs());
        let rows = || zones.iter().flat_map(|zone| zone.allowed.iter().map(move |town| (zone, town)));
        let batch = RecordBatch::try_from_iter([
            ("zupc", texts(rows().map(|(zone, _)| zone.id.as_str()))),
            ("name", texts(rows().map(|(zone, _)| zone.name.as_str()))),
            ("insee", texts(rows().map(|(_, town)| town.as_str()))),
        ])?;
        Ok(("zupc", batch))
    }

    /// The towns of a territory: of a town by its INSEE code, of a departement by its number, of a ZUPC by its id.
    /// Nothing where there is none of that name.
    pub fn towns_of(&self, name: &str) -> BTreeSet<Insee> {
        let Some(territory) = &self.territory else { return BTreeSet::new() };
        let zone = territory.zupcs().iter().find(|zone| zone.id == name);
        let is_meant = |insee: &Insee| {
            insee.as_str() == name
                || departement(insee.as_str()) == name
                || zone.is_some_and(|zone| zone.allowed.contains(insee))
        };
        territory.towns().iter().map(|town| town.insee).filter(is_meant).collect()
    }

    /// Every town.
    pub(crate) fn every_town(&self) -> BTreeSet<Insee> {
        let towns = self.territory.as_ref().map_or(&[][..], |territory| territory.towns());
        towns.iter().map(|town| town.insee).collect()
    }
}

/// Taxis that are named before it is looked whether anybody still waits: a few milliseconds.
const NAMED_AT_ONCE: usize = 4_096;

/// The first instant of a month in UTC.
fn month(at: Millis) -> Millis {
    let day = DateTime::from_timestamp_millis(at.0).unwrap_or_default().day0();
    Day(Day::of(at).0 - day.cast_signed()).begins()
}

/// The departement of an INSEE code: its first two characters, overseas three.
pub fn departement(insee: &str) -> &str {
    let overseas = insee.starts_with("97") || insee.starts_with("98");
    insee.get(..if overseas { 3 } else { 2 }).unwrap_or(insee)
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values(values))
}

fn numbers(values: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(values))
}

fn accounts(values: impl Iterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn known(accounts: impl Iterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(accounts.collect::<Int32Array>())
}

fn moments(values: impl Iterator<Item = Millis>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(values.map(|at| at.0)).with_timezone("UTC"))
}
