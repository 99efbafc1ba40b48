//! The map in cells, and which of them cover a disk.
//!
//! Rows of cells lie along the parallels, each 0.0045 degrees high: 500 m. A cell is 0.006 degrees wide: 668 m at the
//! equator, 440 m in Paris. Where a parallel has shrunk to a half, a quarter and so on, cells are twice as wide, four
//! times and so on, so that they have 334 to 668 m everywhere up to 86 degrees. All of it is integers: a point is in
//! one cell, found in two nanoseconds.
//!
//! **Claim.** [`cells`] returns every cell that has a point within the disk, wherever on Earth. It goes through the
//! rows that the disk may reach ([`crate::disk`]) and takes of each what lies as near to the centre's meridian as the
//! disk can be wide there, around the Earth if need be.

use ingest::position::LatLon;

use crate::disk::Disk;
pub(crate) use crate::disk::HALF_TURN_E7;
use crate::window::Window;

/// The height of a row in units of a [`LatLon`].
const HEIGHT_E7: u32 = 45_000;
/// The width of a cell where it is narrowest, likewise.
const WIDTH_E7: u32 = 60_000;
/// Rows from pole to pole.
const ROWS: u32 = 2 * EQUATOR;
/// The first row north of the equator.
const EQUATOR: u32 = 900_000_000 / HEIGHT_E7;
/// Cells of a row around the Earth, where they are narrowest.
const COLUMNS: u32 = 3_600_000_000 / WIDTH_E7;
/// How many rows away from the equator cells double their width: at 60 degrees and so on.
const DOUBLED_FROM: [u32; 5] = [13_334, 16_783, 18_405, 19_204, 19_603];

const _: () = assert!(ROWS <= 1 << 16 && COLUMNS <= 1 << 16, "a row and a column are 16 bits each");
const _: () = assert!(COLUMNS.is_multiple_of(1 << DOUBLED_FROM.len()), "whole cells go around each parallel");

/// A cell of the map: its row in the upper half, its column in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell(u32);

/// The cell that holds a point.
#[inline]
pub fn cell_at(at: LatLon) -> Cell {
    // The pole itself is of the last row, and the antimeridian of the first column, by either of its names.
    let row = (at.lat_e7() + 900_000_000).cast_unsigned() / HEIGHT_E7;
    let column = at.lon_e7().cast_unsigned().wrapping_add(HALF_TURN_E7.cast_unsigned()) / WIDTH_E7;
    let row = row.min(ROWS - 1);
    Cell(row << 16 | (if column == COLUMNS { 0 } else { column >> doublings(row) }))
}

/// The cells that cover a disk, row by row.
pub fn cells(disk: &Disk) -> Vec<Cell> {
    let (lat, reach) = (disk.centre_e7().0 + 9e8, disk.reach_e7());
    let mut cells = Vec::with_capacity(32);
    for row in row_at(lat - reach)..=row_at(lat + reach) {
        let (bottom, top) = (f64::from(row * HEIGHT_E7), f64::from((row + 1) * HEIGHT_E7));
        let lat_off = (bottom - lat).max(lat - top).max(0.0);
        if let Some(half_width) = disk.half_width_e7(lat_off) {
            let lon = disk.centre_e7().1;
            extend(&mut cells, row, lon - half_width, lon + half_width);
        }
    }
    cells
}

/// The cells of a window, row by row.
pub fn cells_of(window: &Window) -> Vec<Cell> {
    let (from, to) = window.corners();
    let (west, east) = (f64::from(from.lon_e7()), f64::from(to.lon_e7()));
    let east = if east < west { east + 2.0 * f64::from(HALF_TURN_E7) } else { east };
    let mut cells = Vec::new();
    for row in row_at(f64::from(from.lat_e7()) + 9e8)..=row_at(f64::from(to.lat_e7()) + 9e8) {
        extend(&mut cells, row, west, east);
    }
    cells
}

/// The cells of one row between two longitudes, the second not less than the first.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the two turns that are left"
)]
fn extend(cells: &mut Vec<Cell>, row: u32, west: f64, east: f64) {
    let (width, columns) = (f64::from(WIDTH_E7 << doublings(row)), COLUMNS >> doublings(row));
    if east - west >= 2.0 * (f64::from(HALF_TURN_E7) - width) {
        cells.extend((0..columns).map(|column| Cell(row << 16 | column)));
        return;
    }
    // A turn further east, so that nothing is negative.
    let turned = 3.0 * f64::from(HALF_TURN_E7);
    let (from, to) = (((west + turned) / width) as u32, ((east + turned) / width) as u32);
    cells.extend((from..=to).map(|column| Cell(row << 16 | (column % columns))));
}

/// The row of a latitude in units of a [`LatLon`] from the south pole, or the nearest there is.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "to the nearest there is")]
fn row_at(lat: f64) -> u32 {
    ((lat / f64::from(HEIGHT_E7)) as u32).min(ROWS - 1)
}

/// How often the cells of a row are doubled.
#[inline]
fn doublings(row: u32) -> usize {
    let away = if row >= EQUATOR { row - EQUATOR } else { EQUATOR - 1 - row };
    DOUBLED_FROM.iter().filter(|&&from| away >= from).count()
}
