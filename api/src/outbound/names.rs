//! Names of hosts and their addresses: a few looked up at a time, one lookup a name.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::address::is_public;
use super::error::CallError;

/// What a lookup found, once it ended; nothing where the name is unknown.
type Found = Option<Vec<IpAddr>>;

/// Looks names up for connections, and gives those addresses to which one may be made.
#[derive(Clone, Debug)]
pub(super) struct Names {
    private_allowed: bool,
    turns: Arc<Semaphore>,
    /// One lookup a name: a partner whose name servers hang takes no turn of others, however often it is called.
    under_way: Arc<Mutex<HashMap<String, watch::Receiver<Found>>>>,
}

/// Looks a name up in a task of its own: a lookup cannot be cancelled, and holds its turn until it ends.
pub(crate) fn look_up(host: String, turn: impl Send + 'static) -> JoinHandle<Vec<IpAddr>> {
    tokio::spawn(async move {
        let found = tokio::net::lookup_host((host, 0)).await;
        drop(turn);
        found.map_or_else(|_| Vec::new(), |found| found.map(|address| address.ip()).collect())
    })
}

impl Names {
    /// So many are looked up at a time.
    pub(super) fn new(lookups: usize, private_allowed: bool) -> Self {
        let turns = Arc::new(Semaphore::new(lookups));
        Self { private_allowed, turns, under_way: Arc::default() }
    }

    /// What the lookup of this name that is under way will find; begins one where there is none.
    fn lookup(&self, host: &str) -> watch::Receiver<Found> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = under_way.get(host) {
            return lookup.clone();
        }
        let (ended, lookup) = watch::channel(None);
        under_way.insert(host.to_owned(), lookup.clone());
        let (names, host) = (self.clone(), host.to_owned());
        tokio::spawn(async move {
            let found = match names.turns.acquire_owned().await {
                Ok(turn) => look_up(host.clone(), turn).await.unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            names.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&host);
            ended.send_replace(Some(found));
        });
        lookup
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let (mut lookup, private_allowed) = (self.lookup(name.as_str()), self.private_allowed);
        Box::pin(async move {
            let found = lookup.wait_for(Option::is_some).await.map_err(|_| CallError::UnknownName)?.clone();
            let callable = callable(found.unwrap_or_default(), private_allowed)?;
            // The port is the URL's.
            let addresses = callable.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// Those addresses to which a connection may be made.
fn callable(mut found: Vec<IpAddr>, private_allowed: bool) -> Result<Vec<IpAddr>, CallError> {
    if found.is_empty() {
        return Err(CallError::UnknownName);
    }
    found.retain(|ip| private_allowed || is_public(*ip));
    if found.is_empty() { Err(CallError::NotPublic) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PARTNER_LOOKUPS_MAX;

    async fn resolve(names: &Names, host: &str) -> Result<Vec<IpAddr>, CallError> {
        let resolved = names.resolve(host.parse().unwrap()).await;
        resolved
            .map(|found| found.map(|address| address.ip()).collect())
            .map_err(|error| *error.downcast_ref::<CallError>().unwrap())
    }

    #[test]
    fn only_public_addresses_are_called() {
        let addresses = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        let mixed = addresses(&["10.0.0.1", "8.8.8.8", "::1"]);
        assert_eq!(callable(mixed.clone(), false), Ok(addresses(&["8.8.8.8"])));
        assert_eq!(callable(mixed.clone(), true), Ok(mixed));
        assert_eq!(callable(addresses(&["10.0.0.1", "fd00::1"]), false), Err(CallError::NotPublic));
        assert_eq!(callable(Vec::new(), true), Err(CallError::UnknownName));
    }

    #[tokio::test]
    async fn a_name_of_our_own_network_is_refused_unless_allowed() {
        assert_eq!(
            resolve(&Names::new(PARTNER_LOOKUPS_MAX, false), "localhost").await,
            Err(CallError::NotPublic)
        );
        assert!(
            resolve(&Names::new(PARTNER_LOOKUPS_MAX, true), "localhost")
                .await
                .unwrap()
                .iter()
                .all(IpAddr::is_loopback)
        );
        assert_eq!(
            resolve(&Names::new(PARTNER_LOOKUPS_MAX, true), "nobody.invalid").await,
            Err(CallError::UnknownName)
        );
    }

    #[tokio::test]
    async fn a_name_that_hangs_takes_one_turn() {
        let names = Names::new(PARTNER_LOOKUPS_MAX, true);
        let turns = u32::try_from(PARTNER_LOOKUPS_MAX).unwrap();
        let held = names.turns.clone().acquire_many_owned(turns).await.unwrap();
        let mut lookups: Vec<_> = (0..10).map(|_| names.lookup("localhost")).collect();
        tokio::task::yield_now().await;
        assert_eq!(names.under_way.lock().unwrap().len(), 1);
        assert!(lookups.iter().all(|lookup| lookup.borrow().is_none()), "it waits for its turn");
        drop(held);
        for lookup in &mut lookups {
            assert!(
                lookup.wait_for(Option::is_some).await.unwrap().as_ref().is_some_and(|ips| !ips.is_empty())
            );
        }
        assert!(names.under_way.lock().unwrap().is_empty());
        assert_eq!(names.turns.available_permits(), PARTNER_LOOKUPS_MAX);
    }
}
