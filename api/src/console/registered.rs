//! What operators registered beside taxis: drivers, vehicles and ADS. An administrator sees everybody's.

use axum::extract::State;
use maud::html;

use super::list::{Column, Field, List};
use super::refusal::Shown;
use super::session::Session;
use super::{moment, words};
use crate::app::App;
use crate::form::query::Query;
use crate::limits::{CSV_ROWS_MAX, PER_PAGE};
use crate::role::Role;
use crate::routes::{naive_timestamp, registered};
use crate::store::listings::{ListedAds, ListedDriver, ListedVehicle};

/// Where drivers are.
pub(super) const DRIVERS: &str = "/console/drivers";
/// Where vehicles are.
pub(super) const VEHICLES: &str = "/console/vehicles";
/// Where ADS are.
pub(super) const ADS: &str = "/console/ads";

const OF_DRIVERS: &[Column<ListedDriver>] = &[
    Column::new("Nom", "nom", |driver: &ListedDriver| driver.last_name.clone()),
    Column::new("Prénom", "prenom", |driver: &ListedDriver| driver.first_name.clone()),
    Column::new("Carte professionnelle", "carte", |driver: &ListedDriver| {
        driver.professional_licence.clone()
    }),
    Column::new("Département", "departement", |driver: &ListedDriver| driver.departement.clone()),
    Column::new("Né le", "ne_le", |driver: &ListedDriver| driver.birth_date.clone().unwrap_or_default()),
    Column::new("Ajouté le (UTC)", "ajoute_le", |driver: &ListedDriver| naive_timestamp(driver.created_at))
        .shown(|driver| html! { (moment(&naive_timestamp(driver.created_at))) }),
    Column::new("Opérateur", "operateur", |driver: &ListedDriver| driver.operator_email.clone()),
];

const OF_VEHICLES: &[Column<ListedVehicle>] = &[
    Column::new("Immatriculation", "immatriculation", |vehicle: &ListedVehicle| {
        vehicle.licence_plate.clone()
    }),
    Column::new("Marque", "marque", |vehicle: &ListedVehicle| vehicle.constructor.clone()),
    Column::new("Modèle", "modele", |vehicle: &ListedVehicle| vehicle.model.clone()),
    Column::new("Couleur", "couleur", |vehicle: &ListedVehicle| vehicle.color.clone()),
    Column::new("Carrosserie", "carrosserie", |vehicle: &ListedVehicle| {
        vehicle.body_type.clone().unwrap_or_default()
    })
    .shown(|vehicle| html! { (words::of(vehicle.body_type.as_deref().unwrap_or_default())) }),
    Column::new("Places", "places", |vehicle: &ListedVehicle| {
        vehicle.nb_seats.map(|seats| seats.to_string()).unwrap_or_default()
    }),
    Column::new("Statut", "statut", |vehicle: &ListedVehicle| vehicle.status.clone())
        .shown(|vehicle| html! { (words::of(&vehicle.status)) }),
    Column::new("Rayon (m)", "rayon_m", |vehicle: &ListedVehicle| {
        vehicle.radius.map(|metres| metres.to_string()).unwrap_or_default()
    }),
    Column::new("Ajouté le (UTC)", "ajoute_le", |vehicle: &ListedVehicle| {
        naive_timestamp(vehicle.created_at)
    })
    .shown(|vehicle| html! { (moment(&naive_timestamp(vehicle.created_at))) }),
    Column::new("Opérateur", "operateur", |vehicle: &ListedVehicle| vehicle.operator_email.clone()),
];

const OF_ADS: &[Column<ListedAds>] = &[
    Column::new("Numéro", "numero", |ads: &ListedAds| ads.numero.clone()),
    Column::new("Commune", "commune", |ads: &ListedAds| ads.town.clone()),
    Column::new("Code INSEE", "insee", |ads: &ListedAds| ads.insee.clone()),
    Column::new("Titulaire", "titulaire", |ads: &ListedAds| ads.owner_name.clone()),
    Column::new("Titulaire : nature", "nature_titulaire", |ads: &ListedAds| {
        ads.owner_type.clone().unwrap_or_default()
    })
    .shown(|ads| html! { (words::of(ads.owner_type.as_deref().unwrap_or_default())) }),
    Column::new("Véhicule", "immatriculation", |ads: &ListedAds| {
        ads.licence_plate.clone().unwrap_or_default()
    }),
    Column::new("Ajoutée le (UTC)", "ajoutee_le", |ads: &ListedAds| naive_timestamp(ads.created_at))
        .shown(|ads| html! { (moment(&naive_timestamp(ads.created_at))) }),
    Column::new("Opérateur", "operateur", |ads: &ListedAds| ads.operator_email.clone()),
];

/// The list of drivers.
pub(super) async fn drivers(State(app): State<App>, session: Session, query: Query) -> Shown {
    let fields = vec![
        Field::text("last_name", "Nom"),
        Field::text("professional_licence", "Carte professionnelle"),
        Field::text("departement", "Département"),
    ];
    let list = list(DRIVERS, "Conducteurs", "conducteurs", fields, &query);
    let found = registered::drivers(&app, &session.caller, &list.asked(), list.per_page(PER_PAGE)).await;
    list.answer(&session, found, seen_by(&session, OF_DRIVERS))
}

/// The list of vehicles.
pub(super) async fn vehicles(State(app): State<App>, session: Session, query: Query) -> Shown {
    let fields = vec![
        Field::text("licence_plate", "Immatriculation"),
        Field::text("constructor", "Marque"),
        Field::text("model", "Modèle"),
    ];
    let list = list(VEHICLES, "Véhicules", "vehicules", fields, &query);
    let found = registered::vehicles(&app, &session.caller, &list.asked(), list.per_page(PER_PAGE)).await;
    list.answer(&session, found, seen_by(&session, OF_VEHICLES))
}

/// The list of ADS.
pub(super) async fn ads(State(app): State<App>, session: Session, query: Query) -> Shown {
    let fields = vec![
        Field::text("numero", "Numéro"),
        Field::text("insee", "Code INSEE"),
        Field::text("owner_name", "Titulaire"),
    ];
    let list = list(ADS, "ADS", "ads", fields, &query);
    let found = registered::ads(&app, &session.caller, &list.asked(), list.per_page(PER_PAGE)).await;
    list.answer(&session, found, seen_by(&session, OF_ADS))
}

fn list<'a>(
    path: &'static str,
    title: &'static str,
    file: &'static str,
    fields: Vec<Field>,
    query: &'a Query,
) -> List<'a> {
    List { path, title, file, file_rows: CSV_ROWS_MAX, fields, query }
}

/// The columns that somebody sees: whose it is, the last one, where it may be several's.
fn seen_by<'a, T>(session: &Session, columns: &'a [Column<T>]) -> &'a [Column<T>] {
    match columns {
        [own @ .., _] if !session.caller.0.has(Role::Admin) => own,
        all => all,
    }
}
