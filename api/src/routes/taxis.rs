//! `POST /taxis`, `GET /taxis/all`, `GET` and `PUT /taxis/:id`: an operator's own taxis.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use engine::engine::Seen;
use ingest::position::{SourceKey, TaxiKey};
use serde_json::{Map, Value, json};

use super::naive_timestamp;
use super::vehicles::PLATE_LENGTH;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::query::{Query, page};
use crate::form::{Field, Form, envelope, kind};
use crate::registry::card::{characteristics, non_empty};
use crate::role::Role;
use crate::router::Payload;
use crate::store::taxis::{FILTERS_MAX, FoundParts, TaxiFilter, TaxiParts, TaxiRow};

/// The smallest and the largest radius within which a taxi may choose to be seen, in metres.
const RADIUS_M: std::ops::RangeInclusive<i32> = 150..=500;
/// What an operator may say of its taxi; the other statuses come with hails.
const STATUSES: &[&str] = &["free", "occupied", "off"];

/// Brings a vehicle, an ADS and a driver together (201), or finds what did (200).
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<(StatusCode, Json<Value>)> {
    caller.require(&[Role::Admin, Role::Operateur])?;
    let parts = envelope::one(&body, read_parts)?;
    let found = app.registry.store().find_parts(caller.0.id, &parts).await?;
    let (vehicle, ads, driver) = all_parts(found)?;
    let (id, new) = app.registry.put_taxi(caller.0.id, (vehicle, ads, driver)).await?;
    let row = app.registry.store().taxi(caller.0.id, &id).await?.ok_or_else(|| unknown(&id))?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(envelope::answer(&render(&row, None)))))
}

/// One of the caller's taxis, with its last position.
pub async fn read(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer<Json<Value>> {
    caller.require(&[Role::Admin, Role::Operateur])?;
    let row = app.registry.store().taxi(caller.0.id, &id).await?.ok_or_else(|| unknown(&id))?;
    Ok(Json(envelope::answer(&render(&row, last_seen(&app, &row)))))
}

/// Changes status and radius; other fields are ignored, as some partners put back what they got.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Payload(body): Payload,
) -> Answer<Json<Value>> {
    caller.require(&[Role::Admin, Role::Operateur])?;
    let store = app.registry.store();
    store.taxi(caller.0.id, &id).await?.ok_or_else(|| unknown(&id))?;
    let availability = envelope::one_if_any(&body, read_availability)?.unwrap_or_default();
    app.registry.set_availability(caller.actor(), caller.0.id, id.clone(), availability).await?;
    let row = store.taxi(caller.0.id, &id).await?.ok_or_else(|| unknown(&id))?;
    Ok(Json(envelope::answer(&render(&row, last_seen(&app, &row)))))
}

/// A page of the caller's taxis, the newest first.
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Value>> {
    caller.require(&[Role::Operateur])?;
    let page = page(&query, &["id", "licence_plate"])?;
    let filter = TaxiFilter { ids: query.all("id"), plates: query.all("licence_plate") };
    for (name, values) in [("id", &filter.ids), ("licence_plate", &filter.plates)] {
        if values.len() > FILTERS_MAX {
            let message = format!("Up to {FILTERS_MAX} values are accepted");
            return Err(Problem::invalid(json!({name: [message]})));
        }
    }
    let (rows, total) = app.registry.store().taxis(caller.0.id, &filter, page.limit_offset()).await?;
    let data: Vec<_> = rows.iter().map(|row| render(row, None)).collect();
    Ok(Json(json!({"data": data, "meta": page.meta(total)})))
}

pub(super) fn unknown(id: &str) -> Problem {
    Problem::url(
        StatusCode::NOT_FOUND,
        &format!("Unknown taxi {id}, or taxi exists but you are not the owner."),
    )
}

fn last_seen(app: &App, row: &TaxiRow) -> Option<Seen> {
    let taxi = TaxiKey(u32::try_from(row.id).ok()?);
    let operator = ingest::position::OperatorKey(u32::try_from(row.operator_id).ok()?);
    app.engine.get(SourceKey { taxi, operator })
}

type Availability = (Option<&'static str>, Option<Option<i32>>);

fn read_availability(element: &Value) -> Field<Availability> {
    let mut form = Form::begin(element)?;
    let status = form.optional("status", kind::one_of(STATUSES));
    let radius = form.nullable("radius", kind::integer_within(RADIUS_M));
    form.finish_leniently(Some((status, radius)))
}

/// What a taxi is made of. Partners send more of each part than its reference; the rest is ignored.
fn read_parts(element: &Value) -> Field<TaxiParts> {
    let mut form = Form::begin(element)?;
    let ads = form.required("ads", |value| {
        let mut form = Form::begin(value)?;
        let numero = form.required("numero", kind::non_empty);
        let insee = form.required("insee", kind::string);
        form.finish_leniently((|| Some((numero?, insee?)))())
    });
    let plate = form.required("vehicle", |value| {
        let mut form = Form::begin(value)?;
        let plate = form.required("licence_plate", kind::text(PLATE_LENGTH));
        form.finish_leniently(plate)
    });
    let driver = form.required("driver", |value| {
        let mut form = Form::begin(value)?;
        let licence = form.required("professional_licence", kind::non_empty);
        let departement = form.required("departement", kind::text(2..=3));
        form.finish_leniently((|| Some((licence?, departement?)))())
    });
    let parts = (|| {
        let ((ads_numero, ads_insee), (driver_licence, driver_departement)) = (ads?, driver?);
        Some(TaxiParts { ads_numero, ads_insee, licence_plate: plate?, driver_licence, driver_departement })
    })();
    form.finish_leniently(parts)
}

/// Every part's number, or what is missing.
fn all_parts(found: FoundParts) -> Answer<(i32, i32, i32)> {
    if let FoundParts {
        ads: Some(ads),
        vehicle: Some(vehicle),
        described: true,
        departement: true,
        driver: Some(driver),
    } = found
    {
        return Ok((vehicle, ads, driver));
    }
    let mut errors = Map::new();
    if found.ads.is_none() {
        let message = ["ADS not found with this INSEE/numero"];
        errors.insert("ads".to_owned(), json!({"insee": message, "numero": message}));
    }
    let vehicle = match (found.vehicle, found.described) {
        (None, _) => Some("Invalid licence plate"),
        (Some(_), false) => Some("Vehicle exists but has not been created by the user making the request"),
        (Some(_), true) => None,
    };
    if let Some(message) = vehicle {
        errors.insert("vehicle".to_owned(), json!({"licence_plate": [message]}));
    }
    let mut driver = Map::new();
    if !found.departement {
        driver.insert("departement".to_owned(), json!(["Departement not found"]));
    }
    if found.driver.is_none() {
        let message = "Driver not found with this professional_licence. Is it the correct departement?";
        driver.insert("professional_licence".to_owned(), json!([message]));
    }
    if !driver.is_empty() {
        errors.insert("driver".to_owned(), Value::Object(driver));
    }
    Err(Problem::data(StatusCode::NOT_FOUND, &Value::Object(errors)))
}

fn render(row: &TaxiRow, seen: Option<Seen>) -> Value {
    let offers = characteristics([
        row.pet_accepted,
        row.bike_accepted,
        row.baby_seat,
        row.wifi,
        row.vasp_handicap,
        row.amex_accepted,
        row.bank_check_accepted,
    ]);
    json!({
        "id": row.public_id, "added_at": naive_timestamp(row.created_at), "operator": row.operator_email,
        "status": row.status, "radius": row.radius, "rating": null, "crowfly_distance": null,
        "last_update": seen.map(|seen| seen.received_at.seconds()),
        "position": {"lon": seen.map(|seen| seen.at.lon()), "lat": seen.map(|seen| seen.at.lat())},
        "vehicle": {
            "licence_plate": row.licence_plate, "model": non_empty(&row.model),
            "constructor": non_empty(&row.constructor),
            "color": row.color, "engine": row.engine, "nb_seats": row.nb_seats, "characteristics": offers,
            "type": row.body_type, "cpam_conventionne": row.cpam_conventionne,
        },
        "ads": {
            "numero": row.ads_numero, "insee": row.ads_insee, "vehicle_id": row.ads_vehicle_id,
            "owner_type": row.ads_owner_type, "owner_name": row.ads_owner_name, "doublage": row.ads_doublage,
            // Free text of old clients; a taxi has never shown it.
            "category": "", "town": {"name": row.town_name},
        },
        "driver": {
            "professional_licence": row.driver_licence, "departement": row.driver_departement,
            "first_name": row.driver_first_name, "last_name": row.driver_last_name,
        },
    })
}
