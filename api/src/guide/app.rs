//! First steps of a search app, and hails from both sides.

use serde_json::{Value, json};

use super::{Chapter, Exchange, Request, Side, Step};

fn step(title: &'static str, about: &'static str, request: Request) -> Step {
    Step { title, about, exchange: Exchange::Request(request) }
}

/// A step of which nothing is to be said any more.
fn again(title: &'static str, request: Request) -> Step {
    step(title, "", request)
}

fn search() -> Request {
    Request::new(Side::App, "GET", "/taxis?lon=2.3525&lat=48.8567", 200)
        .answered(&json!({
            "id": "u3bQ0yVnXw7sZkWlTqPa1g", "status": "free", "crowfly_distance": 24.57,
            "position": {"lat": 48.8566, "lon": 2.3522}, "vehicle": {"model": "508", "constructor": "Peugeot"},
        }))
        .telling("found", "/id")
}

fn hail(key: &'static str) -> Request {
    Request::new(Side::App, "POST", "/hails", 201)
        .named(key)
        .sending(json!({
            "customer_id": "client-1", "customer_lon": 2.3525, "customer_lat": 48.8567,
            "customer_address": "1 place de Grève, Paris", "customer_phone_number": "0678901234", "taxi_id": "{found}",
        }))
        .answered(&json!({"id": "h7KqYbW", "status": "received", "session_id": "b1f0a9a4-0a0c-4a1e-9d0c-0c8a1f3e2d11"}))
        .telling("hail", "/id")
}

/// Moves the hail to a status, saying this besides.
fn moves(side: Side, status: &'static str, besides: &Value) -> Request {
    let mut element = json!({"status": status});
    for (name, value) in besides.as_object().into_iter().flatten() {
        element[name] = value.clone();
    }
    adds(side, element).answered(&json!({"id": "h7KqYbW", "status": status}))
}

/// Adds to what is known of the hail.
fn adds(side: Side, element: Value) -> Request {
    Request::new(side, "PUT", "/hails/{hail}", 200).sending(element)
}

fn operator_moves(status: &'static str) -> Request {
    moves(Side::Operator, status, &json!({}))
}

/// From a search to the end of a hail, and to the other ends.
pub(super) fn beginnings() -> Vec<Chapter> {
    vec![
        Chapter {
            id: "application",
            title: "Premiers pas d’une application de recherche",
            about: &[
                "L’administrateur du registre crée votre compte (rôle `moteur`) et vous remet sa clé d’API, ici \
                 `$CLE_APPLICATION`. Vous n’avez rien d’autre à enregistrer.",
            ],
            steps: vec![step(
                "Chercher autour d’un client",
                "Les taxis libres, du plus proche au plus lointain. Leur `id` est un pseudonyme : nouveau à chaque \
                 recherche, valable {pseudonym_min} minutes, et pour vous seul. Dans une zone d’exclusion (un \
                 aéroport, par exemple) la réponse est 404.",
                search(),
            )],
        },
        Chapter {
            id: "course",
            title: "Une course, des deux côtés",
            about: &[
                "Chaque côté fait avancer la course à son tour par `PUT /hails/:id`. Ce que personne ne fait à temps, \
                 le registre le fait : voir « La vie d’une course ».",
            ],
            steps: ride(),
        },
        Chapter {
            id: "autres-fins",
            title: "Annuler, refuser, signaler",
            about: &[
                "Une course ne va pas toujours au bout. Chaque fin a son statut ; après elle, rien ne change plus.",
            ],
            steps: other_ends(),
        },
    ]
}

fn ride() -> Vec<Step> {
    vec![
        step(
            "L’application demande le taxi",
            "L’en-tête `Idempotency-Key` est un nom de votre choix : si la réponse se perd, renvoyez la même requête, \
             et aucune seconde course n’est créée. Le taxi est aussitôt `answering`, et nul autre ne peut l’avoir.",
            hail("client-1-matin"),
        ),
        step(
            "L’opérateur la prend",
            "Sur le flux, ou en répondant 2xx à l’appel du registre (ce qui vaut cette étape).",
            operator_moves("received_by_operator"),
        ),
        step(
            "Le taxi l’a reçue",
            "Quand elle est affichée au chauffeur, qui a alors {taxi_s} secondes pour répondre.",
            operator_moves("received_by_taxi"),
        ),
        step(
            "Le taxi accepte",
            "Avec un numéro auquel le client peut le joindre : sans lui, c’est refusé.",
            moves(Side::Operator, "accepted_by_taxi", &json!({"taxi_phone_number": "0612345678"})),
        ),
        step(
            "L’application suit la course",
            "À tout moment. Dès que le taxi accepte, le véhicule et le conducteur sont montrés ; la position du taxi, \
             tant que la course dure. `GET /events` le dit sans qu’on le demande, et un webhook appelle votre serveur.",
            Request::new(Side::App, "GET", "/hails/{hail}", 200).answered(&json!({
                "id": "h7KqYbW", "status": "accepted_by_taxi",
                "taxi": {"vehicle": {"licence_plate": "AB-123-CD", "color": "noir"},
                         "driver": {"first_name": "Ada", "last_name": "Martin"},
                         "position": {"lat": 48.8566, "lon": 2.3522}, "crowfly_distance": 0.0246},
            })),
        ),
        step(
            "Le client confirme",
            "Dans les {confirm_s} secondes. Chacun voit alors le numéro de l’autre ; le taxi est en approche \
             (`oncoming`).",
            moves(Side::App, "accepted_by_customer", &json!({})),
        ),
        again("Le client est à bord", operator_moves("customer_on_board")),
        step("La course est terminée", "Le taxi est libre de nouveau.", operator_moves("finished")),
        step(
            "Le client donne son avis",
            "De 1 à 5, avec un motif. On peut le dire aussi longtemps que la course est montrée ({shown_days} jours).",
            adds(Side::App, json!({"rating_ride": 5, "rating_ride_reason": "courtesy"})).answered(&json!({
                "id": "h7KqYbW", "status": "finished", "rating_ride": 5, "rating_ride_reason": "courtesy",
            })),
        ),
    ]
}

fn other_ends() -> Vec<Step> {
    let declined = json!({"declined_by_taxi_reason": "prior_booking"});
    let reported = json!({"reporting_customer": true, "reporting_customer_reason": "no_show"});
    let free = Request::new(Side::Operator, "PUT", "/taxis/{taxi}", 200)
        .sending(json!({"status": "free"}))
        .answered(&json!({"id": "yCnSfFy", "status": "free"}));
    let banned = Request {
        status: 403,
        tells: None,
        ..hail("client-1-minuit")
            .refused(&json!({"data": {"0": {"customer_id": ["This customer is banned."]}}}))
    };
    vec![
        again("Une autre course", hail("client-1-midi")),
        step(
            "Le client annule",
            "Jusqu’à ce qu’il ait confirmé ; ensuite, c’est un incident. Le taxi est libre de nouveau.",
            moves(Side::App, "declined_by_customer", &json!({})),
        ),
        again("Une troisième course", hail("client-1-soir")),
        again("L’opérateur la prend", operator_moves("received_by_operator")),
        again("Le taxi l’a reçue", operator_moves("received_by_taxi")),
        step(
            "Le client signale un incident",
            "Il ne peut plus continuer. L’opérateur dit de même `incident_taxi`, avec `incident_taxi_reason`.",
            moves(Side::App, "incident_customer", &json!({"incident_customer_reason": "no_show"})),
        ),
        again("Une quatrième course", hail("client-1-nuit")),
        again("L’opérateur la prend", operator_moves("received_by_operator")),
        again("Le taxi l’a reçue", operator_moves("received_by_taxi")),
        step(
            "Le taxi refuse",
            "Avec son motif, l’un de ceux de l’article R3121-23 du code des transports : `outside_zone`, `rest_time`, \
             `prior_booking`, `street_hail`, `rank_queue` ou `event`.",
            moves(Side::Operator, "declined_by_taxi", &declined),
        ),
        step("Le taxi reprend", "Un taxi qui a refusé, ou qui n’a pas répondu, est hors service.", free),
        step(
            "L’opérateur signale un client",
            "Le client est exclu {ban_h} heures, deux fois plus longtemps s’il est signalé encore ; `false` y met fin.",
            adds(Side::Operator, reported).answered(&json!({
                "id": "h7KqYbW", "status": "declined_by_taxi", "reporting_customer": true,
                "reporting_customer_reason": "no_show",
            })),
        ),
        step("Un client exclu n’obtient pas de taxi", "Dites-le-lui, et ne réessayez pas.", banned),
    ]
}
