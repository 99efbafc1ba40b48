//! `GET /taxis`: the free taxis around a customer, from memory alone.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use engine::engine::Hit;
use engine::territory::Town;
use ingest::clock::Millis;
use ingest::position::{LatLon, MAX_REPORTABLE_LAT};
use ingest::searches::Search;
use serde_json::json;
use tracing::debug_span;

use super::grid::GridPoint;
use super::taxi_answer::{AdsPart, DriverPart, PositionPart, TaxiAnswer, TownPart, VehiclePart};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::Form;
use crate::form::envelope::{self, Elements};
use crate::form::kind::{FloatWithin, IntegerWithin, Kind as _};
use crate::form::query::Query;
use crate::limits::HITS_MAX;
use crate::openapi::{Chapter, Operation};
use crate::registry::card::Face;
use crate::role::{Role, SEARCHERS};
use crate::visibility::{Found, Ground};

/// Whom apps see in place of the operator.
pub(super) const NEUTRAL_OPERATOR: &str = "chauffeur professionnel";

/// Answers a search.
pub async fn search(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Elements<TaxiAnswer>>> {
    let began = Instant::now();
    caller.require(SEARCHERS)?;
    let Asked { customer, nearest } = query.read(read_search)?;
    if !app.readiness.caught_up.is_raised() {
        return Err(not_yet());
    }
    let territory = app.registry.territory();
    let ground = debug_span!("territory").in_scope(|| Ground::at(&territory, customer));
    if ground.exclusion.is_some() {
        return Err(no_cruising());
    }
    let Some(town) = ground.town else {
        return Ok(envelope::of_all(Vec::new()));
    };
    let now = app.clock.now();
    let by = (Some(caller.0.id), sees_own_only(&caller).then(|| caller.operator()));
    let found = debug_span!("nearby").in_scope(|| ground.look(&app.engine, now, by, nearest));
    let view = View { app: &app, caller: &caller, customer, now };
    let rendered = || found.offered.iter().filter_map(|hit| view.shown(hit)).collect();
    let mut shown: Vec<_> = debug_span!("render", hits = found.offered.len()).in_scope(rendered);
    // The grid moves taxis by up to half a metre: nearest first holds for what is shown.
    shown.sort_by(|a, b| a.0.total_cmp(&b.0));
    let data: Vec<_> = shown.into_iter().map(|(_, taxi)| taxi).collect();
    app.searches.record(began.elapsed(), data.len());
    if let Some(history) = &app.history {
        history.add(view.summary(town, &found));
    }
    Ok(envelope::of_all(data))
}

/// `GET /taxis` in the reference.
pub fn describe_search() -> Operation {
    let about = "Free taxis heard less than 120 seconds ago, whose ADS is of the customer's town or of a town \
                 that shares a ZUPC with it, within each taxi's own radius, nearest first. Ids are pseudonyms: \
                 fresh at each search, the caller's alone, good for an hour. A mere operator finds its own taxis. \
                 Other arguments are ignored.";
    Operation::new(Chapter::Search, "The free taxis around a customer", about)
        .roles(SEARCHERS)
        .query(read_search, &json!({"lon": 2.3522, "lat": 48.8566}))
        .list("The taxis, nearest first; none outside any town.", &[example()])
        .refuses_with("The customer is in an exclusion zone, such as an airport.", &no_cruising())
}

fn example() -> TaxiAnswer {
    let face = Face {
        model: Some("508".to_owned()),
        constructor: Some("Peugeot".to_owned()),
        engine: String::new(),
        nb_seats: Some(4),
        characteristics: vec!["wifi"],
    };
    let point = GridPoint { lat: 48.857, lon: 2.3521 };
    render(
        "u3bQ0yVnXw7sZkWlTqPa1g".to_owned(),
        NEUTRAL_OPERATOR.to_owned(),
        String::new(),
        point,
        45.07,
        &face,
    )
}

/// A process that has just started would answer without the taxis that it has not read yet.
pub(super) fn not_yet() -> Problem {
    let message = "This server has just started and does not know all taxis yet. Please repeat the search.";
    Problem::whole(StatusCode::SERVICE_UNAVAILABLE, message)
}

fn no_cruising() -> Problem {
    Problem::url(StatusCode::NOT_FOUND, "No cruising allowed in this area")
}

/// A mere operator sees its own taxis; one that is a search app too sees all.
fn sees_own_only(caller: &Caller) -> bool {
    !caller.0.has(Role::Moteur) && !caller.0.has(Role::Admin)
}

/// What is asked.
struct Asked {
    customer: LatLon,
    /// How many taxis at most.
    nearest: usize,
}

fn read_search(form: &mut Form<'_>) -> Option<Asked> {
    let customer = read_customer(form);
    let about = "How many taxis at most: the nearest of those that would be in the answer without it.";
    let most = i32::try_from(HITS_MAX).unwrap_or(i32::MAX);
    let nearest = form.optional("nearest", IntegerWithin(1..=most).about(about));
    let nearest = nearest.and_then(|count| usize::try_from(count).ok()).unwrap_or(HITS_MAX);
    Some(Asked { customer: customer?, nearest })
}

/// The customer's place. Other arguments are ignored, as old apps send some.
pub(super) fn read_customer(form: &mut Form<'_>) -> Option<LatLon> {
    let lon = form
        .required("lon", FloatWithin(-180.0..=180.0).about("The customer's longitude in degrees, WGS 84."));
    let lat = FloatWithin(-MAX_REPORTABLE_LAT..=MAX_REPORTABLE_LAT);
    let lat = form.required("lat", lat.about("The customer's latitude in degrees, WGS 84."));
    LatLon::reportable(lat?, lon?).ok()
}

/// Who looks, from where.
struct View<'a> {
    app: &'a App,
    caller: &'a Caller,
    customer: LatLon,
    now: Millis,
}

impl View<'_> {
    /// The search, as statistics remember it.
    fn summary(&self, town: &Town, found: &Found) -> Search {
        let count = |taxis: usize| u16::try_from(taxis).unwrap_or(u16::MAX);
        Search {
            at: self.now,
            caller: self.caller.0.id,
            customer: self.customer,
            town: town.insee,
            found: count(found.around),
            seen: count(found.within_reach),
            // As it is shown.
            closest_m: found.closest.map(|hit| GridPoint::around(hit.at).distance_m(self.customer)),
        }
    }

    /// A taxi as the caller sees it, after its distance; None for one that was removed since it was found.
    fn shown(&self, hit: &Hit) -> Option<(f64, TaxiAnswer)> {
        let card = self.app.registry.shown_card(hit.source)?;
        let face = card.face(hit.source.operator)?;
        let point = GridPoint::around(hit.at);
        let distance_m = point.distance_m(self.customer);
        let is_admin = self.caller.0.has(Role::Admin);
        let behaviour = &self.app.behaviour;
        let id = if behaviour.fake_taxi_id && !is_admin {
            self.app.pseudonyms.issue(hit.source.taxi, self.caller.0.id, self.now).ok()?
        } else {
            card.public_id.clone()
        };
        let operator = if behaviour.neutral_operator && !is_admin {
            NEUTRAL_OPERATOR.to_owned()
        } else {
            // An account that cannot be opened hides its name, not its taxis.
            self.app.registry.email(hit.source.operator).unwrap_or_else(|| NEUTRAL_OPERATOR.to_owned())
        };
        let plate = if is_admin { card.licence_plate.clone() } else { String::new() };
        Some((distance_m, render(id, operator, plate, point, distance_m, face)))
    }
}

/// What the contract still names but no longer tells before a hail has a constant in its place.
fn render(
    id: String,
    operator: String,
    licence_plate: String,
    point: GridPoint,
    distance_m: f64,
    face: &Face,
) -> TaxiAnswer {
    TaxiAnswer {
        id,
        operator,
        status: "free".to_owned(),
        radius: Some(0),
        rating: Some(0),
        crowfly_distance: Some(distance_m),
        added_at: "1970-01-01T00:00:00".to_owned(),
        last_update: None,
        position: PositionPart { lon: Some(point.lon), lat: Some(point.lat) },
        vehicle: VehiclePart {
            licence_plate,
            model: face.model.clone(),
            constructor: face.constructor.clone(),
            color: String::new(),
            engine: face.engine.clone(),
            nb_seats: face.nb_seats,
            characteristics: face.characteristics.clone(),
            body: Some("normal".to_owned()),
            cpam_conventionne: None,
        },
        ads: AdsPart {
            vehicle_id: Some(0),
            owner_type: Some(String::new()),
            town: TownPart::default(),
            ..AdsPart::default()
        },
        driver: DriverPart::default(),
    }
}
