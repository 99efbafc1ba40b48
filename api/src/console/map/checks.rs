//! Whether a customer at a point sees a taxi: `GET /taxis/:id/visibility`, in French.

use axum::Json;
use axum::extract::{Path, State};
use maud::{Markup, html};
use serde_json::Value;

use super::PATH;
use crate::app::App;
use crate::console::refusal::Shown;
use crate::console::session::Session;
use crate::console::words;
use crate::form::query::Query;
use crate::routes::visibility::{self, CheckAnswer, VisibilityAnswer};

/// What is asked, and the answer if something was.
pub(super) async fn section(app: &App, session: &Session, query: &Query) -> Shown<Markup> {
    let given = |name| query.first(name).map(str::trim).unwrap_or_default();
    let (taxi, lat, lon) = (given("taxi"), given("lat"), given("lon"));
    let is_asked = [taxi, lat, lon].iter().all(|text| !text.is_empty());
    let answers = if is_asked {
        Some(asked(app, session, taxi, &["lon", "lat"].map(|name| (name, given(name)))).await?)
    } else {
        None
    };
    Ok(html! {
        section #visibility aria-labelledby="asked" {
            h2 #asked { "Un client le verrait-il ?" }
            form.search #customer method="get" action=(PATH) {
                div { label for="taxi" { "Taxi" } input #taxi name="taxi" value=(taxi) required autocomplete="off"; }
                div { label for="lat" { "Latitude du client" } (degrees("lat", lat)) }
                div { label for="lon" { "Longitude du client" } (degrees("lon", lon)) }
                div.actions { button type="submit" { "Vérifier" } }
            }
            div #answer role="status" {
                @match answers {
                    None => { p { "Choisissez un taxi, puis cliquez à l’endroit du client." } }
                    Some(answers) if answers.is_empty() => {
                        p.notice.failed { "Ce taxi n’est pas des vôtres, ou cet endroit n’en est pas un." }
                    }
                    Some(answers) => { @for answer in &answers { (told(answer)) } }
                }
            }
        }
    })
}

/// What each operator of the taxi is told; nothing where the taxi or the place is none.
async fn asked(
    app: &App,
    session: &Session,
    taxi: &str,
    place: &[(&str, &str)],
) -> Shown<Vec<VisibilityAnswer>> {
    let place = place.iter().map(|(name, given)| ((*name).to_owned(), (*given).to_owned()));
    let query = Query::new(place.collect());
    let caller = session.caller.clone();
    match visibility::read(State(app.clone()), caller, Path(taxi.to_owned()), query).await {
        Ok(Json(answers)) => Ok(answers.into_inner()),
        Err(problem) if problem.status().is_client_error() => Ok(Vec::new()),
        Err(problem) => Err(problem.into()),
    }
}

fn degrees(name: &str, given: &str) -> Markup {
    html! { input id=(name) name=(name) value=(given) required inputmode="decimal" autocomplete="off"; }
}

fn told(answer: &VisibilityAnswer) -> Markup {
    let operator = answer.operator.as_deref().unwrap_or("?");
    let class = if answer.visible { "notice" } else { "notice failed" };
    html! {
        p class=(class) {
            "Le taxi " strong { (answer.taxi) } " de " (operator)
            @if answer.visible { " est proposé à un client à cet endroit." }
            @else { " n’est pas proposé à un client à cet endroit." }
        }
        ul.checks {
            @for check in &answer.checks {
                @let (name, seen) = in_french(check);
                li data-passed=(check.passed) {
                    strong { @if check.passed { "Oui" } @else { "Non" } " – " (name) }
                    @if !seen.is_empty() { br; (seen) }
                }
            }
        }
    }
}

/// What is checked, and what was seen, in French.
fn in_french(check: &CheckAnswer) -> (&'static str, String) {
    let (seen, needed) = (&check.seen, &check.needed);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let number =
        |value: &Value| value.as_f64().map_or_else(|| "?".to_owned(), |number| format!("{number:.0}"));
    let (is_there, message) = (!seen.is_null(), || check.message.clone());
    match check.name {
        "registered" => ("l’opérateur décrit ce taxi", String::new()),
        "public" => ("toute application peut le trouver", "Il est à l’essai.".to_owned()),
        "free" if is_there => ("le taxi est libre", format!("Statut : {}.", words::of(&text(seen)))),
        "free" => ("le taxi est libre", String::new()),
        "position" if is_there => (
            "sa position est récente",
            format!(
                "Reçue il y a {} s, pour moins de {} s.",
                number(&seen["age_s"]),
                number(&needed["age_s_below"])
            ),
        ),
        "position" => ("sa position est récente", "Aucune n’est connue.".to_owned()),
        "exclusion" if is_there => {
            ("hors de toute zone d’exclusion", format!("Zone « {} ».", text(&seen["name"])))
        }
        "exclusion" => ("hors de toute zone d’exclusion", String::new()),
        "town" if is_there => {
            ("dans une commune", format!("{} ({}).", text(&seen["name"]), text(&seen["insee"])))
        }
        "town" => ("dans une commune", String::new()),
        "zupc" if is_there => (
            "son ADS permet d’y prendre en charge",
            format!("ADS de {}, client à {}.", text(&seen["insee"]), text(&needed["insee"])),
        ),
        "zupc" => ("son ADS permet d’y prendre en charge", String::new()),
        "radius" if is_there => (
            "il est assez près",
            format!(
                "À {} m, pour {} m au plus.",
                number(&seen["distance_m"]),
                number(&needed["distance_m_at_most"])
            ),
        ),
        "radius" => ("il est assez près", String::new()),
        "heard_last" if needed["received_after"].is_null() => {
            ("aucun autre opérateur du taxi n’a été entendu depuis", String::new())
        }
        "heard_last" => (
            "aucun autre opérateur du taxi n’a été entendu depuis",
            format!("Un autre a été entendu à {}.", crate::console::moment(&text(&needed["received_after"]))),
        ),
        "nearest" if is_there => (
            "il est parmi les plus proches",
            format!("{} plus près, sur {} proposés.", seen["nearer"], needed["nearer_below"]),
        ),
        "nearest" => ("il est parmi les plus proches", String::new()),
        _ => ("autre condition", message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visibility::Condition;

    #[test]
    fn every_condition_has_french_words() {
        let check = |name| CheckAnswer {
            name,
            passed: false,
            seen: Value::Null,
            needed: Value::Null,
            message: String::new(),
        };
        for condition in Condition::ALL {
            assert_ne!(in_french(&check(condition.name())).0, "autre condition", "{condition:?}");
        }
    }
}
