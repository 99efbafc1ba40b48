//! A record as bytes: a header, then the batch as an encapsulated Arrow IPC message without its schema.
//!
//! | bytes   | what                                                                      |
//! |---------|---------------------------------------------------------------------------|
//! | 0..4    | `mrd` and a zero                                                          |
//! | 4..6    | version of the schema ([`crate::batch`]), u16                             |
//! | 6..8    | zero                                                                      |
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

use crate::batch::{self, BadBatch, SCHEMA_VERSION};
use crate::clock::Millis;
use crate::limits::{MAX_RECORD_BYTES, MAX_RECORD_ROWS};
use crate::position::Position;

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// The record is not there, though its neighbours are.
    #[error("it is missing")]
    Missing,
    /// It does not begin as a record does, or ends too soon.
    #[error("its header is not that of a record")]
    Header,
    /// A later version of the program wrote it.
    #[error(
        "it was written with version {0} of the schema, which this program does not know; use a later one"
    )]
    Version(u16),
    /// Its bytes are not those that were written.
    #[error("its checksum is wrong")]
    Checksum,
    /// Its message is not a batch of so many rows.
    #[error("its message is not a batch of positions")]
    Message,
    /// Its rows are not positions.
    #[error(transparent)]
    Batch(#[from] BadBatch),
}

/// The bytes of a record of some positions.
pub fn encode(positions: &[Position], appended_at: Millis) -> Result<Vec<u8>, ArrowError> {
    let batch = batch::encode(positions);
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
    bytes.extend(SCHEMA_VERSION.to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend(appended_at.0.to_le_bytes());
    bytes.extend(rows.to_le_bytes());
    bytes.extend([0; 4]);
    write_message(&mut bytes, message, &options)?;
    let checksum = checksum(&bytes);
    bytes[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

/// The positions of a record, and when it was appended. Never panics, whatever the bytes.
pub fn decode(bytes: &[u8]) -> Result<(Millis, Vec<Position>), Damage> {
    let header = Header::read(bytes)?;
    if checksum(bytes) != header.checksum {
        return Err(Damage::Checksum);
    }
    let batch = message(&bytes[HEADER..], header.rows, header.schema).ok_or(Damage::Message)?;
    Ok((header.appended_at, batch::decode(&batch)?))
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
    schema: SchemaRef,
    appended_at: Millis,
    rows: usize,
    checksum: u32,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Damage> {
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(Damage::Header)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(Damage::Header)?;
        let (zero, rest) = rest.split_first_chunk::<2>().ok_or(Damage::Header)?;
        let (appended_at, rest) = rest.split_first_chunk::<8>().ok_or(Damage::Header)?;
        let (rows, rest) = rest.split_first_chunk::<4>().ok_or(Damage::Header)?;
        let (checksum, _) = rest.split_first_chunk::<4>().ok_or(Damage::Header)?;
        let rows = u32::from_le_bytes(*rows) as usize;
        if *magic != MAGIC {
            return Err(Damage::Header);
        }
        let version = u16::from_le_bytes(*version);
        let schema = batch::schema_of(version).ok_or(Damage::Version(version))?;
        if *zero != [0; 2] || rows > MAX_RECORD_ROWS || bytes.len() > MAX_RECORD_BYTES {
            return Err(Damage::Header);
        }
        let appended_at = Millis(i64::from_le_bytes(*appended_at));
        Ok(Self { schema, appended_at, rows, checksum: u32::from_le_bytes(*checksum) })
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
    let widths: Vec<_> = schema.fields().iter().filter_map(|field| width(field.data_type())).collect();
    let is_rows = |length: i64| usize::try_from(length) == Ok(rows);
    let lies_within = |buffer: &arrow_ipc::Buffer| {
        let (start, length) =
            (usize::try_from(buffer.offset()).ok()?, usize::try_from(buffer.length()).ok()?);
        (start.checked_add(length)? <= bytes).then_some(length)
    };
    batch.compression().is_none()
        && batch.variadicBufferCounts().is_none()
        && is_rows(batch.length())
        && nodes.len() == widths.len()
        && buffers.len() == 2 * widths.len()
        && nodes.iter().all(|node| is_rows(node.length()) && (0..=node.length()).contains(&node.null_count()))
        && widths.iter().enumerate().all(|(column, width)| {
            // A column's two buffers: which values are there (absent if all are), and the values.
            let there = lies_within(buffers.get(2 * column));
            let values = lies_within(buffers.get(2 * column + 1));
            let all_there = nodes.get(column).null_count() == 0;
            there.is_some_and(|length| all_there || length >= rows.div_ceil(8))
                && values.is_some_and(|length| length >= rows * width)
        })
}

/// Bytes of a value.
fn width(data_type: &DataType) -> Option<usize> {
    data_type.primitive_width()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{
        Accuracy, Heading, LatLon, Motion, OperatorKey, ReportedStatus, SourceKey, Speed, TaxiKey, Transport,
    };

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
        }
    }

    #[test]
    fn a_full_record_is_not_longer_than_what_is_read() {
        let bytes = encode(&positions(u32::try_from(MAX_RECORD_ROWS).unwrap()), Millis(0)).unwrap();
        assert!(bytes.len() <= MAX_RECORD_BYTES, "{}", bytes.len());
        assert!(decode(&bytes).is_ok());
    }

    #[test]
    fn no_flipped_byte_and_no_cut_goes_unnoticed() {
        let good = encode(&positions(5), Millis(7)).unwrap();
        for at in 0..good.len() {
            assert!(decode(&good[..at]).is_err(), "cut at {at}");
            for flip in [0x01, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                assert!(decode(&bad).is_err(), "byte {at} flipped by {flip:#x}");
            }
        }
        assert!(decode(&[good.as_slice(), &[0]].concat()).is_err(), "a byte too many");
    }

    #[test]
    fn no_message_panics_even_with_a_right_checksum() {
        let good = encode(&positions(5), Millis(7)).unwrap();
        for at in 0..good.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                seal(&mut bad);
                let _ = decode(&bad);
            }
            let mut cut = good[..at].to_vec();
            if at >= HEADER {
                seal(&mut cut);
            }
            assert!(decode(&cut).is_err(), "cut at {at}");
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
        assert_eq!(decode(&later), Err(Damage::Version(3)));
    }
}
