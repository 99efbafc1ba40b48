//! The home page: a few figures for everybody, and what is published.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use ingest::clock::Millis;
use maud::{Markup, html};
use tokio::sync::Mutex;

use super::refusal::Shown;
use super::session::Visitor;
use super::{ROOT, layout};
use crate::app::App;
use crate::error::Answer;
use crate::limits::FIGURES_STAND;
use crate::routes::stats::letaxi::{self, PublicAnswer};

/// The figures as they were last read.
#[derive(Debug, Default)]
pub(super) struct Figures(Mutex<Option<(Millis, Arc<PublicAnswer>)>>);

impl Figures {
    async fn read(&self, app: &App) -> Answer<Arc<PublicAnswer>> {
        let mut last = self.0.lock().await;
        let now = app.clock.now();
        let stand_ms = i64::try_from(FIGURES_STAND.as_millis()).unwrap_or(i64::MAX);
        if let Some((_, figures)) = last.as_ref().filter(|(read_at, _)| now.since(*read_at) < stand_ms) {
            return Ok(figures.clone());
        }
        let Json(figures) = letaxi::read(State(app.clone())).await?;
        Ok(last.insert((now, Arc::new(figures))).1.clone())
    }
}

/// The page.
pub(super) async fn show(
    State(app): State<App>,
    Visitor(session): Visitor,
    Extension(figures): Extension<Arc<Figures>>,
) -> Shown {
    let figures = figures.read(&app).await?;
    let content = html! {
        p {
            "Les opérateurs transmettent au registre la position de leurs taxis ; les applications de recherche y \
             trouvent ceux qui sont libres autour d’un client."
        }
        h2 { "Chiffres clés" }
        dl {
            dt { "Groupements" } dd { (figures.groups) }
            dt { "Éditeurs d’applications de taxi" } dd { (figures.apps) }
            @for (place, percent) in &figures.hails_growth {
                dt { "Courses demandées, sur un an, " (place_name(place)) } dd { (decimal(*percent)) " %" }
            }
        }
        (connected(&figures))
        h2 { "Données ouvertes" }
        ul {
            li { a href="/opendata" { "Catalogue (DCAT-AP, JSON-LD)" } }
            li {
                "Stations : " a href="/opendata/stations.csv" { "CSV" } ", "
                a href="/opendata/stations.geojson" { "GeoJSON" }
            }
            li { "Zones uniques de prise en charge : " a href="/opendata/zupc.geojson" { "GeoJSON" } }
            li { a href="/opendata/ledger" { "Registre des publications mensuelles" } }
        }
    };
    Ok::<Response, _>(layout::page(session.as_ref(), ROOT, "Registre des taxis", &content))
}

/// Which part of a conurbation's taxis was registered, on the first day of each month.
fn connected(figures: &PublicAnswer) -> Markup {
    let Some((_, of_today)) = figures.taxis_connected.last() else { return html! {} };
    let places: Vec<_> = of_today.keys().collect();
    html! {
        h2 { "Taxis inscrits" }
        @if places.is_empty() {
            p { "Aucun taxi n’est encore inscrit dans les agglomérations suivies." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Taxis inscrits par agglomération" {
                table {
                    caption { "Part des taxis de l’agglomération inscrits au registre, au premier jour de chaque mois" }
                    thead { tr {
                        th scope="col" { "Mois" }
                        @for place in &places { th.number scope="col" { (place_name(place)) } }
                    } }
                    tbody { @for (day, of_day) in &figures.taxis_connected { tr {
                        th scope="row" { (day.get(..7).unwrap_or(day)) }
                        @for place in &places {
                            td.number {
                                @if let Some(percent) = of_day.get(**place) { (decimal(*percent)) " %" } @else { "–" }
                            }
                        }
                    } } }
                }
            }
        }
    }
}

fn place_name(id: &str) -> String {
    let mut letters = id.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn decimal(value: f64) -> String {
    format!("{value:.2}").replace('.', ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_in_french() {
        assert_eq!((decimal(0.5), decimal(1_234.567)), ("0,50".to_owned(), "1234,57".to_owned()));
        assert_eq!(place_name("grenoble"), "Grenoble");
    }
}
