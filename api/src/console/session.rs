//! Who is logged in: a token in a cookie, of which the database has the hash alone.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use maud::{Markup, html};
use tokio::time::interval;

use super::ROOT;
use super::refusal::Refusal;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::limits::{SESSION_ASKED_EVERY, SESSION_LASTS};
use crate::registry::accounts::Account;
use crate::role::Role;
use crate::router::Fields;
use crate::secrets::{api_key_digest, hex, random};

/// The cookie's name.
const COOKIE: &str = "maraude_session";
/// Its name over https: browsers take a cookie of this name from this host alone, over https, and for all of it.
const SECURE_COOKIE: &str = "__Host-maraude_session";
/// The name of the field that only our own forms have.
const TOKEN_FIELD: &str = "form_token";
const TOKEN_BYTES: usize = 32;

/// A session that lasts.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Who logged in.
    pub(super) own: Arc<Account>,
    /// For whom they act, which may be another.
    pub(super) caller: Caller,
    /// Whether they may act for other accounts.
    pub(super) may_act_for_others: bool,
    /// That other's number, if so.
    pub(super) acting_as: Option<i32>,
    /// What the session is found by.
    pub(super) token_sha256: String,
    form_token: String,
}

impl Session {
    /// Whether they act for another account.
    pub(super) fn acts_for_another(&self) -> bool {
        self.own.id != self.caller.0.id
    }

    /// The session with its accounts as they are now.
    pub(super) fn renewed(self, app: &App) -> Self {
        let own = app.registry.accounts().id(self.own.id).cloned().unwrap_or(self.own);
        let caller = Caller::acting_as(app, &own, self.caller.0.id).unwrap_or(self.caller);
        Self { own, caller, ..self }
    }

    /// The hidden field of every form that changes something. It is made of the token, which no other site knows, and
    /// tells nothing of it.
    pub(super) fn token_field(&self) -> Markup {
        html! { input type="hidden" name=(TOKEN_FIELD) value=(self.form_token); }
    }
}

/// Until a session ends, or acts for somebody else than it did; while nobody can be asked it lasts.
pub(super) async fn ended(app: App, token_sha256: String, acting_as: Option<i32>) {
    let mut asked = interval(SESSION_ASKED_EVERY);
    loop {
        asked.tick().await;
        let now = app.registry.store().console_session(&token_sha256).await;
        if now.is_ok_and(|row| row.is_none_or(|row| row.acting_as != acting_as)) {
            return;
        }
    }
}

/// A fresh token. A secret.
pub(super) fn new_token() -> Answer<String> {
    let bytes = random::<TOKEN_BYTES>().map_err(|error| Problem::internal().because(&error))?;
    Ok(hex(&bytes))
}

/// What the database has of a token. It is random, so no salt is needed.
pub(super) fn digest(token: &str) -> String {
    api_key_digest(token)
}

/// Whether browsers come by https.
fn is_https(app: &App) -> bool {
    app.behaviour.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
}

/// The header that gives a browser this token; None takes it away.
pub(super) fn cookie(app: &App, token: Option<&str>) -> Answer<HeaderValue> {
    let (name, place) =
        if is_https(app) { (SECURE_COOKIE, "Path=/; Secure") } else { (COOKIE, "Path=/console") };
    let (token, age_s) = token.map_or(("", 0), |token| (token, SESSION_LASTS.as_secs()));
    let text = format!("{name}={token}; {place}; Max-Age={age_s}; HttpOnly; SameSite=Lax");
    HeaderValue::from_str(&text).map_err(|error| Problem::internal().because(&error))
}

/// The token that a browser sent.
pub(super) fn sent<'a>(app: &App, headers: &'a HeaderMap) -> Option<&'a str> {
    named(if is_https(app) { SECURE_COOKIE } else { COOKIE }, headers)
}

fn named<'a>(wanted: &str, headers: &'a HeaderMap) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, token)| *name == wanted && !token.is_empty()).map(|(_, token)| token)
}

/// Who was found to be logged in while a request was answered: a refusal is shown within their page.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<OnceLock<Session>>);

impl Seen {
    /// Them, if anybody was.
    pub(super) fn session(&self) -> Option<&Session> {
        self.0.get()
    }
}

async fn find(parts: &Parts, app: &App) -> Answer<Option<Session>> {
    let Some(token) = sent(app, &parts.headers) else { return Ok(None) };
    let token_sha256 = digest(token);
    let Some(row) = app.registry.store().console_session(&token_sha256).await? else { return Ok(None) };
    let accounts = app.registry.accounts();
    let caller = Caller::of_session(app, (row.user_id, row.acting_as), parts).await?;
    let (Some(caller), Some(own)) = (caller, accounts.id(row.user_id).cloned()) else { return Ok(None) };
    let may_act_for_others =
        own.has(Role::Admin) || accounts.managed_by(own.id).iter().any(|other| own.manages(other));
    let form_token = digest(&format!("form {token}"));
    let acting_as = row.acting_as;
    let session = Session { own, caller, may_act_for_others, acting_as, token_sha256, form_token };
    if let Some(Seen(seen)) = parts.extensions.get() {
        seen.get_or_init(|| session.clone());
    }
    Ok(Some(session))
}

impl FromRequestParts<App> for Session {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let path = || parts.uri.path_and_query().map_or(ROOT, |path| path.as_str()).to_owned();
        find(parts, app).await?.ok_or_else(|| Refusal::LogIn(path()))
    }
}

/// Whoever is logged in, if anybody is.
#[derive(Debug)]
pub(super) struct Visitor(pub(super) Option<Session>);

impl FromRequestParts<App> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        Ok(Self(find(parts, app).await?))
    }
}

/// A form of one of our pages, whoever sent it: a browser says where a form was, and no page can make it lie.
#[derive(Debug)]
pub(super) struct Sent(pub(super) Query);

impl FromRequestParts<App> for Sent {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        if !is_ours(app, &parts.headers) {
            return Err(Refusal::Stale);
        }
        let Fields(fields) = Fields::from_request_parts(parts, app).await?;
        Ok(Self(fields))
    }
}

fn is_ours(app: &App, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // Browsers tell this over https, and on the machine itself.
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let Some(origin) = text(header::ORIGIN) else { return false };
    let public = app.behaviour.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    let from_host = origin.split_once("://").is_some_and(|(_, host)| text(header::HOST) == Some(host));
    from_host || public.as_deref() == Some(origin)
}

/// A form that somebody sent from one of our pages, as of their own session.
#[derive(Debug)]
pub(super) struct Posted {
    /// Who sent it.
    pub(super) session: Session,
    /// What is in it.
    pub(super) fields: Query,
}

impl FromRequestParts<App> for Posted {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let Sent(fields) = Sent::from_request_parts(parts, app).await?;
        // A page to come back to is one that can be looked at.
        let session = find(parts, app).await?.ok_or_else(|| Refusal::LogIn(ROOT.to_owned()))?;
        // Hashed once more, so that the time of the comparison tells nothing of it.
        let given = fields.first(TOKEN_FIELD).map(digest);
        if given != Some(digest(&session.form_token)) {
            return Err(Refusal::Stale);
        }
        Ok(Self { session, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_cookies() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(text))]);
            named(COOKIE, &headers).map(str::to_owned)
        };
        assert_eq!(of("a=b; maraude_session=t0k; c=d"), Some("t0k".to_owned()));
        assert_eq!(of("maraude_session="), None);
        assert_eq!(of("xmaraude_session=t0k"), None);
    }

    #[test]
    fn tokens_are_random() {
        let (one, other) = (new_token().unwrap(), new_token().unwrap());
        assert!(one != other && one.len() == 2 * TOKEN_BYTES);
    }
}
