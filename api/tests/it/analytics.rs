//! The archive, asked by analysts and from the command line.

use std::time::Duration;

use api::role::Role;
use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    what_was_reported_is_asked_in_sql,
    reports_are_listed_and_made,
    only_analysts_ask_and_none_but_reads,
    who_runs_the_machine_asks_everything,
);

const SUM: &str = "SELECT operator, status, town, count(*) AS n, count(DISTINCT taxi) AS taxis FROM positions
                   GROUP BY 1, 2, 3";
const DAY: (&str, &str) = ("2026-09-21", "2026-09-22");

/// A world with an analyst, whose archive holds two positions of one taxi.
pub(crate) async fn archived(world: &mut World) -> String {
    world.add_account("analyst", &[Role::Analyste]).await;
    world.stop().await;
    world.start_as(|config| config.archive_after = Duration::ZERO).await;
    let taxi = world.register("op-a", 1, MIDDLE).await;
    for lon in [2.3522, 2.3523] {
        world.clock.advance(5_000);
        world.place("op-a", &taxi, (48.8566, lon)).await;
    }
    within(SOON, "two archived positions", async || {
        let rows = ask(world, "analyst", "SELECT count(*) AS n FROM positions").await;
        (rows == json!([{"n": 2}])).then_some(())
    })
    .await;
    taxi
}

async fn ask(world: &World, account: &str, sql: &str) -> Value {
    let answer = world.client.post(world.key(account), "/analytics/query", &json!({"sql": sql})).await;
    assert_eq!(answer.status, 200, "{sql}: {answer:?}");
    answer.body["data"].clone()
}

/// What is answered as `media_type`.
async fn bytes(world: &World, method: Method, path: &str, body: Option<&Value>, media_type: &str) -> Vec<u8> {
    let request = world.client.http.request(method, format!("{}{path}", world.client.base));
    let request = request.header("X-Api-Key", world.key("analyst")).header(ACCEPT, media_type);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &media_type.parse().unwrap())
    );
    response.bytes().await.unwrap().to_vec()
}

async fn what_was_reported_is_asked_in_sql(world: &mut World) {
    let taxi = archived(world).await;
    // Of one ADS: an operator of so few would tell whose taxi it is.
    let row = json!({"operator": null, "status": "unsaid", "town": MIDDLE, "n": 2, "taxis": 1});
    assert_eq!(ask(world, "analyst", SUM).await, json!([row]));
    let named =
        ask(world, "admin", "SELECT taxi FROM positions WHERE taxi IN (SELECT taxi FROM taxis)").await;
    assert_eq!(named[0]["taxi"].as_str().unwrap().len(), 16);
    assert!(!named.to_string().contains(&taxi), "administrators, too, see names here");

    let body = json!({"data": [{"sql": SUM}]});
    let csv = bytes(world, Method::POST, "/analytics/query", Some(&body), "text/csv").await;
    let expected = format!("operator,status,town,n,taxis\n,unsaid,{MIDDLE},2,1\n");
    assert_eq!(String::from_utf8(csv).unwrap(), expected);
    let parquet = "application/vnd.apache.parquet";
    let parquet = bytes(world, Method::POST, "/analytics/query", Some(&body), parquet).await;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));

    // More than is held back before the first bytes are sent.
    let many = "SELECT 'a longer text than most' AS text, value FROM generate_series(1, 100000)";
    let many = ask(world, "analyst", many).await;
    assert_eq!((many.as_array().unwrap().len(), &many[99_999]["value"]), (100_000, &json!(100_000)));

    // What fails later is cut off, in a form that ends with its last line, too.
    let failing =
        "SELECT 'a longer text than most' AS text, 1 / (90000 - value) AS n FROM generate_series(1, 100000)";
    let request = world.client.http.post(format!("{}/analytics/query", world.client.base));
    let request = request.header("X-Api-Key", world.key("analyst")).header(ACCEPT, "text/csv");
    let response = request.json(&json!({"data": [{"sql": failing}]})).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert!(response.bytes().await.is_err(), "a part is not taken for the whole");
}

async fn reports_are_listed_and_made(world: &mut World) {
    archived(world).await;
    let key = world.key("analyst");
    let reports = world.client.get(key, "/analytics/reports").await;
    let names: Vec<_> =
        reports.body["data"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    let expected = ["availability", "balance", "compliance", "coverage", "response", "work"];
    assert_eq!(json!(names), json!(expected));
    let (from, to) = DAY;
    for name in expected {
        let path = format!("/analytics/reports/{name}?from={from}&to={to}");
        assert_eq!(world.client.get(key, &path).await.status, 200, "{name}");
    }
    let coverage = format!("/analytics/reports/coverage?from={from}&to={to}&territory=75");
    let coverage = world.client.get(key, &coverage).await;
    assert_eq!(
        coverage.body["data"],
        json!([{"day": from, "insee": MIDDLE, "town": format!("Town {MIDDLE}"), "ads": 1, "taxis_registered": 1,
                "taxis_connected": null, "registered_percent": 100.0, "connected_percent": null}]),
        "whether one taxi was out is its driver's affair"
    );
    let work = format!("/analytics/reports/work?from={from}&to={to}");
    let csv = String::from_utf8(bytes(world, Method::GET, &work, None, "text/csv").await).unwrap();
    assert!(csv.starts_with("insee,town,taxis,hours") && csv.lines().count() == 1, "{csv}");

    for (path, status, field) in [
        ("/analytics/reports/luck?from=2026-09-21&to=2026-09-22", 404, "url"),
        ("/analytics/reports/work?from=2026-09-21&to=2026-09-21", 400, "to"),
        ("/analytics/reports/work?from=2026-09-21&to=tomorrow", 400, "to"),
        ("/analytics/reports/work?to=2026-09-21", 400, "from"),
        ("/analytics/reports/work?from=2026-09-21&to=2026-09-22&territory=nowhere", 400, "territory"),
    ] {
        let answer = world.client.get(key, path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.body["errors"].get(field).is_some(), "{path}: {answer:?}");
    }
}

async fn only_analysts_ask_and_none_but_reads(world: &mut World) {
    world.add_account("analyst", &[Role::Analyste]).await;
    for account in ["app", "op-a"] {
        let sql = json!({"sql": "SELECT 1"});
        assert_eq!(world.client.post(world.key(account), "/analytics/query", &sql).await.status, 403);
        assert_eq!(world.client.get(world.key(account), "/analytics/reports").await.status, 403);
    }
    for sql in [
        "",
        "DROP TABLE taxis",
        "SELECT licence_plate FROM taxis",
        "SET x = 1",
        "SELECT * FROM '/etc/passwd'",
    ] {
        let answer = world.client.post(world.key("analyst"), "/analytics/query", &json!({"sql": sql})).await;
        assert_eq!(answer.status, 400, "{sql}: {answer:?}");
        assert!(answer.body["errors"]["data"]["0"]["sql"][0].is_string(), "{sql}: {answer:?}");
    }
    let taken = world.client.get(world.key("analyst"), "/taxis/all").await;
    assert_eq!(taken.status, 403, "an analyst is nothing else");
}

async fn who_runs_the_machine_asks_everything(world: &mut World) {
    let taxi = archived(world).await;
    let program = world.program();
    let sql =
        "SELECT public_id, lat_e7, count(*) AS n FROM positions JOIN taxis ON taxis.taxi = positions.taxi
               GROUP BY 1, 2";
    let shown = program.done(&["sql", sql]).await;
    assert!(shown.contains(&format!("| {taxi}   | 488566000 | 2 |")), "{shown}");
    let csv = program.done(&["sql", sql, "--format", "csv"]).await;
    assert_eq!(csv, format!("public_id,lat_e7,n\n{taxi},488566000,2\n"));
    let file = world.folder().join("rows.parquet");
    program.done(&["sql", sql, "--format", "parquet", "--output", file.to_str().unwrap()]).await;
    assert!(std::fs::read(&file).unwrap().ends_with(b"PAR1"));
    let (status, _, complaints) = program.run(&["sql", "SELECT nothing"]).await;
    assert!(!status.success() && complaints.contains("nothing"), "{complaints}");

    let inhabitants = world.folder().join("populations.json");
    std::fs::write(&inhabitants, json!([{"insee": MIDDLE, "population": 2400}]).to_string()).unwrap();
    let out = program.done(&["import", "populations", inhabitants.to_str().unwrap()]).await;
    assert_eq!(out, "populations: 1 added, 0 changed, 0 as before, 0 refused, 0 noted\n");
    let (from, to) = DAY;
    let asked =
        ["report", "availability", "--from", from, "--to", to, "--territory", MIDDLE, "--format", "json"];
    let report: Value = serde_json::from_str(&program.done(&asked).await).unwrap();
    assert_eq!(report["data"][0]["population"], json!(2400), "{report}");
    let list = program.done(&["report"]).await;
    assert!(list.contains("Availability: ") && list.contains("population_served: "), "{list}");
    assert!(!program.run(&["report", "luck", "--from", from, "--to", to]).await.0.success());
}
