//! A fleet of made-up taxis against a server: registered through its API, moving, sending signed datagrams as devices
//! do, while their operators change statuses and customers search.

use std::net::SocketAddr;
use std::sync::Arc;

use ingest::counter::Counter;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::fleet::outlines;
use crate::fleet::plan::Operator;
use crate::fleet::town::Town;
use crate::registry::geometry::shape;

pub mod drive;
pub mod post;
pub mod register;

/// Why a fleet does not drive.
#[derive(Debug, Error)]
pub enum SimulationError {
    /// The server was not reached, or what it answered is no answer.
    #[error("asking {path}: {error}")]
    Request {
        /// What was asked.
        path: String,
        /// Why it failed.
        error: reqwest::Error,
    },
    /// The server refused.
    #[error("{path} answered {status}: {body}")]
    Refused {
        /// What was asked.
        path: String,
        /// The status of the answer.
        status: u16,
        /// What it said.
        body: String,
    },
    /// The server's address is none, or no client can be made.
    #[error("the server cannot be asked: {0}")]
    Client(String),
    /// A town that has no outline here.
    #[error("no outline of {insee} ships with the program; there are {known}")]
    UnknownTown {
        /// Which one.
        insee: String,
        /// Those there are.
        known: String,
    },
    /// The outlines that ship with the program cannot be read.
    #[error("the outlines are damaged: {0}")]
    Outlines(String),
    /// The socket of the datagrams.
    #[error("datagrams cannot be sent: {0}")]
    Socket(#[from] std::io::Error),
    /// The key is another operator's.
    #[error("the key given for {operator} is the key of {email}: datagrams signed with it would be refused")]
    NotTheKey {
        /// Whose key it was said to be.
        operator: String,
        /// Whose it is.
        email: String,
    },
    /// A task was cut off.
    #[error("a part of the simulation ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What the parts of a simulation return.
pub type Result<T> = std::result::Result<T, SimulationError>;

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
    /// Positions sent.
    pub sent: Counter,
    /// Statuses changed through the API.
    pub statuses: Counter,
    /// Searches answered.
    pub searches: Counter,
    /// Taxis that searches found.
    pub found: Counter,
    /// Requests that failed, and positions that were not sent.
    pub failed: Counter,
}

impl Target {
    /// A server at these addresses.
    pub fn new(http: Url, udp: SocketAddr) -> Result<Self> {
        // Somebody else in the process may have installed one; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().build();
        let client = client.map_err(|error| SimulationError::Client(error.to_string()))?;
        Ok(Self { http, udp, client })
    }

    /// Sends one element and gives the one that is answered.
    pub(crate) async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        key: &str,
        element: &Value,
    ) -> Result<Value> {
        let failed = |error| SimulationError::Request { path: path.to_owned(), error };
        let request = self.client.request(method, self.url(path)?).header("X-Api-Key", key);
        let response = request.json(&json!({"data": [element]})).send().await.map_err(failed)?;
        let status = response.status();
        let mut body: Value = response.json().await.map_err(failed)?;
        if !status.is_success() {
            let (status, body) = (status.as_u16(), body.to_string());
            return Err(SimulationError::Refused { path: path.to_owned(), status, body });
        }
        Ok(body["data"][0].take())
    }

    /// What is answered at a path.
    pub(crate) async fn get(&self, path: &str, key: &str) -> Result<Value> {
        let failed = |error| SimulationError::Request { path: path.to_owned(), error };
        let request = self.client.get(self.url(path)?).header("X-Api-Key", key);
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            let (path, status, body) =
                (path.to_owned(), status.as_u16(), response.text().await.map_err(failed)?);
            return Err(SimulationError::Refused { path, status, body });
        }
        response.json().await.map_err(failed)
    }

    /// How many taxis an app finds around a point.
    async fn search(&self, key: &str, lon: f64, lat: f64) -> Result<usize> {
        let failed = |error| SimulationError::Request { path: "/taxis".to_owned(), error };
        let mut url = self.url("/taxis")?;
        url.query_pairs_mut().append_pair("lon", &lon.to_string()).append_pair("lat", &lat.to_string());
        let response = self.client.get(url).header("X-Api-Key", key).send().await.map_err(failed)?;
        // An exclusion zone is an answer too.
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(0);
        }
        let body: Value = response.error_for_status().map_err(failed)?.json().await.map_err(failed)?;
        Ok(body["data"].as_array().map_or(0, Vec::len))
    }

    fn url(&self, path: &str) -> Result<Url> {
        self.http.join(path).map_err(|error| SimulationError::Client(error.to_string()))
    }
}

#[derive(Deserialize)]
struct Collection {
    features: Vec<geojson::Feature>,
}

/// The towns of the demonstration, or of them those with these INSEE codes.
pub fn towns(wanted: &[String]) -> Result<Vec<Arc<Town>>> {
    let damaged = |error: serde_json::Error| SimulationError::Outlines(error.to_string());
    let collection: Collection = serde_json::from_str(outlines().towns).map_err(damaged)?;
    let all = collection.features.iter().map(town).collect::<Result<Vec<_>>>()?;
    if let Some(insee) = wanted.iter().find(|insee| !all.iter().any(|town| town.insee() == insee.as_str())) {
        let known: Vec<_> = all.iter().map(|town| format!("{} {}", town.insee(), town.name())).collect();
        return Err(SimulationError::UnknownTown { insee: insee.clone(), known: known.join(", ") });
    }
    let chosen = |town: &Arc<Town>| wanted.is_empty() || wanted.iter().any(|insee| insee == town.insee());
    Ok(all.into_iter().filter(chosen).collect())
}

fn town(feature: &geojson::Feature) -> Result<Arc<Town>> {
    let damaged = |what: &str| SimulationError::Outlines(what.to_owned());
    let text = |name: &str| feature.property(name).and_then(Value::as_str).ok_or_else(|| damaged(name));
    let geometry = feature.geometry.as_ref().ok_or_else(|| damaged("geometry"))?;
    let shape = shape(geometry).map_err(SimulationError::Outlines)?;
    Town::new(text("insee")?, text("nom")?, shape)
        .map(Arc::new)
        .ok_or_else(|| damaged("a town without an inside"))
}

/// `email:key`, as an operator is given on the command line.
pub fn parse_operator(text: &str) -> std::result::Result<Operator, String> {
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
