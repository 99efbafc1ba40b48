//! H3 cells as others draw them: `GeoParquet` 1.1, a polygon a row in WKB.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use h3o::{CellIndex, LatLng};
use serde_json::json;

const GEOMETRY: &str = "geometry";

/// The rows with a column of shapes, and what `GeoParquet` says of it.
pub(super) fn with_shapes(
    rows: &RecordBatch,
    shapes: impl Iterator<Item = Vec<u8>>,
) -> Result<RecordBatch, ArrowError> {
    // Without a coordinate system it is longitude and latitude in degrees, WGS 84.
    let column = json!({"encoding": "WKB", "geometry_types": ["Polygon"], "orientation": "counterclockwise"});
    let geo = json!({"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}});
    let schema = rows.schema();
    let fields = schema.fields().iter().map(|field| field.as_ref().clone());
    let fields: Vec<_> = fields.chain([Field::new(GEOMETRY, DataType::Binary, false)]).collect();
    let schema = Schema::new_with_metadata(fields, [("geo".to_owned(), geo.to_string())].into());
    let shapes = Arc::new(BinaryArray::from_iter_values(shapes)) as ArrayRef;
    let columns = rows.columns().iter().cloned().chain([shapes]).collect();
    RecordBatch::try_new(Arc::new(schema), columns)
}

/// A cell's land as a polygon in WKB: its corners counterclockwise, the first once more at the end.
pub(super) fn wkb(cell: CellIndex) -> Vec<u8> {
    const LITTLE_ENDIAN: u8 = 1;
    const POLYGON: u32 = 3;
    const RINGS: u32 = 1;
    let boundary = cell.boundary();
    let corners: Vec<LatLng> = boundary.iter().chain(boundary.first()).copied().collect();
    let points = u32::try_from(corners.len()).unwrap_or_default();
    let mut bytes = vec![LITTLE_ENDIAN];
    bytes.extend([POLYGON, RINGS, points].into_iter().flat_map(u32::to_le_bytes));
    for corner in corners {
        bytes.extend([corner.lng(), corner.lat()].into_iter().flat_map(f64::to_le_bytes));
    }
    bytes
}
