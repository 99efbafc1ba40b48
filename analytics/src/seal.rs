//! A file's own hash, in its footer: whether a file is what was written is known before anything in it is believed.
//!
//! The libraries that read columns and schemas panic on lengths and numbers that lie. So the footer has a text of a
//! known form, `blake3:` and 64 digits, and these are the BLAKE3 hash of the file with zeros in their place.

/// The text of a file that is not sealed yet.
pub(crate) fn unsealed() -> String {
    format!("{MARK}{}", "0".repeat(DIGITS))
}

/// Seals a file that has the text of one that is not; false if it has none.
#[must_use]
pub(crate) fn seal(content: &mut [u8]) -> bool {
    let Some(begin) = digits_of(content) else { return false };
    let hash = blake3::hash(content).to_hex();
    content[begin..begin + DIGITS].copy_from_slice(hash.as_bytes());
    true
}

/// Whether a file is as it was sealed.
pub(crate) fn is_intact(content: &[u8]) -> bool {
    let Some(begin) = digits_of(content) else { return false };
    let (before, rest) = content.split_at(begin);
    let (digits, after) = rest.split_at(DIGITS);
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&[b'0'; DIGITS]).update(after);
    hasher.finalize().to_hex().as_bytes() == digits
}

/// Whether a file says that it is sealed, under this key or by a mark: one that says neither is of before.
pub(crate) fn is_marked(content: &[u8], key: &str) -> bool {
    [key, MARK].iter().any(|text| content.windows(text.len()).any(|window| window == text.as_bytes()))
}

const MARK: &str = "blake3:";
const DIGITS: usize = 64;

/// Where the digits are: behind the last mark.
fn digits_of(content: &[u8]) -> Option<usize> {
    let begin = content.windows(MARK.len()).rposition(|window| window == MARK.as_bytes())? + MARK.len();
    (begin + DIGITS <= content.len()).then_some(begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_leaves_a_file_intact() {
        let mut content = format!("columns, even blake3:, and {} in a footer", unsealed()).into_bytes();
        assert!(!is_intact(&content) && seal(&mut content) && is_intact(&content));
        for bit in 0..content.len() * 8 {
            content[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_intact(&content), "bit {bit}");
            content[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(is_intact(&content));
        assert!(!is_intact(&content[..content.len() - 1]) && !is_intact(b"") && !seal(&mut [0; 100]));
    }
}
