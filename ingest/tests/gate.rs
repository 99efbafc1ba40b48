//! The gate: who passes, who does not and why, and that nothing is allocated.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod datagram;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use datagram::{Datagram, KEY, directory};
use ingest::clock::Millis;
use ingest::gate::{Gate, Refusal, Refusals, Scratch};
use ingest::limits::{MAX_DATAGRAM, MAX_REFUSED_EXAMPLES};
use ingest::position::{
    LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport,
};

const NOW: Millis = Millis(1_764_158_400_000);
const FROM: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

fn gate() -> Gate {
    Gate::new(Arc::new(directory()), Arc::new(Refusals::default()))
}

fn check(datagram: &[u8]) -> Result<Position, Refusal> {
    gate().check(&mut Scratch::default(), datagram, FROM, NOW)
}

#[test]
fn a_signed_datagram_becomes_a_position() {
    let expected = Position {
        source: SourceKey { taxi: TaxiKey(70), operator: OperatorKey(1) },
        at: LatLon::new(48.86, 2.35).unwrap(),
        received_at: NOW,
        device_at: Some(Millis(1_764_158_399_000)),
        status: ReportedStatus::Free,
        motion: Motion::default(),
        transport: Transport::Udp,
    };
    assert_eq!(check(&Datagram::default().signed(KEY)), Ok(expected));
}

#[test]
fn numbers_may_be_strings_with_a_comma() {
    let signed =
        Datagram { lat: "\"48,8601\"", lon: "\"2,3501\"", timestamp: "1764158399.25", ..Datagram::default() };
    let position = check(&signed.signed(KEY)).unwrap();
    assert_eq!((position.at.lat(), position.at.lon()), (48.8601, 2.3501));
    assert_eq!(position.device_at, Some(Millis(1_764_158_399_250)));
}

#[test]
fn the_hash_signs_what_was_sent_letter_for_letter() {
    // Trailing zeros, an exponent, an escape: what is signed is the token, and a string's decoded text.
    let signed = Datagram { lat: "48.8600", lon: "23.5e-1", version: "2.0", ..Datagram::default() };
    assert!(check(&signed.signed(KEY)).is_ok());
    let text = String::from_utf8(Datagram::default().signed(KEY)).unwrap();
    assert!(check(text.replace("phone", r"\u0070hone").as_bytes()).is_ok());
    assert_eq!(check(text.replace("48.86", "48.860").as_bytes()), Err(Refusal::BadHash));
    // A hash that was computed elsewhere (Python's hashlib), in another order of fields.
    let fixed = br#"{"timestamp":"1430076493","operator":"neotaxi","version":"1","lat":"50","lon":"2",
        "device":"mobile","taxi":"9cf0ebfa-dd37-42c4-8a80-60db584535d8","status":"free",
        "hash":"634fac474026776fffaf0958d36b6d7ed17a22e1"}"#;
    assert!(check(fixed).is_ok());
}

#[test]
fn the_hash_may_be_in_either_case() {
    let text = String::from_utf8(Datagram::default().signed(KEY)).unwrap();
    let (head, hash) = text.split_at(text.len() - 42);
    assert!(check(format!("{head}{}", hash.to_uppercase()).as_bytes()).is_ok());
}

#[test]
fn every_statement_of_the_status_is_logged() {
    for (text, status) in [
        ("free", ReportedStatus::Free),
        ("occupied", ReportedStatus::Occupied),
        ("off", ReportedStatus::Off),
        ("answering", ReportedStatus::Answering),
        ("oncoming", ReportedStatus::Oncoming),
        ("", ReportedStatus::Other),
    ] {
        let signed = Datagram { status: text, ..Datagram::default() }.signed(KEY);
        assert_eq!(check(&signed).map(|position| position.status), Ok(status));
    }
}

/// Datagrams that are refused, and why; each is right but for one thing.
fn refused() -> Vec<(Refusal, Vec<u8>)> {
    let base = Datagram::default;
    let text = String::from_utf8(base().signed(KEY)).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(text.contains(from));
        text.replace(from, to).into_bytes()
    };
    vec![
        (Refusal::TooLong, edited("}", &format!("{}}}", " ".repeat(MAX_DATAGRAM)))),
        (Refusal::NotUtf8, [text.as_bytes(), b"\xff"].concat()),
        (Refusal::NotJson, b"{oops".to_vec()),
        (Refusal::NotJson, b"".to_vec()),
        (Refusal::NotJson, edited("}", "}x")),
        (Refusal::NotAnObject, format!("[{text}]").into_bytes()),
        (Refusal::MissingField, edited("\"status\"", "\"statu\"")),
        (Refusal::MissingField, edited("\"hash\"", "\"hush\"")),
        (Refusal::WrongType, edited("\"taxi-1\"", "7")),
        (Refusal::WrongType, edited("48.86", "null")),
        (Refusal::NotANumber, Datagram { lat: "\"north\"", ..base() }.signed(KEY)),
        (Refusal::NotANumber, Datagram { lat: "\"\"", ..base() }.signed(KEY)),
        (Refusal::NotANumber, Datagram { lon: "\"inf\"", ..base() }.signed(KEY)),
        (Refusal::NotANumber, Datagram { lon: "\"1.234,5\"", ..base() }.signed(KEY)),
        (Refusal::LatOutOfRange, Datagram { lat: "85.06", ..base() }.signed(KEY)),
        (Refusal::LonOutOfRange, Datagram { lon: "-180.1", ..base() }.signed(KEY)),
        (Refusal::LonOutOfRange, Datagram { lon: "1e999", ..base() }.signed(KEY)),
        (Refusal::UnknownOperator, Datagram { operator: "ghost", ..base() }.signed(KEY)),
        (Refusal::BadHash, base().signed("another key")),
        (Refusal::BadHash, edited("\"free\"", "\"busy\"")),
        (Refusal::UnknownTaxi, Datagram { taxi: "nowhere", ..base() }.signed(KEY)),
        (Refusal::NotTheirTaxi, Datagram { taxi: "taxi-2", ..base() }.signed(KEY)),
    ]
}

#[test]
fn each_refusal_has_its_reason() {
    for (refusal, datagram) in refused() {
        let shown = String::from_utf8_lossy(&datagram);
        assert_eq!(check(&datagram), Err(refusal), "{shown}");
    }
    let elsewhere = [
        Refusal::Malformed,
        Refusal::UnknownField,
        Refusal::SpeedOutOfRange,
        Refusal::HeadingOutOfRange,
        Refusal::AccuracyOutOfRange,
        Refusal::SentAtOff,
        Refusal::Replayed,
        Refusal::TooManySessions,
        Refusal::Overloaded,
    ];
    for refusal in Refusal::ALL {
        let is_tried = refused().iter().any(|(tried, _)| *tried == refusal);
        assert_eq!(is_tried, !elsewhere.contains(&refusal), "{refusal:?}");
    }
}

#[test]
fn of_several_faults_the_first_check_names_the_reason() {
    let ghost = Datagram { operator: "ghost", lat: "\"north\"", ..Datagram::default() };
    assert_eq!(check(&ghost.signed("another key")), Err(Refusal::NotANumber));
    let stranger = Datagram { taxi: "nowhere", ..Datagram::default() };
    assert_eq!(check(&stranger.signed("another key")), Err(Refusal::BadHash), "a stranger learns of no taxi");
}

#[test]
fn counts_are_kept_by_operator_where_it_is_known() {
    let gate = gate();
    let mut scratch = Scratch::default();
    for (_, datagram) in refused() {
        assert!(gate.check(&mut scratch, &datagram, FROM, NOW).is_err());
    }
    for seconds in ["1764158519", "1764158521", "\"yesterday\"", "1e300"] {
        let signed = Datagram { timestamp: seconds, ..Datagram::default() }.signed(KEY);
        assert!(gate.check(&mut scratch, &signed, FROM, NOW).is_ok());
    }
    let refusals = gate.refusals();
    assert_eq!((refusals.accepted(), refusals.clocks_off()), (4, 1));
    assert_eq!(refusals.total(Refusal::NotJson), 3);
    let of_operator: Vec<_> =
        refusals.snapshot().into_iter().filter(|(operator, _, _)| operator.is_some()).collect();
    let operator = Some(OperatorKey(1));
    // Whose datagram it is said to be is known once its fields are.
    let expected = [
        (operator, Refusal::MissingField, 2),
        (operator, Refusal::WrongType, 2),
        (operator, Refusal::NotANumber, 4),
        (operator, Refusal::LatOutOfRange, 1),
        (operator, Refusal::LonOutOfRange, 2),
        (operator, Refusal::BadHash, 2),
        (operator, Refusal::UnknownTaxi, 1),
        (operator, Refusal::NotTheirTaxi, 1),
    ];
    assert_eq!(of_operator, expected);
    let all: u64 = refusals.snapshot().iter().map(|(_, _, count)| count).sum();
    assert_eq!(all, refused().len() as u64);
}

#[test]
fn what_is_refused_is_kept_without_the_hash_or_the_key() {
    let (gate, mut scratch) = (gate(), Scratch::default());
    let taxi = "taxi-of-d8a1f6a2";
    let stranger = Datagram { taxi, lat: "\"48,8600\"", ..Datagram::default() }.signed("another key");
    for _ in 0..3 {
        assert_eq!(gate.check(&mut scratch, &stranger, FROM, NOW), Err(Refusal::BadHash));
    }
    let text = String::from_utf8(Datagram::default().signed("another key")).unwrap();
    assert!(gate.check(&mut scratch, text.as_bytes(), None, NOW.plus(5)).is_err());
    let taken = gate.refusals().take();
    let [(operator, refusal, tally)] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((*operator, *refusal, tally.count), (OperatorKey(1), Refusal::BadHash, 4));
    assert_eq!(tally.last_at, NOW.plus(5));
    let taxis: Vec<_> = tally.taxis.weights().iter().map(|one| (one.name.as_str(), one.at_least())).collect();
    assert_eq!(taxis, [("***", 3), ("taxi-1", 1)], "the key is nowhere");
    let sources: Vec<_> = tally.sources.weights().iter().map(|one| (one.name, one.at_least())).collect();
    assert_eq!(sources, [(FROM.unwrap(), 3)]);
    let examples: Vec<_> = tally.examples.iter().map(|one| (one.text.as_str(), one.from)).collect();
    assert_eq!(examples.len(), 4);
    let masked = concat!(
        r#"{"timestamp":"1764158399","operator":"op1","version":"2","lat":"48,8600","lon":2.35,"#,
        r#""device":"phone","taxi":"***","status":"free"}"#
    );
    assert_eq!(examples[2], (masked, FROM));
    assert_eq!(examples[3], (&*masked.replace("***", "taxi-1").replace("\"48,8600\"", "48.86"), None));
    assert!(!format!("{taken:?}").contains(KEY), "{taken:?}");
    assert_eq!(gate.refusals().take().len(), 0);
}

#[test]
fn an_unreadable_timestamp_leaves_the_devices_time_unknown() {
    for timestamp in ["\"yesterday\"", "\"\"", "1e12", "\"NaN\""] {
        let signed = Datagram { timestamp, ..Datagram::default() }.signed(KEY);
        assert_eq!(check(&signed).map(|position| position.device_at), Ok(None), "{timestamp}");
    }
}

#[test]
fn a_warm_check_allocates_nothing() {
    let gate = gate();
    let mut scratch = Scratch::default();
    let escaped = String::from_utf8(Datagram::default().signed(KEY)).unwrap().replace("phone", r"\u0070hone");
    let comma = Datagram { lat: "\"48,86\"", ..Datagram::default() }.signed(KEY);
    let mut datagrams = vec![Datagram::default().signed(KEY), escaped.into_bytes(), comma];
    datagrams.extend(refused().into_iter().map(|(_, datagram)| datagram));
    let mut round =
        || datagrams.iter().filter(|datagram| gate.check(&mut scratch, datagram, FROM, NOW).is_ok()).count();
    // Warm is who holds as many refused ones as are kept.
    for _ in 0..MAX_REFUSED_EXAMPLES {
        round();
    }
    let mut passed = 0;
    let allocations = allocation_counter::measure(|| {
        for _ in 0..100 {
            passed += round();
        }
    });
    assert_eq!((passed, allocations.count_total), (300, 0));
}
