//! An operator by hand: a taxi, where it is and where it drives, whether it is free, and what it does with hails.

use axum::extract::State;
use axum::http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::client::{Api, Partner, segment};
use super::exchange::{Done, shown};
use super::hails::{Hails, Position, Side};
use super::{making, map, number, point, second};
use crate::app::App;
use crate::auth::Caller;
use crate::console::refusal::Shown;
use crate::console::session::{Posted, Session};
use crate::console::{layout, with_map, words};
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::hail::Sender;
use crate::limits::{SIMULATED_POSITION_LOOKS, SIMULATED_POSITION_PAUSE};
use crate::role::Role;
use crate::routes::taxis::STATUSES;

/// Where it is.
pub(in crate::console) const PATH: &str = "/console/simulator/operator";

/// Degrees within which two places are one: positions are kept to a ten-millionth.
const SAME_DEG: f64 = 1e-6;

/// What the answer of a form changes on the page.
const PARTS: &str = "told taxi hails exchange";

/// Whether an account may be one.
pub(in crate::console) fn concerns(caller: &Caller) -> bool {
    caller.0.has(Role::Operateur)
}

/// A taxi of the operator's.
#[derive(Debug, Deserialize)]
pub(super) struct Taxi {
    pub(super) id: String,
    status: String,
    radius: Option<i32>,
    /// In seconds since 1970.
    last_update: Option<i64>,
    position: Position,
    vehicle: Vehicle,
}

#[derive(Debug, Deserialize)]
struct Vehicle {
    licence_plate: String,
}

/// The taxi that is chosen, and its hails.
pub(in crate::console) async fn show(
    State(app): State<App>,
    api: Api,
    session: Session,
    query: Query,
) -> Shown {
    page(&app, &api.of(&session), &session, &query, None).await
}

/// The page after something was done; what was refused is still in its form.
pub(super) async fn answer(
    app: &App,
    partner: &Partner,
    session: &Session,
    fields: Query,
    done: Done,
) -> Shown {
    let given = match fields.first("taxi") {
        Some(taxi) if done.is_granted() => of(taxi),
        _ => fields,
    };
    page(app, partner, session, &given, Some(done)).await
}

async fn page(app: &App, partner: &Partner, session: &Session, given: &Query, done: Option<Done>) -> Shown {
    if !concerns(&session.caller) {
        return Err(Problem::forbidden().into());
    }
    let text = |name| given.first(name).map(str::trim).filter(|text| !text.is_empty());
    let (chosen, sought) = (text("taxi"), text("q"));
    let listed = match chosen {
        Some(_) => None,
        None => Some(find(partner, sought).await?),
    };
    let chosen = chosen.or_else(|| match listed.as_deref()? {
        [only] => Some(&only.id),
        // Of several somebody has to choose, who sought one.
        [newest, ..] if sought.is_none() => Some(&newest.id),
        _ => None,
    });
    let taxi = match chosen {
        Some(id) => partner.get(&format!("/taxis/{}", segment(id)), &[]).await?.read::<Taxi>()?.pop(),
        None => None,
    };
    let content = html! {
        p {
            "Jouez un opérateur à la main : chaque geste est une requête à l’API publique avec votre clé, montrée \
             au bas de la page."
        }
        div #told { @if let Some(done) = &done { (done.notice()) } }
        (choice(listed.as_deref(), sought, taxi.as_ref()))
        @if let Some(taxi) = &taxi { (of_taxi(app, partner, session, taxi, given).await?) }
        (shown(done.as_ref().map_or(&[], |done| &done.exchanges)))
        (making::form(session, given))
    };
    let page = with_map(app, layout::page(Some(session), PATH, "Simuler un opérateur", &content));
    Ok(answered(page, done.as_ref()))
}

/// A page that tells by its status whether what was asked for was granted.
pub(super) fn answered(mut page: axum::response::Response, done: Option<&Done>) -> axum::response::Response {
    if let Some(done) = done {
        *page.status_mut() = done.status();
    }
    page
}

/// What chooses a taxi.
pub(super) fn of(taxi: &str) -> Query {
    Query::new(vec![("taxi".to_owned(), taxi.to_owned())])
}

/// The page of a taxi.
fn here(taxi: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("taxi", taxi).finish();
    format!("{PATH}?{query}")
}

/// The taxis whose id or plate begins so; those that were made last, where nothing is sought.
async fn find(partner: &Partner, sought: Option<&str>) -> Answer<Vec<Taxi>> {
    let Some(sought) = sought else {
        return partner.get("/taxis/all", &[]).await?.read();
    };
    let mut found: Vec<Taxi> = partner.get("/taxis/all", &[("id", sought)]).await?.read()?;
    let by_plate: Vec<Taxi> = partner.get("/taxis/all", &[("licence_plate", sought)]).await?.read()?;
    found.extend(by_plate);
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

fn choice(listed: Option<&[Taxi]>, sought: Option<&str>, chosen: Option<&Taxi>) -> Markup {
    let others: Vec<_> = listed
        .into_iter()
        .flatten()
        .filter(|taxi| chosen.is_none_or(|chosen| chosen.id != taxi.id))
        .collect();
    html! {
        form.search role="search" method="get" action=(PATH) {
            div {
                label for="q" { "Un de vos taxis, par son identifiant ou sa plaque" }
                input #q name="q" value=[sought] autocomplete="off" aria-describedby="q-hint";
            }
            div.actions { button type="submit" { "Chercher" } }
            p.hint #q-hint { "Le début suffit ; vide : les derniers faits." }
        }
        @if listed.is_some_and(<[_]>::is_empty) {
            p {
                @if sought.is_some() { "Aucun de vos taxis ne commence ainsi." }
                @else { "Vous n’avez pas encore de taxi : faites-en un ci-dessous." }
            }
        }
        @if !others.is_empty() {
            nav aria-label="Autres taxis" {
                ul.taxis { @for taxi in others {
                    li { a href=(here(&taxi.id)) { (taxi.vehicle.licence_plate) } " (" (taxi.id) ")" }
                } }
            }
        }
    }
}

async fn of_taxi(
    app: &App,
    partner: &Partner,
    session: &Session,
    taxi: &Taxi,
    given: &Query,
) -> Answer<Markup> {
    let hails = Hails::of(partner, &[("taxi_id", &taxi.id)]).await?;
    let side = Side { session, by: Sender::Operator, taxi: Some(&taxi.id) };
    Ok(html! {
        h2 { "Taxi " (taxi.vehicle.licence_plate) }
        (map(app, &here(&taxi.id), "operator", Some(&taxi.id), taxi.position.at()))
        ul.legend aria-label="Légende" {
            li { span.dot data-status="free" {} " Le taxi, de la couleur de son statut" }
            li { span.dot.customer {} " Un client" }
            li { span.circle {} " D’où un client le voit" }
            li { span.line {} " Le trajet à parcourir" }
        }
        div.beside.sides {
            div {
                (state(taxi))
                (availability(session, taxi, given))
                (position(session, taxi, given))
                (drive())
            }
            section aria-labelledby="hails-title" {
                h2 #hails-title { "Courses de ce taxi" }
                p.hint { "Ignorer une course, c’est ne rien faire." }
                p { a.button.second #refresh href=(here(&taxi.id)) { "Actualiser" } }
                (hails.shown(&side))
            }
        }
    })
}

fn state(taxi: &Taxi) -> Markup {
    html! {
        div #taxi data-id=(taxi.id) {
            dl {
                dt { "Identifiant" } dd { code { (taxi.id) } }
                dt { "Statut" } dd { (words::of(&taxi.status)) }
                dt { "Rayon" }
                dd { @match taxi.radius { Some(radius) => { (radius) " m" } None => { "celui du registre" } } }
                dt { "Position" }
                dd {
                    @match (taxi.position.at(), taxi.last_update) {
                        (Some((lat, lon)), Some(at_s)) => {
                            span #place { (lat) ", " (lon) } ", reçue à " (second(at_s))
                        }
                        _ => { "aucune" }
                    }
                }
            }
            @if let Some(at) = taxi.position.at() { (point("taxi", Some(&taxi.status), at)) }
        }
    }
}

fn availability(session: &Session, taxi: &Taxi, given: &Query) -> Markup {
    let radius = taxi.radius.map(|radius| radius.to_string());
    let radius = given.first("radius").map(str::to_owned).or(radius);
    let status = given.first("status").unwrap_or(&taxi.status);
    html! {
        form.row method="post" action="/console/simulator/operator/status" data-parts=(PARTS) {
            (session.token_field())
            input type="hidden" name="taxi" value=(taxi.id);
            div {
                label for="status" { "Statut" }
                select #status name="status" {
                    @for choice in STATUSES {
                        option value=(choice) selected[*choice == status] { (words::of(choice)) }
                    }
                }
            }
            div {
                label for="radius" { "Rayon, en mètres" }
                input #radius name="radius" inputmode="numeric" value=[radius] autocomplete="off"
                    aria-describedby="radius-hint";
            }
            button type="submit" { "Changer" }
            p.hint #radius-hint { "De 150 à 500 ; vide : celui du registre." }
        }
    }
}

fn position(session: &Session, taxi: &Taxi, given: &Query) -> Markup {
    let (lat, lon) = taxi.position.at().unzip();
    let degrees = |name, known: Option<f64>| {
        given.first(name).map(str::to_owned).or_else(|| known.map(|degrees| degrees.to_string()))
    };
    html! {
        form.row #position method="post" action="/console/simulator/operator/position" data-parts=(PARTS) {
            (session.token_field())
            input type="hidden" name="taxi" value=(taxi.id);
            div {
                label for="lat" { "Latitude, en degrés" }
                input #lat name="lat" inputmode="decimal" required value=[degrees("lat", lat)];
            }
            div {
                label for="lon" { "Longitude, en degrés" }
                input #lon name="lon" inputmode="decimal" required value=[degrees("lon", lon)];
            }
            button type="submit" { "Envoyer la position" }
            p.hint {
                "Un clic sur la carte l’y envoie, ou Entrée au clavier pour le milieu de la carte. Une position vaut \
                 deux minutes."
            }
        }
    }
}

/// What the module drives by.
fn drive() -> Markup {
    html! {
        fieldset #drive hidden {
            legend { "Conduire" }
            label.check { input #online type="checkbox"; " Rester en ligne : la position part toutes les 5 s" }
            label.check { input #tracing type="checkbox"; " Tracer un trajet : les clics s’y ajoutent" }
            label for="trace" { "Trajet" }
            p.hint #trace-hint { "Un point par ligne, latitude puis longitude, ou le contenu d’un fichier GPX." }
            textarea #trace rows="4" spellcheck="false" autocomplete="off" aria-describedby="trace-hint" {}
            div.row {
                div {
                    label for="speed" { "Vitesse, en km/h" }
                    input #speed type="number" min="1" max="200" value="30";
                }
                button #go type="button" { "Parcourir le trajet" }
                button.second #clear type="button" { "Effacer le trajet" }
            }
            p.hint #progress {}
        }
    }
}

/// Says where the taxi is.
pub(in crate::console) async fn report(State(app): State<App>, api: Api, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let partner = api.of(&session);
    let text = |name| fields.first(name).unwrap_or_default();
    let position = json!({"taxi_id": text("taxi"), "lat": number(text("lat")), "lon": number(text("lon"))});
    let exchange = partner.send(Method::POST, "/geotaxi", json!({"positions": [position]})).await?;
    if exchange.is_granted() {
        let at = position["lat"].as_f64().zip(position["lon"].as_f64());
        until_shown(&partner, text("taxi"), at).await?;
    }
    answer(&app, &partner, &session, fields, Done::new("La position est envoyée.", exchange)).await
}

/// Until the registry shows the taxi there, or takes too long: what it has acknowledged is safe, and on the map soon.
///
/// Looks come out of the partner's own rate, so they grow rarer; one that is refused shows nothing yet.
async fn until_shown(partner: &Partner, taxi: &str, at: Option<(f64, f64)>) -> Answer<()> {
    let Some((lat, lon)) = at else { return Ok(()) };
    let path = format!("/taxis/{}", segment(taxi));
    let is_there = |(seen_lat, seen_lon): (f64, f64)| {
        (seen_lat - lat).abs() < SAME_DEG && (seen_lon - lon).abs() < SAME_DEG
    };
    let mut pause = SIMULATED_POSITION_PAUSE;
    for _ in 0..SIMULATED_POSITION_LOOKS {
        let taxi = partner.get(&path, &[]).await?.read::<Taxi>().ok().and_then(|mut taxis| taxis.pop());
        if taxi.and_then(|taxi| taxi.position.at()).is_some_and(is_there) {
            break;
        }
        sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}

/// Says whether the taxi is free, and how far it wants to be seen.
pub(in crate::console) async fn set(State(app): State<App>, api: Api, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let partner = api.of(&session);
    let text = |name| fields.first(name).unwrap_or_default().trim();
    // What is no number the API refuses; nothing is the registry's own.
    let radius = Some(text("radius")).filter(|radius| !radius.is_empty());
    let wish = json!({"status": text("status"), "radius": radius});
    let exchange = partner.send(Method::PUT, &format!("/taxis/{}", segment(text("taxi"))), wish).await?;
    let done = Done::new("Le statut et le rayon sont changés.", exchange);
    answer(&app, &partner, &session, fields, done).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_a_taxi_is_its_own_whatever_its_id() {
        assert_eq!(here("a&b"), "/console/simulator/operator?taxi=a%26b");
    }
}
