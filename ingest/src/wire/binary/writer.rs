//! Writing datagrams, as senders do.

use thiserror::Error;

use super::{
    COUNT, Claim, FIXED, HAS_ACCURACY, HAS_HEADING, HAS_SPEED, HAS_TIME, Head, MAC, MAGIC, MacKey,
    WANTS_ACKNOWLEDGEMENT,
};
use crate::limits::MAX_DATAGRAM;

/// Writes datagrams, one after the other in the same memory: after the first, none allocates.
///
/// ```
/// use ingest::clock::Millis;
/// use ingest::wire::binary::{Claim, Head, MacKey, Writer, is_one};
/// let (sequence, session) = (0, 0x5eed);
/// let (sent_at, operator) = (Millis(1_795_600_000_000), "op@example");
/// let head = Head { wants_acknowledgement: false, sequence, session, sent_at, operator };
/// let claim = Claim {
///     taxi: b"aBcDeF1",
///     status: 1,
///     lat_e7: 488_566_000,
///     lon_e7: 23_522_000,
///     device_after_ms: None,
///     speed_cm_s: None,
///     heading_cdeg: None,
///     accuracy_dm: None,
/// };
/// let mut writer = Writer::default();
/// writer.begin(&head)?;
/// writer.push(&claim)?;
/// assert!(is_one(writer.seal(&MacKey::of_api_key("secret"))));
/// # Ok::<(), ingest::wire::binary::NoRoom>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

/// A datagram has no room for it: the name is too long, or the positions are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a datagram has no room for it")]
pub struct NoRoom;

impl Writer {
    /// Begins a datagram without positions, whatever was written before.
    pub fn begin(&mut self, head: &Head<'_>) -> Result<(), NoRoom> {
        let out = &mut self.bytes;
        out.clear();
        let name = u8::try_from(head.operator.len()).map_err(|_| NoRoom)?;
        out.extend([MAGIC, if head.wants_acknowledgement { WANTS_ACKNOWLEDGEMENT } else { 0 }, 0, name]);
        out.extend(head.sequence.to_le_bytes());
        out.extend(head.session.to_le_bytes());
        out.extend(head.sent_at.0.to_le_bytes());
        out.extend(head.operator.as_bytes());
        Ok(())
    }

    /// Adds a position, or nothing where there is no room for it.
    pub fn push(&mut self, claim: &Claim<'_>) -> Result<(), NoRoom> {
        let out = &mut self.bytes;
        let end = out.len();
        let id = u8::try_from(claim.taxi.len()).map_err(|_| NoRoom)?;
        let bit = |is_there: bool, bit: u8| if is_there { bit } else { 0 };
        let fields = bit(claim.device_after_ms.is_some(), HAS_TIME)
            | bit(claim.speed_cm_s.is_some(), HAS_SPEED)
            | bit(claim.heading_cdeg.is_some(), HAS_HEADING)
            | bit(claim.accuracy_dm.is_some(), HAS_ACCURACY);
        out.extend([fields, claim.status, id]);
        out.extend(claim.lat_e7.to_le_bytes());
        out.extend(claim.lon_e7.to_le_bytes());
        out.extend(claim.taxi);
        out.extend(claim.device_after_ms.iter().flat_map(|time| time.to_le_bytes()));
        let motion = [claim.speed_cm_s, claim.heading_cdeg, claim.accuracy_dm];
        out.extend(motion.iter().flatten().flat_map(|value| value.to_le_bytes()));
        match out.get(COUNT).and_then(|count| count.checked_add(1)) {
            Some(count) if out.len() + MAC <= MAX_DATAGRAM => {
                out[COUNT] = count;
                Ok(())
            }
            _ => {
                out.truncate(end);
                Err(NoRoom)
            }
        }
    }

    /// How many positions were added.
    pub fn count(&self) -> u8 {
        self.bytes.get(COUNT).copied().unwrap_or(0)
    }

    /// The datagram. It is over: the next one begins anew.
    pub fn seal(&mut self, key: &MacKey) -> &[u8] {
        let mac = key.mac(&self.bytes);
        self.bytes.extend(mac);
        &self.bytes
    }
}

const _: () = assert!(FIXED + u8::MAX as usize + MAC <= MAX_DATAGRAM, "every name has room");
