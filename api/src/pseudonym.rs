//! The ids under which search apps see taxis: fresh at each search, useless to another app, dead after an hour.
//!
//! A pseudonym is one block of AES-256, so any process with the deployment's secret can read it and none has to
//! remember it:
//!
//! ```text
//!   | taxi u32 | app u32 | issued at, s u32 | random u32 |  --AES-256-->  22 characters of base64url
//! ```
//!
//! Enciphering what carries enough redundancy authenticates it (Bellare and Rogaway, Encode-then-encipher
//! encryption, 2000): a guess deciphers to the right app, to the last hour and to a taxi that exists with a
//! probability below 2^-60.

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ingest::clock::Millis;
use ingest::position::TaxiKey;

use crate::secrets::{SecretError, SecretKey, random};

/// How long a pseudonym means something, in seconds.
pub const LIFETIME_S: i64 = 3600;

/// Makes and reads pseudonyms.
#[derive(Clone)]
pub struct Pseudonyms {
    cipher: Aes256,
}

impl Pseudonyms {
    /// With a key of their own, derived from the deployment's.
    pub fn new(secret: &SecretKey) -> Self {
        Self { cipher: Aes256::new(&secret.derive("pseudonym").into()) }
    }

    /// A fresh pseudonym of `taxi` for the app with this account number.
    pub fn issue(&self, taxi: TaxiKey, app: i32, now: Millis) -> Result<String, SecretError> {
        let mut block = [0; 16];
        block[..4].copy_from_slice(&taxi.0.to_be_bytes());
        block[4..8].copy_from_slice(&app.to_be_bytes());
        block[8..12].copy_from_slice(&seconds(now).to_be_bytes());
        block[12..].copy_from_slice(&random::<4>()?);
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        Ok(URL_SAFE_NO_PAD.encode(block))
    }

    /// The taxi behind a pseudonym that was issued to this app within the last hour.
    pub fn resolve(&self, pseudonym: &str, app: i32, now: Millis) -> Option<TaxiKey> {
        let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(pseudonym).ok()?.try_into().ok()?;
        let mut block = bytes.into();
        self.cipher.decrypt_block(&mut block);
        let word = |i: usize| u32::from_be_bytes([block[i], block[i + 1], block[i + 2], block[i + 3]]);
        let age_s = i64::from(seconds(now)) - i64::from(word(8));
        let fits = word(4) == app.cast_unsigned() && (0..LIFETIME_S).contains(&age_s);
        fits.then(|| TaxiKey(word(0)))
    }
}

/// Seconds since 1970, until 2106.
fn seconds(at: Millis) -> u32 {
    u32::try_from(at.seconds()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_790_000_000_000);

    fn pseudonyms() -> Pseudonyms {
        Pseudonyms::new(&SecretKey::from_hex(&"5a".repeat(32)).unwrap())
    }

    #[test]
    fn it_is_fresh_each_time_and_leads_back_to_the_taxi() {
        let a = pseudonyms().issue(TaxiKey(7), 3, NOW).unwrap();
        let b = pseudonyms().issue(TaxiKey(7), 3, NOW).unwrap();
        assert_ne!(a, b);
        assert_eq!(a.len(), 22);
        assert_eq!(pseudonyms().resolve(&a, 3, NOW), Some(TaxiKey(7)));
        assert_eq!(pseudonyms().resolve(&b, 3, NOW), Some(TaxiKey(7)));
    }

    #[test]
    fn it_is_useless_to_another_app() {
        let id = pseudonyms().issue(TaxiKey(7), 3, NOW).unwrap();
        assert_eq!(pseudonyms().resolve(&id, 4, NOW), None);
    }

    #[test]
    fn it_dies_after_an_hour() {
        let id = pseudonyms().issue(TaxiKey(7), 3, NOW).unwrap();
        assert_eq!(pseudonyms().resolve(&id, 3, NOW.plus(3_599_000)), Some(TaxiKey(7)));
        assert_eq!(pseudonyms().resolve(&id, 3, NOW.plus(3_600_000)), None);
        assert_eq!(pseudonyms().resolve(&id, 3, NOW.plus(-1_000)), None, "not yet issued");
    }

    #[test]
    fn a_changed_or_foreign_one_means_nothing() {
        let id = pseudonyms().issue(TaxiKey(7), 3, NOW).unwrap();
        let flipped = format!("{}{}", &id[..21], if id.ends_with('A') { 'Q' } else { 'A' });
        assert_eq!(pseudonyms().resolve(&flipped, 3, NOW), None);
        let other = Pseudonyms::new(&SecretKey::from_hex(&"5b".repeat(32)).unwrap());
        assert_eq!(other.resolve(&id, 3, NOW), None);
        assert_eq!(pseudonyms().resolve("", 3, NOW), None);
        assert_eq!(pseudonyms().resolve("not a pseudonym at all", 3, NOW), None);
    }
}
