//! Accounts, for administrators: who there is, what each may do, and who manages whom.

use axum::Json;
use axum::extract::State;
use maud::{Markup, html};

use super::layout::{self, Notice};
use super::list::{Column, Field, List};
use super::refusal::Shown;
use super::session::Session;
use super::words;
use crate::app::App;
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::limits::{CSV_ROWS_MAX, PER_PAGE};
use crate::role::{ADMINISTRATORS, Role};
use crate::routes::user_answer::UserAnswer;
use crate::routes::users::{self, Number};

pub(super) mod edit;

/// Where they are.
pub(super) const PATH: &str = "/console/users";

const COLUMNS: &[Column<UserAnswer>] = &[
    Column::new("Identifiant", "identifiant", |user: &UserAnswer| user.email.clone())
        .shown(|user| html! { a href={(PATH) "/" (user.id)} { (user.email) } }),
    Column::new("Nom", "nom", |user: &UserAnswer| user.name.clone()),
    Column::new("Numéro", "numero", |user: &UserAnswer| user.id.to_string()),
    Column::new("Rôles", "roles", |user: &UserAnswer| {
        user.roles.iter().map(|role| role.name).collect::<Vec<_>>().join(" ")
    })
    .shown(|user| html! { (roles(user)) }),
    Column::new("Gestionnaire", "gestionnaire", manager),
];

/// The list.
pub(super) async fn list(State(app): State<App>, session: Session, query: Query) -> Shown {
    session.caller.require(ADMINISTRATORS)?;
    let names = Role::ALL.map(Role::as_str);
    let fields = vec![
        Field::text("email", "Identifiant"),
        Field::text("name", "Nom"),
        Field::choice("role", "Rôle", &names),
        Field::text("manager", "Gestionnaire"),
    ];
    let list = List {
        path: PATH,
        title: "Comptes",
        file: "comptes",
        fields,
        query: &query,
        file_rows: CSV_ROWS_MAX,
    };
    let found = users::found(&app, &session.caller, &list.asked(), list.per_page(PER_PAGE));
    list.answer_above(&session, found, COLUMNS, &html! { p { a href=(edit::NEW) { "Ajouter un compte" } } })
}

/// One of them.
pub(super) async fn show(State(app): State<App>, session: Session, number: Number) -> Shown {
    page(&app, &session, number, None, &Query::default()).await
}

/// The page of an account, with what was just done, and what was given where that was refused.
async fn page(
    app: &App,
    session: &Session,
    number: Number,
    notice: Option<Notice<'_>>,
    given: &Query,
) -> Shown {
    let user = read(app, session, &number).await?;
    let accounts = app.registry.accounts();
    let version = accounts.id(user.id).ok_or_else(Problem::internal)?.version;
    let content = html! {
        (layout::notice(notice))
        dl {
            dt { "Identifiant" } dd { (user.email) }
            dt { "Numéro" } dd { (user.id) }
            dt { "Rôles" } dd { (roles(&user)) }
        }
        (managed(&user))
        (edit::own_words(session, &user, version, given))
        (edit::rights(session, &user, version, given))
        p { a href=(PATH) { "Tous les comptes" } }
    };
    let title = if user.name.is_empty() { &user.email } else { &user.name };
    Ok(layout::page(Some(session), "", &format!("Compte {title}"), &content))
}

/// An account, for administrators.
async fn read(app: &App, session: &Session, number: &Number) -> Answer<UserAnswer> {
    session.caller.require(ADMINISTRATORS)?;
    let Json(found) = users::read(State(app.clone()), number.clone(), session.caller.clone()).await?;
    found.into_inner().pop().ok_or_else(Problem::internal)
}

fn managed(user: &UserAnswer) -> Markup {
    html! {
        @if !user.managed.is_empty() {
            h2 { "Comptes gérés" }
            ul { @for other in &user.managed { li { a href={(PATH) "/" (other.id)} { (other.email) } } } }
        }
    }
}

fn roles(user: &UserAnswer) -> String {
    words::roles(user.roles.iter().map(|role| role.name))
}

fn manager(user: &UserAnswer) -> String {
    user.manager.as_ref().map(|manager| manager.email.clone()).unwrap_or_default()
}
