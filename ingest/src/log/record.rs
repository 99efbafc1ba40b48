//! A record as bytes: a header, then the batch as an encapsulated Arrow IPC message without its schema.
//!
//! | bytes   | what                                                                      |
//! |---------|---------------------------------------------------------------------------|
//! | 0..4    | `mrd` and a zero                                                          |
//! | 4..6    | version of the schema ([`crate::batch`], [`crate::searches`]), u16        |
//! | 6..8    | kind of the entries, u16: 0 positions, 1 searches                         |
//! | 8..16   | append time in ms since 1970, i64                                         |
//! | 16..20  | rows, u32                                                                 |
//! | 20..24  | CRC-32 of all other bytes, u32                                            |
//! | 24..    | the message: ff ff ff ff, length of the metadata (u32), metadata, columns |
//!
//! Numbers are little-endian. The checksum finds every single flipped byte; nothing after it is believed anyway, as
//! the Arrow library trusts the lengths in a message.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::read_record_batch;
use arrow_ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow_ipc::{MetadataVersion, root_as_message};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use thiserror::Error;

use super::Entry;
use crate::batch::BadBatch;
use crate::clock::Millis;
use crate::limits::{MAX_RECORD_BYTES, MAX_RECORD_ROWS};

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// The record is not there, though its neighbours are.
    #[error("it is missing")]
    Missing,
    /// It does not begin as a record does, or ends too soon.
    #[error("its header is not that of a record")]
    Header,
    /// It has entries of another kind than its log.
    #[error("it belongs to a log of another kind ({0})")]
    Kind(u16),
    /// A later version of the program wrote it.
    #[error(
        "it was written with version {0} of the schema, which this program does not know; use a later one"
    )]
    Version(u16),
    /// Its bytes are not those that were written.
    #[error("its checksum is wrong")]
    Checksum,
    /// Its message is not a batch of so many rows.
    #[error("its message is not a batch of its rows")]
    Message,
    /// Its rows are not entries.
    #[error(transparent)]
    Batch(#[from] BadBatch),
}

/// The bytes of a record of some entries.
pub fn encode<E: Entry>(entries: &[E], appended_at: Millis) -> Result<Vec<u8>, ArrowError> {
    let batch = E::encode(entries);
    let rows = u32::try_from(batch.num_rows()).map_err(|_| ArrowError::IpcError("too many rows".into()))?;
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    let (_, message) = IpcDataGenerator::default().encode(
        &batch,
        &mut DictionaryTracker::new(false),
        &options,
        &mut IpcWriteContext::default(),
    )?;
    let mut bytes =
        Vec::with_capacity(HEADER + PREFIX + message.ipc_message.len() + message.arrow_data.len() + 8);
    bytes.extend(MAGIC);
    bytes.extend(E::VERSION.to_le_bytes());
    bytes.extend(E::KIND.to_le_bytes());
    bytes.extend(appended_at.0.to_le_bytes());
    bytes.extend(rows.to_le_bytes());
    bytes.extend([0; 4]);
    write_message(&mut bytes, message, &options)?;
    let checksum = checksum(&bytes);
    bytes[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

/// The entries of a record, and when it was appended. Never panics, whatever the bytes.
pub fn decode<E: Entry>(bytes: &[u8]) -> Result<(Millis, Vec<E>), Damage> {
    let header = Header::read(bytes)?;
    let schema = header.schema::<E>(bytes)?;
    if checksum(bytes) != header.checksum {
        return Err(Damage::Checksum);
    }
    let batch = message(&bytes[HEADER..], header.rows, schema).ok_or(Damage::Message)?;
    Ok((header.appended_at, E::decode(&batch)?))
}

/// When a record was appended, by its header alone.
pub(super) fn appended_at(bytes: &[u8]) -> Result<Millis, Damage> {
    Header::read(bytes).map(|header| header.appended_at)
}

const MAGIC: [u8; 4] = *b"mrd\0";
const HEADER: usize = 24;
const CHECKSUM: std::ops::Range<usize> = 20..24;
/// Columns start at multiples of this, as Arrow asks for at least.
const ALIGNMENT: usize = 8;
/// A message's continuation mark and the length of its metadata.
const PREFIX: usize = 8;

struct Header {
    version: u16,
    kind: u16,
    appended_at: Millis,
    rows: usize,
    checksum: u32,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Damage> {
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(Damage::Header)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(Damage::Header)?;
        let (kind, rest) = rest.split_first_chunk::<2>().ok_or(Damage::Header)?;
        let (appended_at, rest) = rest.split_first_chunk::<8>().ok_or(Damage::Header)?;
        let (rows, rest) = rest.split_first_chunk::<4>().ok_or(Damage::Header)?;
        let (checksum, _) = rest.split_first_chunk::<4>().ok_or(Damage::Header)?;
        if *magic != MAGIC {
            return Err(Damage::Header);
        }
        Ok(Self {
            version: u16::from_le_bytes(*version),
            kind: u16::from_le_bytes(*kind),
            appended_at: Millis(i64::from_le_bytes(*appended_at)),
            rows: u32::from_le_bytes(*rows) as usize,
            checksum: u32::from_le_bytes(*checksum),
        })
    }

    /// The schema of the record's message, where the header is one of such entries.
    fn schema<E: Entry>(&self, bytes: &[u8]) -> Result<SchemaRef, Damage> {
        if self.kind != E::KIND {
            // A flipped bit makes no other log.
            let is_whole = checksum(bytes) == self.checksum;
            return Err(if is_whole { Damage::Kind(self.kind) } else { Damage::Checksum });
        }
        let schema = E::schema_of(self.version).ok_or(Damage::Version(self.version))?;
        let is_small = self.rows <= MAX_RECORD_ROWS && bytes.len() <= MAX_RECORD_BYTES;
        is_small.then_some(schema).ok_or(Damage::Header)
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[..CHECKSUM.start]);
    crc.update(&bytes[CHECKSUM.end..]);
    crc.finalize()
}

/// The batch in a message. None where it is not one of `rows` rows of this schema.
fn message(bytes: &[u8], rows: usize, schema: SchemaRef) -> Option<RecordBatch> {
    let (mark, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    if *mark != [0xff; 4] {
        return None;
    }
    let (metadata, columns) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let message = root_as_message(metadata).ok()?;
    let batch = message.header_as_record_batch()?;
    let columns = Buffer::from(columns);
    let is_whole = usize::try_from(message.bodyLength()) == Ok(columns.len());
    if message.version() != MetadataVersion::V5
        || !is_whole
        || !is_sound(&batch, columns.len(), rows, &schema)
    {
        return None;
    }
    read_record_batch(&columns, batch, schema, &HashMap::new(), None, &MetadataVersion::V5).ok()
}

/// Whether every length in a batch's metadata is that of `rows` rows of this schema and lies within its columns.
/// The Arrow library panics where they do not.
fn is_sound(batch: &arrow_ipc::RecordBatch<'_>, bytes: usize, rows: usize, schema: &Schema) -> bool {
    let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else {
        return false;
    };
    let layout: Option<Vec<_>> = schema.fields().iter().map(|f| Layout::of(f.data_type(), rows)).collect();
    let (Some(layout), mut each_buffer) = (layout, buffers.iter()) else {
        return false;
    };
    let is_rows = |length: i64| usize::try_from(length) == Ok(rows);
    let lies_within = |buffer: &arrow_ipc::Buffer| {
        let (start, length) =
            (usize::try_from(buffer.offset()).ok()?, usize::try_from(buffer.length()).ok()?);
        (start.checked_add(length)? <= bytes && start.is_multiple_of(ALIGNMENT)).then_some(length)
    };
    batch.compression().is_none()
        && batch.variadicBufferCounts().is_none()
        && is_rows(batch.length())
        && nodes.len() == layout.len()
        && buffers.len() == layout.iter().map(|column| 2 + usize::from(column.is_text)).sum::<usize>()
        && nodes.iter().all(|node| is_rows(node.length()) && (0..=node.length()).contains(&node.null_count()))
        && nodes.iter().zip(layout).all(|(node, Layout { bytes, is_text })| {
            let mut next = || each_buffer.next().and_then(lies_within);
            // Which values are there (absent if all are), the values, and the letters of texts.
            let there = if node.null_count() == 0 { 0 } else { rows.div_ceil(8) };
            let unit = if is_text { size_of::<i32>() } else { 1 };
            next().is_some_and(|length| length >= there)
                && next().is_some_and(|length| length >= bytes && length.is_multiple_of(unit))
                && (!is_text || next().is_some())
        })
}

/// How a column's values lie in a message.
struct Layout {
    /// Of the values, at least; of texts, where each begins and the last one ends.
    bytes: usize,
    /// Then their letters follow. Whether these are there, the library looks.
    is_text: bool,
}

impl Layout {
    /// None: no entry has a column of this type.
    fn of(data_type: &DataType, rows: usize) -> Option<Self> {
        Some(match data_type {
            DataType::Utf8 if rows == 0 => Self { bytes: 0, is_text: true },
            DataType::Utf8 => Self { bytes: (rows + 1) * size_of::<i32>(), is_text: true },
            other => Self { bytes: rows * other.primitive_width()?, is_text: false },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{
        Accuracy, Heading, LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, Speed, TaxiKey,
        Transport,
    };
    use crate::searches::Search;

    fn positions(count: u32) -> Vec<Position> {
        let position = |n: u32| Position {
            source: SourceKey { taxi: TaxiKey(n), operator: OperatorKey(3) },
            at: LatLon::new(48.86, f64::from(n) / 1e3).unwrap(),
            received_at: Millis(1_764_000_000_000 + i64::from(n)),
            device_at: n.is_multiple_of(2).then_some(Millis(1_764_000_000_000)),
            status: ReportedStatus::Free,
            motion: Motion {
                speed: n.is_multiple_of(3).then(|| Speed::from_m_s(12.5).unwrap()),
                heading: (!n.is_multiple_of(4)).then(|| Heading::from_degrees(359.99).unwrap()),
                accuracy: (n > 2).then(|| Accuracy::from_m(4.7).unwrap()),
            },
            transport: Transport::Udp,
        };
        (0..count).map(position).collect()
    }

    fn searches(count: u16) -> Vec<Search> {
        let search = |n: u16| Search {
            at: Millis(1_764_000_000_000 + i64::from(n)),
            caller: i32::from(n),
            customer: LatLon::new(48.86, f64::from(n) / 1e3).unwrap(),
            town: "2A004".parse().unwrap(),
            found: n,
            seen: n / 2,
            closest_m: (n > 0).then_some(73.3077),
        };
        (0..count).map(search).collect()
    }

    fn seal(bytes: &mut [u8]) {
        let checksum = checksum(bytes);
        bytes[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    }

    #[test]
    fn a_record_gives_back_what_it_was_made_of() {
        for count in [0, 1, 7, 8, 9, 1_000] {
            let bytes = encode(&positions(count), Millis(-9)).unwrap();
            assert_eq!(decode(&bytes), Ok((Millis(-9), positions(count))));
            assert_eq!(appended_at(&bytes), Ok(Millis(-9)));
            let searches = searches(u16::try_from(count).unwrap());
            let bytes = encode(&searches, Millis(-9)).unwrap();
            assert_eq!(decode(&bytes), Ok((Millis(-9), searches)));
        }
    }

    #[test]
    fn a_full_record_is_not_longer_than_what_is_read() {
        let bytes = encode(&positions(u32::try_from(MAX_RECORD_ROWS).unwrap()), Millis(0)).unwrap();
        assert!(bytes.len() <= MAX_RECORD_BYTES, "{}", bytes.len());
        assert!(decode::<Position>(&bytes).is_ok());
        let bytes = encode(&searches(u16::try_from(MAX_RECORD_ROWS).unwrap()), Millis(0)).unwrap();
        assert!(bytes.len() <= MAX_RECORD_BYTES, "{}", bytes.len());
        assert!(decode::<Search>(&bytes).is_ok());
    }

    #[test]
    fn no_flipped_byte_and_no_cut_goes_unnoticed() {
        notices::<Position>(&encode(&positions(5), Millis(7)).unwrap());
        notices::<Search>(&encode(&searches(5), Millis(7)).unwrap());
    }

    fn notices<E: Entry>(good: &[u8]) {
        for at in 0..good.len() {
            assert!(decode::<E>(&good[..at]).is_err(), "cut at {at}");
            for flip in [0x01, 0x80, 0xff] {
                let mut bad = good.to_vec();
                bad[at] ^= flip;
                let read = decode::<E>(&bad);
                assert!(read.is_err(), "byte {at} flipped by {flip:#x}");
                assert!(!matches!(read, Err(Damage::Kind(_))), "damage makes no other log");
            }
        }
        assert!(decode::<E>(&[good, &[0]].concat()).is_err(), "a byte too many");
    }

    #[test]
    fn no_message_panics_even_with_a_right_checksum() {
        panics_at_nothing::<Position>(&encode(&positions(5), Millis(7)).unwrap());
        panics_at_nothing::<Search>(&encode(&searches(5), Millis(7)).unwrap());
    }

    fn panics_at_nothing<E: Entry>(good: &[u8]) {
        for at in 0..good.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut bad = good.to_vec();
                bad[at] = value;
                seal(&mut bad);
                let _ = decode::<E>(&bad);
            }
            let mut cut = good[..at].to_vec();
            if at >= HEADER {
                seal(&mut cut);
            }
            assert!(decode::<E>(&cut).is_err(), "cut at {at}");
        }
    }

    /// Written by version 0.1.0 of the program, and never to be written again: it is what logs in service hold.
    #[test]
    fn a_record_of_schema_version_1_is_read_for_ever() {
        let bytes = include_bytes!("../../tests/fixtures/record-v1.bin");
        let unmoved = positions(5).into_iter().map(|p| Position { motion: Motion::default(), ..p }).collect();
        assert_eq!(decode(bytes), Ok((Millis(1_764_158_400_000), unmoved)));
    }

    /// Written when version 2 was made, and never to be written again.
    #[test]
    fn a_record_of_schema_version_2_is_read_for_ever() {
        let bytes = include_bytes!("../../tests/fixtures/record-v2.bin");
        assert_eq!(decode(bytes), Ok((Millis(1_764_158_400_000), positions(5))));
    }

    #[test]
    fn a_record_of_a_later_version_says_so() {
        let mut later = encode(&positions(1), Millis(0)).unwrap();
        later[4] = 3;
        seal(&mut later);
        assert_eq!(decode::<Position>(&later), Err(Damage::Version(3)));
    }

    #[test]
    fn a_record_of_another_kind_is_an_error() {
        let (positions, searches) =
            (encode(&positions(0), Millis(0)).unwrap(), encode(&searches(0), Millis(0)).unwrap());
        assert_eq!(decode::<Search>(&positions), Err(Damage::Kind(0)));
        assert_eq!(decode::<Position>(&searches), Err(Damage::Kind(1)));
    }

    /// Written when searches were first logged, and never to be written again.
    #[test]
    fn a_record_of_searches_of_schema_version_1_is_read_for_ever() {
        let bytes = include_bytes!("../../tests/fixtures/searches-v1.bin");
        assert_eq!(decode(bytes), Ok((Millis(1_764_158_400_000), searches(5))));
    }
}
