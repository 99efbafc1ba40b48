//! `GET /activity_logs`: who did what, for administrators.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::naive_timestamp;
use crate::activity::{ACTIONS, RESOURCES};
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::query::{Query, not_one_of, page_beside};
use crate::role::Role;
use crate::store::activity::{ActivityFilter, ActivityRow};

/// A page of entries, the newest first.
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Value>> {
    caller.require(&[Role::Admin])?;
    let mut errors = Map::new();
    for (name, choices) in [("resource", RESOURCES), ("action", ACTIONS)] {
        if let Some(wrong) = not_one_of(&query, name, choices) {
            errors.insert(name.to_owned(), wrong);
        }
    }
    let page = page_beside(&query, &["resource", "resource_id", "action"], errors)?;
    let given = |name| query.first(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let filter = ActivityFilter {
        resource: given("resource"),
        resource_id: given("resource_id"),
        action: given("action"),
    };
    let (rows, total) = app.registry.store().activity(&filter, page.limit_offset()).await?;
    let data: Vec<_> = rows.iter().map(render).collect();
    Ok(Json(json!({"data": data, "meta": page.meta(total)})))
}

fn render(row: &ActivityRow) -> Value {
    // Another version of the program may have written it: shown as it stands rather than not at all.
    let extra = serde_json::from_str(&row.detail).unwrap_or_else(|_| json!({"detail": row.detail}));
    json!({
        "id": row.id.to_string(), "time": naive_timestamp(row.at), "resource": row.resource,
        "resource_id": row.resource_id, "action": row.action, "extra": extra,
    })
}
