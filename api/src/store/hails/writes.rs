//! What is written when a hail is made or changes, gathered into one batch.

use super::change::Call;
use super::rows::Described;
use super::{HailRow, NewHail, deadline};
use crate::activity::{Actor, Entry};
use crate::hail::{Event, Status, next};
use crate::store::batch::Batch;
use crate::store::changes::Change;

/// How long a reported customer is banned, in milliseconds; a report during a ban doubles it.
pub(crate) const BAN_MS: i64 = 24 * 3_600_000;

/// Longer bans are not doubled any more: a hundred years.
const BAN_DOUBLED_UP_TO_MS: i64 = 36_525 * BAN_MS;

const SET_TAXI: &str = "UPDATE vehicle_descriptions SET status = $2, hail_id = $3, version = version + 1,
    updated_at = $4 WHERE id = $1";

const INSERT_TRANSITION: &str =
    "INSERT INTO hail_transitions (hail_id, number, at, from_status, to_status, user_id,
    reason, app_id, operator_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// What becomes of a hail whose row is held, and of what hangs on it. The row in memory is as the rows will be.
#[derive(Debug)]
pub(super) struct Changing {
    pub(super) row: HailRow,
    before: HailRow,
    /// Who moved it last, and with it the taxi.
    by: Actor,
    now: i64,
    batch: Batch,
}

impl Changing {
    /// Nothing yet, of a hail as it is now, `now` being in milliseconds since 1970.
    pub(super) fn new(row: HailRow, now: i64) -> Self {
        Self { before: row.clone(), row, by: Actor::REGISTRY, now, batch: Batch::default() }
    }

    /// Lets an event happen: transition, status, deadline and taxi. False: it cannot happen to the hail as it is.
    pub(super) fn take(&mut self, event: Event, reason: Option<&str>, by: Actor) -> bool {
        let (row, now) = (&mut self.row, self.now);
        let Some(to) = next(row.status, event) else { return false };
        self.batch.add(
            INSERT_TRANSITION,
            [
                (&row.id).into(),
                row.transitions.into(),
                now.into(),
                row.status.as_str().into(),
                to.as_str().into(),
                by.account.into(),
                reason.into(),
                row.app_id.into(),
                row.operator_id.into(),
            ],
        );
        row.come_to(to, now);
        self.by = by;
        if let Some(taxi) = to.taxi()
            && row.has_taxi
        {
            taxi.as_str().clone_into(&mut row.taxi_status);
        }
        true
    }

    /// Adds a call that ended.
    pub(super) fn insert_call(&mut self, call: &Call) {
        self.batch.add(
            "INSERT INTO hail_calls (hail_id, at, took_ms, outcome) VALUES ($1, $2, $3, $4)
             ON CONFLICT (hail_id, at) DO NOTHING",
            [(&self.row.id).into(), call.at.into(), call.took_ms.into(), (&call.outcome).into()],
        );
    }

    /// What is to be written, with the row as it then is, and whether the taxi's status changes.
    pub(super) fn end(mut self) -> (Batch, HailRow, bool) {
        if self.row != self.before {
            self.update_hail();
        }
        let moves_taxi = self.row.taxi_status != self.before.taxi_status;
        if moves_taxi {
            self.update_taxi();
        }
        if self.row.reporting_customer != self.before.reporting_customer {
            self.report();
        }
        (self.batch, self.row, moves_taxi)
    }

    /// Replaces what may change of a hail.
    fn update_hail(&mut self) {
        let row = &self.row;
        self.batch.add(
            "UPDATE hails SET taxi_phone_number = $2, customer_lat_e7 = $3, customer_lon_e7 = $4,
             customer_address = $5, customer_phone_number = $6, status = $7, status_at = $8, transitions = $9,
             deadline_at = $10, call_due_at = $11, incident_taxi_reason = $12, incident_customer_reason = $13,
             reporting_customer = $14, reporting_customer_reason = $15, rating_ride = $16,
             rating_ride_reason = $17, declined_by_taxi_reason = $18, declined_after_ms = $19, updated_at = $20
             WHERE id = $1",
            [
                (&row.id).into(),
                (&row.taxi_phone_number).into(),
                row.customer_lat_e7.into(),
                row.customer_lon_e7.into(),
                (&row.customer_address).into(),
                (&row.customer_phone_number).into(),
                row.status.as_str().into(),
                row.status_at.into(),
                row.transitions.into(),
                row.deadline_at.into(),
                row.call_due_at.into(),
                row.incident_taxi_reason.as_deref().into(),
                row.incident_customer_reason.as_deref().into(),
                row.reporting_customer.into(),
                row.reporting_customer_reason.as_deref().into(),
                row.rating_ride.into(),
                row.rating_ride_reason.as_deref().into(),
                row.declined_by_taxi_reason.as_deref().into(),
                row.declined_after_ms.into(),
                self.now.into(),
            ],
        );
    }

    /// Sets the status of the hail's description, whose row is held like the hail's, and says so.
    fn update_taxi(&mut self) {
        let (row, old) = (&self.row, &self.before.taxi_status);
        let values =
            [row.description_id.into(), (&row.taxi_status).into(), (&row.id).into(), self.now.into()];
        self.batch.add(SET_TAXI, values);
        let became = Entry::taxi_status_by_hail(&row.public_taxi_id, old, &row.taxi_status, &row.id);
        self.batch.remember(self.now, self.by, &[became]);
        self.batch.announce(Change::Vehicle(row.vehicle_id));
    }

    /// Bans the hail's customer, or ends the ban.
    fn report(&mut self) {
        let row = &self.row;
        // A ban that goes on is doubled, up to a length at which that no longer matters; one that is over or never was
        // begins now.
        self.batch.add(
            "UPDATE customers SET updated_at = $3,
             ban_begin = CASE WHEN NOT $4 THEN NULL
                              WHEN ban_begin IS NOT NULL AND ban_end >= $3 THEN ban_begin ELSE $3 END,
             ban_end = CASE WHEN NOT $4 THEN NULL
                            WHEN ban_begin IS NOT NULL AND ban_end >= $3 AND ban_end - ban_begin > $6
                                THEN ban_end
                            WHEN ban_begin IS NOT NULL AND ban_end >= $3 THEN ban_end + (ban_end - ban_begin)
                            ELSE $3 + $5 END
             WHERE app_id = $1 AND id = $2",
            [
                row.app_id.into(),
                (&row.customer_id).into(),
                self.now.into(),
                (row.reporting_customer == Some(true)).into(),
                BAN_MS.into(),
                BAN_DOUBLED_UP_TO_MS.into(),
            ],
        );
    }
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

impl Batch {
    /// Adds a session.
    pub(super) fn insert_session(&mut self, id: &str, app: i32, customer: &str, now: i64) {
        self.add(
            "INSERT INTO hail_sessions (id, app_id, customer_id, created_at) VALUES ($1, $2, $3, $4)",
            [id.into(), app.into(), customer.into(), now.into()],
        );
    }

    /// Adds a hail of an id, a session and an address, with its first transition, its taxi answering and its operator
    /// to be called from `call_due_at` on. A conflict: the id is taken.
    pub(super) fn insert_hail(
        &mut self,
        (id, session, address): (&str, &str, &str),
        new: &NewHail,
        taxi: &Described,
        by: Actor,
        (now, call_due_at): (i64, i64),
    ) {
        let status = Status::Received;
        self.add(
            "INSERT INTO hails (id, session_id, app_id, operator_id, taxi_id, description_id, shown_taxi_id,
                 taxi_lat_e7, taxi_lon_e7, customer_id, customer_lat_e7, customer_lon_e7, customer_address,
                 customer_phone_number, status, deadline_at, transitions, status_at, call_due_at, created_at,
                 updated_at, is_trial)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1, $17, $18, $17, $17,
                 EXISTS (SELECT 1 FROM taxis t WHERE t.id = $5 AND t.trial_for IS NOT NULL))",
            [
                id.into(),
                session.into(),
                new.app.into(),
                new.operator.into(),
                new.taxi.into(),
                taxi.id.into(),
                (&new.shown_taxi_id).into(),
                new.taxi_at.lat_e7().into(),
                new.taxi_at.lon_e7().into(),
                (&new.customer).into(),
                new.customer_at.lat_e7().into(),
                new.customer_at.lon_e7().into(),
                address.into(),
                (&new.phone_number).into(),
                status.as_str().into(),
                deadline(status, now).into(),
                now.into(),
                call_due_at.into(),
            ],
        );
        self.add(
            INSERT_TRANSITION,
            [
                id.into(),
                0.into(),
                now.into(),
                None::<&str>.into(),
                status.as_str().into(),
                by.account.into(),
                None::<&str>.into(),
                new.app.into(),
                new.operator.into(),
            ],
        );
        let mut entries = Vec::new();
        if let Some(became) = status.taxi() {
            let became = became.as_str();
            self.add(SET_TAXI, [taxi.id.into(), became.into(), id.into(), now.into()]);
            entries.push(Entry::taxi_status_by_hail(&taxi.public_id, &taxi.status, became, id));
            self.announce(Change::Vehicle(taxi.vehicle_id));
        }
        entries.push(Entry::customer_hail(&new.customer, &taxi.public_id, id));
        self.remember(now, by, &entries);
    }
}
