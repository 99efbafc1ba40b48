//! The taxis of a trace in the registry: registered once, and found again ever after by a plate made of the trace's id.

use std::collections::HashMap;
use std::sync::Arc;

use engine::territory::departement;
use reqwest::Method;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::fleet::plan::Operator;
use crate::fleet::taxi::Status;
use crate::limits::FILTERS_MAX;
use crate::simulation::register::{AT_ONCE, Job, register_each};
use crate::simulation::{SimulationError, Target};

/// Why the taxis of a trace cannot report.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// The registry refused, or was not reached.
    #[error(transparent)]
    Target(#[from] SimulationError),
    /// Some are not registered.
    #[error(
        "{missing} of the trace's {all} taxis are not registered, {first} for one: add --register --insee CODE"
    )]
    Missing {
        /// How many.
        missing: usize,
        /// Of how many.
        all: usize,
        /// One of them, as the trace names it.
        first: String,
    },
}

/// Registers each taxi with an ADS of the town `insee`, or finds it registered; gives the ids in the taxis' order.
pub async fn register(
    target: &Target,
    operator: &Operator,
    taxis: &[Box<str>],
    insee: &str,
    progress: impl Fn(usize),
) -> Result<Vec<String>, EnrolError> {
    let jobs = taxis.iter().map(|taxi| job(operator, taxi, insee)).collect();
    Ok(register_each(target, jobs, progress).await?)
}

/// Finds each taxi, registered by an earlier run; gives the ids in the taxis' order.
pub async fn find(
    target: &Target,
    operator: &Operator,
    taxis: &[Box<str>],
    progress: impl Fn(usize),
) -> Result<Vec<String>, EnrolError> {
    let plates: Vec<_> = taxis.iter().map(|taxi| plate(taxi)).collect();
    let mut ids = HashMap::new();
    let mut asked = 0;
    for plates in plates.chunks(FILTERS_MAX) {
        let filters = plates.join("&licence_plate=");
        // Not one page: a plate has as many taxis as there are towns it was registered in.
        let mut next = Some(1);
        while let Some(page) = next {
            let answer =
                target.get(&format!("/taxis/all?p={page}&licence_plate={filters}"), &operator.key).await?;
            for taxi in answer["data"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                // The newest come first: it is the last registration that counts.
                ids.entry(text(&taxi["vehicle"]["licence_plate"])).or_insert_with(|| text(&taxi["id"]));
            }
            next = answer["meta"]["next_page"].as_u64();
        }
        asked += plates.len();
        progress(asked);
    }
    in_order(taxis, &plates, &ids)
}

/// The ids by plate, in the order of the taxis, one for each.
fn in_order(
    taxis: &[Box<str>],
    plates: &[String],
    ids: &HashMap<String, String>,
) -> Result<Vec<String>, EnrolError> {
    let mut missing = taxis.iter().zip(plates).filter(|(_, plate)| !ids.contains_key(*plate));
    if let Some((first, _)) = missing.next() {
        let (missing, all, first) = (1 + missing.count(), taxis.len(), first.to_string());
        return Err(EnrolError::Missing { missing, all, first });
    }
    Ok(plates.iter().filter_map(|plate| ids.get(plate).cloned()).collect())
}

/// Sets the status of each taxi.
pub async fn set_status(
    target: &Target,
    operator: &Operator,
    ids: &[String],
    status: Status,
    progress: impl Fn(usize),
) -> Result<(), EnrolError> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for id in ids {
        let (target, permits, key) = (target.clone(), permits.clone(), operator.key.clone());
        let path = format!("/taxis/{id}");
        tasks.spawn(async move {
            // The semaphore is never closed; without a permit there are merely more requests at once.
            let _permit = permits.acquire_owned().await.ok();
            target.send(Method::PUT, &path, &key, &json!({"status": status.as_str()})).await
        });
    }
    let mut done = 0;
    while let Some(outcome) = tasks.join_next().await {
        outcome.map_err(SimulationError::from)??;
        done += 1;
        progress(done);
    }
    Ok(())
}

/// The requests that register a taxi, in order; the last one answers with it.
fn job(operator: &Operator, taxi: &str, insee: &str) -> Job {
    let (plate, name) = (plate(taxi), format!("replay-{taxi}"));
    let departement = departement(insee);
    let driver = json!({"professional_licence": name, "departement": departement});
    let ads = json!({"numero": name, "insee": insee});
    let requests = [
        (
            "/drivers",
            json!({"first_name": "Replay", "last_name": taxi, "professional_licence": name,
                   "departement": {"numero": departement}}),
        ),
        ("/vehicles", json!({"licence_plate": plate, "constructor": "Replay", "model": "Trace"})),
        ("/ads", ads.clone()),
        ("/taxis", json!({"ads": ads, "vehicle": {"licence_plate": plate}, "driver": driver})),
    ];
    Job { key: operator.key.clone(), requests }
}

/// `R-` and 8 of 32 letters and digits, as long as a plate may be: among 10,000 taxis two share one in one trace of
/// twenty thousand, and then the registry has one taxi for both.
fn plate(taxi: &str) -> String {
    const LETTERS: [u8; 32] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha1::digest(taxi);
    let letters = digest.iter().take(8).map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    "R-".chars().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taxis_that_share_a_plate_leave_the_others_their_own_ids() {
        let taxis = ["a", "b", "c"].map(Box::from);
        let plates = ["R-SAME", "R-SAME", "R-OTHER"].map(String::from);
        let mut ids: HashMap<_, _> =
            [("R-SAME", "1"), ("R-OTHER", "2")].map(|(plate, id)| (plate.to_owned(), id.to_owned())).into();
        assert_eq!(in_order(&taxis, &plates, &ids).unwrap(), ["1", "1", "2"]);
        ids.remove("R-SAME");
        let error = in_order(&taxis, &plates, &ids).unwrap_err().to_string();
        assert!(error.starts_with("2 of the trace's 3 taxis are not registered, a for one"), "{error}");
    }
}
