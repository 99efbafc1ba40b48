//! Simulators: one side of hails by hand, through the functions that answer the API, with the account's own rights.
//!
//! Which buttons a hail has is told by its machine.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::layout::{self, Notice};
use super::refusal::{Refusal, Shown, messages};
use super::session::{Posted, Session};
use super::words;
use crate::app::App;
use crate::error::{Answer, Problem};
use crate::form::query::{Extent, Query};
use crate::hail::{Event, Sender, Status, next};
use crate::limits::PER_PAGE;
use crate::router::Payload;
use crate::routes::hails::change::{self, DECLINED_BY_TAXI, INCIDENT_CUSTOMER, INCIDENT_TAXI};
use crate::routes::hails::list::{ListedHailAnswer, found};

pub(super) mod app;
pub(super) mod operator;

/// The latest hails of the account that these filters leave.
async fn hails(app: &App, session: &Session, narrowed: &[(&str, &str)]) -> Answer<Vec<ListedHailAnswer>> {
    let pairs = narrowed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let asked = Query::new(pairs.collect());
    Ok(found(app, &session.caller, &asked, Extent::whole(PER_PAGE)).await?.into_parts().0)
}

/// Where a side may bring a hail from a status.
fn moves(from: Status, by: Sender) -> Vec<Status> {
    let of_side = Event::ALL.into_iter().filter(|event| event.sender() == by);
    of_side.filter_map(|event| next(from, event)).collect()
}

/// The hails of a side, each with what it may do now.
fn list(session: &Session, hails: &[ListedHailAnswer], by: Sender, back: &str) -> Markup {
    html! {
        @if hails.is_empty() { p { "Aucune course." } }
        @for hail in hails {
            @let status = Status::try_from(hail.status.to_owned()).ok();
            @let moves = status.map(|status| moves(status, by)).unwrap_or_default();
            section.hail aria-label={"Course " (hail.id)} {
                p {
                    a href={(super::hails::PATH) "/" (hail.id)} { "Course " (hail.id) } ", client " (hail.customer_id)
                    " : " strong { (words::of(hail.status)) }
                }
                div.actions {
                    @for to in moves { (button(session, &hail.id, to, back)) }
                    @if by == Sender::App && hail.status == Status::Finished.as_str() {
                        (rating(session, &hail.id, back))
                    }
                }
            }
        }
    }
}

/// A form that moves a hail, with what has to be said of that.
fn button(session: &Session, hail: &str, to: Status, back: &str) -> Markup {
    let asks: Option<(&str, &str, &[&str])> = match to {
        Status::DeclinedByTaxi => Some(("declined_by_taxi_reason", "Motif du refus", DECLINED_BY_TAXI)),
        Status::IncidentTaxi => Some(("incident_taxi_reason", "Motif de l’incident", INCIDENT_TAXI)),
        Status::IncidentCustomer => {
            Some(("incident_customer_reason", "Motif de l’incident", INCIDENT_CUSTOMER))
        }
        _ => None,
    };
    html! {
        form method="post" action="/console/simulator/hail" {
            (about(session, hail, back))
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
            button type="submit" { (words::of(to.as_str())) }
        }
    }
}

fn rating(session: &Session, hail: &str, back: &str) -> Markup {
    html! {
        form method="post" action="/console/simulator/hail" {
            (about(session, hail, back))
            label for={"mark-" (hail)} { "Note du client, de 1 à 5" }
            input id={"mark-" (hail)} name="rating_ride" type="number" min="1" max="5" value="5" required;
            button type="submit" { "Noter" }
        }
    }
}

fn about(session: &Session, hail: &str, back: &str) -> Markup {
    html! {
        (session.token_field())
        input type="hidden" name="hail" value=(hail);
        input type="hidden" name="back" value=(back);
    }
}

/// Moves a hail, or notes it, as `PUT /hails/:id` does.
pub(super) async fn change_hail(State(app): State<App>, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let mut wish = Map::new();
    for name in [
        "status",
        "taxi_phone_number",
        "declined_by_taxi_reason",
        "incident_taxi_reason",
        "incident_customer_reason",
    ] {
        wish.extend(fields.first(name).map(|value| (name.to_owned(), json!(value))));
    }
    let mark = fields.first("rating_ride").and_then(|mark| mark.parse::<i32>().ok());
    wish.extend(mark.map(|mark| ("rating_ride".to_owned(), json!(mark))));
    let hail = fields.first("hail").unwrap_or_default().to_owned();
    let changed = change::change(State(app), session.caller.clone(), Path(hail), payload(&wish.into())).await;
    let back = fields.first("back").filter(|back| is_ours(back));
    done(&session, changed.map(|Json(_)| back.unwrap_or(super::ROOT).to_owned()))
}

/// Whether somebody came from there who pressed a button of ours.
fn is_ours(back: &str) -> bool {
    let taxi = back.strip_prefix(operator::PATH).and_then(|rest| rest.strip_prefix("?taxi="));
    back == app::PATH || taxi.is_some_and(|taxi| taxi.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The body of a request with one element.
fn payload(element: &Value) -> Payload {
    Payload(json!({"data": [element]}))
}

/// A number that was typed as in French or as in English; what is none stays a text, and is refused as one.
fn number(fields: &Query, name: &str) -> Value {
    let text = fields.first(name).unwrap_or_default().trim().replace(',', ".");
    text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number))
}

/// Goes back to a page where something was done; else says why not.
fn done(session: &Session, outcome: Answer<String>) -> Shown {
    match outcome {
        Ok(back) => Ok(Redirect::to(&back).into_response()),
        Err(problem) if problem.status().is_client_error() => Ok(refused(session, &problem)),
        Err(problem) => Err(Refusal::from(problem)),
    }
}

fn refused(session: &Session, problem: &Problem) -> Response {
    let why = messages(problem.errors());
    let content = html! {
        (layout::notice(Some(Notice::Failed(&why))))
        p { "Revenez à la page d’avant, et rechargez-la : la course a pu avancer." }
        ul {
            @if operator::concerns(&session.caller) { li { a href=(operator::PATH) { "Simuler un opérateur" } } }
            @if app::concerns(&session.caller) { li { a href=(app::PATH) { "Simuler une application" } } }
        }
    };
    let status =
        if problem.status() == StatusCode::NOT_FOUND { StatusCode::BAD_REQUEST } else { problem.status() };
    (status, layout::page(Some(session), "", "Demande refusée", &content)).into_response()
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
}
