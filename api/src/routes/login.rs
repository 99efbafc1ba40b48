//! `POST /internal/auth`: an account by its email and its password or key, for the console.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::user_answer::{EXAMPLE_KEY, UserAnswer};
use crate::activity::{Actor, Entry, Login};
use crate::app::App;
use crate::error::{Answer, Problem};
use crate::form::envelope::{self, Elements};
use crate::form::kind::{Integer, Kind, Object, Text};
use crate::form::{Field, Form};
use crate::openapi::{Chapter, Operation};
use crate::passwords::too_many_tries;
use crate::registry::accounts::Account;
use crate::router::Payload;

/// The account whose credentials these are. Needs no key; a success is in the activity log before it is answered.
pub async fn log_in(State(app): State<App>, Payload(body): Payload) -> Answer<Json<Elements<UserAnswer>>> {
    let account = recognise(&app, envelope::one(&body, ReadCredentials)?).await?;
    Ok(envelope::of_one(UserAnswer::of(&app.registry.accounts(), &account)))
}

/// The account of this email, if this is its password; a success is in the activity log.
pub(crate) async fn by_password(app: &App, email: String, password: String) -> Answer<Arc<Account>> {
    let secret = Secret::Password(password);
    recognise(app, Credentials { email, secret, referrer: None }).await
}

async fn recognise(app: &App, credentials: Credentials) -> Answer<Arc<Account>> {
    let accounts = app.registry.accounts();
    let account = accounts.email(&credentials.email);
    let (known, login) = match credentials.secret {
        Secret::ApiKey(key) => {
            let owner = accounts.api_key(&key).map(|owner| owner.id);
            (owner.is_some() && owner == account.map(|account| account.id), Login::ApiKey)
        }
        Secret::Password(password) => {
            let hash = account.and_then(|account| account.password_hash());
            let now = app.clock.now();
            (app.passwords.is_right(&credentials.email, password, hash, now).await?, Login::Password)
        }
    };
    let account = account.filter(|_| known).ok_or_else(wrong_credentials)?;
    let entry = Entry::login(account.id, login, credentials.referrer);
    app.registry.store().log_activity(Actor::account(account.id), &entry).await?;
    Ok(account.clone())
}

/// `POST /internal/auth` in the reference.
pub fn describe_log_in() -> Operation {
    let about = "By the email and either the key or the password. A success is in the activity log before it is \
                 answered.";
    let neither = json!({"data": {"0": {"_schema": [NEITHER]}}});
    Operation::new(Chapter::Accounts, "The account whose credentials these are", about)
        .body(&ReadCredentials, &json!({"email": "my-taxis", "apikey": EXAMPLE_KEY}))
        .one(200, "The account, its key included.", &UserAnswer::example())
        .refuses(400, "There is no key and no password, or both.", &neither)
        .refuses_with("There is no such account, or these are not its credentials.", &wrong_credentials())
        .refuses_with("Passwords of this account were tried too often.", &too_many_tries())
}

/// There is no such account, or these are not its credentials.
pub(crate) fn wrong_credentials() -> Problem {
    Problem::data(StatusCode::UNAUTHORIZED, &json!({"": ["Invalid credentials."]}))
}

struct Credentials {
    email: String,
    secret: Secret,
    /// The number of the account that sent this one here, as the console says.
    referrer: Option<i32>,
}

enum Secret {
    ApiKey(String),
    Password(String),
}

const NEITHER: &str = "Specify apikey or password.";

/// Credentials, of which there is one.
struct ReadCredentials;

impl Kind for ReadCredentials {
    type Read = Credentials;

    fn read(&self, value: &Value) -> Field<Credentials> {
        // What is wrong with single fields is told first.
        let given = Object(read_given).read(value)?;
        let secret = match (given.apikey, given.password) {
            (Some(_), Some(_)) => Err("Specify either apikey or password, not both."),
            (None, None) => Err(NEITHER),
            (Some(key), None) => Ok(Secret::ApiKey(key)),
            (None, Some(password)) => Ok(Secret::Password(password)),
        };
        let secret = secret.map_err(|message| json!({"_schema": [message]}))?;
        Ok(Credentials { email: given.email, secret, referrer: given.referrer })
    }

    fn schema(&self) -> Value {
        Object(read_given).schema()
    }
}

/// The fields as they stand.
struct Given {
    email: String,
    apikey: Option<String>,
    password: Option<String>,
    referrer: Option<i32>,
}

fn read_given(form: &mut Form<'_>) -> Option<Given> {
    let email = form.required("email", Text.about("The account's email."));
    let apikey = form.optional("apikey", Text.about("The account's key; empty is none."));
    let password = form.optional("password", Text.about("The account's password; empty is none."));
    let referrer = form.optional("referrer", Integer.about("Number of the account that sent this one here."));
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    Some(Given { email: email?, apikey: some(apikey), password: some(password), referrer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_checked_before_what_they_say_together() {
        let errors = |element: Value| ReadCredentials.read(&element).err().unwrap();
        let schema = |message: &str| json!({"_schema": [message]});
        assert_eq!(errors(json!({})), json!({"email": ["Missing data for required field."]}));
        assert_eq!(
            errors(json!({"email": 1, "apikey": null, "password": [], "referrer": "x", "token": 1})),
            json!({"email": ["Not a valid string."], "apikey": ["Field may not be null."],
                   "password": ["Not a valid string."], "referrer": ["Not a valid integer."],
                   "token": ["Unknown field."]})
        );
        let neither = schema("Specify apikey or password.");
        assert_eq!(errors(json!({"email": "a"})), neither);
        assert_eq!(errors(json!({"email": "a", "apikey": "", "password": ""})), neither);
        let both = json!({"email": "a", "apikey": "x", "password": "y"});
        assert_eq!(errors(both), schema("Specify either apikey or password, not both."));
        for element in [
            json!({"email": "a", "apikey": "x", "password": ""}),
            json!({"email": "", "apikey": "", "password": "y", "referrer": "7"}),
        ] {
            assert!(ReadCredentials.read(&element).is_ok(), "{element}");
        }
    }
}
