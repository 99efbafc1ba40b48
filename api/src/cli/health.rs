//! `maraude health`: whether the server of the same settings is ready, for whoever watches over its process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::config::Config;
use crate::outbound;

/// How long the server may take to answer.
const WITHIN: Duration = Duration::from_secs(3);

/// Says which part is ready; fails unless all are.
pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let url = format!("http://{}/health/ready", reachable(config.http));
    let client = outbound::client(|client| client.timeout(WITHIN))?;
    let answer = client.get(&url).send().await.with_context(|| format!("asking {url}"))?;
    let is_ready = answer.status().is_success();
    let parts = answer.text().await?;
    if !is_ready {
        bail!("{url}: {parts}");
    }
    println!("{parts}");
    Ok(())
}

/// Where a server that listens on an address is found from its own machine: one that listens everywhere, on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, address.port()).into()
}
