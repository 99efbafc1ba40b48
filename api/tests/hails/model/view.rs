//! What is seen of hails and taxis, and by whom.

use std::collections::BTreeMap;

use chrono::DateTime;
use engine::distance::distance_m;
use ingest::position::LatLon;
use serde_json::{Value, json};

use super::{Hail, Model, Transition, descriptions_of, may};
use crate::calls::{TAXIS, Who};
use crate::contract::{NEUTRAL_OPERATOR, NO_PHONE, PHONES_SHOWN, SHOWN_MS, VEHICLE_SHOWN};
use crate::expected::{Expected, one, path_error};
use crate::harness::client::plate;

/// Who looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Eyes {
    Admin,
    Operator,
    App,
}

impl Model {
    /// Somebody looks at a hail.
    pub(crate) fn read(&self, who: Who, at: Option<usize>) -> Expected {
        match self.look(who, at) {
            Ok((at, eyes)) => (200, one(&self.show(at, eyes, false))),
            Err(refused) => refused,
        }
    }

    /// Which hail somebody sees, and with which eyes.
    pub(super) fn look(&self, who: Who, at: Option<usize>) -> Result<(usize, Eyes), Expected> {
        may(who, &[Who::Admin, Who::App, Who::OtherApp, Who::OperatorA, Who::OperatorB, Who::Both])?;
        let unknown = || path_error(404, "Hail not found");
        let at = at.ok_or_else(unknown)?;
        let hail = &self.hails[at];
        if who == Who::Admin {
            return Ok((at, Eyes::Admin));
        }
        if self.now - hail.created_at > SHOWN_MS {
            return Err(unknown());
        }
        if who == hail.operator {
            Ok((at, Eyes::Operator))
        } else if who == hail.app {
            Ok((at, Eyes::App))
        } else {
            Err(path_error(403, "You do not have the permissions to view this hail"))
        }
    }

    /// A hail as these eyes see it, in an answer to a request that has moved it or not.
    pub(super) fn show(&self, at: usize, eyes: Eyes, has_moved: bool) -> Value {
        let hail = &self.hails[at];
        let mut shown = hail.fields.clone();
        let ground = shown.remove("declined_by_taxi_reason");
        if eyes != Eyes::Admin && hail.status != PHONES_SHOWN {
            shown.insert("taxi_phone_number".to_owned(), json!(NO_PHONE));
            shown.insert("customer_phone_number".to_owned(), json!(NO_PHONE));
        }
        let mut shown = Value::Object(shown);
        let (vehicle, operator) = TAXIS[hail.description];
        let seen = self.seen.get(&(hail.taxi, operator)).filter(|_| hail.lasts());
        let km = |at: LatLon| distance_m(at, hail.customer_at()) / 1000.0;
        let offset = if has_moved { "+00:00" } else { "" };
        shown["id"] = json!(hail.id);
        shown["session_id"] = hail.session.clone();
        shown["status"] = json!(hail.status);
        shown["operateur"] = json!(operator_as(eyes, operator));
        shown["customer_id"] = json!(hail.customer);
        shown["creation_datetime"] = json!(timestamp(hail.created_at));
        shown["last_status_change"] = json!(timestamp(hail.status_at) + offset);
        shown["transitions"] = hail.transitions.iter().map(|step| step.show(ground.as_ref(), eyes)).collect();
        let is_open = VEHICLE_SHOWN.contains(&hail.status);
        let open = |text: String| if is_open { text } else { String::new() };
        shown["taxi"] = json!({
            "id": self.taxi_as(eyes, hail),
            "vehicle": {"licence_plate": open(plate(vehicle)), "color": open(color(operator))},
            "driver": {"first_name": open("Ada".to_owned()), "last_name": open(format!("Nr {vehicle}"))},
            "position": {"lon": seen.map(|seen| seen.0.lon()), "lat": seen.map(|seen| seen.0.lat())},
            "crowfly_distance": seen.map(|seen| km(seen.0)),
            "last_update": seen.map(|seen| seen.1.div_euclid(1000)),
        });
        shown
    }

    /// The hails that somebody finds in a list, by their ids.
    pub(crate) fn list(&self, who: Who) -> BTreeMap<&str, Value> {
        let seen = (0..self.hails.len()).filter_map(|at| self.look(who, Some(at)).ok());
        seen.map(|(at, eyes)| {
            let hail = &self.hails[at];
            let listed = json!({
                "id": hail.id, "added_by": hail.app.account(), "operateur": operator_as(eyes, hail.operator),
                "status": hail.status, "creation_datetime": timestamp(hail.created_at),
                "taxi_id": self.taxi_as(eyes, hail), "customer_id": hail.customer,
            });
            (hail.id.as_str(), listed)
        })
        .collect()
    }

    /// The id under which these eyes know a hail's taxi.
    fn taxi_as(&self, eyes: Eyes, hail: &Hail) -> Value {
        if eyes == Eyes::App { hail.hailed_as.clone() } else { json!(self.taxis[hail.taxi]) }
    }

    /// The operator's own taxis, the newest first.
    pub(crate) fn show_taxis(&self, operator: Who) -> Value {
        let own = (0..TAXIS.len()).rev().filter(|taxi| TAXIS[*taxi].1 == operator);
        own.map(|taxi| self.show_seen(taxi, operator, None)).collect()
    }

    /// What of a taxi is not the same for ever, as one of its operators sees it.
    pub(crate) fn show_taxi(&self, taxi: usize, operator: Who) -> Value {
        json!([self.show_seen(taxi, operator, self.seen.get(&(taxi, operator)))])
    }

    fn show_seen(&self, taxi: usize, operator: Who, seen: Option<&(LatLon, i64)>) -> Value {
        let description = descriptions_of(taxi).find(|at| TAXIS[*at].1 == operator);
        let description = description.map(|at| &self.descriptions[at]);
        json!({
            "status": description.map(|description| &description.status),
            "radius": description.map(|description| &description.radius),
            "position": {"lon": seen.map(|seen| seen.0.lon()), "lat": seen.map(|seen| seen.0.lat())},
            "last_update": seen.map(|seen| seen.1.div_euclid(1000)),
        })
    }
}

impl Hail {
    fn customer_at(&self) -> LatLon {
        let degrees = |name: &str| self.fields[name].as_f64().unwrap();
        LatLon::new(degrees("customer_lat"), degrees("customer_lon")).unwrap()
    }
}

impl Transition {
    /// How an operator's server failed is that operator's business.
    fn show(&self, ground: Option<&Value>, eyes: Eyes) -> Value {
        let ground = ground.filter(|ground| self.to == "declined_by_taxi" && !ground.is_null());
        let reason = self.reason.as_deref().filter(|reason| eyes != Eyes::App || *reason == "deadline");
        let reason = ground.cloned().unwrap_or_else(|| json!(reason));
        json!({"from_status": self.from, "to_status": self.to, "timestamp": timestamp(self.at), "reason": reason})
    }
}

/// How these eyes see an operator.
fn operator_as(eyes: Eyes, operator: Who) -> Option<&'static str> {
    if eyes == Eyes::App { Some(NEUTRAL_OPERATOR) } else { operator.account() }
}

/// What an operator says of the colour of its vehicles.
pub(crate) fn color(operator: Who) -> String {
    format!("{}'s", operator.account().unwrap_or_default())
}

fn timestamp(ms: i64) -> String {
    let format = if ms % 1000 == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.6f" };
    DateTime::from_timestamp_millis(ms).unwrap().format(format).to_string()
}
