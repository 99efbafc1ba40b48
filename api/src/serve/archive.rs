//! The archive as this process keeps it: what it asks of the registry, its start and its end.

use std::io::ErrorKind;
use std::sync::Arc;

use analytics::archive::Registry as Asked;
use analytics::archiver::{Archiver, Settings};
use analytics::positions::Positions;
use analytics::root::Root;
use analytics::searches::Searches;
use engine::engine::Engine;
use engine::territory::{Insee, Territory};
use ingest::clock::Clock;
use ingest::log::Log;
use ingest::position::TaxiKey;
use ingest::searches::Search;

use super::StartError;
use crate::config::Config;
use crate::registry::Registry;

/// What archives both logs.
#[derive(Debug)]
pub struct Archivers {
    /// That of positions.
    pub positions: Archiver<Positions>,
    /// That of searches.
    pub searches: Archiver<Searches>,
}

impl Archivers {
    /// Whether both do what they should.
    pub fn are_well(&self) -> bool {
        self.positions.is_well() && self.searches.is_well()
    }

    /// Ends both.
    pub fn stop(&self) {
        self.positions.stop();
        self.searches.stop();
    }
}

/// Starts archiving, where the role does.
pub(super) fn start(
    config: &Config,
    registry: &Arc<Registry>,
    engine: &Engine,
    (positions, searches): (&Log, Option<&Log<Search>>),
    clock: &Clock,
) -> Result<Option<Arc<Archivers>>, StartError> {
    let Some(searches) = searches.filter(|_| config.role.archives()) else { return Ok(None) };
    let root = Root::open(&config.archive)?;
    let settings = settings(config);
    // What a kill left of a day that was being sorted.
    match std::fs::remove_dir_all(&settings.aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, directory = %settings.aside.display(), "files of a sorting that was cut off stay");
        }
        _ => {}
    }
    let asked: Arc<dyn Asked> =
        Arc::new(Projected { registry: Arc::clone(registry), engine: engine.clone() });
    let start = || {
        let (root, asked, settings) = (&root, &asked, &settings);
        Ok::<_, std::io::Error>(Archivers {
            positions: Archiver::start(
                positions.clone(),
                root.clone(),
                asked.clone(),
                settings.clone(),
                clock.clone(),
            )?,
            searches: Archiver::start(
                searches.clone(),
                root.clone(),
                asked.clone(),
                settings.clone(),
                clock.clone(),
            )?,
        })
    };
    let failed = |error| StartError::System { what: "starting the threads of the archive".to_owned(), error };
    Ok(Some(Arc::new(start().map_err(failed)?)))
}

/// How the archive is kept.
pub(crate) fn settings(config: &Config) -> Settings {
    let settings = Settings::new(config.data_dir.join("sorting"));
    let filed_after_ms = i64::try_from(config.archive_after.as_millis()).unwrap_or(i64::MAX);
    let [exact_ms, hails_ms] = [config.retention.exact, config.retention.hails]
        .map(|kept| i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
    Settings { filed_after_ms, exact_ms, hails_ms, ..settings }
}

/// What memory holds of the registry's rows.
struct Projected {
    registry: Arc<Registry>,
    engine: Engine,
}

impl Asked for Projected {
    fn territory(&self) -> Arc<Territory> {
        self.registry.territory()
    }

    fn ads_town(&self, taxi: TaxiKey) -> Option<Insee> {
        self.engine.profiles().with(&taxi, |profile| profile.ads_town)
    }
}
