//! Telephone numbers as the national schema of stations takes them.

/// A number as it is to be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phone {
    /// As it was written, but for what only parts digits.
    Number(String),
    /// It had lost its leading zero, as spreadsheets make numbers of texts.
    Mended(String),
}

/// A French number of ten digits (`01 99 00 27 37`), a short one (`115`, `3949`), or an international one
/// (`+33 1 99 00 27 37`). None for anything else.
pub(super) fn phone(text: &str) -> Option<Phone> {
    let dialled: String =
        text.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '.' | '-' | '(' | ')')).collect();
    let (abroad, digits) = match (dialled.strip_prefix('+'), dialled.strip_prefix("00")) {
        (Some(rest), _) | (None, Some(rest)) => (true, rest),
        (None, None) => (false, dialled.as_str()),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Of a French number, what follows its zero: the first digit is the region or the kind.
    let is_national = |rest: &str| rest.len() == 9 && !rest.starts_with('0');
    let home = if abroad { digits.strip_prefix("33") } else { digits.strip_prefix('0') };
    match home {
        Some(rest) if is_national(rest) => Some(Phone::Number(format!("0{rest}"))),
        // E.164: at most 15 digits.
        None if abroad => (9..=15).contains(&digits.len()).then(|| Phone::Number(format!("+{digits}"))),
        None if is_national(digits) => Some(Phone::Mended(format!("0{digits}"))),
        None if is_short(digits) => Some(Phone::Number(digits.to_owned())),
        _ => None,
    }
}

/// Emergency and service numbers: 15, 17, 18, 1xx, 10xx, 116xxx, 118xxx, 3xxx.
fn is_short(digits: &str) -> bool {
    match digits.len() {
        2 => ["15", "17", "18"].contains(&digits),
        3 => digits.starts_with('1'),
        4 => digits.starts_with("10") || digits.starts_with('3'),
        6 => digits.starts_with("116") || digits.starts_with("118"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_dialled_in_france_is_a_number() {
        for (written, dialled) in [
            ("0476544254", "0476544254"),
            ("04 76.54-42 54", "0476544254"),
            ("+33 4 76 54 42 54", "0476544254"),
            ("0033476544254", "0476544254"),
            ("3949", "3949"),
            ("115", "115"),
            ("+41 22 331 41 33", "+41223314133"),
        ] {
            assert_eq!(phone(written), Some(Phone::Number(dialled.to_owned())), "{written}");
        }
        assert_eq!(phone("476544254"), Some(Phone::Mended("0476544254".to_owned())));
        for wrong in [
            "",
            "12345",
            "0076544254",
            "00",
            "abc",
            "047654425",
            "04765442541",
            "5949",
            "+33 04",
            "+12",
            "12",
        ] {
            assert_eq!(phone(wrong), None, "{wrong}");
        }
    }
}
