//! The compact datagram: several positions of one operator's taxis, in bytes, under a keyed hash.
//!
//! `docs/protocol.md` specifies it and has test vectors. All numbers are little-endian.
//!
//! | bytes      | what                                                                                     |
//! |------------|------------------------------------------------------------------------------------------|
//! | 0          | b2: no text in UTF-8 begins so                                                           |
//! | 1          | bit 0: the sender wants an acknowledgement; the other bits are zero                      |
//! | 2          | positions, at least 1                                                                    |
//! | 3          | bytes of the operator's name, n                                                          |
//! | 4..8       | sequence number, u32                                                                     |
//! | 8..16      | session, u64                                                                             |
//! | 16..24     | when it was sent, in ms since 1970, i64                                                  |
//! | 24..24+n   | the operator's email, UTF-8                                                              |
//! | ..-16      | the positions                                                                            |
//! | -16..      | the first 16 bytes of the keyed BLAKE3 of all bytes before                               |
//!
//! A position:
//!
//! | bytes      | what                                                                                     |
//! |------------|------------------------------------------------------------------------------------------|
//! | 0          | what follows the taxi's id: bit 0 time, 1 speed, 2 heading, 3 accuracy; others are zero  |
//! | 1          | the taxi's status, as [`crate::position::ReportedStatus`] numbers them                   |
//! | 2          | bytes of the taxi's id, n                                                                |
//! | 3..7       | latitude in 1e-7 degrees, i32                                                            |
//! | 7..11      | longitude in 1e-7 degrees, i32                                                           |
//! | 11..11+n   | the taxi's public id, UTF-8                                                              |
//! | 4 or none  | the device's time, in ms after the datagram was sent, i32                                |
//! | 2 or none  | speed in cm/s, u16                                                                       |
//! | 2 or none  | heading in 0.01 degrees, u16                                                             |
//! | 2 or none  | accuracy in dm, u16                                                                      |

mod acknowledgement;
mod key;
mod writer;

pub use self::acknowledgement::{ACKNOWLEDGEMENT, Acknowledgement};
pub use self::key::{MAC, MacKey};
pub use self::writer::{NoRoom, Writer};
use crate::clock::Millis;
use crate::limits::MAX_DATAGRAM;

/// What a datagram says before its positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Whether the sender wants to hear once the positions are in the log.
    pub wants_acknowledgement: bool,
    /// The number of the datagram in its session; none has two.
    pub sequence: u32,
    /// A random number that a sender takes when it starts.
    pub session: u64,
    /// When it was sent, by the sender's clock.
    pub sent_at: Millis,
    /// The operator's email.
    pub operator: &'a str,
}

/// What a datagram says of one taxi. Nothing of it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The taxi's public id, if it is UTF-8.
    pub taxi: &'a [u8],
    /// The number of its status.
    pub status: u8,
    /// Latitude in 1e-7 degrees.
    pub lat_e7: i32,
    /// Longitude in 1e-7 degrees.
    pub lon_e7: i32,
    /// When the device was there, in ms after the datagram was sent.
    pub device_after_ms: Option<i32>,
    /// Speed in cm/s.
    pub speed_cm_s: Option<u16>,
    /// Heading in 0.01 degrees.
    pub heading_cdeg: Option<u16>,
    /// Accuracy in dm.
    pub accuracy_dm: Option<u16>,
}

/// A datagram whose head could be read: who it says it is from.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// What it says of itself. Not to be believed.
    pub head: Head<'a>,
    count: u8,
    hashed: &'a [u8],
    positions: &'a [u8],
    mac: &'a [u8; MAC],
}

/// A datagram that was made with the operator's key.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    count: u8,
    positions: &'a [u8],
}

/// The positions of a datagram, each of them whole.
#[derive(Clone, Debug)]
pub struct Claims<'a> {
    rest: &'a [u8],
}

/// What is wrong with bytes that should be a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They are not what the specification says.
    Layout,
    /// The operator's name is not UTF-8.
    NotUtf8,
}

/// Whether a datagram is one of these, by its first byte.
pub fn is_one(datagram: &[u8]) -> bool {
    datagram.first() == Some(&MAGIC)
}

/// Positions that a datagram has at most, by what it says and how long it is.
pub(super) fn positions_at_most(datagram: &[u8]) -> usize {
    let says = datagram.get(COUNT).copied().unwrap_or(0);
    usize::from(says).min(datagram.len() / FIXED_CLAIM)
}

/// Reads who a datagram says it is from. O(length of the name); nothing is allocated, here and in what it gives.
pub fn read(datagram: &[u8]) -> Result<Sealed<'_>, Malformed> {
    let (hashed, mac) = datagram.split_last_chunk::<MAC>().ok_or(Malformed::Layout)?;
    let (fixed, rest) = hashed.split_first_chunk::<FIXED>().ok_or(Malformed::Layout)?;
    let [MAGIC, flags @ 0..=WANTS_ACKNOWLEDGEMENT, count @ 1..=u8::MAX, name, rest_of_fixed @ ..] = *fixed
    else {
        return Err(Malformed::Layout);
    };
    let (sequence, rest_of_fixed) = take::<4>(&rest_of_fixed).ok_or(Malformed::Layout)?;
    let (session, rest_of_fixed) = take::<8>(rest_of_fixed).ok_or(Malformed::Layout)?;
    let (sent_at, _) = take::<8>(rest_of_fixed).ok_or(Malformed::Layout)?;
    let (operator, positions) = rest.split_at_checked(usize::from(name)).ok_or(Malformed::Layout)?;
    let head = Head {
        wants_acknowledgement: flags == WANTS_ACKNOWLEDGEMENT,
        sequence: u32::from_le_bytes(sequence),
        session: u64::from_le_bytes(session),
        sent_at: Millis(i64::from_le_bytes(sent_at)),
        operator: std::str::from_utf8(operator).map_err(|_| Malformed::NotUtf8)?,
    };
    Ok(Sealed { head, count, hashed, positions, mac })
}

impl<'a> Sealed<'a> {
    /// The datagram, if this key made it. O(length).
    pub fn open(&self, key: &MacKey) -> Option<Opened<'a>> {
        key.made(self.hashed, self.mac).then_some(Opened { count: self.count, positions: self.positions })
    }
}

impl<'a> Opened<'a> {
    /// Its positions, if there are as many as it says and nothing else. O(positions).
    pub fn claims(&self) -> Result<Claims<'a>, Malformed> {
        let mut rest = self.positions;
        for _ in 0..self.count {
            (_, rest) = split_claim(rest).ok_or(Malformed::Layout)?;
        }
        if rest.is_empty() { Ok(Claims { rest: self.positions }) } else { Err(Malformed::Layout) }
    }

    /// How many positions it says it has.
    pub fn count(&self) -> u8 {
        self.count
    }
}

impl<'a> Iterator for Claims<'a> {
    type Item = Claim<'a>;

    fn next(&mut self) -> Option<Claim<'a>> {
        let (claim, rest) = split_claim(self.rest)?;
        self.rest = rest;
        Some(claim)
    }
}

const MAGIC: u8 = 0xb2;
const WANTS_ACKNOWLEDGEMENT: u8 = 1;
/// Where the positions are counted.
const COUNT: usize = 2;
/// Bytes before the operator's name.
const FIXED: usize = 24;
/// Bytes of a position before the taxi's id.
const FIXED_CLAIM: usize = 11;

const HAS_TIME: u8 = 1;
const HAS_SPEED: u8 = 1 << 1;
const HAS_HEADING: u8 = 1 << 2;
const HAS_ACCURACY: u8 = 1 << 3;
const HAS_ALL: u8 = HAS_TIME | HAS_SPEED | HAS_HEADING | HAS_ACCURACY;

const _: () = assert!(
    ACKNOWLEDGEMENT < FIXED + FIXED_CLAIM + MAC,
    "an answer is smaller than what it answers, whoever asked in whose name"
);
const _: () = assert!(
    (MAX_DATAGRAM - FIXED - MAC) / FIXED_CLAIM <= u8::MAX as usize,
    "positions of a datagram are counted in a byte"
);

/// The position that some bytes begin with, and what follows it.
fn split_claim(bytes: &[u8]) -> Option<(Claim<'_>, &[u8])> {
    let (fixed, rest) = bytes.split_first_chunk::<FIXED_CLAIM>()?;
    let [fields @ 0..=HAS_ALL, status, id, lat0, lat1, lat2, lat3, lon0, lon1, lon2, lon3] = *fixed else {
        return None;
    };
    let (taxi, rest) = rest.split_at_checked(usize::from(id))?;
    let (time, rest) = take_if::<4>(fields & HAS_TIME != 0, rest)?;
    let (speed, rest) = take_if::<2>(fields & HAS_SPEED != 0, rest)?;
    let (heading, rest) = take_if::<2>(fields & HAS_HEADING != 0, rest)?;
    let (accuracy, rest) = take_if::<2>(fields & HAS_ACCURACY != 0, rest)?;
    let claim = Claim {
        taxi,
        status,
        lat_e7: i32::from_le_bytes([lat0, lat1, lat2, lat3]),
        lon_e7: i32::from_le_bytes([lon0, lon1, lon2, lon3]),
        device_after_ms: time.map(i32::from_le_bytes),
        speed_cm_s: speed.map(u16::from_le_bytes),
        heading_cdeg: heading.map(u16::from_le_bytes),
        accuracy_dm: accuracy.map(u16::from_le_bytes),
    };
    Some((claim, rest))
}

fn take<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk::<N>().map(|(first, rest)| (*first, rest))
}

/// The first bytes where they are there to be taken.
fn take_if<const N: usize>(is_there: bool, bytes: &[u8]) -> Option<(Option<[u8; N]>, &[u8])> {
    if is_there { take(bytes).map(|(first, rest)| (Some(first), rest)) } else { Some((None, bytes)) }
}
