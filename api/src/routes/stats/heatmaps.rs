//! `GET /stats/heatmap_*`: where hails and free taxis are, point by point, and beside it in H3 cells.

use std::collections::HashMap;

use analytics::cells;
use axum::Json;
use axum::extract::State;
use engine::engine::{Engine, FRESH_MS, Fix};
use engine::profile::Status;
use ingest::clock::Millis;
use ingest::position::{LatLon, TaxiKey};
use serde::Serialize;
use utoipa::ToSchema;

use super::aside;
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::{self, Elements};
use crate::openapi::{Chapter, Operation};
use crate::role::ADMINISTRATORS;

/// Points of a map.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Heatmap)]
pub struct HeatmapAnswer {
    /// Latitude and longitude of each, in degrees.
    pub points: Vec<[f64; 2]>,
}

/// A map in cells.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = HeatmapCells)]
pub struct CellsAnswer {
    /// Those that enough points lie in, by their names.
    pub cells: Vec<CellAnswer>,
}

/// A cell of a map.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = HeatmapCell)]
pub struct CellAnswer {
    /// The H3 cell, of resolution 8.
    pub cell: String,
    /// How many points lie in it.
    pub count: u64,
}

impl CellsAnswer {
    pub(super) fn of(points: impl IntoIterator<Item = LatLon>) -> Self {
        let counted = cells::counted(points).into_iter();
        Self { cells: counted.map(|(cell, count)| CellAnswer { cell, count }).collect() }
    }
}

/// Where the customer of each hail that is kept was.
pub async fn hails(State(app): State<App>, caller: Caller) -> Answer<Json<Elements<HeatmapAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let customers = app.registry.store().customers_at().await?;
    let points = move || {
        let degrees = |e7: i32| f64::from(e7) / 1e7;
        customers.into_iter().map(|(lat, lon)| [degrees(lat), degrees(lon)]).collect()
    };
    Ok(envelope::of_one(HeatmapAnswer { points: aside(points).await? }))
}

/// Where each free taxi is.
pub async fn taxis(State(app): State<App>, caller: Caller) -> Answer<Json<Elements<HeatmapAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let (engine, now) = (app.engine.clone(), app.clock.now());
    let found = aside(move || free(&engine, now)).await?;
    let points = found.into_values().map(|fix| [fix.at.lat(), fix.at.lon()]).collect();
    Ok(envelope::of_one(HeatmapAnswer { points }))
}

/// In which cells the customers of hails were, of hails that are exact.
pub async fn hails_in_cells(State(app): State<App>, caller: Caller) -> Answer<Json<Elements<CellsAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let customers = app.registry.store().customers_exactly_at().await?;
    let points = customers.into_iter().filter_map(|(lat, lon)| LatLon::from_e7(lat, lon).ok());
    Ok(envelope::of_one(aside(move || CellsAnswer::of(points)).await?))
}

/// In which cells free taxis are.
pub async fn taxis_in_cells(State(app): State<App>, caller: Caller) -> Answer<Json<Elements<CellsAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let (engine, now) = (app.engine.clone(), app.clock.now());
    let count = move || CellsAnswer::of(free(&engine, now).into_values().map(|fix| fix.at));
    Ok(envelope::of_one(aside(count).await?))
}

/// `GET /stats/heatmap_hails/cells` in the reference.
pub fn describe_hails_in_cells() -> Operation {
    describe_cells(
        "In which H3 cells customers hailed",
        "Of hails that are not blurred yet, 60 days long. A cell with fewer than five is left out.",
    )
}

/// `GET /stats/heatmap_taxis/cells` in the reference.
pub fn describe_taxis_in_cells() -> Operation {
    describe_cells(
        "In which H3 cells free taxis are",
        "Each once, at its newest position of less than two minutes. A cell with fewer than five is left out.",
    )
}

/// A map in cells in the reference.
pub(super) fn describe_cells(summary: &'static str, about: &'static str) -> Operation {
    let cell = CellAnswer { cell: "881f90ba57fffff".to_owned(), count: 12 };
    Operation::new(Chapter::Statistics, summary, about).roles(ADMINISTRATORS).one(
        200,
        "The cells, of resolution 8.",
        &CellsAnswer { cells: vec![cell] },
    )
}

/// `GET /stats/heatmap_hails` in the reference.
pub fn describe_hails() -> Operation {
    describe("Where customers hailed", "Of every hail that is kept; of older ones the town's middle.")
}

/// `GET /stats/heatmap_taxis` in the reference.
pub fn describe_taxis() -> Operation {
    describe("Where free taxis are", "Each once, at its newest position of less than two minutes.")
}

fn describe(summary: &'static str, about: &'static str) -> Operation {
    Operation::new(Chapter::Statistics, summary, about).roles(ADMINISTRATORS).one(
        200,
        "The points, in no order.",
        &HeatmapAnswer { points: vec![[45.75, 4.85]] },
    )
}

/// The newest position of each taxi that everybody may find, through an operator that calls it free. O(sources), in the
/// map's writers.
fn free(engine: &Engine, now: Millis) -> HashMap<TaxiKey, Fix> {
    let mut newest: HashMap<TaxiKey, Fix> = HashMap::new();
    for fix in engine.dump(now.plus(-FRESH_MS)) {
        let is_free = engine.profiles().with(&fix.source.taxi, |profile| {
            let described = profile.descriptions.iter().find(|one| one.operator == fix.source.operator);
            profile.trial_for.is_none() && described.is_some_and(|one| one.status == Status::Free)
        });
        if is_free == Some(true) {
            let shown = newest.entry(fix.source.taxi).or_insert(fix);
            if fix.order.received_at > shown.order.received_at {
                *shown = fix;
            }
        }
    }
    newest
}
