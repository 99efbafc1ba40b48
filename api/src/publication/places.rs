//! Stations and ZUPC as they are published: made anew by the nightly run, and kept as rows.
//!
//! Whatever becomes of them on a day, until the next night every process gives the same files. A registry that is new
//! need not wait for its first: what was never published, or was when there was none of it, is when somebody asks.

use std::future::ready;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{CSV, Failed, GEOJSON, made, new_file};
use crate::app::App;
use crate::registry::gazetteer::Gazetteer;
use crate::routes::stations::{features, national_csv};
use crate::statistics::calendar::date;
use crate::store::Result;
use crate::store::daily::Run;
use crate::store::releases::NewFile;
use crate::store::releases::places::{NewPlaces, PlacesRow, Turn};
use crate::store::stations::StationRow;

/// What is published of places, by name: stations.
pub const STATIONS: &str = "stations";
/// And the land of each ZUPC.
pub const ZUPC: &str = "zupc";

/// What one of these is made of.
enum Source {
    Stations(Vec<StationRow>),
    Zupc(Arc<Gazetteer>),
}

/// Makes everything anew.
pub(super) async fn publish(app: &App, run: &Run, stop: &CancellationToken) -> Result<()> {
    let store = app.registry.upkeep();
    let stations = Source::Stations(store.stations().await?);
    let sources = vec![stations, Source::Zupc(app.registry.gazetteer())];
    let made_on = date(app.clock.now()).to_string();
    let made = made(|| store.keep_run(run), stop, move || all(&sources, &made_on)).await?;
    let Some(places) = made else { return Ok(()) };
    if let Some(others) = store.publish_places(Turn::Nightly(run), &places).await? {
        tracing::info!(?others, "places were published; these are others than before");
    }
    Ok(())
}

/// Publishes at once what of `current` is missing or empty. Whether anything was.
pub(crate) async fn publish_first(app: &App, current: &[PlacesRow]) -> Result<bool> {
    let store = app.registry.store();
    let is_told = |dataset: &str| current.iter().any(|file| file.dataset == dataset && file.row_count > 0);
    let mut sources = Vec::new();
    if !is_told(STATIONS) {
        sources.push(Source::Stations(store.stations().await?));
    }
    if !is_told(ZUPC) {
        sources.push(Source::Zupc(app.registry.gazetteer()));
    }
    if sources.is_empty() {
        return Ok(false);
    }
    let made_on = date(app.clock.now()).to_string();
    let never = CancellationToken::new();
    let mut places =
        made(|| ready(Ok(true)), &never, move || all(&sources, &made_on)).await?.unwrap_or_default();
    let is_there = |dataset: &str| current.iter().any(|file| file.dataset == dataset);
    places.retain(|places| places.rows > 0 || !is_there(places.dataset));
    if places.is_empty() {
        return Ok(false);
    }
    store.publish_places(Turn::First, &places).await?;
    Ok(true)
}

fn all(sources: &[Source], made_on: &str) -> std::result::Result<Vec<NewPlaces>, Failed> {
    sources.iter().map(|source| source.places(made_on)).collect()
}

impl Source {
    fn places(&self, made_on: &str) -> std::result::Result<NewPlaces, Failed> {
        let (dataset, rows, files) =
            match self {
                Self::Stations(stations) => {
                    let csv = new_file(CSV, national_csv(stations)?.into())?;
                    (STATIONS, stations.len(), vec![csv, geojson(&features(stations).collect::<Vec<_>>())?])
                }
                Self::Zupc(gazetteer) => {
                    let zones: Vec<_> = gazetteer.zupcs().map(|(zupc, land)| {
                    let towns: Vec<_> = zupc.allowed.iter().map(ToString::to_string).collect();
                    let properties = json!({"id": zupc.id, "nom": zupc.name, "communes": towns});
                    json!({"type": "Feature", "id": zupc.id, "properties": properties, "geometry": land})
                }).collect();
                    (ZUPC, zones.len(), vec![geojson(&zones)?])
                }
            };
        Ok(NewPlaces { dataset, made_on: made_on.to_owned(), rows, files })
    }
}

fn geojson(features: &[Value]) -> std::io::Result<NewFile> {
    let text = json!({"type": "FeatureCollection", "features": features}).to_string();
    new_file(GEOJSON, text.into())
}
