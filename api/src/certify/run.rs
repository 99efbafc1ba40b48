//! What both runners share: the API as two accounts see it, and waiting for what the partner does.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use ingest::clock::Clock;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::observed::Hail;
use super::{Side, Trial};
use crate::limits::{
    CERTIFICATION_ANSWER_MAX_BYTES, CERTIFICATION_ANSWERED_WITHIN, CERTIFICATION_ASKS_AGAIN,
    CERTIFICATION_WAITS,
};
use crate::router::HttpService;
use crate::secrets::hex;

/// How much of an account's digest is in names: of a thousand accounts two share it with a probability of 3 %.
const MARK_CHARS: usize = 6;
/// What an account is answered that has asked too often.
const TOO_MANY_REQUESTS: u16 = 429;

/// Why a run ends without a report.
#[derive(Debug, Error)]
pub enum RunError {
    /// No client, or no address.
    #[error("the server cannot be asked: {0}")]
    Client(String),
    /// No answer came.
    #[error("asking {path}: {error}")]
    Request {
        /// What was asked.
        path: String,
        /// Why it failed.
        error: reqwest::Error,
    },
    /// Something that the run needs was refused.
    #[error("{path} answered {status}: {body}")]
    Refused {
        /// What was asked.
        path: String,
        /// The status of the answer.
        status: u16,
        /// What it said.
        body: String,
    },
    /// Somebody ended it.
    #[error("the run was stopped")]
    Stopped,
    /// Another operator of the taxi's vehicle is there, too, whose driver a hail may ring.
    #[error(
        "the vehicle of taxi {0} has another operator whose taxi is free, and who may be hailed in its place"
    )]
    Shared(String),
    /// The operator's taxi is not to be had.
    #[error("taxi {0} did not become free, with a position less than two minutes old")]
    NoTaxi(String),
}

/// What the parts of a run return.
pub type Result<T> = std::result::Result<T, RunError>;

/// A key, which is a secret, and the account that it acts for, if another.
#[derive(Clone)]
pub struct Party {
    /// The API key.
    pub key: String,
    /// The email for `X-Logas`.
    pub log_as: Option<String>,
}

/// How patient a run is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks at anything.
    pub poll: Duration,
    /// How long the partner may take for what is asked of it.
    pub patience: Duration,
    /// How many positions are waited for before the first hail.
    pub positions: usize,
    /// How long, at most.
    pub watch: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(500),
            patience: Duration::from_mins(5),
            positions: 12,
            watch: Duration::from_mins(2),
        }
    }
}

/// A run: who is judged, who plays the other side, and who hears how it goes.
pub struct Run<'a> {
    /// Who is judged.
    pub side: Side,
    /// The server.
    pub server: Server,
    /// The partner.
    pub partner: Party,
    /// Who plays the other side.
    pub counterpart: Party,
    /// How patient it is.
    pub pace: Pace,
    /// The time.
    pub clock: Clock,
    /// Ends it: what it has begun is tidied up first.
    pub stop: CancellationToken,
    /// Hears what the partner is to do now.
    pub tell: &'a (dyn Fn(String) + Send + Sync),
}

/// The server.
#[derive(Clone, Debug)]
pub enum Server {
    /// Somewhere, over HTTP.
    Http(Url, reqwest::Client),
    /// In this process.
    Within(HttpService),
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Null where it is no JSON.
    pub(super) body: Value,
    /// When to ask again, where it came too early.
    retry_after: Option<Duration>,
}

impl Server {
    /// The server at this address.
    pub fn new(base: Url) -> Result<Self> {
        // Somebody else in the process may have installed one; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(CERTIFICATION_ANSWERED_WITHIN).build();
        Ok(Self::Http(base, client.map_err(|error| RunError::Client(error.to_string()))?))
    }

    /// What answers requests in this process.
    pub fn within(service: HttpService) -> Self {
        Self::Within(service)
    }

    async fn answer(&self, request: Request<'_>, headers: &[(&str, &str)]) -> Result<Answer> {
        let body = request.element.map(|element| json!({"data": [element]}).to_string());
        let (status, retry_after, bytes) = match self {
            Self::Http(base, client) => {
                let failed = |error| RunError::Request { path: request.path.to_owned(), error };
                let url = base.join(request.path).map_err(|error| RunError::Client(error.to_string()))?;
                let asked = client.request(request.method, url);
                let asked = headers.iter().fold(asked, |asked, (name, value)| asked.header(*name, *value));
                let response = asked.body(body.unwrap_or_default()).send().await.map_err(failed)?;
                let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
                (status, retry_after, response.bytes().await.map_err(failed)?)
            }
            Self::Within(service) => {
                let failed = |error: &dyn std::fmt::Display| RunError::Client(error.to_string());
                let asked = axum::http::Request::builder().method(request.method).uri(request.path);
                let asked = headers.iter().fold(asked, |asked, (name, value)| asked.header(*name, *value));
                let asked =
                    asked.body(Body::from(body.unwrap_or_default())).map_err(|error| failed(&error))?;
                let response = service.clone().oneshot(asked).await.map_err(|error| failed(&error))?;
                let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
                let body = axum::body::to_bytes(response.into_body(), CERTIFICATION_ANSWER_MAX_BYTES).await;
                (status, retry_after, body.map_err(|error| failed(&error))?)
            }
        };
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default(), retry_after })
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// A request as somebody sends it.
#[derive(Clone)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) element: Option<&'a Value>,
}

/// What tells what an account's runs leave from what others' do: two runs that shared a taxi or a customer would see
/// each other's hails. It stays when the account's key changes, so that there is one taxi of an account.
pub(super) fn mark(account: &str) -> String {
    hex(&Sha256::digest(account)).chars().take(MARK_CHARS).collect()
}

impl Answer {
    /// The first element; null: there is none.
    pub(super) fn first(&mut self) -> Value {
        self.body.pointer_mut("/data/0").map(Value::take).unwrap_or_default()
    }

    /// The one element of an answer that grants what was asked.
    pub(super) fn element(mut self, path: &str) -> Result<Value> {
        if (200..300).contains(&self.status) {
            Ok(self.first())
        } else {
            Err(RunError::Refused { path: path.to_owned(), status: self.status, body: self.body.to_string() })
        }
    }
}

impl Run<'_> {
    /// Asks, and hears whatever is answered. Where the account has asked too often it waits, and asks again.
    pub(super) async fn ask(&self, party: &Party, request: Request<'_>) -> Result<Answer> {
        self.ask_under(party, None, request).await
    }

    /// The same under a name that the request is to have.
    pub(super) async fn ask_under(
        &self,
        party: &Party,
        name: Option<&str>,
        request: Request<'_>,
    ) -> Result<Answer> {
        let mut headers = vec![("X-Api-Key", party.key.as_str()), ("Content-Type", "application/json")];
        headers.extend(name.map(|name| ("Idempotency-Key", name)));
        headers.extend(party.log_as.as_deref().map(|email| ("X-Logas", email)));
        let mut answer = self.server.answer(request.clone(), &headers).await?;
        for _ in 0..CERTIFICATION_ASKS_AGAIN {
            if answer.status != TOO_MANY_REQUESTS {
                break;
            }
            sleep(answer.retry_after.unwrap_or(self.pace.poll).min(CERTIFICATION_WAITS)).await;
            answer = self.server.answer(request.clone(), &headers).await?;
        }
        Ok(answer)
    }

    /// What is at a path.
    pub(super) async fn get(&self, party: &Party, path: &str) -> Result<Value> {
        self.list(party, path).await.map(|mut data| data.get_mut(0).map(Value::take).unwrap_or_default())
    }

    /// The elements at a path.
    pub(super) async fn list(&self, party: &Party, path: &str) -> Result<Vec<Value>> {
        let request = Request { method: Method::GET, path, element: None };
        let mut answer = self.ask(party, request).await?;
        match answer.body.get_mut("data").map(Value::take) {
            Some(Value::Array(data)) if answer.status == 200 => Ok(data),
            _ => Err(RunError::Refused {
                path: path.to_owned(),
                status: answer.status,
                body: answer.body.to_string(),
            }),
        }
    }

    /// Sends an element that has to be taken.
    pub(super) async fn send(
        &self,
        party: &Party,
        method: Method,
        path: &str,
        element: &Value,
    ) -> Result<Value> {
        let request = Request { method, path, element: Some(element) };
        self.ask(party, request).await?.element(path)
    }

    /// Moves a hail, or adds to it. What came in between may stand against it: then nothing is done.
    pub(super) async fn moves(&self, party: &Party, hail: &str, wish: &Value) -> Result<()> {
        let path = format!("/hails/{hail}");
        let request = Request { method: Method::PUT, path: &path, element: Some(wish) };
        let answer = self.ask(party, request).await?;
        if answer.status == 400 { Ok(()) } else { answer.element(&path).map(drop) }
    }

    /// A hail as one side sees it.
    pub(super) async fn hail(&self, party: &Party, id: &str) -> Result<Hail> {
        let path = format!("/hails/{id}");
        let element = self.get(party, &path).await?;
        let body = element.to_string();
        Hail::read(&element).ok_or(RunError::Refused { path, status: 200, body })
    }

    /// What `look` finds, asked again and again; None where it finds nothing in the partner's time.
    pub(super) async fn until<T>(
        &self,
        mut look: impl AsyncFnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let deadline = Instant::now() + self.pace.patience;
        loop {
            if let Some(found) = look().await? {
                return Ok(Some(found));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            self.pause().await?;
        }
    }

    /// Until the next look, unless the run is stopped.
    pub(super) async fn pause(&self) -> Result<()> {
        tokio::select! {
            () = sleep(self.pace.poll) => Ok(()),
            () = self.stop.cancelled() => Err(RunError::Stopped),
        }
    }

    /// The email of the partner's account.
    pub(super) async fn account(&self) -> Result<String> {
        let path = "/users/me";
        let account = self.get(&self.partner, path).await?;
        let (email, body) = (account["email"].as_str().map(str::to_owned), account.to_string());
        email.ok_or(RunError::Refused { path: path.to_owned(), status: 200, body })
    }

    /// Tells the partner which trial is next.
    pub(super) fn announce(&self, trial: Trial) {
        let trials = self.side.trials();
        let number = trials.iter().position(|one| *one == trial).map_or(0, |place| place + 1);
        (self.tell)(format!("Essai {number} sur {} : {}.", trials.len(), self.side.asks(trial)));
    }
}
