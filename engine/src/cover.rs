//! A disk as cells: from a point and a radius to H3 cells that provably cover it.
//!
//! **Claim.** [`cells`] returns every cell that has a point within `radius_m` of the centre, wherever on
//! Earth.
//!
//! **Proof.** Distances are straight chords ([`crate::distance`]), so the triangle inequality holds. Let D be
//! the disk (the points of the ellipsoid within the radius) and call a cell *touched* when it has a point in
//! D, and *near* when its centre lies within `radius_m + CIRCUMRADIUS_M` of the centre of D.
//!
//! 1. Every touched cell is near: from the centre of D to a point of D in the cell it is at most `radius_m`,
//!    and from there to the cell's centre at most [`CIRCUMRADIUS_M`].
//! 2. D is connected (a ball far smaller than the Earth cuts a disk out of the ellipsoid), and the touched
//!    cells, with their borders, are finitely many closed sets that cover it. Were they in two groups of
//!    which none of one meets one of the other within D, D would be the union of two disjoint closed sets,
//!    neither empty: it is not. Cells that meet at all share an edge, as at each corner of the grid only
//!    three cells meet, pairwise along edges, around pentagons too. So the touched cells are connected by
//!    steps from neighbour to neighbour.
//! 3. The search below starts at the cell of the centre of D, which is touched, and goes on from each near
//!    cell to all of its neighbours that are near. By 2 and 1 it comes to every touched cell.
//!
//! The rest of the claim is the bound itself, which `tests/geometry.rs` measures all over the grid.

use h3o::{CellIndex, LatLng, Resolution};
use ingest::position::LatLon;

use crate::distance::Point;

/// The resolution of the index: cells of 0.4 to 1 km2, of which 7 cover 500 m.
pub const RESOLUTION: Resolution = Resolution::Eight;

/// No point of a cell lies further than this from the cell's centre, in metres. The largest corner found is
/// at 588 m.
pub const CIRCUMRADIUS_M: f64 = 620.0;

/// The cell that holds a point.
pub fn cell_at(at: LatLon) -> CellIndex {
    // Only coordinates that are not finite are refused, and a LatLon has none.
    LatLng::new(at.lat(), at.lon()).unwrap_or_default().to_cell(RESOLUTION)
}

/// The cells that cover the disk of `radius_m` metres around a point, and few others, the point's own first.
///
/// O(cells): about a microsecond for each returned, its outer neighbours included.
pub fn cells(centre: LatLon, radius_m: f64) -> Vec<CellIndex> {
    let (from, reach_m) = (Point::from(centre), radius_m + CIRCUMRADIUS_M);
    let first = cell_at(centre);
    let mut near = vec![first];
    // Cells once measured, near or not. A few dozen: a sorted or hashed set would cost more than it saves.
    let mut known = vec![first];
    let mut next = 0;
    while let Some(&cell) = near.get(next) {
        next += 1;
        for neighbour in cell.grid_disk_safe(1) {
            if known.contains(&neighbour) {
                continue;
            }
            known.push(neighbour);
            if centre_of(neighbour).distance_m(from) <= reach_m {
                near.push(neighbour);
            }
        }
    }
    near
}

/// A cell's centre, to measure from.
pub fn centre_of(cell: CellIndex) -> Point {
    let centre = LatLng::from(cell);
    Point::from_radians(centre.lat_radians(), centre.lng_radians())
}
