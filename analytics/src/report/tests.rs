//! Each report over a small archive, with figures worked out by hand.

use ingest::position::ReportedStatus::{Free, Occupied, Off};

use super::*;
use crate::sample::{GRENOBLE, Heard, LIMITS, LYON, Sample, at, table};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// The report of 17 and 18 March 2026, as a table without its frame.
async fn report(sample: &Sample, name: &str, towns: Option<&str>) -> Vec<Vec<String>> {
    let period = Period::new(day("2026-03-17"), day("2026-03-19")).unwrap();
    let towns = towns.map(|name| sample.dimensions.towns_of(name));
    let warehouse = sample.warehouse(LIMITS);
    let answer = warehouse.report(named(name).unwrap(), period, towns, &sample.dimensions).await.unwrap();
    let columns: Vec<_> = answer.schema().fields().iter().map(|field| field.name().clone()).collect();
    let described: Vec<_> = named(name).unwrap().columns.iter().map(|(name, _)| name.clone()).collect();
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

#[test]
fn every_report_says_what_it_is() {
    for report in all() {
        let Report { name, title, definition, unit, source, columns, .. } = report;
        assert!(title.contains(": ") && definition.len() > 100, "{name}");
        assert!(!unit.is_empty() && !source.is_empty() && columns.len() > 3, "{name}");
        assert!(columns.iter().all(|(_, meaning)| !meaning.is_empty()), "{name}");
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
    let lyon = ["69123", "Lyon", "1", "48", "2", "4.166666666666667", "4.166666666666667", "2400", "100.0"];
    assert_eq!(told[1], lyon);
    // Whoever is off serves nobody; how many live in Grenoble is unknown.
    assert_eq!(told[0][..2], ["38185", "Grenoble"]);
    assert_eq!(told[0][3..], ["48", "0", "0.0", "0.0", "", ""]);
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
    let grenoble = ["38185", "Grenoble", "1", "0", "0.0", "0", "0", "0", "0", "", "", "", "", ""];
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
