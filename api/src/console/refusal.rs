//! What is shown in place of a page.

use std::borrow::Cow;

use axum::Extension;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::Value;

use super::session::Session;
use super::table::thousands;
use super::{ROOT, layout, login};
use crate::error::Problem;
use crate::limits::{QUERY_MEMORY_BYTES, QUERY_ROWS_MAX, QUERY_WITHIN};
use crate::store::StoreError;

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Refusal {
    /// As the API answers it.
    Problem(Box<Problem>),
    /// Nobody is logged in: whoever does is brought here.
    LogIn(String),
    /// A form that is not of our page, or of a session that is over.
    Stale,
}

/// What pages return.
pub(super) type Shown<T = Response> = Result<T, Refusal>;

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

/// What is said in place of a page, for whoever puts it into one.
#[derive(Clone, Debug)]
struct Said {
    title: &'static str,
    content: Markup,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::LogIn(path) => Redirect::to(&login::address(&path)).into_response(),
            Self::Stale => {
                let why = "Ce formulaire a expiré ou ne vient pas de cette console. Revenez à la page, rechargez-la \
                           et recommencez.";
                let said = Said { title: "Formulaire refusé", content: content(why, &[]) };
                (StatusCode::FORBIDDEN, Extension(said)).into_response()
            }
            Self::Problem(problem) => {
                let said = said(problem.status(), problem.errors());
                // The status, when to come again, and what the log is to tell are the problem's.
                (Extension(said), *problem).into_response()
            }
        }
    }
}

/// The page of an answer that has none: of a refusal as somebody sees it who is logged in, and of what the API says
/// where no page was asked.
pub(super) fn page_of(mut response: Response, session: Option<&Session>) -> Response {
    let status = response.status();
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let said = response.extensions_mut().remove::<Said>();
    let said = said.or_else(|| (is_json && !status.is_success()).then(|| said_of(status)));
    let Some(Said { title, content }) = said else { return response };
    with_body(response, layout::page(session, "", title, &content))
}

fn said_of(status: StatusCode) -> Said {
    said(status, &Value::Null)
}

fn said(status: StatusCode, errors: &Value) -> Said {
    let (title, why) = words(status);
    let wrong = if status == StatusCode::BAD_REQUEST { messages(errors) } else { Vec::new() };
    Said { title, content: content(why, &wrong) }
}

/// A page that stays what it is and says what whoever asked can set right: what is wrong, or that the server has no
/// room now. Other problems are no pages.
pub(super) fn within(problem: Problem, page: impl FnOnce(&[String]) -> Response) -> Shown {
    let why = match problem.status() {
        StatusCode::BAD_REQUEST => messages(problem.errors()),
        status @ StatusCode::SERVICE_UNAVAILABLE => vec![words(status).1.to_owned()],
        _ => return Err(problem.into()),
    };
    let page = page(&why);
    Ok(answered(problem, page))
}

/// A page as the answer to a problem: the status, when to come again, and what the log is to tell are the problem's.
fn answered(problem: Problem, page: Response) -> Response {
    with_body(problem.into_response(), page)
}

fn with_body(response: Response, page: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(layout::HTML));
    Response::from_parts(parts, page.into_body())
}

fn content(why: &str, wrong: &[String]) -> Markup {
    html! {
        p { (why) }
        @if !wrong.is_empty() { ul { @for message in wrong { li { (message) } } } }
        p { a href=(ROOT) { "Retour à l’accueil" } }
    }
}

/// What is said where an answer has this status: a title, and a sentence.
pub(super) fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("Demande incorrecte", "Une valeur de cette demande n’est pas acceptée."),
        StatusCode::UNAUTHORIZED => ("Identification refusée", "Ces identifiants ne sont pas valables."),
        StatusCode::FORBIDDEN => ("Accès refusé", "Votre compte ne donne pas accès à cette page."),
        StatusCode::NOT_FOUND => ("Page introuvable", "Cette page n’existe pas, ou n’existe plus."),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("Méthode refusée", "Cette adresse ne répond pas à cette méthode HTTP.")
        }
        StatusCode::REQUEST_TIMEOUT => {
            ("Demande trop lente", "La demande n’est pas arrivée à temps. Recommencez.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("Formulaire trop long", "Ce formulaire dépasse la taille acceptée.")
        }
        StatusCode::URI_TOO_LONG => ("Adresse trop longue", "Cette adresse dépasse la longueur acceptée."),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("En-têtes trop longs", "Les en-têtes de cette demande dépassent la taille acceptée.")
        }
        StatusCode::CONFLICT => ("Conflit", "Cette modification contredit ce qui est enregistré."),
        StatusCode::TOO_MANY_REQUESTS => {
            ("Trop de demandes", "Trop de demandes en peu de temps. Patientez une minute, puis recommencez.")
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            ("Service indisponible", "Le service ne répond pas en ce moment. Recommencez dans un instant.")
        }
        _ => ("Erreur", "Une erreur interne est survenue. Si elle persiste, contactez l’équipe technique."),
    }
}

/// The messages at the leaves of a tree of errors, in French where we have it.
pub(super) fn messages(errors: &Value) -> Vec<String> {
    leaves(errors)
        .into_iter()
        .map(|message| in_french(message).unwrap_or(message.into()).into_owned())
        .collect()
}

/// Whether each message of a tree of errors is shown in French.
pub(super) fn is_french(errors: &Value) -> bool {
    leaves(errors).into_iter().all(|message| in_french(message).is_some())
}

fn leaves(errors: &Value) -> Vec<&str> {
    match errors {
        Value::String(message) => vec![message],
        Value::Array(list) => list.iter().flat_map(leaves).collect(),
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        _ => Vec::new(),
    }
}

/// The messages of the API that pages can bring about; another one is shown as it is.
pub(super) fn in_french(message: &str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match message {
        "This endpoint is invalid." => {
            "Cette adresse ne peut pas être appelée : il faut une URL http ou https publique."
        }
        "Invalid header name" => "Ce nom d’en-tête n’est pas valable.",
        "Invalid header value" => "Cette valeur d’en-tête n’est pas valable.",
        "Shorter than minimum length 8." => "Le mot de passe doit avoir au moins 8 caractères.",
        "Not a valid integer." => "Il faut un nombre entier.",
        "Not a valid date." => "Il faut une date : AAAA-MM-JJ.",
        "Missing data for required field." => "Une valeur requise manque.",
        "No town, departement or ZUPC is called so." => {
            "Aucune commune, aucun département et aucune ZUPC ne s’appelle ainsi."
        }
        late if late.starts_with("Must be later than the first day") => {
            "La fin doit suivre le début, d’un an au plus."
        }
        "Unknown field." => "Cet argument n’existe pas.",
        long if long.starts_with("the query took longer than ") => {
            let seconds = QUERY_WITHIN.as_secs();
            return Some(
                format!("La réponse demande plus de {seconds} s : demandez une période plus courte.").into(),
            );
        }
        large if large.starts_with("the query needs more than ") => {
            let mebibytes = QUERY_MEMORY_BYTES >> 20;
            let words = format!(
                "La réponse demande plus de {mebibytes} Mio de mémoire : demandez moins de groupes, ou une période \
                 plus courte."
            );
            return Some(words.into());
        }
        many if many.starts_with("the query has more than ") => {
            let rows = thousands(QUERY_ROWS_MAX);
            return Some(
                format!("La réponse a plus de {rows} lignes : agrégez, ou ajoutez une limite.").into(),
            );
        }
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use analytics::session::QueryError;

    use super::*;

    #[test]
    fn what_a_query_may_not_take_is_said_in_french() {
        for error in
            [QueryError::TooLong(Duration::from_secs(1)), QueryError::TooLarge(1), QueryError::TooMany(1)]
        {
            let errors = serde_json::json!({"sql": [error.to_string()]});
            assert!(is_french(&errors), "{error}");
            assert!(messages(&errors)[0].starts_with("La réponse "), "{errors}");
        }
        // As the engine says it.
        let errors =
            serde_json::json!({"sql": [QueryError::Refused("no such table".to_owned()).to_string()]});
        assert_eq!((is_french(&errors), messages(&errors)), (false, vec!["no such table".to_owned()]));
    }
}
