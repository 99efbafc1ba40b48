//! How many taxis there are, and what they do.

use analytics::encode::Cell;
use axum::Json;
use axum::extract::State;

use super::Sheet;
use crate::app::App;
use crate::auth::Caller;
use crate::console::table::{Table, number, whole};
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::routes::stats::{Milestones, taxis};

pub(super) const ABOUT: &str = "Les taxis inscrits aujourd’hui, à quatre dates : maintenant, et à la même heure il \
     y a trois, six et douze mois. Les communes sont celles des ADS ; les comptes, ceux qui ont inscrit les taxis.";

/// The four instants, as columns of a table whose rows have this name.
pub(super) fn milestones_of(what: &str, rows: impl IntoIterator<Item = (&'static str, Milestones)>) -> Table {
    let row = |(label, of): (&str, Milestones)| {
        let figures = [of.today, of.three_months_ago, of.six_months_ago, of.twelve_months_ago];
        [Cell::Text(label.to_owned())].into_iter().chain(figures.map(whole)).collect()
    };
    let columns = [what, "Aujourd’hui", "Il y a 3 mois", "Il y a 6 mois", "Il y a 12 mois"];
    Table::new(&columns, rows.into_iter().map(row).collect())
}

pub(super) async fn sheets(app: State<App>, caller: Caller, asked: Query) -> Answer<Vec<Sheet>> {
    let Json(figures) = taxis::read(app, caller, asked).await?;
    let figures = figures.into_inner().pop().ok_or_else(Problem::internal)?;
    let growth = [
        ("Inscrits", figures.registered_taxis),
        ("Inscrits depuis 2022", figures.registered_taxis_since_threshold),
        ("Connectés au moins une fois", figures.connected_taxis),
        ("Connectés depuis 2022", figures.connected_taxis_since_threshold),
    ];
    let now = [
        ("Connectés maintenant", whole(figures.connected_taxis_now), "taxis"),
        ("Courses par taxi et par mois", number(figures.monthly_hails_per_taxi), "courses"),
        ("Rayon moyen", number(figures.average_radius), "mètres"),
        ("Rayon choisi", number(figures.average_radius_change), "% des taxis"),
    ];
    let now = now.map(|(label, value, unit)| vec![Cell::Text(label.into()), value, Cell::Text(unit.into())]);
    let now = Table::new(&["Chiffre", "Valeur", "Unité"], now.into());
    let hours = (0..24).map(|hour| {
        let taxis = figures.connected_taxis_per_hour.get(&hour.to_string()).copied();
        vec![Cell::Text(format!("{hour} h")), number(taxis)]
    });
    Ok(vec![
        Sheet::drawn("dates", "Taxis inscrits et connectés", milestones_of("Taxis", growth)).explained(vec![
            ("Inscrits", "Taxis inscrits au registre avant la date. Un taxi supprimé depuis n’est compté à aucune."),
            ("Inscrits depuis 2022", "Parmi eux, ceux qui l’ont été depuis le 1er janvier 2022, date du décret."),
            ("Connectés au moins une fois", "Taxis dont au moins une position a été reçue avant la date."),
            (
                "Connectés depuis 2022",
                "Taxis dont au moins une position a été reçue entre le 1er janvier 2022 et la date.",
            ),
        ]),
        Sheet::by_unit("maintenant", "Activité", now).explained(vec![
            ("Connectés maintenant", "Taxis dont une position a été reçue depuis une minute."),
            (
                "Courses par taxi et par mois",
                "Courses demandées depuis trois mois, par taxi inscrit et par mois ; une course est comptée un à deux \
                 jours après sa création.",
            ),
            ("Rayon moyen", "Moyenne des rayons de visibilité que des taxis ont choisis."),
            ("Rayon choisi", "Part des taxis qui en ont choisi un ; les autres ont celui du registre, 500 m."),
        ]),
        Sheet::drawn(
            "heures",
            "Taxis connectés selon l’heure",
            Table::new(&["Heure (UTC)", "Taxis"], hours.collect()),
        )
        .explained(vec![(
            "Taxis",
            "Taxis dont une position a été reçue pendant cette heure, en moyenne des jours où il y en a eu.",
        )]),
    ])
}
