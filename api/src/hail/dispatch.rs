//! Calls of operators' servers: each hail that is made is brought to its operator, at least once or not in time.
//!
//! When a call is due is a column of the hail. The process that makes a hail has its call for a start; any process
//! takes what is due by putting it off. Who has a call goes on putting it off while it lasts: what a process that ended
//! had is due again soon, and an operator may then hear of a hail twice. Nobody is called once the hail's deadline has
//! passed.
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
use crate::store::hails::change::{Call, Held, Step};
use crate::store::hails::{HailRow, TransitionRow};

/// Calls whoever is to be called, until `stop`. Calls under way are cut off then: they are due again soon.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let mut line = Line::default();
    let ticker = |period| {
        let mut ticker = interval(period);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticker
    };
    let (mut look, mut renew) = (ticker(CALLS_EVERY), ticker(CALL_LEASE / 3));
    let mut made = app.registry.made().lock().await;
    let mut is_failing = false;
    loop {
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            Some(hail) = made.recv() => line.begin(&app, hail).await,
            _ = look.tick() => line.take(&app).await,
            _ = renew.tick() => line.renew(&app).await,
            // Somebody may have waited for a place.
            Some(was_full) = line.ended() => if was_full { line.take(&app).await } else { Ok(()) },
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
    /// Begins the call of a hail that was just made here, or leaves it to whoever has a place first.
    async fn begin(&mut self, app: &App, hail: HailRow) -> Result<()> {
        // It waited for so long that it may be another's before the lease is renewed.
        if app.clock.now().0 - hail.created_at > lease_ms() / 2 {
            return Ok(());
        }
        if self.calls.len() >= CALLS_MAX || self.is_full(hail.operator_id) {
            return app.registry.upkeep().renew_calls(&[hail.id], 0).await;
        }
        let began = TransitionRow {
            at: hail.created_at,
            from_status: None,
            to_status: hail.status.to_string(),
            reason: None,
        };
        self.spawn(app, hail.id.clone(), hail.operator_id, Some((hail, vec![began])));
        Ok(())
    }

    /// Begins every call that is due and finds a place.
    async fn take(&mut self, app: &App) -> Result<()> {
        loop {
            let full: Vec<_> =
                self.operators.keys().copied().filter(|operator| self.is_full(*operator)).collect();
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
                self.spawn(app, hail, *operator, None);
            }
        }
    }

    /// Begins a call that is this process's own. What is not known of the hail is read.
    fn spawn(&mut self, app: &App, id: String, operator: i32, hail: Option<Known>) {
        *self.operators.entry(operator).or_default() += 1;
        self.hails.insert(id.clone());
        let app = app.clone();
        self.calls.spawn(async move {
            let outcome = bring(&app, &id, hail).await;
            (id, operator, outcome)
        });
    }

    fn is_full(&self, operator: i32) -> bool {
        self.operators.get(&operator).is_some_and(|calls| *calls >= CALLS_AN_OPERATOR)
    }

    /// Waits until calls end, and tells whether one of them had the last place. None: there is none.
    async fn ended(&mut self) -> Option<bool> {
        let mut was_full = self.calls.len() >= CALLS_MAX;
        let mut next = Some(self.calls.join_next().await?);
        while let Some(ended) = next {
            if let Ok((hail, operator, outcome)) = ended {
                was_full |= self.end(&hail, operator, outcome);
            }
            next = self.calls.try_join_next();
        }
        Some(was_full)
    }

    /// Gives a call's place to others; whether it was the last one of the operator's line.
    fn end(&mut self, hail: &str, operator: i32, outcome: Result<()>) -> bool {
        if let Err(error) = outcome {
            // The database did not take it: the call is due again when the lease is over.
            tracing::debug!(hail, %error, "a call of an operator's server will be repeated");
        }
        let was_full = self.is_full(operator);
        self.hails.remove(hail);
        if let Some(calls) = self.operators.get_mut(&operator) {
            *calls -= 1;
            if *calls == 0 {
                self.operators.remove(&operator);
            }
        }
        was_full
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

/// A hail, and how it came to where it stands.
type Known = (HailRow, Vec<TransitionRow>);

/// Brings a hail to its operator, if it is still to be brought.
async fn bring(app: &App, id: &str, known: Option<Known>) -> Result<()> {
    let store = app.registry.upkeep();
    let (hail, transitions) = match known {
        Some(known) => known,
        None => match store.hail(id).await? {
            Some(hail) => (hail, store.transitions(id).await?),
            None => return Ok(()),
        },
    };
    if hail.status != Status::Received {
        return Ok(());
    }
    let Some(operator) = app.registry.accounts().id(hail.operator_id).cloned() else {
        let why = Some("the operator's account is not at hand".to_owned());
        return record(app, id, Event::CallFailed, why, None, None).await;
    };
    if operator.hail_endpoint_production.is_empty() {
        return record(app, id, Event::Offered, None, None, None).await;
    }
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
