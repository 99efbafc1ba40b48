//! Taxi stations: the national schema « stationstaxi » 0.1.2 as CSV, or the same fields as GeoJSON points.
//!
//! What the schema demands is refused where it is wrong. What it does not ask but a reader would want to know (a
//! station outside its town) is noted, and so is a telephone number that lost its leading zero, which is mended.

use std::collections::HashSet;

use ingest::position::LatLon;
use serde_json::Value;

use super::features::{Feature, split};
use super::history::{Town, follow};
use super::phone::{Phone, phone};
use super::{Reading, Remark, Unreadable, Wrong, came_before, remark};
use crate::store::stations::StationRow;

/// The schema's columns.
pub const COLUMNS: [&str; 8] =
    ["id", "nom", "insee", "geopoint", "adresse", "emplacements", "no_appel", "info"];
/// Without these no row can be read.
const REQUIRED: [&str; 4] = ["id", "nom", "insee", "geopoint"];

/// What the registry knows of towns.
pub trait Towns {
    /// Whether a town has this code.
    fn is_there(&self, insee: &str) -> bool;
    /// Whether its land holds a point.
    fn holds(&self, insee: &str, at: LatLon) -> bool;
}

/// The stations of a file; an id that comes twice counts the first time.
pub fn stations(text: &str, towns: &impl Towns) -> Result<Reading<StationRow>, Unreadable> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reading = Reading::default();
    let table = if text.trim_start().starts_with('{') { geojson(text)? } else { csv(text, &mut reading)? };
    let mut ids = HashSet::new();
    for (row, fields) in table {
        let mut notes = Vec::new();
        let station = fields.and_then(|fields| {
            let station = station(&fields, towns, &mut notes)?;
            if ids.insert(station.id.clone()) { Ok(station) } else { Err(("id", came_before(&station.id))) }
        });
        match station {
            Ok(station) => {
                reading.rows.push(station);
                reading.noted.extend(notes.into_iter().map(|note| remark(row, note)));
            }
            Err(wrong) => reading.refused.push(remark(row, wrong)),
        }
    }
    Ok(reading)
}

/// A row's number, and the texts of its fields in the order of [`COLUMNS`].
type Row = (usize, Result<[String; 8], Wrong>);

/// Splits a table, at commas or semicolons as its heading does. A column that the schema does not have is refused by
/// itself.
fn csv(text: &str, reading: &mut Reading<StationRow>) -> Result<Vec<Row>, Unreadable> {
    let heading = text.lines().next().unwrap_or_default();
    let delimiter = if heading.contains(';') { b';' } else { b',' };
    let mut table =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let names: Vec<String> = table.headers()?.iter().map(|name| name.trim().to_owned()).collect();
    let mut places: [Option<usize>; 8] = [None; 8];
    for (place, name) in names.iter().enumerate() {
        let told = match COLUMNS.iter().position(|column| column == name) {
            Some(column) if places[column].is_none() => {
                places[column] = Some(place);
                continue;
            }
            Some(_) => "comes twice; the first one counts",
            None => "is no column of the national schema; it is left out",
        };
        reading.refused.push(Remark { row: 1, field: name.clone(), reason: told.to_owned() });
    }
    for (column, place) in COLUMNS.into_iter().zip(places) {
        match place {
            None if REQUIRED.contains(&column) => return Err(Unreadable::NoColumn(column)),
            None => {
                reading.noted.push(Remark { row: 1, field: column.to_owned(), reason: "is missing".into() });
            }
            Some(_) => {}
        }
    }
    let mut rows = Vec::new();
    for record in table.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |place: Option<usize>| place.and_then(|place| record.get(place)).unwrap_or_default();
        let fields = if record.len() == names.len() {
            Ok(places.map(|place| present(cell(place))))
        } else {
            Err(("row", format!("has {} cells under {} columns", record.len(), names.len())))
        };
        rows.push((usize::try_from(line).unwrap_or(usize::MAX), fields));
    }
    Ok(rows)
}

/// The schema's ways of saying nothing.
fn present(cell: &str) -> String {
    match cell.trim() {
        "null" => String::new(),
        cell => cell.to_owned(),
    }
}

/// Points with the schema's fields as properties; other properties are a producer's own business.
fn geojson(text: &str) -> Result<Vec<Row>, Unreadable> {
    let read = |feature| {
        let feature = Feature::new(feature)?;
        let geometry: Value =
            serde_json::from_str(feature.geometry.get()).map_err(|error| ("geometry", error.to_string()))?;
        let point =
            match (geometry["type"].as_str(), &geometry["coordinates"][0], &geometry["coordinates"][1]) {
                (Some("Point"), lon @ Value::Number(_), lat @ Value::Number(_)) => format!("{lon},{lat}"),
                _ => return Err(("geometry", "a Point is needed".to_owned())),
            };
        let text = |column: &str| match &feature.properties[column] {
            Value::String(text) => present(text),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        Ok(COLUMNS.map(|column| if column == "geopoint" { point.clone() } else { text(column) }))
    };
    Ok(split(text)?.into_iter().enumerate().map(|(i, feature)| (i + 1, read(feature))).collect())
}

fn station(fields: &[String; 8], towns: &impl Towns, notes: &mut Vec<Wrong>) -> Result<StationRow, Wrong> {
    let [id, name, insee, geopoint, address, places, call_number, info] = fields;
    if let Some((column, _)) = COLUMNS.into_iter().zip(fields).find(|(_, text)| text.contains('\0')) {
        return Err((column, "a NUL is no text".to_owned()));
    }
    let missing = |field| (field, "is missing".to_owned());
    if id.is_empty() {
        return Err(missing("id"));
    }
    let own_code = own_code(id).ok_or_else(|| ("id", format!("{id} is not of the form 38185-T-001")))?;
    if name.is_empty() {
        return Err(missing("nom"));
    }
    let insee = town(insee, towns, notes)?;
    let at = point(geopoint)?;
    if own_code != fields[2] {
        notes.push(("id", format!("{id} is of another town than {}", fields[2])));
    }
    if !towns.holds(&insee, at) {
        notes.push(("geopoint", format!("{geopoint} lies outside {insee}")));
    }
    let places = match places.as_str() {
        "" => None,
        text => match text.parse::<u16>() {
            Ok(count) => Some(i32::from(count)),
            Err(_) => return Err(("emplacements", format!("{text} is no number of places"))),
        },
    };
    let call_number = match (call_number.as_str(), phone(call_number)) {
        ("", _) => String::new(),
        (_, Some(Phone::Number(number))) => number,
        (text, Some(Phone::Mended(number))) => {
            notes.push(("no_appel", format!("{text} lacks its leading zero; {number} is taken")));
            number
        }
        (text, None) => return Err(("no_appel", format!("{text} is no telephone number"))),
    };
    Ok(StationRow {
        id: id.clone(),
        name: name.clone(),
        insee,
        lat_e7: at.lat_e7(),
        lon_e7: at.lon_e7(),
        address: address.clone(),
        places,
        call_number,
        info: info.clone(),
    })
}

fn town(insee: &str, towns: &impl Towns, notes: &mut Vec<Wrong>) -> Result<String, Wrong> {
    if insee.is_empty() {
        return Err(("insee", "is missing".to_owned()));
    }
    if !is_insee(insee) {
        return Err(("insee", format!("{insee} is no INSEE code")));
    }
    match follow(insee, |code| towns.is_there(code)) {
        Town::There => Ok(insee.to_owned()),
        Town::Became(successor, how) => {
            notes.push(("insee", how));
            Ok(successor.to_owned())
        }
        Town::Nowhere(reason) => Err(("insee", reason)),
    }
}

/// Longitude, then latitude.
fn point(text: &str) -> Result<LatLon, Wrong> {
    if text.is_empty() {
        return Err(("geopoint", "is missing".to_owned()));
    }
    let degrees = text
        .split_once(',')
        .and_then(|(lon, lat)| Some((lon.trim().parse::<f64>().ok()?, lat.trim().parse::<f64>().ok()?)));
    let (lon, lat) = degrees.ok_or_else(|| ("geopoint", format!("{text} is not \"longitude, latitude\"")))?;
    LatLon::new(lat, lon).map_err(|error| ("geopoint", format!("{text}: {error}")))
}

/// The code in a station's id, if both have the schema's form: `^([013-9]\d|2[AB1-9])\d{3}-T-\d{3}$`.
fn own_code(id: &str) -> Option<&str> {
    let (code, number) = id.split_once("-T-")?;
    let is_number = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && is_insee(code)).then_some(code)
}

/// The schema's `^([013-9]\d|2[AB1-9])\d{3}$`.
fn is_insee(code: &str) -> bool {
    let [a, b, rest @ ..] = code.as_bytes() else { return false };
    let departement = match a {
        b'2' => matches!(b, b'A' | b'B' | b'1'..=b'9'),
        _ => a.is_ascii_digit() && b.is_ascii_digit(),
    };
    departement && rest.len() == 3 && rest.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests;
