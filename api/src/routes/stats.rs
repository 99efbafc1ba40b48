//! `GET /stats/*`: figures, for administrators; and a few for everybody.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::error::{Answer, Problem};
use crate::openapi::Operation;

pub mod adsmap;
pub mod groupements;
pub mod groups;
pub mod hails;
pub mod heatmaps;
pub mod letaxi;
pub mod searches;
pub mod taxis;

/// What was so before each of four instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Milestones {
    /// Now.
    pub today: i64,
    /// Three months ago, at this time of day; so are the others.
    pub three_months_ago: i64,
    /// Six months ago.
    pub six_months_ago: i64,
    /// A year ago.
    pub twelve_months_ago: i64,
}

impl Milestones {
    /// A figure of what was known at each instant, in the order of [`crate::statistics::calendar::milestones`].
    pub(super) fn of<T>(known: &[T], figure: impl Fn(&T) -> i64) -> Self {
        let mut figures = known.iter().map(figure);
        let mut next = || figures.next().unwrap_or_default();
        Self { today: next(), three_months_ago: next(), six_months_ago: next(), twelve_months_ago: next() }
    }
}

/// Looks at millions of things on a thread that may take its time.
async fn aside<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(look).await.map_err(|error| Problem::internal().because(&error))
}

/// The arguments by which figures are narrowed, which [`crate::statistics::filter::Filter`] reads.
pub(super) fn narrowed(operation: Operation) -> Operation {
    let errors = json!({"groups": {"1": ["Not a valid integer."]}});
    operation
        .argument("departements", "Numbers of departments, separated by commas: only what is in one of them.")
        .argument("insee", "INSEE codes of towns, separated by commas: only what is in one of them.")
        .argument("groups", "Numbers of accounts, separated by commas: only what is of one of them.")
        .argument("manager", "Number of an account: only what is of the accounts that it manages.")
        .refuses(400, "An account is no number; it is told by its place in the list.", &errors)
}
