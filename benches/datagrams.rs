//! Signed datagrams of a made-up fleet, and who may send them: as a directory, and as a rival keeps it. The same
//! positions as JSON and compact.

use std::sync::Arc;

use api::fleet::datagram::{self as json, Report};
use api::fleet::taxi::Status;
use api::fleet::town::Place;
use ingest::clock::Millis;
use ingest::directory::{Directory, Operator, Taxi};
use ingest::position::{Motion, OperatorKey, TaxiKey};
use ingest::wire::binary::{Claim, Head, MacKey, NoRoom, Writer};
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
    /// The same positions, ready to be sent in compact datagrams.
    pub senders: Vec<Sender>,
}

/// A server that reports for all taxis of an operator, in one session.
pub struct Sender {
    operator: &'static str,
    key: MacKey,
    sequence: u32,
    /// Ids, and what is said of each.
    taxis: Vec<(String, Claim<'static>)>,
    /// Whose turn it is.
    next: usize,
    writer: Writer,
}

impl Sender {
    fn new((operator, key): (&'static str, &str)) -> Self {
        let (taxis, writer) = (Vec::new(), Writer::default());
        Self { operator, key: MacKey::of_api_key(key), sequence: 0, taxis, next: 0, writer }
    }

    /// The next datagram, with as many positions as fit, and how many that are: with speed, heading and accuracy, or
    /// saying what JSON says.
    pub fn write(&mut self, sent_at: Millis, moving: bool) -> Result<(&[u8], usize), NoRoom> {
        let (sequence, session) = (self.sequence, 0x5eed);
        let head = Head { wants_acknowledgement: false, sequence, session, sent_at, operator: self.operator };
        self.sequence += 1;
        self.writer.begin(&head)?;
        let (before, after) = self.taxis.split_at(self.next);
        for (id, claim) in after.iter().chain(before) {
            let mut claim = Claim { taxi: id.as_bytes(), ..*claim };
            if !moving {
                claim = Claim { speed_cm_s: None, heading_cdeg: None, accuracy_dm: None, ..claim };
            }
            if self.writer.push(&claim).is_err() {
                break;
            }
        }
        let count = usize::from(self.writer.count());
        self.next = (self.next + count) % self.taxis.len().max(1);
        Ok((self.writer.seal(&self.key), count))
    }
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
    let mut writer = json::Writer::default();
    let mut datagrams = Vec::new();
    let mut senders = OPERATORS.map(Sender::new);
    for number in 0..count {
        let (sender, operator_number) = match number % 3 {
            0 => (0, 1),
            1 => (1, 2),
            _ => (2, 3),
        };
        let (operator, key) = OPERATORS[sender];
        // Seven letters and digits, as public ids have; which ones does not matter, but that they differ.
        let id = format!("t{:06x}", number.wrapping_mul(0x9e37_79b1) & 0xff_ffff);
        let (taxi, operators) = (TaxiKey(number), [OperatorKey(operator_number)]);
        directory.taxis().put(id.as_str().into(), 1, Taxi { key: taxi, operators: operators.into() });
        rival.taxis.insert(id.clone(), (taxi, operators.to_vec()));
        let place = Place { lat: rng.random_range(43.0..50.0), lon: rng.random_range(-1.0..7.0) };
        let status = Status::Free;
        let motion = Motion::default();
        let report = Report { at: now, operator, key, taxi: &id, place, status, motion };
        datagrams.push(writer.write(&report).to_vec());
        let (lat_e7, lon_e7) = place.as_e7();
        let claim = Claim {
            taxi: b"",
            status: 1,
            lat_e7,
            lon_e7,
            device_after_ms: Some(-rng.random_range(0..1_000)),
            speed_cm_s: Some(rng.random_range(0..2_000)),
            heading_cdeg: Some(rng.random_range(0..36_000)),
            accuracy_dm: Some(rng.random_range(20..200)),
        };
        senders[sender].taxis.push((id, claim));
    }
    Datagrams { datagrams, directory: Arc::new(directory), rival, senders: senders.into() }
}
