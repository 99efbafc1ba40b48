//! Datagrams as operators send them, and a directory that knows one operator with one taxi.

use ingest::directory::{Directory, Operator, Taxi};
use ingest::position::{OperatorKey, TaxiKey};
use sha1::{Digest, Sha1};

/// The API key of operator 1, `op1`.
pub(crate) const KEY: &str = "d8a1f6a2";

/// The fields of a datagram; those that may be numbers are JSON tokens.
pub(crate) struct Datagram {
    pub(crate) timestamp: &'static str,
    pub(crate) operator: &'static str,
    pub(crate) taxi: &'static str,
    pub(crate) lat: &'static str,
    pub(crate) lon: &'static str,
    pub(crate) status: &'static str,
    pub(crate) version: &'static str,
}

impl Default for Datagram {
    fn default() -> Self {
        Self {
            timestamp: "\"1764158399\"",
            operator: "op1",
            taxi: "taxi-1",
            lat: "48.86",
            lon: "2.35",
            status: "free",
            version: "\"2\"",
        }
    }
}

impl Datagram {
    /// As bytes, signed under a key; the hash comes last.
    pub(crate) fn signed(&self, key: &str) -> Vec<u8> {
        let Self { timestamp, operator, taxi, lat, lon, status, version } = self;
        let signed = [timestamp, operator, taxi, lat, lon, "phone", status, version, key];
        let text: String = signed.iter().map(|part| part.trim_matches('"')).collect();
        let hash: String =
            Sha1::digest(text).iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(hex_digit).collect();
        format!(
            r#"{{"timestamp": {timestamp}, "operator": "{operator}", "taxi": "{taxi}", "lat": {lat}, "lon": {lon},
                "device": "phone", "status": "{status}", "version": {version}, "hash": "{hash}"}}"#
        )
        .into_bytes()
    }
}

fn hex_digit(number: u8) -> Option<char> {
    char::from_digit(number.into(), 16)
}

/// Operator 1 may report `taxi-1`, operator 2 `taxi-2`.
pub(crate) fn directory() -> Directory {
    let directory = Directory::default();
    let operators = [("op1", 1, KEY), ("op2", 2, "another"), ("neotaxi", 3, "neotaxi-key")];
    for (email, key, api_key) in operators {
        directory.operators().put(email.into(), 1, Operator::new(OperatorKey(key), api_key));
    }
    for (id, key, operator) in
        [("taxi-1", 70, 1), ("taxi-2", 71, 2), ("9cf0ebfa-dd37-42c4-8a80-60db584535d8", 72, 3)]
    {
        let operators = [OperatorKey(operator)].into();
        directory.taxis().put(id.into(), 1, Taxi { key: TaxiKey(key), operators });
    }
    directory
}
