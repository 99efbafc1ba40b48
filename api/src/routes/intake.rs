//! `GET /operators/me/positions`: what came of the datagrams sent with the caller's key.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ingest::gate::{Age, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use super::naive_timestamp;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::envelope::{self, Elements};
use crate::openapi::{Chapter, Operation};
use crate::role::REGISTRARS;

/// What came of an operator's datagrams.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Intake)]
pub struct IntakeAnswer {
    /// Email of the operator.
    pub operator: String,
    /// Since when they are counted: ISO 8601 in UTC, without an offset.
    pub since: String,
    /// How many were accepted.
    pub accepted: u64,
    /// How many passed every check in compact datagrams, of which alone it is known that none came twice.
    pub compact: u64,
    /// How many were refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// How far their devices' time was from that of their receipt, in datagrams and by `POST /positions`: how many
    /// positions `up_to_5_s`, `up_to_15_s`, `up_to_60_s` and `over_60_s`. One without a readable time is none of these.
    pub ages: BTreeMap<&'static str, u64>,
    /// How many the kernel dropped before they were read, of all senders; null where it does not say.
    pub dropped_by_kernel: Option<u64>,
}

/// Counts since this process started, whoever sent with the key: accepted, and refused by reason. Beside them what the
/// kernel dropped before it was read, of all senders, where it says so.
pub async fn read(State(app): State<App>, caller: Caller) -> Answer<Json<Elements<IntakeAnswer>>> {
    caller.require(REGISTRARS)?;
    let operator = caller.operator();
    let drops = app.intake.drops.clone().ok_or_else(no_datagrams)?;
    let dropped = tokio::task::spawn_blocking(move || drops.count()).await;
    let refused = app.refusals.refused_of(operator);
    let overloaded = refused.iter().find(|(reason, _)| *reason == Refusal::Overloaded);
    // What found the log full had passed every check before.
    let accepted =
        app.refusals.accepted_of(operator).saturating_sub(overloaded.map_or(0, |(_, count)| *count));
    Ok(envelope::of_one(IntakeAnswer {
        operator: caller.0.email.clone(),
        since: naive_timestamp(app.intake.started_at.0),
        accepted,
        compact: app.refusals.compact_of(operator),
        refused: refused.iter().map(|(reason, count)| (reason.name(), *count)).collect(),
        ages: told_ages(|age| app.refusals.accepted_at(operator, age)),
        dropped_by_kernel: dropped.ok().and_then(Result::ok),
    }))
}

fn told_ages(count: impl Fn(Age) -> u64) -> BTreeMap<&'static str, u64> {
    let told = Age::ALL.into_iter().filter(|age| *age != Age::Unknown);
    told.map(|age| (age.name(), count(age))).collect()
}

/// `GET /operators/me/positions` in the reference.
pub fn describe_read() -> Operation {
    let answer = IntakeAnswer {
        operator: "my-taxis".to_owned(),
        since: "2026-11-25T07:30:00".to_owned(),
        accepted: 81_000,
        compact: 0,
        refused: BTreeMap::from([(Refusal::BadHash.name(), 3)]),
        ages: told_ages(|age| if age == Age::UpTo5s { 81_000 } else { 0 }),
        dropped_by_kernel: Some(0),
    };
    let about = "Counted since the process that answers was started, whoever sent with the key.";
    Operation::new(Chapter::Operators, "What came of the datagrams sent with the caller's key", about)
        .roles(REGISTRARS)
        .one(200, "The counts.", &answer)
        .refuses_with("The process takes no datagrams.", &no_datagrams())
}

fn no_datagrams() -> Problem {
    Problem::url(StatusCode::NOT_FOUND, "This process takes no datagrams; ask one that does.")
}
