//! An operator's taxis: all of them, and each by itself.

use axum::Json;
use axum::extract::{Path, State};
use maud::html;

use super::layout;
use super::list::{Column, Field, List};
use super::refusal::Shown;
use super::session::Session;
use super::{moment, words};
use crate::app::App;
use crate::error::Problem;
use crate::form::query::Query;
use crate::limits::{CSV_ROWS_MAX, PER_PAGE};
use crate::routes::taxi_answer::TaxiAnswer;
use crate::routes::taxis;

/// Where the list is.
pub(super) const PATH: &str = "/console/taxis";

const COLUMNS: &[Column<TaxiAnswer>] = &[
    Column::new("Taxi", "id", |taxi: &TaxiAnswer| taxi.id.clone())
        .shown(|taxi| html! { a href={(PATH) "/" (taxi.id)} { (taxi.id) } }),
    Column::new("Statut", "statut", |taxi: &TaxiAnswer| taxi.status.clone())
        .shown(|taxi| html! { (words::of(&taxi.status)) }),
    Column::new("Immatriculation", "immatriculation", |taxi: &TaxiAnswer| taxi.vehicle.licence_plate.clone()),
    Column::on_page("Véhicule", vehicle),
    Column::in_files("marque", |taxi| taxi.vehicle.constructor.clone().unwrap_or_default()),
    Column::in_files("modele", |taxi| taxi.vehicle.model.clone().unwrap_or_default()),
    Column::on_page("ADS", ads),
    Column::in_files("ads_insee", |taxi| taxi.ads.insee.clone()),
    Column::in_files("ads_numero", |taxi| taxi.ads.numero.clone()),
    Column::new("Conducteur", "conducteur", driver),
    Column::new("Ajouté le (UTC)", "ajoute_le", |taxi: &TaxiAnswer| taxi.added_at.clone())
        .shown(|taxi| html! { (moment(&taxi.added_at)) }),
];

/// The list.
pub(super) async fn list(State(app): State<App>, session: Session, query: Query) -> Shown {
    let fields = vec![Field::text("id", "Identifiant"), Field::text("licence_plate", "Immatriculation")];
    let list = List {
        path: PATH,
        title: "Mes taxis",
        file: "taxis",
        fields,
        query: &query,
        file_rows: CSV_ROWS_MAX,
    };
    let found = taxis::found(&app, &session.caller, &list.asked(), list.per_page(PER_PAGE)).await;
    list.answer(&session, found, COLUMNS)
}

/// One of them, with where it was seen last.
pub(super) async fn show(State(app): State<App>, session: Session, Path(id): Path<String>) -> Shown {
    let Json(taxi) = taxis::read(State(app.clone()), session.caller.clone(), Path(id)).await?;
    let taxi = taxi.into_inner().pop().ok_or_else(Problem::internal)?;
    let age_s = taxi.last_update.map(|at_s| app.clock.now().seconds() - at_s);
    let content = html! {
        dl {
            dt { "Statut" } dd { (words::of(&taxi.status)) }
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
            dt { "ADS" } dd { (ads(&taxi)) }
            dt { "Titulaire de l’ADS" } dd { (taxi.ads.owner_name) }
            dt { "Conducteur" } dd { (driver(&taxi)) ", carte n° " (taxi.driver.professional_licence)
                                     " (" (taxi.driver.departement) ")" }
            dt { "Ajouté le (UTC)" } dd { (moment(&taxi.added_at)) }
        }
        p { a href=(PATH) { "Tous mes taxis" } }
    };
    Ok(layout::page(Some(&session), "", &format!("Taxi {}", taxi.id), &content))
}

fn ads(taxi: &TaxiAnswer) -> String {
    format!("{} {}, n° {}", taxi.ads.town.name, taxi.ads.insee, taxi.ads.numero)
}

fn vehicle(taxi: &TaxiAnswer) -> String {
    let parts = [&taxi.vehicle.constructor, &taxi.vehicle.model];
    parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn driver(taxi: &TaxiAnswer) -> String {
    format!("{} {}", taxi.driver.first_name, taxi.driver.last_name)
}
