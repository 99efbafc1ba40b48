//! `maraude export`: places as files in the forms that others read.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use indicatif::ProgressBar;
use ingest::clock::Clock;
use serde_json::json;

use crate::config::Config;
use crate::registry::geometry::{geojson, land, territory};
use crate::routes::stations::national_csv;
use crate::serve::open_store;
use crate::store::Store;

/// What is exported.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// ZUPC as GeoJSON, each with the union of its towns, or its own land.
    Zupc(Target),
    /// Taxi stations as CSV of the national schema.
    Stations(Target),
}

/// To where.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The file; without one, the standard output.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Writes the file.
pub(super) async fn run(command: &Command, config: &Config, clock: Clock) -> anyhow::Result<()> {
    let (store, _) = open_store(config, clock).await?;
    let outcome = match command {
        Command::Zupc(target) => zupc(&store, target.output.as_deref()).await,
        Command::Stations(target) => {
            let text = national_csv(&store.stations().await?)?;
            write(&text, target.output.as_deref())
        }
    };
    store.close().await;
    outcome
}

async fn zupc(store: &Store, output: Option<&Path>) -> anyhow::Result<()> {
    let territory = territory(store.places().await?)?;
    let bar = ProgressBar::new(u64::try_from(territory.zupcs().len())?);
    let mut features = Vec::new();
    for zupc in territory.zupcs() {
        let land = land(&territory, zupc);
        // GeoJSON says so of a feature without a place.
        let geometry = if land.0.is_empty() { json!(null) } else { json!(geojson(&land)) };
        let towns: Vec<_> = zupc.allowed.iter().map(ToString::to_string).collect();
        let properties = json!({"id": zupc.id, "name": zupc.name, "towns": towns});
        features
            .push(json!({"type": "Feature", "id": zupc.id, "properties": properties, "geometry": geometry}));
        bar.inc(1);
    }
    bar.finish_and_clear();
    write(&format!("{}\n", json!({"type": "FeatureCollection", "features": features})), output)
}

fn write(text: &str, output: Option<&Path>) -> anyhow::Result<()> {
    match output {
        Some(file) => std::fs::write(file, text).with_context(|| format!("writing {}", file.display())),
        None => Ok(std::io::stdout().write_all(text.as_bytes())?),
    }
}
