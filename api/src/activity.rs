//! What the activity log tells: who did what to which account, taxi or customer.
//!
//! An entry is written in the transaction of the change that it tells of: neither is there without the other. What is
//! told of values is their names, never a key, a password or a phone number.

use serde_json::{Map, Value, json};

/// What entries are about.
pub const RESOURCES: &[&str] = &["user", "taxi", "customer"];

/// What entries tell of. The first six are the registry's of old; one of them nothing here writes.
pub const ACTIONS: &[&str] = &[
    "login_password",
    "login_apikey",
    "auth_apikey",
    "auth_logas",
    "taxi_status",
    "taxi_trial",
    "customer_hail",
    "account_added",
    "account_changed",
    "account_removed",
    "apikey_rotated",
];

/// Who acts: an account, with its own key or another account's; or nobody who is known, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The account acted for.
    pub account: Option<i32>,
    /// Whose API key it was, if another's.
    pub key_of: Option<i32>,
}

impl Actor {
    /// Whoever runs the machine.
    pub const COMMAND_LINE: Self = Self { account: None, key_of: None };
    /// The registry itself, when a deadline has passed or an operator has answered.
    pub const REGISTRY: Self = Self { account: None, key_of: None };

    /// An account with its own key.
    pub fn account(id: i32) -> Self {
        Self { account: Some(id), key_of: None }
    }
}

/// One entry, to be dated and numbered by the database.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// One of [`RESOURCES`].
    pub resource: &'static str,
    /// Which one: a number, or a taxi's public id.
    pub resource_id: String,
    /// One of [`ACTIONS`].
    pub action: &'static str,
    extra: Map<String, Value>,
}

/// How somebody logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// With the account's password.
    Password,
    /// With its API key.
    ApiKey,
}

impl Entry {
    /// An account logged in; `referrer` is the number of the account that sent it, as the console says.
    pub fn login(user: i32, login: Login, referrer: Option<i32>) -> Self {
        let action = match login {
            Login::Password => "login_password",
            Login::ApiKey => "login_apikey",
        };
        Self::user(user, action, json!({"referrer": referrer}))
    }

    /// A request that may change something was made as this account by another.
    pub fn acted_as(user: i32, method: &str, path: &str) -> Self {
        Self::user(user, "auth_logas", json!({"method": method, "location": path}))
    }

    /// An operator's description of a taxi's vehicle has another status.
    pub fn taxi_status(public_id: &str, old: &str, new: &str) -> Self {
        let extra = json!({"old_status": old, "new_status": new});
        Self::new("taxi", public_id.to_owned(), "taxi_status", extra)
    }

    /// The same, because of a hail.
    pub fn taxi_status_by_hail(public_id: &str, old: &str, new: &str, hail: &str) -> Self {
        let extra = json!({"old_status": old, "new_status": new, "hail_id": hail});
        Self::new("taxi", public_id.to_owned(), "taxi_status", extra)
    }

    /// One search app alone finds a taxi, by its number; None: every one does.
    pub fn taxi_trial(public_id: &str, app: Option<i32>) -> Self {
        Self::new("taxi", public_id.to_owned(), "taxi_trial", json!({"trial_for": app}))
    }

    /// A customer hailed a taxi.
    pub fn customer_hail(customer: &str, public_id: &str, hail: &str) -> Self {
        let extra = json!({"taxi_id": public_id, "hail_id": hail});
        Self::new("customer", customer.to_owned(), "customer_hail", extra)
    }

    /// There is a new account.
    pub fn account_added(user: i32, email: &str) -> Self {
        Self::user(user, "account_added", json!({"email": email}))
    }

    /// These fields of an account were written.
    pub fn account_changed(user: i32, fields: &[&str]) -> Self {
        Self::user(user, "account_changed", json!({"fields": fields}))
    }

    /// An account is gone.
    pub fn account_removed(user: i32) -> Self {
        Self::user(user, "account_removed", json!({}))
    }

    /// An account has another API key.
    pub fn apikey_rotated(user: i32) -> Self {
        Self::user(user, "apikey_rotated", json!({}))
    }

    /// The details as the text of a JSON object, with who acted.
    pub fn detail(&self, by: Actor) -> String {
        let mut extra = self.extra.clone();
        extra.insert("user_id".to_owned(), json!(by.account));
        if let Some(owner) = by.key_of {
            // A text, as the registry has always written it.
            extra.insert("apikey_belongs_to".to_owned(), json!(owner.to_string()));
        }
        Value::Object(extra).to_string()
    }

    fn user(user: i32, action: &'static str, extra: Value) -> Self {
        Self::new("user", user.to_string(), action, extra)
    }

    fn new(resource: &'static str, resource_id: String, action: &'static str, extra: Value) -> Self {
        let extra = if let Value::Object(extra) = extra { extra } else { Map::new() };
        Self { resource, resource_id, action, extra }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_asked_for() {
        let entries = [
            Entry::login(1, Login::Password, None),
            Entry::login(1, Login::ApiKey, Some(2)),
            Entry::acted_as(1, "PUT", "/taxis/x"),
            Entry::taxi_status("x", "off", "free"),
            Entry::taxi_status_by_hail("x", "free", "answering", "h"),
            Entry::customer_hail("c", "x", "h"),
            Entry::account_added(1, "a"),
            Entry::account_changed(1, &["name"]),
            Entry::account_removed(1),
            Entry::apikey_rotated(1),
        ];
        for entry in &entries {
            assert!(RESOURCES.contains(&entry.resource) && ACTIONS.contains(&entry.action), "{entry:?}");
        }
    }

    #[test]
    fn the_detail_says_who_acted_and_with_whose_key() {
        let entry = Entry::taxi_status("x", "off", "free");
        let detail = |by| serde_json::from_str::<Value>(&entry.detail(by)).unwrap();
        let (old, new) = ("off", "free");
        assert_eq!(detail(Actor::account(3)), json!({"old_status": old, "new_status": new, "user_id": 3}));
        assert_eq!(
            detail(Actor { account: Some(3), key_of: Some(1) }),
            json!({"old_status": old, "new_status": new, "user_id": 3, "apikey_belongs_to": "1"})
        );
        assert_eq!(detail(Actor::COMMAND_LINE)["user_id"], Value::Null);
    }
}
