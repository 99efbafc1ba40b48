//! The trial that a taxi may be of: one search app alone finds it, and hails it.
//!
//! By law every customer may find every taxi that is free. So only the integration account has taxis of trials, which
//! nobody drives.

use axum::http::StatusCode;
use serde_json::json;

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::registry::accounts::Account;
use crate::role::Role;

const NOT_LENT: &str = "Every search app finds every taxi, but for those of the integration account.";
const NO_APP: &str = "No search app has this email, or it is not that whose key the account is used with.";
const NOT_REGISTERED: &str = "The account has not registered this taxi itself.";

/// Sets the search app that alone finds one of the caller's taxis, by its email; None: every one does.
pub(super) async fn set(app: &App, caller: &Caller, taxi: String, email: Option<String>) -> Answer<()> {
    if app.behaviour.integration_account.as_deref() != Some(caller.0.email.as_str()) {
        return Err(not_lent());
    }
    let accounts = app.registry.accounts();
    let is_theirs = |account: &Account| account.has(Role::Moteur) && caller.may_show_to(account);
    let number =
        |email: String| accounts.email(&email).filter(|account| is_theirs(account)).map(|one| one.id);
    let account = email.map(|email| number(email).ok_or_else(|| refused(NO_APP))).transpose()?;
    let is_registered = app.registry.set_trial(caller.actor(), caller.0.id, taxi, account).await?;
    if is_registered { Ok(()) } else { Err(refused(NOT_REGISTERED)) }
}

/// What everybody else is told.
pub(super) fn not_lent() -> Problem {
    refused(NOT_LENT)
}

fn refused(why: &str) -> Problem {
    Problem::data(StatusCode::BAD_REQUEST, &json!({"trial_for": [why]}))
}
