//! `GET /opendata`: what the registry publishes, for everybody: a catalogue and its files, made anew each day.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::app::App;
use crate::error::{Answer, Problem};
use crate::openapi::{Chapter, Operation};
use crate::registry::Registry;
use crate::registry::gazetteer::Gazetteer;
use crate::routes::stations::{day, features, national_csv};
use crate::store::stations::StationRow;

use catalogue::{Dataset, File, Form, STATIONS, STATIONS_VERSION, catalogue, table_schema};
use download::Download;

mod catalogue;
mod download;

const CATALOGUE: &str = "application/ld+json";
const SCHEMA: &str = "application/json";

/// Where the files are.
const STATIONS_CSV: &str = "/opendata/stations.csv";
const STATIONS_GEOJSON: &str = "/opendata/stations.geojson";
const STATIONS_SCHEMA: &str = "/opendata/stations.schema.json";
const ZUPC_GEOJSON: &str = "/opendata/zupc.geojson";

/// What was published last.
#[derive(Debug, Default)]
pub struct OpenData(Mutex<Option<Arc<Release>>>);

/// Everything that is published on a day.
#[derive(Debug)]
struct Release {
    day: String,
    catalogue: Download,
    stations_csv: Download,
    stations_geojson: Download,
    stations_schema: Download,
    zupc_geojson: Download,
}

impl OpenData {
    /// What is published today. The first to ask on a day waits until it is made of the rows; where these cannot be
    /// read, what was published before stands.
    async fn today(app: &App) -> Answer<Arc<Release>> {
        let app = app.clone();
        // Who hangs up meanwhile leaves it to the next.
        let made = tokio::spawn(async move {
            let mut last = app.open_data.0.lock().await;
            let day = day(app.clock.now()).format("%Y-%m-%d").to_string();
            if let Some(release) = last.as_ref().filter(|release| release.day == day) {
                return Ok(release.clone());
            }
            match (release(&app.registry, day).await, &*last) {
                (Ok(release), _) => Ok(last.insert(Arc::new(release)).clone()),
                (Err(problem), None) => Err(problem),
                (Err(problem), Some(before)) => {
                    tracing::warn!(errors = %problem.errors(), "open data of a day before is published");
                    Ok(before.clone())
                }
            }
        });
        made.await.unwrap_or_else(|error| Err(Problem::internal().because(&error)))
    }
}

async fn release(registry: &Registry, day: String) -> Answer<Release> {
    let (stations, gazetteer) = (registry.store().stations().await?, registry.gazetteer());
    let made = tokio::task::spawn_blocking(move || Release::new(day, &stations, &gazetteer)).await;
    made.map_err(std::io::Error::other).flatten().map_err(|error| Problem::internal().because(&error))
}

impl Release {
    fn new(day: String, stations: &[StationRow], gazetteer: &Gazetteer) -> std::io::Result<Self> {
        let csv = |text: String| Download::new("text/csv; charset=utf-8; header=present", text.into());
        let geojson = |features: Vec<Value>| {
            let text = json!({"type": "FeatureCollection", "features": features}).to_string();
            Download::new(Form::GeoJson.media_type(), text.into())
        };
        let zupc = gazetteer.zupcs().map(|(zupc, land)| {
            let towns: Vec<_> = zupc.allowed.iter().map(ToString::to_string).collect();
            let properties = json!({"id": zupc.id, "nom": zupc.name, "communes": towns});
            json!({"type": "Feature", "id": zupc.id, "properties": properties, "geometry": land})
        });
        let schema = table_schema("stationstaxi", STATIONS_VERSION, "id", &STATIONS);
        let stations_csv = csv(national_csv(stations)?)?;
        let stations_geojson = geojson(features(stations).collect())?;
        let zupc_geojson = geojson(zupc.collect())?;
        let file = |address, form, download: &Download, schema| File {
            address,
            form,
            bytes: download.bytes(),
            sha256: download.sha256().to_owned(),
            schema,
        };
        let datasets = [
            Dataset {
                name: "stations",
                title: "Stations de taxis",
                description: "Où les taxis attendent, au schéma national « stationstaxi » 0.1.2.",
                keywords: &["taxi", "station", "mobilité"],
                period: [day.clone(), day.clone()],
                files: vec![
                    file(STATIONS_CSV, Form::Csv, &stations_csv, Some(STATIONS_SCHEMA)),
                    file(STATIONS_GEOJSON, Form::GeoJson, &stations_geojson, None),
                ],
            },
            Dataset {
                name: "zupc",
                title: "Zones uniques de prise en charge",
                description: "Le territoire de chaque ZUPC et les communes dont les taxis peuvent y prendre en charge.",
                keywords: &["taxi", "ZUPC", "réglementation"],
                period: [day.clone(), day.clone()],
                files: vec![file(ZUPC_GEOJSON, Form::GeoJson, &zupc_geojson, None)],
            },
        ];
        let catalogue = Download::new(CATALOGUE, catalogue(&datasets, &day).to_string().into())?;
        let stations_schema = Download::new(SCHEMA, schema.to_string().into())?;
        Ok(Self { day, catalogue, stations_csv, stations_geojson, stations_schema, zupc_geojson })
    }
}

/// The catalogue.
pub async fn read(State(app): State<App>, asked: HeaderMap) -> Answer<Response> {
    Ok(OpenData::today(&app).await?.catalogue.answer(&asked))
}

/// Stations as a table.
pub async fn stations_csv(State(app): State<App>, asked: HeaderMap) -> Answer<Response> {
    Ok(OpenData::today(&app).await?.stations_csv.answer(&asked))
}

/// Stations as places.
pub async fn stations_geojson(State(app): State<App>, asked: HeaderMap) -> Answer<Response> {
    Ok(OpenData::today(&app).await?.stations_geojson.answer(&asked))
}

/// What the columns of stations are.
pub async fn stations_schema(State(app): State<App>, asked: HeaderMap) -> Answer<Response> {
    Ok(OpenData::today(&app).await?.stations_schema.answer(&asked))
}

/// ZUPC as places.
pub async fn zupc_geojson(State(app): State<App>, asked: HeaderMap) -> Answer<Response> {
    Ok(OpenData::today(&app).await?.zupc_geojson.answer(&asked))
}

/// `GET /opendata` in the reference.
pub fn describe() -> Operation {
    let about = "DCAT-AP as JSON-LD: each dataset with its licence, its period, its files and their Table Schema. \
                 Made anew each day (UTC). The files have ETags and ranges.";
    file("What the registry publishes", about, CATALOGUE)
}

/// `GET /opendata/stations.csv` in the reference.
pub fn describe_stations_csv() -> Operation {
    let about = "By the national schema « stationstaxi » 0.1.2.";
    file("Open data: taxi stations as CSV", about, Form::Csv.media_type())
}

/// `GET /opendata/stations.geojson` in the reference.
pub fn describe_stations_geojson() -> Operation {
    let about = "The fields of the national schema as properties, where there is something to say.";
    file("Open data: taxi stations as GeoJSON", about, Form::GeoJson.media_type())
}

/// `GET /opendata/stations.schema.json` in the reference.
pub fn describe_stations_schema() -> Operation {
    file("Open data: the Table Schema of taxi stations", "What the columns of the CSV are.", SCHEMA)
}

/// `GET /opendata/zupc.geojson` in the reference.
pub fn describe_zupc_geojson() -> Operation {
    let about = "A feature a ZUPC: its land, and the towns whose taxis may pick up there.";
    file("Open data: ZUPC as GeoJSON", about, Form::GeoJson.media_type())
}

fn file(summary: &'static str, about: &'static str, media_type: &str) -> Operation {
    let words = "Copies may be kept: asked again with its ETag it is 304 while it is the same.";
    Operation::new(Chapter::Places, summary, about)
        .header("If-None-Match", words)
        .content(200, "The file.", media_type, json!({"schema": {}}))
        .content(206, "The bytes that `Range` asked for.", media_type, json!({"schema": {}}))
        .empty(304, "It is still the one with this ETag.")
        .empty(416, "`Range` begins beyond its end.")
}
