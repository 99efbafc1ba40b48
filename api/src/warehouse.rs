//! The archive, asked: what `analytics` cannot know by itself is given to it here.

use std::sync::Arc;

use analytics::cluster::Cluster;
use analytics::dimensions::{Account, Ads, Dimensions, Made, Taxi};
use analytics::pseudonym::Pseudonyms;
use analytics::root::{Root, Unavailable};
use analytics::session::{Limits, QueryError, Turn, Warehouse};
use analytics::views::View;
use engine::territory::Territory;
use ingest::clock::Millis;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::{Config, QueryUrl};
use crate::limits::{
    DIMENSIONS_FRESH, DIMENSIONS_STAND, OWN_QUERY_WITHIN, QUERIES_AT_ONCE, QUERY_MEMORY_BYTES,
    QUERY_ROWS_MAX, QUERY_SPILL_BYTES, QUERY_WITHIN,
};
use crate::secrets::SecretKey;
use crate::store::{Result, Store};

/// What one of several requests may take: half of the machine at most.
pub fn shared_limits() -> Limits {
    Limits {
        within: QUERY_WITHIN,
        memory_bytes: QUERY_MEMORY_BYTES,
        spill_bytes: QUERY_SPILL_BYTES,
        rows: QUERY_ROWS_MAX,
        at_once: QUERIES_AT_ONCE,
        threads: threads().div_ceil(2),
    }
}

/// What whoever runs the machine may: all of it.
pub fn own_limits() -> Limits {
    Limits {
        within: OWN_QUERY_WITHIN,
        memory_bytes: 2 * QUERY_MEMORY_BYTES,
        spill_bytes: 16 * QUERY_SPILL_BYTES,
        rows: u64::MAX,
        at_once: 1,
        threads: threads(),
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The archive cannot be asked at all.
#[derive(Debug, Error)]
pub enum NoWarehouse {
    /// It is not there.
    #[error(transparent)]
    Archive(#[from] Unavailable),
    /// This machine has no room for queries.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// The archive, asked where the settings say.
pub fn warehouse(config: &Config, limits: Limits) -> std::result::Result<Warehouse, NoWarehouse> {
    let root = Root::open(&config.archive)?;
    Ok(Warehouse::on(root, limits, config.query.as_ref().and_then(elsewhere))?)
}

#[cfg(feature = "ballista")]
fn elsewhere(at: &QueryUrl) -> Option<Arc<dyn Cluster>> {
    Some(Arc::new(cluster::Ballista::new(&at.host, at.port)))
}

/// Without the feature no such setting is taken.
#[cfg(not(feature = "ballista"))]
fn elsewhere(_: &QueryUrl) -> Option<Arc<dyn Cluster>> {
    None
}

/// The archive as requests ask it. Shared by reference.
pub struct Asked {
    root: Root,
    warehouse: Warehouse,
    pseudonyms: Pseudonyms,
    /// What the registry knew a moment ago.
    known: Mutex<Option<Known>>,
}

/// What the registry knew.
struct Known {
    dimensions: Arc<Dimensions>,
    read_at: Instant,
    is_being_read: bool,
}

impl Known {
    /// As of when reading began.
    async fn read(store: &Store, territory: Arc<Territory>) -> Result<Self> {
        let read_at = Instant::now();
        let dimensions = Arc::new(dimensions(store, territory).await?);
        Ok(Self { dimensions, read_at, is_being_read: false })
    }
}

impl Asked {
    /// Over an archive; taxis are named by a key of their own, derived from the deployment's.
    pub fn new(config: &Config, secret: &SecretKey) -> std::result::Result<Self, NoWarehouse> {
        Ok(Self {
            root: Root::open(&config.archive)?,
            warehouse: warehouse(config, shared_limits())?,
            pseudonyms: Pseudonyms::new(secret.derive("analysts' pseudonyms")),
            known: Mutex::new(None),
        })
    }

    /// The archive.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Takes a turn to ask, if there is one. What the registry knows is read within it.
    pub fn turn(&self) -> std::result::Result<Turn<'_>, QueryError> {
        self.warehouse.turn()
    }

    /// What analysts see.
    pub fn view(&self, now: Millis) -> View {
        View::Pseudonymous { by: self.pseudonyms, now }
    }

    /// What the registry knows, as of [`DIMENSIONS_STAND`] ago at most: from [`DIMENSIONS_FRESH`] on it is read anew
    /// for whoever asks next.
    pub async fn dimensions(
        self: &Arc<Self>,
        store: &Store,
        territory: Arc<Territory>,
    ) -> Result<Arc<Dimensions>> {
        let mut known = self.known.lock().await;
        if let Some(known) = &mut *known
            && known.read_at.elapsed() < DIMENSIONS_STAND
        {
            if known.read_at.elapsed() >= DIMENSIONS_FRESH
                && !std::mem::replace(&mut known.is_being_read, true)
            {
                tokio::spawn(self.clone().read_anew(store.clone(), territory));
            }
            return Ok(known.dimensions.clone());
        }
        let read = known.insert(Known::read(store, territory).await?);
        Ok(read.dimensions.clone())
    }

    /// Begins to read it for whoever is about to ask.
    pub fn read_ahead(self: &Arc<Self>, store: &Store, territory: Arc<Territory>) {
        let (asked, store) = (self.clone(), store.clone());
        tokio::spawn(async move {
            if let Err(error) = asked.dimensions(&store, territory).await {
                tracing::debug!(%error, "what the registry knows cannot be read ahead of queries");
            }
        });
    }

    async fn read_anew(self: Arc<Self>, store: Store, territory: Arc<Territory>) {
        let read = Known::read(&store, territory).await;
        let mut known = self.known.lock().await;
        match read {
            // Whoever waited for long may have read it, too.
            Ok(read) if known.as_ref().is_some_and(|known| known.read_at > read.read_at) => {}
            Ok(read) => *known = Some(read),
            Err(error) => {
                tracing::warn!(%error, "queries are told what the registry knew before: it cannot be read");
                if let Some(known) = &mut *known {
                    known.is_being_read = false;
                }
            }
        }
    }
}

/// What the registry knows now.
pub async fn dimensions(store: &Store, territory: Arc<Territory>) -> Result<Dimensions> {
    let account = |(row, roles): (crate::store::users::UserRow, Vec<crate::role::Role>)| Account {
        id: row.id,
        email: row.email,
        name: row.name,
        roles: roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(","),
        manager: row.manager_id,
    };
    let taxis = store.registered_taxis().await?.into_iter().filter_map(|row| {
        Some(Taxi {
            taxi: u32::try_from(row.id).ok()?,
            public_id: row.public_id,
            operator: row.operator_id,
            insee: row.insee,
            licence_plate: row.licence_plate,
            added_at: Millis(row.created_at),
        })
    });
    let ads = store.registered_ads().await?.into_iter().map(|row| Ads {
        insee: row.insee,
        numero: row.numero,
        operator: row.operator_id,
        added_at: Millis(row.created_at),
    });
    let people = store.populations().await?.into_iter();
    Ok(Dimensions {
        accounts: store.users().await?.into_iter().map(account).collect(),
        taxis: taxis.collect(),
        ads: ads.collect(),
        populations: people
            .filter_map(|(insee, people)| Some((insee.parse().ok()?, u32::try_from(people).ok()?)))
            .collect(),
        territory: Some(territory),
        made: Made::default(),
    })
}
