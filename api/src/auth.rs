//! Who is asking: an API key, and perhaps another account to be logged as.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use ingest::position::OperatorKey;

use crate::app::App;
use crate::error::{Answer, Problem};
use crate::registry::accounts::{Account, Accounts};
use crate::role::Role;

const KEY: &str = "X-Api-Key";
const LOG_AS: &str = "X-Logas";

/// The account a request acts for, and whether it is lent: the integration account, used by somebody who neither
/// manages it nor administers the registry.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Account>, bool);

impl Caller {
    /// Refuses accounts with none of these roles.
    pub fn require(&self, roles: &[Role]) -> Answer<()> {
        if roles.iter().any(|role| self.0.has(*role)) { Ok(()) } else { Err(Problem::forbidden()) }
    }

    /// Refuses whoever only borrows the account: its keys and passwords are not shown to everybody.
    pub fn require_own_account(&self) -> Answer<()> {
        if self.1 { Err(Problem::forbidden()) } else { Ok(()) }
    }

    /// The account as an operator of taxis.
    pub fn operator(&self) -> OperatorKey {
        OperatorKey(self.0.id.unsigned_abs())
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let header = |name| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let Some(key) = header(KEY) else {
            return Err(Problem::whole(StatusCode::UNAUTHORIZED, "Header X-Api-Key required."));
        };
        let log_as = header(LOG_AS);
        let refused = || {
            let message = match log_as {
                Some(_) => "Header X-Api-Key and/or X-Logas not valid.",
                None => "Header X-Api-Key not valid.",
            };
            Problem::whole(StatusCode::UNAUTHORIZED, message)
        };
        let accounts = app.registry.accounts();
        let account = accounts.api_key(key).ok_or_else(refused)?;
        match log_as.filter(|email| !email.is_empty()) {
            None => Ok(Self(account.clone(), false)),
            Some(email) => {
                let integration = app.behaviour.integration_account.as_deref();
                logged_as(&accounts, account, email, integration).ok_or_else(refused)
            }
        }
    }
}

/// The account that `account` may act for under this email: itself; any, for an administrator; those it manages; and
/// for everybody the integration account.
fn logged_as(
    accounts: &Accounts,
    account: &Arc<Account>,
    email: &str,
    integration: Option<&str>,
) -> Option<Caller> {
    if email == account.email {
        return Some(Caller(account.clone(), false));
    }
    let other = accounts.email(email)?;
    let governs = account.has(Role::Admin) || other.manager_id == Some(account.id);
    (governs || integration == Some(email)).then(|| Caller(other.clone(), !governs))
}
