//! `POST /vehicles`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::{Field, Form, envelope, kind};
use crate::registry::card::non_empty;
use crate::role::Role;
use crate::router::Payload;
use crate::store::vehicles::DescriptionChanges;

/// How many characters a plate has, with its separators or without.
pub const PLATE_LENGTH: std::ops::RangeInclusive<usize> = 7..=10;

/// Adds a vehicle, or the caller's description of one (201), or changes what is given of it (200).
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<(StatusCode, Json<Value>)> {
    caller.require(&[Role::Admin, Role::Operateur])?;
    let (plate, by) = envelope::one(&body, read)?;
    let given = (by.color.is_some(), by.engine.is_some());
    let (row, new) = app.registry.put_vehicle(caller.0.id, plate.clone(), by).await?;
    // Partners know these two as null in the answer that creates them and as "" ever after.
    let color = (!new || given.0).then_some(row.color);
    let engine = (!new || given.1).then_some(row.engine);
    let answer = json!({
        "id": row.vehicle_id, "licence_plate": plate, "model": non_empty(&row.model),
        "constructor": non_empty(&row.constructor), "engine": engine, "color": color, "nb_seats": row.nb_seats,
        "relais": row.relais, "bank_check_accepted": row.bank_check_accepted, "baby_seat": row.baby_seat,
        "bike_accepted": row.bike_accepted, "pet_accepted": row.pet_accepted, "amex_accepted": row.amex_accepted,
        "wifi": row.wifi, "vasp_handicap": row.vasp_handicap,
    });
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(envelope::answer(&answer))))
}

fn read(element: &Value) -> Field<(String, DescriptionChanges)> {
    let mut form = Form::begin(element)?;
    let plate = form.required("licence_plate", kind::text(PLATE_LENGTH));
    let by = DescriptionChanges {
        model: text_or_empty(&mut form, "model"),
        constructor: text_or_empty(&mut form, "constructor"),
        engine: text_or_empty(&mut form, "engine"),
        color: text_or_empty(&mut form, "color"),
        nb_seats: form.nullable("nb_seats", kind::integer),
        relais: form.nullable("relais", kind::boolean),
        amex_accepted: form.nullable("amex_accepted", kind::boolean),
        bank_check_accepted: form.nullable("bank_check_accepted", kind::boolean),
        wifi: form.nullable("wifi", kind::boolean),
        baby_seat: form.nullable("baby_seat", kind::boolean),
        bike_accepted: form.nullable("bike_accepted", kind::boolean),
        pet_accepted: form.nullable("pet_accepted", kind::boolean),
        vasp_handicap: form.nullable("vasp_handicap", kind::boolean),
        body_type: form
            .nullable("type_", kind::one_of(&["sedan", "mpv", "station_wagon", "normal"]))
            .map(|body| body.map(str::to_owned)),
        cpam_conventionne: form.nullable("cpam_conventionne", kind::boolean),
    };
    check_deprecated(&mut form);
    form.finish(plate.map(|plate| (plate, by)))
}

/// A text that may be null, which clears it.
fn text_or_empty(form: &mut Form<'_>, name: &'static str) -> Option<String> {
    form.nullable(name, kind::string).map(Option::unwrap_or_default)
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
        form.nullable(name, kind::boolean);
    }
    for name in ["horodateur", "taximetre"] {
        form.nullable(name, kind::string);
    }
    for name in ["date_dernier_ct", "date_validite_ct"] {
        form.nullable(name, kind::date);
    }
    form.nullable("horse_power", kind::float);
    form.nullable("model_year", kind::integer);
}
