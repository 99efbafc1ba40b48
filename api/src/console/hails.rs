//! Hails: those that somebody had to do with, and each as a time line.

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::layout;
use super::list::{Field, List, count, heads};
use super::refusal::Shown;
use super::session::Session;
use super::{csv, moment};
use crate::app::App;
use crate::form::query::Query;
use crate::hail::Status;
use crate::limits::{CSV_ROWS_MAX, PER_PAGE};
use crate::role::Role;
use crate::routes::hails::answer::HailAnswer;
use crate::routes::hails::change::{Story, story};
use crate::routes::hails::list::{ListedHailAnswer, found};
use crate::routes::naive_timestamp;

/// Where the list is.
pub(super) const PATH: &str = "/console/hails";

const FIELDS: &[Field] = &[
    Field::text("id", "Course"),
    Field::choice("status", "Statut", Status::NAMES),
    Field::text("taxi_id", "Taxi"),
    Field::text("customer_id", "Client"),
    Field::text("moteur", "Application"),
    Field::day("date", "Jour (UTC)"),
];
/// What administrators look for besides.
const ADMIN_FIELDS: &[Field] = &[
    Field::text("id", "Course"),
    Field::choice("status", "Statut", Status::NAMES),
    Field::text("taxi_id", "Taxi"),
    Field::text("customer_id", "Client"),
    Field::text("moteur", "Application"),
    Field::text("operateur", "Opérateur"),
    Field::day("date", "Jour (UTC)"),
];
const COLUMNS: [&str; 7] = ["id", "statut", "cree_le", "application", "operateur", "taxi", "client"];

/// The list.
pub(super) async fn list(State(app): State<App>, session: Session, query: Query) -> Shown {
    let fields = if session.caller.0.has(Role::Admin) { ADMIN_FIELDS } else { FIELDS };
    let list = List { path: PATH, fields, query: &query };
    let per_page = if list.is_download() { CSV_ROWS_MAX } else { PER_PAGE };
    let (hails, meta) = found(&app, &session.caller, &list.asked(), per_page).await?.into_parts();
    if list.is_download() {
        return Ok(csv::download("courses", &COLUMNS, hails.iter().map(row)));
    }
    let content = html! {
        (list.search())
        div.scroll tabindex="0" role="region" aria-label="Courses" {
            table {
                caption { (count(&meta)) }
                (heads(&["Course", "Statut", "Créée le (UTC)", "Application", "Opérateur", "Taxi", "Client"]))
                tbody { @for hail in &hails { tr {
                    th scope="row" { a href={(PATH) "/" (hail.id)} { (hail.id) } }
                    td { (in_french(hail.status)) }
                    td { (moment(&hail.creation_datetime)) }
                    td { (hail.added_by) }
                    td { (hail.operateur) }
                    td { (hail.taxi_id) }
                    td { (hail.customer_id) }
                } } }
            }
        }
        (list.pager(&meta))
        (list.download_link(&meta))
    };
    Ok(layout::page(Some(&session), PATH, "Courses", &content))
}

fn row(hail: &ListedHailAnswer) -> Vec<String> {
    let ListedHailAnswer { id, added_by, operateur, status, creation_datetime, taxi_id, customer_id } = hail;
    [id, *status, creation_datetime, added_by, operateur, taxi_id, customer_id].map(str::to_owned).to_vec()
}

/// One of them.
pub(super) async fn show(State(app): State<App>, session: Session, Path(id): Path<String>) -> Shown {
    let Story { hail, calls, deadline_at } = story(&app, &session.caller, &id).await?;
    let mut steps: Vec<_> = hail
        .transitions
        .iter()
        .map(|step| {
            let why = step.reason.as_deref().map(|reason| html! { " (" (reason_in_french(reason)) ")" });
            (
                step.timestamp.clone(),
                html! { strong { (in_french(&step.to_status)) } (why.unwrap_or_default()) },
            )
        })
        .collect();
    steps.extend(calls.iter().map(|call| {
        let text = html! { "Appel du serveur de l’opérateur : " (call.outcome) " en " (call.took_ms) " ms" };
        (naive_timestamp(call.at), text)
    }));
    // Stable: what began at one moment stays in its order.
    steps.sort_by(|(a, _), (b, _)| a.cmp(b));
    let content = html! {
        (facts(&hail))
        h2 { "Déroulement (heures UTC)" }
        ol.timeline {
            @for (at, step) in &steps { li { time datetime={(at) "Z"} { (moment(at)) } " " (step) } }
            @if let Some(deadline_at) = deadline_at {
                @let at = naive_timestamp(deadline_at);
                li {
                    time datetime={(at) "Z"} { (moment(&at)) }
                    " Échéance : sans réponse d’ici là, la course prend fin."
                }
            }
        }
        p { a href=(PATH) { "Toutes les courses" } }
    };
    Ok(layout::page(Some(&session), "", &format!("Course {}", hail.id), &content))
}

fn facts(hail: &HailAnswer) -> Markup {
    let some = |label: &str, text: &str| html! { @if !text.is_empty() { dt { (label) } dd { (text) } } };
    let reason = |label: &str, text: &Option<String>| some(label, text.as_deref().unwrap_or_default());
    html! {
        dl {
            dt { "Statut" } dd { (in_french(hail.status)) }
            dt { "Créée le (UTC)" } dd { (moment(&hail.creation_datetime)) }
            dt { "Opérateur" } dd { (hail.operateur) }
            dt { "Taxi" } dd { (hail.taxi.id) }
            (some("Véhicule", format!("{} {}", hail.taxi.vehicle.licence_plate, hail.taxi.vehicle.color).trim()))
            (some("Conducteur", format!("{} {}", hail.taxi.driver.first_name, hail.taxi.driver.last_name).trim()))
            (some("Téléphone du taxi", &hail.taxi_phone_number))
            dt { "Client" } dd { (hail.customer_id) }
            (some("Adresse", &hail.customer_address))
            dt { "Lieu" } dd { (hail.customer_lat) ", " (hail.customer_lon) }
            (some("Téléphone du client", &hail.customer_phone_number))
            (reason("Incident du taxi", &hail.incident_taxi_reason))
            (reason("Incident du client", &hail.incident_customer_reason))
            (reason("Signalement du client", &hail.reporting_customer_reason))
            @if let Some(mark) = hail.rating_ride { dt { "Note" } dd { (mark) " sur 5" } }
            (reason("Motif de la note", &hail.rating_ride_reason))
        }
    }
}

/// A status in French.
pub(super) fn in_french(status: &str) -> &str {
    match status {
        "received" => "reçue par le registre",
        "sent_to_operator" => "envoyée à l’opérateur",
        "received_by_operator" => "reçue par l’opérateur",
        "received_by_taxi" => "reçue par le taxi",
        "accepted_by_taxi" => "acceptée par le taxi",
        "accepted_by_customer" => "confirmée par le client",
        "customer_on_board" => "client à bord",
        "finished" => "terminée",
        "declined_by_taxi" => "refusée par le taxi",
        "declined_by_customer" => "annulée par le client",
        "incident_taxi" => "incident du taxi",
        "incident_customer" => "incident du client",
        "timeout_taxi" => "sans réponse du taxi",
        "timeout_customer" => "sans réponse du client",
        "timeout_accepted_by_customer" => "sans prise en charge à temps",
        "failure" => "échec",
        other => other,
    }
}

/// Why a step was made; what somebody else wrote is shown as it is.
fn reason_in_french(reason: &str) -> &str {
    match reason {
        "deadline" => "échéance passée",
        "outside_zone" => "destination hors de la zone",
        "rest_time" => "temps de repos",
        "prior_booking" => "réservation préalable",
        "street_hail" => "client pris dans la rue",
        "rank_queue" => "file d’attente en station",
        "event" => "événement sur le trajet",
        other => other,
    }
}
