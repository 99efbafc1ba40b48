//! What was refused of an operator's positions, as it is told to the operator.

use std::collections::BTreeMap;
use std::time::Duration;

use api::limits::REFUSALS_A_PAGE;
use api::refused::{Example, RETENTION_MS, Refused, Row, Waiting, hour};
use ingest::clock::Millis;
use ingest::gate::tally::{Noted, Secrets};
use ingest::gate::{Refusal, Refusals};
use ingest::limits::{MAX_REFUSED_EXAMPLES, MAX_REFUSED_TAXIS};
use ingest::position::{OperatorKey, Transport};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::positions::Device;
use crate::world::{NOW, World};

on_each_database!(
    a_wrong_key_in_a_device_is_told_within_ten_seconds,
    positions_over_http_count_by_the_same_reasons,
    made_up_taxis_neither_grow_a_row_nor_hide_a_real_one,
    refusals_are_asked_for_since_an_instant,
    what_is_too_old_is_forgotten,
    an_operator_is_told_of_its_own_only,
    counts_outlive_the_process_that_counted,
    counts_wait_while_the_database_is_away,
    many_rows_are_written_in_parts_and_read_in_pages,
    a_damaged_row_keeps_its_count_and_harms_no_other,
    processes_add_to_one_row_without_losing_a_count,
);

/// What is promised.
const PROMISED: Duration = Duration::from_secs(10);
const PATH: &str = "/operators/me/refusals";

async fn ask(world: &World, account: &str, path: &str) -> Value {
    world.client.get(world.key(account), path).await.element(200)
}

/// What is told, once it is of so many.
async fn told(world: &World, account: &str, total: u64) -> Value {
    let what = format!("{total} refusals of {account}");
    let told = async || Some(ask(world, account, PATH).await).filter(|told| told["total"] == total);
    within(PROMISED, &what, told).await
}

/// Reasons and their counts.
fn counts(told: &Value) -> BTreeMap<&str, u64> {
    let one = |one: &'_ Value| one["count"].as_u64().unwrap();
    let data = told["reasons"].as_array().unwrap();
    data.iter().map(|told| (told["reason"].as_str().unwrap(), one(told))).collect()
}

async fn a_wrong_key_in_a_device_is_told_within_ten_seconds(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let wrong = "0b5f5b9c-wrong-key";
    let device = Device { key: wrong.to_owned(), ..Device::new(world, "op-a") };
    for second in 0..3 {
        device.send(NOW.seconds() + second, &taxi, 48.83);
    }
    Device { operator: "nobody".to_owned(), ..Device::new(world, "op-a") }.send(NOW.seconds(), &taxi, 48.83);

    let told = told(world, "op-a", 3).await;
    assert_eq!(told["reasons"].as_array().unwrap().len(), 1, "{told}");
    let refused = &told["reasons"][0];
    assert_eq!((&refused["reason"], &refused["count"]), (&json!("bad_hash"), &json!(3)));
    assert!(refused["message"].as_str().unwrap().contains("another key"), "{refused}");
    assert_eq!(refused["last_at"], "2026-09-21T14:13:20");
    assert_eq!(refused["taxis"], json!([{"taxi": taxi, "count": 3}]));
    assert_eq!(refused["sources"], json!([{"address": "127.0.0.1", "count": 3}]), "without the port");
    assert_eq!((&refused["other_taxis"], &refused["other_sources"]), (&json!(0), &json!(0)));
    let examples = refused["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 3, "{refused}");
    assert_eq!(
        (&examples[0]["at"], &examples[0]["transport"], &examples[0]["address"]),
        (&json!("2026-09-21T14:13:20"), &json!("udp"), &json!("127.0.0.1"))
    );
    let sent: Value = serde_json::from_str(examples[0]["text"].as_str().unwrap()).unwrap();
    assert_eq!((&sent["taxi"], &sent["operator"]), (&json!(taxi), &json!("op-a")));
    assert_eq!(
        sent["timestamp"].as_str().unwrap(),
        (NOW.seconds() + 2).to_string(),
        "the latest comes first"
    );
    assert_eq!(sent.get("hash"), None);
    let text = told.to_string();
    assert!(!text.contains(wrong) && !text.contains(world.key("op-a")), "{text}");
    assert!(!text.split(|c: char| !c.is_ascii_hexdigit()).any(|word| word.len() == 40), "a hash: {text}");
}

async fn positions_over_http_count_by_the_same_reasons(world: &mut World) {
    let (mine, theirs) = (world.register("op-a", 1, MIDDLE).await, world.register("op-b", 2, MIDDLE).await);
    let good = (mine.as_str(), 48.83, 2.35);
    let wrong = [("nobody", 48.8, 2.3), (&theirs, 48.8, 2.3), good];
    assert_eq!(world.report("op-a", &wrong).await.status, 400);
    assert_eq!(world.report("op-a", &[(&mine, 85.06, 2.3), (&mine, 48.8, 181.0), good]).await.status, 400);
    assert_eq!(world.report("op-a", &[good; 51]).await.status, 400);
    for element in [
        json!({"positions": [{"taxi_id": mine, "lat": 48.8}]}),
        json!({"positions": [{"taxi_id": mine, "lat": null, "lon": 2.3}]}),
        json!({"positions": [{"taxi_id": mine, "lat": "north", "lon": 2.3}]}),
        json!({"positions": [{"taxi_id": mine, "lat": 48.8, "lon": 2.3, "status": "free"}]}),
        json!({"positions": [7]}),
        json!({}),
    ] {
        assert_eq!(world.client.post(world.key("op-a"), "/geotaxi/", &element).await.status, 400);
    }
    assert_eq!(world.report("op-a", &[good]).await.status, 200);

    let told = told(world, "op-a", 11).await;
    let wanted = [
        ("lat_out_of_range", 1),
        ("lon_out_of_range", 1),
        ("missing_field", 2),
        ("not_a_number", 1),
        ("not_an_object", 1),
        ("not_their_taxi", 1),
        ("too_long", 1),
        ("unknown_field", 1),
        ("unknown_taxi", 1),
        ("wrong_type", 1),
    ];
    assert_eq!(counts(&told), wanted.into());
    assert_eq!(told["reasons"][0]["reason"], "missing_field", "the most frequent comes first");
    let unknown =
        told["reasons"].as_array().unwrap().iter().find(|one| one["reason"] == "unknown_taxi").unwrap();
    assert_eq!(unknown["taxis"], json!([{"taxi": "nobody", "count": 1}]));
    assert_eq!(unknown["sources"], json!([{"address": "127.0.0.1", "count": 1}]));
    let example = &unknown["examples"][0];
    assert_eq!(
        (&example["transport"], &example["text"]),
        (&json!("http"), &json!(r#"{"taxi_id":"nobody","lon":2.3,"lat":48.8}"#))
    );
}

async fn made_up_taxis_neither_grow_a_row_nor_hide_a_real_one(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let device = Device { key: "wrong".to_owned(), ..Device::new(world, "op-a") };
    let refusals = &world.server().app.refusals;
    for number in 0..300 {
        // Datagrams are not lost as long as they are waited for.
        let counted = async || (refusals.total(Refusal::BadHash) == number).then_some(());
        within(SOON, "a refusal", counted).await;
        let made_up = format!("{number}-{}", "x".repeat(200));
        device.send(NOW.seconds(), if number % 5 == 0 { &taxi } else { &made_up }, 48.83);
    }
    let told = told(world, "op-a", 300).await;
    let refused = &told["reasons"][0];
    let taxis = refused["taxis"].as_array().unwrap();
    assert_eq!((taxis.len(), &taxis[0]), (MAX_REFUSED_TAXIS, &json!({"taxi": taxi, "count": 60})));
    let told_of: u64 = taxis.iter().map(|taxi| taxi["count"].as_u64().unwrap()).sum();
    assert_eq!(refused["other_taxis"], 300 - told_of);
    assert!(taxis.iter().all(|taxi| taxi["taxi"].as_str().unwrap().len() <= 64), "{taxis:?}");
    assert_eq!(refused["examples"].as_array().unwrap().len(), MAX_REFUSED_EXAMPLES);
    assert!(told.to_string().len() < 10_000, "{told}");
}

async fn refusals_are_asked_for_since_an_instant(world: &mut World) {
    let store = world.server().app.registry.store();
    let operator = world.operator("op-a");
    let ages_h = [0, 1, 30, 31 * 24 - 1];
    for age_h in ages_h {
        store.add_refusals(&[refused(operator, NOW.plus(-age_h * 3_600_000))].into()).await.unwrap();
    }
    let total = async |since: &str| {
        ask(world, "op-a", &format!("{PATH}?since={since}")).await["total"].as_u64().unwrap()
    };
    let ago = |ms: i64| NOW.plus(-ms).seconds().to_string();
    assert_eq!(ask(world, "op-a", PATH).await["total"], 2, "a day, where nothing is said");
    assert_eq!(total(&ago(0)).await, 1);
    assert_eq!(total(&ago(3_600_000)).await, 2);
    assert_eq!(total(&ago(RETENTION_MS)).await, 4);
    assert_eq!(total("2026-09-21T14:13:20").await, 1);
    assert_eq!(total("2026-09-21T16:13:20%2B02:00").await, 1);
    assert_eq!(total("2026-09-21T16:13:20+02:00").await, 1, "a plus that was not encoded");
    // Nothing was refused later than that; before, the hour is told whole, and says so.
    assert_eq!(total("2026-09-21T14:13:21").await, 0);
    let answer = ask(world, "op-a", &format!("{PATH}?since=2026-09-21T14:00:01")).await;
    let told = (&answer["since"], &answer["counted_from"], &answer["total"]);
    assert_eq!(told, (&json!("2026-09-21T14:00:01"), &json!("2026-09-21T14:00:00"), &json!(1)));

    for (since, message) in [
        ("yesterday", "Not a valid datetime: ISO 8601 or seconds since 1970 are accepted."),
        (&ago(RETENTION_MS + 1_000), "Must not be more than 31 days ago."),
        (&ago(-121_000), "Must not be in the future; a number counts seconds since 1970."),
        (&NOW.0.to_string(), "Not a valid datetime: ISO 8601 or seconds since 1970 are accepted."),
    ] {
        let answer = world.client.get(world.key("op-a"), &format!("{PATH}?since={since}")).await;
        assert_eq!((answer.status, answer.body), (400, json!({"errors": {"since": [message]}})), "{since}");
    }
    assert_eq!(total(&ago(-119_000)).await, 0, "their clocks may be a little ahead of ours");
}

async fn what_is_too_old_is_forgotten(world: &mut World) {
    let store = world.server().app.registry.store();
    let (operator, number) = (world.operator("op-a"), world.number("op-a"));
    for age_h in [0, 2, 4] {
        store.add_refusals(&[refused(operator, NOW.plus(-age_h * 3_600_000))].into()).await.unwrap();
    }
    store.forget_refusals(hour(NOW.plus(-2 * 3_600_000))).await.unwrap();
    let left = store.refusals(number, Millis(0), None).await.unwrap().decode();
    assert_eq!(left.map(|(_, one)| NOW.since(one.last_at)).collect::<Vec<_>>(), [7_200_000, 0]);
}

async fn an_operator_is_told_of_its_own_only(world: &mut World) {
    let store = world.server().app.registry.store();
    store.add_refusals(&[refused(world.operator("op-a"), NOW)].into()).await.unwrap();
    // Somebody who was removed meanwhile has no row; the others' are written all the same.
    let rows = [refused(OperatorKey(9_999), NOW), refused(world.operator("op-b"), NOW)];
    store.add_refusals(&rows.into()).await.unwrap();
    assert_eq!(store.refusals(9_999, Millis(0), None).await.unwrap().decode().count(), 0);
    for account in ["op-a", "op-b"] {
        assert_eq!(ask(world, account, PATH).await["total"], 1, "{account}");
    }
    assert_eq!(ask(world, "admin", PATH).await["total"], 0);
    let path = |account| format!("/operators/{}/refusals", world.number(account));
    for (asks, path, status) in [
        ("app", PATH.to_owned(), 403),
        ("op-a", path("op-a"), 200),
        ("op-a", path("op-b"), 404),
        ("op-a", "/operators/9999/refusals".to_owned(), 404),
        ("admin", path("op-a"), 200),
        ("admin", "/operators/9999/refusals".to_owned(), 404),
        ("admin", "/operators/op-a/refusals".to_owned(), 404),
    ] {
        let answer = world.client.get(world.key(asks), &path).await;
        assert_eq!(answer.status, status, "{asks} {path} {answer:?}");
    }
}

async fn counts_outlive_the_process_that_counted(world: &mut World) {
    let device = Device { key: "wrong".to_owned(), ..Device::new(world, "op-a") };
    device.send(NOW.seconds(), "t", 48.83);
    let refusals = world.server().app.refusals.clone();
    let counted = async || (refusals.total(Refusal::BadHash) == 1).then_some(());
    within(SOON, "a refusal", counted).await;
    world.stop().await;
    world.start().await;
    assert_eq!(ask(world, "op-a", PATH).await["total"], 1, "what is new is written at the end");
}

async fn counts_wait_while_the_database_is_away(world: &mut World) {
    let store = world.server().app.registry.store();
    let (refusals, mut waiting) = (Refusals::default(), Waiting::default());
    let operator = world.operator("op-a");
    let refuse = |second: i64| {
        let noted = Noted {
            at: NOW.plus(second * 1_000),
            transport: Transport::Udp,
            positions: 1,
            from: None,
            taxi: Some("t"),
            fields: &[],
            secrets: Secrets::default(),
        };
        refusals.note(operator, Refusal::BadHash, &noted);
    };
    refuse(0);
    waiting.take(&refusals);
    waiting.write(store).await.unwrap();
    execute(world, "ALTER TABLE refusals RENAME TO gone").await;
    for second in 1..4 {
        refuse(second);
        waiting.take(&refusals);
        waiting.write(store).await.unwrap_err();
    }
    let answer = world.client.get(world.key("op-a"), PATH).await;
    assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true));
    execute(world, "ALTER TABLE gone RENAME TO refusals").await;
    for _ in 0..2 {
        waiting.write(store).await.unwrap();
        let told = ask(world, "op-a", PATH).await;
        let refused = &told["reasons"][0];
        assert_eq!((&refused["count"], &refused["last_at"]), (&json!(4), &json!("2026-09-21T14:13:23")));
        assert_eq!(refused["taxis"], json!([{"taxi": "t", "count": 4}]));
        assert_eq!(refused["examples"].as_array().unwrap().len(), 4);
    }
}

async fn many_rows_are_written_in_parts_and_read_in_pages(world: &mut World) {
    let store = world.server().app.registry.store();
    let (refusals, mut waiting) = (Refusals::default(), Waiting::default());
    let (operator, number) = (world.operator("op-a"), world.number("op-a"));
    let refuse = |hour: i64, reason| {
        let noted = Noted {
            at: NOW.plus(-hour * 3_600_000),
            transport: Transport::Udp,
            positions: 1,
            from: None,
            taxi: Some("t"),
            fields: &[],
            secrets: Secrets::default(),
        };
        refusals.note(operator, reason, &noted);
    };
    let rows = 2 * REFUSALS_A_PAGE;
    for hour in (0..rows).rev() {
        refuse(hour, Refusal::BadHash);
        waiting.take(&refusals);
    }
    // The very last row cannot be written for a while: the others are, and only once.
    refuse(0, Refusal::UnknownTaxi);
    waiting.take(&refusals);
    execute(world, "CREATE UNIQUE INDEX single ON refusals (operator_id) WHERE hour = 1789999200000").await;
    waiting.write(store).await.unwrap_err();
    waiting.write(store).await.unwrap_err();
    let first = store.refusals(number, Millis(0), None).await.unwrap();
    let second = store.refusals(number, Millis(0), first.next().as_ref()).await.unwrap();
    let third = store.refusals(number, Millis(0), second.next().as_ref()).await.unwrap();
    assert!(third.next().is_none());
    let counts = [first, second, third].map(|page| i64::try_from(page.decode().count()).unwrap());
    assert_eq!(counts, [REFUSALS_A_PAGE, REFUSALS_A_PAGE, 0]);
    let month = format!("{PATH}?since={}", NOW.plus(-RETENTION_MS).seconds());
    let told = ask(world, "op-a", &month).await;
    assert_eq!(told["total"], rows);
    assert_eq!(told["reasons"][0]["taxis"], json!([{"taxi": "t", "count": rows}]));
    execute(world, "DROP INDEX single").await;
    waiting.write(store).await.unwrap();
    assert_eq!(ask(world, "op-a", &month).await["total"], rows + 1);
}

async fn a_damaged_row_keeps_its_count_and_harms_no_other(world: &mut World) {
    let store = world.server().app.registry.store();
    let (a, b) = (world.operator("op-a"), world.operator("op-b"));
    let both = [refused(a, NOW), refused(b, NOW)].into();
    store.add_refusals(&[refused(a, NOW)].into()).await.unwrap();
    execute(world, "UPDATE refusals SET detail = 'no JSON'").await;
    let told = ask(world, "op-a", PATH).await;
    assert_eq!((&told["total"], &told["reasons"][0]["other_taxis"]), (&json!(1), &json!(1)));
    store.add_refusals(&both).await.unwrap();
    let told = ask(world, "op-a", PATH).await;
    assert_eq!((&told["total"], &told["reasons"][0]["other_taxis"]), (&json!(2), &json!(1)));
    assert_eq!(told["reasons"][0]["taxis"], json!([{"taxi": "t", "count": 1}]));
    assert_eq!(ask(world, "op-b", PATH).await["total"], 1);
}

async fn processes_add_to_one_row_without_losing_a_count(world: &mut World) {
    let store = world.server().app.registry.store();
    let (a, b) = (world.operator("op-a"), world.operator("op-b"));
    let add = async || {
        for _ in 0..20 {
            store.add_refusals(&[refused(a, NOW), refused(b, NOW)].into()).await.unwrap();
        }
    };
    tokio::join!(add(), add(), add());
    for account in ["op-a", "op-b"] {
        let told = ask(world, account, PATH).await;
        let refused = &told["reasons"][0];
        assert_eq!((&refused["count"], &refused["other_taxis"]), (&json!(60), &json!(0)));
        assert_eq!(refused["taxis"], json!([{"taxi": "t", "count": 60}]));
        assert_eq!(refused["examples"].as_array().unwrap().len(), MAX_REFUSED_EXAMPLES);
    }
}

/// One refusal of an operator.
fn refused(operator: OperatorKey, at: Millis) -> (Row, Refused) {
    let mut refused = Refused { count: 1, last_at: at, ..Refused::default() };
    refused.taxis.count("t".to_owned());
    let text = "{}".to_owned();
    refused.examples.push(Example { at, transport: Transport::Udp, from: None, text });
    (Row { hour: hour(at), operator, reason: Refusal::BadHash }, refused)
}

/// As another process would.
async fn execute(world: &World, sql: &'static str) {
    let url = &world.database.url;
    if url.starts_with("sqlite:") {
        let mut sqlite = SqliteConnection::connect(url).await.unwrap();
        sqlite.execute(AssertSqlSafe(sql)).await.unwrap();
    } else {
        let mut postgres = PgConnection::connect(url).await.unwrap();
        postgres.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}
