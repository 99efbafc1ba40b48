//! Where the columns of a batch are, and the values in them.

use std::ops::Range;

use arrow_ipc::{Endianness, Field, Precision, RecordBatch, Schema, TimeUnit, Type};

use super::BadStream;
use crate::clock::Millis;
use crate::limits::MAX_ARROW_ROWS;

/// The columns that there are, in the order of [`Row`]'s fields; the first three are never left out.
const NAMES: [&str; 8] = ["taxi", "lat", "lon", "speed", "heading", "accuracy", "timestamp", "status"];
const REQUIRED: usize = 3;

/// How a column's values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// UTF-8 texts, after their offsets of so many bytes.
    Text { offsets: usize },
    /// Numbers of four bytes.
    Single,
    /// Numbers of eight bytes.
    Double,
    /// Instants in so many parts of a second.
    Instant { per_s: i64 },
}

/// How the columns of a stream are written, by their places in it: which one of [`NAMES`], and how.
#[derive(Debug)]
pub(super) struct Layout(Vec<(usize, Kind)>);

impl Layout {
    /// Of a stream with this schema.
    pub(super) fn of(schema: Schema<'_>) -> Result<Self, BadStream> {
        let mut layout = Vec::with_capacity(NAMES.len());
        if schema.endianness() != Endianness::Little {
            return Err(BadStream::Damaged);
        }
        for field in schema.fields().into_iter().flatten() {
            let name = field.name().unwrap_or_default();
            let wrong = || BadStream::Column(name.chars().take(MAX_NAME).collect());
            let column = NAMES.iter().position(|known| *known == name).ok_or_else(wrong)?;
            if layout.iter().any(|(known, _)| *known == column) {
                return Err(wrong());
            }
            layout.push((column, kind(&field, column).ok_or_else(wrong)?));
        }
        match (0..REQUIRED).find(|column| layout.iter().all(|(known, _)| known != column)) {
            Some(missing) => Err(BadStream::Missing(NAMES[missing])),
            None => Ok(Self(layout)),
        }
    }

    /// How many rows a batch has, and where in its columns' bytes each of [`NAMES`] is.
    pub(super) fn place(&self, batch: RecordBatch<'_>, bytes: &[u8]) -> Result<(usize, Places), BadStream> {
        if batch.compression().is_some() {
            return Err(BadStream::Compressed);
        }
        let rows = usize::try_from(batch.length()).map_err(|_| BadStream::Lengths)?;
        if rows > MAX_ARROW_ROWS {
            return Err(BadStream::TooManyRows);
        }
        let mut nodes = batch.nodes().into_iter().flatten();
        let mut buffers = batch.buffers().into_iter().flatten().map(|buffer| {
            let (start, length) = (usize::try_from(buffer.offset()), usize::try_from(buffer.length()));
            let (start, length) = (start.ok()?, length.ok()?);
            let range = start..start.checked_add(length)?;
            bytes.get(range.clone()).map(|bytes| (range, bytes))
        });
        let mut next = || buffers.next().flatten().ok_or(BadStream::Lengths);
        let mut places = Places::default();
        for (column, kind) in &self.0 {
            let node = nodes.next().ok_or(BadStream::Lengths)?;
            let nulls = usize::try_from(node.null_count()).map_err(|_| BadStream::Lengths)?;
            let (there, bits) = next()?;
            let (values, fixed) = next()?;
            let texts = if matches!(kind, Kind::Text { .. }) { Some(next()?) } else { None };
            let is_sound = usize::try_from(node.length()) == Ok(rows)
                && (nulls == 0 || bits.len() >= rows.div_ceil(8))
                && match (kind, &texts) {
                    (Kind::Text { offsets }, Some((_, texts))) => {
                        are_offsets(fixed, *offsets, rows, texts.len())
                    }
                    (Kind::Single, _) => fixed.len() >= 4 * rows,
                    _ => fixed.len() >= 8 * rows,
                };
            if !is_sound {
                return Err(BadStream::Lengths);
            }
            let texts = texts.map_or(0..0, |(range, _)| range);
            places[*column] = Some(Place { kind: *kind, there: (nulls > 0).then_some(there), values, texts });
        }
        if nodes.next().is_some() || buffers.next().is_some() {
            return Err(BadStream::Lengths);
        }
        Ok((rows, places))
    }
}

/// Characters of a column's name that are repeated to whoever sent it.
const MAX_NAME: usize = 64;

fn kind(field: &Field<'_>, column: usize) -> Option<Kind> {
    if field.dictionary().is_some() || field.children().is_some_and(|children| !children.is_empty()) {
        return None;
    }
    let kind = match field.type_type() {
        Type::Utf8 => Kind::Text { offsets: 4 },
        Type::LargeUtf8 => Kind::Text { offsets: 8 },
        Type::FloatingPoint => match field.type_as_floating_point()?.precision() {
            Precision::SINGLE => Kind::Single,
            Precision::DOUBLE => Kind::Double,
            _ => return None,
        },
        Type::Timestamp => {
            let per_s = match field.type_as_timestamp()?.unit() {
                TimeUnit::SECOND => 1,
                TimeUnit::MILLISECOND => 1_000,
                TimeUnit::MICROSECOND => 1_000_000,
                TimeUnit::NANOSECOND => 1_000_000_000,
                _ => return None,
            };
            Kind::Instant { per_s }
        }
        _ => return None,
    };
    let is_text = matches!(kind, Kind::Text { .. });
    let is_right = match NAMES[column] {
        "taxi" | "status" => is_text,
        "timestamp" => matches!(kind, Kind::Instant { .. }),
        _ => matches!(kind, Kind::Single | Kind::Double),
    };
    is_right.then_some(kind)
}

/// Whether these bytes are the offsets of so many texts that lie one after the other within so many bytes.
fn are_offsets(bytes: &[u8], width: usize, rows: usize, texts: usize) -> bool {
    let mut last = 0;
    // Of no texts there may be no offsets either.
    rows == 0
        || (0..=rows).all(|at| {
            let is_in_order = offset(bytes, width, at).is_some_and(|at| last <= at && at <= texts);
            last = offset(bytes, width, at).unwrap_or_default();
            is_in_order
        })
}

fn offset(bytes: &[u8], width: usize, at: usize) -> Option<usize> {
    let bytes = bytes.get(at * width..)?;
    match width {
        4 => usize::try_from(i32::from_le_bytes(*bytes.first_chunk()?)).ok(),
        _ => usize::try_from(i64::from_le_bytes(*bytes.first_chunk()?)).ok(),
    }
}

/// Where a column's values are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    kind: Kind,
    /// A bit for each row, set where there is a value; None: all are there.
    there: Option<Range<usize>>,
    /// Numbers, instants, or the offsets of texts.
    values: Range<usize>,
    texts: Range<usize>,
}

/// Where the columns are, in the order of [`NAMES`].
pub(super) type Places = [Option<Place>; NAMES.len()];

/// One batch.
#[derive(Debug)]
pub struct Rows<'a> {
    columns: &'a [u8],
    len: usize,
    places: Places,
}

/// One row, not checked: each value as it was sent, None where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// The taxi's public id, if it is UTF-8.
    pub taxi: Option<&'a [u8]>,
    /// Latitude in degrees.
    pub lat: Option<f64>,
    /// Longitude in degrees.
    pub lon: Option<f64>,
    /// Speed over ground in m/s.
    pub speed: Option<f64>,
    /// Degrees clockwise from true north.
    pub heading: Option<f64>,
    /// Radius of confidence in metres.
    pub accuracy: Option<f64>,
    /// When the device was there.
    pub timestamp: Option<Millis>,
    /// What the device says of its status, if it is UTF-8.
    pub status: Option<&'a [u8]>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(columns: &'a [u8], len: usize, places: Places) -> Self {
        Self { columns, len, places }
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'a>> {
        (0..self.len).map(|row| Row {
            taxi: self.text(0, row),
            lat: self.number(1, row),
            lon: self.number(2, row),
            speed: self.number(3, row),
            heading: self.number(4, row),
            accuracy: self.number(5, row),
            timestamp: self.instant(6, row),
            status: self.text(7, row),
        })
    }

    fn place(&self, column: usize, row: usize) -> Option<&Place> {
        let place = self.places[column].as_ref()?;
        let is_there = place
            .there
            .as_ref()
            .is_none_or(|bits| self.bytes(bits).get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1));
        is_there.then_some(place)
    }

    fn text(&self, column: usize, row: usize) -> Option<&'a [u8]> {
        let place = self.place(column, row)?;
        let Kind::Text { offsets } = place.kind else { return None };
        let at = |row| offset(self.bytes(&place.values), offsets, row);
        self.bytes(&place.texts).get(at(row)?..at(row + 1)?)
    }

    fn number(&self, column: usize, row: usize) -> Option<f64> {
        let place = self.place(column, row)?;
        let values = self.bytes(&place.values);
        match place.kind {
            Kind::Single => Some(f64::from(f32::from_le_bytes(*values.get(4 * row..)?.first_chunk()?))),
            Kind::Double => Some(f64::from_le_bytes(*values.get(8 * row..)?.first_chunk()?)),
            Kind::Text { .. } | Kind::Instant { .. } => None,
        }
    }

    fn instant(&self, column: usize, row: usize) -> Option<Millis> {
        let place = self.place(column, row)?;
        let Kind::Instant { per_s } = place.kind else { return None };
        let parts = i64::from_le_bytes(*self.bytes(&place.values).get(8 * row..)?.first_chunk()?);
        // Of seconds that no i64 has milliseconds of, the greatest: its time is wrong anyway.
        Some(Millis(if per_s < 1_000 {
            parts.saturating_mul(1_000)
        } else {
            parts.div_euclid(per_s / 1_000)
        }))
    }

    fn bytes(&self, range: &Range<usize>) -> &'a [u8] {
        self.columns.get(range.clone()).unwrap_or_default()
    }
}
