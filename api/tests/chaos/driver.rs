//! One taxi, its operator's software and its customers' app: hail after hail, whatever becomes of the server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

use crate::harness::client::{Answer, Client};
use crate::{Keys, Told};

/// How long a client waits before it asks again.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the taxi reports where it is.
const REPORT_EVERY: Duration = Duration::from_secs(30);

/// The ends that a hail may have, and who brings them about, step by step.
const COURSES: &[&[(Side, &str)]] = &[
    &[
        (Side::Operator, "received_by_taxi"),
        (Side::Operator, "accepted_by_taxi"),
        (Side::App, "accepted_by_customer"),
        (Side::Operator, "customer_on_board"),
        (Side::Operator, "finished"),
    ],
    &[(Side::Operator, "received_by_taxi"), (Side::Operator, "declined_by_taxi")],
    &[(Side::App, "declined_by_customer")],
    &[(Side::Operator, "received_by_taxi"), (Side::Operator, "incident_taxi")],
    // The taxi's driver looks away: the deadline ends it.
    &[],
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Operator,
    App,
}

/// Who drives.
pub(crate) struct Driver {
    keys: Keys,
    taxi: String,
    place: u32,
    clients: watch::Receiver<Client>,
    told: Arc<Mutex<Told>>,
    rng: StdRng,
    reported_at: Option<Instant>,
}

impl Driver {
    pub(crate) fn new(
        keys: &Keys,
        taxi: String,
        place: u32,
        clients: watch::Receiver<Client>,
        told: Arc<Mutex<Told>>,
        rng: StdRng,
    ) -> Self {
        Self { keys: keys.clone(), taxi, place, clients, told, rng, reported_at: None }
    }

    /// Takes hails as they are due, until none is any more.
    pub(crate) async fn drive(mut self, due: Arc<Semaphore>) {
        let mut number = 0;
        while let Ok(turn) = due.acquire().await {
            turn.forget();
            number += 1;
            self.report().await;
            self.free().await;
            // One in twenty runs into its deadline: they take their taxi for ten seconds.
            let course = match self.rng.random_range(0..20) {
                0 => COURSES[4],
                1..=3 => COURSES[1],
                4..=6 => COURSES[2],
                7..=8 => COURSES[3],
                _ => COURSES[0],
            };
            self.hail(&format!("{}-{number}", self.taxi), course).await;
        }
    }

    /// Says that the taxi is free, which after a hail that is over it is, or off.
    async fn free(&self) {
        let path = format!("/taxis/{}", self.taxi);
        let seen = self.until(Side::Operator, Method::GET, &path, None, &Value::Null).await.element(200);
        assert!(["free", "off"].contains(&seen["status"].as_str().unwrap()), "a taxi is left behind: {seen}");
        let free = json!({"status": "free"});
        self.until(Side::Operator, Method::PUT, &path, None, &free).await;
    }

    async fn report(&mut self) {
        if self.reported_at.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return;
        }
        let position = json!({"taxi_id": self.taxi, "lat": 48.81 + f64::from(self.place) / 1e4, "lon": 2.35});
        let positions = json!({"positions": [position]});
        self.until(Side::Operator, Method::POST, "/geotaxi/", None, &positions).await;
        self.reported_at = Some(Instant::now());
    }

    /// One hail of a customer who never hailed before.
    async fn hail(&mut self, customer: &str, course: &[(Side, &str)]) {
        let wanted = json!({
            "customer_id": customer, "customer_lon": 2.35, "customer_lat": 48.85, "customer_address": "1 rue X",
            "customer_phone_number": "0611111111", "taxi_id": self.taxi,
        });
        // A position is shown a moment after it was acknowledged.
        let answer = loop {
            let answer = self.until(Side::App, Method::POST, "/hails", Some(customer), &wanted).await;
            match answer.status {
                201 => break answer,
                400 => sleep(PAUSE).await,
                _ => panic!("{answer:?}"),
            }
        };
        let hail = answer.body["data"][0]["id"].as_str().unwrap().to_owned();
        self.told.lock().unwrap().made.insert(customer.to_owned(), hail.clone());
        for (side, status) in course {
            if !self.moves(*side, &hail, status).await {
                return;
            }
        }
        if course.is_empty() {
            self.ended(&hail).await;
        }
    }

    /// Moves a hail; false: it is over.
    async fn moves(&self, side: Side, hail: &str, status: &str) -> bool {
        let wish = json!({"status": status, "taxi_phone_number": "0622222222"});
        loop {
            let path = format!("/hails/{hail}");
            let answer = self.until(side, Method::PUT, &path, None, &wish).await;
            match answer.status {
                200 => {
                    self.told.lock().unwrap().moved.insert((hail.to_owned(), status.to_owned()));
                    return true;
                }
                400 => {
                    let now = self.look(hail).await;
                    if now["deadline_is_over"] == true {
                        return false;
                    }
                    // The operator's server has not been called yet, or its answer is not written down.
                    sleep(PAUSE).await;
                }
                _ => panic!("{hail} to {status}: {answer:?}"),
            }
        }
    }

    /// A hail as its operator sees it.
    async fn look(&self, hail: &str) -> Value {
        let path = format!("/hails/{hail}");
        let mut seen = self.until(Side::Operator, Method::GET, &path, None, &Value::Null).await.element(200);
        let ends = ["failure", "timeout_taxi", "timeout_customer", "timeout_accepted_by_customer"];
        seen["deadline_is_over"] = json!(ends.contains(&seen["status"].as_str().unwrap()));
        seen
    }

    /// Waits for a hail's deadline.
    async fn ended(&self, hail: &str) {
        while self.look(hail).await["deadline_is_over"] == false {
            sleep(PAUSE * 10).await;
        }
    }

    /// Asks until there is an answer of which the outcome is known.
    async fn until(
        &self,
        side: Side,
        method: Method,
        path: &str,
        named: Option<&str>,
        element: &Value,
    ) -> Answer {
        let key = match side {
            Side::Operator => &self.keys.operator,
            Side::App => &self.keys.app,
        };
        loop {
            let client = self.clients.borrow().clone();
            let url = format!("{}{path}", client.base);
            let mut request = client.http.request(method.clone(), url).header("X-Api-Key", key);
            if let Some(name) = named {
                request = request.header("Idempotency-Key", name);
            }
            if !element.is_null() {
                request = request.json(&json!({"data": [element]}));
            }
            match Answer::of(request).await {
                Ok(answer) if answer.status != 503 => return answer,
                // Killed meanwhile, or not listening yet.
                _ => sleep(PAUSE).await,
            }
        }
    }
}
