//! What administrators alone do to accounts: they add them, and say what they may do and who manages them.

use serde_json::{Value, json};

use super::{PASSWORD, find};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::kind::{AtMost, Kind, Object, Text, TextThat};
use crate::form::{Field, Form, messages};
use crate::limits::NAME_MAX_CHARS;
use crate::registry::NewAccount;
use crate::registry::accounts::{Accounts, Unmanageable};
use crate::role::{ADMINISTRATORS, Role};
use crate::routes::users::Number;
use crate::store::StoreError;
use crate::store::users::UserChanges;

/// Somebody else is called so.
pub(crate) const TAKEN: &str = "There is an account of this name.";
/// What is left without an administrator cannot be mended here.
pub(crate) const OWN_ROLE: &str = "An administrator does not give up that role by itself.";
/// Nobody is called so.
pub(crate) const NOBODY: &str = "There is no such account.";
/// Whoever manages an account may act for it.
pub(crate) const BY_ITSELF: &str = "An account does not manage itself.";
/// Neither does it act for who may do more than it.
pub(crate) const BY_NO_ADMINISTRATOR: &str = "Only an administrator manages an administrator.";
/// Every key may act for it.
pub(crate) const LENT_TO_ALL: &str =
    "The account of integration tests is no administrator: every key may act for it.";
/// A role that there is not.
pub(crate) const NO_ROLES: &str = "Must be names of roles.";
/// What an account is called is a word in addresses, headers and datagrams.
pub(crate) const NO_EMAIL: &str = "Must be 1 to 255 visible characters without spaces.";

/// Adds an account with a fresh API key; gives its number and the key.
pub(crate) async fn add(app: &App, caller: &Caller, wishes: &Value) -> Answer<(i32, String)> {
    let actor = administrator(caller)?;
    let wanted = Object(read_new).read(wishes).map_err(Problem::invalid)?;
    let accounts = app.registry.accounts();
    if accounts.email(&wanted.email).is_some() {
        return Err(wrong("email", TAKEN));
    }
    not_lent(app, &wanted.email, &wanted.rights)?;
    let manager_id = manager(&accounts, None, &wanted.rights)?;
    let password_hash = match wanted.password {
        Some(password) => app.passwords.hash(password).await?,
        None => String::new(),
    };
    let account = NewAccount {
        name: wanted.name.unwrap_or_else(|| wanted.email.clone()),
        email: wanted.email,
        password_hash,
        roles: wanted.rights.roles,
        manager_id,
    };
    app.registry.add_user(actor, account).await.map_err(|error| match error {
        StoreError::Conflict(_) => wrong("email", TAKEN),
        other => other.into(),
    })
}

/// Says what an account of this version may do and who manages it. False: it has another version by now, or no
/// administrator would be left, as others gave up that role meanwhile.
pub(crate) async fn set(
    app: &App,
    caller: &Caller,
    (number, version): (&Number, i64),
    wishes: &Value,
) -> Answer<bool> {
    let actor = administrator(caller)?;
    let accounts = app.registry.accounts();
    let account = find(&accounts, caller, number)?;
    let rights = Object(read_rights).read(wishes).map_err(Problem::invalid)?;
    // Whoever acts for another administrator keeps their own role, too.
    let is_own = [actor.account, actor.key_of].contains(&Some(account.id));
    if is_own && account.has(Role::Admin) && !rights.roles.contains(&Role::Admin) {
        return Err(wrong("roles", OWN_ROLE));
    }
    not_lent(app, &account.email, &rights)?;
    let manager_id = manager(&accounts, Some(account.id), &rights)?;
    let changes = UserChanges {
        roles: Some(rights.roles).filter(|roles| *roles != account.roles),
        manager_id: Some(manager_id).filter(|manager| *manager != account.manager_id),
        if_version: Some(version),
        ..UserChanges::default()
    };
    if changes.roles.is_none() && changes.manager_id.is_none() {
        return Ok(account.version == version);
    }
    Ok(app.registry.change_user(actor, (account.id, account.email.clone()), changes, None).await?)
}

fn not_lent(app: &App, email: &str, rights: &Rights) -> Answer<()> {
    let is_lent = app.behaviour.integration_account.as_deref() == Some(email);
    if is_lent && rights.roles.contains(&Role::Admin) { Err(wrong("roles", LENT_TO_ALL)) } else { Ok(()) }
}

fn administrator(caller: &Caller) -> Answer<crate::activity::Actor> {
    caller.require(ADMINISTRATORS)?;
    caller.require_own_account()?;
    Ok(caller.actor())
}

fn wrong(field: &str, message: &str) -> Problem {
    Problem::invalid(json!({ field: [message] }))
}

/// What an account may do, sorted, and who manages it.
#[derive(Debug, Default)]
struct Rights {
    roles: Vec<Role>,
    /// By email; empty: nobody.
    manager: String,
}

#[derive(Debug)]
struct Wanted {
    email: String,
    name: Option<String>,
    password: Option<String>,
    rights: Rights,
}

fn manager(accounts: &Accounts, of: Option<i32>, rights: &Rights) -> Answer<Option<i32>> {
    if rights.manager.is_empty() {
        return Ok(None);
    }
    let by = accounts.email(&rights.manager).ok_or_else(|| wrong("manager", NOBODY))?;
    match by.may_manage(of, &rights.roles) {
        Ok(()) => Ok(Some(by.id)),
        Err(Unmanageable::ByItself) => Err(wrong("manager", BY_ITSELF)),
        Err(Unmanageable::ByNoAdministrator) => Err(wrong("manager", BY_NO_ADMINISTRATOR)),
    }
}

fn read_new(form: &mut Form<'_>) -> Option<Wanted> {
    let email = form.required("email", EMAIL);
    let name = form.optional("name", AtMost(NAME_MAX_CHARS)).filter(|name| !name.is_empty());
    let password = form.optional("password", PASSWORD).filter(|password| !password.is_empty());
    let rights = read_rights(form);
    Some(Wanted { email: email?, name, password, rights: rights? })
}

fn read_rights(form: &mut Form<'_>) -> Option<Rights> {
    let roles = form.required("roles", Roles);
    let manager = form.optional("manager", Text).unwrap_or_default();
    Some(Rights { roles: roles?, manager })
}

/// What an account is called.
const EMAIL: TextThat = TextThat {
    schema: || json!({"minLength": 1, "maxLength": NAME_MAX_CHARS}),
    holds: |text| {
        let is_visible = |letter: char| !letter.is_whitespace() && !letter.is_control();
        (1..=NAME_MAX_CHARS).contains(&text.chars().count()) && text.chars().all(is_visible)
    },
    message: NO_EMAIL,
};

/// A list of roles, by their names.
struct Roles;

impl Kind for Roles {
    type Read = Vec<Role>;

    fn read(&self, value: &Value) -> Field<Vec<Role>> {
        let names = value.as_array().ok_or_else(|| messages("Not a valid list."))?;
        let role = |name: &Value| name.as_str().and_then(|name| name.parse().ok());
        let roles: Option<Vec<Role>> = names.iter().map(role).collect();
        let mut roles = roles.ok_or_else(|| messages(NO_ROLES))?;
        roles.sort_unstable();
        roles.dedup();
        Ok(roles)
    }

    fn schema(&self) -> Value {
        json!({"type": "array", "items": {"enum": Role::ALL.map(Role::as_str)}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_account_is_read_or_every_wrong_field_told() {
        let read = |value: Value| Object(read_new).read(&value);
        let right = json!({"email": "a", "name": "", "password": "", "roles": ["moteur", "admin", "moteur"]});
        let wanted = read(right).unwrap();
        assert_eq!((wanted.name, wanted.password), (None, None));
        assert_eq!(wanted.rights.roles, [Role::Admin, Role::Moteur]);
        let errors =
            read(json!({"email": " ", "name": "é".repeat(256), "password": "short", "roles": ["root"]}));
        let errors = errors.unwrap_err();
        let told: Vec<_> = errors.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(told, ["email", "name", "password", "roles"]);
        for email in ["", "a b", "a\u{7f}", "a\n", &"a".repeat(256)] {
            assert_eq!(EMAIL.read(&json!(email)), Err(messages(NO_EMAIL)), "{email:?}");
        }
        assert!(EMAIL.read(&json!("chauffeurs@example.org")).is_ok());
    }
}
