//! What an account sees of itself.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::registry::accounts::{Account, Accounts};

/// A key as keys look.
pub(super) const EXAMPLE_KEY: &str = "53e3cb9e-3d07-4f7f-a4b2-31f6a8b1b5d0";

/// An account.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserAnswer {
    /// Its number.
    pub id: i32,
    /// Its email, by which it is known.
    pub email: String,
    /// The name that others see.
    pub name: String,
    /// Its key.
    pub apikey: String,
    /// What it may do.
    pub roles: Vec<RoleAnswer>,
    /// Where customers write to.
    pub email_customer: String,
    /// Where the registry writes to.
    pub email_technical: String,
    /// Where customers call.
    pub phone_number_customer: String,
    /// Where the registry calls.
    pub phone_number_technical: String,
    /// The URL that hails are sent to.
    pub hail_endpoint_production: String,
    /// The header that is sent with hails.
    pub operator_header_name: String,
    /// What is in that header.
    pub operator_api_key: String,
    /// The account that manages it.
    pub manager: Option<NamedAccount>,
    /// The accounts it manages.
    pub managed: Vec<NamedAccount>,
}

/// A role.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Role)]
pub struct RoleAnswer {
    /// Its name.
    pub name: &'static str,
}

/// Another account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NamedAccount {
    /// Its number.
    pub id: i32,
    /// Its email.
    pub email: String,
    /// The name that others see.
    pub name: String,
}

impl UserAnswer {
    /// An operator's.
    pub fn example() -> Self {
        Self {
            id: 3,
            email: "my-taxis".to_owned(),
            name: "My taxis".to_owned(),
            apikey: EXAMPLE_KEY.to_owned(),
            roles: vec![RoleAnswer { name: "operateur" }],
            email_customer: String::new(),
            email_technical: "technique@example.org".to_owned(),
            phone_number_customer: String::new(),
            phone_number_technical: String::new(),
            hail_endpoint_production: "https://example.org/hails".to_owned(),
            operator_header_name: "X-Secret".to_owned(),
            operator_api_key: "open sesame".to_owned(),
            manager: None,
            managed: Vec::new(),
        }
    }

    /// As it sees itself, its key included.
    pub(super) fn of(accounts: &Accounts, account: &Account) -> Self {
        let named = |other: &Arc<Account>| NamedAccount {
            id: other.id,
            email: other.email.clone(),
            name: other.name.clone(),
        };
        Self {
            id: account.id,
            email: account.email.clone(),
            name: account.name.clone(),
            apikey: account.api_key().to_owned(),
            roles: account.roles.iter().map(|role| RoleAnswer { name: role.as_str() }).collect(),
            email_customer: account.email_customer.clone(),
            email_technical: account.email_technical.clone(),
            phone_number_customer: account.phone_number_customer.clone(),
            phone_number_technical: account.phone_number_technical.clone(),
            hail_endpoint_production: account.hail_endpoint_production.clone(),
            operator_header_name: account.operator_header_name.clone(),
            operator_api_key: account.operator_api_key().to_owned(),
            manager: account.manager_id.and_then(|id| accounts.id(id)).map(named),
            managed: accounts.managed_by(account.id).into_iter().map(named).collect(),
        }
    }
}
