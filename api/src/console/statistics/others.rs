//! Searches, groups of taxis, and departments.

use analytics::encode::Cell;
use axum::Json;
use axum::extract::State;

use super::Sheet;
use crate::app::App;
use crate::auth::Caller;
use crate::console::moment;
use crate::console::table::{Table, number, whole};
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::routes::stats::{adsmap, groupements, searches};

pub(super) const ABOUT_SEARCHES: &str = "Les recherches de taxis de la dernière année, faites depuis une commune. Les \
     communes sont celles des clients ; les comptes, ceux qui ont cherché.";
pub(super) const ABOUT_GROUPS: &str = "Les groupements de taxis et ce que chacun a inscrit, à ce jour. Avec un filtre, \
     ceux qui ont inscrit un taxi qu’il retient, et ces taxis seuls.";
pub(super) const ABOUT_ADS: &str = "Les taxis inscrits à ce jour, selon le département de leur ADS.";

pub(super) async fn searches(app: State<App>, caller: Caller, asked: Query) -> Answer<Vec<Sheet>> {
    let Json(figures) = searches::read(app, caller, asked).await?;
    let figures = figures.into_inner().pop().ok_or_else(Problem::internal)?;
    let of = &figures.taxis;
    let quartiles = [
        ("Taxis trouvés", [of.taxis_found_25, of.taxis_found_50, of.taxis_found_75], "taxis"),
        ("Taxis montrés", [of.taxis_seen_25, of.taxis_seen_50, of.taxis_seen_75], "taxis"),
        ("Taxi le plus proche", [of.closest_taxi_25, of.closest_taxi_50, of.closest_taxi_75], "mètres"),
    ];
    let row = |(label, figures, unit): (&str, [Option<f64>; 3], &str)| {
        let label = Cell::Text(label.to_owned());
        [label].into_iter().chain(figures.map(number)).chain([Cell::Text(unit.to_owned())]).collect()
    };
    let columns = ["Recherche", "Premier quartile", "Médiane", "Troisième quartile", "Unité"];
    let callers = figures.moteurs.into_iter().map(|one| vec![Cell::Text(one.moteur), whole(one.count)]);
    Ok(vec![
        Sheet::by_unit(
            "quartiles",
            "Ce que trouvent les recherches",
            Table::new(&columns, quartiles.into_iter().map(row).collect()),
        )
        .explained(vec![
            (
                "Taxis trouvés",
                "Taxis libres à moins de 1 000 m qui pouvaient venir, quel que soit leur rayon.",
            ),
            (
                "Taxis montrés",
                "Ceux d’entre eux dont le client était dans le rayon : la réponse à l’application.",
            ),
            ("Taxi le plus proche", "Mètres jusqu’au plus proche des taxis trouvés, quand il y en a."),
            ("Quartiles", "Un quart, la moitié ou trois quarts des recherches ont au plus cette valeur."),
        ]),
        Sheet::drawn(
            "applications",
            "Qui cherche le plus",
            Table::new(&["Compte", "Recherches"], callers.collect()),
        )
        .explained(vec![("Recherches", "Depuis un mois, des dix comptes qui en ont fait le plus.")]),
    ])
}

pub(super) async fn groupements(app: State<App>, caller: Caller, asked: Query) -> Answer<Vec<Sheet>> {
    let Json(figures) = groupements::read(app, caller, asked).await?;
    let fleets = figures.into_inner().pop().ok_or_else(Problem::internal)?.fleet_data;
    let text = |text: Option<&str>| text.map_or(Cell::Unknown, |text| Cell::Text(text.to_owned()));
    let counts = fleets.iter().map(|fleet| vec![text(Some(&fleet.email)), whole(fleet.count)]).collect();
    let rows = fleets.iter().map(|fleet| {
        vec![
            text(Some(&fleet.email)),
            whole(fleet.count),
            fleet.fleet_size.map_or(Cell::Unknown, whole),
            number(fleet.ratio),
            text(fleet.last_taxi.as_deref().map(moment).as_deref()),
            text(fleet.manager.as_deref()),
        ]
    });
    let columns =
        ["Groupement", "Taxis inscrits", "Flotte déclarée", "Part (%)", "Dernier taxi (UTC)", "Gestionnaire"];
    let counts = Table::new(&["Groupement", "Taxis inscrits"], counts);
    let sheet = Sheet::beside("groupements", "Flottes", Table::new(&columns, rows.collect()), &counts);
    Ok(vec![sheet.explained(vec![
        ("Taxis inscrits", "Taxis que le groupement a inscrits au registre."),
        ("Flotte déclarée", "Taxis que le groupement dit avoir ; vide : il n’en dit rien."),
        ("Part (%)", "Taxis inscrits pour cent déclarés."),
        ("Dernier taxi (UTC)", "Quand le plus récent a été inscrit."),
        ("Gestionnaire", "Le compte qui gère le groupement."),
    ])])
}

pub(super) async fn adsmap(app: State<App>, caller: Caller, asked: Query) -> Answer<Vec<Sheet>> {
    let Json(figures) = adsmap::read(app, caller, asked).await?;
    let row = |one: adsmap::DepartmentAnswer| {
        vec![Cell::Text(format!("{} {}", one.insee, one.name)), whole(one.count)]
    };
    let rows = figures.into_inner().into_iter().map(row).collect();
    let table = Table::new(&["Département", "Taxis"], rows);
    Ok(vec![Sheet::drawn("departements", "Taxis par département", table).explained(vec![(
        "Taxis",
        "Taxis dont l’ADS est d’une commune du département ; sans aucun, il est absent.",
    )])])
}
