//! What is done with each text or byte from outside, and what must hold whatever it is. The fuzzer calls this, and so
//! does a test of `api` with every file of the corpus.

#![allow(dead_code, reason = "each fuzz target uses one of these")]

use std::sync::Arc;

use api::config::{Config, Values};
use api::import::features;
use api::registry::geometry::parse_shape;
use engine::territory::{Insee, Territory, Town};
use ingest::clock::Millis;
use ingest::directory::{Directory, Operator, Taxi};
use ingest::gate::{Gate, Refusal, Refusals, Scratch};
use ingest::log::{Entry, record};
use ingest::position::{LatLon, MAX_REPORTABLE_LAT, OperatorKey, Position, TaxiKey};
use ingest::searches::Search;
use ingest::wire::arrow::{BadStream, Stream};
use ingest::wire::binary::MAC;
use ingest::wire::positions_at_most;

const NOW: Millis = Millis(1_790_000_000_000);
/// Where a record has its checksum.
const CHECKSUM: std::ops::Range<usize> = 20..24;

/// The API key of operator 1, `op1`.
const KEY: &str = "d8a1f6a2";

/// A gate that knows `op1` and its `taxi-1`.
fn gate() -> Gate {
    let directory = Directory::default();
    directory.operators().put("op1".into(), 1, Operator::new(OperatorKey(1), KEY));
    directory.taxis().put("taxi-1".into(), 1, Taxi { key: TaxiKey(1), operators: [OperatorKey(1)].into() });
    Gate::new(Arc::new(directory), Arc::new(Refusals::default()))
}

/// A datagram is a position or a refusal, counted once, and the same one the next time.
pub(crate) fn datagram(bytes: &[u8]) {
    let (gate, mut scratch) = (gate(), Scratch::default());
    let refusals = gate.refusals();
    let outcome = gate.check(&mut scratch, bytes, None, NOW);
    assert_eq!(outcome, gate.check(&mut scratch, bytes, None, NOW));
    let refused: u64 = refusals.snapshot().iter().map(|(_, _, count)| count).sum();
    assert_eq!(refusals.accepted() + refused, 2);
    if let Ok(position) = outcome {
        assert!((-90.0..=90.0).contains(&position.at.lat()) && (-180.0..=180.0).contains(&position.at.lon()));
    }
}

/// A compact datagram is refused, or it is positions and refusals of them, once. A wrong hash hides what comes after it
/// from the fuzzer, so the right one is tried, too.
pub(crate) fn compact(bytes: &[u8]) {
    passes_once(bytes);
    if let Some((hashed, _)) = bytes.split_last_chunk::<MAC>() {
        let key = blake3::derive_key("maraude 2026-11-26 datagram version 2", KEY.as_bytes());
        let mac = blake3::keyed_hash(&key, hashed);
        passes_once(&[hashed, &mac.as_bytes()[..MAC]].concat());
    }
}

fn passes_once(bytes: &[u8]) {
    let (gate, mut scratch, mut positions) = (gate(), Scratch::default(), Vec::new());
    let mut check = || gate.check_compact(&mut scratch, bytes, None, NOW, &mut positions);
    let (first, second) = (check(), check());
    let counted = || gate.refusals().snapshot().iter().map(|(_, _, count)| *count).sum::<u64>();
    match first {
        Ok(admitted) => {
            assert_eq!(second, Err(Refusal::Replayed));
            let (taken, refused) = (u64::from(admitted.taken), u64::from(admitted.refused));
            assert_eq!((gate.refusals().accepted(), counted()), (taken, refused + taken + refused));
            assert_eq!(positions.len() as u64, taken);
            assert!(taken + refused <= positions_at_most(bytes) as u64);
        }
        Err(refusal) => {
            assert_eq!(second, Err(refusal));
            assert!(positions.is_empty() && gate.refusals().accepted() == 0 && counted() >= 2);
        }
    }
    assert!(positions.iter().all(|position| position.at.lat().abs() <= MAX_REPORTABLE_LAT));
}

/// A stream is of rows or is refused, the same whether it comes at once or byte by byte.
pub(crate) fn arrow(bytes: &[u8]) {
    let at_once = rows([bytes]);
    assert_eq!(at_once, rows(bytes.chunks(1)));
    assert!(at_once.0.len() <= bytes.len(), "what is told was sent");
}

/// What the rows of a stream in these pieces say, and how it ends.
fn rows<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Result<(), BadStream>) {
    let (mut stream, mut rows) = (Stream::default(), Vec::new());
    for piece in pieces {
        stream.push(piece);
        loop {
            match stream.next_batch() {
                Ok(Some(batch)) => rows.extend(batch.iter().map(|row| format!("{row:?}"))),
                Ok(None) => break,
                Err(error) => return (rows, Err(error)),
            }
        }
    }
    (rows, stream.finish())
}

/// A record is damaged, or it is entries that make a record of the same entries. A wrong checksum hides what comes
/// after it from the fuzzer, so the right one is tried, too.
pub(crate) fn batch(bytes: &[u8]) {
    whole::<Position>(bytes);
    whole::<Search>(bytes);
    if bytes.len() >= CHECKSUM.end {
        let mut bytes = bytes.to_vec();
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes[..CHECKSUM.start]);
        crc.update(&bytes[CHECKSUM.end..]);
        bytes[CHECKSUM].copy_from_slice(&crc.finalize().to_le_bytes());
        whole::<Position>(&bytes);
        whole::<Search>(&bytes);
    }
}

fn whole<E: Entry>(bytes: &[u8]) {
    // As bytes, since a distance that is no number does not equal itself.
    let encoded = |(appended_at, entries): (Millis, Vec<E>)| record::encode(&entries, appended_at).ok();
    if let Ok(read) = record::decode(bytes) {
        let once = encoded(read);
        let twice = once.as_ref().and_then(|once| encoded(record::decode(once).ok()?));
        assert!(once.is_some() && once == twice);
    }
}

/// A configuration is understood, or the error says something; what is shown hides secrets without failing.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Values::of_text(text) {
        Ok(values) => {
            assert!(!values.shown().is_empty());
            if let Err(error) = Config::new(&values) {
                assert!(!error.to_string().is_empty());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A file of places gives rows that can be read back, and remarks that say something; a shape is refused, or makes a
/// town in which every point can be asked for.
pub(crate) fn geojson(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for read in [features::towns(text), features::exclusions(text)] {
        match read {
            Ok(reading) => {
                assert!(reading.rows.iter().all(|row| parse_shape(&row.shape).is_ok()));
                assert!(reading.refused.iter().chain(&reading.noted).all(|remark| !remark.reason.is_empty()));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let Ok(shape) = parse_shape(text) else { return };
    let corner = shape.iter().flat_map(|polygon| polygon.exterior().coords()).next().copied();
    let Ok(insee) = "75056".parse::<Insee>() else { return };
    let territory =
        Territory::new(vec![Town { insee, name: "Town".to_owned(), shape }], Vec::new(), Vec::new());
    let corner = corner.and_then(|corner| LatLon::reportable(corner.y, corner.x).ok());
    let points = [LatLon::reportable(48.86, 2.35).ok(), LatLon::reportable(0.0, 0.0).ok(), corner];
    for point in points.into_iter().flatten() {
        let town = territory.town_at(point);
        assert!(town.is_none_or(|town| town.insee == insee));
        assert!(territory.exclusion_at(point).is_none());
    }
}
