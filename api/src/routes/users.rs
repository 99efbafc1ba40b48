//! `GET` and `PUT /users/:id`, `GET /users`: accounts, for themselves, their managers and administrators.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use reqwest::Url;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::query::{Query, page};
use crate::form::{Field, Form, envelope, kind, messages};
use crate::registry::accounts::{Account, Accounts};
use crate::role::Role;
use crate::router::Payload;
use crate::store::users::UserChanges;

/// The least length of a password, in characters.
pub const PASSWORD_MIN: usize = 8;

/// An account.
pub async fn read(State(app): State<App>, number: Number, caller: Caller) -> Answer<Json<Value>> {
    caller.require_own_account()?;
    let accounts = app.registry.accounts();
    let account = find(&accounts, &caller, &number)?;
    Ok(Json(envelope::answer(&render(&accounts, account))))
}

/// Changes what an account says of itself; email, key, roles and manager stay.
pub async fn change(
    State(app): State<App>,
    number: Number,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<Json<Value>> {
    caller.require_own_account()?;
    let accounts = app.registry.accounts();
    let account = find(&accounts, &caller, &number)?;
    // Asked of the network first, so that its error stands beside those of the other fields.
    let endpoint = body.pointer("/data/0/hail_endpoint_production").and_then(Value::as_str);
    let callable = match endpoint.filter(|endpoint| !endpoint.is_empty()) {
        Some(endpoint) => is_callable(endpoint, app.behaviour.private_endpoints).await,
        None => true,
    };
    let wishes = envelope::one_if_any(&body, |element| read_changes(element, callable))?.unwrap_or_default();
    let mut changes = wishes.changes;
    if let Some(password) = wishes.password {
        changes.password_hash = Some(app.passwords.hash(password).await?);
    }
    let found = app
        .registry
        .change_user(caller.actor(), (account.id, account.email.clone()), changes, wishes.operator_api_key)
        .await?;
    let accounts = app.registry.accounts();
    match accounts.id(account.id).filter(|_| found) {
        Some(account) => Ok(Json(envelope::answer(&render(&accounts, account)))),
        None => Err(not_found(&number)),
    }
}

/// A page of the accounts that the caller may see: all for an administrator, else those it manages.
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Value>> {
    caller.require_own_account()?;
    let page = page(&query, &["name", "email", "role", "manager"])?;
    for name in ["name", "email"] {
        if query.all(name).len() > 1 {
            let message = format!("Argument `{name}` should not be specified more than once");
            return Err(Problem::invalid(json!({"_schema": [message]})));
        }
    }
    let accounts = app.registry.accounts();
    let mut listed = if caller.0.has(Role::Admin) {
        let (roles, managers) = (query.all("role"), query.all("manager"));
        let manager = |account: &Account| account.manager_id.and_then(|id| accounts.id(id));
        let mut all = accounts.all();
        all.retain(|account| {
            let has = |role: &String| account.roles.iter().any(|own| own.as_str() == role);
            let managed_by = |part: &String| manager(account).is_some_and(|by| contains(&by.email, part));
            (roles.is_empty() || roles.iter().any(has))
                && (managers.is_empty() || managers.iter().any(managed_by))
        });
        all
    } else {
        accounts.managed_by(caller.0.id)
    };
    let wanted = |part: Option<&str>, text: &str| part.is_none_or(|part| contains(text, part));
    listed.retain(|account| {
        wanted(query.first("email"), &account.email) && wanted(query.first("name"), &account.name)
    });
    let (limit, offset) = page.limit_offset();
    let at = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let shown = listed.iter().skip(at(offset)).take(at(limit));
    let data: Vec<_> = shown.map(|account| render(&accounts, account)).collect();
    Ok(Json(json!({"data": data, "meta": page.meta(i64::try_from(listed.len()).unwrap_or(i64::MAX))})))
}

/// Whether `part` occurs in `text`, without regard to case.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// The number in a path, in digits without leading zeros. What is no number is no account's path, whoever asks.
#[derive(Debug)]
pub struct Number(String);

impl FromRequestParts<App> for Number {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let Path(text) = path.map_err(|_| Problem::unknown_path())?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Problem::unknown_path());
        }
        let digits = text.trim_start_matches('0');
        Ok(Self(if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }))
    }
}

fn find<'a>(accounts: &'a Accounts, caller: &Caller, number: &Number) -> Answer<&'a Arc<Account>> {
    let account = number.0.parse().ok().and_then(|id| accounts.id(id)).ok_or_else(|| not_found(number))?;
    if account.id == caller.0.id || caller.0.has(Role::Admin) {
        Ok(account)
    } else {
        Err(Problem::url(StatusCode::FORBIDDEN, "You do not have the permissions to access this user."))
    }
}

fn not_found(number: &Number) -> Problem {
    Problem::url(StatusCode::NOT_FOUND, &format!("User {} not found.", number.0))
}

#[derive(Default)]
struct Wishes {
    changes: UserChanges,
    operator_api_key: Option<String>,
    password: Option<String>,
}

fn read_changes(element: &Value, callable: bool) -> Field<Wishes> {
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
    if !callable {
        form.error("hail_endpoint_production", messages("This endpoint is invalid."));
    }
    // Partners put back what they got; these are checked, but not theirs to change.
    form.optional("id", kind::integer);
    form.optional("email", kind::string);
    form.optional("apikey", kind::string);
    form.optional("roles", |value| each(value, "Not a valid list.", read_role));
    form.optional("managed", |value| each(value, "Invalid type.", read_reference));
    form.nullable("manager", read_reference);
    form.finish(Some(Wishes { changes, operator_api_key, password }))
}

fn read_role(value: &Value) -> Field<()> {
    if value.is_null() {
        return Err(messages("Field may not be null."));
    }
    let mut form = Form::begin(value)?;
    form.optional("name", kind::string);
    form.finish(Some(()))
}

/// Another account as an account shows it.
fn read_reference(value: &Value) -> Field<()> {
    let mut form = Form::begin(value)?;
    form.optional("id", kind::integer);
    form.optional("email", kind::string);
    form.optional("name", kind::string);
    form.finish(Some(()))
}

/// Every element of a list is right, or what is wrong by its place.
fn each(value: &Value, no_list: &str, read: impl Fn(&Value) -> Field<()>) -> Field<()> {
    let elements = value.as_array().ok_or_else(|| messages(no_list))?;
    let wrong =
        elements.iter().enumerate().filter_map(|(i, element)| Some((i.to_string(), read(element).err()?)));
    let wrong: Map<_, _> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(Value::Object(wrong)) }
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

/// An account as it sees itself, its key included.
pub(super) fn render(accounts: &Accounts, account: &Account) -> Value {
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
    fn what_may_not_be_changed_is_checked_all_the_same() {
        let errors = |element: Value| read_changes(&element, true).err().unwrap_or_default();
        let put_back = json!({"id": 3, "email": "a", "apikey": "k", "roles": [{"name": "admin"}], "manager": null,
                              "managed": [{"id": 4, "email": "b", "name": "B"}]});
        assert_eq!(errors(put_back), Value::Null);
        assert_eq!(
            errors(json!({"id": "x", "email": null, "apikey": 1, "roles": ["admin", null], "managed": {},
                          "manager": {"commercial_name": "x"}})),
            json!({"id": ["Not a valid integer."], "email": ["Field may not be null."],
                   "apikey": ["Not a valid string."],
                   "roles": {"0": {"_schema": ["Invalid input type."]}, "1": ["Field may not be null."]},
                   "managed": ["Invalid type."], "manager": {"commercial_name": ["Unknown field."]}})
        );
    }

    #[test]
    fn a_wrong_endpoint_stands_beside_other_wrong_fields() {
        let element = json!({"hail_endpoint_production": "nowhere", "password": "short", "foo": 1});
        let errors = read_changes(&element, false).err().unwrap();
        let told: Vec<_> = errors.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(told, ["foo", "hail_endpoint_production", "password"]);
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
