//! Registering a fleet as its operators would: driver, vehicle, ADS, taxi.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Result, SimulationError, Target};
use crate::fleet::plan::{Operator, Plan};

/// Requests under way at once.
pub(crate) const AT_ONCE: usize = 8;

/// What registers one taxi.
#[derive(Debug)]
pub(crate) struct Job {
    /// The operator's API key.
    pub(crate) key: String,
    /// Paths and elements, in order; the last one answers with the taxi.
    pub(crate) requests: [(&'static str, Value); 4],
}

/// Registers every planned taxi, or finds it registered; gives their public ids in the plans' order. `progress` is
/// told how many are done.
pub async fn register(
    target: &Target,
    operators: &[Operator],
    plans: &[Plan],
    progress: impl Fn(usize),
) -> Result<Vec<String>> {
    let key = |plan: &Plan| operators.get(plan.operator).map(|operator| operator.key.clone());
    let job = |plan| Job { key: key(plan).unwrap_or_default(), requests: requests(plan) };
    register_each(target, plans.iter().map(job).collect(), progress).await
}

/// Registers taxis, or finds them registered; gives their public ids in the jobs' order. `progress` is told how many
/// are done.
pub(crate) async fn register_each(
    target: &Target,
    jobs: Vec<Job>,
    progress: impl Fn(usize),
) -> Result<Vec<String>> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    let mut ids = vec![String::new(); jobs.len()];
    for (i, Job { key, requests }) in jobs.into_iter().enumerate() {
        let (target, permits) = (target.clone(), permits.clone());
        tasks.spawn(async move {
            // The semaphore is never closed; without a permit there are merely more requests at once.
            let _permit = permits.acquire_owned().await.ok();
            let mut id = Value::Null;
            for (path, element) in requests {
                id = target.send(Method::POST, path, &key, &element).await?["id"].take();
            }
            Ok::<_, SimulationError>((i, id.as_str().unwrap_or_default().to_owned()))
        });
    }
    let mut done = 0;
    while let Some(outcome) = tasks.join_next().await {
        let (i, id) = outcome??;
        ids[i] = id;
        done += 1;
        progress(done);
    }
    Ok(ids)
}

/// The requests that register a taxi, in order; the last one answers with it.
fn requests(plan: &Plan) -> [(&'static str, Value); 4] {
    let (driver, vehicle, offers) = (&plan.driver, &plan.vehicle, &plan.vehicle.offers);
    let insee = plan.town.insee();
    [
        (
            "/drivers",
            json!({
                "first_name": driver.first_name, "last_name": driver.last_name, "birth_date": driver.birth_date,
                "professional_licence": driver.professional_licence, "departement": {"numero": driver.departement},
            }),
        ),
        (
            "/vehicles",
            json!({
                "licence_plate": vehicle.licence_plate, "constructor": vehicle.constructor, "model": vehicle.model,
                "engine": vehicle.engine, "color": vehicle.color, "type_": vehicle.body_type,
                "nb_seats": vehicle.nb_seats,
                "amex_accepted": offers.amex_accepted, "bank_check_accepted": offers.bank_check_accepted,
                "wifi": offers.wifi, "baby_seat": offers.baby_seat, "bike_accepted": offers.bike_accepted,
                "pet_accepted": offers.pet_accepted, "vasp_handicap": offers.vasp_handicap,
                "cpam_conventionne": offers.cpam_conventionne,
            }),
        ),
        ("/ads", json!({"numero": plan.ads_numero, "insee": insee})),
        (
            "/taxis",
            json!({
                "ads": {"numero": plan.ads_numero, "insee": insee}, "vehicle": {"licence_plate": vehicle.licence_plate},
                "driver": {"professional_licence": driver.professional_licence, "departement": driver.departement},
            }),
        ),
    ]
}
