//! An operator by hand: a taxi, where it is, whether it is free, and what it does with hails.

use axum::Json;
use axum::extract::{Path, State};
use engine::territory::departement;
use maud::{Markup, html};
use serde_json::json;

use super::{done, hails, list, number, payload};
use crate::app::App;
use crate::auth::{Caller, Peer};
use crate::console::layout;
use crate::console::refusal::Shown;
use crate::console::session::{Posted, Session};
use crate::console::words;
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::hail::Sender;
use crate::limits::PER_PAGE;
use crate::role::Role;
use crate::routes::taxi_answer::TaxiAnswer;
use crate::routes::vehicles::PLATE_LENGTH;
use crate::routes::{ads, drivers, geotaxi, taxis, vehicles};

/// Where it is.
pub(in crate::console) const PATH: &str = "/console/simulator/operator";

/// Whether an account may be one.
pub(in crate::console) fn concerns(caller: &Caller) -> bool {
    caller.0.has(Role::Operateur)
}

/// The taxi that is chosen, and the operator's hails.
pub(in crate::console) async fn show(State(app): State<App>, session: Session, query: Query) -> Shown {
    let (taxis, _) = taxis::found(&app, &session.caller, &Query::default(), PER_PAGE).await?.into_parts();
    let chosen = query.first("taxi").or_else(|| taxis.first().map(|taxi| taxi.id.as_str()));
    let taxi = match chosen {
        None => None,
        Some(id) => {
            let id = Path(id.to_owned());
            let Json(taxi) = taxis::read(State(app.clone()), session.caller.clone(), id).await?;
            taxi.into_inner().pop()
        }
    };
    let hails = match &taxi {
        None => Vec::new(),
        Some(taxi) => hails(&app, &session, &[("taxi_id", &taxi.id)]).await?,
    };
    let content = html! {
        p { "Jouez un opérateur à la main : ce qui est fait ici l’est par l’API, avec les droits de votre compte." }
        @if let Some(taxi) = &taxi {
            (choice(&taxis, taxi))
            (driving(&app, &session, taxi))
            h2 { "Courses de ce taxi" }
            p.hint { "Sans geste de votre part, une course prend fin d’elle-même : c’est l’ignorer." }
            p { a.button href=(here(&taxi.id)) { "Actualiser" } }
            (list(&session, &hails, Sender::Operator, &here(&taxi.id)))
        } @else { p { "Vous n’avez pas encore de taxi : faites-en un." } }
        (making(&session))
    };
    Ok(layout::page(Some(&session), PATH, "Simuler un opérateur", &content))
}

/// The page of a taxi.
fn here(taxi: &str) -> String {
    format!("{PATH}?taxi={taxi}")
}

fn choice(taxis: &[TaxiAnswer], chosen: &TaxiAnswer) -> Markup {
    html! {
        form.search method="get" action=(PATH) {
            div {
                label for="taxi" { "Taxi" }
                select #taxi name="taxi" {
                    @for taxi in taxis {
                        option value=(taxi.id) selected[taxi.id == chosen.id] {
                            (taxi.id) ", " (taxi.vehicle.licence_plate)
                        }
                    }
                }
            }
            div.actions { button type="submit" { "Choisir" } }
        }
    }
}

fn driving(app: &App, session: &Session, taxi: &TaxiAnswer) -> Markup {
    let age_s = taxi.last_update.map(|at_s| app.clock.now().seconds() - at_s);
    let degrees = |degrees: Option<f64>| degrees.map(|degrees| degrees.to_string()).unwrap_or_default();
    html! {
        dl {
            dt { "Statut" } dd { (words::of(&taxi.status)) }
            dt { "Dernière position" }
            dd { @match age_s { Some(age_s) => { "reçue il y a " (age_s) " s" } None => { "aucune" } } }
        }
        form method="post" action="/console/simulator/operator/position" {
            (session.token_field())
            input type="hidden" name="taxi" value=(taxi.id);
            label for="lat" { "Latitude, en degrés" }
            input #lat name="lat" inputmode="decimal" required value=(degrees(taxi.position.lat));
            label for="lon" { "Longitude, en degrés" }
            input #lon name="lon" inputmode="decimal" required value=(degrees(taxi.position.lon));
            div.actions { button type="submit" { "Envoyer la position" } }
        }
        form method="post" action="/console/simulator/operator/status" {
            (session.token_field())
            input type="hidden" name="taxi" value=(taxi.id);
            label for="status" { "Statut" }
            select #status name="status" {
                @for choice in taxis::STATUSES {
                    option value=(choice) selected[*choice == taxi.status] { (words::of(choice)) }
                }
            }
            label for="radius" { "Rayon de visibilité, en mètres (150 à 500 ; vide : celui du registre)" }
            input #radius name="radius" type="number" min="150" max="500" value=[taxi.radius];
            div.actions { button type="submit" { "Changer" } }
        }
    }
}

fn making(session: &Session) -> Markup {
    html! {
        h2 { "Faire un taxi" }
        form method="post" action="/console/simulator/operator/taxi" {
            (session.token_field())
            label for="plate" { "Immatriculation" }
            input #plate name="plate" required minlength=(PLATE_LENGTH.start()) maxlength=(PLATE_LENGTH.end())
                autocomplete="off";
            label for="insee" { "Code INSEE de la commune de son ADS" }
            input #insee name="insee" required minlength="5" maxlength="5" autocomplete="off";
            div.actions { button type="submit" { "Faire le taxi" } }
        }
    }
}

/// Registers a driver, a vehicle, an ADS and the taxi that they make.
pub(in crate::console) async fn make(State(app): State<App>, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let text = |name| fields.first(name).unwrap_or_default().trim().to_owned();
    let made = register(&app, &session.caller, &text("plate"), &text("insee")).await;
    done(&session, made.map(|taxi| here(&taxi.id)))
}

async fn register(app: &App, caller: &Caller, plate: &str, insee: &str) -> Answer<TaxiAnswer> {
    let (app, caller) = (|| State(app.clone()), || caller.clone());
    let name = format!("SIM-{plate}");
    let departement = departement(insee);
    let driver = json!({"first_name": "Simulateur", "last_name": plate, "professional_licence": name,
                        "departement": {"numero": departement}});
    drop(drivers::create(app(), caller(), payload(&driver)).await?);
    drop(vehicles::create(app(), caller(), payload(&json!({"licence_plate": plate}))).await?);
    drop(ads::create(app(), caller(), payload(&json!({"numero": name, "insee": insee}))).await?);
    let taxi = json!({"driver": {"professional_licence": name, "departement": departement},
                      "vehicle": {"licence_plate": plate}, "ads": {"numero": name, "insee": insee}});
    let (_, Json(taxi)) = taxis::create(app(), caller(), payload(&taxi)).await?;
    taxi.into_inner().pop().ok_or_else(Problem::internal)
}

/// Says where the taxi is.
pub(in crate::console) async fn report(State(app): State<App>, peer: Peer, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let taxi = fields.first("taxi").unwrap_or_default().to_owned();
    let position = json!({"taxi_id": taxi, "lat": number(&fields, "lat"), "lon": number(&fields, "lon")});
    let body = payload(&json!({"positions": [position]}));
    let taken = geotaxi::create(State(app), session.caller.clone(), peer, body).await;
    done(&session, taken.map(|_| here(&taxi)))
}

/// Says whether the taxi is free, and how far it wants to be seen.
pub(in crate::console) async fn set(State(app): State<App>, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let taxi = fields.first("taxi").unwrap_or_default().to_owned();
    let radius = fields.first("radius").and_then(|radius| radius.parse::<i32>().ok());
    let wish = json!({"status": fields.first("status"), "radius": radius});
    let changed = taxis::change(State(app), session.caller.clone(), Path(taxi.clone()), payload(&wish)).await;
    done(&session, changed.map(|Json(_)| here(&taxi)))
}
