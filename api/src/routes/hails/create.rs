//! `POST /hails`: a customer asks for a taxi.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use engine::engine::{FRESH_MS, Seen};
use engine::profile::Status;
use ingest::position::{LatLon, MAX_REPORTABLE_LAT, OperatorKey, SourceKey, TaxiKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::{Beside, Eyes, HailAnswer};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::Form;
use crate::form::envelope;
use crate::form::kind::{AtMost, FloatWithin, Kind as _, Object, Text, Uuid};
use crate::limits::{ADDRESS_MAX_CHARS, NAME_MAX_CHARS};
use crate::openapi::{Chapter, Operation};
use crate::role::Role;
use crate::router::Payload;
use crate::secrets::hex;
use crate::store::hails::once::Once;
use crate::store::hails::{HailRow, NewHail, NotHailed, TransitionRow};

/// Who hails.
const HAILERS: &[Role] = &[Role::Admin, Role::Moteur];

/// The header by which an app names a request.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// What an app asks for, as it wrote it.
#[derive(Debug)]
struct Request {
    customer: String,
    customer_at: LatLon,
    address: String,
    phone_number: String,
    taxi: String,
    session: Option<String>,
}

/// Asks for a taxi (201): it is `answering` from then on, and its operator is called.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Payload(body): Payload,
) -> Answer<Response> {
    caller.require(HAILERS)?;
    let request = envelope::one(&body, Object(read))?;
    let named = Named::read(&headers, &body)?;
    if let Some(answer) = named.answer(&app, &caller).await? {
        return Ok(answer);
    }
    match hail(&app, &caller, request, &named).await {
        Ok(answer) => Ok(answer),
        // What was refused may be because the same request has just been granted.
        Err(problem) => named.answer(&app, &caller).await?.ok_or(problem),
    }
}

async fn hail(app: &App, caller: &Caller, request: Request, named: &Named) -> Answer<Response> {
    let taxi = taxi_of(app, caller, &request.taxi).ok_or_else(unknown_taxi)?;
    let (operator, seen) = match reach(app, caller, taxi) {
        Ok(reached) => reached,
        // A banned customer is told so first.
        Err(unreachable) => {
            let is_banned = app.registry.store().is_banned(caller.0.id, &request.customer).await?;
            return Err(if is_banned { banned() } else { unreachable });
        }
    };
    let address = match request.address {
        empty if empty.is_empty() => app.geocoder.address(request.customer_at).await,
        address => Some(address),
    };
    let eyes = if caller.0.has(Role::Admin) { Eyes::Admin } else { Eyes::App };
    let looking = app.clone();
    let render = move |hail: &HailRow| {
        let (at, to_status) = (hail.created_at, hail.status.to_string());
        let began = TransitionRow { at, from_status: None, to_status, reason: None };
        let beside = Beside { transitions: &[began], seen: Some(seen), has_moved: true };
        let Json(answer) = envelope::of_one(HailAnswer::new(&looking, hail, eyes, beside));
        serde_json::to_string(&answer).unwrap_or_default()
    };
    let new = NewHail {
        app: caller.0.id,
        taxi: i32::try_from(taxi.0).map_err(|_| unknown_taxi())?,
        operator: i32::try_from(operator.0).map_err(|_| unknown_taxi())?,
        shown_taxi_id: request.taxi,
        taxi_at: seen.at,
        customer: request.customer,
        customer_at: request.customer_at,
        address,
        phone_number: request.phone_number,
        session: request.session,
        once: named.once(render.clone()),
    };
    let hail = app.registry.create_hail(caller.actor(), new).await?.map_err(not_hailed)?;
    Ok(created(render(&hail)))
}

fn created(answer: String) -> Response {
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

/// A request, and the name under which its app may repeat it.
struct Named {
    key: Option<String>,
    body_sha256: String,
}

impl Named {
    fn read(headers: &HeaderMap, body: &Value) -> Answer<Self> {
        let key = match headers.get(IDEMPOTENCY_KEY) {
            None => None,
            Some(value) => {
                let key = value.to_str().ok().filter(|key| (1..=NAME_MAX_CHARS).contains(&key.len()));
                Some(key.ok_or_else(bad_key)?.to_owned())
            }
        };
        // Of what was read: the same request written otherwise is the same.
        let body_sha256 = key.as_ref().map(|_| hex(&Sha256::digest(body.to_string()))).unwrap_or_default();
        Ok(Self { key, body_sha256 })
    }

    /// What was answered to the same request before.
    async fn answer(&self, app: &App, caller: &Caller) -> Answer<Option<Response>> {
        let Some(key) = &self.key else { return Ok(None) };
        let store = app.registry.store();
        let Some((body_sha256, answer)) = store.remembered(caller.0.id, key).await? else { return Ok(None) };
        if body_sha256 != self.body_sha256 {
            return Err(another_request());
        }
        store.note_repeated(caller.0.id, key).await?;
        Ok(Some(created(answer)))
    }

    fn once(&self, answer: impl Fn(&HailRow) -> String + Send + Sync + 'static) -> Option<Once> {
        let key = self.key.clone()?;
        Some(Once { key, body_sha256: self.body_sha256.clone(), answer: Box::new(answer) })
    }
}

fn bad_key() -> Problem {
    let message = format!("Header {IDEMPOTENCY_KEY} takes 1 to {NAME_MAX_CHARS} printable characters.");
    Problem::whole(StatusCode::BAD_REQUEST, &message)
}

fn another_request() -> Problem {
    let message = format!("Header {IDEMPOTENCY_KEY} was used for another request.");
    Problem::whole(StatusCode::UNPROCESSABLE_ENTITY, &message)
}

/// `POST /hails` in the reference.
pub fn describe_create() -> Operation {
    let about = "The taxi is `answering` from then on, and its operator's server is called within 10 seconds. Of \
                 several apps that ask for one taxi at the same moment, one gets it. Without an address it is looked \
                 up, where the registry can.";
    let request = json!({
        "customer_id": "customer-1", "customer_lon": 2.3505, "customer_lat": 48.855,
        "customer_address": "25 rue Quincampoix 75004 Paris", "customer_phone_number": "0678901234",
        "taxi_id": "u3bQ0yVnXw7sZkWlTqPa1g",
    });
    let mut hail = HailAnswer::example();
    hail.status = "received";
    hail.transitions.truncate(1);
    hail.last_status_change = format!("{}+00:00", hail.creation_datetime);
    hail.taxi.vehicle = super::answer::HailedVehicle::default();
    hail.taxi.driver = super::answer::HailedDriver::default();
    Operation::new(Chapter::Hails, "Asks for a taxi", about)
        .roles(HAILERS)
        .header(
            IDEMPOTENCY_KEY,
            "A name for this request: repeated within 24 hours it is answered as at first.",
        )
        .body(&Object(read), &request)
        .writes()
        .one(201, "The hail.", &hail)
        .refuses_with("The taxi is not to be had.", &not_free())
        .refuses_with("The customer is banned.", &banned())
        .refuses_with("There is no such taxi.", &unknown_taxi())
        .refuses_with("The name was given to another request.", &another_request())
}

fn read(form: &mut Form<'_>) -> Option<Request> {
    let lon = FloatWithin(-180.0..=180.0).about("The customer's longitude in degrees, WGS 84.");
    let lon = form.required("customer_lon", lon);
    let lat = FloatWithin(-MAX_REPORTABLE_LAT..=MAX_REPORTABLE_LAT);
    let lat = form.required("customer_lat", lat.about("The customer's latitude in degrees, WGS 84."));
    let address = AtMost(ADDRESS_MAX_CHARS).about("Where the taxi is to go; looked up where it is empty.");
    let address = form.required("customer_address", address);
    let phone_number = AtMost(NAME_MAX_CHARS).about("Shown to the taxi while it is on its way.");
    let phone_number = form.required("customer_phone_number", phone_number);
    let customer = AtMost(NAME_MAX_CHARS).about("The customer, by a name that the app alone understands.");
    let customer = form.required("customer_id", customer);
    let taxi = AtMost(NAME_MAX_CHARS).about("The taxi's id, as the search gave it.");
    let taxi = form.required("taxi_id", taxi);
    form.optional("operateur", Text.about("Has no meaning any more."));
    let session = form.nullable("session_id", Uuid.about("The session of an earlier hail of this customer."));
    Some(Request {
        customer_at: LatLon::reportable(lat?, lon?).ok()?,
        address: address?,
        phone_number: phone_number?,
        customer: customer?,
        taxi: taxi?,
        session: session.flatten(),
    })
}

/// The taxi under a pseudonym of the caller's, or under its own id.
fn taxi_of(app: &App, caller: &Caller, id: &str) -> Option<TaxiKey> {
    let known = || app.registry.directory().taxis().get(id).map(|taxi| taxi.key);
    let pseudonym = || app.pseudonyms.resolve(id, caller.0.id, app.clock.now());
    known().or_else(|| pseudonym().filter(|_| app.behaviour.fake_taxi_id))
}

/// Through which operator a taxi can be had, and where it is: as in a search, that one of those who call it free who
/// was heard last. Whoever does not find it in a search cannot have it.
fn reach(app: &App, caller: &Caller, taxi: TaxiKey) -> Answer<(OperatorKey, Seen)> {
    let profile = app.engine.profiles().get(&taxi);
    let profile =
        profile.filter(|profile| profile.is_shown_to(Some(caller.0.id))).ok_or_else(unknown_taxi)?;
    let heard = profile.descriptions.iter().filter_map(|description| {
        let seen = app.engine.get(SourceKey { taxi, operator: description.operator })?;
        Some((description, seen))
    });
    // Of two the free one, then the one heard last.
    let best = heard.max_by_key(|(description, seen)| (description.status == Status::Free, seen.received_at));
    let (description, seen) = best.ok_or_else(|| unavailable("Taxi is not online."))?;
    if app.clock.now().since(seen.received_at) >= FRESH_MS {
        return Err(unavailable("Taxi is no longer online."));
    }
    if description.status != Status::Free {
        return Err(not_free());
    }
    Ok((description.operator, seen))
}

fn not_hailed(why: NotHailed) -> Problem {
    match why {
        NotHailed::Banned => banned(),
        NotHailed::NotFree => not_free(),
        // Spelt as partners have always received it.
        NotHailed::NoSuchSession => invalid("session_id", "This sesssion ID does not exist."),
        NotHailed::ForeignSession => {
            invalid("session_id", "The session ID exists, but it is linked to another customer.")
        }
        NotHailed::NoAddress => {
            let message = "Customer can't be located, please provide an pickup address for the taxi.";
            invalid("customer_address", message)
        }
        NotHailed::Repeated => Problem::conflict(),
    }
}

fn invalid(field: &str, message: &str) -> Problem {
    Problem::data(StatusCode::BAD_REQUEST, &json!({field: [message]}))
}

fn unavailable(message: &str) -> Problem {
    invalid("taxi_id", message)
}

fn not_free() -> Problem {
    unavailable("Taxi is not free.")
}

fn banned() -> Problem {
    Problem::data(StatusCode::FORBIDDEN, &json!({"customer_id": ["This customer is banned."]}))
}

fn unknown_taxi() -> Problem {
    let errors = json!({"operateur": ["Unable to find taxi for this operateur."]});
    Problem::data(StatusCode::NOT_FOUND, &errors)
}
