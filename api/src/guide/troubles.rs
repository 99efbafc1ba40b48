//! What may be refused, as the reference lists it, and what to do about it.

use std::collections::{BTreeMap, BTreeSet};

use ingest::gate::Refusal;
use serde_json::Value;

use crate::openapi::Chapter;

/// The chapters of the reference that partners call.
const CHAPTERS: [Chapter; 3] = [Chapter::Search, Chapter::Hails, Chapter::Operators];

/// A status of refusals.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// The status.
    pub status: u16,
    /// What it means.
    pub meaning: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// What is answered with it, and what to do about that in particular.
    pub messages: Vec<(String, Option<&'static str>)>,
}

/// Every status by which the operations of the reference refuse a partner.
pub fn troubles(document: &Value) -> Vec<Trouble> {
    let mut by_status: BTreeMap<u16, BTreeSet<String>> = BTreeMap::new();
    for (status, response) in refusals(document) {
        let said = by_status.entry(status).or_default();
        let content = &response["content"]["application/json"];
        collect(&content["example"]["errors"], said);
        for (_, example) in fields(&content["examples"]) {
            collect(&example["value"]["errors"], said);
        }
    }
    let trouble = |(status, messages): (u16, BTreeSet<String>)| {
        let (meaning, advice) = words(status)?;
        let messages = messages.into_iter().map(|message| (message.clone(), advice_on(&message))).collect();
        Some(Trouble { status, meaning, advice, messages })
    };
    by_status.into_iter().filter_map(trouble).collect()
}

/// Each response of an error of each operation for partners.
fn refusals(document: &Value) -> Vec<(u16, &Value)> {
    let mut found = Vec::new();
    let methods = fields(&document["paths"]).flat_map(|(_, methods)| fields(methods));
    for (_, operation) in methods {
        if !CHAPTERS.iter().any(|chapter| operation["tags"][0] == chapter.name()) {
            continue;
        }
        for (status, response) in fields(&operation["responses"]) {
            let Some(status) = status.parse().ok().filter(|status| *status >= 400) else { continue };
            let target =
                response["$ref"].as_str().and_then(|target| document.pointer(target.trim_start_matches('#')));
            found.push((status, target.unwrap_or(response)));
        }
    }
    found
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The messages at the leaves of a tree of errors.
fn collect(errors: &Value, said: &mut BTreeSet<String>) {
    match errors {
        Value::String(message) => drop(said.insert(message.clone())),
        Value::Array(list) => list.iter().for_each(|one| collect(one, said)),
        Value::Object(fields) => fields.values().for_each(|one| collect(one, said)),
        _ => {}
    }
}

fn words(status: u16) -> Option<(&'static str, &'static str)> {
    Some(match status {
        400 => (
            "La requête est incorrecte.",
            "Corrigez ce que la réponse désigne, puis renvoyez. Répéter la même requête ne sert à rien.",
        ),
        401 => (
            "La clé manque ou n’est pas valable.",
            "Vérifiez l’en-tête `X-Api-Key`, ou faites une nouvelle clé.",
        ),
        403 => (
            "Votre compte n’en a pas le droit.",
            "Vérifiez le compte, son rôle, et à qui est ce que vous demandez.",
        ),
        404 => ("Il n’y a rien de tel.", "Vérifiez l’adresse et les identifiants ; ils ont pu expirer."),
        408 => ("La requête n’est pas arrivée à temps.", "Renvoyez-la, d’un trait."),
        409 => {
            ("Un autre changement a eu lieu au même moment.", "Relisez l’objet, puis renvoyez s’il le faut.")
        }
        413 => ("Le corps est trop grand.", "Envoyez moins à la fois."),
        414 => ("L’adresse est trop longue.", "Demandez moins de valeurs à la fois."),
        415 => ("Ce type de contenu n’est pas lu.", "Envoyez l’un des types de la documentation."),
        422 => (
            "Le nom de la requête a déjà servi à une autre.",
            "Donnez à chaque nouvelle requête un nouveau nom.",
        ),
        429 => {
            ("Trop de requêtes avec cette clé.", "Attendez le nombre de secondes de l’en-tête `Retry-After`.")
        }
        431 => ("Les en-têtes sont trop longs.", "Envoyez moins d’en-têtes."),
        500 => (
            "Une erreur du registre.",
            "Réessayez une fois ; si elle persiste, écrivez à l’équipe technique.",
        ),
        503 => (
            "Le registre ne peut pas répondre en ce moment.",
            "Renvoyez la même requête après l’en-tête `Retry-After` : la répéter est sans danger.",
        ),
        _ => return None,
    })
}

/// What to do about a message that partners often meet.
const ADVICE: [(&str, &str); 9] = [
    ("Taxi is not free.", "Un autre l’a eu, ou il s’est mis hors service : cherchez de nouveau."),
    ("This customer is banned.", "Dites-le au client. L’exclusion prend fin d’elle-même."),
    (
        "Unable to find taxi for this operateur.",
        "Le pseudonyme a plus de {pseudonym_min} minutes : cherchez de nouveau.",
    ),
    ("No cruising allowed in this area", "Dites au client d’aller à la station : on ne maraude pas ici."),
    ("No data provided, or data is not valid JSON.", "Le corps n’est pas du JSON, ou il est vide."),
    ("Header X-Api-Key required.", "Ajoutez l’en-tête `X-Api-Key`."),
    ("Hail not found", "L’identifiant est faux, ou la course a plus de {shown_days} jours."),
    ("Missing data for required field.", "Un champ obligatoire manque."),
    ("ADS not found with this INSEE/numero", "Enregistrez d’abord l’ADS par `POST /ads`."),
];

fn advice_on(message: &str) -> Option<&'static str> {
    ADVICE.iter().find(|(known, _)| *known == message).map(|(_, advice)| *advice)
}

/// Why a position is refused, and what to do.
pub fn on_positions(reason: Refusal) -> &'static str {
    match reason {
        Refusal::TooLong => {
            "Le datagramme dépasse {datagram_bytes} octets, ou la requête {positions} positions : envoyez-en moins à \
             la fois."
        }
        Refusal::NotUtf8 => "Le datagramme n’est pas en UTF-8.",
        Refusal::Malformed => "Le datagramme compact n’a pas la forme de docs/protocol.md.",
        Refusal::NotJson => "Le datagramme n’est pas du JSON.",
        Refusal::NotAnObject => "Le datagramme, ou la position, n’est pas un objet JSON.",
        Refusal::MissingField => "Un champ manque.",
        Refusal::WrongType => "Un champ n’est pas du bon type : des textes, ou des nombres là où il en faut.",
        Refusal::UnknownField => "Une position par HTTP n’a que taxi_id, lon et lat.",
        Refusal::NotANumber => "La latitude ou la longitude n’est pas un nombre décimal.",
        Refusal::LatOutOfRange => {
            "La latitude est hors de ses bornes ; est-elle inversée avec la longitude ?"
        }
        Refusal::LonOutOfRange => "La longitude est hors de ses bornes.",
        Refusal::SpeedOutOfRange => "La vitesse n’est pas entre 0 et {speed_m_s} m/s.",
        Refusal::HeadingOutOfRange => "Le cap n’est pas entre 0 et 360 degrés.",
        Refusal::AccuracyOutOfRange => "La précision n’est pas entre 0 et {accuracy_m} m.",
        Refusal::UnknownOperator => "Aucun compte n’a cet identifiant : vérifiez le champ operator.",
        Refusal::BadHash => {
            "L’empreinte n’est pas celle de votre clé : autre clé dans l’appareil, ordre des champs, ou valeurs \
             signées autrement qu’elles ne sont envoyées."
        }
        Refusal::SentAtOff => {
            "L’horloge de l’émetteur d’un datagramme compact est à plus de {skew_s} secondes d’ici : réglez-la."
        }
        Refusal::Replayed => "Un datagramme compact est arrivé deux fois, ou trop tard.",
        Refusal::TooManySessions => {
            "Trop de sessions de datagrammes compacts : gardez la même d’un envoi à l’autre."
        }
        Refusal::UnknownTaxi => "Aucun taxi n’a cet id : c’est celui que POST /taxis a répondu.",
        Refusal::NotTheirTaxi => "Ce taxi existe, mais vous n’avez pas décrit son véhicule (POST /vehicles).",
        Refusal::Overloaded => "Le registre n’avait pas la place ; rien n’était faux. Continuez d’envoyer.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::document;
    use crate::router::routes;

    #[test]
    fn every_refusal_of_the_reference_has_words() {
        let document = document::of(&routes().finish().1);
        let told = troubles(&document);
        let listed: BTreeSet<_> = refusals(&document).into_iter().map(|(status, _)| status).collect();
        assert_eq!(told.iter().map(|trouble| trouble.status).collect::<BTreeSet<_>>(), listed);
        assert!(listed.len() >= 8, "{listed:?}");
        assert!(told.iter().all(|trouble| !trouble.messages.is_empty()), "{told:?}");
        let messages: BTreeSet<_> = told.iter().flat_map(|trouble| &trouble.messages).collect();
        for (message, advice) in ADVICE {
            assert!(messages.contains(&(message.to_owned(), Some(advice))), "nobody says {message:?}");
        }
    }
}
