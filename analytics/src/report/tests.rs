//! Each report over a small archive, with figures worked out by hand.

use std::time::Duration;

use engine::territory::Territory;
use h3o::CellIndex;
use ingest::position::LatLon;
use ingest::position::ReportedStatus::{Free, Occupied, Off};

use super::*;
use crate::functions::cell_at;
use crate::places::RESOLUTION;
use crate::sample::{GRENOBLE, Heard, LIMITS, LYON, Sample, at, table, town};
use crate::session::Limits;

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// The report of 17 and 18 March 2026, as a table without its frame, as if one were enough for each figure.
async fn report(sample: &Sample, name: &str, towns: Option<&str>) -> Vec<Vec<String>> {
    of(sample, name, towns, 1).await
}

async fn of(sample: &Sample, name: &str, towns: Option<&str>, fewest: u32) -> Vec<Vec<String>> {
    let period = Period::new(day("2026-03-17"), day("2026-03-19")).unwrap();
    let towns = towns.map(|name| sample.dimensions.towns_of(name));
    let warehouse = sample.warehouse(LIMITS);
    let (turn, report) = (warehouse.turn().unwrap(), named(name).unwrap());
    let answer = turn.report_of(report, period, towns, &sample.dimensions, fewest).await.unwrap();
    let columns: Vec<_> = answer.schema().fields().iter().map(|field| field.name().clone()).collect();
    let described: Vec<_> = report.words.columns.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(columns, described, "{name}: its columns are those that it describes");
    let text = table(&answer.collect().await.unwrap());
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let lines = text.lines().filter(|line| line.starts_with('|')).skip(1);
    lines.map(|line| cells(line)[1..=columns.len()].to_vec()).collect()
}

/// `n` positions, one every `step` seconds.
fn heard(
    begins: &str,
    (taxi, operator): (u32, u32),
    status: ingest::position::ReportedStatus,
    (n, step): (i64, i64),
) -> Vec<Heard<'static>> {
    let (place, town) = if taxi == 3 { (GRENOBLE, "38185") } else { (LYON, "69123") };
    (0..n).map(|i| (at(begins).plus(i * step * 1000), taxi, operator, status, place, town, town)).collect()
}

/// On the 17th: taxi 1 is free in Lyon for two minutes, a position every 5 s, and after a pause of three hours occupied
/// for half of one; taxi 3 is off in Grenoble for a minute. On the 18th: taxi 2 of operator 3 is free for a
/// minute, and heard once through operator 2. On the 16th and 19th: something, which is no part of any report.
async fn sample() -> Sample {
    let sample = Sample::new();
    sample.day(100, &heard("2026-03-16T23:59:55", (1, 2), Free, (1, 5))).await;
    let mut rows = heard("2026-03-17T08:00:00", (1, 2), Free, (24, 5));
    rows.extend(heard("2026-03-17T11:01:30", (1, 2), Occupied, (6, 5)));
    rows.extend(heard("2026-03-17T12:00:00", (3, 2), Off, (12, 5)));
    sample.day(100, &rows).await;
    let mut rows = heard("2026-03-18T08:00:00", (2, 3), Free, (12, 5));
    rows.extend(heard("2026-03-18T08:00:30", (2, 2), Free, (1, 5)));
    sample.recent(100, &rows).await;
    sample.recent(200, &heard("2026-03-19T00:00:00", (1, 2), Free, (1, 5))).await;
    sample
}

/// The middle of the cell of a point.
fn middle_of((lat, lon): (f64, f64)) -> LatLon {
    let cell = cell_at(LatLon::new(lat, lon).unwrap(), RESOLUTION).unwrap();
    crate::cells::middle(CellIndex::try_from(cell).unwrap()).unwrap()
}

#[test]
fn every_report_says_what_it_is() {
    for report in all() {
        let Report { name, words: Words { title, definition, unit, source, columns }, french, .. } = report;
        assert!(title.contains(": ") && definition.len() > 100, "{name}");
        assert!(!unit.is_empty() && !source.is_empty() && columns.len() > 3, "{name}");
        assert!(columns.iter().all(|(_, meaning)| !meaning.is_empty()), "{name}");
        assert!(definition.contains(&format!("fewer than {FEWEST_SHOWN}")), "{name}: who is not told");
        assert!(
            definition.contains("subtracted from another's is not prevented"),
            "{name}: what it does not do"
        );
        assert!(french.title.contains(" : ") && french.definition.contains("moins de 5 "), "{name}");
        let limit = "Rien n’empêche de soustraire le rapport d’une période";
        assert!(french.definition.contains(limit), "{name}: what it does not do");
        assert!(!french.unit.is_empty() && !french.source.is_empty(), "{name}");
        let names =
            |columns: &[(String, String)]| columns.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&french.columns), names(columns), "{name}: in French, too");
        assert!(french.columns.iter().all(|(_, meaning)| !meaning.is_empty()), "{name}");
    }
    assert!(named("coverage").is_some() && named("").is_none());
}

#[test]
fn a_period_is_some_days() {
    let period = |from: &str, to: &str| Period::new(day(from), day(to)).is_some();
    assert!(period("2026-03-17", "2026-03-18") && period("2024-01-01", "2025-01-01"));
    assert!(!period("2026-03-17", "2026-03-17") && !period("2026-03-18", "2026-03-17"));
    assert!(!period("2024-01-01", "2025-01-02"));
}

#[tokio::test]
async fn coverage() {
    let sample = sample().await;
    // Taxi 2 and the second ADS of Lyon came at noon of the 17th, and number 1 there is one ADS, whoever registered it.
    assert_eq!(
        report(&sample, "coverage", None).await,
        [
            ["2026-03-17", "38185", "Grenoble", "1", "1", "1", "100.0", "100.0"],
            ["2026-03-17", "69123", "Lyon", "2", "2", "1", "100.0", "50.0"],
            ["2026-03-18", "38185", "Grenoble", "1", "1", "0", "100.0", "0.0"],
            ["2026-03-18", "69123", "Lyon", "2", "2", "1", "100.0", "50.0"],
        ]
    );
    assert_eq!(report(&sample, "coverage", Some("38")).await.len(), 2, "a departement");
    assert_eq!(report(&sample, "coverage", Some("Z1")).await.len(), 2, "a ZUPC");
    assert_eq!(report(&sample, "coverage", Some("69123")).await[0][1], "69123", "a town");
    assert!(report(&sample, "coverage", Some("nowhere")).await.is_empty());
}

#[tokio::test]
async fn availability() {
    let sample = sample().await;
    let told = report(&sample, "availability", None).await;
    // Lyon is one cell, with somebody free in it at 8 h of either day: 2 of 48 hours, for 2,400 inhabitants.
    let lyon = ["69123", "Lyon", "1", "48", "2", "4.166666666666667", "4.166666666666666", "2400", "100.0"];
    assert_eq!(told[1], lyon);
    // Whoever is off serves nobody; how many live in Grenoble is unknown.
    assert_eq!(told[0][..2], ["38185", "Grenoble"]);
    assert_eq!(told[0][3..], ["48", "0", "0.0", "0.0", "", ""]);
}

#[tokio::test]
async fn availability_reaches_500_m_and_into_the_next_cell() {
    // From a taxi 450 m from the middle of Lyon's cell, and one 550 m from it; which cell each is in does not matter.
    for (metres, hours) in [(450.0, "1"), (550.0, "0")] {
        let sample = Sample::new();
        let middle = middle_of(LYON);
        let place = (middle.lat() + metres / 111_150.0, middle.lon());
        let row = (at("2026-03-17T08:00:00"), 1, 2, Free, place, "69123", "69123");
        sample.recent(0, &[row]).await;
        assert_eq!(report(&sample, "availability", Some("69123")).await[0][4], hours, "{metres} m");
    }
}

#[tokio::test]
async fn availability_is_of_days_that_are_not_blurred() {
    let sample = Sample::new();
    sample.blurred_day(&heard("2026-03-17T08:00:00", (1, 2), Free, (24, 5))).await;
    sample.recent(100, &heard("2026-03-18T08:00:00", (2, 3), Free, (12, 5))).await;
    let told = report(&sample, "availability", Some("69123")).await;
    assert_eq!(told[0][3..6], ["24", "1", "4.166666666666667"]);
    let sample = Sample::new();
    for date in ["2026-03-17", "2026-03-18"] {
        sample.blurred_day(&heard(&format!("{date}T08:00:00"), (1, 2), Free, (24, 5))).await;
    }
    assert_eq!(report(&sample, "availability", Some("69123")).await[0][3..], ["0", "", "", "", "2400", ""]);
}

/// On the 17th: so many taxis of Lyon are free there for a minute at 8 h, and as many searches find none; each taxi is
/// hailed, and declines.
async fn some(count: u32) -> Sample {
    let sample = Sample::new();
    let rows: Vec<_> =
        (10..10 + count).flat_map(|taxi| heard("2026-03-17T08:00:00", (taxi, 2), Free, (12, 5))).collect();
    sample.day(100, &rows).await;
    let search = ("2026-03-17T08:30:00", 4, LYON, "69123", 0, 0, None);
    sample.searches(&vec![search; count as usize]).await;
    let declined: &[(&str, i64)] = &[("accepted_by_taxi", 10), ("customer_on_board", 60)];
    let hail = |taxi| ("2026-03-17T08:40:00", "declined_by_taxi", 2, taxi, "69123", declined);
    sample.hails(&(10..10 + count).map(hail).collect::<Vec<_>>()).await;
    sample
}

#[tokio::test]
async fn nothing_is_told_to_which_few_contribute() {
    let (few, enough) = (some(FEWEST_SHOWN - 1).await, some(FEWEST_SHOWN).await);
    let told = async |sample, name| of(sample, name, Some("69123"), FEWEST_SHOWN).await;
    for name in ["work", "balance", "response"] {
        assert!(told(&few, name).await.is_empty(), "{name}");
        let rows = told(&enough, name).await;
        assert_eq!(rows.len(), 1, "{name}");
        assert!(rows[0].iter().all(|figure| !figure.is_empty()), "{name}: {rows:?}");
    }
    // A day of none is told of many alone, and two are registered.
    assert_eq!(told(&few, "coverage").await.iter().map(|row| row[5].as_str()).collect::<Vec<_>>(), ["", ""]);
    assert_eq!(
        told(&enough, "coverage").await.iter().map(|row| row[5].as_str()).collect::<Vec<_>>(),
        ["5", ""]
    );
    // An operator is named.
    assert_eq!(told(&few, "compliance").await, [["2", "OPA", "", "", "", "", "", "", "", ""]]);
    assert_eq!(
        told(&enough, "compliance").await,
        [["2", "OPA", "5", "60", "100.0", "5", "5", "100.0", "0", "0.0"]]
    );
    assert_eq!(told(&few, "availability").await[0][4..], ["", "", "", "2400", ""]);
    assert_eq!(told(&enough, "availability").await[0][4], "1");
}

#[tokio::test]
async fn many_hails_of_one_taxi_are_its_own() {
    let sample = Sample::new();
    let hail = ("2026-03-17T08:40:00", "declined_by_taxi", 2, 1, "69123", &[("declined_by_taxi", 9)][..]);
    sample.hails(&[hail; 20]).await;
    assert!(of(&sample, "response", None, FEWEST_SHOWN).await.is_empty());
    assert_eq!(
        of(&sample, "compliance", None, FEWEST_SHOWN).await[0][2..],
        ["0", "", "", "", "", "", "", ""]
    );
}

#[tokio::test]
async fn numbers_of_an_hour_and_cell_are_hidden_each_by_itself() {
    let sample = some(FEWEST_SHOWN).await;
    // One more of the five taxis' searches finds one, and one more taxi is never free.
    let mut rows = heard("2026-03-17T09:00:00", (30, 2), Free, (1, 5));
    rows.extend(
        (31..30 + FEWEST_SHOWN).flat_map(|taxi| heard("2026-03-17T09:00:00", (taxi, 2), Occupied, (1, 5))),
    );
    sample.recent(200, &rows).await;
    let told = of(&sample, "balance", None, FEWEST_SHOWN).await;
    assert_eq!(told[0][3..], ["5", "5", "5", "5", "1.0"]);
    assert_eq!(told[1][3..], ["5", "", "0", "0", ""], "one of five was free");
}

#[tokio::test]
async fn no_part_is_told_that_leaves_few_of_its_whole() {
    const DAY: &str = "2026-03-17T08:00:00";
    for (rest, is_told) in [(FEWEST_SHOWN - 1, false), (FEWEST_SHOWN, true)] {
        let sample = Sample::new();
        let ids = 10..10 + FEWEST_SHOWN + rest;
        let status = |taxi| if taxi < 10 + FEWEST_SHOWN { Free } else { Occupied };
        let rows: Vec<_> = ids.clone().flat_map(|taxi| heard(DAY, (taxi, 2), status(taxi), (1, 5))).collect();
        sample.day(100, &rows).await;
        let search = |seen| (DAY, 4, LYON, "69123", 2, seen, None);
        let searches = ids.map(|taxi| search(u16::from(taxi < 10 + FEWEST_SHOWN)));
        sample.searches(&searches.collect::<Vec<_>>()).await;
        let whole = (FEWEST_SHOWN + rest).to_string();
        let part = |of: u32| if is_told { of.to_string() } else { String::new() };
        let balance = of(&sample, "balance", None, FEWEST_SHOWN).await;
        let free_and_in_vain = [&balance[0][4], &balance[0][6]];
        assert_eq!([&balance[0][3], &balance[0][5]], [&whole; 2]);
        assert_eq!(free_and_in_vain, [&part(FEWEST_SHOWN), &part(rest)]);
        let response = of(&sample, "response", None, FEWEST_SHOWN).await;
        assert_eq!(response[0][2..4], [whole, part(FEWEST_SHOWN)]);
        assert_eq!(response[0][4].is_empty(), !is_told, "{response:?}");
    }
}

#[tokio::test]
async fn how_many_are_connected_is_not_told_where_few_are_not() {
    let registered = FEWEST_SHOWN * 2;
    for (connected, told) in [(registered, "10"), (registered - 1, ""), (FEWEST_SHOWN, "5")] {
        let mut sample = some(connected).await;
        let taxi = sample.dimensions.taxis[0].clone();
        let taxis =
            (10..10 + registered).map(|number| crate::dimensions::Taxi { taxi: number, ..taxi.clone() });
        let ads = sample.dimensions.ads.clone();
        let territory = sample.dimensions.territory.clone();
        let dimensions = Dimensions { taxis: taxis.collect(), ads, territory, ..Dimensions::default() };
        sample.dimensions = Arc::new(dimensions);
        let rows = of(&sample, "coverage", Some("69123"), FEWEST_SHOWN).await;
        assert_eq!(rows[0][4..6], ["10", told]);
    }
}

#[tokio::test]
async fn a_report_of_a_country_ends_in_time_while_its_cells_are_found() {
    let mut sample = Sample::new();
    let towns = (0..400).map(|number| {
        let (west, south) = (f64::from(number % 20) * 0.4, 40.0 + f64::from(number / 20) * 0.4);
        town(&format!("{number:05}"), "", (west, south, west + 0.4, south + 0.4))
    });
    let territory = Arc::new(Territory::new(towns.collect(), Vec::new(), Vec::new()));
    sample.dimensions = Arc::new(Dimensions { territory: Some(territory), ..Dimensions::default() });
    let within = Duration::from_millis(200);
    let warehouse = sample.warehouse(Limits { within, at_once: 1, ..LIMITS });
    let period = Period::new(day("2026-03-17"), day("2026-03-18")).unwrap();
    let ask =
        async || warehouse.report(named("availability").unwrap(), period, None, &sample.dimensions).await;
    assert_eq!(ask().await.err(), Some(QueryError::TooLong(within)));
    // Who goes away gives the turn back, too.
    let patiently = async || {
        loop {
            match ask().await {
                Err(QueryError::Busy) => tokio::task::yield_now().await,
                other => return other.err(),
            }
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(50), patiently()).await.is_err(), "it was under way");
    assert_eq!(patiently().await, Some(QueryError::TooLong(within)));
}

#[tokio::test]
async fn response() {
    let sample = Sample::new();
    sample
        .searches(&[
            ("2026-03-17T08:00:00", 4, LYON, "69123", 2, 1, Some(100.0)),
            ("2026-03-17T09:00:00", 4, LYON, "69123", 1, 0, Some(800.0)),
            ("2026-03-17T10:00:00", 4, GRENOBLE, "38185", 0, 0, None),
        ])
        .await;
    let accepted =
        |after: i64| [("received", 0), ("accepted_by_taxi", after), ("customer_on_board", 10 * after)];
    sample
        .hails(&[
            ("2026-03-17T08:00:00", "finished", 2, 1, "69123", &accepted(10)),
            ("2026-03-17T08:10:00", "timeout_taxi", 2, 1, "69123", &accepted(20)),
            (
                "2026-03-17T08:20:00",
                "declined_by_taxi",
                2,
                1,
                "69123",
                &[("received", 0), ("declined_by_taxi", 9)],
            ),
            ("2026-03-17T08:30:00", "timeout_taxi", 3, 2, "69123", &[("received", 0), ("timeout_taxi", 40)]),
        ])
        .await;
    let lyon =
        ["69123", "Lyon", "2", "1", "50.0", "4", "2", "1", "1", "50.0", "15.0", "19.0", "150.0", "190.0"];
    let grenoble = ["38185", "Grenoble", "1", "0", "0.0", "", "", "", "", "", "", "", "", ""];
    assert_eq!(report(&sample, "response", None).await, [grenoble, lyon]);
}

#[tokio::test]
async fn balance() {
    let sample = sample().await;
    sample
        .searches(&[
            ("2026-03-17T08:30:00", 4, LYON, "69123", 2, 1, Some(100.0)),
            ("2026-03-17T08:59:59", 4, LYON, "69123", 1, 0, Some(800.0)),
            ("2026-03-17T12:00:00", 4, GRENOBLE, "38185", 0, 0, None),
            ("2026-03-17T09:00:00", 4, LYON, "69123", 0, 0, None),
        ])
        .await;
    let told = report(&sample, "balance", None).await;
    let told: Vec<Vec<&str>> = told.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    let [lyon, grenoble] = [told[0][2], told[3][2]];
    assert_eq!(
        told,
        [
            ["2026-03-17T08:00:00Z", "69123", lyon, "1", "1", "2", "1", "0.5"],
            ["2026-03-17T09:00:00Z", "69123", lyon, "0", "0", "1", "1", "0.0"],
            ["2026-03-17T11:00:00Z", "69123", lyon, "1", "0", "0", "0", ""],
            ["2026-03-17T12:00:00Z", "38185", grenoble, "1", "0", "1", "1", "0.0"],
            ["2026-03-18T08:00:00Z", "69123", lyon, "1", "1", "0", "0", ""],
        ]
    );
    assert_eq!((lyon.len(), lyon == grenoble), (15, false));
}

#[tokio::test]
async fn work() {
    let sample = sample().await;
    // Taxi 1: three minutes, of 24 positions free and 6 occupied, in two shifts. Taxi 2: one minute free, in one shift.
    let told = report(&sample, "work", Some("69123")).await;
    let number = |column: usize| told[0][column].parse::<f64>().unwrap();
    assert_eq!(
        (told.len(), &told[0][1], &told[0][2], &told[0][7]),
        (1, &"Lyon".into(), &"2".into(), &"3".into())
    );
    for (column, minutes) in [(3, 4.0), (4, 2.0), (5, 2.0), (6, 2.8), (8, 4.0 / 3.0)] {
        assert!((number(column) * 60.0 - minutes).abs() < 1e-9, "{column}: {told:?}");
    }
    // Of 24 + 6 + 12 + 1 positions.
    assert!((number(9) - 100.0 * 37.0 / 43.0).abs() < 1e-9 && (number(10) - 100.0 * 6.0 / 43.0).abs() < 1e-9);
}

#[tokio::test]
async fn compliance() {
    let sample = sample().await;
    sample
        .hails(&[
            ("2026-03-17T08:00:00", "finished", 2, 1, "69123", &[("accepted_by_taxi", 10)]),
            ("2026-03-17T08:10:00", "failure", 2, 1, "69123", &[]),
            ("2026-03-17T08:20:00", "declined_by_taxi", 2, 1, "69123", &[("declined_by_taxi", 9)]),
            ("2026-03-17T08:30:00", "timeout_taxi", 2, 1, "69123", &[("timeout_taxi", 40)]),
        ])
        .await;
    // Operator 2: taxi 1 in three minutes, 12, 12 and 6 positions, taxi 3 in one, 12, and taxi 2 in one, 1: 43 of 60.
    assert_eq!(
        report(&sample, "compliance", None).await,
        [
            ["2", "OPA", "3", "43", "71.66666666666667", "4", "1", "25.0", "2", "50.0"],
            ["3", "OPB", "1", "12", "100.0", "0", "0", "", "0", ""],
        ]
    );
}
