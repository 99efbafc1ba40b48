//! Accounts.

use sqlx::FromRow;

use super::activity::Remember as _;
use super::changes::{Announce as _, Change};
use super::{Result, Store, read, write};
use crate::activity::{Actor, Entry};
use crate::role::Role;

/// An account as stored; secrets are sealed.
#[derive(Clone, Debug, FromRow)]
pub struct UserRow {
    /// Its number: the operator's key in positions.
    pub id: i32,
    /// Its fixed name.
    pub email: String,
    /// Its commercial name.
    pub name: String,
    /// Argon2id; empty: no password, no log-in by one.
    pub password_hash: String,
    /// What an API key is looked up by.
    pub apikey_sha256: String,
    /// The API key, sealed for the email.
    pub apikey_sealed: String,
    /// Contact of customers.
    pub email_customer: String,
    /// Technical contact.
    pub email_technical: String,
    /// Contact of customers.
    pub phone_number_customer: String,
    /// Technical contact.
    pub phone_number_technical: String,
    /// Where hails are posted to.
    pub hail_endpoint_production: String,
    /// The header that authenticates the registry to the operator's server.
    pub operator_header_name: String,
    /// Its value, sealed for the email.
    pub operator_api_key_sealed: String,
    /// Who manages this account.
    pub manager_id: Option<i32>,
    /// How many taxis a group says that it has.
    pub fleet_size: Option<i32>,
    /// Rises with each write.
    pub version: i64,
}

#[derive(FromRow)]
struct RoleRow {
    user_id: i32,
    role: String,
}

/// A new account.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// Its fixed name.
    pub email: &'a str,
    /// Its commercial name.
    pub name: &'a str,
    /// Argon2id of its password.
    pub password_hash: &'a str,
    /// SHA-256 of its API key.
    pub apikey_sha256: &'a str,
    /// Its API key, sealed.
    pub apikey_sealed: &'a str,
    /// What it may do.
    pub roles: &'a [Role],
    /// Who manages it.
    pub manager_id: Option<i32>,
}

/// Changes to an account: what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct UserChanges {
    /// Commercial name.
    pub name: Option<String>,
    /// Contact of customers.
    pub email_customer: Option<String>,
    /// Technical contact.
    pub email_technical: Option<String>,
    /// Contact of customers.
    pub phone_number_customer: Option<String>,
    /// Technical contact.
    pub phone_number_technical: Option<String>,
    /// Where hails are posted to.
    pub hail_endpoint_production: Option<String>,
    /// The header of hails.
    pub operator_header_name: Option<String>,
    /// Its value, sealed.
    pub operator_api_key_sealed: Option<String>,
    /// Argon2id.
    pub password_hash: Option<String>,
    /// SHA-256 of a new API key, and the key sealed.
    pub apikey: Option<(String, String)>,
    /// A manager; inside, None removes it.
    pub manager_id: Option<Option<i32>>,
    /// How many taxis a group says that it has; inside, None: it says nothing.
    pub fleet_size: Option<Option<i32>>,
    /// What it may do.
    pub roles: Option<Vec<Role>>,
    /// Nothing is written but over this version.
    pub if_version: Option<i64>,
}

impl UserChanges {
    /// The names of what is to be written, but for the API key.
    fn fields(&self) -> Vec<&'static str> {
        let given = [
            ("name", self.name.is_some()),
            ("email_customer", self.email_customer.is_some()),
            ("email_technical", self.email_technical.is_some()),
            ("phone_number_customer", self.phone_number_customer.is_some()),
            ("phone_number_technical", self.phone_number_technical.is_some()),
            ("hail_endpoint_production", self.hail_endpoint_production.is_some()),
            ("operator_header_name", self.operator_header_name.is_some()),
            ("operator_api_key", self.operator_api_key_sealed.is_some()),
            ("password", self.password_hash.is_some()),
            ("manager", self.manager_id.is_some()),
            ("roles", self.roles.is_some()),
            ("fleet_size", self.fleet_size.is_some()),
        ];
        given.into_iter().filter_map(|(name, given)| given.then_some(name)).collect()
    }
}

const ADD_ROLE: &str = "INSERT INTO user_roles (user_id, role) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const SELECT: &str =
    "SELECT id, email, name, password_hash, apikey_sha256, apikey_sealed, email_customer, email_technical,
    phone_number_customer, phone_number_technical, hail_endpoint_production, operator_header_name,
    operator_api_key_sealed, manager_id, fleet_size, version FROM users ORDER BY id";

impl Store {
    /// Every account with its roles, by number.
    pub async fn users(&self) -> Result<Vec<(UserRow, Vec<Role>)>> {
        let users: Vec<UserRow> = read!(self, db => sqlx::query_as(SELECT).fetch_all(db))?;
        let roles: Vec<RoleRow> = read!(self, db => {
            sqlx::query_as("SELECT user_id, role FROM user_roles ORDER BY user_id").fetch_all(db)
        })?;
        Ok(users
            .into_iter()
            .map(|user| {
                let first = roles.partition_point(|role| role.user_id < user.id);
                let mine = roles[first..].iter().take_while(|role| role.user_id == user.id);
                let roles = mine.filter_map(|role| role.role.parse().ok()).collect();
                (user, roles)
            })
            .collect())
    }

    /// Adds an account, as `by` wishes, and gives its number. A conflict: the email is taken.
    pub async fn add_user(&self, by: Actor, user: &NewUser<'_>) -> Result<i32> {
        let now = self.now_ms();
        write!(self, tx => {
            let (id,): (i32,) = sqlx::query_as(
                "INSERT INTO users (email, name, password_hash, apikey_sha256, apikey_sealed, manager_id, created_at,
                                    updated_at, version)
                 VALUES ($1, $2, $3, $4, $5, $7, $6, $6, $6) RETURNING id",
            )
            .bind(user.email)
            .bind(user.name)
            .bind(user.password_hash)
            .bind(user.apikey_sha256)
            .bind(user.apikey_sealed)
            .bind(now)
            .bind(user.manager_id)
            .fetch_one(&mut **tx)
            .await?;
            for role in user.roles {
                sqlx::query(ADD_ROLE).bind(id).bind(role.as_str()).execute(&mut **tx).await?;
            }
            tx.remember(now, by, &Entry::account_added(id, user.email)).await?;
            tx.announce(Change::User(id)).await?;
            id
        })
    }

    /// Changes an account, as `by` wishes. False: there is no such account, it has another version than is to be
    /// written over, or it is the last administrator and would be none.
    pub async fn change_user(&self, by: Actor, id: i32, changes: &UserChanges) -> Result<bool> {
        let (now, fields) = (self.now_ms(), changes.fields());
        let (digest, sealed) = changes.apikey.clone().unzip();
        let admin = Role::Admin.as_str();
        write!(self, tx => {
            let mut is_last = false;
            if changes.roles.as_ref().is_some_and(|roles| !roles.contains(&Role::Admin)) {
                // Held until the end: of two who give up the role at once the second one waits, and sees it.
                sqlx::query("UPDATE user_roles SET role = role WHERE role = $1").bind(admin).execute(&mut **tx).await?;
                let admins: Vec<(i32,)> = sqlx::query_as("SELECT user_id FROM user_roles WHERE role = $1")
                    .bind(admin)
                    .fetch_all(&mut **tx)
                    .await?;
                is_last = admins == [(id,)];
            }
            let done = sqlx::query(
                "UPDATE users SET name = coalesce($2, name), email_customer = coalesce($3, email_customer),
                 email_technical = coalesce($4, email_technical),
                 phone_number_customer = coalesce($5, phone_number_customer),
                 phone_number_technical = coalesce($6, phone_number_technical),
                 hail_endpoint_production = coalesce($7, hail_endpoint_production),
                 operator_header_name = coalesce($8, operator_header_name),
                 operator_api_key_sealed = coalesce($9, operator_api_key_sealed),
                 password_hash = coalesce($10, password_hash), apikey_sha256 = coalesce($11, apikey_sha256),
                 apikey_sealed = coalesce($12, apikey_sealed),
                 manager_id = CASE WHEN $13 THEN $14 ELSE manager_id END,
                 fleet_size = CASE WHEN $15 THEN $16 ELSE fleet_size END,
                 updated_at = $17, version = version + 1 WHERE id = $1 AND version = coalesce($18, version)
                 AND NOT $19",
            )
            .bind(id)
            .bind(changes.name.as_deref())
            .bind(changes.email_customer.as_deref())
            .bind(changes.email_technical.as_deref())
            .bind(changes.phone_number_customer.as_deref())
            .bind(changes.phone_number_technical.as_deref())
            .bind(changes.hail_endpoint_production.as_deref())
            .bind(changes.operator_header_name.as_deref())
            .bind(changes.operator_api_key_sealed.as_deref())
            .bind(changes.password_hash.as_deref())
            .bind(digest.as_deref())
            .bind(sealed.as_deref())
            .bind(changes.manager_id.is_some())
            .bind(changes.manager_id.flatten())
            .bind(changes.fleet_size.is_some())
            .bind(changes.fleet_size.flatten())
            .bind(now)
            .bind(changes.if_version)
            .bind(is_last)
            .execute(&mut **tx)
            .await?
            .rows_affected();
            if let Some(roles) = changes.roles.as_deref().filter(|_| done == 1) {
                sqlx::query("DELETE FROM user_roles WHERE user_id = $1").bind(id).execute(&mut **tx).await?;
                for role in roles {
                    sqlx::query(ADD_ROLE).bind(id).bind(role.as_str()).execute(&mut **tx).await?;
                }
            }
            if done == 1 && !fields.is_empty() {
                tx.remember(now, by, &Entry::account_changed(id, &fields)).await?;
            }
            if done == 1 && changes.password_hash.is_some() {
                // Whoever knew the old one is to know the new one.
                sqlx::query("DELETE FROM console_sessions WHERE user_id = $1").bind(id).execute(&mut **tx).await?;
            }
            if done == 1 && changes.apikey.is_some() {
                tx.remember(now, by, &Entry::apikey_rotated(id)).await?;
            }
            tx.announce(Change::User(id)).await?;
            done == 1
        })
    }

    /// Removes an account. False: there is no such account. A conflict: rows of others refer to it.
    pub async fn remove_user(&self, id: i32) -> Result<bool> {
        let now = self.now_ms();
        write!(self, tx => {
            let done = sqlx::query("DELETE FROM users WHERE id = $1").bind(id).execute(&mut **tx).await?;
            let done = done.rows_affected() == 1;
            if done {
                tx.remember(now, Actor::COMMAND_LINE, &Entry::account_removed(id)).await?;
            }
            tx.announce(Change::User(id)).await?;
            done
        })
    }
}
