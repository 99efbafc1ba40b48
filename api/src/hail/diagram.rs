//! The machine as documentation: a diagram and a table, made from the functions that run it.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Event, Sender, Status, next};

/// The moves as a Mermaid state diagram.
pub fn mermaid() -> String {
    let mut text = "stateDiagram-v2\n    [*] --> received: POST /hails\n".to_owned();
    for (from, event, to) in moves() {
        let by = match event.sender() {
            Sender::App => "app".to_owned(),
            Sender::Operator => "operator".to_owned(),
            Sender::Registry => match (event, from.lasts()) {
                (Event::Deadline, Some(lasts)) => format!("after {}", span(lasts)),
                _ => name(event).to_owned(),
            },
        };
        let _ = writeln!(text, "    {from} --> {to}: {by}");
    }
    for end in Status::ALL.into_iter().filter(|status| status.is_end()) {
        let _ = writeln!(text, "    {end} --> [*]");
    }
    text
}

/// Each status: how long it lasts, what the taxi is then, where each event leads to, as a Markdown table.
pub fn table() -> String {
    let mut text = "| status | lasts | the taxi is | then |\n|---|---|---|---|\n".to_owned();
    for status in Status::ALL {
        let lasts = status.lasts().map_or("for ever".to_owned(), span);
        let taxi = status.taxi().map_or("what it was".to_owned(), |taxi| format!("`{taxi}`"));
        let moves = moves().filter(|(from, ..)| *from == status);
        let moves: Vec<_> = moves.map(|(_, event, to)| format!("{}: `{to}`", name(event))).collect();
        let _ = writeln!(text, "| `{status}` | {lasts} | {taxi} | {} |", moves.join("; "));
    }
    text
}

/// Every legal move.
pub fn moves() -> impl Iterator<Item = (Status, Event, Status)> {
    let pairs = Status::ALL.into_iter().flat_map(|status| Event::ALL.map(|event| (status, event)));
    pairs.filter_map(|(status, event)| Some((status, event, next(status, event)?)))
}

fn name(event: Event) -> &'static str {
    match event {
        Event::CallAnswered => "the operator's server answers",
        Event::CallFailed => "the operator's server does not take it",
        Event::Offered => "the operator has no server",
        Event::Deadline => "time is over",
        Event::ReceivedByOperator => "the operator has it",
        Event::ReceivedByTaxi => "the taxi has it",
        Event::AcceptedByTaxi => "the taxi accepts",
        Event::DeclinedByTaxi => "the taxi refuses",
        Event::IncidentTaxi => "the taxi cannot go on",
        Event::CustomerOnBoard => "the customer gets in",
        Event::Finished => "the customer gets out",
        Event::AcceptedByCustomer => "the customer confirms",
        Event::DeclinedByCustomer => "the customer refuses",
        Event::IncidentCustomer => "the customer cannot go on",
    }
}

/// A time as people say it.
pub fn span(lasts: Duration) -> String {
    match lasts.as_secs() {
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the documentation has what is made here.
    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hails.md");
    const BEGIN: &str =
        "<!-- Made from api/src/hail.rs; WRITE_DOCS=1 cargo test -p api diagram writes it. -->\n";
    const END: &str = "<!-- Until here. -->\n";

    /// The whole of the machine, as a snapshot that people read.
    #[test]
    fn the_documentation_shows_the_machine() {
        let made = format!("\n```mermaid\n{}```\n\n{}\n", mermaid(), table());
        let document = std::fs::read_to_string(DOCUMENT).unwrap();
        let (before, rest) = document.split_once(BEGIN).unwrap();
        let (shown, after) = rest.split_once(END).unwrap();
        if std::env::var_os("WRITE_DOCS").is_some() {
            std::fs::write(DOCUMENT, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        } else {
            assert_eq!(shown, made, "docs/hails.md shows another machine");
        }
    }
}
