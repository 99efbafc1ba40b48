//! What SQL may ask beside what `DataFusion` knows: of H3 cells, of distances, and of statuses as words.
//!
//! | function                                  | answer                                                        |
//! |-------------------------------------------|---------------------------------------------------------------|
//! | `h3_text(cell)`                           | the cell as others write it, `881fb46625fffff`                |
//! | `h3_parent(cell, resolution)`             | the coarser cell around it; null: that is no coarser one      |
//! | `h3_cell(lat_e7, lon_e7, resolution)`     | the cell of a point                                           |
//! | `h3_area_km2(cell)`                       | its area                                                      |
//! | `metres(lat_e7, lon_e7, lat_e7, lon_e7)`  | between two points, on the ellipsoid                          |
//! | `status_name(status)`                     | the word of an archived position's status                     |
//!
//! Where an argument is null or names nothing, so does the answer.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, Float64Array, PrimitiveArray, StringViewArray, UInt64Array,
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

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = ScalarUDF> {
    let kinds = [Kind::Text, Kind::Parent, Kind::Cell, Kind::AreaKm2, Kind::Metres, Kind::StatusName];
    kinds.into_iter().map(|kind| ScalarUDF::new_from_impl(Function::new(kind)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Text,
    Parent,
    Cell,
    AreaKm2,
    Metres,
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
        Kind::StatusName => {
            let name = |row| value::<UInt8Type>(arrays, 0, row).map(status_name);
            Arc::new((0..rows).map(name).collect::<StringViewArray>())
        }
    }
}

/// The H3 cell of a point, as a number.
pub(crate) fn cell_at(at: LatLon, resolution: Resolution) -> Option<u64> {
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
