//! First steps of an operator of taxis.

use serde_json::json;

use super::{Chapter, Datagram, Exchange, Request, Side, Step, Stream};

fn step(title: &'static str, about: &'static str, request: Request) -> Step {
    Step { title, about, exchange: Exchange::Request(request) }
}

fn post(path: &'static str) -> Request {
    Request::new(Side::Operator, "POST", path, 201)
}

fn get(path: &'static str) -> Request {
    Request::new(Side::Operator, "GET", path, 200)
}

/// From a key to hails.
pub(super) fn beginnings() -> Vec<Chapter> {
    vec![
        Chapter {
            id: "operateur",
            title: "Premiers pas d’un opérateur",
            about: &[
                "L’administrateur du registre crée votre compte (rôle `operateur`) et vous remet sa clé d’API. Elle \
                 accompagne chaque requête dans l’en-tête `X-Api-Key` ; gardez-la secrète, et changez-la dans « Mon \
                 compte » si elle a été vue.",
                "Chaque requête porte un seul élément : `{\"data\": [élément]}`, et chaque réponse a la même forme. \
                 Dans les exemples, `$REGISTRE` est l’adresse du registre, `$HOTE` le nom de sa machine, \
                 `$CLE_OPERATEUR` votre clé et `$OPERATEUR` l’identifiant de votre compte.",
                "Un taxi réunit un conducteur, un véhicule et une autorisation de stationnement (ADS). Enregistrez-les \
                 d’abord ; envoyer deux fois le même objet le met à jour et répond 200 au lieu de 201.",
            ],
            steps: registration(),
        },
        Chapter {
            id: "positions",
            title: "Être visible : statut et positions",
            about: &[
                "Un client voit un taxi s’il est `free`, si sa dernière position a moins de {fresh_s} secondes, et si \
                 son ADS permet de prendre en charge là où le client se trouve. Envoyez une position toutes les cinq \
                 secondes environ, aussi longtemps que le taxi travaille.",
            ],
            steps: visibility(),
        },
        Chapter {
            id: "reception",
            title: "Recevoir les courses",
            about: &[
                "Deux façons, au choix. Avec un serveur à vous : inscrivez son adresse dans « Mon compte » ; le \
                 registre y envoie chaque course par `POST`, signée, et attend une réponse 2xx en JSON dans les \
                 {call_s} secondes. Sans serveur : gardez ouvert le flux d’événements.",
            ],
            steps: vec![Step {
                title: "Écouter ses courses",
                about: "Le flux (Server-Sent Events) reste ouvert et dit chaque étape de chaque course de vos taxis. \
                        Une course `sent_to_operator` attend que vous la preniez. Gardez l’`id` du dernier événement \
                        traité et renvoyez-le dans l’en-tête `Last-Event-ID` en revenant : rien ne manquera.",
                exchange: Exchange::Stream(Stream {
                    side: Side::Operator,
                    path: "/events",
                    event: json!({
                        "from_status": "received", "to_status": "sent_to_operator",
                        "timestamp": "2026-11-25T07:30:00.123456",
                        "hail": {
                            "id": "h7KqYbW", "status": "sent_to_operator", "taxi": {"id": "yCnSfFy"},
                            "customer_lon": 2.3525, "customer_lat": 48.8567,
                            "customer_address": "1 place de Grève, Paris",
                        },
                    }),
                }),
            }],
        },
    ]
}

fn registration() -> Vec<Step> {
    let driver = json!({
        "first_name": "Ada", "last_name": "Martin", "professional_licence": "L1", "departement": {"numero": "75"},
    });
    let vehicle = json!({
        "licence_plate": "AB-123-CD", "constructor": "Peugeot", "model": "508", "color": "noir", "nb_seats": 4,
    });
    let taxi = json!({
        "driver": {"professional_licence": "L1", "departement": "75"}, "vehicle": {"licence_plate": "AB-123-CD"},
        "ads": {"numero": "1", "insee": "75056"},
    });
    vec![
        step(
            "Le conducteur",
            "Le numéro de sa carte professionnelle, et le département qui l’a délivrée.",
            post("/drivers")
                .sending(driver)
                .answered(&json!({"professional_licence": "L1", "last_name": "Martin"})),
        ),
        step(
            "Le véhicule",
            "Sa plaque, et ce que les clients aimeront savoir : marque, modèle, couleur, places.",
            post("/vehicles")
                .sending(vehicle)
                .answered(&json!({"licence_plate": "AB-123-CD", "model": "508"})),
        ),
        step(
            "L’autorisation de stationnement (ADS)",
            "Son numéro dans la commune, et le code INSEE de celle-ci.",
            post("/ads")
                .sending(json!({"numero": "1", "insee": "75056"}))
                .answered(&json!({"numero": "1", "insee": "75056"})),
        ),
        step(
            "Le taxi",
            "Gardez l’`id` de la réponse : c’est sous lui que vous direz où est le taxi. Il commence hors service \
             (`off`).",
            post("/taxis")
                .sending(taxi)
                .answered(
                    &json!({"id": "yCnSfFy", "status": "off", "vehicle": {"licence_plate": "AB-123-CD"}}),
                )
                .telling("taxi", "/id"),
        ),
    ]
}

fn visibility() -> Vec<Step> {
    let position = json!({"taxi_id": "{taxi}", "lon": 2.3522, "lat": 48.8566});
    let change = |status| Request::new(Side::Operator, "PUT", "/taxis/{taxi}", status);
    let why = "/taxis/{taxi}/visibility?lon=2.3522&lat=48.8566";
    vec![
        step(
            "Libre",
            "Les statuts que vous donnez : `free`, `occupied` et `off`. `answering` et `oncoming` viennent des \
             courses. `radius` ({radius_min_m} à {radius_max_m} m) limite la distance à laquelle le taxi veut être vu.",
            change(200)
                .sending(json!({"status": "free", "radius": 500}))
                .answered(&json!({"id": "yCnSfFy", "status": "free", "radius": 500})),
        ),
        step(
            "Une valeur inconnue est refusée",
            "Toutes les erreurs d’une requête sont dites à la fois, à la place de ce qu’elles concernent. Rien n’est \
             changé.",
            change(400)
                .sending(json!({"status": "libre"}))
                .refused(&json!({"data": {"0": {"status": ["Must be one of: free, occupied, off."]}}})),
        ),
        step(
            "Une position par HTTP",
            "Jusqu’à {positions} positions à la fois, toutes ou aucune. La réponse 200, sans corps, vient quand elles \
             sont sur disque.",
            Request::new(Side::Operator, "POST", "/geotaxi/", 200).sending(json!({"positions": [position]})),
        ),
        Step {
            title: "Une position par UDP, signée",
            about: "Pour qui en envoie beaucoup. L’empreinte (`hash`) est le SHA-1, en hexadécimal, des huit valeurs \
                    dans l’ordre ci-dessous, telles qu’elles sont envoyées, suivies de votre clé. Rien n’est répondu à \
                    un datagramme. (Commandes pour bash.)",
            exchange: Exchange::Datagram(Datagram([
                ("timestamp", "{now}"),
                ("operator", "{operator}"),
                ("taxi", "{taxi}"),
                ("lat", "48.8566"),
                ("lon", "2.3522"),
                ("device", "phone"),
                ("status", "free"),
                ("version", "2"),
            ])),
        },
        step(
            "Que sont devenus mes datagrammes ?",
            "Combien ont été acceptés, et combien refusés, par motif (voir « Erreurs »). \
             `GET /operators/me/refusals` en montre les derniers exemples.",
            get("/operators/me/positions").answered(&json!({"operator": "mes-taxis", "accepted": 1, "refused": {}})),
        ),
        step(
            "Pourquoi mon taxi n’est-il pas visible ?",
            "Demandez-le pour le lieu d’un client : chaque condition dit ce qui est vu et ce qu’il faut.",
            get(why).answered(&json!({
                "visible": true,
                "checks": [
                    {"name": "registered", "passed": true, "message": "The operator describes the taxi's vehicle."},
                ],
            })),
        ),
    ]
}
