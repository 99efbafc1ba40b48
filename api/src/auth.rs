//! Who is asking: an API key, and perhaps another account to be logged as.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use ingest::position::OperatorKey;

use crate::activity::{Actor, Entry};
use crate::app::App;
use crate::error::{Answer, Problem};
use crate::registry::accounts::{Account, Accounts};
use crate::role::Role;
use crate::routes::positions;

const KEY: &str = "X-Api-Key";
const LOG_AS: &str = "X-Logas";
/// Where positions are posted.
const POSITIONS: [&str; 2] = ["/geotaxi", positions::PATH];

/// The account a request acts for, and whose key it came with.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Account>, Key);

/// Whose API key a request came with.
#[derive(Clone, Debug)]
enum Key {
    /// The account's own.
    Own,
    /// That of an administrator or of the account's manager.
    Governor(Arc<Account>),
    /// That of anybody else: the account is lent, as the integration account is.
    Borrower(Arc<Account>),
}

impl Caller {
    /// Refuses accounts with none of these roles.
    pub fn require(&self, roles: &[Role]) -> Answer<()> {
        if roles.iter().any(|role| self.0.has(*role)) { Ok(()) } else { Err(Problem::forbidden()) }
    }

    /// Refuses whoever only borrows the account: its keys and passwords are not shown to everybody.
    pub fn require_own_account(&self) -> Answer<()> {
        if matches!(self.1, Key::Borrower(_)) { Err(Problem::forbidden()) } else { Ok(()) }
    }

    /// Whether what is the account's may be kept for this other one: by whoever borrows it, for themselves alone.
    pub fn may_show_to(&self, other: &Account) -> bool {
        match &self.1 {
            Key::Borrower(own) => own.id == other.id,
            Key::Own | Key::Governor(_) => true,
        }
    }

    /// Who acts, for the activity log.
    pub fn actor(&self) -> Actor {
        let key_of = match &self.1 {
            Key::Own => None,
            Key::Governor(account) | Key::Borrower(account) => Some(account.id),
        };
        Actor { account: Some(self.0.id), key_of }
    }

    /// Whoever logged in, acting for another account where they say so and may: as with `X-Logas`, and as dear. None:
    /// an account is gone, or may no longer act for the other.
    pub(crate) async fn of_session(
        app: &App,
        (account, acting_as): (i32, Option<i32>),
        parts: &Parts,
    ) -> Answer<Option<Self>> {
        let accounts = app.registry.accounts();
        let Some(account) = accounts.id(account) else { return Ok(None) };
        app.buckets.admit(account, &parts.extensions)?;
        let Some(other) = acting_as else { return Ok(Some(Self(account.clone(), Key::Own))) };
        let caller = Self::acting_as(app, account, other);
        if let Some(caller) = &caller {
            remember(app, caller, parts).await?;
        }
        Ok(caller)
    }

    /// `account` acting for the one of this number, if it is an administrator or manages that.
    pub(crate) fn acting_as(app: &App, account: &Arc<Account>, other: i32) -> Option<Self> {
        let accounts = app.registry.accounts();
        logged_as(&accounts, account, &accounts.id(other)?.email, None)
    }

    /// Whether both accounts are as they were when the caller was recognised: nobody goes on with a key or a role that
    /// is gone.
    pub fn stands(&self, app: &App) -> bool {
        let accounts = app.registry.accounts();
        let stands =
            |account: &Account| accounts.id(account.id).is_some_and(|now| now.version == account.version);
        let key_stands = match &self.1 {
            Key::Own => true,
            Key::Governor(account) | Key::Borrower(account) => stands(account),
        };
        key_stands && stands(&self.0)
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
            return Err(Problem::no_key());
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
        let found = tracing::debug_span!("authenticate").in_scope(|| accounts.api_key(key));
        let account = found.ok_or_else(refused)?;
        // It is the key's account that pays, whomever it acts for: borrowing another adds nothing to what one may ask,
        // and takes nothing from that other. A guess at an email costs as much.
        app.buckets.admit(account, &parts.extensions)?;
        match log_as.filter(|email| !email.is_empty()) {
            None => Ok(Self(account.clone(), Key::Own)),
            Some(email) => {
                let integration = app.behaviour.integration_account.as_deref();
                let caller = logged_as(&accounts, account, email, integration).ok_or_else(refused)?;
                remember(app, &caller, parts).await?;
                Ok(caller)
            }
        }
    }
}

/// Where a request comes from: the address at the other end of its connection, which may be a proxy's.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let connection = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(connection.map(|ConnectInfo(address)| address.ip())))
    }
}

/// The account that `account` may act for under this email: itself; any, for an administrator; those it manages, but
/// for administrators, who may do more than it; and for everybody the integration account, unless that is an
/// administrator: every key could do anything then.
fn logged_as(
    accounts: &Accounts,
    account: &Arc<Account>,
    email: &str,
    integration: Option<&str>,
) -> Option<Caller> {
    if email == account.email {
        return Some(Caller(account.clone(), Key::Own));
    }
    let other = accounts.email(email)?;
    let governs = account.has(Role::Admin) || account.manages(other);
    let key = if governs { Key::Governor(account.clone()) } else { Key::Borrower(account.clone()) };
    let is_lent = integration == Some(email) && !other.has(Role::Admin);
    (governs || is_lent).then(|| Caller(other.clone(), key))
}

/// Says in the activity log who acts as another account, wherever that may change something. Positions are left out:
/// nothing on their way asks SQL anything.
async fn remember(app: &App, caller: &Caller, parts: &Parts) -> Answer<()> {
    let path = parts.uri.path();
    let entry = Entry::acted_as(caller.0.id, parts.method.as_str(), path);
    if matches!(caller.1, Key::Own) || parts.method.is_safe() || POSITIONS.contains(&path) {
        return Ok(());
    }
    Ok(app.registry.store().log_activity(caller.actor(), &entry).await?)
}
