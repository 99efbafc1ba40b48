//! A fleet of made-up taxis against a server: registered through its API, moving, sending signed datagrams as devices
//! do, while their operators change statuses and customers search.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use ingest::counter::Counter;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fleet::outlines;
use crate::fleet::plan::Operator;
use crate::fleet::town::Town;
use crate::registry::geometry::shape;

pub mod drive;
pub mod register;

/// The server that is driven.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its HTTP interface.
    pub http: Url,
    /// Where it takes datagrams.
    pub udp: SocketAddr,
    client: reqwest::Client,
}

/// What the fleet did so far.
#[derive(Debug, Default)]
pub struct Done {
    /// Datagrams sent.
    pub sent: Counter,
    /// Statuses changed through the API.
    pub statuses: Counter,
    /// Searches answered.
    pub searches: Counter,
    /// Taxis that searches found.
    pub found: Counter,
    /// Requests and datagrams that failed.
    pub failed: Counter,
}

impl Target {
    /// A server at these addresses.
    pub fn new(http: Url, udp: SocketAddr) -> anyhow::Result<Self> {
        // Somebody else in the process may have installed one; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self { http, udp, client: reqwest::Client::builder().build()? })
    }

    /// Sends one element and gives the one that is answered.
    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        key: &str,
        element: &Value,
    ) -> anyhow::Result<Value> {
        let url = self.http.join(path)?;
        let request =
            self.client.request(method, url).header("X-Api-Key", key).json(&json!({"data": [element]}));
        let response = request.send().await.with_context(|| format!("asking {path}"))?;
        let status = response.status();
        let mut body: Value =
            response.json().await.with_context(|| format!("reading the answer of {path}"))?;
        if !status.is_success() {
            bail!("{path} answered {status}: {body}");
        }
        Ok(body["data"][0].take())
    }

    /// How many taxis an app finds around a point.
    async fn search(&self, key: &str, lon: f64, lat: f64) -> anyhow::Result<usize> {
        let mut url = self.http.join("/taxis")?;
        url.query_pairs_mut().append_pair("lon", &lon.to_string()).append_pair("lat", &lat.to_string());
        let response = self.client.get(url).header("X-Api-Key", key).send().await?;
        // An exclusion zone is an answer too.
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(0);
        }
        let body: Value = response.error_for_status()?.json().await?;
        Ok(body["data"].as_array().map_or(0, Vec::len))
    }
}

#[derive(Deserialize)]
struct Collection {
    features: Vec<geojson::Feature>,
}

/// The towns of the demonstration, or of them those with these INSEE codes.
pub fn towns(wanted: &[String]) -> anyhow::Result<Vec<Arc<Town>>> {
    let collection: Collection = serde_json::from_str(outlines().towns)?;
    let mut towns = Vec::new();
    for feature in collection.features {
        let text = |name: &str| {
            feature.property(name).and_then(Value::as_str).map(str::to_owned).context("a property")
        };
        let (insee, nom) = (text("insee")?, text("nom")?);
        if wanted.is_empty() || wanted.contains(&insee) {
            let geometry = feature.geometry.as_ref().context("a geometry")?;
            let shape = shape(geometry).map_err(|reason| anyhow::anyhow!("{nom}: {reason}"))?;
            towns.push(Arc::new(Town::new(insee, nom, shape).context("a town to drive in")?));
        }
    }
    let known = |insee: &String| towns.iter().any(|town| town.insee() == insee);
    if let Some(unknown) = wanted.iter().find(|insee| !known(insee)) {
        let known: Vec<_> =
            self::towns(&[])?.iter().map(|town| format!("{} {}", town.insee(), town.name())).collect();
        bail!("no outline of {unknown} ships with the program; there are {}", known.join(", "));
    }
    ensure!(!towns.is_empty(), "a fleet needs a town");
    Ok(towns)
}

/// `email:key`, as an operator is given on the command line.
pub fn parse_operator(text: &str) -> Result<Operator, String> {
    match text.rsplit_once(':') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() => {
            Ok(Operator { name: name.to_owned(), key: key.to_owned() })
        }
        _ => Err("EMAIL:KEY".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn towns_are_chosen_by_insee_code() {
        assert!(towns(&[]).unwrap().len() >= 10);
        let two = towns(&["75056".to_owned(), "69123".to_owned()]).unwrap();
        assert_eq!(two.len(), 2);
        let error = towns(&["99999".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("99999") && error.contains("75056 Paris"), "{error}");
    }

    #[test]
    fn an_operator_is_an_email_and_a_key() {
        let operator = parse_operator("a:b@x:key").unwrap();
        assert_eq!((operator.name.as_str(), operator.key.as_str()), ("a:b@x", "key"));
        assert!(parse_operator("nokey").is_err());
    }
}
