//! What SQL may ask beside what `DataFusion` knows: of H3 cells, of distances, and of statuses as words.
//!
//! | function                                  | answer                                                        |
//! |-------------------------------------------|---------------------------------------------------------------|
//! | `h3_text(cell)`                           | the cell as others write it, `881fb46625fffff`                |
//! | `h3_parent(cell, resolution)`             | the coarser cell around it; null: that is no coarser one      |
//! | `h3_cell(lat_e7, lon_e7, resolution)`     | the cell of a point                                           |
//! | `h3_area_km2(cell)`                       | its area                                                      |
//! | `metres(lat_e7, lon_e7, lat_e7, lon_e7)`  | between two points, on the ellipsoid                          |
//! | `h3_near(cell, lat_e7, lon_e7, metres)`   | of a cell and those around it, those whose middle is as near  |
//! |                                           | to the point: a list                                          |
//! | `status_name(status)`                     | the word of an archived position's status                     |
//!
//! Where an argument is null or names nothing, so does the answer.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, Float64Array, ListArray, ListBuilder, PrimitiveArray, StringViewArray,
    UInt64Array, UInt64Builder,
};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Int64Type, UInt8Type, UInt64Type};
use datafusion::common::Result;
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use engine::distance::Point;
use h3o::{CellIndex, LatLng, Resolution};
use ingest::position::{LatLon, ReportedStatus};

use crate::cells::middle;

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = ScalarUDF> {
    use Kind::{AreaKm2, Cell, Metres, Near, Parent, StatusName, Text};
    let kinds = [Text, Parent, Cell, AreaKm2, Metres, Near, StatusName];
    kinds.into_iter().map(|kind| ScalarUDF::new_from_impl(Function::new(kind)))
}

/// Whether a function is one of them.
pub(crate) fn is_ours(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<Function>().is_some()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Text,
    Parent,
    Cell,
    AreaKm2,
    Metres,
    Near,
    StatusName,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    kind: Kind,
    signature: Signature,
}

impl Function {
    fn new(kind: Kind) -> Self {
        let arguments = match kind {
            Kind::Text | Kind::AreaKm2 => vec![DataType::UInt64],
            Kind::Parent => vec![DataType::UInt64, DataType::Int64],
            Kind::Cell => vec![DataType::Int64; 3],
            Kind::Metres => vec![DataType::Int64; 4],
            Kind::Near => vec![DataType::UInt64, DataType::Int64, DataType::Int64, DataType::Int64],
            Kind::StatusName => vec![DataType::UInt8],
        };
        Self { kind, signature: Signature::exact(arguments, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Text => "h3_text",
            Kind::Parent => "h3_parent",
            Kind::Cell => "h3_cell",
            Kind::AreaKm2 => "h3_area_km2",
            Kind::Metres => "metres",
            Kind::Near => "h3_near",
            Kind::StatusName => "status_name",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Text | Kind::StatusName => DataType::Utf8View,
            Kind::Parent | Kind::Cell => DataType::UInt64,
            Kind::AreaKm2 | Kind::Metres => DataType::Float64,
            Kind::Near => DataType::new_list(DataType::UInt64, true),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let kind = self.kind;
        make_scalar_function(move |arrays: &[ArrayRef]| Ok(apply(kind, arrays)), vec![])(&args.args)
    }
}

/// The signature has made each argument a column of the type that is read here.
fn apply(kind: Kind, arrays: &[ArrayRef]) -> ArrayRef {
    let rows = arrays.first().map_or(0, Array::len);
    match kind {
        Kind::Text => {
            let text = |row| cell(arrays, row).map(|cell| cell.to_string());
            Arc::new((0..rows).map(text).collect::<StringViewArray>())
        }
        Kind::Parent => {
            let parent = |row| cell(arrays, row)?.parent(resolution(arrays, 1, row)?).map(u64::from);
            Arc::new((0..rows).map(parent).collect::<UInt64Array>())
        }
        Kind::Cell => {
            let cell = |row| cell_at(point(arrays, 0, row)?, resolution(arrays, 2, row)?);
            Arc::new((0..rows).map(cell).collect::<UInt64Array>())
        }
        Kind::AreaKm2 => {
            let area = |row| cell(arrays, row).map(CellIndex::area_km2);
            Arc::new((0..rows).map(area).collect::<Float64Array>())
        }
        Kind::Metres => {
            let metres = |row| {
                let [a, b] = [point(arrays, 0, row)?, point(arrays, 2, row)?].map(Point::from);
                Some(a.distance_m(b))
            };
            Arc::new((0..rows).map(metres).collect::<Float64Array>())
        }
        Kind::Near => Arc::new(near(arrays, rows)),
        Kind::StatusName => {
            let name = |row| value::<UInt8Type>(arrays, 0, row).map(status_name);
            Arc::new((0..rows).map(name).collect::<StringViewArray>())
        }
    }
}

/// Rows beside one another are in one cell, often, whose neighbours are looked up once.
fn near(arrays: &[ArrayRef], rows: usize) -> ListArray {
    let mut around: Option<(CellIndex, Vec<(u64, Point)>)> = None;
    let mut lists = ListBuilder::new(UInt64Builder::new());
    for row in 0..rows {
        let metres = value::<Int64Type>(arrays, 3, row);
        let asked = cell(arrays, row).zip(point(arrays, 1, row)).zip(metres);
        if let Some(((cell, at), metres)) = asked {
            if around.as_ref().is_none_or(|(of, _)| *of != cell) {
                around = Some((cell, middles_around(cell)));
            }
            let at = Point::from(at);
            let middles = around.iter().flat_map(|(_, middles)| middles);
            #[expect(clippy::cast_precision_loss, reason = "of metres on earth there are few")]
            let near = middles.filter(|(_, middle)| middle.distance_m(at) <= metres as f64);
            near.for_each(|(cell, _)| lists.values().append_value(*cell));
        }
        lists.append(asked.is_some());
    }
    lists.finish()
}

/// A cell and those around it, each with its middle.
fn middles_around(cell: CellIndex) -> Vec<(u64, Point)> {
    let cells = cell.grid_disk::<Vec<_>>(1).into_iter();
    cells.filter_map(|cell| Some((u64::from(cell), Point::from(middle(cell)?)))).collect()
}

/// The H3 cell of a point, as a number.
pub fn cell_at(at: LatLon, resolution: Resolution) -> Option<u64> {
    LatLng::new(at.lat(), at.lon()).ok().map(|at| at.to_cell(resolution).into())
}

fn status_name(number: u8) -> &'static str {
    match ReportedStatus::from_number(number) {
        ReportedStatus::Unsaid => "unsaid",
        ReportedStatus::Free => "free",
        ReportedStatus::Occupied => "occupied",
        ReportedStatus::Off => "off",
        ReportedStatus::Answering => "answering",
        ReportedStatus::Oncoming => "oncoming",
        ReportedStatus::Other => "other",
    }
}

fn value<T: ArrowPrimitiveType>(arrays: &[ArrayRef], argument: usize, row: usize) -> Option<T::Native> {
    let array: &PrimitiveArray<T> = arrays.get(argument)?.as_primitive_opt()?;
    array.is_valid(row).then(|| array.value(row))
}

fn cell(arrays: &[ArrayRef], row: usize) -> Option<CellIndex> {
    CellIndex::try_from(value::<UInt64Type>(arrays, 0, row)?).ok()
}

fn resolution(arrays: &[ArrayRef], argument: usize, row: usize) -> Option<Resolution> {
    let number = u8::try_from(value::<Int64Type>(arrays, argument, row)?).ok()?;
    Resolution::try_from(number).ok()
}

fn point(arrays: &[ArrayRef], argument: usize, row: usize) -> Option<LatLon> {
    let coordinate = |argument| i32::try_from(value::<Int64Type>(arrays, argument, row)?).ok();
    LatLon::from_e7(coordinate(argument)?, coordinate(argument + 1)?).ok()
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn ask(sql: &str) -> String {
        let context = SessionContext::new();
        all().for_each(|function| context.register_udf(function));
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string()
    }

    #[tokio::test]
    async fn cells_are_told_as_text_and_by_the_coarser_ones_around_them() {
        let told = ask("WITH paris AS (SELECT h3_cell(488566000, 23522000, 8) AS cell)
             SELECT h3_text(cell) AS cell, h3_text(h3_parent(cell, 5)) AS parent, h3_parent(cell, 9) AS finer,
                    h3_area_km2(cell) BETWEEN 0.5 AND 1 AS area, h3_text(arrow_cast(7, 'UInt64')) AS none
             FROM paris")
        .await;
        let expected = "\
+-----------------+-----------------+-------+------+------+
| cell            | parent          | finer | area | none |
+-----------------+-----------------+-------+------+------+
| 881fb46625fffff | 851fb467fffffff |       | true |      |
+-----------------+-----------------+-------+------+------+";
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn cells_are_near_a_point_by_their_middle() {
        let middles = middles_around(CellIndex::try_from(0x0881_fb46_625f_ffff).unwrap());
        assert_eq!(middles.len(), 7);
        // In the middle of the cell there is one; half way to the next one there are two.
        let [here, there] = [0, 1].map(|at| middle(CellIndex::try_from(middles[at].0).unwrap()).unwrap());
        let between = |a: i32, b: i32| a + (b - a) / 2;
        let half = (between(here.lat_e7(), there.lat_e7()), between(here.lon_e7(), there.lon_e7()));
        for ((lat, lon), metres, expected) in [
            ((here.lat_e7(), here.lon_e7()), 500, &middles[..1]),
            (half, 300, &[][..]),
            (half, 500, &middles[..2]),
            (half, 2_000, &middles[..]),
        ] {
            let sql = format!(
                "SELECT unnest(h3_near(h3_cell({}, {}, 8), {lat}, {lon}, {metres})) AS near",
                here.lat_e7(),
                here.lon_e7()
            );
            let told = ask(&sql).await;
            assert_eq!(
                told.lines().filter(|line| line.starts_with("| 61")).count(),
                expected.len(),
                "{told}"
            );
            assert!(expected.iter().all(|(cell, _)| told.contains(&cell.to_string())), "{told}");
        }
        assert!(ask("SELECT h3_near(NULL, 0, 0, 1) IS NULL AS unknown").await.contains("true"));
    }

    #[tokio::test]
    async fn distances_are_those_of_the_search_and_statuses_have_names() {
        let told = ask("SELECT round(metres(488500000, 23500000, 488600000, 23500000)) AS m,
                    metres(NULL, 0, 0, 0) AS unknown, metres(2000000000, 0, 0, 0) AS nowhere, s, status_name(s) AS name
             FROM (SELECT arrow_cast(n, 'UInt8') AS s FROM (VALUES (0), (1), (2), (3), (4), (5), (200)) AS t (n))
             ORDER BY s")
        .await;
        assert!(told.contains("| 1112.0 |         |         | 0   | unsaid    |"), "{told}");
        for line in ["| 1   | free", "| 2   | occupied", "| 5   | oncoming", "| 200 | other"] {
            assert!(told.contains(line), "{told}");
        }
    }
}
