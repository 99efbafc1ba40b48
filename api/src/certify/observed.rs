//! What a runner observed, and how it is told as evidence.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDateTime;
use serde::Deserialize;
use serde_json::Value;

use super::{Trial, Verdict};
use crate::hail::Status;
use crate::store::hails::change::DEADLINE;

/// What an item is judged to be, with the evidence.
pub(super) type Judged = (Verdict, Vec<String>);

/// All that was observed.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Email of the partner's account.
    pub account: String,
    /// The taxi that was looked at.
    pub taxi: String,
    /// Each look at it, before any hail.
    pub sights: Vec<Sight>,
    /// What came of the operator's datagrams meanwhile; None: nobody could say.
    pub datagrams: Option<Datagrams>,
    /// Each trial that was begun, in order.
    pub tried: Vec<Tried>,
    /// Every hail that the app made meanwhile, also of other taxis.
    pub made: Vec<Hail>,
    /// The ids of those that it asked for again under the same name.
    pub repeated: BTreeSet<String>,
}

/// A look at a taxi.
#[derive(Clone, Debug)]
pub struct Sight {
    /// When it was asked for, in seconds since 1970.
    pub asked_s: i64,
    /// When it was answered.
    pub at_s: i64,
    /// When its last position was received, by the server's clock.
    pub heard_s: Option<i64>,
    /// Its status.
    pub status: String,
}

/// What came of datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Datagrams {
    /// How many were accepted.
    pub accepted: u64,
    /// How many of them were compact, which alone tell of each whether it came before.
    pub compact: u64,
    /// How many were refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// How old those were that came with their device's time, over HTTP too, by [`ingest::gate::Age`].
    pub ages: BTreeMap<String, u64>,
}

/// What came of a request for a taxi that was repeated under the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The hail that was answered; None: another answer came.
    pub answered: Option<String>,
    /// Every hail of the customer that the operator has.
    pub shown: BTreeSet<String>,
}

/// A trial.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Which one.
    pub trial: Trial,
    /// Its hail as it stood in the end; None: there was none.
    pub hail: Option<Hail>,
    /// Whether the taxi was free for it in time.
    pub was_free: bool,
    /// What a hail of the reported customer was answered.
    pub banned: Option<u16>,
    /// What came of its request as it was repeated.
    pub repeat: Option<Repeat>,
}

impl Tried {
    /// A trial of which nothing is known yet.
    pub fn new(trial: Trial) -> Self {
        Self { trial, hail: None, was_free: true, banned: None, repeat: None }
    }
}

/// A hail, as the API tells it.
#[derive(Clone, Debug, Deserialize)]
pub struct Hail {
    /// Its id.
    pub id: String,
    /// Its session.
    pub session_id: String,
    /// Where it stands.
    pub status: String,
    /// The customer.
    pub customer_id: String,
    /// How it came to where it stands.
    pub transitions: Vec<Step>,
    /// Its taxi.
    pub taxi: HailedTaxi,
    /// Why the taxi could not go on.
    pub incident_taxi_reason: Option<String>,
    /// Why the customer could not.
    pub incident_customer_reason: Option<String>,
    /// Whether the customer was reported.
    pub reporting_customer: Option<bool>,
    /// The customer's mark.
    pub rating_ride: Option<i32>,
    /// Where the taxi is to go.
    pub customer_address: String,
}

/// A hail's taxi.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct HailedTaxi {
    /// Kilometres to the customer; null once the hail is over.
    pub crowfly_distance: Option<f64>,
}

/// A step of a hail.
#[derive(Clone, Debug, Deserialize)]
pub struct Step {
    /// Where it stood then.
    pub to_status: String,
    /// When: ISO 8601 in UTC.
    pub timestamp: String,
    /// Why, where somebody said so.
    pub reason: Option<String>,
}

impl Step {
    fn at_ms(&self) -> Option<i64> {
        let at = NaiveDateTime::parse_from_str(&self.timestamp, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
        Some(at.and_utc().timestamp_millis())
    }
}

impl Hail {
    /// As it is answered; None: that is no hail.
    pub fn read(element: &Value) -> Option<Self> {
        serde_json::from_value(element.clone()).ok()
    }

    /// Where it stands.
    pub fn stands(&self) -> Option<Status> {
        Status::try_from(self.status.clone()).ok()
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.stands().is_some_and(Status::is_end)
    }

    /// When it came to a status, in milliseconds since 1970.
    pub fn came(&self, to: Status) -> Option<i64> {
        self.transitions.iter().find(|step| step.to_status == to.as_str())?.at_ms()
    }

    /// When it began and when it ended; `i64::MAX`: it has not.
    pub fn lasted(&self) -> Option<(i64, i64)> {
        let ended = self.transitions.last().filter(|_| self.is_over()).and_then(Step::at_ms);
        Some((self.transitions.first()?.at_ms()?, ended.unwrap_or(i64::MAX)))
    }

    /// Why it ended.
    pub fn last_reason(&self) -> Option<&str> {
        self.transitions.last()?.reason.as_deref()
    }

    /// Whether it ended because somebody did nothing.
    pub fn ran_out(&self) -> bool {
        self.is_over() && self.last_reason() == Some(DEADLINE)
    }

    /// Its steps with their delays, on one line.
    pub fn line(&self) -> String {
        let mut before = None;
        let steps = self.transitions.iter().map(|step| {
            let (at, last) = (step.at_ms(), before);
            before = at;
            let delay = at.zip(last).map(|(at, last)| format!(" (+{} s)", seconds(at - last)));
            format!("{}{}", step.to_status, delay.unwrap_or_default())
        });
        format!("course {} : {}", self.id, steps.collect::<Vec<_>>().join(", "))
    }
}

impl Observed {
    /// A trial, if it was begun.
    pub fn trial(&self, trial: Trial) -> Option<&Tried> {
        self.tried.iter().find(|tried| tried.trial == trial)
    }

    /// What comes after a trial.
    pub fn after(&self, trial: Trial) -> Option<&Tried> {
        self.tried.iter().skip_while(|tried| tried.trial != trial).nth(1)
    }

    /// The hail of a trial, or why there is nothing to judge.
    pub(super) fn hail(&self, trial: Trial) -> Result<&Hail, Judged> {
        let Some(tried) = self.trial(trial) else {
            return Err((Verdict::NotSeen, vec!["l’essai n’a pas eu lieu".to_owned()]));
        };
        tried.hail.as_ref().ok_or_else(|| {
            let why = if tried.was_free {
                "aucune course n’est venue à temps"
            } else {
                "le taxi n’était pas libre à temps"
            };
            (Verdict::NotSeen, vec![why.to_owned()])
        })
    }
}

/// Passed where all of these hold; else failed, with what does not said after the evidence.
pub(super) fn all_of(mut evidence: Vec<String>, conditions: &[(bool, &str)]) -> Judged {
    let wrong: Vec<_> =
        conditions.iter().filter(|(holds, _)| !holds).map(|(_, why)| (*why).to_owned()).collect();
    let verdict = if wrong.is_empty() { Verdict::Passed } else { Verdict::Failed };
    evidence.extend(wrong);
    (verdict, evidence)
}

/// Milliseconds as seconds, as in French.
pub(super) fn seconds(ms: i64) -> String {
    format!("{},{}", ms / 1_000, (ms % 1_000) / 100)
}
