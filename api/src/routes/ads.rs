//! `POST /ads`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::{Field, Form, envelope, kind};
use crate::role::Role;
use crate::router::Payload;
use crate::store::ads::Ads;

/// Adds an ADS (201) or replaces it (200): fields left out are reset.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<(StatusCode, Json<Value>)> {
    caller.require(&[Role::Admin, Role::Operateur])?;
    let ads = envelope::one(&body, read)?;
    if let Some(vehicle) = ads.vehicle_id
        && !app.registry.store().describes_vehicle(caller.0.id, vehicle).await?
    {
        let message = format!("Unable to find vehicle {vehicle}.");
        return Err(Problem::data(StatusCode::NOT_FOUND, &json!({"vehicle_id": [message]})));
    }
    if app.registry.store().town_name(&ads.insee).await?.is_none() {
        let message = format!("Unable to find town for INSEE code {}.", ads.insee);
        return Err(Problem::data(StatusCode::NOT_FOUND, &json!({"insee": [message]})));
    }
    let answer = json!({
        "numero": ads.numero, "insee": ads.insee, "vehicle_id": ads.vehicle_id, "owner_type": ads.owner_type,
        "owner_name": ads.owner_name, "doublage": ads.doublage, "category": ads.category,
    });
    let new = app.registry.put_ads(caller.0.id, ads).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(envelope::answer(&answer))))
}

fn read(element: &Value) -> Field<Ads> {
    let mut form = Form::begin(element)?;
    let numero = form.required("numero", kind::non_empty);
    let insee = form.required("insee", kind::string);
    let vehicle_id = form.nullable("vehicle_id", kind::integer).flatten();
    let owner_type = form.nullable("owner_type", kind::one_of(&["individual", "company"])).flatten();
    let owner_name = form.optional("owner_name", kind::string).unwrap_or_default();
    let doublage = form.nullable("doublage", kind::boolean).flatten();
    let category = form.optional("category", kind::string).unwrap_or_default();
    let ads = (|| {
        Some(Ads {
            insee: insee?,
            numero: numero?,
            vehicle_id,
            owner_type: owner_type.map(str::to_owned),
            owner_name,
            doublage,
            category,
        })
    })();
    form.finish(ads)
}
