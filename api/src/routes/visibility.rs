//! `GET /taxis/:id/visibility`: why a taxi is or is not offered to a customer at a point, check by check.

use axum::Json;
use axum::extract::{Path, State};
use engine::engine::FRESH_MS;
use engine::offer::Sight;
use engine::profile::Status;
use engine::territory::Territory;
use ingest::clock::Millis;
use ingest::position::{OperatorKey, SourceKey};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::naive_timestamp;
use super::search::read_customer;
use super::taxis::unknown;
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::{self, Elements};
use crate::form::query::Query;
use crate::limits::HITS_MAX;
use crate::openapi::{Chapter, Operation};
use crate::role::{REGISTRARS, Role};
use crate::visibility::{Condition, Ground, Visibility};

/// Whether a customer at a point is offered a taxi, as one operator describes it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Visibility)]
pub struct VisibilityAnswer {
    /// The taxi's id.
    pub taxi: String,
    /// Email of the operator.
    pub operator: Option<String>,
    /// When this was looked at: ISO 8601 in UTC, without an offset.
    pub at: String,
    /// The customer's longitude.
    pub lon: f64,
    /// The customer's latitude.
    pub lat: f64,
    /// Whether every check is passed.
    pub visible: bool,
    /// Every check, in the order in which a search makes them; `public` only of a taxi that is of a trial.
    pub checks: Vec<CheckAnswer>,
}

/// One check.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = VisibilityCheck)]
pub struct CheckAnswer {
    /// Its name.
    pub name: &'static str,
    /// Whether it is passed.
    pub passed: bool,
    /// What was seen; null where there was nothing to look at.
    pub seen: Value,
    /// What is needed.
    pub needed: Value,
    /// Both in words.
    pub message: String,
}

/// A taxi as its operator's search apps would find it; for an administrator, as each of its operators describes it.
/// Read from memory alone.
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Answer<Json<Elements<VisibilityAnswer>>> {
    caller.require(REGISTRARS)?;
    let customer = query.read(read_customer)?;
    let taxi = app.registry.directory().taxis().get(id.as_str()).ok_or_else(|| unknown(&id))?;
    let is_admin = caller.0.has(Role::Admin);
    let mut operators: Vec<OperatorKey> =
        taxi.operators.iter().copied().filter(|&one| is_admin || one == caller.operator()).collect();
    if operators.is_empty() {
        return Err(unknown(&id));
    }
    operators.sort_unstable();
    let (territory, now) = (app.registry.territory(), app.clock.now());
    let ground = Ground::at(&territory, customer);
    let describe = |operator| {
        let source = SourceKey { taxi: taxi.key, operator };
        let is_known = app.registry.shown_card(source).is_some();
        let visibility = ground.visibility(&app.engine, now, source, is_known);
        VisibilityAnswer {
            taxi: id.clone(),
            operator: app.registry.email(operator),
            at: naive_timestamp(now.0),
            lon: customer.lon(),
            lat: customer.lat(),
            visible: visibility.is_visible(),
            checks: Condition::ALL
                .into_iter()
                .filter(|condition| *condition != Condition::Public || is_kept(&visibility))
                .map(|condition| check(&territory, &visibility, condition))
                .collect(),
        }
    };
    Ok(envelope::of_all(operators.into_iter().map(describe).collect()))
}

/// `GET /taxis/{id}/visibility` in the reference.
pub fn describe_read() -> Operation {
    let about = "Check by check, each with what was seen and what is needed. It stands on what a search stands on, so \
                 the two agree. A taxi of an acceptance run is not visible: one app alone finds it. An \
                 administrator sees the taxi as each of its operators describes it.";
    let registered = CheckAnswer {
        name: Condition::Registered.name(),
        passed: true,
        seen: json!(true),
        needed: json!(true),
        message: "The operator describes the taxi's vehicle.".to_owned(),
    };
    let free = CheckAnswer {
        name: Condition::Free.name(),
        passed: false,
        seen: json!("off"),
        needed: json!("free"),
        message: "The taxi's status is off; it is offered while its status, set by PUT /taxis/:id, is free."
            .to_owned(),
    };
    let answer = VisibilityAnswer {
        taxi: "yCnSfFy".to_owned(),
        operator: Some("my-taxis".to_owned()),
        at: "2026-11-25T07:30:00".to_owned(),
        lon: 2.3522,
        lat: 48.8566,
        visible: false,
        checks: vec![registered, free],
    };
    Operation::new(Chapter::Operators, "Why a taxi is or is not visible to a customer at a point", about)
        .roles(REGISTRARS)
        .path("id", &json!({"type": "string"}), "The taxi's id, as its operator knows it.", "yCnSfFy")
        .query(read_customer, &json!({"lon": 2.3522, "lat": 48.8566}))
        .list("The checks; for an administrator, those of each operator.", &[answer])
        .refuses_with("No such taxi of the caller's.", &unknown("nowhere"))
}

fn is_kept(visibility: &Visibility<'_>) -> bool {
    visibility.sight.is_some_and(|sight| sight.kept_for.is_some())
}

/// What was seen, what is needed, and both in words.
struct Evidence {
    seen: Value,
    needed: Value,
    message: String,
}

impl Evidence {
    fn new(seen: impl Into<Value>, needed: impl Into<Value>, message: impl Into<String>) -> Self {
        Self { seen: seen.into(), needed: needed.into(), message: message.into() }
    }
}

fn check(territory: &Territory, visibility: &Visibility<'_>, condition: Condition) -> CheckAnswer {
    let passed = visibility.holds(condition);
    let Evidence { seen, needed, message } = match (&visibility.sight, condition) {
        (_, Condition::Exclusion) => exclusion(&visibility.ground),
        (_, Condition::Town) => town(&visibility.ground),
        (None, Condition::Registered) => Evidence::new(
            false,
            true,
            "The search does not know this taxi yet; if it was registered just now, ask again in a few seconds.",
        ),
        (None, _) => {
            Evidence::new((), (), "The search does not know this taxi, so there was nothing to look at.")
        }
        (Some(_), Condition::Registered) => {
            Evidence::new(true, true, "The operator describes the taxi's vehicle.")
        }
        (Some(_), Condition::Public) => Evidence::new(
            "trial",
            "public",
            "The taxi is of an acceptance run: one search app alone finds it.",
        ),
        (Some(sight), Condition::Free) => free(sight),
        (Some(sight), Condition::Position) => position(sight, visibility.now),
        (Some(sight), Condition::Zupc) => zupc(territory, &visibility.ground, sight, passed),
        (Some(sight), Condition::Radius) => radius(sight, passed),
        (Some(sight), Condition::HeardLast) => heard_last(sight, passed),
        (Some(_), Condition::Nearest) => nearest(visibility.nearer),
    };
    CheckAnswer { name: condition.name(), passed, seen, needed, message }
}

fn free(sight: &Sight) -> Evidence {
    let (status, free) = (sight.description.status.as_str(), Status::Free.as_str());
    let message = if sight.is_free() {
        "The taxi is free.".to_owned()
    } else {
        format!(
            "The taxi's status is {status}; it is offered while its status, set by PUT /taxis/:id, is {free}."
        )
    };
    Evidence::new(status, free, message)
}

fn position(sight: &Sight, now: Millis) -> Evidence {
    let needed = json!({"age_s_below": seconds(FRESH_MS)});
    let Some(hit) = sight.hit else {
        let message = "No position of this taxi was received from this operator; what was refused is in \
                       GET /operators/me/refusals.";
        return Evidence::new((), needed, message);
    };
    let age_s = seconds(now.since(hit.received_at));
    let seen = json!({"lon": hit.at.lon(), "lat": hit.at.lat(), "received_at": naive_timestamp(hit.received_at.0),
                      "age_s": age_s});
    let limit_s = seconds(FRESH_MS);
    let message = if sight.is_fresh {
        format!("The last position was received {age_s} s ago.")
    } else {
        format!(
            "The last position was received {age_s} s ago; it counts while that is less than {limit_s} s."
        )
    };
    Evidence::new(seen, needed, message)
}

fn exclusion(ground: &Ground<'_>) -> Evidence {
    match ground.exclusion {
        None => Evidence::new((), (), "The customer is in no exclusion zone."),
        Some(zone) => {
            let seen = json!({"id": zone.id, "name": zone.name});
            let message = format!(
                "The customer is in the exclusion zone {}, in which no taxi may be hailed.",
                zone.name
            );
            Evidence::new(seen, (), message)
        }
    }
}

fn town(ground: &Ground<'_>) -> Evidence {
    let needed = "a town";
    match ground.town {
        None => Evidence::new((), needed, "The customer is in no town that is known here."),
        Some(town) => {
            let seen = json!({"insee": town.insee.as_str(), "name": town.name});
            Evidence::new(seen, needed, format!("The customer is in {} ({}).", town.name, town.insee))
        }
    }
}

fn zupc(territory: &Territory, ground: &Ground<'_>, sight: &Sight, passed: bool) -> Evidence {
    let (seen, ads_town) = (json!({"insee": sight.ads_town.as_str()}), sight.ads_town);
    let Some(town) = ground.town else {
        return Evidence::new(seen, (), "Where there is no town, no ADS lets a taxi pick up.");
    };
    let zones = territory.zupcs_at(town.insee, ground.customer).into_iter();
    let zones: Vec<_> = zones.map(|zupc| json!({"id": zupc.id, "name": zupc.name})).collect();
    let message = if passed {
        format!("The taxi's ADS, of {ads_town}, lets it pick up in {}.", town.insee)
    } else {
        format!(
            "The taxi's ADS is of {ads_town}; to pick up here, in {}, it would have to be of that town or of one \
             of a ZUPC that holds here.",
            town.insee
        )
    };
    Evidence::new(seen, json!({"insee": town.insee.as_str(), "zupc": zones}), message)
}

fn radius(sight: &Sight, passed: bool) -> Evidence {
    let limit_m = sight.looks_m.min(f64::from(sight.description.reach_m()));
    let needed = json!({"distance_m_at_most": limit_m});
    let Some(hit) = sight.hit else {
        return Evidence::new((), needed, "Without a position there is no distance.");
    };
    let distance_m = hit.distance_m;
    let message = if passed {
        format!("The taxi is {distance_m:.1} m from the customer, and is offered up to {limit_m} m away.")
    } else {
        format!(
            "The taxi is {distance_m:.1} m from the customer, but is offered up to {limit_m} m away only."
        )
    };
    Evidence::new(json!({"distance_m": distance_m}), needed, message)
}

fn heard_last(sight: &Sight, passed: bool) -> Evidence {
    let own = sight.hit.map(|hit| naive_timestamp(hit.received_at.0));
    let other = sight.rival.map(|rival| naive_timestamp(rival.received_at.0));
    let message = match (&other, passed) {
        (None, _) => "No other operator that describes the taxi as free was heard lately.".to_owned(),
        (Some(_), true) => {
            "Another operator describes the taxi as free, but was heard less recently.".to_owned()
        }
        (Some(at), false) => {
            format!(
                "Another operator that describes the taxi as free was heard last, at {at}: it offers the taxi."
            )
        }
    };
    Evidence::new(json!({"received_at": own}), json!({"received_after": other}), message)
}

fn nearest(nearer: usize) -> Evidence {
    let message = format!("Nearer ones: {nearer}; a search answers with the {HITS_MAX} nearest taxis.");
    Evidence::new(json!({"nearer": nearer}), json!({"nearer_below": HITS_MAX}), message)
}

/// Milliseconds as seconds, with what is left of them.
#[expect(clippy::cast_precision_loss, reason = "an age in milliseconds is far below 2^53")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
