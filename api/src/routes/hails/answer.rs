//! What is shown of a hail, and to whom.

use engine::engine::Seen;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Caller;
use crate::hail::Status;
use crate::hail::wish::{HIDDEN_PHONE_NUMBER, Sides};
use crate::registry::accounts::Account;
use crate::role::Role;
use crate::routes::naive_timestamp;
use crate::routes::search::NEUTRAL_OPERATOR;
use crate::routes::taxi_answer::PositionPart;
use crate::store::hails::change::DEADLINE;
use crate::store::hails::{HailRow, TransitionRow};

/// A hail.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Hail)]
pub struct HailAnswer {
    /// Its id.
    pub id: String,
    /// The session that it is part of: hails of one customer that follow each other within five minutes.
    pub session_id: String,
    /// Where it stands.
    pub status: &'static str,
    /// Email of the operator, or what stands in its place for search apps.
    pub operateur: String,
    /// The taxi.
    pub taxi: HailedTaxi,
    /// The customer, as the app names them.
    pub customer_id: String,
    /// When it was made: ISO 8601 in UTC, without an offset.
    pub creation_datetime: String,
    /// When its status changed; with an offset in the answer to the request that changed it.
    pub last_status_change: String,
    /// How it came to where it stands.
    pub transitions: Vec<TransitionPart>,
    /// The taxi's phone number, while it is on its way; else a number of nobody.
    pub taxi_phone_number: String,
    /// Why the taxi could not go on.
    pub incident_taxi_reason: Option<String>,
    /// Whether the operator reported the customer.
    pub reporting_customer: Option<bool>,
    /// What for.
    pub reporting_customer_reason: Option<String>,
    /// Longitude of the customer in degrees.
    pub customer_lon: f64,
    /// Latitude of the customer in degrees.
    pub customer_lat: f64,
    /// Where the taxi is to go.
    pub customer_address: String,
    /// The customer's phone number, while the taxi is on its way; else a number of nobody.
    pub customer_phone_number: String,
    /// Why the customer could not go on.
    pub incident_customer_reason: Option<String>,
    /// The customer's mark.
    pub rating_ride: Option<i32>,
    /// What for.
    pub rating_ride_reason: Option<String>,
}

/// A hail's taxi.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HailedTaxi {
    /// Its id; search apps see the pseudonym under which they hailed it.
    pub id: String,
    /// Its vehicle, from when it accepts until the ride is over.
    pub vehicle: HailedVehicle,
    /// Its driver, as long.
    pub driver: HailedDriver,
    /// Where it is, while the hail lasts.
    pub position: PositionPart,
    /// Kilometres to the customer, while the hail lasts.
    pub crowfly_distance: Option<f64>,
    /// When its position was received, in seconds since 1970.
    pub last_update: Option<i64>,
}

/// A hail's vehicle.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct HailedVehicle {
    /// Its plate.
    pub licence_plate: String,
    /// Its colour.
    pub color: String,
}

/// A hail's driver.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct HailedDriver {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
}

/// A step of a hail.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TransitionPart {
    /// Where it stood; null: it began.
    pub from_status: Option<String>,
    /// Where it stood then.
    pub to_status: String,
    /// When: ISO 8601 in UTC, without an offset.
    pub timestamp: String,
    /// Why, where somebody said so.
    pub reason: Option<String>,
}

/// Who looks at a hail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Eyes {
    /// Those of an administrator.
    Admin,
    /// Those of the taxi's operator.
    Operator,
    /// Those of the search app.
    App,
}

impl Eyes {
    /// Those of an account on a hail of this operator and this app; None: it is none of theirs.
    pub fn of(account: &Account, operator: i32, app: i32) -> Option<Self> {
        if account.has(Role::Admin) {
            Some(Self::Admin)
        } else if account.id == operator {
            Some(Self::Operator)
        } else {
            (account.id == app).then_some(Self::App)
        }
    }

    /// Of the ids of a taxi, the one that they know.
    pub fn taxi_id<'a>(self, shown: &'a str, public: &'a str) -> &'a str {
        if self == Self::App { shown } else { public }
    }

    /// A phone number of either side of a hail that stands there, or what is shown in its place.
    pub fn phone_number(self, status: Status, number: &str) -> String {
        let is_shown = self == Self::Admin || status.shows_phone_numbers();
        if is_shown { number.to_owned() } else { HIDDEN_PHONE_NUMBER.to_owned() }
    }
}

/// The sides of a hail that the caller is on.
pub fn sides(caller: &Caller, hail: &HailRow) -> Sides {
    let is_admin = caller.0.has(Role::Admin);
    Sides {
        operator: is_admin || caller.0.id == hail.operator_id,
        app: is_admin || caller.0.id == hail.app_id,
    }
}

/// What is known beside the row.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// How the hail came to where it stands.
    pub transitions: &'a [TransitionRow],
    /// Where the taxi was seen last.
    pub seen: Option<Seen>,
    /// Whether the request that is answered changed the status.
    pub has_moved: bool,
}

impl HailAnswer {
    /// A hail as these eyes see it.
    pub fn new(app: &App, hail: &HailRow, eyes: Eyes, beside: Beside<'_>) -> Self {
        let phone_number = |number: &str| eyes.phone_number(hail.status, number);
        let status_at = naive_timestamp(hail.status_at);
        let offset = if beside.has_moved { "+00:00" } else { "" };
        let (lat, lon) = (f64::from(hail.customer_lat_e7) / 1e7, f64::from(hail.customer_lon_e7) / 1e7);
        Self {
            id: hail.id.clone(),
            session_id: hail.session_id.clone(),
            status: hail.status.as_str(),
            operateur: shown_operator(app, eyes, &hail.operator_email),
            taxi: HailedTaxi::new(hail, eyes, beside.seen),
            customer_id: hail.customer_id.clone(),
            creation_datetime: naive_timestamp(hail.created_at),
            last_status_change: format!("{status_at}{offset}"),
            transitions: beside.transitions.iter().map(|row| TransitionPart::new(hail, row, eyes)).collect(),
            taxi_phone_number: phone_number(&hail.taxi_phone_number),
            incident_taxi_reason: hail.incident_taxi_reason.clone(),
            reporting_customer: hail.reporting_customer,
            reporting_customer_reason: hail.reporting_customer_reason.clone(),
            customer_lon: lon,
            customer_lat: lat,
            customer_address: hail.customer_address.clone(),
            customer_phone_number: phone_number(&hail.customer_phone_number),
            incident_customer_reason: hail.incident_customer_reason.clone(),
            rating_ride: hail.rating_ride,
            rating_ride_reason: hail.rating_ride_reason.clone(),
        }
    }

    /// A hail that its taxi has accepted, as the app sees it.
    pub fn example() -> Self {
        let moment = |second| format!("2026-11-25T07:30:{second:02}.123456");
        let step = |from: Option<&str>, to: &str, second| TransitionPart {
            from_status: from.map(str::to_owned),
            to_status: to.to_owned(),
            timestamp: moment(second),
            reason: None,
        };
        Self {
            id: "h7KqYbW".to_owned(),
            session_id: "b1f0a9a4-0a0c-4a1e-9d0c-0c8a1f3e2d11".to_owned(),
            status: "accepted_by_taxi",
            operateur: NEUTRAL_OPERATOR.to_owned(),
            taxi: HailedTaxi {
                id: "u3bQ0yVnXw7sZkWlTqPa1g".to_owned(),
                vehicle: HailedVehicle { licence_plate: "AB-123-CD".to_owned(), color: "noir".to_owned() },
                driver: HailedDriver { first_name: "Ada".to_owned(), last_name: "Martin".to_owned() },
                position: PositionPart { lon: Some(2.3522), lat: Some(48.8566) },
                crowfly_distance: Some(0.231),
                last_update: Some(1_795_591_812),
            },
            customer_id: "customer-1".to_owned(),
            creation_datetime: moment(0),
            last_status_change: moment(9),
            transitions: vec![
                step(None, "received", 0),
                step(Some("received"), "received_by_operator", 0),
                step(Some("received_by_operator"), "received_by_taxi", 2),
                step(Some("received_by_taxi"), "accepted_by_taxi", 9),
            ],
            taxi_phone_number: HIDDEN_PHONE_NUMBER.to_owned(),
            incident_taxi_reason: None,
            reporting_customer: None,
            reporting_customer_reason: None,
            customer_lon: 2.3505,
            customer_lat: 48.855,
            customer_address: "25 rue Quincampoix 75004 Paris".to_owned(),
            customer_phone_number: HIDDEN_PHONE_NUMBER.to_owned(),
            incident_customer_reason: None,
            rating_ride: None,
            rating_ride_reason: None,
        }
    }
}

impl HailedTaxi {
    fn new(hail: &HailRow, eyes: Eyes, seen: Option<Seen>) -> Self {
        let seen = seen.filter(|_| !hail.status.is_end());
        let distance_m = |seen: Seen| Some(engine::distance::distance_m(seen.at, hail.customer_at()?));
        let (vehicle, driver) = if hail.status.shows_vehicle() {
            let vehicle =
                HailedVehicle { licence_plate: hail.licence_plate.clone(), color: hail.color.clone() };
            let (first_name, last_name) = (hail.driver_first_name.clone(), hail.driver_last_name.clone());
            (vehicle, HailedDriver { first_name, last_name })
        } else {
            Default::default()
        };
        Self {
            id: eyes.taxi_id(&hail.shown_taxi_id, &hail.public_taxi_id).to_owned(),
            vehicle,
            driver,
            position: PositionPart {
                lon: seen.map(|seen| seen.at.lon()),
                lat: seen.map(|seen| seen.at.lat()),
            },
            crowfly_distance: seen.and_then(distance_m).map(|metres| metres / 1000.0),
            last_update: seen.map(|seen| seen.received_at.seconds()),
        }
    }
}

impl TransitionPart {
    /// A transition of a hail, as these eyes see it.
    pub fn new(hail: &HailRow, row: &TransitionRow, eyes: Eyes) -> Self {
        let ground = hail.declined_by_taxi_reason.as_ref().filter(|_| row.to_status == "declined_by_taxi");
        // How its server failed is the operator's business.
        let reason = row.reason.as_ref().filter(|reason| eyes != Eyes::App || *reason == DEADLINE);
        Self {
            from_status: row.from_status.clone(),
            to_status: row.to_status.clone(),
            timestamp: naive_timestamp(row.at),
            reason: ground.or(reason).cloned(),
        }
    }
}

/// The operator's email, or what search apps see in its place.
pub fn shown_operator(app: &App, eyes: Eyes, email: &str) -> String {
    let is_hidden = eyes == Eyes::App && app.behaviour.neutral_operator;
    if is_hidden { NEUTRAL_OPERATOR.to_owned() } else { email.to_owned() }
}
