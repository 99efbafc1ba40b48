//! Requests over HTTP, by route, method and status.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use ingest::histogram::{Histogram, Snapshot};
use papaya::HashMap;

/// Ranges of the time that a request takes, in microseconds.
const BOUNDS_US: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// The route of what was answered before any was found, or has none.
const NO_ROUTE: &str = "none";

/// How long requests took. As many series as there are routes, methods that HTTP names, and statuses that we answer:
/// what clients send adds none.
#[derive(Debug, Default)]
pub struct Requests(HashMap<Key, Histogram>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) route: Box<str>,
    pub(super) method: &'static str,
    pub(super) status: u16,
}

impl Requests {
    /// Counts a request of this route (its pattern), that took so long.
    pub fn record(&self, route: Option<&str>, method: &Method, status: StatusCode, took: Duration) {
        let key = Key {
            route: route.unwrap_or(NO_ROUTE).into(),
            method: method_name(method),
            status: status.as_u16(),
        };
        let series = self.0.pin();
        match series.get(&key) {
            Some(histogram) => histogram.record(took),
            None => series.get_or_insert_with(key, || Histogram::new(&BOUNDS_US)).record(took),
        }
    }

    /// Every series, in order.
    pub(super) fn snapshot(&self) -> Vec<(Key, Snapshot)> {
        let series = self.0.pin();
        let mut all: Vec<_> =
            series.iter().map(|(key, histogram)| (key.clone(), histogram.snapshot())).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

/// A client may make up methods.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
