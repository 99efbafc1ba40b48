//! What the API refuses, in French: field by field, in its own words where we have no others.

use std::borrow::Cow;

use axum::http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use crate::console::{refusal, words};

/// Why something was refused.
pub(super) fn notice(status: StatusCode, errors: &Value) -> Markup {
    let is_ours = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    let mut told = Vec::new();
    if !is_ours {
        tell("", errors, &mut told);
    }
    html! {
        div.notice.failed role="alert" {
            @if told.is_empty() { p { (refusal::words(status).1) } }
            @for (field, message) in told {
                p {
                    @if !field.is_empty() { code { (field) } " : " }
                    @match in_french(message) {
                        Some(french) => { (french) }
                        None => { span lang="en" { (message) } }
                    }
                }
            }
        }
    }
}

/// The messages at the leaves of a tree of errors, each with the field that it is of; of the whole: none.
fn tell<'a>(field: &'a str, errors: &'a Value, told: &mut Vec<(&'a str, &'a str)>) {
    let is_place = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    match errors {
        Value::String(message) => told.push((field, message)),
        Value::Array(list) => list.iter().for_each(|errors| tell(field, errors, told)),
        Value::Object(fields) => fields.iter().for_each(|(name, errors)| {
            let is_whole = matches!(name.as_str(), "data" | "url" | "_schema") || is_place(name);
            tell(if is_whole { field } else { name }, errors, told);
        }),
        _ => {}
    }
}

/// The French for what simulators can bring about.
fn in_french(message: &str) -> Option<Cow<'static, str>> {
    if let Some(french) = refusal::in_french(message) {
        return Some(french);
    }
    let known = match message {
        "Not a valid number." => "Il faut un nombre.",
        "Shorter than minimum length 1." | "Field may not be null." => "Il manque une valeur.",
        "Number too large." => "Ce nombre est trop grand.",
        "Taxi is not free." => "Ce taxi n’est pas libre.",
        "Taxi is not online." => "Ce taxi n’a pas de position.",
        "Taxi is no longer online." => "La position de ce taxi a plus de deux minutes.",
        "This customer is banned." => "Ce client est exclu pour le moment.",
        "Unable to find taxi for this operateur." => {
            "Ce taxi n’existe pas, ou plus sous l’identifiant que la recherche a donné : cherchez de nouveau."
        }
        "Customer can't be located, please provide an pickup address for the taxi." => {
            "Indiquez l’adresse du client : le registre ne l’a pas trouvée."
        }
        "No cruising allowed in this area" => "On ne maraude pas ici : c’est une zone d’exclusion.",
        "Hail not found" => "Cette course n’existe pas.",
        "You do not have the permissions to view this hail" => "Cette course n’est pas la vôtre.",
        "You do not have the permissions to change this value" => {
            "Ce champ est à l’autre côté de la course, ou n’a pas de sens à cette étape."
        }
        "Only a hail that the taxi declined has a ground of refusal" => {
            "Seule une course que le taxi refuse a un motif de refus."
        }
        "Status changes to accepted_by_taxi but taxi_phone_number is not provided" => {
            "Indiquez le téléphone du taxi : sans lui, la course ne peut pas être acceptée."
        }
        "Departement not found" => "Ce département n’existe pas.",
        "Identifiant de taxi inconnu" => "Vous n’avez pas de taxi de cet identifiant.",
        _ => return with_values(message).map(Cow::Owned),
    };
    Some(Cow::Borrowed(known))
}

/// The same of those that name what they are about.
fn with_values(message: &str) -> Option<String> {
    let between = |begin: &str, middle: &str| message.strip_prefix(begin)?.split_once(middle);
    if let Some((from, to)) = between("Impossible to set status from ", " to ") {
        return Some(format!(
            "Une course « {} » ne peut pas devenir « {} ».",
            words::of(from),
            words::of(to)
        ));
    }
    if let Some((from, to)) = between("Hail status is ", " and cannot be changed to ") {
        let (from, to) = (words::of(from), words::of(to));
        return Some(format!("La course est finie (« {from} ») : elle ne peut plus devenir « {to} »."));
    }
    if let Some((role, rest)) = between("Permission ", " is required to change status from ") {
        let (from, to) = rest.split_once(" to ")?;
        let (role, from, to) = (words::of(role), words::of(from), words::of(to));
        return Some(format!("De « {from} » à « {to} », c’est l’autre côté qui agit : {role}."));
    }
    if let Some((low, high)) = between("Must be greater than or equal to ", " and less than or equal to ") {
        return Some(format!("Il faut un nombre de {low} à {}.", high.trim_end_matches('.')));
    }
    if let Some((low, high)) = between("Length must be between ", " and ") {
        return Some(format!("Il faut de {low} à {} caractères.", high.trim_end_matches('.')));
    }
    if let Some(most) = message.strip_prefix("Longer than maximum length ") {
        return Some(format!("{} caractères au plus.", most.trim_end_matches('.')));
    }
    if let Some(insee) = message.strip_prefix("Unable to find town for INSEE code ") {
        return Some(format!("Aucune commune n’a le code INSEE {}.", insee.trim_end_matches('.')));
    }
    let (taxi, _) = between("Unknown taxi ", ", or taxi exists but you are not the owner")?;
    Some(format!("Vous n’avez pas de taxi {taxi}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::form::kind::{AtMost, FloatWithin, IntegerWithin, Kind as _, Length};

    #[test]
    fn what_fields_are_refused_for_is_said_in_french() {
        let errors = [
            FloatWithin(-180.0..=180.0).read(&json!("north")).unwrap_err(),
            FloatWithin(-180.0..=180.0).read(&json!(181)).unwrap_err(),
            IntegerWithin(150..=500).read(&json!("12.5")).unwrap_err(),
            IntegerWithin(150..=500).read(&json!(100)).unwrap_err(),
            Length(7..=10).read(&json!("A")).unwrap_err(),
            AtMost(1).read(&json!("ab")).unwrap_err(),
        ];
        for errors in errors {
            let html = notice(StatusCode::BAD_REQUEST, &errors).into_string();
            assert!(!html.contains("lang=\"en\""), "{html}");
        }
    }

    #[test]
    fn each_message_is_told_with_its_field() {
        let errors = json!({"data": {"0": {
            "status": ["Impossible to set status from received_by_taxi to finished"],
            "x": ["<b> of its own"],
        }}});
        let html = notice(StatusCode::BAD_REQUEST, &errors).into_string();
        let said =
            "<p><code>status</code> : Une course « reçue par le taxi » ne peut pas devenir « terminée ».</p>";
        assert!(html.contains(said), "{html}");
        let own = "<p><code>x</code> : <span lang=\"en\">&lt;b&gt; of its own</span></p>";
        assert!(html.contains(own), "{html}");
        let positions = json!({"data": {"0": {"positions": {"0": {"lat": ["Not a valid number."]}}}}});
        let html = notice(StatusCode::BAD_REQUEST, &positions).into_string();
        assert!(html.contains("<p><code>lat</code> : Il faut un nombre.</p>"), "{html}");
    }

    #[test]
    fn too_much_and_our_own_faults_are_said_in_our_words() {
        let errors = json!({"": ["Too many requests with this key."]});
        let html = notice(StatusCode::TOO_MANY_REQUESTS, &errors).into_string();
        assert!(html.contains("Patientez") && !html.contains("key"), "{html}");
    }
}
