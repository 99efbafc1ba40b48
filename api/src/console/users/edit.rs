//! Accounts are added here, and changed: what they say of themselves, what they may do, who manages them.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::{PATH, manager, page, read};
use crate::app::App;
use crate::console::layout::{self, Notice};
use crate::console::refusal::{Shown, messages, within};
use crate::console::session::{Posted, Session};
use crate::console::words;
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::limits::NAME_MAX_CHARS;
use crate::role::{ADMINISTRATORS, Role};
use crate::routes::user_answer::UserAnswer;
use crate::routes::users::{self, Number, PASSWORD_MIN, rights};

/// Where an account is added.
pub(super) const NEW: &str = "/console/users/new";

/// What an account says of itself: its name in the API, and what people call it.
const OWN: [(&str, &str); 7] = [
    ("name", "Nom"),
    ("email_customer", "Courriel pour les clients"),
    ("phone_number_customer", "Téléphone pour les clients"),
    ("email_technical", "Courriel technique"),
    ("phone_number_technical", "Téléphone technique"),
    ("hail_endpoint_production", "Adresse appelée pour chaque course"),
    ("operator_header_name", "En-tête qui authentifie le registre"),
];
const PASSWORD: (&str, &str) = ("password", "Mot de passe");
const EMAIL: (&str, &str) = ("email", "Identifiant");
const ROLES: (&str, &str) = ("roles", "Rôles");
const MANAGER: (&str, &str) = ("manager", "Gestionnaire");

/// Changes what an account says of itself, as `PUT /users/:id` does. What stands already is not sent: an endpoint that
/// was right once is not looked up again because of another name.
pub(in crate::console) async fn change(State(app): State<App>, number: Number, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    let user = read(&app, &session, &number).await?;
    let given = |(name, _): (&'static str, _)| Some((name, fields.first(name)?.trim()));
    let differs = |(name, given): &(&str, &str)| *given != stands(&user, name);
    let other = OWN.into_iter().filter_map(given).filter(differs);
    let mut wishes: Map<_, _> = other.map(|(name, given)| (name.to_owned(), json!(given))).collect();
    let password = fields.first(PASSWORD.0).unwrap_or_default();
    // One's own is changed by who knows it.
    if !password.is_empty() && !is_own(&session, &number) {
        wishes.insert(PASSWORD.0.to_owned(), json!(password));
    }
    let body = json!({"data": [wishes]});
    let version = Some(version(&fields));
    let changed = users::change_over(&app, &number, &session.caller, &body, version).await;
    done(&app, session, number, &fields, changed.map(|user| user.is_some()), "Le compte est enregistré.")
        .await
}

/// Says what an account may do, and who manages it.
pub(in crate::console) async fn set_rights(State(app): State<App>, number: Number, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    session.caller.require(ADMINISTRATORS)?;
    let set = rights::set(&app, &session.caller, (&number, version(&fields)), &given_rights(&fields)).await;
    done(&app, session, number, &fields, set, "Les droits sont enregistrés.").await
}

/// The version that a form was made of.
fn version(fields: &Query) -> i64 {
    fields.first("version").and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// The page after a change of an account, which somebody else may have changed since its form was made.
async fn done(
    app: &App,
    session: Session,
    number: Number,
    given: &Query,
    changed: Answer<bool>,
    done: &str,
) -> Shown {
    let session = &session.renewed(app);
    let overtaken = ["Ce compte a été modifié entre-temps : le voici, recommencez.".to_owned()];
    let notice = match changed {
        Ok(true) => Notice::Done(done),
        Ok(false) => Notice::Failed(&overtaken),
        Err(problem) => return refused(app, session, number, problem, given).await,
    };
    page(app, session, number, Some(notice), &Query::default()).await
}

/// The page on which an account is added.
pub(in crate::console) async fn begin(session: Session) -> Shown {
    session.caller.require(ADMINISTRATORS)?;
    Ok(new(&session, None, &Query::default()))
}

/// Adds an account, and shows its key this once.
pub(in crate::console) async fn add(State(app): State<App>, posted: Posted) -> Shown {
    let Posted { session, fields } = posted;
    session.caller.require(ADMINISTRATORS)?;
    let mut wishes = given_rights(&fields);
    for (name, is_trimmed) in [("email", true), ("name", true), ("password", false)] {
        let given = fields.first(name).unwrap_or_default();
        wishes[name] = json!(if is_trimmed { given.trim() } else { given });
    }
    match rights::add(&app, &session.caller, &wishes).await {
        Ok((id, key)) => Ok(added(&session, id, &key)),
        Err(problem) => {
            let names = named(problem.errors());
            within(problem, |why| {
                let why = if names.is_empty() { why } else { &names };
                new(&session, Some(Notice::Failed(why)), &fields)
            })
        }
    }
}

/// The page as it was sent, and what is wrong with it.
async fn refused(app: &App, session: &Session, number: Number, problem: Problem, given: &Query) -> Shown {
    let names = named(problem.errors());
    let mut told = Vec::new();
    // Whether this problem is one that a page tells of; the page itself has to be asked for.
    let answer = within(problem, |why| {
        told = if names.is_empty() { why.to_vec() } else { names };
        Response::default()
    })?;
    let page = page(app, session, number, Some(Notice::Failed(&told)), given).await?;
    let (parts, _) = answer.into_parts();
    Ok(Response::from_parts(parts, page.into_body()))
}

fn is_own(session: &Session, number: &Number) -> bool {
    [session.own.id, session.caller.0.id].iter().any(|id| Number::of(*id) == *number)
}

fn given_rights(fields: &Query) -> Value {
    json!({"roles": fields.all("role"), "manager": fields.first("manager").unwrap_or_default().trim()})
}

/// What stands in one of [`OWN`].
fn stands<'a>(user: &'a UserAnswer, name: &str) -> &'a str {
    match name {
        "name" => &user.name,
        "email_customer" => &user.email_customer,
        "phone_number_customer" => &user.phone_number_customer,
        "email_technical" => &user.email_technical,
        "phone_number_technical" => &user.phone_number_technical,
        "hail_endpoint_production" => &user.hail_endpoint_production,
        _ => &user.operator_header_name,
    }
}

/// What an account says of itself.
pub(super) fn own_words(session: &Session, user: &UserAnswer, version: i64, given: &Query) -> Markup {
    html! {
        h2 { "Ce que le compte dit de lui" }
        form method="post" action={(PATH) "/" (user.id)} {
            (session.token_field())
            input type="hidden" name="version" value=(version);
            @for (name, label) in OWN {
                label for=(name) { (label) }
                input id=(name) name=(name) value=(given.first(name).unwrap_or(stands(user, name)))
                    autocomplete="off";
            }
            @if !is_own(session, &Number::of(user.id)) {
                (password("Vide : inchangé. Un autre ferme ses sessions."))
            }
            div.actions { button type="submit" { "Enregistrer" } }
        }
    }
}

/// What it may do.
pub(super) fn rights(session: &Session, user: &UserAnswer, version: i64, given: &Query) -> Markup {
    let asked = given.all("role");
    // The other form of this page was sent with a name.
    let was_sent = given.first("version").is_some() && given.first(MANAGER.0).is_some();
    let has = |role: Role| {
        if was_sent {
            asked.iter().any(|name| name == role.as_str())
        } else {
            user.roles.iter().any(|own| own.name == role.as_str())
        }
    };
    let by = manager(user);
    html! {
        h2 { "Droits" }
        form method="post" action={(PATH) "/" (user.id) "/rights"} {
            (session.token_field())
            input type="hidden" name="version" value=(version);
            p.hint {
                "Un compte sans rôle ne peut rien faire d’autre que se connecter : ainsi il est fermé, et ce qu’il a \
                 inscrit reste."
            }
            (role_boxes(&has))
            (manager_field(given.first("manager").unwrap_or(&by)))
            div.actions { button type="submit" { "Enregistrer les droits" } }
        }
    }
}

fn role_boxes(has: &dyn Fn(Role) -> bool) -> Markup {
    html! {
        fieldset {
            legend { (ROLES.1) }
            @for role in Role::ALL {
                label.check {
                    input type="checkbox" name="role" value=(role.as_str()) checked[has(role)];
                    " " (words::of(role.as_str()))
                }
            }
        }
    }
}

fn manager_field(value: &str) -> Markup {
    html! {
        label for=(MANAGER.0) { (MANAGER.1) }
        p.hint #manager-hint { "L’identifiant du compte qui peut agir pour celui-ci ; vide : aucun." }
        input id=(MANAGER.0) name=(MANAGER.0) value=(value) autocomplete="off" aria-describedby="manager-hint";
    }
}

fn password(hint: &str) -> Markup {
    html! {
        label for=(PASSWORD.0) { (PASSWORD.1) }
        p.hint #password-hint { (hint) " Au moins " (PASSWORD_MIN) " caractères." }
        // With « off », browsers fill in the console's own password.
        input id=(PASSWORD.0) name=(PASSWORD.0) type="password" minlength=(PASSWORD_MIN) autocomplete="new-password"
            aria-describedby="password-hint";
    }
}

fn new(session: &Session, notice: Option<Notice<'_>>, given: &Query) -> Response {
    let asked = given.all("role");
    let value = |name| given.first(name).unwrap_or_default();
    let content = html! {
        (layout::notice(notice))
        form method="post" action=(NEW) {
            (session.token_field())
            label for=(EMAIL.0) { (EMAIL.1) }
            p.hint #email-hint { "Il ne change plus : les datagrammes et X-Logas nomment le compte ainsi." }
            input id=(EMAIL.0) name=(EMAIL.0) value=(value(EMAIL.0)) required maxlength=(NAME_MAX_CHARS)
                autocomplete="off" aria-describedby="email-hint";
            label for="name" { "Nom" }
            p.hint #name-hint { "Celui que les autres voient ; vide : l’identifiant." }
            input #name name="name" value=(value("name")) maxlength=(NAME_MAX_CHARS) autocomplete="off"
                aria-describedby="name-hint";
            (role_boxes(&|role| asked.iter().any(|name| name == role.as_str())))
            (manager_field(value(MANAGER.0)))
            (password("Vide : le compte ne se connecte pas à la console."))
            div.actions { button type="submit" { "Ajouter le compte" } }
        }
        p { a href=(PATH) { "Tous les comptes" } }
    };
    layout::page(Some(session), "", "Ajouter un compte", &content)
}

fn added(session: &Session, id: i32, key: &str) -> Response {
    let content = html! {
        (layout::notice(Some(Notice::Done("Le compte est ajouté."))))
        p { "Voici sa clé d’API. Elle ne sera plus montrée : transmettez-la maintenant." }
        p.key #key { (key) }
        button type="button" data-copies="key" hidden { "Copier la clé" }
        p { a href={(PATH) "/" (id)} { "Le compte" } " · " a href=(PATH) { "Tous les comptes" } }
    };
    layout::page(Some(session), "", "Compte ajouté", &content)
}

/// What is wrong, field by field, in French.
fn named(errors: &Value) -> Vec<String> {
    let Value::Object(fields) = errors else { return messages(errors) };
    let known = || OWN.into_iter().chain([PASSWORD, EMAIL, ROLES, MANAGER]);
    let told = fields.iter().flat_map(|(field, errors)| match known().find(|(name, _)| name == field) {
        None => named(errors),
        Some((_, label)) => {
            messages(errors).into_iter().map(|message| format!("{label} : {}", in_french(&message))).collect()
        }
    });
    told.collect()
}

fn in_french(message: &str) -> &str {
    match message {
        rights::TAKEN => "un compte s’appelle déjà ainsi.",
        rights::OWN_ROLE => {
            "vous ne pouvez pas vous retirer le rôle d’administrateur ; un autre administrateur le peut."
        }
        rights::NOBODY => "aucun compte n’a cet identifiant.",
        rights::BY_ITSELF => "un compte ne se gère pas lui-même.",
        rights::BY_NO_ADMINISTRATOR => "seul un administrateur peut gérer un administrateur.",
        rights::LENT_TO_ALL => {
            "le compte d’intégration n’est pas administrateur : toute clé peut agir pour lui."
        }
        rights::NO_ROLES => "ce rôle n’existe pas.",
        rights::NO_EMAIL => "il faut de 1 à 255 caractères visibles, sans espace.",
        "Longer than maximum length 255." => "255 caractères au plus.",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_named() {
        let errors = json!({"data": {"0": {"password": ["Shorter than minimum length 8."], "other": ["x"]}}});
        assert_eq!(named(&errors), ["x", "Mot de passe : Le mot de passe doit avoir au moins 8 caractères."]);
        let of_this_page = [
            rights::TAKEN,
            rights::OWN_ROLE,
            rights::NOBODY,
            rights::BY_ITSELF,
            rights::BY_NO_ADMINISTRATOR,
            rights::NO_EMAIL,
            rights::LENT_TO_ALL,
            rights::NO_ROLES,
        ];
        for message in of_this_page {
            assert_ne!(in_french(message), message);
        }
        assert_eq!(
            named(&json!({"email": [rights::TAKEN]})),
            ["Identifiant : un compte s’appelle déjà ainsi."]
        );
    }
}
