//! `GET` and `PUT /users/:id`, `GET /users`: accounts, for themselves, their managers and administrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use super::user_answer::UserAnswer;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::envelope::{self, Elements, Paged};
use crate::form::kind::{Integer, Kind, Object, Text, TextThat};
use crate::form::query::{Query, page};
use crate::form::{Field, Form, messages};
use crate::limits::PER_PAGE;
use crate::openapi::{Chapter, Operation};
use crate::registry::accounts::{Account, Accounts};
use crate::role::Role;
use crate::router::Payload;
use crate::store::users::UserChanges;

pub(crate) mod rights;

/// The least length of a password, in characters.
pub const PASSWORD_MIN: usize = 8;

/// An account.
pub async fn read(
    State(app): State<App>,
    number: Number,
    caller: Caller,
) -> Answer<Json<Elements<UserAnswer>>> {
    caller.require_own_account()?;
    let accounts = app.registry.accounts();
    let account = find(&accounts, &caller, &number)?;
    Ok(envelope::of_one(UserAnswer::of(&accounts, account)))
}

/// `GET /users/{id}` in the reference.
pub fn describe_read() -> Operation {
    one_account("An account", "For the account itself and for administrators.")
}

fn one_account(summary: &'static str, about: &'static str) -> Operation {
    Operation::new(Chapter::Accounts, summary, about)
        .any_account()
        .path(
            "id",
            &json!({"type": "string", "pattern": "^([0-9]+|me)$"}),
            "The account's number, or `me`.",
            "3",
        )
        .one(200, "The account.", &UserAnswer::example())
        .refuses_with(
            "The account is lent: `X-Logas` with the account of integration tests.",
            &Problem::forbidden(),
        )
        .refuses_with("The account is somebody else's.", &not_yours())
        .refuses_with("No such account.", &not_found(&Number("0".to_owned())))
        .refuses_with("What is no number is no account's path.", &Problem::unknown_path())
}

/// Changes what an account says of itself; email, key, roles and manager stay.
pub async fn change(
    State(app): State<App>,
    number: Number,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<Json<Elements<UserAnswer>>> {
    let changed = change_over(&app, &number, &caller, &body, None).await?;
    changed.map(envelope::of_one).ok_or_else(|| not_found(&number))
}

/// The same, over this version of the account, if one is given. None: it has another version by now, or is gone.
pub(crate) async fn change_over(
    app: &App,
    number: &Number,
    caller: &Caller,
    body: &Value,
    version: Option<i64>,
) -> Answer<Option<UserAnswer>> {
    caller.require_own_account()?;
    let accounts = app.registry.accounts();
    let account = find(&accounts, caller, number)?;
    let endpoint = body.pointer("/data/0/hail_endpoint_production").and_then(Value::as_str);
    let endpoint = endpoint.filter(|endpoint| !endpoint.is_empty());
    let endpoint = endpoint.map(|endpoint| Endpoint::read(endpoint, app.behaviour.private_endpoints));
    let callable = !matches!(endpoint, Some(None));
    let wishes = envelope::one_if_any(body, Changes { callable })?.unwrap_or_default();
    // The network is asked for what is otherwise right only: that takes the time of others.
    if let Some(Some(endpoint)) = endpoint
        && !endpoint.is_public().await?
    {
        envelope::one_if_any(body, Changes { callable: false })?;
    }
    let mut changes = UserChanges { if_version: version, ..wishes.changes };
    if let Some(password) = wishes.password {
        changes.password_hash = Some(app.passwords.hash(password).await?);
    }
    let found = app
        .registry
        .change_user(caller.actor(), (account.id, account.email.clone()), changes, wishes.operator_api_key)
        .await?;
    let accounts = app.registry.accounts();
    let account = accounts.id(account.id).filter(|_| found);
    Ok(account.map(|account| UserAnswer::of(&accounts, account)))
}

/// `PUT /users/{id}` in the reference.
pub fn describe_change() -> Operation {
    let about = "For the account itself and for administrators. What is left out stays; email, key, roles and \
                 managers are checked and not changed here.";
    let request = json!({"name": "My taxis", "email_technical": "technique@example.org"});
    let unreachable = json!({"data": {"0": {"hail_endpoint_production": [NOT_CALLABLE]}}});
    one_account("Changes what an account says of itself", about)
        .body(&Changes { callable: true }, &request)
        .writes()
        .refuses(400, "Hails cannot be sent there.", &unreachable)
}

/// A page of the accounts that the caller may see: all for an administrator, else those it manages.
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Paged<UserAnswer>>> {
    Ok(Json(found(&app, &caller, &query, PER_PAGE)?))
}

/// The same with so many accounts a page.
pub(crate) fn found(app: &App, caller: &Caller, query: &Query, per_page: i64) -> Answer<Paged<UserAnswer>> {
    caller.require_own_account()?;
    let page = page(query, &["name", "email", "role", "manager"])?.of(per_page);
    if let Some(name) = ["name", "email"].into_iter().find(|name| query.all(name).len() > 1) {
        return Err(more_than_once(name));
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
        let mut managed = accounts.managed_by(caller.0.id);
        // What is shown has the key.
        managed.retain(|account| caller.0.manages(account));
        managed
    };
    let wanted = |part: Option<&str>, text: &str| part.is_none_or(|part| contains(text, part));
    listed.retain(|account| {
        wanted(query.first("email"), &account.email) && wanted(query.first("name"), &account.name)
    });
    let (limit, offset) = page.limit_offset();
    let at = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let shown = listed.iter().skip(at(offset)).take(at(limit));
    let data = shown.map(|account| UserAnswer::of(&accounts, account)).collect();
    Ok(Paged::new(data, page.meta(i64::try_from(listed.len()).unwrap_or(i64::MAX))))
}

/// `GET /users` in the reference.
pub fn describe_list() -> Operation {
    let about = "All accounts for an administrator, else those that the caller manages. Texts are looked for anywhere, \
                 without regard to case.";
    Operation::new(Chapter::Accounts, "The accounts that the caller may see, page by page", about)
        .any_account()
        .pages()
        .argument("name", "Only accounts with this in their name.")
        .argument("email", "Only accounts with this in their email.")
        .repeated("role", "Only accounts with one of these roles; for administrators.", None)
        .repeated("manager", "Only accounts whose manager has this in its email; for administrators.", None)
        .page("A page of accounts.", &[UserAnswer::example()])
        .refuses_with("An argument is given twice.", &more_than_once("email"))
        .refuses_with(LENT, &Problem::forbidden())
}

/// Why somebody who borrows an account does not see it.
const LENT: &str = "The account is lent: `X-Logas` with the account of integration tests.";

fn more_than_once(name: &str) -> Problem {
    let message = format!("Argument `{name}` should not be specified more than once");
    Problem::invalid(json!({"_schema": [message]}))
}

/// Whether `part` occurs in `text`, without regard to case.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// The number in a path, in digits without leading zeros, or `me`. What is neither is no account's path, whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

/// In place of a number: the account that asks.
const ME: &str = "me";

impl Number {
    /// That of an account.
    pub(crate) fn of(id: i32) -> Self {
        Self(id.to_string())
    }
}

impl FromRequestParts<App> for Number {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let Path(text) = path.map_err(|_| Problem::unknown_path())?;
        if text == ME {
            return Ok(Self(text));
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Problem::unknown_path());
        }
        let digits = text.trim_start_matches('0');
        Ok(Self(if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }))
    }
}

fn find<'a>(accounts: &'a Accounts, caller: &Caller, number: &Number) -> Answer<&'a Arc<Account>> {
    let id = if number.0 == ME { Some(caller.0.id) } else { number.0.parse().ok() };
    let account = id.and_then(|id| accounts.id(id)).ok_or_else(|| not_found(number))?;
    if account.id == caller.0.id || caller.0.has(Role::Admin) { Ok(account) } else { Err(not_yours()) }
}

fn not_yours() -> Problem {
    Problem::url(StatusCode::FORBIDDEN, "You do not have the permissions to access this user.")
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

/// What an account may say of itself, and whether hails can be sent where it says.
struct Changes {
    callable: bool,
}

impl Kind for Changes {
    type Read = Wishes;

    fn read(&self, value: &Value) -> Field<Wishes> {
        let mut form = Form::begin(value)?;
        let wishes = read_changes(&mut form);
        if !self.callable {
            form.error("hail_endpoint_production", messages(NOT_CALLABLE));
        }
        form.finish(wishes)
    }

    fn schema(&self) -> Value {
        Object(read_changes).schema()
    }
}

const NOT_CALLABLE: &str = "This endpoint is invalid.";

fn read_changes(form: &mut Form<'_>) -> Option<Wishes> {
    let mut text = |name, about| form.nullable(name, Text.about(about)).map(Option::unwrap_or_default);
    let changes = UserChanges {
        name: text("name", "The name that others see."),
        email_customer: text("email_customer", "Where customers write to."),
        email_technical: text("email_technical", "Where the registry writes to."),
        phone_number_customer: text("phone_number_customer", "Where customers call."),
        phone_number_technical: text("phone_number_technical", "Where the registry calls."),
        hail_endpoint_production: text("hail_endpoint_production", "The URL that hails are sent to."),
        operator_header_name: form
            .nullable("operator_header_name", HEADER_NAME.about("The header that is sent with hails."))
            .map(Option::unwrap_or_default),
        ..UserChanges::default()
    };
    let operator_api_key = form
        .nullable("operator_api_key", HEADER_VALUE.about("What is in that header."))
        .map(Option::unwrap_or_default);
    let password = form.optional("password", PASSWORD.about("A new password; empty leaves the old one."));
    // Partners put back what they got; these are checked, but not theirs to change.
    form.optional("id", Integer);
    form.optional("email", Text);
    form.optional("apikey", Text);
    let null = Some("Field may not be null.");
    form.optional("roles", Each { no_list: "Not a valid list.", null, element: read_role });
    form.optional("managed", Each { no_list: "Invalid type.", null: None, element: read_reference });
    form.nullable("manager", Object(read_reference));
    Some(Wishes { changes, operator_api_key, password: password.filter(|password| !password.is_empty()) })
}

fn read_role(form: &mut Form<'_>) -> Option<()> {
    form.optional("name", Text);
    Some(())
}

/// Another account as an account shows it.
fn read_reference(form: &mut Form<'_>) -> Option<()> {
    form.optional("id", Integer);
    form.optional("email", Text);
    form.optional("name", Text);
    Some(())
}

/// A list of which every element is right, or what is wrong by its place.
struct Each {
    no_list: &'static str,
    /// What is said of an element that is null, where that is not said of its kind.
    null: Option<&'static str>,
    element: fn(&mut Form<'_>) -> Option<()>,
}

impl Each {
    fn read_element(&self, element: &Value) -> Field<()> {
        match self.null.filter(|_| element.is_null()) {
            Some(null) => Err(messages(null)),
            None => Object(self.element).read(element),
        }
    }
}

impl Kind for Each {
    type Read = ();

    fn read(&self, value: &Value) -> Field<()> {
        let elements = value.as_array().ok_or_else(|| messages(self.no_list))?;
        let read = elements.iter().map(|element| self.read_element(element));
        let wrong = read.enumerate().filter_map(|(i, outcome)| Some((i.to_string(), outcome.err()?)));
        let wrong: Map<_, _> = wrong.collect();
        if wrong.is_empty() { Ok(()) } else { Err(Value::Object(wrong)) }
    }

    fn schema(&self) -> Value {
        json!({"type": "array", "items": Object(self.element).schema()})
    }
}

/// A new password; empty means none.
const PASSWORD: TextThat = TextThat {
    schema: || json!({"format": "password", "pattern": format!("^(.{{{PASSWORD_MIN},}})?$")}),
    holds: |text| text.is_empty() || text.chars().count() >= PASSWORD_MIN,
    message: "Shorter than minimum length 8.",
};

/// The name of a header, or nothing.
const HEADER_NAME: TextThat = TextThat {
    schema: || json!({"pattern": r"^([!-9;-~][ -9;-~]*)?$"}),
    holds: |text| {
        text.is_ascii()
            && !text.starts_with(|first: char| first == ':' || first.is_ascii_whitespace())
            && !text.contains([':', '\r', '\n'])
    },
    message: "Invalid header name",
};

/// The value of a header: a line break in it would begin another header.
const HEADER_VALUE: TextThat = TextThat {
    schema: || json!({"pattern": "^[ -~]*$"}),
    holds: |text| text.is_ascii() && !text.contains(['\r', '\n']),
    message: "Invalid header value",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_cannot_smuggle_another() {
        assert!(HEADER_NAME.read(&json!("X-Secret")).is_ok() && HEADER_NAME.read(&json!("")).is_ok());
        for name in ["X: Y", ":x", "X\r\nY", "é", " X"] {
            assert!(HEADER_NAME.read(&json!(name)).is_err(), "{name:?}");
        }
        assert!(HEADER_VALUE.read(&json!("open sesame")).is_ok());
        assert!(HEADER_VALUE.read(&json!("a\r\nb")).is_err());
    }

    #[test]
    fn what_may_not_be_changed_is_checked_all_the_same() {
        let errors = |element: Value| Changes { callable: true }.read(&element).err().unwrap_or_default();
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
        let errors = Changes { callable: false }.read(&element).err().unwrap();
        let told: Vec<_> = errors.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(told, ["foo", "hail_endpoint_production", "password"]);
    }
}
