//! Calls of operators' servers: each hail that is made is brought to its operator, at least once or not in time.
//!
//! That a call is due is a column of the hail. Any process takes what is due by putting it off, and goes on putting it
//! off while the call lasts: what a process that ended had taken is due again soon, and an operator may then hear of a
//! hail twice. Nobody is called once the hail's deadline has passed.
//!
//! Each operator has a line of its own, and what finds no place in it stays due: one that is slow keeps nobody else's
//! hails waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Event, Status};
use crate::activity::Actor;
use crate::app::App;
use crate::limits::{CALL_LEASE, CALLS_AN_OPERATOR, CALLS_EVERY, CALLS_FOUND, CALLS_MAX};
use crate::outbound;
use crate::registry::accounts::Account;
use crate::routes::hails::call;
use crate::store::Result;
use crate::store::hails::HailRow;
use crate::store::hails::change::{Call, Held, Step};

/// Calls whoever is to be called, until `stop`. Calls under way are cut off then: they are due again soon.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let mut line = Line::default();
    let ticker = |period| {
        let mut ticker = interval(period);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticker
    };
    let (mut look, mut renew) = (ticker(CALLS_EVERY), ticker(CALL_LEASE / 3));
    let mut is_failing = false;
    loop {
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            () = app.registry.calls_due().notified() => line.take(&app).await,
            _ = look.tick() => line.take(&app).await,
            _ = renew.tick() => line.renew(&app).await,
            // Somebody may have waited for the place.
            true = line.ended() => line.take(&app).await,
        };
        if let (Err(error), false) = (&outcome, is_failing) {
            tracing::warn!(%error, "operators are not called; trying again");
        }
        is_failing = outcome.is_err();
    }
}

fn lease_ms() -> i64 {
    i64::try_from(CALL_LEASE.as_millis()).unwrap_or(i64::MAX)
}

/// Calls under way.
#[derive(Default)]
struct Line {
    calls: JoinSet<(String, i32, Result<()>)>,
    /// The hails that they are of.
    hails: BTreeSet<String>,
    /// How many each operator has.
    operators: BTreeMap<i32, usize>,
}

impl Line {
    /// Begins every call that is due and finds a place.
    async fn take(&mut self, app: &App) -> Result<()> {
        loop {
            let full = self.operators.iter().filter(|(_, calls)| **calls >= CALLS_AN_OPERATOR);
            let full: Vec<_> = full.map(|(operator, _)| *operator).collect();
            let room = CALLS_MAX.saturating_sub(self.calls.len());
            let mut due = app.registry.upkeep().calls_due(&full, CALLS_FOUND).await?;
            due.retain(|(hail, _)| !self.hails.contains(hail));
            let mut places = self.operators.clone();
            due.retain(|(_, operator)| {
                let calls = places.entry(*operator).or_default();
                *calls += 1;
                *calls <= CALLS_AN_OPERATOR
            });
            due.truncate(room);
            if due.is_empty() {
                return Ok(());
            }
            let due: BTreeMap<_, _> = due.into_iter().collect();
            let hails: Vec<_> = due.keys().cloned().collect();
            for hail in app.registry.upkeep().claim_calls(&hails, lease_ms()).await? {
                let Some(operator) = due.get(&hail) else { continue };
                *self.operators.entry(*operator).or_default() += 1;
                self.hails.insert(hail.clone());
                let (app, operator) = (app.clone(), *operator);
                self.calls.spawn(async move {
                    let outcome = bring(&app, &hail).await;
                    (hail, operator, outcome)
                });
            }
        }
    }

    /// Waits until a call ends; false: there is none, or it was cut off.
    async fn ended(&mut self) -> bool {
        let Some(Ok((hail, operator, outcome))) = self.calls.join_next().await else { return false };
        if let Err(error) = outcome {
            // The database did not take it: the call is due again when the lease is over.
            tracing::debug!(hail, %error, "a call of an operator's server will be repeated");
        }
        self.hails.remove(&hail);
        if let Some(calls) = self.operators.get_mut(&operator) {
            *calls -= 1;
            if *calls == 0 {
                self.operators.remove(&operator);
            }
        }
        true
    }

    /// Keeps other processes from calls under way.
    async fn renew(&self, app: &App) -> Result<()> {
        if self.hails.is_empty() {
            return Ok(());
        }
        let hails: Vec<_> = self.hails.iter().cloned().collect();
        app.registry.upkeep().renew_calls(&hails, lease_ms()).await
    }
}

/// Brings a hail to its operator, if it is still to be brought.
async fn bring(app: &App, id: &str) -> Result<()> {
    let Some(hail) = app.registry.upkeep().hail(id).await?.filter(|hail| hail.status == Status::Received)
    else {
        return Ok(());
    };
    let Some(operator) = app.registry.accounts().id(hail.operator_id).cloned() else {
        let why = Some("the operator's account is not at hand".to_owned());
        return record(app, id, Event::CallFailed, why, None, None).await;
    };
    if operator.hail_endpoint_production.is_empty() {
        return record(app, id, Event::Offered, None, None, None).await;
    }
    let transitions = app.registry.upkeep().transitions(id).await?;
    let Ok(body) = call::body(app, &hail, &transitions) else { return Ok(()) };
    let Some(ended) = post(app, &operator, &hail, body).await else { return Ok(()) };
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
    let step = move |hail: &HailRow| {
        if hail.status != Status::Received {
            return Ok(Step { call, ..Step::default() });
        }
        let number = number.filter(|number| !number.is_empty());
        let row = number.map(|taxi_phone_number| Box::new(HailRow { taxi_phone_number, ..hail.clone() }));
        Ok::<_, Infallible>(Step { event: Some(event), reason, row, call })
    };
    app.registry.change_hail(Actor::REGISTRY, id.to_owned(), Held::Wait, step).await?;
    Ok(())
}
