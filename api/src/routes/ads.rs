//! `POST /ads`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::Form;
use crate::form::envelope::{self, Elements};
use crate::form::kind::{Boolean, Integer, Kind as _, NonEmpty, Object, OneOf, Text};
use crate::openapi::{Chapter, Operation};
use crate::role::REGISTRARS;
use crate::router::Payload;
use crate::store::ads::Ads;

/// An ADS, the licence of a town to wait for customers in its streets, as its operator described it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Ads)]
pub struct AdsAnswer {
    /// Its number in its town.
    pub numero: String,
    /// INSEE code of the town.
    pub insee: String,
    /// Number of the vehicle it is used with.
    pub vehicle_id: Option<i32>,
    /// `individual` or `company`.
    pub owner_type: Option<String>,
    /// Whose it is.
    pub owner_name: String,
    /// Whether two drivers share it.
    pub doublage: Option<bool>,
    /// Free text.
    pub category: String,
}

/// Adds an ADS (201) or replaces it (200): fields left out are reset.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<(StatusCode, Json<Elements<AdsAnswer>>)> {
    caller.require(REGISTRARS)?;
    let ads = envelope::one(&body, Object(read))?;
    if let Some(vehicle) = ads.vehicle_id
        && !app.registry.store().describes_vehicle(caller.0.id, vehicle).await?
    {
        return Err(unknown_vehicle(vehicle));
    }
    if app.registry.store().town_name(&ads.insee).await?.is_none() {
        return Err(unknown_town(&ads.insee));
    }
    let answer = AdsAnswer {
        numero: ads.numero.clone(),
        insee: ads.insee.clone(),
        vehicle_id: ads.vehicle_id,
        owner_type: ads.owner_type.clone(),
        owner_name: ads.owner_name.clone(),
        doublage: ads.doublage,
        category: ads.category.clone(),
    };
    let new = app.registry.put_ads(caller.0.id, ads).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, envelope::of_one(answer)))
}

/// `POST /ads` in the reference.
pub fn describe_create() -> Operation {
    let about = "The ADS is the caller's: the same number in the same town is another one for another operator. Fields \
                 left out are reset.";
    let request =
        json!({"numero": "1", "insee": "75056", "owner_type": "individual", "owner_name": "Ada Martin"});
    let answer = AdsAnswer {
        numero: "1".to_owned(),
        insee: "75056".to_owned(),
        vehicle_id: None,
        owner_type: Some("individual".to_owned()),
        owner_name: "Ada Martin".to_owned(),
        doublage: None,
        category: String::new(),
    };
    Operation::new(Chapter::Operators, "Adds an ADS, or replaces it", about)
        .roles(REGISTRARS)
        .body(&Object(read), &request)
        .writes()
        .one(201, "It was added.", &answer)
        .one(200, "It was replaced.", &answer)
        .refuses_with("No such town.", &unknown_town("99999"))
        .refuses_with("The caller described no such vehicle.", &unknown_vehicle(7))
}

fn unknown_vehicle(number: i32) -> Problem {
    let message = format!("Unable to find vehicle {number}.");
    Problem::data(StatusCode::NOT_FOUND, &json!({"vehicle_id": [message]}))
}

fn unknown_town(insee: &str) -> Problem {
    let message = format!("Unable to find town for INSEE code {insee}.");
    Problem::data(StatusCode::NOT_FOUND, &json!({"insee": [message]}))
}

fn read(form: &mut Form<'_>) -> Option<Ads> {
    let numero = form.required("numero", NonEmpty.about("The ADS's number in its town."));
    let insee = form.required("insee", Text.about("INSEE code of the town that gave it."));
    let vehicle_id = form.nullable("vehicle_id", Integer.about("Number of the vehicle it is used with."));
    let owner_type = form.nullable("owner_type", OneOf(&["individual", "company"]).about("Who owns it."));
    let owner_name = form.optional("owner_name", Text.about("The owner's name."));
    let doublage = form.nullable("doublage", Boolean.about("Whether two drivers share it."));
    let category = form.optional("category", Text.about("Free text."));
    Some(Ads {
        insee: insee?,
        numero: numero?,
        vehicle_id: vehicle_id.flatten(),
        owner_type: owner_type.flatten().map(str::to_owned),
        owner_name: owner_name.unwrap_or_default(),
        doublage: doublage.flatten(),
        category: category.unwrap_or_default(),
    })
}
