//! `GET /stats/taxis`: how many taxis are registered and connected, and what they do.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use ingest::clock::Millis;
use ingest::position::TaxiKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Milestones, narrowed};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::envelope::{self, Elements};
use crate::form::query::Query;
use crate::openapi::{Chapter, Operation};
use crate::registry::connected::{CONNECTED_MS, heard_since};
use crate::role::ADMINISTRATORS;
use crate::statistics::calendar::{THRESHOLD, last_months, milestones};
use crate::statistics::filter::Filter;
use crate::statistics::ratio;
use crate::store::statistics::registered::RegisteredRow;

/// What the map knows and the rows may not yet: positions are saved once a minute.
const UNSAVED_MS: i64 = 5 * 60_000;

/// Months over which hails are counted.
const MONTHS: u32 = 3;

/// How many taxis there are, and what they do.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TaxiFigures)]
pub struct TaxisAnswer {
    /// How many were registered.
    pub registered_taxis: Milestones,
    /// Of these, how many since 2022.
    pub registered_taxis_since_threshold: Milestones,
    /// How many had been heard at least once.
    pub connected_taxis: Milestones,
    /// How many had been heard since 2022.
    pub connected_taxis_since_threshold: Milestones,
    /// How many were heard within a minute.
    pub connected_taxis_now: i64,
    /// Hails a taxi and month, of the last three months; null without any taxi.
    pub monthly_hails_per_taxi: Option<f64>,
    /// Metres from the customer within which taxis want to be found, in the mean of those that say so; null where
    /// none does.
    pub average_radius: Option<f64>,
    /// How many percent of taxis say so; null without any taxi.
    pub average_radius_change: Option<f64>,
    /// How many taxis were connected, by the hour of the day from `0` to `23`, in the mean of the dates on which any
    /// was.
    pub connected_taxis_per_hour: BTreeMap<String, f64>,
}

/// The figures of now.
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Elements<TaxisAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let (filter, store, now) = (Filter::read(&query)?, app.registry.store(), app.clock.now());
    let engine = app.engine.clone();
    let heard = tokio::task::spawn_blocking(move || heard_since(&engine, now.plus(-UNSAVED_MS)));
    let known = Known {
        heard: heard.await.map_err(|error| Problem::internal().because(&error))?,
        hails: store.copies_by_taxi(&last_months(now, MONTHS)).await?.into_iter().collect(),
        taxis: store.registered(&filter).await?,
        per_hour: store.connected_per_hour(&filter).await?,
        now,
    };
    Ok(envelope::of_one(known.render(|taxi| app.taxi_hashes.hash(taxi))))
}

/// `GET /stats/taxis` in the reference.
pub fn describe_read() -> Operation {
    let figures = TaxisAnswer {
        registered_taxis: Milestones::of(&[6, 4, 3, 2], |taxis| *taxis),
        registered_taxis_since_threshold: Milestones::of(&[4, 2, 1, 0], |taxis| *taxis),
        connected_taxis: Milestones::of(&[6, 4, 2, 2], |taxis| *taxis),
        connected_taxis_since_threshold: Milestones::of(&[6, 4, 2, 2], |taxis| *taxis),
        connected_taxis_now: 5,
        monthly_hails_per_taxi: Some(0.25),
        average_radius: Some(175.0),
        average_radius_change: Some(12.5),
        connected_taxis_per_hour: BTreeMap::new(),
    };
    let about = "Taxis are those registered today. All times are UTC.";
    narrowed(Operation::new(Chapter::Statistics, "How many taxis are registered and connected", about))
        .roles(ADMINISTRATORS)
        .one(200, "The figures.", &figures)
}

/// What the figures are made of.
struct Known {
    taxis: Vec<RegisteredRow>,
    /// When the map heard each taxi last.
    heard: HashMap<TaxiKey, Millis>,
    /// Copies of hails, by the hash of their taxi.
    hails: HashMap<i64, i64>,
    /// Hour of the day, taxis together, dates.
    per_hour: Vec<(i64, i64, i64)>,
    now: Millis,
}

impl Known {
    fn render(&self, hash: impl Fn(TaxiKey) -> i64) -> TaxisAnswer {
        let hails = self.taxis.iter().filter_map(|taxi| self.hails.get(&hash(key(taxi)))).sum();
        let radii: Vec<_> = self.taxis.iter().filter_map(|taxi| taxi.radius).map(i64::from).collect();
        let (taxis, told) = (number_of(&self.taxis), number_of(&radii));
        let described = number_of(self.taxis.iter().filter(|taxi| taxi.is_described));
        let connected_from = self.now.plus(-CONNECTED_MS);
        // One that is heard while the map is asked is connected, too.
        let is_connected =
            |taxi: &&RegisteredRow| self.heard.get(&key(taxi)).is_some_and(|at| *at >= connected_from);
        let per_hour = self
            .per_hour
            .iter()
            .filter_map(|(hour, together, dates)| Some((hour.to_string(), ratio(*together, *dates)?)));
        TaxisAnswer {
            registered_taxis: self.milestones(|taxi| Some(taxi.created_at)),
            registered_taxis_since_threshold: self
                .milestones(|taxi| Some(taxi.created_at).filter(|at| *at >= THRESHOLD.0)),
            connected_taxis: self.milestones(|taxi| self.first(taxi, taxi.ever_at)),
            connected_taxis_since_threshold: self
                .milestones(|taxi| self.first(taxi, taxi.since_threshold_at)),
            connected_taxis_now: number_of(self.taxis.iter().filter(is_connected)),
            monthly_hails_per_taxi: ratio(hails, taxis * i64::from(MONTHS)),
            average_radius: ratio(radii.iter().sum(), told),
            average_radius_change: ratio(100 * told, described),
            connected_taxis_per_hour: per_hour.collect(),
        }
    }

    /// How many taxis have a time before each milestone.
    fn milestones(&self, time: impl Fn(&RegisteredRow) -> Option<i64>) -> Milestones {
        let times: Vec<_> = self.taxis.iter().filter_map(time).collect();
        Milestones::of(&milestones(self.now), |at| number_of(times.iter().filter(|time| **time < at.0)))
    }

    /// When a taxi was heard for the first time, as far as is saved, or as the map knows.
    fn first(&self, taxi: &RegisteredRow, saved_at: Option<i64>) -> Option<i64> {
        saved_at.or_else(|| Some(self.heard.get(&key(taxi))?.0))
    }
}

fn key(taxi: &RegisteredRow) -> TaxiKey {
    TaxiKey(taxi.id.unsigned_abs())
}

fn number_of<T>(things: impl IntoIterator<Item = T>) -> i64 {
    i64::try_from(things.into_iter().count()).unwrap_or(i64::MAX)
}
