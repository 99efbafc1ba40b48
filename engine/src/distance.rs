//! Metres between two points: the straight chord through the WGS 84 ellipsoid.
//!
//! Over a kilometre the chord differs from the geodesic by about a part in 10^9 (an arc of length d on a
//! circle of radius R is longer than its chord by d^3 / 24 R^2), over five by 3 in 10^8; it needs no special
//! case at the poles or the antimeridian. Longitude and latitude become earth-centred coordinates by the
//! usual closed form (EPSG Guidance Note 7-2, section 4.1.1).

use std::f64::consts::PI;

use ingest::position::LatLon;

/// The ellipsoid's equatorial radius in metres (WGS 84, NGA.STND.0036).
pub(crate) const EQUATORIAL_RADIUS_M: f64 = 6_378_137.0;
/// Its flattening.
const FLATTENING: f64 = 1.0 / 298.257_223_563;
/// The square of its eccentricity.
const ECCENTRICITY_2: f64 = FLATTENING * (2.0 - FLATTENING);

/// A point in earth-centred, earth-fixed metres, to measure between points however far apart. Made in about 50 ns.
///
/// ```
/// use engine::distance::Point;
/// use ingest::position::LatLon;
/// let [a, b] = [48.85, 48.86].map(|lat| Point::from(LatLon::new(lat, 2.35).unwrap()));
/// assert!((a.distance_m(b) - 1112.0).abs() < 0.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    x: f64,
    y: f64,
    z: f64,
}

impl Point {
    /// The point of the ellipsoid at a latitude and longitude in radians.
    pub fn from_radians(lat: f64, lon: f64) -> Self {
        let (sin_lat, cos_lat) = lat.sin_cos();
        let (sin_lon, cos_lon) = lon.sin_cos();
        let normal_m = EQUATORIAL_RADIUS_M / (1.0 - ECCENTRICITY_2 * sin_lat * sin_lat).sqrt();
        Self {
            x: normal_m * cos_lat * cos_lon,
            y: normal_m * cos_lat * sin_lon,
            z: normal_m * (1.0 - ECCENTRICITY_2) * sin_lat,
        }
    }

    /// Metres along the straight line to another point.
    #[inline]
    pub fn distance_m(self, other: Self) -> f64 {
        let (x, y, z) = (self.x - other.x, self.y - other.y, self.z - other.z);
        (x * x + y * y + z * z).sqrt()
    }
}

impl From<LatLon> for Point {
    fn from(at: LatLon) -> Self {
        Self::from_radians(at.lat().to_radians(), at.lon().to_radians())
    }
}

/// Where distances to many points nearby are measured from: made once in about 50 ns, each distance in about four.
///
/// With `f` and `l` for the differences in latitude and longitude, a point is `n` to the north of the origin and `u`
/// below its horizon, and lies at a distance `p` from the axis that follows from both, so that the square of the chord
/// is `n^2 + u^2 + 4 p0 p sin^2(l / 2)`. All are power series in `f` and `l` around the origin, of which the terms left
/// out come to less than 10^-7 m within `NEAR_LAT_E7` (6 km) and `NEAR_LON_E7`. Whatever is further is measured
/// between earth-centred coordinates.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    at: LatLon,
    sin: f64,
    cos: f64,
    from_axis_m: f64,
    /// `n` by powers of `f`: the first, the second, the third.
    north: [f64; 3],
}

/// How far apart in latitude the series hold, in units of a [`LatLon`].
const NEAR_LAT_E7: u32 = 572_000;
/// The same in longitude.
const NEAR_LON_E7: u32 = 28_000_000;
/// Radians in a unit of a [`LatLon`].
const RADIANS: f64 = PI / 180.0 / 1e7;

impl Origin {
    /// An origin at a point.
    pub fn new(at: LatLon) -> Self {
        let (sin, cos) = at.lat().to_radians().sin_cos();
        let w2 = 1.0 - ECCENTRICITY_2 * sin * sin;
        let normal_m = EQUATORIAL_RADIUS_M / w2.sqrt();
        // The meridian's radius of curvature, and its first two derivatives.
        let meridian_m = normal_m * (1.0 - ECCENTRICITY_2) / w2;
        let bend = 3.0 * ECCENTRICITY_2 * sin * cos / w2;
        let first = meridian_m * bend;
        let second = first * bend
            + meridian_m * (3.0 * ECCENTRICITY_2 * (cos * cos - sin * sin) / w2 + bend * bend * 2.0 / 3.0);
        let north = [meridian_m, first / 2.0, (second - meridian_m) / 6.0];
        Self { at, sin, cos, from_axis_m: normal_m * cos, north }
    }

    /// Metres along the straight line to a point.
    #[inline]
    pub fn distance_m(&self, to: LatLon) -> f64 {
        let lat = to.lat_e7() - self.at.lat_e7();
        let lon = to.lon_e7().wrapping_sub(self.at.lon_e7());
        if lat.unsigned_abs() > NEAR_LAT_E7 || lon.unsigned_abs() > NEAR_LON_E7 {
            return Point::from(self.at).distance_m(Point::from(to));
        }
        let (f, l) = (f64::from(lat) * RADIANS, f64::from(lon) * RADIANS);
        let [first, second, third] = self.north;
        let north = f * (first + f * (second + f * third));
        let below = f * f * (first / 2.0 + f * second * (2.0 / 3.0));
        let from_axis_m = self.from_axis_m - self.sin * north - self.cos * below;
        let l2 = l * l;
        let sin_2 = l2 * (1.0 - l2 * (1.0 / 12.0 - l2 / 360.0));
        (north * north + below * below + self.from_axis_m * from_axis_m * sin_2).sqrt()
    }
}

/// Metres between two points, from the first.
pub fn distance_m(a: LatLon, b: LatLon) -> f64 {
    Origin::new(a).distance_m(b)
}
