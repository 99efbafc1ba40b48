//! The open data as `maraude import` takes it and `maraude export` gives it back.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::data;
use crate::harness::program::Program;

fn remarks(report: &Value, kind: &str) -> Vec<(u64, String)> {
    let told = |one: &Value| (one["row"].as_u64().unwrap(), one["field"].as_str().unwrap().to_owned());
    report[kind].as_array().unwrap().iter().map(told).collect()
}

#[tokio::test]
async fn the_whole_country_is_imported_and_exported() {
    let Some(shared) = data("") else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path(), None);
    let began = Instant::now();
    let import = async |what: &str, file: &str| -> Value {
        let file = shared.join(file);
        let out = program.done(&["import", what, file.to_str().unwrap(), "--json"]).await;
        serde_json::from_str(&out).unwrap()
    };
    let none = json!([]);
    let towns = import("towns", "communes.geojson.gz").await;
    assert_eq!((&towns["added"], &towns["refused"], &towns["noted"]), (&json!(34_875), &none, &none));
    let departements = import("departements", "departements.json").await;
    assert_eq!((&departements["same"], &departements["refused"]), (&json!(101), &none));

    let zupc = import("zupc", "zupc.json").await;
    assert_eq!((&zupc["added"], &zupc["refused"]), (&json!(39), &none));
    let followed = [(27, "allowed.13.insee".to_owned()), (29, "allowed.43.insee".to_owned())];
    assert_eq!(remarks(&zupc, "noted"), followed, "Pierre-Bénite and Pierrefitte-sur-Seine are no more");

    let stations = import("stations", "stations_france.geojson").await;
    assert_eq!((&stations["added"], &stations["refused"]), (&json!(425), &none));
    let outside = remarks(&stations, "noted").iter().filter(|(_, field)| field == "geopoint").count();
    assert_eq!(outside, 79, "stations that lie outside the town they declare");
    let zone = import("exclusions", "zones/13_Aeroport_MarseilleProvence.feature.geojson").await;
    assert_eq!(zone["added"], 1);
    println!("the country was imported in {:?}", began.elapsed());

    let zones: Value = serde_json::from_str(&program.done(&["export", "zupc"]).await).unwrap();
    let zones = zones["features"].as_array().unwrap();
    assert_eq!(zones.len(), 39);
    let paris = zones.iter().find(|zone| zone["properties"]["name"] == "ZUPC des taxis parisiens").unwrap();
    let towns = paris["properties"]["towns"].as_array().unwrap().len();
    assert_eq!(towns, 80, "of 81, Pierrefitte-sur-Seine became a part of Saint-Denis, which is there too");
    let parts = paris["geometry"]["coordinates"].as_array().unwrap();
    assert_eq!((parts.len(), parts[0].as_array().unwrap().len()), (1, 1), "of one piece, without a hole");

    let again = folder.path().join("stations.csv");
    program.done(&["export", "stations", "--output", again.to_str().unwrap()]).await;
    let report = program.done(&["import", "stations", again.to_str().unwrap(), "--json"]).await;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["same"], &report["refused"]),
        (&json!(425), &none),
        "what is exported is the national CSV"
    );
}

#[tokio::test]
async fn the_examples_of_the_national_schema_give_what_they_are_made_for() {
    let Some(shared) = data("") else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path(), None);
    let import = async |what: &str, file: &Path| -> Value {
        let out = program.done(&["import", what, file.to_str().unwrap(), "--json"]).await;
        serde_json::from_str(&out).unwrap()
    };
    let isere = folder.path().join("isere.geojson");
    std::fs::write(&isere, isere_towns().to_string()).unwrap();
    import("towns", &isere).await;
    let good = import("stations", &shared.join("stations_example.csv")).await;
    assert_eq!((&good["added"], &good["refused"]), (&json!(17), &json!([])));
    let bad = import("stations", &shared.join("stations_example_invalid.csv")).await;
    let extra = [(1, "Identifiant interne".to_owned()), (1, "Code administratif".to_owned())];
    assert_eq!(remarks(&bad, "refused"), extra);
    assert!(remarks(&bad, "noted").contains(&(3, "no_appel".to_owned())), "a number without its zero");
}

/// The towns that the examples name, as one square each.
fn isere_towns() -> Value {
    let codes = ["38185", "38421", "38151", "38229", "38239", "38281", "38436", "38529", "38039", "38314"];
    let square = json!({"type": "Polygon", "coordinates": [[[5, 45], [7, 45], [7, 46], [5, 46], [5, 45]]]});
    let town = |code: &str| json!({"type": "Feature", "properties": {"insee": code, "nom": code}, "geometry": square});
    json!({"type": "FeatureCollection", "features": codes.map(town)})
}
