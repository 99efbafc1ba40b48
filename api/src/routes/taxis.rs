//! `POST /taxis`, `GET /taxis/all`, `GET` and `PUT /taxis/:id`: an operator's own taxis.

mod trial;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use engine::engine::Seen;
use ingest::position::{LatLon, SourceKey, TaxiKey};
use serde_json::{Map, Value, json};

use super::naive_timestamp;
use super::taxi_answer::{AdsPart, DriverPart, PositionPart, TaxiAnswer, TownPart, VehiclePart};
use super::vehicles::PLATE_LENGTH;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::Form;
use crate::form::envelope::{self, Elements, Paged};
use crate::form::filters::{Filters, too_many};
use crate::form::kind::{AtMost, IntegerWithin, Kind as _, Length, NonEmpty, OneOf, OpenObject, Text};
use crate::form::query::Query;
use crate::limits::{NAME_MAX_CHARS, PER_PAGE};
use crate::openapi::{Chapter, Operation};
use crate::registry::card::{characteristics, non_empty};
use crate::retention::blurred;
use crate::role::{REGISTRARS, Role};
use crate::router::Payload;
use crate::store::taxis::{FoundParts, TaxiFilter, TaxiParts, TaxiRow};

/// The smallest and the largest radius within which a taxi may choose to be seen, in metres.
pub(crate) const RADIUS_M: std::ops::RangeInclusive<i32> = 150..=500;
/// What an operator may say of its taxi; the other statuses come with hails.
pub(crate) const STATUSES: &[&str] = &["free", "occupied", "off"];

/// Brings a vehicle, an ADS and a driver together (201), or finds what did (200).
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<(StatusCode, Json<Elements<TaxiAnswer>>)> {
    caller.require(REGISTRARS)?;
    let parts = envelope::one(&body, OpenObject(read_parts))?;
    let found = app.registry.store().find_parts(caller.0.id, &parts).await?;
    let (vehicle, ads, driver) = all_parts(found)?;
    let (id, new) = app.registry.put_taxi(caller.0.id, (vehicle, ads, driver)).await?;
    let row = app.registry.store().taxi(caller.0.id, &id).await?.ok_or_else(|| unknown(&id))?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, envelope::of_one(render(&row, None))))
}

/// `POST /taxis` in the reference.
pub fn describe_create() -> Operation {
    let about = "Vehicle, ADS and driver were added before. The id in the answer is what positions are reported under; \
                 the taxi is `off` until its operator says otherwise.";
    let request = json!({
        "driver": {"professional_licence": "L1", "departement": "75"}, "vehicle": {"licence_plate": "AB-123-CD"},
        "ads": {"numero": "1", "insee": "75056"},
    });
    let missing = FoundParts::default();
    let mut operation =
        Operation::new(Chapter::Operators, "Brings a vehicle, an ADS and a driver together", about)
            .roles(REGISTRARS)
            .body(&OpenObject(read_parts), &request)
            .writes()
            .one(
                201,
                "The taxi was added.",
                &TaxiAnswer { status: "off".to_owned(), ..TaxiAnswer::example() },
            )
            .one(200, "This taxi was there already.", &TaxiAnswer::example());
    if let Err(problem) = all_parts(missing) {
        operation = operation.refuses_with("A part was not added before.", &problem);
    }
    operation
}

/// One of the caller's taxis, with its last position.
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<Elements<TaxiAnswer>>> {
    caller.require(REGISTRARS)?;
    let row = app.registry.store().taxi(caller.0.id, &id).await?.ok_or_else(|| unknown(&id))?;
    Ok(envelope::of_one(render(&row, last_seen(&app, &row))))
}

/// `GET /taxis/{id}` in the reference.
pub fn describe_read() -> Operation {
    one_of_own("One of the caller's taxis, with its last position", "")
}

fn one_of_own(summary: &'static str, about: &'static str) -> Operation {
    Operation::new(Chapter::Operators, summary, about)
        .roles(REGISTRARS)
        .path("id", &json!({"type": "string"}), "The taxi's id, as its operator knows it.", "yCnSfFy")
        .one(200, "The taxi.", &TaxiAnswer::example())
        .refuses_with("No such taxi of the caller's.", &unknown("nowhere"))
}

/// Changes status, radius and who finds it; other fields are ignored, as some partners put back what they got.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Payload(body): Payload,
) -> Answer<Json<Elements<TaxiAnswer>>> {
    caller.require(REGISTRARS)?;
    let store = app.registry.store();
    store.taxi(caller.0.id, &id).await?.ok_or_else(|| unknown(&id))?;
    let (availability, trial_for) =
        envelope::one_if_any(&body, OpenObject(read_changes))?.unwrap_or_default();
    // In between nobody finds what is not for them: a taxi of a trial is that before it is free, and as long as it is.
    let (begins, ends) = match trial_for {
        Some(None) => (None, Some(None)),
        begins => (begins, None),
    };
    if let Some(email) = begins {
        trial::set(&app, &caller, id.clone(), email).await?;
    }
    app.registry.set_availability(caller.actor(), caller.0.id, id.clone(), availability).await?;
    if let Some(nobody) = ends {
        trial::set(&app, &caller, id.clone(), nobody).await?;
    }
    let row = store.taxi(caller.0.id, &id).await?.ok_or_else(|| unknown(&id))?;
    Ok(envelope::of_one(render(&row, last_seen(&app, &row))))
}

/// `PUT /taxis/{id}` in the reference.
pub fn describe_change() -> Operation {
    let about = "Only a taxi that is `free` is found by search apps, within its radius. What is left out stays, other \
                 fields are ignored. Of the integration account's taxis one may be of a trial: then one search app \
                 alone finds it and can have it, until `trial_for` is null.";
    let wrong = json!({"data": {"0": {"status": ["Must be one of: free, occupied, off."]}}});
    one_of_own("Changes the status and the radius of one of the caller's taxis", about)
        .body(&OpenObject(read_changes), &json!({"status": "free", "radius": 300}))
        .writes()
        .refuses(400, "A value is wrong.", &wrong)
        .refuses_with("The taxi is not the integration account's.", &trial::not_lent())
}

/// A page of the caller's taxis, the newest first.
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Paged<TaxiAnswer>>> {
    Ok(Json(found(&app, &caller, &query, PER_PAGE).await?))
}

/// The same with so many taxis a page.
pub(crate) async fn found(
    app: &App,
    caller: &Caller,
    query: &Query,
    per_page: i64,
) -> Answer<Paged<TaxiAnswer>> {
    caller.require(LISTERS)?;
    let mut filters = Filters::of(query);
    let (ids, plates) = (filters.beginnings("id"), filters.beginnings("licence_plate"));
    let (filter, page) = (TaxiFilter { ids, plates }, filters.page()?.of(per_page));
    let (rows, total) = app.registry.store().taxis(caller.0.id, &filter, page.limit_offset()).await?;
    Ok(Paged::new(rows.iter().map(|row| render(row, None)).collect(), page.meta(total)))
}

/// `GET /taxis/all` in the reference.
pub fn describe_list() -> Operation {
    let unseen = TaxiAnswer {
        last_update: None,
        position: PositionPart { lon: None, lat: None },
        ..TaxiAnswer::example()
    };
    Operation::new(
        Chapter::Operators,
        "The caller's taxis, page by page",
        "The newest first, without positions.",
    )
    .roles(LISTERS)
    .pages()
    .filter("id", "Only taxis whose id begins with one of these.")
    .filter("licence_plate", "Only taxis whose vehicle's plate begins with one of these.")
    .page("A page of taxis.", &[unseen])
    .refuses_with("Too many values.", &too_many("id"))
}

/// Who has taxis to list.
const LISTERS: &[Role] = &[Role::Operateur];

pub(super) fn unknown(id: &str) -> Problem {
    Problem::url(
        StatusCode::NOT_FOUND,
        &format!("Unknown taxi {id}, or taxi exists but you are not the owner."),
    )
}

fn last_seen(app: &App, row: &TaxiRow) -> Option<Seen> {
    let taxi = TaxiKey(u32::try_from(row.id).ok()?);
    let operator = ingest::position::OperatorKey(u32::try_from(row.operator_id).ok()?);
    let mut seen = app.engine.get(SourceKey { taxi, operator })?;
    // Memory holds it for as long as the process runs.
    if seen.received_at <= app.retention.exact_since(app.clock.now()) {
        let (lat_e7, lon_e7) = blurred(&app.registry.territory(), (seen.at.lat_e7(), seen.at.lon_e7()));
        seen.at = LatLon::from_e7(lat_e7, lon_e7).ok()?;
    }
    Some(seen)
}

type Availability = (Option<&'static str>, Option<Option<i32>>);

/// Status and radius, and the email of the one search app that finds it.
type Changes = (Availability, Option<Option<String>>);

fn read_changes(form: &mut Form<'_>) -> Option<Changes> {
    let status = form.optional("status", OneOf(STATUSES).about("Whether it takes customers."));
    let radius = IntegerWithin(RADIUS_M);
    let radius = form.nullable(
        "radius",
        radius.about("How far from the customer it wants to be found, in metres; null is the default, 500."),
    );
    let trial_for = AtMost(NAME_MAX_CHARS);
    let trial_for = form.nullable(
        "trial_for",
        trial_for.about("Email of the one search app that finds it; for taxis of the integration account."),
    );
    Some(((status, radius), trial_for))
}

/// What a taxi is made of. Partners send more of each part than its reference; the rest is ignored.
fn read_parts(form: &mut Form<'_>) -> Option<TaxiParts> {
    let ads = form.required("ads", OpenObject(read_ads).about("The ADS, by its number and town."));
    let plate = form.required("vehicle", OpenObject(read_vehicle).about("The vehicle, by its plate."));
    let driver = OpenObject(read_driver).about("The driver, by professional card and departement.");
    let (driver_licence, driver_departement) = form.required("driver", driver)?;
    let (ads_numero, ads_insee) = ads?;
    Some(TaxiParts { ads_numero, ads_insee, licence_plate: plate?, driver_licence, driver_departement })
}

fn read_ads(form: &mut Form<'_>) -> Option<(String, String)> {
    let numero = form.required("numero", NonEmpty);
    let insee = form.required("insee", Text);
    Some((numero?, insee?))
}

fn read_vehicle(form: &mut Form<'_>) -> Option<String> {
    form.required("licence_plate", Length(PLATE_LENGTH))
}

fn read_driver(form: &mut Form<'_>) -> Option<(String, String)> {
    let licence = form.required("professional_licence", NonEmpty);
    let departement = form.required("departement", Length(2..=3));
    Some((licence?, departement?))
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

fn render(row: &TaxiRow, seen: Option<Seen>) -> TaxiAnswer {
    let characteristics = characteristics([
        row.pet_accepted,
        row.bike_accepted,
        row.baby_seat,
        row.wifi,
        row.vasp_handicap,
        row.amex_accepted,
        row.bank_check_accepted,
    ]);
    TaxiAnswer {
        id: row.public_id.clone(),
        operator: row.operator_email.clone(),
        status: row.status.clone(),
        radius: row.radius,
        rating: None,
        crowfly_distance: None,
        added_at: naive_timestamp(row.created_at),
        last_update: seen.map(|seen| seen.received_at.seconds()),
        position: PositionPart { lon: seen.map(|seen| seen.at.lon()), lat: seen.map(|seen| seen.at.lat()) },
        vehicle: VehiclePart {
            licence_plate: row.licence_plate.clone(),
            model: non_empty(&row.model),
            constructor: non_empty(&row.constructor),
            color: row.color.clone(),
            engine: row.engine.clone(),
            nb_seats: row.nb_seats,
            characteristics,
            body: row.body_type.clone(),
            cpam_conventionne: row.cpam_conventionne,
        },
        ads: AdsPart {
            numero: row.ads_numero.clone(),
            insee: row.ads_insee.clone(),
            vehicle_id: row.ads_vehicle_id,
            owner_type: row.ads_owner_type.clone(),
            owner_name: row.ads_owner_name.clone(),
            doublage: row.ads_doublage,
            // Free text of old clients; a taxi has never shown it.
            category: String::new(),
            town: TownPart { name: row.town_name.clone() },
        },
        driver: DriverPart {
            professional_licence: row.driver_licence.clone(),
            departement: row.driver_departement.clone(),
            first_name: row.driver_first_name.clone(),
            last_name: row.driver_last_name.clone(),
        },
    }
}
