//! `GET /stats/taxis`: how many taxis are registered and connected, and what they do.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use ingest::clock::Millis;
use ingest::position::TaxiKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Milestones, aside, narrowed};
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::{self, Elements};
use crate::form::query::Query;
use crate::openapi::{Chapter, Operation};
use crate::registry::connected::{CONNECTED_MS, heard_since};
use crate::role::ADMINISTRATORS;
use crate::statistics::calendar::{last_months, milestones};
use crate::statistics::filter::Filter;
use crate::statistics::ratio;
use crate::store::statistics::registered::{Before, Radii};

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
    let heard = aside(move || heard_since(&engine, now.plus(-UNSAVED_MS))).await?;
    let (before, months) = (milestones(now), last_months(now, MONTHS));
    let unheard = async { if heard.is_empty() { Ok(Vec::new()) } else { store.unheard(&filter).await } };
    // Side by side: each reads all taxis, or all hails of months.
    let (taxis, registered, saved, unheard, radii, hailed, per_hour) = tokio::try_join!(
        store.taxi_ids(&filter),
        store.registered(&filter, &before),
        store.heard_first(&filter, &before),
        unheard,
        store.radii(&filter),
        store.taxis_of_copies(&months),
        store.connected_per_hour(&filter),
    )?;
    let hashes = app.taxi_hashes.clone();
    let render = move || {
        Known { taxis, registered, saved, unheard, radii, hailed, per_hour, heard, now }
            .render(|taxi| hashes.hash(taxi))
    };
    Ok(envelope::of_one(aside(render).await?))
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
    /// The numbers of the taxis.
    taxis: Vec<i64>,
    registered: Before,
    /// When they were heard for the first time, where that is saved.
    saved: Before,
    /// Where it is not: since the decree, and ever.
    unheard: Vec<(i64, bool)>,
    radii: Radii,
    /// The hash of the taxi of each hail.
    hailed: Vec<i64>,
    /// Hour of the day, taxis together, dates.
    per_hour: Vec<(i64, i64, i64)>,
    /// When the map heard each taxi last.
    heard: HashMap<TaxiKey, Millis>,
    now: Millis,
}

impl Known {
    fn render(&self, hash: impl Fn(TaxiKey) -> i64) -> TaxisAnswer {
        let taxis = number_of(&self.taxis);
        let mut hails: HashMap<i64, i64> = HashMap::new();
        for taxi in &self.hailed {
            *hails.entry(*taxi).or_default() += 1;
        }
        let of_taxis = if hails.is_empty() { &[][..] } else { &self.taxis };
        let hails = of_taxis.iter().filter_map(|taxi| hails.get(&hash(key(*taxi)?))).sum();
        let connected_from = self.now.plus(-CONNECTED_MS);
        // One that is heard while the map is asked is connected, too.
        let is_connected = |taxi: &&i64| self.heard_at(**taxi).is_some_and(|at| at >= connected_from);
        let first_now =
            self.unheard.iter().filter(|(taxi, _)| self.heard_at(*taxi).is_some_and(|at| at < self.now));
        let first_ever_now = first_now.clone().filter(|(_, is_new)| *is_new);
        let per_hour = self
            .per_hour
            .iter()
            .filter_map(|(hour, together, dates)| Some((hour.to_string(), ratio(*together, *dates)?)));
        TaxisAnswer {
            registered_taxis: of(self.registered.ever, 0),
            registered_taxis_since_threshold: of(self.registered.since_threshold, 0),
            connected_taxis: of(self.saved.ever, number_of(first_ever_now)),
            connected_taxis_since_threshold: of(self.saved.since_threshold, number_of(first_now)),
            connected_taxis_now: number_of(self.taxis.iter().filter(is_connected)),
            monthly_hails_per_taxi: ratio(hails, taxis * i64::from(MONTHS)),
            average_radius: ratio(self.radii.metres, self.radii.told),
            average_radius_change: ratio(100 * self.radii.told, self.radii.described),
            connected_taxis_per_hour: per_hour.collect(),
        }
    }

    fn heard_at(&self, taxi: i64) -> Option<Millis> {
        self.heard.get(&key(taxi)?).copied()
    }
}

/// What was so before each milestone, and as much more today: what the map heard a moment ago.
fn of(before: [i64; 4], more_today: i64) -> Milestones {
    let figures = Milestones::of(&before, |figure| *figure);
    Milestones { today: figures.today + more_today, ..figures }
}

fn key(taxi: i64) -> Option<TaxiKey> {
    Some(TaxiKey(u32::try_from(taxi).ok()?))
}

fn number_of<T>(things: impl IntoIterator<Item = T>) -> i64 {
    i64::try_from(things.into_iter().count()).unwrap_or(i64::MAX)
}
