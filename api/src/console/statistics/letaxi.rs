//! What everybody is told.

use analytics::encode::Cell;
use axum::Json;
use axum::extract::State;

use super::Sheet;
use crate::app::App;
use crate::console::home::place_name;
use crate::console::table::{Table, number};
use crate::error::Answer;
use crate::routes::stats::letaxi::{self, PublicAnswer};
use crate::statistics::conurbations::{self, GROWING};

pub(super) const ABOUT: &str = "Ce que la page d’accueil et l’API disent à tout le monde : les comptes à ce jour, \
     les courses du mois dernier, et les taxis inscrits au premier jour de ce mois et des douze d’avant. En UTC.";

pub(super) async fn sheets(app: State<App>) -> Answer<Vec<Sheet>> {
    let Json(figures) = letaxi::read(app).await?;
    Ok(vec![of_now(&figures), registered(&figures)])
}

fn of_now(of: &PublicAnswer) -> Sheet {
    let count = |accounts: usize| Cell::Number(accounts.to_string());
    let growth = format!("Courses demandées, sur un an, {}", place_name(GROWING.id));
    let figures = [
        ("Groupements", count(of.groups), "comptes"),
        ("Éditeurs d’applications de taxi", count(of.apps), "comptes"),
        (growth.as_str(), number(of.hails_growth.get(GROWING.id).copied()), "%"),
    ];
    let figures =
        figures.map(|(label, value, unit)| vec![Cell::Text(label.into()), value, Cell::Text(unit.into())]);
    let table = Table::new(&["Chiffre", "Valeur", "Unité"], figures.into());
    Sheet::by_unit("maintenant", "Chiffres clés", table).explained(vec![
        ("Groupements", "Comptes qui ont le rôle de groupement de taxis."),
        ("Éditeurs d’applications de taxi", "Comptes qui ont le rôle d’éditeur d’applications pour les taxis."),
        (
            "Courses demandées, sur un an",
            "De combien de pour cent les courses du mois dernier, de son premier à son dernier jour, dépassent celles \
             du même mois un an avant, dans les communes de l’agglomération ; une course est comptée un à deux jours \
             après sa création. Inconnu : l’un des deux mois n’en a aucune.",
        ),
    ])
}

/// A line for each conurbation.
fn registered(of: &PublicAnswer) -> Sheet {
    let places = conurbations::ALL.map(|place| format!("{} (%)", place_name(place.id)));
    let columns: Vec<_> = ["Date"].into_iter().chain(places.iter().map(String::as_str)).collect();
    let rows = of.taxis_connected.iter().map(|(date, of_date)| {
        let shares = conurbations::ALL.map(|place| number(of_date.get(place.id).copied()));
        [Cell::Text(date.clone())].into_iter().chain(shares).collect()
    });
    let table = Table::new(&columns, rows.collect());
    Sheet::drawn("inscrits", "Part des taxis inscrits", table).explained(vec![(
        "Part des taxis inscrits",
        "Taxis inscrits au registre avant la date, dont l’ADS est d’une commune de l’agglomération, pour cent de ceux \
         que son autorité y compte. Un taxi supprimé depuis n’est compté à aucune date. Inconnu : il n’y en a aucun.",
    )])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_has_no_figure_is_unknown_and_not_drawn() {
        let figures = PublicAnswer {
            groups: 2,
            apps: 0,
            taxis_connected: ["2026-02-01", "2026-03-01"]
                .map(|date| (date.to_owned(), BTreeMap::new()))
                .into(),
            hails_growth: BTreeMap::new(),
        };
        let now = of_now(&figures);
        assert_eq!(now.table.rows[2][1], Cell::Unknown);
        let charts = now.drawing.unwrap().into_string();
        assert_eq!(charts.matches("data-chart").count(), 1, "of accounts alone: {charts}");
        let registered = registered(&figures);
        assert_eq!(registered.table.rows[1][1..], [Cell::Unknown, Cell::Unknown, Cell::Unknown]);
        assert!(registered.drawing.is_none());
    }

    #[test]
    fn months_are_lines_by_conurbation() {
        let of = |percent| BTreeMap::from([("grenoble", percent)]);
        let figures = PublicAnswer {
            groups: 0,
            apps: 0,
            taxis_connected: vec![("2026-02-01".to_owned(), of(0.47)), ("2026-03-01".to_owned(), of(0.94))],
            hails_growth: BTreeMap::from([(GROWING.id, 12.5)]),
        };
        let lines = registered(&figures).drawing.unwrap().into_string().replace("&quot;", "\"");
        assert!(
            lines.contains(r#""name":"Grenoble (%)""#) && lines.contains(r#""y":[0.47,0.94]"#),
            "{lines}"
        );
        assert!(lines.contains(r#""type":"date""#) && !lines.contains("Lyon"), "{lines}");
        let bars = of_now(&figures).drawing.unwrap().into_string();
        assert!(bars.contains("Graphique : Chiffres clés, en %.") && bars.contains("[12.5]"), "{bars}");
    }
}
