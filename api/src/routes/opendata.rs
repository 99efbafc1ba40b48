//! `GET /opendata`: what the registry publishes, for everybody: a catalogue and its files. Places are made anew each
//! night, statistics once a month ([`monthly`]).

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::app::App;
use crate::error::{Answer, Problem};
use crate::openapi::{Chapter, Operation};
use crate::publication::places::{STATIONS, ZUPC, publish_first};
use crate::store::releases::ReleasedRow;
use crate::store::releases::places::{PlacesContent, PlacesRow};

use catalogue::{Again, Dataset, File, Form, STATIONS_COLUMNS, STATIONS_VERSION, catalogue, table_schema};
use download::Download;

pub(crate) mod catalogue;
mod download;
pub mod monthly;

const CATALOGUE: &str = "application/ld+json";
const SCHEMA: &str = "application/json";

/// Where the Table Schema of stations is.
const STATIONS_SCHEMA: &str = "/opendata/stations.schema.json";

/// What was read last of what is published.
#[derive(Debug, Default)]
pub struct OpenData {
    places: Mutex<Option<Arc<Places>>>,
    catalogue: Mutex<Option<Catalogue>>,
}

/// The files of places, each with what is known of it.
#[derive(Debug)]
struct Places {
    rows: Vec<PlacesRow>,
    downloads: Vec<Download>,
}

/// What is published.
#[derive(Debug)]
pub(crate) struct Published {
    /// The day on which the last of it was made.
    pub(crate) day: String,
    /// Places as they are, and every month that was released until now.
    pub(crate) datasets: Vec<Dataset>,
}

/// The catalogue of places and of the ledger as they were then.
#[derive(Debug)]
struct Catalogue {
    published: Arc<Published>,
    places: Arc<Places>,
    ledger: Vec<ReleasedRow>,
    download: Download,
}

impl OpenData {
    /// Places as they are published now, or once they are; where that cannot be read, as they were.
    async fn places(app: &App) -> Answer<Arc<Places>> {
        let app = app.clone();
        // Who hangs up meanwhile leaves it to the next.
        let read = tokio::spawn(async move {
            let current = app.registry.store().current_places().await;
            let mut last = app.open_data.places.lock().await;
            let read = match current {
                Ok(current) => Places::read(&app, &current, last.as_ref()).await,
                Err(error) => Err(error.into()),
            };
            match (read, &*last) {
                (Ok(places), _) => Ok(last.insert(places).clone()),
                (Err(problem), None) => Err(problem),
                (Err(problem), Some(before)) => {
                    tracing::warn!(errors = %problem.errors(), "open data are given as they were");
                    Ok(before.clone())
                }
            }
        });
        read.await.unwrap_or_else(|error| Err(Problem::internal().because(&error)))
    }

    /// One of their files.
    async fn file(app: &App, dataset: &str, form: Form) -> Answer<Download> {
        let places = Self::places(app).await?;
        let is_it = |row: &PlacesRow| row.dataset == dataset && row.form == form.extension();
        let mut files = places.rows.iter().zip(&places.downloads);
        let found = files.find(|(row, _)| is_it(row)).map(|(_, download)| download.clone());
        found.ok_or_else(Problem::unknown_path)
    }

    /// What the catalogue lists: places, and every month that was released until now.
    pub(crate) async fn published(app: &App) -> Answer<Arc<Published>> {
        Self::catalogue(app, |catalogue| catalogue.published.clone()).await
    }

    /// Of the catalogue as it is now what `take` takes. Where the ledger cannot be read, it is as it was.
    async fn catalogue<T>(app: &App, take: impl FnOnce(&Catalogue) -> T) -> Answer<T> {
        let places = Self::places(app).await?;
        let ledger = app.registry.store().ledger().await;
        let mut last = app.open_data.catalogue.lock().await;
        let ledger = match (ledger, &*last) {
            (Ok(ledger), _) => ledger,
            (Err(_), Some(last)) => last.ledger.clone(),
            (Err(error), None) => return Err(error.into()),
        };
        let is_same = |last: &&Catalogue| Arc::ptr_eq(&last.places, &places) && last.ledger == ledger;
        if let Some(same) = last.as_ref().filter(is_same) {
            return Ok(take(same));
        }
        let made = tokio::task::spawn_blocking(move || {
            let datasets: Vec<_> = places.datasets().chain(monthly::datasets(&ledger)).collect();
            let day = datasets.iter().map(|dataset| &*dataset.made_on).max().unwrap_or_default().to_owned();
            let download = Download::new(CATALOGUE, catalogue(&datasets, &day).to_string().into())?;
            let published = Arc::new(Published { day, datasets });
            Ok(Catalogue { published, places, ledger, download })
        });
        let made = made.await.map_err(std::io::Error::other).flatten();
        let made = made.map_err(|error| Problem::internal().because(&error))?;
        Ok(take(last.insert(made)))
    }
}

impl Places {
    /// What is published, of which this is known; the last is given again where it is that.
    async fn read(app: &App, current: &[PlacesRow], last: Option<&Arc<Self>>) -> Answer<Arc<Self>> {
        let is_another = publish_first(app, current).await?;
        if let Some(same) = last.filter(|last| !is_another && last.rows == current) {
            return Ok(same.clone());
        }
        let contents = app.registry.store().current_places_contents().await?;
        let (mut rows, mut downloads) = (Vec::new(), Vec::new());
        for content in contents {
            // What is no file of this version is left out.
            if let Some(form) = form(&content.about) {
                let PlacesContent { about, content, gzip } = content;
                downloads.push(Download::of(form.content_type(), (content, gzip), about.sha256.clone()));
                rows.push(about);
            }
        }
        Ok(Arc::new(Self { rows, downloads }))
    }

    /// What the catalogue tells of them.
    fn datasets(&self) -> impl Iterator<Item = Dataset> {
        self.rows.chunk_by(|a, b| a.dataset == b.dataset).filter_map(described)
    }
}

fn form(row: &PlacesRow) -> Option<Form> {
    [Form::Csv, Form::GeoJson].into_iter().find(|form| form.extension() == row.form)
}

fn described(files: &[PlacesRow]) -> Option<Dataset> {
    let PlacesRow { dataset, made_on, .. } = files.first()?;
    let (title, description, keywords, schema) = match &**dataset {
        STATIONS => (
            "Stations de taxis",
            "Où les taxis attendent, au schéma national « stationstaxi » 0.1.2.",
            &["taxi", "station", "mobilité"],
            Some(STATIONS_SCHEMA),
        ),
        ZUPC => (
            "Zones uniques de prise en charge",
            "Le territoire de chaque ZUPC et les communes dont les taxis peuvent y prendre en charge.",
            &["taxi", "ZUPC", "réglementation"],
            None,
        ),
        _ => return None,
    };
    let files = files.iter().filter_map(|file| {
        let form = form(file)?;
        Some(File {
            address: format!("/opendata/{dataset}.{}", file.form),
            form,
            bytes: file.byte_count.unsigned_abs(),
            sha256: file.sha256.clone(),
            schema: schema.filter(|_| form == Form::Csv).map(str::to_owned),
        })
    });
    Some(Dataset {
        name: dataset.clone(),
        title: title.to_owned(),
        description: description.to_owned(),
        keywords,
        period: [made_on.clone(), made_on.clone()],
        made_on: made_on.clone(),
        again: Again::Daily,
        files: files.collect(),
    })
}

/// The catalogue.
pub async fn read(State(app): State<App>, asked: HeaderMap) -> Answer<Response> {
    Ok(OpenData::catalogue(&app, |catalogue| catalogue.download.clone()).await?.answer(&asked))
}

/// Stations as a table.
pub async fn stations_csv(State(app): State<App>, asked: HeaderMap) -> Answer<Response> {
    Ok(OpenData::file(&app, STATIONS, Form::Csv).await?.answer(&asked))
}

/// Stations as places.
pub async fn stations_geojson(State(app): State<App>, asked: HeaderMap) -> Answer<Response> {
    Ok(OpenData::file(&app, STATIONS, Form::GeoJson).await?.answer(&asked))
}

/// What the columns of stations are.
pub async fn stations_schema(asked: HeaderMap) -> Answer<Response> {
    schema(&table_schema("stationstaxi", STATIONS_VERSION, "id", &STATIONS_COLUMNS), &asked)
}

fn schema(schema: &Value, asked: &HeaderMap) -> Answer<Response> {
    let download = Download::new(SCHEMA, schema.to_string().into());
    Ok(download.map_err(|error| Problem::internal().because(&error))?.answer(asked))
}

/// ZUPC as places.
pub async fn zupc_geojson(State(app): State<App>, asked: HeaderMap) -> Answer<Response> {
    Ok(OpenData::file(&app, ZUPC, Form::GeoJson).await?.answer(&asked))
}

/// `GET /opendata` in the reference.
pub fn describe() -> Operation {
    let about = "DCAT-AP as JSON-LD: each dataset with its licence, its period, its files and their Table Schema. \
                 Places are made anew each night, statistics once a month. The files have ETags and ranges.";
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
