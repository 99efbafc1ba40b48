//! A search app by hand: a search at a place, hails, their approach, and what the customer does with them.

use axum::extract::State;
use axum::http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::client::{Api, Partner};
use super::exchange::{Done, Exchange, shown};
use super::hails::{Hails, Position, Side};
use super::operator::answered;
use super::{distance, map, number, point};
use crate::app::App;
use crate::auth::Caller;
use crate::console::refusal::Shown;
use crate::console::session::{Posted, Session};
use crate::console::{layout, with_map};
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::hail::Sender;
use crate::role::Role;

/// Where it is.
pub(in crate::console) const PATH: &str = "/console/simulator/app";

/// Whether an account may be one.
pub(in crate::console) fn concerns(caller: &Caller) -> bool {
    caller.0.has(Role::Moteur)
}

/// A taxi that a search found.
#[derive(Debug, Deserialize)]
struct Taxi {
    id: String,
    /// In metres.
    crowfly_distance: Option<f64>,
    position: Position,
    vehicle: Vehicle,
}

#[derive(Debug, Deserialize)]
struct Vehicle {
    model: Option<String>,
}

/// The search, what it found, and the app's hails.
pub(in crate::console) async fn show(
    State(app): State<App>,
    api: Api,
    session: Session,
    query: Query,
) -> Shown {
    page(&app, &api.of(&session), &session, &query, None).await
}

/// The page after something was done: what was refused is still in its form, beside what a search finds now.
pub(super) async fn answer(
    app: &App,
    partner: &Partner,
    session: &Session,
    fields: Query,
    done: Done,
) -> Shown {
    page(app, partner, session, &fields, Some(done)).await
}

async fn page(app: &App, partner: &Partner, session: &Session, given: &Query, done: Option<Done>) -> Shown {
    if !concerns(&session.caller) {
        return Err(Problem::forbidden().into());
    }
    let text = |name| given.first(name).unwrap_or_default().trim().replace(',', ".");
    let (lat, lon) = (text("lat"), text("lon"));
    let is_sought =
        !(lat.is_empty() && lon.is_empty()) && done.as_ref().is_none_or(|done| !done.is_granted());
    let search =
        if is_sought { Some(partner.get("/taxis", &[("lat", &lat), ("lon", &lon)]).await?) } else { None };
    let hails = Hails::of(partner, &[]).await?;
    let at = place(&lat, &lon);
    let side = Side { session, by: Sender::App, taxi: None };
    let content = html! {
        p {
            "Jouez une application à la main : chaque geste est une requête à l’API publique avec votre clé, montrée \
             au bas de la page."
        }
        div #told { @if let Some(done) = &done { (done.notice()) } }
        (map(app, PATH, "app", None, at))
        ul.legend aria-label="Légende" {
            li { span.dot.customer {} " Le client" }
            li { span.circle {} " 500 m autour de lui : d’aussi loin qu’un taxi peut être vu" }
            li { span.dot data-status="free" {} " Un taxi trouvé" }
            li { span.dot data-status="oncoming" {} " Le taxi d’une course" }
        }
        div.beside.sides {
            div {
                (searching(&lat, &lon))
                div #found {
                    @if let Some(at) = at { (point("customer", None, at)) }
                    @if let Some(search) = &search { (found(session, search, given, (&lat, &lon))?) }
                }
            }
            section aria-labelledby="hails-title" {
                h2 #hails-title { "Mes courses" }
                p { a.button.second #refresh href=(PATH) { "Actualiser" } }
                (hails.shown(&side))
            }
        }
        (shown(match (&done, &search) {
            (Some(done), _) => &done.exchanges,
            (None, Some(search)) => std::slice::from_ref(search),
            (None, None) => &[],
        }))
    };
    let page = with_map(app, layout::page(Some(session), PATH, "Simuler une application", &content));
    Ok(answered(page, done.as_ref()))
}

/// A place as it was typed; what is none the API has refused.
fn place(lat: &str, lon: &str) -> Option<(f64, f64)> {
    let at: (f64, f64) = (lat.parse().ok()?, lon.parse().ok()?);
    (at.0.abs() <= 90.0 && at.1.abs() <= 180.0).then_some(at)
}

fn searching(lat: &str, lon: &str) -> Markup {
    html! {
        form.row #search role="search" method="get" action=(PATH) data-parts="told found exchange" {
            div {
                label for="lat" { "Latitude du client, en degrés" }
                input #lat name="lat" inputmode="decimal" required value=(lat);
            }
            div {
                label for="lon" { "Longitude du client, en degrés" }
                input #lon name="lon" inputmode="decimal" required value=(lon);
            }
            button type="submit" { "Chercher" }
            p.hint { "Un clic sur la carte y cherche, ou Entrée au clavier pour le milieu de la carte." }
        }
    }
}

/// What a search found, or why it found nothing.
fn found(session: &Session, search: &Exchange, given: &Query, at: (&str, &str)) -> Answer<Markup> {
    if !search.is_granted() {
        return Ok(search.refusal());
    }
    let taxis: Vec<Taxi> = search.read()?;
    Ok(html! {
        h2 { "Taxis trouvés : " (taxis.len()) }
        @if taxis.is_empty() {
            p.hint {
                "Un taxi est trouvé s’il est libre, entendu depuis moins de deux minutes, à portée de son rayon, et si \
                 son ADS vaut à cet endroit."
            }
        } @else { (asking(session, &taxis, given, at)) }
    })
}

fn asking(session: &Session, taxis: &[Taxi], given: &Query, (lat, lon): (&str, &str)) -> Markup {
    let value = |name, default| given.first(name).unwrap_or(default).to_owned();
    html! {
        form method="post" action="/console/simulator/app/hail" data-parts="told found hails exchange" {
            (session.token_field())
            input type="hidden" name="lat" value=(lat);
            input type="hidden" name="lon" value=(lon);
            label for="taxi" { "Taxi" }
            select #taxi name="taxi" { @for taxi in taxis {
                @let at = taxi.position.at().map(|(lat, lon)| format!("{lat},{lon}"));
                option value=(taxi.id) data-point=[at.as_ref().map(|_| "found")] data-at=[at.as_ref()] {
                    (distance(taxi.crowfly_distance.unwrap_or_default()))
                    @if let Some(model) = &taxi.vehicle.model { ", " (model) }
                }
            } }
            label for="customer" { "Client, sous un nom à vous" }
            input #customer name="customer" required maxlength="255" value=(value("customer", "client-1"))
                autocomplete="off";
            label for="address" { "Adresse" }
            input #address name="address" required maxlength="1000" value=(value("address", "")) autocomplete="off";
            label for="phone" { "Téléphone du client" }
            input #phone name="phone" type="tel" required maxlength="255" value=(value("phone", "0600000001"))
                autocomplete="off";
            div.actions { button type="submit" { "Demander ce taxi" } }
        }
    }
}

/// Asks for a taxi.
pub(in crate::console) async fn hail(State(app): State<App>, api: Api, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let partner = api.of(&session);
    let text = |name| fields.first(name).unwrap_or_default();
    let wish = json!({
        "taxi_id": text("taxi"), "customer_id": text("customer"), "customer_address": text("address"),
        "customer_phone_number": text("phone"), "customer_lat": number(text("lat")),
        "customer_lon": number(text("lon")),
    });
    let exchange = partner.send(Method::POST, "/hails", wish).await?;
    let done = Done::new("La course est demandée.", exchange);
    answer(&app, &partner, &session, fields, done).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_two_numbers_on_the_globe() {
        assert_eq!(place("48.5", "2"), Some((48.5, 2.0)));
        for (lat, lon) in [("x", "2"), ("48", ""), ("91", "2"), ("48", "181"), ("NaN", "2")] {
            assert_eq!(place(lat, lon), None, "{lat} {lon}");
        }
    }
}
