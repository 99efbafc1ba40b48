//! Metres between two points: the straight chord through the WGS 84 ellipsoid.
//!
//! Over a kilometre the chord differs from the geodesic by about a part in 10^9 (an arc of length d on a
//! circle of radius R is longer than its chord by d^3 / 24 R^2), over five by 3 in 10^8; it needs no special
//! case at the poles or the antimeridian. Longitude and latitude become earth-centred coordinates by the
//! usual closed form (EPSG Guidance Note 7-2, section 4.1.1).

use ingest::position::LatLon;

/// The ellipsoid's equatorial radius in metres (WGS 84, NGA.STND.0036).
const EQUATORIAL_RADIUS_M: f64 = 6_378_137.0;
/// Its flattening.
const FLATTENING: f64 = 1.0 / 298.257_223_563;
/// The square of its eccentricity.
const ECCENTRICITY_2: f64 = FLATTENING * (2.0 - FLATTENING);

/// A point in earth-centred, earth-fixed metres, to measure from and to. Made once for a customer, in about
/// 50 ns.
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

/// Metres between two points.
pub fn distance_m(a: LatLon, b: LatLon) -> f64 {
    Point::from(a).distance_m(Point::from(b))
}
