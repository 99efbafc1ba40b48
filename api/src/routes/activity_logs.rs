//! `GET /activity_logs`: who did what, for administrators.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::naive_timestamp;
use crate::activity::{ACTIONS, RESOURCES};
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::Paged;
use crate::form::query::{Query, not_one_of, page_beside};
use crate::limits::PER_PAGE;
use crate::openapi::{Chapter, Operation};
use crate::role::ADMINISTRATORS;
use crate::store::activity::{ActivityFilter, ActivityRow};

/// One entry: who did what to which account, taxi or customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Activity)]
pub struct ActivityAnswer {
    /// Its number, which rises with time.
    pub id: String,
    /// When it was: ISO 8601 in UTC, without an offset.
    pub time: String,
    /// What it is about.
    pub resource: String,
    /// Which one: a number, or a taxi's id.
    pub resource_id: String,
    /// What was done.
    pub action: String,
    /// Who did it, and what else there is to say.
    pub extra: Value,
}

/// A page of entries, the newest first.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Paged<ActivityAnswer>>> {
    Ok(Json(found(&app, &caller, &query, PER_PAGE).await?))
}

/// The same with so many entries a page.
pub(crate) async fn found(
    app: &App,
    caller: &Caller,
    query: &Query,
    per_page: i64,
) -> Answer<Paged<ActivityAnswer>> {
    caller.require(ADMINISTRATORS)?;
    let mut errors = Map::new();
    for (name, choices) in [("resource", RESOURCES), ("action", ACTIONS)] {
        if let Some(wrong) = not_one_of(query, name, choices) {
            errors.insert(name.to_owned(), wrong);
        }
    }
    let page = page_beside(query, &["resource", "resource_id", "action"], errors)?.of(per_page);
    let given = |name| query.first(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let filter = ActivityFilter {
        resource: given("resource"),
        resource_id: given("resource_id"),
        action: given("action"),
    };
    let (rows, total) = app.registry.store().activity(&filter, page.limit_offset()).await?;
    Ok(Paged::new(rows.iter().map(render).collect(), page.meta(total)))
}

/// `GET /activity_logs` in the reference.
pub fn describe_list() -> Operation {
    let entry = ActivityAnswer {
        id: "7".to_owned(),
        time: "2026-11-25T07:30:00".to_owned(),
        resource: "user".to_owned(),
        resource_id: "3".to_owned(),
        action: "login_apikey".to_owned(),
        extra: json!({"referrer": null, "user_id": 3}),
    };
    Operation::new(Chapter::Accounts, "Who did what, page by page", "The newest first, of the last year.")
        .roles(ADMINISTRATORS)
        .pages()
        .choice("resource", RESOURCES, "Only entries about this.")
        .argument("resource_id", "Only entries about this one.")
        .choice("action", ACTIONS, "Only entries of this action.")
        .page("A page of entries.", &[entry])
}

fn render(row: &ActivityRow) -> ActivityAnswer {
    // Another version of the program may have written it: shown as it stands rather than not at all.
    let extra = serde_json::from_str(&row.detail).unwrap_or_else(|_| json!({"detail": row.detail}));
    ActivityAnswer {
        id: row.id.to_string(),
        time: naive_timestamp(row.at),
        resource: row.resource.clone(),
        resource_id: row.resource_id.clone(),
        action: row.action.clone(),
        extra,
    }
}
