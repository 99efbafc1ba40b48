//! The grid on which the contract shows taxis to search apps.
//!
//! The registry in service keeps positions in Redis, whose geohashes have 26 bits a coordinate: apps see the centre
//! of a cell of about 0.6 m by 0.6 m, and distances on a sphere of 6,372,797.560856 m from there
//! (redis, `geohash.c` and `geohash_helper.c`). What is shown follows; what is decided (who is near enough) uses the
//! exact position and the ellipsoid.

use ingest::position::{LatLon, MAX_REPORTABLE_LAT};

const STEPS: f64 = (1_u32 << 26) as f64;
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;

/// A point of the grid, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridPoint {
    /// Latitude.
    pub lat: f64,
    /// Longitude.
    pub lon: f64,
}

impl GridPoint {
    /// The centre of the cell around `at`.
    pub fn around(at: LatLon) -> Self {
        Self { lat: centre(at.lat(), MAX_REPORTABLE_LAT), lon: centre(at.lon(), 180.0) }
    }

    /// Great-circle metres from `customer`, to a tenth of a millimetre.
    pub fn distance_m(self, customer: LatLon) -> f64 {
        let (lat1, lat2) = (customer.lat().to_radians(), self.lat.to_radians());
        let u = ((lat2 - lat1) / 2.0).sin();
        let v = ((self.lon.to_radians() - customer.lon().to_radians()) / 2.0).sin();
        let metres = 2.0 * EARTH_RADIUS_M * (u * u + lat1.cos() * lat2.cos() * v * v).sqrt().asin();
        (metres * 1e4).round() / 1e4
    }
}

/// The middle of the step of -limit..limit that holds `degrees`.
fn centre(degrees: f64, limit: f64) -> f64 {
    let step = ((degrees + limit) / (2.0 * limit) * STEPS).floor().clamp(0.0, STEPS - 1.0);
    let edge = |step: f64| -limit + step / STEPS * (2.0 * limit);
    f64::midpoint(edge(step), edge(step + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_distances_are_those_that_apps_have_always_seen() {
        let customer = LatLon::new(48.86, 2.35).unwrap();
        let near = GridPoint::around(LatLon::new(48.86, 2.351).unwrap());
        assert!((near.lat - 48.860_001_126_145_136).abs() < 1e-12);
        assert!((near.lon - 2.351_001_799_106_598).abs() < 1e-12);
        assert!((near.distance_m(customer) - 73.3077).abs() < 1e-9);
    }

    #[test]
    fn the_corners_of_the_world_are_on_the_grid() {
        for (lat, lon) in [(MAX_REPORTABLE_LAT, 180.0), (-MAX_REPORTABLE_LAT, -180.0)] {
            let point = GridPoint::around(LatLon::reportable(lat, lon).unwrap());
            assert!((point.lat - lat).abs() < 1e-5 && (point.lon - lon).abs() < 1e-5);
        }
    }
}
