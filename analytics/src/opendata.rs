//! Statistics of a month as they are published: by town, department and country, and by H3 cell.
//!
//! Whatever is in them passed [`suppress`]: a figure that is not there is nil, about too few, mostly about one, or
//! would give away one that is. Files are made of rows in one order, so that the same figures are the same bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::error::ArrowError;
use engine::territory::departement;
use h3o::{CellIndex, Resolution};
use ingest::position::LatLon;

use crate::encode::{EncodeError, Encoder, Format};
use crate::functions::cell_at;
use crate::suppress::{Path, Rule, SIDES, Table, Told, suppress};

mod cells;

/// The code of the country among those of towns and departments.
pub const COUNTRY: &str = "FRA";

/// The resolutions of H3 of which figures are published, the finest last: 36, 5 and 0.7 km² a cell.
pub const RESOLUTIONS: [Resolution; 3] = [Resolution::Six, Resolution::Seven, Resolution::Eight];

/// A column of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// Which part of everything it counts; None: everything.
    pub part: Option<&'static str>,
}

/// What somebody contributed to a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<'a> {
    /// The INSEE code of the town.
    pub town: &'a str,
    /// Where exactly, if that is known.
    pub at: Option<LatLon>,
    /// To which part of everything.
    pub part: &'a str,
    /// Who, on each side: as a ride's taxi and its customer. Where there is but one, that one on both.
    pub contributors: [u64; SIDES],
    /// How much.
    pub amount: u64,
}

/// What was given to a month: what its figures are made of.
#[derive(Clone, Debug, Default)]
pub struct Month {
    by_town: Table,
    by_cell: Table,
    /// Of some, nobody knows where exactly it was given.
    is_inexact: bool,
}

/// A table that may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// RFC 4180.
    pub csv: Vec<u8>,
    /// The same; of cells, `GeoParquet`.
    pub parquet: Vec<u8>,
    /// How many rows it has: those in which there is a figure.
    pub rows: usize,
    /// How many figures are withheld.
    pub withheld: usize,
}

impl Month {
    /// Adds what somebody gave.
    pub fn add(&mut self, given: &Given<'_>) {
        let place = [departement(given.town), given.town].map(str::to_owned).to_vec();
        let part = vec![given.part.to_owned()];
        let by_town = self.by_town.entry(vec![place.clone(), part.clone(), Vec::new()]).or_default();
        by_town.add(given.contributors, given.amount);
        let [.., finest] = RESOLUTIONS;
        let cell =
            given.at.and_then(|at| cell_at(at, finest)).and_then(|cell| CellIndex::try_from(cell).ok());
        let Some(cell) = cell else {
            self.is_inexact = true;
            return;
        };
        let cells = RESOLUTIONS.iter().filter_map(|resolution| cell.parent(*resolution));
        let cells = cells.map(|cell| cell.to_string()).collect();
        self.by_cell.entry(vec![place, part, cells]).or_default().add(given.contributors, given.amount);
    }

    /// What may be told of places: each by the country, its department and its town.
    fn of_towns(&self, columns: &[Column], rule: Rule) -> Told {
        suppress(&self.by_town, &BTreeSet::new(), rule, |path| path[2].is_empty() && has(columns, path))
    }

    /// Its figures by town; places without a name in `names` (by code) have none.
    pub fn towns(
        &self,
        month: &str,
        columns: &[Column],
        names: &HashMap<String, String>,
        rule: Rule,
    ) -> Result<Published, EncodeError> {
        let Told { figures, withheld } = self.of_towns(columns, rule);
        let rows = Rows::new(&figures, 0);
        let levels = ["country", "department", "town"];
        let code = |place: &[String]| place.last().map_or(COUNTRY, String::as_str).to_owned();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("month", rows.texts(|_| Some(month.to_owned())), false),
            ("level", rows.texts(|place| Some(levels[place.len()].to_owned())), false),
            ("code", rows.texts(|place| Some(code(place))), false),
            ("name", rows.texts(|place| names.get(&code(place)).cloned()), true),
        ])?;
        let batch = rows.with_figures(&batch, columns)?;
        publish(&batch, &batch, withheld)
    }

    /// Its figures by H3 cell, to be published after those by town, whose `columns` they are told the same of. None:
    /// nobody knows any more where exactly all of it was given.
    pub fn cells(
        &self,
        month: &str,
        of_towns: &[Column],
        columns: &[Column],
        rule: Rule,
    ) -> Result<Option<Published>, EncodeError> {
        if self.is_inexact {
            return Ok(None);
        }
        let known = self.of_towns(of_towns, rule).figures.into_keys().collect();
        let is_of_cell = |path: &Path| path[0].is_empty() && !path[2].is_empty() && has(columns, path);
        let Told { figures, withheld } = suppress(&self.by_cell, &known, rule, is_of_cell);
        let rows = Rows::new(&figures, 2);
        let finest = |cells: &[String]| cells.last().and_then(|cell| cell.parse().ok());
        let resolution = |cells: &[String]| finest(cells).map(|cell: CellIndex| u8::from(cell.resolution()));
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("month", rows.texts(|_| Some(month.to_owned())), false),
            ("resolution", rows.numbers(|cells| resolution(cells).map(i64::from)), false),
            ("cell", rows.texts(|cells| cells.last().cloned()), false),
        ])?;
        let batch = rows.with_figures(&batch, columns)?;
        let shapes = rows.0.keys().map(|cells| finest(cells).map(cells::wkb).unwrap_or_default());
        publish(&batch, &cells::with_shapes(&batch, shapes)?, withheld).map(Some)
    }
}

/// Whether figures of this path are in one of the columns.
fn has(columns: &[Column], path: &Path) -> bool {
    columns.iter().any(|column| column.part == path[1].first().map(String::as_str))
}

/// Figures by what a row is about, and by the part that they count.
struct Rows<'a>(BTreeMap<&'a [String], BTreeMap<Option<&'a str>, u64>>);

impl<'a> Rows<'a> {
    /// A row for each place of these figures along a dimension.
    fn new(figures: &'a BTreeMap<Path, u64>, dimension: usize) -> Self {
        let mut rows: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (path, sum) in figures {
            let part = path[1].first().map(String::as_str);
            rows.entry(path[dimension].as_slice()).or_default().insert(part, *sum);
        }
        Self(rows)
    }

    fn texts(&self, text: impl Fn(&[String]) -> Option<String>) -> ArrayRef {
        Arc::new(self.0.keys().map(|place| text(place)).collect::<StringArray>())
    }

    fn numbers(&self, number: impl Fn(&[String]) -> Option<i64>) -> ArrayRef {
        Arc::new(self.0.keys().map(|place| number(place)).collect::<Int64Array>())
    }

    /// The rows with the columns of figures behind those that tell what they are about.
    fn with_figures(&self, about: &RecordBatch, columns: &[Column]) -> Result<RecordBatch, ArrowError> {
        let schema = about.schema();
        let about = schema.fields().iter().zip(about.columns());
        let about = about.map(|(field, column)| (field.name().clone(), column.clone(), field.is_nullable()));
        let figures = columns.iter().map(|column| {
            let of_row = |row: &BTreeMap<Option<&str>, u64>| {
                row.get(&column.part).and_then(|sum| i64::try_from(*sum).ok())
            };
            let numbers: Int64Array = self.0.values().map(of_row).collect();
            (column.name.to_owned(), Arc::new(numbers) as ArrayRef, true)
        });
        RecordBatch::try_from_iter_with_nullable(about.chain(figures))
    }
}

fn publish(csv: &RecordBatch, parquet: &RecordBatch, withheld: usize) -> Result<Published, EncodeError> {
    Ok(Published {
        csv: encode(Format::Csv, csv)?,
        parquet: encode(Format::Parquet, parquet)?,
        rows: csv.num_rows(),
        withheld,
    })
}

fn encode(format: Format, rows: &RecordBatch) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new(format, rows.schema())?;
    let mut bytes = encoder.rows(rows)?;
    bytes.extend(encoder.finish()?);
    Ok(bytes)
}

#[cfg(test)]
mod tests;
