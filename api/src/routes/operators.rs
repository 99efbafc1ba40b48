//! `GET /operators/me/refusals`: what was refused of an operator's positions, why, and the latest examples.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use ingest::clock::Millis;
use ingest::gate::Refusal;
use ingest::gate::heaviest::Heaviest;
use ingest::limits::{MAX_CLOCK_SKEW_MS, MAX_DATAGRAM, MAX_REFUSED_SOURCES, MAX_REFUSED_TAXIS};
use ingest::position::Transport;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::naive_timestamp;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::envelope::{self, Elements};
use crate::form::instant::instant;
use crate::form::messages;
use crate::form::query::Query;
use crate::limits::{POSITIONS_MAX, REFUSALS_READ_MAX, REFUSALS_READ_TURN_WITHIN};
use crate::openapi::{Chapter, Operation};
use crate::refused::{Example, RETENTION_DAYS, RETENTION_MS, Refused, hour};
use crate::role::{REGISTRARS, Role};
use crate::store::Store;

/// How far back is looked where nothing is said: a day.
const SINCE_DEFAULT_MS: i64 = 24 * 3_600_000;
/// Taxis and addresses that are told apart while the hours of a month are added up.
const SUM_ROOM: usize = 200;

const _: () = assert!(MAX_DATAGRAM == 1_024 && POSITIONS_MAX == 50, "messages say so");
const _: () = assert!(SUM_ROOM >= MAX_REFUSED_TAXIS && SUM_ROOM >= MAX_REFUSED_SOURCES);

/// What was refused of an operator's positions.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Refusals)]
pub struct RefusalsAnswer {
    /// Email of the operator.
    pub operator: String,
    /// Since when: ISO 8601 in UTC, without an offset.
    pub since: String,
    /// From when on they are counted: the beginning of that hour.
    pub counted_from: String,
    /// How many in all.
    pub total: u64,
    /// By reason, the most frequent first.
    pub reasons: Vec<ReasonAnswer>,
}

/// What was refused for one reason.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RefusalReason)]
pub struct ReasonAnswer {
    /// Its name.
    pub reason: &'static str,
    /// What it means.
    pub message: &'static str,
    /// How many.
    pub count: u64,
    /// When the last one was.
    pub last_at: String,
    /// The taxis that were named most often, each at least so often.
    pub taxis: Vec<RefusedTaxi>,
    /// How many named others or none.
    pub other_taxis: u64,
    /// The addresses that most came from, each at least so many.
    pub sources: Vec<RefusedSource>,
    /// How many came from others, or nobody knows from where.
    pub other_sources: u64,
    /// The latest, the last one first.
    pub examples: Vec<ExampleAnswer>,
}

/// A taxi that was named.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedTaxi {
    /// The id as it was sent, cut if it is long.
    pub taxi: String,
    /// How often.
    pub count: u64,
}

/// An address, without the port; where there is a proxy, the proxy's.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedSource {
    /// The address.
    pub address: String,
    /// How many came from there.
    pub count: u64,
}

/// One refused position.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RefusedExample)]
pub struct ExampleAnswer {
    /// When it was received.
    pub at: String,
    /// `udp` or `http`.
    pub transport: &'static str,
    /// Where it came from.
    pub address: Option<String>,
    /// What it said, as JSON: the fields that count, as sent, without the hash.
    pub text: String,
}

/// What was refused, by reason, the most frequent first. Of oneself (`me`), or by number for administrators.
pub async fn refusals(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Answer<Json<Elements<RefusalsAnswer>>> {
    caller.require(REGISTRARS)?;
    // Where somebody's devices are is for nobody who merely borrows the account.
    caller.require_own_account()?;
    let (operator, email) = whose(&app, &caller, &id)?;
    let since = read_since(&query, app.clock.now())?;
    let mut sums: Vec<_> = add_up(app.registry.store(), operator, since).await?.into_values().collect();
    sums.sort_by_key(|(_, sum)| Reverse(sum.count));
    Ok(envelope::of_one(RefusalsAnswer {
        operator: email,
        since: naive_timestamp(since.0),
        counted_from: naive_timestamp(hour(since).0),
        total: sums.iter().map(|(_, sum)| sum.count).sum(),
        reasons: sums.iter().map(|(reason, sum)| render(*reason, sum, since)).collect(),
    }))
}

/// By the name of their reason.
type Sums = BTreeMap<&'static str, (Refusal, Refused)>;

/// One for the process, as its cores are.
static READINGS: Semaphore = Semaphore::const_new(REFUSALS_READ_MAX);

/// Adds up page by page, in its turn and aside: a month may be ten thousand rows, and anybody can fill them. 503 where
/// too many wait.
async fn add_up(store: &Store, operator: i32, since: Millis) -> Answer<Sums> {
    let mut turn = turn(&READINGS, REFUSALS_READ_TURN_WITHIN).await?;
    let (mut sums, mut after) = (Sums::new(), None);
    loop {
        let page = store.refusals(operator, since, after.as_ref()).await?;
        after = page.next();
        // The turn goes along: who no longer waits does not stop it.
        let adding = tokio::task::spawn_blocking(move || {
            for (reason, refused) in page.decode() {
                let nothing = || (reason, Refused::with_room(SUM_ROOM, SUM_ROOM));
                sums.entry(reason.name()).or_insert_with(nothing).1.add(refused);
            }
            (sums, turn)
        });
        (sums, turn) = adding.await.map_err(|_| Problem::internal())?;
        if after.is_none() {
            return Ok(sums);
        }
    }
}

async fn turn(readings: &'static Semaphore, within: Duration) -> Answer<SemaphorePermit<'static>> {
    match timeout(within, readings.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Problem::overloaded("readings of refusals")),
    }
}

/// `GET /operators/{id}/refusals` in the reference.
pub fn describe_refusals() -> Operation {
    let at = || "2026-11-25T07:58:18".to_owned();
    let example = ExampleAnswer {
        at: at(),
        transport: "udp",
        address: Some("192.0.2.7".to_owned()),
        text: r#"{"timestamp":"1795593498","operator":"my-taxis","lat":"48.8566","lon":"2.3522"}"#.to_owned(),
    };
    let reason = ReasonAnswer {
        reason: Refusal::BadHash.name(),
        message: message(Refusal::BadHash),
        count: 3,
        last_at: at(),
        taxis: vec![RefusedTaxi { taxi: "yCnSfFy".to_owned(), count: 3 }],
        other_taxis: 0,
        sources: vec![RefusedSource { address: "192.0.2.7".to_owned(), count: 3 }],
        other_sources: 0,
        examples: vec![example],
    };
    let answer = RefusalsAnswer {
        operator: "my-taxis".to_owned(),
        since: "2026-11-25T00:00:00".to_owned(),
        counted_from: "2026-11-25T00:00:00".to_owned(),
        total: 3,
        reasons: vec![reason],
    };
    let about = "Datagrams and positions over HTTP, seen within ten seconds and kept for 31 days. A datagram counts \
                 for the operator that it names, whoever sent it. Of a refused request each wrong position counts.";
    Operation::new(Chapter::Operators, "What of an operator's positions was refused, and why", about)
        .roles(REGISTRARS)
        .path(
            "id",
            &json!({"type": "string"}),
            "`me`; for administrators the number of any account, too.",
            "me",
        )
        .argument("since", "ISO 8601 or seconds since 1970, at most 31 days ago; by default a day ago.")
        .one(200, "What was refused, by reason.", &answer)
        .refuses_with("`since` is no instant, too long ago or in the future.", &wrong_since(NO_INSTANT))
        .refuses_with("No account of this number, or none that the caller may see.", &no_such_user("9999"))
}

fn whose(app: &App, caller: &Caller, id: &str) -> Answer<(i32, String)> {
    if id == "me" {
        return Ok((caller.0.id, caller.0.email.clone()));
    }
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::unknown_path());
    }
    let accounts = app.registry.accounts();
    let account = id.parse().ok().and_then(|number| accounts.id(number));
    // Who else there is is for administrators to know.
    let visible = account.filter(|account| account.id == caller.0.id || caller.0.has(Role::Admin));
    let account = visible.ok_or_else(|| no_such_user(id))?;
    Ok((account.id, account.email.clone()))
}

fn no_such_user(id: &str) -> Problem {
    Problem::url(StatusCode::NOT_FOUND, &format!("Unknown user {id}"))
}

const NO_INSTANT: &str = "Not a valid datetime: ISO 8601 or seconds since 1970 are accepted.";

fn wrong_since(message: &str) -> Problem {
    Problem::invalid(json!({"since": messages(message)}))
}

fn read_since(query: &Query, now: Millis) -> Answer<Millis> {
    let Some(text) = query.first("since") else {
        return Ok(now.plus(-SINCE_DEFAULT_MS));
    };
    let since = instant(text).ok_or_else(|| wrong_since(NO_INSTANT))?;
    if now.since(since) > RETENTION_MS {
        return Err(wrong_since(&format!("Must not be more than {RETENTION_DAYS} days ago.")));
    }
    if since.since(now) > MAX_CLOCK_SKEW_MS.cast_signed() {
        return Err(wrong_since("Must not be in the future; a number counts seconds since 1970."));
    }
    Ok(since)
}

fn render(reason: Refusal, sum: &Refused, since: Millis) -> ReasonAnswer {
    let (taxis, other_taxis) = heaviest(&sum.taxis, sum.count, MAX_REFUSED_TAXIS);
    let (sources, other_sources) = heaviest(&sum.sources, sum.count, MAX_REFUSED_SOURCES);
    let examples = sum.examples.iter().rev().filter(|example| example.at >= since).map(example);
    ReasonAnswer {
        reason: reason.name(),
        message: message(reason),
        count: sum.count,
        last_at: naive_timestamp(sum.last_at.0),
        taxis: taxis.into_iter().map(|(taxi, count)| RefusedTaxi { taxi, count }).collect(),
        other_taxis,
        sources: sources.into_iter().map(|(address, count)| RefusedSource { address, count }).collect(),
        other_sources,
        examples: examples.collect(),
    }
}

/// Those that certainly came most often, and how many the others and nobody are.
fn heaviest(weights: &Heaviest<String>, count: u64, most: usize) -> (Vec<(String, u64)>, u64) {
    let mut certain: Vec<_> =
        weights.weights().iter().map(|weight| (weight.name.clone(), weight.at_least())).collect();
    certain.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    certain.truncate(most);
    let told: u64 = certain.iter().map(|(_, count)| count).sum();
    (certain, count.saturating_sub(told))
}

fn example(example: &Example) -> ExampleAnswer {
    let transport = match example.transport {
        Transport::Udp => "udp",
        Transport::Http => "http",
    };
    ExampleAnswer {
        at: naive_timestamp(example.at.0),
        transport,
        address: example.from.clone(),
        text: example.text.clone(),
    }
}

/// What a reason means, and what to do about it.
fn message(reason: Refusal) -> &'static str {
    match reason {
        Refusal::TooLong => "A datagram has more than 1024 bytes, or a request more than 50 positions.",
        Refusal::NotUtf8 => "A datagram is not UTF-8, or a name in a compact one.",
        Refusal::Malformed => {
            "A compact datagram's bytes are not what its specification says (docs/protocol.md)."
        }
        Refusal::NotJson => "A datagram is not JSON.",
        Refusal::NotAnObject => "A datagram or a position is not a JSON object.",
        Refusal::MissingField => {
            "A field is missing. A datagram has timestamp, operator, version, lat, lon, device, taxi, status and hash; \
             a position over HTTP has taxi_id, lon and lat."
        }
        Refusal::WrongType => {
            "A field has a wrong type: texts are wanted, and where numbers are, numbers or texts that are numbers."
        }
        Refusal::UnknownField => "A position over HTTP has a field besides taxi_id, lon and lat.",
        Refusal::NotANumber => "The latitude or longitude is no decimal number.",
        Refusal::LatOutOfRange => "The latitude is not within -85.05112878 and 85.05112878 degrees.",
        Refusal::LonOutOfRange => "The longitude is not within -180 and 180 degrees.",
        Refusal::SpeedOutOfRange => "The speed is not within 0 and 150 m/s.",
        Refusal::HeadingOutOfRange => "The heading is not within 0 and 360 degrees.",
        Refusal::AccuracyOutOfRange => "The accuracy is not within 0 and 5000 m.",
        Refusal::UnknownOperator => "No operator has this email.",
        Refusal::BadHash => {
            "The hash is not the one that your API key makes: the device has another key, or does not hash the fields \
             in the order of the specification and exactly as it sends them."
        }
        Refusal::SentAtOff => {
            "A compact datagram was sent more than two minutes ago, or from now, by its sender's clock: set that right."
        }
        Refusal::Replayed => {
            "A compact datagram has a sequence number that came before in its session, or is a thousand behind. What \
             is sent again takes another number; a sender that starts takes another session."
        }
        Refusal::TooManySessions => {
            "You have more than 1024 sessions of compact datagrams within four minutes: a sender keeps its session."
        }
        Refusal::UnknownTaxi => "No taxi has this id; it is the one that POST /taxis answered with.",
        Refusal::NotTheirTaxi => {
            "The taxi is registered, but you have not described its vehicle (POST /vehicles)."
        }
        Refusal::Overloaded => "The registry had no room for it; nothing was wrong with it.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_reading_at_a_time_and_none_waits_for_long() {
        static ONE: Semaphore = Semaphore::const_new(1);
        let held = turn(&ONE, Duration::ZERO).await.unwrap();
        assert!(turn(&ONE, Duration::from_millis(10)).await.is_err());
        drop(held);
        assert!(turn(&ONE, Duration::ZERO).await.is_ok());
    }
}
