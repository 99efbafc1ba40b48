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

use std::ops::Range;

use arrow_ipc::{MessageHeader, root_as_message_with_opts};
use flatbuffers::VerifierOptions;
use thiserror::Error;

use self::columns::{Layout, Places};
pub use self::columns::{Row, Rows};
use crate::limits::{MAX_ARROW_BODY, MAX_ARROW_METADATA, MAX_ARROW_ROWS, MAX_EMPTY_BATCHES};

/// A stream as far as it has come.
#[derive(Debug, Default)]
pub struct Stream {
    /// What has come, but for what was read when it came.
    held: Vec<u8>,
    /// Where in it the next message begins.
    at: usize,
    layout: Option<Layout>,
    has_ended: bool,
    /// Batches without rows that have come.
    empty: usize,
    /// How long the description and the whole of the message that is coming are: a body that comes in many pieces is
    /// not looked at again with each.
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
    /// Too many batches have no rows.
    #[error("more than {MAX_EMPTY_BATCHES} batches have no rows")]
    Empty,
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
        self.held.drain(..self.at);
        self.at = 0;
        self.held.extend_from_slice(bytes);
    }

    /// The next batch that has rows; None as long as it has not come whole. After an error there is nothing more to be
    /// read.
    pub fn next_batch(&mut self) -> Result<Option<Rows<'_>>, BadStream> {
        let Some((columns, rows, places)) = self.find_batch()? else { return Ok(None) };
        Ok(Some(Rows::new(self.held.get(columns).unwrap_or_default(), rows, places)))
    }

    /// Where the columns of the next batch are, how many rows it has, and where in them each column is.
    fn find_batch(&mut self) -> Result<Option<(Range<usize>, usize, Places)>, BadStream> {
        while let Some((described, length)) = self.message()? {
            let (from, columns) = (self.at, self.at + described..self.at + length);
            self.at += length;
            match self.read(from + PREFIX..columns.start, columns.clone())? {
                None => {}
                Some((0, _)) if self.empty == MAX_EMPTY_BATCHES => return Err(BadStream::Empty),
                Some((0, _)) => self.empty += 1,
                Some((rows, places)) => return Ok(Some((columns, rows, places))),
            }
        }
        Ok(None)
    }

    /// Whether all of it has come: it may end with its mark of an end, or without.
    pub fn finish(&self) -> Result<(), BadStream> {
        if self.at == self.held.len() && self.layout.is_some() { Ok(()) } else { Err(BadStream::CutOff) }
    }

    /// How long the description and the whole of the next message are; None as long as it has not come.
    fn message(&mut self) -> Result<Option<(usize, usize)>, BadStream> {
        if self.coming.is_none() {
            self.coming = self.describe()?;
        }
        let come = self.held.len() - self.at;
        let has_come = |(_, length): &(usize, usize)| *length <= come;
        Ok(self.coming.take_if(|coming| has_come(coming)))
    }

    /// How long they will be; None as long as the description has not come.
    fn describe(&mut self) -> Result<Option<(usize, usize)>, BadStream> {
        let held = self.held.get(self.at..).unwrap_or_default();
        let Some((prefix, rest)) = held.split_first_chunk::<PREFIX>() else { return Ok(None) };
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
            self.at += PREFIX;
            return if rest.is_empty() { Ok(None) } else { Err(BadStream::Trailing) };
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

    /// How many rows the batch in a whole message has, and where its columns are; None if it is the schema.
    fn read(
        &mut self,
        description: Range<usize>,
        columns: Range<usize>,
    ) -> Result<Option<(usize, Places)>, BadStream> {
        let description = self.held.get(description).unwrap_or_default();
        let message = root_as_message_with_opts(&VERIFIED, description).map_err(|_| BadStream::Damaged)?;
        match (message.header_type(), &self.layout) {
            (MessageHeader::Schema, None) => {
                let schema = message.header_as_schema().ok_or(BadStream::Damaged)?;
                self.layout = Some(Layout::of(schema)?);
                Ok(None)
            }
            (MessageHeader::RecordBatch, Some(layout)) => {
                let batch = message.header_as_record_batch().ok_or(BadStream::Damaged)?;
                layout.place(batch, self.held.get(columns).unwrap_or_default()).map(Some)
            }
            _ => Err(BadStream::Unexpected),
        }
    }
}
