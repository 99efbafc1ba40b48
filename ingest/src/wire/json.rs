//! The JSON datagram in service: one object of strings and numbers, read without allocation.
//!
//! Strict where JSON is (RFC 8259: one value, no trailing bytes, whole surrogate pairs), lenient where operators
//! differ: keys come in any order, unknown ones are skipped with whatever they hold, and of a key given twice the
//! last counts.

use std::ops::Range;

use crate::limits::MAX_NESTING;

/// The fields of a datagram, as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// When the device was there: seconds since 1970, if the operator's software is right.
    pub timestamp: Option<Value<'a>>,
    /// The operator's email.
    pub operator: Option<Value<'a>>,
    /// The version of the protocol that the sender speaks. It decides nothing, but is signed.
    pub version: Option<Value<'a>>,
    /// Latitude in degrees.
    pub lat: Option<Value<'a>>,
    /// Longitude in degrees.
    pub lon: Option<Value<'a>>,
    /// The kind of device. It decides nothing, but is signed.
    pub device: Option<Value<'a>>,
    /// The taxi's public id.
    pub taxi: Option<Value<'a>>,
    /// What the sender says of the taxi's status.
    pub status: Option<Value<'a>>,
    /// The signature in hexadecimal digits.
    pub hash: Option<Value<'a>>,
}

impl<'a> Fields<'a> {
    /// Every field but the hash, by its name.
    pub fn but_the_hash(&self) -> [(&'static str, Option<Value<'a>>); 8] {
        let Self { timestamp, operator, version, lat, lon, device, taxi, status, hash: _ } = *self;
        let values = [timestamp, operator, version, lat, lon, device, taxi, status];
        std::array::from_fn(|place| (KEYS[place], values[place]))
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string, with its escapes decoded.
    String(&'a str),
    /// A number, letter for letter as it was sent.
    Number(&'a str),
    /// An array, an object, a boolean or null.
    Other,
}

/// Where decoded strings go. Keep one per thread: it grows to the largest datagram met, then allocates no more.
#[derive(Debug, Default)]
pub struct Scratch {
    decoded: String,
}

/// What is wrong with a text that should be a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is no JSON, or nests deeper than [`MAX_NESTING`].
    NotJson,
    /// It is JSON, but not an object.
    NotAnObject,
}

/// Reads a datagram. O(length); allocates only while `scratch` grows.
pub fn read<'a>(scratch: &'a mut Scratch, text: &'a str) -> Result<Fields<'a>, Malformed> {
    scratch.decoded.clear();
    let mut parser = Parser { text, at: 0, decoded: &mut scratch.decoded };
    let spans = parser.document()?;
    Ok(resolve(&spans, text, &scratch.decoded))
}

/// The fields in the order of [`Fields`].
const KEYS: [&str; 9] =
    ["timestamp", "operator", "version", "lat", "lon", "device", "taxi", "status", "hash"];

type Spans = [Option<Span>; KEYS.len()];

/// The place of a key among [`KEYS`]. Written out, as it is asked nine times a datagram: each comparison is with a text
/// of a known length.
fn place_of(key: &str) -> Option<usize> {
    Some(match key {
        "timestamp" => 0,
        "operator" => 1,
        "version" => 2,
        "lat" => 3,
        "lon" => 4,
        "device" => 5,
        "taxi" => 6,
        "status" => 7,
        "hash" => 8,
        _ => return None,
    })
}

/// Where a value's text lies. Ranges instead of slices, because the scratch buffer grows while we read.
#[derive(Clone, Debug)]
enum Span {
    /// A string without escapes: in the datagram.
    Verbatim(Range<usize>),
    /// A string with escapes: in the scratch buffer.
    Decoded(Range<usize>),
    Number(Range<usize>),
    Other,
}

fn resolve<'a>(spans: &Spans, text: &'a str, decoded: &'a str) -> Fields<'a> {
    let value = |span: &Option<Span>| {
        span.as_ref().map(|span| match span {
            Span::Verbatim(range) => Value::String(&text[range.clone()]),
            Span::Decoded(range) => Value::String(&decoded[range.clone()]),
            Span::Number(range) => Value::Number(&text[range.clone()]),
            Span::Other => Value::Other,
        })
    };
    let [timestamp, operator, version, lat, lon, device, taxi, status, hash] = spans.each_ref().map(value);
    Fields { timestamp, operator, version, lat, lon, device, taxi, status, hash }
}

/// A place in a text. Methods that may fail give None where the text is not JSON.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    decoded: &'a mut String,
}

impl Parser<'_> {
    /// The fields of the object that the whole text is.
    fn document(&mut self) -> Result<Spans, Malformed> {
        self.space();
        let spans = if self.take(b'{') {
            Some(self.fields().ok_or(Malformed::NotJson)?)
        } else {
            self.value(MAX_NESTING).ok_or(Malformed::NotJson)?;
            None
        };
        self.space();
        if self.at < self.text.len() {
            return Err(Malformed::NotJson);
        }
        spans.ok_or(Malformed::NotAnObject)
    }

    /// The members of the outermost object, after its brace.
    fn fields(&mut self) -> Option<Spans> {
        let mut spans = Spans::default();
        if self.closes(b'}') {
            return Some(spans);
        }
        loop {
            let mark = self.decoded.len();
            let key = self.key()?;
            let field = place_of(self.text_of(&key));
            self.decoded.truncate(mark);
            let value = self.value(MAX_NESTING)?;
            match field {
                Some(field) => spans[field] = Some(value),
                None => self.decoded.truncate(mark),
            }
            if !self.goes_on(b'}')? {
                return Some(spans);
            }
        }
    }

    /// A key with its colon.
    fn key(&mut self) -> Option<Span> {
        self.space();
        let key = self.string()?;
        self.space();
        self.take(b':').then_some(key)
    }

    /// Any value; what it nests may nest `depth` levels.
    fn value(&mut self, depth: u8) -> Option<Span> {
        self.space();
        match self.peek()? {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => None,
        }
    }

    fn object(&mut self, depth: u8) -> Option<Span> {
        self.at += 1;
        if self.closes(b'}') {
            return Some(Span::Other);
        }
        loop {
            self.key()?;
            self.value(depth)?;
            if !self.goes_on(b'}')? {
                return Some(Span::Other);
            }
        }
    }

    fn array(&mut self, depth: u8) -> Option<Span> {
        self.at += 1;
        if self.closes(b']') {
            return Some(Span::Other);
        }
        loop {
            self.value(depth)?;
            if !self.goes_on(b']')? {
                return Some(Span::Other);
            }
        }
    }

    fn literal(&mut self, word: &str) -> Option<Span> {
        let found = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        found.then_some(Span::Other)
    }

    fn number(&mut self) -> Option<Span> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Some(Span::Number(start..self.at))
    }

    /// At least one digit.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn string(&mut self) -> Option<Span> {
        if !self.take(b'"') {
            return None;
        }
        let start = self.at;
        self.plain();
        if self.take(b'"') {
            return Some(Span::Verbatim(start..self.at - 1));
        }
        let mark = self.decoded.len();
        self.decoded.push_str(&self.text[start..self.at]);
        loop {
            match self.next()? {
                b'"' => return Some(Span::Decoded(mark..self.decoded.len())),
                b'\\' => {
                    let decoded = self.escape()?;
                    self.decoded.push(decoded);
                }
                _ => return None,
            }
            let start = self.at;
            self.plain();
            self.decoded.push_str(&self.text[start..self.at]);
        }
    }

    /// Moves to the next quote, escape or control character. All of these are ASCII, so that slices between them
    /// never cut a character.
    fn plain(&mut self) {
        let (words, rest) = self.text.as_bytes()[self.at..].as_chunks::<8>();
        for word in words {
            let marks = not_plain(u64::from_le_bytes(*word));
            if marks != 0 {
                self.at += marks.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        let is_plain = |byte: &u8| *byte != b'"' && *byte != b'\\' && *byte >= 0x20;
        self.at += rest.iter().take_while(|byte| is_plain(byte)).count();
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        })
    }

    /// Four hexadecimal digits, or twice four that are a surrogate pair.
    fn unicode(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            // A trailing surrogate without a leading one is no character: None.
            return char::from_u32(first);
        }
        if !(self.take(b'\\') && self.take(b'u')) {
            return None;
        }
        let second = self.four_digits()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second)
    }

    fn four_digits(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |number, _| Some(number * 16 + char::from(self.next()?).to_digit(16)?))
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether an array or object that was just opened ends here.
    fn closes(&mut self, bracket: u8) -> bool {
        self.space();
        self.take(bracket)
    }

    /// After an element: whether another one follows.
    fn goes_on(&mut self, bracket: u8) -> Option<bool> {
        self.space();
        match self.next()? {
            b',' => Some(true),
            byte => (byte == bracket).then_some(false),
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// The text of a string.
    fn text_of(&self, string: &Span) -> &str {
        match string {
            Span::Decoded(range) => &self.decoded[range.clone()],
            Span::Verbatim(range) | Span::Number(range) => &self.text[range.clone()],
            Span::Other => "",
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// The highest bit of bytes of a word that are a quote, a backslash or a control character: of the first one at least,
/// and of no byte before it. (What is borrowed on the way may mark a byte after it.)
fn not_plain(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_place() {
        for (place, key) in KEYS.into_iter().enumerate() {
            assert_eq!(place_of(key), Some(place));
        }
        assert_eq!(place_of("Taxi"), None);
    }

    #[test]
    fn the_first_byte_that_is_not_plain_is_found_whatever_surrounds_it() {
        let is_plain = |byte: u8| byte != b'"' && byte != b'\\' && byte >= 0x20;
        for around in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
            assert_eq!(not_plain(u64::from_le_bytes([around; 8])), 0, "{around}");
            for byte in 0..=u8::MAX {
                for after in [around, 0, b'"'] {
                    let mut bytes = [around; 8];
                    (bytes[3], bytes[5]) = (byte, after);
                    let first = bytes.iter().position(|byte| !is_plain(*byte)).map_or(8, |at| at);
                    let found = not_plain(u64::from_le_bytes(bytes)).trailing_zeros() as usize / 8;
                    assert_eq!(found, first, "{bytes:?}");
                }
            }
        }
    }
}
