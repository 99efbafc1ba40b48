//! Every route on one screen, by who calls it.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use tower::ServiceBuilder;
use tower::util::BoxCloneSyncService;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::timeout::TimeoutLayer;

use crate::app::App;
use crate::console;
use crate::error::Problem;
use crate::form::query::Query;
use crate::limits::{
    self, BODY_DROPPED_MAX_BYTES, BODY_MAX_BYTES, HEADERS_MAX, LINGER, REQUEST_WITHIN, URI_MAX_BYTES,
};
use crate::observe;
use crate::openapi::routes::Routes;
use crate::rates;
use crate::routes::reference::Reference;
use crate::routes::stats::{adsmap, groupements, groups, heatmaps, letaxi};
use crate::routes::webhooks::dead_letters;
use crate::routes::{
    activity_logs, ads, analytics, customers, drivers, geotaxi, hails, health, intake, live, login, opendata,
    operators, places, positions, reference, search, sessions, stations, stats, taxis, users, vehicles,
    visibility, webhooks,
};
use crate::serve::ProcessRole;

/// What the API reads.
const JSON: &str = "application/json";
/// What pages read.
const FORM: &str = "application/x-www-form-urlencoded";

/// The whole HTTP interface.
pub type HttpService = BoxCloneSyncService<Request, Response, std::convert::Infallible>;

/// The routes over `app`, with what holds for all of them.
pub fn http(app: App, limits: limits::Http) -> HttpService {
    let (meters, room) = (app.meters.clone(), Arc::new(Semaphore::new(limits.requests)));
    let (routes, operations) = routes_of(app.role).finish();
    let routes = routes
        .fallback(|| async { Problem::unknown_path() })
        .layer(Extension(Arc::new(Reference::of(&operations))))
        .layer(Extension(positions::Room::new(limits)))
        .layer(from_fn(observe::note_route))
        .with_state(app);
    let service = ServiceBuilder::new()
        .layer(from_fn(move |request, next| observe::observe(request, next, meters.clone())))
        .layer(from_fn(rates::tell))
        .layer(from_fn(console::framed))
        .layer(CorsLayer::permissive())
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::internal().because(&"a handler panicked").into_response()
        }))
        .layer(NormalizePathLayer::trim_trailing_slash())
        .layer(from_fn(name_methods))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_WITHIN))
        .layer(from_fn(move |request, next| read_body(request, next, limits.request_read_within)))
        .layer(from_fn(move |request, next| find_room(request, next, room.clone())))
        .service(routes);
    BoxCloneSyncService::new(tower::ServiceExt::map_response(service, |response: Response<_>| {
        response.map(Body::new)
    }))
}

/// The routes of a role, with what the reference says of them.
fn routes_of(role: ProcessRole) -> Routes {
    match role {
        ProcessRole::All | ProcessRole::Api => routes(),
        ProcessRole::Ingest => Routes::new().then(intake_routes).then(service_routes),
        ProcessRole::Archive => Routes::new().then(service_routes),
    }
}

/// Every route, with what the reference says of it.
pub fn routes() -> Routes {
    Routes::new()
        // Search apps.
        .get("/taxis", search::search, search::describe_search())
        // Hails, by both sides.
        .post("/hails", hails::create::create, hails::create::describe_create())
        .get("/hails", hails::list::list, hails::list::describe_list())
        .get("/hails/{id}", hails::change::read, hails::change::describe_read())
        .put("/hails/{id}", hails::change::change, hails::change::describe_change())
        .get("/hails/{id}/events", hails::stream::one, hails::stream::describe_one())
        .get("/events", hails::stream::all, hails::stream::describe_all())
        .post("/webhooks", webhooks::create, webhooks::describe_create())
        .get("/webhooks", webhooks::list, webhooks::describe_list())
        .get("/webhooks/{id}", webhooks::read, webhooks::describe_read())
        .delete("/webhooks/{id}", webhooks::remove, webhooks::describe_remove())
        .get("/webhooks/{id}/dead_letters", dead_letters::list, dead_letters::describe_list())
        .post("/webhooks/{id}/redeliver", dead_letters::redeliver, dead_letters::describe_redeliver())
        .get("/sessions", sessions::list, sessions::describe_list())
        .put("/customers/{id}", customers::change, customers::describe_change())
        .get("/internal/customers", hails::support::list, hails::support::describe_list())
        // Operators.
        .post("/drivers", drivers::create, drivers::describe_create())
        .post("/vehicles", vehicles::create, vehicles::describe_create())
        .post("/ads", ads::create, ads::describe_create())
        .post("/taxis", taxis::create, taxis::describe_create())
        .get("/taxis/all", taxis::list, taxis::describe_list())
        .get("/taxis/{id}", taxis::read, taxis::describe_read())
        .put("/taxis/{id}", taxis::change, taxis::describe_change())
        .get("/taxis/{id}/visibility", visibility::read, visibility::describe_read())
        .get("/live", live::open, live::describe_open())
        .then(intake_routes)
        .get("/operators/{id}/refusals", operators::refusals, operators::describe_refusals())
        // Where the registry holds, for everybody with a key; stations for everybody.
        .get("/towns", places::towns, places::describe_towns())
        .get("/zupc", places::zupc, places::describe_zupc())
        .get("/zupc/live", places::zupc_live, places::describe_zupc_live())
        .get("/stations/all", stations::all, stations::describe_all())
        .get("/stations/stations.json", stations::geojson, stations::describe_geojson())
        .get("/stations/stations.csv", stations::csv, stations::describe_csv())
        .get("/opendata", opendata::read, opendata::describe())
        .get("/opendata/stations.csv", opendata::stations_csv, opendata::describe_stations_csv())
        .get("/opendata/stations.geojson", opendata::stations_geojson, opendata::describe_stations_geojson())
        .get(
            "/opendata/stations.schema.json",
            opendata::stations_schema,
            opendata::describe_stations_schema(),
        )
        .get("/opendata/zupc.geojson", opendata::zupc_geojson, opendata::describe_zupc_geojson())
        .get("/opendata/ledger", opendata::monthly::ledger, opendata::monthly::describe_ledger())
        .get("/opendata/{file}", opendata::monthly::read, opendata::monthly::describe_read())
        // Figures, for administrators; a few for everybody.
        .get("/stats/taxis", stats::taxis::read, stats::taxis::describe_read())
        .get("/stats/hails", stats::hails::read, stats::hails::describe_read())
        .get("/stats/groupements", groupements::read, groupements::describe_read())
        .get("/stats/adsmap", adsmap::read, adsmap::describe_read())
        .get("/stats/groups", groups::groups, groups::describe_groups())
        .get("/stats/managers", groups::managers, groups::describe_managers())
        .get("/stats/letaxi", letaxi::read, letaxi::describe_read())
        .get("/stats/heatmap_hails", heatmaps::hails, heatmaps::describe_hails())
        .get("/stats/heatmap_taxis", heatmaps::taxis, heatmaps::describe_taxis())
        .get("/stats/searches", stats::searches::read, stats::searches::describe_read())
        .get("/stats/heatmap_searches", stats::searches::heatmap, stats::searches::describe_heatmap())
        .get("/stats/heatmap_hails/cells", heatmaps::hails_in_cells, heatmaps::describe_hails_in_cells())
        .get("/stats/heatmap_taxis/cells", heatmaps::taxis_in_cells, heatmaps::describe_taxis_in_cells())
        .get(
            "/stats/heatmap_searches/cells",
            stats::searches::heatmap_in_cells,
            stats::searches::describe_heatmap_in_cells(),
        )
        // Accounts.
        .get("/users", users::list, users::describe_list())
        .get("/users/{id}", users::read, users::describe_read())
        .put("/users/{id}", users::change, users::describe_change())
        .post("/internal/auth", login::log_in, login::describe_log_in())
        .get("/activity_logs", activity_logs::list, activity_logs::describe_list())
        // Analysts.
        .post("/analytics/query", analytics::query, analytics::describe_query())
        .get("/analytics/reports", analytics::reports::list, analytics::reports::describe_list())
        .get("/analytics/reports/{name}", analytics::reports::read, analytics::reports::describe_read())
        // People.
        .pages(console::pages())
        .then(service_routes)
}

/// Those of every process that takes positions.
fn intake_routes(routes: Routes) -> Routes {
    routes
        .post("/geotaxi", geotaxi::create, geotaxi::describe_create())
        .post(positions::PATH, positions::create, positions::describe_create())
        .get("/operators/me/positions", intake::read, intake::describe_read())
}

/// Those who keep it running, and the reference.
fn service_routes(routes: Routes) -> Routes {
    routes
        .get("/health/live", health::live, health::describe_live())
        .get("/health/ready", health::ready, health::describe_ready())
        .get("/", reference::root, reference::describe_root())
        .get("/doc", reference::doc, reference::describe_doc())
        .get("/openapi.json", reference::openapi, reference::describe_openapi())
        .get("/swagger.json", reference::swagger, reference::describe_swagger())
}

/// The body of a POST, PUT or PATCH, read and parsed before anything else looks at the request.
#[derive(Clone, Debug)]
pub struct Payload(pub Value);

impl<S: Send + Sync> FromRequestParts<S> for Payload {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.remove().ok_or_else(Problem::not_json)
    }
}

/// The fields of a form, in the body of a POST to one of the console's pages.
#[derive(Clone, Debug)]
pub(crate) struct Fields(pub(crate) Query);

impl<S: Send + Sync> FromRequestParts<S> for Fields {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.remove().ok_or_else(Problem::internal)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = <axum::extract::Query<Vec<(String, String)>> as FromRequestParts<S>>::from_request_parts(
            parts, state,
        );
        // A query that is no pairs has none; what is needed will be found missing.
        Ok(Self::new(pairs.await.map(|pairs| pairs.0).unwrap_or_default()))
    }
}

/// The body of a request that its handler reads in pieces.
#[derive(Clone, Debug)]
pub struct Pieces(Arc<Mutex<Body>>);

impl Pieces {
    /// The next bytes, which may be none; None at the end of the body.
    pub async fn next(&self) -> Option<Result<Bytes, axum::Error>> {
        let frame = self.0.lock().await.frame().await?;
        Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Pieces {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.remove().ok_or_else(Problem::internal)
    }
}

/// JSON in, or a form, or a refusal: what holds for every path, known or not, and before the key is looked at.
async fn read_body(mut request: Request, next: Next, within: Duration) -> Response {
    if request.headers().len() > HEADERS_MAX {
        return Problem::large_head().into_response();
    }
    if request.uri().to_string().len() > URI_MAX_BYTES {
        return Problem::long_uri().into_response();
    }
    // Nothing is registered under a text with a NUL, which `PostgreSQL` refuses even to look for; in a query it is
    // replaced.
    if request.uri().path().contains("%00") {
        return Problem::unknown_path().into_response();
    }
    if request.method() == Method::POST && request.uri().path() == positions::PATH {
        return hand_over_body(request, next).await;
    }
    if matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) {
        let is_page = console::is_page(request.uri().path());
        let (is_right, kind) =
            if is_page { (is_form(request.headers()), FORM) } else { (is_json(request.headers()), JSON) };
        if !is_right {
            let message =
                format!("{} requests require to set the Content-Type header to {kind}", request.method());
            return Problem::whole(StatusCode::BAD_REQUEST, &message).into_response();
        }
        let body = std::mem::take(request.body_mut());
        match timeout(within, collect(body)).await.unwrap_or(Err(BadBody::Slow)) {
            Err(BadBody::Slow) => return Problem::slow_request(within).into_response(),
            Err(BadBody::Broken) => return Problem::not_json().into_response(),
            Err(BadBody::TooLarge) => return too_large().into_response(),
            Ok(bytes) if is_page => {
                let pairs = form_urlencoded::parse(&bytes).into_owned().collect();
                request.extensions_mut().insert(Fields(Query::new(pairs)));
            }
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(value) => drop(request.extensions_mut().insert(Payload(value))),
                Err(_) => return Problem::not_json().into_response(),
            },
        }
    }
    next.run(request).await
}

/// Leaves the body to the handler, then takes and drops what that left of it, for a while: a client that still sends
/// would not hear the answer.
async fn hand_over_body(mut request: Request, next: Next) -> Response {
    let pieces = Pieces(Arc::new(Mutex::new(std::mem::take(request.body_mut()))));
    request.extensions_mut().insert(pieces.clone());
    let response = next.run(request).await;
    let rest = async {
        let mut dropped = 0;
        while let Some(Ok(bytes)) = pieces.next().await {
            dropped += bytes.len();
            if dropped > BODY_DROPPED_MAX_BYTES {
                break;
            }
        }
    };
    // Whoever is slow has been told, or hangs up.
    let _ = timeout(LINGER, rest).await;
    response
}

/// Refuses what comes while too many requests are under way: at once, rather than let all of them wait. Whether the
/// server is well can always be asked.
async fn find_room(request: Request, next: Next, room: Arc<Semaphore>) -> Response {
    let Ok(_permit) = room.try_acquire() else {
        if request.uri().path().starts_with("/health/") {
            return next.run(request).await;
        }
        return Problem::overloaded("requests under way").into_response();
    };
    next.run(request).await
}

enum BadBody {
    Slow,
    TooLarge,
    Broken,
}

/// A body of at most [`BODY_MAX_BYTES`]. What comes beyond is taken and dropped, up to a limit: a client that still
/// sends would not hear the answer.
async fn collect(mut body: Body) -> Result<Vec<u8>, BadBody> {
    let (mut bytes, mut size) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BadBody::Broken)?.into_data() else { continue };
        size += data.len();
        if size <= BODY_MAX_BYTES {
            bytes.extend_from_slice(&data);
        } else if size > BODY_DROPPED_MAX_BYTES {
            break;
        }
    }
    if size > BODY_MAX_BYTES { Err(BadBody::TooLarge) } else { Ok(bytes) }
}

/// A missing Content-Type counts as JSON: the first version of the registry asked for none.
fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    given.is_none_or(|given| given.is_empty() || given.contains(JSON))
}

/// What browsers send of a form without files.
fn is_form(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| given.starts_with(FORM))
}

/// A body beyond [`BODY_MAX_BYTES`].
pub fn too_large() -> Problem {
    let message = format!("The body of a request may not exceed {BODY_MAX_BYTES} bytes.");
    Problem::whole(StatusCode::PAYLOAD_TOO_LARGE, &message)
}

fn is_plain(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/plain"))
}

/// What the framework answers by itself, in the contract's shape; a wrong method with those that are right.
async fn name_methods(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => {}
        StatusCode::GATEWAY_TIMEOUT => {
            return Problem::unavailable("server").because(&"its time was over").into_response();
        }
        // A path that is no UTF-8 is nobody's.
        StatusCode::BAD_REQUEST if is_plain(&response) => return Problem::unknown_path().into_response(),
        _ => return response,
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let given = allow.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut methods: Vec<_> = given.split(',').map(str::trim).filter(|method| !method.is_empty()).collect();
    methods.push("OPTIONS");
    methods.sort_unstable();
    let message = format!("This endpoint only accepts requests of type: {}.", methods.join(", "));
    let mut answer = Problem::url(StatusCode::METHOD_NOT_ALLOWED, &message).into_response();
    if let Some(allow) = allow {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    answer
}
