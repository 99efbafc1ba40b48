//! The map: for everybody stations, zones and towns; for who may ask `GET /live`, taxis as they move, and whether a
//! customer sees one from where.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse as _;
use engine::territory::Territory;
use futures_util::StreamExt as _;
use ingest::position::LatLon;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::refusal::Shown;
use super::session::{self, Session, Visitor};
use super::{assets, chart, layout, with_map};
use crate::app::App;
use crate::error::Problem;
use crate::form::query::Query;
use crate::limits::OUTLINED_TOWNS_MAX;
use crate::registry::geometry::{inside, seen_from_afar};
use crate::role::{REGISTRARS, Role};
use crate::routes::live;

mod checks;

/// Where it is.
pub(super) const PATH: &str = "/console/map";

/// Where it begins, if the registry has it.
const PARIS: &str = "75056";
/// The middle of the country, and of Paris.
const FRANCE: (f64, f64) = (46.6, 2.5);
/// How many points the longer side of a window has, so that corners of outlines do not lie closer.
const POINTS_A_SIDE: f64 = 1_000.0;
/// For how long outlines are kept by browsers: they change by imports.
const KEPT: &str = "public, max-age=300";
/// What a taxi does, in the registry's words and in French.
const STATUSES: [(&str, &str); 5] = [
    ("free", "Libre"),
    ("occupied", "Occupé"),
    ("answering", "Répond à une course"),
    ("oncoming", "En approche"),
    ("off", "Hors service"),
];

/// The page. With a customer's place and a taxi, what a search from there decides by.
pub(super) async fn show(State(app): State<App>, Visitor(session): Visitor, query: Query) -> Shown {
    let viewer = session.as_ref().filter(|session| sees_taxis(session));
    let checks = match viewer {
        Some(session) => Some(checks::section(&app, session, &query).await?),
        None => None,
    };
    let territory = app.registry.territory();
    let ((lat, lon), zoom) = beginning(&territory);
    let tiles = app.behaviour.tiles.as_ref();
    // Whose taxis have a page that the module takes their card from.
    let own = viewer.map(|session| &session.caller.0).filter(|account| account.has(Role::Operateur));
    let content = html! {
        (chart::scripts())
        script type="module" src=(assets::MAP.address()) {}
        p {
            "Communes, zones uniques de prise en charge, stations et zones d’exclusion"
            @if viewer.is_some() { ", et les taxis entendus depuis moins de deux minutes" } "."
        }
        noscript { p.notice { "La carte demande un navigateur qui exécute des scripts ; le reste de cette page non." } }
        @if let Some(session) = viewer { (filters(session.caller.0.has(Role::Admin))) }
        div #map .map hidden role="region" aria-label="Carte" data-lat=(lat) data-lon=(lon) data-zoom=(zoom)
            data-live=[viewer.map(|_| "/console/map/live")] data-own=[own.map(|account| &account.email)]
            data-tiles=[tiles.map(|tiles| &tiles.url)] {}
        p.hint #state role="status" {}
        @if viewer.is_some() { p.hint #count {} }
        @if let Some(tiles) = tiles { p.hint { "Fond de carte : " (tiles.attribution) } }
        (legend(viewer.is_some()))
        div.beside {
            section aria-labelledby="here" {
                h2 #here { "À cet endroit" }
                p #place { "Cliquez sur la carte pour savoir ce qui s’y trouve." }
            }
            @if viewer.is_some() {
                section aria-labelledby="chosen" {
                    h2 #chosen { "Taxi choisi" }
                    div #card { p { "Cliquez sur un taxi, ou choisissez-en un dans la liste." } }
                }
            }
        }
        @if let Some(checks) = &checks { (checks) }
        @if viewer.is_some() { (list()) }
    };
    let page = layout::page(session.as_ref(), PATH, "Carte", &content);
    Ok(with_map(&app, page))
}

/// Taxis as they move: `GET /live` for a session, as long as that lasts.
pub(super) async fn live(State(app): State<App>, session: Session, query: Query) -> Shown {
    let Session { caller, token_sha256, acting_as, .. } = session;
    let response = live::open(State(app.clone()), caller, query).await?;
    let over = Box::pin(session::ended(app, token_sha256, acting_as));
    Ok(response.map(|body| Body::from_stream(body.into_data_stream().take_until(over))))
}

/// The towns and the exclusion zones of a window, as GeoJSON: they are nobody's secret.
pub(super) async fn places(State(app): State<App>, query: Query) -> Shown {
    let (from, to) = query.read(live::read_window)?.corners();
    let territory = app.registry.territory();
    let collection = app.streams.look(move || outlines(&territory, from, to)).await;
    let collection = collection.ok_or_else(Problem::internal)?;
    Ok(([(header::CACHE_CONTROL, KEPT)], Json(collection)).into_response())
}

/// Towns are left out where they are too many to be seen.
fn outlines(territory: &Territory, from: LatLon, to: LatLon) -> Value {
    // Nothing is drawn over the antimeridian.
    if from.lon() > to.lon() {
        return json!({"type": "FeatureCollection", "features": []});
    }
    let point_deg = (to.lat() - from.lat()).max(to.lon() - from.lon()) / POINTS_A_SIDE;
    let towns: Vec<_> = territory.towns_near(from, to).take(OUTLINED_TOWNS_MAX + 1).collect();
    let towns = if towns.len() > OUTLINED_TOWNS_MAX { &[] } else { &*towns };
    let feature = |kind: &str, name: String, shape| {
        json!({"type": "Feature", "geometry": seen_from_afar(shape, point_deg),
               "properties": {"kind": kind, "name": name}})
    };
    let towns =
        towns.iter().map(|town| feature("town", format!("{} ({})", town.name, town.insee), &town.shape));
    let zones = territory.exclusions_near(from, to);
    let zones = zones.map(|zone| feature("exclusion", zone.name.clone(), &zone.shape));
    json!({"type": "FeatureCollection", "features": towns.chain(zones).collect::<Vec<_>>()})
}

/// Whose account may ask where taxis are.
fn sees_taxis(session: &Session) -> bool {
    REGISTRARS.iter().any(|role| session.caller.0.has(*role))
}

/// Where the map begins, and how near: at Paris, else at the first town, else over France.
pub(super) fn beginning(territory: &Territory) -> ((f64, f64), f64) {
    let paris = PARIS.parse().ok().and_then(|insee| territory.town(insee));
    let town = paris.or_else(|| territory.towns().first());
    let at = town.and_then(|town| inside(&town.shape));
    at.map_or((FRANCE, 5.0), |at| ((at.lat(), at.lon()), 11.0))
}

fn filters(is_admin: bool) -> Markup {
    html! {
        form #filters .search.filters hidden {
            fieldset {
                legend { "Statuts montrés" }
                @for (status, name) in STATUSES {
                    label.check { input type="checkbox" name="status" value=(status) checked; " " (name) }
                }
            }
            @if is_admin {
                div {
                    label for="operator" { "Opérateur" }
                    select #operator name="operator" { option value="" { "Tous" } }
                }
            }
        }
    }
}

fn legend(with_taxis: bool) -> Markup {
    html! {
        ul.legend aria-label="Légende" {
            @if with_taxis {
                @for (status, name) in STATUSES { li { span.dot data-status=(status) {} " " (name) } }
            }
            li { span.dot.station {} " Station" }
            li { span.area.zupc {} " ZUPC" }
            li { span.area.exclusion {} " Zone d’exclusion" }
        }
    }
}

/// The taxis of the window by keyboard, and for who sees no map.
fn list() -> Markup {
    html! {
        section #list hidden aria-labelledby="listed" {
            h2 #listed { "Taxis montrés" }
            div.scroll tabindex="0" role="region" aria-label="Taxis montrés" {
                table {
                    caption { "Les premiers de la carte, toutes les deux secondes" }
                    (super::list::heads(&["Taxi", "Opérateur", "Statut", "Position", "Choisir"]))
                    tbody #rows {}
                }
            }
        }
    }
}
