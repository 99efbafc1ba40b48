//! `POST /internal/auth`: an account by its email and its password or key, for the console.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::users::render;
use crate::activity::{Actor, Entry, Login};
use crate::app::App;
use crate::error::{Answer, Problem};
use crate::form::{Field, Form, envelope, kind, messages};
use crate::router::Payload;

/// The account whose credentials these are. Needs no key; a success is in the activity log before it is answered.
pub async fn log_in(State(app): State<App>, Payload(body): Payload) -> Answer<Json<Value>> {
    let credentials = envelope::one(&body, read_credentials)?;
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
    Ok(Json(envelope::answer(&render(&accounts, account))))
}

fn wrong_credentials() -> Problem {
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

fn read_credentials(element: &Value) -> Field<Credentials> {
    let mut form = Form::begin(element)?;
    let email = form.required("email", kind::string);
    let mut given = |name| form.optional(name, kind::string).filter(|text| !text.is_empty());
    let (key, password) = (given("apikey"), given("password"));
    let referrer = form.optional("referrer", kind::integer);
    // What is wrong with single fields is told first.
    let (email, ()) = form.finish(Some((email, ())))?;
    let secret = match (key, password) {
        (Some(_), Some(_)) => Err("Specify either apikey or password, not both."),
        (None, None) => Err("Specify apikey or password."),
        (Some(key), None) => Ok(Secret::ApiKey(key)),
        (None, Some(password)) => Ok(Secret::Password(password)),
    };
    let secret = secret.map_err(|message| json!({"_schema": [message]}))?;
    let email = email.ok_or_else(|| messages("Missing data for required field."))?;
    Ok(Credentials { email, secret, referrer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_checked_before_what_they_say_together() {
        let errors = |element: Value| read_credentials(&element).err().unwrap();
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
            assert!(read_credentials(&element).is_ok(), "{element}");
        }
    }
}
