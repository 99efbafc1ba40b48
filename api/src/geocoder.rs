//! Where a customer stands, in words: asked of a geocoder of the national address API's shape, if there is one.

use std::sync::Arc;
use std::time::Duration;

use ingest::position::LatLon;
use reqwest::{Client, Url};
use serde::Deserialize;
use thiserror::Error;
use tokio::time::timeout;

use crate::limits::{ADDRESS_MAX_CHARS, GEOCODED_WITHIN};
use crate::outbound::{self, CallError};

/// A geocoder, or none. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Geocoder(Option<Arc<Service>>);

#[derive(Debug)]
struct Service {
    client: Client,
    url: Url,
    within: Duration,
}

/// Why a geocoder said nothing. No position is in it: it goes into the log.
#[derive(Debug, PartialEq, Eq, Error)]
enum Failure {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the answer's status was {0}")]
    Status(u16),
    #[error("the answer was no collection of features")]
    Shape,
}

#[derive(Deserialize)]
struct Collection {
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    properties: Option<Properties>,
}

#[derive(Deserialize)]
struct Properties {
    label: Option<String>,
}

impl Geocoder {
    /// The one at `url`, which may lie in our own network: whoever runs the registry chose it.
    pub fn new(url: Option<Url>) -> reqwest::Result<Self> {
        Self::answering_within(GEOCODED_WITHIN, url)
    }

    fn answering_within(within: Duration, url: Option<Url>) -> reqwest::Result<Self> {
        let Some(url) = url else { return Ok(Self(None)) };
        let client = outbound::client(|builder| builder)?;
        Ok(Self(Some(Arc::new(Service { client, url, within }))))
    }

    /// The address at a point; None without a geocoder, and where it is slow, fails, or knows none.
    pub async fn address(&self, at: LatLon) -> Option<String> {
        let asked = self.0.as_ref()?.ask(at).await;
        asked.unwrap_or_else(|failure| {
            tracing::debug!(%failure, "the geocoder told no address");
            None
        })
    }
}

impl Service {
    async fn ask(&self, at: LatLon) -> Result<Option<String>, Failure> {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("lon", &at.lon().to_string())
            .append_pair("lat", &at.lat().to_string())
            .append_pair("limit", "1");
        let asked = timeout(self.within, outbound::exchange(self.client.get(url))).await;
        let reply = asked.unwrap_or(Err(CallError::TimedOut))?;
        if reply.status != 200 {
            return Err(Failure::Status(reply.status));
        }
        let found: Collection = serde_json::from_slice(&reply.body).map_err(|_| Failure::Shape)?;
        let first = found.features.into_iter().next().and_then(|feature| feature.properties);
        let label = first.and_then(|properties| properties.label).unwrap_or_default();
        // What no app could have written is none.
        let fits = |label: &&str| {
            !label.is_empty() && !label.contains('\0') && label.chars().count() <= ADDRESS_MAX_CHARS
        };
        Ok(Some(label.trim()).filter(fits).map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::extract::RawQuery;
    use axum::http::StatusCode;
    use axum::routing::{MethodRouter, get};
    use axum::{Json, Router};
    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    use super::*;
    use crate::outbound::partner;

    /// A test that waits so long fails.
    const PATIENCE: Duration = Duration::from_mins(1);

    async fn geocoder(answer: MethodRouter, within: Duration) -> Geocoder {
        let at = partner::serve(Router::new().route("/reverse", answer)).await;
        let url = format!("http://{at}/reverse?index=address").parse().unwrap();
        Geocoder::answering_within(within, Some(url)).unwrap()
    }

    fn paris() -> LatLon {
        LatLon::new(48.8566, 2.3522).unwrap()
    }

    async fn asked(answer: MethodRouter) -> Result<Option<String>, Failure> {
        geocoder(answer, PATIENCE).await.0.unwrap().ask(paris()).await
    }

    #[tokio::test]
    async fn the_label_of_the_nearest_is_the_address() {
        let (heard, mut hears) = mpsc::channel(1);
        let answer = |RawQuery(query): RawQuery| async move {
            heard.send(query).await.unwrap();
            let feature =
                |label: &str| json!({"type": "Feature", "properties": {"label": label, "score": 1}});
            let features = [feature(" 1 Place de l'Hôtel de Ville 75004 Paris "), feature("elsewhere")];
            Json(json!({"type": "FeatureCollection", "features": features}))
        };
        let address = geocoder(get(answer), PATIENCE).await.address(paris()).await;
        assert_eq!(address.as_deref(), Some("1 Place de l'Hôtel de Ville 75004 Paris"));
        assert_eq!(
            hears.recv().await.unwrap().as_deref(),
            Some("index=address&lon=2.3522&lat=48.8566&limit=1")
        );
    }

    #[tokio::test]
    async fn a_point_without_an_address_has_none() {
        for features in [
            json!([]),
            json!([{}]),
            json!([{"properties": null}]),
            json!([{"properties": {}}]),
            json!([{"properties": {"label": null}}]),
            json!([{"properties": {"label": " "}}]),
        ] {
            let answer = Json(json!({"features": features}));
            assert_eq!(asked(get(|| async { answer })).await, Ok(None));
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_told_from_none() {
        for body in [json!({"features": {}}), json!([]), json!({"code": 400}), json!("a")] {
            let answer: Json<Value> = Json(body);
            assert_eq!(asked(get(|| async { answer })).await, Err(Failure::Shape));
        }
        let broken = asked(get(|| async { StatusCode::INTERNAL_SERVER_ERROR })).await;
        assert_eq!(broken, Err(Failure::Status(500)));
        let away = asked(get(|| async { axum::response::Redirect::temporary("/reverse?again") })).await;
        assert_eq!(away, Err(Failure::Status(307)));
        let slow = geocoder(get(pending::<()>), Duration::from_millis(50)).await;
        assert_eq!(slow.0.as_ref().unwrap().ask(paris()).await, Err(Failure::Call(CallError::TimedOut)));
        assert_eq!(slow.address(paris()).await, None);
    }

    #[tokio::test]
    async fn without_a_geocoder_nothing_has_an_address() {
        assert_eq!(Geocoder::new(None).unwrap().address(paris()).await, None);
    }
}
