//! `maraude import`: places from files, each file in one transaction, with a report.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use geo::{Intersects as _, MultiPolygon, Point};
use indicatif::{ProgressBar, ProgressStyle};
use ingest::clock::Clock;
use ingest::position::LatLon;
use serde_json::{Value, json};

use super::file::read_text;
use super::json;
use crate::config::Config;
use crate::import::populations::populations;
use crate::import::stations::{Towns, stations};
use crate::import::zones::zupc;
use crate::import::{Reading, Remark, Report, departements, features};
use crate::registry::geometry::parse_shape;
use crate::serve::open_store;
use crate::store::places::{Imported, ShapeRow};
use crate::store::{Result as StoreResult, Store};

/// What is imported.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Towns: GeoJSON features with the properties `insee` and `nom`.
    Towns(Source),
    /// ZUPC: `{"zones": [{"id", "name", "allowed": [{"insee"}], "feature"}]}`; the towns must be there. `feature` names
    /// a GeoJSON file of the land on which an airport's or a station's zone holds.
    Zupc(Source),
    /// Exclusion zones: GeoJSON features with an `id` and the property `name`.
    Exclusions(Source),
    /// Taxi stations: CSV of the national schema « stationstaxi », or its fields as GeoJSON points; the towns must be
    /// there.
    Stations(Source),
    /// Departements: a list of `{"numero", "nom"}`. The 101 of 2026 are there from the beginning.
    Departements(Source),
    /// How many inhabitants towns have: a list of `{"insee", "population"}`; the towns must be there.
    Populations(Source),
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

/// Imports, keeps the report, and says what was added, changed, refused and why.
pub(super) async fn run(command: &Command, config: &Config, clock: Clock) -> anyhow::Result<()> {
    let (store, _) = open_store(config, clock).await?;
    let outcome = import(command, &store).await;
    store.close().await;
    let report = outcome?;
    command.source().print(command.what(), &report)
}

/// Imports, and keeps the report whatever came of it.
async fn import(command: &Command, store: &Store) -> anyhow::Result<Report> {
    let file = command.source().file.display().to_string();
    let id = store.begin_import(command.name(), &file).await?;
    let outcome = read_and_write(command, store).await;
    let told = outcome.as_ref().map_err(|error| format!("{error:#}"));
    let kept = store.end_import(&id, told).await.context("keeping the report");
    let report = outcome?;
    kept?;
    Ok(report)
}

async fn read_and_write(command: &Command, store: &Store) -> anyhow::Result<Report> {
    let text = command.source().read()?;
    match command {
        Command::Towns(_) => {
            let reading = features::towns(&text)?;
            write(reading, async |rows, told| store.import_towns(rows, told).await).await
        }
        Command::Exclusions(_) => {
            let reading = features::exclusions(&text)?;
            write(reading, async |rows, told| store.import_exclusions(rows, told).await).await
        }
        Command::Zupc(source) => {
            let folder = source.file.parent().unwrap_or(Path::new("."));
            let open = |file: &str| read_text(&folder.join(file)).map_err(|error| error.to_string());
            let reading = zupc(&text, &store.insee_codes().await?, open)?;
            write(reading, async |rows, told| store.import_zupc(rows, told).await).await
        }
        Command::Stations(_) => {
            let reading = stations(&text, &Shapes::new(store.places().await?.towns))?;
            write(reading, async |rows, told| store.import_stations(rows, told).await).await
        }
        Command::Departements(_) => {
            let reading = departements::departements(&text)?;
            write(reading, async |rows, told| store.import_departements(rows, told).await).await
        }
        Command::Populations(_) => {
            let reading = populations(&text, &store.insee_codes().await?)?;
            write(reading, async |rows, told| store.import_populations(rows, told).await).await
        }
    }
}

impl Command {
    /// As it is given on the command line: one of [`KINDS`].
    fn name(&self) -> &'static str {
        match self {
            Self::Towns(_) => "towns",
            Self::Zupc(_) => "zupc",
            Self::Exclusions(_) => "exclusions",
            Self::Stations(_) => "stations",
            Self::Departements(_) => "departements",
            Self::Populations(_) => "populations",
        }
    }

    /// What is imported, in words.
    fn what(&self) -> &'static str {
        match self {
            Self::Zupc(_) => "ZUPC",
            Self::Exclusions(_) => "exclusion zones",
            other => other.name(),
        }
    }

    fn source(&self) -> &Source {
        match self {
            Self::Towns(source)
            | Self::Zupc(source)
            | Self::Exclusions(source)
            | Self::Stations(source)
            | Self::Departements(source)
            | Self::Populations(source) => source,
        }
    }
}

/// Hears after each row how many are done.
type Progress = Box<dyn Fn(usize) + Send>;

/// Shows progress on the standard error.
fn bar(rows: usize) -> (ProgressBar, Progress) {
    let bar = ProgressBar::new(u64::try_from(rows).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {elapsed} of {duration}") {
        bar.set_style(style);
    }
    let shown = bar.clone();
    (bar, Box::new(move |done| shown.set_position(u64::try_from(done).unwrap_or(u64::MAX))))
}

impl Source {
    fn read(&self) -> anyhow::Result<String> {
        read_text(&self.file).with_context(|| format!("reading {}", self.file.display()))
    }

    /// Prints what was done.
    fn print(&self, what: &str, report: &Report) -> anyhow::Result<()> {
        let Report { imported: Imported { added, changed, same }, refused, noted } = report;
        if self.json {
            let remarks = |remarks: &[Remark]| -> Vec<Value> { remarks.iter().map(remark).collect() };
            return json::print(&json!({
                "added": added, "changed": changed, "same": same,
                "refused": remarks(refused), "noted": remarks(noted),
            }));
        }
        println!(
            "{what}: {added} added, {changed} changed, {same} as before, {} refused, {} noted",
            refused.len(),
            noted.len()
        );
        let told = [("refused", refused), ("noted", noted)];
        for (kind, remark) in told.iter().flat_map(|(kind, all)| all.iter().map(move |one| (kind, one))) {
            println!("  {kind}: row {}, {}: {}", remark.row, remark.field, remark.reason);
        }
        Ok(())
    }
}

/// Writes what was understood.
async fn write<T>(
    reading: Reading<T>,
    import: impl AsyncFnOnce(&[T], Progress) -> StoreResult<Imported>,
) -> anyhow::Result<Report> {
    let Reading { rows, refused, noted } = reading;
    let (bar, told) = bar(rows.len());
    let imported = import(&rows, told).await;
    bar.finish_and_clear();
    Ok(Report { imported: imported?, refused, noted })
}

fn remark(remark: &Remark) -> Value {
    json!({"row": remark.row, "field": remark.field, "reason": remark.reason})
}

/// Towns, of which only the shapes that are asked for are understood.
struct Shapes {
    texts: HashMap<String, String>,
    understood: RefCell<HashMap<String, Option<MultiPolygon<f64>>>>,
}

impl Shapes {
    fn new(towns: Vec<ShapeRow>) -> Self {
        let texts = towns.into_iter().map(|town| (town.key, town.shape)).collect();
        Self { texts, understood: RefCell::default() }
    }
}

impl Towns for Shapes {
    fn is_there(&self, insee: &str) -> bool {
        self.texts.contains_key(insee)
    }

    fn holds(&self, insee: &str, at: LatLon) -> bool {
        let mut understood = self.understood.borrow_mut();
        let shape = understood
            .entry(insee.to_owned())
            .or_insert_with(|| self.texts.get(insee).and_then(|text| parse_shape(text).ok()));
        shape.as_ref().is_some_and(|shape| shape.intersects(&Point::new(at.lon(), at.lat())))
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;
    use crate::import::KINDS;

    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn reports_call_imports_as_the_command_line_does() {
        let names =
            Line::command().get_subcommands().map(|one| one.get_name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names, KINDS);
        for name in KINDS {
            let matches = Line::command().try_get_matches_from(["import", name, "file"]).unwrap();
            assert_eq!(Line::from_arg_matches(&matches).unwrap().command.name(), *name);
        }
    }
}
