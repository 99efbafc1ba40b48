//! A taxi for an operator by hand: a driver, a vehicle and an ADS are registered, then the taxi that they make.

use axum::extract::State;
use axum::http::Method;
use engine::territory::departement;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::client::Api;
use super::exchange::Done;
use super::operator::{Taxi, answer, of};
use crate::app::App;
use crate::console::refusal::Shown;
use crate::console::session::{Posted, Session};
use crate::form::query::Query;
use crate::routes::vehicles::PLATE_LENGTH;

/// The form.
pub(super) fn form(session: &Session, given: &Query) -> Markup {
    html! {
        section aria-labelledby="making" {
            h2 #making { "Faire un taxi" }
            p.hint { "Un conducteur, un véhicule et une ADS, puis le taxi qu’ils font : quatre requêtes." }
            form.row method="post" action="/console/simulator/operator/taxi" {
                (session.token_field())
                div {
                    label for="plate" { "Immatriculation" }
                    input #plate name="plate" required minlength=(PLATE_LENGTH.start())
                        maxlength=(PLATE_LENGTH.end()) value=[given.first("plate")] autocomplete="off";
                }
                div {
                    label for="insee" { "Code INSEE de la commune de son ADS" }
                    input #insee name="insee" required minlength="5" maxlength="5" value=[given.first("insee")]
                        autocomplete="off";
                }
                button type="submit" { "Faire le taxi" }
            }
        }
    }
}

/// Registers a driver, a vehicle, an ADS and the taxi that they make.
pub(in crate::console) async fn make(State(app): State<App>, api: Api, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let partner = api.of(&session);
    let text = |name| fields.first(name).unwrap_or_default().trim();
    let mut exchanges = Vec::new();
    for (path, element) in parts(text("plate"), text("insee")) {
        let exchange = partner.send(Method::POST, path, element).await?;
        let is_granted = exchange.is_granted();
        exchanges.push(exchange);
        if !is_granted {
            break;
        }
    }
    let done = Done::all("Le taxi est fait. Donnez-lui une position, et dites-le libre.", exchanges);
    let made = match done.exchanges.last() {
        Some(last) if done.is_granted() => last.read::<Taxi>()?.pop(),
        _ => None,
    };
    let fields = match made {
        Some(taxi) => of(&taxi.id),
        None => fields,
    };
    answer(&app, &partner, &session, fields, done).await
}

/// What is registered for a taxi of this plate and town, in order.
fn parts(plate: &str, insee: &str) -> [(&'static str, Value); 4] {
    let name = format!("SIM-{plate}");
    let departement = departement(insee);
    let driver = json!({"first_name": "Simulateur", "last_name": plate, "professional_licence": name,
                        "departement": {"numero": departement}});
    let taxi = json!({"driver": {"professional_licence": name, "departement": departement},
                      "vehicle": {"licence_plate": plate}, "ads": {"numero": name, "insee": insee}});
    [
        ("/drivers", driver),
        ("/vehicles", json!({"licence_plate": plate})),
        ("/ads", json!({"numero": name, "insee": insee})),
        ("/taxis", taxi),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taxi_is_made_of_what_was_registered_before_it() {
        let [(_, driver), (_, vehicle), (_, ads), (path, taxi)] = parts("AB-123-CD", "97411");
        assert_eq!(path, "/taxis");
        assert_eq!(taxi["driver"]["professional_licence"], driver["professional_licence"]);
        assert_eq!(
            (&taxi["driver"]["departement"], &driver["departement"]["numero"]),
            (&json!("974"), &json!("974"))
        );
        assert_eq!((&taxi["vehicle"], &taxi["ads"]), (&vehicle, &ads));
    }
}
