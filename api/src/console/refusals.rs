//! What of an operator's positions was refused, and why.

use analytics::encode::Cell;
use axum::Json;
use axum::extract::{Path, State};
use maud::{Markup, html};

use super::layout::{self, Notice};
use super::list::{Field, List};
use super::refusal::{Shown, within};
use super::session::Session;
use super::table::{Table, thousands, whole};
use super::{csv, moment, words};
use crate::app::App;
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::limits::CSV_ROWS_MAX;
use crate::role::{REGISTRARS, Role};
use crate::routes::operators::{self, ReasonAnswer, RefusalsAnswer};

/// Where it is.
pub(super) const PATH: &str = "/console/refusals";

/// How far back the page looks unasked, in hours.
const HOURS: i64 = 24;
/// How far else: hours, and what people call them.
const PERIODS: [(&str, &str); 3] = [("1", "1 heure"), ("168", "7 jours"), ("720", "30 jours")];

/// The page.
pub(super) async fn show(State(app): State<App>, session: Session, query: Query) -> Shown {
    session.caller.require(REGISTRARS)?;
    let periods = PERIODS.map(|(hours, label)| (hours.to_owned(), label.to_owned()));
    let mut fields = vec![Field::named_choice("hours", "Depuis", "24 heures", periods.to_vec())];
    if session.caller.0.has(Role::Admin) {
        fields.push(Field::text("account", "Compte : numéro ou identifiant (vide : le vôtre)"));
    }
    let list = List {
        path: PATH,
        title: "Positions refusées",
        file: "refus",
        fields,
        query: &query,
        file_rows: CSV_ROWS_MAX,
    };
    let asked = list.asked();
    let page = |notice: Option<Notice<'_>>, content: &Markup| {
        let content = html! {
            (layout::notice(notice))
            (list.search())
            (content)
        };
        layout::page(Some(&session), PATH, list.title, &content)
    };
    let refused = match refused(&app, &session, &asked).await {
        Ok(refused) => refused,
        Err(problem) => return within(problem, |why| page(Some(Notice::Failed(why)), &html! {})),
    };
    if query.first("format").is_some() {
        return Ok(csv::of_table("refus", &table(&refused)));
    }
    let content = html! {
        p {
            (refused.operator) " : " (positions(refused.total)) " depuis le " (moment(&refused.since)) " (UTC)."
        }
        (table(&refused).show("Positions refusées par motif"))
        @if !refused.reasons.is_empty() {
            p { a href=(list.address(&[("format", "csv")])) download { "Télécharger en CSV" } }
            h2 { "Détail" }
        }
        @for reason in &refused.reasons { (detail(reason)) }
    };
    Ok(page(None, &content))
}

async fn refused(app: &App, session: &Session, asked: &Query) -> Answer<RefusalsAnswer> {
    let hours = asked.first("hours").and_then(|hours| hours.parse().ok()).unwrap_or(HOURS);
    let since = app.clock.now().seconds().saturating_sub(hours.clamp(1, 720) * 3600);
    let since = Query::new(vec![("since".to_owned(), since.to_string())]);
    // Whoever has the email may have the number; who may ask for which account is for the route to say.
    let number = |email| app.registry.accounts().email(email).map(|account| account.id.to_string());
    let whose = asked.first("account").map(|given| number(given).unwrap_or_else(|| given.to_owned()));
    let whose = Path(whose.unwrap_or_else(|| "me".to_owned()));
    let Json(found) = operators::refusals(State(app.clone()), session.caller.clone(), whose, since).await?;
    found.into_inner().pop().ok_or_else(Problem::internal)
}

fn positions(number: u64) -> String {
    match number {
        0 => "aucune position refusée".to_owned(),
        1 => "1 position refusée".to_owned(),
        more => format!("{} positions refusées", thousands(more)),
    }
}

fn table(refused: &RefusalsAnswer) -> Table {
    let row = |reason: &ReasonAnswer| {
        let texts = [reason.reason.to_owned(), words::refusal(reason.reason).to_owned()].map(Cell::Text);
        let last = Cell::Text(moment(&reason.last_at));
        texts.into_iter().chain([whole(reason.count), last]).collect()
    };
    let columns = ["Motif", "Explication", "Positions", "Dernière (UTC)"];
    Table::new(&columns, refused.reasons.iter().map(row).collect())
}

fn detail(reason: &ReasonAnswer) -> Markup {
    html! {
        details {
            summary { code { (reason.reason) } " : taxis, adresses et exemples" }
            dl {
                dt { "Taxis" }
                dd {
                    @for one in &reason.taxis { (one.taxi) " (" (one.count) ") " }
                    @if reason.other_taxis > 0 { "autres ou inconnus (" (reason.other_taxis) ")" }
                }
                dt { "Adresses" }
                dd {
                    @for one in &reason.sources { (one.address) " (" (one.count) ") " }
                    @if reason.other_sources > 0 { "autres ou inconnues (" (reason.other_sources) ")" }
                }
            }
            @for example in &reason.examples {
                p { (moment(&example.at)) " (UTC), " (example.transport)
                    @if let Some(address) = &example.address { ", " (address) } }
                pre tabindex="0" { code { (example.text) } }
            }
        }
    }
}
