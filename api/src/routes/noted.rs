//! A refused position of a request, noted for its operator as a refused datagram is.

use std::net::IpAddr;

use ingest::clock::Millis;
use ingest::gate::tally::{Noted, Secrets};
use ingest::gate::{Refusal, Refusals};
use ingest::position::Transport;
use ingest::wire::json;
use serde_json::Value;

use crate::auth::Caller;

/// Notes a position as it was `sent`, with these of its fields; `taxi` is the one that names its taxi.
pub(super) fn note<const N: usize>(
    refusals: &Refusals,
    refusal: Refusal,
    (caller, from, at): (&Caller, Option<IpAddr>, Millis),
    sent: &Value,
    (taxi, names): (&str, [&'static str; N]),
) {
    let numbers = names.map(|name| sent.get(name).filter(|value| value.is_number()).map(Value::to_string));
    let fields: [_; N] = std::array::from_fn(|place| {
        let value = sent.get(names[place]).map(|value| match (value, &numbers[place]) {
            (Value::String(text), _) => json::Value::String(text),
            (_, Some(number)) => json::Value::Number(number),
            _ => json::Value::Other,
        });
        (names[place], value)
    });
    let noted = Noted {
        at,
        transport: Transport::Http,
        positions: 1,
        from,
        taxi: sent.get(taxi).and_then(Value::as_str),
        fields: &fields,
        secrets: Secrets { key: caller.0.api_key(), hash: "" },
    };
    refusals.note(caller.operator(), refusal, &noted);
}
