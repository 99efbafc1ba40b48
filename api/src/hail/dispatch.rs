//! Calls of operators' servers: each hail that is made is brought to its operator, at least once or not in time.
//!
//! When a call is due is a column of the hail. The process that makes a hail has its call for a start; any process
//! takes what is due by putting it off. Who has a call goes on putting it off while it lasts: what a process that ended
//! had is due again soon, and an operator may then hear of a hail twice. Nobody is called once the hail's deadline has
//! passed.
//!
//! Each operator has a line of its own, and what finds no place in it stays due: one that is slow keeps nobody else's
//! hails waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
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

/// For how long what is known of a hail that was just made is taken for what it is: its app may have given it up since.
const KNOWN_MS: i64 = 100;

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
    let (mut fresh, mut is_failing) = (Vec::new(), false);
    loop {
        let outcome = tokio::select! {
            () = stop.cancelled() => break,
            _ = made.recv_many(&mut fresh, CALLS_MAX) => {
                line.begin(&app, fresh.drain(..));
                Ok(())
            }
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
    let left: Vec<_> = std::iter::from_fn(|| made.try_recv().ok()).map(|hail| hail.id).collect();
    give_back(&app, left).await;
}

/// Makes calls due that are this process's own.
async fn give_back(app: &App, hails: Vec<String>) {
    if hails.is_empty() {
        return;
    }
    if let Err(error) = app.registry.upkeep().renew_calls(&hails, 0).await {
        tracing::debug!(%error, "calls are due when their leases are over");
    }
}

/// For how long a call is one process's own, in milliseconds.
pub(crate) fn lease_ms() -> i64 {
    i64::try_from(CALL_LEASE.as_millis()).unwrap_or(i64::MAX)
}

/// Calls under way.
#[derive(Default)]
struct Line {
    calls: JoinSet<Result<()>>,
    /// The hail and the operator of each.
    tasks: HashMap<Id, (String, i32)>,
    /// The hails that they are of.
    hails: BTreeSet<String>,
    /// How many each operator has.
    operators: BTreeMap<i32, usize>,
}

impl Line {
    /// Begins the calls of hails that were just made here. Those that find no place are left to whoever has one first.
    fn begin(&mut self, app: &App, made: impl Iterator<Item = HailRow>) {
        let mut left = Vec::new();
        for hail in made {
            let age_ms = app.clock.now().0 - hail.created_at;
            // The lease of one that waited for long may be over before it is renewed; then it is due again.
            if self.hails.contains(&hail.id) || age_ms > lease_ms() / 2 {
                continue;
            }
            if self.calls.len() >= CALLS_MAX || self.is_full(hail.operator_id) {
                left.push(hail.id);
                continue;
            }
            let (id, operator) = (hail.id.clone(), hail.operator_id);
            let began = TransitionRow {
                at: hail.created_at,
                from_status: None,
                to_status: hail.status.to_string(),
                reason: None,
            };
            let known = Some((hail, vec![began])).filter(|_| (0..=KNOWN_MS).contains(&age_ms));
            self.spawn(app, id, operator, known);
        }
        if !left.is_empty() {
            // Those who have a place do not wait for it.
            let app = app.clone();
            tokio::spawn(async move { give_back(&app, left).await });
        }
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
            let claimed = app.registry.upkeep().claim_calls(&hails, lease_ms()).await?;
            if claimed.is_empty() {
                // Others have them, or whoever has their rows is about to change them: what is left is found again.
                return Ok(());
            }
            for hail in claimed {
                let Some(operator) = due.get(&hail) else { continue };
                self.spawn(app, hail, *operator, None);
            }
        }
    }

    /// Begins a call that is this process's own. What is not known of the hail is read.
    fn spawn(&mut self, app: &App, id: String, operator: i32, hail: Option<Known>) {
        *self.operators.entry(operator).or_default() += 1;
        self.hails.insert(id.clone());
        let (app, hail_id) = (app.clone(), id.clone());
        let task = self.calls.spawn(async move { bring(&app, &hail_id, hail).await });
        self.tasks.insert(task.id(), (id, operator));
    }

    fn is_full(&self, operator: i32) -> bool {
        self.operators.get(&operator).is_some_and(|calls| *calls >= CALLS_AN_OPERATOR)
    }

    /// Waits until calls end, and tells whether one of them had the last place. None: there is none.
    async fn ended(&mut self) -> Option<bool> {
        let mut was_full = self.calls.len() >= CALLS_MAX;
        let mut next = Some(self.calls.join_next_with_id().await?);
        while let Some(ended) = next {
            was_full |= match ended {
                Ok((task, outcome)) => self.end(task, outcome.err().map(|error| error.to_string())),
                Err(error) => self.end(error.id(), Some(error.to_string())),
            };
            next = self.calls.try_join_next_with_id();
        }
        Some(was_full)
    }

    /// Gives a call's place to others; whether it was the last one of the operator's line.
    fn end(&mut self, task: Id, error: Option<String>) -> bool {
        let Some((hail, operator)) = self.tasks.remove(&task) else { return false };
        if let Some(error) = error {
            // The database did not take it: the call is due again when the lease is over.
            tracing::debug!(hail, error, "a call of an operator's server will be repeated");
        }
        let was_full = self.is_full(operator);
        self.hails.remove(&hail);
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
        let why = Some(call::NO_ACCOUNT.to_owned());
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
