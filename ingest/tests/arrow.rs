//! Arrow IPC streams: what Arrow's own writer makes of positions, in pieces, and what others make of that.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::Arc;

use arrow_array::{
    ArrayRef, DictionaryArray, Float32Array, Float64Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampSecondArray, types::Int32Type,
};
use arrow_ipc::writer::StreamWriter;
use ingest::clock::Millis;
use ingest::limits::{MAX_ARROW_BODY, MAX_ARROW_METADATA, MAX_ARROW_ROWS, MAX_EMPTY_BATCHES};
use ingest::wire::arrow::{BadStream, Row, Stream};
use proptest::collection::vec;
use proptest::prelude::*;

/// A row that outlives its stream.
#[derive(Clone, Debug, PartialEq)]
struct Owned {
    texts: [Option<Vec<u8>>; 2],
    numbers: [Option<f64>; 5],
    timestamp: Option<Millis>,
}

impl Owned {
    fn of(row: Row<'_>) -> Self {
        Self {
            texts: [row.taxi, row.status].map(|text| text.map(<[u8]>::to_vec)),
            numbers: [row.lat, row.lon, row.speed, row.heading, row.accuracy],
            timestamp: row.timestamp,
        }
    }
}

/// What a stream that comes in these pieces says until it ends or breaks.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Owned>, Result<(), BadStream>) {
    let (mut stream, mut rows) = (Stream::default(), Vec::new());
    for piece in pieces {
        stream.push(piece);
        loop {
            match stream.next_batch() {
                Ok(Some(batch)) => {
                    assert_eq!(batch.iter().count(), batch.len());
                    rows.extend(batch.iter().map(Owned::of));
                }
                Ok(None) => break,
                Err(error) => return (rows, Err(error)),
            }
        }
    }
    (rows, stream.finish())
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.iter().map(|(name, column)| (*name, column.clone(), true)),
    )
    .unwrap()
}

/// The columns that there must be, of so many rows.
fn least(rows: usize) -> [(&'static str, ArrayRef); 3] {
    let taxis: StringArray = (0..rows).map(|row| Some(format!("taxi-{row}"))).collect();
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let lat: Float64Array = (0..rows).map(|row| Some(48.0 + row as f64 / 1e5)).collect();
    [("taxi", Arc::new(taxis)), ("lat", Arc::new(lat.clone())), ("lon", Arc::new(lat))]
}

/// A whole one, of three rows: all said, little said, nothing said.
fn example() -> RecordBatch {
    batch(&[
        ("status", Arc::new(LargeStringArray::from(vec![Some("free"), None, None]))),
        (
            "timestamp",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(-1_500), None, None]).with_timezone("Europe/Paris"),
            ),
        ),
        ("lon", Arc::new(Float64Array::from(vec![Some(2.35), Some(f64::NAN), None]))),
        ("taxi", Arc::new(StringArray::from(vec![Some("é"), Some(""), None]))),
        ("speed", Arc::new(Float32Array::from(vec![Some(8.25), None, None]))),
        ("lat", Arc::new(Float64Array::from(vec![Some(48.86), Some(91.0), None]))),
        ("heading", Arc::new(Float64Array::from(vec![Some(271.5), None, None]))),
        ("accuracy", Arc::new(Float64Array::from(vec![Some(4.0), None, None]))),
    ])
}

#[test]
fn every_column_is_read_in_whatever_order_and_type() {
    let (rows, end) = read([stream(&[example()]).as_slice()]);
    assert_eq!(end, Ok(()));
    let first = Owned {
        texts: [Some("é".into()), Some(b"free".to_vec())],
        numbers: [Some(48.86), Some(2.35), Some(8.25), Some(271.5), Some(4.0)],
        timestamp: Some(Millis(-2)),
    };
    assert_eq!((rows.len(), &rows[0]), (3, &first));
    assert_eq!((rows[1].texts.clone(), rows[1].numbers[0]), ([Some(vec![]), None], Some(91.0)));
    assert!(rows[1].numbers[1].unwrap().is_nan());
    let nothing = Owned { texts: [None, None], numbers: [None; 5], timestamp: None };
    assert_eq!(rows[2], nothing);
    let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1_790_000_000]));
    let (rows, _) = read([stream(&[batch(&[&least(1)[..], &[("timestamp", seconds)]].concat())]).as_slice()]);
    assert_eq!(rows[0].timestamp, Some(Millis(1_790_000_000_000)));
}

#[test]
fn a_stream_may_be_of_no_rows_and_end_with_or_without_a_mark() {
    let whole = stream(&[batch(&least(0)), batch(&least(2))]);
    assert_eq!(read([whole.as_slice()]).0.len(), 2);
    let unmarked = &whole[..whole.len() - 8];
    assert_eq!(read([unmarked]), (read([whole.as_slice()]).0, Ok(())));
    assert_eq!(read([&whole[..whole.len() - 9]]).1, Err(BadStream::CutOff));
    assert_eq!(read([whole.as_slice(), b"x"]).1, Err(BadStream::CutOff), "not a message yet");
    assert_eq!(read([whole.as_slice(), whole.as_slice()]).1, Err(BadStream::Trailing));
    assert_eq!(read([]).1, Err(BadStream::CutOff));
}

#[test]
fn few_batches_may_be_of_no_rows() {
    let mut batches = vec![batch(&least(0)); MAX_EMPTY_BATCHES];
    batches.push(batch(&least(1)));
    assert_eq!(
        (read([stream(&batches).as_slice()]).0.len(), read([stream(&batches).as_slice()]).1),
        (1, Ok(()))
    );
    batches.push(batch(&least(0)));
    let (rows, end) = read([stream(&batches).as_slice()]);
    assert_eq!((rows.len(), end), (1, Err(BadStream::Empty)), "what came before was read");
}

#[test]
fn many_small_batches_that_come_at_once_are_not_copied() {
    let whole = stream(&vec![batch(&least(1)); 3_000]);
    let (mut stream, mut rows) = (Stream::default(), 0);
    let allocated = allocation_counter::measure(|| {
        for piece in [&whole[..100], &whole[100..]] {
            stream.push(piece);
            while let Some(batch) = stream.next_batch().unwrap() {
                rows += batch.len();
            }
        }
    });
    assert_eq!((rows, stream.finish()), (3_000, Ok(())));
    assert!(allocated.bytes_total < 2 * whole.len() as u64, "{allocated:?} for {} bytes", whole.len());
}

#[test]
fn what_is_no_stream_of_positions_says_why() {
    let with =
        |name: &'static str, column: ArrayRef| stream(&[batch(&[&least(1)[..], &[(name, column)]].concat())]);
    let numbers = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let column = |name: &str| Err(BadStream::Column(name.to_owned()));
    assert_eq!(read([with("colour", numbers()).as_slice()]).1, column("colour"));
    assert_eq!(read([with("speed", numbers()).as_slice()]).1, column("speed"));
    assert_eq!(read([with("timestamp", numbers()).as_slice()]).1, column("timestamp"));
    let status: DictionaryArray<Int32Type> = vec!["free"].into_iter().collect();
    assert_eq!(read([with("status", Arc::new(status)).as_slice()]).1, column("status"));
    assert_eq!(read([stream(&[batch(&least(1)[..2])]).as_slice()]).1, Err(BadStream::Missing("lon")));
    assert_eq!(read([&b"{\"taxi\": 1}"[..]]).1, Err(BadStream::Mark));
    let many = stream(&[batch(&least(1)), batch(&least(MAX_ARROW_ROWS + 1))]);
    let (rows, end) = read([many.as_slice()]);
    assert_eq!((rows.len(), end), (1, Err(BadStream::TooManyRows)), "what came before was read");
}

#[test]
fn lengths_that_lie_are_refused_before_anything_comes() {
    let mut claims = vec![0xff; 4];
    claims.extend(u32::try_from(MAX_ARROW_METADATA + 1).unwrap().to_le_bytes());
    assert_eq!(read([claims.as_slice()]).1, Err(BadStream::TooLarge));
    let long: StringArray = (0..20).map(|_| Some("x".repeat(MAX_ARROW_BODY / 16))).collect();
    let large = stream(&[batch(&[&least(20)[..], &[("status", Arc::new(long) as ArrayRef)]].concat())]);
    // The description of the columns is enough.
    assert_eq!(read([&large[..4_096]]).1, Err(BadStream::TooLarge));
}

proptest! {
    #[test]
    fn pieces_make_no_difference(size in 1_usize..600) {
        let whole = stream(&[batch(&least(5)), batch(&least(40))]);
        prop_assert_eq!(read(whole.chunks(size)), read([whole.as_slice()]));
    }

    /// Whatever is changed, rows are read or the stream is refused.
    #[test]
    fn no_damage_panics(
        changes in vec((0_usize..4_000, any::<u8>()), 1..8),
        cut in 0_usize..6_000,
        size in 1_usize..6_000,
    ) {
        let mut bytes = stream(&[example(), example()]);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(cut.max(8));
        let (rows, _) = read(bytes.chunks(size));
        prop_assert!(rows.len() <= 2 * MAX_ARROW_ROWS);
    }
}
