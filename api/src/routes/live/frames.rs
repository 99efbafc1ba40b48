//! Who is on a tile of the map, for everybody who looks there: whoever comes first looks, those who come soon after are
//! given the same, and what did not change is not rendered again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::engine::Seen;
use engine::profile::Status;
use engine::window::Window;
use ingest::counter::Counter;
use ingest::position::{LatLon, OperatorKey, SourceKey};
use tokio::time::Instant;

use crate::limits::{FRAME_STANDS, LIVE_TILE_E7};
use crate::registry::card::Card;

/// The column that ends at the antimeridian.
const LAST_COLUMN: i64 = 1_800_000_000 / LIVE_TILE_E7;

/// After how long without anybody who looks a tile is forgotten.
const FORGOTTEN_AFTER: Duration = FRAME_STANDS.saturating_mul(8);

/// What was seen of a taxi.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// The taxi, as one operator reports it.
    pub(crate) source: SourceKey,
    /// Where and when.
    pub(crate) seen: Seen,
    /// What it did.
    pub(crate) status: Status,
    /// What is known of it.
    pub(crate) card: Arc<Card>,
    /// As it is told: an object of JSON.
    pub(crate) text: Arc<str>,
}

/// Everybody on a tile, by their keys; None: they are too many.
pub(crate) type Frame = Option<Vec<Shown>>;

/// A tile, by its row and its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tile(i64, i64);

impl Tile {
    /// Where a point lies.
    pub(crate) fn at(point: LatLon) -> Self {
        let number = |e7: i32| i64::from(e7).div_euclid(LIVE_TILE_E7);
        Self(number(point.lat_e7()), number(point.lon_e7()))
    }

    /// Those that a window meets, sorted. One that is a degree wide meets a hundred.
    pub(crate) fn all(window: &Window) -> Vec<Self> {
        let (from, to) = window.corners();
        let (Self(south, west), Self(north, east)) = (Self::at(from), Self::at(to));
        let columns: Vec<_> = if from.lon_e7() <= to.lon_e7() {
            (west..=east).collect()
        } else {
            (-LAST_COLUMN..=east).chain(west..=LAST_COLUMN).collect()
        };
        (south..=north).flat_map(|row| columns.iter().map(move |column| Self(row, *column))).collect()
    }

    /// Its own window, which shares no point with another's.
    pub(crate) fn window(self) -> Option<Window> {
        let corner = |row: i64, column: i64, beyond: i64| {
            let e7 = |number: i64, most: i64| (number * LIVE_TILE_E7 + beyond).clamp(-most, most);
            let (lat, lon) = (e7(row, 900_000_000), e7(column, 1_800_000_000));
            LatLon::from_e7(i32::try_from(lat).ok()?, i32::try_from(lon).ok()?).ok()
        };
        Window::new(corner(self.0, self.1, 0)?, corner(self.0, self.1, LIVE_TILE_E7 - 1)?)
    }
}

/// Whose taxis, and where.
type Of = (Option<OperatorKey>, Tile);
/// When a tile was looked at last, and what was there. Whoever looks has it locked.
type Slot = Arc<Mutex<Option<(Instant, Arc<Frame>)>>>;

/// The tiles that somebody looks at.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    slots: Mutex<HashMap<Of, Slot>>,
    /// When it was looked last for tiles to forget.
    forgot_at: Mutex<Option<Instant>>,
    /// How often a tile was looked at.
    pub(crate) looks: Counter,
}

impl Frames {
    /// The frame of a tile: the last one, if it is not older than [`FRAME_STANDS`] and `may_stand`, or what `look`
    /// makes of it.
    pub(crate) fn of(
        &self,
        of: Of,
        (now, may_stand): (Instant, bool),
        look: impl FnOnce(Option<&Frame>) -> Frame,
    ) -> Arc<Frame> {
        let slot = lock(&self.slots).entry(of).or_default().clone();
        let mut last = lock(&slot);
        let stands = |at: Instant| may_stand && now.duration_since(at) < FRAME_STANDS;
        if let Some((_, frame)) = last.as_ref().filter(|(at, _)| stands(*at)) {
            return frame.clone();
        }
        let frame = Arc::new(look(last.as_ref().map(|(_, frame)| &**frame)));
        self.looks.add(1);
        *last = Some((now, frame.clone()));
        frame
    }

    /// Forgets the tiles that nobody looked at lately; whoever asks soon after another leaves it at that.
    pub(crate) fn forget(&self, now: Instant) {
        {
            let mut forgot_at = lock(&self.forgot_at);
            if forgot_at.is_some_and(|last| now.duration_since(last) < FORGOTTEN_AFTER) {
                return;
            }
            *forgot_at = Some(now);
        }
        let is_old = |slot: &Slot| {
            // One that is locked is being looked at.
            let last = slot.try_lock();
            last.is_ok_and(|last| {
                last.as_ref().is_none_or(|(at, _)| now.duration_since(*at) >= FORGOTTEN_AFTER)
            })
        };
        lock(&self.slots).retain(|_, slot| Arc::strong_count(slot) > 1 || !is_old(slot));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(west: f64, south: f64, east: f64, north: f64) -> Window {
        Window::new(LatLon::new(south, west).unwrap(), LatLon::new(north, east).unwrap()).unwrap()
    }

    #[test]
    fn tiles_part_the_map() {
        let tiles = Tile::all(&window(2.25, 48.81, 2.42, 48.91));
        assert_eq!(
            tiles,
            [(488, 22), (488, 23), (488, 24), (489, 22), (489, 23), (489, 24)].map(|(r, c)| Tile(r, c))
        );
        for point in
            [(48.85, 2.35), (-17.0, -179.999_999_9), (0.0, 0.0), (-0.000_000_1, -0.000_000_1), (48.9, 2.3)]
        {
            let at = LatLon::new(point.0, point.1).unwrap();
            assert!(Tile::at(at).window().unwrap().holds(at), "{point:?}");
        }
        let tile = Tile(488, 23);
        let (from, to) = tile.window().unwrap().corners();
        assert_eq!((from.lat_e7(), to.lat_e7(), to.lon_e7()), (488_000_000, 488_999_999, 23_999_999));
    }

    #[test]
    fn a_window_over_the_antimeridian_has_tiles_on_both_sides() {
        let tiles = Tile::all(&window(179.85, -17.0, -179.85, -16.95));
        let columns: Vec<_> = tiles.iter().map(|tile| tile.1).collect();
        assert_eq!(columns, [-1800, -1799, 1798, 1799, 1800]);
        assert!(tiles.iter().all(|tile| tile.window().is_some()));
    }

    #[test]
    fn a_hundred_who_look_at_a_time_look_once() {
        let (frames, begin) = (Frames::default(), Instant::now());
        let of = (None, Tile(488, 23));
        let look = |may_stand| frames.of(of, (begin, may_stand), |_| Some(Vec::new()));
        let first = look(true);
        assert!((0..100).all(|_| Arc::ptr_eq(&first, &look(true))));
        assert_eq!(frames.looks.get(), 1);
        assert!(!Arc::ptr_eq(&first, &look(false)), "who begins sees what is there now");
        let later = begin + FRAME_STANDS;
        frames.of(of, (later, true), |last| {
            assert!(last.is_some_and(Option::is_some));
            None
        });
        assert_eq!(frames.looks.get(), 3);
        frames.of((Some(OperatorKey(1)), of.1), (later, true), |last| {
            assert!(last.is_none(), "another sees others");
            None
        });
        frames.forget(later);
        assert_eq!(lock(&frames.slots).len(), 2);
        let another = (None, Tile(488, 24));
        frames.of(another, (later + FORGOTTEN_AFTER, true), |_| None);
        frames.forget(later + FORGOTTEN_AFTER);
        assert_eq!(lock(&frames.slots).len(), 1, "those that nobody looked at");
        // All are walked over once a while, however many look.
        frames.forget(later + FORGOTTEN_AFTER * 2 - Duration::from_millis(1));
        assert_eq!(lock(&frames.slots).len(), 1);
        frames.forget(later + FORGOTTEN_AFTER * 2);
        assert_eq!(lock(&frames.slots).len(), 0);
    }
}
