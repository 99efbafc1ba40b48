//! How hails came out.

use analytics::encode::Cell;
use axum::Json;
use axum::extract::State;

use super::Sheet;
use super::taxis::milestones_of;
use crate::app::App;
use crate::auth::Caller;
use crate::console::table::{Table, number, whole};
use crate::error::{Answer, Problem};
use crate::form::query::Query;
use crate::routes::stats::hails::{self, Averages, HailsAnswer, Means, Times, Totals};

pub(super) const ABOUT: &str = "Les courses, comptées un à deux jours après leur création, dans l’état où elles \
     étaient alors : l’issue et la distance de celles demandées depuis 2022, les délais de toutes. Les communes sont \
     celles des clients ; les comptes, les opérateurs. Heures UTC.";

pub(super) async fn sheets(app: State<App>, caller: Caller, asked: Query) -> Answer<Vec<Sheet>> {
    let Json(figures) = hails::read(app, caller, asked).await?;
    let figures = figures.into_inner().pop().ok_or_else(Problem::internal)?;
    let distance = milestones_of("Mètres", [("Distance moyenne", figures.average_hail_distance)]);
    let by_date = distance.turned();
    Ok(vec![
        outcomes(&figures),
        Sheet::beside("distance", "Distance du taxi au client", distance, &by_date).explained(vec![(
            "Distance moyenne",
            "Mètres entre le taxi et le client au moment de la demande, en moyenne des courses créées avant la date ; \
             0 si aucune n’est connue.",
        )]),
        totals(&figures.hails_total),
        averages(&figures.hails_average),
        times(&figures.average_times),
    ])
}

fn outcomes(of: &HailsAnswer) -> Sheet {
    let figures = [
        ("Demandées", of.hails_received),
        ("Terminées", of.hails_finished),
        ("Refusées par le taxi", of.hails_declined_by_taxi),
        ("Annulées par le client", of.hails_declined_by_customer),
        ("Sans réponse du taxi", of.hails_timeout_taxi),
        ("Fin non signalée", of.hails_timeout_ride),
        ("Sans réponse du client", of.hails_timeout_customer),
        ("Incident du taxi", of.hails_incident_taxi),
        ("Incident du client", of.hails_incident_customer),
        ("Sans prise en charge", of.hails_timeout_accepted_by_customer),
        ("Échec", of.hails_failure),
    ];
    Sheet::drawn("issues", "Issue des courses", milestones_of("Courses", figures)).explained(vec![
        ("Demandées", "Toutes les courses créées avant la date, quelle que soit leur issue."),
        ("Terminées", "La course a eu lieu, et le taxi en a signalé la fin."),
        ("Refusées par le taxi", "Le taxi a refusé la course."),
        ("Annulées par le client", "Le client a renoncé après l’acceptation du taxi, ou avant."),
        ("Sans réponse du taxi", "Le taxi n’a pas répondu à temps."),
        ("Fin non signalée", "Le client est monté à bord, et le taxi n’a pas signalé la fin de la course."),
        ("Sans réponse du client", "Le taxi a accepté, et le client n’a pas confirmé à temps."),
        ("Incident du taxi", "Le taxi n’a pas pu poursuivre la course."),
        ("Incident du client", "Le client n’a pas pu poursuivre la course."),
        ("Sans prise en charge", "Le client a confirmé, et le taxi ne l’a pas pris en charge à temps."),
        ("Échec", "La course n’est jamais arrivée au taxi."),
    ])
}

fn totals(of: &Totals) -> Sheet {
    const MONTHS: [&str; 12] = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    let count = |year: &[[i64; 2]], month: i64| {
        year.iter().find(|[of, _]| *of == month).map_or(Cell::Unknown, |[_, hails]| whole(*hails))
    };
    let row = |(month, name): (i64, &str)| {
        vec![Cell::Text(name.to_owned()), count(&of.current_year, month), count(&of.last_year, month)]
    };
    let rows = (1..).zip(MONTHS).map(row).collect();
    let table = Table::new(&["Mois", "Cette année", "L’année dernière"], rows);
    let meaning = "Courses créées pendant le mois ; un mois sans aucune n’a pas de valeur.";
    Sheet::drawn("mois", "Courses par mois", table).explained(vec![("Courses", meaning)])
}

fn averages(of: &Averages) -> Sheet {
    let windows = [
        ("3 derniers mois", &of.last_three_months),
        ("cette année", &of.current_year),
        ("l’année dernière", &of.last_year),
    ];
    let rows = windows.into_iter().flat_map(|(when, window)| {
        let steps = [("jour", &window.daily), ("semaine", &window.weekly), ("mois", &window.monthly)];
        steps.map(|(step, means)| {
            let Means { total, timeout_customer, declined_by_customer, incident_taxi, declined_by_taxi } =
                means;
            let figures = [total, timeout_customer, declined_by_customer, incident_taxi, declined_by_taxi];
            let label = Cell::Text(format!("par {step}, {when}"));
            [label].into_iter().chain(figures.map(|figure| number(Some(*figure)))).collect()
        })
    });
    let columns = [
        "Moyenne",
        "Toutes",
        "Sans réponse du client",
        "Annulées par le client",
        "Incident du taxi",
        "Refusées par le taxi",
    ];
    let meaning = "Courses d’un jour, d’une semaine (à partir du lundi) ou d’un mois, en moyenne de ceux qui en ont de \
                   cette issue : les autres ne comptent pas.";
    Sheet::drawn("moyennes", "Moyennes par jour, semaine et mois", Table::new(&columns, rows.collect()))
        .explained(vec![("Moyenne", meaning)])
}

fn times(of: &Times) -> Sheet {
    let figures = [
        ("Acceptation par le taxi", of.accepted_by_taxi, "De la réception par le taxi à son acceptation."),
        ("Sans réponse du taxi", of.timeout_taxi, "De la réception par le taxi à la fin de son délai."),
        (
            "Confirmation du client",
            of.accepted_by_customer,
            "De l’acceptation du taxi à la confirmation du client.",
        ),
        (
            "Sans réponse du client",
            of.timeout_customer,
            "De l’acceptation du taxi à la fin du délai du client.",
        ),
        (
            "Annulation du client",
            of.declined_by_customer,
            "De l’acceptation du taxi à l’annulation par le client.",
        ),
        ("Incident du taxi", of.incident_taxi, "De l’acceptation du taxi à son incident."),
        ("Prise en charge", of.customer_on_board, "De l’acceptation du taxi au client à bord."),
        ("Incident à bord", of.customer_on_board_incident_taxi, "Du client à bord à l’incident du taxi."),
    ];
    let row =
        |(label, seconds, _): &(&str, f64, _)| vec![Cell::Text((*label).to_owned()), number(Some(*seconds))];
    let table = Table::new(&["Étape", "Secondes"], figures.iter().map(row).collect());
    Sheet::drawn("delais", "Délais moyens", table)
        .explained(figures.iter().map(|(label, _, meaning)| (*label, *meaning)).collect())
}
