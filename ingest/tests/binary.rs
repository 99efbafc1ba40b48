//! The compact datagram: what is written is read, what was changed on the way or came before is refused, and what is
//! wrong with a position loses that position alone.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod compact;
mod datagram;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use compact::{CLAIM, HEAD, NOW, key, written};
use datagram::{KEY, directory};
use ingest::clock::Millis;
use ingest::gate::{Admitted, Gate, Refusal, Refusals, Scratch};
use ingest::limits::{MAX_DATAGRAM, MAX_REFUSED_EXAMPLES, MAX_SESSIONS, REPLAY_WINDOW};
use ingest::position::{
    Accuracy, Heading, LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, Speed, TaxiKey,
    Transport,
};
use ingest::wire::binary::{Acknowledgement, Claim, Head, MAC, MacKey, NoRoom, Writer, is_one, read};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const FROM: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
fn gate() -> Gate {
    Gate::new(Arc::new(directory()), Arc::new(Refusals::default()))
}

/// Bytes with the right hash after them.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let key = blake3::derive_key("maraude 2026-11-26 datagram version 2", KEY.as_bytes());
    [bytes, &blake3::keyed_hash(&key, bytes).as_bytes()[..MAC]].concat()
}

fn check(gate: &Gate, datagram: &[u8], now: Millis) -> (Result<Admitted, Refusal>, Vec<Position>) {
    let mut positions = Vec::new();
    (gate.check_compact(&mut Scratch::default(), datagram, FROM, now, &mut positions), positions)
}

#[test]
fn a_datagram_becomes_positions_and_its_answer_says_how_many() {
    let bare = Claim {
        device_after_ms: None,
        speed_cm_s: None,
        heading_cdeg: None,
        accuracy_dm: None,
        status: 9,
        ..CLAIM
    };
    let (admitted, positions) =
        check(&gate(), &written(&HEAD, &[CLAIM, Claim { taxi: b"nobody", ..CLAIM }, bare]), NOW.plus(5));
    let whole = Position {
        source: SourceKey { taxi: TaxiKey(70), operator: OperatorKey(1) },
        at: LatLon::new(48.86, 2.35).unwrap(),
        received_at: NOW.plus(5),
        device_at: Some(NOW.plus(-1_000)),
        status: ReportedStatus::Free,
        motion: Motion {
            speed: Some(Speed::from_m_s(13.89).unwrap()),
            heading: Some(Heading::from_degrees(270.5).unwrap()),
            accuracy: Some(Accuracy::from_m(4.7).unwrap()),
        },
        transport: Transport::Udp,
    };
    let without =
        Position { device_at: None, status: ReportedStatus::Other, motion: Motion::default(), ..whole };
    assert_eq!(positions, [whole, without]);
    let admitted = admitted.unwrap();
    assert_eq!((admitted.taken, admitted.refused), (2, 1));
    let answer = admitted.acknowledgement.unwrap();
    let wanted = Acknowledgement { sequence: 41, session: 0xfeed, taken: 2, refused: 1 };
    assert_eq!(Acknowledgement::open(&answer, &key()), Some(wanted));
    assert_eq!(Acknowledgement::open(&answer, &MacKey::of_api_key("another")), None);
    for bit in 0..answer.len() * 8 {
        let mut changed = answer;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Acknowledgement::open(&changed, &key()), None, "bit {bit}");
    }
    let quiet = written(&Head { wants_acknowledgement: false, ..HEAD }, &[CLAIM]);
    let quiet = check(&gate(), &quiet, NOW).0.unwrap();
    assert_eq!(quiet, Admitted { taken: 1, refused: 0, acknowledgement: None });
}

#[test]
fn every_kind_of_datagram_finds_its_way() {
    let (gate, mut scratch, mut positions) = (gate(), Scratch::default(), Vec::new());
    let json = datagram::Datagram::default().signed(KEY);
    assert!(!is_one(&json) && !is_one(b" {}") && !is_one(b""));
    assert_eq!(gate.admit(&mut scratch, &json, FROM, NOW, &mut positions), None);
    let compact = written(&HEAD, &[CLAIM, CLAIM]);
    assert!(gate.admit(&mut scratch, &compact, FROM, NOW, &mut positions).is_some());
    assert_eq!(
        gate.admit(&mut scratch, &compact, FROM, NOW, &mut positions),
        None,
        "a replay is not answered"
    );
    assert_eq!((positions.len(), gate.refusals().accepted()), (3, 3));
    assert_eq!(gate.refusals().total(Refusal::Replayed), 2, "both positions");
}

/// Datagrams that are refused whole, and why.
fn refused() -> Vec<(Refusal, Vec<u8>)> {
    let good = written(&HEAD, &[CLAIM]);
    let (hashed, _) = good.split_at(good.len() - MAC);
    let edited = |at: usize, value: u8| {
        let mut hashed = hashed.to_vec();
        hashed[at] = value;
        sealed(&hashed)
    };
    let first = HEAD.operator.len() + 24;
    vec![
        (Refusal::TooLong, [&good[..], &[0; MAX_DATAGRAM]].concat()),
        (Refusal::Malformed, good[..39].to_vec()),
        (Refusal::Malformed, edited(1, 2)),
        (Refusal::Malformed, edited(2, 0)),
        (Refusal::Malformed, edited(3, 255)),
        (Refusal::NotUtf8, edited(24, 0xff)),
        (Refusal::UnknownOperator, written(&Head { operator: "ghost", ..HEAD }, &[CLAIM])),
        (Refusal::BadHash, written(&Head { operator: "op2", ..HEAD }, &[CLAIM])),
        (Refusal::BadHash, good[..good.len() - 1].to_vec()),
        (Refusal::SentAtOff, written(&Head { sent_at: NOW.plus(120_001), ..HEAD }, &[CLAIM])),
        (Refusal::SentAtOff, written(&Head { sent_at: NOW.plus(-120_001), ..HEAD }, &[CLAIM])),
        (Refusal::SentAtOff, written(&Head { sent_at: Millis(i64::MIN), ..HEAD }, &[CLAIM])),
        (Refusal::Malformed, edited(2, 2)),
        (Refusal::Malformed, edited(first, 16)),
        (Refusal::Malformed, edited(first + 2, 7)),
        (Refusal::Malformed, sealed(&[hashed, &[0]].concat())),
    ]
}

#[test]
fn a_datagram_is_refused_whole_for_one_reason_and_leaves_no_trace() {
    let gate = gate();
    for (refusal, datagram) in refused() {
        assert_eq!(check(&gate, &datagram, NOW), (Err(refusal), Vec::new()), "{datagram:02x?}");
    }
    let counted: u64 = gate.refusals().snapshot().iter().map(|(_, _, count)| count).sum();
    // One has two positions, as its operator's hash says.
    assert_eq!((counted, gate.refusals().accepted()), (refused().len() as u64 + 1, 0));
    assert!(check(&gate, &written(&HEAD, &[CLAIM]), NOW).0.is_ok(), "its number is still free");
}

#[test]
fn what_is_wrong_with_a_position_loses_that_position_alone() {
    let wrong = [
        (Refusal::LatOutOfRange, Claim { lat_e7: 850_511_288, ..CLAIM }),
        (Refusal::LonOutOfRange, Claim { lon_e7: i32::MIN, ..CLAIM }),
        (Refusal::SpeedOutOfRange, Claim { speed_cm_s: Some(15_001), ..CLAIM }),
        (Refusal::HeadingOutOfRange, Claim { heading_cdeg: Some(36_000), ..CLAIM }),
        (Refusal::AccuracyOutOfRange, Claim { accuracy_dm: Some(50_001), ..CLAIM }),
        (Refusal::NotUtf8, Claim { taxi: b"taxi-\xff", ..CLAIM }),
        (Refusal::UnknownTaxi, Claim { taxi: b"", ..CLAIM }),
        (Refusal::NotTheirTaxi, Claim { taxi: b"taxi-2", ..CLAIM }),
    ];
    let claims: Vec<_> = wrong.iter().flat_map(|(_, claim)| [CLAIM, *claim]).collect();
    let gate = gate();
    let (admitted, positions) = check(&gate, &written(&HEAD, &claims), NOW);
    assert_eq!(admitted.map(|one| (one.taken, one.refused)), Ok((8, 8)));
    assert_eq!((positions.len(), gate.refusals().accepted_of(OperatorKey(1))), (8, 8));
    let mut reasons = wrong.map(|(refusal, _)| (refusal, 1));
    reasons.sort_unstable();
    assert_eq!(gate.refusals().refused_of(OperatorKey(1)), reasons);
}

type Mend = fn(&mut Claim<'_>);

#[test]
fn of_all_that_is_wrong_the_first_in_order_is_the_reason() {
    let gate = gate();
    assert!(check(&gate, &written(&HEAD, &[CLAIM]), NOW).0.is_ok());
    // All is wrong, and then made right from the first check to the last.
    let off = Head { sent_at: NOW.plus(120_001), ..HEAD };
    let (here, off) = (written(&HEAD, &[CLAIM]), written(&off, &[CLAIM]));
    let (flags, name, layout) = ((1, 2), (24, 0xff), (HEAD.operator.len() + 24, 16));
    let edited = |datagram: &[u8], edits: &[(usize, u8)]| {
        let mut bytes = datagram[..datagram.len() - MAC].to_vec();
        for (at, value) in edits {
            bytes[*at] = *value;
        }
        bytes
    };
    let unsealed = |bytes: Vec<u8>| [bytes, vec![0; MAC]].concat();
    let wrong = [
        (Refusal::TooLong, unsealed([edited(&off, &[flags, name, layout]), vec![0; MAX_DATAGRAM]].concat())),
        (Refusal::Malformed, unsealed(edited(&off, &[flags, name, layout]))),
        (Refusal::NotUtf8, unsealed(edited(&off, &[name, layout]))),
        (Refusal::UnknownOperator, unsealed(edited(&off, &[(24, b'x'), layout]))),
        (Refusal::BadHash, unsealed(edited(&off, &[layout]))),
        (Refusal::SentAtOff, sealed(&edited(&off, &[layout]))),
        (Refusal::Malformed, sealed(&edited(&here, &[layout]))),
        (Refusal::Replayed, here),
    ];
    for (refusal, datagram) in wrong {
        assert_eq!(check(&gate, &datagram, NOW).0, Err(refusal));
    }
    let mends: [(Refusal, Mend); 7] = [
        (Refusal::LatOutOfRange, |claim| claim.lat_e7 = 0),
        (Refusal::LonOutOfRange, |claim| claim.lon_e7 = 0),
        (Refusal::SpeedOutOfRange, |claim| claim.speed_cm_s = None),
        (Refusal::HeadingOutOfRange, |claim| claim.heading_cdeg = None),
        (Refusal::AccuracyOutOfRange, |claim| claim.accuracy_dm = None),
        (Refusal::NotUtf8, |claim| claim.taxi = b"nobody"),
        (Refusal::UnknownTaxi, |_| ()),
    ];
    let far = (Some(u16::MAX), i32::MIN);
    let mut claim = Claim { taxi: b"\xff", lat_e7: far.1, lon_e7: far.1, speed_cm_s: far.0, ..CLAIM };
    (claim.heading_cdeg, claim.accuracy_dm) = (far.0, far.0);
    for (sequence, (refusal, mend)) in (1_000..).zip(mends) {
        let before = gate.refusals().total(refusal);
        assert!(check(&gate, &written(&Head { sequence, ..HEAD }, &[claim]), NOW).0.is_ok());
        assert_eq!(gate.refusals().total(refusal), before + 1, "{refusal:?}");
        mend(&mut claim);
    }
}

#[test]
fn what_was_refused_is_kept_readable_and_without_the_key() {
    let gate = gate();
    let taxi = format!("taxi-of-{KEY}");
    let claims = [Claim { taxi: taxi.as_bytes(), device_after_ms: None, ..CLAIM }];
    assert!(check(&gate, &written(&HEAD, &claims), NOW).0.is_ok());
    assert_eq!(check(&gate, &written(&HEAD, &claims), NOW).0, Err(Refusal::Replayed));
    let mut taken = gate.refusals().take();
    taken.sort_by_key(|(_, refusal, _)| *refusal);
    let [(_, Refusal::Replayed, whole), (_, Refusal::UnknownTaxi, one)] = &taken[..] else {
        panic!("{taken:?}")
    };
    let head = r#"{"operator":"op1","session":65261,"sequence":41,"sent_at_ms":1764158400000}"#;
    assert_eq!((whole.examples[0].text.as_str(), whole.examples[0].from), (head, FROM));
    let position = concat!(
        r#"{"sequence":41,"taxi":"***","lat_e7":488600000,"lon_e7":23500000,"status":1,"#,
        r#""speed_cm_s":1389,"heading_cdeg":27050,"accuracy_dm":47}"#
    );
    assert_eq!(one.examples[0].text, position);
    assert!(!format!("{taken:?}").contains(KEY), "{taken:?}");
}

#[test]
fn a_datagram_passes_once_in_its_time_and_never_after_it() {
    let gate = gate();
    let early = written(&Head { sent_at: NOW.plus(120_000), ..HEAD }, &[CLAIM]);
    assert!(check(&gate, &early, NOW).0.is_ok());
    for later in [0, 1, 60_000, 240_000] {
        assert_eq!(check(&gate, &early, NOW.plus(later)).0, Err(Refusal::Replayed), "{later} ms later");
    }
    assert_eq!(check(&gate, &early, NOW.plus(240_001)).0, Err(Refusal::SentAtOff));
    let late = written(&Head { sequence: 41 + REPLAY_WINDOW, ..HEAD }, &[CLAIM]);
    assert!(check(&gate, &late, NOW).0.is_ok());
    let between = written(&Head { sequence: 42, ..HEAD }, &[CLAIM]);
    assert!(check(&gate, &between, NOW).0.is_ok(), "overtaken by a thousand");
}

#[test]
fn who_makes_up_sessions_fills_its_own_memory_only() {
    let gate = gate();
    for session in 0..MAX_SESSIONS as u64 {
        assert!(check(&gate, &written(&Head { session, ..HEAD }, &[CLAIM]), NOW).0.is_ok());
    }
    let one_more = written(&Head { session: u64::MAX, ..HEAD }, &[CLAIM]);
    assert_eq!(check(&gate, &one_more, NOW).0, Err(Refusal::TooManySessions));
    let another = Head { operator: "op2", session: u64::MAX, ..HEAD };
    let mut writer = Writer::default();
    writer.begin(&another).unwrap();
    writer.push(&Claim { taxi: b"taxi-2", ..CLAIM }).unwrap();
    assert!(check(&gate, writer.seal(&MacKey::of_api_key("another")), NOW).0.is_ok());
    let unsealed = written(&Head { operator: "op2", ..HEAD }, &[CLAIM]);
    assert_eq!(check(&gate, &unsealed, NOW).0, Err(Refusal::BadHash), "in another's name");
}

#[test]
fn a_warm_check_allocates_nothing() {
    let (gate, mut scratch, mut positions) = (gate(), Scratch::default(), Vec::with_capacity(100));
    let nobody = Claim { taxi: b"nobody", ..CLAIM };
    let quiet = Head { wants_acknowledgement: true, ..HEAD };
    let good: Vec<_> = (0..200)
        .map(|sequence| {
            written(&Head { sequence, ..quiet }, &[[CLAIM; 10].as_slice(), &[nobody; 2]].concat())
        })
        .collect();
    let bad = refused();
    let mut round = |datagrams: &[Vec<u8>]| {
        let mut passed = 0;
        for datagram in datagrams.iter().chain(bad.iter().map(|(_, datagram)| datagram)) {
            positions.clear();
            passed += usize::from(gate.admit(&mut scratch, datagram, FROM, NOW, &mut positions).is_some());
        }
        passed
    };
    let (first, rest) = good.split_at(100);
    // Warm is who holds as many refused ones as are kept.
    for _ in 0..MAX_REFUSED_EXAMPLES {
        round(first);
    }
    let mut passed = 0;
    let allocations = allocation_counter::measure(|| passed = round(rest) + round(rest));
    assert_eq!((passed, allocations.count_total), (100, 0));
}

#[test]
fn what_does_not_fit_is_said_and_not_written() {
    let mut writer = Writer::default();
    assert_eq!(writer.begin(&Head { operator: &"o".repeat(256), ..HEAD }), Err(NoRoom));
    writer.begin(&HEAD).unwrap();
    let mut fitted = 0;
    while writer.push(&CLAIM).is_ok() {
        fitted += 1;
    }
    assert_eq!((fitted, writer.count()), (36, 36));
    assert_eq!(writer.push(&Claim { taxi: &[b't'; 256], ..CLAIM }), Err(NoRoom));
    let full = writer.seal(&key()).to_vec();
    assert!((MAX_DATAGRAM - 27..=MAX_DATAGRAM).contains(&full.len()), "{}", full.len());
    let (admitted, positions) = check(&gate(), &full, NOW);
    assert_eq!((admitted.map(|one| one.taken), positions.len()), (Ok(36), 36));
}

fn head() -> impl Strategy<Value = (bool, u32, u64, i64, String)> {
    (any::<bool>(), any::<u32>(), any::<u64>(), any::<i64>(), "[a-zé@.]{0,30}")
}

fn claim() -> impl Strategy<Value = (Vec<u8>, Claim<'static>)> {
    let motion = (option::of(any::<u16>()), option::of(any::<u16>()), option::of(any::<u16>()));
    let rest = (any::<u8>(), any::<i32>(), any::<i32>(), option::of(any::<i32>()), motion);
    (vec(any::<u8>(), 0..20), rest).prop_map(
        |(taxi, (status, lat_e7, lon_e7, device_after_ms, (speed_cm_s, heading_cdeg, accuracy_dm)))| {
            let claim = Claim {
                taxi: b"",
                status,
                lat_e7,
                lon_e7,
                device_after_ms,
                speed_cm_s,
                heading_cdeg,
                accuracy_dm,
            };
            (taxi, claim)
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (wants_acknowledgement, sequence, session, sent_at, operator) in head(),
        claims in vec(claim(), 1..20),
    ) {
        let sent_at = Millis(sent_at);
        let head = Head { wants_acknowledgement, sequence, session, sent_at, operator: &operator };
        let claims: Vec<_> = claims.iter().map(|(taxi, claim)| Claim { taxi, ..*claim }).collect();
        let datagram = written(&head, &claims);
        let sealed = read(&datagram).unwrap();
        prop_assert_eq!(sealed.head, head);
        prop_assert!(sealed.open(&MacKey::of_api_key("another")).is_none());
        let opened = sealed.open(&key()).unwrap();
        prop_assert_eq!(usize::from(opened.count()), claims.len());
        prop_assert!(opened.claims().unwrap().eq(claims));
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_refused(
        claims in vec(claim(), 1..5), bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(),
    ) {
        let claims: Vec<_> = claims.iter().map(|(taxi, claim)| Claim { taxi, ..*claim }).collect();
        let (good, gate) = (written(&HEAD, &claims), gate());
        let (bit, mut flipped) = (bit.index(good.len() * 8), good.clone());
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(check(&gate, &flipped, NOW).0.is_err(), "bit {bit}");
        prop_assert!(check(&gate, &good[..cut.index(good.len())], NOW).0.is_err());
        prop_assert!(check(&gate, &good, NOW).0.is_ok());
        prop_assert_eq!(check(&gate, &good, NOW).0, Err(Refusal::Replayed));
    }

    #[test]
    fn no_bytes_panic_whoever_hashed_them(mut bytes in vec(any::<u8>(), 0..200), patch in any::<bool>()) {
        if let (true, Some((first, rest))) = (patch, bytes.split_first_mut()) {
            *first = 0xb2;
            // A name that is known, in its place.
            for (at, value) in [(0, 0), (2, 3), (23, b'o'), (24, b'p'), (25, b'1')] {
                rest.get_mut(at).map(|byte| *byte = value).unwrap_or_default();
            }
        }
        let _ = check(&gate(), &bytes, NOW);
        let (outcome, positions) = check(&gate(), &sealed(&bytes), NOW);
        prop_assert_eq!(outcome.map_or(0, |one| usize::from(one.taken)), positions.len());
    }
}
