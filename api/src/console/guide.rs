//! `/doc/guide`: how partners begin, for everybody, without a script.

use std::sync::LazyLock;

use axum::response::Response;
use ingest::gate::Refusal;
use maud::{Markup, html};

use super::layout;
use crate::guide::figures::told;
use crate::guide::troubles::{Trouble, on_positions, troubles};
use crate::guide::{Chapter, Datagram, Exchange, Request, Side, Step, Stream, chapters, pretty};
use crate::openapi::document;
use crate::openapi::page::words as marked;
use crate::outbound::signature::signature;
use crate::router::routes;

mod life;

/// Where it is.
pub(super) const PATH: &str = "/doc/guide";

/// What partners ask the meaning of.
const GLOSSARY: [(&str, &str); 12] = [
    (
        "ADS",
        "Autorisation de stationnement : ce qui permet à un taxi de prendre des clients dans une commune.",
    ),
    ("Application de recherche (`moteur`)", "Qui cherche des taxis pour ses clients, et les demande."),
    ("Clé d’API", "Le secret d’un compte, dans l’en-tête `X-Api-Key` ; il signe aussi les datagrammes."),
    ("Course (`hail`)", "La demande d’un taxi par un client, de la demande à la fin du trajet."),
    ("INSEE", "Le code d’une commune, comme 75056 pour Paris."),
    (
        "Maraude",
        "Circuler en attendant d’être pris par un client dans la rue, ce que le registre rend visible.",
    ),
    ("Opérateur (`operateur`)", "Qui enregistre des taxis, dit où ils sont, et leur transmet les courses."),
    (
        "Pseudonyme",
        "L’`id` sous lequel une application voit un taxi : nouveau à chaque recherche, {pseudonym_min} minutes durant.",
    ),
    (
        "Rayon (`radius`)",
        "La plus grande distance à laquelle un taxi veut être vu, de {radius_min_m} à {radius_max_m} mètres.",
    ),
    ("Session", "Les courses d’un même client à moins de {session_min} minutes l’une de l’autre."),
    ("Webhook", "L’adresse d’une application, appelée à chaque étape de ses courses."),
    ("ZUPC", "Zone unique de prise en charge : des communes où les mêmes ADS valent."),
];

static PAGE: LazyLock<Markup> = LazyLock::new(content);

/// The page.
pub(super) async fn show() -> Response {
    layout::page(None, PATH, "Guide des partenaires", &PAGE)
}

fn content() -> Markup {
    let chapters = chapters();
    html! {
        p {
            "Pour qui branche un opérateur de taxis ou une application de recherche sur le registre. Chaque requête de \
             cette page est envoyée par un test au programme que voici ; la "
            a href="/doc" hreflang="en" { "référence de l’API" }
            " (en anglais) dit chaque champ."
        }
        nav aria-label="Sommaire" {
            ol.contents {
                @for chapter in &chapters { li { a href={"#" (chapter.id)} { (chapter.title) } } }
                li { a href="#vie" { "La vie d’une course" } }
                li { a href="#signature" { "Reconnaître un appel du registre" } }
                li { a href="#erreurs" { "Erreurs, et que faire" } }
                li { a href="#glossaire" { "Glossaire" } }
            }
        }
        @for chapter in &chapters { (part(chapter)) }
        section.part #vie { h2 { "La vie d’une course" } (life::of_a_hail()) }
        section.part #signature { h2 { "Reconnaître un appel du registre" } (signed()) }
        section.part #erreurs { h2 { "Erreurs, et que faire" } (errors()) }
        section.part #glossaire {
            h2 { "Glossaire" }
            dl { @for (term, meaning) in GLOSSARY { dt { (words(term)) } dd { (words(meaning)) } } }
        }
    }
}

/// A text with its figures, and what is marked in it.
fn words(text: &str) -> Markup {
    marked(&told(text))
}

fn part(chapter: &Chapter) -> Markup {
    html! {
        section.part id=(chapter.id) {
            h2 { (chapter.title) }
            @for paragraph in chapter.about { p { (words(paragraph)) } }
            @for step in &chapter.steps { (shown(step)) }
        }
    }
}

fn shown(step: &Step) -> Markup {
    html! {
        h3 { (step.title) }
        @if !step.about.is_empty() { p { (words(step.about)) } }
        @match &step.exchange {
            Exchange::Request(request) => { (asked(request)) }
            Exchange::Datagram(datagram) => { (sent(datagram)) }
            Exchange::Stream(stream) => { (heard(stream)) }
        }
    }
}

fn asked(request: &Request) -> Markup {
    let (pointer, keep) = request.tells.map_or(("", ""), |(name, _)| match name {
        "taxi" => ("TAXI", "l’`id` du taxi"),
        "found" => ("TROUVE", "l’`id` du taxi trouvé"),
        _ => ("COURSE", "l’`id` de la course"),
    });
    html! {
        (code(&request.command(), side(request.side)))
        p.answer {
            "Réponse " strong { (request.status) }
            @match &request.answer {
                Some(_) => { " (extrait) :" }
                None => { ", sans corps." }
            }
        }
        @if let Some(answer) = &request.answer { (code(&pretty(answer), "Réponse")) }
        @if !keep.is_empty() { p.answer { "Dans la suite, " code { "$" (pointer) } " est " (words(keep)) "." } }
    }
}

fn sent(datagram: &Datagram) -> Markup {
    html! { (code(&datagram.command(), side(Side::Operator))) }
}

fn heard(stream: &Stream) -> Markup {
    html! {
        (code(&stream.command(), side(stream.side)))
        p.answer { "Un événement (extrait de ses données) :" }
        (code(&pretty(&stream.event), "Événement"))
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Operator => "Commande de l’opérateur",
        Side::App => "Commande de l’application",
    }
}

/// A text of a machine, which scrolls by itself where it is wide.
fn code(text: &str, label: &str) -> Markup {
    html! { pre.code tabindex="0" role="region" aria-label=(label) { code { (text) } } }
}

fn signed() -> Markup {
    let (key, body) = ("s3cret", r#"{"data":[{"id":"h1"}]}"#);
    let header = signature(key, ingest::clock::Millis(1_764_000_000_000), body.as_bytes());
    html! {
        p {
            "Chaque appel à votre serveur porte l’en-tête " code { "X-Maraude-Signature" } ", fait de l’heure de \
             l’envoi (" code { "t" } ", en secondes depuis 1970) et d’un HMAC-SHA-256 en hexadécimal (" code { "v1" }
            ") de cette heure, d’un point et du corps, octet pour octet, sous votre clé d’API (pour un webhook : sous \
             son secret)."
        }
        (code(&format!("X-Maraude-Signature: {header}"), "En-tête d’exemple"))
        p { "Celui-ci est du corps " code { (body) } " sous la clé " code { (key) } "." }
        ol {
            li { "Séparez l’en-tête aux " code { "," } " et " code { "=" } " ; ignorez ce que vous ne connaissez pas." }
            li { "Calculez le HMAC du corps brut, avant de le lire comme du JSON." }
            li { "Comparez en temps constant." }
            li { "Refusez ce qui a plus de cinq minutes." }
        }
        p {
            "Le registre peut vous envoyer la même course plus d’une fois : reconnaissez-la à son " code { "id" } " et \
             répondez comme la première fois."
        }
    }
}

fn errors() -> Markup {
    let document = document::of(&routes().finish().1);
    html! {
        p {
            "Une erreur a la forme de la requête : " code { "{\"errors\": {…}}" } ", avec à chaque feuille une liste \
             de messages, en anglais."
        }
        @for trouble in troubles(&document) { (trouble_part(&trouble)) }
        h3 { "Positions refusées" }
        p { "Un datagramme ne reçoit pas de réponse ; les motifs sont ceux de " code { "GET /operators/me/refusals" } }
        div.scroll tabindex="0" role="region" aria-label="Motifs de refus d’une position" {
            table {
                thead { tr { th scope="col" { "Motif" } th scope="col" { "Que faire" } } }
                tbody { @for reason in Refusal::ALL {
                    tr { th scope="row" { code { (reason.name()) } } td { (words(on_positions(reason))) } }
                } }
            }
        }
    }
}

fn trouble_part(trouble: &Trouble) -> Markup {
    html! {
        h3 { (trouble.status) " : " (trouble.meaning) }
        p { (words(trouble.advice)) }
        ul { @for (message, advice) in &trouble.messages {
            li {
                code lang="en" { (message) }
                @if let Some(advice) = advice { " " (words(advice)) }
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_a_command_is_explained() {
        let page = content().into_string();
        for name in
            ["REGISTRE", "HOTE", "CLE_OPERATEUR", "CLE_APPLICATION", "OPERATEUR", "TAXI", "TROUVE", "COURSE"]
        {
            assert!(page.contains(&format!("<code>${name}</code>")), "{name}");
        }
        assert!(!page.contains(" style=") && !page.contains("<script"));
        let names = ["_s}", "_h}", "_m}", "_min}", "_days}", "_bytes}", "{positions}"];
        assert!(!names.iter().any(|name| page.contains(name)), "a figure that has no name");
        assert!(page.contains("moins de 120 secondes") && page.contains("Jusqu’à 50 positions"));
    }
}
