//! H3 cells: which are a town's land, and in which points lie.

use std::collections::{BTreeMap, BTreeSet};

use engine::territory::{Territory, Town};
use geo::{BoundingRect as _, InteriorPoint as _, Polygon, Rect};
use h3o::{CellIndex, LatLng};
use ingest::position::LatLon;

pub use crate::functions::cell_at;
use crate::limits::FEWEST_SHOWN;
use crate::places::RESOLUTION;

/// The steps in which land is looked at, in degrees of latitude: 450 m. The smallest cell of the archive's resolution
/// has a circle of 720 m across in it, so that no cell lies between four points.
const STEP_DEGREES: f64 = 0.004;

/// The cells whose middle lies in a town; where none does, the one of a point in it. O(area).
pub fn of(territory: &Territory, town: &Town) -> BTreeSet<u64> {
    let is_middle_here = |cell: &u64| {
        let middle = CellIndex::try_from(*cell).ok().and_then(middle);
        middle.and_then(|at| territory.town_at(at)).is_some_and(|here| here.insee == town.insee)
    };
    let boxes = town.shape.iter().filter_map(Polygon::bounding_rect);
    let candidates: BTreeSet<u64> = boxes.flat_map(points).filter_map(|at| cell_at(at, RESOLUTION)).collect();
    let cells: BTreeSet<u64> = candidates.into_iter().filter(is_middle_here).collect();
    if !cells.is_empty() {
        return cells;
    }
    let inside = town.shape.interior_point().and_then(|point| LatLon::new(point.y(), point.x()).ok());
    inside.and_then(|at| cell_at(at, RESOLUTION)).into_iter().collect()
}

/// The middle of a cell.
pub(crate) fn middle(cell: CellIndex) -> Option<LatLon> {
    let at = LatLng::from(cell);
    LatLon::new(at.lat(), at.lng()).ok()
}

/// The corners of a cell by its name, longitude and latitude in degrees, the first once more at the end; none of what
/// is no cell.
pub fn corners(name: &str) -> Vec<[f64; 2]> {
    let boundary = name.parse::<CellIndex>().map(CellIndex::boundary);
    let corners = boundary.iter().flat_map(|corners| corners.iter().chain(corners.first()));
    corners.map(|corner| [corner.lng(), corner.lat()]).collect()
}

/// How many of some points lie in each cell of the archive's resolution, by its name, of those cells in which there are
/// at least [`FEWEST_SHOWN`]. O(points).
pub fn counted(points: impl IntoIterator<Item = LatLon>) -> Vec<(String, u64)> {
    let mut counts = BTreeMap::<u64, u64>::new();
    for cell in points.into_iter().filter_map(|at| cell_at(at, RESOLUTION)) {
        *counts.entry(cell).or_default() += 1;
    }
    let shown = counts.into_iter().filter(|(_, count)| *count >= u64::from(FEWEST_SHOWN));
    shown.filter_map(|(cell, count)| Some((CellIndex::try_from(cell).ok()?.to_string(), count))).collect()
}

/// Points over a box and a little beyond it, no more than a step apart.
fn points(area: Rect<f64>) -> impl Iterator<Item = LatLon> {
    let (from, to) = (area.min(), area.max());
    let widest = from.y.abs().max(to.y.abs()).min(85.0).to_radians().cos();
    let (rows, columns) = (steps(to.y - from.y, STEP_DEGREES), steps(to.x - from.x, STEP_DEGREES / widest));
    (0..=rows).flat_map(move |row| {
        (0..=columns).filter_map(move |column| {
            let lat = from.y + STEP_DEGREES * (f64::from(row) - 0.5);
            let lon = from.x + STEP_DEGREES / widest * (f64::from(column) - 0.5);
            LatLon::new(lat, lon).ok()
        })
    })
}

/// How many steps reach over a side, and one more.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a side is a few degrees, a step is not 0"
)]
fn steps(side: f64, step: f64) -> u32 {
    (side / step).ceil() as u32 + 1
}

#[cfg(test)]
mod tests {
    use geo::{LineString, MultiPolygon};

    use super::*;

    fn town(insee: &str, west: f64, south: f64, side: f64) -> Town {
        let (east, north) = (west + side, south + side);
        let corners = vec![(west, south), (east, south), (east, north), (west, north), (west, south)];
        let shape = MultiPolygon(vec![Polygon::new(LineString::from(corners), vec![])]);
        Town { insee: insee.parse().unwrap(), name: insee.to_owned(), shape }
    }

    #[test]
    fn cells_of_neighbours_are_theirs_alone_and_cover_both() {
        let towns = vec![town("00001", 4.7, 45.7, 0.1), town("00002", 4.8, 45.7, 0.1)];
        let territory = Territory::new(towns, Vec::new(), Vec::new());
        let [a, b] = [0, 1].map(|rank| of(&territory, &territory.towns()[rank]));
        assert!(a.is_disjoint(&b));
        // A tenth of a degree is 11.1 km by 7.8 km there.
        for cells in [&a, &b] {
            let km2: f64 = cells.iter().map(|cell| CellIndex::try_from(*cell).unwrap().area_km2()).sum();
            assert!((km2 / (11.12 * 7.77) - 1.0).abs() < 0.05, "{km2}");
        }
    }

    #[test]
    fn a_cell_has_six_corners_around_its_middle() {
        let at = LatLon::new(45.75, 4.85).unwrap();
        let (name, _) = counted(vec![at; 5]).pop().unwrap();
        let corners = corners(&name);
        assert!(corners.len() == 7 && corners.first() == corners.last(), "{corners:?}");
        assert!(corners.iter().all(|[lon, lat]| (lon - 4.85).abs() < 0.02 && (lat - 45.75).abs() < 0.02));
        assert!(super::corners("nowhere").is_empty());
    }

    #[test]
    fn points_are_counted_by_cell_where_there_are_enough() {
        let at = |lat, lon| LatLon::new(lat, lon).unwrap();
        let few = vec![at(48.8566, 2.3522); FEWEST_SHOWN as usize - 1];
        assert_eq!(counted(few.clone()), []);
        let many = few.into_iter().chain([at(48.8567, 2.3521), at(45.76, 4.83)]);
        assert_eq!(counted(many), [("881fb46625fffff".to_owned(), u64::from(FEWEST_SHOWN))]);
    }

    #[test]
    fn a_town_smaller_than_a_cell_has_one() {
        let territory = Territory::new(vec![town("00001", 4.7, 45.7, 0.0005)], Vec::new(), Vec::new());
        assert_eq!(of(&territory, &territory.towns()[0]).len(), 1);
    }
}
