//! The test vectors of `docs/protocol.md`: what they say is what is written and read.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::Arc;

use ingest::clock::Millis;
use ingest::directory::{Directory, Operator, Taxi};
use ingest::gate::{Gate, Refusal, Refusals, Scratch};
use ingest::limits::{
    MAX_CLOCK_SKEW_MS, MAX_DATAGRAM, MAX_NESTING, MAX_SESSIONS, REPLAY_WINDOW, SESSION_KEPT_MS,
};
use ingest::position::{OperatorKey, Position, TaxiKey};
use ingest::wire::binary::{ACKNOWLEDGEMENT, Acknowledgement, Claim, Head, MacKey, Writer, read};

const DOCUMENT: &str = include_str!("../../docs/protocol.md");

/// What a vector says, line by line.
struct Vector(Vec<(&'static str, &'static str)>);

impl Vector {
    /// The vector of a title.
    fn titled(title: &str) -> Self {
        let vectors = DOCUMENT.split("```vector\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
        let mut found = vectors.filter_map(|text| text.strip_prefix(title)?.strip_prefix('\n'));
        let text = found.next().unwrap();
        Self(text.lines().map(|line| line.split_once(" = ").unwrap()).collect())
    }

    fn all(&self, name: &str) -> Vec<&'static str> {
        self.0.iter().filter(|(given, _)| *given == name).map(|(_, value)| *value).collect()
    }

    fn one(&self, name: &str) -> &'static str {
        let values = self.all(name);
        assert_eq!(values.len(), 1, "{name}");
        values[0]
    }

    fn number<T: TryFrom<u128, Error: std::fmt::Debug>>(&self, name: &str) -> T {
        let value = self.one(name);
        let hexadecimal = value.strip_prefix("0x").map(|digits| u128::from_str_radix(digits, 16));
        hexadecimal.unwrap_or_else(|| value.parse()).unwrap().try_into().unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        let digits = self.all("bytes").join(" ");
        digits.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }
}

fn claim(text: &'static str) -> Claim<'static> {
    let words: Vec<_> = text.split(' ').collect();
    let said = |name: &str| words.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1]);
    Claim {
        taxi: said("taxi").unwrap().as_bytes(),
        status: said("status").unwrap().parse().unwrap(),
        lat_e7: said("lat").unwrap().parse().unwrap(),
        lon_e7: said("lon").unwrap().parse().unwrap(),
        device_after_ms: said("time").map(|number| number.parse().unwrap()),
        speed_cm_s: said("speed").map(|number| number.parse().unwrap()),
        heading_cdeg: said("heading").map(|number| number.parse().unwrap()),
        accuracy_dm: said("accuracy").map(|number| number.parse().unwrap()),
    }
}

/// What a gate lets through of a datagram, that knows the vectors' operator and two of its taxis.
fn admitted(key: &str, datagram: &[u8]) -> (Vec<Position>, Option<[u8; ACKNOWLEDGEMENT]>) {
    let directory = Directory::default();
    directory.operators().put("operator@example".into(), 1, Operator::new(OperatorKey(1), key));
    for (id, number) in [("aBcDeF1", 1), ("MnOpQr3", 3)] {
        let operators = [OperatorKey(1)].into();
        directory.taxis().put(id.into(), 1, Taxi { key: TaxiKey(number), operators });
    }
    let gate = Gate::new(Arc::new(directory), Arc::new(Refusals::default()));
    let mut positions = Vec::new();
    let now = Millis(1_795_600_000_000);
    let answer = gate.admit(&mut Scratch::default(), datagram, None, now, &mut positions);
    (positions, answer)
}

#[test]
fn the_json_datagram_is_let_through() {
    let vector = Vector::titled("json datagram");
    let (positions, answer) = admitted(vector.one("key"), vector.all("text").concat().as_bytes());
    let at = positions[0].at;
    let wanted = (vector.one("lat_e7").parse().unwrap(), vector.one("lon_e7").parse().unwrap());
    assert_eq!(((at.lat_e7(), at.lon_e7()), positions.len(), answer), (wanted, 1, None));
}

#[test]
fn the_compact_datagram_is_written_and_read_as_it_says() {
    let vector = Vector::titled("compact datagram");
    let (key, bytes) = (MacKey::of_api_key(vector.one("key")), vector.bytes());
    let head = Head {
        wants_acknowledgement: vector.one("acknowledgement") == "wanted",
        sequence: vector.number("sequence"),
        session: vector.number("session"),
        sent_at: Millis(vector.number("sent_at_ms")),
        operator: vector.one("operator"),
    };
    let claims: Vec<_> = vector.all("position").into_iter().map(claim).collect();
    let mut writer = Writer::default();
    writer.begin(&head).unwrap();
    for claim in &claims {
        writer.push(claim).unwrap();
    }
    assert_eq!(writer.seal(&key), bytes);
    let sealed = read(&bytes).unwrap();
    assert_eq!(sealed.head, head);
    assert!(sealed.open(&key).unwrap().claims().unwrap().eq(claims));
}

#[test]
fn its_hash_is_what_the_document_says_it_is() {
    let vector = Vector::titled("compact datagram");
    let derived = blake3::derive_key("maraude 2026-11-26 datagram version 2", vector.one("key").as_bytes());
    assert!(DOCUMENT.contains("`maraude 2026-11-26 datagram version 2`"));
    assert_eq!(blake3::Hash::from(derived).to_hex().as_str(), vector.one("derived"));
    let bytes = vector.bytes();
    let (hashed, mac) = bytes.split_at(bytes.len() - 16);
    assert_eq!(&blake3::keyed_hash(&derived, hashed).as_bytes()[..16], mac);
}

#[test]
fn the_acknowledgement_answers_the_compact_datagram() {
    let (vector, datagram) = (Vector::titled("acknowledgement"), Vector::titled("compact datagram"));
    let (positions, answer) = admitted(datagram.one("key"), &datagram.bytes());
    assert_eq!((positions.len(), answer.unwrap().to_vec()), (2, vector.bytes()));
    let wanted = Acknowledgement {
        sequence: vector.number("sequence"),
        session: vector.number("session"),
        taken: vector.number("taken"),
        refused: vector.number("refused"),
    };
    let key = MacKey::of_api_key(vector.one("key"));
    assert_eq!(Acknowledgement::open(&vector.bytes(), &key), Some(wanted));
    assert_eq!(wanted.seal(&key).to_vec(), vector.bytes());
}

#[test]
fn as_many_positions_fit_as_it_says() {
    let bare = claim("taxi aBcDeF1 status 1 lat 0 lon 0");
    let whole = claim("taxi aBcDeF1 status 1 lat 0 lon 0 time 0 speed 0 heading 0 accuracy 0");
    let [whole, bare] = [whole, bare].map(|claim| {
        let operator = "operator@example";
        let head =
            Head { wants_acknowledgement: false, sequence: 0, session: 0, sent_at: Millis(0), operator };
        let mut writer = Writer::default();
        writer.begin(&head).unwrap();
        while writer.push(&claim).is_ok() {}
        writer.count()
    });
    let document = DOCUMENT.replace('\n', " ");
    let said = format!(
        "With ids of seven letters and every field, {whole} positions of an operator with a name of 16 letters fit; \
         without the last four fields, {bare}."
    );
    assert!(document.contains(&said), "{said}");
}

#[test]
fn reasons_and_limits_stand_in_the_document() {
    let (_, reasons) = DOCUMENT.split_once("## Reasons").unwrap();
    for refusal in Refusal::ALL {
        let of_http = refusal == Refusal::UnknownField;
        assert_eq!(reasons.contains(&format!("`{}`", refusal.name())), !of_http, "{refusal:?}");
    }
    assert_eq!((MAX_DATAGRAM, MAX_NESTING, MAX_SESSIONS, REPLAY_WINDOW), (1_024, 32, 1_024, 992));
    assert_eq!((MAX_CLOCK_SKEW_MS, SESSION_KEPT_MS), (2 * 60_000, 4 * 60_000));
}
