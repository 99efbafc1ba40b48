//! The archive as this process keeps it: what it asks of the registry, and its start.

use std::io::ErrorKind;
use std::sync::Arc;

use analytics::archive::Registry as Asked;
use analytics::archiver::{Archiver, Settings};
use analytics::root::Root;
use engine::engine::Engine;
use engine::territory::{Insee, Territory};
use ingest::clock::Clock;
use ingest::log::Log;
use ingest::position::TaxiKey;

use super::StartError;
use crate::config::Config;
use crate::registry::Registry;

/// Starts archiving, where the role does.
pub(super) fn start(
    config: &Config,
    registry: &Arc<Registry>,
    engine: &Engine,
    log: &Log,
    clock: Clock,
) -> Result<Option<Arc<Archiver>>, StartError> {
    if !config.role.archives() {
        return Ok(None);
    }
    let root = Root::open(&config.archive)?;
    let settings = settings(config);
    // What a kill left of a day that was being sorted.
    match std::fs::remove_dir_all(&settings.aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, directory = %settings.aside.display(), "files of a sorting that was cut off stay");
        }
        _ => {}
    }
    let asked = Box::new(Projected { registry: Arc::clone(registry), engine: engine.clone() });
    let started = Archiver::start(log.clone(), root, asked, settings, clock);
    started
        .map(|archiver| Some(Arc::new(archiver)))
        .map_err(|error| StartError::System { what: "starting the threads of the archive".to_owned(), error })
}

/// How the archive is kept.
pub(crate) fn settings(config: &Config) -> Settings {
    let settings = Settings::new(config.data_dir.join("sorting"));
    let filed_after_ms = i64::try_from(config.archive_after.as_millis()).unwrap_or(i64::MAX);
    Settings { filed_after_ms, ..settings }
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
