//! `GET /stats/groups` and `GET /stats/managers`: the accounts by which figures can be narrowed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::{self, Elements};
use crate::form::query::Query;
use crate::openapi::{Chapter, Operation};
use crate::registry::accounts::Account;
use crate::role::{ADMINISTRATORS, Role};

/// An account by which figures can be narrowed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Group)]
pub struct GroupAnswer {
    /// Its number.
    pub id: i32,
    /// Its email.
    pub email: String,
    /// Its commercial name.
    pub commercial_name: String,
}

/// Groups of taxis, by email; those whose email or name contains a text.
pub async fn groups(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Elements<GroupAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let wanted = query.first("search").unwrap_or_default().to_lowercase();
    let contains = |text: &str| text.to_lowercase().contains(&wanted);
    let accounts = app.registry.accounts();
    let groups = accounts.with(Role::Groupement).into_iter();
    let found = groups.filter(|group| contains(&group.email) || contains(&group.name));
    Ok(envelope::of_all(found.map(render).collect()))
}

/// Accounts that manage another, by email.
pub async fn managers(State(app): State<App>, caller: Caller) -> Answer<Json<Elements<GroupAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    Ok(envelope::of_all(app.registry.accounts().managers().into_iter().map(render).collect()))
}

/// `GET /stats/groups` in the reference.
pub fn describe_groups() -> Operation {
    Operation::new(Chapter::Statistics, "Groups of taxis by which figures can be narrowed", "By email.")
        .roles(ADMINISTRATORS)
        .argument("search", "Only groups whose email or commercial name contains this, whatever the case.")
        .list("The groups.", &[example()])
}

/// `GET /stats/managers` in the reference.
pub fn describe_managers() -> Operation {
    Operation::new(Chapter::Statistics, "Managers by whom figures can be narrowed", "By email.")
        .roles(ADMINISTRATORS)
        .list("Accounts that manage another.", &[example()])
}

fn example() -> GroupAnswer {
    GroupAnswer { id: 3, email: "my-group".to_owned(), commercial_name: "My Group".to_owned() }
}

fn render(account: &Arc<Account>) -> GroupAnswer {
    GroupAnswer { id: account.id, email: account.email.clone(), commercial_name: account.name.clone() }
}
