//! What is shown in place of a page.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::html;
use serde_json::Value;

use super::{ROOT, layout, login};
use crate::error::Problem;
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::LogIn(path) => return Redirect::to(&login::address(&path)).into_response(),
            Self::Stale => {
                let why = "Ce formulaire a expiré ou ne vient pas de cette console. Revenez à la page, rechargez-la \
                           et recommencez.";
                return (StatusCode::FORBIDDEN, page("Formulaire refusé", why, &[])).into_response();
            }
            Self::Problem(problem) => *problem,
        };
        let (title, why) = words(problem.status());
        let wrong = match problem.status() {
            StatusCode::BAD_REQUEST => messages(problem.errors()),
            _ => Vec::new(),
        };
        let content = said(why, &wrong);
        answered(problem, Html(layout::plain(title, &content)).into_response())
    }
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
    let (mut parts, _) = problem.into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(layout::HTML));
    Response::from_parts(parts, page.into_body())
}

fn page(title: &str, why: &str, wrong: &[String]) -> Response {
    ([(header::CONTENT_TYPE, layout::HTML)], layout::plain(title, &said(why, wrong))).into_response()
}

fn said(why: &str, wrong: &[String]) -> maud::Markup {
    html! {
        p { (why) }
        @if !wrong.is_empty() { ul { @for message in wrong { li { (message) } } } }
        p { a href=(ROOT) { "Retour à l’accueil" } }
    }
}

fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("Demande incorrecte", "Une valeur de cette demande n’est pas acceptée."),
        StatusCode::UNAUTHORIZED => ("Identification refusée", "Ces identifiants ne sont pas valables."),
        StatusCode::FORBIDDEN => ("Accès refusé", "Votre compte ne donne pas accès à cette page."),
        StatusCode::NOT_FOUND => ("Page introuvable", "Cette page n’existe pas, ou n’existe plus."),
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

/// The messages at the leaves of a tree of errors, in French.
pub(super) fn messages(errors: &Value) -> Vec<String> {
    match errors {
        Value::String(message) => vec![in_french(message).to_owned()],
        Value::Array(list) => list.iter().flat_map(messages).collect(),
        Value::Object(fields) => fields.values().flat_map(messages).collect(),
        _ => Vec::new(),
    }
}

/// The messages of the API that pages can bring about; another one is shown as it is.
fn in_french(message: &str) -> &str {
    match message {
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
        other => other,
    }
}
