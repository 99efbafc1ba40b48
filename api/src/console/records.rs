//! Lists of what happened: sessions of customers, hails for who helps customers, and the activity log.

use axum::extract::State;
use maud::html;

use super::hails::PATH as HAILS;
use super::list::{Column, Field, List};
use super::refusal::Shown;
use super::session::Session;
use super::{moment, words};
use crate::activity::{ACTIONS, RESOURCES};
use crate::app::App;
use crate::form::query::Query;
use crate::hail::Status;
use crate::limits::{CSV_ROWS_MAX, CSV_SESSIONS_MAX, PER_PAGE, SUPPORT_PER_PAGE};
use crate::role::Role;
use crate::routes::activity_logs::{self, ActivityAnswer};
use crate::routes::hails::support::{self, SupportedHailAnswer};
use crate::routes::sessions::{self, SessionAnswer};

/// Where sessions are.
pub(super) const SESSIONS: &str = "/console/sessions";
/// Where hails are for who helps customers.
pub(super) const SUPPORT: &str = "/console/support";
/// Where the activity log is.
pub(super) const ACTIVITY: &str = "/console/activity";

const OF_SESSIONS: &[Column<SessionAnswer>] = &[
    Column::new("Session", "session", |session: &SessionAnswer| session.session_id.clone()),
    Column::new("Début (UTC)", "debut", |session: &SessionAnswer| session.added_at.clone())
        .shown(|session| html! { (moment(&session.added_at)) }),
    Column::new("Client", "client", |session: &SessionAnswer| session.customer_id.clone()),
    Column::new("Compte", "compte", |session: &SessionAnswer| session.added_by_id.clone()),
    Column::new("Courses", "courses", |session: &SessionAnswer| {
        session.hails.iter().map(|hail| hail.id.as_str()).collect::<Vec<_>>().join(" ")
    })
    .shown(|session| {
        html! {
            ol.plain { @for hail in &session.hails { li {
                a href={(HAILS) "/" (hail.id)} { (hail.id) } " " (words::of(hail.status))
                " (taxi " (hail.taxi.id) ", " (hail.operateur.commercial_name) ")"
            } } }
        }
    }),
];

const OF_SUPPORT: &[Column<SupportedHailAnswer>] = &[
    Column::new("Course", "id", |hail: &SupportedHailAnswer| hail.id.clone())
        .shown(|hail| html! { a href={(HAILS) "/" (hail.id)} { (hail.id) } }),
    Column::new("Créée le (UTC)", "cree_le", |hail: &SupportedHailAnswer| hail.added_at.clone())
        .shown(|hail| html! { (moment(&hail.added_at)) }),
    Column::new("Durée", "duree", |hail: &SupportedHailAnswer| hail.duration.clone()),
    Column::new("Statut", "statut", |hail: &SupportedHailAnswer| hail.status.to_owned())
        .shown(|hail| html! { (words::of(hail.status)) }),
    Column::new("Application", "application", |hail: &SupportedHailAnswer| hail.moteur.clone()),
    Column::new("Opérateur", "operateur", |hail: &SupportedHailAnswer| hail.operateur.clone()),
    Column::new("Adresse", "adresse", |hail: &SupportedHailAnswer| hail.customer_address.clone()),
    Column::new("Téléphone du client", "telephone_client", |hail: &SupportedHailAnswer| {
        hail.customer_phone_number.clone()
    }),
    Column::new("Téléphone du taxi", "telephone_taxi", |hail: &SupportedHailAnswer| {
        hail.taxi_phone_number.clone()
    }),
    Column::in_files("latitude", |hail| hail.customer_lat.to_string()),
    Column::in_files("longitude", |hail| hail.customer_lon.to_string()),
];

const OF_ACTIVITY: &[Column<ActivityAnswer>] = &[
    Column::new("Quand (UTC)", "quand", |entry: &ActivityAnswer| entry.time.clone())
        .shown(|entry| html! { (moment(&entry.time)) }),
    Column::new("Action", "action", |entry: &ActivityAnswer| entry.action.clone())
        .shown(|entry| html! { (words::of(&entry.action)) }),
    Column::new("Sur", "objet", |entry: &ActivityAnswer| entry.resource.clone())
        .shown(|entry| html! { (words::of(&entry.resource)) }),
    Column::new("Lequel", "lequel", |entry: &ActivityAnswer| entry.resource_id.clone()),
    Column::new("Détail", "detail", |entry: &ActivityAnswer| entry.extra.to_string())
        .shown(|entry| html! { code { (entry.extra.to_string()) } }),
];

/// The list of sessions.
pub(super) async fn sessions(State(app): State<App>, session: Session, query: Query) -> Shown {
    let mut fields = vec![Field::text("customer_id", "Client"), Field::day("date", "Jour (UTC)")];
    if session.caller.0.has(Role::Admin) {
        fields.push(Field::text("moteur", "Application"));
    }
    let list = List {
        path: SESSIONS,
        title: "Sessions de clients",
        file: "sessions",
        fields,
        query: &query,
        file_rows: CSV_SESSIONS_MAX,
    };
    let found = sessions::found(&app, &session.caller, &list.asked(), list.extent(PER_PAGE)).await;
    list.answer(&session, found, OF_SESSIONS)
}

/// The list for who helps customers.
pub(super) async fn support(State(app): State<App>, session: Session, query: Query) -> Shown {
    let fields = vec![
        Field::text("id", "Course"),
        Field::choice("status", "Statut", Status::NAMES),
        Field::text("moteur", "Application"),
        Field::text("operateur", "Opérateur"),
    ];
    let list = List {
        path: SUPPORT,
        title: "Assistance aux clients",
        file: "assistance",
        fields,
        query: &query,
        file_rows: CSV_ROWS_MAX,
    };
    let found = support::found(&app, &session.caller, &list.asked(), list.extent(SUPPORT_PER_PAGE)).await;
    list.answer(&session, found, OF_SUPPORT)
}

/// The activity log.
pub(super) async fn activity(State(app): State<App>, session: Session, query: Query) -> Shown {
    let fields = vec![
        Field::choice("action", "Action", ACTIONS),
        Field::choice("resource", "Sur", RESOURCES),
        Field::text("resource_id", "Lequel (numéro du compte, identifiant du taxi ou du client)"),
    ];
    let list = List {
        path: ACTIVITY,
        title: "Journal d’activité",
        file: "journal",
        fields,
        query: &query,
        file_rows: CSV_ROWS_MAX,
    };
    let found = activity_logs::found(&app, &session.caller, &list.asked(), list.per_page(PER_PAGE)).await;
    list.answer(&session, found, OF_ACTIVITY)
}
