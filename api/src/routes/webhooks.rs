//! `/webhooks`: servers of search apps that are told what happens to their hails. What could not be told is in
//! [`dead_letters`].

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::endpoint::Endpoint;
use super::hails::event::WebhookEvent;
use super::naive_timestamp;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::Form;
use crate::form::envelope::{self, Elements};
use crate::form::kind::{AtMost, Kind as _, Length, Object};
use crate::limits::{NAME_MAX_CHARS, WEBHOOK_URL_MAX_CHARS, WEBHOOKS_AN_ACCOUNT};
use crate::openapi::{Chapter, Operation};
use crate::registry::accounts::Account;
use crate::role::Role;
use crate::router::Payload;
use crate::store::webhooks::WebhookRow;

pub mod dead_letters;

/// Who has webhooks.
const LISTENERS: &[Role] = &[Role::Admin, Role::Moteur];
/// The shortest secret that is taken, in characters.
const SECRET_MIN_CHARS: usize = 16;

/// A webhook.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookAnswer {
    /// Its id.
    pub id: String,
    /// Where events are posted to.
    pub url: String,
    /// What they are signed with: told once, when it is made.
    pub secret: Option<String>,
    /// When it was made: ISO 8601 in UTC, without an offset.
    pub created_at: String,
}

impl WebhookAnswer {
    fn new(row: WebhookRow, secret: Option<String>) -> Self {
        Self { id: row.id, url: row.url, secret, created_at: naive_timestamp(row.created_at) }
    }

    fn example(secret: Option<&str>) -> Self {
        Self {
            id: "0b6a1b0e-7f0f-4c6f-9a57-3f1f7e0c2d41".to_owned(),
            url: "https://192.0.2.1/hails".to_owned(),
            secret: secret.map(str::to_owned),
            created_at: "2026-11-25T07:30:00".to_owned(),
        }
    }
}

/// Makes a webhook of the caller's (201): it is told what happens to its hails from then on.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Payload(body): Payload,
) -> Answer<(StatusCode, Json<Elements<WebhookAnswer>>)> {
    require(&caller)?;
    let (url, secret) = envelope::one(&body, Object(read_new))?;
    let endpoint = Endpoint::read(&url, app.behaviour.private_endpoints).ok_or_else(not_callable)?;
    if !endpoint.is_public().await? {
        return Err(not_callable());
    }
    let (row, secret) = app.registry.add_webhook(caller.0.id, url, secret).await?.ok_or_else(too_many)?;
    Ok((StatusCode::CREATED, envelope::of_one(WebhookAnswer::new(row, Some(secret)))))
}

/// `POST /webhooks` in the reference.
pub fn describe_create() -> Operation {
    let about = "It is told of each transition of the account's hails from then on, in order for each hail. Its answer \
                 alone tells the secret.";
    let example = WebhookAnswer::example(Some("not so secret as yours"));
    Operation::new(Chapter::Hails, "Makes a webhook", about)
        .roles(LISTENERS)
        .body(&Object(read_new), &json!({"url": example.url, "secret": example.secret}))
        .one(201, "The webhook.", &example)
        .refuses_with("It cannot be called.", &not_callable())
        .refuses_with("The account has as many as it may.", &too_many())
        .writes()
}

/// The caller's webhooks.
pub async fn list(State(app): State<App>, caller: Caller) -> Answer<Json<Elements<WebhookAnswer>>> {
    caller.require_own_account()?;
    let rows = app.registry.store().webhooks(caller.0.id).await?;
    Ok(envelope::of_all(rows.into_iter().map(|row| WebhookAnswer::new(row, None)).collect()))
}

/// What is posted to a webhook, in the reference.
pub fn describe_event() -> Operation {
    let about = "Each transition of the account's hails, once or, where no answer came, again, signed as \
                 `X-Maraude-Signature` tells. Of one hail, they come in order.";
    Operation::new(Chapter::Hails, "A hail moved", about)
        .sends(&WebhookEvent::example())
        .empty(200, "It was taken; any 2xx says so, within ten seconds. Anything else: it comes again.")
}

/// `GET /webhooks` in the reference.
pub fn describe_list() -> Operation {
    Operation::new(Chapter::Hails, "The account's webhooks", "The oldest first.")
        .any_account()
        .list("The webhooks.", &[WebhookAnswer::example(None)])
}

/// A webhook of the caller's.
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<Elements<WebhookAnswer>>> {
    let row = find(&app, &caller, &id).await?;
    Ok(envelope::of_one(WebhookAnswer::new(row, None)))
}

/// `GET /webhooks/{id}` in the reference.
pub fn describe_read() -> Operation {
    one("A webhook of the account's", "Without its secret.").one(
        200,
        "The webhook.",
        &WebhookAnswer::example(None),
    )
}

/// Removes a webhook of the caller's (204), with all that it was still to be told.
pub async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    let row = find(&app, &caller, &id).await?;
    app.registry.remove_webhook(row.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /webhooks/{id}` in the reference.
pub fn describe_remove() -> Operation {
    one("Removes a webhook of the account's", "It is told nothing more, dead letters included.")
        .empty(204, "It is gone.")
}

fn one(summary: &'static str, about: &'static str) -> Operation {
    let id = WebhookAnswer::example(None).id;
    Operation::new(Chapter::Hails, summary, about)
        .any_account()
        .path("id", &json!({"type": "string"}), "The webhook's id.", &id)
        .refuses_with("The account has no such webhook.", &unknown())
}

/// A webhook of the caller's, who may have lost the role for more.
async fn find(app: &App, caller: &Caller, id: &str) -> Answer<WebhookRow> {
    caller.require_own_account()?;
    app.registry.store().webhook(caller.0.id, id).await?.ok_or_else(unknown)
}

/// Whether an account is told of hails.
pub fn may_listen(account: &Account) -> bool {
    LISTENERS.iter().any(|role| account.has(*role))
}

/// Refuses who may make no webhooks, and who only borrows the account.
fn require(caller: &Caller) -> Answer<()> {
    caller.require(LISTENERS)?;
    caller.require_own_account()
}

/// The URL, and the secret if there is one.
fn read_new(form: &mut Form<'_>) -> Option<(String, Option<String>)> {
    let url = AtMost(WEBHOOK_URL_MAX_CHARS).about("Where events are posted to, over HTTP.");
    let url = form.required("url", url);
    let secret = Length(SECRET_MIN_CHARS..=NAME_MAX_CHARS);
    let secret = secret.about("What they are signed with; made up where it is left out.");
    let secret = form.nullable("secret", secret);
    Some((url?, secret.flatten()))
}

fn not_callable() -> Problem {
    Problem::data(StatusCode::BAD_REQUEST, &json!({"url": ["This endpoint is invalid."]}))
}

fn too_many() -> Problem {
    let message = format!("An account may have {WEBHOOKS_AN_ACCOUNT} webhooks.");
    Problem::whole(StatusCode::BAD_REQUEST, &message)
}

fn unknown() -> Problem {
    Problem::url(StatusCode::NOT_FOUND, "Webhook not found")
}
