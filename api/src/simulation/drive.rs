//! Driving a fleet: positions at each taxi's own beat, statuses through the API, customers who search.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ingest::clock::{Clock, Millis};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::post::{Post, Protocol};
use super::{Done, Result, Target};
use crate::fleet::customers::somewhere;
use crate::fleet::datagram::Report;
use crate::fleet::plan::{Operator, Plan};
use crate::fleet::taxi::{Status, Taxi};

/// How often the fleet is looked at; each taxi sends at its own beat.
const TICK: Duration = Duration::from_millis(50);
/// Status changes that wait for their request.
const STATUSES_WAITING: usize = 4096;
/// Requests for statuses under way at once.
const STATUS_SENDERS: usize = 4;

/// A fleet that is registered and ready to drive.
pub struct Fleet {
    target: Target,
    protocol: Protocol,
    cars: Vec<Car>,
    rng: StdRng,
    clock: Clock,
    done: Arc<Done>,
}

struct Car {
    taxi: Taxi,
    id: String,
    operator: Operator,
    /// Where in its beat it sends, 0 to 1.
    phase: f64,
}

struct StatusChange {
    id: String,
    key: String,
    status: &'static str,
}

impl Fleet {
    /// Of planned taxis and the ids they were registered under.
    pub fn new(
        target: Target,
        operators: &[Operator],
        plans: &[Plan],
        ids: Vec<String>,
        seed: u64,
        clock: Clock,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let car = |(plan, id): (&Plan, String)| {
            let operator = operators.get(plan.operator)?.clone();
            Some(Car { taxi: plan.taxi(&mut rng), id, operator, phase: rng.random_range(0.0..1.0) })
        };
        let cars = plans.iter().zip(ids).filter_map(car).collect();
        Self { target, protocol: Protocol::default(), cars, rng, clock, done: Arc::new(Done::default()) }
    }

    /// The same fleet, that reports by another protocol.
    pub fn speaking(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// What was done so far.
    pub fn done(&self) -> Arc<Done> {
        self.done.clone()
    }

    /// Tells the server every taxi's status, and sends each one's first position.
    pub async fn begin(&mut self) -> Result<()> {
        for car in &self.cars {
            let body = json!({"status": car.taxi.status().as_str()});
            self.target.send(Method::PUT, &format!("/taxis/{}", car.id), &car.operator.key, &body).await?;
        }
        let mut post = Post::open(&self.target, self.protocol).await?;
        let now = self.clock.now();
        for car in &self.cars {
            post.send(&car.report(now), &mut count(&self.done)).await;
        }
        post.flush(&mut count(&self.done)).await;
        Ok(())
    }

    /// Drives until `stop`: each taxi sends `hz` positions a second. With `app`, customers make `searches` a second
    /// with that key.
    pub async fn drive(mut self, hz: f64, app: Option<(String, f64)>, stop: CancellationToken) -> Result<()> {
        let mut post = Post::open(&self.target, self.protocol).await?;
        let (changes, waiting) = mpsc::channel(STATUSES_WAITING);
        let tell = tokio::spawn(tell_statuses(self.target.clone(), waiting, self.done.clone()));
        let (customers, seen) = watch::channel(Vec::new());
        let search = app.map(|(key, per_second)| {
            tokio::spawn(search(self.target.clone(), key, per_second, seen, self.done.clone(), stop.clone()))
        });
        let mut ticker = interval(TICK);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = self.clock.now();
        while !stop.is_cancelled() {
            ticker.tick().await;
            let now = self.clock.now();
            #[expect(clippy::cast_precision_loss, reason = "milliseconds between two ticks")]
            let elapsed_s = now.since(last) as f64 / 1000.0;
            last = now;
            for car in &mut self.cars {
                if let Some(status) = car.taxi.step(elapsed_s, &mut self.rng) {
                    self.done.failed.add(u64::from(changes.try_send(car.change(status)).is_err()));
                }
                car.phase += elapsed_s * hz;
                if car.phase >= 1.0 {
                    car.phase = car.phase.fract();
                    post.send(&car.report(now), &mut count(&self.done)).await;
                }
            }
            post.flush(&mut count(&self.done)).await;
            let taxis: Vec<_> = self.cars.iter().map(|car| car.taxi.clone()).take(64).collect();
            let places = (0..16).filter_map(|_| somewhere(&taxis, &mut self.rng));
            customers.send_replace(places.map(|place| (place.lon, place.lat)).collect());
            let some = 64.min(self.cars.len());
            self.cars.rotate_left(some);
        }
        drop(changes);
        tell.await?;
        if let Some(search) = search {
            search.await?;
        }
        Ok(())
    }
}

impl Car {
    fn report(&self, at: Millis) -> Report<'_> {
        Report {
            at,
            operator: &self.operator.name,
            key: &self.operator.key,
            taxi: &self.id,
            place: self.taxi.place(),
            status: self.taxi.status(),
            motion: self.taxi.motion(),
        }
    }

    fn change(&self, status: Status) -> StatusChange {
        StatusChange { id: self.id.clone(), key: self.operator.key.clone(), status: status.as_str() }
    }
}

/// Counts positions as the system takes them.
fn count(done: &Done) -> impl FnMut(u64, io::Result<()>) {
    |positions, outcome| match outcome {
        Ok(()) => done.sent.add(positions),
        Err(_) => done.failed.add(positions),
    }
}

async fn tell_statuses(target: Target, waiting: mpsc::Receiver<StatusChange>, done: Arc<Done>) {
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..STATUS_SENDERS {
        let (target, waiting, done) = (target.clone(), waiting.clone(), done.clone());
        senders.spawn(async move {
            loop {
                let Some(change) = waiting.lock().await.recv().await else { return };
                let (path, body) = (format!("/taxis/{}", change.id), json!({"status": change.status}));
                match target.send(Method::PUT, &path, &change.key, &body).await {
                    Ok(_) => done.statuses.add(1),
                    Err(error) => {
                        tracing::debug!(%error, "a status was not taken");
                        done.failed.add(1);
                    }
                }
            }
        });
    }
    while senders.join_next().await.is_some() {}
}

async fn search(
    target: Target,
    key: String,
    per_second: f64,
    places: watch::Receiver<Vec<(f64, f64)>>,
    done: Arc<Done>,
    stop: CancellationToken,
) {
    if !per_second.is_finite() || per_second <= 0.0 {
        return;
    }
    let mut ticker = interval(Duration::from_secs_f64((1.0 / per_second).clamp(0.000_1, 3600.0)));
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = 0;
    while !stop.is_cancelled() {
        ticker.tick().await;
        next += 1;
        let place = {
            let places = places.borrow();
            places.get(next % places.len().max(1)).copied()
        };
        if let Some((lon, lat)) = place {
            match target.search(&key, lon, lat).await {
                Ok(found) => {
                    done.searches.add(1);
                    done.found.add(u64::try_from(found).unwrap_or(0));
                }
                Err(_) => done.failed.add(1),
            }
        }
    }
}
