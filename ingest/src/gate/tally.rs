//! What was refused of one operator for one reason: how often, of which taxis, from where, and the latest ones whole.
//!
//! Everything here may be made up by anybody who can send a datagram, so everything has a size. Once warm it allocates
//! nothing, until it is taken.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;

use super::heaviest::{Heaviest, Weight};
use crate::clock::Millis;
use crate::limits::{MAX_REFUSED_EXAMPLES, MAX_REFUSED_FIELD, MAX_REFUSED_SOURCES, MAX_REFUSED_TAXIS};
use crate::position::Transport;
use crate::wire::json::Value;

/// What stands in place of a secret.
const MASK: &str = "***";
/// What stands at the end of a text that was cut.
const CUT: char = '…';
/// Bytes of a text that may be a hash rather than a word.
const LEAST_HASH: usize = 8;
/// Bytes of an example: eight fields, their names, and as much again for escapes.
const EXAMPLE_ROOM: usize = 1_280;

/// A count since some time, and what is known of what was counted.
#[derive(Clone, Debug)]
pub struct Tally {
    /// How many were refused.
    pub count: u64,
    /// When the last one was.
    pub last_at: Millis,
    /// The taxis named most often. A refusal may name none.
    pub taxis: Heaviest<TaxiName>,
    /// Where most came from, if that is known.
    pub sources: Heaviest<IpAddr>,
    /// The latest, the last one last.
    pub examples: VecDeque<Example>,
}

/// One refused position.
#[derive(Clone, Debug)]
pub struct Example {
    /// When it was received.
    pub at: Millis,
    /// How.
    pub transport: Transport,
    /// Where it came from, without the port.
    pub from: Option<IpAddr>,
    /// What it said, as JSON: the fields we know, as sent but for what is too long, without the hash or a key.
    pub text: String,
}

/// A refused position, as it is noted.
#[derive(Clone, Copy, Debug)]
pub struct Noted<'a> {
    /// When it was received.
    pub at: Millis,
    /// How.
    pub transport: Transport,
    /// How many positions it is: one, or all of a compact datagram.
    pub positions: u64,
    /// Where it came from.
    pub from: Option<IpAddr>,
    /// The taxi that it names.
    pub taxi: Option<&'a str>,
    /// The fields that we know, by name.
    pub fields: &'a [(&'static str, Option<Value<'a>>)],
    /// What must not be kept.
    pub secrets: Secrets<'a>,
}

/// What no example shows, wherever in it it stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secrets<'a> {
    /// The operator's key.
    pub key: &'a str,
    /// The hash that was sent.
    pub hash: &'a str,
}

impl Secrets<'_> {
    fn are_in(self, text: &str) -> bool {
        // A hash so short that it may be a word hides nothing.
        let holds = |secret: &str, least: usize| secret.len() >= least && text.contains(secret);
        holds(self.key, 1) || holds(self.hash, LEAST_HASH)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            count: 0,
            last_at: Millis(0),
            taxis: Heaviest::new(MAX_REFUSED_TAXIS),
            sources: Heaviest::new(MAX_REFUSED_SOURCES),
            examples: VecDeque::with_capacity(MAX_REFUSED_EXAMPLES),
        }
    }
}

impl Tally {
    /// Counts some of which nothing else is known.
    pub(super) fn count(&mut self, positions: u64, at: Millis) {
        self.count += positions;
        self.last_at = self.last_at.max(at);
    }

    pub(super) fn note(&mut self, noted: &Noted<'_>) {
        self.count(noted.positions, noted.at);
        let from = noted.from.map(|from| from.to_canonical());
        if let Some(taxi) = noted.taxi {
            let name = TaxiName::new(if noted.secrets.are_in(taxi) { MASK } else { taxi });
            self.taxis.add(Weight { name, at_most: noted.positions, doubtful: 0 });
        }
        if let Some(from) = from {
            self.sources.add(Weight { name: from, at_most: noted.positions, doubtful: 0 });
        }
        let oldest =
            if self.examples.len() < MAX_REFUSED_EXAMPLES { None } else { self.examples.pop_front() };
        let mut text = oldest.map_or_else(|| String::with_capacity(EXAMPLE_ROOM), |oldest| oldest.text);
        text.clear();
        write_fields(&mut text, noted.fields, noted.secrets);
        self.examples.push_back(Example { at: noted.at, transport: noted.transport, from, text });
    }

    /// Gives what was counted and begins anew, in the same memory.
    pub(super) fn take(&mut self) -> Self {
        let taken = self.clone();
        self.count = 0;
        self.taxis.clear();
        self.sources.clear();
        self.examples.clear();
        taken
    }
}

/// A taxi's id as somebody sent it, cut to a size that is kept in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TaxiName {
    length: u8,
    bytes: [u8; MAX_REFUSED_FIELD],
}

const _: () = assert!(MAX_REFUSED_FIELD <= u8::MAX as usize, "a name's length is a byte");

impl TaxiName {
    fn new(text: &str) -> Self {
        let text = cut(text);
        let mut bytes = [0; MAX_REFUSED_FIELD];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self { length: u8::try_from(text.len()).unwrap_or_default(), bytes }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Cut between two letters, so this is always text.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Debug for TaxiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The beginning of a text that is kept of it.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_REFUSED_FIELD)]
}

fn write_fields(into: &mut String, fields: &[(&'static str, Option<Value<'_>>)], secrets: Secrets<'_>) {
    into.push('{');
    for (name, value) in fields {
        let Some(value) = value else { continue };
        into.push_str(if into.len() > 1 { ",\"" } else { "\"" });
        into.push_str(name);
        into.push_str("\":");
        match value {
            Value::Number(text) if text.len() <= MAX_REFUSED_FIELD && !secrets.are_in(text) => {
                into.push_str(text);
            }
            Value::Number(text) | Value::String(text) => write_string(into, text, secrets),
            // An array, an object, a boolean or null: what it is not is what was wrong.
            Value::Other => write_string(into, "(neither text nor number)", Secrets::default()),
        }
    }
    into.push('}');
}

fn write_string(into: &mut String, text: &str, secrets: Secrets<'_>) {
    into.push('"');
    if secrets.are_in(text) {
        into.push_str(MASK);
    } else {
        let kept = cut(text);
        for letter in kept.chars() {
            match letter {
                '"' | '\\' => into.extend(['\\', letter]),
                letter if letter.is_control() => into.push(char::REPLACEMENT_CHARACTER),
                letter => into.push(letter),
            }
        }
        if kept.len() < text.len() {
            into.push(CUT);
        }
    }
    into.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: &[(&'static str, Option<Value<'_>>)], secrets: Secrets<'_>) -> String {
        let mut text = String::new();
        write_fields(&mut text, fields, secrets);
        text
    }

    #[test]
    fn an_example_is_what_was_sent_and_always_json() {
        let long = "é".repeat(MAX_REFUSED_FIELD);
        let digits = "1".repeat(MAX_REFUSED_FIELD + 1);
        let fields = [
            ("lat", Some(Value::Number("48.8600"))),
            ("lon", Some(Value::Number(&digits))),
            ("taxi", Some(Value::String("a\"b\\c\n\0d"))),
            ("device", Some(Value::String(&long))),
            ("status", Some(Value::Other)),
            ("version", None),
        ];
        let text = written(&fields, Secrets::default());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(text.starts_with(r#"{"lat":48.8600,"lon":"111"#), "{text}");
        assert_eq!(value["taxi"], "a\"b\\c\u{fffd}\u{fffd}d");
        assert_eq!(value["device"], format!("{}…", "é".repeat(MAX_REFUSED_FIELD / 2)));
        assert_eq!(value["status"], "(neither text nor number)");
        assert_eq!(value.get("version"), None);
        assert_eq!(written(&[("version", None)], Secrets::default()), "{}");
    }

    #[test]
    fn no_example_outgrows_its_room() {
        let worst = "\"".repeat(1_000);
        let names = ["timestamp", "operator", "version", "lat", "lon", "device", "taxi", "status"];
        let text =
            written(&names.map(|name| (name, Some(Value::String(worst.as_str())))), Secrets::default());
        assert!(text.len() <= EXAMPLE_ROOM, "{}", text.len());
    }

    #[test]
    fn a_secret_is_masked_wherever_it_stands() {
        let key = "d8a1f6a2-2f2b-4b6e";
        let noted = format!("my key is {key}.");
        let fields = [("taxi", Some(Value::String(&noted))), ("lat", Some(Value::Number("12345678901")))];
        assert_eq!(written(&fields, Secrets { key, hash: "345678901" }), r#"{"taxi":"***","lat":"***"}"#);
        let mut tally = Tally::default();
        let noted = Noted {
            at: Millis(5),
            transport: Transport::Udp,
            positions: 1,
            from: None,
            taxi: Some(&noted),
            fields: &fields,
            secrets: Secrets { key, hash: "" },
        };
        tally.note(&noted);
        assert!(!format!("{tally:?}").contains(key), "{tally:?}");
        assert_eq!(tally.taxis.weights()[0].name.as_str(), "***");
        let word = Secrets { key: "", hash: "free" };
        assert!(!word.are_in("free"), "a word in place of the hash hides no other word");
    }

    #[test]
    fn only_so_much_is_kept() {
        let mut tally = Tally::default();
        for number in 0..100_u8 {
            let taxi = format!("taxi {number}");
            tally.note(&Noted {
                at: Millis(number.into()),
                transport: Transport::Http,
                positions: 1,
                from: Some(IpAddr::from([10, 0, 0, number])),
                taxi: Some(&taxi),
                fields: &[("taxi", Some(Value::String(&taxi)))],
                secrets: Secrets::default(),
            });
        }
        assert_eq!((tally.count, tally.last_at), (100, Millis(99)));
        assert_eq!(tally.taxis.weights().len(), MAX_REFUSED_TAXIS);
        assert_eq!(tally.sources.weights().len(), MAX_REFUSED_SOURCES);
        let latest: Vec<_> = tally.examples.iter().map(|example| example.at.0).collect();
        assert_eq!(latest, [95, 96, 97, 98, 99]);
        let taken = tally.take();
        assert_eq!((taken.count, taken.examples.len()), (100, MAX_REFUSED_EXAMPLES));
        assert_eq!((tally.count, tally.taxis.weights().len(), tally.examples.len()), (0, 0, 0));
    }

    #[test]
    fn an_address_is_the_same_over_both_protocols() {
        let mut tally = Tally::default();
        for from in ["10.0.0.1", "::ffff:10.0.0.1"] {
            let from = Some(from.parse().unwrap());
            tally.note(&Noted {
                at: Millis(0),
                transport: Transport::Udp,
                positions: 1,
                from,
                taxi: None,
                fields: &[],
                secrets: Secrets::default(),
            });
        }
        assert_eq!(tally.sources.weights().len(), 1);
    }
}
