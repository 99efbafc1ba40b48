//! `GET /taxis`: the free taxis around a customer, from memory alone.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use engine::engine::Hit;
use ingest::clock::Millis;
use ingest::position::{LatLon, MAX_REPORTABLE_LAT};
use serde_json::{Value, json};
use tracing::debug_span;

use super::grid::GridPoint;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::form::{Form, kind};
use crate::registry::card::Face;
use crate::role::Role;
use crate::visibility::Ground;

/// Whom apps see in place of the operator.
const NEUTRAL_OPERATOR: &str = "chauffeur professionnel";

/// Answers a search.
pub async fn search(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Value>> {
    let began = Instant::now();
    caller.require(&[Role::Admin, Role::Moteur, Role::Operateur])?;
    let customer = read_customer(&query)?;
    let territory = app.registry.territory();
    let ground = debug_span!("territory").in_scope(|| Ground::at(&territory, customer));
    if ground.exclusion.is_some() {
        return Err(Problem::url(StatusCode::NOT_FOUND, "No cruising allowed in this area"));
    }
    if !ground.may_be_searched() {
        return Ok(Json(json!({"data": []})));
    }
    let now = app.clock.now();
    let operator = sees_own_only(&caller).then(|| caller.operator());
    let hits = debug_span!("nearby").in_scope(|| ground.hits(&app.engine, now, operator));
    let view = View { app: &app, caller: &caller, customer, now };
    let rendered = || hits.iter().filter_map(|hit| view.shown(hit)).collect();
    let mut shown: Vec<_> = debug_span!("render", hits = hits.len()).in_scope(rendered);
    // The grid moves taxis by up to half a metre: nearest first holds for what is shown.
    shown.sort_by(|a, b| a.0.total_cmp(&b.0));
    let data: Vec<_> = shown.into_iter().map(|(_, taxi)| taxi).collect();
    app.searches.record(began.elapsed(), data.len());
    Ok(Json(json!({"data": data})))
}

/// A mere operator sees its own taxis; one that is a search app too sees all.
fn sees_own_only(caller: &Caller) -> bool {
    !caller.0.has(Role::Moteur) && !caller.0.has(Role::Admin)
}

/// The customer's place. Other arguments are ignored, as old apps send some.
pub(super) fn read_customer(query: &Query) -> Answer<LatLon> {
    let arguments = query.object(&["lon", "lat"]);
    let mut form = Form::begin(&arguments).map_err(Problem::invalid)?;
    let lon = form.required("lon", kind::float_within(-180.0..=180.0));
    let lat = form.required("lat", kind::float_within(-MAX_REPORTABLE_LAT..=MAX_REPORTABLE_LAT));
    let customer = (|| LatLon::reportable(lat?, lon?).ok())();
    form.finish(customer).map_err(Problem::invalid)
}

/// Who looks, from where.
struct View<'a> {
    app: &'a App,
    caller: &'a Caller,
    customer: LatLon,
    now: Millis,
}

impl View<'_> {
    /// A taxi as the caller sees it, after its distance; None for one that was removed since it was found.
    fn shown(&self, hit: &Hit) -> Option<(f64, Value)> {
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
        let plate = if is_admin { card.licence_plate.as_str() } else { "" };
        Some((distance_m, render(&id, &operator, plate, point, distance_m, face)))
    }
}

/// What the contract still names but no longer tells before a hail has a constant in its place.
fn render(id: &str, operator: &str, plate: &str, point: GridPoint, distance_m: f64, face: &Face) -> Value {
    json!({
        "id": id, "operator": operator, "crowfly_distance": distance_m,
        "position": {"lon": point.lon, "lat": point.lat},
        "vehicle": {
            "model": face.model, "constructor": face.constructor, "nb_seats": face.nb_seats, "engine": face.engine,
            "characteristics": face.characteristics, "licence_plate": plate, "color": "", "type": "normal",
            "cpam_conventionne": null,
        },
        "rating": 0, "status": "free", "radius": 0, "last_update": null, "added_at": "1970-01-01T00:00:00",
        "ads": {
            "vehicle_id": 0, "insee": "", "owner_type": "", "doublage": null, "town": {"name": ""}, "owner_name": "",
            "category": "", "numero": "",
        },
        "driver": {"professional_licence": "", "first_name": "", "last_name": "", "departement": ""},
    })
}
