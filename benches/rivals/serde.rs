//! A datagram checked with `serde_json`, `sha1` and the standard library's hash maps.

use std::collections::HashMap;
use std::fmt::Write as _;

use ingest::clock::Millis;
use ingest::position::{
    LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport,
};
use serde::Deserialize;
use sha1::{Digest as _, Sha1};

/// Who may report which taxi.
#[derive(Default)]
pub struct Checker {
    /// By email: number and key.
    pub operators: HashMap<String, (OperatorKey, String)>,
    /// By public id: number and whose it is.
    pub taxis: HashMap<String, (TaxiKey, Vec<OperatorKey>)>,
}

/// The recorded datagram with every value a string without escapes, as most devices send it; ours reads numbers too.
#[derive(Deserialize)]
struct Datagram<'a> {
    timestamp: &'a str,
    operator: &'a str,
    taxi: &'a str,
    lat: &'a str,
    lon: &'a str,
    device: &'a str,
    status: &'a str,
    version: &'a str,
    hash: &'a str,
}

impl Checker {
    /// The position in a datagram, or None whatever is wrong with it.
    pub fn check(&self, datagram: &[u8], now: Millis) -> Option<Position> {
        let fields: Datagram<'_> = serde_json::from_slice(datagram).ok()?;
        let at = LatLon::reportable(fields.lat.parse().ok()?, fields.lon.parse().ok()?).ok()?;
        let (operator, key) = self.operators.get(fields.operator)?;
        let mut sha1 = Sha1::new();
        let (place, rest) = ([fields.lat, fields.lon], [fields.device, fields.status, fields.version, key]);
        for part in [fields.timestamp, fields.operator, fields.taxi].iter().chain(&place).chain(&rest) {
            sha1.update(part);
        }
        let mut hex = String::with_capacity(40);
        for byte in sha1.finalize() {
            write!(hex, "{byte:02x}").ok()?;
        }
        if !hex.eq_ignore_ascii_case(fields.hash) {
            return None;
        }
        let (taxi, owners) = self.taxis.get(fields.taxi)?;
        owners.contains(operator).then_some(())?;
        let seconds: i64 = fields.timestamp.parse().ok()?;
        Some(Position {
            source: SourceKey { taxi: *taxi, operator: *operator },
            at,
            received_at: now,
            device_at: Some(Millis(seconds.checked_mul(1000)?)),
            status: if fields.status == "free" { ReportedStatus::Free } else { ReportedStatus::Other },
            motion: Motion::default(),
            transport: Transport::Udp,
        })
    }
}
