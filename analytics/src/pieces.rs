//! Rows in pieces that can be written down. A text that stands in memory once may stand in every row of an answer, and
//! the name of a column does in JSON.

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::DataType;

use crate::limits::{ANSWER_PIECE_BYTES, ANSWER_ROW_BYTES};

/// What a value takes at most that is no text.
const VALUE_BYTES: usize = 32;

/// The pieces of a batch, each of about [`ANSWER_PIECE_BYTES`] once it is written; None where a row in the mean is
/// longer than [`ANSWER_ROW_BYTES`].
pub(crate) fn pieces(batch: &RecordBatch) -> Option<impl Iterator<Item = RecordBatch> + use<'_>> {
    let rows = batch.num_rows();
    let names: usize = batch.schema().fields().iter().map(|field| field.name().len() + VALUE_BYTES).sum();
    let texts: usize = batch.columns().iter().map(text_bytes).sum();
    let of_a_row = names + texts.checked_div(rows).unwrap_or(0);
    let in_a_piece = (ANSWER_PIECE_BYTES / of_a_row.max(1)).max(1);
    (of_a_row <= ANSWER_ROW_BYTES).then(|| {
        (0..rows).step_by(in_a_piece).map(move |from| batch.slice(from, in_a_piece.min(rows - from)))
    })
}

/// The length of a column's texts.
fn text_bytes(column: &ArrayRef) -> usize {
    let between = |offsets: &[i32]| match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => usize::try_from(last - first).unwrap_or(0),
        _ => 0,
    };
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().iter().flatten().map(str::len).sum(),
        DataType::Utf8 => between(column.as_string::<i32>().value_offsets()),
        DataType::Binary => between(column.as_binary::<i32>().value_offsets()),
        DataType::LargeUtf8 => column.as_string::<i64>().iter().flatten().map(str::len).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Int64Array, StringArray, StringViewArray};

    use super::*;

    fn batch(text: &str, rows: usize) -> RecordBatch {
        let viewed = Arc::new(StringViewArray::from(vec![text; rows])) as ArrayRef;
        let numbers = Arc::new(Int64Array::from_value(1, rows)) as ArrayRef;
        let texts = Arc::new(StringArray::from(vec![text; rows])) as ArrayRef;
        RecordBatch::try_from_iter([("a", viewed), ("b", numbers), ("c", texts)]).unwrap()
    }

    #[test]
    fn long_rows_come_in_small_pieces_and_short_ones_together() {
        let whole = batch("x", 8_192);
        let small: Vec<_> = pieces(&whole).unwrap().collect();
        assert_eq!(small, [whole]);
        let text = "x".repeat(ANSWER_ROW_BYTES / 4);
        let whole = batch(&text, 100);
        let large: Vec<_> = pieces(&whole).unwrap().collect();
        assert!(large.len() > 1);
        assert!(large.iter().all(|piece| piece.num_rows() * 2 * text.len() <= ANSWER_PIECE_BYTES));
        assert_eq!(large.iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
        assert!(pieces(&batch(&"x".repeat(ANSWER_ROW_BYTES), 2)).is_none());
    }

    #[test]
    fn a_slice_is_as_long_as_its_own_texts() {
        let whole = batch(&"x".repeat(1_000), 4);
        let lengths = |batch: &RecordBatch| batch.columns().iter().map(text_bytes).collect::<Vec<_>>();
        assert_eq!(lengths(&whole), [4_000, 0, 4_000]);
        assert_eq!(lengths(&whole.slice(1, 2)), [2_000, 0, 2_000]);
    }
}
