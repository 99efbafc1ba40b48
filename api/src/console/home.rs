//! The home page: a few figures for everybody, and what is published.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use ingest::clock::Millis;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::refusal::Shown;
use super::session::Visitor;
use super::{ROOT, chart, layout};
use crate::app::App;
use crate::error::Answer;
use crate::limits::FIGURES_STAND;
use crate::routes::stats::letaxi::{self, PublicAnswer};

/// The figures as they were last read.
#[derive(Debug, Default)]
pub(super) struct Figures(Mutex<Option<(Millis, Arc<PublicAnswer>)>>);

impl Figures {
    /// The figures: `read` anew where the last ones are old; those stand on where that fails, and for everybody else
    /// until it is done.
    async fn read(
        &self,
        now: Millis,
        read: impl Future<Output = Answer<PublicAnswer>>,
    ) -> Answer<Arc<PublicAnswer>> {
        let last = match self.last(now) {
            Some((figures, false)) => return Ok(figures),
            last => last.map(|(figures, _)| figures),
        };
        match (read.await, last) {
            (Ok(figures), _) => {
                let figures = Arc::new(figures);
                *self.lock() = Some((now, figures.clone()));
                Ok(figures)
            }
            (Err(problem), Some(last)) => {
                tracing::warn!(?problem, "the figures of the home page stay as they were");
                Ok(last)
            }
            (Err(problem), None) => Err(problem),
        }
    }

    /// The last figures, and whether they are old; whoever hears so is alone to, for as long as figures stand.
    fn last(&self, now: Millis) -> Option<(Arc<PublicAnswer>, bool)> {
        let stand_ms = i64::try_from(FIGURES_STAND.as_millis()).unwrap_or(i64::MAX);
        let mut last = self.lock();
        let (read_at, figures) = last.as_mut()?;
        let is_old = now.since(*read_at) >= stand_ms;
        if is_old {
            *read_at = now;
        }
        Some((figures.clone(), is_old))
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Millis, Arc<PublicAnswer>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page.
pub(super) async fn show(
    State(app): State<App>,
    Visitor(session): Visitor,
    Extension(figures): Extension<Arc<Figures>>,
) -> Shown {
    let read = async { letaxi::read(State(app.clone())).await.map(|Json(figures)| figures) };
    let figures = figures.read(app.clock.now(), read).await?;
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
            (chart::scripts())
            (chart::chart("Part des taxis inscrits, par mois et agglomération", &lines(figures), &json!({
                "xaxis": {"type": "date"}, "yaxis": {"ticksuffix": " %"},
            })))
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

/// The same as lines of a chart.
fn lines(figures: &PublicAnswer) -> Value {
    let places = figures.taxis_connected.last().into_iter().flat_map(|(_, of_today)| of_today.keys());
    let days: Vec<_> = figures.taxis_connected.iter().map(|(day, _)| day).collect();
    let line = |place: &&str| {
        let percents: Vec<_> = figures.taxis_connected.iter().map(|(_, of_day)| of_day.get(*place)).collect();
        json!({"name": chart::text(&place_name(place)), "mode": "lines+markers", "x": days, "y": percents})
    };
    places.map(line).collect()
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::error::Problem;

    fn figures(groups: usize) -> PublicAnswer {
        let (taxis_connected, hails_growth) = (Vec::new(), BTreeMap::new());
        PublicAnswer { groups, apps: 1, taxis_connected, hails_growth }
    }

    #[tokio::test]
    async fn the_last_figures_stand_where_no_others_are_read() {
        let (last, start) = (Figures::default(), Millis(1_790_000_000_000));
        let old = |times: i64| start.plus(times * i64::try_from(FIGURES_STAND.as_millis()).unwrap());
        let failing = || async { Err(Problem::internal()) };
        assert!(last.read(start, failing()).await.is_err(), "there are none yet");
        assert_eq!(last.read(start, async { Ok(figures(1)) }).await.unwrap().groups, 1);
        assert_eq!(last.read(old(1).plus(-1), async { Ok(figures(2)) }).await.unwrap().groups, 1);
        assert_eq!(last.read(old(1), failing()).await.unwrap().groups, 1);
        assert_eq!(last.read(old(2), async { Ok(figures(3)) }).await.unwrap().groups, 3);
    }

    #[tokio::test]
    async fn nobody_waits_for_whoever_reads_new_figures() {
        let (last, start) = (Figures::default(), Millis(1_790_000_000_000));
        let later = start.plus(i64::try_from(FIGURES_STAND.as_millis()).unwrap());
        last.read(start, async { Ok(figures(1)) }).await.unwrap();
        let reading = async {
            // Within it, somebody else comes.
            let others = last.read(later, std::future::pending()).await?;
            Ok(figures(others.groups + 1))
        };
        assert_eq!(last.read(later, reading).await.unwrap().groups, 2);
    }

    #[test]
    fn figures_are_written_as_in_french() {
        assert_eq!((decimal(0.5), decimal(1_234.567)), ("0,50".to_owned(), "1234,57".to_owned()));
        assert_eq!(place_name("grenoble"), "Grenoble");
    }
}
