//! Hails: those that somebody had to do with, and each as a time line.

use axum::extract::{Path, State};
use ingest::position::LatLon;
use maud::{Markup, html};

use super::layout;
use super::list::{Column, Field, List};
use super::refusal::Shown;
use super::session::Session;
use super::{moment, words};
use crate::app::App;
use crate::form::query::Query;
use crate::hail::Status;
use crate::hail::allowed::{Allowed, Outcome};
use crate::hail::diagram::span;
use crate::limits::{CSV_ROWS_MAX, PER_PAGE};
use crate::role::Role;
use crate::routes::hails::answer::HailAnswer;
use crate::routes::hails::change::{Story, story};
use crate::routes::hails::list::{ListedHailAnswer, found};
use crate::routes::naive_timestamp;

mod track;

/// Where the list is.
pub(super) const PATH: &str = "/console/hails";

const COLUMNS: &[Column<ListedHailAnswer>] = &[
    Column::new("Course", "id", |hail: &ListedHailAnswer| hail.id.clone())
        .shown(|hail| html! { a href={(PATH) "/" (hail.id)} { (hail.id) } }),
    Column::new("Statut", "statut", |hail: &ListedHailAnswer| hail.status.to_owned())
        .shown(|hail| html! { (words::of(hail.status)) }),
    Column::new("Créée le (UTC)", "cree_le", |hail: &ListedHailAnswer| hail.creation_datetime.clone())
        .shown(|hail| html! { (moment(&hail.creation_datetime)) }),
    Column::new("Application", "application", |hail: &ListedHailAnswer| hail.added_by.clone()),
    Column::new("Opérateur", "operateur", |hail: &ListedHailAnswer| hail.operateur.clone()),
    Column::new("Taxi", "taxi", |hail: &ListedHailAnswer| hail.taxi_id.clone()),
    Column::new("Client", "client", |hail: &ListedHailAnswer| hail.customer_id.clone()),
];

/// The list.
pub(super) async fn list(State(app): State<App>, session: Session, query: Query) -> Shown {
    let mut fields = vec![
        Field::text("id", "Course"),
        Field::choice("status", "Statut", Status::NAMES),
        Field::text("taxi_id", "Taxi"),
        Field::text("customer_id", "Client"),
        Field::text("moteur", "Application"),
        Field::day("date", "Jour (UTC)"),
    ];
    if session.caller.0.has(Role::Admin) {
        fields.push(Field::text("operateur", "Opérateur"));
    }
    let list = List {
        path: PATH,
        title: "Courses",
        file: "courses",
        fields,
        query: &query,
        file_rows: CSV_ROWS_MAX,
    };
    let found = found(&app, &session.caller, &list.asked(), list.extent(PER_PAGE)).await;
    list.answer(&session, found, COLUMNS)
}

/// One of them.
pub(super) async fn show(State(app): State<App>, session: Session, Path(id): Path<String>) -> Shown {
    let Story { hail, calls, allowed, track } = story(&app, &session.caller, &id).await?;
    let mut steps: Vec<_> = hail
        .transitions
        .iter()
        .zip(&allowed)
        .map(|(step, allowed)| {
            let why = step.reason.as_deref().map(|reason| html! { " (" (words::reason(reason)) ")" });
            let text = html! {
                strong { (words::of(&step.to_status)) } (why.unwrap_or_default())
                @if let Some(allowed) = allowed { (deadline(allowed)) }
            };
            (step.timestamp.clone(), text)
        })
        .collect();
    steps.extend(calls.iter().map(|call| {
        let outcome = words::call(&call.outcome);
        let text = html! { "Appel du serveur de l’opérateur : " (outcome) ", en " (call.took_ms) " ms" };
        (naive_timestamp(call.at), text)
    }));
    // Stable: what began at one moment stays in its order.
    steps.sort_by(|(a, _), (b, _)| a.cmp(b));
    let customer = LatLon::new(hail.customer_lat, hail.customer_lon).ok();
    let content = html! {
        (facts(&hail))
        h2 { "Déroulement (heures UTC)" }
        ol.timeline {
            @for (at, step) in &steps { li { time datetime={(at) "Z"} { (moment(at)) } " " (step) } }
        }
        h2 { "Positions du taxi" }
        @match track {
            Some(sights) => { (track::track(&sights, customer)) }
            None => { p { "Elles sont montrées à l’application tant que la course dure." } }
        }
        p { a href=(PATH) { "Toutes les courses" } }
    };
    Ok(layout::page(Some(&session), "", &format!("Course {}", hail.id), &content))
}

/// When a status was to end, and what came of that.
fn deadline(allowed: &Allowed) -> Markup {
    let at = naive_timestamp(allowed.until);
    html! {
        p.hint {
            "Échéance (" (span(allowed.lasts)) ") : " time datetime={(at) "Z"} { (moment(&at)) }
            @match allowed.outcome {
                Outcome::Pending => " ; sans réponse d’ici là, la course prend fin.",
                Outcome::Kept(left_ms) => { " ; tenue, " (seconds(left_ms)) " s avant." }
                Outcome::Void => " ; sans objet, la course avait échoué.",
                Outcome::Passed => " ; passée, elle a mis fin à la course.",
            }
        }
    }
}

/// Milliseconds as seconds, with as many decimals as they have.
fn seconds(ms: i64) -> String {
    let text = format!("{},{:03}", ms / 1_000, ms % 1_000);
    text.trim_end_matches('0').trim_end_matches(',').to_owned()
}

fn facts(hail: &HailAnswer) -> Markup {
    let some = |label: &str, text: &str| html! { @if !text.is_empty() { dt { (label) } dd { (text) } } };
    let reason =
        |label: &str, text: &Option<String>| some(label, words::of(text.as_deref().unwrap_or_default()));
    html! {
        dl {
            dt { "Statut" } dd { (words::of(hail.status)) }
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

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn seconds_have_as_many_decimals_as_they_need() {
        assert_eq!([8_750, 10_000, 3, 0].map(seconds), ["8,75", "10", "0,003", "0"]);
    }
}
