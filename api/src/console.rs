//! The console: pages for people, in French, rendered here, over the functions that answer the API.
//!
//! A page works without a script. What a session may see is what its account may ask of the API; nothing is decided
//! here a second time.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use chrono::NaiveDateTime;

use crate::app::App;
use crate::error::Problem;

use refusal::Refusal;
use session::Seen;

mod account;
mod act_as;
mod assets;
mod chart;
mod csv;
mod guide;
mod hails;
mod home;
mod imports;
mod kept;
mod layout;
mod list;
mod login;
mod map;
mod opendata;
pub(crate) mod recette;
mod records;
mod refusal;
mod refusals;
mod registered;
mod reports;
mod rows;
mod session;
mod simulator;
mod sql;
mod statistics;
mod table;
mod taxis;
mod users;
mod words;

/// Where its pages begin.
pub(crate) const ROOT: &str = "/console";

/// What a browser may do on our pages:
/// - nothing that is not named;
/// - `script-src`, `style-src`: load our modules and our stylesheet, never a text within a page;
/// - `img-src`: our images, and the icon, which is written in the page;
/// - `connect-src`: what our modules ask of this server;
/// - `form-action`: send forms to us alone;
/// - `frame-ancestors`, `base-uri`: nobody shows our pages within theirs, nothing changes what addresses mean.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page with a map on it, which may do what others may not:
/// - `worker-src`: plotly's maps prepare what they draw in a worker, which they make of their own text;
/// - `connect-src`, `img-src`: ask the host of the tiles for them, if there are any.
fn with_map(app: &App, mut page: Response) -> Response {
    let tiles = app.behaviour.tiles.as_ref().map_or("", |tiles| tiles.origin.as_str());
    let mut policy = format!("{POLICY}; worker-src blob:");
    for directive in ["connect-src 'self'", "img-src 'self' data:"] {
        policy = policy.replace(directive, format!("{directive} {tiles}").trim_end());
    }
    // An origin is visible ASCII; were it not, the policy of every page would hold.
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    page
}

/// Every page.
pub(crate) fn pages() -> Router<App> {
    Router::new()
        .route("/console", get(home::show))
        .route("/console/assets/{name}", get(assets::read))
        .route("/console/login", get(login::show).post(login::log_in))
        .route("/console/logout", post(login::log_out))
        .route("/console/act-as", get(act_as::list).post(act_as::begin))
        .route("/console/act-as/end", post(act_as::end))
        .route("/console/account", get(account::show))
        .route("/console/account/endpoint", post(account::set_endpoint))
        .route("/console/account/trial", post(account::try_endpoint))
        .route("/console/account/key", post(account::rotate_key))
        .route("/console/account/password", post(account::set_password))
        .route("/console/taxis", get(taxis::list))
        .route("/console/taxis/{id}", get(taxis::show))
        .route("/console/hails", get(hails::list))
        .route("/console/hails/{id}", get(hails::show))
        .route("/console/recette", get(recette::list))
        .route("/console/recette/start", post(recette::start))
        .route("/console/recette/stop", post(recette::stop))
        .route("/console/recette/{id}", get(recette::show))
        .route("/console/simulator/operator", get(simulator::operator::show))
        .route("/console/simulator/operator/taxi", post(simulator::making::make))
        .route("/console/simulator/operator/position", post(simulator::operator::report))
        .route("/console/simulator/operator/status", post(simulator::operator::set))
        .route("/console/simulator/app", get(simulator::app::show))
        .route("/console/simulator/app/hail", post(simulator::app::hail))
        .route("/console/simulator/hail", post(simulator::change_hail))
        .route("/console/simulator/events", get(simulator::events))
        .route("/doc/guide", get(guide::show))
        .route("/console/map", get(map::show))
        .route("/console/map/places", get(map::places))
        .route("/console/map/live", get(map::live))
        .route("/console/drivers", get(registered::drivers))
        .route("/console/vehicles", get(registered::vehicles))
        .route("/console/ads", get(registered::ads))
        .route("/console/refusals", get(refusals::show))
        .route("/console/sessions", get(records::sessions))
        .route("/console/support", get(records::support))
        .route("/console/activity", get(records::activity))
        .route("/console/users", get(users::list))
        .route("/console/users/{id}", get(users::show).post(users::edit::change))
        .route("/console/users/{id}/rights", post(users::edit::set_rights))
        .route("/console/users/new", get(users::edit::begin).post(users::edit::add))
        .route("/console/reports", get(reports::list))
        .route("/console/reports/{name}", get(reports::show))
        .route("/console/sql", get(sql::show).post(sql::ask))
        .route("/console/statistics", get(statistics::index))
        .route("/console/statistics/{name}", get(statistics::show))
        .route("/console/opendata", get(opendata::show))
        .route("/console/imports", get(imports::list))
        .route("/console/imports/{id}", get(imports::show))
        .route("/console/{*path}", get(|| async { Refusal::from(Problem::unknown_path()) }))
        .layer(Extension(Arc::new(home::Figures::default())))
        .layer(Extension(Arc::new(statistics::Maps::default())))
        .layer(Extension(Arc::new(statistics::Figures::default())))
        .layer(Extension(Arc::new(simulator::Within::default())))
}

/// Whether a path is one of ours.
pub(crate) fn is_page(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What holds for every answer below [`ROOT`], whoever gives it: what the router says before any page is asked is a
/// page, too. Nothing is kept by caches, but what says that it may be, and no page of another site reads ours.
pub(crate) async fn framed(mut request: Request, next: Next) -> Response {
    let is_guide = request.uri().path().trim_end_matches('/') == guide::PATH;
    if !is_guide && !is_page(request.uri().path()) {
        return next.run(request).await;
    }
    let seen = Seen::default();
    request.extensions_mut().insert(seen.clone());
    let (is_get, path) = (request.method() == Method::GET, request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if is_get && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        // Where a form is sent; the page that has it is above it.
        let page = path.trim_end_matches('/').rsplit_once('/').map_or(ROOT, |(page, _)| page);
        response = Redirect::to(page).into_response();
    }
    response = refusal::page_of(response, seen.session());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With none at all, browsers would not say either where a form comes from.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    for name in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
    ] {
        headers.remove(name);
    }
    response
}

/// A moment of the API's as people write it: `21/09/2026 14:13:20`, with milliseconds where there are some.
fn moment(at: &str) -> String {
    let read = NaiveDateTime::parse_from_str(at, "%Y-%m-%dT%H:%M:%S%.f");
    let form = if at.contains('.') { "%d/%m/%Y %H:%M:%S%.3f" } else { "%d/%m/%Y %H:%M:%S" };
    read.map_or_else(|_| at.to_owned(), |read| read.format(form).to_string().replace('.', ","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_in_french() {
        assert_eq!(moment("2026-09-21T14:13:20"), "21/09/2026 14:13:20");
        assert_eq!(moment("2026-09-21T14:13:20.250000"), "21/09/2026 14:13:20,250");
        assert_eq!(moment("<b>"), "<b>");
    }

    #[test]
    fn pages_are_told_from_what_begins_alike() {
        assert!(is_page("/console") && is_page("/console/taxis"));
        assert!(!is_page("/consoles") && !is_page("/") && !is_page("/taxis"));
    }
}
