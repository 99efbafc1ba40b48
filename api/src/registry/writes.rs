//! Writes: each commits and projects in one task of its own.

use std::future::Future;
use std::sync::Arc;

use super::Registry;
use crate::activity::Actor;
use crate::hail::dispatch::lease_ms;
use crate::role::Role;
use crate::secrets::{SecretError, SecretKey, api_key_digest, new_api_key};
use crate::store::ads::Ads;
use crate::store::changes::Change;
use crate::store::customers::{CustomerChanges, CustomerRow};
use crate::store::drivers::Driver;
use crate::store::hails::change::{Changed, Held, Step};
use crate::store::hails::{HailRow, NewHail, NotHailed};
use crate::store::users::{NewUser, UserChanges};
use crate::store::vehicles::{DescriptionChanges, DescriptionRow};
use crate::store::{Result, Store, StoreError};

/// Letters and digits that are not mistaken for each other, of which public ids are made.
const ID_ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const ID_LENGTH: usize = 7;
/// How often a public id may turn out to be taken before we give up; one in a million is, at most.
const ID_TRIES: usize = 8;

impl Registry {
    /// Adds or updates a driver. True: it is new.
    pub async fn put_driver(self: &Arc<Self>, operator: i32, driver: Driver) -> Result<bool> {
        let registry = self.clone();
        detached(async move { registry.store.put_driver(operator, &driver).await }).await
    }

    /// Adds or replaces an ADS. True: it is new.
    pub async fn put_ads(self: &Arc<Self>, operator: i32, ads: Ads) -> Result<bool> {
        let registry = self.clone();
        detached(async move { registry.store.put_ads(operator, &ads).await }).await
    }

    /// Adds or changes what an operator says of a vehicle. True: it is new.
    pub async fn put_vehicle(
        self: &Arc<Self>,
        operator: i32,
        plate: String,
        by: DescriptionChanges,
    ) -> Result<(DescriptionRow, bool)> {
        let registry = self.clone();
        detached(async move {
            let (row, new) = registry.store.put_vehicle(operator, &plate, &by).await?;
            registry.project(Change::Vehicle(row.vehicle_id)).await;
            Ok((row, new))
        })
        .await
    }

    /// Adds a taxi of these parts, or finds it. Gives its public id, and whether it is new.
    pub async fn put_taxi(self: &Arc<Self>, operator: i32, parts: (i32, i32, i32)) -> Result<(String, bool)> {
        let registry = self.clone();
        detached(async move {
            let mut tries = 0;
            loop {
                tries += 1;
                match registry.store.put_taxi(operator, parts, &new_public_id()?).await {
                    Ok((id, public_id, new)) => {
                        registry.project(Change::Taxi(id)).await;
                        return Ok((public_id, new));
                    }
                    Err(StoreError::Conflict(_)) if tries < ID_TRIES => {}
                    Err(error) => return Err(error),
                }
            }
        })
        .await
    }

    /// Sets status and radius of a taxi as `operator` describes its vehicle.
    pub async fn set_availability(
        self: &Arc<Self>,
        by: Actor,
        operator: i32,
        public_id: String,
        availability: (Option<&'static str>, Option<Option<i32>>),
    ) -> Result<()> {
        let registry = self.clone();
        detached(async move {
            if let Some(vehicle) =
                registry.store.set_availability(by, operator, &public_id, availability).await?
            {
                registry.project(Change::Vehicle(vehicle)).await;
            }
            Ok(())
        })
        .await
    }

    /// Sets the one account that finds a taxi which `operator` registered; see [`Store::set_trial`]. False: it
    /// registered no such taxi.
    pub async fn set_trial(
        self: &Arc<Self>,
        by: Actor,
        operator: i32,
        public_id: String,
        account: Option<i32>,
    ) -> Result<bool> {
        let registry = self.clone();
        detached(async move {
            let taxi = registry.store.set_trial(by, operator, &public_id, account).await?;
            if let Some(taxi) = taxi {
                registry.project(Change::Taxi(taxi)).await;
            }
            Ok(taxi.is_some())
        })
        .await
    }

    /// Makes a hail under a fresh id.
    pub async fn create_hail(
        self: &Arc<Self>,
        by: Actor,
        new: NewHail,
    ) -> Result<std::result::Result<HailRow, NotHailed>> {
        let registry = self.clone();
        detached(async move {
            let mut tries = 0;
            loop {
                tries += 1;
                let made = match registry.store.create_hail(by, &new_public_id()?, &new, lease_ms()).await {
                    Err(StoreError::Conflict(_)) if tries < ID_TRIES => continue,
                    made => made?,
                };
                if let Ok(hail) = &made {
                    // The operator is called while memory catches up; by whoever comes first where too many are to be.
                    let _ = registry.made.0.try_send(hail.clone());
                    registry.hails_moved.notify_one();
                    registry.hail_meters.came_to(hail.status);
                    registry.project(Change::Vehicle(hail.vehicle_id)).await;
                }
                return Ok(made);
            }
        })
        .await
    }

    /// Lets `decide` say what is to happen to a hail, and does it; see [`Store::change_hail`].
    pub async fn change_hail<E: Send + 'static>(
        self: &Arc<Self>,
        by: Actor,
        id: String,
        held: Held,
        decide: impl FnOnce(&HailRow) -> std::result::Result<Step, E> + Send + 'static,
    ) -> Result<Option<Changed<E>>> {
        let registry = self.clone();
        detached(async move {
            // Deadlines and operators' answers find room however many clients ask.
            let store = if by == Actor::REGISTRY { &registry.upkeep } else { &registry.store };
            let changed = store.change_hail(by, &id, held, decide).await?;
            if let Some(changed) = &changed {
                let ended = changed.was_due.is_some();
                if ended || changed.moved_from.is_some() {
                    registry.hails_moved.notify_one();
                    registry.hail_meters.came_to(changed.row.status);
                }
                if let Some(due_at) = changed.was_due {
                    registry.hail_meters.ended_late(changed.row.status_at - due_at);
                }
                if changed.moved_taxi {
                    registry.project(Change::Vehicle(changed.row.vehicle_id)).await;
                }
            }
            Ok(changed)
        })
        .await
    }

    /// Bans or reprieves a customer of an app; see [`Store::change_customer`].
    pub async fn change_customer(
        self: &Arc<Self>,
        app: i32,
        customer: String,
        changes: CustomerChanges,
    ) -> Result<Option<CustomerRow>> {
        let registry = self.clone();
        detached(async move { registry.store.change_customer(app, &customer, changes).await }).await
    }

    /// Changes an account, as `by` wishes. `operator_api_key` is sealed here. False: there is no such account.
    pub async fn change_user(
        self: &Arc<Self>,
        by: Actor,
        (id, email): (i32, String),
        mut changes: UserChanges,
        operator_api_key: Option<String>,
    ) -> Result<bool> {
        let registry = self.clone();
        detached(async move {
            if let Some(secret) = operator_api_key {
                changes.operator_api_key_sealed = Some(seal(&registry.secret, &email, &secret)?);
            }
            let found = registry.store.change_user(by, id, &changes).await?;
            registry.project(Change::User(id)).await;
            Ok(found)
        })
        .await
    }

    /// Adds an account with a fresh API key, as `by` wishes; gives its number and the key. A conflict: the email is
    /// taken.
    pub async fn add_user(self: &Arc<Self>, by: Actor, account: NewAccount) -> Result<(i32, String)> {
        let registry = self.clone();
        detached(async move {
            let (id, key) = add(&registry.store, &registry.secret, by, &account).await?;
            registry.project(Change::User(id)).await;
            Ok((id, key))
        })
        .await
    }

    /// Gives an account of this version a fresh API key in place of the old one, as `by` wishes; gives the key. None:
    /// there is no such account, or it has another version by now.
    pub async fn rotate_key(
        self: &Arc<Self>,
        by: Actor,
        (id, email): (i32, String),
        version: i64,
    ) -> Result<Option<String>> {
        let (key, mut changes) = fresh_key(&self.secret, &email)?;
        changes.if_version = Some(version);
        Ok(self.change_user(by, (id, email), changes, None).await?.then_some(key))
    }

    /// Projects a change that is committed. Where that fails the write stands all the same, and everything is read
    /// again as soon as the database answers.
    async fn project(&self, change: Change) {
        if let Err(error) = self.read_change(change).await {
            tracing::warn!(%error, %change, "a change is committed but cannot be read back yet");
            self.stale.notify_one();
        }
    }
}

/// An account to be added.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its fixed name.
    pub email: String,
    /// Its commercial name.
    pub name: String,
    /// Argon2id of its password; empty: none.
    pub password_hash: String,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Who manages it.
    pub manager_id: Option<i32>,
}

/// Adds an account with a fresh API key, on the command line; gives its number and the key. A conflict: the email is
/// taken.
pub async fn add_user(
    store: &Store,
    secret: &SecretKey,
    (email, name): (&str, &str),
    password_hash: &str,
    roles: &[Role],
) -> Result<(i32, String)> {
    let (email, name, password_hash) = (email.to_owned(), name.to_owned(), password_hash.to_owned());
    let account = NewAccount { email, name, password_hash, roles: roles.to_vec(), manager_id: None };
    add(store, secret, Actor::COMMAND_LINE, &account).await
}

async fn add(store: &Store, secret: &SecretKey, by: Actor, account: &NewAccount) -> Result<(i32, String)> {
    let NewAccount { email, name, password_hash, roles, manager_id } = account;
    let key = new_api_key().map_err(|error| unsealable(email, &error))?;
    let sealed = seal(secret, email, &key)?;
    let user = NewUser {
        email,
        name,
        password_hash,
        apikey_sha256: &api_key_digest(&key),
        apikey_sealed: &sealed,
        roles,
        manager_id: *manager_id,
    };
    Ok((store.add_user(by, &user).await?, key))
}

/// Gives an account a fresh API key in place of the old one.
pub async fn rotate_key(store: &Store, secret: &SecretKey, (id, email): (i32, &str)) -> Result<String> {
    let (key, changes) = fresh_key(secret, email)?;
    store.change_user(Actor::COMMAND_LINE, id, &changes).await?;
    Ok(key)
}

/// A fresh API key, and the change that makes it an account's.
fn fresh_key(secret: &SecretKey, email: &str) -> Result<(String, UserChanges)> {
    let key = new_api_key().map_err(|error| unsealable(email, &error))?;
    let apikey = Some((api_key_digest(&key), seal(secret, email, &key)?));
    Ok((key, UserChanges { apikey, ..UserChanges::default() }))
}

fn seal(secret: &SecretKey, email: &str, value: &str) -> Result<String> {
    secret.seal(email, value).map_err(|error| unsealable(email, &error))
}

fn unsealable(email: &str, error: &SecretError) -> StoreError {
    StoreError::Damaged { table: "users", key: email.to_owned(), reason: error.to_string() }
}

fn new_public_id() -> Result<String> {
    let bytes: [u8; 8 * ID_LENGTH] = crate::secrets::random().map_err(|error| StoreError::Damaged {
        table: "taxis",
        key: String::new(),
        reason: error.to_string(),
    })?;
    let letter = |chunk: &[u8]| {
        let number = chunk.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        // 57 divides 2^64 unevenly by one part in 10^17.
        char::from(ID_ALPHABET[usize::try_from(number % 57).unwrap_or(0)])
    };
    Ok(bytes.chunks(8).map(letter).collect())
}

/// Runs `work` to its end even if the caller goes away.
pub(super) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The program is ending.
            Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolClosed)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_ids_are_seven_readable_characters_each_its_own() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| new_public_id().unwrap()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 7 && id.bytes().all(|b| ID_ALPHABET.contains(&b))));
    }
}
