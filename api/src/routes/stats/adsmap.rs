//! `GET /stats/adsmap`: how many taxis have an ADS of each department.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use engine::territory::{Territory, departement};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::narrowed;
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::{self, Elements};
use crate::form::query::Query;
use crate::openapi::{Chapter, Operation};
use crate::registry::geometry::inside;
use crate::role::ADMINISTRATORS;
use crate::statistics::filter::Filter;

/// A department with taxis.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DepartmentOfTaxis)]
pub struct DepartmentAnswer {
    /// How many taxis have an ADS of one of its towns.
    pub count: i64,
    /// Its number.
    pub insee: String,
    /// Its name.
    pub name: String,
    /// A place in one of these towns, a GeoJSON point.
    pub position: Value,
}

/// Departments with taxis, by number.
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Elements<DepartmentAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let (store, territory) = (app.registry.store(), app.registry.territory());
    let towns = store.taxis_by_town(&Filter::read(&query)?).await?;
    let names = store.departements().await?.into_iter().map(|row| (row.numero, row.nom));
    let names: HashMap<_, _> = names.collect();
    let mut departments: BTreeMap<&str, DepartmentAnswer> = BTreeMap::new();
    for (town, taxis) in &towns {
        let number = departement(town);
        if let Some(department) = departments.get_mut(number) {
            department.count += taxis;
        } else if let (Some(name), Some(position)) = (names.get(number), place(&territory, town)) {
            let (insee, name) = (number.to_owned(), name.clone());
            departments.insert(number, DepartmentAnswer { count: *taxis, insee, name, position });
        }
    }
    Ok(envelope::of_all(departments.into_values().collect()))
}

/// `GET /stats/adsmap` in the reference.
pub fn describe_read() -> Operation {
    let rhone = DepartmentAnswer {
        count: 4,
        insee: "69".to_owned(),
        name: "Rhône".to_owned(),
        position: json!({"type": "Point", "coordinates": [4.835, 45.76]}),
    };
    let about = "Of departments with at least one taxi, by number.";
    narrowed(Operation::new(Chapter::Statistics, "How many taxis have an ADS of each department", about))
        .roles(ADMINISTRATORS)
        .list("The departments.", &[rhone])
}

/// A point in a town, as GeoJSON; None: nobody knows where that is.
fn place(territory: &Territory, town: &str) -> Option<Value> {
    let at = inside(&territory.town(town.parse().ok()?)?.shape)?;
    Some(json!({"type": "Point", "coordinates": [at.lon(), at.lat()]}))
}
