//! The statements of hails, for a transaction under way on either database.

use sqlx::postgres::PgConnection;
use sqlx::{FromRow, SqliteConnection};

use super::change::Call;
use super::once::{Once, REMEMBERED_MS};
use super::{HailRow, NewHail, deadline};
use crate::activity::{Actor, Entry};
use crate::hail::{Event, Status, next};
use crate::store::Result;
use crate::store::activity::Remember as _;
use crate::store::changes::{Announce as _, Change};

/// How long a reported customer is banned, in milliseconds; a report during a ban doubles it.
const BAN_MS: i64 = 24 * 3_600_000;

/// Longer bans are not doubled any more: a hundred years.
const BAN_DOUBLED_UP_TO_MS: i64 = 36_525 * BAN_MS;

/// An operator's description of a vehicle, as a hail needs it.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Described {
    pub(super) id: i32,
    pub(super) operator_id: i32,
    pub(super) status: String,
    /// The hail that it follows goes on.
    pub(super) is_held: bool,
}

impl Described {
    /// Whether a hail has the vehicle, and its operator has not said otherwise since.
    pub(super) fn is_taken(&self) -> bool {
        self.is_held && !["free", "off"].contains(&self.status.as_str())
    }
}

/// A transition to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transition<'a> {
    pub(super) hail: &'a str,
    /// From 0.
    pub(super) number: i32,
    pub(super) from: Option<Status>,
    pub(super) to: Status,
    pub(super) reason: Option<&'a str>,
}

/// What is done to rows of hails. `now` is in milliseconds since 1970 throughout.
pub(super) trait Rows {
    /// When the ban of a customer ends.
    async fn ban_end(&mut self, app: i32, customer: &str) -> Result<Option<i64>>;
    /// Whose session of an app it is.
    async fn customer_of(&mut self, app: i32, session: &str) -> Result<Option<String>>;
    /// The session of a customer's hail that moved last, if it moved after that.
    async fn session_after(&mut self, app: i32, customer: &str, after: i64) -> Result<Option<String>>;
    /// Adds a request that is to take effect once; false: its answer is remembered.
    async fn begin_once(&mut self, app: i32, once: &Once, now: i64) -> Result<bool>;
    /// Remembers the answer to it.
    async fn end_once(&mut self, app: i32, key: &str, answer: &str) -> Result<()>;
    /// Adds a customer, unless there is one; whoever else hails for this customer waits from here on.
    async fn put_customer(&mut self, app: i32, customer: &str, now: i64) -> Result<()>;
    /// Adds a session.
    async fn insert_session(&mut self, id: &str, app: i32, customer: &str, now: i64) -> Result<()>;
    /// Adds a hail of an id, a session and an address. A conflict: the id is taken.
    async fn insert_hail(
        &mut self,
        texts: (&str, &str, &str),
        description: i32,
        new: &NewHail,
        now: i64,
    ) -> Result<()>;
    /// Adds a transition.
    async fn insert_transition(&mut self, transition: Transition<'_>, by: Actor, now: i64) -> Result<()>;
    /// Replaces what may change of a hail.
    async fn update_hail(&mut self, row: &HailRow, now: i64) -> Result<()>;
    /// Sets the status of a hail's description, and says so, unless a later hail has it; false: nothing is different.
    /// The first time, the description is the hail's from then on.
    async fn set_taxi(&mut self, hail: &HailRow, status: &str, by: Actor, now: i64) -> Result<bool>;
    /// Lets an event happen to a hail: transition, status, deadline and taxi. Whether the taxi's status changed.
    async fn take(
        &mut self,
        hail: &mut HailRow,
        event: Event,
        reason: Option<&str>,
        by: Actor,
        now: i64,
    ) -> Result<bool>;
    /// Bans a hail's customer, or ends the ban.
    async fn report(&mut self, hail: &HailRow, now: i64) -> Result<()>;
    /// Adds a call that ended.
    async fn insert_call(&mut self, hail: &str, call: &Call) -> Result<()>;
}

macro_rules! rows {
    ($connection:ty) => {
        impl Rows for $connection {
            async fn ban_end(&mut self, app: i32, customer: &str) -> Result<Option<i64>> {
                let row: Option<(Option<i64>,)> =
                    sqlx::query_as("SELECT ban_end FROM customers WHERE app_id = $1 AND id = $2")
                        .bind(app)
                        .bind(customer)
                        .fetch_optional(self)
                        .await?;
                Ok(row.and_then(|row| row.0))
            }

            async fn customer_of(&mut self, app: i32, session: &str) -> Result<Option<String>> {
                let row: Option<(String,)> =
                    sqlx::query_as("SELECT customer_id FROM hail_sessions WHERE id = $1 AND app_id = $2")
                        .bind(session)
                        .bind(app)
                        .fetch_optional(self)
                        .await?;
                Ok(row.map(|row| row.0))
            }

            async fn session_after(&mut self, app: i32, customer: &str, after: i64) -> Result<Option<String>> {
                let row: Option<(String,)> = sqlx::query_as(
                    "SELECT session_id FROM hails WHERE app_id = $1 AND customer_id = $2 AND status_at > $3
                     ORDER BY status_at DESC LIMIT 1",
                )
                .bind(app)
                .bind(customer)
                .bind(after)
                .fetch_optional(self)
                .await?;
                Ok(row.map(|row| row.0))
            }

            async fn begin_once(&mut self, app: i32, once: &Once, now: i64) -> Result<bool> {
                // What is remembered no longer is replaced.
                let begun = sqlx::query(
                    "INSERT INTO idempotency_keys (app_id, key, body_sha256, answer, created_at)
                     VALUES ($1, $2, $3, '', $4)
                     ON CONFLICT (app_id, key) DO UPDATE SET body_sha256 = $3, answer = '', created_at = $4
                     WHERE idempotency_keys.created_at < $4 - $5",
                )
                .bind(app)
                .bind(&once.key)
                .bind(&once.body_sha256)
                .bind(now)
                .bind(REMEMBERED_MS)
                .execute(self)
                .await?;
                Ok(begun.rows_affected() == 1)
            }

            async fn end_once(&mut self, app: i32, key: &str, answer: &str) -> Result<()> {
                sqlx::query("UPDATE idempotency_keys SET answer = $3 WHERE app_id = $1 AND key = $2")
                    .bind(app)
                    .bind(key)
                    .bind(answer)
                    .execute(self)
                    .await?;
                Ok(())
            }

            async fn put_customer(&mut self, app: i32, customer: &str, now: i64) -> Result<()> {
                sqlx::query(
                    "INSERT INTO customers (app_id, id, created_at, updated_at) VALUES ($1, $2, $3, $3)
                     ON CONFLICT (app_id, id) DO UPDATE SET updated_at = customers.updated_at",
                )
                .bind(app)
                .bind(customer)
                .bind(now)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn insert_session(&mut self, id: &str, app: i32, customer: &str, now: i64) -> Result<()> {
                sqlx::query(
                    "INSERT INTO hail_sessions (id, app_id, customer_id, created_at) VALUES ($1, $2, $3, $4)",
                )
                .bind(id)
                .bind(app)
                .bind(customer)
                .bind(now)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn insert_hail(
                &mut self,
                (id, session, address): (&str, &str, &str),
                description: i32,
                new: &NewHail,
                now: i64,
            ) -> Result<()> {
                sqlx::query(
                    "INSERT INTO hails (id, session_id, app_id, operator_id, taxi_id, description_id, shown_taxi_id,
                         taxi_lat_e7, taxi_lon_e7, customer_id, customer_lat_e7, customer_lon_e7, customer_address,
                         customer_phone_number, status, deadline_at, transitions, status_at, call_due_at, created_at,
                         updated_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1, $17, $17, $17,
                         $17)",
                )
                .bind(id)
                .bind(session)
                .bind(new.app)
                .bind(new.operator)
                .bind(new.taxi)
                .bind(description)
                .bind(&new.shown_taxi_id)
                .bind(new.taxi_at.lat_e7())
                .bind(new.taxi_at.lon_e7())
                .bind(&new.customer)
                .bind(new.customer_at.lat_e7())
                .bind(new.customer_at.lon_e7())
                .bind(address)
                .bind(&new.phone_number)
                .bind(Status::Received.as_str())
                .bind(deadline(Status::Received, now))
                .bind(now)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn insert_transition(
                &mut self,
                transition: Transition<'_>,
                by: Actor,
                now: i64,
            ) -> Result<()> {
                sqlx::query(
                    "INSERT INTO hail_transitions (hail_id, number, at, from_status, to_status, user_id, reason, app_id,
                         operator_id)
                     SELECT id, $2, $3, $4, $5, $6, $7, app_id, operator_id FROM hails WHERE id = $1",
                )
                .bind(transition.hail)
                .bind(transition.number)
                .bind(now)
                .bind(transition.from.map(Status::as_str))
                .bind(transition.to.as_str())
                .bind(by.account)
                .bind(transition.reason)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn update_hail(&mut self, row: &HailRow, now: i64) -> Result<()> {
                sqlx::query(
                    "UPDATE hails SET taxi_phone_number = $2, customer_lat_e7 = $3, customer_lon_e7 = $4,
                     customer_address = $5, customer_phone_number = $6, status = $7, status_at = $8, transitions = $9,
                     deadline_at = $10, call_due_at = $11, incident_taxi_reason = $12, incident_customer_reason = $13,
                     reporting_customer = $14, reporting_customer_reason = $15, rating_ride = $16,
                     rating_ride_reason = $17, declined_by_taxi_reason = $18, declined_after_ms = $19, updated_at = $20
                     WHERE id = $1",
                )
                .bind(&row.id)
                .bind(&row.taxi_phone_number)
                .bind(row.customer_lat_e7)
                .bind(row.customer_lon_e7)
                .bind(&row.customer_address)
                .bind(&row.customer_phone_number)
                .bind(row.status.as_str())
                .bind(row.status_at)
                .bind(row.transitions)
                .bind(row.deadline_at)
                .bind(row.call_due_at)
                .bind(row.incident_taxi_reason.as_deref())
                .bind(row.incident_customer_reason.as_deref())
                .bind(row.reporting_customer)
                .bind(row.reporting_customer_reason.as_deref())
                .bind(row.rating_ride)
                .bind(row.rating_ride_reason.as_deref())
                .bind(row.declined_by_taxi_reason.as_deref())
                .bind(row.declined_after_ms)
                .bind(now)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn set_taxi(&mut self, hail: &HailRow, status: &str, by: Actor, now: i64) -> Result<bool> {
                // The row is locked with the hail, or was before the hail began: what it says of it is so.
                let begins = hail.status == Status::Received;
                let set = sqlx::query(
                    "UPDATE vehicle_descriptions SET status = $3, hail_id = $2, version = version + 1, updated_at = $4
                     WHERE id = $1 AND ($5 OR hail_id = $2) AND status <> $3",
                )
                .bind(hail.description_id)
                .bind(&hail.id)
                .bind(status)
                .bind(now)
                .bind(begins)
                .execute(&mut *self)
                .await?;
                if set.rows_affected() == 0 {
                    return Ok(false);
                }
                let old = &hail.taxi_status;
                let became = Entry::taxi_status_by_hail(&hail.public_taxi_id, old, status, &hail.id);
                self.remember(now, by, &became).await?;
                self.announce(Change::Vehicle(hail.vehicle_id)).await?;
                Ok(true)
            }

            async fn take(
                &mut self,
                hail: &mut HailRow,
                event: Event,
                reason: Option<&str>,
                by: Actor,
                now: i64,
            ) -> Result<bool> {
                let (number, from) = (hail.transitions, hail.status);
                let Some(to) = next(from, event) else { return Ok(false) };
                hail.come_to(to, now);
                let transition = Transition { hail: &hail.id, number, from: Some(from), to, reason };
                self.insert_transition(transition, by, now).await?;
                self.update_hail(hail, now).await?;
                let Some(taxi) = to.taxi() else { return Ok(false) };
                let is_moved = self.set_taxi(hail, taxi.as_str(), by, now).await?;
                if is_moved {
                    taxi.as_str().clone_into(&mut hail.taxi_status);
                }
                Ok(is_moved)
            }

            async fn report(&mut self, hail: &HailRow, now: i64) -> Result<()> {
                // A ban that goes on is doubled, up to a length at which that no longer matters; one that is over or
                // never was begins now.
                sqlx::query(
                    "UPDATE customers SET updated_at = $3,
                     ban_begin = CASE WHEN NOT $4 THEN NULL
                                      WHEN ban_begin IS NOT NULL AND ban_end >= $3 THEN ban_begin ELSE $3 END,
                     ban_end = CASE WHEN NOT $4 THEN NULL
                                    WHEN ban_begin IS NOT NULL AND ban_end >= $3 AND ban_end - ban_begin > $6
                                        THEN ban_end
                                    WHEN ban_begin IS NOT NULL AND ban_end >= $3 THEN ban_end + (ban_end - ban_begin)
                                    ELSE $3 + $5 END
                     WHERE app_id = $1 AND id = $2",
                )
                .bind(hail.app_id)
                .bind(&hail.customer_id)
                .bind(now)
                .bind(hail.reporting_customer == Some(true))
                .bind(BAN_MS)
                .bind(BAN_DOUBLED_UP_TO_MS)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn insert_call(&mut self, hail: &str, call: &Call) -> Result<()> {
                sqlx::query(
                    "INSERT INTO hail_calls (hail_id, at, took_ms, outcome) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (hail_id, at) DO NOTHING",
                )
                .bind(hail)
                .bind(call.at)
                .bind(call.took_ms)
                .bind(&call.outcome)
                .execute(self)
                .await?;
                Ok(())
            }
        }
    };
}

impl HailRow {
    /// Enters a status.
    fn come_to(&mut self, to: Status, now: i64) {
        if to == Status::DeclinedByTaxi {
            self.declined_after_ms = Some(now - self.status_at);
        }
        (self.status, self.status_at, self.transitions) = (to, now, self.transitions + 1);
        (self.deadline_at, self.call_due_at) = (deadline(to, now), None);
    }
}

rows!(SqliteConnection);
rows!(PgConnection);
