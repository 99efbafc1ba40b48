//! `GET /stats/searches` and `GET /stats/heatmap_searches`: what customers' searches found, and where they were made.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use engine::territory::Insee;
use serde::Serialize;
use utoipa::ToSchema;

use super::heatmaps::{CellsAnswer, HeatmapAnswer, describe_cells};
use super::{aside, narrowed};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Answer, Problem};
use crate::form::envelope::{self, Elements};
use crate::form::query::Query;
use crate::limits::SEARCH_POINTS_MAX;
use crate::openapi::{Chapter, Operation};
use crate::role::ADMINISTRATORS;
use crate::searches::History;
use crate::searches::kept::Statistics;
use crate::statistics::calendar;
use crate::statistics::filter::Filter;

/// How many are told who searched most.
const SEARCHERS_TOLD: usize = 10;

/// What searches found.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Searches)]
pub struct SearchesAnswer {
    /// Quartiles of what they found.
    pub taxis: QuartilesAnswer,
    /// Who searched most since a month ago, at most ten.
    pub moteurs: Vec<SearcherAnswer>,
}

/// Quartiles, each null without values.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SearchQuartiles)]
pub struct QuartilesAnswer {
    /// Taxis within 1,000 m that could have come, whatever their own radius: the first quartile.
    pub taxis_found_25: Option<f64>,
    /// The median.
    pub taxis_found_50: Option<f64>,
    /// The third quartile.
    pub taxis_found_75: Option<f64>,
    /// Taxis in the answer: the first quartile.
    pub taxis_seen_25: Option<f64>,
    /// The median.
    pub taxis_seen_50: Option<f64>,
    /// The third quartile.
    pub taxis_seen_75: Option<f64>,
    /// Metres to the nearest taxi found, where one was: the first quartile.
    pub closest_taxi_25: Option<f64>,
    /// The median.
    pub closest_taxi_50: Option<f64>,
    /// The third quartile.
    pub closest_taxi_75: Option<f64>,
}

/// Who searched, and how often.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Searcher)]
pub struct SearcherAnswer {
    /// The account's email.
    pub moteur: String,
    /// How often.
    pub count: u64,
}

/// What searches of the last year found, and who made most of them.
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Elements<SearchesAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let filter = Filter::read(&query)?;
    let history = whole(&app)?;
    let answer = move || {
        let (now, territory, accounts) = (app.clock.now(), app.registry.territory(), app.registry.accounts());
        let among = filter.accounts(&accounts);
        let wanted = |town: Insee, caller| {
            filter.takes_town(Some(town.as_str()))
                && among.as_ref().is_none_or(|among| among.contains(&caller))
        };
        let since = calendar::last_months(now, 1).start;
        let kept = history.kept(now, &territory);
        let (statistics, callers) = (kept.statistics(wanted), kept.callers(since, wanted));
        drop(kept);
        let told = callers.into_iter().filter_map(|(caller, count)| {
            Some(SearcherAnswer { moteur: accounts.id(caller)?.email.clone(), count })
        });
        SearchesAnswer { taxis: quartiles(&statistics), moteurs: told.take(SEARCHERS_TOLD).collect() }
    };
    Ok(envelope::of_one(aside(answer).await?))
}

/// `GET /stats/searches` in the reference.
pub fn describe_read() -> Operation {
    let statistics = Statistics {
        found: Some([0.75, 1.5, 3.25]),
        seen: Some([0.0, 1.0, 2.25]),
        closest_m: Some([90.0, 185.25, 295.125]),
    };
    let example = SearchesAnswer {
        taxis: quartiles(&statistics),
        moteurs: vec![SearcherAnswer { moteur: "my-app".to_owned(), count: 3 }],
    };
    let about = "Searches of the last year that were answered from a town; those of the last second may not be counted \
                 yet. Narrowed by the customer's town, and by the account that searched.";
    narrowed(Operation::new(Chapter::Statistics, "What searches find, and who makes most of them", about))
        .roles(ADMINISTRATORS)
        .one(200, "Quartiles over all of these searches, interpolated.", &example)
        .refuses_with(
            "The server has just started, and does not know all searches yet.",
            &unavailable(NOT_YET),
        )
}

/// Where customers were.
pub async fn heatmap(State(app): State<App>, caller: Caller) -> Answer<Json<Elements<HeatmapAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let history = whole(&app)?;
    let points = move || {
        let (now, territory) = (app.clock.now(), app.registry.territory());
        let points = history.kept(now, &territory).points(SEARCH_POINTS_MAX);
        HeatmapAnswer { points: points.into_iter().map(|point| [point.lat(), point.lon()]).collect() }
    };
    Ok(envelope::of_one(aside(points).await?))
}

/// `GET /stats/heatmap_searches` in the reference.
pub fn describe_heatmap() -> Operation {
    let about = "One point a search of the last year, the latest million at most; after 60 days it is a point of its \
                 town.";
    Operation::new(Chapter::Statistics, "Where searches were made from", about)
        .roles(ADMINISTRATORS)
        .one(200, "The points.", &HeatmapAnswer { points: vec![[45.76, 4.835], [45.75, 4.84]] })
        .refuses_with(
            "The server has just started, and does not know all searches yet.",
            &unavailable(NOT_YET),
        )
}

/// In which cells customers were, of searches that are exact.
pub async fn heatmap_in_cells(State(app): State<App>, caller: Caller) -> Answer<Json<Elements<CellsAnswer>>> {
    caller.require(ADMINISTRATORS)?;
    let history = whole(&app)?;
    let count = move || {
        let (now, territory) = (app.clock.now(), app.registry.territory());
        let points = history.kept(now, &territory).exact_points(SEARCH_POINTS_MAX);
        CellsAnswer::of(points)
    };
    Ok(envelope::of_one(aside(count).await?))
}

/// `GET /stats/heatmap_searches/cells` in the reference.
pub fn describe_heatmap_in_cells() -> Operation {
    let about = "Of searches that are not blurred yet, 60 days long, the latest million at most. A cell with fewer \
                 than five is left out.";
    describe_cells("In which H3 cells searches were made", about).refuses_with(
        "The server has just started, and does not know all searches yet.",
        &unavailable(NOT_YET),
    )
}

/// The searches, once all of them are known.
fn whole(app: &App) -> Answer<History> {
    let history = app.history.clone().ok_or_else(|| unavailable(NOT_YET))?;
    // Figures that stand still would pass for those of today.
    if history.failure().is_some() {
        return Err(unavailable(STUCK));
    }
    if history.is_whole() { Ok(history) } else { Err(unavailable(NOT_YET)) }
}

const NOT_YET: &str = "This server has just started and does not know all searches yet. Please ask again.";
const STUCK: &str = "This server can read no further in its log of searches; its own log says why.";

fn unavailable(message: &'static str) -> Problem {
    Problem::whole(StatusCode::SERVICE_UNAVAILABLE, message)
}

fn quartiles(statistics: &Statistics) -> QuartilesAnswer {
    let each = |quartiles: Option<[f64; 3]>| quartiles.map_or([None; 3], |quartiles| quartiles.map(Some));
    let [taxis_found_25, taxis_found_50, taxis_found_75] = each(statistics.found);
    let [taxis_seen_25, taxis_seen_50, taxis_seen_75] = each(statistics.seen);
    let [closest_taxi_25, closest_taxi_50, closest_taxi_75] = each(statistics.closest_m);
    QuartilesAnswer {
        taxis_found_25,
        taxis_found_50,
        taxis_found_75,
        taxis_seen_25,
        taxis_seen_50,
        taxis_seen_75,
        closest_taxi_25,
        closest_taxi_50,
        closest_taxi_75,
    }
}
