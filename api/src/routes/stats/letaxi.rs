//! `GET /stats/letaxi`: a few figures for everybody.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use ingest::clock::Millis;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Answer;
use crate::openapi::{Chapter, Operation};
use crate::role::Role;
use crate::statistics::calendar::{begin, firsts_of_months, last_month};
use crate::statistics::conurbations::{self, Conurbation, GROWING};
use crate::store::Result;

/// Figures by conurbation.
type Figures = BTreeMap<&'static str, f64>;

/// What everybody may know.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PublicFigures)]
pub struct PublicAnswer {
    /// How many groups of taxis there are.
    pub groups: usize,
    /// How many makers of drivers' apps there are.
    pub apps: usize,
    /// For the first day of each of thirteen months, the oldest first: the date, and by conurbation how many percent of
    /// its taxis were registered.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub taxis_connected: Vec<(String, Figures)>,
    /// By conurbation, how many percent more hails last month had than the same month a year before.
    #[schema(value_type = BTreeMap<String, f64>)]
    pub hails_growth: Figures,
}

/// The figures of today.
pub async fn read(State(app): State<App>) -> Answer<Json<PublicAnswer>> {
    let accounts = app.registry.accounts();
    Ok(Json(PublicAnswer {
        groups: accounts.with(Role::Groupement).len(),
        apps: accounts.with(Role::Editeur).len(),
        taxis_connected: registered(&app).await?,
        hails_growth: growth(&app).await?,
    }))
}

/// `GET /stats/letaxi` in the reference.
pub fn describe_read() -> Operation {
    let connected = Figures::from([("grenoble", 0.47), ("lyon", 0.21)]);
    let figures = PublicAnswer {
        groups: 2,
        apps: 1,
        taxis_connected: vec![("2026-02-01".to_owned(), connected)],
        hails_growth: Figures::from([("lyon", 100.0)]),
    };
    Operation::new(Chapter::Statistics, "A few figures for everybody", "As of now.").bare(
        200,
        "The figures.",
        &figures,
    )
}

/// How many percent of a conurbation's taxis were registered on each first day of a month; one without any has no
/// figure.
async fn registered(app: &App) -> Result<Vec<(String, Figures)>> {
    let firsts = firsts_of_months(app.clock.now());
    let mut figures: Vec<_> = firsts.iter().map(|first| (first.to_string(), Figures::new())).collect();
    let begins: Vec<_> = firsts.into_iter().map(begin).collect();
    for conurbation in conurbations::ALL {
        let counts = app.registry.store().taxis_before(conurbation.towns, &begins).await?;
        for ((_, of_day), taxis) in figures.iter_mut().zip(counts) {
            if taxis > 0 {
                of_day.insert(conurbation.id, share(taxis, &conurbation));
            }
        }
    }
    Ok(figures)
}

/// Percent, rounded to two decimals.
#[expect(clippy::cast_precision_loss, reason = "taxis, which are few")]
fn share(taxis: i64, conurbation: &Conurbation) -> f64 {
    (taxis as f64 * 10_000.0 / f64::from(conurbation.expected)).round() / 100.0
}

/// By how many percent the hails of the last month have grown in a year; nothing where there were none.
#[expect(clippy::cast_precision_loss, reason = "hails of a month, which are few")]
async fn growth(app: &App) -> Result<Figures> {
    let now: Millis = app.clock.now();
    let store = app.registry.store();
    let count = async |years_ago| store.copies_in(GROWING.towns, last_month(now, years_ago)).await;
    let (this, before) = (count(0).await?, count(1).await?);
    let grown =
        (this > 0 && before > 0).then(|| (GROWING.id, 100.0 * (this - before) as f64 / before as f64));
    Ok(grown.into_iter().collect())
}
