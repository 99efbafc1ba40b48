//! `POST /drivers`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::{Field, Form, envelope, kind, messages};
use crate::role::Role;
use crate::router::Payload;
use crate::store::drivers::{DepartementRow, Driver};

/// Adds a driver (201) or updates it (200).
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<(StatusCode, Json<Value>)> {
    caller.require(&[Role::Admin, Role::Operateur])?;
    let request = envelope::one(&body, read)?;
    let departement = find(&request.departement, app.registry.store().departements().await?)?;
    let driver = Driver { departement: departement.numero.clone(), ..request.driver };
    let answer = json!({
        "first_name": driver.first_name, "last_name": driver.last_name, "birth_date": driver.birth_date,
        "professional_licence": driver.professional_licence,
        "departement": {"nom": departement.nom, "numero": departement.numero},
    });
    let new = app.registry.put_driver(caller.0.id, driver).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(envelope::answer(&answer))))
}

struct Request {
    driver: Driver,
    departement: Departement,
}

/// A departement as partners name it: by either, or both.
struct Departement {
    nom: Option<String>,
    numero: Option<String>,
}

fn read(element: &Value) -> Field<Request> {
    let mut form = Form::begin(element)?;
    let first_name = form.required("first_name", kind::string);
    let last_name = form.required("last_name", kind::string);
    let birth_date = form.nullable("birth_date", kind::date).flatten();
    let professional_licence = form.required("professional_licence", kind::non_empty);
    let departement = form.required("departement", read_departement);
    let request = (|| {
        let driver = Driver {
            departement: String::new(),
            professional_licence: professional_licence?,
            first_name: first_name?,
            last_name: last_name?,
            birth_date: birth_date.map(|day| day.format("%Y-%m-%d").to_string()),
        };
        Some(Request { driver, departement: departement? })
    })();
    form.finish(request)
}

fn read_departement(value: &Value) -> Field<Departement> {
    let mut form = Form::begin(value)?;
    let nom = form.optional("nom", kind::string);
    let numero = form.optional("numero", kind::string);
    if nom.is_none()
        && numero.is_none()
        && form.is_clean()
        && value.as_object().is_some_and(serde_json::Map::is_empty)
    {
        form.error("nom", messages("You need to specify at least \"nom\" or \"numero\""));
    }
    form.finish(Some(Departement { nom, numero }))
}

/// The one departement of this name or number. Partners misspell: one of the two being right is enough.
fn find(wanted: &Departement, all: Vec<DepartementRow>) -> Answer<DepartementRow> {
    let nom = wanted.nom.as_ref().map(|nom| nom.to_lowercase());
    let matches = |row: &DepartementRow| {
        nom.as_ref().is_some_and(|nom| row.nom.to_lowercase() == *nom)
            || wanted.numero.as_ref() == Some(&row.numero)
    };
    let mut found = all.into_iter().filter(matches);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(both(StatusCode::NOT_FOUND, "Departement not found")),
        (Some(_), Some(_)) => {
            Err(both(StatusCode::CONFLICT, "There is more than one match for this nom/numero"))
        }
    }
}

fn both(status: StatusCode, message: &str) -> Problem {
    Problem::data(status, &json!({"departement": {"nom": [message], "numero": [message]}}))
}
