//! Hails: made here, changed in [`change`], claimed in [`due`], listed in [`lists`].
//!
//! Whoever writes locks in the same order: the hail, the description of the vehicle, the rest.

use ingest::position::LatLon;
use sqlx::{AssertSqlSafe, FromRow};

use super::batch::{Batch, Run as _};
use super::{Result, Store, read, write};
use crate::activity::Actor;
use crate::hail::Status;
use crate::limits::CALLS_SHOWN;

pub mod change;
pub mod due;
pub mod events;
pub mod lists;
pub mod once;
mod rows;
pub mod tracks;
mod writes;

pub(crate) use writes::BAN_MS;

use once::Once;
use rows::{Described, Rows as _};

/// Hails of one customer of one app that are less than this apart share a session, in milliseconds.
pub(crate) const SESSION_MS: i64 = 5 * 60_000;

/// A hail, with what is shown of those who have to do with it.
#[derive(Clone, Debug, PartialEq, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct HailRow {
    pub id: String,
    pub session_id: String,
    pub app_id: i32,
    pub operator_id: i32,
    pub operator_email: String,
    pub taxi_id: i32,
    pub public_taxi_id: String,
    pub shown_taxi_id: String,
    pub description_id: i32,
    pub vehicle_id: i32,
    pub taxi_status: String,
    /// The status of the description follows this hail, and no later one.
    pub has_taxi: bool,
    pub licence_plate: String,
    pub color: String,
    pub driver_first_name: String,
    pub driver_last_name: String,
    pub taxi_phone_number: String,
    pub customer_id: String,
    pub customer_lat_e7: i32,
    pub customer_lon_e7: i32,
    pub customer_address: String,
    pub customer_phone_number: String,
    #[sqlx(try_from = "String")]
    pub status: Status,
    pub status_at: i64,
    pub transitions: i32,
    pub deadline_at: Option<i64>,
    pub call_due_at: Option<i64>,
    pub incident_taxi_reason: Option<String>,
    pub incident_customer_reason: Option<String>,
    pub reporting_customer: Option<bool>,
    pub reporting_customer_reason: Option<String>,
    pub rating_ride: Option<i32>,
    pub rating_ride_reason: Option<String>,
    pub declined_by_taxi_reason: Option<String>,
    pub declined_after_ms: Option<i64>,
    pub created_at: i64,
}

impl HailRow {
    /// Where the customer is; None for a row that no version of the program writes.
    pub fn customer_at(&self) -> Option<LatLon> {
        LatLon::from_e7(self.customer_lat_e7, self.customer_lon_e7).ok()
    }
}

/// The columns of a [`HailRow`].
const COLUMNS: &str = "h.id, h.session_id, h.app_id, h.operator_id, o.email AS operator_email, h.taxi_id,
    t.public_id AS public_taxi_id, h.shown_taxi_id, h.description_id, d.vehicle_id, d.status AS taxi_status,
    COALESCE(d.hail_id = h.id, FALSE) AS has_taxi, v.licence_plate, d.color,
    r.first_name AS driver_first_name, r.last_name AS driver_last_name, h.taxi_phone_number, h.customer_id,
    h.customer_lat_e7, h.customer_lon_e7, h.customer_address, h.customer_phone_number, h.status, h.status_at,
    h.transitions, h.deadline_at, h.call_due_at, h.incident_taxi_reason, h.incident_customer_reason,
    h.reporting_customer, h.reporting_customer_reason, h.rating_ride, h.rating_ride_reason, h.declined_by_taxi_reason,
    h.declined_after_ms, h.created_at";

/// Where they come from.
const FROM: &str = "hails h JOIN users o ON o.id = h.operator_id JOIN taxis t ON t.id = h.taxi_id
    JOIN vehicle_descriptions d ON d.id = h.description_id JOIN vehicles v ON v.id = d.vehicle_id
    JOIN drivers r ON r.id = t.driver_id";

/// What a customer's hail of a taxi needs to know of its vehicle.
const DESCRIBED: &str = "SELECT d.id, d.operator_id, d.status, d.vehicle_id, t.public_id,
        EXISTS (SELECT 1 FROM hails h WHERE h.id = d.hail_id AND h.deadline_at IS NOT NULL) AS is_held,
        (SELECT c.ban_end FROM customers c WHERE c.app_id = $2 AND c.id = $3) AS ban_end
    FROM vehicle_descriptions d JOIN taxis t ON t.vehicle_id = d.vehicle_id WHERE t.id = $1 ORDER BY d.id";

/// Reads one hail by its id.
fn one() -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("SELECT {COLUMNS} FROM {FROM} WHERE h.id = $1"))
}

/// A transition as stored.
#[derive(Clone, Debug, FromRow)]
pub struct TransitionRow {
    /// Milliseconds since 1970.
    pub at: i64,
    /// Where it led from; None: the hail began.
    pub from_status: Option<String>,
    /// Where it led to.
    pub to_status: String,
    /// Why, where somebody said so.
    pub reason: Option<String>,
}

/// What an app asks for.
#[derive(Debug)]
pub struct NewHail {
    /// The account of the search app.
    pub app: i32,
    /// The taxi, by its number.
    pub taxi: i32,
    /// The operator through whom it is hailed.
    pub operator: i32,
    /// The id under which the app knows the taxi.
    pub shown_taxi_id: String,
    /// Where the taxi is.
    pub taxi_at: LatLon,
    /// The customer, as the app names them.
    pub customer: String,
    /// Where the customer is.
    pub customer_at: LatLon,
    /// The address there; None: nobody knows.
    pub address: Option<String>,
    /// The customer's phone number.
    pub phone_number: String,
    /// The session that the app names; None: whichever is going on.
    pub session: Option<String>,
    /// The request's name, if it has one.
    pub once: Option<Once>,
}

/// Why there is no hail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHailed {
    /// The customer is banned.
    Banned,
    /// The taxi is not free, or another operator's hail has its vehicle.
    NotFree,
    /// The app has no such session.
    NoSuchSession,
    /// The session is another customer's.
    ForeignSession,
    /// Nobody knows where the taxi is to go.
    NoAddress,
    /// The request was made before: its answer is remembered.
    Repeated,
}

impl Store {
    /// A hail by its id.
    pub async fn hail(&self, id: &str) -> Result<Option<HailRow>> {
        // PostgreSQL would refuse the question.
        if id.contains('\0') {
            return Ok(None);
        }
        read!(self, db => sqlx::query_as(one()).bind(id).fetch_optional(db))
    }

    /// How a hail came to where it stands, in order.
    pub async fn transitions(&self, hail: &str) -> Result<Vec<TransitionRow>> {
        read!(self, db => {
            sqlx::query_as(
                "SELECT at, from_status, to_status, reason FROM hail_transitions WHERE hail_id = $1 ORDER BY number",
            )
            .bind(hail)
            .fetch_all(db)
        })
    }

    /// The latest calls of the operator's server about a hail, in order.
    pub async fn hail_calls(&self, hail: &str) -> Result<Vec<change::Call>> {
        let mut calls: Vec<_> = read!(self, db => {
            sqlx::query_as("SELECT at, took_ms, outcome FROM hail_calls WHERE hail_id = $1 ORDER BY at DESC LIMIT $2")
                .bind(hail)
                .bind(CALLS_SHOWN)
                .fetch_all(db)
        })?;
        calls.reverse();
        Ok(calls)
    }

    /// Whether a customer of an app is banned now.
    pub async fn is_banned(&self, app: i32, customer: &str) -> Result<bool> {
        let row: Option<(Option<i64>,)> = read!(self, db => {
            sqlx::query_as("SELECT ban_end FROM customers WHERE app_id = $1 AND id = $2")
                .bind(app)
                .bind(customer)
                .fetch_optional(db)
        })?;
        Ok(row.and_then(|row| row.0).is_some_and(|end| end >= self.now_ms()))
    }

    /// Makes a hail of this id, its taxi answering from then on. The call of its operator is this process's own for
    /// `lease_ms`, and then due. Of several that want one vehicle at the same moment, one gets it. A conflict: the id
    /// is taken.
    pub async fn create_hail(
        &self,
        by: Actor,
        id: &str,
        new: &NewHail,
        lease_ms: i64,
    ) -> Result<std::result::Result<HailRow, NotHailed>> {
        write!(self, tx => { 'hailed: {
            // Whoever else wants the vehicle waits here. What is read with the lock would be of before the wait.
            tx.hold_vehicle(new.taxi).await?;
            let described: Vec<Described> = sqlx::query_as(DESCRIBED)
                .bind(new.taxi)
                .bind(new.app)
                .bind(&new.customer)
                .fetch_all(&mut **tx)
                .await?;
            let now = self.now_ms();
            if described.iter().any(|one| one.ban_end.is_some_and(|end| end >= now)) {
                break 'hailed Err(NotHailed::Banned);
            }
            let mine = described.iter().find(|one| one.operator_id == new.operator && one.status == "free");
            let Some(mine) = mine.filter(|_| !described.iter().any(Described::is_taken)) else {
                break 'hailed Err(NotHailed::NotFree);
            };
            if let Some(session) = &new.session {
                match tx.customer_of(new.app, session).await? {
                    None => break 'hailed Err(NotHailed::NoSuchSession),
                    Some(customer) if customer != new.customer => break 'hailed Err(NotHailed::ForeignSession),
                    Some(_) => {}
                }
            }
            let Some(address) = &new.address else { break 'hailed Err(NotHailed::NoAddress) };
            // From here on rows are written, and nothing is refused but with all of them.
            if let Some(once) = &new.once
                && !tx.begin_once(new.app, once, now).await?
            {
                break 'hailed Err(NotHailed::Repeated);
            }
            tx.put_customer(new.app, &new.customer, now).await?;
            let session = match &new.session {
                Some(session) => Some(session.clone()),
                None => tx.session_after(new.app, &new.customer, now - SESSION_MS).await?,
            };
            let mut batch = Batch::default();
            let session = session.unwrap_or_else(|| {
                let session = uuid::Uuid::new_v4().to_string();
                batch.insert_session(&session, new.app, &new.customer, now);
                session
            });
            batch.insert_hail((id, &session, address), new, mine, by, (now, now + lease_ms));
            tx.run(batch).await?;
            let row: HailRow = sqlx::query_as(one()).bind(id).fetch_one(&mut **tx).await?;
            if let Some(once) = &new.once {
                tx.end_once(new.app, &once.key, id, &(once.answer)(&row)).await?;
            }
            Ok(row)
        } })
    }
}

/// When a status that begins `now` ends by itself.
fn deadline(status: Status, now: i64) -> Option<i64> {
    let lasts = status.lasts()?;
    Some(now.saturating_add(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX)))
}
