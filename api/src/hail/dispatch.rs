//! Calls of operators' servers: each hail that is made is brought to its operator, at least once or not in time.
//!
//! That a call is due is a column of the hail. Any process takes what is due by putting it off, and goes on putting it
//! off while the call lasts: what a process that ended had taken is due again soon, and an operator may then hear of a
//! hail twice. Nobody is called once the hail's deadline has passed.
//!
//! Each operator has a line of its own: one that is slow keeps nobody else's hails waiting.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Event, Status};
use crate::activity::Actor;
use crate::app::App;
use crate::limits::{CALL_LEASE, CALLS_AN_OPERATOR, CALLS_EVERY, CALLS_MAX};
use crate::outbound;
use crate::registry::accounts::Account;
use crate::routes::hails::call;
use crate::store::Result;
use crate::store::hails::HailRow;
use crate::store::hails::change::{Call, Held, Step};

/// How many calls of each operator may be under way.
type Lines = Mutex<HashMap<i32, Arc<Semaphore>>>;

/// Calls whoever is to be called, until `stop`. Calls under way are cut off then: they are due again soon.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let lines = Arc::new(Lines::default());
    let mut calls = JoinSet::new();
    let mut ticker = interval(CALLS_EVERY);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.registry.calls_due().notified() => {}
            _ = ticker.tick() => {}
            Some(_) = calls.join_next() => continue,
        }
        let room = CALLS_MAX.saturating_sub(calls.len());
        let claimed = app.registry.upkeep().claim_calls(i64::try_from(room).unwrap_or(0), lease_ms()).await;
        match claimed {
            Ok(hails) => {
                is_failing = false;
                for hail in hails {
                    calls.spawn(bring(app.clone(), lines.clone(), hail));
                }
            }
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(%error, "operators are not called; trying again");
            }
            Err(_) => {}
        }
    }
}

fn lease_ms() -> i64 {
    i64::try_from(CALL_LEASE.as_millis()).unwrap_or(i64::MAX)
}

/// Brings a hail to its operator, if it is still to be brought.
async fn bring(app: App, lines: Arc<Lines>, id: String) {
    // What fails here fails on the database: the call is due again when the lease is over.
    if let Err(error) = try_bring(&app, &lines, &id).await {
        tracing::warn!(hail = id, %error, "a call of an operator's server will be repeated");
    }
}

async fn try_bring(app: &App, lines: &Lines, id: &str) -> Result<()> {
    let Some(hail) = app.registry.upkeep().hail(id).await?.filter(|hail| hail.status == Status::Received)
    else {
        return Ok(());
    };
    let operator = app.registry.accounts().id(hail.operator_id).cloned();
    let operator = operator.filter(|operator| !operator.hail_endpoint_production.is_empty());
    let Some(operator) = operator else {
        return record(app, &hail.id, Event::Offered, None, None, None).await;
    };
    let transitions = app.registry.upkeep().transitions(id).await?;
    let Ok(body) = call::body(app, &hail, &transitions) else { return Ok(()) };
    let line = line(lines, hail.operator_id);
    let calling = async {
        // Closed it is never.
        let _turn = line.acquire().await;
        post(app, &operator, &hail, body).await
    };
    let Some(ended) = renewing(app, id, calling).await else { return Ok(()) };
    match ended.outcome {
        Ok(number) => record(app, id, Event::CallAnswered, None, number, Some(ended.call)).await,
        Err(why) => record(app, id, Event::CallFailed, Some(why), None, Some(ended.call)).await,
    }
}

/// A call that ended, with the phone number that it gave or why it failed.
struct Ended {
    call: Call,
    outcome: std::result::Result<Option<String>, String>,
}

/// Calls an operator's server within what is left of a hail's time; None: nothing is.
async fn post(app: &App, operator: &Account, hail: &HailRow, body: Vec<u8>) -> Option<Ended> {
    let began = app.clock.now();
    let left_ms = hail.deadline_at? - began.0;
    let within = Duration::from_millis(u64::try_from(left_ms).ok().filter(|left| *left > 0)?);
    let own = Some((operator.operator_header_name.as_str(), operator.operator_api_key()));
    let call = outbound::Call {
        url: &operator.hail_endpoint_production,
        header: own.filter(|(name, _)| !name.is_empty()),
        signing_key: Some(operator.api_key()),
        body,
        at: began,
        within,
    };
    let reply = app.outbound.post(call).await;
    let outcome = match &reply {
        Ok(reply) => call::read(reply),
        Err(error) => Err(error.to_string()),
    };
    let told = match (&outcome, &reply) {
        (Err(why), _) => why.clone(),
        (Ok(_), Ok(reply)) => reply.status.to_string(),
        (Ok(_), Err(_)) => String::new(),
    };
    let took_ms = app.clock.now().since(began);
    app.registry.hail_meters().called(began.0 - hail.created_at, took_ms, outcome.is_ok());
    Some(Ended { call: Call { at: began.0, took_ms, outcome: told }, outcome })
}

/// Writes down how a call ended. Nothing happens to a hail that moved meanwhile, or whose time is over.
async fn record(
    app: &App,
    id: &str,
    event: Event,
    reason: Option<String>,
    number: Option<String>,
    call: Option<Call>,
) -> Result<()> {
    let clock = app.clock.clone();
    let step = move |hail: &HailRow| {
        let in_time = hail.deadline_at.is_some_and(|deadline| clock.now().0 < deadline);
        if hail.status != Status::Received || !in_time {
            return Ok(Step { call, ..Step::default() });
        }
        let number = number.filter(|number| !number.is_empty());
        let row = number.map(|taxi_phone_number| Box::new(HailRow { taxi_phone_number, ..hail.clone() }));
        Ok::<_, Infallible>(Step { event: Some(event), reason, row, call })
    };
    app.registry.change_hail(Actor::REGISTRY, id.to_owned(), Held::Wait, step).await?;
    Ok(())
}

/// Does `work` and keeps the call from other processes meanwhile.
async fn renewing<T>(app: &App, id: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut ticker = interval(CALL_LEASE / 3);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker.tick().await;
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticker.tick() => {
                // At worst the operator hears of the hail twice.
                let _ = app.registry.upkeep().renew_call(id, lease_ms()).await;
            }
        }
    }
}

fn line(lines: &Lines, operator: i32) -> Arc<Semaphore> {
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines.entry(operator).or_insert_with(|| Arc::new(Semaphore::new(CALLS_AN_OPERATOR))).clone()
}
