//! `PUT /customers/:id`: a search app bans and spares its customers.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::naive_timestamp;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::Form;
use crate::form::envelope::{self, Elements};
use crate::form::kind::{Integer, Kind as _, Object};
use crate::form::moment::{DateTime, Moment};
use crate::openapi::{Chapter, Operation};
use crate::role::Role;
use crate::router::Payload;
use crate::store::customers::CustomerChanges;

/// Who has customers.
const CUSTODIANS: &[Role] = &[Role::Admin, Role::Moteur];

/// When a customer is banned and spared. A moment that was given in the request is written as it was given, another
/// one in UTC without an offset.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub struct CustomerAnswer {
    /// When the ban begins.
    pub ban_begin: Option<String>,
    /// When it ends.
    pub ban_end: Option<String>,
    /// From when on the customer is spared.
    pub reprieve_begin: Option<String>,
    /// Until when.
    pub reprieve_end: Option<String>,
}

/// What is to change; None leaves it, an inner None clears it.
struct Wishes {
    app: Option<i32>,
    ban_begin: Option<Option<Moment>>,
    ban_end: Option<Option<Moment>>,
    reprieve_begin: Option<Option<Moment>>,
    reprieve_end: Option<Option<Moment>>,
}

/// Changes when a customer is banned and spared.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Payload(body): Payload,
) -> Answer<Json<Elements<CustomerAnswer>>> {
    caller.require(CUSTODIANS)?;
    let wishes = envelope::one(&body, Object(read))?;
    let owner = owner(&caller, wishes.app)?;
    let ms = |wish: Option<Option<Moment>>| wish.map(|moment| moment.map(Moment::ms));
    let changes = CustomerChanges {
        ban_begin: ms(wishes.ban_begin),
        ban_end: ms(wishes.ban_end),
        reprieve_begin: ms(wishes.reprieve_begin),
        reprieve_end: ms(wishes.reprieve_end),
    };
    let Some(row) = app.registry.change_customer(owner, id.clone(), changes).await? else {
        let accounts = app.registry.accounts();
        let email = accounts.id(owner).map_or_else(|| owner.to_string(), |account| account.email.clone());
        return Err(unknown(&id, &email));
    };
    let shown = |wish: Option<Option<Moment>>, stored: Option<i64>| match wish {
        Some(given) => given.map(|moment| moment.to_string()),
        None => stored.map(naive_timestamp),
    };
    Ok(envelope::of_one(CustomerAnswer {
        ban_begin: shown(wishes.ban_begin, row.ban_begin),
        ban_end: shown(wishes.ban_end, row.ban_end),
        reprieve_begin: shown(wishes.reprieve_begin, row.reprieve_begin),
        reprieve_end: shown(wishes.reprieve_end, row.reprieve_end),
    }))
}

/// `PUT /customers/{id}` in the reference.
pub fn describe_change() -> Operation {
    let about = "A customer whose ban has not ended cannot hail. What is left out stays, null clears it; moments \
                 without an offset are in UTC.";
    let answer = CustomerAnswer {
        ban_begin: None,
        ban_end: None,
        reprieve_begin: Some("2026-11-25T07:30:00+00:00".to_owned()),
        reprieve_end: Some("2026-12-25T07:30:00+00:00".to_owned()),
    };
    let request = json!({"ban_begin": null, "ban_end": null, "reprieve_begin": "2026-11-25T07:30:00Z",
                         "reprieve_end": "2026-12-25T07:30:00Z"});
    let wrong = json!({"data": {"0": {"ban_end": ["Not a valid datetime."]}}});
    Operation::new(Chapter::Hails, "Bans or spares a customer", about)
        .roles(CUSTODIANS)
        .path("id", &json!({"type": "string"}), "The customer, as the app names them.", "customer-1")
        .body(&Object(read), &request)
        .writes()
        .one(200, "When the customer is banned and spared.", &answer)
        .refuses(400, "A value is wrong.", &wrong)
        .refuses_with("Whose customer it is has to be said.", &nobodys())
        .refuses_with("It is another app's.", &not_theirs())
        .refuses_with("No such customer of this app.", &unknown("nobody", "my-app"))
}

/// The app whose customer it is: the caller, unless an administrator says otherwise.
fn owner(caller: &Caller, named: Option<i32>) -> Answer<i32> {
    let is_admin = caller.0.has(Role::Admin);
    match named {
        None if is_admin && !caller.0.has(Role::Moteur) => Err(nobodys()),
        Some(other) if !is_admin && other != caller.0.id => Err(not_theirs()),
        named => Ok(named.unwrap_or(caller.0.id)),
    }
}

fn read(form: &mut Form<'_>) -> Option<Wishes> {
    let about = "The account of the search app; for administrators, by default the caller's own.";
    Some(Wishes {
        app: form.optional("moteur_id", Integer.about(about)),
        ban_begin: form.nullable("ban_begin", DateTime.about("When the ban begins.")),
        ban_end: form.nullable("ban_end", DateTime.about("When it ends.")),
        reprieve_begin: form
            .nullable("reprieve_begin", DateTime.about("From when on the customer is spared.")),
        reprieve_end: form.nullable("reprieve_end", DateTime.about("Until when.")),
    })
}

fn nobodys() -> Problem {
    invalid("Missing data for required field.")
}

fn not_theirs() -> Problem {
    invalid("Invalid moteur_id. Should match your user id.")
}

fn invalid(message: &str) -> Problem {
    Problem::data(StatusCode::BAD_REQUEST, &json!({"moteur_id": [message]}))
}

fn unknown(customer: &str, email: &str) -> Problem {
    let message = format!("No customer {customer} found associated to user {email}");
    Problem::url(StatusCode::NOT_FOUND, &message)
}
