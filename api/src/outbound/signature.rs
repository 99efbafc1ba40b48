//! What a partner knows us by: an HMAC of the time and the body. Partners read of it in `docs/hails.md`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use ingest::clock::Millis;
use sha2::Sha256;

use crate::secrets::hex;

/// The header that carries a signature, in the lower case that the wire does not care about.
pub const SIGNATURE: &str = "x-maraude-signature";

/// `t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>" under `key`, in hexadecimal>`.
pub fn signature(key: &str, at: Millis, body: &[u8]) -> String {
    let seconds = at.seconds();
    // HMAC takes a key of any length.
    let code = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_or_else(
        |_| Vec::new(),
        |mut mac| {
            mac.update(format!("{seconds}.").as_bytes());
            mac.update(body);
            mac.finalize().into_bytes().to_vec()
        },
    );
    format!("t={seconds},v1={}", hex(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's `hmac`.
    #[test]
    fn a_signature_is_what_partners_reckon() {
        let body = br#"{"data":[{"id":"h1"}]}"#;
        let signed = signature("s3cret", Millis(1_764_000_000_999), body);
        assert_eq!(
            signed,
            "t=1764000000,v1=087e66786b3ae732dfd6efa2fcdef13d095e1fa350cc52cd74e9d4d86c0f5121"
        );
    }
}
