//! One position of a request: read, checked, and noted where it is refused.

use std::net::IpAddr;

use ingest::clock::Millis;
use ingest::directory::{Directory, NoSource};
use ingest::gate::{Refusal, Refusals};
use ingest::position::{
    Accuracy, Heading, LatLon, MAX_ACCURACY_M, MAX_REPORTABLE_LAT, MAX_SPEED_M_S, Motion, NoMotion,
    OperatorKey, OutOfRange, Position, ReportedStatus, Speed, Transport,
};
use ingest::wire::arrow::Row;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::limits::LINE_MAX_BYTES;
use crate::routes::noted::note;

/// The fields that there are, the first three of them required.
const FIELDS: [&str; 8] = ["taxi", "lat", "lon", "speed", "heading", "accuracy", "timestamp", "status"];
const REQUIRED: usize = 3;
/// Characters of an unknown field's name that are repeated to whoever sent it.
const NAME_SHOWN_CHARS: usize = 64;
/// Seconds before and after 1970 within which a device may be: those beyond are milliseconds.
const TIMESTAMP_MAX_S: f64 = 1e11;
const TIMESTAMP_MAX_MS: u64 = 100_000_000_000_000;

/// The values of a position, each of the right type.
#[derive(Debug, PartialEq)]
pub(super) struct Given<'a> {
    taxi: &'a str,
    lat: f64,
    lon: f64,
    speed: Option<f64>,
    heading: Option<f64>,
    accuracy: Option<f64>,
    device_at: Option<Millis>,
    status: Option<&'a str>,
}

/// What is wrong with a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The field; None: all of it.
    pub(super) field: Option<String>,
    pub(super) refusal: Refusal,
}

impl Wrong {
    pub(super) fn all(refusal: Refusal) -> Self {
        Self { field: None, refusal }
    }

    fn field(name: &str, refusal: Refusal) -> Self {
        Self { field: Some(name.chars().take(NAME_SHOWN_CHARS).collect()), refusal }
    }
}

/// The value of a line.
pub(super) fn parse(line: &[u8]) -> Result<Value, Wrong> {
    let text = std::str::from_utf8(line).map_err(|_| Wrong::all(Refusal::NotUtf8))?;
    serde_json::from_str(text).map_err(|_| Wrong::all(Refusal::NotJson))
}

/// What a line may say, as a JSON Schema of the text of a whole body.
pub(super) fn schema() -> Value {
    let number = |about: &str, least: f64, most: f64| {
        let kinds = ["number", "null"];
        json!({"type": kinds, "minimum": least, "maximum": most, "description": about})
    };
    let mut lat = number("Latitude in degrees, WGS 84.", -MAX_REPORTABLE_LAT, MAX_REPORTABLE_LAT);
    let mut lon = number("Longitude in degrees, WGS 84.", -180.0, 180.0);
    (lat["type"], lon["type"]) = (json!("number"), json!("number"));
    json!({
        "type": "string", "description": "An object a line.", "contentMediaType": "application/x-ndjson",
        "contentSchema": {
            "type": "object", "required": &FIELDS[..REQUIRED], "additionalProperties": false,
            "description": format!("At most {LINE_MAX_BYTES} bytes."),
            "properties": {
                "taxi": {"type": "string", "description": "The taxi's id, as its operator knows it."},
                "lat": lat, "lon": lon,
                "speed": number("Speed over ground in m/s.", 0.0, MAX_SPEED_M_S),
                "heading": number("Direction of motion in degrees, clockwise from true north.", 0.0, 360.0),
                "accuracy": number("Radius of confidence in metres.", 0.0, MAX_ACCURACY_M),
                "timestamp": number("When it was there, in seconds since 1970.", -TIMESTAMP_MAX_S, TIMESTAMP_MAX_S),
                "status": {"type": ["string", "null"], "description": "What the device says of the taxi's status."},
            },
        },
    })
}

impl<'a> Given<'a> {
    /// The values of an object. Null is as good as nothing.
    pub(super) fn of_json(value: &'a Value) -> Result<Self, Wrong> {
        let fields = value.as_object().ok_or(Wrong::all(Refusal::NotAnObject))?;
        let get = |name: &str| fields.get(name).filter(|value| !value.is_null());
        if let Some(missing) = FIELDS[..REQUIRED].iter().find(|name| get(name).is_none()) {
            return Err(Wrong::field(missing, Refusal::MissingField));
        }
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(Wrong::field(unknown, Refusal::UnknownField));
        }
        let wrong = |name: &str| Wrong::field(name, Refusal::WrongType);
        let text = |name| get(name).map(|value| value.as_str().ok_or_else(|| wrong(name))).transpose();
        let number = |name| get(name).map(|value| value.as_f64().ok_or_else(|| wrong(name))).transpose();
        let missing = |name| Wrong::field(name, Refusal::MissingField);
        let device_at = number("timestamp")?
            .map(|seconds| millis(seconds).ok_or_else(|| wrong("timestamp")))
            .transpose()?;
        Ok(Self {
            taxi: text("taxi")?.ok_or_else(|| missing("taxi"))?,
            lat: number("lat")?.ok_or_else(|| missing("lat"))?,
            lon: number("lon")?.ok_or_else(|| missing("lon"))?,
            speed: number("speed")?,
            heading: number("heading")?,
            accuracy: number("accuracy")?,
            device_at,
            status: text("status")?,
        })
    }

    /// The values of a row.
    pub(super) fn of_row(row: &Row<'a>) -> Result<Self, Wrong> {
        let missing = |name| Wrong::field(name, Refusal::MissingField);
        let text = |name, bytes: Option<&'a [u8]>| {
            bytes.map(std::str::from_utf8).transpose().map_err(|_| Wrong::field(name, Refusal::NotUtf8))
        };
        let is_time = |at: &Millis| at.0.unsigned_abs() <= TIMESTAMP_MAX_MS;
        let device_at = match row.timestamp {
            Some(at) if !is_time(&at) => return Err(Wrong::field("timestamp", Refusal::WrongType)),
            at => at,
        };
        Ok(Self {
            taxi: text("taxi", row.taxi)?.ok_or_else(|| missing("taxi"))?,
            lat: row.lat.ok_or_else(|| missing("lat"))?,
            lon: row.lon.ok_or_else(|| missing("lon"))?,
            speed: row.speed,
            heading: row.heading,
            accuracy: row.accuracy,
            device_at,
            status: text("status", row.status)?,
        })
    }

    /// The position of the operator's taxi, received just now.
    pub(super) fn check(
        &self,
        directory: &Directory,
        operator: OperatorKey,
        received_at: Millis,
    ) -> Result<Position, Wrong> {
        let at = LatLon::reportable(self.lat, self.lon).map_err(|out| match out {
            OutOfRange::Lat => Wrong::field("lat", Refusal::LatOutOfRange),
            OutOfRange::Lon => Wrong::field("lon", Refusal::LonOutOfRange),
        })?;
        let motion = self.motion().map_err(|out| {
            let name = match out {
                NoMotion::Speed => "speed",
                NoMotion::Heading => "heading",
                NoMotion::Accuracy => "accuracy",
            };
            Wrong::field(name, out.into())
        })?;
        let source = directory.find_source(self.taxi, operator).map_err(|why| {
            let refusal = match why {
                NoSource::UnknownTaxi => Refusal::UnknownTaxi,
                NoSource::NotTheirs => Refusal::NotTheirTaxi,
            };
            Wrong::field("taxi", refusal)
        })?;
        let status = self.status.map_or(ReportedStatus::Unsaid, ReportedStatus::named);
        Ok(Position {
            source,
            at,
            received_at,
            device_at: self.device_at,
            status,
            motion,
            transport: Transport::Http,
        })
    }

    fn motion(&self) -> Result<Motion, NoMotion> {
        Ok(Motion {
            speed: self.speed.map(Speed::from_m_s).transpose()?,
            heading: self.heading.map(Heading::from_degrees).transpose()?,
            accuracy: self.accuracy.map(Accuracy::from_m).transpose()?,
        })
    }
}

/// Seconds as milliseconds; None where they are too many to be seconds.
fn millis(seconds: f64) -> Option<Millis> {
    #[expect(clippy::cast_possible_truncation, reason = "at most 1e14 in absolute value, which an i64 holds")]
    (seconds.abs() <= TIMESTAMP_MAX_S).then(|| Millis((seconds * 1000.0).round() as i64))
}

/// A row as a line would say it, to be shown as an example of what is refused.
pub(super) fn as_json(row: &Row<'_>) -> Value {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| json!(String::from_utf8_lossy(bytes)));
    let number = |number: Option<f64>| number.map(|number| json!(number));
    #[expect(clippy::cast_precision_loss, reason = "an example to look at")]
    let timestamp = row.timestamp.map(|at| json!(at.0 as f64 / 1000.0));
    let values = [
        text(row.taxi),
        number(row.lat),
        number(row.lon),
        number(row.speed),
        number(row.heading),
        number(row.accuracy),
        timestamp,
        text(row.status),
    ];
    let fields = FIELDS.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// Who sent a request.
pub(super) struct Sender<'a> {
    pub(super) caller: &'a Caller,
    pub(super) from: Option<IpAddr>,
}

impl Sender<'_> {
    /// Notes a refused position, as it was sent.
    pub(super) fn note(&self, refusals: &Refusals, refusal: Refusal, sent: &Value, at: Millis) {
        note(refusals, refusal, (self.caller, self.from, at), sent, ("taxi", FIELDS));
    }
}

#[cfg(test)]
mod tests {
    use ingest::directory::Taxi;
    use ingest::position::TaxiKey;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// What may stand in a field; 0 for a number made at random.
    const NUMBER: &str = "-?[0-9]{1,3}(\\.[0-9]{1,9})?(e[0-9]{1,3})?";
    const VALUES: [&str; 5] = ["\"t\"", "null", "0", "[]", "{}"];

    #[test]
    fn what_is_wrong_with_an_object_is_told_by_field() {
        let with = |name: &str, value: Value| {
            let mut object = json!({"taxi": "t", "lat": 48.8, "lon": 2.3});
            object[name] = value;
            object
        };
        for (value, field, refusal) in [
            (json!(7), None, Refusal::NotAnObject),
            (json!({"taxi": "t", "lat": 2}), Some("lon"), Refusal::MissingField),
            (with("taxi", json!(null)), Some("taxi"), Refusal::MissingField),
            (with("taxi", json!(7)), Some("taxi"), Refusal::WrongType),
            (with("lat", json!("48.8")), Some("lat"), Refusal::WrongType),
            (with("speed", json!([])), Some("speed"), Refusal::WrongType),
            (with("timestamp", json!("2026-11-26T20:00:00Z")), Some("timestamp"), Refusal::WrongType),
            (with("timestamp", json!(1_790_000_000_000_i64)), Some("timestamp"), Refusal::WrongType),
            (with("status", json!(1)), Some("status"), Refusal::WrongType),
            (with("latitude", json!(1)), Some("latitude"), Refusal::UnknownField),
        ] {
            let wrong = Wrong { field: field.map(str::to_owned), refusal };
            assert_eq!(Given::of_json(&value), Err(wrong), "{value}");
        }
        assert!(Given::of_json(&with("speed", json!(null))).is_ok());
        assert_eq!(parse(b"{"), Err(Wrong::all(Refusal::NotJson)));
        assert_eq!(parse(b"\"\xff\""), Err(Wrong::all(Refusal::NotUtf8)));
    }

    #[test]
    fn a_row_says_what_a_line_says() {
        let row = Row {
            taxi: Some(b"t"),
            lat: Some(48.8),
            lon: Some(2.3),
            speed: Some(8.25),
            heading: None,
            accuracy: Some(4.0),
            timestamp: Some(Millis(1_790_000_000_250)),
            status: Some(b"free"),
        };
        let line = as_json(&row);
        assert_eq!(Given::of_row(&row), Given::of_json(&line), "{line}");
        let wrong = Given::of_row(&Row { taxi: Some(b"\xff"), ..row });
        assert_eq!(wrong, Err(Wrong { field: Some("taxi".to_owned()), refusal: Refusal::NotUtf8 }));
        // Of which no difference from a time of ours has a number.
        let never = Row { timestamp: Some(Millis(i64::MIN + 1)), ..row };
        assert_eq!(Given::of_row(&never), Err(Wrong::field("timestamp", Refusal::WrongType)));
        let wrong = Given::of_row(&Row { lat: None, ..row });
        assert_eq!(wrong, Err(Wrong { field: Some("lat".to_owned()), refusal: Refusal::MissingField }));
    }

    proptest! {
        #[test]
        fn no_line_panics_and_what_is_read_is_in_range(
            fields in vec((select(&FIELDS[..]), select(&VALUES[..]), NUMBER), 0..9),
        ) {
            let directory = Directory::default();
            directory.taxis().put("t".into(), 1, Taxi { key: TaxiKey(1), operators: [OperatorKey(1)].into() });
            let field = |(name, value, number): &(&str, &str, String)| {
                let value = if *value == "0" { number } else { *value };
                format!("\"{name}\":{value}")
            };
            let line = format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","));
            let read = parse(line.as_bytes());
            let position = read.and_then(|value| Given::of_json(&value)?.check(&directory, OperatorKey(1), Millis(0)));
            if let Ok(position) = position {
                prop_assert!(position.at.lat().abs() <= MAX_REPORTABLE_LAT);
                prop_assert!(position.device_at.is_none_or(|at| at.0.abs() <= 100_000_000_000_000));
            }
        }

        #[test]
        fn no_bytes_panic(line in vec(any::<u8>(), 0..60)) {
            if let Ok(value) = parse(&line) {
                let _ = Given::of_json(&value);
            }
        }
    }
}
