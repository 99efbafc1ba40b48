//! Logging in and out.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;
use reqwest::Url;

use super::layout::{self, Notice};
use super::refusal::Shown;
use super::session::{Posted, Sent, Visitor, cookie, digest, new_token, sent};
use super::{ROOT, is_page};
use crate::app::App;
use crate::error::Problem;
use crate::form::query::Query;
use crate::routes::login::{by_password, wrong_credentials};

/// Where somebody logs in.
pub(super) const PATH: &str = "/console/login";

/// A server that is none, against which paths are read.
const NOWHERE: &str = "http://nowhere.invalid";

/// Where somebody logs in who is to be brought to this path.
pub(super) fn address(path: &str) -> String {
    let to = form_urlencoded::Serializer::new(String::new()).append_pair("to", path).finish();
    format!("{PATH}?{to}")
}

/// The form.
pub(super) async fn show(visitor: Visitor, query: Query) -> Response {
    let changed =
        query.first("changed").map(|_| "Votre mot de passe a changé : connectez-vous avec le nouveau.");
    form(&visitor, &query, changed.map(Notice::Done))
}

/// Logs in: the password is tried as by the API, as often and as slowly. The browser's session until then ends: its
/// cookie is replaced, and nobody could log out of it any more.
pub(super) async fn log_in(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Sent(fields): Sent,
) -> Shown {
    let text = |name| fields.first(name).unwrap_or_default().to_owned();
    match begin(&app, text("email"), text("password")).await {
        Ok(token) => {
            if let Some(former) = sent(&app, &headers) {
                app.registry.store().end_console_session(&digest(former)).await?;
            }
            let done = Redirect::to(&way_on(&fields));
            Ok(([(header::SET_COOKIE, cookie(&app, Some(&token))?)], done).into_response())
        }
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            let why = ["Identifiant ou mot de passe incorrect.".to_owned()];
            let page = form(&visitor, &fields, Some(Notice::Failed(&why)));
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
        Err(problem) => Err(problem.into()),
    }
}

/// A new session's token.
async fn begin(app: &App, email: String, password: String) -> Result<String, Problem> {
    let account = by_password(app, email, password).await?;
    let token = new_token()?;
    let hash = account.password_hash().unwrap_or_default();
    let begun = app.registry.store().begin_console_session(&digest(&token), account.id, hash).await?;
    if begun { Ok(token) } else { Err(wrong_credentials()) }
}

/// Logs out.
pub(super) async fn log_out(State(app): State<App>, posted: Posted) -> Shown {
    app.registry.store().end_console_session(&posted.session.token_sha256).await?;
    Ok(([(header::SET_COOKIE, cookie(&app, None)?)], Redirect::to(ROOT)).into_response())
}

/// Where somebody wanted to go, if that is one of our pages.
fn way_on(fields: &Query) -> String {
    // Read as a browser would: what looks like a path may lead elsewhere.
    let wanted = Url::parse(NOWHERE).ok().zip(fields.first("to")).and_then(|(base, to)| base.join(to).ok());
    let path = wanted.as_ref().and_then(|url| url.as_str().strip_prefix(NOWHERE));
    path.filter(|path| is_page(path.split(['?', '#']).next().unwrap_or_default())).unwrap_or(ROOT).to_owned()
}

fn form(visitor: &Visitor, fields: &Query, notice: Option<Notice<'_>>) -> Response {
    let content = html! {
        (layout::notice(notice))
        form method="post" action=(PATH) {
            input type="hidden" name="to" value=(way_on(fields));
            label for="email" { "Identifiant" }
            input #email name="email" required autocomplete="username" value=[fields.first("email")];
            label for="password" { "Mot de passe" }
            input #password name="password" type="password" required autocomplete="current-password";
            div.actions { button type="submit" { "Se connecter" } }
        }
        p.hint { "Un compte sans mot de passe en reçoit un de l’administrateur du registre." }
    };
    layout::page(visitor.0.as_ref(), PATH, "Connexion", &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_brought_elsewhere() {
        let way = |to: &str| way_on(&Query::new(vec![("to".to_owned(), to.to_owned())]));
        assert_eq!(way("/console/account?p=2&q=%C3%A9"), "/console/account?p=2&q=%C3%A9");
        assert_eq!(way_on(&Query::default()), ROOT);
        for elsewhere in [
            "//evil.example/console",
            "/\\evil.example/console",
            "https://evil.example/console/x",
            "/console/../doc",
            "/consoles",
            "javascript:alert(1)",
            "/\t/evil.example/console",
        ] {
            assert_eq!(way(elsewhere), ROOT, "{elsewhere}");
        }
    }
}
