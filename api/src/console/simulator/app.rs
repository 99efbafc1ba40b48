//! A search app by hand: a search at a place, hails, and what the customer does with them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use maud::{Markup, html};
use serde_json::json;

use super::{done, hails, list, number, payload};
use crate::app::App;
use crate::auth::Caller;
use crate::console::layout::{self, Notice};
use crate::console::refusal::{Shown, messages};
use crate::console::session::{Posted, Session};
use crate::error::Problem;
use crate::form::query::Query;
use crate::hail::Sender;
use crate::role::Role;
use crate::routes::hails::create;
use crate::routes::search;
use crate::routes::taxi_answer::TaxiAnswer;

/// Where it is.
pub(in crate::console) const PATH: &str = "/console/simulator/app";

/// Whether an account may be one.
pub(in crate::console) fn concerns(caller: &Caller) -> bool {
    caller.0.has(Role::Moteur)
}

/// The search, what it found, and the app's hails.
pub(in crate::console) async fn show(State(app): State<App>, session: Session, query: Query) -> Shown {
    if !concerns(&session.caller) {
        return Err(Problem::forbidden().into());
    }
    let text = |name| query.first(name).unwrap_or_default().trim().replace(',', ".");
    let (lat, lon) = (text("lat"), text("lon"));
    let found = if lat.is_empty() && lon.is_empty() {
        None
    } else {
        let place = vec![("lat".to_owned(), lat.clone()), ("lon".to_owned(), lon.clone())];
        Some(search::search(State(app.clone()), session.caller.clone(), Query::new(place)).await)
    };
    let hails = hails(&app, &session, &[]).await?;
    let results = match found {
        None => html! {},
        Some(Ok(Json(taxis))) => results(&session, &taxis.into_inner(), (&lat, &lon)),
        Some(Err(problem)) if problem.status().is_client_error() => none(&problem),
        Some(Err(problem)) => return Err(problem.into()),
    };
    let content = html! {
        p { "Jouez une application à la main : ce qui est fait ici l’est par l’API, avec les droits de votre compte." }
        form.search role="search" method="get" action=(PATH) {
            div {
                label for="lat" { "Latitude du client, en degrés" }
                input #lat name="lat" inputmode="decimal" required value=(lat);
            }
            div {
                label for="lon" { "Longitude du client, en degrés" }
                input #lon name="lon" inputmode="decimal" required value=(lon);
            }
            div.actions { button type="submit" { "Chercher" } }
        }
        (results)
        h2 { "Mes courses" }
        p { a.button href=(PATH) { "Actualiser" } }
        (list(&session, &hails, Sender::App, PATH))
    };
    Ok(layout::page(Some(&session), PATH, "Simuler une application", &content))
}

/// Why there is no answer: an exclusion zone, or numbers that are none.
fn none(problem: &Problem) -> Markup {
    let why = match problem.status() {
        StatusCode::NOT_FOUND => vec!["On ne maraude pas ici : c’est une zone d’exclusion.".to_owned()],
        _ => messages(problem.errors()),
    };
    layout::notice(Some(Notice::Failed(&why)))
}

fn results(session: &Session, taxis: &[TaxiAnswer], (lat, lon): (&str, &str)) -> Markup {
    html! {
        h2 { "Taxis trouvés : " (taxis.len()) }
        @if !taxis.is_empty() {
            form method="post" action="/console/simulator/app/hail" {
                (session.token_field())
                input type="hidden" name="lat" value=(lat);
                input type="hidden" name="lon" value=(lon);
                label for="taxi" { "Taxi" }
                select #taxi name="taxi" { @for taxi in taxis {
                    option value=(taxi.id) {
                        (taxi.crowfly_distance.unwrap_or_default().round()) " m"
                        @if let Some(model) = &taxi.vehicle.model { ", " (model) }
                    }
                } }
                label for="customer" { "Client, sous un nom à vous" }
                input #customer name="customer" required maxlength="255" value="client-1" autocomplete="off";
                label for="address" { "Adresse" }
                input #address name="address" required maxlength="1000" autocomplete="off";
                label for="phone" { "Téléphone du client" }
                input #phone name="phone" type="tel" required maxlength="255" value="0600000001" autocomplete="off";
                div.actions { button type="submit" { "Demander ce taxi" } }
            }
        }
    }
}

/// Asks for a taxi.
pub(in crate::console) async fn hail(State(app): State<App>, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let wish = json!({
        "taxi_id": fields.first("taxi"), "customer_id": fields.first("customer"),
        "customer_address": fields.first("address"), "customer_phone_number": fields.first("phone"),
        "customer_lat": number(&fields, "lat"), "customer_lon": number(&fields, "lon"),
    });
    let made = create::create(State(app), session.caller.clone(), HeaderMap::new(), payload(&wish)).await;
    done(&session, made.map(|_| PATH.to_owned()))
}
