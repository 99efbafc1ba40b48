//! `GET /towns`, `/zupc` and `/zupc/live`: where the registry holds, and who is connected there.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use engine::territory::{Insee, Zupc};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::search::read_customer;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::Form;
use crate::form::envelope::{self, Elements};
use crate::form::kind::{Kind as _, Text};
use crate::form::query::Query;
use crate::openapi::{Chapter, Operation};
use crate::registry::connected::Connected;
use crate::role::{Role, SEARCHERS};

/// A town.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Town)]
pub struct TownAnswer {
    /// INSEE code.
    pub insee: String,
    /// Name.
    pub name: String,
}

/// What holds at a point: a ZUPC, or a town that shares none.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Zupc)]
#[serde(untagged)]
pub enum ZupcAnswer {
    /// A ZUPC.
    Zupc(SharedZupc),
    /// A town.
    City(City),
}

/// A ZUPC.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SharedZupc {
    /// Its identifier.
    pub zupc_id: String,
    /// Name.
    pub name: String,
    /// `ZUPC`.
    pub r#type: &'static str,
    /// Taxis heard within a minute: `total` to administrators, `operators` to operators, each its own.
    pub stats: Value,
}

/// A town that shares no ZUPC.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct City {
    /// INSEE code.
    pub insee: String,
    /// Name.
    pub name: String,
    /// `city`.
    pub r#type: &'static str,
    /// As for a ZUPC.
    pub stats: Value,
}

/// A ZUPC and its land.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LiveZupc)]
pub struct LiveZupcAnswer {
    /// Its identifier.
    pub id: String,
    /// Name.
    pub nom: String,
    /// Its land, a GeoJSON geometry: the union of its towns, or its own.
    #[schema(value_type = Object)]
    pub geojson: Box<RawValue>,
    /// Taxis heard within a minute: `total` to administrators, `operators` to operators, each its own.
    pub stats: Value,
}

/// The towns whose names begin with `search`.
pub async fn towns(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Elements<TownAnswer>>> {
    caller.require(SEARCHERS)?;
    let prefix = query.read_strictly(read_prefix)?;
    let gazetteer = app.registry.gazetteer();
    let told = |town: &engine::territory::Town| TownAnswer {
        insee: town.insee.to_string(),
        name: town.name.clone(),
    };
    Ok(envelope::of_all(gazetteer.towns(&prefix).map(told).collect()))
}

/// `GET /towns` in the reference.
pub fn describe_towns() -> Operation {
    let paris = TownAnswer { insee: "75056".to_owned(), name: "Paris".to_owned() };
    Operation::new(Chapter::Places, "Towns by name", "Capitals and accents count for nothing.")
        .roles(SEARCHERS)
        .closed_query(read_prefix, &json!({"search": "par"}))
        .list("The towns, by name.", &[paris])
}

fn read_prefix(form: &mut Form<'_>) -> Option<String> {
    let prefix = form.optional("search", Text.about("How the town's name begins; every town without it."));
    Some(prefix.unwrap_or_default())
}

/// The ZUPC of a point, or where there is none its town.
pub async fn zupc(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Elements<ZupcAnswer>>> {
    let at = query.read_strictly(read_customer)?;
    let territory = app.registry.territory();
    let Some(town) = territory.town_at(at) else {
        return Ok(envelope::of_all(Vec::new()));
    };
    let connected = connected(&app, &caller).await?;
    let shared = |zupc: &Zupc| {
        ZupcAnswer::Zupc(SharedZupc {
            zupc_id: zupc.id.clone(),
            name: zupc.name.clone(),
            r#type: "ZUPC",
            stats: stats(&caller, &connected, &zupc.allowed),
        })
    };
    let mut answer: Vec<_> = territory.zupcs_at(town.insee, at).into_iter().map(shared).collect();
    if answer.is_empty() {
        answer.push(ZupcAnswer::City(City {
            insee: town.insee.to_string(),
            name: town.name.clone(),
            r#type: "city",
            stats: stats(&caller, &connected, &[town.insee]),
        }));
    }
    Ok(envelope::of_all(answer))
}

/// `GET /zupc` in the reference.
pub fn describe_zupc() -> Operation {
    let paris = ZupcAnswer::Zupc(SharedZupc {
        zupc_id: "49820f64-544f-461b-9528-6759943390eb".to_owned(),
        name: "ZUPC des taxis parisiens".to_owned(),
        r#type: "ZUPC",
        stats: json!({}),
    });
    Operation::new(
        Chapter::Places,
        "The ZUPC at a point",
        "Zones whose taxis may pick up there together, or else the town alone.",
    )
    .any_account()
    .closed_query(read_customer, &json!({"lon": 2.3522, "lat": 48.8566}))
    .list("The zones, or the one town; none outside any town.", &[paris])
}

/// Every ZUPC that has land, with its land.
pub async fn zupc_live(State(app): State<App>, caller: Caller) -> Answer<Json<Elements<LiveZupcAnswer>>> {
    let connected = connected(&app, &caller).await?;
    let gazetteer = app.registry.gazetteer();
    // The first who asks has the zones united: not for an asynchronous thread.
    let render = move || {
        let told = gazetteer.zupcs().map(|(zupc, land)| LiveZupcAnswer {
            id: zupc.id.clone(),
            nom: zupc.name.clone(),
            geojson: land.to_owned(),
            stats: stats(&caller, &connected, &zupc.allowed),
        });
        envelope::of_all(told.collect())
    };
    tokio::task::spawn_blocking(render).await.map_err(|_| Problem::internal())
}

/// `GET /zupc/live` in the reference.
pub fn describe_zupc_live() -> Operation {
    let land = r#"{"type":"MultiPolygon","coordinates":[[[[2.2,48.8],[2.5,48.8],[2.5,48.9],[2.2,48.8]]]]}"#;
    let paris = LiveZupcAnswer {
        id: "49820f64-544f-461b-9528-6759943390eb".to_owned(),
        nom: "ZUPC des taxis parisiens".to_owned(),
        geojson: RawValue::from_string(land.to_owned()).unwrap_or_default(),
        stats: json!({}),
    };
    let about = "With the taxis heard there within a minute.";
    Operation::new(Chapter::Places, "Every ZUPC and its land", about)
        .any_account()
        .list("The zones.", &[paris])
}

/// Who is connected, for callers who are told.
async fn connected(app: &App, caller: &Caller) -> Answer<Arc<Connected>> {
    if !caller.0.has(Role::Admin) && !caller.0.has(Role::Operateur) {
        return Ok(Arc::default());
    }
    let (registry, now) = (app.registry.clone(), app.clock.now());
    tokio::task::spawn_blocking(move || registry.connected(now)).await.map_err(|_| Problem::internal())
}

/// Taxis connected in all for an administrator, and through its own reports for an operator.
fn stats(caller: &Caller, connected: &Connected, towns: &[Insee]) -> Value {
    let mut stats = Map::new();
    if caller.0.has(Role::Admin) {
        stats.insert("total".to_owned(), json!(connected.in_towns(towns)));
    }
    if caller.0.has(Role::Operateur) {
        let own = connected.of_operator(caller.operator(), towns);
        stats.insert("operators".to_owned(), json!({caller.0.email.as_str(): own}));
    }
    Value::Object(stats)
}
