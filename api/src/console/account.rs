//! « Mon compte » : where hails are sent, the key, the password.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::layout::{self, Notice};
use super::refusal::{Refusal, Shown, messages};
use super::session::{Posted, Session, cookie};
use super::words;
use crate::app::App;
use crate::error::{Answer, Problem};
use crate::limits::{TRIAL_WITHIN, TRIALS_MAX};
use crate::outbound::{Call, CallError, Reply};
use crate::role::Role;
use crate::router::Payload;
use crate::routes::hails::call;
use crate::routes::users::{self, Number, PASSWORD_MIN};

/// Where it is.
pub(super) const PATH: &str = "/console/account";

const WRONG_PASSWORD: &str = "Le mot de passe actuel est incorrect.";

/// Calls that try operators' servers, of the whole process.
static TRIALS: Semaphore = Semaphore::const_new(TRIALS_MAX);

/// The page.
pub(super) async fn show(session: Session) -> Response {
    page(&session, None, None)
}

/// Says where hails are sent, and with which header.
pub(super) async fn set_endpoint(State(app): State<App>, posted: Posted) -> Shown {
    let mut wishes = Map::new();
    for name in ["hail_endpoint_production", "operator_header_name", "operator_api_key"] {
        let given = posted.fields.first(name).unwrap_or_default().trim();
        // A secret that is not shown is not taken away by a form that does not show it.
        if name != "operator_api_key" || !given.is_empty() {
            wishes.insert(name.to_owned(), json!(given));
        }
    }
    if posted.fields.first("remove_secret").is_some() {
        wishes.insert("operator_api_key".to_owned(), json!(""));
    }
    let done = "L’adresse et l’en-tête sont enregistrés.";
    changed(app, posted, wishes, done).await
}

/// Calls the account's server as for a hail, with one that is none, and shows what came of it.
pub(super) async fn try_endpoint(State(app): State<App>, posted: Posted) -> Shown {
    let session = posted.session;
    let account = &session.caller.0;
    if account.hail_endpoint_production.is_empty() {
        let why = ["Enregistrez d’abord l’adresse à appeler.".to_owned()];
        return Ok(page(&session, Some(Notice::Failed(&why)), None));
    }
    let Ok(_turn) = TRIALS.try_acquire() else {
        return Err(Problem::overloaded("trial calls").into());
    };
    let body = call::example().map_err(|error| Problem::internal().because(&error))?;
    let own = (account.operator_header_name.as_str(), account.operator_api_key());
    let (began, within) = (app.clock.now(), TRIAL_WITHIN);
    let trial = Call {
        url: &account.hail_endpoint_production,
        header: Some(own).filter(|(name, _)| !name.is_empty()),
        signing_key: Some(account.api_key()),
        body,
        at: began,
        within,
    };
    let since = tokio::time::Instant::now();
    let reply = app.outbound.post(trial).await;
    let told = outcome(&reply, since.elapsed());
    Ok(match told {
        Ok(done) => page(&session, Some(Notice::Done(&done)), None),
        Err(why) => page(&session, Some(Notice::Failed(&[why])), None),
    })
}

/// What came of a trial call, in a sentence; judged as a hail's is.
fn outcome(reply: &Result<Reply, CallError>, took: Duration) -> Result<String, String> {
    let took_ms = took.as_millis();
    match reply {
        Err(error) => {
            let why = words::call_error(*error);
            Err(format!("L’appel d’essai a échoué après {took_ms} ms : {why}."))
        }
        Ok(reply) => match call::read(reply) {
            Ok(_) => Ok(format!("L’appel d’essai a réussi : réponse {} en {took_ms} ms.", reply.status)),
            Err(_) if (200..300).contains(&reply.status) => {
                Err(format!("Votre serveur a répondu {} en {took_ms} ms, mais pas en JSON.", reply.status))
            }
            Err(_) => Err(format!(
                "Votre serveur a répondu {} en {took_ms} ms ; une réponse de 200 à 299 est attendue.",
                reply.status
            )),
        },
    }
}

/// Gives the account a fresh key, and shows it this once. A form that was sent before, or was overtaken by another
/// change of the account, is stale: loading the page of the new key again does not replace it.
pub(super) async fn rotate_key(State(app): State<App>, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let version = fields.first("version").and_then(|version| version.parse().ok()).ok_or(Refusal::Stale)?;
    let password = fields.first("current").unwrap_or_default().to_owned();
    if !is_own_password(&app, &session, password).await? {
        return Ok(page(&session, Some(Notice::Failed(&[WRONG_PASSWORD.to_owned()])), None));
    }
    let caller = &session.caller;
    let whose = (caller.0.id, caller.0.email.clone());
    let key = app.registry.rotate_key(caller.actor(), whose, version).await?.ok_or(Refusal::Stale)?;
    let done = "La nouvelle clé est en service ; l’ancienne est refusée dès maintenant.";
    Ok(page(&session.renewed(&app), Some(Notice::Done(done)), Some(&key)))
}

/// Whether this is the password of whoever is at the keyboard, whomever they act for; tried as often as in logging in.
async fn is_own_password(app: &App, session: &Session, password: String) -> Answer<bool> {
    let (own, now) = (&session.own, app.clock.now());
    app.passwords.is_right(&own.email, password, own.password_hash(), now).await
}

/// Changes the password, which ends all sessions of the account, this one too.
pub(super) async fn set_password(State(app): State<App>, posted: Posted) -> Shown {
    let session = &posted.session;
    // Whoever acts for another does not know its password.
    if session.acts_for_another() {
        return Err(Problem::forbidden().into());
    }
    let text = |name| posted.fields.first(name).unwrap_or_default().to_owned();
    let failed = |why: &str| page(session, Some(Notice::Failed(&[why.to_owned()])), None);
    let (old, new, again) = (text("old"), text("new"), text("again"));
    if new != again {
        return Ok(failed("Les deux saisies du nouveau mot de passe diffèrent."));
    }
    // Empty, the API would leave the old one.
    if new.is_empty() {
        return Ok(failed("Le nouveau mot de passe est vide."));
    }
    if !is_own_password(&app, session, old).await? {
        return Ok(failed(WRONG_PASSWORD));
    }
    let mut wishes = Map::new();
    wishes.insert("password".to_owned(), json!(new));
    let changed = changed(app.clone(), posted, wishes, "").await?;
    if changed.status() != StatusCode::OK {
        return Ok(changed);
    }
    let again = Redirect::to(&format!("{}?changed=1", super::login::PATH));
    Ok(([(header::SET_COOKIE, cookie(&app, None)?)], again).into_response())
}

/// Changes the account as `PUT /users/:id` does.
async fn changed(app: App, posted: Posted, wishes: Map<String, Value>, done: &str) -> Shown {
    let Posted { session, .. } = posted;
    let (number, caller) = (Number::of(session.caller.0.id), session.caller.clone());
    let body = Payload(json!({"data": [wishes]}));
    match users::change(State(app.clone()), number, caller, body).await {
        Ok(Json(_)) => {
            let session = session.renewed(&app);
            Ok(page(&session, Some(Notice::Done(done)), None))
        }
        Err(problem) if problem.status() == StatusCode::BAD_REQUEST => {
            let why = messages(problem.errors());
            Ok((StatusCode::BAD_REQUEST, page(&session, Some(Notice::Failed(&why)), None)).into_response())
        }
        Err(problem) => Err(Refusal::from(problem)),
    }
}

fn page(session: &Session, notice: Option<Notice<'_>>, key: Option<&str>) -> Response {
    let account = &session.caller.0;
    let roles = words::roles(account.roles.iter().map(|role| role.as_str()));
    let content = html! {
        (layout::notice(notice))
        dl {
            dt { "Identifiant" } dd { (account.email) }
            dt { "Nom" } dd { (account.name) }
            dt { "Rôles" } dd { (roles) }
            dt { "Numéro" } dd { (account.id) }
        }
        @if account.has(Role::Operateur) || account.has(Role::Admin) { (endpoint(session)) }
        (key_part(session, key))
        @if !session.acts_for_another() { (password(session)) }
    };
    layout::page(Some(session), PATH, "Mon compte", &content)
}

fn endpoint(session: &Session) -> Markup {
    let account = &session.caller.0;
    let has_secret = !account.operator_api_key().is_empty();
    html! {
        h2 { "Réception des courses" }
        form method="post" action="/console/account/endpoint" {
            (session.token_field())
            label for="endpoint" { "Adresse appelée pour chaque course" }
            p.hint #endpoint-hint { "Une URL http ou https ; vide, vous lisez vos courses vous-même." }
            input #endpoint name="hail_endpoint_production" type="url" value=(account.hail_endpoint_production)
                aria-describedby="endpoint-hint";
            label for="header" { "En-tête qui authentifie le registre" }
            input #header name="operator_header_name" value=(account.operator_header_name) autocomplete="off";
            label for="secret" { "Valeur de cet en-tête" }
            p.hint #secret-hint {
                @if has_secret { "Elle est enregistrée et n’est pas montrée ; laissez vide pour la conserver." }
                @else { "Aucune n’est enregistrée." }
            }
            // With « off », browsers fill in the console's own password.
            input #secret name="operator_api_key" type="password" autocomplete="new-password"
                aria-describedby="secret-hint";
            @if has_secret {
                label { input name="remove_secret" type="checkbox" value="1"; " Retirer la valeur" }
            }
            div.actions { button type="submit" { "Enregistrer" } }
        }
        form method="post" action="/console/account/trial" {
            (session.token_field())
            p.hint {
                "L’essai envoie à l’adresse enregistrée une course d’exemple (" code { (call::EXAMPLE_ID) } "), \
                 signée comme une vraie ; répondez-y sans chercher de taxi."
            }
            div.actions { button type="submit" { "Appel d’essai" } }
        }
    }
}

fn key_part(session: &Session, key: Option<&str>) -> Markup {
    html! {
        h2 { "Clé d’API" }
        @if let Some(key) = key {
            p { "Voici votre nouvelle clé. Elle ne sera plus montrée : gardez-la maintenant." }
            p.key #key { (key) }
            button type="button" data-copies="key" hidden { "Copier la clé" }
        } @else {
            p { "Votre clé n’est montrée qu’au moment où elle est créée. Si vous l’avez perdue, créez-en une autre." }
        }
        form method="post" action="/console/account/key" {
            (session.token_field())
            input type="hidden" name="version" value=(session.caller.0.version);
            label for="current" {
                @if session.acts_for_another() { "Votre propre mot de passe" } @else { "Mot de passe actuel" }
            }
            p.hint #current-hint {
                "L’ancienne clé est refusée aussitôt : vos programmes devront utiliser la nouvelle."
            }
            input #current name="current" type="password" required autocomplete="current-password"
                aria-describedby="current-hint";
            div.actions { button type="submit" { "Créer une nouvelle clé" } }
        }
    }
}

fn password(session: &Session) -> Markup {
    html! {
        h2 { "Mot de passe" }
        form method="post" action="/console/account/password" {
            (session.token_field())
            label for="old" { "Mot de passe actuel" }
            input #old name="old" type="password" required autocomplete="current-password";
            label for="new" { "Nouveau mot de passe" }
            p.hint #new-hint { "Au moins " (PASSWORD_MIN) " caractères. Toutes vos sessions seront fermées." }
            input #new name="new" type="password" required minlength=(PASSWORD_MIN) autocomplete="new-password"
                aria-describedby="new-hint";
            label for="again" { "Confirmez le nouveau mot de passe" }
            input #again name="again" type="password" required autocomplete="new-password";
            div.actions { button type="submit" { "Changer le mot de passe" } }
        }
    }
}
