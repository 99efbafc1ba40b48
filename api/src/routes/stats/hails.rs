//! `GET /stats/hails`: how hails came out, a day after they were made.

use std::ops::Range;

use axum::Json;
use axum::extract::State;
use ingest::clock::Millis;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Milestones, narrowed};
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::{self, Elements};
use crate::form::query::Query;
use crate::openapi::{Chapter, Operation};
use crate::role::ADMINISTRATORS;
use crate::statistics::calendar::{THRESHOLD, day, last_months, milestones, year};
use crate::statistics::filter::Filter;
use crate::statistics::hails::{Which, busy, by_month, count, mean_distance_m, mean_s, within};
use crate::statistics::outcome::Outcome;
use crate::store::statistics::hails::{Delays, Tally};

/// How hails came out.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = HailFigures)]
pub struct HailsAnswer {
    /// How many there were since 2022.
    pub hails_received: Milestones,
    /// Whose ride is over.
    pub hails_finished: Milestones,
    /// Which the taxi refused.
    pub hails_declined_by_taxi: Milestones,
    /// Which the customer refused.
    pub hails_declined_by_customer: Milestones,
    /// Which the taxi did not answer.
    pub hails_timeout_taxi: Milestones,
    /// Of whose ride the taxi did not tell the end.
    pub hails_timeout_ride: Milestones,
    /// Which the customer did not confirm.
    pub hails_timeout_customer: Milestones,
    /// With which the taxi could not go on.
    pub hails_incident_taxi: Milestones,
    /// With which the customer could not go on.
    pub hails_incident_customer: Milestones,
    /// Whose customer was not picked up.
    pub hails_timeout_accepted_by_customer: Milestones,
    /// Which never reached the taxi.
    pub hails_failure: Milestones,
    /// How far the taxi was from the customer in the mean, in whole metres; 0 where nobody knows.
    pub average_hail_distance: Milestones,
    /// How many there were each month.
    pub hails_total: Totals,
    /// How many there were in the mean of busy days, weeks and months.
    pub hails_average: Averages,
    /// How long transitions took in the mean.
    pub average_times: Times,
}

/// Hails by month: the month's number and how many, for months that have any.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = HailTotals)]
pub struct Totals {
    /// Of this year.
    pub current_year: Vec<[i64; 2]>,
    /// Of the year before.
    pub last_year: Vec<[i64; 2]>,
}

/// Means within windows.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = HailAverages)]
pub struct Averages {
    /// From three months before today until today.
    pub last_three_months: Window,
    /// Of this year.
    pub current_year: Window,
    /// Of the year before.
    pub last_year: Window,
}

/// Means of busy days, weeks and months: those without such a hail do not weigh.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = HailWindow)]
pub struct Window {
    /// A day.
    pub daily: Means,
    /// A week, from Monday.
    pub weekly: Means,
    /// A month.
    pub monthly: Means,
}

/// How many hails, and of which outcome.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = HailMeans)]
pub struct Means {
    /// All of them.
    pub total: f64,
    /// Which the customer did not confirm.
    pub timeout_customer: f64,
    /// Which the customer refused.
    pub declined_by_customer: f64,
    /// With which the taxi could not go on.
    pub incident_taxi: f64,
    /// Which the taxi refused.
    pub declined_by_taxi: f64,
}

/// Mean seconds from one transition to another.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = HailTimes)]
pub struct Times {
    /// From the taxi's receipt until it accepted.
    pub accepted_by_taxi: f64,
    /// From the taxi's receipt until it had not answered in time.
    pub timeout_taxi: f64,
    /// From the taxi's acceptance until the customer confirmed.
    pub accepted_by_customer: f64,
    /// Until the customer had not confirmed in time.
    pub timeout_customer: f64,
    /// Until the customer refused.
    pub declined_by_customer: f64,
    /// Until the taxi could not go on.
    pub incident_taxi: f64,
    /// Until the customer was on board.
    pub customer_on_board: f64,
    /// From then until the taxi could not go on.
    pub customer_on_board_incident_taxi: f64,
}

/// The figures of now.
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Elements<HailsAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let (filter, store, now) = (Filter::read(&query)?, app.registry.store(), app.clock.now());
    let days = store.copies_by_day(&filter).await?;
    let mut until = Vec::new();
    for milestone in milestones(now) {
        let mut tallies: Vec<_> = within(&days, &(THRESHOLD..day(milestone))).copied().collect();
        if milestone > THRESHOLD {
            tallies.extend(store.copies_within(&filter, &(day(milestone)..milestone)).await?);
        }
        until.push(tallies);
    }
    let delays = store.copies_delays(&filter).await?;
    Ok(envelope::of_one(render(&days, &until, &delays, now)))
}

/// `GET /stats/hails` in the reference.
pub fn describe_read() -> Operation {
    let about = "Hails are counted a day or two after they were made, as they stood then. An outcome counts hails made \
                 from 2022 on and before an instant. All times are UTC.";
    let now = Millis(1_773_829_800_000);
    let finished = Tally {
        day: now.0 - now.0 % 86_400_000,
        outcome: Outcome::Finished,
        copies: 2,
        distances: 2,
        distance_m: 480.5,
    };
    let until = vec![vec![finished], Vec::new(), Vec::new(), Vec::new()];
    let figures = render(&[finished], &until, &Delays::default(), now);
    narrowed(Operation::new(Chapter::Statistics, "How hails came out", about)).roles(ADMINISTRATORS).one(
        200,
        "The figures.",
        &figures,
    )
}

/// From what the copies of each day add up to, and what those until each milestone do.
fn render(days: &[Tally], until: &[Vec<Tally>], delays: &Delays, now: Millis) -> HailsAnswer {
    let milestones = |which| Milestones::of(until, |tallies| count(tallies, which));
    let outcome = |outcome| milestones(Which::That(outcome));
    let seconds = |name| mean_s(delays.named(name));
    HailsAnswer {
        hails_received: milestones(Which::All),
        hails_finished: outcome(Outcome::Finished),
        hails_declined_by_taxi: outcome(Outcome::DeclinedByTaxi),
        hails_declined_by_customer: outcome(Outcome::DeclinedByCustomer),
        hails_timeout_taxi: outcome(Outcome::TimeoutTaxi),
        hails_timeout_ride: outcome(Outcome::TimeoutRide),
        hails_timeout_customer: outcome(Outcome::TimeoutCustomer),
        hails_incident_taxi: outcome(Outcome::IncidentTaxi),
        hails_incident_customer: outcome(Outcome::IncidentCustomer),
        hails_timeout_accepted_by_customer: outcome(Outcome::TimeoutAcceptedByCustomer),
        hails_failure: outcome(Outcome::Failure),
        average_hail_distance: Milestones::of(until, |tallies| mean_distance_m(tallies)),
        hails_total: Totals {
            current_year: by_month(days, &year(now, 0)),
            last_year: by_month(days, &year(now, 1)),
        },
        hails_average: Averages {
            last_three_months: window(days, &last_months(now, 3)),
            current_year: window(days, &year(now, 0)),
            last_year: window(days, &year(now, 1)),
        },
        average_times: Times {
            accepted_by_taxi: seconds("accepted_by_taxi"),
            timeout_taxi: seconds("timeout_taxi"),
            accepted_by_customer: seconds("accepted_by_customer"),
            timeout_customer: seconds("timeout_customer"),
            declined_by_customer: seconds("declined_by_customer"),
            incident_taxi: seconds("incident_taxi"),
            customer_on_board: seconds("customer_on_board"),
            customer_on_board_incident_taxi: seconds("customer_on_board_incident_taxi"),
        },
    }
}

fn window(days: &[Tally], window: &Range<Millis>) -> Window {
    let of = |which| busy(within(days, window), which);
    let total = of(Which::All);
    let [timeout_customer, declined_by_customer, incident_taxi, declined_by_taxi] = [
        Outcome::TimeoutCustomer,
        Outcome::DeclinedByCustomer,
        Outcome::IncidentTaxi,
        Outcome::DeclinedByTaxi,
    ]
    .map(|outcome| of(Which::That(outcome)));
    macro_rules! means {
        ($every:ident) => {
            Means {
                total: total.$every,
                timeout_customer: timeout_customer.$every,
                declined_by_customer: declined_by_customer.$every,
                incident_taxi: incident_taxi.$every,
                declined_by_taxi: declined_by_taxi.$every,
            }
        };
    }
    Window { daily: means!(daily), weekly: means!(weekly), monthly: means!(monthly) }
}
