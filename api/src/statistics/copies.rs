//! Hails are copied a day after they were made, for statistics that outlive them.

use std::collections::HashMap;

use engine::distance::Point;
use engine::territory::Territory;
use ingest::position::TaxiKey;
use tokio_util::sync::CancellationToken;

use super::calendar::DAY_MS;
use super::outcome::Outcome;
use super::taxi_hash::TaxiHashes;
use crate::app::App;
use crate::hail::Status;
use crate::store::Result;
use crate::store::daily::Run;
use crate::store::statistics::copies::{HailCopy, SettledRow, TIMED};

/// Copies hails that were made more than a day before the run was due, some at a time; but for those of trials.
pub(crate) async fn copy_hails(app: &App, run: &Run, stop: &CancellationToken) -> Result<()> {
    let (store, territory) = (app.registry.upkeep(), app.registry.territory());
    let before = run.due_at.plus(-DAY_MS);
    while !stop.is_cancelled() {
        let (rows, transitions) = store.hails_to_copy(before).await?;
        if rows.is_empty() {
            break;
        }
        let mut entered: HashMap<&str, Vec<(&str, i64)>> = HashMap::new();
        for transition in &transitions {
            let entered = entered.entry(&transition.hail_id).or_default();
            entered.push((&transition.to_status, transition.at));
        }
        let none = Vec::new();
        let entered = |row: &SettledRow| entered.get(row.id.as_str()).unwrap_or(&none);
        let copies: Vec<_> =
            rows.iter().map(|row| copy(row, entered(row), &territory, &app.taxi_hashes)).collect();
        if !store.add_copies(run, &copies).await? {
            break;
        }
    }
    Ok(())
}

/// What is kept of a hail that entered these statuses.
fn copy(row: &SettledRow, entered: &[(&str, i64)], territory: &Territory, hashes: &TaxiHashes) -> HailCopy {
    // The first time, were there two.
    let entered_at = |status: Status| {
        let mut times = entered.iter().filter(|(name, _)| *name == status.as_str());
        times.next().map(|(_, at)| *at)
    };
    let town = row.customer_at().and_then(|at| territory.town_at(at));
    HailCopy {
        id: row.id.clone(),
        added_at: row.created_at,
        last_update_at: row.updated_at,
        status: row.status,
        outcome: Outcome::of(row.status, entered_at(Status::Received), entered_at(Status::TimeoutTaxi)),
        app_id: row.app_id,
        operator_id: row.operator_id,
        session_id: row.session_id.clone(),
        taxi_hash: hashes.hash(TaxiKey(row.taxi_id.unsigned_abs())),
        insee: town.map(|town| town.insee.to_string()),
        distance_m: distance_m(row),
        incident_taxi_reason: row.incident_taxi_reason.clone(),
        incident_customer_reason: row.incident_customer_reason.clone(),
        reporting_customer: row.reporting_customer,
        reporting_customer_reason: row.reporting_customer_reason.clone(),
        times: TIMED.map(entered_at),
    }
}

/// From the customer to the taxi.
fn distance_m(row: &SettledRow) -> Option<f64> {
    Some(Point::from(row.customer_at()?).distance_m(Point::from(row.taxi_at()?)))
}
