//! Plays an operator with one taxi, to see what a search app does.

use std::collections::BTreeSet;

use engine::territory::departement;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::observed::{Hail, Observed, Tried};
use super::run::{Request, Result, Run, RunError, mark};
use super::{Side, Trial};
use crate::hail::Status;
use crate::limits::CERTIFICATION_PAGES;

/// How often the taxi says where it is, in seconds.
const EVERY_S: i64 = 5;

/// How often it is tried to end a hail: else its deadlines do.
const ENDED_WITHIN: usize = 10;

/// The latest hails of whoever asks.
const LISTED: &str = "/hails";

/// Where the taxi waits.
#[derive(Clone, Debug)]
pub struct Stand {
    /// Longitude in degrees.
    pub lon: f64,
    /// Latitude in degrees.
    pub lat: f64,
    /// INSEE code of the town, whose ADS the taxi has.
    pub insee: String,
}

/// The taxi, and when it was heard last.
struct Cab<'a> {
    run: &'a Run<'a>,
    id: String,
    stand: &'a Stand,
    heard_s: Option<i64>,
    /// Hails that were there before, or that were served.
    seen: BTreeSet<String>,
    /// Hails whose customers were reported.
    reported: Vec<String>,
}

/// Waits with a taxi for hails of the app, one for each trial; where the other side is the integration account, the app
/// alone finds it. In the end, however it comes, the taxi is out of service and no customer is banned.
pub async fn observe(run: &Run<'_>, stand: &Stand) -> Result<Observed> {
    let account = run.account().await?;
    let id = register(run, stand, &account).await?;
    (run.tell)(if hide(run, &id, &account).await? {
        "Seule votre application trouve le taxi de cette recette.".to_owned()
    } else {
        "Toute application trouve le taxi de cette recette : les clients des autres sont renvoyés.".to_owned()
    });
    let mut cab = Cab { run, id, stand, heard_s: None, seen: BTreeSet::new(), reported: Vec::new() };
    let observed = cab.observe(account).await;
    let left = cab.leave().await;
    let observed = observed?;
    left?;
    Ok(observed)
}

fn ids(elements: &[Value]) -> Vec<String> {
    elements.iter().filter_map(|element| element["id"].as_str().map(str::to_owned)).collect()
}

/// Registers the taxi, or finds it registered.
async fn register(run: &Run<'_>, stand: &Stand, account: &str) -> Result<String> {
    let send = |path, element| async move { run.send(&run.counterpart, Method::POST, path, &element).await };
    // Of this partner's runs alone: a taxi that two runs drove would be hailed by either's app.
    let name = format!("REC-{}", mark(account));
    let departement = departement(&stand.insee);
    send(
        "/drivers",
        json!({"first_name": "Recette", "last_name": "Recette", "professional_licence": name,
               "departement": {"numero": departement}}),
    )
    .await?;
    send("/vehicles", json!({"licence_plate": name, "model": "Recette", "color": "noir"})).await?;
    send("/ads", json!({"numero": name, "insee": stand.insee})).await?;
    let taxi = send(
        "/taxis",
        json!({"driver": {"professional_licence": name, "departement": departement},
               "vehicle": {"licence_plate": name}, "ads": {"numero": name, "insee": stand.insee}}),
    )
    .await?;
    let body = taxi.to_string();
    let id = taxi["id"].as_str().map(str::to_owned);
    id.ok_or(RunError::Refused { path: "/taxis".to_owned(), status: 200, body })
}

/// Hides a taxi from all but the partner. False: the other side is no integration account, whose taxis alone may be.
async fn hide(run: &Run<'_>, id: &str, account: &str) -> Result<bool> {
    let (path, wish) = (format!("/taxis/{id}"), json!({"trial_for": account}));
    let request = Request { method: Method::PUT, path: &path, element: Some(&wish) };
    let answer = run.ask(&run.counterpart, request).await?;
    if answer.status == 400 { Ok(false) } else { answer.element(&path).map(|_| true) }
}

impl Cab<'_> {
    async fn observe(&mut self, account: String) -> Result<Observed> {
        let run = self.run;
        self.seen = self.hails().await?.into_iter().collect();
        let already: BTreeSet<String> = ids(&run.list(&run.partner, LISTED).await?).into_iter().collect();
        let mut observed = Observed { account, taxi: self.id.clone(), ..Observed::default() };
        let Stand { lat, lon, .. } = self.stand;
        (run.tell)(format!("Un taxi libre attend en {lat}, {lon} (latitude, longitude)."));
        for trial in Side::Search.trials() {
            run.announce(*trial);
            let mut tried = Tried::new(*trial);
            if let Some(id) = self.next().await? {
                self.seen.insert(id.clone());
                tried.hail = Some(self.serve(&id, *trial).await?);
            }
            let is_over = tried.hail.is_none();
            observed.tried.push(tried);
            if is_over {
                break;
            }
        }
        for id in self.made(&observed.account, &already).await? {
            observed.made.push(run.hail(&run.partner, &id).await?);
        }
        observed.repeated = self.repeated().await?;
        Ok(observed)
    }

    /// The hails that the app made since those which it had before; of very many the latest.
    async fn made(&self, account: &str, already: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        let mut made = BTreeSet::new();
        for page in 1..=CERTIFICATION_PAGES {
            let listed = self.run.list(&self.run.partner, &format!("{LISTED}?p={page}")).await?;
            let is_last = listed.is_empty() || ids(&listed).iter().any(|id| already.contains(id));
            let own: Vec<_> = listed.into_iter().filter(|hail| hail["added_by"] == account).collect();
            made.extend(ids(&own).into_iter().filter(|id| !already.contains(id)));
            if is_last {
                break;
            }
        }
        Ok(made)
    }

    /// The latest hails of the app that it asked for again.
    async fn repeated(&self) -> Result<BTreeSet<String>> {
        let listed = self.run.list(&self.run.partner, &format!("{LISTED}?repeated=true")).await?;
        Ok(ids(&listed).into_iter().collect())
    }

    /// Leaves nothing behind: no hail that waits, no taxi that is found, no customer who is banned.
    async fn leave(&mut self) -> Result<()> {
        let is_off = self.say(&json!({"status": "off"})).await;
        let mut left = self.end_hails().await;
        for id in std::mem::take(&mut self.reported) {
            left = left.and(self.wish(&id, &json!({"reporting_customer": false})).await);
        }
        // A hail's end is the taxi's, too.
        is_off.and(left).and(self.say(&json!({"status": "off"})).await)
    }

    async fn end_hails(&self) -> Result<()> {
        for id in self.hails().await? {
            for _ in 0..ENDED_WITHIN {
                if self.run.hail(&self.run.counterpart, &id).await?.is_over() {
                    break;
                }
                self.turn_away(&id).await?;
                // One that was made just now is on its way to its operator.
                sleep(self.run.pace.poll).await;
            }
        }
        Ok(())
    }

    /// Ends a hail that is none of the partner's.
    async fn turn_away(&self, id: &str) -> Result<()> {
        self.become_status(id, Status::ReceivedByOperator).await?;
        self.become_status(id, Status::ReceivedByTaxi).await?;
        self.wish(id, &json!({"status": Status::IncidentTaxi.as_str(), "incident_taxi_reason": "traffic"}))
            .await
    }

    /// Changes the taxi.
    async fn say(&self, wish: &Value) -> Result<()> {
        let path = format!("/taxis/{}", self.id);
        self.run.send(&self.run.counterpart, Method::PUT, &path, wish).await.map(drop)
    }

    /// Says where the taxi is, if that is due.
    async fn report(&mut self) -> Result<()> {
        let now_s = self.run.clock.now().seconds();
        if self.heard_s.is_none_or(|heard_s| now_s - heard_s >= EVERY_S) {
            let Stand { lon, lat, .. } = self.stand;
            let positions = json!({"positions": [{"taxi_id": self.id, "lon": lon, "lat": lat}]});
            self.run.send(&self.run.counterpart, Method::POST, "/geotaxi/", &positions).await?;
            self.heard_s = Some(now_s);
        }
        Ok(())
    }

    /// The hails of the taxi, the latest first.
    async fn hails(&self) -> Result<Vec<String>> {
        let path = format!("/hails?taxi_id={}", self.id);
        Ok(ids(&self.run.list(&self.run.counterpart, &path).await?))
    }

    /// A hail of the partner's that was not there; None: none came in time. Customers of other apps, who find the taxi
    /// as well, are turned away.
    async fn next(&mut self) -> Result<Option<String>> {
        let run = self.run;
        self.say(&json!({"status": "free"})).await?;
        run.until(async || {
            self.report().await?;
            let new: Vec<_> = self.hails().await?.into_iter().filter(|id| !self.seen.contains(id)).collect();
            if new.is_empty() {
                return Ok(None);
            }
            // The taxi is in nobody's list of its own hails but in that of who hailed it.
            let own = ids(&run.list(&run.partner, LISTED).await?);
            for id in new {
                if own.contains(&id) {
                    return Ok(Some(id));
                }
                let hail = run.hail(&run.counterpart, &id).await?;
                if hail.is_over() {
                    self.say(&json!({"status": "free"})).await?;
                    self.seen.insert(id);
                } else {
                    self.turn_away(&id).await?;
                }
            }
            Ok(None)
        })
        .await
    }

    async fn wish(&self, id: &str, wish: &Value) -> Result<()> {
        self.run.moves(&self.run.counterpart, id, wish).await
    }

    async fn become_status(&self, id: &str, status: Status) -> Result<()> {
        self.wish(id, &json!({"status": status.as_str()})).await
    }

    /// Waits until a hail is as it is waited for; gives it as it is then, or when patience ends.
    async fn wait(&mut self, id: &str, is_so: impl Fn(&Hail) -> bool) -> Result<Hail> {
        let run = self.run;
        let found = run.until(async || {
            self.report().await?;
            let hail = run.hail(&run.counterpart, id).await?;
            Ok(is_so(&hail).then_some(hail))
        });
        match found.await? {
            Some(hail) => Ok(hail),
            None => run.hail(&run.counterpart, id).await,
        }
    }

    /// Does the operator's part of a trial; gives the hail in the end.
    async fn serve(&mut self, id: &str, trial: Trial) -> Result<Hail> {
        let stood = |status| move |hail: &Hail| hail.came(status).is_some() || hail.is_over();
        let distance = self.run.hail(&self.run.counterpart, id).await?.taxi.crowfly_distance;
        // Where the account has a server, that has taken it already.
        let taken = |hail: &Hail| {
            hail.came(Status::SentToOperator).is_some() || stood(Status::ReceivedByOperator)(hail)
        };
        self.wait(id, taken).await?;
        self.become_status(id, Status::ReceivedByOperator).await?;
        self.become_status(id, Status::ReceivedByTaxi).await?;
        match trial {
            Trial::Ride => {
                self.accept(id).await?;
                self.become_status(id, Status::CustomerOnBoard).await?;
                self.become_status(id, Status::Finished).await?;
                self.wait(id, |hail| hail.rating_ride.is_some() || hail.stands() != Some(Status::Finished))
                    .await?;
            }
            Trial::Incident => {
                self.accept(id).await?;
                self.wait(id, Hail::is_over).await?;
            }
            Trial::Refuse => self.decline(id, "prior_booking").await?,
            Trial::Again => {
                self.wait_for_repeat(id).await?;
                self.decline(id, "event").await?;
            }
            Trial::Report => {
                self.decline(id, "rest_time").await?;
                let reported = json!({"reporting_customer": true, "reporting_customer_reason": "no_show"});
                self.reported.push(id.to_owned());
                self.wish(id, &reported).await?;
            }
            Trial::Ignore | Trial::Cancel => drop(self.wait(id, Hail::is_over).await?),
        }
        let mut hail = self.run.hail(&self.run.counterpart, id).await?;
        hail.taxi.crowfly_distance = distance;
        if !hail.is_over() {
            self.wish(
                id,
                &json!({"status": Status::IncidentTaxi.as_str(), "incident_taxi_reason": "traffic"}),
            )
            .await?;
        }
        Ok(hail)
    }

    /// Waits until the app has asked for a hail again, or until its time is over.
    async fn wait_for_repeat(&mut self, id: &str) -> Result<()> {
        let run = self.run;
        run.until(async || {
            self.report().await?;
            let is_over = run.hail(&run.counterpart, id).await?.is_over();
            Ok((is_over || self.repeated().await?.contains(id)).then_some(()))
        })
        .await
        .map(drop)
    }

    /// Accepts a hail and waits for the customer.
    async fn accept(&mut self, id: &str) -> Result<()> {
        let accepted = json!({"status": Status::AcceptedByTaxi.as_str(), "taxi_phone_number": "0600000002"});
        self.wish(id, &accepted).await?;
        let came = |hail: &Hail| hail.came(Status::AcceptedByCustomer).is_some() || hail.is_over();
        self.wait(id, came).await.map(drop)
    }

    async fn decline(&self, id: &str, ground: &str) -> Result<()> {
        let declined = json!({"status": Status::DeclinedByTaxi.as_str(), "declined_by_taxi_reason": ground});
        self.wish(id, &declined).await
    }
}
