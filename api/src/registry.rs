//! The registry: rows in SQL, and what memory holds of them.
//!
//! Every write goes through here: it commits and projects in one detached task, so that a client that hangs up skips
//! neither. Search, positions and authentication read memory alone.

use std::sync::Arc;

use arc_swap::ArcSwap;
use engine::engine::Engine;
use engine::territory::Territory;
use ingest::clock::Millis;
use ingest::directory::{Directory, Operator};
use ingest::position::{OperatorKey, SourceKey, TaxiKey};
use tokio::sync::{Mutex, Notify, mpsc, watch};

use crate::certify::report::Signer;
use crate::hail::meters::Meters;
use crate::limits::{CALLS_MAX, TAXIS_A_READING};
use crate::secrets::SecretKey;
use crate::store::bulk::Text;
use crate::store::changes::Change;
use crate::store::hails::HailRow;
use crate::store::projected::Which;
use crate::store::users::UserRow;
use crate::store::{Result, Store, StoreError};

pub mod accounts;
pub mod card;
pub mod connected;
pub mod follow;
pub mod gazetteer;
pub mod geometry;
mod reading;
mod webhooks;
mod writes;

pub use writes::{NewAccount, add_user, rotate_key};

use accounts::{Account, Accounts};
use card::Card;
use connected::{Connected, LastFound};
use gazetteer::Gazetteer;
use reading::{Readings, Taxis};

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
    taxis: Taxis,
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
            taxis: Taxis { directory: Arc::default(), cards: Arc::default(), engine },
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

    /// What signs reports of acceptance runs.
    pub fn signer(&self) -> Signer {
        Signer::new(&self.secret)
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
        self.connected.now(&self.taxis.engine, now)
    }

    /// Who may report which taxi.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.taxis.directory
    }

    /// What an app may see of a taxi.
    pub fn card(&self, taxi: TaxiKey) -> Option<Arc<Card>> {
        self.taxis.cards.get(&taxi)
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
        let reading = Arc::new(self.taxis.begin_reading());
        let (mut after, last, mut text) = (0, self.upkeep.last_taxi().await?, None);
        self.taxis.reserve(self.upkeep.taxis_there().await?);
        while after < last {
            let upto = after.saturating_add(TAXIS_A_READING);
            // What is read is understood while the next is read.
            let ((), next) = tokio::try_join!(
                self.understand(text, &reading),
                self.upkeep.projected(Which::Between(after, upto))
            )?;
            (after, text) = (upto, Some(next));
        }
        self.understand(text, &reading).await?;
        let taxis = self.taxis.clone();
        aside(move || taxis.finish_reading(&reading)).await
    }

    async fn understand(&self, text: Option<Text>, reading: &Arc<Readings>) -> Result<()> {
        let Some(text) = text else { return Ok(()) };
        let (taxis, reading) = (self.taxis.clone(), reading.clone());
        aside(move || taxis.put(&text, &reading)).await?
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
        self.taxis.put(&self.upkeep.projected(which).await?, &Readings::default())
    }

    /// The lock makes readings follow each other: the last one to begin is the last one to be seen.
    async fn read_accounts(&self) -> Result<()> {
        let _one_at_a_time = self.accounts_read.lock().await;
        let operators = self.taxis.directory.operators();
        let reading = operators.begin_reading();
        let accounts = open_accounts(&self.upkeep, &self.secret).await?;
        for (email, version, operator) in accounts.iter().filter_map(operator) {
            operators.put_read(&reading, email, version, operator);
        }
        operators.finish_reading(&reading);
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
