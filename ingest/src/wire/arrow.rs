//! Positions as an Arrow IPC stream: a schema, then batches of rows, read as their bytes come in.
//!
//! | column      | type                   | null or left out | meaning                             |
//! |-------------|------------------------|------------------|-------------------------------------|
//! | `taxi`      | utf8 or large utf8     | no               | the taxi's public id                |
//! | `lat`       | float64 or float32     | no               | latitude in degrees, WGS 84         |
//! | `lon`       | float64 or float32     | no               | longitude in degrees, WGS 84        |
//! | `speed`     | float64 or float32     | yes              | speed over ground in m/s            |
//! | `heading`   | float64 or float32     | yes              | degrees clockwise from true north   |
//! | `accuracy`  | float64 or float32     | yes              | radius of confidence in metres      |
//! | `timestamp` | timestamp, of any unit | yes              | when it was there; UTC without zone |
//! | `status`    | utf8 or large utf8     | yes              | what the device says of its status  |
//!
//! Columns come in any order; others there are none. Batches are not compressed and have no dictionaries.
//!
//! Only the descriptions in a message are read by Arrow's library, which panics on columns whose lengths lie; the
//! columns are read here, where no length is believed. Nothing is allocated but for bytes that have come.

mod columns;

use arrow_ipc::{MessageHeader, root_as_message_with_opts};
use flatbuffers::VerifierOptions;
use thiserror::Error;

use self::columns::Layout;
pub use self::columns::{Row, Rows};
use crate::limits::{MAX_ARROW_BODY, MAX_ARROW_METADATA, MAX_ARROW_ROWS};

/// A stream as far as it has come.
#[derive(Debug, Default)]
pub struct Stream {
    /// What has come and was not read yet, from the beginning of a message.
    held: Vec<u8>,
    layout: Option<Layout>,
    has_ended: bool,
    /// Where the description and the whole of the message that is coming end: a body that comes in many pieces is not
    /// looked at again with each.
    coming: Option<(usize, usize)>,
}

/// A stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadStream {
    /// A message does not begin with four bytes of ones and the length of its description.
    #[error("a message does not begin as one of an Arrow IPC stream does")]
    Mark,
    /// A message's description, or its columns, have too many bytes.
    #[error(
        "a message has more than {MAX_ARROW_METADATA} bytes of description or {MAX_ARROW_BODY} of columns"
    )]
    TooLarge,
    /// A batch has too many rows.
    #[error("a batch has more than {MAX_ARROW_ROWS} rows")]
    TooManyRows,
    /// A message's description is damaged.
    #[error("a message's description is damaged")]
    Damaged,
    /// The first message is no schema, a later one is none of a batch.
    #[error("there is a message other than a schema and then batches (dictionaries are not taken)")]
    Unexpected,
    /// A column is not one of those that there are, is there twice, or has another type.
    #[error("column {0} is unknown, there twice or of another type")]
    Column(String),
    /// A column is missing.
    #[error("column {0} is missing")]
    Missing(&'static str),
    /// A batch is compressed.
    #[error("a batch is compressed")]
    Compressed,
    /// A batch's columns are not what its description says.
    #[error("a batch's columns are not as long as its description says")]
    Lengths,
    /// It ended within a message, or before its schema.
    #[error("it ends within a message or without a schema")]
    CutOff,
    /// Something comes after its end.
    #[error("something comes after its end")]
    Trailing,
}

/// The mark before a message, and the length of its description.
const PREFIX: usize = 8;
/// Verifying a description takes time for what it seems to hold, were nothing in it shared.
const VERIFIED: VerifierOptions = VerifierOptions {
    max_depth: 16,
    max_tables: 1_024,
    max_apparent_size: 8 * MAX_ARROW_METADATA,
    ignore_missing_null_terminator: false,
};

impl Stream {
    /// Takes the next bytes. Call [`Stream::next_batch`] until there is nothing more before more of them.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next batch; None as long as it has not come whole. After an error there is nothing more to be read.
    pub fn next_batch(&mut self) -> Result<Option<Rows>, BadStream> {
        while let Some((described, end)) = self.message()? {
            let rest = self.held.split_off(end);
            let message = std::mem::replace(&mut self.held, rest);
            if let Some(rows) = self.read(message, described)? {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }

    /// Whether all of it has come: it may end with its mark of an end, or without.
    pub fn finish(&self) -> Result<(), BadStream> {
        if self.held.is_empty() && self.layout.is_some() { Ok(()) } else { Err(BadStream::CutOff) }
    }

    /// Where the description and the whole of the next message end; None as long as it has not come.
    fn message(&mut self) -> Result<Option<(usize, usize)>, BadStream> {
        if self.coming.is_none() {
            self.coming = self.describe()?;
        }
        let has_come = |(_, end): &(usize, usize)| *end <= self.held.len();
        Ok(self.coming.take_if(|coming| has_come(coming)))
    }

    /// Where the description and the whole of the next message will end; None as long as the description has not come.
    fn describe(&mut self) -> Result<Option<(usize, usize)>, BadStream> {
        let Some((prefix, rest)) = self.held.split_first_chunk::<PREFIX>() else { return Ok(None) };
        if self.has_ended {
            return Err(BadStream::Trailing);
        }
        let [mark @ .., a, b, c, d] = prefix;
        if *mark != [0xff; 4] {
            return Err(BadStream::Mark);
        }
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        if length == 0 {
            self.has_ended = true;
            self.held.drain(..PREFIX);
            return if self.held.is_empty() { Ok(None) } else { Err(BadStream::Trailing) };
        }
        if length > MAX_ARROW_METADATA {
            return Err(BadStream::TooLarge);
        }
        let Some(description) = rest.get(..length) else { return Ok(None) };
        let message = root_as_message_with_opts(&VERIFIED, description).map_err(|_| BadStream::Damaged)?;
        let body = usize::try_from(message.bodyLength()).map_err(|_| BadStream::Damaged)?;
        if body > MAX_ARROW_BODY {
            return Err(BadStream::TooLarge);
        }
        Ok(Some((PREFIX + length, PREFIX + length + body)))
    }

    /// The batch in a whole message; None if it is the schema.
    fn read(&mut self, bytes: Vec<u8>, described: usize) -> Result<Option<Rows>, BadStream> {
        let description = bytes.get(PREFIX..described).unwrap_or_default();
        let message = root_as_message_with_opts(&VERIFIED, description).map_err(|_| BadStream::Damaged)?;
        match (message.header_type(), &self.layout) {
            (MessageHeader::Schema, None) => {
                let schema = message.header_as_schema().ok_or(BadStream::Damaged)?;
                self.layout = Some(Layout::of(schema)?);
                Ok(None)
            }
            (MessageHeader::RecordBatch, Some(layout)) => {
                let batch = message.header_as_record_batch().ok_or(BadStream::Damaged)?;
                let (rows, places) = layout.place(batch, bytes.get(described..).unwrap_or_default())?;
                Ok(Some(Rows::new(bytes, described, rows, places)))
            }
            _ => Err(BadStream::Unexpected),
        }
    }
}
