//! Keys and passwords: made here, sealed here, compared here, printed nowhere.
//!
//! One secret of 32 bytes per deployment. What it protects gets a key of its own, derived by HMAC-SHA-256 with a
//! label, so that one use says nothing of another.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use aes_gcm_siv::aead::{Aead, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, Mac};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use thiserror::Error;

const NONCE_BYTES: usize = 12;

/// The deployment's secret.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

/// A secret that cannot be used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// Neither 64 hexadecimal digits.
    #[error("a secret key is 64 hexadecimal digits (32 bytes)")]
    Malformed,
    /// The key file cannot be read or made.
    #[error("the key file {path}: {error}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The machine gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
    /// What was sealed does not open: another secret key sealed it, or it was changed.
    #[error("a sealed value does not open; was MARAUDE_SECRET_KEY or the key file changed?")]
    NotOurs,
    /// A password hash that cannot be made or read.
    #[error("a password hash is damaged")]
    PasswordHash,
}

impl SecretKey {
    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.len() != 64 || !text.is_ascii() {
            return Err(SecretError::Malformed);
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| SecretError::Malformed)?;
        }
        Ok(Self(bytes))
    }

    /// From a file, which is made, readable by its owner alone, when there is none.
    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let in_file = |error| SecretError::File { path: path.display().to_string(), error };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_hex(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = Self(random()?);
                match key.write_new(path) {
                    Ok(()) => Ok(key),
                    // Another process was first.
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                        Self::from_hex(&std::fs::read_to_string(path).map_err(in_file)?)
                    }
                    Err(error) => Err(in_file(error)),
                }
            }
            Err(error) => Err(in_file(error)),
        }
    }

    /// Written beside and linked into place, so that no other process reads half a key.
    fn write_new(&self, path: &Path) -> std::io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let draft = path.with_extension(format!("draft-{}", std::process::id()));
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(hex(&self.0).as_bytes())?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&draft, path);
        std::fs::remove_file(&draft)?;
        linked
    }

    /// The key of one use.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        // HMAC takes a key of any length; the error cannot happen for 32 bytes.
        Hmac::<Sha256>::new_from_slice(&self.0).map_or([0; 32], |mut mac| {
            mac.update(label.as_bytes());
            mac.finalize().into_bytes().into()
        })
    }

    /// Seals `secret` (AES-256-GCM-SIV, random nonce) for `context`, where alone it opens again.
    pub fn seal(&self, context: &str, secret: &str) -> Result<String, SecretError> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        let payload = Payload { msg: secret.as_bytes(), aad: context.as_bytes() };
        let sealed = self.cipher().encrypt(&Nonce::from(nonce), payload).map_err(|_| SecretError::NotOurs)?;
        Ok(STANDARD_NO_PAD.encode([&nonce[..], &sealed[..]].concat()))
    }

    /// Opens what [`SecretKey::seal`] sealed for the same `context`. Nothing sealed is nothing.
    pub fn open(&self, context: &str, sealed: &str) -> Result<String, SecretError> {
        if sealed.is_empty() {
            return Ok(String::new());
        }
        let bytes = STANDARD_NO_PAD.decode(sealed).map_err(|_| SecretError::NotOurs)?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SecretError::NotOurs)?;
        let payload = Payload { msg, aad: context.as_bytes() };
        let opened =
            self.cipher().decrypt(&Nonce::from(*nonce), payload).map_err(|_| SecretError::NotOurs)?;
        String::from_utf8(opened).map_err(|_| SecretError::NotOurs)
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new(&self.derive("seal").into())
    }
}

/// A fresh API key, in the form partners know: a version 4 UUID.
pub fn new_api_key() -> Result<String, SecretError> {
    Ok(uuid::Builder::from_random_bytes(random()?).into_uuid().to_string())
}

/// The form in which an API key is looked up: SHA-256 in hexadecimal. The key is random, so no salt is needed.
pub fn api_key_digest(key: &str) -> String {
    hex(&Sha256::digest(key.as_bytes()))
}

/// Argon2id of a password, with the library's recommended cost and its own salt. Slow by design: tens of ms.
pub fn hash_password(password: &str) -> Result<String, SecretError> {
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| SecretError::PasswordHash)?;
    Ok(hash.to_string())
}

/// Whether `hash`, which [`hash_password`] made, is of this password. As slow.
pub fn is_password(password: &str, hash: &str) -> Result<bool, SecretError> {
    let hash = PasswordHash::new(hash).map_err(|_| SecretError::PasswordHash)?;
    Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// `N` bytes from the system's generator.
pub fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| SecretError::NoRandom)?;
    Ok(bytes)
}

/// In hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_hex(&"0f".repeat(32)).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_context_only() {
        let sealed = key().seal("op1", "my key").unwrap();
        assert!(!sealed.contains("my key"));
        assert_eq!(key().open("op1", &sealed).unwrap(), "my key");
        assert!(key().open("op2", &sealed).is_err());
        assert!(SecretKey::from_hex(&"0e".repeat(32)).unwrap().open("op1", &sealed).is_err());
        assert!(key().open("op1", "AAAA").is_err());
        assert_ne!(sealed, key().seal("op1", "my key").unwrap(), "a nonce of its own each time");
    }

    #[test]
    fn a_key_file_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let first = SecretKey::from_file(&path).unwrap();
        assert_eq!(SecretKey::from_file(&path).unwrap().0, first.0);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        std::fs::write(&path, "short").unwrap();
        assert!(SecretKey::from_file(&path).is_err());
    }

    #[test]
    fn derived_keys_differ_by_label() {
        assert_ne!(key().derive("seal"), key().derive("pseudonym"));
    }

    #[test]
    fn passwords_verify() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(is_password("correct horse", &hash).unwrap());
        assert!(!is_password("wrong horse", &hash).unwrap());
        assert!(is_password("correct horse", "$argon2id$damaged").is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", key()), "SecretKey(***)");
    }
}
