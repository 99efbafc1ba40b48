//! The guide for partners, as values: a page shows them (`/doc/guide`), and a test sends them in this order.
//!
//! In French, as what it is for. In a text, `{taxi}` stands for what an earlier answer told, or for what the account is
//! called.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::secrets::hex;

mod app;
pub mod figures;
mod operator;
pub mod troubles;

/// What stands for each name, once it is known.
pub type Known = BTreeMap<&'static str, String>;

/// Every name, and what a shell calls it.
const NAMES: [(&str, &str); 5] =
    [("operator", "OPERATEUR"), ("taxi", "TAXI"), ("found", "TROUVE"), ("hail", "COURSE"), ("now", "HEURE")];
/// The media type of requests.
const JSON: &str = "application/json";

/// A part of the guide.
#[derive(Clone, Debug)]
pub struct Chapter {
    /// Its anchor.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Paragraphs, with `code` and `{figures}` in them.
    pub about: &'static [&'static str],
    /// What is sent, in order.
    pub steps: Vec<Step>,
}

/// One thing that a partner sends.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it does.
    pub title: &'static str,
    /// What there is to know of it, likewise.
    pub about: &'static str,
    /// What goes over the wire.
    pub exchange: Exchange,
}

/// What goes over the wire.
#[derive(Clone, Debug)]
pub enum Exchange {
    /// A request with its answer.
    Request(Request),
    /// A position by UDP.
    Datagram(Datagram),
    /// A stream of events, opened before they happen.
    Stream(Stream),
}

/// Whose key it is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// An operator's.
    Operator,
    /// A search app's.
    App,
}

/// A request, and what is shown of its answer.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who sends it.
    pub side: Side,
    /// Its method.
    pub method: &'static str,
    /// Its path, with the query.
    pub path: &'static str,
    /// The name by which it may be repeated.
    pub idempotency_key: Option<&'static str>,
    /// The one element of its body.
    pub element: Option<Value>,
    /// The status of the answer.
    pub status: u16,
    /// An excerpt of the answer; None: it has no body.
    pub answer: Option<Value>,
    /// What the answer tells for later: by which name, and where it stands.
    pub tells: Option<(&'static str, &'static str)>,
}

/// A JSON datagram: its values in the order in which they are signed.
#[derive(Clone, Debug)]
pub struct Datagram(pub [(&'static str, &'static str); 8]);

/// Events as they happen.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Who listens.
    pub side: Side,
    /// The path.
    pub path: &'static str,
    /// An excerpt of an event of a hail.
    pub event: Value,
}

/// The chapters that show requests. Sent one after the other they are one story.
pub fn chapters() -> Vec<Chapter> {
    let mut chapters = operator::beginnings();
    chapters.extend(app::beginnings());
    chapters
}

impl Side {
    /// What a shell calls its key.
    pub fn key_name(self) -> &'static str {
        match self {
            Self::Operator => "CLE_OPERATEUR",
            Self::App => "CLE_APPLICATION",
        }
    }
}

impl Request {
    fn new(side: Side, method: &'static str, path: &'static str, status: u16) -> Self {
        Self { side, method, path, idempotency_key: None, element: None, status, answer: None, tells: None }
    }

    fn sending(self, element: Value) -> Self {
        Self { element: Some(element), ..self }
    }

    fn named(self, key: &'static str) -> Self {
        Self { idempotency_key: Some(key), ..self }
    }

    /// Shows this of the one element that is answered.
    fn answered(self, element: &Value) -> Self {
        Self { answer: Some(json!({"data": [element]})), ..self }
    }

    /// Shows these errors.
    fn refused(self, errors: &Value) -> Self {
        Self { answer: Some(json!({"errors": errors})), ..self }
    }

    /// Keeps what stands at a place of the element that is answered.
    fn telling(self, name: &'static str, pointer: &'static str) -> Self {
        Self { tells: Some((name, pointer)), ..self }
    }

    /// As a command to paste.
    pub fn command(&self) -> String {
        let Self { method, side, .. } = self;
        let mut text = format!("curl -X {method} \"$REGISTRE{}\" \\\n", in_shell(self.path));
        let _ = write!(text, "  -H \"X-Api-Key: ${}\"", side.key_name());
        if let Some(key) = self.idempotency_key {
            let _ = write!(text, " \\\n  -H 'Idempotency-Key: {}'", quoted(key));
        }
        if let Some(element) = &self.element {
            let body = pretty(&json!({"data": [element]}));
            let _ = write!(text, " \\\n  -H 'Content-Type: {JSON}' \\\n  -d '{}'", quoted(&body));
        }
        text
    }
}

impl Datagram {
    /// As commands to paste into bash.
    pub fn command(&self) -> String {
        let signed: String = self.0.iter().map(|(_, value)| in_shell(value)).collect();
        let fields = self.0.iter().map(|(name, value)| format!("\"{name}\":\"{value}\""));
        let values = quoted(&fields.collect::<Vec<_>>().join(",\n "));
        let datagram = format!("{{{values},\n \"hash\":\"'$EMPREINTE'\"}}");
        format!(
            "HEURE=$(date +%s)\nEMPREINTE=$(printf %s \"{signed}${{{}}}\" | sha1sum | cut -d' ' -f1)\n\
             printf %s '{datagram}' > /dev/udp/$HOTE/8090",
            Side::Operator.key_name(),
        )
    }

    /// As it is sent, signed with this key.
    pub fn signed(&self, known: &Known, key: &str) -> String {
        let values: Vec<_> = self.0.iter().map(|(name, value)| (*name, filled(value, known))).collect();
        let text: String = values.iter().map(|(_, value)| value.as_str()).chain([key]).collect();
        let mut datagram = json!({"hash": hex(&Sha1::digest(text))});
        for (name, value) in values {
            datagram[name] = json!(value);
        }
        datagram.to_string()
    }
}

impl Stream {
    /// As a command to paste.
    pub fn command(&self) -> String {
        format!("curl -N \"$REGISTRE{}\" -H \"X-Api-Key: ${}\"", self.path, self.side.key_name())
    }
}

/// A text with what is known in the place of names.
pub fn filled(text: &str, known: &Known) -> String {
    known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// A value with what is known in the place of names in its texts.
pub fn filled_in(value: &Value, known: &Known) -> Value {
    match value {
        Value::String(text) => json!(filled(text, known)),
        Value::Array(list) => list.iter().map(|one| filled_in(one, known)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), filled_in(value, known))).collect()
        }
        other => other.clone(),
    }
}

/// On lines of its own.
pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Names as variables, within double quotes.
fn in_shell(text: &str) -> String {
    NAMES.iter().fold(text.to_owned(), |text, (name, variable)| {
        text.replace(&format!("{{{name}}}"), &format!("${{{variable}}}"))
    })
}

/// Names as variables, within single quotes, of which those of the text end none.
fn quoted(text: &str) -> String {
    NAMES.iter().fold(text.replace('\'', "'\\''"), |text, (name, variable)| {
        text.replace(&format!("{{{name}}}"), &format!("'${variable}'"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_command() {
        let request =
            Request::new(Side::Operator, "PUT", "/taxis/{taxi}", 200).sending(json!({"a": "{hail}"}));
        let wanted = "curl -X PUT \"$REGISTRE/taxis/${TAXI}\" \\\n  -H \"X-Api-Key: $CLE_OPERATEUR\" \\\n  \
                      -H 'Content-Type: application/json' \\\n  \
                      -d '{\n  \"data\": [\n    {\n      \"a\": \"'$COURSE'\"\n    }\n  ]\n}'";
        assert_eq!(request.command(), wanted);
    }

    #[test]
    fn a_text_with_a_quote_stays_one_word_of_a_shell() {
        let request =
            Request::new(Side::App, "PUT", "/hails/{hail}", 200).sending(json!({"a": "l'eau {hail}"}));
        assert!(request.command().contains("\"a\": \"l'\\''eau '$COURSE'\""), "{}", request.command());
    }

    #[test]
    fn what_is_told_is_told_before_it_is_needed() {
        let mut known = vec!["operator", "now"];
        let request = |step: Step| match step.exchange {
            Exchange::Request(request) => Some(request),
            _ => None,
        };
        for request in chapters().into_iter().flat_map(|chapter| chapter.steps).filter_map(request) {
            let text = format!("{} {}", request.path, request.element.clone().unwrap_or_default());
            for (name, _) in NAMES {
                let needed = text.contains(&format!("{{{name}}}"));
                assert!(!needed || known.contains(&name), "{name} in {text}");
            }
            known.extend(request.tells.map(|(name, _)| name));
        }
    }

    /// The one of `README.md`, made with `sha1sum`.
    #[test]
    fn a_datagram_is_signed_in_order() {
        let datagram = Datagram([
            ("timestamp", "{now}"),
            ("operator", "{operator}"),
            ("taxi", "{taxi}"),
            ("lat", "48.856600"),
            ("lon", "-2.352200"),
            ("device", "phone"),
            ("status", "free"),
            ("version", "2"),
        ]);
        let known = [("now", "1430076493"), ("operator", "neotaxi"), ("taxi", "aBcDeF1")];
        let known = known.map(|(name, value)| (name, value.to_owned())).into_iter().collect();
        let sent = datagram.signed(&known, "the-key");
        assert!(sent.contains("566c60a5436a0dcb14bde8bb0c1362d449be1312"), "{sent}");
        assert!(!sent.contains("the-key") && sent.contains("\"lon\":\"-2.352200\""), "{sent}");
        assert!(
            datagram.command().contains("\"${HEURE}${OPERATEUR}${TAXI}48.856600-2.352200phonefree2${CLE_")
        );
    }
}
