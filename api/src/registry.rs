//! The registry: rows in SQL, and what memory holds of them.
//!
//! Every write goes through here: it commits and projects in one detached task, so that a client that hangs up skips
//! neither. Search, positions and authentication read memory alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use engine::engine::Engine;
use engine::profile::{Description, Profile, Status};
use engine::territory::{Insee, Territory};
use ingest::clock::Millis;
use ingest::directory::{Directory, Operator, Taxi};
use ingest::position::{OperatorKey, SourceKey, TaxiKey};
use ingest::projection::Projection;
use tokio::sync::{Mutex, Notify, mpsc, watch};

use crate::hail::meters::Meters;
use crate::limits::{CALLS_MAX, TAXIS_A_READING};
use crate::secrets::SecretKey;
use crate::store::changes::Change;
use crate::store::hails::HailRow;
use crate::store::projected::{ProjectedRow, Which};
use crate::store::users::UserRow;
use crate::store::{Result, Store, StoreError};

pub mod accounts;
pub mod card;
pub mod connected;
pub mod follow;
pub mod gazetteer;
pub mod geometry;
mod webhooks;
mod writes;

pub use writes::{add_user, rotate_key};

use accounts::{Account, Accounts};
use card::Card;
use connected::{Connected, LastFound};
use gazetteer::Gazetteer;

/// What the program knows of the registry. Shared by reference.
pub struct Registry {
    store: Store,
    /// The same, for what memory reads again.
    upkeep: Store,
    secret: SecretKey,
    accounts: ArcSwap<Accounts>,
    territory: ArcSwap<Territory>,
    gazetteer: ArcSwap<Gazetteer>,
    connected: LastFound,
    /// What the places in memory were read from, and the lock of reading them again.
    places_read: Mutex<Option<(i64, i64)>>,
    accounts_read: Mutex<()>,
    directory: Arc<Directory>,
    cards: Arc<Projection<TaxiKey, Arc<Card>>>,
    /// Its profiles are a projection like the others.
    engine: Engine,
    /// Somebody committed but could not project: everything is to be read again soon.
    stale: Notify,
    /// Other processes' writes are heard of.
    following: watch::Sender<bool>,
    /// Hails made here, on their way to whoever calls their operators.
    made: (mpsc::Sender<HailRow>, Mutex<mpsc::Receiver<HailRow>>),
    /// Hails moved.
    hails_moved: Notify,
    /// Webhooks are to be told of something.
    deliveries_due: Notify,
    hail_meters: Meters,
}

impl Registry {
    /// Reads everything, the engine's profiles too.
    pub async fn load(store: Store, secret: SecretKey, engine: Engine) -> Result<Arc<Self>> {
        let nowhere = Arc::new(Territory::new(Vec::new(), Vec::new(), Vec::new()));
        let (sender, receiver) = mpsc::channel(CALLS_MAX);
        let registry = Self {
            upkeep: store.for_upkeep(),
            store,
            secret,
            accounts: ArcSwap::default(),
            connected: LastFound::default(),
            gazetteer: ArcSwap::from_pointee(Gazetteer::new(nowhere.clone())),
            territory: ArcSwap::new(nowhere),
            places_read: Mutex::new(None),
            accounts_read: Mutex::new(()),
            directory: Arc::new(Directory::default()),
            cards: Arc::default(),
            engine,
            stale: Notify::new(),
            following: watch::Sender::new(false),
            made: (sender, Mutex::new(receiver)),
            hails_moved: Notify::new(),
            deliveries_due: Notify::new(),
            hail_meters: Meters::default(),
        };
        registry.read_all().await?;
        Ok(Arc::new(registry))
    }

    /// Every account, for a program that needs nothing else.
    pub async fn accounts_of(store: &Store, secret: &SecretKey) -> Result<Accounts> {
        Ok(Accounts::new(open_accounts(store, secret).await?))
    }

    /// The rows themselves, for what memory does not hold.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The same, for what is done again and again.
    pub fn upkeep(&self) -> &Store {
        &self.upkeep
    }

    /// Hails that this process made and whose operators it is to call, until others may.
    pub fn made(&self) -> &Mutex<mpsc::Receiver<HailRow>> {
        &self.made.1
    }

    /// Rings when a hail moved in this process.
    pub fn hails_moved(&self) -> &Notify {
        &self.hails_moved
    }

    /// Rings when something that webhooks are to be told may have become due in this process.
    pub fn deliveries_due(&self) -> &Notify {
        &self.deliveries_due
    }

    /// What is counted of hails.
    pub fn hail_meters(&self) -> &Meters {
        &self.hail_meters
    }

    /// Whether the database answers and its changes are followed: whether rows can be written, and memory is soon as
    /// they are.
    pub fn is_current(&self) -> bool {
        self.store.is_available() && *self.following.borrow()
    }

    /// Every account, as it is now.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.accounts.load_full()
    }

    /// Towns, ZUPC and exclusion zones, as they are now.
    pub fn territory(&self) -> Arc<Territory> {
        self.territory.load_full()
    }

    /// What is told of places beside searches.
    pub fn gazetteer(&self) -> Arc<Gazetteer> {
        self.gazetteer.load_full()
    }

    /// Who is connected, as of a second ago at most. Blocks: not for an asynchronous thread.
    pub fn connected(&self, now: Millis) -> Arc<Connected> {
        self.connected.now(&self.engine, now)
    }

    /// Who may report which taxi.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// What an app may see of a taxi.
    pub fn card(&self, taxi: TaxiKey) -> Option<Arc<Card>> {
        self.cards.get(&taxi)
    }

    /// The card of a taxi that is to be shown as one operator describes it; None: there is nothing to show.
    pub fn shown_card(&self, source: SourceKey) -> Option<Arc<Card>> {
        self.card(source.taxi).filter(|card| card.face(source.operator).is_some())
    }

    /// The email of an operator; None for an account that is gone or cannot be opened.
    pub fn email(&self, operator: OperatorKey) -> Option<String> {
        let number = i32::try_from(operator.0).ok()?;
        Some(self.accounts().id(number)?.email.clone())
    }

    /// Reads everything again.
    pub async fn read_all(&self) -> Result<()> {
        self.read_accounts().await?;
        self.read_places().await?;
        let (taxis, profiles, cards) = (
            self.directory.taxis().begin_reading(),
            self.engine.profiles().begin_reading(),
            self.cards.begin_reading(),
        );
        let (mut read, mut after) = (Vec::new(), 0);
        let last = self.upkeep.last_taxi().await?;
        let mut rows = Vec::new();
        loop {
            // What is read is understood while the next is read.
            let understood = aside(move || group(&rows).filter_map(ProjectedTaxi::new).collect::<Vec<_>>());
            if after >= last {
                read.extend(understood.await?);
                break;
            }
            let upto = after.saturating_add(TAXIS_A_READING);
            let (part, next) =
                tokio::try_join!(understood, self.upkeep.projected(Which::Between(after, upto)))?;
            read.extend(part);
            (rows, after) = (next, upto);
        }
        let memory = (self.directory.clone(), self.engine.clone(), self.cards.clone());
        aside(move || {
            let (directory, engine, all_cards) = memory;
            directory.taxis().finish_reading(
                &taxis,
                read.iter().map(|taxi| (taxi.card.public_id.as_str().into(), taxi.version, taxi.directory())),
            );
            engine.profiles().finish_reading(
                &profiles,
                read.iter().map(|taxi| (taxi.key, taxi.version, taxi.profile.clone())),
            );
            let read = read.into_iter().map(|taxi| (taxi.key, taxi.version, Arc::new(taxi.card)));
            all_cards.finish_reading(&cards, read);
        })
        .await
    }

    /// Reads again what changed.
    pub async fn read_change(&self, change: Change) -> Result<()> {
        match change {
            Change::User(_) => self.read_accounts().await,
            Change::Places => self.read_places().await,
            Change::Taxi(id) => self.read_taxis(Which::Taxi(id)).await,
            Change::Vehicle(id) => self.read_taxis(Which::Vehicle(id)).await,
        }
    }

    /// Reads taxis that a client names and memory does not know: it may have registered them through another process a
    /// moment ago. What is not in the rows stays unknown; so does everything while these cannot be read.
    pub async fn look_again(&self, public_ids: &[&str]) {
        if !self.store.is_shared() {
            return;
        }
        let read = async {
            for public_id in public_ids {
                if let Some(id) = self.store.taxi_called(public_id).await? {
                    self.read_change(Change::Taxi(id)).await?;
                }
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = read.await {
            tracing::debug!(%error, "taxis that are unknown here were not looked for");
        }
    }

    async fn read_taxis(&self, which: Which) -> Result<()> {
        let rows = self.upkeep.projected(which).await?;
        for taxi in group(&rows).filter_map(ProjectedTaxi::new) {
            self.directory.taxis().put(taxi.card.public_id.as_str().into(), taxi.version, taxi.directory());
            self.engine.profiles().put(taxi.key, taxi.version, taxi.profile);
            self.cards.put(taxi.key, taxi.version, Arc::new(taxi.card));
        }
        Ok(())
    }

    /// The lock makes readings follow each other: the last one to begin is the last one to be seen.
    async fn read_accounts(&self) -> Result<()> {
        let _one_at_a_time = self.accounts_read.lock().await;
        let reading = self.directory.operators().begin_reading();
        let accounts = open_accounts(&self.upkeep, &self.secret).await?;
        self.directory.operators().finish_reading(&reading, accounts.iter().filter_map(operator));
        self.accounts.store(Arc::new(Accounts::new(accounts)));
        Ok(())
    }

    async fn read_places(&self) -> Result<()> {
        let mut read = self.places_read.lock().await;
        let stamp = self.upkeep.places_stamp().await?;
        if *read == Some(stamp) {
            return Ok(());
        }
        let places = self.upkeep.places().await?;
        let make = move || {
            let territory = Arc::new(geometry::territory(places)?);
            Ok::<_, StoreError>((territory.clone(), Gazetteer::new(territory)))
        };
        let (territory, gazetteer) = aside(make).await??;
        self.territory.store(territory);
        self.gazetteer.store(Arc::new(gazetteer));
        *read = Some(stamp);
        Ok(())
    }
}

/// Does what takes a while where no request waits for it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Unavailable(sqlx::Error::Protocol(error.to_string())))
}

async fn open_accounts(store: &Store, secret: &SecretKey) -> Result<Vec<Account>> {
    let open = |(row, roles): (UserRow, _)| {
        let email = row.email.clone();
        let opened = Account::open(row, roles, secret);
        // One account that another key sealed is shut out alone.
        opened.inspect_err(|error| tracing::error!(email, %error, "an account is left out")).ok()
    };
    Ok(store.users().await?.into_iter().filter_map(open).collect())
}

/// An account that may send datagrams, as the directory wants it.
fn operator(account: &Account) -> Option<(Box<str>, u64, Operator)> {
    let key = OperatorKey(u32::try_from(account.id).ok()?);
    let version = u64::try_from(account.version).ok()?;
    let operator = Operator::new(key, account.api_key());
    account.is_operator().then(|| (account.email.as_str().into(), version, operator))
}

/// Rows of one taxi after the other.
fn group(rows: &[ProjectedRow]) -> impl Iterator<Item = &[ProjectedRow]> {
    rows.chunk_by(|a, b| a.taxi_id == b.taxi_id)
}

/// One taxi as memory holds it, from one snapshot of its rows.
struct ProjectedTaxi {
    key: TaxiKey,
    version: u64,
    profile: Profile,
    card: Card,
}

impl ProjectedTaxi {
    /// None for rows that no version of the program writes; they are left out rather than shown wrong.
    fn new(rows: &[ProjectedRow]) -> Option<Self> {
        let first = rows.first()?;
        let version: i64 = first.taxi_version + rows.iter().map(|row| row.description_version).sum::<i64>();
        let mut descriptions = BTreeMap::new();
        for row in rows {
            let operator = OperatorKey(u32::try_from(row.operator_id).ok()?);
            let status: Status = row.status.parse().ok()?;
            let radius_m = row.radius.and_then(|radius| u16::try_from(radius).ok());
            descriptions.insert(operator, Description { operator, status, radius_m });
        }
        Some(Self {
            key: TaxiKey(u32::try_from(first.taxi_id).ok()?),
            version: u64::try_from(version).ok()?,
            profile: Profile {
                ads_town: first.insee.parse::<Insee>().ok()?,
                descriptions: descriptions.into_values().collect(),
            },
            card: Card::new(rows)?,
        })
    }

    fn directory(&self) -> Taxi {
        let operators = self.profile.descriptions.iter().map(|description| description.operator).collect();
        Taxi { key: self.key, operators }
    }
}
