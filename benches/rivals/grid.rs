//! A grid of a hundredth of a degree behind one lock: a hash map from squares to lists.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use engine::distance::Origin;
use engine::engine::{Fix, Search};
use engine::territory::Insee;
use ingest::position::{LatLon, SourceKey};

use super::{Index, Kept, half_box};
use crate::world::Found;

/// The side of a square in 1e-7 degrees: 1.1 km to the north, in France 0.7 to 0.8 km to the east.
const SIDE_E7: i32 = 100_000;

/// The grid.
pub struct Grid(RwLock<Squares>);

#[derive(Default)]
struct Squares {
    squares: HashMap<Square, Vec<Kept>>,
    /// In which square a source is, and where in its list.
    sources: HashMap<SourceKey, (Square, usize)>,
}

/// To the east, to the north.
type Square = (i32, i32);

impl Grid {
    /// A grid of everybody.
    pub fn new(everybody: &[(Fix, Insee)]) -> Self {
        let mut squares = Squares::default();
        for one in everybody {
            squares.add(Kept::new(*one));
        }
        Self(RwLock::new(squares))
    }
}

impl Index for Grid {
    fn apply(&self, fixes: &[Fix]) {
        let mut locked = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for fix in fixes {
            locked.show(*fix);
        }
    }

    fn nearby(&self, search: &Search<'_>) -> Vec<Found> {
        let customer = Origin::new(search.customer);
        let (half_lon, half_lat) = half_box(search);
        let (from, to) =
            (corner(search.customer, -half_lon, -half_lat), corner(search.customer, half_lon, half_lat));
        let locked = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for east in from.0..=to.0 {
            for north in from.1..=to.1 {
                for kept in locked.squares.get(&(east, north)).into_iter().flatten() {
                    let distance_m = customer.distance_m(kept.fix.at);
                    if distance_m <= search.radius_m && kept.may_be_offered(search) {
                        found.push((kept.fix.source, distance_m));
                    }
                }
            }
        }
        drop(locked);
        found
    }
}

impl Squares {
    fn show(&mut self, fix: Fix) {
        let Some(&(square, at)) = self.sources.get(&fix.source) else { return };
        let Some(list) = self.squares.get_mut(&square) else { return };
        let kept = list[at];
        if !fix.order.supersedes(kept.fix.order) {
            return;
        }
        if square == square_of(fix.at) {
            list[at].fix = fix;
            return;
        }
        list.swap_remove(at);
        if let Some(moved) = list.get(at) {
            self.sources.insert(moved.fix.source, (square, at));
        }
        self.add(Kept { fix, ..kept });
    }

    fn add(&mut self, kept: Kept) {
        let square = square_of(kept.fix.at);
        let list = self.squares.entry(square).or_default();
        self.sources.insert(kept.fix.source, (square, list.len()));
        list.push(kept);
    }
}

fn square_of(at: LatLon) -> Square {
    (at.lon_e7().div_euclid(SIDE_E7), at.lat_e7().div_euclid(SIDE_E7))
}

/// The square that lies so many degrees away.
#[expect(clippy::cast_possible_truncation, reason = "degrees of a map, in hundredths, are small")]
fn corner(at: LatLon, lon: f64, lat: f64) -> Square {
    let of = |degrees: f64| (degrees * 1e7 / f64::from(SIDE_E7)).floor() as i32;
    (of(at.lon() + lon), of(at.lat() + lat))
}
