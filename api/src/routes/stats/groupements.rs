//! `GET /stats/groupements`: groups of taxis, and how many of theirs are registered.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::narrowed;
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::{self, Elements};
use crate::form::query::Query;
use crate::openapi::{Chapter, Operation};
use crate::registry::accounts::{Account, Accounts};
use crate::role::{ADMINISTRATORS, Role};
use crate::routes::naive_timestamp;
use crate::statistics::filter::Filter;
use crate::store::statistics::registered::OfAccount;

/// Groups of taxis.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Groupements)]
pub struct GroupementsAnswer {
    /// How many groups there are.
    pub registered_groupements: usize,
    /// Each of them, by email.
    pub fleet_data: Vec<Fleet>,
}

/// A group of taxis and its fleet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fleet {
    /// Number of the account.
    pub id: i32,
    /// Its email.
    pub email: String,
    /// How many taxis it says that it has; null: it does not.
    pub fleet_size: Option<i32>,
    /// How many it registered.
    pub count: i64,
    /// How many percent of those that it has; null where nobody knows.
    pub ratio: Option<f64>,
    /// When the newest was registered: ISO 8601 in UTC, without an offset; null where there is none.
    pub last_taxi: Option<String>,
    /// Email of the account that manages it, if one does.
    pub manager: Option<String>,
}

/// Every group; with a filter, those with a taxi that it takes.
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Elements<GroupementsAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let filter = Filter::read(&query)?;
    let registered = app.registry.store().taxis_by_account(&filter).await?;
    let registered: HashMap<_, _> = registered.into_iter().map(|one| (one.account_id, one)).collect();
    let accounts = app.registry.accounts();
    let fleets = accounts.with(Role::Groupement).into_iter().filter_map(|group| {
        let taxis = registered.get(&group.id);
        (taxis.is_some() || filter.takes_all()).then(|| fleet(group, taxis, &accounts))
    });
    let fleet_data: Vec<_> = fleets.collect();
    Ok(envelope::of_one(GroupementsAnswer { registered_groupements: fleet_data.len(), fleet_data }))
}

/// `GET /stats/groupements` in the reference.
pub fn describe_read() -> Operation {
    let fleet = Fleet {
        id: 3,
        email: "my-group".to_owned(),
        fleet_size: Some(8),
        count: 3,
        ratio: Some(37.5),
        last_taxi: Some("2025-05-02T09:00:00".to_owned()),
        manager: Some("boss".to_owned()),
    };
    let groups = GroupementsAnswer { registered_groupements: 1, fleet_data: vec![fleet] };
    let about = "With a filter, those that registered a taxi that it takes, and only such taxis.";
    narrowed(Operation::new(Chapter::Statistics, "Groups of taxis, and how many are registered", about))
        .roles(ADMINISTRATORS)
        .one(200, "The groups.", &groups)
}

fn fleet(group: &Account, taxis: Option<&OfAccount>, accounts: &Accounts) -> Fleet {
    let count = taxis.map_or(0, |taxis| taxis.taxis);
    let manager = group.manager_id.and_then(|id| accounts.id(id));
    Fleet {
        id: group.id,
        email: group.email.clone(),
        fleet_size: group.fleet_size,
        count,
        ratio: group.fleet_size.filter(|size| *size > 0).map(|size| percent(count, size)),
        last_taxi: taxis.map(|taxis| naive_timestamp(taxis.newest_at)),
        manager: manager.map(|manager| manager.email.clone()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "taxis, which are few")]
fn percent(count: i64, of: i32) -> f64 {
    100.0 * count as f64 / f64::from(of)
}
