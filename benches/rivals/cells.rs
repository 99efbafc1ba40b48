//! H3 cells as tables, for a rival that has none.

use std::sync::Arc;

use analytics::cells;
use anyhow::Context as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use engine::territory::Territory;
use h3o::{CellIndex, LatLng};

/// The cells of all towns, with the town: columns `cell` and `insee`. Takes seconds for a country.
pub fn of_towns(territory: &Territory) -> anyhow::Result<RecordBatch> {
    let (mut numbers, mut towns) = (Vec::new(), Vec::new());
    for town in territory.towns() {
        for cell in cells::of(territory, town) {
            numbers.push(cell);
            towns.push(town.insee.as_str());
        }
    }
    let columns: [(&str, ArrayRef); 2] =
        [("cell", Arc::new(UInt64Array::from(numbers))), ("insee", Arc::new(StringArray::from(towns)))];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// Of cells, in the first column of what an engine answered, those around: columns `middle_of`, `beside`, and `lat` and
/// `lon` of its middle in radians.
pub fn rings(answer: &[RecordBatch]) -> anyhow::Result<RecordBatch> {
    let (mut middles, mut besides, mut lats, mut lons) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for batch in answer {
        let cells = batch.column(0).as_primitive_opt::<UInt64Type>().context("cells")?;
        for &cell in cells.values() {
            for beside in CellIndex::try_from(cell)?.grid_disk::<Vec<_>>(1) {
                let middle = LatLng::from(beside);
                middles.push(cell);
                besides.push(u64::from(beside));
                lats.push(middle.lat_radians());
                lons.push(middle.lng_radians());
            }
        }
    }
    let columns: [(&str, ArrayRef); 4] = [
        ("middle_of", Arc::new(UInt64Array::from(middles))),
        ("beside", Arc::new(UInt64Array::from(besides))),
        ("lat", Arc::new(Float64Array::from(lats))),
        ("lon", Arc::new(Float64Array::from(lons))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}
