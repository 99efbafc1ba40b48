//! Reports gathered into compact datagrams, a line of them for each operator.

use std::collections::BTreeMap;

use ingest::clock::Millis;
use ingest::position::{Accuracy, Heading, ReportedStatus, Speed};
use ingest::wire::binary::{Claim, Head, MacKey, NoRoom, Writer};

use super::datagram::Report;
use super::taxi::Status;

/// A compact datagram, and how many positions it has.
pub type Full = (Vec<u8>, u8);

/// What a sender has under way: for each operator a datagram that is not full yet.
#[derive(Debug)]
pub struct Gatherer {
    session: u64,
    lines: BTreeMap<String, Line>,
}

#[derive(Debug)]
struct Line {
    key: MacKey,
    /// Of the next datagram.
    sequence: u32,
    writer: Writer,
    sent_at: Millis,
}

impl Gatherer {
    /// A sender that has just started: the session is a random number.
    pub fn new(session: u64) -> Self {
        Self { session, lines: BTreeMap::new() }
    }

    /// Adds a report, and gives the datagram that has no more room for it, if there is one. An error: no datagram has,
    /// as a name is too long.
    pub fn add(&mut self, report: &Report<'_>) -> Result<Option<Full>, NoRoom> {
        let line = match self.lines.get_mut(report.operator) {
            Some(line) => line,
            None => self.lines.entry(report.operator.to_owned()).or_insert_with(|| Line {
                key: MacKey::of_api_key(report.key),
                sequence: 0,
                writer: Writer::default(),
                sent_at: report.at,
            }),
        };
        if line.writer.count() > 0 {
            if line.push(report).is_ok() {
                return Ok(None);
            }
            let full = line.seal();
            line.begin(self.session, report)?;
            return line.push(report).map(|()| Some(full));
        }
        line.begin(self.session, report)?;
        line.push(report).map(|()| None)
    }

    /// The datagrams that are not full. Whoever sends nothing more for now sends these.
    pub fn rest(&mut self) -> Vec<Full> {
        let begun = self.lines.values_mut().filter(|line| line.writer.count() > 0);
        begun.map(Line::seal).collect()
    }
}

impl Line {
    /// It is said to be sent when its first report is made.
    fn begin(&mut self, session: u64, report: &Report<'_>) -> Result<(), NoRoom> {
        self.sent_at = report.at;
        let (sequence, sent_at, operator) = (self.sequence, self.sent_at, report.operator);
        self.writer.begin(&Head { wants_acknowledgement: false, sequence, session, sent_at, operator })
    }

    fn push(&mut self, report: &Report<'_>) -> Result<(), NoRoom> {
        let (lat_e7, lon_e7) = report.place.as_e7();
        self.writer.push(&Claim {
            taxi: report.taxi.as_bytes(),
            status: number(report.status),
            lat_e7,
            lon_e7,
            device_after_ms: i32::try_from(report.at.since(self.sent_at)).ok(),
            speed_cm_s: report.motion.speed.map(Speed::cm_s),
            heading_cdeg: report.motion.heading.map(Heading::centidegrees),
            accuracy_dm: report.motion.accuracy.map(Accuracy::dm),
        })
    }

    fn seal(&mut self) -> Full {
        // After four billion datagrams they are refused as replays: a session of centuries at this pace.
        self.sequence = self.sequence.wrapping_add(1);
        let count = self.writer.count();
        let datagram = self.writer.seal(&self.key).to_vec();
        self.writer = Writer::default();
        (datagram, count)
    }
}

fn number(status: Status) -> u8 {
    match status {
        Status::Free => ReportedStatus::Free as u8,
        Status::Occupied => ReportedStatus::Occupied as u8,
        Status::Off => ReportedStatus::Off as u8,
    }
}

#[cfg(test)]
mod tests {
    use ingest::limits::MAX_DATAGRAM;
    use ingest::position::Motion;
    use ingest::wire::binary::read;

    use super::*;
    use crate::fleet::town::Place;

    fn report<'a>(operator: &'a str, taxi: &'a str, at: i64) -> Report<'a> {
        let motion = Motion { speed: Some(Speed::from_m_s(8.5).unwrap()), ..Motion::default() };
        let place = Place { lat: 48.856_6, lon: -2.352_200_4 };
        Report { at: Millis(at), operator, key: "key", taxi, place, status: Status::Occupied, motion }
    }

    #[test]
    fn reports_of_an_operator_share_datagrams_in_order() {
        let mut gatherer = Gatherer::new(7);
        let mut sent = Vec::new();
        for at in 0..100 {
            let taxi = format!("taxi{at}");
            sent.extend(gatherer.add(&report("a", &taxi, 1_000 + at)).unwrap());
            if at % 10 == 0 {
                sent.extend(gatherer.add(&report("b", &taxi, 1_000 + at)).unwrap());
            }
        }
        assert!(sent.iter().all(|(datagram, _)| datagram.len() > MAX_DATAGRAM - 30), "full ones");
        sent.extend(gatherer.rest());
        assert_eq!(gatherer.rest(), []);
        let (mut of_a, mut of_b, mut sequence) = (Vec::new(), 0, 0);
        for (datagram, count) in &sent {
            let sealed = read(datagram).unwrap();
            let claims: Vec<_> = sealed.open(&MacKey::of_api_key("key")).unwrap().claims().unwrap().collect();
            assert_eq!((claims.len(), sealed.head.session), (usize::from(*count), 7));
            if sealed.head.operator == "b" {
                of_b += claims.len();
                continue;
            }
            assert_eq!(sealed.head.sequence, sequence);
            sequence += 1;
            for claim in claims {
                assert_eq!((claim.lat_e7, claim.lon_e7), (488_566_000, -23_522_004));
                assert_eq!((claim.status, claim.speed_cm_s, claim.heading_cdeg), (2, Some(850), None));
                let after_ms = i64::from(claim.device_after_ms.unwrap());
                of_a.push((
                    sealed.head.sent_at.0 + after_ms,
                    String::from_utf8(claim.taxi.to_vec()).unwrap(),
                ));
            }
        }
        let wanted: Vec<_> = (0..100).map(|at| (1_000 + at, format!("taxi{at}"))).collect();
        assert_eq!((of_a, of_b), (wanted, 10));
        assert!(sequence > 2, "{sequence}");
    }

    #[test]
    fn a_name_that_no_datagram_holds_is_said() {
        let mut gatherer = Gatherer::new(7);
        assert_eq!(gatherer.add(&report(&"o".repeat(256), "t", 0)), Err(NoRoom));
        assert_eq!(gatherer.add(&report("o", &"t".repeat(256), 0)), Err(NoRoom));
        assert_eq!(gatherer.add(&report("o", "t", 0)), Ok(None));
        assert_eq!(gatherer.rest().len(), 1);
    }
}
