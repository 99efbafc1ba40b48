//! How a taxi moves and how well that is known, as far as its device says so.

use std::num::NonZeroU16;

use thiserror::Error;

/// The greatest speed that is believed, in m/s: 540 km/h.
pub const MAX_SPEED_M_S: f64 = 150.0;

/// The greatest radius around a position within which the device believes itself, in metres. One that knows no better
/// does not know where it is.
pub const MAX_ACCURACY_M: f64 = 5_000.0;

/// What a device may say of its motion besides where it is; nothing by default. 6 bytes.
///
/// ```
/// use ingest::position::{Heading, Motion, Speed};
/// let north_east = Motion { heading: Some(Heading::from_degrees(45.0).unwrap()), ..Motion::default() };
/// assert_eq!(north_east.heading.map(Heading::centidegrees), Some(4_500));
/// assert!(Speed::from_m_s(-1.0).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Motion {
    /// How fast it moves over ground.
    pub speed: Option<Speed>,
    /// Whither it moves.
    pub heading: Option<Heading>,
    /// How well it knows where it is.
    pub accuracy: Option<Accuracy>,
}

/// A speed over ground: whole cm/s, 0 to [`MAX_SPEED_M_S`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Speed(OneMore);

/// A direction of motion, clockwise from true north: hundredths of a degree, 0 to below 360.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading(OneMore);

/// The radius in which a device believes itself around its position: whole dm, 0 to [`MAX_ACCURACY_M`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accuracy(OneMore);

/// What is said of a motion lies outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoMotion {
    /// The speed is negative, beyond [`MAX_SPEED_M_S`] or no number.
    #[error("speed out of range")]
    Speed,
    /// The heading is not within 0 and 360 degrees.
    #[error("heading out of range")]
    Heading,
    /// The accuracy is negative, beyond [`MAX_ACCURACY_M`] or no number.
    #[error("accuracy out of range")]
    Accuracy,
}

impl Speed {
    /// A speed in metres per second, rounded to 1 cm/s.
    pub fn from_m_s(speed: f64) -> Result<Self, NoMotion> {
        fixed(speed, 100.0, MAX_SPEED_M_S).map(Self).ok_or(NoMotion::Speed)
    }

    /// A speed from the fixed point in which it was stored or sent.
    pub fn from_cm_s(speed: u16) -> Result<Self, NoMotion> {
        OneMore::up_to(speed, MAX_SPEED_CM_S).map(Self).ok_or(NoMotion::Speed)
    }

    /// In cm/s.
    pub fn cm_s(self) -> u16 {
        self.0.get()
    }

    /// In metres per second.
    pub fn m_s(self) -> f64 {
        f64::from(self.cm_s()) / 100.0
    }
}

impl Heading {
    /// A heading in degrees, 0 to 360, rounded to 0.01; 360 is north, which is 0.
    pub fn from_degrees(heading: f64) -> Result<Self, NoMotion> {
        let heading = fixed(heading, 100.0, 360.0).ok_or(NoMotion::Heading)?;
        Self::from_centidegrees(heading.get() % FULL_CIRCLE)
    }

    /// A heading from the fixed point in which it was stored or sent: below 36,000.
    pub fn from_centidegrees(heading: u16) -> Result<Self, NoMotion> {
        OneMore::up_to(heading, FULL_CIRCLE - 1).map(Self).ok_or(NoMotion::Heading)
    }

    /// In hundredths of a degree.
    pub fn centidegrees(self) -> u16 {
        self.0.get()
    }

    /// In degrees.
    pub fn degrees(self) -> f64 {
        f64::from(self.centidegrees()) / 100.0
    }
}

impl Accuracy {
    /// A radius in metres, rounded to 0.1.
    pub fn from_m(radius: f64) -> Result<Self, NoMotion> {
        fixed(radius, 10.0, MAX_ACCURACY_M).map(Self).ok_or(NoMotion::Accuracy)
    }

    /// A radius from the fixed point in which it was stored or sent.
    pub fn from_dm(radius: u16) -> Result<Self, NoMotion> {
        OneMore::up_to(radius, MAX_ACCURACY_DM).map(Self).ok_or(NoMotion::Accuracy)
    }

    /// In dm.
    pub fn dm(self) -> u16 {
        self.0.get()
    }

    /// In metres.
    pub fn m(self) -> f64 {
        f64::from(self.dm()) / 10.0
    }
}

const MAX_SPEED_CM_S: u16 = 15_000;
const FULL_CIRCLE: u16 = 36_000;
const MAX_ACCURACY_DM: u16 = 50_000;

/// A number below 65,535 that is kept one greater, so that a missing one takes no room of its own: a position is 48
/// bytes with its motion as without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OneMore(NonZeroU16);

impl OneMore {
    fn up_to(number: u16, most: u16) -> Option<Self> {
        let one_more = number.checked_add(1).and_then(NonZeroU16::new);
        one_more.filter(|_| number <= most).map(Self)
    }

    fn get(self) -> u16 {
        self.0.get() - 1
    }
}

/// A value of 0 to `most` in fixed point of `scale` to a unit. None outside, and for NaN.
fn fixed(value: f64, scale: f64, most: f64) -> Option<OneMore> {
    if !(0.0..=most).contains(&value) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 50,000, which a u16 holds"
    )]
    let fixed = (value * scale).round() as u16;
    OneMore::up_to(fixed, u16::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Position;

    #[test]
    fn ranges_are_checked_once_and_exactly() {
        assert_eq!(Speed::from_m_s(13.888).map(Speed::cm_s), Ok(1_389));
        assert_eq!(Speed::from_m_s(MAX_SPEED_M_S).map(Speed::cm_s), Ok(MAX_SPEED_CM_S));
        assert_eq!(Accuracy::from_m(MAX_ACCURACY_M).map(Accuracy::dm), Ok(MAX_ACCURACY_DM));
        for wrong in [-0.01, 150.01, f64::NAN, f64::INFINITY] {
            assert_eq!(Speed::from_m_s(wrong), Err(NoMotion::Speed));
        }
        for wrong in [-0.01, 360.01, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(Heading::from_degrees(wrong), Err(NoMotion::Heading));
        }
        for wrong in [-0.1, 5_000.1, f64::NAN] {
            assert_eq!(Accuracy::from_m(wrong), Err(NoMotion::Accuracy));
        }
        assert_eq!(Speed::from_cm_s(15_001), Err(NoMotion::Speed));
        assert_eq!(Heading::from_centidegrees(36_000), Err(NoMotion::Heading));
        assert_eq!(Accuracy::from_dm(u16::MAX), Err(NoMotion::Accuracy));
    }

    #[test]
    fn a_full_circle_is_north() {
        for north in [0.0, 360.0, 359.996, -0.0] {
            assert_eq!(Heading::from_degrees(north).map(Heading::centidegrees), Ok(0), "{north}");
        }
        assert_eq!(Heading::from_degrees(359.99).map(Heading::degrees), Ok(359.99));
    }

    #[test]
    fn fixed_point_gives_back_short_decimals() {
        assert_eq!(Speed::from_m_s(12.34).map(Speed::m_s), Ok(12.34));
        assert_eq!(Accuracy::from_m(4.7).map(Accuracy::m), Ok(4.7));
        assert_eq!(Accuracy::from_dm(0).map(Accuracy::m), Ok(0.0));
    }

    #[test]
    fn what_is_not_said_takes_no_room() {
        assert_eq!(size_of::<Motion>(), 6);
        assert_eq!(size_of::<Position>(), 48, "queues are bounded in positions, and named in megabytes");
    }
}
