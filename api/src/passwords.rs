//! Passwords are slow to hash, by design; here is how much of that is done at once, and how often one may be tried.
//!
//! A wrong password and an unknown account take the same time, and are throttled alike: neither tells which it was.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use ingest::clock::Millis;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{Answer, Problem};
use crate::secrets::{SecretError, api_key_digest, hash_password, is_password, new_api_key};

/// How many hashes are computed at once: each takes a core for tens of milliseconds, and 19 MiB.
pub const HASHES_AT_ONCE: usize = 2;
/// How many more may wait for their turn: a second or two of work; beyond that is refused.
pub const HASHES_WAITING_MAX: usize = 64;
/// How often passwords of one account may be tried in a window; a right one starts anew.
pub const TRIES_MAX: u32 = 10;
/// How long a window is, from its first try.
pub const TRIES_WINDOW: Duration = Duration::from_mins(1);
/// Of how many accounts tries are counted; the hashes of more do not fit in a window, or nearly so.
const ACCOUNTS_COUNTED_MAX: usize = 10_000;

/// Where passwords are hashed and tried. Shared by reference.
#[derive(Debug)]
pub struct Passwords {
    admitted: Semaphore,
    at_once: Semaphore,
    /// A hash of a password that nobody knows, compared with where there is no account.
    nobodys: String,
    /// By the digest of an email: when its window began, and the tries since.
    tries: Mutex<HashMap<String, (Millis, u32)>>,
}

impl Passwords {
    /// Hashes one password: takes as long.
    pub fn new() -> Result<Self, SecretError> {
        Ok(Self {
            admitted: Semaphore::new(HASHES_AT_ONCE + HASHES_WAITING_MAX),
            at_once: Semaphore::new(HASHES_AT_ONCE),
            nobodys: hash_password(&new_api_key()?)?,
            tries: Mutex::default(),
        })
    }

    /// The hash of a new password.
    pub async fn hash(&self, password: String) -> Answer<String> {
        self.slowly(self.admit()?, move || hash_password(&password)).await
    }

    /// Whether `hash` is of this password; without a hash it is not, after the same time. Refused (429) where the
    /// account of this email was tried too often.
    pub async fn is_right(
        &self,
        email: &str,
        password: String,
        hash: Option<&str>,
        now: Millis,
    ) -> Answer<bool> {
        // First: what is not tried counts nowhere, and only what is admitted takes room among the tries.
        let admitted = self.admit()?;
        let who = api_key_digest(email);
        if !self.may_try(&who, now) {
            return Err(too_many_tries());
        }
        let (known, hash) = (hash.is_some(), hash.unwrap_or(&self.nobodys).to_owned());
        let right = self.slowly(admitted, move || is_password(&password, &hash)).await? && known;
        if right {
            self.tries().remove(&who);
        }
        Ok(right)
    }

    /// Counts a try, before its outcome is known: tries at the same time count, too.
    fn may_try(&self, who: &str, now: Millis) -> bool {
        let window_ms = i64::try_from(TRIES_WINDOW.as_millis()).unwrap_or(i64::MAX);
        let is_old = |began: Millis| now.0 - began.0 >= window_ms;
        let mut tries = self.tries();
        if tries.len() >= ACCOUNTS_COUNTED_MAX && !tries.contains_key(who) {
            tries.retain(|_, (began, _)| !is_old(*began));
            // Whoever fills it within a window gains one account's tries a hash.
            if tries.len() >= ACCOUNTS_COUNTED_MAX {
                let oldest = tries.iter().min_by_key(|(_, (began, _))| *began);
                if let Some(oldest) = oldest.map(|(who, _)| who.clone()) {
                    tries.remove(&oldest);
                }
            }
        }
        let (began, count) = tries.entry(who.to_owned()).or_insert((now, 0));
        if is_old(*began) {
            (*began, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= TRIES_MAX
    }

    fn tries(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Millis, u32)>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among those that wait for their turn; refused (503) where too many do.
    fn admit(&self) -> Answer<SemaphorePermit<'_>> {
        self.admitted.try_acquire().map_err(|_| {
            let message = "Too many passwords are being checked. Please repeat this request.";
            Problem::whole(StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }

    /// Does slow work on a thread of its own, in its turn.
    async fn slowly<T: Send + 'static>(
        &self,
        _admitted: SemaphorePermit<'_>,
        work: impl FnOnce() -> Result<T, SecretError> + Send + 'static,
    ) -> Answer<T> {
        let Ok(_turn) = self.at_once.acquire().await else {
            return Err(Problem::internal());
        };
        let outcome = tokio::task::spawn_blocking(work).await.map_err(|_| Problem::internal())?;
        outcome.map_err(|error| Problem::internal().because(&error))
    }
}

/// The passwords of an account were tried too often.
pub fn too_many_tries() -> Problem {
    Problem::too_many("Too many passwords were tried. Please wait a minute.", TRIES_WINDOW.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Millis = Millis(1_790_000_000_000);

    #[tokio::test]
    async fn an_account_without_a_password_has_no_right_one() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        let is_right = async |password: &str, hash| {
            passwords.is_right("ann", password.to_owned(), hash, START).await.unwrap()
        };
        assert!(is_right("correct horse", Some(&hash)).await);
        assert!(!is_right("wrong horse", Some(&hash)).await);
        assert!(!is_right("correct horse", None).await);
    }

    #[test]
    fn tries_are_counted_by_account_and_window() {
        let passwords = Passwords::new().unwrap();
        assert!((0..TRIES_MAX).all(|_| passwords.may_try("ann", START)));
        assert!(!passwords.may_try("ann", START.plus(59_999)), "one past the limit");
        assert!(passwords.may_try("ben", START), "another account");
        assert!(passwords.may_try("ann", START.plus(60_000)), "another window");
    }

    #[test]
    fn tries_of_many_accounts_take_bounded_room() {
        let passwords = Passwords::new().unwrap();
        for number in 0..=ACCOUNTS_COUNTED_MAX {
            assert!(passwords.may_try(&number.to_string(), START));
        }
        assert!(passwords.tries().len() <= ACCOUNTS_COUNTED_MAX);
    }

    #[test]
    fn many_accounts_do_not_forget_one_that_is_being_guessed() {
        let passwords = Passwords::new().unwrap();
        for number in 0..ACCOUNTS_COUNTED_MAX - 1 {
            assert!(passwords.may_try(&number.to_string(), START));
        }
        assert!((0..TRIES_MAX).all(|_| passwords.may_try("ann", START.plus(1))));
        assert!(passwords.may_try("one more", START.plus(2)));
        assert!(!passwords.may_try("ann", START.plus(2)));
        assert_eq!(passwords.tries().len(), ACCOUNTS_COUNTED_MAX);
    }

    #[tokio::test]
    async fn what_is_not_admitted_is_not_counted() {
        let passwords = Passwords::new().unwrap();
        let room = u32::try_from(HASHES_AT_ONCE + HASHES_WAITING_MAX).unwrap();
        let _held = passwords.admitted.acquire_many(room).await.unwrap();
        assert!(passwords.is_right("ann", "a guess".to_owned(), None, START).await.is_err());
        assert!(passwords.tries().is_empty());
    }

    #[tokio::test]
    async fn what_cannot_wait_is_refused() {
        let passwords = Passwords::new().unwrap();
        let room = u32::try_from(HASHES_AT_ONCE + HASHES_WAITING_MAX).unwrap();
        let held = passwords.admitted.acquire_many(room - 1).await.unwrap();
        assert!(passwords.hash("the last that is admitted".to_owned()).await.is_ok());
        let last = passwords.admitted.acquire().await.unwrap();
        assert!(passwords.hash("one too many".to_owned()).await.is_err());
        drop((held, last));
        assert!(passwords.hash("again".to_owned()).await.is_ok());
    }
}
