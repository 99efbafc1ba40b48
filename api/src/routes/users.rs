//! `GET` and `PUT /users/:id`: an account, for itself and for administrators.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use reqwest::Url;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::{Field, Form, envelope, kind, messages};
use crate::registry::accounts::{Account, Accounts};
use crate::role::Role;
use crate::router::Payload;
use crate::secrets::hash_password;
use crate::store::users::UserChanges;

/// The least length of a password, in characters.
pub const PASSWORD_MIN: usize = 8;

/// An account.
pub async fn read(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer<Json<Value>> {
    caller.require_own_account()?;
    let accounts = app.registry.accounts();
    let account = find(&accounts, &caller, &id)?;
    Ok(Json(envelope::answer(&render(&accounts, account))))
}

/// Changes what an account says of itself; email, key, roles and manager stay.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Payload(body): Payload,
) -> Answer<Json<Value>> {
    caller.require_own_account()?;
    let accounts = app.registry.accounts();
    let account = find(&accounts, &caller, &id)?;
    let wishes = envelope::one_if_any(&body, read_changes)?.unwrap_or_default();
    if let Some(endpoint) =
        wishes.changes.hail_endpoint_production.as_deref().filter(|endpoint| !endpoint.is_empty())
        && !is_callable(endpoint, app.behaviour.private_endpoints).await
    {
        let errors = json!({"hail_endpoint_production": ["This endpoint is invalid."]});
        return Err(Problem::data(StatusCode::BAD_REQUEST, &errors));
    }
    let mut changes = wishes.changes;
    if let Some(password) = wishes.password {
        let hash = tokio::task::spawn_blocking(move || hash_password(&password)).await;
        changes.password_hash =
            Some(hash.map_err(|_| Problem::internal())?.map_err(|_| Problem::internal())?);
    }
    let found = app
        .registry
        .change_user((account.id, account.email.clone()), changes, wishes.operator_api_key)
        .await?;
    let accounts = app.registry.accounts();
    match accounts.id(account.id).filter(|_| found) {
        Some(account) => Ok(Json(envelope::answer(&render(&accounts, account)))),
        None => Err(not_found(&id)),
    }
}

fn find<'a>(accounts: &'a Accounts, caller: &Caller, id: &str) -> Answer<&'a Arc<Account>> {
    // What is no number is no account's path.
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::unknown_path());
    }
    let account = id.parse().ok().and_then(|id| accounts.id(id)).ok_or_else(|| not_found(id))?;
    if account.id == caller.0.id || caller.0.has(Role::Admin) {
        Ok(account)
    } else {
        Err(Problem::url(StatusCode::FORBIDDEN, "You do not have the permissions to access this user."))
    }
}

fn not_found(id: &str) -> Problem {
    Problem::url(StatusCode::NOT_FOUND, &format!("User {id} not found."))
}

#[derive(Default)]
struct Wishes {
    changes: UserChanges,
    operator_api_key: Option<String>,
    password: Option<String>,
}

fn read_changes(element: &Value) -> Field<Wishes> {
    let mut form = Form::begin(element)?;
    let mut text = |name| form.nullable(name, kind::string).map(Option::unwrap_or_default);
    let changes = UserChanges {
        name: text("name"),
        email_customer: text("email_customer"),
        email_technical: text("email_technical"),
        phone_number_customer: text("phone_number_customer"),
        phone_number_technical: text("phone_number_technical"),
        hail_endpoint_production: text("hail_endpoint_production"),
        operator_header_name: form
            .nullable("operator_header_name", header_name)
            .map(Option::unwrap_or_default),
        ..UserChanges::default()
    };
    let operator_api_key = form.nullable("operator_api_key", header_value).map(Option::unwrap_or_default);
    let password = form.optional("password", password).filter(|password| !password.is_empty());
    // Partners put back what they got; these are not theirs to change.
    for name in ["id", "email", "apikey", "roles", "managed", "manager"] {
        form.nullable(name, |_| Ok(()));
    }
    form.finish(Some(Wishes { changes, operator_api_key, password }))
}

/// A new password; empty means none.
fn password(value: &Value) -> Field<String> {
    let text = kind::string(value)?;
    if text.is_empty() || text.chars().count() >= PASSWORD_MIN {
        Ok(text)
    } else {
        Err(messages(&format!("Shorter than minimum length {PASSWORD_MIN}.")))
    }
}

/// The name of a header, or nothing.
fn header_name(value: &Value) -> Field<String> {
    let text = kind::string(value)?;
    let legal = text.is_ascii()
        && !text.starts_with(|first: char| first == ':' || first.is_ascii_whitespace())
        && !text.contains([':', '\r', '\n']);
    if legal { Ok(text) } else { Err(messages("Invalid header name")) }
}

/// The value of a header: a line break in it would begin another header.
fn header_value(value: &Value) -> Field<String> {
    let text = kind::string(value)?;
    if text.is_ascii() && !text.contains(['\r', '\n']) {
        Ok(text)
    } else {
        Err(messages("Invalid header value"))
    }
}

/// Whether hails may be posted there: over HTTP, and not inside our own network unless that is allowed.
async fn is_callable(endpoint: &str, private_allowed: bool) -> bool {
    let Ok(url) = Url::parse(endpoint) else {
        return false;
    };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    if !matches!(url.scheme(), "http" | "https") {
        return false;
    }
    if private_allowed {
        return true;
    }
    let host = host.trim_matches(['[', ']']);
    match tokio::net::lookup_host((host, port)).await {
        Ok(mut addresses) => addresses.all(|address| is_public(address.ip())),
        Err(_) => false,
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let reserved = a == 0 || a >= 240 || (a == 198 && (b == 18 || b == 19));
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || shared
                || reserved)
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(mapped) => is_public(IpAddr::V4(mapped)),
            None => {
                !(ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local())
            }
        },
    }
}

fn render(accounts: &Accounts, account: &Account) -> Value {
    let named = |other: &Arc<Account>| json!({"id": other.id, "email": other.email, "name": other.name});
    let managed: Vec<_> = accounts.managed_by(account.id).into_iter().map(named).collect();
    let roles: Vec<_> = account.roles.iter().map(|role| json!({"name": role.as_str()})).collect();
    json!({
        "id": account.id, "email": account.email, "name": account.name, "apikey": account.api_key(), "roles": roles,
        "email_customer": account.email_customer, "email_technical": account.email_technical,
        "phone_number_customer": account.phone_number_customer,
        "phone_number_technical": account.phone_number_technical,
        "hail_endpoint_production": account.hail_endpoint_production,
        "operator_header_name": account.operator_header_name, "operator_api_key": account.operator_api_key(),
        "manager": account.manager_id.and_then(|id| accounts.id(id)).map(named), "managed": managed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_cannot_smuggle_another() {
        assert!(header_name(&json!("X-Secret")).is_ok() && header_name(&json!("")).is_ok());
        for name in ["X: Y", ":x", "X\r\nY", "é", " X"] {
            assert!(header_name(&json!(name)).is_err(), "{name:?}");
        }
        assert!(header_value(&json!("open sesame")).is_ok());
        assert!(header_value(&json!("a\r\nb")).is_err());
    }

    #[test]
    fn our_own_network_is_not_public() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        assert!(is_public("8.8.8.8".parse().unwrap()) && is_public("2001:4860:4860::8888".parse().unwrap()));
    }

    #[tokio::test]
    async fn endpoints_are_http_and_public_unless_allowed() {
        assert!(!is_callable("http://127.0.0.1:9/hail", false).await);
        assert!(is_callable("http://127.0.0.1:9/hail", true).await);
        assert!(!is_callable("ftp://127.0.0.1/", true).await);
        assert!(!is_callable("not a url", true).await);
        assert!(!is_callable("http://[::1]/", false).await);
    }
}
