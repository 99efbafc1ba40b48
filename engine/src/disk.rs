//! A disk of the ellipsoid as an ellipse of the map, which tells in a nanosecond who cannot be in the disk.
//!
//! **Claim.** Whatever lies within the radius of the centre (in straight chords, [`crate::distance`]) is held by
//! [`Disk::may_hold`], and lies within its half width of the centre's meridian.
//!
//! **Proof.** Let a point be apart from the centre by `f` in latitude and `l` in longitude, at most pi in absolute
//! value, and let its chord be at most `r`. Along the meridian the ellipsoid turns by `f` with a radius of curvature of
//! at least `M` (`MERIDIAN_MIN_M`), so the chord's part in that plane is at least `2 M sin(f / 2)`, and with it `f`
//! is at most `d = r / M` but for `d^2 / 24`, less than a part in 10^7. Distances from the axis are at least `a
//! cos(latitude)`, for both points at least `P = a cos(|latitude of the centre| + d)`, so the chord's square is at
//! least `(2 M sin(f / 2))^2 + (2 P sin(l / 2))^2`. Where `r <= P / 20`, `sin(l / 2) <= 1 / 40`, hence `l^2 (1 - l^2 /
//! 12) <= 4 sin^2(l / 2)` loses at most 3 parts in 10^4. Together `f^2 + (P / M)^2 l^2` is at most `d^2` but for these,
//! which `SLACK` makes up for; two units more are for what rounding to single precision does to the smallest disks.
//! Nearer to a pole than `20 r`, any longitude may be in the disk.
//!
//! Where the ellipse reaches over the antimeridian, `may_hold` goes by latitude alone.

use std::f64::consts::{FRAC_PI_2, PI};

use ingest::position::LatLon;

use crate::distance::EQUATORIAL_RADIUS_M;

/// The least radius of curvature of a meridian in metres: at the equator.
const MERIDIAN_MIN_M: f64 = 6_335_439.0;

/// How much larger the ellipse is than the bounds above, so that what they neglect is in it.
const SLACK: f64 = 1.000_2;

/// Units of a [`LatLon`] in a radian.
const E7: f64 = 1e7 * 180.0 / PI;

/// Half of a parallel, in units of a [`LatLon`].
pub(crate) const HALF_TURN_E7: i32 = 1_800_000_000;

/// Who may be near.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    lat: i32,
    lon: i32,
    /// How far it reaches to the north and south, in units of a [`LatLon`].
    reach: f64,
    /// What a unit of longitude counts beside one of latitude; zero near a pole.
    scale: f64,
    /// The same for [`Disk::may_hold`]; zero also at the antimeridian.
    filter_scale: f32,
    reach_2: f32,
}

impl Disk {
    /// The disk of `radius_m` metres around a point.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounded to single precision, which the slack allows for"
    )]
    pub fn around(centre: LatLon, radius_m: f64) -> Self {
        let radians = radius_m / MERIDIAN_MIN_M;
        let outermost = centre.lat().to_radians().abs() + radians;
        let from_axis_m = if outermost < FRAC_PI_2 { EQUATORIAL_RADIUS_M * outermost.cos() } else { 0.0 };
        let scale = if 20.0 * radius_m <= from_axis_m { from_axis_m / MERIDIAN_MIN_M } else { 0.0 };
        let reach = radians * E7 * SLACK + 2.0;
        let wraps = f64::from(centre.lon_e7()).abs() + reach / scale > f64::from(HALF_TURN_E7);
        Self {
            lat: centre.lat_e7(),
            lon: centre.lon_e7(),
            reach,
            scale,
            filter_scale: if wraps { 0.0 } else { scale as f32 },
            reach_2: (reach * reach) as f32,
        }
    }

    /// Which of these points, latitudes and longitudes in units of a [`LatLon`], may be in the disk, as the bits of a
    /// number, the first one's lowest: zero only where it is not. Takes any numbers, at most 32 points.
    #[expect(clippy::cast_precision_loss, reason = "a part in 10^7, which the slack allows for")]
    #[inline]
    pub fn may_hold<const N: usize>(&self, points: [(i32, i32); N]) -> u32 {
        // Differences of longitude beyond 2^31 come out wrong, but never small.
        let squares = points.map(|(lat, lon)| {
            let lat = lat.wrapping_sub(self.lat) as f32;
            let lon = lon.wrapping_sub(self.lon) as f32 * self.filter_scale;
            lat * lat + lon * lon
        });
        let within = squares.map(|square| square <= self.reach_2);
        (0..).zip(within).fold(0, |bits, (bit, within)| bits | u32::from(within) << bit)
    }

    /// The centre, in units of a [`LatLon`].
    pub(crate) fn centre_e7(&self) -> (f64, f64) {
        (f64::from(self.lat), f64::from(self.lon))
    }

    /// How far it reaches to the north and south, in units of a [`LatLon`].
    pub(crate) fn reach_e7(&self) -> f64 {
        self.reach
    }

    /// How far it reaches to the east and west on parallels that are no nearer to its centre than `lat_off`, in units
    /// of a [`LatLon`]; near a pole infinite. None if it does not reach them.
    pub(crate) fn half_width_e7(&self, lat_off: f64) -> Option<f64> {
        let rest = self.reach * self.reach - lat_off * lat_off;
        (rest >= 0.0).then(|| if self.scale > 0.0 { rest.sqrt() / self.scale } else { f64::INFINITY })
    }
}
