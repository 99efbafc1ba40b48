//! What was asked of the API and what it said: what a page is made of, and what it shows to who learns it.

use std::fmt::Write as _;

use axum::http::{Method, StatusCode};
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::refused;
use crate::console::layout::{self, Notice};
use crate::error::{Answer, Problem};
use crate::guide::pretty;

/// A request and its answer.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) method: Method,
    /// With its query.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) status: StatusCode,
    /// Null where there is none.
    pub(super) answer: Value,
}

impl Exchange {
    /// Whether what was asked was granted.
    pub(super) fn is_granted(&self) -> bool {
        self.status.is_success()
    }

    /// The elements of the answer. A refusal is the page's.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Answer<Vec<T>> {
        if !self.is_granted() {
            return Err(Problem::new(self.status, self.answer["errors"].clone()));
        }
        let read = serde_json::from_value(self.answer["data"].clone());
        read.map_err(|error| Problem::internal().because(&error))
    }

    /// Why it was refused, to be told at once.
    pub(super) fn refusal(&self) -> Markup {
        refused::notice(self.status, &self.answer["errors"])
    }

    /// As one writes it: the key is everybody's own, and not shown.
    fn request(&self) -> String {
        let mut text = format!("{} {}\nX-Api-Key: …\nX-Version: 2", self.method, self.path);
        if let Some(body) = &self.body {
            // Writing to a String cannot fail.
            let _ = write!(text, "\nContent-Type: application/json\n\n{}", pretty(body));
        }
        text
    }

    fn response(&self) -> String {
        let body = if self.answer.is_null() { "(sans corps)".to_owned() } else { pretty(&self.answer) };
        format!("HTTP {}\n\n{body}", self.status)
    }
}

/// What somebody did on a page: requests one after the other, of which the last alone may have been refused.
#[derive(Debug)]
pub(super) struct Done {
    /// What is said where it was granted.
    what: &'static str,
    pub(super) exchanges: Vec<Exchange>,
}

impl Done {
    /// What one request did.
    pub(super) fn new(what: &'static str, exchange: Exchange) -> Self {
        Self::all(what, vec![exchange])
    }

    /// What several did.
    pub(super) fn all(what: &'static str, exchanges: Vec<Exchange>) -> Self {
        Self { what, exchanges }
    }

    fn refused(&self) -> Option<&Exchange> {
        self.exchanges.last().filter(|last| !last.is_granted())
    }

    /// Whether it was granted.
    pub(super) fn is_granted(&self) -> bool {
        self.refused().is_none()
    }

    /// What the page answers: it is there, even where what was asked for is not.
    pub(super) fn status(&self) -> StatusCode {
        match self.refused().map(|last| last.status) {
            None => StatusCode::OK,
            Some(StatusCode::NOT_FOUND) => StatusCode::BAD_REQUEST,
            Some(status) => status,
        }
    }

    /// What is said of it first.
    pub(super) fn notice(&self) -> Markup {
        self.refused().map_or_else(|| layout::notice(Some(Notice::Done(self.what))), Exchange::refusal)
    }
}

/// What was just asked and answered, for who is to write it.
pub(super) fn shown(exchanges: &[Exchange]) -> Markup {
    html! {
        details.screen {
            summary { "Échange avec l’API" }
            div #exchange {
                @if exchanges.is_empty() { p { "Rien n’a encore été demandé sur cette page." } }
                @for exchange in exchanges {
                    div.exchange {
                        (code(&exchange.request(), "Requête"))
                        (code(&exchange.response(), "Réponse"))
                    }
                }
            }
        }
    }
}

fn code(text: &str, label: &str) -> Markup {
    html! { pre.code tabindex="0" role="region" aria-label=(label) { code { (text) } } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_exchange_is_shown_as_it_is_written_without_the_key() {
        let exchange = Exchange {
            method: Method::PUT,
            path: "/taxis/yCnSfFy".to_owned(),
            body: Some(json!({"data": [{"status": "<free>"}]})),
            status: StatusCode::OK,
            answer: Value::Null,
        };
        let html = shown(&[exchange]).into_string();
        assert!(html.contains("PUT /taxis/yCnSfFy\nX-Api-Key: …\nX-Version: 2\nContent-Type"), "{html}");
        assert!(html.contains("HTTP 200 OK\n\n(sans corps)") && html.contains("&lt;free&gt;"), "{html}");
    }

    #[test]
    fn what_was_refused_is_the_last() {
        let exchange = |status| Exchange {
            method: Method::GET,
            path: "/".to_owned(),
            body: None,
            status,
            answer: json!({"errors": {"": ["no"]}}),
        };
        let done = Done::all("fait", vec![exchange(StatusCode::OK), exchange(StatusCode::NOT_FOUND)]);
        assert!(!done.is_granted() && done.status() == StatusCode::BAD_REQUEST);
        let problem = done.exchanges[1].read::<Value>().unwrap_err();
        assert_eq!((problem.status(), problem.errors()), (StatusCode::NOT_FOUND, &json!({"": ["no"]})));
        assert!(Done::new("fait", exchange(StatusCode::CREATED)).is_granted());
    }
}
