//! The contract's rules on hails as tables, written from its words and its recordings, without a look at the machine.

use ingest::position::MAX_REPORTABLE_LAT;
use serde_json::{Map, Value, json};

/// Who moves a hail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Operator,
    App,
}

use Side::{App, Operator};

pub(crate) const STATUSES: &[&str] = &[
    "received",
    "sent_to_operator",
    "received_by_operator",
    "received_by_taxi",
    "accepted_by_taxi",
    "accepted_by_customer",
    "customer_on_board",
    "failure",
    "declined_by_taxi",
    "incident_taxi",
    "timeout_taxi",
    "declined_by_customer",
    "incident_customer",
    "timeout_customer",
    "timeout_accepted_by_customer",
    "finished",
];

/// Every move that somebody may make: from, to, whose it is. The first one of each status is the way to the end.
pub(crate) const MOVES: &[(&str, &str, Side)] = &[
    ("received", "declined_by_customer", App),
    ("sent_to_operator", "received_by_operator", Operator),
    ("sent_to_operator", "declined_by_customer", App),
    ("received_by_operator", "received_by_taxi", Operator),
    ("received_by_operator", "declined_by_customer", App),
    ("received_by_taxi", "accepted_by_taxi", Operator),
    ("received_by_taxi", "declined_by_taxi", Operator),
    ("received_by_taxi", "incident_taxi", Operator),
    ("received_by_taxi", "declined_by_customer", App),
    ("received_by_taxi", "incident_customer", App),
    ("accepted_by_taxi", "accepted_by_customer", App),
    ("accepted_by_taxi", "declined_by_customer", App),
    ("accepted_by_taxi", "incident_customer", App),
    ("accepted_by_taxi", "incident_taxi", Operator),
    ("accepted_by_customer", "customer_on_board", Operator),
    ("accepted_by_customer", "incident_taxi", Operator),
    ("accepted_by_customer", "incident_customer", App),
    ("customer_on_board", "finished", Operator),
    ("customer_on_board", "incident_taxi", Operator),
    ("customer_on_board", "incident_customer", App),
];

/// How long a status may last, in milliseconds, and what it ends in then. The others are ends.
pub(crate) const DEADLINES: &[(&str, i64, &str)] = &[
    ("received", 10_000, "failure"),
    ("sent_to_operator", 10_000, "failure"),
    ("received_by_operator", 10_000, "failure"),
    ("received_by_taxi", 30_000, "timeout_taxi"),
    ("accepted_by_taxi", 30_000, "timeout_customer"),
    ("accepted_by_customer", 30 * 60_000, "timeout_accepted_by_customer"),
    ("customer_on_board", 2 * 3_600_000, "timeout_taxi"),
];

/// What a status makes of the taxi; the others leave it.
pub(crate) const TAXIS: &[(&str, &str)] = &[
    ("received", "answering"),
    ("accepted_by_customer", "oncoming"),
    ("customer_on_board", "occupied"),
    ("failure", "free"),
    ("declined_by_taxi", "off"),
    ("incident_taxi", "free"),
    ("timeout_taxi", "off"),
    ("declined_by_customer", "free"),
    ("incident_customer", "free"),
    ("timeout_customer", "free"),
    ("timeout_accepted_by_customer", "occupied"),
    ("finished", "free"),
];

/// The operator has heard of the hail, or will not: what its server's answer, or none, leads to.
pub(crate) const CALLS: &[&str] = &["received_by_operator", "failure", "sent_to_operator"];

/// While these last, vehicle and driver are shown.
pub(crate) const VEHICLE_SHOWN: &[&str] = &["accepted_by_taxi", "accepted_by_customer", "customer_on_board"];
/// While this lasts, phone numbers are shown.
pub(crate) const PHONES_SHOWN: &str = "accepted_by_customer";
/// Shown in place of phone numbers.
pub(crate) const NO_PHONE: &str = "0600000000";
/// Shown to apps in place of the operator.
pub(crate) const NEUTRAL_OPERATOR: &str = "chauffeur professionnel";

/// A position counts while it was received less than this ago, in milliseconds.
pub(crate) const FRESH_MS: i64 = 120_000;
/// Hails less than this apart share a session, in milliseconds.
pub(crate) const SESSION_MS: i64 = 5 * 60_000;
/// How long a ban lasts, in milliseconds.
pub(crate) const BAN_MS: i64 = 24 * 3_600_000;
/// How long a hail is shown, in milliseconds.
pub(crate) const SHOWN_MS: i64 = 60 * 24 * 3_600_000;
/// How long a request that has a name is remembered, in milliseconds.
pub(crate) const REMEMBERED_MS: i64 = 24 * 3_600_000;
/// How long a pseudonym means something, in seconds.
pub(crate) const PSEUDONYM_S: i64 = 3_600;

/// A field of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) may_be_null: bool,
    pub(crate) must_be_there: bool,
    /// Whose it is; None: whoever makes the move that it belongs to.
    pub(crate) side: Option<Side>,
}

/// What may be changed of a hail. Whoever changes what is not theirs is refused the first such field.
pub(crate) const FIELDS: &[Field] = &[
    field("status", Kind::OneOf(STATUSES)),
    field("taxi_phone_number", Kind::Text),
    field("incident_taxi_reason", Kind::OneOf(INCIDENT_TAXI)).or_null().of(Operator),
    field("reporting_customer", Kind::Boolean).or_null().of(Operator),
    field("reporting_customer_reason", Kind::OneOf(REPORTING_CUSTOMER)).or_null().of(Operator),
    field("declined_by_taxi_reason", Kind::OneOf(DECLINED_BY_TAXI)).or_null().of(Operator),
    field("customer_lon", Kind::Lon).of(App),
    field("customer_lat", Kind::Lat).of(App),
    field("customer_address", Kind::Text).of(App),
    field("rating_ride", Kind::Integer).or_null().of(App),
    field("rating_ride_reason", Kind::OneOf(RATING_RIDE)).or_null().of(App),
    field("incident_customer_reason", Kind::OneOf(INCIDENT_CUSTOMER)).or_null().of(App),
    field("customer_phone_number", Kind::Text).of(App),
];

/// What is said of a hail that is asked for.
pub(crate) const ASKED: &[Field] = &[
    field("customer_lon", Kind::Lon).required(),
    field("customer_lat", Kind::Lat).required(),
    field("customer_address", Kind::Text).required(),
    field("customer_phone_number", Kind::Text).required(),
    field("customer_id", Kind::Text).required(),
    field("taxi_id", Kind::Text).required(),
    field("operateur", Kind::Text),
    field("session_id", Kind::Uuid).or_null(),
];

/// What an operator says of its taxi; other fields are left alone.
pub(crate) const AVAILABILITY: &[Field] =
    &[field("status", Kind::OneOf(&["free", "occupied", "off"])), field("radius", Kind::Radius).or_null()];

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, may_be_null: false, must_be_there: false, side: None }
}

impl Field {
    const fn or_null(self) -> Self {
        Self { may_be_null: true, ..self }
    }

    const fn required(self) -> Self {
        Self { must_be_there: true, ..self }
    }

    const fn of(self, side: Side) -> Self {
        Self { side: Some(side), ..self }
    }

    /// What is wrong with it in an element.
    fn complains(self, given: &Map<String, Value>) -> Option<String> {
        match given.get(self.name) {
            None => self.must_be_there.then(|| "Missing data for required field.".to_owned()),
            Some(Value::Null) => (!self.may_be_null).then(|| "Field may not be null.".to_owned()),
            Some(value) => self.kind.complains(value),
        }
    }
}

/// Everything that is wrong with an element of these fields, in which others are left alone or not.
pub(crate) fn wrong(fields: &[Field], is_open: bool, given: &Map<String, Value>) -> Map<String, Value> {
    let complaint = |field: &Field| Some((field.name.to_owned(), json!([field.complains(given)?])));
    let mut wrong: Map<_, _> = fields.iter().filter_map(complaint).collect();
    if !is_open {
        let is_unknown = |name: &&String| fields.iter().all(|field| field.name != **name);
        wrong.extend(given.keys().filter(is_unknown).map(|name| (name.clone(), json!(["Unknown field."]))));
    }
    wrong
}

const INCIDENT_TAXI: &[&str] =
    &["no_show", "address", "traffic", "breakdown", "traffic_jam", "garbage_truck"];
const REPORTING_CUSTOMER: &[&str] =
    &["ko", "payment", "courtesy", "route", "cleanliness", "late", "aggressive", "no_show"];
const DECLINED_BY_TAXI: &[&str] =
    &["outside_zone", "rest_time", "prior_booking", "street_hail", "rank_queue", "event"];
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
const INCIDENT_CUSTOMER: &[&str] = &["", "mud_river", "parade", "earthquake", "no_show", "no_specs"];

/// What a field may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    OneOf(&'static [&'static str]),
    Boolean,
    Integer,
    Lon,
    Lat,
    Radius,
    Uuid,
}

impl Kind {
    /// What is wrong with a value that is not null.
    fn complains(self, value: &Value) -> Option<String> {
        let (is_it, message) = match self {
            Self::Text | Self::OneOf(_) if !value.is_string() => (false, "Not a valid string.".to_owned()),
            Self::Text => (true, String::new()),
            Self::OneOf(choices) => {
                let is_one = choices.iter().any(|choice| value == choice);
                (is_one, format!("Must be one of: {}.", choices.join(", ")))
            }
            Self::Boolean => (value.is_boolean(), "Not a valid boolean.".to_owned()),
            Self::Integer => (value.is_i64(), "Not a valid integer.".to_owned()),
            Self::Lon | Self::Lat if !value.is_number() => (false, "Not a valid number.".to_owned()),
            Self::Lon => within(value, -180.0, 180.0),
            Self::Lat => within(value, -MAX_REPORTABLE_LAT, MAX_REPORTABLE_LAT),
            Self::Radius => within(value, 150.0, 500.0),
            Self::Uuid => {
                let is_uuid = value.as_str().is_some_and(|text| text.len() == 36);
                (is_uuid, "Not a valid UUID.".to_owned())
            }
        };
        (!is_it).then_some(message)
    }
}

fn within(value: &Value, low: f64, high: f64) -> (bool, String) {
    let is_within = value.as_f64().is_some_and(|number| (low..=high).contains(&number));
    (is_within, format!("Must be greater than or equal to {low} and less than or equal to {high}."))
}
