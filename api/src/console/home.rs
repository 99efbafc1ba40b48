//! The home page: a few figures for everybody, and what is published.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use ingest::clock::Millis;
use maud::{Markup, html};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::kept::Kept;
use super::refusal::Shown;
use super::session::Visitor;
use super::{ROOT, chart, layout};
use crate::app::App;
use crate::error::{Answer, Problem};
use crate::limits::{FIGURES_OF_NOW_STAND, FIGURES_STAND};
use crate::role::Role;
use crate::routes::stats::letaxi::{self, PublicAnswer};

/// What the page tells.
#[derive(Debug)]
pub(super) struct Figures {
    /// What the API tells everybody.
    public: Kept<PublicAnswer>,
    /// What it tells administrators.
    of_now: Kept<OfNow>,
}

impl Default for Figures {
    fn default() -> Self {
        Self { public: Kept::new(FIGURES_STAND), of_now: Kept::new(FIGURES_OF_NOW_STAND) }
    }
}

/// What goes on.
#[derive(Debug)]
struct OfNow {
    /// When the day began of which the hails are.
    today: i64,
    connected: u64,
    hails_today: u64,
}

impl OfNow {
    async fn read(app: App) -> Answer<Self> {
        let (now, registry) = (app.clock.now(), app.registry.clone());
        let today = today(now);
        let hails_today = registry.store().hails_since(Millis(today)).await?;
        let connected = spawn_blocking(move || registry.connected(now).everywhere());
        let connected = connected.await.map_err(|error| Problem::internal().because(&error))?;
        Ok(Self { today, connected, hails_today })
    }
}

/// What goes on, of this day.
async fn of_now(figures: &Figures, app: &App) -> Answer<Arc<OfNow>> {
    let now = app.clock.now();
    let of_now = figures.of_now.read(now, OfNow::read(app.clone())).await?;
    if of_now.today == today(now) { Ok(of_now) } else { OfNow::read(app.clone()).await.map(Arc::new) }
}

/// When the day began, in UTC.
fn today(now: Millis) -> i64 {
    const DAY_MS: i64 = 86_400_000;
    now.0 - now.0.rem_euclid(DAY_MS)
}

/// The page.
pub(super) async fn show(
    State(app): State<App>,
    Visitor(session): Visitor,
    Extension(figures): Extension<Arc<Figures>>,
) -> Shown {
    let now = app.clock.now();
    let is_admin = session.as_ref().is_some_and(|session| session.caller.0.has(Role::Admin));
    let of_now = if is_admin { Some(of_now(&figures, &app).await?) } else { None };
    let read = async move { letaxi::read(State(app)).await.map(|Json(figures)| figures) };
    let figures = figures.public.read(now, read).await?;
    let content = html! {
        p {
            "Les opérateurs transmettent au registre la position de leurs taxis ; les applications de recherche y \
             trouvent ceux qui sont libres autour d’un client."
        }
        h2 { "Chiffres clés" }
        dl {
            @if let Some(of_now) = of_now {
                dt { "Taxis connectés" } dd { (of_now.connected) }
                dt { "Courses demandées aujourd’hui (UTC)" } dd { (of_now.hails_today) }
            }
            dt { "Groupements" } dd { (figures.groups) }
            dt { "Éditeurs d’applications de taxi" } dd { (figures.apps) }
            @for (place, percent) in &figures.hails_growth {
                dt { "Courses demandées, sur un an, " (place_name(place)) } dd { (decimal(*percent)) " %" }
            }
        }
        (connected(&figures))
        h2 { "Données ouvertes" }
        ul {
            li { a href=(super::opendata::PATH) { "Catalogue" } ", ou en " a href="/opendata" { "DCAT-AP, JSON-LD" } }
            li {
                "Stations : " a href="/opendata/stations.csv" { "CSV" } ", "
                a href="/opendata/stations.geojson" { "GeoJSON" } ", ou "
                a href=(super::map::PATH) { "sur la carte" }
            }
            li {
                "Zones uniques de prise en charge : " a href="/opendata/zupc.geojson" { "GeoJSON" } ", ou "
                a href=(super::map::PATH) { "sur la carte" }
            }
            li { a href="/opendata/ledger" { "Registre des publications" } }
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

/// What a conurbation is called.
pub(super) fn place_name(id: &str) -> String {
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
    fn a_day_begins_at_midnight() {
        assert_eq!((today(Millis(86_399_999)), today(Millis(86_400_000))), (0, 86_400_000));
    }

    #[test]
    fn figures_are_written_as_in_french() {
        assert_eq!((decimal(0.5), decimal(1_234.567)), ("0,50".to_owned(), "1234,57".to_owned()));
        assert_eq!(place_name("grenoble"), "Grenoble");
    }
}
