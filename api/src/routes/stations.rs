//! `GET /stations/*`: taxi stations, for everybody, in the forms of the national schema.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Duration, Utc};
use ingest::clock::Millis;
use ingest::position::LatLon;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{Answer, Problem};
use crate::form::envelope::{self, Elements};
use crate::import::stations::COLUMNS;
use crate::openapi::{Chapter, Operation};
use crate::store::stations::StationRow;

/// How long a copy of the public files may be kept, in seconds.
const KEPT_S: i64 = 86_400;
/// What the public files have always been served as.
const PLAIN: &str = "text/plain";

/// A taxi station, as consoles show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Station)]
pub struct StationAnswer {
    /// As `38185-T-001`.
    pub id: String,
    /// Name.
    pub name: String,
    /// How many taxis may wait; 0 where nobody said.
    pub places: i32,
    /// Where, a GeoJSON point.
    pub geojson: Value,
}

/// For consoles: where each station is.
pub async fn all(State(app): State<App>) -> Answer<Json<Elements<StationAnswer>>> {
    let told = |row: &StationRow| StationAnswer {
        id: row.id.clone(),
        name: row.name.clone(),
        places: row.places.unwrap_or(0),
        geojson: point(row),
    };
    let rows = app.registry.store().stations().await?;
    Ok(envelope::of_all(rows.iter().map(told).collect()))
}

/// `GET /stations/all` in the reference.
pub fn describe_all() -> Operation {
    let station = StationAnswer {
        id: "38185-T-001".to_owned(),
        name: "Vallier".to_owned(),
        places: 6,
        geojson: json!({"type": "Point", "coordinates": [5.711_875_4, 45.180_001_6]}),
    };
    Operation::new(Chapter::Places, "Every taxi station", "By id.").list("The stations.", &[station])
}

/// `GET /stations/stations.json` in the reference.
pub fn describe_geojson() -> Operation {
    let about = "The fields of the national schema as properties, where there is something to say.";
    Operation::new(Chapter::Places, "Every taxi station as GeoJSON", about).content(
        200,
        "A FeatureCollection with a feature a station.",
        PLAIN,
        json!({"schema": {"type": "string"}}),
    )
}

/// `GET /stations/stations.csv` in the reference.
pub fn describe_csv() -> Operation {
    let about = "By the national schema « stationstaxi ».";
    Operation::new(Chapter::Places, "Every taxi station as CSV", about).content(
        200,
        "A line a station.",
        PLAIN,
        json!({"schema": {"type": "string"}}),
    )
}

/// Public: GeoJSON.
pub async fn geojson(State(app): State<App>) -> Answer<Response> {
    let rows = app.registry.store().stations().await?;
    let day = day(app.clock.now());
    let body = json!({
        "type": "FeatureCollection",
        "properties": {"version": "0.0.3", "date": day.format("%Y-%m-%d").to_string(), "producteur": "le.taxi"},
        "features": features(&rows).collect::<Vec<_>>(),
    });
    Ok(file(day, "json", body.to_string()))
}

/// Public: CSV.
pub async fn csv(State(app): State<App>) -> Answer<Response> {
    let rows = app.registry.store().stations().await?;
    let text = national_csv(&rows).map_err(|error| {
        tracing::error!(%error, "stations could not be written as CSV");
        Problem::internal()
    })?;
    Ok(file(day(app.clock.now()), "csv", text))
}

/// GeoJSON features: the fields of the national schema as properties, where there is something to say.
pub(crate) fn features(rows: &[StationRow]) -> impl Iterator<Item = Value> {
    rows.iter().map(|row| {
        let [id, nom, insee, _, adresse, emplacements, no_appel, info] = cells(row);
        let texts = [
            ("id", id),
            ("nom", nom),
            ("insee", insee),
            ("adresse", adresse),
            ("no_appel", no_appel),
            ("info", info),
        ];
        let said = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let mut properties: Map<_, _> = said.map(|(name, text)| (name.to_owned(), json!(text))).collect();
        if !emplacements.is_empty() {
            properties.insert("emplacements".to_owned(), json!(row.places));
        }
        json!({"type": "Feature", "geometry": point(row), "properties": properties})
    })
}

/// The national CSV: the schema's columns, semicolons, every cell quoted.
pub fn national_csv(rows: &[StationRow]) -> std::io::Result<String> {
    let mut table = csv::WriterBuilder::new();
    table.delimiter(b';').quote_style(csv::QuoteStyle::Always).terminator(csv::Terminator::CRLF);
    let mut table = table.from_writer(Vec::new());
    table.write_record(COLUMNS)?;
    for row in rows {
        table.write_record(cells(row))?;
    }
    let bytes = table.into_inner().map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

/// A station's cells under the schema's columns. No places are as unknown ones: nothing.
fn cells(row: &StationRow) -> [String; 8] {
    let StationRow { id, name, insee, address, places, call_number, info, .. } = row.clone();
    let places = places.filter(|places| *places != 0).map(|places| places.to_string());
    let (lon, lat) = lon_lat(row);
    // With a decimal even where it is zero, as the files have always had them.
    [id, name, insee, format!("{lon:?}, {lat:?}"), address, places.unwrap_or_default(), call_number, info]
}

fn point(row: &StationRow) -> Value {
    let (lon, lat) = lon_lat(row);
    json!({"type": "Point", "coordinates": [lon, lat]})
}

fn lon_lat(row: &StationRow) -> (f64, f64) {
    LatLon::from_e7(row.lat_e7, row.lon_e7).map_or((0.0, 0.0), |at| (at.lon(), at.lat()))
}

fn day(now: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(now.0).unwrap_or_default()
}

/// A text that may be kept for a day.
fn file(day: DateTime<Utc>, extension: &str, body: String) -> Response {
    let name = format!("inline; filename=\"stationstaxi_LeTaxi_{}.{extension}\"", day.format("%Y%m%d"));
    let expires = (day + Duration::seconds(KEPT_S)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let headers = [
        (header::CONTENT_TYPE, format!("{PLAIN}; charset=utf-8")),
        (header::CONTENT_DISPOSITION, name),
        (header::EXPIRES, expires),
        (header::CACHE_CONTROL, format!("public,max-age={KEPT_S}")),
    ];
    (headers, body).into_response()
}
