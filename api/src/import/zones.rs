//! ZUPC: `{"zones": [{"id", "name", "allowed": [{"insee"}], "feature"}]}`.

use std::collections::HashSet;

use serde_json::Value;

use super::features::only_shape;
use super::history::{Town, follow};
use super::{Reading, Remark, Unreadable, came_before, remark, text_of};
use crate::store::places::ZupcRow;

/// Zones over `towns` (sorted INSEE codes). `open` gives the text of the file that a zone's `feature` names, which is
/// the land on which it holds.
///
/// A zone loses the towns that are not there, but a zone whose land cannot be read is left out: without it, it would
/// hold in the whole of its towns.
pub fn zupc(
    text: &str,
    towns: &[String],
    open: impl Fn(&str) -> Result<String, String>,
) -> Result<Reading<ZupcRow>, Unreadable> {
    let body: Value = serde_json::from_str(text).map_err(Unreadable::NotJson)?;
    let zones = body["zones"].as_array().ok_or(Unreadable::NoList("zones"))?;
    let (mut reading, mut ids) = (Reading::default(), HashSet::new());
    for (i, zone) in zones.iter().enumerate() {
        let row = text_of(&zone["id"], "id").and_then(|id| {
            let name = text_of(&zone["name"], "name")?;
            let shape = match &zone["feature"] {
                Value::Null => None,
                file => {
                    let file = text_of(file, "feature")?;
                    let shape = open(&file).and_then(|text| only_shape(&text));
                    Some(shape.map_err(|reason| ("feature", format!("{file}: {reason}")))?)
                }
            };
            if ids.insert(id.clone()) {
                Ok(ZupcRow { id, name, insee: Vec::new(), shape })
            } else {
                Err(("id", came_before(&id)))
            }
        });
        match row {
            Ok(row) => {
                let insee = allowed(i + 1, &zone["allowed"], towns, &mut reading);
                reading.rows.push(ZupcRow { insee, ..row });
            }
            Err(wrong) => reading.refused.push(remark(i + 1, wrong)),
        }
    }
    Ok(reading)
}

/// The towns of a zone, sorted, each once.
fn allowed(row: usize, given: &Value, towns: &[String], reading: &mut Reading<ZupcRow>) -> Vec<String> {
    let is_there = |code: &str| towns.binary_search_by(|town| town.as_str().cmp(code)).is_ok();
    let mut codes = Vec::new();
    for (j, town) in given.as_array().into_iter().flatten().enumerate() {
        let told = |reason| Remark { row, field: format!("allowed.{j}.insee"), reason };
        match text_of(&town["insee"], "insee") {
            Err((_, reason)) => reading.refused.push(told(reason)),
            Ok(code) => match follow(&code, is_there) {
                Town::There => codes.push(code),
                Town::Became(successor, how) => {
                    reading.noted.push(told(how));
                    codes.push(successor.to_owned());
                }
                Town::Nowhere(reason) => {
                    reading.refused.push(told(format!("{reason}; the zone is without it")));
                }
            },
        }
    }
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(remarks: &[Remark]) -> Vec<(usize, &str)> {
        remarks.iter().map(|remark| (remark.row, remark.field.as_str())).collect()
    }

    #[test]
    fn a_zone_goes_without_towns_that_are_not_there_and_follows_mergers() {
        let text = r#"{"zones":[{"id":"a","name":"A","allowed":[{"insee":"69149"},{"insee":"99999"},
                       {"insee":"01001"},{"insee":"69152"},{"insee":1}]},
                       {"name":"no id"},{"id":"a","name":"again"},{"id":"b","name":"B"}]}"#;
        let towns = ["01001".to_owned(), "69149".to_owned()];
        let reading = zupc(text, &towns, |_| Err("no file".to_owned())).unwrap();
        assert_eq!(reading.rows.len(), 2);
        assert_eq!(reading.rows[0].insee, ["01001", "69149"], "Pierre-Bénite is of Oullins-Pierre-Bénite");
        assert_eq!(told(&reading.noted), [(1, "allowed.3.insee")]);
        assert_eq!(
            told(&reading.refused),
            [(1, "allowed.1.insee"), (1, "allowed.4.insee"), (2, "id"), (3, "id")]
        );
        for text in ["", "[]", "{}", r#"{"zones":{}}"#] {
            assert!(zupc(text, &[], |_| Err(String::new())).is_err(), "{text}");
        }
    }

    #[test]
    fn a_zone_has_the_land_of_its_feature_or_is_left_out() {
        let zones = ["good", "bad", "missing"]
            .map(|file| format!(r#"{{"id":"{file}","name":"N","allowed":[],"feature":"{file}"}}"#));
        let text = format!(r#"{{"zones":[{}]}}"#, zones.join(","));
        let square = r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}"#;
        let reading = zupc(&text, &[], |file| match file {
            "good" => Ok(format!(r#"{{"type":"Feature","geometry":{square}}}"#)),
            "bad" => Ok(r#"{"type":"Feature","geometry":null}"#.to_owned()),
            _ => Err("not found".to_owned()),
        });
        let reading = reading.unwrap();
        assert_eq!(reading.rows.len(), 1);
        assert_eq!(reading.rows[0].shape.as_deref(), Some(square));
        assert_eq!(told(&reading.refused), [(2, "feature"), (3, "feature")]);
        assert!(reading.refused[1].reason.contains("missing: not found"));
    }
}
