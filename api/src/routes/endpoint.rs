//! Where an operator takes hails: over HTTP, and not inside our own network unless that is allowed.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::{Answer, Problem};
use crate::limits::{LOOKUP_WITHIN, LOOKUPS_MAX};
use crate::outbound::address::{self, is_public};
use crate::outbound::names::look_up;

/// One for the process, as its threads are: a lookup that nobody waits for any more still holds one.
static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);

/// A URL over HTTP, and what is left to ask of its host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// May be called.
    Callable,
    /// May be called if all its addresses are public.
    Named(String),
}

impl Endpoint {
    /// None for what certainly cannot be called.
    pub(super) fn read(text: &str, private_allowed: bool) -> Option<Self> {
        let url = address::read(text)?;
        match address::literal(&url) {
            _ if private_allowed => Some(Self::Callable),
            Some(address) => is_public(address).then_some(Self::Callable),
            None => Some(Self::Named(url.host_str()?.to_owned())),
        }
    }

    /// Whether it may be called, asking the network; 503 where too many ask.
    pub(super) async fn is_public(&self) -> Answer<bool> {
        match self {
            Self::Callable => Ok(true),
            Self::Named(host) => is_public_host(host.clone(), &LOOKUPS, LOOKUP_WITHIN).await,
        }
    }
}

async fn is_public_host(host: String, lookups: &'static Semaphore, within: Duration) -> Answer<bool> {
    let Ok(Ok(turn)) = timeout(within, lookups.acquire()).await else {
        return Err(Problem::overloaded("names to look up"));
    };
    let found = timeout(within, look_up(host, turn)).await;
    Ok(found.is_ok_and(|found| found.is_ok_and(|ips| !ips.is_empty() && ips.into_iter().all(is_public))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn endpoints_are_http_and_public_unless_allowed() {
        assert_eq!(Endpoint::read("http://127.0.0.1:9/hail", false), None);
        assert_eq!(Endpoint::read("http://[::1]/", false), None);
        assert_eq!(Endpoint::read("http://127.0.0.1:9/hail", true), Some(Endpoint::Callable));
        assert_eq!(Endpoint::read("https://8.8.8.8/", false), Some(Endpoint::Callable));
        assert_eq!(Endpoint::read("ftp://127.0.0.1/", true), None);
        assert_eq!(Endpoint::read("not a url", true), None);
        let named = Endpoint::read("http://localhost/hail", false).unwrap();
        assert_eq!(named, Endpoint::Named("localhost".to_owned()));
        assert!(!named.is_public().await.unwrap());
    }

    #[tokio::test]
    async fn lookups_wait_for_their_turn_and_not_for_long() {
        static ONE: Semaphore = Semaphore::const_new(1);
        let ask = |within| is_public_host("localhost".to_owned(), &ONE, Duration::from_millis(within));
        let held = ONE.acquire().await.unwrap();
        assert!(ask(10).await.is_err());
        drop(held);
        assert!(!ask(60_000).await.unwrap());
        assert!(ask(60_000).await.is_ok(), "an ended lookup leaves its place");
    }
}
