//! The heart of a cell: the circle in it, to tell without H3 (500 ns) that who was in the cell has not left it.
//!
//! **Claim.** What [`Heart::holds`] is in the cell.
//!
//! **Proof.** H3 takes latitude and longitude for those of a sphere. A cell of an even resolution is bounded by arcs
//! of great circles between its corners: it is a hexagon in the gnomonic projection of a face of the icosahedron, and
//! where it lies on two faces, corners lie on their border. So whatever is nearer to the centre than each of these
//! great circles is in the cell; the smallest of these distances is `r`, a thousandth less than which is used.
//!
//! With the centre at latitude `p` and a point apart from it by `dp` and `dl`, the angle `d` between them has
//! `sin^2(d/2) = sin^2(dp/2) + cos p cos(p + dp) sin^2(dl/2)`, which is at most
//! `(dp^2 + cos p (cos p + |dp|) dl^2) / 4`. Where `dp^2 + cos p (cos p + r) dl^2 <= r^2`, `|dp| <= r`, hence
//! `sin(d/2) <= r / 2` and `d <= r (1 + r^2)`, which the thousandth makes up for. At the antimeridian `dl` is the long
//! way round: there the heart holds less, never too much.

use std::f64::consts::PI;

use h3o::{CellIndex, LatLng};
use ingest::position::LatLon;

/// Units of a [`LatLon`] in a radian.
const E7: f64 = 1e7 * 180.0 / PI;

/// A circle in a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heart {
    /// The centre, in units of a [`LatLon`].
    lat: f64,
    lon: f64,
    /// The square of its radius, likewise.
    radius_2: f64,
    /// What a square of longitudes counts beside one of latitudes.
    lon_2: f64,
}

impl Heart {
    /// The heart of a cell of an even resolution. About a microsecond.
    pub fn of(cell: CellIndex) -> Self {
        let centre = LatLng::from(cell);
        let corners: Vec<_> = cell.boundary().iter().map(|corner| on_sphere(*corner)).collect();
        let middle = on_sphere(centre);
        let sines = corners.iter().zip(corners.iter().cycle().skip(1)).map(|(a, b)| {
            let normal = cross(*a, *b);
            dot(normal, middle).abs() / dot(normal, normal).sqrt()
        });
        let radius = 0.999 * sines.fold(1.0, f64::min).asin();
        let cos = centre.lat_radians().cos();
        Self {
            lat: centre.lat_radians() * E7,
            lon: centre.lng_radians() * E7,
            radius_2: (radius * E7).powi(2),
            lon_2: cos * (cos + radius),
        }
    }

    /// Whether a point lies in it, and so in the cell. Two nanoseconds.
    pub fn holds(&self, at: LatLon) -> bool {
        let (lat, lon) = (f64::from(at.lat_e7()) - self.lat, f64::from(at.lon_e7()) - self.lon);
        lat * lat + self.lon_2 * lon * lon <= self.radius_2
    }
}

fn on_sphere(at: LatLng) -> [f64; 3] {
    let (lat, lon) = (at.lat_radians(), at.lng_radians());
    [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
