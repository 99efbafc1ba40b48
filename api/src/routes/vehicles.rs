//! `POST /vehicles`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::Form;
use crate::form::envelope::{self, Elements};
use crate::form::kind::{Boolean, Day, Deprecated, Float, Integer, Kind as _, Length, Object, OneOf, Text};
use crate::openapi::{Chapter, Operation};
use crate::registry::card::non_empty;
use crate::role::REGISTRARS;
use crate::router::Payload;
use crate::store::vehicles::DescriptionChanges;

/// How many characters a plate has, with its separators or without.
pub const PLATE_LENGTH: std::ops::RangeInclusive<usize> = 7..=10;

/// A vehicle as the caller describes it.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = Vehicle)]
pub struct VehicleAnswer {
    /// The vehicle's number.
    pub id: i32,
    /// Its plate.
    pub licence_plate: String,
    /// Model.
    pub model: Option<String>,
    /// Constructor.
    pub constructor: Option<String>,
    /// Motorisation; null in the answer that adds the vehicle without it.
    pub engine: Option<String>,
    /// Colour; null in the answer that adds the vehicle without it.
    pub color: Option<String>,
    /// Seats for passengers.
    pub nb_seats: Option<i32>,
    /// Whether it is a relief vehicle (article R.3121-2 of the transport code).
    pub relais: Option<bool>,
    /// Whether it takes French cheques.
    pub bank_check_accepted: Option<bool>,
    /// Whether it has a baby seat.
    pub baby_seat: Option<bool>,
    /// Whether it takes bicycles.
    pub bike_accepted: Option<bool>,
    /// Whether it takes pets.
    pub pet_accepted: Option<bool>,
    /// Whether it takes American Express.
    pub amex_accepted: Option<bool>,
    /// Whether it has Wi-Fi.
    pub wifi: Option<bool>,
    /// Whether it is registered as adapted to disabled passengers.
    pub vasp_handicap: Option<bool>,
}

/// Adds a vehicle, or the caller's description of one (201), or changes what is given of it (200).
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<(StatusCode, Json<Elements<VehicleAnswer>>)> {
    caller.require(REGISTRARS)?;
    let (plate, by) = envelope::one(&body, Object(read))?;
    let given = (by.color.is_some(), by.engine.is_some());
    let (row, new) = app.registry.put_vehicle(caller.0.id, plate.clone(), by).await?;
    let answer = VehicleAnswer {
        id: row.vehicle_id,
        licence_plate: plate,
        model: non_empty(&row.model),
        constructor: non_empty(&row.constructor),
        // Partners know these two as null in the answer that creates them and as "" ever after.
        engine: (!new || given.1).then_some(row.engine),
        color: (!new || given.0).then_some(row.color),
        nb_seats: row.nb_seats,
        relais: row.relais,
        bank_check_accepted: row.bank_check_accepted,
        baby_seat: row.baby_seat,
        bike_accepted: row.bike_accepted,
        pet_accepted: row.pet_accepted,
        amex_accepted: row.amex_accepted,
        wifi: row.wifi,
        vasp_handicap: row.vasp_handicap,
    };
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, envelope::of_one(answer)))
}

/// `POST /vehicles` in the reference.
pub fn describe_create() -> Operation {
    let about = "A vehicle is known by its plate and shared by its operators, each of whom describes it on its own. \
                 Fields left out stay as they are. What only old clients send is checked and not kept.";
    let request = json!({
        "licence_plate": "AB-123-CD", "constructor": "Peugeot", "model": "508", "color": "noir", "nb_seats": 4,
        "wifi": true,
    });
    let answer = VehicleAnswer {
        id: 7,
        licence_plate: "AB-123-CD".to_owned(),
        constructor: Some("Peugeot".to_owned()),
        model: Some("508".to_owned()),
        color: Some("noir".to_owned()),
        nb_seats: Some(4),
        wifi: Some(true),
        ..VehicleAnswer::default()
    };
    Operation::new(Chapter::Operators, "Adds a vehicle, or changes what is said of it", about)
        .roles(REGISTRARS)
        .body(&Object(read), &request)
        .writes()
        .one(201, "The vehicle, or the caller's description of it, was added.", &answer)
        .one(200, "What was given was changed.", &answer)
}

fn read(form: &mut Form<'_>) -> Option<(String, DescriptionChanges)> {
    let plate = form.required("licence_plate", Length(PLATE_LENGTH).about("The plate."));
    let body = OneOf(&["sedan", "mpv", "station_wagon", "normal"]);
    let by = DescriptionChanges {
        model: text_or_empty(form, "model", "Model."),
        constructor: text_or_empty(form, "constructor", "Constructor."),
        engine: text_or_empty(form, "engine", "Motorisation."),
        color: text_or_empty(form, "color", "Colour."),
        nb_seats: form.nullable("nb_seats", Integer.about("Seats for passengers.")),
        relais: form.nullable("relais", Boolean.about("Relief vehicle (article R.3121-2).")),
        amex_accepted: form.nullable("amex_accepted", Boolean.about("Takes American Express.")),
        bank_check_accepted: form.nullable("bank_check_accepted", Boolean.about("Takes French cheques.")),
        wifi: form.nullable("wifi", Boolean.about("Wi-Fi on board.")),
        baby_seat: form.nullable("baby_seat", Boolean.about("Has a baby seat.")),
        bike_accepted: form.nullable("bike_accepted", Boolean.about("Takes bicycles.")),
        pet_accepted: form.nullable("pet_accepted", Boolean.about("Takes pets.")),
        vasp_handicap: form.nullable("vasp_handicap", Boolean.about("Adapted to disabled passengers.")),
        body_type: form.nullable("type_", body.about("Kind of body.")).map(|body| body.map(str::to_owned)),
        cpam_conventionne: form
            .nullable("cpam_conventionne", Boolean.about("Has an agreement with the health insurance.")),
    };
    check_deprecated(form);
    Some((plate?, by))
}

/// A text that may be null, which clears it.
fn text_or_empty(form: &mut Form<'_>, name: &'static str, about: &'static str) -> Option<String> {
    form.nullable(name, Text.about(about)).map(Option::unwrap_or_default)
}

/// Fields of old clients: checked as they always were, shown nowhere, so not kept.
fn check_deprecated(form: &mut Form<'_>) {
    const BOOLEANS: [&str; 11] = [
        "air_con",
        "credit_card_accepted",
        "electronic_toll",
        "fresh_drink",
        "tablet",
        "dvd_player",
        "every_destination",
        "nfc_cc_accepted",
        "special_need_vehicle",
        "gps",
        "luxury",
    ];
    for name in BOOLEANS {
        form.nullable(name, Deprecated(Boolean));
    }
    for name in ["horodateur", "taximetre"] {
        form.nullable(name, Deprecated(Text));
    }
    for name in ["date_dernier_ct", "date_validite_ct"] {
        form.nullable(name, Deprecated(Day));
    }
    form.nullable("horse_power", Deprecated(Float));
    form.nullable("model_year", Deprecated(Integer));
}
