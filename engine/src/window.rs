//! Who is in a window of the map: what somebody looks at, between two parallels and two meridians.

use std::cmp::Reverse;

use crossbeam::epoch;
use ingest::clock::Millis;
use ingest::position::{LatLon, SourceKey};

use crate::cover;
use crate::engine::{Engine, FRESH_MS, Seen};

/// A part of the map, its edges included. One whose western edge lies east of its eastern one reaches over the
/// antimeridian.
///
/// ```
/// use engine::window::Window;
/// use ingest::position::LatLon;
/// let at = |lat, lon| LatLon::new(lat, lon).unwrap();
/// let fiji = Window::new(at(-20.0, 176.0), at(-12.0, -178.0)).unwrap();
/// assert!(fiji.holds(at(-18.1, 178.4)) && fiji.holds(at(-17.0, -179.0)) && !fiji.holds(at(-18.0, 0.0)));
/// assert!(Window::new(at(49.0, 2.0), at(48.0, 3.0)).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    south_west: LatLon,
    north_east: LatLon,
}

impl Window {
    /// The window between two corners; None where the first lies north of the second.
    pub fn new(south_west: LatLon, north_east: LatLon) -> Option<Self> {
        (south_west.lat_e7() <= north_east.lat_e7()).then_some(Self { south_west, north_east })
    }

    /// Whether a point lies in it.
    pub fn holds(&self, at: LatLon) -> bool {
        let (west, east) = (self.south_west.lon_e7(), self.north_east.lon_e7());
        let of_lon =
            |lon: i32| if west <= east { west <= lon && lon <= east } else { west <= lon || lon <= east };
        // The antimeridian has two names.
        let is_between =
            of_lon(at.lon_e7()) || (at.lon_e7().abs() == cover::HALF_TURN_E7 && of_lon(-at.lon_e7()));
        (self.south_west.lat_e7()..=self.north_east.lat_e7()).contains(&at.lat_e7()) && is_between
    }

    /// Its height and its width, in 1e-7 degrees.
    pub fn size_e7(&self) -> (i64, i64) {
        let (from, to) = (self.south_west, self.north_east);
        let width = i64::from(to.lon_e7()) - i64::from(from.lon_e7());
        let turn = if width < 0 { 2 * i64::from(cover::HALF_TURN_E7) } else { 0 };
        (i64::from(to.lat_e7()) - i64::from(from.lat_e7()), width + turn)
    }

    /// Its south-western and its north-eastern corner.
    pub fn corners(&self) -> (LatLon, LatLon) {
        (self.south_west, self.north_east)
    }
}

impl Engine {
    /// Where everybody is who was heard within [`FRESH_MS`], is in a window and `wanted`, each source once and in the
    /// order of their keys, whatever the registry says of them. None where these are more than `most`.
    ///
    /// O(cells of the window x shards + entries in them): for who looks at a town, not at a country.
    pub fn within(
        &self,
        window: &Window,
        now: Millis,
        most: usize,
        wanted: impl Fn(SourceKey) -> bool,
    ) -> Option<Vec<(SourceKey, Seen)>> {
        let cells = cover::cells_of(window);
        let mut found: Vec<(SourceKey, Seen)> = Vec::new();
        let searching = epoch::pin();
        for shard in &self.shared.shards {
            shard.look(&cells, |block| {
                for sighting in block.sightings() {
                    let (at, received_at) = (sighting.at, sighting.received_at);
                    // Whose it is stands elsewhere in memory: asked last.
                    if window.holds(at) && now.since(received_at) < FRESH_MS {
                        let source = shard.register.known(sighting.slot).source;
                        if wanted(source) {
                            found.push((source, Seen { at, received_at }));
                        }
                    }
                }
                if found.len() <= 2 * most {
                    return true;
                }
                // One may be there many times, on its way from cell to cell.
                once_each(&mut found);
                found.len() <= most
            });
        }
        drop(searching);
        once_each(&mut found);
        (found.len() <= most).then_some(found)
    }
}

/// Each source once, where it was heard last; in the order of their keys.
fn once_each(found: &mut Vec<(SourceKey, Seen)>) {
    found.sort_unstable_by_key(|(source, seen)| (*source, Reverse(seen.received_at)));
    found.dedup_by_key(|(source, _)| *source);
}
