//! Simulators: one half of an integration by hand, so that the other can be tried against it.
//!
//! What is done here is asked of the public API, as a partner asks it: with the account's own key, and nothing else.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use chrono::DateTime;
use futures_util::StreamExt as _;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::refusal::Shown;
use super::session::{self, Posted, Session};
use super::{assets, chart};
use crate::app::App;
use crate::error::Problem;
use crate::form::query::Query;

use client::{Api, segment};
use exchange::Done;

pub(super) mod app;
mod client;
mod exchange;
mod hails;
pub(super) mod making;
pub(super) mod operator;
mod refused;

pub(super) use client::Within;

/// How near a map begins where it has something to show.
const NEAR: f64 = 14.0;

/// Moves a hail, or notes it, from either page: `PUT /hails/:id`.
pub(super) async fn change_hail(State(app): State<App>, api: Api, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let texts = [
        "status",
        "taxi_phone_number",
        "declined_by_taxi_reason",
        "incident_taxi_reason",
        "incident_customer_reason",
        "rating_ride",
    ];
    let given = texts.into_iter().filter_map(|name| Some((name.to_owned(), json!(fields.first(name)?))));
    let wish: Map<_, _> = given.collect();
    let partner = api.of(&session);
    let path = format!("/hails/{}", segment(fields.first("hail").unwrap_or_default()));
    let done = Done::new("La course est à jour.", partner.send(Method::PUT, &path, wish.into()).await?);
    match fields.first("taxi") {
        Some(taxi) => operator::answer(&app, &partner, &session, operator::of(taxi), done).await,
        None => app::answer(&app, &partner, &session, Query::default(), done).await,
    }
}

/// What happens to the account's hails: `GET /events`, as long as the session lasts.
pub(super) async fn events(State(app): State<App>, api: Api, session: Session, headers: HeaderMap) -> Shown {
    if !operator::concerns(&session.caller) && !app::concerns(&session.caller) {
        return Err(Problem::forbidden().into());
    }
    let stream = api.of(&session).events(&headers).await?;
    let Session { token_sha256, acting_as, .. } = session;
    let over = Box::pin(session::ended(app, token_sha256, acting_as));
    Ok(stream.map(|body| Body::from_stream(body.into_data_stream().take_until(over))))
}

/// The map of a page, which its module makes of what the page says. It is at `page` without what was just asked.
fn map(app: &App, page: &str, side: &str, taxi: Option<&str>, at: Option<(f64, f64)>) -> Markup {
    let ((lat, lon), zoom) =
        at.map_or_else(|| super::map::beginning(&app.registry.territory()), |at| (at, NEAR));
    let tiles = app.behaviour.tiles.as_ref();
    html! {
        (chart::scripts())
        script type="module" src=(assets::SIMULATOR.address()) {}
        noscript {
            p.notice {
                "La carte et ce qui arrive de soi-même demandent des scripts ; les formulaires de cette page non."
            }
        }
        div #map .map.small hidden role="region" aria-label="Carte" data-lat=(lat) data-lon=(lon) data-zoom=(zoom)
            data-side=(side) data-taxi=[taxi] data-page=(page) data-tiles=[tiles.map(|tiles| &tiles.url)] {}
        p.hint #state role="status" {}
        @if let Some(tiles) = tiles { p.hint { "Fond de carte : " (tiles.attribution) } }
    }
}

/// A place that the map shows, for who sees it: nothing.
fn point(kind: &str, status: Option<&str>, (lat, lon): (f64, f64)) -> Markup {
    html! { span hidden data-point=(kind) data-status=[status] data-at={(lat) "," (lon)} {} }
}

/// A number that was typed as in French or as in English; what is none stays a text, and is refused as one.
fn number(text: &str) -> Value {
    let text = text.trim().replace(',', ".");
    text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number))
}

/// The time of day of a second since 1970.
fn second(at_s: i64) -> String {
    DateTime::from_timestamp(at_s, 0).map_or_else(String::new, |at| at.format("%H:%M:%S UTC").to_string())
}

/// Metres as people say them.
fn distance(metres: f64) -> String {
    if metres < 1_000.0 {
        format!("{metres:.0} m")
    } else {
        format!("{:.1} km", metres / 1_000.0).replace('.', ",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_in_french_and_others_left_for_the_api_to_refuse() {
        assert_eq!(
            [number(" 48,5 "), number("-2"), number("north"), number("")],
            [json!(48.5), json!(-2.0), json!("north"), json!("")]
        );
    }

    #[test]
    fn distances_are_said_as_people_do() {
        assert_eq!(
            [distance(0.4), distance(420.4), distance(1_250.1)],
            ["0 m", "420 m", "1,3 km"].map(str::to_owned)
        );
    }
}
