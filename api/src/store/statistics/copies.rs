//! Copies of hails, and what those of each day add up to.

use std::ops::Range;

use ingest::clock::Millis;
use ingest::position::LatLon;
use sqlx::{AssertSqlSafe, FromRow};

use crate::hail::Status;
use crate::limits::COPIES_A_TRANSACTION;
use crate::statistics::calendar::{DAY_MS, day};
use crate::statistics::filter::{one_of, quoted};
use crate::statistics::outcome::Outcome;
use crate::store::batch::{Batch, Value};
use crate::store::daily::Run;
use crate::store::{Result, Store, read};

/// A hail that is to be copied.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct SettledRow {
    pub id: String,
    pub session_id: String,
    pub app_id: i32,
    pub operator_id: i32,
    pub taxi_id: i32,
    pub taxi_lat_e7: i32,
    pub taxi_lon_e7: i32,
    pub customer_lat_e7: i32,
    pub customer_lon_e7: i32,
    #[sqlx(try_from = "String")]
    pub status: Status,
    pub incident_taxi_reason: Option<String>,
    pub incident_customer_reason: Option<String>,
    pub reporting_customer: Option<bool>,
    pub reporting_customer_reason: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
}

impl SettledRow {
    /// Where the customer was; None for a row that no version of the program writes.
    pub fn customer_at(&self) -> Option<LatLon> {
        LatLon::from_e7(self.customer_lat_e7, self.customer_lon_e7).ok()
    }

    /// Where the taxi was when it was hailed.
    pub fn taxi_at(&self) -> Option<LatLon> {
        LatLon::from_e7(self.taxi_lat_e7, self.taxi_lon_e7).ok()
    }
}

/// A transition of such a hail.
#[derive(Clone, Debug, FromRow)]
pub struct SettledTransition {
    /// Whose.
    pub hail_id: String,
    /// Where it led to.
    pub to_status: String,
    /// Milliseconds since 1970.
    pub at: i64,
}

/// A copy, as it is kept for good.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the columns, named as in the table")]
pub struct HailCopy {
    pub id: String,
    pub added_at: i64,
    pub last_update_at: i64,
    pub status: Status,
    pub outcome: Outcome,
    pub app_id: i32,
    pub operator_id: i32,
    pub session_id: String,
    pub taxi_hash: i64,
    pub insee: Option<String>,
    pub distance_m: Option<f64>,
    pub incident_taxi_reason: Option<String>,
    pub incident_customer_reason: Option<String>,
    pub reporting_customer: Option<bool>,
    pub reporting_customer_reason: Option<String>,
    /// When each of [`TIMED`] was entered.
    pub times: [Option<i64>; TIMED.len()],
}

/// The statuses whose times a copy has: all but one.
pub const TIMED: [Status; 15] = [
    Status::Received,
    Status::SentToOperator,
    Status::ReceivedByOperator,
    Status::ReceivedByTaxi,
    Status::AcceptedByTaxi,
    Status::AcceptedByCustomer,
    Status::CustomerOnBoard,
    Status::Failure,
    Status::DeclinedByTaxi,
    Status::IncidentTaxi,
    Status::TimeoutTaxi,
    Status::DeclinedByCustomer,
    Status::IncidentCustomer,
    Status::TimeoutCustomer,
    Status::Finished,
];

/// How long it took from one transition to another: the name of the figure, and the columns of both times.
pub(super) const DELAYS: [(&str, &str, &str); 8] = [
    ("accepted_by_taxi", "received_by_taxi", "accepted_by_taxi"),
    ("timeout_taxi", "received_by_taxi", "timeout_taxi"),
    ("accepted_by_customer", "accepted_by_taxi", "accepted_by_customer"),
    ("timeout_customer", "accepted_by_taxi", "timeout_customer"),
    ("declined_by_customer", "accepted_by_taxi", "declined_by_customer"),
    ("incident_taxi", "accepted_by_taxi", "incident_taxi"),
    ("customer_on_board", "accepted_by_taxi", "customer_on_board"),
    ("customer_on_board_incident_taxi", "customer_on_board", "incident_taxi"),
];

const COLUMNS: [&str; 15] = [
    "id",
    "added_at",
    "last_update_at",
    "status",
    "outcome",
    "app_id",
    "operator_id",
    "session_id",
    "taxi_hash",
    "insee",
    "distance_m",
    "incident_taxi_reason",
    "incident_customer_reason",
    "reporting_customer",
    "reporting_customer_reason",
];

impl Store {
    /// Hails made before then that have no copy, the oldest first: some, or none where there are none. They are copied
    /// in their order, so that nothing is looked for before the last copy. Those of trials have none.
    pub async fn hails_to_copy(&self, before: Millis) -> Result<(Vec<SettledRow>, Vec<SettledTransition>)> {
        let rows: Vec<SettledRow> = read!(self, db => {
            sqlx::query_as(
                "SELECT h.id, h.session_id, h.app_id, h.operator_id, h.taxi_id, h.taxi_lat_e7, h.taxi_lon_e7,
                 h.customer_lat_e7, h.customer_lon_e7, h.status, h.incident_taxi_reason, h.incident_customer_reason,
                 h.reporting_customer, h.reporting_customer_reason, h.created_at, h.updated_at FROM hails h
                 WHERE h.created_at >= (SELECT coalesce(max(added_at), 0) FROM hail_copies) AND h.created_at < $1
                 AND NOT EXISTS (SELECT 1 FROM hail_copies c WHERE c.id = h.id)
                 AND NOT h.is_trial
                 ORDER BY h.created_at, h.id LIMIT $2",
            )
            .bind(before.0)
            .bind(COPIES_A_TRANSACTION)
            .fetch_all(db)
        })?;
        if rows.is_empty() {
            return Ok((rows, Vec::new()));
        }
        let numbers: Vec<_> = (1..=rows.len()).map(|number| format!("${number}")).collect();
        let sql = format!(
            "SELECT hail_id, to_status, at FROM hail_transitions WHERE hail_id IN ({}) ORDER BY hail_id, number",
            numbers.join(", ")
        );
        let transitions = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(sql)).persistent(false);
            rows.iter().fold(query, |query, row| query.bind(&row.id)).fetch_all(db)
        })?;
        Ok((rows, transitions))
    }

    /// Adds copies, at most [`COPIES_A_TRANSACTION`], and adds their days up again; a hail that has one keeps it.
    /// False: another process has the run.
    pub async fn add_copies(&self, run: &Run, copies: &[HailCopy]) -> Result<bool> {
        let mut added = Batch::default();
        let times = TIMED.map(|status| format!("{status}_at"));
        let names: Vec<_> = COLUMNS.into_iter().chain(times.iter().map(String::as_str)).collect();
        let row = |row: usize| {
            let parameters: Vec<_> =
                (1..=names.len()).map(|column| format!("${}", row * names.len() + column)).collect();
            format!("({})", parameters.join(", "))
        };
        let rows: Vec<_> = (0..copies.len()).map(row).collect();
        let sql = format!(
            "INSERT INTO hail_copies ({}) VALUES {} ON CONFLICT (id) DO NOTHING",
            names.join(", "),
            rows.join(", ")
        );
        if !copies.is_empty() {
            added.add(&sql, copies.iter().flat_map(values));
        }
        let mut days: Vec<_> = copies.iter().map(|copy| day(Millis(copy.added_at))).collect();
        days.sort_unstable();
        days.dedup();
        let (mut forgotten, mut counted) = (Batch::default(), Batch::default());
        for day in days {
            forgotten.add("DELETE FROM hail_days WHERE day = $1", [day.0.into()]);
            counted.add(&add_up(day), []);
        }
        self.step(run, copies.len(), vec![added, forgotten, counted]).await
    }

    /// How many copies there are of hails of these towns, added on these days.
    pub async fn copies_in(&self, towns: &[&str], days: Range<Millis>) -> Result<i64> {
        let of_towns = one_of("insee", towns.iter().map(quoted));
        let sql = format!(
            "SELECT coalesce(CAST(sum(copies) AS BIGINT), 0) FROM hail_days
             WHERE day >= $1 AND day < $2 AND {of_towns}"
        );
        let (copies,): (i64,) = read!(self, db => {
            sqlx::query_as(AssertSqlSafe(sql)).bind(days.start.0).bind(days.end.0).fetch_one(db)
        })?;
        Ok(copies)
    }
}

/// Adds the copies of a day up, none of which are.
fn add_up(day: Millis) -> String {
    let names: Vec<_> = DELAYS.iter().map(|(name, ..)| format!("{name}, {name}_ms")).collect();
    let sums = DELAYS.iter().map(|(name, from, to)| {
        // A ride that was not closed is no taxi that did not answer.
        let took = match *name {
            "timeout_taxi" => format!("CASE WHEN customer_on_board_at IS NULL THEN {to}_at - {from}_at END"),
            _ => format!("{to}_at - {from}_at"),
        };
        format!("count({took}), coalesce(CAST(sum({took}) AS BIGINT), 0)")
    });
    format!(
        "INSERT INTO hail_days (day, outcome, insee, operator_id, copies, distances, distance_m, {})
         SELECT {}, outcome, coalesce(insee, ''), operator_id, count(*), count(distance_m),
         coalesce(sum(distance_m), 0), {} FROM hail_copies
         WHERE added_at >= {} AND added_at < {} GROUP BY outcome, coalesce(insee, ''), operator_id",
        names.join(", "),
        day.0,
        sums.collect::<Vec<_>>().join(", "),
        day.0,
        day.0 + DAY_MS
    )
}

fn values(copy: &HailCopy) -> impl Iterator<Item = Value> {
    let columns: [Value; COLUMNS.len()] = [
        (&copy.id).into(),
        copy.added_at.into(),
        copy.last_update_at.into(),
        copy.status.as_str().into(),
        copy.outcome.as_str().into(),
        copy.app_id.into(),
        copy.operator_id.into(),
        (&copy.session_id).into(),
        copy.taxi_hash.into(),
        copy.insee.as_deref().into(),
        copy.distance_m.into(),
        copy.incident_taxi_reason.as_deref().into(),
        copy.incident_customer_reason.as_deref().into(),
        copy.reporting_customer.into(),
        copy.reporting_customer_reason.as_deref().into(),
    ];
    columns.into_iter().chain(copy.times.map(Value::from))
}

const _: () = assert!(TIMED.len() + 1 == Status::ALL.len(), "a status is left out");
