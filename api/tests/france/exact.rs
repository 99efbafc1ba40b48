//! Where a point lies, by the slowest means there is: every edge of every town, in whole numbers.
//!
//! The open data has five decimals and positions have seven, so that both are whole in units of 1e-7 degrees and
//! nothing is rounded anywhere.

use engine::geo::{LineString, MultiPolygon};
use engine::territory::Town;

/// Degrees in whole units of 1e-7: longitude, latitude.
pub(crate) type Point = (i64, i64);

/// A town in whole numbers.
pub(crate) struct ExactTown {
    pub(crate) insee: String,
    /// Rings by polygon: the outer one first.
    polygons: Vec<Vec<Vec<Point>>>,
    west: i64,
    south: i64,
    east: i64,
    north: i64,
}

impl ExactTown {
    pub(crate) fn new(town: &Town) -> Self {
        let polygons = rings(&town.shape);
        let all = || polygons.iter().flatten().flatten();
        let (west, east) = (all().map(|p| p.0).min().unwrap(), all().map(|p| p.0).max().unwrap());
        let (south, north) = (all().map(|p| p.1).min().unwrap(), all().map(|p| p.1).max().unwrap());
        Self { insee: town.insee.to_string(), polygons, west, south, east, north }
    }

    /// Whether the town holds a point, borders included.
    pub(crate) fn holds(&self, point: Point) -> bool {
        let near = (self.west..=self.east).contains(&point.0) && (self.south..=self.north).contains(&point.1);
        near && self.polygons.iter().any(|rings| polygon_holds(rings, point))
    }

    /// Every edge, as its two ends.
    pub(crate) fn edges(&self) -> impl Iterator<Item = (Point, Point)> {
        self.polygons.iter().flatten().flat_map(|ring| ring.windows(2).map(|ends| (ends[0], ends[1])))
    }

    /// Every ring that cuts a hole.
    pub(crate) fn holes(&self) -> impl Iterator<Item = &Vec<Point>> {
        self.polygons.iter().flat_map(|rings| &rings[1..])
    }
}

fn rings(shape: &MultiPolygon<f64>) -> Vec<Vec<Vec<Point>>> {
    let ring = |ring: &LineString<f64>| ring.coords().map(|c| (whole(c.x), whole(c.y))).collect();
    let polygon = |polygon: &engine::geo::Polygon<f64>| {
        std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(ring).collect()
    };
    shape.iter().map(polygon).collect()
}

/// Degrees as they were written, in whole units.
#[expect(clippy::cast_possible_truncation, reason = "180 degrees are 1.8e9")]
fn whole(degrees: f64) -> i64 {
    (degrees * 1e7).round() as i64
}

/// Even-odd over all rings; a point on any edge is inside.
fn polygon_holds(rings: &[Vec<Point>], (x, y): Point) -> bool {
    let mut inside = false;
    for ends in rings.iter().flat_map(|ring| ring.windows(2)) {
        let ((ax, ay), (bx, by)) = (ends[0], ends[1]);
        let turn = i128::from(bx - ax) * i128::from(y - ay) - i128::from(by - ay) * i128::from(x - ax);
        let between = |a: i64, b: i64, c: i64| (a.min(b)..=a.max(b)).contains(&c);
        if turn == 0 && between(ax, bx, x) && between(ay, by, y) {
            return true;
        }
        // A ray to the east meets an edge that goes up from below it to it, or down.
        let (up, down) = (ay <= y && by > y && turn > 0, by <= y && ay > y && turn < 0);
        inside ^= up || down;
    }
    inside
}
