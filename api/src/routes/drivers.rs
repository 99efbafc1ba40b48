//! `POST /drivers`.

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
use crate::form::kind::{Day, Kind as _, NonEmpty, Object, Text};
use crate::openapi::{Chapter, Operation};
use crate::role::REGISTRARS;
use crate::router::Payload;
use crate::store::drivers::{DepartementRow, Driver};

/// A driver.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Driver)]
pub struct DriverAnswer {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Day of birth.
    #[schema(format = Date)]
    pub birth_date: Option<String>,
    /// Number of the professional card.
    pub professional_licence: String,
    /// Which departement gave it.
    pub departement: DepartementAnswer,
}

/// A departement.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Departement)]
pub struct DepartementAnswer {
    /// Its name.
    pub nom: String,
    /// Its number: two or three characters.
    pub numero: String,
}

/// Adds a driver (201) or updates it (200).
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<(StatusCode, Json<Elements<DriverAnswer>>)> {
    caller.require(REGISTRARS)?;
    let request = envelope::one(&body, Object(read))?;
    let departement = find(&request.departement, app.registry.store().departements().await?)?;
    let driver = Driver { departement: departement.numero.clone(), ..request.driver };
    let answer = DriverAnswer {
        first_name: driver.first_name.clone(),
        last_name: driver.last_name.clone(),
        birth_date: driver.birth_date.clone(),
        professional_licence: driver.professional_licence.clone(),
        departement: DepartementAnswer { nom: departement.nom, numero: departement.numero },
    };
    let new = app.registry.put_driver(caller.0.id, driver).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, envelope::of_one(answer)))
}

/// `POST /drivers` in the reference.
pub fn describe_create() -> Operation {
    let about = "A driver is known by the number of the professional card and the departement that gave it.";
    let request = json!({
        "first_name": "Ada", "last_name": "Martin", "birth_date": "1980-02-03", "professional_licence": "L1",
        "departement": {"numero": "75"},
    });
    let answer = DriverAnswer {
        first_name: "Ada".to_owned(),
        last_name: "Martin".to_owned(),
        birth_date: Some("1980-02-03".to_owned()),
        professional_licence: "L1".to_owned(),
        departement: DepartementAnswer { nom: "Paris".to_owned(), numero: "75".to_owned() },
    };
    Operation::new(Chapter::Operators, "Adds a driver, or updates it", about)
        .roles(REGISTRARS)
        .body(&Object(read), &request)
        .writes()
        .one(201, "It was added.", &answer)
        .one(200, "It was updated.", &answer)
        .refuses_with("No such departement.", &no_match())
        .refuses_with("Name and number are of two departements.", &many_matches())
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

fn read(form: &mut Form<'_>) -> Option<Request> {
    let first_name = form.required("first_name", Text.about("First name."));
    let last_name = form.required("last_name", Text.about("Last name."));
    let birth_date = form.nullable("birth_date", Day.about("Day of birth."));
    let licence = form.required("professional_licence", NonEmpty.about("Number of the professional card."));
    let departement =
        form.required("departement", Object(read_departement).about("The departement that gave the card."));
    let driver = Driver {
        departement: String::new(),
        professional_licence: licence?,
        first_name: first_name?,
        last_name: last_name?,
        birth_date: birth_date.flatten().map(|day| day.format("%Y-%m-%d").to_string()),
    };
    Some(Request { driver, departement: departement? })
}

fn read_departement(form: &mut Form<'_>) -> Option<Departement> {
    form.not_empty("nom", "You need to specify at least \"nom\" or \"numero\"");
    let nom = form.optional("nom", Text.about("Its name; case does not matter."));
    let numero = form.optional("numero", Text.about("Its number."));
    Some(Departement { nom, numero })
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
        (None, _) => Err(no_match()),
        (Some(_), Some(_)) => Err(many_matches()),
    }
}

fn no_match() -> Problem {
    both(StatusCode::NOT_FOUND, "Departement not found")
}

fn many_matches() -> Problem {
    both(StatusCode::CONFLICT, "There is more than one match for this nom/numero")
}

fn both(status: StatusCode, message: &str) -> Problem {
    Problem::data(status, &json!({"departement": {"nom": [message], "numero": [message]}}))
}
