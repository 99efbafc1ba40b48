//! What people call what the API has names for: statuses, reasons, roles, and what was done.

use std::borrow::Cow;

use crate::outbound::CallError;
use crate::routes::hails::call;

/// The French for a name of the API's; one that is not here is shown as it is.
pub(super) fn of(name: &str) -> &str {
    match name {
        // Taxis.
        "free" => "libre",
        "occupied" => "occupé",
        "off" => "hors service",
        "answering" => "répond à une course",
        "oncoming" => "en approche",
        // Hails.
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
        // Why a hail went on as it did.
        "deadline" => "échéance passée",
        "outside_zone" => "destination hors de la zone",
        "rest_time" => "temps de repos",
        "prior_booking" => "réservation préalable",
        "street_hail" => "client pris dans la rue",
        "rank_queue" => "file d’attente en station",
        "event" => "événement sur le trajet",
        "no_show" => "personne au rendez-vous",
        "address" => "adresse introuvable",
        "traffic" => "circulation",
        "breakdown" => "panne",
        "traffic_jam" => "embouteillage",
        "garbage_truck" => "camion-poubelle",
        "mud_river" => "coulée de boue",
        "parade" => "défilé",
        "earthquake" => "tremblement de terre",
        "no_specs" => "équipement demandé absent",
        // What one side says of the other.
        "ko" => "ne s’est pas faite",
        "payment" => "paiement",
        "courtesy" => "courtoisie",
        "route" => "itinéraire",
        "cleanliness" => "propreté",
        "late" => "retard",
        "aggressive" => "agressivité",
        "no_credit_card" => "pas de paiement par carte",
        "bad_itinerary" => "mauvais itinéraire",
        "dirty_taxi" => "taxi sale",
        "automatic_rating" => "note automatique",
        // Roles.
        "admin" => "administrateur",
        "moteur" => "application de recherche",
        "operateur" => "opérateur",
        "groupement" => "groupement",
        "editeur" => "éditeur",
        "departement" => "département",
        "mairie" => "mairie",
        "prefecture" => "préfecture",
        "analyste" => "analyste",
        // The activity log.
        "user" => "compte",
        "taxi" => "taxi",
        "customer" => "client",
        "login_password" => "connexion par mot de passe",
        "login_apikey" => "connexion par clé",
        "auth_apikey" => "authentification par clé",
        "auth_logas" => "action pour un autre compte",
        "taxi_status" => "statut d’un taxi",
        "taxi_trial" => "taxi d’essai",
        "customer_hail" => "course demandée",
        "account_added" => "compte créé",
        "account_changed" => "compte modifié",
        "account_removed" => "compte supprimé",
        "apikey_rotated" => "clé remplacée",
        // Who owns an ADS, and what a vehicle is.
        "individual" => "personne physique",
        "company" => "société",
        "sedan" => "berline",
        "mpv" => "monospace",
        "station_wagon" => "break",
        "normal" => "normale",
        other => other,
    }
}

/// Why a hail moved: a name of the API's, or how the call of the operator's server ended.
pub(super) fn reason(reason: &str) -> Cow<'_, str> {
    match of(reason) {
        same if same == reason => call(reason),
        other => other.into(),
    }
}

/// How a call of an operator's server ended, as it was written down.
pub(super) fn call(outcome: &str) -> Cow<'_, str> {
    let status = |text: &str| text.parse::<u16>().ok();
    if let Some(status) = status(outcome) {
        return format!("réponse {status}").into();
    }
    if let Some(status) = outcome.strip_prefix(call::ANSWERED).and_then(status) {
        return format!("réponse {status}, où une de 200 à 299 est attendue").into();
    }
    match outcome {
        call::NO_JSON => "la réponse n’est pas du JSON".into(),
        call::NO_ACCOUNT => "le compte de l’opérateur n’a pas pu être lu".into(),
        other => match CallError::ALL.into_iter().find(|error| error.to_string() == other) {
            Some(error) => call_error(error).into(),
            None => other.into(),
        },
    }
}

/// Why a call came to nothing.
pub(super) fn call_error(error: CallError) -> &'static str {
    match error {
        CallError::BadAddress => "l’adresse n’est pas une URL http ou https",
        CallError::BadHeader => "l’en-tête ne peut pas être envoyé",
        CallError::NotPublic => "l’adresse n’est pas publique",
        CallError::UnknownName => "le nom de l’hôte n’existe pas",
        CallError::Unreachable => "aucun serveur n’écoute à cette adresse",
        CallError::ConnectTimedOut => "la connexion n’a pas abouti à temps",
        CallError::Insecure => "le certificat ou la négociation TLS n’est pas valable",
        CallError::TimedOut => "pas de réponse complète dans le délai",
        CallError::TooLarge => "la réponse est trop longue",
        CallError::Broken => "la réponse n’est pas du HTTP complet",
    }
}

/// Roles by their names, as a text.
pub(super) fn roles<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(of).collect::<Vec<_>>().join(", ")
}

/// Why a position was refused, and what to do about it.
pub(super) fn refusal(reason: &str) -> &str {
    match reason {
        "too_long" => "Un datagramme dépasse 1024 octets, ou une requête 50 positions.",
        "not_utf8" => "Un datagramme, ou un nom dans un datagramme compact, n’est pas en UTF-8.",
        "malformed" => {
            "Les octets d’un datagramme compact ne suivent pas sa spécification (docs/protocol.md)."
        }
        "not_json" => "Un datagramme n’est pas du JSON.",
        "not_an_object" => "Un datagramme ou une position n’est pas un objet JSON.",
        "missing_field" => {
            "Un champ manque. Un datagramme a timestamp, operator, version, lat, lon, device, taxi, status et hash ; \
             une position par HTTP a taxi_id, lon et lat."
        }
        "wrong_type" => "Un champ n’a pas le bon type : il faut des textes, et pour les nombres des nombres.",
        "unknown_field" => "Une position par HTTP a un champ de plus que taxi_id, lon et lat.",
        "not_a_number" => "La latitude ou la longitude n’est pas un nombre décimal.",
        "lat_out_of_range" => "La latitude n’est pas entre -85,05112878 et 85,05112878 degrés.",
        "lon_out_of_range" => "La longitude n’est pas entre -180 et 180 degrés.",
        "speed_out_of_range" => "La vitesse n’est pas entre 0 et 150 m/s.",
        "heading_out_of_range" => "Le cap n’est pas entre 0 et 360 degrés.",
        "accuracy_out_of_range" => "La précision n’est pas entre 0 et 5000 m.",
        "unknown_operator" => "Aucun opérateur n’a cet identifiant.",
        "bad_hash" => {
            "L’empreinte n’est pas celle que donne votre clé : l’appareil a une autre clé, ou ne calcule pas \
             l’empreinte des champs dans l’ordre de la spécification, exactement comme il les envoie."
        }
        "sent_at_off" => {
            "Un datagramme compact a été envoyé à plus de deux minutes d’ici, d’après l’horloge de l’émetteur : \
             réglez-la."
        }
        "replayed" => {
            "Un datagramme compact a un numéro déjà venu dans sa session, ou en retard de mille. Ce qui est renvoyé \
             prend un autre numéro ; un émetteur qui démarre prend une autre session."
        }
        "too_many_sessions" => {
            "Vous avez plus de 1024 sessions de datagrammes compacts en quatre minutes : un émetteur garde la sienne."
        }
        "unknown_taxi" => "Aucun taxi n’a cet identifiant ; c’est celui que POST /taxis a donné.",
        "not_their_taxi" => "Le taxi est inscrit, mais vous n’avez pas décrit son véhicule (POST /vehicles).",
        "overloaded" => "Le registre n’avait pas de place ; la position n’avait rien de faux.",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use ingest::gate::Refusal;

    use super::*;
    use crate::activity::{ACTIONS, RESOURCES};
    use crate::hail::Status;
    use crate::role::Role;
    use crate::routes::hails::change::REASONS;

    #[test]
    fn how_a_call_ended_is_said_in_french() {
        let mut outcomes = vec!["200".to_owned(), format!("{}500", call::ANSWERED)];
        outcomes.extend([call::NO_JSON, call::NO_ACCOUNT].map(str::to_owned));
        outcomes.extend(CallError::ALL.map(|error| error.to_string()));
        for outcome in &outcomes {
            assert_ne!(&super::call(outcome), outcome);
            assert_eq!(reason(outcome), super::call(outcome));
        }
        assert_eq!(super::call("200"), "réponse 200");
        assert_eq!(super::call(&outcomes[1]), "réponse 500, où une de 200 à 299 est attendue");
        assert_eq!((reason("deadline"), reason("<b>")), ("échéance passée".into(), "<b>".into()));
    }

    #[test]
    fn everything_that_pages_show_is_said_in_french() {
        let roles = Role::ALL.map(Role::as_str);
        let mut all: Vec<&str> = [Status::NAMES, ACTIONS, RESOURCES, &roles[..]].concat();
        all.extend(REASONS.concat());
        // In French already.
        all.retain(|name| !["", "taxi", "mairie", "groupement", "analyste"].contains(name));
        for name in all {
            assert_ne!(of(name), name);
        }
        for reason in Refusal::ALL {
            assert!(refusal(reason.name()).ends_with('.'), "{reason:?}");
        }
        assert_eq!((of("<b>"), refusal("<b>")), ("<b>", "<b>"));
    }
}
