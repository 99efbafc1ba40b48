//! The gate: a datagram becomes a position, or a counted refusal; a compact one becomes several.
//!
//! JSON is checked in this order, and the first check that fails is the reason: size, UTF-8, JSON, fields, numbers,
//! ranges, operator, hash, taxi. What is cheap comes first; what tells strangers from operators comes before what tells
//! which taxis exist.

mod ages;
mod binary;
pub mod heaviest;
mod refusals;
mod sessions;
pub mod tally;

use std::net::IpAddr;
use std::sync::Arc;

use sha1::{Digest as _, Sha1};

pub use self::ages::{Age, Passed};
pub use self::binary::Admitted;
pub use self::refusals::{Refusal, Refusals};
use self::sessions::Sessions;
use self::tally::{Noted, Secrets};
use crate::clock::Millis;
use crate::directory::{Directory, NoSource, Operator};
use crate::limits::MAX_DATAGRAM;
use crate::position::{LatLon, Motion, OutOfRange, Position, ReportedStatus, Transport};
use crate::wire;
use crate::wire::binary::ACKNOWLEDGEMENT;
use crate::wire::json::{self, Fields, Malformed, Value};

/// The checks between the network and the log. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Gate {
    directory: Arc<Directory>,
    refusals: Arc<Refusals>,
    sessions: Arc<Sessions>,
}

/// What one thread needs to read datagrams without allocating.
#[derive(Debug, Default)]
pub struct Scratch {
    json: json::Scratch,
    /// A decimal with its comma turned into a point.
    number: String,
    /// What a hash signs.
    signed: String,
    /// The numbers of what is refused of a compact datagram.
    texts: binary::Texts,
}

impl Gate {
    /// A gate that knows who `directory` knows and counts into `refusals`.
    pub fn new(directory: Arc<Directory>, refusals: Arc<Refusals>) -> Self {
        Self { directory, refusals, sessions: Arc::default() }
    }

    /// What came of the datagrams so far.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Checks a datagram of either kind received at `now`; its positions that pass come after what `positions` has.
    /// Gives the answer to be sent once they are in the log, if the sender wants one.
    pub fn admit(
        &self,
        scratch: &mut Scratch,
        datagram: &[u8],
        from: Option<IpAddr>,
        now: Millis,
        positions: &mut Vec<Position>,
    ) -> Option<[u8; ACKNOWLEDGEMENT]> {
        if wire::binary::is_one(datagram) {
            self.check_compact(scratch, datagram, from, now, positions).ok()?.acknowledgement
        } else {
            positions.extend(self.check(scratch, datagram, from, now).ok());
            None
        }
    }

    /// Checks a JSON datagram received at `now`, and counts what came of it; a refused one is noted as coming `from`
    /// there if it names an operator.
    ///
    /// A timestamp that is no readable number of seconds leaves the device's time unknown; one far off is counted.
    /// About a microsecond; allocates nothing once `scratch` and the refusals are warm, and what is accepted takes no
    /// lock.
    pub fn check(
        &self,
        scratch: &mut Scratch,
        datagram: &[u8],
        from: Option<IpAddr>,
        now: Millis,
    ) -> Result<Position, Refusal> {
        let fields = match read(&mut scratch.json, datagram) {
            Ok(fields) => fields,
            Err(refusal) => {
                self.refusals.count_unowned(refusal);
                return Err(refusal);
            }
        };
        match self.judge(&fields, (&mut scratch.number, &mut scratch.signed), now) {
            Ok(position) => {
                let mut passed = Passed::default();
                passed.add(&position);
                self.refusals.count_accepted(position.source.operator, Transport::Udp, &passed);
                Ok(position)
            }
            Err(refusal) => {
                self.note(&fields, refusal, from, now);
                Err(refusal)
            }
        }
    }

    fn judge(
        &self,
        fields: &Fields<'_>,
        (number, signed): (&mut String, &mut String),
        now: Millis,
    ) -> Result<Position, Refusal> {
        let claim = Claim::of_fields(fields, number)?;
        let signed = |operator: &Operator| (operator.key, claim.is_signed_by(operator, signed));
        let (operator, is_signed) =
            self.directory.operators().with(claim.operator, signed).ok_or(Refusal::UnknownOperator)?;
        if !is_signed {
            return Err(Refusal::BadHash);
        }
        let source = self.directory.find_source(claim.taxi, operator).map_err(|why| match why {
            NoSource::UnknownTaxi => Refusal::UnknownTaxi,
            NoSource::NotTheirs => Refusal::NotTheirTaxi,
        })?;
        Ok(Position {
            source,
            at: claim.at,
            received_at: now,
            device_at: claim.device_at,
            status: ReportedStatus::named(claim.status),
            motion: Motion::default(),
            transport: Transport::Udp,
        })
    }

    /// Notes a refused datagram with the operator that it names, whoever really sent it.
    fn note(&self, fields: &Fields<'_>, refusal: Refusal, from: Option<IpAddr>, now: Millis) {
        let of_operator = |operator: &Operator| {
            let hash = string(fields.hash).unwrap_or_default();
            let noted = Noted {
                at: now,
                transport: Transport::Udp,
                positions: 1,
                from,
                taxi: string(fields.taxi).ok(),
                fields: &fields.but_the_hash(),
                secrets: Secrets { key: operator.api_key(), hash },
            };
            self.refusals.note(operator.key, refusal, &noted);
        };
        let named = string(fields.operator).ok();
        if named.and_then(|name| self.directory.operators().with(name, of_operator)).is_none() {
            self.refusals.count_unowned(refusal);
        }
    }
}

fn read<'a>(scratch: &'a mut json::Scratch, datagram: &'a [u8]) -> Result<Fields<'a>, Refusal> {
    if datagram.len() > MAX_DATAGRAM {
        return Err(Refusal::TooLong);
    }
    let text = std::str::from_utf8(datagram).map_err(|_| Refusal::NotUtf8)?;
    json::read(scratch, text).map_err(|malformed| match malformed {
        Malformed::NotJson => Refusal::NotJson,
        Malformed::NotAnObject => Refusal::NotAnObject,
    })
}

/// What a datagram claims, well-formed but not yet believed.
struct Claim<'a> {
    operator: &'a str,
    taxi: &'a str,
    at: LatLon,
    device_at: Option<Millis>,
    status: &'a str,
    /// What the hash signs, in order and as sent; the operator's key follows.
    signed: [&'a str; 8],
    hash: &'a str,
}

impl<'a> Claim<'a> {
    fn of_fields(fields: &Fields<'a>, number: &mut String) -> Result<Self, Refusal> {
        let timestamp = string_or_number(fields.timestamp)?;
        let operator = string(fields.operator)?;
        let version = string_or_number(fields.version)?;
        let lat = string_or_number(fields.lat)?;
        let lon = string_or_number(fields.lon)?;
        let device = string(fields.device)?;
        let taxi = string(fields.taxi)?;
        let status = string(fields.status)?;
        let hash = string(fields.hash)?;
        let lat_degrees = decimal(lat, number).ok_or(Refusal::NotANumber)?;
        let lon_degrees = decimal(lon, number).ok_or(Refusal::NotANumber)?;
        let at = LatLon::reportable(lat_degrees, lon_degrees).map_err(|out| match out {
            OutOfRange::Lat => Refusal::LatOutOfRange,
            OutOfRange::Lon => Refusal::LonOutOfRange,
        })?;
        let device_at = decimal(timestamp, number).and_then(millis);
        let signed = [timestamp, operator, taxi, lat, lon, device, status, version];
        Ok(Self { operator, taxi, at, device_at, status, signed, hash })
    }

    /// Whether the hash is the SHA-1 of what was sent and the operator's key.
    fn is_signed_by(&self, operator: &Operator, signed: &mut String) -> bool {
        signed.clear();
        for part in self.signed {
            signed.push_str(part);
        }
        signed.push_str(operator.api_key());
        // At once: beginning and ending a part costs as much as hashing it.
        is_hex_of(self.hash.as_bytes(), &Sha1::digest(signed.as_bytes()).into())
    }
}

fn string(value: Option<Value<'_>>) -> Result<&str, Refusal> {
    match value {
        None => Err(Refusal::MissingField),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Refusal::WrongType),
    }
}

fn string_or_number(value: Option<Value<'_>>) -> Result<&str, Refusal> {
    match value {
        None => Err(Refusal::MissingField),
        Some(Value::String(text) | Value::Number(text)) => Ok(text),
        Some(Value::Other) => Err(Refusal::WrongType),
    }
}

/// A decimal number with a point or a comma. Words that Rust would read too, such as `inf`, are none.
fn decimal(text: &str, number: &mut String) -> Option<f64> {
    if let Some(number) = short_decimal(text) {
        return Some(number);
    }
    let allowed = |byte: u8| byte.is_ascii_digit() || b"+-.,eE".contains(&byte);
    if !text.bytes().all(allowed) {
        return None;
    }
    if !text.contains(',') {
        return text.parse().ok();
    }
    number.clear();
    number.extend(text.chars().map(|letter| if letter == ',' { '.' } else { letter }));
    number.parse().ok()
}

/// Powers of ten that a double holds exactly.
const TENS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The number of up to 15 digits with at most one point or comma and a minus, as nearly every one is written; None for
/// any other text. A double holds these digits exactly, and a power of ten too, so that their quotient is the double
/// nearest to the number.
fn short_decimal(text: &str) -> Option<f64> {
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (mut digits, mut count, mut point) = (0_u64, 0, None);
    for byte in text.bytes().take(TENS.len() + 1) {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + u64::from(byte - b'0');
                count += 1;
            }
            b'.' | b',' if point.is_none() => point = Some(count),
            _ => return None,
        }
    }
    if count == 0 || count > 15 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "below 1e15, which is exact")]
    let number = digits as f64 / TENS[count - point.unwrap_or(count)];
    Some(if is_negative { -number } else { number })
}

/// Seconds since 1970 as milliseconds, up to the year 5138.
fn millis(seconds: f64) -> Option<Millis> {
    #[expect(clippy::cast_possible_truncation, reason = "at most 1e14 in absolute value, which an i64 holds")]
    (seconds.abs() <= 1e11).then(|| Millis((seconds * 1000.0).round() as i64))
}

/// Whether `hex` writes `digest`, in either case. Looks at every digit whatever the first ones say: how long a
/// refusal takes must not tell how much of a forged hash is right.
fn is_hex_of(hex: &[u8], digest: &[u8; 20]) -> bool {
    let (pairs, rest) = hex.as_chunks::<2>();
    if pairs.len() != digest.len() || !rest.is_empty() {
        return false;
    }
    // Zero where a digit is the right one, in either case.
    let difference = |given: u8, number: u8| {
        let number = usize::from(number);
        (given ^ b"0123456789abcdef"[number]).min(given ^ b"0123456789ABCDEF"[number])
    };
    let differences = pairs.iter().zip(digest).fold(0, |so_far, ([high, low], byte)| {
        so_far | difference(*high, byte >> 4) | difference(*low, byte & 15)
    });
    differences == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hash_is_written_in_40_digits_of_either_case() {
        let digest: [u8; 20] = std::array::from_fn(|at| u8::try_from(at * 13).unwrap());
        let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let lower: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
        assert!(is_hex_of(lower.as_bytes(), &digest) && is_hex_of(lower.to_uppercase().as_bytes(), &digest));
        assert!(
            !is_hex_of(&lower.as_bytes()[..38], &digest)
                && !is_hex_of(format!("{lower}0").as_bytes(), &digest)
        );
        for at in 0..40 {
            for byte in 0..=u8::MAX {
                let mut hex = lower.clone().into_bytes();
                let is_same = hex[at] == byte.to_ascii_lowercase();
                hex[at] = byte;
                assert_eq!(is_hex_of(&hex, &digest), is_same, "{byte} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn short_decimals_are_the_nearest_doubles(text in "-?[0-9]{0,17}[.,]?[0-9]{0,17}") {
            let expected = text.replace(',', ".").parse::<f64>().ok();
            prop_assert_eq!(decimal(&text, &mut String::new()).map(f64::to_bits), expected.map(f64::to_bits));
        }

        #[test]
        fn what_is_no_short_decimal_is_left_to_others(text in "[-+0-9.,eE]{0,8}") {
            let expected = text.replace(',', ".").parse::<f64>().ok();
            prop_assert_eq!(decimal(&text, &mut String::new()).map(f64::to_bits), expected.map(f64::to_bits));
        }
    }
}
