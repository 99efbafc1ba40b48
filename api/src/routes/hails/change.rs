//! `GET` and `PUT /hails/:id`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use ingest::position::{LatLon, MAX_REPORTABLE_LAT};
use serde_json::json;

use super::answer::{Beside, Eyes, HailAnswer, sides};
use super::{eyes, last_seen, not_theirs, seen_by, unknown};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::Form;
use crate::form::envelope::{self, Elements};
use crate::form::kind::{AtMost, Boolean, FloatWithin, Integer, Kind as _, Object, OneOf};
use crate::hail::allowed::{Allowed, allowed};
use crate::hail::wish::{Refusal, Wish};
use crate::hail::{Sender, Status};
use crate::limits::{ADDRESS_MAX_CHARS, NAME_MAX_CHARS};
use crate::openapi::{Chapter, Operation};
use crate::role::{Role, SEARCHERS};
use crate::router::Payload;
use crate::store::hails::change::{Call, Held};
use crate::store::hails::tracks::Sight;
use crate::store::hails::{HailRow, TransitionRow};

pub(crate) const INCIDENT_TAXI: &[&str] =
    &["no_show", "address", "traffic", "breakdown", "traffic_jam", "garbage_truck"];
pub(crate) const INCIDENT_CUSTOMER: &[&str] =
    &["", "mud_river", "parade", "earthquake", "no_show", "no_specs"];
const REPORTING_CUSTOMER: &[&str] =
    &["ko", "payment", "courtesy", "route", "cleanliness", "late", "aggressive", "no_show"];
const RATING_RIDE: &[&str] = &[
    "ko",
    "payment",
    "courtesy",
    "route",
    "cleanliness",
    "late",
    "no_credit_card",
    "bad_itinerary",
    "dirty_taxi",
    "automatic_rating",
];
/// The grounds on which a taxi may refuse, by the article R3121-23 of the transport code: the destination lies outside
/// its zone; it would exceed its working or miss its rest time; it was booked before; somebody hailed it in the street
/// at the same moment; it waits for its turn in a rank's queue; an event is on the way.
pub(crate) const DECLINED_BY_TAXI: &[&str] =
    &["outside_zone", "rest_time", "prior_booking", "street_hail", "rank_queue", "event"];
/// Every reason that somebody may give.
#[cfg(test)]
pub(crate) const REASONS: &[&[&str]] =
    &[INCIDENT_TAXI, INCIDENT_CUSTOMER, REPORTING_CUSTOMER, RATING_RIDE, DECLINED_BY_TAXI];

/// A hail.
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<Elements<HailAnswer>>> {
    Ok(envelope::of_one(seen(&app, &caller, &id).await?.hail))
}

/// A hail as somebody sees it, and as it is.
struct Seen {
    hail: HailAnswer,
    row: HailRow,
    transitions: Vec<TransitionRow>,
    eyes: Eyes,
}

async fn seen(app: &App, caller: &Caller, id: &str) -> Answer<Seen> {
    caller.require(SEARCHERS)?;
    let (row, eyes) = seen_by(app, caller, id).await?;
    let transitions = app.registry.store().transitions(id).await?;
    let beside = Beside { transitions: &transitions, seen: last_seen(app, &row), has_moved: false };
    Ok(Seen { hail: HailAnswer::new(app, &row, eyes, beside), row, transitions, eyes })
}

/// All that there is to tell of a hail.
pub(crate) struct Story {
    /// What the API answers.
    pub(crate) hail: HailAnswer,
    /// The calls of the operator's server; search apps see none: how these ended is the operator's business.
    pub(crate) calls: Vec<Call>,
    /// The time that each of its statuses was allowed, in the order of its transitions.
    pub(crate) allowed: Vec<Option<Allowed>>,
    /// Where the taxi was while it lasted, if that is still kept. None: not for the caller. The app is told where the
    /// taxi is as long as the hail lasts.
    pub(crate) track: Option<Vec<Sight>>,
}

/// The story of a hail, as far as the caller may know it.
pub(crate) async fn story(app: &App, caller: &Caller, id: &str) -> Answer<Story> {
    let Seen { hail, row, transitions, eyes } = seen(app, caller, id).await?;
    let store = app.registry.store();
    let calls = if eyes == Eyes::App { Vec::new() } else { store.hail_calls(id).await? };
    let sees_track = eyes != Eyes::App || !row.status.is_end();
    let track = if sees_track { Some(store.track(id).await?) } else { None };
    Ok(Story { hail, calls, allowed: allowed(&transitions), track })
}

/// `GET /hails/{id}` in the reference.
pub fn describe_read() -> Operation {
    let about = "To the app and the operator of the hail, for 60 days. Phone numbers are shown while the taxi is on \
                 its way, vehicle and driver from when it accepts until the ride is over, its position while the \
                 hail lasts.";
    one("A hail", about)
}

fn one(summary: &'static str, about: &'static str) -> Operation {
    Operation::new(Chapter::Hails, summary, about)
        .roles(SEARCHERS)
        .path("id", &json!({"type": "string"}), "The hail's id.", "h7KqYbW")
        .one(200, "The hail.", &HailAnswer::example())
        .refuses_with("No such hail.", &unknown())
        .refuses_with("The hail is somebody else's.", &not_theirs())
}

/// Moves a hail, or adds to what is known of it: all that is wished or nothing.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Payload(body): Payload,
) -> Answer<Json<Elements<HailAnswer>>> {
    caller.require(SEARCHERS)?;
    let wish = envelope::one_if_any(&body, Object(read_wish));
    let (by, looking) = (caller.actor(), (app.clone(), caller.clone()));
    let decide = move |hail: &_| {
        let (app, caller) = looking;
        // Whoever may not see it is told so, whatever they wish.
        eyes(&app, &caller, hail)?;
        wish?.unwrap_or_default().decide(hail, sides(&caller, hail)).map_err(refused)
    };
    let changed = app.registry.change_hail(by, id.clone(), Held::Wait, decide).await?;
    let changed = changed.ok_or_else(unknown)?;
    if let Some(problem) = changed.refused {
        return Err(problem);
    }
    let transitions = app.registry.store().transitions(&id).await?;
    let beside = Beside {
        // What came after is the next answer's.
        transitions: &transitions
            [..transitions.len().min(usize::try_from(changed.row.transitions).unwrap_or(0))],
        seen: last_seen(&app, &changed.row),
        has_moved: changed.moved_from.is_some(),
    };
    let eyes = eyes(&app, &caller, &changed.row)?;
    Ok(envelope::of_one(HailAnswer::new(&app, &changed.row, eyes, beside)))
}

/// `PUT /hails/{id}` in the reference.
pub fn describe_change() -> Operation {
    let about = "`status` moves the hail on: the operator to `received_by_taxi`, `accepted_by_taxi` (with the taxi's \
                 phone number), `declined_by_taxi`, `customer_on_board`, `finished` and `incident_taxi`, the app to \
                 `accepted_by_customer`, `declined_by_customer` and `incident_customer`. Other fields may come with it \
                 or later: each side has its own. What is refused changes nothing.";
    one("Moves a hail, or adds to what is known of it", about)
        .body(&Object(read_wish), &json!({"status": "accepted_by_taxi", "taxi_phone_number": "0612345678"}))
        .writes()
        .refuses_with(
            "The status does not lead there.",
            &refused(Refusal::Impossible(Status::ReceivedByOperator, Status::Finished)),
        )
}

fn read_wish(form: &mut Form<'_>) -> Option<Wish> {
    let status = OneOf(Status::NAMES).about("Where the hail is to stand.");
    let status = form.optional("status", status);
    let taxi_phone_number = AtMost(NAME_MAX_CHARS).about("By the operator, when the taxi accepts.");
    let taxi_phone_number = form.optional("taxi_phone_number", taxi_phone_number);
    let reason = OneOf(INCIDENT_TAXI).about("By the operator: why the taxi cannot go on.");
    let incident_taxi_reason = form.nullable("incident_taxi_reason", reason);
    let reporting =
        Boolean.about("By the operator: the customer misbehaved and is banned for 24 hours; false ends it.");
    let reporting_customer = form.nullable("reporting_customer", reporting);
    let reason = OneOf(REPORTING_CUSTOMER).about("By the operator: how.");
    let reporting_customer_reason = form.nullable("reporting_customer_reason", reason);
    let ground = OneOf(DECLINED_BY_TAXI).about(
        "By the operator, with or after `declined_by_taxi`: the ground of the refusal, by the article R3121-23 of the \
         transport code.",
    );
    let declined_by_taxi_reason = form.nullable("declined_by_taxi_reason", ground);
    let lon = FloatWithin(-180.0..=180.0).about("By the app: the customer has moved.");
    let customer_lon = form.optional("customer_lon", lon);
    let lat =
        FloatWithin(-MAX_REPORTABLE_LAT..=MAX_REPORTABLE_LAT).about("By the app: the customer has moved.");
    let customer_lat = form.optional("customer_lat", lat);
    let address = AtMost(ADDRESS_MAX_CHARS).about("By the app: where the taxi is to go.");
    let customer_address = form.optional("customer_address", address);
    let number = AtMost(NAME_MAX_CHARS).about("By the app.");
    let customer_phone_number = form.optional("customer_phone_number", number);
    let reason = OneOf(INCIDENT_CUSTOMER).about("By the app: why the customer cannot go on.");
    let incident_customer_reason = form.nullable("incident_customer_reason", reason);
    let rating_ride = form.nullable("rating_ride", Integer.about("By the app: the customer's mark."));
    let rating_ride_reason =
        form.nullable("rating_ride_reason", OneOf(RATING_RIDE).about("By the app: what for."));
    Some(Wish {
        status: status.and_then(|name| Status::try_from(name.to_owned()).ok()),
        taxi_phone_number,
        incident_taxi_reason,
        reporting_customer,
        reporting_customer_reason,
        declined_by_taxi_reason,
        customer_lon_e7: customer_lon.and_then(|lon| Some(LatLon::new(0.0, lon).ok()?.lon_e7())),
        customer_lat_e7: customer_lat.and_then(|lat| Some(LatLon::new(lat, 0.0).ok()?.lat_e7())),
        customer_address,
        customer_phone_number,
        rating_ride,
        rating_ride_reason,
        incident_customer_reason,
    })
}

/// A refusal in the contract's words.
fn refused(why: Refusal) -> Problem {
    let (field, message) = match why {
        Refusal::Over(from, to) => ("status", format!("Hail status is {from} and cannot be changed to {to}")),
        Refusal::NoPhoneNumber => {
            ("status", "Status changes to accepted_by_taxi but taxi_phone_number is not provided".to_owned())
        }
        Refusal::Impossible(from, to) => ("status", format!("Impossible to set status from {from} to {to}")),
        Refusal::NotTheirs(sender, from, to) => {
            let role = match sender {
                Sender::App => Role::Moteur,
                Sender::Operator => Role::Operateur,
                Sender::Registry => Role::Admin,
            };
            ("status", format!("Permission {role} is required to change status from {from} to {to}"))
        }
        Refusal::Field(field) => (field, "You do not have the permissions to change this value".to_owned()),
        Refusal::NotRefused => (
            "declined_by_taxi_reason",
            "Only a hail that the taxi declined has a ground of refusal".to_owned(),
        ),
    };
    Problem::data(StatusCode::BAD_REQUEST, &json!({field: [message]}))
}
