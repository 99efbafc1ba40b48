//! Instants, as people and programs write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use ingest::clock::Millis;

/// Seconds since 1970, or ISO 8601: a date (its beginning), or a date and a time; in UTC unless an offset says
/// otherwise.
pub fn instant(text: &str) -> Option<Millis> {
    let text = text.trim();
    seconds(text).or_else(|| iso(text))
}

fn seconds(text: &str) -> Option<Millis> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| is_decimal)?;
    #[expect(clippy::cast_possible_truncation, reason = "below 1e15, which an i64 holds")]
    (seconds < 1e12).then(|| Millis((seconds * 1000.0).round() as i64))
}

fn iso(text: &str) -> Option<Millis> {
    // In the query of a path, a plus that was not encoded is a space.
    let offset = text.replace(' ', "+");
    let zoned = || DateTime::parse_from_rfc3339(&offset).ok().map(|at| at.timestamp_millis());
    let naive = |at: NaiveDateTime| at.and_utc().timestamp_millis();
    let timed = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(naive);
    let dated = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(naive);
    zoned().or_else(timed).or_else(dated).map(Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_usual_form() {
        for text in [
            "1790000000",
            "1790000000.0",
            " 1790000000 ",
            "2026-09-21T14:13:20",
            "2026-09-21T14:13:20Z",
            "2026-09-21T14:13:20.000000",
            "2026-09-21T16:13:20+02:00",
            "2026-09-21T16:13:20 02:00",
        ] {
            assert_eq!(instant(text), Some(Millis(1_790_000_000_000)), "{text}");
        }
        assert_eq!(instant("2026-09-21"), Some(Millis(1_789_948_800_000)));
        assert_eq!(instant("1790000000.25"), Some(Millis(1_790_000_000_250)));
        let wrong =
            ["", "yesterday", "-5", "1e9", "NaN", "2026-13-01", "2026-09-21T25:00:00", "9999999999999"];
        for text in wrong {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
