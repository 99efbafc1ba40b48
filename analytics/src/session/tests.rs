//! Queries of a small archive, and what is refused.

use datafusion::arrow::array::AsArray as _;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use ingest::clock::Millis;
use ingest::log::{Offset, Partition};
use ingest::position::ReportedStatus::{Free, Occupied};

use super::*;
use crate::dimensions::{Ads, Taxi};
use crate::layout::{Day, Hour, ManifestName, Recent, Stream};
use crate::limits::{FEWEST_SHOWN, SQL_MAX_BYTES, SQL_MAX_TOKENS};
use crate::pseudonym::Pseudonyms;
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
    let steps: &[(&str, i64)] = &[("received", 0), ("accepted_by_taxi", 72)];
    sample.hails(&[("2026-03-16T10:01:30", "finished", 2, 1, "69123", steps)]).await;
    let ask = async |sql: &str| ask(&sample, &ANALYST, sql).await;
    let name = PSEUDONYMS.name(1, 2026);

    let told = ask("SELECT DISTINCT taxi, status FROM positions WHERE town = '69123'").await;
    assert!(told.unwrap().contains(&format!("| {name} | free   |")));
    let joined =
        ask("SELECT count(*) AS n FROM positions p JOIN taxis t ON t.taxi = p.taxi AND t.year = 2026").await;
    assert!(joined.unwrap().contains("| 5 |"));

    let told = ask("SELECT * FROM searches").await.unwrap();
    assert!(told.contains("2026-03-16T10:00:00") && told.contains("| 100.0 "), "{told}");
    let told = ask("SELECT * FROM hails").await.unwrap();
    assert!(told.contains("2026-03-16T10:00:00Z") && told.contains("| 1.0 "), "{told}");
    assert!(!told.contains("72") && !told.contains("1.2"), "steps are told to the minute: {told}");
    let columns = ask("SELECT column_name FROM information_schema.columns WHERE table_name = 'hails'").await;
    let columns = columns.unwrap();
    assert!(columns.contains("added_at") && !columns.contains("taxi "), "a hail is of no taxi: {columns}");

    // Of Lyon there are two ADS, of an operator no more: whose it is would tell who it is. And an ADS came in a month.
    for (sql, town) in
        [("SELECT DISTINCT ads AS town FROM positions", "ads"), ("SELECT DISTINCT insee FROM taxis", "")]
    {
        let told = ask(sql).await.unwrap();
        assert!(!told.contains("69123") && told.lines().count() == 5, "{town}: {told}");
    }
    let told = ask("SELECT * FROM ads").await.unwrap();
    assert_eq!(told.matches("|       |          | 2026-03-01T00:00:00Z |").count(), 4, "{told}");
    for table in ["positions", "hails", "taxis"] {
        let told =
            ask(&format!("SELECT count(*) > 0 AS some, count(operator) AS n FROM {table}")).await.unwrap();
        assert!(told.contains("| true | 0 |"), "{table}: {told}");
    }
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
async fn analysts_are_told_of_operators_and_towns_with_many_ads() {
    let mut sample = sample().await;
    sample.hails(&[("2026-03-16T10:01:30", "finished", 2, 1, "69123", &[])]).await;
    let mut dimensions = Dimensions::clone(&sample.dimensions);
    let ads = |numero: u32| Ads { numero: numero.to_string(), ..dimensions.ads[0].clone() };
    dimensions.ads = (0..FEWEST_SHOWN).map(ads).collect();
    sample.dimensions = Arc::new(dimensions);
    for table in ["positions", "hails", "taxis", "ads"] {
        let sql = format!("SELECT DISTINCT operator FROM {table} WHERE operator IS NOT NULL");
        let told = ask(&sample, &ANALYST, &sql).await.unwrap();
        assert!(told.contains("| 2        |") && told.lines().count() == 5, "{table}: {told}");
    }
    assert!(ask(&sample, &ANALYST, "SELECT insee FROM ads").await.unwrap().contains("69123"));
}

#[tokio::test]
async fn nobody_is_found_by_the_one_ads_that_an_operator_has_of_a_town() {
    let mut sample = Sample::new();
    let heard = |taxi, operator, ads| (at("2026-03-16T10:00:00"), taxi, operator, Free, LYON, "69123", ads);
    sample.recent(0, &[heard(1, 2, "69123"), heard(3, 2, "38185"), heard(2, 3, "69123")]).await;
    let mut dimensions = Dimensions::clone(&sample.dimensions);
    let ads = |operator, insee: &str, numero: u32| Ads {
        insee: insee.to_owned(),
        numero: numero.to_string(),
        operator,
        added_at: Millis(0),
    };
    let taxi = |taxi: u32, operator, insee: &str| Taxi {
        taxi,
        operator,
        insee: insee.to_owned(),
        ..dimensions.taxis[0].clone()
    };
    dimensions.taxis = vec![taxi(1, 2, "69123"), taxi(3, 2, "38185"), taxi(2, 3, "69123")];
    // Operator 2 has one ADS of Lyon; the others have many there, and operator 3 one of Grenoble.
    let both = (0..2 * FEWEST_SHOWN).flat_map(|number| [ads(2, "38185", number), ads(3, "69123", number)]);
    dimensions.ads = both.chain([ads(2, "69123", 90), ads(3, "38185", 91)]).collect();
    dimensions
        .ads
        .extend((0..FEWEST_SHOWN).flat_map(|number| [ads(2, "01004", number), ads(3, "01004", number)]));
    sample.dimensions = Arc::new(dimensions);
    for (table, town) in [("positions", "ads"), ("taxis", "insee"), ("ads", "insee")] {
        let sql =
            format!("SELECT DISTINCT operator, {town} FROM {table} WHERE {town} IS NOT NULL ORDER BY 1");
        let told = ask(&sample, &ANALYST, &sql).await.unwrap();
        let rows: Vec<_> = told.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        assert_eq!(rows, ["| 2        | 38185 |", "| 3        | 69123 |"], "{table}");
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
}

#[tokio::test]
async fn no_value_of_an_analysts_query_grows() {
    let sample = sample().await;
    for sql in [
        "SELECT repeat('x', 1000000000)",
        "SELECT name || name FROM towns",
        "SELECT concat(name, name), concat_ws(',', name, name) FROM towns",
        "SELECT lpad(name, 100000), replace(name, 'o', 'ooo') FROM towns",
        "SELECT regexp_replace(name, '.', 'xxx', 'g') FROM towns",
        "SELECT string_agg(name, ',') FROM towns",
        "SELECT string_agg(name, ',') OVER () FROM towns",
        "SELECT array_agg(name) FROM towns",
        "SELECT [name, name] FROM towns",
        "SELECT encode(name, 'hex') FROM towns",
        "SELECT struct(name, name) FROM towns",
        "SELECT generate_series(1, 1000000000)",
        "WITH a AS (SELECT name || name AS name FROM towns) SELECT upper(name) FROM a",
        "WITH RECURSIVE a AS (SELECT 'x' AS x UNION ALL SELECT x || x FROM a) SELECT x FROM a",
        "SELECT (SELECT max(name || name) FROM towns)",
        "SELECT 1 FROM towns WHERE EXISTS (SELECT 1 FROM zupc WHERE zupc.name || 'x' = towns.name)",
        "SELECT 1 FROM towns ORDER BY name || name",
        "SELECT CAST(NULL AS INT[1000000000])",
        "SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)')",
        "SELECT input_file_name() FROM positions",
        "SELECT to_char(now(), '%+%+%+')",
        "SELECT date_format(now(), '%+%+%+')",
        "SELECT levenshtein(name, name) FROM towns",
        "EXPLAIN SELECT repeat('x', 10)",
    ] {
        let told = ask(&sample, &ANALYST, sql).await;
        assert!(
            matches!(&told, Err(QueryError::Refused(why)) if why.contains("may not be used")),
            "{sql}: {told:?}"
        );
    }
    let sql = "SELECT upper(left(name, 3)) AS name, extract(year FROM now()) > 2000 AS late, CAST(1.5 AS TEXT) AS text,
                      name LIKE 'L%' AS like
               FROM towns WHERE name ~ 'n$' ORDER BY 1";
    let told = ask(&sample, &ANALYST, sql).await.unwrap();
    assert!(told.contains("| LYO  | true | 1.5  | true |"), "{told}");
    assert!(
        ask(&sample, &View::Everything, "SELECT name || name FROM towns").await.is_ok(),
        "one's own machine"
    );
}

#[tokio::test]
async fn an_analysts_query_has_no_windows_and_small_batches() {
    let sample = sample().await;
    for sql in [
        "SELECT rank() OVER (ORDER BY name) FROM towns",
        "SELECT sum(1) OVER () FROM towns",
        "SELECT name FROM towns QUALIFY row_number() OVER (ORDER BY name) = 1",
        "SELECT 1 FROM zupc WHERE insee IN (SELECT lag(insee) OVER w FROM towns WINDOW w AS (ORDER BY insee))",
    ] {
        let told = ask(&sample, &ANALYST, sql).await;
        assert!(
            matches!(&told, Err(QueryError::Refused(why)) if why.contains("a window function (OVER) may not be used")),
            "{sql}: {told:?}"
        );
        assert!(ask(&sample, &View::Everything, sql).await.is_ok(), "{sql}: one's own machine");
    }
    for (view, rows) in [(ANALYST, ANALYST_BATCH_ROWS), (View::Everything, 5_000)] {
        let warehouse = sample.warehouse(LIMITS);
        let sql = "SELECT value FROM generate_series(1, 5000)";
        let batches = warehouse.query(sql, &view, &sample.dimensions).await.unwrap().collect().await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).max(), Some(rows));
    }
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

#[tokio::test]
async fn a_row_is_found_although_the_logs_clock_ran_ahead() {
    let sample = sample().await;
    let row = (at("2026-03-18T09:00:00"), 1, 2, Free, LYON, "69123", "69123");
    sample.taken(Hour::of(at("2026-04-02T00:00:00")), 5, &[row]).await;
    let sql = "SELECT count(*) AS n FROM positions WHERE received_at >= '2026-03-18T00:00:00Z'
               AND received_at < '2026-03-19T00:00:00Z'";
    assert!(ask(&sample, &View::Everything, sql).await.unwrap().contains("| 2 |"));
    let plan =
        ask(&sample, &View::Everything, &format!("EXPLAIN {sql} AND date = '2026-04-02'")).await.unwrap();
    assert_eq!(plan.matches(".parquet").count(), 1, "{plan}");
    let early = "EXPLAIN SELECT * FROM positions WHERE received_at < '2026-03-01T00:00:00Z'";
    assert_eq!(ask(&sample, &View::Everything, early).await.unwrap().matches(".parquet").count(), 0);
}

#[tokio::test]
async fn what_is_damaged_ends_a_query_that_may_need_it_and_no_other() {
    let sample = sample().await;
    let (stream, partition, first) = (Stream::Positions, Partition(0), Offset(9));
    let manifest = ManifestName { stream, day: Day::of(at("2026-01-05T00:00:00")), number: 1 };
    let hour = Hour::of(at("2026-02-05T10:00:00"));
    let hour = Recent { stream, epoch: 7, partition, hour, first };
    sample.root.create(&manifest, "{".into()).await.unwrap();
    sample.root.create(&hour, "no Parquet".into()).await.unwrap();
    let of = |day: &str, next: &str| {
        format!("WHERE received_at >= '{day}T00:00:00Z' AND received_at < '{next}T00:00:00Z'")
    };
    let count = async |condition: &str| {
        ask(&sample, &View::Everything, &format!("SELECT count(taxi) AS n FROM positions {condition}")).await
    };
    assert!(count(&of("2026-03-16", "2026-03-17")).await.unwrap().contains("| 3 |"));
    assert!(count("WHERE date = '2026-03-16'").await.unwrap().contains("| 3 |"));
    for (condition, named) in [
        (of("2026-01-05", "2026-01-06"), manifest.to_string()),
        (of("2026-02-05", "2026-02-06"), hour.to_string()),
        (String::new(), manifest.to_string()),
    ] {
        let error = count(&condition).await.unwrap_err().to_string();
        assert!(error.contains(&named), "{condition}: {error}");
    }
}

#[tokio::test]
async fn a_query_that_panics_does_not_end_as_if_it_were_whole() {
    let sample = Sample::new();
    let warehouse = sample.warehouse(Limits { rows: u64::MAX, ..LIMITS });
    let turn = warehouse.turn().unwrap();
    let sessions = turn.sessions();
    let damaged = |values: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(values)?;
        let numbers = arrays[0].as_primitive::<Int64Type>();
        assert!(numbers.values().iter().all(|number| *number < 50_000), "as if a file were damaged");
        Ok(values[0].clone())
    };
    let query = async move {
        let context = sessions.begin(&View::Everything, &Dimensions::default()).await?;
        let kind = DataType::Int64;
        let damaged =
            create_udf("damaged", vec![kind.clone()], kind, Volatility::Volatile, Arc::new(damaged));
        context.register_udf(damaged);
        plan(&context, "SELECT damaged(value) FROM generate_series(1, 100000)", Vec::new()).await
    };
    let mut answer = turn.ask(query).await.unwrap();
    let mut rows = 0;
    let end = loop {
        match answer.next().await {
            Some(Ok(batch)) => rows += batch.num_rows(),
            other => break other,
        }
    };
    assert!((1..50_000).contains(&rows), "{rows}");
    assert!(matches!(end, Some(Err(QueryError::Unavailable(_)))), "{end:?}");
}
