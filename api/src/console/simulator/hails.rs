//! The hails of a page: where each stands, how far its taxi is from its customer, and what this side may do with it.
//!
//! What it may do is told by the machine of hails.

use maud::{Markup, html};
use serde::Deserialize;

use super::client::{Partner, segment};
use super::{distance, point, second};
use crate::console::session::Session;
use crate::console::words;
use crate::error::Answer;
use crate::hail::diagram::span;
use crate::hail::{Event, Sender, Status, next};
use crate::limits::SIMULATED_HAILS_FOLLOWED;
use crate::routes::hails::change::{DECLINED_BY_TAXI, INCIDENT_CUSTOMER, INCIDENT_TAXI};

/// A place in an answer.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Position {
    lat: Option<f64>,
    lon: Option<f64>,
}

impl Position {
    /// Latitude and longitude, in degrees.
    pub(super) fn at(self) -> Option<(f64, f64)> {
        self.lat.zip(self.lon)
    }
}

/// A hail of a list.
#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    status: String,
    customer_id: String,
}

/// A hail by itself.
#[derive(Debug, Deserialize)]
struct Hail {
    status: String,
    taxi: Taxi,
    taxi_phone_number: String,
    customer_lat: f64,
    customer_lon: f64,
    customer_address: String,
    customer_phone_number: String,
}

#[derive(Debug, Deserialize)]
struct Taxi {
    position: Position,
    /// In kilometres.
    crowfly_distance: Option<f64>,
    /// In seconds since 1970.
    last_update: Option<i64>,
    vehicle: Vehicle,
}

impl Taxi {
    /// How far it is from its customer, in metres.
    fn distance_m(&self) -> Option<f64> {
        self.crowfly_distance.map(|km| km * 1_000.0)
    }
}

#[derive(Debug, Deserialize)]
struct Vehicle {
    licence_plate: String,
}

/// The hails of a side, the newest first; what is not known of one that has ended is not asked.
pub(super) struct Hails(Vec<(Listed, Option<Hail>)>);

impl Hails {
    /// Those that these arguments leave.
    pub(super) async fn of(partner: &Partner, arguments: &[(&str, &str)]) -> Answer<Self> {
        let mut hails = Vec::new();
        let mut left = SIMULATED_HAILS_FOLLOWED;
        for listed in partner.get("/hails", arguments).await?.read::<Listed>()? {
            let lasts = status(&listed.status).is_some_and(|status| !status.is_end());
            let hail = if lasts && left > 0 {
                left -= 1;
                let exchange = partner.get(&format!("/hails/{}", segment(&listed.id)), &[]).await?;
                exchange.read::<Hail>()?.pop()
            } else {
                None
            };
            hails.push((listed, hail));
        }
        Ok(Self(hails))
    }

    /// As the page of this side shows them.
    pub(super) fn shown(&self, side: &Side<'_>) -> Markup {
        html! {
            p.hint #news role="status" {}
            div #hails {
                @if self.0.is_empty() { p { "Aucune course." } }
                @for (listed, hail) in &self.0 {
                    // It may have gone on since the list was made.
                    @let name = hail.as_ref().map_or(&listed.status, |hail| &hail.status);
                    @let metres = hail.as_ref().and_then(|hail| hail.taxi.distance_m());
                    section.hail id={"hail-" (listed.id)} data-status=(name) aria-labelledby={"title-" (listed.id)} {
                        h3 id={"title-" (listed.id)} {
                            a href={(crate::console::hails::PATH) "/" (listed.id)} { "Course " (listed.id) }
                            ", client " (listed.customer_id)
                        }
                        p { "Statut : " strong.stands { (words::of(name)) } }
                        // The module says what changes here now and then: it does so each second.
                        div.approach data-metres=[metres.map(|metres| format!("{metres:.0}"))] {
                            @if let Some(hail) = hail { (approach(hail, side.by)) }
                        }
                        @if let Some(status) = status(name) { (side.actions(&listed.id, status)) }
                    }
                }
            }
        }
    }
}

fn status(name: &str) -> Option<Status> {
    Status::try_from(name.to_owned()).ok()
}

/// Where the taxi is of a hail that lasts, and what each side is told of the other.
fn approach(hail: &Hail, by: Sender) -> Markup {
    let taxi = &hail.taxi;
    let customer = (hail.customer_lat, hail.customer_lon);
    html! {
        p {
            span.far {
                @match taxi.distance_m() {
                    Some(metres) => { "Le taxi est à " strong.distance { (distance(metres)) } " du client" }
                    None => { "La position du taxi n’est pas connue" }
                }
            }
            @if let Some(at_s) = taxi.last_update { ", entendu à " (second(at_s)) }
            "."
        }
        @match by {
            Sender::App if !taxi.vehicle.licence_plate.is_empty() => {
                p { "Véhicule " (taxi.vehicle.licence_plate) ", téléphone " (hail.taxi_phone_number) "." }
            }
            Sender::Operator => {
                p { "Adresse : " (hail.customer_address) ". Téléphone du client : " (hail.customer_phone_number) "." }
            }
            _ => {}
        }
        @if let Some(at) = taxi.position.at() { (point("taxi", Some("oncoming"), at)) }
        (point("customer", None, customer))
    }
}

/// Where a side may bring a hail from a status.
fn moves(from: Status, by: Sender) -> Vec<Status> {
    let of_side = Event::ALL.into_iter().filter(|event| event.sender() == by);
    of_side.filter_map(|event| next(from, event)).collect()
}

/// What one side does to bring a hail there.
fn deed(to: Status) -> &'static str {
    match to {
        Status::ReceivedByOperator => "Prendre la course",
        Status::ReceivedByTaxi => "Remettre au taxi",
        Status::AcceptedByTaxi => "Accepter",
        Status::DeclinedByTaxi => "Refuser",
        Status::AcceptedByCustomer => "Confirmer",
        Status::DeclinedByCustomer => "Annuler",
        Status::CustomerOnBoard => "Client à bord",
        Status::Finished => "Terminer la course",
        Status::IncidentTaxi | Status::IncidentCustomer => "Signaler un incident",
        // Nobody's doing.
        _ => words::of(to.as_str()),
    }
}

/// Whose page it is.
pub(super) struct Side<'a> {
    pub(super) session: &'a Session,
    pub(super) by: Sender,
    /// The taxi that an operator's page is of: forms of hails lead back to it.
    pub(super) taxi: Option<&'a str>,
}

impl Side<'_> {
    fn actions(&self, hail: &str, status: Status) -> Markup {
        let moves = moves(status, self.by);
        html! {
            @if !moves.is_empty() {
                @if let Some(lasts) = status.lasts() {
                    p.hint { "Sans geste d’aucun côté, elle prend fin d’elle-même au bout de " (span(lasts)) "." }
                }
                div.actions { @for to in moves { (self.button(hail, to)) } }
            }
            @if self.by == Sender::App && status == Status::Finished {
                details {
                    summary { "Noter la course" }
                    (self.rating(hail))
                }
            }
        }
    }

    /// A form that moves a hail, with what has to be said of that.
    fn button(&self, hail: &str, to: Status) -> Markup {
        let asks: Option<(&str, &str, &[&str])> = match to {
            Status::DeclinedByTaxi => Some(("declined_by_taxi_reason", "Motif du refus", DECLINED_BY_TAXI)),
            Status::IncidentTaxi => Some(("incident_taxi_reason", "Motif de l’incident", INCIDENT_TAXI)),
            Status::IncidentCustomer => {
                Some(("incident_customer_reason", "Motif de l’incident", INCIDENT_CUSTOMER))
            }
            _ => None,
        };
        let is_end = to.is_end() && to != Status::Finished;
        html! {
            form method="post" action="/console/simulator/hail" data-parts="told taxi hails exchange" {
                (self.about(hail))
                input type="hidden" name="status" value=(to);
                @if let Some((name, label, choices)) = asks {
                    label for={(name) "-" (hail)} { (label) }
                    select id={(name) "-" (hail)} name=(name) {
                        @for choice in choices.iter().filter(|choice| !choice.is_empty()) {
                            option value=(choice) { (words::of(choice)) }
                        }
                    }
                }
                @if to == Status::AcceptedByTaxi {
                    label for={"phone-" (hail)} { "Téléphone du taxi" }
                    input id={"phone-" (hail)} name="taxi_phone_number" type="tel" required autocomplete="off"
                        value="0600000002";
                }
                button.second[is_end] type="submit" { (deed(to)) }
            }
        }
    }

    fn rating(&self, hail: &str) -> Markup {
        html! {
            form method="post" action="/console/simulator/hail" data-parts="told exchange" {
                (self.about(hail))
                label for={"mark-" (hail)} { "Note du client, de 1 à 5" }
                input id={"mark-" (hail)} name="rating_ride" type="number" min="1" max="5" value="5" required;
                button type="submit" { "Noter" }
            }
        }
    }

    fn about(&self, hail: &str) -> Markup {
        html! {
            (self.session.token_field())
            input type="hidden" name="hail" value=(hail);
            @if let Some(taxi) = self.taxi {
                input type="hidden" name="taxi" value=(taxi);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buttons_are_the_moves_of_a_side() {
        assert_eq!(moves(Status::SentToOperator, Sender::Operator), [Status::ReceivedByOperator]);
        let received = moves(Status::ReceivedByTaxi, Sender::Operator);
        assert_eq!(received, [Status::AcceptedByTaxi, Status::DeclinedByTaxi, Status::IncidentTaxi]);
        assert_eq!(moves(Status::Received, Sender::App), [Status::DeclinedByCustomer]);
        assert!(moves(Status::Finished, Sender::App).is_empty());
    }

    #[test]
    fn each_move_of_a_side_is_a_deed() {
        for status in Status::ALL {
            for to in [Sender::Operator, Sender::App].into_iter().flat_map(|by| moves(status, by)) {
                assert_ne!(deed(to), words::of(to.as_str()), "{to}");
            }
        }
    }

    #[test]
    fn an_approach_tells_how_far_and_when() {
        let hail: Hail = serde_json::from_value(serde_json::json!({
            "status": "accepted_by_customer", "taxi_phone_number": "06", "customer_lat": 48.8, "customer_lon": 2.3,
            "customer_address": "1 rue <X>", "customer_phone_number": "07",
            "taxi": {"position": {"lat": 48.81, "lon": 2.3}, "crowfly_distance": 1.112, "last_update": 100,
                     "vehicle": {"licence_plate": "AB-123-CD"}},
        }))
        .unwrap();
        let html = approach(&hail, Sender::App).into_string();
        for text in ["1,1 km", "à 00:01:40 UTC", "AB-123-CD", "data-at=\"48.81,2.3\"", "data-at=\"48.8,2.3\""]
        {
            assert!(html.contains(text), "no {text} in {html}");
        }
        let html = approach(&hail, Sender::Operator).into_string();
        assert!(!html.contains("AB-123-CD") && html.contains("1 rue &lt;X&gt;"), "{html}");
    }
}
