//! What a refused request counts as: each wrong position by the reason for which a datagram would have been refused.

use std::net::IpAddr;

use ingest::clock::Millis;
use ingest::directory::NoSource;
use ingest::gate::{Refusal, Refusals};
use ingest::position::{LatLon, OutOfRange};
use serde_json::Value;

use super::{POSITIONS_MAX, read_position};
use crate::auth::Caller;
use crate::form::kind::{Float, Kind as _, Object, Text};
use crate::routes::noted::note;

const FIELDS: [&str; 3] = ["taxi_id", "lon", "lat"];

/// Who sent a request, and when.
pub(super) struct Sender<'a> {
    pub(super) caller: &'a Caller,
    pub(super) from: Option<IpAddr>,
    pub(super) at: Millis,
}

impl Sender<'_> {
    /// Notes what is wrong with a body that could not be read.
    pub(super) fn note_body(&self, refusals: &Refusals, body: &Value) {
        let Some(positions) = positions(body) else {
            return self.note(refusals, of_envelope(body), &Value::Null);
        };
        let wrong = |element: &&Value| Object(read_position).read(element).is_err();
        let mut noted = 0;
        for element in positions.iter().take(POSITIONS_MAX).filter(wrong) {
            self.note(refusals, of_element(element), element);
            noted += 1;
        }
        if positions.len() > POSITIONS_MAX {
            self.note(refusals, Refusal::TooLong, &Value::Null);
        } else if noted == 0 {
            self.note(refusals, of_envelope(body), &Value::Null);
        }
    }

    /// Notes the positions of a readable body for which there is no source.
    pub(super) fn note_sources(
        &self,
        refusals: &Refusals,
        body: &Value,
        found: impl Iterator<Item = Option<NoSource>>,
    ) {
        for (element, missing) in positions(body).into_iter().flatten().zip(found) {
            match missing {
                None => {}
                Some(NoSource::UnknownTaxi) => self.note(refusals, Refusal::UnknownTaxi, element),
                Some(NoSource::NotTheirs) => self.note(refusals, Refusal::NotTheirTaxi, element),
            }
        }
    }

    fn note(&self, refusals: &Refusals, refusal: Refusal, element: &Value) {
        note(refusals, refusal, (self.caller, self.from, self.at), element, ("taxi_id", FIELDS));
    }
}

fn positions(body: &Value) -> Option<&Vec<Value>> {
    body.get("data")?.get(0)?.get("positions")?.as_array()
}

/// What is wrong around positions that are right, or are not there.
fn of_envelope(body: &Value) -> Refusal {
    let element = body.get("data").and_then(|data| data.get(0));
    if !body.is_object() {
        Refusal::NotAnObject
    } else if body.get("data").is_none()
        || element.is_some_and(|one| one.is_object() && one.get("positions").is_none())
    {
        Refusal::MissingField
    } else if positions(body).is_some() && body["data"].as_array().is_some_and(|data| data.len() == 1) {
        Refusal::UnknownField
    } else {
        Refusal::WrongType
    }
}

/// What is wrong with a position, in the order of a datagram's checks.
fn of_element(element: &Value) -> Refusal {
    let Some(fields) = element.as_object() else { return Refusal::NotAnObject };
    if FIELDS.iter().any(|name| !fields.contains_key(*name)) {
        return Refusal::MissingField;
    }
    let is_readable = |name: &str| fields[name].is_string() || fields[name].is_number();
    if Text.read(&fields["taxi_id"]).is_err() || !is_readable("lon") || !is_readable("lat") {
        return Refusal::WrongType;
    }
    if fields.len() > FIELDS.len() {
        return Refusal::UnknownField;
    }
    let (Ok(lat), Ok(lon)) = (Float.read(&fields["lat"]), Float.read(&fields["lon"])) else {
        return Refusal::NotANumber;
    };
    match LatLon::reportable(lat, lon) {
        Err(OutOfRange::Lat) => Refusal::LatOutOfRange,
        Err(OutOfRange::Lon) => Refusal::LonOutOfRange,
        // Nothing that is checked here is wrong; whoever looks finds the example.
        Ok(_) => Refusal::WrongType,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_wrong_position_has_the_reason_a_datagram_would_have() {
        let position = |lon, lat| json!({"taxi_id": "t", "lon": lon, "lat": lat});
        for (element, refusal) in [
            (json!(7), Refusal::NotAnObject),
            (json!({"taxi_id": "t", "lon": 2}), Refusal::MissingField),
            (json!({"taxi_id": 7, "lon": 2, "lat": 48}), Refusal::WrongType),
            (position(json!(null), json!(48)), Refusal::WrongType),
            (position(json!([2]), json!("north")), Refusal::WrongType),
            (json!({"taxi_id": "t", "lon": 2, "lat": 48, "status": "free"}), Refusal::UnknownField),
            (position(json!(2), json!("north")), Refusal::NotANumber),
            (position(json!("nan"), json!(48)), Refusal::NotANumber),
            (position(json!(2), json!(85.06)), Refusal::LatOutOfRange),
            (position(json!("-180.1"), json!(48)), Refusal::LonOutOfRange),
        ] {
            assert!(Object(read_position).read(&element).is_err(), "{element}");
            assert_eq!(of_element(&element), refusal, "{element}");
        }
    }

    #[test]
    fn what_is_wrong_around_positions_has_a_reason_too() {
        for (body, refusal) in [
            (json!([]), Refusal::NotAnObject),
            (json!({}), Refusal::MissingField),
            (json!({"data": [{}]}), Refusal::MissingField),
            (json!({"data": 7}), Refusal::WrongType),
            (json!({"data": []}), Refusal::WrongType),
            (json!({"data": [null]}), Refusal::WrongType),
            (json!({"data": [{"positions": 7}]}), Refusal::WrongType),
            (json!({"data": [{"positions": []}, {"positions": []}]}), Refusal::WrongType),
            (json!({"data": [{"positions": [], "more": 1}]}), Refusal::UnknownField),
            (json!({"data": [{"positions": []}], "more": 1}), Refusal::UnknownField),
        ] {
            assert_eq!(of_envelope(&body), refusal, "{body}");
        }
    }
}
