//! Compact datagrams as operators send them.

use ingest::clock::Millis;
use ingest::wire::binary::{Claim, Head, MacKey, Writer};

use crate::datagram::KEY;

/// When they are sent.
pub(crate) const NOW: Millis = Millis(1_764_158_400_000);

pub(crate) const HEAD: Head<'static> =
    Head { wants_acknowledgement: true, sequence: 41, session: 0xfeed, sent_at: NOW, operator: "op1" };

pub(crate) const CLAIM: Claim<'static> = Claim {
    taxi: b"taxi-1",
    status: 1,
    lat_e7: 488_600_000,
    lon_e7: 23_500_000,
    device_after_ms: Some(-1_000),
    speed_cm_s: Some(1_389),
    heading_cdeg: Some(27_050),
    accuracy_dm: Some(47),
};

/// The key of `op1`.
pub(crate) fn key() -> MacKey {
    MacKey::of_api_key(KEY)
}

/// A datagram, hashed with the key of `op1`.
pub(crate) fn written(head: &Head<'_>, claims: &[Claim<'_>]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.begin(head).unwrap();
    for claim in claims {
        writer.push(claim).unwrap();
    }
    writer.seal(&key()).to_vec()
}
