//! A digest of rows that does not depend on their order: how the archive is held against the log.
//!
//! Each row is hashed to 128 bits with its partition, offset and place in the record, and the hashes are added up. So
//! the digest of a day is the sum of those of its hours, a row too many or too few changes it, and so does a value. It
//! finds mistakes and damage; it is no seal against somebody who forges rows.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

/// The sum of the hashes of some rows; of none, zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u128);

impl Digest {
    /// Adds a row, as words that determine it.
    pub fn add(&mut self, words: &[u64]) {
        self.0 = self.0.wrapping_add(hash(words));
    }
}

/// Of each word every bit of the state is made to depend on: a multiplication carries it up, the shift down.
fn hash(words: &[u64]) -> u128 {
    const START: u128 = 0x243f_6a88_85a3_08d3_1319_8a2e_0370_7344;
    const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let mix = |state: u128| {
        let state = state.wrapping_mul(FACTOR);
        state ^ state >> 64
    };
    mix(words.iter().fold(START, |state, &word| mix(state ^ u128::from(word))))
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text is not that of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 32 hexadecimal digits")]
pub struct BadDigest;

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        if text.len() != 32 || text.starts_with('+') {
            return Err(BadDigest);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| BadDigest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[[u64; 3]]) -> Digest {
        let mut digest = Digest::default();
        for row in rows {
            digest.add(row);
        }
        digest
    }

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let rows = [[1, 2, 3], [4, 5, 6]];
        assert_eq!(of(&rows), of(&[rows[1], rows[0]]));
        for other in [&[][..], &rows[..1], &[rows[0], rows[0]], &[rows[0], rows[1], rows[1]]] {
            assert_ne!(of(&rows), of(other), "{other:?}");
        }
        for word in 0..3 {
            for bit in 0..64 {
                let mut changed = rows;
                changed[1][word] ^= 1 << bit;
                assert_ne!(of(&rows), of(&changed), "bit {bit} of word {word}");
            }
        }
        assert_ne!(of(&[[1, 5, 3], [4, 2, 6]]), of(&rows), "values that change their places");
    }

    #[test]
    fn digests_add_up() {
        let (mut sum, other) = (of(&[[1, 2, 3]]), of(&[[4, 5, 6]]));
        sum += other;
        assert_eq!(sum, of(&[[1, 2, 3], [4, 5, 6]]));
    }

    #[test]
    fn a_digest_is_read_back() {
        let digest = of(&[[1, 2, 3]]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for bad in ["", "00", "+0000000000000000000000000000000", "0000000000000000000000000000000g"] {
            assert_eq!(bad.parse::<Digest>(), Err(BadDigest), "{bad}");
        }
    }
}
