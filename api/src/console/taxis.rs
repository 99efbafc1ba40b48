//! An operator's taxis: all of them, and each by itself.

use axum::Json;
use axum::extract::{Path, State};
use maud::html;

use super::layout;
use super::list::{Field, List, count, heads};
use super::refusal::Shown;
use super::session::Session;
use super::{csv, moment};
use crate::app::App;
use crate::error::Problem;
use crate::form::query::Query;
use crate::limits::{CSV_ROWS_MAX, PER_PAGE};
use crate::routes::taxi_answer::TaxiAnswer;
use crate::routes::taxis;

/// Where the list is.
pub(super) const PATH: &str = "/console/taxis";

const FIELDS: &[Field] = &[Field::text("id", "Identifiant"), Field::text("licence_plate", "Immatriculation")];
const COLUMNS: [&str; 9] = [
    "id",
    "statut",
    "immatriculation",
    "marque",
    "modele",
    "ads_insee",
    "ads_numero",
    "conducteur",
    "ajoute_le",
];

/// The list.
pub(super) async fn list(State(app): State<App>, session: Session, query: Query) -> Shown {
    let list = List { path: PATH, fields: FIELDS, query: &query };
    let per_page = if list.is_download() { CSV_ROWS_MAX } else { PER_PAGE };
    let page = taxis::found(&app, &session.caller, &list.asked(), per_page).await?;
    let (taxis, meta) = page.into_parts();
    if list.is_download() {
        return Ok(csv::download("taxis", &COLUMNS, taxis.iter().map(row)));
    }
    let content = html! {
        (list.search())
        div.scroll tabindex="0" role="region" aria-label="Taxis" {
            table {
                caption { (count(&meta)) }
                (heads(&["Taxi", "Statut", "Immatriculation", "Véhicule", "ADS", "Conducteur", "Ajouté le (UTC)"]))
                tbody { @for taxi in &taxis { tr {
                    th scope="row" { a href={(PATH) "/" (taxi.id)} { (taxi.id) } }
                    td { (status(&taxi.status)) }
                    td { (taxi.vehicle.licence_plate) }
                    td { (vehicle(taxi)) }
                    td { (taxi.ads.town.name) " " (taxi.ads.insee) ", n° " (taxi.ads.numero) }
                    td { (driver(taxi)) }
                    td { (moment(&taxi.added_at)) }
                } } }
            }
        }
        (list.pager(&meta))
        (list.download_link(&meta))
    };
    Ok(layout::page(Some(&session), PATH, "Mes taxis", &content))
}

/// One of them, with where it was seen last.
pub(super) async fn show(State(app): State<App>, session: Session, Path(id): Path<String>) -> Shown {
    let Json(taxi) = taxis::read(State(app.clone()), session.caller.clone(), Path(id)).await?;
    let taxi = taxi.into_inner().pop().ok_or_else(Problem::internal)?;
    let age_s = taxi.last_update.map(|at_s| app.clock.now().seconds() - at_s);
    let content = html! {
        dl {
            dt { "Statut" } dd { (status(&taxi.status)) }
            dt { "Dernière position" }
            dd {
                @match (taxi.position.lat, taxi.position.lon, age_s) {
                    (Some(lat), Some(lon), Some(age_s)) => { (lat) ", " (lon) " (reçue il y a " (age_s) " s)" }
                    _ => { "Aucune n’est connue." }
                }
            }
            dt { "Rayon de visibilité" }
            dd { @if let Some(radius) = taxi.radius { (radius) " m" } @else { "celui du registre" } }
            dt { "Immatriculation" } dd { (taxi.vehicle.licence_plate) }
            dt { "Véhicule" } dd { (vehicle(&taxi)) " " (taxi.vehicle.color) }
            dt { "Caractéristiques" } dd { (taxi.vehicle.characteristics.join(", ")) }
            dt { "ADS" } dd { (taxi.ads.town.name) " " (taxi.ads.insee) ", n° " (taxi.ads.numero) }
            dt { "Titulaire de l’ADS" } dd { (taxi.ads.owner_name) }
            dt { "Conducteur" } dd { (driver(&taxi)) ", carte n° " (taxi.driver.professional_licence)
                                     " (" (taxi.driver.departement) ")" }
            dt { "Ajouté le (UTC)" } dd { (moment(&taxi.added_at)) }
        }
        p { a href=(PATH) { "Tous mes taxis" } }
    };
    Ok(layout::page(Some(&session), "", &format!("Taxi {}", taxi.id), &content))
}

fn row(taxi: &TaxiAnswer) -> Vec<String> {
    let vehicle = &taxi.vehicle;
    vec![
        taxi.id.clone(),
        taxi.status.clone(),
        vehicle.licence_plate.clone(),
        vehicle.constructor.clone().unwrap_or_default(),
        vehicle.model.clone().unwrap_or_default(),
        taxi.ads.insee.clone(),
        taxi.ads.numero.clone(),
        driver(taxi),
        taxi.added_at.clone(),
    ]
}

fn vehicle(taxi: &TaxiAnswer) -> String {
    let parts = [&taxi.vehicle.constructor, &taxi.vehicle.model];
    parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn driver(taxi: &TaxiAnswer) -> String {
    format!("{} {}", taxi.driver.first_name, taxi.driver.last_name)
}

/// A status in French.
pub(super) fn status(status: &str) -> &str {
    match status {
        "free" => "libre",
        "occupied" => "occupé",
        "off" => "hors service",
        "answering" => "répond à une course",
        "oncoming" => "en approche",
        other => other,
    }
}
