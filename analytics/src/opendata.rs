//! Statistics of a month as they are published: by town, department and country, and by H3 cell.
//!
//! Whatever is in them passed [`crate::suppress`]: a figure that is not there is nil, about too few, mostly about one,
//! or would give away one that is. Files are made of rows in one order, so that the same figures are the same bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::error::ArrowError;
use engine::territory::departement;
use h3o::{CellIndex, Resolution};
use ingest::position::LatLon;

use crate::encode::{EncodeError, Encoder, Format};
use crate::functions::cell_at;
use crate::suppress::{Gift, Rule, SIDES, Table, Told, suppress_beside};

mod cells;
pub mod presence;

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
#[derive(Clone, Debug)]
pub struct Month {
    columns: &'static [Column],
    table: Table,
    /// Of some, nobody knows where exactly it was given.
    is_inexact: bool,
    /// The towns of which everybody knows from elsewhere what was given in them together.
    known_of: &'static [&'static str],
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
    /// Of cells, the finest resolution of H3 of which there may be a figure.
    pub resolution: Option<u8>,
}

/// The tables of a month, published together so that neither is told against the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// By town.
    pub towns: Published,
    /// By H3 cell; None: nobody asked for it, or knows any more where exactly all of the month was given.
    pub cells: Option<Published>,
}

impl Month {
    /// One to which nothing was given. Its first column counts everything, the others parts of it, the more important
    /// first: no place has a figure in one of these that has none in the one before.
    pub fn new(columns: &'static [Column]) -> Self {
        Self { columns, table: Table::new(), is_inexact: false, known_of: &[] }
    }

    /// The same, where everybody knows from elsewhere what was given in these towns together, by INSEE code.
    #[must_use]
    pub fn known_of(self, towns: &'static [&'static str]) -> Self {
        Self { known_of: towns, ..self }
    }

    /// Adds what somebody gave.
    pub fn add(&mut self, given: &Given<'_>) {
        let [.., finest] = RESOLUTIONS;
        let cell =
            given.at.and_then(|at| cell_at(at, finest)).and_then(|cell| CellIndex::try_from(cell).ok());
        self.is_inexact |= cell.is_none();
        let cells = RESOLUTIONS.iter().filter_map(|resolution| cell?.parent(*resolution));
        let cells = cells.map(|cell| cell.to_string()).collect();
        let town = [departement(given.town), given.town].map(str::to_owned).to_vec();
        let part = self.columns.iter().position(|column| column.part == Some(given.part));
        let part = part.unwrap_or(self.columns.len());
        let gift = Gift { contributors: given.contributors, part, amount: given.amount };
        self.table.entry(vec![town, cells]).or_default().push(gift);
    }

    /// Its tables: by town, and by cell as many of the columns as are wanted, the first of them. Places without a name
    /// in `names` (by code) have none.
    pub fn tables(
        &self,
        month: &str,
        of_cells: usize,
        names: &HashMap<String, String>,
        rule: Rule,
    ) -> Result<Tables, EncodeError> {
        let of_cells = if self.is_inexact { 0 } else { of_cells };
        let [by_town, by_cell] =
            suppress_beside(&self.table, &[self.columns.len(), of_cells], rule, |place| {
                let town = place.first().and_then(|steps| steps.last());
                town.is_some_and(|town| self.known_of.contains(&town.as_str()))
            });
        let [.., finest] = RESOLUTIONS;
        let cells = (of_cells > 0).then(|| cells(month, &by_cell, &self.columns[..of_cells], finest));
        Ok(Tables { towns: towns(month, &by_town, self.columns, names)?, cells: cells.transpose()? })
    }
}

fn towns(
    month: &str,
    told: &Told,
    columns: &[Column],
    names: &HashMap<String, String>,
) -> Result<Published, EncodeError> {
    let levels = ["country", "department", "town"];
    let code = |place: &[String]| place.last().map_or(COUNTRY, String::as_str).to_owned();
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("month", texts(told, |_| Some(month.to_owned())), false),
        ("level", texts(told, |place| Some(levels[place.len()].to_owned())), false),
        ("code", texts(told, |place| Some(code(place))), false),
        ("name", texts(told, |place| names.get(&code(place)).cloned()), true),
    ])?;
    let batch = with_figures(&batch, told, columns)?;
    publish(&batch, &batch, (told, None))
}

/// Of resolutions down to `finest`.
fn cells(month: &str, told: &Told, columns: &[Column], finest: Resolution) -> Result<Published, EncodeError> {
    let cell = |cells: &[String]| cells.last().and_then(|cell| cell.parse().ok());
    let resolution = |cells: &[String]| cell(cells).map(|cell: CellIndex| u8::from(cell.resolution()));
    let resolutions = told.figures.keys().map(|cells| resolution(cells).map(i64::from));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("month", texts(told, |_| Some(month.to_owned())), false),
        ("resolution", Arc::new(resolutions.collect::<Int64Array>()) as ArrayRef, false),
        ("cell", texts(told, |cells| cells.last().cloned()), false),
    ])?;
    let batch = with_figures(&batch, told, columns)?;
    let shapes = told.figures.keys().map(|cells| cell(cells).map(cells::wkb).unwrap_or_default());
    publish(&batch, &cells::with_shapes(&batch, shapes)?, (told, Some(finest)))
}

/// A text for each row.
fn texts(told: &Told, text: impl Fn(&[String]) -> Option<String>) -> ArrayRef {
    Arc::new(told.figures.keys().map(|place| text(place)).collect::<StringArray>())
}

/// The rows with the columns of figures behind those that tell what they are about.
fn with_figures(about: &RecordBatch, told: &Told, columns: &[Column]) -> Result<RecordBatch, ArrowError> {
    let schema = about.schema();
    let about = schema.fields().iter().zip(about.columns());
    let about = about.map(|(field, column)| (field.name().clone(), column.clone(), field.is_nullable()));
    let figures = columns.iter().enumerate().map(|(number, column)| {
        let of_row = |row: &BTreeMap<usize, u64>| row.get(&number).and_then(|sum| i64::try_from(*sum).ok());
        let figures: Int64Array = told.figures.values().map(of_row).collect();
        (column.name.to_owned(), Arc::new(figures) as ArrayRef, true)
    });
    RecordBatch::try_from_iter_with_nullable(about.chain(figures))
}

fn publish(
    csv: &RecordBatch,
    parquet: &RecordBatch,
    (told, finest): (&Told, Option<Resolution>),
) -> Result<Published, EncodeError> {
    Ok(Published {
        csv: encode(Format::Csv, csv)?,
        parquet: encode(Format::Parquet, parquet)?,
        rows: csv.num_rows(),
        withheld: told.withheld,
        resolution: finest.map(u8::from),
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
