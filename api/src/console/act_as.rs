//! Acting for another account: for administrators, and for who manages it, as with `X-Logas`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use maud::html;

use super::layout;
use super::list::{Field, List, count, heads};
use super::refusal::Shown;
use super::session::{Posted, Session};
use super::words::roles;
use crate::activity::Entry;
use crate::app::App;
use crate::auth::Caller;
use crate::error::Problem;
use crate::form::query::Query;
use crate::limits::CSV_ROWS_MAX;
use crate::routes::users;

/// Where it is chosen.
pub(super) const PATH: &str = "/console/act-as";

/// The accounts that may be acted for, a page of them.
pub(super) async fn list(State(app): State<App>, session: Session, query: Query) -> Shown {
    if !session.may_act_for_others {
        return Err(Problem::forbidden().into());
    }
    let own = own(&app, &session)?;
    let fields = vec![Field::text("email", "Identifiant"), Field::text("name", "Nom")];
    let list = List {
        path: PATH,
        title: "Agir pour un compte",
        file: "comptes",
        fields,
        query: &query,
        file_rows: CSV_ROWS_MAX,
    };
    let Json(page) = users::list(State(app), own, list.asked()).await?;
    let (accounts, meta) = page.into_parts();
    let content = html! {
        (list.search())
        div.scroll tabindex="0" role="region" aria-label="Comptes" {
            table {
                caption { (count(&meta)) }
                (heads(&["Nom", "Identifiant", "Rôles", "Agir"]))
                tbody { @for account in &accounts { tr {
                    th scope="row" { (account.name) }
                    td { (account.email) }
                    td { (roles(account.roles.iter().map(|role| role.name))) }
                    td { @if account.id != session.own.id {
                        form method="post" action=(PATH) {
                            (session.token_field())
                            input type="hidden" name="account" value=(account.id);
                            button type="submit" aria-label={"Agir en tant que " (account.email)} { "Agir" }
                        }
                    } }
                } } }
            }
        }
        (list.pager(&meta))
    };
    Ok(layout::page(Some(&session), list.path, list.title, &content))
}

/// Begins to act for an account. That is in the activity log first.
pub(super) async fn begin(State(app): State<App>, uri: Uri, posted: Posted) -> Shown {
    let other = posted.fields.first("account").and_then(|id| id.parse().ok());
    let other = other.and_then(|id| Caller::acting_as(&app, &posted.session.own, id));
    let other = other.ok_or_else(Problem::forbidden)?;
    let store = app.registry.store();
    let entry = Entry::acted_as(other.0.id, "POST", uri.path());
    store.log_activity(other.actor(), &entry).await?;
    let acting_as = Some(other.0.id).filter(|id| *id != posted.session.own.id);
    store.act_in_console(&posted.session.token_sha256, acting_as).await?;
    Ok(Redirect::to(super::ROOT).into_response())
}

/// Goes on for oneself.
pub(super) async fn end(State(app): State<App>, posted: Posted) -> Shown {
    app.registry.store().act_in_console(&posted.session.token_sha256, None).await?;
    Ok(Redirect::to(PATH).into_response())
}

/// Whoever logged in, for themselves.
fn own(app: &App, session: &Session) -> Result<Caller, Problem> {
    Caller::acting_as(app, &session.own, session.own.id).ok_or_else(Problem::forbidden)
}
