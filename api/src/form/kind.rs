//! The kinds of fields, with the contract's leniency and messages.
//!
//! Partners' clients have grown against a validation that takes `"4"` for 4, `"yes"` for true and 200.5 for 200; so
//! does this one. A [`Kind`] both reads a field and describes it: what the reference says is what is checked. It
//! describes the strict spelling, which new clients should keep to.

use std::ops::RangeInclusive;

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::{Field, Form, messages};

/// How a field is read, and what the reference says of it.
pub trait Kind {
    /// What is read.
    type Read;

    /// The value, or what is wrong with it.
    fn read(&self, value: &Value) -> Field<Self::Read>;

    /// Its JSON Schema.
    fn schema(&self) -> Value;

    /// The same kind with words on this field of it.
    fn about(self, words: &'static str) -> About<Self>
    where
        Self: Sized,
    {
        About { kind: self, words }
    }
}

/// A kind, and what one field of it means.
#[derive(Clone, Debug)]
pub struct About<K> {
    kind: K,
    words: &'static str,
}

impl<K: Kind> Kind for About<K> {
    type Read = K::Read;

    fn read(&self, value: &Value) -> Field<K::Read> {
        self.kind.read(value)
    }

    fn schema(&self) -> Value {
        let mut schema = self.kind.schema();
        schema["description"] = json!(self.words);
        schema
    }
}

/// A kind of fields that are still checked, and kept no longer.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated<K>(pub K);

impl<K: Kind> Kind for Deprecated<K> {
    type Read = K::Read;

    fn read(&self, value: &Value) -> Field<K::Read> {
        self.0.read(value)
    }

    fn schema(&self) -> Value {
        let mut schema = self.0.schema();
        schema["deprecated"] = json!(true);
        schema
    }
}

/// A text.
#[derive(Clone, Copy, Debug)]
pub struct Text;

/// A text that is not empty.
#[derive(Clone, Copy, Debug)]
pub struct NonEmpty;

/// A text of this many characters.
#[derive(Clone, Debug)]
pub struct Length(pub RangeInclusive<usize>);

/// A text of at most so many characters.
#[derive(Clone, Copy, Debug)]
pub struct AtMost(pub usize);

/// A UUID in any of its usual forms, read as the one with hyphens.
#[derive(Clone, Copy, Debug)]
pub struct Uuid;

/// One of these texts.
#[derive(Clone, Copy, Debug)]
pub struct OneOf(pub &'static [&'static str]);

/// A whole number; fractions are cut off, texts are read.
#[derive(Clone, Copy, Debug)]
pub struct Integer;

/// A whole number within a range.
#[derive(Clone, Debug)]
pub struct IntegerWithin(pub RangeInclusive<i32>);

/// A number; texts are read.
#[derive(Clone, Copy, Debug)]
pub struct Float;

/// A number within a range.
#[derive(Clone, Debug)]
pub struct FloatWithin(pub RangeInclusive<f64>);

/// Yes or no, in any of the usual spellings.
#[derive(Clone, Copy, Debug)]
pub struct Boolean;

/// A day, `YYYY-MM-DD`; month and day may have one digit.
#[derive(Clone, Copy, Debug)]
pub struct Day;

/// A kind that the registry writes and does not read: whatever is sent back is left alone.
#[derive(Clone, Copy, Debug)]
pub struct LeftAlone;

/// An object, field by field; fields that nobody asks for are errors.
#[derive(Clone, Copy, Debug)]
pub struct Object<T>(pub fn(&mut Form<'_>) -> Option<T>);

/// An object, field by field; other fields are left alone.
#[derive(Clone, Copy, Debug)]
pub struct OpenObject<T>(pub fn(&mut Form<'_>) -> Option<T>);

/// A text that passes a check of its own.
#[derive(Clone, Copy, Debug)]
pub struct TextThat {
    /// What such a text is, as a JSON Schema beside `type`.
    pub schema: fn() -> Value,
    /// Whether this is one.
    pub holds: fn(&str) -> bool,
    /// The message where it is none.
    pub message: &'static str,
}

macro_rules! kinds {
    ($($kind:ty => $read:ty, |$this:ident, $value:ident| $reading:expr, $schema:expr;)+) => {$(
        impl Kind for $kind {
            type Read = $read;

            fn read(&self, $value: &Value) -> Field<$read> {
                let $this = self;
                $reading
            }

            fn schema(&self) -> Value {
                let $this = self;
                $schema
            }
        }
    )+};
}

kinds! {
    Text => String, |_this, value| string(value), json!({"type": "string"});
    NonEmpty => String, |_this, value| non_empty(value), json!({"type": "string", "minLength": 1});
    Length => String, |this, value| text(this.0.clone())(value),
        json!({"type": "string", "minLength": this.0.start(), "maxLength": this.0.end()});
    AtMost => String, |this, value| at_most(this.0, value), json!({"type": "string", "maxLength": this.0});
    Uuid => String, |_this, value| uuid(value), json!({"type": "string", "format": "uuid"});
    OneOf => &'static str, |this, value| one_of(this.0)(value), json!({"type": "string", "enum": this.0});
    Integer => i32, |_this, value| integer(value), json!({"type": "integer", "format": "int32"});
    IntegerWithin => i32, |this, value| integer_within(this.0.clone())(value),
        json!({"type": "integer", "minimum": this.0.start(), "maximum": this.0.end()});
    Float => f64, |_this, value| float(value), json!({"type": "number", "format": "double"});
    FloatWithin => f64, |this, value| float_within(this.0.clone())(value),
        json!({"type": "number", "minimum": this.0.start(), "maximum": this.0.end()});
    Boolean => bool, |_this, value| boolean(value), json!({"type": "boolean"});
    Day => NaiveDate, |_this, value| date(value), json!({"type": "string", "format": "date"});
    LeftAlone => (), |_this, _value| Ok(()), json!({"readOnly": true});
}

impl<T> Kind for Object<T> {
    type Read = T;

    fn read(&self, value: &Value) -> Field<T> {
        let mut form = Form::begin(value)?;
        let read = (self.0)(&mut form);
        form.finish(read)
    }

    fn schema(&self) -> Value {
        let mut schema = Form::describe(self.0);
        schema["additionalProperties"] = json!(false);
        schema
    }
}

impl<T> Kind for OpenObject<T> {
    type Read = T;

    fn read(&self, value: &Value) -> Field<T> {
        let mut form = Form::begin(value)?;
        let read = (self.0)(&mut form);
        form.finish_leniently(read)
    }

    fn schema(&self) -> Value {
        Form::describe(self.0)
    }
}

impl Kind for TextThat {
    type Read = String;

    fn read(&self, value: &Value) -> Field<String> {
        let text = string(value)?;
        if (self.holds)(&text) { Ok(text) } else { Err(messages(self.message)) }
    }

    fn schema(&self) -> Value {
        let mut schema = (self.schema)();
        schema["type"] = json!("string");
        schema
    }
}

/// A text; not one with a NUL, which PostgreSQL keeps nowhere.
fn string(value: &Value) -> Field<String> {
    let text = value.as_str().filter(|text| !text.contains('\0'));
    text.map(str::to_owned).ok_or_else(|| messages("Not a valid string."))
}

/// A text of this many characters.
fn text(length: RangeInclusive<usize>) -> impl Fn(&Value) -> Field<String> {
    move |value| {
        let text = string(value)?;
        if length.contains(&text.chars().count()) {
            Ok(text)
        } else {
            Err(messages(&format!("Length must be between {} and {}.", length.start(), length.end())))
        }
    }
}

/// A text of at most so many characters.
fn at_most(characters: usize, value: &Value) -> Field<String> {
    let text = string(value)?;
    if text.chars().count() <= characters {
        Ok(text)
    } else {
        Err(messages(&format!("Longer than maximum length {characters}.")))
    }
}

/// A UUID.
fn uuid(value: &Value) -> Field<String> {
    let read = value.as_str().and_then(|text| uuid::Uuid::try_parse(text).ok());
    read.map(|uuid| uuid.to_string()).ok_or_else(|| messages("Not a valid UUID."))
}

/// A text that is not empty.
fn non_empty(value: &Value) -> Field<String> {
    let text = string(value)?;
    if text.is_empty() { Err(messages("Shorter than minimum length 1.")) } else { Ok(text) }
}

/// One of these texts.
fn one_of(choices: &'static [&'static str]) -> impl Fn(&Value) -> Field<&'static str> {
    move |value| {
        let text = string(value)?;
        let choice = choices.iter().copied().find(|choice| *choice == text);
        choice.ok_or_else(|| messages(&format!("Must be one of: {}.", choices.join(", "))))
    }
}

/// A whole number; fractions are cut off, texts are read.
fn integer(value: &Value) -> Field<i32> {
    let invalid = || messages("Not a valid integer.");
    let too_large = || messages("Number too large.");
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => i32::try_from(whole).map_err(|_| too_large()),
            (None, Some(real)) if real.abs() < f64::from(i32::MAX) => Ok(cut(real)),
            _ => Err(too_large()),
        },
        Value::String(text) => {
            let digits = without_underscores(text.trim()).ok_or_else(invalid)?;
            match digits.parse::<i64>() {
                Ok(whole) => i32::try_from(whole).map_err(|_| too_large()),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow
                    ) =>
                {
                    Err(too_large())
                }
                Err(_) => Err(invalid()),
            }
        }
        _ => Err(invalid()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the caller checked the range; the fraction is to go")]
fn cut(real: f64) -> i32 {
    real as i32
}

/// A whole number within a range.
fn integer_within(range: RangeInclusive<i32>) -> impl Fn(&Value) -> Field<i32> {
    move |value| {
        let number = integer(value)?;
        if range.contains(&number) { Ok(number) } else { Err(out_of_range(range.start(), range.end())) }
    }
}

/// A number; texts are read.
fn float(value: &Value) -> Field<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => float_text(text),
        _ => None,
    };
    match number {
        None => Err(messages("Not a valid number.")),
        Some(number) if number.is_finite() => Ok(number),
        Some(_) => Err(messages("Special numeric values (nan or infinity) are not permitted.")),
    }
}

/// A number within a range.
fn float_within(range: RangeInclusive<f64>) -> impl Fn(&Value) -> Field<f64> {
    move |value| {
        let number = float(value)?;
        if range.contains(&number) { Ok(number) } else { Err(out_of_range(range.start(), range.end())) }
    }
}

fn out_of_range(low: &impl std::fmt::Display, high: &impl std::fmt::Display) -> Value {
    messages(&format!("Must be greater than or equal to {low} and less than or equal to {high}."))
}

/// A number in a text; single underscores between digits separate.
pub fn float_text(text: &str) -> Option<f64> {
    let text = without_underscores(text.trim())?;
    text.parse().ok()
}

/// Single underscores between digits only separate.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let between_digits =
        |i: usize| i > 0 && bytes[i - 1].is_ascii_digit() && bytes.get(i + 1).is_some_and(u8::is_ascii_digit);
    let fine = bytes.iter().enumerate().all(|(i, byte)| *byte != b'_' || between_digits(i));
    fine.then(|| text.replace('_', ""))
}

/// Yes or no, in any of the usual spellings.
fn boolean(value: &Value) -> Field<bool> {
    const YES: [&str; 12] = ["t", "T", "true", "True", "TRUE", "on", "On", "ON", "y", "Y", "1", "yes"];
    const NO: [&str; 12] = ["f", "F", "false", "False", "FALSE", "off", "Off", "OFF", "n", "N", "0", "no"];
    let read = match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::String(text) if YES.contains(&text.as_str()) || text == "Yes" || text == "YES" => Some(true),
        Value::String(text) if NO.contains(&text.as_str()) || text == "No" || text == "NO" => Some(false),
        _ => None,
    };
    read.ok_or_else(|| messages("Not a valid boolean."))
}

/// A day, `YYYY-MM-DD`; month and day may have one digit.
fn date(value: &Value) -> Field<NaiveDate> {
    let read = value.as_str().and_then(|text| {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let digits = |text: &str, least: usize, most: usize| {
            (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if parts.next().is_some() || !digits(year, 4, 4) || !digits(month, 1, 2) || !digits(day, 1, 2) {
            return None;
        }
        NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    });
    // Year 0 exists in chrono's calendar, not in the contract's.
    read.filter(|day| chrono::Datelike::year(day) >= 1).ok_or_else(|| messages("Not a valid date."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn integers_are_read_as_partners_write_them() {
        for (given, read) in [
            (json!(4), 4),
            (json!("4"), 4),
            (json!(" 200 "), 200),
            (json!("2_00"), 200),
            (json!(200.5), 200),
            (json!(-1.9), -1),
            (json!("+7"), 7),
        ] {
            assert_eq!(integer(&given), Ok(read), "{given}");
        }
        for given in [
            json!("x"),
            json!("200.5"),
            json!(true),
            json!([1]),
            json!({}),
            json!("1e3"),
            json!(""),
            json!("1__0"),
            json!("_1"),
        ] {
            assert_eq!(integer(&given), Err(json!(["Not a valid integer."])), "{given}");
        }
        for given in [json!(1e300), json!(3_000_000_000_i64), json!("99999999999999999999")] {
            assert_eq!(integer(&given), Err(json!(["Number too large."])), "{given}");
        }
    }

    #[test]
    fn ranges_name_both_ends() {
        let radius = integer_within(150..=500);
        assert_eq!(radius(&json!(500.9)), Ok(500));
        let message = json!(["Must be greater than or equal to 150 and less than or equal to 500."]);
        assert_eq!(radius(&json!(149)), Err(message));
        let lat = float_within(-85.051_128_78..=85.051_128_78);
        let message = "Must be greater than or equal to -85.05112878 and less than or equal to 85.05112878.";
        assert_eq!(lat(&json!(86)), Err(json!([message])));
        let message = "Must be greater than or equal to -180 and less than or equal to 180.";
        assert_eq!(float_within(-180.0..=180.0)(&json!(181)), Err(json!([message])));
    }

    #[test]
    fn numbers_are_numbers_or_texts_of_them() {
        for (given, read) in
            [(json!("2.351"), 2.351), (json!(2), 2.0), (json!(" 1e3 "), 1000.0), (json!("1_0"), 10.0)]
        {
            assert_eq!(float(&given), Ok(read), "{given}");
        }
        for given in [json!("2,35"), json!("x"), json!([1]), json!(true), json!(""), json!(null)] {
            assert_eq!(float(&given), Err(json!(["Not a valid number."])), "{given}");
        }
        for given in [json!("nan"), json!("inf"), json!("-Infinity"), json!("1e400")] {
            let message = json!(["Special numeric values (nan or infinity) are not permitted."]);
            assert_eq!(float(&given), Err(message), "{given}");
        }
    }

    #[test]
    fn booleans_have_many_spellings() {
        for given in [json!(true), json!("yes"), json!("ON"), json!(1), json!(1.0), json!("YES")] {
            assert_eq!(boolean(&given), Ok(true), "{given}");
        }
        for given in [json!(false), json!("no"), json!("Off"), json!(0), json!("No")] {
            assert_eq!(boolean(&given), Ok(false), "{given}");
        }
        for given in [json!("maybe"), json!(2), json!([1]), json!("oui")] {
            assert_eq!(boolean(&given), Err(json!(["Not a valid boolean."])), "{given}");
        }
    }

    #[test]
    fn dates_are_days_of_the_calendar() {
        assert_eq!(date(&json!("1970-1-5")), Ok(NaiveDate::from_ymd_opt(1970, 1, 5).unwrap()));
        assert_eq!(date(&json!("0001-01-01")), Ok(NaiveDate::from_ymd_opt(1, 1, 1).unwrap()));
        for given in [
            json!("12/05/1970"),
            json!("1970-13-01"),
            json!("1970-01-05T00:00:00"),
            json!(5),
            json!(""),
            json!("19700105"),
            json!("0000-01-01"),
            json!("1970-02-30"),
            json!("+970-02-03"),
        ] {
            assert_eq!(date(&given), Err(json!(["Not a valid date."])), "{given}");
        }
    }

    #[test]
    fn texts_count_characters() {
        let plate = text(7..=10);
        assert_eq!(plate(&json!("ÉÉ-111-ÉÉ")), Ok("ÉÉ-111-ÉÉ".to_owned()));
        assert_eq!(plate(&json!("A1")), Err(json!(["Length must be between 7 and 10."])));
        assert_eq!(non_empty(&json!("")), Err(json!(["Shorter than minimum length 1."])));
        assert_eq!(one_of(&["free", "off"])(&json!("on")), Err(json!(["Must be one of: free, off."])));
    }
}
