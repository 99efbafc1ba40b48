//! A France at work, made up from a seed: taxis of its largest towns, each of which reports every five seconds.
//!
//! Towns and their inhabitants are the open data beside the project, the drivers are the demonstration's
//! ([`api::fleet`]). Two operators of three send compact datagrams with motion and the device's milliseconds, the third
//! the JSON ones in service, which say neither motion nor more than the second.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use analytics::archive::Registry;
use analytics::dimensions::{Account, Ads, Dimensions, Made, Taxi};
use anyhow::Context as _;
use api::fleet::plan::{Operator, Plan, plan};
use api::fleet::taxi::{self, Status};
use api::fleet::town::Town;
use api::import::features::towns;
use api::registry::geometry::territory;
use api::store::places::Places;
use engine::territory::{Insee, Territory};
use flate2::bufread::MultiGzDecoder;
use ingest::clock::Millis;
use ingest::position::{
    LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

/// When it begins: 2026-06-01T04:00:00 UTC.
pub const BEGIN: Millis = Millis(1_780_286_400_000);
/// How often a taxi reports, in milliseconds.
pub const EVERY_MS: i64 = 5_000;
/// Towns with taxis: the largest.
const TOWNS: usize = 40;
/// From the device to the registry, in milliseconds.
const ON_THE_WAY_MS: std::ops::Range<i64> = 40..400;
/// The operators; the last one's devices send JSON.
const OPERATORS: [&str; 3] = ["one", "two", "three"];
/// The numbers of the first of them and the last.
const FIRST_OPERATOR: u32 = 2;
const LAST_OPERATOR: u32 = 4;

/// Everybody.
pub struct France {
    territory: Arc<Territory>,
    populations: HashMap<Insee, u32>,
    plans: Vec<Plan>,
    /// By taxi, from number 1 on.
    ads: Vec<Insee>,
    drivers: Vec<Driver>,
    beats: i64,
}

struct Driver {
    source: SourceKey,
    taxi: taxi::Taxi,
    /// When it reports within each five seconds.
    phase_ms: i64,
    rng: StdRng,
}

impl France {
    /// So many taxis. `data` is the open data.
    pub fn new(seed: u64, taxis: usize, data: &Path) -> anyhow::Result<Self> {
        let mut text = String::new();
        let file =
            File::open(data.join("communes.geojson.gz")).context("the open data lies beside the project")?;
        MultiGzDecoder::new(BufReader::new(file)).read_to_string(&mut text)?;
        let towns = towns(&text)?.rows;
        let territory = territory(Places { towns, zupc: Vec::new(), exclusions: Vec::new() })?;
        let index: Value = serde_json::from_str(&std::fs::read_to_string(data.join("communes_index.json"))?)?;
        let people = index.as_array().into_iter().flatten().filter_map(|town| {
            Some((town["insee"].as_str()?.parse().ok()?, u32::try_from(town["population"].as_u64()?).ok()?))
        });
        let populations: HashMap<Insee, u32> = people.collect();
        let mut largest: Vec<_> = territory.towns().iter().collect();
        largest.sort_by_key(|town| std::cmp::Reverse(populations.get(&town.insee)));
        let largest = largest.into_iter().take(TOWNS).filter_map(|town| {
            Some(Arc::new(Town::new(town.insee.as_str(), town.name.as_str(), town.shape.clone())?))
        });
        let operators = OPERATORS.map(|name| Operator { name: name.to_owned(), key: String::new() });
        let plans = plan(seed, taxis, &operators, &largest.collect::<Vec<_>>());
        let mut drivers = Vec::with_capacity(plans.len());
        for (number, plan) in (1_u32..).zip(&plans) {
            // Of its own, so that threads may share the drivers as they like.
            let mut rng = StdRng::seed_from_u64(seed << 32 | u64::from(number));
            let operator = OperatorKey(FIRST_OPERATOR + u32::try_from(plan.operator)?);
            drivers.push(Driver {
                source: SourceKey { taxi: TaxiKey(number), operator },
                taxi: plan.taxi(&mut rng),
                phase_ms: rng.random_range(0..EVERY_MS),
                rng,
            });
        }
        let ads = plans.iter().map(|plan| Ok(plan.town.insee().parse::<Insee>()?));
        let ads = ads.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { territory: Arc::new(territory), populations, plans, ads, drivers, beats: 0 })
    }

    /// What comes within the next five seconds, in the order in which it comes.
    pub fn beat(&mut self) -> anyhow::Result<Vec<Position>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let begins = BEGIN.plus(self.beats * EVERY_MS);
        self.beats += 1;
        let some = self.drivers.len().div_ceil(threads).max(1);
        let reported: anyhow::Result<Vec<Vec<Position>>> = std::thread::scope(|scope| {
            let shares = self.drivers.chunks_mut(some).map(|drivers| {
                scope.spawn(move || drivers.iter_mut().map(|driver| driver.report(begins)).collect())
            });
            // All of them are begun before one is waited for.
            let shares: Vec<_> = shares.collect();
            let ended = |share: std::thread::ScopedJoinHandle<'_, anyhow::Result<_>>| share.join().ok();
            shares.into_iter().map(|share| ended(share).context("a driver panicked")?).collect()
        });
        let mut positions = reported?.concat();
        positions.sort_by_key(|position| position.received_at);
        Ok(positions)
    }

    /// For how long it was driven, in milliseconds.
    pub fn driven_ms(&self) -> i64 {
        self.beats * EVERY_MS
    }

    /// What the registry knows of it.
    pub fn dimensions(&self) -> anyhow::Result<Dimensions> {
        let first = i32::try_from(FIRST_OPERATOR)?;
        let accounts = (first..).zip(OPERATORS).map(|(id, name)| Account {
            id,
            email: name.to_owned(),
            name: name.to_owned(),
            roles: "operateur".to_owned(),
            manager: None,
        });
        let plans = || (1_u32..).zip(&self.plans);
        let operator = |plan: &Plan| first + i32::try_from(plan.operator).unwrap_or_default();
        let taxis = plans().map(|(taxi, plan)| Taxi {
            taxi,
            public_id: format!("T{taxi}"),
            operator: operator(plan),
            insee: plan.town.insee().to_owned(),
            licence_plate: plan.vehicle.licence_plate.clone(),
            added_at: Millis(0),
        });
        let ads = plans().map(|(_, plan)| Ads {
            insee: plan.town.insee().to_owned(),
            numero: plan.ads_numero.clone(),
            operator: operator(plan),
            added_at: Millis(0),
        });
        Ok(Dimensions {
            accounts: accounts.collect(),
            taxis: taxis.collect(),
            ads: ads.collect(),
            populations: self.populations.clone(),
            territory: Some(self.territory.clone()),
            made: Made::default(),
        })
    }

    /// Some taxi, where it is, and the town of its ADS.
    pub fn taxi(&self, rng: &mut StdRng) -> anyhow::Result<(SourceKey, LatLon, Insee)> {
        let one = rng.random_range(0..self.drivers.len());
        let (lat_e7, lon_e7) = self.drivers[one].taxi.place().as_e7();
        Ok((self.drivers[one].source, LatLon::from_e7(lat_e7, lon_e7)?, self.ads[one]))
    }

    /// What archiving asks of the registry.
    pub fn registry(&self) -> Known {
        Known { territory: self.territory.clone(), ads: self.ads.clone() }
    }
}

impl Driver {
    /// Drives for five seconds, and reports within those that begin now.
    fn report(&mut self, begins: Millis) -> anyhow::Result<Position> {
        self.taxi.step(5.0, &mut self.rng);
        let sent_at = begins.plus(self.phase_ms);
        let (lat_e7, lon_e7) = self.taxi.place().as_e7();
        let is_json = self.source.operator.0 == LAST_OPERATOR;
        Ok(Position {
            source: self.source,
            at: LatLon::from_e7(lat_e7, lon_e7)?,
            received_at: sent_at.plus(self.rng.random_range(ON_THE_WAY_MS)),
            device_at: Some(if is_json { Millis(sent_at.seconds() * 1_000) } else { sent_at }),
            status: match self.taxi.status() {
                Status::Free => ReportedStatus::Free,
                Status::Occupied => ReportedStatus::Occupied,
                Status::Off => ReportedStatus::Off,
            },
            motion: if is_json { Motion::default() } else { self.taxi.motion() },
            transport: Transport::Udp,
        })
    }
}

/// What archiving asks of the registry.
pub struct Known {
    territory: Arc<Territory>,
    ads: Vec<Insee>,
}

impl Registry for Known {
    fn territory(&self) -> Arc<Territory> {
        self.territory.clone()
    }

    fn ads_town(&self, taxi: TaxiKey) -> Option<Insee> {
        self.ads.get(usize::try_from(taxi.0).ok()?.checked_sub(1)?).copied()
    }
}
