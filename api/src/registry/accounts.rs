//! Accounts in memory: few, read whole, swapped whole.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::role::Role;
use crate::secrets::{SecretError, SecretKey};
use crate::store::users::UserRow;

/// An account, its secrets opened.
#[derive(Clone)]
pub struct Account {
    /// Its number.
    pub id: i32,
    /// Its fixed name.
    pub email: String,
    /// Its commercial name.
    pub name: String,
    /// What it may do, sorted.
    pub roles: Vec<Role>,
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
    /// The header of hails.
    pub operator_header_name: String,
    /// Who manages it.
    pub manager_id: Option<i32>,
    /// How many taxis a group says that it has.
    pub fleet_size: Option<i32>,
    /// Rises with each write.
    pub version: i64,
    password_hash: String,
    apikey_sha256: String,
    api_key: String,
    operator_api_key: String,
}

/// Why an account does not manage another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmanageable {
    /// It is the same.
    ByItself,
    /// The other one is an administrator, and it is none.
    ByNoAdministrator,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("id", &self.id).field("email", &self.email).finish_non_exhaustive()
    }
}

impl Account {
    pub(super) fn open(row: UserRow, mut roles: Vec<Role>, secret: &SecretKey) -> Result<Self, SecretError> {
        roles.sort_unstable();
        Ok(Self {
            api_key: secret.open(&row.email, &row.apikey_sealed)?,
            operator_api_key: secret.open(&row.email, &row.operator_api_key_sealed)?,
            id: row.id,
            email: row.email,
            name: row.name,
            roles,
            email_customer: row.email_customer,
            email_technical: row.email_technical,
            phone_number_customer: row.phone_number_customer,
            phone_number_technical: row.phone_number_technical,
            hail_endpoint_production: row.hail_endpoint_production,
            operator_header_name: row.operator_header_name,
            manager_id: row.manager_id,
            fleet_size: row.fleet_size,
            version: row.version,
            password_hash: row.password_hash,
            apikey_sha256: row.apikey_sha256,
        })
    }

    /// Whether it has this role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether it acts for `other` as its manager: not for an administrator, who may do more than it.
    pub fn manages(&self, other: &Self) -> bool {
        other.manager_id == Some(self.id) && !other.has(Role::Admin)
    }

    /// Whether it may manage an account of these roles, which has this number if it is there already.
    pub fn may_manage(&self, other: Option<i32>, roles: &[Role]) -> Result<(), Unmanageable> {
        if other == Some(self.id) {
            return Err(Unmanageable::ByItself);
        }
        if roles.contains(&Role::Admin) && !self.has(Role::Admin) {
            return Err(Unmanageable::ByNoAdministrator);
        }
        Ok(())
    }

    /// Whether it may report positions: an operator, or an administrator.
    pub fn is_operator(&self) -> bool {
        self.has(Role::Operateur) || self.has(Role::Admin)
    }

    /// Its API key. A secret.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// Argon2id of its password; None: it cannot log in by password.
    pub fn password_hash(&self) -> Option<&str> {
        Some(self.password_hash.as_str()).filter(|hash| !hash.is_empty())
    }

    /// What authenticates the registry to the operator's server. A secret.
    pub fn operator_api_key(&self) -> &str {
        &self.operator_api_key
    }
}

/// Every account, found by number, email and key.
#[derive(Debug, Default)]
pub struct Accounts {
    numbered: HashMap<i32, Arc<Account>>,
    named: HashMap<String, Arc<Account>>,
    /// By the digest of the API key.
    keyed: HashMap<String, Arc<Account>>,
}

impl Accounts {
    pub(super) fn new(accounts: Vec<Account>) -> Self {
        let mut all = Self::default();
        for account in accounts.into_iter().map(Arc::new) {
            all.numbered.insert(account.id, account.clone());
            all.named.insert(account.email.clone(), account.clone());
            all.keyed.insert(account.apikey_sha256.clone(), account);
        }
        all
    }

    /// By number.
    pub fn id(&self, id: i32) -> Option<&Arc<Account>> {
        self.numbered.get(&id)
    }

    /// By email, exactly.
    pub fn email(&self, email: &str) -> Option<&Arc<Account>> {
        self.named.get(email)
    }

    /// The numbers of those whose email begins like one of these, without regard to case; None: they are not asked for.
    pub fn beginning(&self, emails: &[String]) -> Option<Vec<i32>> {
        let wanted: Vec<_> = emails.iter().map(|email| email.to_lowercase()).collect();
        let begins = |account: &&&Arc<Account>| {
            let email = account.email.to_lowercase();
            wanted.iter().any(|beginning| email.starts_with(beginning))
        };
        let all = self.all();
        (!wanted.is_empty()).then(|| all.iter().filter(begins).map(|account| account.id).collect())
    }

    /// By API key. The key is hashed first, so that the time of the comparison tells nothing of stored keys.
    pub fn api_key(&self, key: &str) -> Option<&Arc<Account>> {
        self.keyed.get(&crate::secrets::api_key_digest(key))
    }

    /// Those managed by `manager`, by number.
    pub fn managed_by(&self, manager: i32) -> Vec<&Arc<Account>> {
        let mut managed: Vec<_> =
            self.numbered.values().filter(|account| account.manager_id == Some(manager)).collect();
        managed.sort_by_key(|account| account.id);
        managed
    }

    /// Those with a role, by email.
    pub fn with(&self, role: Role) -> Vec<&Arc<Account>> {
        by_email(self.numbered.values().filter(|account| account.has(role)))
    }

    /// Those that manage somebody, by email.
    pub fn managers(&self) -> Vec<&Arc<Account>> {
        let managers: HashSet<_> = self.numbered.values().filter_map(|account| account.manager_id).collect();
        by_email(managers.into_iter().filter_map(|id| self.id(id)))
    }

    /// All of them, by number.
    pub fn all(&self) -> Vec<&Arc<Account>> {
        let mut all: Vec<_> = self.numbered.values().collect();
        all.sort_by_key(|account| account.id);
        all
    }
}

fn by_email<'a>(accounts: impl Iterator<Item = &'a Arc<Account>>) -> Vec<&'a Arc<Account>> {
    let mut accounts: Vec<_> = accounts.collect();
    accounts.sort_by(|a, b| a.email.cmp(&b.email));
    accounts
}
