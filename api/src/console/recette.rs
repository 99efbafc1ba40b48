//! « Recette » : acceptance runs of the account's integration, and the reports that are kept of them.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use self::runs::{Busy, Judged, Seen};
use super::layout::{self, Notice};
use super::refusal::Shown;
use super::session::{Posted, Session};
use crate::app::App;
use crate::auth::Caller;
use crate::certify::as_operator::Stand;
use crate::certify::report::{self, Report};
use crate::certify::run::Party;
use crate::certify::{Side, Verdict};
use crate::error::Problem;
use crate::form::query::Query;
use crate::limits::{
    CERTIFICATION_PATIENCE_S, CERTIFICATION_POSITIONS, CERTIFICATIONS_AN_ACCOUNT, NAME_MAX_CHARS,
};
use crate::role::Role;
use crate::store::certifications::CertificationRow;

pub(crate) mod runs;

/// Where it is.
pub(super) const PATH: &str = "/console/recette";

/// The sides that an account can be judged as.
fn sides(caller: &Caller) -> Vec<Side> {
    let of = [(Role::Operateur, Side::Operator), (Role::Moteur, Side::Search)];
    of.into_iter().filter(|(role, _)| caller.0.has(*role)).map(|(_, side)| side).collect()
}

/// Whether there is anything for an account there.
pub(super) fn concerns(caller: &Caller) -> bool {
    !sides(caller).is_empty()
}

fn require(session: &Session) -> Result<Vec<Side>, Problem> {
    let sides = sides(&session.caller);
    if sides.is_empty() { Err(Problem::forbidden()) } else { Ok(sides) }
}

/// The run that goes on, or a form to begin one, and the reports.
pub(super) async fn list(State(app): State<App>, session: Session) -> Shown {
    page(&app, &session, None).await
}

async fn page(app: &App, session: &Session, notice: Option<Notice<'_>>) -> Shown {
    let sides = require(session)?;
    let account = session.caller.0.id;
    let kept = app.registry.store().certifications(account).await?;
    let content = html! {
        (layout::notice(notice))
        p {
            "Le registre joue l’autre côté de vos courses et juge ce que fait votre programme. Le rapport est signé, \
             et gardé ici (les " (CERTIFICATIONS_AN_ACCOUNT) " derniers)."
        }
        @match app.runs.seen(account) {
            Some(seen) if !seen.is_over => { (going_on(session, &seen)) }
            over => {
                @if let Some(seen) = over { (lines("Dernière recette", &seen)) }
                (form(app, session, &sides))
            }
        }
        h2 { "Rapports" }
        (reports(&kept))
    };
    Ok(layout::page(Some(session), PATH, "Recette", &content))
}

fn going_on(session: &Session, seen: &Seen) -> Markup {
    html! {
        (lines("Recette en cours", seen))
        div.actions {
            a.button href=(PATH) { "Actualiser" }
            form method="post" action="/console/recette/stop" {
                (session.token_field())
                button type="submit" { "Arrêter" }
            }
        }
    }
}

fn lines(title: &str, seen: &Seen) -> Markup {
    html! {
        h2 { (title) ", " (seen.side.name()) }
        ol.timeline { @for line in &seen.lines { li { (line) } } }
    }
}

fn form(app: &App, session: &Session, sides: &[Side]) -> Markup {
    let integration = app.behaviour.integration_account.as_deref();
    html! {
        h2 { "Commencer une recette" }
        form method="post" action="/console/recette/start" {
            (session.token_field())
            label for="side" { "Ce qui est jugé" }
            select #side name="side" {
                @for side in sides { option value=(value(*side)) { (side.name()) } }
            }
            label for="counterpart" { "Clé d’un compte qui joue l’autre côté" }
            p.hint #counterpart-hint {
                @match integration {
                    Some(email) => { "Vide : le compte d’intégration du registre (" (email) ")." }
                    None => { "Une application pour un opérateur, un opérateur pour une application." }
                }
            }
            input #counterpart name="counterpart" type="password" autocomplete="off"
                required[integration.is_none()] aria-describedby="counterpart-hint";
            label for="patience" { "Patience pour chaque geste, en secondes" }
            input #patience name="patience" type="number" required value="300"
                min=(CERTIFICATION_PATIENCE_S.start()) max=(CERTIFICATION_PATIENCE_S.end());
            @if sides.contains(&Side::Operator) {
                label for="taxi" { "Taxi, par son identifiant (opérateur)" }
                p.hint #taxi-hint { "Un taxi dont le conducteur sait qu’il est à l’essai : il recevra sept courses." }
                input #taxi name="taxi" autocomplete="off" maxlength=(NAME_MAX_CHARS) aria-describedby="taxi-hint";
                label for="positions" { "Positions regardées avant la première course (opérateur)" }
                input #positions name="positions" type="number" required value="12"
                    min=(CERTIFICATION_POSITIONS.start()) max=(CERTIFICATION_POSITIONS.end());
            }
            @if sides.contains(&Side::Search) {
                fieldset {
                    legend { "Où le taxi attend vos recherches (application)" }
                    p.hint {
                        @if integration.is_some() {
                            "Avec le compte d’intégration, votre application seule l’y trouve. "
                        }
                        "Avec la clé d’un opérateur, toute application l’y trouve : choisissez un lieu où personne \
                         n’en cherche."
                    }
                    label for="lat" { "Latitude, en degrés" }
                    input #lat name="lat" inputmode="decimal";
                    label for="lon" { "Longitude, en degrés" }
                    input #lon name="lon" inputmode="decimal";
                    label for="insee" { "Code INSEE de la commune" }
                    input #insee name="insee" autocomplete="off";
                }
            }
            div.actions { button type="submit" { "Commencer" } }
        }
    }
}

fn value(side: Side) -> &'static str {
    match side {
        Side::Operator => "operator",
        Side::Search => "search",
    }
}

fn reports(kept: &[CertificationRow]) -> Markup {
    let read: Vec<_> = kept.iter().filter_map(|row| Some((&row.id, Report::read(&row.report)?))).collect();
    html! {
        @if read.is_empty() { p { "Aucun rapport n’est gardé." } } @else {
            div.scroll tabindex="0" role="region" aria-label="Rapports" {
                table {
                    thead { tr {
                        th scope="col" { "Rapport" } th scope="col" { "Côté" } th scope="col" { "Résultat" }
                    } }
                    tbody { @for (id, report) in &read { tr {
                        th scope="row" { a href={(PATH) "/" (id)} { (report::moment(report.ended_at)) " UTC" } }
                        td { (report.side.name()) }
                        td { (verdict(report.verdict())) }
                    } } }
                }
            }
        }
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "réussie",
        Verdict::Failed => "échouée",
        Verdict::NotSeen | Verdict::NotApplicable => "incomplète",
    }
}

/// One report, with whether its signature is ours.
pub(super) async fn show(State(app): State<App>, session: Session, Path(id): Path<String>) -> Shown {
    require(&session)?;
    let row = app.registry.store().certification(session.caller.0.id, &id).await?;
    let row = row.ok_or_else(Problem::unknown_path)?;
    let report = Report::read(&row.report).ok_or_else(Problem::internal)?;
    let is_ours = app.registry.signer().is_right(&row.report, &row.signature);
    let broken = ["La signature n’est pas celle de ce registre : le rapport a été changé.".to_owned()];
    let content = html! {
        @if is_ours {
            (layout::notice(Some(Notice::Done("Signature vérifiée : le rapport est tel que le registre l’a signé."))))
        } @else { (layout::notice(Some(Notice::Failed(&broken)))) }
        (report::content(&report))
        p { "Numéro " code { (row.id) } }
        (report::signed(&row.report, &row.signature))
        p.screen { a href=(PATH) { "Toutes les recettes" } }
    };
    Ok(layout::page(Some(&session), "", &report::title(&report), &content))
}

/// Begins a run.
pub(super) async fn start(State(app): State<App>, Posted { session, fields }: Posted) -> Shown {
    let sides = require(&session)?;
    match wish(&app, &session, &sides, &fields) {
        Ok(wish) => {
            let begun = app.runs.start(&app, (&session.caller.0, partner(&session)), wish).await;
            let why = match begun.map_err(|error| Problem::unavailable("database").because(&error))? {
                Ok(()) => return Ok(Redirect::to(PATH).into_response()),
                Err(Busy::Process) => return Err(Problem::overloaded("acceptance runs").into()),
                Err(Busy::Account) => "Ce compte prend part à une recette déjà en cours.",
                Err(Busy::Counterpart) => "L’autre côté joue déjà une recette ; attendez qu’elle soit finie.",
            };
            let why = [why.to_owned()];
            refused(page(&app, &session, Some(Notice::Failed(&why))).await)
        }
        Err(why) => refused(page(&app, &session, Some(Notice::Failed(&[why]))).await),
    }
}

fn refused(page: Shown) -> Shown {
    page.map(|page| -> Response { (StatusCode::BAD_REQUEST, page).into_response() })
}

fn wish(app: &App, session: &Session, sides: &[Side], fields: &Query) -> Result<runs::Wish, String> {
    let text = |name: &str| fields.first(name).unwrap_or_default().trim();
    let side = sides.iter().copied().find(|side| value(*side) == text("side"));
    let side = side.ok_or("Ce compte ne peut pas être jugé ainsi.")?;
    let number = |name: &str, within: &std::ops::RangeInclusive<u64>| {
        let given = text(name).parse().ok().filter(|number| within.contains(number));
        given.ok_or_else(|| format!("Il faut un nombre de {} à {}.", within.start(), within.end()))
    };
    let degrees =
        |name| text(name).replace(',', ".").parse::<f64>().ok().filter(|degrees| degrees.is_finite());
    let stand = || -> Option<Stand> {
        let insee = text("insee");
        let is_code = insee.len() == 5 && insee.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Some(Stand {
            lon: degrees("lon")?,
            lat: degrees("lat")?,
            insee: Some(insee.to_owned()).filter(|_| is_code)?,
        })
    };
    Ok(runs::Wish {
        counterpart: counterpart(app, session, side, text("counterpart"))?,
        patience_s: number("patience", &CERTIFICATION_PATIENCE_S)?,
        judged: match side {
            Side::Operator => Judged::Operator {
                positions: number("positions", &CERTIFICATION_POSITIONS)?,
                taxi: taxi(text("taxi"))?,
            },
            Side::Search => Judged::Search(
                stand().ok_or("Le lieu du taxi n’est pas lisible : deux nombres, et un code INSEE.")?,
            ),
        },
    })
}

/// The taxi that is hailed. It is named: a driver who is at work is not to be rung because he is the first.
fn taxi(id: &str) -> Result<String, String> {
    if id.is_empty() {
        return Err("Indiquez le taxi : un essai ne sonne pas chez un conducteur qui travaille.".to_owned());
    }
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("Un identifiant de taxi n’a que des lettres et des chiffres.".to_owned());
    }
    Ok(id.to_owned())
}

/// Who is judged, as whoever is at the keyboard asks for it.
fn partner(session: &Session) -> Party {
    let log_as = session.acts_for_another().then(|| session.caller.0.email.clone());
    Party { key: session.own.api_key().to_owned(), log_as }
}

/// Who plays the other side.
fn counterpart(app: &App, session: &Session, side: Side, key: &str) -> Result<(i32, Party), String> {
    let other = match side {
        Side::Operator => Role::Moteur,
        Side::Search => Role::Operateur,
    };
    let accounts = app.registry.accounts();
    let (account, party) = if key.is_empty() {
        let email =
            app.behaviour.integration_account.as_deref().ok_or("Il manque la clé de l’autre côté.")?;
        let own = session.caller.0.api_key().to_owned();
        (accounts.email(email), Party { key: own, log_as: Some(email.to_owned()) })
    } else {
        (accounts.api_key(key), Party { key: key.to_owned(), log_as: None })
    };
    let account = account.filter(|account| account.has(other));
    let account =
        account.ok_or_else(|| format!("L’autre côté doit être un compte qui a le rôle {other}."))?;
    Ok((account.id, party))
}

/// Ends the account's run; nothing is kept of it.
pub(super) async fn stop(State(app): State<App>, posted: Posted) -> Shown {
    require(&posted.session)?;
    app.runs.stop(posted.session.caller.0.id);
    Ok(Redirect::to(PATH).into_response())
}
