//! The hash that tells an operator's datagrams from everybody else's.

use std::fmt;

/// Bytes of the hash that are sent.
pub const MAC: usize = 16;

/// What BLAKE3 derives the key for; it stands in the specification.
const CONTEXT: &str = "maraude 2026-11-26 datagram version 2";

/// The key under which an operator's datagrams and their acknowledgements are hashed: derived from its API key, once.
#[derive(Clone, PartialEq, Eq)]
pub struct MacKey([u8; 32]);

impl MacKey {
    /// The key of an operator with this API key.
    pub fn of_api_key(api_key: &str) -> Self {
        Self(blake3::derive_key(CONTEXT, api_key.as_bytes()))
    }

    /// The hash of some bytes.
    pub(super) fn mac(&self, bytes: &[u8]) -> [u8; MAC] {
        let hash = blake3::keyed_hash(&self.0, bytes);
        std::array::from_fn(|place| hash.as_bytes()[place])
    }

    /// Whether `mac` is the hash of some bytes. How long that takes tells nothing of where they differ.
    pub(super) fn made(&self, bytes: &[u8], mac: &[u8; MAC]) -> bool {
        // One comparison of two numbers: there is no first byte that differs.
        u128::from_le_bytes(self.mac(bytes)) ^ u128::from_le_bytes(*mac) == 0
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
