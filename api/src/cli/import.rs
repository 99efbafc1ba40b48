//! `maraude import`: towns, ZUPC and exclusion zones from files, in one transaction each, with a report.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use engine::territory::Insee;
use indicatif::{ProgressBar, ProgressStyle};
use ingest::clock::Clock;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::json;
use crate::config::Config;
use crate::registry::geometry::parse_shape;
use crate::serve::open_store;
use crate::store::places::{Imported, ShapeRow, ZupcRow};
use crate::store::{Result as StoreResult, Store};

/// What is imported.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Towns: GeoJSON features with the properties `insee` and `nom`.
    Towns(Source),
    /// ZUPC: `{"zones": [{"id", "name", "allowed": [{"insee"}]}]}`; the towns must be there.
    Zupc(Source),
    /// Exclusion zones: GeoJSON features with an `id` and the property `name`.
    Exclusions(Source),
}

/// From where.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// The file; one that ends in .gz is decompressed.
    file: PathBuf,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

/// Imports, and says what was added, changed, refused and why.
pub(super) async fn run(command: &Command, config: &Config, clock: Clock) -> anyhow::Result<()> {
    let (store, _) = open_store(config, clock).await?;
    let outcome = match command {
        Command::Towns(source) => source.report("towns", towns(&store, source).await?),
        Command::Exclusions(source) => source.report("exclusion zones", exclusions(&store, source).await?),
        Command::Zupc(source) => source.report("ZUPC", zupc(&store, source).await?),
    };
    store.close().await;
    outcome
}

/// Towns, from a text of GeoJSON. For programs that bring their own.
pub(super) async fn import_towns(store: &Store, text: &str) -> anyhow::Result<Report> {
    let (rows, refused) = read_features(text, town)?;
    Ok(Report { imported: store.import_towns(&rows, |_| {}).await?, refused })
}

/// Exclusion zones, from a text of GeoJSON.
pub(super) async fn import_exclusions(store: &Store, text: &str) -> anyhow::Result<Report> {
    let (rows, refused) = read_features(text, exclusion)?;
    Ok(Report { imported: store.import_exclusions(&rows, |_| {}).await?, refused })
}

/// ZUPC, from a text of JSON.
pub(super) async fn import_zupc(store: &Store, text: &str) -> anyhow::Result<Report> {
    let (rows, refused) = read_zones(text, &store.insee_codes().await?)?;
    Ok(Report { imported: store.import_zupc(&rows, |_| {}).await?, refused })
}

async fn towns(store: &Store, source: &Source) -> anyhow::Result<Report> {
    let (rows, refused) = read_features(&source.read()?, town)?;
    Ok(Report {
        imported: with_bar(rows.len(), |progress| store.import_towns(&rows, progress)).await?,
        refused,
    })
}

async fn exclusions(store: &Store, source: &Source) -> anyhow::Result<Report> {
    let (rows, refused) = read_features(&source.read()?, exclusion)?;
    Ok(Report {
        imported: with_bar(rows.len(), |progress| store.import_exclusions(&rows, progress)).await?,
        refused,
    })
}

async fn zupc(store: &Store, source: &Source) -> anyhow::Result<Report> {
    let (rows, refused) = read_zones(&source.read()?, &store.insee_codes().await?)?;
    Ok(Report {
        imported: with_bar(rows.len(), |progress| store.import_zupc(&rows, progress)).await?,
        refused,
    })
}

/// Runs an import under a progress bar on the standard error.
async fn with_bar<F>(
    rows: usize,
    import: impl FnOnce(Box<dyn Fn(usize) + Send>) -> F,
) -> StoreResult<Imported>
where
    F: Future<Output = StoreResult<Imported>>,
{
    let bar = ProgressBar::new(u64::try_from(rows).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {elapsed} of {duration}") {
        bar.set_style(style);
    }
    let shown = bar.clone();
    let imported =
        import(Box::new(move |done| shown.set_position(u64::try_from(done).unwrap_or(u64::MAX)))).await;
    bar.finish_and_clear();
    imported
}

/// What an import did.
#[derive(Debug, Default)]
pub(super) struct Report {
    imported: Imported,
    refused: Vec<Refused>,
}

/// A row, or a part of one, that was left out.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    /// From 1.
    row: usize,
    field: String,
    reason: String,
}

impl Source {
    fn read(&self) -> anyhow::Result<String> {
        read_text(&self.file).with_context(|| format!("reading {}", self.file.display()))
    }

    fn report(&self, what: &str, report: Report) -> anyhow::Result<()> {
        let Report { imported, refused } = report;
        if self.json {
            let refused: Vec<_> = refused
                .iter()
                .map(|refused| json!({"row": refused.row, "field": refused.field, "reason": refused.reason}))
                .collect();
            return json::print(&json!({
                "added": imported.added, "changed": imported.changed, "same": imported.same, "refused": refused,
            }));
        }
        println!(
            "{what}: {} added, {} changed, {} as before, {} refused",
            imported.added,
            imported.changed,
            imported.same,
            refused.len()
        );
        for refused in refused {
            println!("  row {}, {}: {}", refused.row, refused.field, refused.reason);
        }
        Ok(())
    }
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    let file = BufReader::new(File::open(path)?);
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::bufread::MultiGzDecoder::new(file).read_to_string(&mut text)?;
    } else {
        BufReader::new(file).read_to_string(&mut text)?;
    }
    Ok(text)
}

/// A collection whose features are looked at one by one: the whole of France as values would take a gigabyte.
#[derive(Deserialize)]
struct Collection<'a> {
    #[serde(borrow)]
    features: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Feature<'a> {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    properties: Value,
    #[serde(borrow)]
    geometry: &'a RawValue,
}

/// The field that is wrong, and why.
type Wrong = (&'static str, String);

/// The rows of a collection, and those refused; a key that comes twice counts the first time.
fn read_features(
    text: &str,
    key_and_name: impl Fn(&Feature<'_>) -> Result<(String, String), Wrong>,
) -> anyhow::Result<(Vec<ShapeRow>, Vec<Refused>)> {
    let collection: Collection<'_> =
        serde_json::from_str(text).context("this is no GeoJSON FeatureCollection")?;
    let (mut rows, mut refused, mut keys) = (Vec::new(), Vec::new(), HashSet::new());
    for (i, feature) in collection.features.into_iter().enumerate() {
        let row = read_feature(feature, &key_and_name).and_then(|row| {
            if keys.insert(row.key.clone()) {
                Ok(row)
            } else {
                Err(("key", format!("{} came before", row.key)))
            }
        });
        match row {
            Ok(row) => rows.push(row),
            Err((field, reason)) => refused.push(Refused { row: i + 1, field: field.to_owned(), reason }),
        }
    }
    Ok((rows, refused))
}

fn read_feature(
    feature: &RawValue,
    key_and_name: impl Fn(&Feature<'_>) -> Result<(String, String), Wrong>,
) -> Result<ShapeRow, Wrong> {
    let feature: Feature<'_> =
        serde_json::from_str(feature.get()).map_err(|error| ("feature", error.to_string()))?;
    let (key, name) = key_and_name(&feature)?;
    parse_shape(feature.geometry.get()).map_err(|reason| ("geometry", reason))?;
    Ok(ShapeRow { key, name, shape: feature.geometry.get().to_owned() })
}

fn town(feature: &Feature<'_>) -> Result<(String, String), Wrong> {
    let insee = text_of(&feature.properties["insee"], "properties.insee")?;
    insee.parse::<Insee>().map_err(|_| ("properties.insee", format!("{insee} is no INSEE code")))?;
    Ok((insee, text_of(&feature.properties["nom"], "properties.nom")?))
}

fn exclusion(feature: &Feature<'_>) -> Result<(String, String), Wrong> {
    let id = match &feature.id {
        Value::Number(number) => number.to_string(),
        id => text_of(id, "id")?,
    };
    Ok((id, text_of(&feature.properties["name"], "properties.name")?))
}

fn text_of(value: &Value, field: &'static str) -> Result<String, Wrong> {
    match value {
        Value::String(text) if !text.trim().is_empty() && !text.contains('\0') => Ok(text.clone()),
        Value::Null => Err((field, "is missing".to_owned())),
        other => Err((field, format!("{other} is no text"))),
    }
}

/// The rows of a file of zones, and what was refused: a zone without a name or an id, and of a zone the towns that
/// are not there.
fn read_zones(text: &str, towns: &[String]) -> anyhow::Result<(Vec<ZupcRow>, Vec<Refused>)> {
    let body: Value = serde_json::from_str(text).context("this is no JSON")?;
    let zones = body["zones"].as_array().context("\"zones\" is not a list")?;
    let (mut rows, mut refused, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
    for (i, zone) in zones.iter().enumerate() {
        let mut refuse = |field: &str, reason: String| {
            refused.push(Refused { row: i + 1, field: field.to_owned(), reason });
        };
        let (id, name) = match (text_of(&zone["id"], "id"), text_of(&zone["name"], "name")) {
            (Ok(id), Ok(name)) => (id, name),
            (Err((field, reason)), _) | (_, Err((field, reason))) => {
                refuse(field, reason);
                continue;
            }
        };
        if !ids.insert(id.clone()) {
            refuse("id", format!("{id} came before"));
            continue;
        }
        let mut insee = Vec::new();
        for (j, allowed) in zone["allowed"].as_array().into_iter().flatten().enumerate() {
            match text_of(&allowed["insee"], "insee") {
                Ok(code) if towns.binary_search(&code).is_ok() => insee.push(code),
                Ok(code) => refuse(
                    &format!("allowed.{j}.insee"),
                    format!("{code} is no town; the zone is without it"),
                ),
                Err((_, reason)) => refuse(&format!("allowed.{j}.insee"), reason),
            }
        }
        insee.sort_unstable();
        insee.dedup();
        rows.push(ZupcRow { id, name, insee });
    }
    Ok((rows, refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(insee: &str, geometry: &str) -> String {
        format!(r#"{{"type":"Feature","properties":{{"insee":{insee},"nom":"X"}},"geometry":{geometry}}}"#)
    }

    #[test]
    fn wrong_features_are_refused_by_row_and_field_and_cost_no_other() {
        let square = r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}"#;
        let features = [
            feature("\"75056\"", square),
            feature("75056", square),
            feature("\"75056\"", square),
            feature("\"nope\"", square),
            feature("\"2A004\"", r#"{"type":"Point","coordinates":[0,0]}"#),
            r#"{"type":"Feature","geometry":null}"#.to_owned(),
            feature("\"69123\"", square),
        ];
        let text = format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(","));
        let (rows, refused) = read_features(&text, town).unwrap();
        assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["75056", "69123"]);
        let told: Vec<_> = refused.iter().map(|refused| (refused.row, refused.field.as_str())).collect();
        assert_eq!(
            told,
            [
                (2, "properties.insee"),
                (3, "key"),
                (4, "properties.insee"),
                (5, "geometry"),
                (6, "properties.insee")
            ]
        );
        assert!(read_features("[]", town).is_err());
    }

    #[test]
    fn a_zone_goes_without_towns_that_are_not_there() {
        let text = r#"{"zones":[{"id":"a","name":"A","allowed":[{"insee":"2"},{"insee":"9"},
                       {"insee":"1"},{"insee":"1"}]},
                       {"name":"no id"},{"id":"a","name":"again"},{"id":"b","name":"B"}]}"#;
        let (rows, refused) = read_zones(text, &["1".to_owned(), "2".to_owned()]).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].insee, ["1", "2"]);
        let told: Vec<_> = refused.iter().map(|refused| (refused.row, refused.field.as_str())).collect();
        assert_eq!(told, [(1, "allowed.1.insee"), (2, "id"), (3, "id")]);
    }
}
