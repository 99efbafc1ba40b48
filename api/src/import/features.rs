//! Towns and exclusion zones: features of GeoJSON.

use std::collections::HashSet;

use engine::territory::Insee;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Reading, Unreadable, Wrong, came_before, remark, text_of};
use crate::registry::geometry::parse_shape;
use crate::store::places::ShapeRow;

/// Towns: features with the properties `insee` and `nom`.
pub fn towns(text: &str) -> Result<Reading<ShapeRow>, Unreadable> {
    read(text, town)
}

/// Exclusion zones: features with an `id`, and a name among their properties.
pub fn exclusions(text: &str) -> Result<Reading<ShapeRow>, Unreadable> {
    read(text, exclusion)
}

/// The geometry of the one feature of a file, as text.
pub(super) fn only_shape(text: &str) -> Result<String, String> {
    let reading = read(text, |_| Ok((String::new(), String::new()))).map_err(|error| error.to_string())?;
    match (reading.rows.as_slice(), reading.refused.as_slice()) {
        ([row], []) => Ok(row.shape.clone()),
        ([], [refused]) => Err(format!("{}: {}", refused.field, refused.reason)),
        _ => Err("one feature is needed".to_owned()),
    }
}

/// The features of a file, each looked at by itself: the whole of France as values would take a gigabyte.
pub(super) fn split(text: &str) -> Result<Vec<&RawValue>, Unreadable> {
    #[derive(Deserialize)]
    struct File<'a> {
        #[serde(rename = "type")]
        kind: Option<&'a str>,
        #[serde(borrow)]
        features: Option<Vec<&'a RawValue>>,
    }
    let whole: &RawValue = serde_json::from_str(text).map_err(Unreadable::NotGeoJson)?;
    let file: File<'_> = serde_json::from_str(text).map_err(Unreadable::NotGeoJson)?;
    match (file.features, file.kind) {
        (Some(features), _) => Ok(features),
        (None, Some("Feature")) => Ok(vec![whole]),
        (None, _) => Err(Unreadable::NoList("features")),
    }
}

/// One feature; its geometry stays text.
#[derive(Deserialize)]
pub(super) struct Feature<'a> {
    #[serde(default)]
    pub(super) id: Value,
    #[serde(default)]
    pub(super) properties: Value,
    #[serde(borrow)]
    pub(super) geometry: &'a RawValue,
}

impl<'a> Feature<'a> {
    pub(super) fn new(text: &'a RawValue) -> Result<Self, Wrong> {
        serde_json::from_str(text.get()).map_err(|error| ("feature", error.to_string()))
    }
}

/// The rows of a file, and those refused; a key that comes twice counts the first time.
fn read(
    text: &str,
    key_and_name: impl Fn(&Feature<'_>) -> Result<(String, String), Wrong>,
) -> Result<Reading<ShapeRow>, Unreadable> {
    let (mut reading, mut keys) = (Reading::default(), HashSet::new());
    for (i, feature) in split(text)?.into_iter().enumerate() {
        let row = shape_row(feature, &key_and_name).and_then(|row| {
            if keys.insert(row.key.clone()) { Ok(row) } else { Err(("key", came_before(&row.key))) }
        });
        match row {
            Ok(row) => reading.rows.push(row),
            Err(wrong) => reading.refused.push(remark(i + 1, wrong)),
        }
    }
    Ok(reading)
}

fn shape_row(
    feature: &RawValue,
    key_and_name: impl Fn(&Feature<'_>) -> Result<(String, String), Wrong>,
) -> Result<ShapeRow, Wrong> {
    let feature = Feature::new(feature)?;
    let (key, name) = key_and_name(&feature)?;
    parse_shape(feature.geometry.get()).map_err(|reason| ("geometry", reason))?;
    Ok(ShapeRow { key, name, shape: feature.geometry.get().to_owned() })
}

fn town(feature: &Feature<'_>) -> Result<(String, String), Wrong> {
    let insee = text_of(&feature.properties["insee"], "properties.insee")?;
    insee.parse::<Insee>().map_err(|_| ("properties.insee", format!("{insee} is no INSEE code")))?;
    Ok((insee, text_of(&feature.properties["nom"], "properties.nom")?))
}

/// As `OpenStreetMap` exports them, and as the national repository of ZUPC names airports and stations.
fn exclusion(feature: &Feature<'_>) -> Result<(String, String), Wrong> {
    let properties = &feature.properties;
    let id = match (&feature.id, &properties["zupc_id"]) {
        (Value::Number(number), _) => number.to_string(),
        (Value::Null, zone @ Value::String(_)) => text_of(zone, "properties.zupc_id")?,
        (id, _) => text_of(id, "id")?,
    };
    let given = ["name:fr", "name", "zupc_name"].map(|name| &properties[name]);
    let name = given.into_iter().find(|name| !name.is_null()).unwrap_or(&Value::Null);
    Ok((id, text_of(name, "properties.name")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}"#;

    fn feature(insee: &str, geometry: &str) -> String {
        format!(r#"{{"type":"Feature","properties":{{"insee":{insee},"nom":"X"}},"geometry":{geometry}}}"#)
    }

    fn refused(reading: &Reading<ShapeRow>) -> Vec<(usize, &str)> {
        reading.refused.iter().map(|refused| (refused.row, refused.field.as_str())).collect()
    }

    #[test]
    fn wrong_features_are_refused_by_row_and_field_and_cost_no_other() {
        let features = [
            feature("\"75056\"", SQUARE),
            feature("75056", SQUARE),
            feature("\"75056\"", SQUARE),
            feature("\"nope\"", SQUARE),
            feature("\"2A004\"", r#"{"type":"Point","coordinates":[0,0]}"#),
            r#"{"type":"Feature","geometry":null}"#.to_owned(),
            feature("\"69123\"", SQUARE),
            "7".to_owned(),
        ];
        let text = format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(","));
        let reading = towns(&text).unwrap();
        assert_eq!(reading.rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["75056", "69123"]);
        assert_eq!(
            refused(&reading),
            [
                (2, "properties.insee"),
                (3, "key"),
                (4, "properties.insee"),
                (5, "geometry"),
                (6, "properties.insee"),
                (8, "feature"),
            ]
        );
        for text in ["[]", "{}", "", "{\"features\": 1}", "{\"type\":\"Point\"}"] {
            assert!(towns(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_exclusion_zone_is_named_as_its_source_names_it() {
        let zone = |rest: &str| format!(r#"{{"type":"Feature",{rest},"geometry":{SQUARE}}}"#);
        let read = |rest: &str| exclusions(&zone(rest)).unwrap();
        let row = |rest: &str| {
            let row = read(rest).rows.remove(0);
            (row.key, row.name)
        };
        let both = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(row(r#""id":"way/1","properties":{"name":"A"}"#), both("way/1", "A"));
        assert_eq!(row(r#""id":7,"properties":{"name":"A","name:fr":"B"}"#), both("7", "B"));
        assert_eq!(row(r#""properties":{"zupc_id":"z","zupc_name":"C"}"#), both("z", "C"));
        assert_eq!(refused(&read(r#""properties":{"name":"A"}"#)), [(1, "id")]);
        assert_eq!(refused(&read(r#""id":"x","properties":{}"#)), [(1, "properties.name")]);
    }

    #[test]
    fn a_file_of_one_feature_gives_its_shape() {
        assert_eq!(only_shape(&feature("1", SQUARE)).unwrap(), SQUARE);
        let two = format!(r#"{{"features":[{0},{0}]}}"#, feature("1", SQUARE));
        assert!(only_shape(&two).is_err() && only_shape("{}").is_err());
        let point = feature("1", r#"{"type":"Point","coordinates":[0,0]}"#);
        assert!(only_shape(&point).unwrap_err().contains("geometry"));
    }
}
