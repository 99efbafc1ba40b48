//! `GET /opendata`: what the registry publishes, for everybody: a catalogue and its files. Places are made anew each
//! day, statistics once a month ([`monthly`]).

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
use crate::store::releases::{NewPlaces, PlacesFile, ReleasedRow};
use crate::store::stations::StationRow;

use catalogue::{Again, Dataset, File, Form, STATIONS, STATIONS_VERSION, catalogue, table_schema};
use download::Download;

mod catalogue;
mod download;
pub mod monthly;

const CATALOGUE: &str = "application/ld+json";
const SCHEMA: &str = "application/json";

/// What is published of places.
const STATIONS_NAME: &str = "stations";
const ZUPC_NAME: &str = "zupc";

/// Where the files are.
const STATIONS_CSV: &str = "/opendata/stations.csv";
const STATIONS_GEOJSON: &str = "/opendata/stations.geojson";
const STATIONS_SCHEMA: &str = "/opendata/stations.schema.json";
const ZUPC_GEOJSON: &str = "/opendata/zupc.geojson";

/// What was published last.
#[derive(Debug, Default)]
pub struct OpenData {
    release: Mutex<Option<Arc<Release>>>,
    catalogue: Mutex<Option<Catalogue>>,
}

/// The catalogue of a day's datasets and of the ledger as it was then.
#[derive(Debug)]
struct Catalogue {
    day: String,
    ledger: Vec<ReleasedRow>,
    download: Download,
}

/// Everything that is made anew on a day.
#[derive(Debug)]
struct Release {
    day: String,
    datasets: Vec<Dataset>,
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
            let mut last = app.open_data.release.lock().await;
            let day = day(app.clock.now()).format("%Y-%m-%d").to_string();
            if let Some(release) = last.as_ref().filter(|release| release.day == day) {
                return Ok(release.clone());
            }
            match (released(&app.registry, day).await, &*last) {
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

    /// The catalogue: of today, and of every month that was released until now. Where the ledger cannot be read, as it
    /// was.
    async fn catalogue(app: &App) -> Answer<Download> {
        let release = Self::today(app).await?;
        let ledger = app.registry.store().ledger().await;
        let mut last = app.open_data.catalogue.lock().await;
        let ledger = match (ledger, &*last) {
            (Ok(ledger), _) => ledger,
            (Err(_), Some(last)) => last.ledger.clone(),
            (Err(error), None) => return Err(error.into()),
        };
        if let Some(same) = last.as_ref().filter(|last| last.day == release.day && last.ledger == ledger) {
            return Ok(same.download.clone());
        }
        let made = tokio::task::spawn_blocking(move || {
            let datasets = [release.datasets.clone(), monthly::datasets(&ledger)].concat();
            let download = Download::new(CATALOGUE, catalogue(&datasets, &release.day).to_string().into())?;
            Ok(Catalogue { day: release.day.clone(), ledger, download })
        });
        let made = made.await.map_err(std::io::Error::other).flatten();
        let made = made.map_err(|error| Problem::internal().because(&error))?;
        Ok(last.insert(made).download.clone())
    }
}

/// Makes what is published on a day, and notes in the ledger what of it is new: nothing else is published.
async fn released(registry: &Registry, day: String) -> Answer<Release> {
    let (stations, gazetteer) = (registry.store().stations().await?, registry.gazetteer());
    let rows = [(STATIONS_NAME, stations.len()), (ZUPC_NAME, gazetteer.zupcs().count())];
    let made = tokio::task::spawn_blocking(move || Release::new(day, &stations, &gazetteer)).await;
    let made = made.map_err(std::io::Error::other).flatten();
    let made = made.map_err(|error| Problem::internal().because(&error))?;
    for (dataset, rows) in rows {
        let files = made.datasets.iter().filter(|described| described.name == dataset);
        let files = files.flat_map(|described| &described.files).map(|file| PlacesFile {
            form: file.form.extension(),
            sha256: file.sha256.clone(),
            bytes: usize::try_from(file.bytes).unwrap_or(usize::MAX),
        });
        let places = NewPlaces { dataset, period: made.day.clone(), rows, files: files.collect() };
        registry.store().note_places(&places).await?;
    }
    Ok(made)
}

impl Release {
    fn new(day: String, stations: &[StationRow], gazetteer: &Gazetteer) -> std::io::Result<Self> {
        let csv = |text: String| Download::new(Form::Csv.content_type(), text.into());
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
        let file = |address: &str, form, download: &Download, schema: Option<&str>| File {
            address: address.to_owned(),
            form,
            bytes: download.bytes() as u64,
            sha256: download.sha256().to_owned(),
            schema: schema.map(str::to_owned),
        };
        let datasets = vec![
            Dataset {
                name: STATIONS_NAME.to_owned(),
                title: "Stations de taxis".to_owned(),
                description: "Où les taxis attendent, au schéma national « stationstaxi » 0.1.2.".to_owned(),
                keywords: &["taxi", "station", "mobilité"],
                period: [day.clone(), day.clone()],
                made_on: day.clone(),
                again: Again::Daily,
                files: vec![
                    file(STATIONS_CSV, Form::Csv, &stations_csv, Some(STATIONS_SCHEMA)),
                    file(STATIONS_GEOJSON, Form::GeoJson, &stations_geojson, None),
                ],
            },
            Dataset {
                name: ZUPC_NAME.to_owned(),
                title: "Zones uniques de prise en charge".to_owned(),
                description:
                    "Le territoire de chaque ZUPC et les communes dont les taxis peuvent y prendre en charge."
                        .to_owned(),
                keywords: &["taxi", "ZUPC", "réglementation"],
                period: [day.clone(), day.clone()],
                made_on: day.clone(),
                again: Again::Daily,
                files: vec![file(ZUPC_GEOJSON, Form::GeoJson, &zupc_geojson, None)],
            },
        ];
        let stations_schema = Download::new(SCHEMA, schema.to_string().into())?;
        Ok(Self { day, datasets, stations_csv, stations_geojson, stations_schema, zupc_geojson })
    }
}

/// The catalogue.
pub async fn read(State(app): State<App>, asked: HeaderMap) -> Answer<Response> {
    Ok(OpenData::catalogue(&app).await?.answer(&asked))
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
                 Places are made anew each day (UTC), statistics once a month. The files have ETags and ranges.";
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
