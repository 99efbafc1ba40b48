//! The life of a hail: drawn and told from the functions that run it.

use maud::{Markup, html};

use super::super::words::of as in_french;
use crate::hail::diagram::{moves, span};
use crate::hail::{Event, Sender, Status};

/// Units of the drawing, whose width they are: boxes to the left, ends to the right.
const WIDTH: usize = 660;
const BOX_LEFT: usize = 90;
const BOX_WIDTH: usize = 240;
const BOX_HEIGHT: usize = 44;
const ENDS_LEFT: usize = BOX_LEFT + BOX_WIDTH + 60;
const LINE: usize = 20;
/// Between a row and the next: where the arrow is.
const GAP: usize = 44;
/// How far a curve that passes rows swings out for each.
const SWING: usize = 30;

/// A status that lasts, with its place.
struct Row {
    status: Status,
    top: usize,
    height: usize,
    /// How it ends, and by whose doing.
    ends: Vec<(Status, Vec<Event>)>,
}

/// The drawing, and all of it again in words.
pub(super) fn of_a_hail() -> Markup {
    let rows = rows();
    html! {
        p {
            "De haut en bas, une course qui va au bout ; à droite, comment elle peut finir avant. Les délais sont ceux \
             du registre : passé l’un d’eux, la course change d’elle-même."
        }
        div.scroll tabindex="0" role="region" aria-label="Schéma de la vie d’une course" { (drawing(&rows)) }
        div.scroll tabindex="0" role="region" aria-label="Statuts d’une course" {
            table {
                caption { "Chaque statut, ce qu’il dure, ce que devient le taxi, et qui mène où" }
                thead { tr {
                    th scope="col" { "Statut" } th scope="col" { "Dure au plus" }
                    th scope="col" { "Le taxi est" } th scope="col" { "Ensuite" }
                } }
                tbody { @for status in Status::ALL { (told(status)) } }
            }
        }
    }
}

fn rows() -> Vec<Row> {
    let (mut rows, mut top) = (Vec::new(), 1);
    for status in Status::ALL.into_iter().filter(|status| !status.is_end()) {
        let mut ends: Vec<(Status, Vec<Event>)> = Vec::new();
        for (_, event, to) in moves().filter(|(from, _, to)| *from == status && to.is_end()) {
            match ends.iter_mut().find(|(end, _)| *end == to) {
                Some((_, events)) => events.push(event),
                None => ends.push((to, vec![event])),
            }
        }
        let height = BOX_HEIGHT.max(ends.len() * LINE);
        rows.push(Row { status, top, height, ends });
        top += height + GAP;
    }
    rows
}

impl Row {
    fn middle(&self) -> usize {
        self.top + BOX_HEIGHT / 2
    }

    fn draw(&self) -> Markup {
        let lasts = self.status.lasts().map(span).unwrap_or_default();
        html! {
            rect.state x=(BOX_LEFT) y=(self.top) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="6" {}
            text.name x=(BOX_LEFT + 12) y=(self.top + 19) { (in_french(self.status.as_str())) }
            text.faint x=(BOX_LEFT + 12) y=(self.top + 36) { (self.status) ", " (lasts) " au plus" }
            @if !self.ends.is_empty() {
                path.move d={"M" (BOX_LEFT + BOX_WIDTH) " " (self.middle()) "H" (ENDS_LEFT - 12)}
                    marker-end="url(#arrow)" {}
            }
            @for (place, (end, events)) in self.ends.iter().enumerate() {
                @let who: Vec<_> = events.iter().map(|event| by(*event)).collect();
                text x=(ENDS_LEFT) y=(self.top + 15 + place * LINE) {
                    (in_french(end.as_str())) " (" (who.join(", ")) ")"
                }
            }
        }
    }
}

fn drawing(rows: &[Row]) -> Markup {
    let height = rows.last().map_or(0, |row| row.top + row.height) + 2;
    html! {
        svg.life viewBox={"0 0 " (WIDTH) " " (height)} width=(WIDTH) height=(height) role="img"
            aria-label="La vie d’une course ; le tableau qui suit la dit en mots." {
            defs {
                marker #arrow viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto" {
                    path.head d="M0 0L8 4L0 8Z" {}
                }
            }
            @for row in rows { (row.draw()) }
            @for (place, row) in rows.iter().enumerate() {
                @for (_, event, to) in moves().filter(|(from, ..)| *from == row.status) {
                    @if let Some(target) = rows.iter().position(|row| row.status == to) {
                        (arrow(&rows[place], &rows[target], target - place, event))
                    }
                }
            }
        }
    }
}

/// An arrow to the next row, or past some on the left.
fn arrow(from: &Row, to: &Row, rows: usize, event: Event) -> Markup {
    let x = BOX_LEFT + 30;
    html! {
        @if rows == 1 {
            path.move d={"M" (x) " " (from.top + BOX_HEIGHT) "V" (to.top - 1)} marker-end="url(#arrow)" {}
            text.faint x=(x + 10) y=(to.top - 14) { (words(event)) }
        } @else {
            @let out = BOX_LEFT - rows * SWING;
            @let (begin, end) = (from.middle(), to.middle());
            @let curve = format!("C{out} {begin} {out} {end} {} {end}", BOX_LEFT - 1);
            path.move d={"M" (BOX_LEFT) " " (begin) (curve)} marker-end="url(#arrow)" {
                title { (words(event)) }
            }
        }
    }
}

fn told(status: Status) -> Markup {
    let next: Vec<_> = moves().filter(|(from, ..)| *from == status).collect();
    html! {
        tr {
            th scope="row" { (in_french(status.as_str())) br; code { (status) } }
            td { @match status.lasts() { Some(lasts) => { (span(lasts)) } None => { "c’est la fin" } } }
            td { @match status.taxi() { Some(taxi) => { code { (taxi) } } None => { "comme avant" } } }
            td { @if !next.is_empty() {
                ul { @for (_, event, to) in next { li { (words(event)) " : " code { (to) } } } }
            } }
        }
    }
}

fn by(event: Event) -> &'static str {
    match (event, event.sender()) {
        (Event::Deadline, _) => "délai passé",
        (Event::CallFailed, _) => "appel sans suite",
        (_, Sender::Registry) => "registre",
        (_, Sender::Operator) => "opérateur",
        (_, Sender::App) => "application",
    }
}

fn words(event: Event) -> &'static str {
    match event {
        Event::CallAnswered => "le serveur de l’opérateur répond",
        Event::CallFailed => "le serveur de l’opérateur ne la prend pas",
        Event::Offered => "l’opérateur n’a pas de serveur",
        Event::Deadline => "le délai est passé",
        Event::ReceivedByOperator => "l’opérateur l’a",
        Event::ReceivedByTaxi => "le taxi l’a",
        Event::AcceptedByTaxi => "le taxi accepte",
        Event::DeclinedByTaxi => "le taxi refuse",
        Event::IncidentTaxi => "le taxi ne peut pas continuer",
        Event::CustomerOnBoard => "le client monte",
        Event::Finished => "le client descend",
        Event::AcceptedByCustomer => "le client confirme",
        Event::DeclinedByCustomer => "le client annule",
        Event::IncidentCustomer => "le client ne peut pas continuer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_move_is_drawn_and_told() {
        let rows = rows();
        let drawing = drawing(&rows).into_string();
        let arrows = moves().filter(|(_, _, to)| !to.is_end()).count();
        let ends = rows.iter().filter(|row| !row.ends.is_empty()).count();
        assert_eq!(drawing.matches("marker-end").count(), arrows + ends);
        let drawn: usize = rows.iter().flat_map(|row| &row.ends).map(|(_, events)| events.len()).sum();
        assert_eq!(drawn + arrows, moves().count());
        for (from, event, to) in moves() {
            let told = told(from).into_string();
            assert!(told.contains(&format!("{} : <code>{to}</code>", words(event))), "{told}");
        }
        // A move back would be drawn upwards.
        let places: Vec<_> = rows.iter().map(|row| row.status).collect();
        let place = |status| places.iter().position(|one| *one == status);
        assert!(moves().all(|(from, _, to)| place(to).is_none_or(|to| place(from) < Some(to))));
    }
}
