//! The JSON reader against `serde_json`, over texts made at random and damaged at random.

use ingest::wire::json::{Fields, Malformed, Scratch, Value, read};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value as Oracle};

/// What `serde_json` makes of a text, in our terms.
fn expected(text: &str) -> Result<Map<String, Oracle>, Malformed> {
    match serde_json::from_str(text) {
        Ok(Oracle::Object(fields)) => Ok(fields),
        Ok(_) => Err(Malformed::NotAnObject),
        Err(_) => Err(Malformed::NotJson),
    }
}

fn by_name<'a>(fields: &Fields<'a>) -> [(&'static str, Option<Value<'a>>); 9] {
    [
        ("timestamp", fields.timestamp),
        ("operator", fields.operator),
        ("version", fields.version),
        ("lat", fields.lat),
        ("lon", fields.lon),
        ("device", fields.device),
        ("taxi", fields.taxi),
        ("status", fields.status),
        ("hash", fields.hash),
    ]
}

/// Whether we and `serde_json` read the same value.
fn agree(ours: Option<Value<'_>>, theirs: Option<&Oracle>) -> bool {
    match (ours, theirs) {
        (Some(Value::String(ours)), Some(Oracle::String(theirs))) => ours == theirs,
        (Some(Value::Number(ours)), Some(Oracle::Number(theirs))) => same_number(ours, theirs.as_f64()),
        (Some(Value::Other), Some(theirs)) => !theirs.is_string() && !theirs.is_number(),
        (ours, theirs) => ours.is_none() && theirs.is_none(),
    }
}

/// `serde_json` is one or two units in the last place off, unless told to take more time.
fn same_number(ours: &str, theirs: Option<f64>) -> bool {
    let ours = ours.parse::<f64>().ok();
    ours.zip(theirs).is_some_and(|(ours, theirs)| (ours - theirs).abs() <= ours.abs() * 1e-14)
}

/// A disagreement on a text, in words.
fn disagreement(scratch: &mut Scratch, text: &str) -> Option<String> {
    match (read(scratch, text), expected(text)) {
        (Ok(ours), Ok(theirs)) => by_name(&ours)
            .into_iter()
            .find(|(name, value)| !agree(*value, theirs.get(*name)))
            .map(|(name, value)| format!("{name} of {text}: {value:?}, not {:?}", theirs.get(name))),
        (Err(ours), Err(theirs)) if ours == theirs => None,
        (ours, theirs) => Some(format!("{text}: {ours:?}, not {theirs:?}")),
    }
}

/// A key: ours, with an escape in it, or another.
fn key() -> impl Strategy<Value = String> {
    let names =
        select(vec!["timestamp", "operator", "version", "lat", "lon", "device", "taxi", "status", "hash"]);
    prop_oneof![
        8 => names.prop_map(|name| format!("\"{name}\"")),
        1 => Just(r#""la\u0074""#.to_owned()),
        2 => string(),
    ]
}

/// A string with any characters and every kind of escape.
fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[^\"\\\\\\x00-\\x1f]{0,8}",
        1 => select(vec![r#"\""#, r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", r"\u00e9", r"\u0000"])
            .prop_map(str::to_owned),
        1 => select(vec![r"\ud83d\ude95", r"\uD800", r"\udc00", r"\ud800\u0041", r"\ud800\ud800", r"\x", r"\u12g4"])
            .prop_map(str::to_owned),
    ];
    vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?";
    let almost =
        select(vec!["01", "1.", ".5", "+1", "-", "1e", "1e+", "0x10", "1_000", "NaN", "Infinity", "- 1"]);
    prop_oneof![20 => number, 1 => almost.prop_map(str::to_owned)]
}

fn value() -> impl Strategy<Value = String> {
    let word = select(vec!["true", "false", "null"]).prop_map(str::to_owned);
    let leaf = prop_oneof![string(), number(), word];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(" , "))),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    vec((key(), space(), value, space()), 0..12).prop_map(|members| {
        let member = |(key, before, value, after)| format!("{before}{key}{after}:{before}{value}{after}");
        format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(","))
    })
}

fn space() -> impl Strategy<Value = String> {
    select(vec!["", "", "", " ", "\n\t", "\r"]).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn objects_read_as_serde_json_reads_them(text in object(value())) {
        prop_assert_eq!(disagreement(&mut Scratch::default(), &text), None);
    }

    #[test]
    fn values_read_as_serde_json_reads_them(text in value()) {
        prop_assert_eq!(disagreement(&mut Scratch::default(), &text), None);
    }

    #[test]
    fn damaged_objects_too(text in object(value()), at in any::<prop::sample::Index>(), with in ".{0,2}") {
        let mut letters: Vec<_> = text.chars().collect();
        let at = at.index(letters.len());
        letters.splice(at..=at, with.chars());
        let text: String = letters.into_iter().collect();
        prop_assert_eq!(disagreement(&mut Scratch::default(), &text), None);
    }

    #[test]
    fn no_text_panics_and_old_scratch_changes_nothing(texts in vec(".{0,40}", 1..4), last in object(value())) {
        let (mut used, mut fresh) = (Scratch::default(), Scratch::default());
        for text in &texts {
            let _ = read(&mut used, text);
        }
        prop_assert_eq!(read(&mut used, &last), read(&mut fresh, &last));
    }
}

#[test]
fn numbers_and_strings_are_as_sent() {
    let mut scratch = Scratch::default();
    let fields = read(
        &mut scratch,
        r#"{"lat": 48.8600, "lon": "2,3500", "version": 2e0, "taxi": "\u0041\n\ud83d\uDE95"}"#,
    )
    .unwrap();
    assert_eq!(fields.lat, Some(Value::Number("48.8600")));
    assert_eq!(fields.lon, Some(Value::String("2,3500")));
    assert_eq!(fields.version, Some(Value::Number("2e0")));
    assert_eq!(fields.taxi, Some(Value::String("A\n🚕")));
    assert_eq!(fields.hash, None);
}

#[test]
fn of_a_key_given_twice_the_last_counts() {
    let mut scratch = Scratch::default();
    let fields =
        read(&mut scratch, r#"{"taxi": "a\n", "taxi": [1], "taxi": "b", "taxi": "\u0063"}"#).unwrap();
    assert_eq!(fields.taxi, Some(Value::String("c")));
}

#[test]
fn nesting_has_a_limit_and_the_limit_no_hole() {
    let nested = |depth: usize| format!("{{\"x\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    let deep = usize::from(ingest::limits::MAX_NESTING);
    assert!(read(&mut Scratch::default(), &nested(deep)).is_ok());
    assert_eq!(read(&mut Scratch::default(), &nested(deep + 1)), Err(Malformed::NotJson));
    let objects = "{\"x\":".repeat(100_000);
    assert_eq!(read(&mut Scratch::default(), &objects), Err(Malformed::NotJson));
}
