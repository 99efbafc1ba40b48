//! `/hails`: asking for a taxi ([`create`]), bringing the hail to its end ([`change`]), and looking back ([`list`],
//! [`support`]).

use axum::http::StatusCode;
use engine::engine::Seen;
use ingest::clock::Millis;

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::hail::tracks;
use crate::registry::accounts::Account;
use crate::store::hails::HailRow;
use answer::Eyes;

pub mod answer;
pub mod call;
pub mod change;
pub mod create;
pub mod event;
pub mod list;
pub mod stream;
pub mod support;

/// How long a hail is shown to those who had to do with it, in milliseconds; to administrators for ever.
pub const SHOWN_MS: i64 = 60 * 24 * 3_600_000;

/// A hail that the caller may see, and with which eyes.
async fn seen_by(app: &App, caller: &Caller, id: &str) -> Answer<(HailRow, Eyes)> {
    let hail = app.registry.store().hail(id).await?.ok_or_else(unknown)?;
    let eyes = eyes(app, caller, &hail)?;
    Ok((hail, eyes))
}

/// With which eyes the caller may see a hail.
fn eyes(app: &App, caller: &Caller, hail: &HailRow) -> Answer<Eyes> {
    eyes_of(&caller.0, hail, app.clock.now()).map_err(|unseen| match unseen {
        Unseen::NoLonger => unknown(),
        Unseen::NotTheirs => not_theirs(),
    })
}

/// Why an account does not see a hail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// It was made too long ago.
    #[error("the hail is no longer shown")]
    NoLonger,
    /// It is none of theirs.
    #[error("the hail is somebody else's")]
    NotTheirs,
}

/// With which eyes an account sees a hail now.
pub fn eyes_of(account: &Account, hail: &HailRow, now: Millis) -> Result<Eyes, Unseen> {
    let eyes = Eyes::of(account, hail.operator_id, hail.app_id);
    if eyes != Some(Eyes::Admin) && now.0 - hail.created_at > SHOWN_MS {
        return Err(Unseen::NoLonger);
    }
    eyes.ok_or(Unseen::NotTheirs)
}

fn unknown() -> Problem {
    Problem::url(StatusCode::NOT_FOUND, "Hail not found")
}

fn not_theirs() -> Problem {
    Problem::url(StatusCode::FORBIDDEN, "You do not have the permissions to view this hail")
}

/// Where a hail's taxi was seen last, as its operator reports it.
fn last_seen(app: &App, hail: &HailRow) -> Option<Seen> {
    tracks::last_seen(app, hail.taxi_id, hail.operator_id)
}
