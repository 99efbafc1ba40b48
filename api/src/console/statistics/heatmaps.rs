//! Where hails, free taxis and searches are, in H3 cells.

use std::sync::Arc;

use analytics::cells::corners;
use analytics::encode::Cell;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use maud::Markup;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Sheet;
use crate::app::App;
use crate::auth::Caller;
use crate::console::chart::chart;
use crate::console::kept::Kept;
use crate::console::table::{Table, whole};
use crate::error::{Answer, Problem};
use crate::limits::{CELLS_DRAWN, FIGURES_OF_NOW_STAND};
use crate::routes::stats::heatmaps::{self, CellAnswer};
use crate::routes::stats::searches;

pub(super) const ABOUT: &str = "Des cellules H3 de résolution 8, d’environ 0,7 km². Celles qui ont moins de cinq \
     points ne sont pas montrées.";

/// From how many on a cell has another colour: what fewer than five make is not told.
const SHADES: [(u64, &str); 5] =
    [(5, "#c3ccf5"), (10, "#95a5ee"), (25, "#6378dd"), (100, "#3246b8"), (500, "#000091")];

/// What tells a cell from its neighbours.
const BETWEEN: &str = "#ffffff";

const NOT_YET: &str = "Cette carte n’est pas encore prête : le serveur vient de démarrer, ou n’a pas de place en ce \
     moment. Rechargez la page dans une minute.";

/// What a map is of.
#[derive(Clone, Copy, Debug)]
enum Of {
    Hails,
    FreeTaxis,
    Searches,
}

struct Map {
    of: Of,
    name: &'static str,
    title: &'static str,
    meaning: &'static str,
}

const MAPS: [Map; 3] = [
    Map {
        of: Of::Hails,
        name: "courses",
        title: "Où les clients demandent des courses",
        meaning: "Positions des clients des courses qui ne sont pas encore floutées : depuis 60 jours.",
    },
    Map {
        of: Of::FreeTaxis,
        name: "taxis",
        title: "Où sont les taxis libres",
        meaning: "Chaque taxi une fois, à sa dernière position reçue depuis moins de deux minutes.",
    },
    Map {
        of: Of::Searches,
        name: "recherches",
        title: "D’où partent les recherches",
        meaning: "Positions des clients des recherches pas encore floutées : depuis 60 jours, un million au plus.",
    },
];

/// The cells of each map as they were last counted, those with most in them first. Each is made of up to a million
/// points: one after the other.
#[derive(Debug)]
pub(in crate::console) struct Maps {
    turn: Mutex<()>,
    hails: Kept<Vec<CellAnswer>>,
    free_taxis: Kept<Vec<CellAnswer>>,
    searches: Kept<Vec<CellAnswer>>,
}

impl Default for Maps {
    fn default() -> Self {
        let kept = || Kept::new(FIGURES_OF_NOW_STAND);
        Self { turn: Mutex::default(), hails: kept(), free_taxis: kept(), searches: kept() }
    }
}

impl Maps {
    fn kept(&self, of: Of) -> &Kept<Vec<CellAnswer>> {
        match of {
            Of::Hails => &self.hails,
            Of::FreeTaxis => &self.free_taxis,
            Of::Searches => &self.searches,
        }
    }

    async fn read(self: &Arc<Self>, of: Of, app: &App, caller: &Caller) -> Answer<Arc<Vec<CellAnswer>>> {
        let (maps, now, app, caller) = (self.clone(), app.clock.now(), app.clone(), caller.clone());
        let count = async move {
            let _turn = maps.turn.lock().await;
            cells(of, app, caller).await
        };
        self.kept(of).read(now, count).await
    }
}

/// The cells of a map, those with most in them first.
async fn cells(of: Of, app: App, caller: Caller) -> Answer<Vec<CellAnswer>> {
    let Json(answer) = match of {
        Of::Hails => heatmaps::hails_in_cells(State(app), caller).await?,
        Of::FreeTaxis => heatmaps::taxis_in_cells(State(app), caller).await?,
        Of::Searches => searches::heatmap_in_cells(State(app), caller).await?,
    };
    let mut cells = answer.into_inner().pop().ok_or_else(Problem::internal)?.cells;
    cells.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.cell.cmp(&b.cell)));
    Ok(cells)
}

/// Every map, or the wanted one. Of several, one that cannot be made now says so in its place.
pub(super) async fn sheets(
    maps: &Arc<Maps>,
    app: &App,
    caller: &Caller,
    wanted: Option<&str>,
) -> Answer<Vec<Sheet>> {
    let mut sheets = Vec::new();
    for map in MAPS.iter().filter(|map| wanted.is_none_or(|name| name == map.name)) {
        let cells = match maps.read(map.of, app, caller).await {
            Err(problem) if wanted.is_none() && problem.status() == StatusCode::SERVICE_UNAVAILABLE => None,
            cells => Some(cells?),
        };
        sheets.push(map.sheet(cells.as_deref().map(Vec::as_slice)));
    }
    Ok(sheets)
}

impl Map {
    /// The map of these cells; None: there are none yet.
    fn sheet(&self, cells: Option<&[CellAnswer]>) -> Sheet {
        let missing = cells.is_none().then_some(NOT_YET);
        let cells = cells.unwrap_or_default();
        let rows = cells.iter().map(|one| vec![Cell::Text(one.cell.clone()), whole(one.count)]);
        Sheet {
            name: self.name,
            title: self.title,
            table: Table::new(&["Cellule H3", "Points"], rows.collect()),
            drawing: draw(self.title, cells.get(..CELLS_DRAWN).unwrap_or(cells)),
            terms: vec![("Points", self.meaning)],
            missing,
        }
    }
}

/// The cells as they lie, the darker the more there is in them. None of no cell.
fn draw(title: &str, cells: &[CellAnswer]) -> Option<Markup> {
    let first = corners(&cells.first()?.cell);
    let [_, lat] = first.first()?;
    let traces = SHADES.iter().enumerate().filter_map(|(i, (from, colour))| {
        let until = SHADES.get(i + 1).map(|(from, _)| *from);
        let within = |count: u64| count >= *from && until.is_none_or(|until| count < until);
        let shown = cells.iter().filter(|one| within(one.count));
        let mut path: Vec<_> =
            shown.flat_map(|one| corners(&one.cell).into_iter().map(Some).chain([None])).collect();
        path.pop()?;
        let along =
            |axis: usize| path.iter().map(|corner| corner.map(|corner| corner[axis])).collect::<Vec<_>>();
        let name = until.map_or(format!("{from} et plus"), |until| format!("{from} à {}", until - 1));
        Some(json!({
            "type": "scatter", "mode": "lines", "fill": "toself", "name": name, "x": along(0), "y": along(1),
            "line": {"width": 1, "color": BETWEEN}, "fillcolor": colour, "hoverinfo": "name",
        }))
    });
    let traces: Value = traces.collect();
    // A degree of longitude is as long as that of latitude times the cosine.
    let ratio = 1.0 / lat.to_radians().cos().max(0.1);
    let layout = json!({
        "xaxis": {"title": {"text": "Longitude"}},
        "yaxis": {"title": {"text": "Latitude"}, "rangemode": "normal", "scaleanchor": "x", "scaleratio": ratio},
        "height": 480, "showlegend": true,
    });
    Some(chart(&format!("Carte : {title}. Le tableau a les mêmes valeurs."), &traces, &layout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_is_not_made_yet_says_so() {
        assert_eq!(MAPS[0].sheet(None).missing, Some(NOT_YET));
        assert_eq!(MAPS[0].sheet(Some(&[])).missing, None);
    }

    #[test]
    fn cells_are_shaded_by_how_much_is_in_them() {
        let cell = |name: &str, count| CellAnswer { cell: name.to_owned(), count };
        let cells = [cell("881f90ba57fffff", 700), cell("881f90ba55fffff", 9), cell("881f90ba51fffff", 5)];
        let drawn = draw("Taxis", &cells).unwrap().into_string();
        assert_eq!(drawn.matches("toself").count(), 2, "{drawn}");
        assert!(drawn.contains("500 et plus") && drawn.contains("5 à 9"), "{drawn}");
        assert_eq!(drawn.matches("null").count(), 2, "one between two cells, on both axes: {drawn}");
        assert!(draw("Taxis", &[]).is_none());
    }
}
