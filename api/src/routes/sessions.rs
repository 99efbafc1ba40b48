//! `GET /sessions`: hails of one customer that follow each other closely, together.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::hails::SHOWN_MS;
use super::hails::answer::{Eyes, shown_operator};
use super::hails::list::within;
use super::naive_timestamp;
use super::search::NEUTRAL_OPERATOR;
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::Paged;
use crate::form::filters::{Filters, too_many};
use crate::form::moment::SlashedDay;
use crate::form::query::{Extent, Query};
use crate::hail::wish::HIDDEN_PHONE_NUMBER;
use crate::limits::PER_PAGE;
use crate::openapi::{Chapter, Operation};
use crate::role::Role;
use crate::store::hails::lists::{ListedRow, SessionFilter, SessionRow};

/// Who has sessions to list.
pub(crate) const LISTERS: &[Role] = &[Role::Admin, Role::Moteur];

/// A session.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionAnswer {
    /// Its id.
    pub session_id: String,
    /// The customer, as the app names them.
    pub customer_id: String,
    /// The number of the search app's account.
    pub added_by_id: String,
    /// When its first hail was made: ISO 8601 in UTC, without an offset.
    pub added_at: String,
    /// Its hails, the oldest first, a hundred at most.
    pub hails: Vec<SessionHail>,
}

/// A hail of a session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionHail {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub status: &'static str,
    /// The search app.
    pub moteur: SessionAccount,
    /// The operator, or what stands in its place for search apps.
    pub operateur: SessionAccount,
    /// The taxi.
    pub taxi: SessionTaxi,
    /// When it was made: ISO 8601 in UTC, without an offset.
    pub added_at: String,
    /// Longitude of the customer in degrees.
    pub customer_lon: f64,
    /// Latitude of the customer in degrees.
    pub customer_lat: f64,
    /// Where the taxi is to go.
    pub customer_address: String,
    /// The customer's phone number, while the taxi is on its way; else a number of nobody.
    pub customer_phone_number: String,
    /// The taxi's phone number, while it is on its way; else a number of nobody.
    pub taxi_phone_number: String,
    /// Longitude of the taxi in degrees, when it was hailed.
    pub initial_taxi_lon: f64,
    /// Latitude of the taxi in degrees, when it was hailed.
    pub initial_taxi_lat: f64,
}

/// An account that has to do with a hail.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionAccount {
    /// Its number; null for an operator that is not named.
    pub id: Option<String>,
    /// Its email.
    pub email: String,
    /// The name that others see.
    pub commercial_name: String,
}

/// A hail's taxi.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionTaxi {
    /// Its id; search apps see the pseudonym under which they hailed it.
    pub id: String,
}

/// A page of the caller's sessions, the newest first.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Paged<SessionAnswer>>> {
    Ok(Json(found(&app, &caller, &query, Extent::whole(PER_PAGE)).await?))
}

/// The same, so many sessions at once.
pub(crate) async fn found(
    app: &App,
    caller: &Caller,
    query: &Query,
    extent: Extent,
) -> Answer<Paged<SessionAnswer>> {
    caller.require(LISTERS)?;
    let own = (caller.0.id, app.clock.now().0 - SHOWN_MS);
    let mut filters = Filters::of(query);
    let filter = SessionFilter {
        of: (!caller.0.has(Role::Admin)).then_some(own),
        apps: app.registry.accounts().beginning(&filters.beginnings("moteur")),
        customers: filters.beginnings("customer_id"),
        begun: filters.values("date", &SlashedDay).into_iter().map(within).collect(),
    };
    let page = filters.page()?.of(extent.per_page);
    let store = app.registry.store();
    let (sessions, total) = store.sessions(&filter, page.limit_offset(), extent.counted).await?;
    let mut hails: HashMap<String, Vec<SessionHail>> = HashMap::new();
    for row in store.hails_of(&sessions).await? {
        let hail = SessionHail::new(app, caller, &row);
        hails.entry(row.session_id).or_default().push(hail);
    }
    let render = |session: SessionRow| SessionAnswer {
        hails: hails.remove(&session.id).unwrap_or_default(),
        session_id: session.id,
        customer_id: session.customer_id,
        added_by_id: session.app_id.to_string(),
        added_at: naive_timestamp(session.created_at),
    };
    Ok(Paged::new(sessions.into_iter().map(render).collect(), page.meta(total)))
}

/// `GET /sessions` in the reference.
pub fn describe_list() -> Operation {
    let about = "A session is hails of one customer that follow each other within five minutes. The newest first: for \
                 a search app its own of the last 60 days, for administrators all. Texts are beginnings, without \
                 regard to case.";
    Operation::new(Chapter::Hails, "The caller's sessions with their hails, page by page", about)
        .roles(LISTERS)
        .pages()
        .filter("moteur", "Only sessions of search apps whose email begins with one of these.")
        .filter("customer_id", "Only sessions of customers whose id begins with one of these.")
        .filter_of("date", &SlashedDay, "Only sessions that began on one of these days, in UTC.")
        .page("A page of sessions.", &[SessionAnswer::example()])
        .refuses_with("Too many values.", &too_many("customer_id"))
}

impl SessionHail {
    /// A hail of a session as the caller sees it.
    fn new(app: &App, caller: &Caller, row: &ListedRow) -> Self {
        // None is listed that is not the caller's.
        let eyes = Eyes::of(&caller.0, row.operator_id, row.app_id).unwrap_or(Eyes::App);
        let is_neutral = eyes == Eyes::App && app.behaviour.neutral_operator;
        Self {
            id: row.id.clone(),
            status: row.status.as_str(),
            moteur: SessionAccount {
                id: Some(row.app_id.to_string()),
                email: row.app_email.clone(),
                commercial_name: row.app_name.clone(),
            },
            operateur: SessionAccount {
                id: (!is_neutral).then(|| row.operator_id.to_string()),
                email: shown_operator(app, eyes, &row.operator_email),
                commercial_name: shown_operator(app, eyes, &row.operator_name),
            },
            taxi: SessionTaxi { id: eyes.taxi_id(&row.shown_taxi_id, &row.public_taxi_id).to_owned() },
            added_at: naive_timestamp(row.created_at),
            customer_lon: f64::from(row.customer_lon_e7) / 1e7,
            customer_lat: f64::from(row.customer_lat_e7) / 1e7,
            customer_address: row.customer_address.clone(),
            customer_phone_number: eyes.phone_number(row.status, &row.customer_phone_number),
            taxi_phone_number: eyes.phone_number(row.status, &row.taxi_phone_number),
            initial_taxi_lon: f64::from(row.taxi_lon_e7) / 1e7,
            initial_taxi_lat: f64::from(row.taxi_lat_e7) / 1e7,
        }
    }
}

impl SessionAnswer {
    fn example() -> Self {
        let moment = "2026-11-25T07:30:00.123456";
        let hail = SessionHail {
            id: "h7KqYbW".to_owned(),
            status: "finished",
            moteur: SessionAccount {
                id: Some("4".to_owned()),
                email: "my-app".to_owned(),
                commercial_name: "My app".to_owned(),
            },
            operateur: SessionAccount {
                id: None,
                email: NEUTRAL_OPERATOR.to_owned(),
                commercial_name: NEUTRAL_OPERATOR.to_owned(),
            },
            taxi: SessionTaxi { id: "u3bQ0yVnXw7sZkWlTqPa1g".to_owned() },
            added_at: moment.to_owned(),
            customer_lon: 2.3505,
            customer_lat: 48.855,
            customer_address: "25 rue Quincampoix 75004 Paris".to_owned(),
            customer_phone_number: HIDDEN_PHONE_NUMBER.to_owned(),
            taxi_phone_number: HIDDEN_PHONE_NUMBER.to_owned(),
            initial_taxi_lon: 2.3522,
            initial_taxi_lat: 48.8566,
        };
        Self {
            session_id: "b1f0a9a4-0a0c-4a1e-9d0c-0c8a1f3e2d11".to_owned(),
            customer_id: "customer-1".to_owned(),
            added_by_id: "4".to_owned(),
            added_at: moment.to_owned(),
            hails: vec![hail],
        }
    }
}
