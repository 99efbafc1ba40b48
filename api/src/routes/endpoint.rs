//! Where an operator takes hails: over HTTP, and not inside our own network unless that is allowed.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::{Answer, Problem};
use crate::limits::{LOOKUP_WITHIN, LOOKUPS_MAX};

/// One for the process, as its threads are: a lookup that nobody waits for any more still holds one.
static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);

/// A URL over HTTP, and what is left to ask of its host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// May be called.
    Callable,
    /// May be called if all its addresses are public.
    Named(String, u16),
}

impl Endpoint {
    /// None for what certainly cannot be called.
    pub(super) fn read(text: &str, private_allowed: bool) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        if private_allowed {
            return Some(Self::Callable);
        }
        match host.trim_matches(['[', ']']).parse() {
            Ok(address) => is_public(address).then_some(Self::Callable),
            Err(_) => Some(Self::Named(host.to_owned(), port)),
        }
    }

    /// Whether it may be called, asking the network; 503 where too many ask.
    pub(super) async fn is_public(&self) -> Answer<bool> {
        match self {
            Self::Callable => Ok(true),
            Self::Named(host, port) => is_public_host(host.clone(), *port, &LOOKUPS, LOOKUP_WITHIN).await,
        }
    }
}

async fn is_public_host(
    host: String,
    port: u16,
    lookups: &'static Semaphore,
    within: Duration,
) -> Answer<bool> {
    let Ok(Ok(turn)) = timeout(within, lookups.acquire()).await else {
        return Err(Problem::overloaded("names to look up"));
    };
    // A task of its own: a lookup cannot be cancelled, and holds its place until it ends.
    let lookup = tokio::spawn(async move {
        let found = tokio::net::lookup_host((host, port)).await;
        drop(turn);
        found.is_ok_and(|mut addresses| addresses.all(|address| is_public(address.ip())))
    });
    Ok(matches!(timeout(within, lookup).await, Ok(Ok(true))))
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let reserved = a == 0 || a >= 240 || (a == 198 && (b == 18 || b == 19));
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || shared
                || reserved)
        }
        // What has an IPv4 address inside: mapped or compatible (`::1` and `::` among them), translated, 6to4.
        IpAddr::V6(ip) => match ip.segments() {
            [0, 0, 0, 0, 0, 0 | 0xffff, ..] => ip.to_ipv4().is_some_and(|inside| is_public(inside.into())),
            [0x64, 0xff9b, ..] | [0x2002, ..] => false,
            _ => !(ip.is_multicast() || ip.is_unique_local() || ip.is_unicast_link_local()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_network_is_not_public() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "2002:a00:1::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "::ffff:8.8.8.8", "2001:4860:4860::8888"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[tokio::test]
    async fn endpoints_are_http_and_public_unless_allowed() {
        assert_eq!(Endpoint::read("http://127.0.0.1:9/hail", false), None);
        assert_eq!(Endpoint::read("http://[::1]/", false), None);
        assert_eq!(Endpoint::read("http://127.0.0.1:9/hail", true), Some(Endpoint::Callable));
        assert_eq!(Endpoint::read("https://8.8.8.8/", false), Some(Endpoint::Callable));
        assert_eq!(Endpoint::read("ftp://127.0.0.1/", true), None);
        assert_eq!(Endpoint::read("not a url", true), None);
        let named = Endpoint::read("http://localhost/hail", false).unwrap();
        assert_eq!(named, Endpoint::Named("localhost".to_owned(), 80));
        assert!(!named.is_public().await.unwrap());
    }

    #[tokio::test]
    async fn lookups_wait_for_their_turn_and_not_for_long() {
        static ONE: Semaphore = Semaphore::const_new(1);
        let ask = |within| is_public_host("localhost".to_owned(), 80, &ONE, Duration::from_millis(within));
        let held = ONE.acquire().await.unwrap();
        assert!(ask(10).await.is_err());
        drop(held);
        assert!(!ask(60_000).await.unwrap());
        assert!(ask(60_000).await.is_ok(), "an ended lookup leaves its place");
    }
}
