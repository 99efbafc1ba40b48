//! The JSON datagram by which a device reports its position, signed with its operator's key.

use std::fmt::Write;

use ingest::clock::Millis;
use ingest::position::Motion;
use sha1::{Digest, Sha1};

use super::taxi::Status;
use super::town::Place;

/// The protocol's fields in the order in which they are signed.
const FIELDS: [&str; 8] = ["timestamp", "operator", "taxi", "lat", "lon", "device", "status", "version"];

/// One report.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The device's clock. The JSON datagram says whole seconds of it.
    pub at: Millis,
    /// The operator's name in the registry.
    pub operator: &'a str,
    /// The operator's API key: it signs and is not sent.
    pub key: &'a str,
    /// The registry's public id of the taxi.
    pub taxi: &'a str,
    /// Where the taxi is.
    pub place: Place,
    /// What it is doing.
    pub status: Status,
    /// How it moves. The JSON datagram says nothing of it.
    pub motion: Motion,
}

/// Writes datagrams, one after the other in the same memory: after the first, none allocates.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// The values that are signed, one after the other, then the key.
    signed: String,
    datagram: String,
}

impl Writer {
    /// The report as JSON with every value a string, and its SHA-1 in hexadecimal.
    pub fn write(&mut self, report: &Report<'_>) -> &[u8] {
        let ends = self.sign(report);
        let hash = Sha1::digest(&self.signed);
        let out = &mut self.datagram;
        out.clear();
        out.push('{');
        let mut start = 0;
        for (field, end) in FIELDS.into_iter().zip(ends) {
            out.push('"');
            out.push_str(field);
            out.push_str("\":\"");
            push_escaped(out, &self.signed[start..end]);
            out.push_str("\",");
            start = end;
        }
        out.push_str("\"hash\":\"");
        for byte in hash {
            push_hex(out, byte);
        }
        out.push_str("\"}");
        out.as_bytes()
    }

    /// Fills `signed`; where each of its values ends.
    fn sign(&mut self, report: &Report<'_>) -> [usize; 8] {
        let out = &mut self.signed;
        out.clear();
        // Writing to a string cannot fail.
        let _ = write!(out, "{}", report.at.seconds());
        let timestamp = out.len();
        out.push_str(report.operator);
        let operator = out.len();
        out.push_str(report.taxi);
        let taxi = out.len();
        let _ = write!(out, "{:.6}", report.place.lat);
        let lat = out.len();
        let _ = write!(out, "{:.6}", report.place.lon);
        let lon = out.len();
        out.push_str("phone");
        let device = out.len();
        out.push_str(report.status.as_str());
        let status = out.len();
        out.push('2');
        let version = out.len();
        out.push_str(report.key);
        [timestamp, operator, taxi, lat, lon, device, status, version]
    }
}

fn push_escaped(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
}

fn push_hex(out: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
    }
}

#[cfg(test)]
mod tests {
    use ingest::clock::Millis;
    use ingest::position::Motion;
    use serde_json::Value;

    use super::{Report, Writer};
    use crate::fleet::taxi::Status;
    use crate::fleet::town::Place;

    fn report<'a>(operator: &'a str, key: &'a str) -> Report<'a> {
        let place = Place { lat: 48.856_6, lon: -2.352_200_4 };
        let (at, status, motion) = (Millis(1_430_076_493_999), Status::Free, Motion::default());
        Report { at, operator, key, taxi: "aBcDeF1", place, status, motion }
    }

    #[test]
    fn the_hash_is_the_one_computed_elsewhere() {
        let mut writer = Writer::default();
        let text = String::from_utf8(writer.write(&report("neotaxi", "the-key")).to_vec()).unwrap();
        // printf %s 1430076493neotaxiaBcDeF148.856600-2.352200phonefree2the-key | sha1sum
        let wanted = concat!(
            r#"{"timestamp":"1430076493","operator":"neotaxi","taxi":"aBcDeF1","lat":"48.856600","#,
            r#""lon":"-2.352200","device":"phone","status":"free","version":"2","#,
            r#""hash":"566c60a5436a0dcb14bde8bb0c1362d449be1312"}"#
        );
        assert_eq!(text, wanted);
    }

    #[test]
    fn any_name_survives_as_json_and_the_key_is_not_sent() {
        let mut writer = Writer::default();
        let name = "L'\"op\\éra\"\n\u{1}teur 🚕";
        let text = writer.write(&report(name, "sécret")).to_vec();
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["operator"], name);
        assert_eq!(value.as_object().unwrap().len(), 9);
        assert!(!String::from_utf8(text).unwrap().contains("sécret"));
    }

    #[test]
    fn a_datagram_owes_nothing_to_the_one_before() {
        let mut writer = Writer::default();
        writer.write(&report("a much longer name than the next one has", "key"));
        let again = writer.write(&report("op", "key")).to_vec();
        assert_eq!(again, Writer::default().write(&report("op", "key")));
    }

    #[test]
    fn another_key_signs_otherwise() {
        let one = Writer::default().write(&report("op", "key")).to_vec();
        assert_ne!(one, Writer::default().write(&report("op", "yek")));
    }
}
