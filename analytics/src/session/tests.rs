//! Queries of a small archive, and what is refused.

use ingest::clock::Millis;
use ingest::position::ReportedStatus::{Free, Occupied};

use super::*;
use crate::limits::{SQL_MAX_BYTES, SQL_MAX_TOKENS};
use crate::pseudonym::{Pseudonyms, Use};
use crate::sample::{GRENOBLE, LIMITS, LYON, Sample, at, table};

const ANALYST: View = View::Pseudonymous { by: PSEUDONYMS, now: Millis(1_773_828_000_000) };
const PSEUDONYMS: Pseudonyms = Pseudonyms::new([7; 32]);

async fn ask(sample: &Sample, view: &View, sql: &str) -> Result<String, QueryError> {
    let answer = sample.warehouse(LIMITS).query(sql, view, &sample.dimensions).await?;
    Ok(table(&answer.collect().await?))
}

/// Three days: one with a manifest that covers its first hour and not its last, and two without.
async fn sample() -> Sample {
    let sample = Sample::new();
    let row = |time: &str, taxi, place, town| (at(time), taxi, 2, Free, place, town, "69123");
    let first =
        [row("2026-03-16T10:00:00", 1, LYON, "69123"), row("2026-03-16T10:00:05", 3, GRENOBLE, "38185")];
    sample.day(2, &first).await;
    sample.recent(0, &first).await;
    sample.recent(2, &[row("2026-03-16T23:00:00", 1, LYON, "69123")]).await;
    sample.recent(3, &[row("2026-03-17T12:00:00", 1, LYON, "69123")]).await;
    sample.recent(4, &[(at("2026-03-18T08:00:00"), 1, 3, Occupied, (0.0, 0.0), "", "")]).await;
    sample
}

#[tokio::test]
async fn every_row_is_there_once_and_those_of_a_day_are_found_by_its_name() {
    let sample = sample().await;
    let told =
        ask(&sample, &View::Everything, "SELECT date, count(*) AS n FROM positions GROUP BY date ORDER BY 1");
    let expected = "\
+------------+---+
| date       | n |
+------------+---+
| 2026-03-16 | 3 |
| 2026-03-17 | 1 |
| 2026-03-18 | 1 |
+------------+---+";
    assert_eq!(told.await.unwrap(), expected);
    let files = async |condition: &str| {
        let sql = format!("EXPLAIN SELECT * FROM positions WHERE {condition}");
        let plan = ask(&sample, &View::Everything, &sql).await.unwrap();
        plan.matches(".parquet").count()
    };
    assert_eq!(files("true").await, 4, "the covered hour is left out");
    assert_eq!(files("date = '2026-03-17'").await, 1);
    assert_eq!(files("date > '2026-03-16' AND taxi = 1").await, 2);
    assert_eq!(files("received_at >= '2026-03-18T00:00:00Z'").await, 2, "a day more on either side");
    assert_eq!(files("received_at < '2026-03-01T00:00:00Z'").await, 0);
}

#[tokio::test]
async fn what_is_asked_of_a_word_or_a_name_is_found() {
    let sample = sample().await;
    let sql = "SELECT t.public_id, w.name, status_name(status) AS status, count(*) AS n
               FROM positions p JOIN taxis t ON t.taxi = p.taxi LEFT JOIN towns w ON w.insee = p.town
               GROUP BY 1, 2, 3 ORDER BY 1, 2";
    let expected = "\
+-----------+----------+----------+---+
| public_id | name     | status   | n |
+-----------+----------+----------+---+
| T1        | Lyon     | free     | 3 |
| T1        |          | occupied | 1 |
| T3        | Grenoble | free     | 1 |
+-----------+----------+----------+---+";
    assert_eq!(ask(&sample, &View::Everything, sql).await.unwrap(), expected);
}

#[tokio::test]
async fn analysts_see_names_of_the_year_and_no_more_than_a_cell_or_a_town() {
    let sample = sample().await;
    sample.searches(&[("2026-03-16T10:00:59", 4, LYON, "69123", 2, 1, Some(149.0))]).await;
    let steps: &[(&str, i64)] = &[("received", 0), ("accepted_by_taxi", 12)];
    sample.hails(&[("2026-03-16T10:01:30", "finished", 2, 1, "69123", steps)]).await;
    let ask = async |sql: &str| ask(&sample, &ANALYST, sql).await;
    let name = PSEUDONYMS.name(1, 2026, Use::Positions);

    let told = ask("SELECT DISTINCT taxi, status FROM positions WHERE operator = 2 AND town = '69123'").await;
    assert!(told.unwrap().contains(&format!("| {name} | free   |")));
    let joined =
        ask("SELECT count(*) AS n FROM positions p JOIN taxis t ON t.taxi = p.taxi AND t.year = 2026").await;
    assert!(joined.unwrap().contains("| 5 |"));

    let told = ask("SELECT * FROM searches").await.unwrap();
    assert!(told.contains("2026-03-16T10:00:00") && told.contains("| 100.0 "), "{told}");
    let told = ask("SELECT * FROM hails").await.unwrap();
    assert!(told.contains("2026-03-16T10:01:00Z") && told.contains("| 12.0 "), "{told}");
    assert!(!told.contains(&name), "a hail's taxi cannot be followed to where its customer got in");

    let columns = ask("SELECT table_name, column_name FROM information_schema.columns").await.unwrap();
    for hidden in ["lat_e7", "lon_e7", "licence_plate", "public_id", "email", "numero", "device_at", "| id "]
    {
        let shown = columns.lines().filter(|line| line.contains(hidden));
        // An account's number is all that is called so.
        assert_eq!(shown.filter(|line| !line.contains("| accounts ")).count(), 0, "{hidden}: {columns}");
    }
    for sql in ["SELECT lat_e7 FROM positions", "SELECT pseudonym(1, now())", "SELECT email FROM accounts"] {
        assert!(matches!(ask(sql).await, Err(QueryError::Refused(_))), "{sql}");
    }
}

#[tokio::test]
async fn queries_read_and_neither_write_nor_set_nor_open_files() {
    let sample = sample().await;
    for view in [View::Everything, ANALYST] {
        for sql in [
            "CREATE TABLE x AS SELECT 1",
            "CREATE VIEW x AS SELECT 1",
            "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/etc'",
            "CREATE DATABASE x",
            "DROP TABLE positions",
            "INSERT INTO towns VALUES ('1')",
            "DELETE FROM towns",
            "UPDATE towns SET name = 'x'",
            "COPY (SELECT 1) TO '/tmp/x.parquet'",
            "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x.parquet'",
            "SET datafusion.execution.batch_size = 1",
            "PREPARE x AS SELECT 1",
            "BEGIN",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM read_parquet('/etc/passwd')",
            "SELECT 1; SELECT 2",
            "SELECT",
            "",
        ] {
            let refused = ask(&sample, &view, sql).await;
            assert!(matches!(refused, Err(QueryError::Refused(_))), "{sql}: {refused:?}");
        }
        for sql in ["SELECT 1", "EXPLAIN SELECT * FROM towns", "SHOW TABLES", "SHOW COLUMNS FROM hails"] {
            let told = ask(&sample, &view, sql).await;
            assert!(told.is_ok(), "{sql}: {told:?}");
        }
    }
    assert!(matches!(
        ask(&sample, &ANALYST, "SELECT repeat('x', 1000000000)").await,
        Err(QueryError::Refused(_))
    ));
}

/// As long as a query may be, in rows.
const LONG: &str = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b
                    WHERE a.value % 7 = b.value % 11";

#[tokio::test]
async fn a_query_is_bounded_in_time_rows_memory_and_number() {
    let sample = Sample::new();
    let ask = async |limits, sql: &str| {
        let warehouse = sample.warehouse(limits);
        warehouse.query(sql, &View::Everything, &sample.dimensions).await?.collect().await
    };
    let within = Duration::from_millis(300);
    assert_eq!(ask(Limits { within, ..LIMITS }, LONG).await, Err(QueryError::TooLong(within)));
    let rows = "SELECT * FROM generate_series(1, 20001)";
    assert_eq!(ask(Limits { rows: 20_000, ..LIMITS }, rows).await, Err(QueryError::TooMany(20_000)));
    assert!(ask(Limits { rows: 20_001, ..LIMITS }, rows).await.is_ok());
    let small = Limits { memory_bytes: 1 << 20, spill_bytes: 1 << 16, ..LIMITS };
    let groups = "SELECT count(*) FROM (SELECT DISTINCT value::text FROM generate_series(1, 200000))";
    assert_eq!(ask(small, groups).await, Err(QueryError::TooLarge(1 << 20)));
    let long = format!("SELECT {}1", "1+".repeat(SQL_MAX_BYTES));
    assert!(matches!(ask(LIMITS, &long).await, Err(QueryError::Refused(_))));
}

#[tokio::test]
async fn the_deepest_query_that_fits_is_answered_or_refused() {
    let sample = Sample::new();
    let ask = async |sql: &str| ask(&sample, &View::Everything, sql).await;
    let sum = |terms: usize| format!("SELECT {}1", "1+".repeat(terms - 1));
    let told = ask(&sum(SQL_MAX_TOKENS / 2)).await.unwrap();
    assert!(told.contains(&format!("| {} ", SQL_MAX_TOKENS / 2)), "{}", &told[told.len() - 100..]);
    assert!(matches!(ask(&sum(SQL_MAX_TOKENS)).await, Err(QueryError::Refused(_))));
    for (open, close) in [("(", ")"), ("NOT ", ""), ("abs(", ")"), ("(SELECT ", ")")] {
        let depth = SQL_MAX_TOKENS / 4;
        let nested = format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
        assert!(matches!(ask(&nested).await, Err(QueryError::Refused(_))), "{open}");
    }
}

#[tokio::test]
async fn a_query_ends_with_whoever_asks_and_leaves_its_turn() {
    let sample = Sample::new();
    let warehouse = sample.warehouse(Limits { at_once: 1, rows: u64::MAX, ..LIMITS });
    let query = async |sql: &str| warehouse.query(sql, &View::Everything, &sample.dimensions).await;
    // A turn is free once a task has ended, soon.
    let patiently = async |sql: &str| {
        loop {
            match query(sql).await {
                Err(QueryError::Busy) => tokio::task::yield_now().await,
                other => return other,
            }
        }
    };
    let long = query(LONG);
    assert!(tokio::time::timeout(Duration::from_millis(200), long).await.is_err(), "it was still under way");
    assert!(patiently("SELECT 1").await.is_ok());
    let rows = patiently("SELECT * FROM generate_series(1, 100000)").await.unwrap();
    assert_eq!(query("SELECT 1").await.err(), Some(QueryError::Busy), "rows that nobody reads hold a turn");
    drop(rows);
    assert!(patiently("SELECT 1").await.is_ok());
}
