//! Where a point lies, in town and cell, asked for each of many points that lie close together.
//!
//! To find a town takes about a microsecond and an H3 cell half of one, which is what archiving a position may take in
//! all. So the world is cut into squares of about 50 m, and of each that a point fell into it is remembered in which
//! town and cell it lies, where it lies in one with all of its points. Nothing is approximated: what is not the same in
//! the whole of a square is asked anew for each point.

use std::collections::HashMap;
use std::sync::Arc;

use engine::territory::{Insee, Territory};
use foldhash::fast::RandomState;
use h3o::{LatLng, Resolution};
use ingest::position::LatLon;

use crate::limits::SQUARES_REMEMBERED;

/// The resolution of the archive's cells: hexagons of about 0.74 km2.
pub const RESOLUTION: Resolution = Resolution::Eight;

/// Where a point lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The town; None: in none.
    pub town: Option<Insee>,
    /// The H3 cell; of the log's points each has one.
    pub cell: Option<u64>,
}

/// Finds places, and remembers. Memory: [`SQUARES_REMEMBERED`] squares, of about 50 bytes.
pub struct Places {
    territory: Arc<Territory>,
    squares: HashMap<(i32, i32), Square, RandomState>,
}

/// What is the same for all points of a square; None where it is not.
#[derive(Clone, Copy)]
struct Square {
    town: Option<Option<Insee>>,
    cell: Option<u64>,
}

impl Places {
    /// Places of a territory.
    pub fn new(territory: Arc<Territory>) -> Self {
        Self { territory, squares: HashMap::default() }
    }

    /// Goes over to a territory, if it is another one.
    pub fn move_to(&mut self, territory: &Arc<Territory>) {
        if !Arc::ptr_eq(&self.territory, territory) {
            *self = Self::new(Arc::clone(territory));
        }
    }

    /// Where a point lies.
    pub fn at(&mut self, at: LatLon) -> Place {
        let key = (at.lat_e7().div_euclid(SIDE_E7), at.lon_e7().div_euclid(SIDE_E7));
        let square = match self.squares.get(&key) {
            Some(square) => *square,
            None => self.remember(key),
        };
        Place {
            town: square.town.unwrap_or_else(|| self.territory.town_at(at).map(|town| town.insee)),
            cell: square.cell.or_else(|| cell_at(at)),
        }
    }

    fn remember(&mut self, key: (i32, i32)) -> Square {
        let square = self.look(key).unwrap_or(Square { town: None, cell: None });
        if self.squares.len() >= SQUARES_REMEMBERED {
            self.squares.clear();
        }
        self.squares.insert(key, square);
        square
    }

    /// None at the ends of the map.
    fn look(&self, (row, column): (i32, i32)) -> Option<Square> {
        let (south, west) = (row.checked_mul(SIDE_E7)?, column.checked_mul(SIDE_E7)?);
        let corner = |lat: i32, lon: i32| LatLon::from_e7(lat, lon).ok();
        // A parallel bends away from the shortest line between two corners, by a millimetre: with a margin of some
        // decimetres, a convex cell that holds the corners holds the square.
        let (low_lat, low_lon) = (south.checked_sub(MARGIN_E7)?, west.checked_sub(MARGIN_E7)?);
        let span = SIDE_E7 + 2 * MARGIN_E7;
        let (high_lat, high_lon) = (low_lat.checked_add(span)?, low_lon.checked_add(span)?);
        let (from, to) = (corner(low_lat, low_lon)?, corner(high_lat, high_lon)?);
        let cells = [from, corner(low_lat, high_lon)?, corner(high_lat, low_lon)?, to].map(cell_at);
        let cell = cells[0].filter(|_| cells.iter().all(|cell| *cell == cells[0]));
        let town = || self.territory.town_at(from).map(|town| town.insee);
        Some(Square { town: self.territory.is_in_one_town(from, to).then(town), cell })
    }
}

/// The cell of a point, asked of H3.
fn cell_at(at: LatLon) -> Option<u64> {
    let point = LatLng::new(at.lat(), at.lon()).ok()?;
    Some(point.to_cell(RESOLUTION).into())
}

/// The side of a square in units of a [`LatLon`]: 55 m from south to north.
const SIDE_E7: i32 = 5_000;
const MARGIN_E7: i32 = 100;

#[cfg(test)]
mod tests {
    use engine::geo::{LineString, MultiPolygon, Polygon};
    use engine::territory::Town;
    use proptest::prelude::*;

    use super::*;

    /// Two towns that share a slanted border, one of them around an enclave no larger than a square.
    fn territory() -> Arc<Territory> {
        let ring = |points: &[(f64, f64)]| LineString::from(points.to_vec());
        let enclave = ring(&[(2.3301, 48.8601), (2.3303, 48.8601), (2.3303, 48.8603), (2.3301, 48.8603)]);
        let town = |code: &str, shape: Polygon<f64>| Town {
            insee: code.parse().unwrap(),
            name: code.to_owned(),
            shape: MultiPolygon::new(vec![shape]),
        };
        let west = [(2.3, 48.84), (2.35, 48.84), (2.352, 48.88), (2.3, 48.88)];
        let east = [(2.35, 48.84), (2.4, 48.84), (2.4, 48.88), (2.352, 48.88)];
        Arc::new(Territory::new(
            vec![
                town("75101", Polygon::new(ring(&west), vec![enclave.clone()])),
                town("75102", Polygon::new(ring(&east), vec![])),
                town("75103", Polygon::new(enclave, vec![])),
            ],
            vec![],
            vec![],
        ))
    }

    fn asked(territory: &Territory, at: LatLon) -> Place {
        Place { town: territory.town_at(at).map(|town| town.insee), cell: cell_at(at) }
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_would_be_asked(
            points in prop::collection::vec((488_390_000..488_810_000_i32, 23_290_000..24_010_000_i32), 1..200)
        ) {
            let territory = territory();
            let mut places = Places::new(Arc::clone(&territory));
            for (lat, lon) in points {
                // Neighbours share squares, so that most of them are remembered.
                for step in [0, 700, 2_100, 4_900] {
                    let at = LatLon::from_e7(lat + step, lon - step).unwrap();
                    prop_assert_eq!(places.at(at), asked(&territory, at));
                }
            }
        }
    }

    #[test]
    fn an_enclave_within_a_square_is_seen() {
        let (territory, inside) = (territory(), LatLon::new(48.8602, 2.3302).unwrap());
        let mut places = Places::new(Arc::clone(&territory));
        assert_eq!(places.at(LatLon::new(48.8604, 2.3304).unwrap()).town, "75101".parse().ok());
        assert_eq!(places.at(inside).town, "75103".parse().ok());
    }

    #[test]
    fn the_ends_of_the_map_are_places_too() {
        let mut places = Places::new(territory());
        for (lat, lon) in [(90.0, 180.0), (-90.0, -180.0), (0.0, 180.0), (85.05, -180.0)] {
            let at = LatLon::new(lat, lon).unwrap();
            assert_eq!(places.at(at), Place { town: None, cell: cell_at(at) });
        }
    }

    #[test]
    fn another_territory_is_asked_anew() {
        let at = LatLon::new(48.86, 2.31).unwrap();
        let mut places = Places::new(territory());
        assert!(places.at(at).town.is_some());
        places.move_to(&Arc::new(Territory::new(vec![], vec![], vec![])));
        assert_eq!(places.at(at).town, None);
    }
}
