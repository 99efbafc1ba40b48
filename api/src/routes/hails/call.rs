//! What an operator's server is sent of a hail, and what it answers.

use axum::Json;
use serde_json::Value;

use super::answer::{Beside, Eyes, HailAnswer};
use crate::app::App;
use crate::form::envelope;
use crate::hail::Status;
use crate::limits::NAME_MAX_CHARS;
use crate::outbound::Reply;
use crate::store::hails::{HailRow, TransitionRow};

/// The body of a call: the hail as its operator sees it, without the taxi's position, which it knows better.
pub fn body(app: &App, hail: &HailRow, transitions: &[TransitionRow]) -> Result<Vec<u8>, serde_json::Error> {
    let beside = Beside { transitions, seen: None, has_moved: false };
    let Json(elements) = envelope::of_one(HailAnswer::new(app, hail, Eyes::Operator, beside));
    serde_json::to_vec(&elements)
}

/// The id of the hail in [`example`].
pub const EXAMPLE_ID: &str = "exemple";

/// The body of a call that tries a server: a hail that is none.
pub fn example() -> Result<Vec<u8>, serde_json::Error> {
    let mut hail =
        HailAnswer { id: EXAMPLE_ID.to_owned(), status: Status::Received.as_str(), ..HailAnswer::example() };
    hail.transitions.truncate(1);
    let Json(elements) = envelope::of_one(hail);
    serde_json::to_vec(&elements)
}

/// How outcomes begin that tell the status of an answer.
pub(crate) const ANSWERED: &str = "the operator's server answered ";
/// The outcome where the answer cannot be read.
pub(crate) const NO_JSON: &str = "the operator's server answered what is no JSON";
/// The outcome where nobody could be called.
pub(crate) const NO_ACCOUNT: &str = "the operator's account is not at hand";

/// The taxi's phone number where an answer gives one, or why the answer is none: it has to be JSON and say that the
/// hail was taken.
pub fn read(reply: &Reply) -> Result<Option<String>, String> {
    if !(200..300).contains(&reply.status) {
        return Err(format!("{ANSWERED}{}", reply.status));
    }
    let answer: Value = serde_json::from_slice(&reply.body).map_err(|_| NO_JSON.to_owned())?;
    let number = answer["data"][0]["taxi_phone_number"].as_str();
    let fits = |number: &&str| !number.contains('\0') && number.chars().count() <= NAME_MAX_CHARS;
    Ok(number.filter(fits).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Option<String>, String> {
        read(&Reply { status, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn an_answer_is_json_of_a_good_status_and_may_give_the_phone_number() {
        for body in ["{}", "null", "3", r#"{"data": []}"#, r#"{"data": [{"taxi_phone_number": null}]}"#] {
            assert_eq!(answer(200, body), Ok(None), "{body}");
        }
        assert_eq!(answer(201, r#"{"data": [{"taxi_phone_number": "06"}]}"#), Ok(Some("06".to_owned())));
        let long = format!(r#"{{"data": [{{"taxi_phone_number": "{}"}}]}}"#, "6".repeat(NAME_MAX_CHARS + 1));
        assert_eq!(answer(200, &long), Ok(None));
        assert_eq!(answer(200, "hello"), Err("the operator's server answered what is no JSON".to_owned()));
        for status in [199, 302, 404, 500] {
            assert_eq!(answer(status, "{}"), Err(format!("the operator's server answered {status}")));
        }
    }
}
