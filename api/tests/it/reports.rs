//! Positions, searches and hails from their requests through the archive to the ministry's figures, which are worked
//! out by hand.

use std::time::Duration;

use api::role::Role;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::harness::client::Answer;
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(reports_tell_of_what_was_asked_and_hailed);

const HERE: (f64, f64) = (48.83, 2.35);
/// A kilometre and more from there, in another cell of the same town.
const ELSEWHERE: (f64, f64) = (48.85, 2.32);
const HOUR_MS: i64 = 3_600_000;
const DAY: (&str, &str) = ("2026-09-21", "2026-09-22");

async fn ask(world: &World, sql: &str) -> Value {
    let answer = world.client.post(world.key("analyst"), "/analytics/query", &json!({"sql": sql})).await;
    assert_eq!(answer.status, 200, "{sql}: {answer:?}");
    answer.body["data"].clone()
}

async fn report(world: &World, name: &str) -> Value {
    let path = format!("/analytics/reports/{name}?from={}&to={}", DAY.0, DAY.1);
    let answer = world.client.get(world.key("analyst"), &path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].clone()
}

/// Waits until a query counts so many.
async fn counts(world: &World, sql: &str, expected: Value) {
    within(SOON, sql, async || (ask(world, sql).await == expected).then_some(())).await;
}

/// Moves a hail on, each time so many seconds later.
async fn moves(world: &World, hail: &str, moves: &[(&str, i64, &str)]) {
    for (account, after_s, status) in moves {
        world.clock.advance(after_s * 1_000);
        let mut wish = json!({"status": status});
        if *status == "accepted_by_taxi" {
            wish["taxi_phone_number"] = json!("0612345678");
        }
        world.moves(account, hail, &wish).await;
    }
}

/// From 14:13:20 of 2026-09-21 on: four positions of a taxi in three minutes, three searches and three hails.
async fn a_day(world: &mut World) {
    world.stop().await;
    world.start_as(|config| config.archive_after = Duration::ZERO).await;
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, HERE).await;
    let free = json!({"taxi": taxi, "lat": HERE.0, "lon": HERE.1, "status": "free"}).to_string();
    let url = format!("{}/positions", world.client.base);
    let request = world.client.http.post(url).header("X-Api-Key", world.key("op-a"));
    let request = request.header(CONTENT_TYPE, "application/x-ndjson").body(free);
    assert_eq!(Answer::of(request).await.unwrap().status, 200);

    assert_eq!(world.search("app", HERE).await.len(), 1);
    for (account, at) in [("app", ELSEWHERE), ("op-b", HERE)] {
        assert_eq!(world.search(account, at).await.len(), 0, "{account}");
    }

    let ridden = world.hail("app", &taxi, "op-a").await;
    world.take("op-a", &ridden).await;
    let ride = [
        ("op-a", 1, "received_by_taxi"),
        ("op-a", 2, "accepted_by_taxi"),
        ("app", 3, "accepted_by_customer"),
        ("op-a", 60, "customer_on_board"),
        ("op-a", 600, "finished"),
    ];
    moves(world, &ridden, &ride).await;
    // 14:24:26.
    world.place("op-a", &taxi, HERE).await;
    let declined = world.hail("app", &taxi, "op-a").await;
    world.take("op-a", &declined).await;
    moves(world, &declined, &[("op-a", 1, "received_by_taxi"), ("op-a", 1, "declined_by_taxi")]).await;
    world.clock.advance(60_000);
    world.place("op-a", &taxi, HERE).await;
    let unanswered = world.hail("app", &taxi, "op-a").await;
    world.take("op-a", &unanswered).await;
    moves(world, &unanswered, &[("op-a", 1, "received_by_taxi")]).await;
    world.clock.advance(31_000);
    world.stands(&unanswered, "timeout_taxi").await;
}

async fn reports_tell_of_what_was_asked_and_hailed(world: &mut World) {
    world.add_account("analyst", &[Role::Analyste]).await;
    a_day(world).await;
    counts(world, "SELECT count(*) AS n FROM positions", json!([{"n": 4}])).await;
    counts(world, "SELECT count(*) AS n FROM searches", json!([{"n": 3}])).await;
    assert_eq!(ask(world, "SELECT count(*) AS n FROM hails").await, json!([{"n": 0}]));
    // 2026-09-22T14:26: of the hails a day has begun to be copied, and is not whole before 04:10 of the next.
    world.clock.advance(24 * HOUR_MS);
    // 2026-09-23T06:26.
    world.clock.advance(16 * HOUR_MS);
    counts(world, "SELECT count(*) AS n FROM hails", json!([{"n": 3}])).await;

    // All of them are of one taxi and three customers, of whom a report tells nothing but that there is an operator.
    assert_eq!(report(world, "response").await, json!([]));
    let program = world.program();
    let asked = ["report", "response", "--from", DAY.0, "--to", DAY.1, "--format", "json"];
    let told: Value = serde_json::from_str(&program.done(&asked).await).unwrap();
    assert_eq!(told["data"], json!([]));
    let operator = world.number("op-a");
    let expected = json!([{
        "operator": operator, "name": "op-a", "taxis": null, "positions": null, "in_time_percent": null, "hails": null,
        "hails_refused": null, "refused_percent": null, "hails_late": null, "late_percent": null,
    }]);
    assert_eq!(report(world, "compliance").await, expected);
    assert_eq!(report(world, "balance").await, json!([]));
    let found =
        "SELECT town, count(*) AS n, count(*) FILTER (WHERE seen > 0) AS found FROM searches GROUP BY town";
    assert_eq!(ask(world, found).await, json!([{"town": MIDDLE, "n": 3, "found": 1}]));

    // Whoever runs the machine sees more of the same rows.
    let sql = "SELECT status, hails.operator, app, taxis.public_id IS NOT NULL AS known, floor(distance_m) AS metres,
               hails.town, CAST(accepted_by_taxi_at AS BIGINT) - CAST(hails.added_at AS BIGINT) AS accepted_ms,
               hails.date
               FROM hails LEFT JOIN taxis ON taxis.taxi = hails.taxi ORDER BY hails.added_at";
    let line = |status, accepted_ms: Value| {
        json!({"status": status, "operator": operator, "app": world.number("app"), "known": true, "metres": 2_962.0,
               "town": MIDDLE, "accepted_ms": accepted_ms, "date": DAY.0})
    };
    let shown: Value = serde_json::from_str(&program.done(&["sql", sql, "--format", "json"]).await).unwrap();
    let expected = [
        line("finished", json!(3_000)),
        line("declined_by_taxi", Value::Null),
        line("timeout_taxi", Value::Null),
    ];
    assert_eq!(shown["data"], json!(expected));
    // By the clock of the machine all of it may be old.
    let days = "36500";
    let kept = ["--retain-exact-days", days, "--retain-hails-days", days, "--retain-taxis-days", days];
    let verified = program.done(&[&["archive", "verify"][..], &kept].concat()).await;
    assert!(verified.contains("1 file(s) with 3 hail(s)"), "{verified}");
    let files = program.done(&["archive", "files", "hails"]).await;
    assert!(files.contains(&format!("/hails/date={}/000001-000-", DAY.0)), "{files}");
    a_year_later(world).await;
}

/// Searches and hails go, and what they add up to stays.
async fn a_year_later(world: &mut World) {
    let program = world.program();
    let sum = async |sql: &str| {
        let told: Value =
            serde_json::from_str(&program.done(&["sql", sql, "--format", "json"]).await).unwrap();
        told["data"][0]["n"].clone()
    };
    let added_up = "SELECT CAST(sum(hails) AS BIGINT) AS n FROM hails_day";
    let searched = "SELECT CAST(sum(searches) AS BIGINT) AS n FROM searches_hour";
    let are_added_up = async || (sum(added_up).await == 3 && sum(searched).await == 3).then_some(());
    within(SOON, "three searches and three hails added up", are_added_up).await;
    let young = ["archive", "delete", "--dry-run", "--retain-exact-days", "3", "--retain-hails-days", "4"];
    let listed = program.done(&young).await;
    let listed: Vec<_> = listed.lines().map(|line| line.rsplit_once(": ").unwrap().0).collect();
    let of_day = |rows| format!("{}: {rows} would be deleted", DAY.0);
    assert_eq!(listed, [of_day("3 search(es)"), of_day("3 hail(s)")]);
    assert_eq!(program.done(&["archive", "delete"]).await, "there is no day to delete\n");

    world.clock.advance(365 * 24 * HOUR_MS);
    for left in ["SELECT count(*) AS n FROM hails", "SELECT count(*) AS n FROM searches"] {
        // The clock leaps over the time for which files stay for those who are reading them: these ask again.
        let is_none = async || {
            let (status, told, _) = program.run(&["sql", left, "--format", "json"]).await;
            (status.success() && told.contains("\"n\":0")).then_some(())
        };
        within(SOON, left, is_none).await;
    }
    // The next round of what is added up finds nothing to do.
    world.clock.advance(24 * HOUR_MS);
    assert_eq!(program.done(&[&young[..2], &young[3..]].concat()).await, "there is no day to delete\n");
    assert_eq!([sum(added_up).await, sum(searched).await], [3, 3]);
    let days = "36500";
    let kept = ["--retain-exact-days", days, "--retain-hails-days", days, "--retain-taxis-days", days];
    let verified = program.done(&[&["archive", "verify"][..], &kept].concat()).await;
    assert!(verified.contains("0 file(s) with 0 search(es)"), "{verified}");
}
