//! Where taxis were in a month, by H3 cell, of which only what passed [`suppress`] is told.
//!
//! It has a total of its own and adds up to nothing else that is published: by town, hours of connected vehicles are
//! told of where their ADS are from, whatever the cells that they were in.

use std::collections::HashMap;

use bytes::Bytes;
use datafusion::arrow::datatypes::{UInt32Type, UInt64Type};
use h3o::{CellIndex, Resolution};
use thiserror::Error;

use super::{Column, Published, RESOLUTIONS, cells};
use crate::encode::EncodeError;
use crate::file;
use crate::footer::BadFile;
use crate::limits::PRESENCES_MAX;
use crate::rollups::RollupName;
use crate::root::{Found, Root};
use crate::rows::column;
use crate::suppress::{Gift, Rule, SIDES, Table, suppress};

/// Minutes by cell and vehicle. Memory: [`PRESENCES_MAX`] of them; where there are more, cells are coarser, and where
/// the coarsest are too many, there is no table.
#[derive(Debug)]
pub struct Presence {
    /// The finest resolution that is kept, of [`RESOLUTIONS`].
    finest: usize,
    most: usize,
    minutes: HashMap<(u64, u64), u64>,
}

/// There is no table of a month by cell.
#[derive(Debug, Error)]
pub enum Unread {
    /// A file of a day.
    #[error(transparent)]
    File(#[from] BadFile),
    /// Memory is bounded.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// There are more pairs of vehicle and cell than are held, even of the coarsest cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("vehicles were in more than {most} cells of H3 resolution {resolution}, each counted by itself")]
pub struct TooMany {
    most: usize,
    resolution: Resolution,
}

impl Presence {
    /// None yet.
    pub fn new() -> Self {
        Self { finest: RESOLUTIONS.len() - 1, most: PRESENCES_MAX, minutes: HashMap::new() }
    }

    /// Of these files, which are read one after the other. `vehicle_of` says which vehicle a taxi is; those of which it
    /// is not known any more are as if they were one, so that they count as few.
    pub async fn read(
        root: &Root,
        files: &[Found<RollupName>],
        vehicle_of: impl Fn(u32) -> Option<u64>,
    ) -> Result<Self, Unread> {
        let mut presence = Self::new();
        for Found { name, .. } in files {
            let content = root.get(name).await.map_err(BadFile::from)?;
            let content = content.ok_or_else(|| BadFile::Gone(name.to_string()))?;
            let added = presence.add_file(content, &vehicle_of);
            added.map_err(|cause| match cause.downcast::<TooMany>() {
                Ok(many) => Unread::TooMany(*many),
                Err(cause) => BadFile::Damaged { name: name.to_string(), cause: cause.to_string() }.into(),
            })?;
        }
        Ok(presence)
    }

    fn add_file(
        &mut self,
        content: Bytes,
        vehicle_of: impl Fn(u32) -> Option<u64>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        for batch in file::open(content)?.build()? {
            let batch = batch?;
            let cells = column::<UInt64Type>(&batch, "cell")?.values();
            let taxis = column::<UInt32Type>(&batch, "taxi")?.values();
            let minutes = column::<UInt32Type>(&batch, "minutes")?.values();
            for ((&cell, &taxi), &minutes) in cells.iter().zip(taxis).zip(minutes) {
                let cell = CellIndex::try_from(cell)?;
                self.add(cell, vehicle_of(taxi).unwrap_or(u64::MAX), minutes.into())?;
            }
        }
        Ok(())
    }

    /// Adds minutes of a vehicle in a cell of the finest of [`RESOLUTIONS`].
    pub fn add(&mut self, cell: CellIndex, vehicle: u64, minutes: u64) -> Result<(), TooMany> {
        let Some(cell) = self.kept(cell) else { return Ok(()) };
        *self.minutes.entry((cell, vehicle)).or_default() += minutes;
        while self.minutes.len() > self.most {
            let Some(coarser) = self.finest.checked_sub(1) else {
                return Err(TooMany { most: self.most, resolution: self.resolution() });
            };
            self.finest = coarser;
            for ((cell, vehicle), minutes) in std::mem::take(&mut self.minutes) {
                let cell = CellIndex::try_from(cell).ok().and_then(|cell| self.kept(cell));
                if let Some(cell) = cell {
                    *self.minutes.entry((cell, vehicle)).or_default() += minutes;
                }
            }
        }
        Ok(())
    }

    fn kept(&self, cell: CellIndex) -> Option<u64> {
        cell.parent(RESOLUTIONS[self.finest]).map(u64::from)
    }

    /// The finest resolution of which there may be a figure.
    pub fn resolution(&self) -> Resolution {
        RESOLUTIONS[self.finest]
    }

    /// What may be told, in one column.
    pub fn table(&self, month: &str, told_in: &Column, rule: Rule) -> Result<Published, EncodeError> {
        let mut table = Table::new();
        for (&(cell, vehicle), &minutes) in &self.minutes {
            let Ok(cell) = CellIndex::try_from(cell) else { continue };
            let around = RESOLUTIONS[..=self.finest].iter().filter_map(|resolution| cell.parent(*resolution));
            // The first dimension is the total, which is told by nothing.
            let place = vec![Vec::new(), around.map(|cell| cell.to_string()).collect()];
            let gift = Gift { contributors: [vehicle; SIDES], part: 1, amount: minutes };
            table.entry(place).or_default().push(gift);
        }
        let [_, by_cell] = suppress(&table, &[0, 1], rule);
        cells(month, &by_cell, std::slice::from_ref(told_in), self.resolution())
    }
}

impl Default for Presence {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::functions::cell_at;
    use crate::sample::LYON;

    const COLUMN: Column = Column { name: "taxi_minutes", part: None };

    /// Cells of resolution 8 in one of resolution 6.
    fn cells() -> Vec<CellIndex> {
        let at = ingest::position::LatLon::new(LYON.0, LYON.1).unwrap();
        let around = CellIndex::try_from(cell_at(at, Resolution::Six).unwrap()).unwrap();
        around.children(Resolution::Eight).collect()
    }

    /// The figures, by cell.
    fn told(presence: &Presence) -> BTreeMap<CellIndex, u64> {
        let table = presence.table("2026-03", &COLUMN, Rule::default()).unwrap();
        let csv = String::from_utf8(table.csv).unwrap();
        let mut lines = csv.lines();
        assert_eq!(lines.next(), Some("month,resolution,cell,taxi_minutes"));
        let rows: BTreeMap<_, _> = lines
            .map(|line| {
                let [month, resolution, cell, minutes] = line.split(',').collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                let cell: CellIndex = cell.parse().unwrap();
                assert_eq!((month, resolution), ("2026-03", &*u8::from(cell.resolution()).to_string()));
                (cell, minutes.parse().unwrap())
            })
            .collect();
        assert_eq!(table.rows, rows.len());
        rows
    }

    #[test]
    fn of_more_than_fit_coarser_cells_are_kept() {
        let cells = cells();
        let mut presence = Presence { most: 10, ..Presence::new() };
        for vehicle in 0..5 {
            for cell in &cells[..2] {
                presence.add(*cell, vehicle, 3).unwrap();
            }
        }
        assert_eq!(presence.resolution(), Resolution::Eight);
        let finest = told(&presence);
        assert_eq!(finest.len(), 4, "two cells, the one around them, and that around it: {finest:?}");
        assert_eq!((finest[&cells[0]], finest[&cells[0].parent(Resolution::Six).unwrap()]), (15, 30));

        presence.add(cells[2], 0, 1).unwrap();
        assert_eq!(presence.resolution(), Resolution::Seven);
        let coarser = told(&presence);
        assert_eq!(coarser.values().copied().collect::<Vec<_>>(), [31, 31]);
        assert!(coarser.keys().all(|cell| cell.resolution() < Resolution::Eight));
        let table = presence.table("2026-03", &COLUMN, Rule::default()).unwrap();
        assert_eq!(table.resolution, Some(7), "readers are told");
    }

    #[test]
    fn of_more_than_fit_of_the_coarsest_cells_there_is_no_table() {
        let cells = cells();
        let mut presence = Presence { most: 10, ..Presence::new() };
        // All cells are in one of the coarsest.
        for vehicle in 0..10 {
            for cell in &cells {
                presence.add(*cell, vehicle, 1).unwrap();
            }
        }
        assert_eq!((presence.resolution(), presence.minutes.len()), (Resolution::Six, 10));
        let refused = presence.add(cells[0], 10, 1).unwrap_err();
        assert_eq!(refused, TooMany { most: 10, resolution: Resolution::Six });
    }

    #[test]
    fn vehicles_that_are_not_known_any_more_are_as_one() {
        let cells = cells();
        let mut presence = Presence::new();
        for vehicle in [0, 1, 2, 3, u64::MAX, u64::MAX] {
            presence.add(cells[0], vehicle, 1).unwrap();
        }
        assert_eq!(told(&presence).len(), 3);
        let mut presence = Presence::new();
        for vehicle in [0, 1, 2, u64::MAX, u64::MAX, u64::MAX] {
            presence.add(cells[0], vehicle, 1).unwrap();
        }
        assert_eq!(told(&presence).len(), 0);
    }

    proptest! {
        /// A figure is what was given, by five vehicles or more and to no more than 85 % by one; and so is what is left
        /// of it where those of cells in it are taken away.
        #[test]
        fn every_figure_is_of_many_and_right(
            given in prop::collection::vec((0..14_usize, 0..9_u64, 1..60_u64), 0..80),
        ) {
            let cells = cells();
            let mut presence = Presence::new();
            for (cell, vehicle, minutes) in &given {
                presence.add(cells[*cell], *vehicle, *minutes).unwrap();
            }
            let told = told(&presence);
            let within = |cell: &CellIndex, of: usize| cells[of].parent(cell.resolution()) == Some(*cell);
            let is_of_many = |picked: Vec<&(usize, u64, u64)>| {
                let mut by_vehicle = BTreeMap::<u64, u64>::new();
                for (_, by, minutes) in picked {
                    *by_vehicle.entry(*by).or_default() += minutes;
                }
                let all: u64 = by_vehicle.values().sum();
                by_vehicle.len() >= 5 && by_vehicle.values().all(|minutes| minutes * 100 <= all * 85)
            };
            for (cell, minutes) in &told {
                let picked: Vec<_> = given.iter().filter(|(of, ..)| within(cell, *of)).collect();
                prop_assert_eq!(picked.iter().map(|(.., minutes)| minutes).sum::<u64>(), *minutes);
                prop_assert!(is_of_many(picked.clone()));
                let next = told.keys().filter(|inner| inner.parent(cell.resolution()) == Some(*cell));
                let next: Vec<_> = next.filter(|inner| inner.resolution() > cell.resolution()).collect();
                let left = picked.into_iter().filter(|(of, ..)| !next.iter().any(|inner| within(inner, *of)));
                let left: Vec<_> = left.collect();
                prop_assert!(left.is_empty() || is_of_many(left));
            }
        }
    }
}
