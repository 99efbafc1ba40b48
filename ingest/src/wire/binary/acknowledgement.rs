//! The answer to a datagram whose positions are in the log.
//!
//! | bytes   | what                                                       |
//! |---------|------------------------------------------------------------|
//! | 0       | b3                                                         |
//! | 1       | positions that are in the log                              |
//! | 2       | positions that were refused                                |
//! | 3       | zero                                                       |
//! | 4..8    | the datagram's sequence number, u32                        |
//! | 8..16   | its session, u64                                           |
//! | 16..32  | the first 16 bytes of the keyed BLAKE3 of all bytes before |

use super::{MAC, MacKey};

/// Bytes of an acknowledgement.
pub const ACKNOWLEDGEMENT: usize = 32;

const MAGIC: u8 = 0xb3;
const HASHED: usize = ACKNOWLEDGEMENT - MAC;

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Which one.
    pub sequence: u32,
    /// Of which session.
    pub session: u64,
    /// How many of its positions are in the log, synced.
    pub taken: u8,
    /// How many were refused, each for a reason that its operator can ask for.
    pub refused: u8,
}

impl Acknowledgement {
    /// As bytes, under the key of whoever sent the datagram.
    pub fn seal(&self, key: &MacKey) -> [u8; ACKNOWLEDGEMENT] {
        let mut bytes = [0; ACKNOWLEDGEMENT];
        [bytes[0], bytes[1], bytes[2]] = [MAGIC, self.taken, self.refused];
        bytes[4..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..HASHED].copy_from_slice(&self.session.to_le_bytes());
        let mac = key.mac(&bytes[..HASHED]);
        bytes[HASHED..].copy_from_slice(&mac);
        bytes
    }

    /// Of bytes that came; None if they are no acknowledgement, or were not made with this key.
    pub fn open(bytes: &[u8], key: &MacKey) -> Option<Self> {
        let (hashed, mac) = bytes.split_last_chunk::<MAC>()?;
        let [MAGIC, taken, refused, 0, sequence_and_session @ ..] =
            *<&[u8; HASHED]>::try_from(hashed).ok()?
        else {
            return None;
        };
        let (sequence, session) = sequence_and_session.split_first_chunk::<4>()?;
        let acknowledgement = Self {
            sequence: u32::from_le_bytes(*sequence),
            session: u64::from_le_bytes(session.try_into().ok()?),
            taken,
            refused,
        };
        key.made(hashed, mac).then_some(acknowledgement)
    }
}
