//! What is known of a taxi at one instant, and the only range checks there are.
//!
//! Everything behind this file takes a [`LatLon`] or a [`Position`] and checks nothing again.

mod motion;

use thiserror::Error;

pub use self::motion::{Accuracy, Heading, MAX_ACCURACY_M, MAX_SPEED_M_S, Motion, NoMotion, Speed};
use crate::clock::Millis;
use crate::limits::MAX_CLOCK_SKEW_MS;

/// The greatest latitude at which a taxi or a customer may be, in degrees: where Web Mercator's square ends.
/// The registry's public interface has promised this bound since its first version.
pub const MAX_REPORTABLE_LAT: f64 = 85.051_128_78;

/// How far apart a device's clock and the time of receipt may lie for the device's clock to order two fixes.
pub const ORDERING_SKEW_MS: i64 = 10_000;

/// A point on the WGS 84 ellipsoid, in fixed point: 1e-7 degrees, about a centimetre.
///
/// Within -90..=90 and -180..=180 degrees by construction.
///
/// ```
/// use ingest::position::LatLon;
/// let here = LatLon::new(48.8601, 2.3501).unwrap();
/// assert_eq!((here.lat_e7(), here.lon_e7()), (488_601_000, 23_501_000));
/// assert!(LatLon::new(98.87, 2.36).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LatLon {
    lat_e7: i32,
    lon_e7: i32,
}

impl LatLon {
    /// A point from degrees, rounded to 1e-7.
    pub fn new(lat: f64, lon: f64) -> Result<Self, OutOfRange> {
        // `contains` is false for NaN too.
        match ((-90.0..=90.0).contains(&lat), (-180.0..=180.0).contains(&lon)) {
            (true, true) => Ok(Self { lat_e7: to_e7(lat), lon_e7: to_e7(lon) }),
            (false, _) => Err(OutOfRange::Lat),
            (true, false) => Err(OutOfRange::Lon),
        }
    }

    /// A point from degrees where a taxi or a customer may be: not beyond [`MAX_REPORTABLE_LAT`].
    pub fn reportable(lat: f64, lon: f64) -> Result<Self, OutOfRange> {
        if lat.abs() > MAX_REPORTABLE_LAT { Err(OutOfRange::Lat) } else { Self::new(lat, lon) }
    }

    /// A point from the fixed point in which it was stored.
    pub fn from_e7(lat_e7: i32, lon_e7: i32) -> Result<Self, OutOfRange> {
        if lat_e7.unsigned_abs() > 900_000_000 {
            Err(OutOfRange::Lat)
        } else if lon_e7.unsigned_abs() > 1_800_000_000 {
            Err(OutOfRange::Lon)
        } else {
            Ok(Self { lat_e7, lon_e7 })
        }
    }

    /// A point from the fixed point in which it was sent, where a taxi or a customer may be.
    pub fn reportable_e7(lat_e7: i32, lon_e7: i32) -> Result<Self, OutOfRange> {
        if lat_e7.unsigned_abs() > MAX_REPORTABLE_LAT_E7 {
            Err(OutOfRange::Lat)
        } else {
            Self::from_e7(lat_e7, lon_e7)
        }
    }

    /// Latitude in 1e-7 degrees.
    pub fn lat_e7(self) -> i32 {
        self.lat_e7
    }

    /// Longitude in 1e-7 degrees.
    pub fn lon_e7(self) -> i32 {
        self.lon_e7
    }

    /// Latitude in degrees.
    pub fn lat(self) -> f64 {
        f64::from(self.lat_e7) / 1e7
    }

    /// Longitude in degrees.
    pub fn lon(self) -> f64 {
        f64::from(self.lon_e7) / 1e7
    }
}

/// [`MAX_REPORTABLE_LAT`] in 1e-7 degrees, rounded down.
const MAX_REPORTABLE_LAT_E7: u32 = 850_511_287;

#[expect(clippy::cast_possible_truncation, reason = "at most 1.8e9 in absolute value, which an i32 holds")]
fn to_e7(degrees: f64) -> i32 {
    (degrees * 1e7).round() as i32
}

/// A coordinate lies outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OutOfRange {
    /// The latitude does.
    #[error("latitude out of range")]
    Lat,
    /// The longitude does.
    #[error("longitude out of range")]
    Lon,
}

/// The registry's number of a taxi.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaxiKey(pub u32);

/// The registry's number of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperatorKey(pub u32);

/// A taxi as one operator reports it: the unit of everything on the way of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceKey {
    /// Which taxi.
    pub taxi: TaxiKey,
    /// Who reports it.
    pub operator: OperatorKey,
}

impl SourceKey {
    /// A well-mixed 64-bit hash, the same in every process and version: it chooses partitions and shards.
    #[inline]
    pub fn stable_hash(self) -> u64 {
        mixed(u64::from(self.taxi.0) << 32 | u64::from(self.operator.0))
    }
}

/// A well-mixed hash, the same in every process and version (the finalizer of `SplitMix64`, Steele, Lea and Flood,
/// 2014).
#[inline]
pub(crate) fn mixed(bits: u64) -> u64 {
    let mut z = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a datagram says of the taxi's status. It is logged, never shown: the registry's own status counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReportedStatus {
    /// Nothing was said (a position over HTTP).
    Unsaid = 0,
    /// Free.
    Free = 1,
    /// Occupied.
    Occupied = 2,
    /// Out of service.
    Off = 3,
    /// Answering a hail.
    Answering = 4,
    /// On its way to a customer.
    Oncoming = 5,
    /// Anything else.
    Other = 6,
}

impl ReportedStatus {
    /// The status of a word; an unknown word is [`ReportedStatus::Other`].
    pub fn named(word: &str) -> Self {
        match word {
            "free" => Self::Free,
            "occupied" => Self::Occupied,
            "off" => Self::Off,
            "answering" => Self::Answering,
            "oncoming" => Self::Oncoming,
            _ => Self::Other,
        }
    }

    /// The status of a number in the log; an unknown number is [`ReportedStatus::Other`].
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Unsaid,
            1 => Self::Free,
            2 => Self::Occupied,
            3 => Self::Off,
            4 => Self::Answering,
            5 => Self::Oncoming,
            _ => Self::Other,
        }
    }
}

/// How a position came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Transport {
    /// A signed datagram.
    Udp = 0,
    /// A batch over HTTP.
    Http = 1,
}

/// One checked position of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whose position.
    pub source: SourceKey,
    /// Where.
    pub at: LatLon,
    /// When the registry received it. Freshness and visibility count from here.
    pub received_at: Millis,
    /// When the device says it was there, if it says so readably.
    pub device_at: Option<Millis>,
    /// What the datagram says of the status.
    pub status: ReportedStatus,
    /// What the device says of its motion.
    pub motion: Motion,
    /// How it came in.
    pub transport: Transport,
}

impl Position {
    /// This position's place in the order of its source.
    pub fn order(&self) -> Order {
        Order { received_at: self.received_at, device_at: self.device_at }
    }

    /// Whether the device's clock is more than [`MAX_CLOCK_SKEW_MS`] off ours.
    pub fn is_clock_off(&self) -> bool {
        self.device_at.is_some_and(|at| at.0.abs_diff(self.received_at.0) > MAX_CLOCK_SKEW_MS)
    }
}

/// What decides which of two positions of one source is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// When it was received.
    pub received_at: Millis,
    /// When the device says it was there.
    pub device_at: Option<Millis>,
}

impl Order {
    /// Whether a position is shown in place of the one shown so far (`shown`) of the same source.
    ///
    /// Where both carry a device time within [`ORDERING_SKEW_MS`] of their receipt, the one whose device time
    /// is older gives way: networks reorder datagrams. In all other cases, ties too, the later receipt wins.
    pub fn supersedes(self, shown: Order) -> bool {
        match (self.trusted_device_at(), shown.trusted_device_at()) {
            (Some(new), Some(old)) if new != old => new > old,
            _ => self.received_at >= shown.received_at,
        }
    }

    fn trusted_device_at(self) -> Option<Millis> {
        self.device_at.filter(|at| at.0.abs_diff(self.received_at.0) <= ORDERING_SKEW_MS.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(received_at: i64, device_at: Option<i64>) -> Order {
        Order { received_at: Millis(received_at), device_at: device_at.map(Millis) }
    }

    #[test]
    fn ranges_are_checked_once_and_exactly() {
        assert_eq!(LatLon::new(90.0, -180.0).map(LatLon::lat_e7), Ok(900_000_000));
        assert_eq!(LatLon::new(90.000_000_1, 0.0), Err(OutOfRange::Lat));
        assert_eq!(LatLon::new(0.0, 180.1), Err(OutOfRange::Lon));
        assert_eq!(LatLon::new(f64::NAN, 0.0), Err(OutOfRange::Lat));
        assert_eq!(LatLon::new(0.0, f64::INFINITY), Err(OutOfRange::Lon));
        assert!(LatLon::reportable(85.051_128_78, 0.0).is_ok());
        assert_eq!(LatLon::reportable(85.06, 2.0), Err(OutOfRange::Lat));
        assert_eq!(LatLon::reportable_e7(-850_511_288, 0), Err(OutOfRange::Lat));
        assert_eq!(LatLon::reportable_e7(850_511_287, 0), LatLon::reportable(85.051_128_7, 0.0));
        assert_eq!(LatLon::reportable_e7(0, 1_800_000_001), Err(OutOfRange::Lon));
        assert_eq!(LatLon::from_e7(900_000_001, 0), Err(OutOfRange::Lat));
        assert_eq!(LatLon::from_e7(0, i32::MIN), Err(OutOfRange::Lon));
    }

    #[test]
    fn fixed_point_gives_back_short_decimals() {
        let p = LatLon::new(48.8601, -2.3501).unwrap();
        assert_eq!((p.lat(), p.lon()), (48.8601, -2.3501));
    }

    #[test]
    fn trusted_device_times_undo_reordering() {
        let shown = order(100_000, Some(99_500));
        assert!(!order(100_400, Some(99_000)).supersedes(shown), "sent earlier, received later");
        assert!(order(100_400, Some(100_000)).supersedes(shown));
    }

    #[test]
    fn otherwise_the_later_receipt_wins() {
        let shown = order(100_000, Some(99_500));
        assert!(order(100_400, None).supersedes(shown));
        assert!(order(100_400, Some(0)).supersedes(shown), "a clock far off orders nothing");
        assert!(!order(99_000, None).supersedes(shown));
        assert!(order(100_000, Some(99_500)).supersedes(shown), "a tie goes to the newcomer");
        assert!(
            order(120_000, Some(110_000)).supersedes(order(109_000, Some(119_001))),
            "its own clock was off"
        );
    }

    #[test]
    fn the_hash_never_changes() {
        // Partitions of existing logs depend on it.
        let key = SourceKey { taxi: TaxiKey(1), operator: OperatorKey(2) };
        assert_eq!(key.stable_hash(), 12_929_899_232_056_340_514);
    }
}
