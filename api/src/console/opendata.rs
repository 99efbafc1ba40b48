//! What is published, for everybody: the catalogue of `GET /opendata`, to be read.

use axum::extract::State;
use maud::{Markup, html};

use super::refusal::Shown;
use super::session::Visitor;
use super::{layout, list::heads};
use crate::app::App;
use crate::routes::opendata::catalogue::{Again, Dataset, LICENCE};
use crate::routes::opendata::{OpenData, Published};

/// Where it is.
pub(super) const PATH: &str = "/console/opendata";

/// The page.
pub(super) async fn show(State(app): State<App>, Visitor(session): Visitor) -> Shown {
    let Published { day, datasets } = &*OpenData::published(&app).await?;
    let (daily, mut monthly): (Vec<_>, Vec<_>) =
        datasets.iter().partition(|dataset| dataset.again == Again::Daily);
    monthly.sort_by(|a, b| (&b.period, &a.name).cmp(&(&a.period, &b.name)));
    let content = html! {
        p {
            "Tout est publié sous " a href=(LICENCE) hreflang="en" { "Licence Ouverte 2.0 (Etalab)" } " et peut être \
             réutilisé en citant la source et sa date. Ce catalogue est du " (in_french(day)) " ; les programmes le \
             lisent en " a href="/opendata" { "DCAT-AP, JSON-LD" } "."
        }
        h2 { "Lieux" }
        p { "Faits à nouveau chaque jour. " a href=(super::map::PATH) { "Les voir sur la carte" } "." }
        (table("Lieux", &daily))
        h2 { "Statistiques de chaque mois" }
        @if monthly.is_empty() {
            p { "Aucun mois n’est encore publié." }
        } @else {
            p {
                "Publiées une fois pour toutes, quand tout ce dont elles parlent est connu. Un chiffre qui manque est \
                 nul, ou il concerne trop peu de véhicules ou de clients pour être montré."
            }
            (table("Statistiques de chaque mois", &monthly))
        }
        h2 { "Publications" }
        p {
            a href="/opendata/ledger" { "Le registre des publications" } " dit ce qui a été publié et quand, avec \
             l’empreinte SHA-256 de chaque fichier."
        }
    };
    Ok(layout::page(session.as_ref(), PATH, "Données ouvertes", &content))
}

fn table(name: &str, datasets: &[&Dataset]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name) {
            table {
                (heads(&["Jeu de données", "Période", "Publié le", "Fichiers"]))
                tbody { @for dataset in datasets { tr id=(dataset.name) {
                    th scope="row" { (dataset.title) p.hint { (dataset.description) } }
                    td { (period(&dataset.period)) }
                    td { (in_french(&dataset.made_on)) }
                    td { ul.plain { @for file in &dataset.files { li {
                        a href=(file.address) download { (file.form.title()) }
                        " (" (size(file.bytes)) ")"
                        @if let Some(schema) = &file.schema {
                            " – " a href=(schema) aria-label={"Schéma de " (dataset.title)} { "schéma" }
                        }
                    } } } }
                } } }
            }
        }
    }
}

fn period([from, to]: &[String; 2]) -> String {
    if from == to { in_french(from) } else { format!("du {} au {}", in_french(from), in_french(to)) }
}

/// A day of the API's as people write it.
fn in_french(day: &str) -> String {
    match day.split('-').collect::<Vec<_>>()[..] {
        [year, month, day] => format!("{day}/{month}/{year}"),
        _ => day.to_owned(),
    }
}

/// So many bytes in the greatest unit of which there is one.
fn size(bytes: u64) -> String {
    let units = ["octets", "ko", "Mo", "Go"];
    let mut unit = 0;
    let mut thousandths = u128::from(bytes) * 1_000;
    while thousandths >= 1_000_000 && unit + 1 < units.len() {
        thousandths /= 1_000;
        unit += 1;
    }
    let name = units[unit];
    match (unit, thousandths / 1_000, thousandths % 1_000 / 100) {
        (0, whole, _) | (_, whole, 0) => format!("{whole} {name}"),
        (_, whole, tenths) => format!("{whole},{tenths} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_sizes_are_written_as_in_french() {
        let [from, to] = ["2026-08-01", "2026-08-31"].map(str::to_owned);
        assert_eq!(period(&[from.clone(), to]), "du 01/08/2026 au 31/08/2026");
        assert_eq!(period(&[from.clone(), from]), "01/08/2026");
        for (bytes, text) in [
            (0, "0 octets"),
            (999, "999 octets"),
            (1_000, "1 ko"),
            (1_250, "1,2 ko"),
            (999_999, "999,9 ko"),
            (12_000_000, "12 Mo"),
            (u64::MAX, "18446744073,7 Go"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
