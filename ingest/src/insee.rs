//! The codes of towns.

use std::fmt;
use std::str::FromStr;

/// The INSEE code of a town: five digits or capital letters, as `75056` or `2A004`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Insee([u8; 5]);

impl Insee {
    /// The code as text.
    ///
    /// ```
    /// use ingest::insee::Insee;
    /// let ajaccio: Insee = "2A004".parse().unwrap();
    /// assert_eq!(ajaccio.as_str(), "2A004");
    /// assert!("2a004".parse::<Insee>().is_err() && "7505".parse::<Insee>().is_err());
    /// ```
    pub fn as_str(&self) -> &str {
        // ASCII by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The code as a number of 40 bits, in the same order.
    pub fn bits(self) -> u64 {
        self.0.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte))
    }
}

impl FromStr for Insee {
    type Err = InvalidInsee;

    fn from_str(code: &str) -> Result<Self, InvalidInsee> {
        let bytes: [u8; 5] = code.as_bytes().try_into().map_err(|_| InvalidInsee)?;
        let valid = bytes.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        if valid { Ok(Self(bytes)) } else { Err(InvalidInsee) }
    }
}

impl fmt::Display for Insee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Insee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Insee({self})")
    }
}

/// A text is not the form of an INSEE code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidInsee;

impl fmt::Display for InvalidInsee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an INSEE code is five digits or capital letters")
    }
}

impl std::error::Error for InvalidInsee {}
