//! Signed datagrams of a made-up fleet, and who may send them: as a directory, and as a rival keeps it.

use std::sync::Arc;

use api::fleet::datagram::{Report, Writer};
use api::fleet::taxi::Status;
use api::fleet::town::Place;
use ingest::clock::Millis;
use ingest::directory::{Directory, Operator, Taxi};
use ingest::position::{OperatorKey, TaxiKey};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::rivals::serde::Checker;

/// Email and API key, with the lengths of those in service.
const OPERATORS: [(&str, &str); 3] = [
    ("operator-a", "6a1f0d2e-8f43-4c5b-9d77-2b1c90e4a8f1"),
    ("taxis-b.example", "0c9b7e64-53d1-4f2a-8a0e-7d5f3c21b960"),
    ("centrale@c.example", "f2d84b17-6e0a-49c3-b5f8-91a7e3d06c54"),
];

/// Datagrams, and who knows their senders.
pub struct Datagrams {
    /// One of each taxi.
    pub datagrams: Vec<Vec<u8>>,
    /// For the gate.
    pub directory: Arc<Directory>,
    /// For the rival.
    pub rival: Checker,
}

/// Datagrams of `count` taxis of three operators, sent at `now` from all over France.
pub fn datagrams(seed: u64, count: u32, now: Millis) -> Datagrams {
    let mut rng = StdRng::seed_from_u64(seed);
    let (directory, mut rival) = (Directory::default(), Checker::default());
    for ((name, key), number) in OPERATORS.into_iter().zip(1..) {
        let operator = OperatorKey(number);
        directory.operators().put(name.into(), 1, Operator::new(operator, key));
        rival.operators.insert(name.to_owned(), (operator, key.to_owned()));
    }
    let mut writer = Writer::default();
    let mut datagrams = Vec::new();
    for number in 0..count {
        let ((operator, key), operator_number) = match number % 3 {
            0 => (OPERATORS[0], 1),
            1 => (OPERATORS[1], 2),
            _ => (OPERATORS[2], 3),
        };
        // Seven letters and digits, as public ids have; which ones does not matter, but that they differ.
        let id = format!("t{:06x}", number.wrapping_mul(0x9e37_79b1) & 0xff_ffff);
        let (taxi, operators) = (TaxiKey(number), [OperatorKey(operator_number)]);
        directory.taxis().put(id.as_str().into(), 1, Taxi { key: taxi, operators: operators.into() });
        rival.taxis.insert(id.clone(), (taxi, operators.to_vec()));
        let place = Place { lat: rng.random_range(43.0..50.0), lon: rng.random_range(-1.0..7.0) };
        let status = Status::Free;
        let report = Report { timestamp_s: now.seconds(), operator, key, taxi: &id, place, status };
        datagrams.push(writer.write(&report).to_vec());
    }
    Datagrams { datagrams, directory: Arc::new(directory), rival }
}
