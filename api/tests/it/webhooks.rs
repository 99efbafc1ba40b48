//! Webhooks from end to end: each transition is told once, in order for each hail, however often that takes.

use api::limits::{DELIVERIES_A_WEBHOOK, DELIVERY_LEASE, DELIVERY_WITHIN, WEBHOOKS_AN_ACCOUNT};
use api::outbound::{SIGNATURE, signature};
use api::serve::Server;
use api::store::Store;
use api::store::webhooks::dead_letters::Again;
use api::store::webhooks::deliveries::{Claimed, Ended, Then};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tokio::sync::watch;

use crate::harness::client::Answer;
use crate::harness::operator::{Operator, Received, Reply, TAKEN};
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::metrics::scrape;
use crate::reference::same_shape;
use crate::world::World;

on_each_database!(
    each_transition_is_told_once_in_order_and_signed,
    what_fails_is_tried_again_and_holds_up_its_own_hail_alone,
    what_is_given_up_can_be_told_again,
    what_is_days_late_is_given_up_at_once,
    what_was_told_is_forgotten_after_a_day,
    a_slow_webhook_keeps_no_other_waiting,
    a_stop_loses_nothing,
    webhooks_are_their_apps_own,
    one_that_is_removed_while_it_is_told_is_gone,
    where_a_webhook_may_be,
    letters_of_a_hail_are_told_again_in_order,
    one_event_of_a_hail_is_told_at_a_time,
    who_has_lost_the_lease_changes_nothing,
    a_backlog_is_bounded,
    what_it_is_told_is_what_a_stream_shows,
    a_hail_is_told_of_as_long_as_it_is_shown,
    whoever_may_listen_no_more_is_told_nothing,
    what_waits_is_shown,
    a_removal_keeps_no_event_from_its_number,
);

/// Where the taxis stand.
const HERE: (f64, f64) = (48.8566, 2.3522);
const HOUR_MS: i64 = 3_600_000;
/// A reply that is no success.
const BROKEN: Reply = Reply::With(500, "{}");

/// What a webhook was told: the event's number, its hail and what happened.
fn told(received: &Received) -> (i64, String, String) {
    let body = body(received);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (body["id"].as_i64().unwrap(), text(&body["hail"]["id"]), text(&body["type"]))
}

fn body(received: &Received) -> Value {
    serde_json::from_slice(&received.bytes).unwrap()
}

/// What it is told next, so often.
async fn tells(server: &mut Operator, count: usize) -> Vec<(i64, String, String)> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(told(&server.next().await));
    }
    all
}

fn kinds(told: &[(i64, String, String)]) -> Vec<&str> {
    told.iter().map(|(_, _, kind)| kind.trim_start_matches("hail.")).collect()
}

async fn start(world: &mut World) {
    world.stop().await;
    world.start_as(|config| config.behaviour.private_endpoints = true).await;
}

async fn add(world: &World, account: &str, server: &Operator) -> String {
    let webhook = json!({"url": server.url, "secret": "open sesame, open"});
    let webhook = world.client.post(world.key(account), "/webhooks", &webhook).await.element(201);
    webhook["id"].as_str().unwrap().to_owned()
}

async fn taxi(world: &World, number: u32) -> String {
    let taxi = world.register("op-a", number, MIDDLE).await;
    world.place("op-a", &taxi, HERE).await;
    taxi
}

/// Where a hail of three steps goes.
const SHORT: [&str; 3] = ["received", "sent_to_operator", "declined_by_customer"];

/// A hail that its customer soon refuses, a second later, and of which all is to be told.
async fn short_hail(world: &World, app: &str, taxi: &str) -> String {
    let hail = world.hail(app, taxi, "op-a").await;
    world.stands(&hail, "sent_to_operator").await;
    world.clock.advance(1_000);
    world.moves(app, &hail, &json!({"status": "declined_by_customer"})).await;
    numbered(world).await;
    hail
}

async fn numbered(world: &World) {
    let store = world.server().app.registry.store();
    let numbered = async || (!store.numbering().await.unwrap().is_behind).then_some(());
    within(SOON, "a number for each transition", numbered).await;
}

async fn dead_letters(world: &World, webhook: &str) -> Vec<Value> {
    let answer = world.client.get(world.key("app"), &format!("/webhooks/{webhook}/dead_letters")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].as_array().unwrap().clone()
}

async fn redeliver(world: &World, webhook: &str, what: &Value) -> Answer {
    world.client.post(world.key("app"), &format!("/webhooks/{webhook}/redeliver"), what).await
}

/// Waits until the server has counted so many deliveries of an outcome: what was answered has been written down.
async fn counted(world: &World, outcome: &str, count: usize) {
    let counted = async || (self::count(world, outcome).await >= count).then_some(());
    within(SOON, &format!("{count} deliveries {outcome}"), counted).await;
}

/// How many deliveries of an outcome there were.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are small whole numbers")]
async fn count(world: &World, outcome: &str) -> usize {
    scrape(world).await.value("maraude_webhook_deliveries_total", &[("outcome", outcome)]) as usize
}

/// The same of several servers together.
async fn counted_by_all(servers: &[&Server], told: u64) {
    let count = |server: &&Server| server.app.registry.hail_meters().deliveries_told.get();
    let counted = async || (servers.iter().map(count).sum::<u64>() >= told).then_some(());
    within(SOON, &format!("{told} deliveries told"), counted).await;
}

async fn each_transition_is_told_once_in_order_and_signed(world: &mut World) {
    start(world).await;
    let (other, _folder) = world.another(|config| config.behaviour.private_endpoints = true).await;
    let mut server = Operator::start(TAKEN).await;
    let taxis = [taxi(world, 1).await, taxi(world, 2).await];
    let before = short_hail(world, "app", &taxis[0]).await;
    add(world, "app", &server).await;
    let mut numbers = Vec::new();
    for (app, taxi) in [("app", &taxis[0]), ("other-app", &taxis[1]), ("app", &taxis[0])] {
        world.place("op-a", taxi, HERE).await;
        let hail = short_hail(world, app, taxi).await;
        assert_ne!(hail, before);
        if app == "other-app" {
            continue;
        }
        for kind in SHORT {
            let received = server.next().await;
            let event = body(&received);
            assert_eq!(
                (&event["type"], &event["hail"]["id"]),
                (&json!(format!("hail.{kind}")), &json!(hail))
            );
            assert_eq!((&event["to_status"], &event["hail"]["customer_id"]), (&json!(kind), &json!("ann")));
            assert_eq!(event["from_status"].is_null(), kind == "received");
            numbers.push(event["id"].as_i64().unwrap());
            let at =
                received.headers[SIGNATURE].to_str().unwrap()[2..].split(',').next().unwrap().parse::<i64>();
            let at = ingest::clock::Millis(at.unwrap() * 1_000);
            let expected = signature("open sesame, open", at, &received.bytes);
            assert_eq!(received.headers[SIGNATURE], expected.as_str());
            assert!(world.clock.now().since(at) < 10_000);
        }
    }
    assert_eq!(numbers.len(), 6);
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    assert_eq!(numbers[3] - numbers[2], 4, "the other app's three are between");
    counted_by_all(&[world.server(), &other], 6).await;
    assert!(server.look().is_none());
    other.stop().await;
}

async fn what_fails_is_tried_again_and_holds_up_its_own_hail_alone(world: &mut World) {
    start(world).await;
    let mut server = Operator::start(BROKEN).await;
    let taxis = [taxi(world, 1).await, taxi(world, 2).await];
    add(world, "app", &server).await;
    let first = short_hail(world, "app", &taxis[0]).await;
    let (number, hail, kind) = told(&server.next().await);
    assert_eq!((&hail, kind.as_str()), (&first, "hail.received"));
    counted(world, "failed", 1).await;
    // Each time it waits twice as long; half of that by chance.
    for (tries, wait_ms) in [(2, 1_000), (3, 2_000), (4, 4_000)] {
        world.clock.advance(wait_ms);
        assert_eq!(told(&server.next().await), (number, first.clone(), "hail.received".to_owned()));
        counted(world, "failed", tries).await;
    }
    world.clock.advance(1_000);
    let other = world.hail("app", &taxis[1], "op-a").await;
    world.stands(&other, "sent_to_operator").await;
    world.moves("app", &other, &json!({"status": "declined_by_customer"})).await;
    numbered(world).await;
    assert_eq!(told(&server.next().await).1, other, "another hail does not wait");
    counted(world, "failed", 5).await;
    assert!(server.look().is_none(), "nor is anything tried before its time");
    server.reply(Reply::With(204, ""));
    world.clock.advance(8_000);
    let mut all = tells(&mut server, 2 * SHORT.len()).await;
    all.sort_by_key(|(_, hail, _)| *hail != first);
    for (of_hail, hail) in all.chunks(SHORT.len()).zip([first, other]) {
        assert!(of_hail.iter().all(|one| one.1 == hail), "{all:?}");
        assert_eq!(kinds(of_hail), SHORT, "in order, each once");
    }
    counted(world, "told", 6).await;
    assert!(server.look().is_none());
}

async fn what_is_given_up_can_be_told_again(world: &mut World) {
    start(world).await;
    let mut server = Operator::start(BROKEN).await;
    let taxi = taxi(world, 1).await;
    let webhook = add(world, "app", &server).await;
    let hail = short_hail(world, "app", &taxi).await;
    counted(world, "failed", 1).await;
    assert_eq!(dead_letters(world, &webhook).await, Vec::<Value>::new());
    // A day later all of them are given up, each tried once more.
    world.clock.advance(24 * HOUR_MS);
    let mut again = tells(&mut server, 1).await;
    while again.len() < SHORT.len() {
        again.extend(tells(&mut server, 1).await);
        again.dedup();
    }
    assert_eq!(kinds(&again), SHORT);
    let given_up = async || (dead_letters(world, &webhook).await.len() == 3).then_some(());
    within(SOON, "three dead letters", given_up).await;
    let letters = dead_letters(world, &webhook).await;
    let page = world.client.get(world.key("app"), &format!("/webhooks/{webhook}/dead_letters?p=2")).await;
    assert_eq!((&page.body["data"], &page.body["meta"]["total"]), (&json!([]), &json!(3)));
    for (letter, (number, _, kind)) in letters.iter().zip(&again) {
        assert_eq!(
            (&letter["event"], &letter["hail"], &letter["type"]),
            (&json!(number), &json!(hail), &json!(kind))
        );
        assert_eq!(letter["outcome"], "the server answered 500");
        assert!(letter["tries"].as_i64().unwrap() >= 1);
    }
    let counted_dead =
        async || (scrape(world).await.value("maraude_webhook_dead_letters_total", &[]) >= 3.0).then_some(());
    within(SOON, "three dead letters that are counted", counted_dead).await;
    // One of them, then those since its last step, then all the rest.
    server.reply(TAKEN);
    let told = |answer: Answer| answer.element(200)["events"].as_u64().unwrap();
    assert_eq!(told(redeliver(world, &webhook, &json!({"event": again[1].0})).await), 1);
    assert_eq!(kinds(&tells(&mut server, 1).await), ["sent_to_operator"]);
    assert_eq!(told(redeliver(world, &webhook, &json!({"since": letters[2]["timestamp"]})).await), 1);
    assert_eq!(kinds(&tells(&mut server, 1).await), ["declined_by_customer"]);
    assert_eq!(told(redeliver(world, &webhook, &json!({})).await), 1);
    assert_eq!(kinds(&tells(&mut server, 1).await), ["received"]);
    assert_eq!(dead_letters(world, &webhook).await, Vec::<Value>::new());
    assert_eq!(told(redeliver(world, &webhook, &json!({})).await), 0);
    // One that was told is told again on demand; one that fails again has another day.
    counted(world, "told", 3).await;
    let failed = count(world, "failed").await;
    server.reply(BROKEN);
    assert_eq!(told(redeliver(world, &webhook, &json!({"event": again[2].0})).await), 1);
    assert_eq!(kinds(&tells(&mut server, 1).await), ["declined_by_customer"]);
    counted(world, "failed", failed + 1).await;
    server.reply(TAKEN);
    world.clock.advance(23 * HOUR_MS);
    assert_eq!(kinds(&tells(&mut server, 1).await), ["declined_by_customer"]);
    for wrong in [json!({"event": "x"}), json!({"since": "once"}), json!({"event": 1, "since": "2026-01-01"})]
    {
        assert_eq!(redeliver(world, &webhook, &wrong).await.status, 400, "{wrong}");
    }
    assert_eq!(told(redeliver(world, &webhook, &json!({"event": 1_i64 << 40})).await), 0);
}

/// A hail of three steps, of which a webhook could not be told the first when the process ended; its server and itself.
async fn failed_once(world: &mut World) -> (Operator, String) {
    start(world).await;
    let mut server = Operator::start(BROKEN).await;
    let taxi = taxi(world, 1).await;
    let webhook = add(world, "app", &server).await;
    short_hail(world, "app", &taxi).await;
    counted(world, "failed", 1).await;
    world.stop().await;
    while server.look().is_some() {}
    (server, webhook)
}

async fn what_is_days_late_is_given_up_at_once(world: &mut World) {
    let (mut server, webhook) = failed_once(world).await;
    world.clock.advance(49 * HOUR_MS);
    world.start_as(|config| config.behaviour.private_endpoints = true).await;
    let given_up = async || (dead_letters(world, &webhook).await.len() == 3).then_some(());
    within(SOON, "three dead letters", given_up).await;
    assert_eq!(dead_letters(world, &webhook).await[2]["outcome"], "its turn came too late");
    assert!(server.look().is_none());
}

async fn what_was_told_is_forgotten_after_a_day(world: &mut World) {
    start(world).await;
    let mut server = Operator::start(TAKEN).await;
    let taxi = taxi(world, 1).await;
    let webhook = add(world, "app", &server).await;
    short_hail(world, "app", &taxi).await;
    let first = tells(&mut server, SHORT.len()).await;
    counted(world, "told", 3).await;
    let again = async |world: &World, event: i64| {
        redeliver(world, &webhook, &json!({"event": event})).await.element(200)["events"].as_u64().unwrap()
    };
    world.clock.advance(23 * HOUR_MS);
    world.server().app.registry.store().prune_deliveries().await.unwrap();
    assert_eq!(again(world, first[0].0).await, 1);
    server.next().await;
    counted(world, "told", 4).await;
    server.reply(BROKEN);
    assert_eq!(again(world, first[1].0).await, 1);
    server.next().await;
    counted(world, "failed", 1).await;
    world.clock.advance(25 * HOUR_MS);
    server.next().await;
    counted(world, "failed", 2).await;
    world.server().app.registry.store().prune_deliveries().await.unwrap();
    assert_eq!(again(world, first[0].0).await, 0);
    // What was given up is known for a month.
    assert_eq!(dead_letters(world, &webhook).await.len(), 1);
    world.clock.advance(29 * 24 * HOUR_MS);
    world.server().app.registry.store().prune_deliveries().await.unwrap();
    assert_eq!(dead_letters(world, &webhook).await.len(), 1);
    world.clock.advance(2 * 24 * HOUR_MS);
    world.server().app.registry.store().prune_deliveries().await.unwrap();
    assert_eq!(dead_letters(world, &webhook).await, Vec::<Value>::new());
}

async fn a_slow_webhook_keeps_no_other_waiting(world: &mut World) {
    start(world).await;
    let (mut slow, mut quick) = (Operator::start(Reply::Never).await, Operator::start(TAKEN).await);
    add(world, "app", &slow).await;
    add(world, "other-app", &quick).await;
    // More hails than may be told to it at a time.
    let hails = u32::try_from(DELIVERIES_A_WEBHOOK).unwrap() + 2;
    for number in 0..hails {
        let taxi = taxi(world, number).await;
        world.hail("app", &taxi, "op-a").await;
    }
    for _ in 0..DELIVERIES_A_WEBHOOK {
        slow.next().await;
    }
    let taxi = taxi(world, hails).await;
    let began = std::time::Instant::now();
    let hail = short_hail(world, "other-app", &taxi).await;
    let told = tells(&mut quick, SHORT.len()).await;
    assert!(began.elapsed() < DELIVERY_WITHIN / 2, "{:?}", began.elapsed());
    assert!(kinds(&told) == SHORT && told.iter().all(|one| one.1 == hail), "{told:?}");
    assert!(slow.look().is_none(), "no more than its line takes");
}

async fn a_stop_loses_nothing(world: &mut World) {
    start(world).await;
    let mut server = Operator::start(Reply::Never).await;
    let taxi = taxi(world, 1).await;
    add(world, "app", &server).await;
    let hail = short_hail(world, "app", &taxi).await;
    assert_eq!(kinds(&tells(&mut server, 1).await), ["received"]);
    // The delivery that is under way is cut off, and another server has it at once, with the rest.
    world.stop().await;
    server.reply(TAKEN);
    world.start_as(|config| config.behaviour.private_endpoints = true).await;
    let told = tells(&mut server, SHORT.len()).await;
    assert!(kinds(&told) == SHORT && told.iter().all(|one| one.1 == hail), "{told:?}");
}

async fn webhooks_are_their_apps_own(world: &mut World) {
    start(world).await;
    let mut server = Operator::start(TAKEN).await;
    let ask = async |method: Method, account: &str, path: &str| {
        world.client.ask(method, path, world.key(account), None).await.unwrap()
    };
    let given = json!({"url": server.url});
    let made = world.client.post(world.key("app"), "/webhooks", &given).await.element(201);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{secret}");
    let id = made["id"].as_str().unwrap();
    let mut shown = made.clone();
    shown["secret"] = Value::Null;
    assert_eq!(world.client.get(world.key("app"), "/webhooks").await.body["data"], json!([shown]));
    let path = format!("/webhooks/{id}");
    assert_eq!(world.client.get(world.key("app"), &path).await.element(200), shown);
    assert!(!rows(world).await.contains(secret), "it is sealed");
    for (account, status) in [("other-app", 404), ("admin", 404), ("op-a", 404)] {
        for (method, path) in [
            (Method::GET, path.clone()),
            (Method::DELETE, path.clone()),
            (Method::GET, format!("{path}/dead_letters")),
        ] {
            assert_eq!(
                ask(method.clone(), account, &path).await.status,
                status,
                "{method} {path} by {account}"
            );
        }
        let again = world.client.post(world.key(account), &format!("{path}/redeliver"), &json!({})).await;
        let status = if account == "op-a" { 403 } else { status };
        assert_eq!(again.status, status, "{account}");
    }
    assert_eq!(world.client.get(world.key("other-app"), "/webhooks").await.body, json!({"data": []}));
    for _ in 1..WEBHOOKS_AN_ACCOUNT {
        world.client.post(world.key("app"), "/webhooks", &given).await.element(201);
    }
    let many = world.client.post(world.key("app"), "/webhooks", &given).await;
    let told = json!({"errors": {"": ["An account may have 5 webhooks."]}});
    assert_eq!((many.status, many.body), (400, told));
    // One that is removed is told nothing more, whatever waited.
    for webhook in world.client.get(world.key("app"), "/webhooks").await.body["data"].as_array().unwrap() {
        let removed =
            ask(Method::DELETE, "app", &format!("/webhooks/{}", webhook["id"].as_str().unwrap())).await;
        assert_eq!(removed.status, 204);
    }
    assert_eq!(ask(Method::DELETE, "app", &path).await.status, 404);
    let taxi = taxi(world, 1).await;
    short_hail(world, "app", &taxi).await;
    add(world, "app", &server).await;
    let next = short_hail(world, "app", &taxi).await;
    assert_eq!(told_hail(&mut server).await, next);
}

/// Whoever removes rows and whoever writes down what became of them do not wait for each other in a circle.
async fn one_that_is_removed_while_it_is_told_is_gone(world: &mut World) {
    start(world).await;
    let server = Operator::start(TAKEN).await;
    let taxi = taxi(world, 1).await;
    for _ in 0..15 {
        let webhook = add(world, "app", &server).await;
        short_hail(world, "app", &taxi).await;
        let path = format!("/webhooks/{webhook}");
        let removed = world.client.ask(Method::DELETE, &path, world.key("app"), None).await.unwrap();
        assert_eq!(removed.status, 204, "{removed:?}");
        assert_eq!(world.client.get(world.key("app"), &path).await.status, 404);
    }
}

async fn told_hail(server: &mut Operator) -> String {
    told(&server.next().await).1
}

/// Lets a hail of three steps become dead letters; gives its events.
async fn give_up(world: &World, server: &mut Operator, webhook: &str, taxi: &str) -> Vec<i64> {
    server.reply(BROKEN);
    let failed = count(world, "failed").await;
    short_hail(world, "app", taxi).await;
    counted(world, "failed", failed + 1).await;
    world.clock.advance(24 * HOUR_MS);
    let given_up = async || {
        let letters = dead_letters(world, webhook).await;
        (letters.len() == 3).then(|| letters.iter().map(|letter| letter["event"].as_i64().unwrap()).collect())
    };
    let events = within(SOON, "three dead letters", given_up).await;
    counted(world, "failed", failed + 4).await;
    while server.look().is_some() {}
    events
}

async fn letters_of_a_hail_are_told_again_in_order(world: &mut World) {
    start(world).await;
    let mut server = Operator::start(BROKEN).await;
    let taxis = [taxi(world, 1).await, taxi(world, 2).await];
    let webhook = add(world, "app", &server).await;
    let events = give_up(world, &mut server, &webhook, &taxis[0]).await;
    let (answer, answers) = watch::channel(None);
    server.reply(Reply::When(answers));
    assert_eq!(redeliver(world, &webhook, &json!({})).await.element(200)["events"], 3);
    assert_eq!(told(&server.next().await).0, events[0]);
    // Another hail's first event comes meanwhile, and none of the two that are due like it.
    world.place("op-a", &taxis[1], HERE).await;
    let other = short_hail(world, "app", &taxis[1]).await;
    assert_eq!(told(&server.next().await).1, other);
    assert!(server.look().is_none());
    answer.send_replace(Some((204, "")));
    let mut rest = tells(&mut server, 4).await;
    rest.retain(|one| one.1 != other);
    assert_eq!(rest.iter().map(|one| one.0).collect::<Vec<_>>(), events[1..]);
}

async fn one_event_of_a_hail_is_told_at_a_time(world: &mut World) {
    start(world).await;
    let mut server = Operator::start(TAKEN).await;
    let taxis = [taxi(world, 1).await, taxi(world, 2).await];
    let webhook = add(world, "app", &server).await;
    let hail = world.hail("app", &taxis[0], "op-a").await;
    world.stands(&hail, "sent_to_operator").await;
    let before = tells(&mut server, 2).await;
    counted(world, "told", 2).await;
    let (answer, answers) = watch::channel(None);
    server.reply(Reply::When(answers));
    world.moves("app", &hail, &json!({"status": "declined_by_customer"})).await;
    assert_eq!(kinds(&tells(&mut server, 1).await), ["declined_by_customer"]);
    // The first is due again while the last is under way; so is another hail's, a little later.
    let again = redeliver(world, &webhook, &json!({"event": before[0].0})).await.element(200);
    assert_eq!(again["events"], 1);
    let other = short_hail(world, "app", &taxis[1]).await;
    assert_eq!(told(&server.next().await).1, other);
    assert!(server.look().is_none(), "the first waits for the last");
    answer.send_replace(Some((204, "")));
    let mut rest = tells(&mut server, 3).await;
    rest.retain(|one| one.1 == hail);
    assert_eq!(rest, before[..1]);
    counted(world, "told", 7).await;
    assert!(server.look().is_none());
}

/// The database, with nobody else on it.
async fn alone(world: &mut World) -> Store {
    world.stop().await;
    Store::open(&world.database.url.parse().unwrap(), world.clock.clone()).await.unwrap()
}

async fn who_has_lost_the_lease_changes_nothing(world: &mut World) {
    start(world).await;
    let server = Operator::start(BROKEN).await;
    let taxi = taxi(world, 1).await;
    let webhook = add(world, "app", &server).await;
    short_hail(world, "app", &taxi).await;
    counted(world, "failed", 1).await;
    let store = alone(world).await;
    world.clock.advance(2_000);
    let lease_ms = i64::try_from(DELIVERY_LEASE.as_millis()).unwrap();
    let claim = async |who| store.claim_deliveries(&webhook, who, 16, lease_ms).await.unwrap();
    let end = async |who, claimed: &Claimed, then| {
        let ended =
            Ended { webhook: webhook.clone(), claimed: claimed.clone(), then, outcome: String::new() };
        store.end_deliveries(who, &[ended]).await.unwrap()
    };
    let renew = async |who, event, lease_ms| {
        let held = [(webhook.clone(), [event].into())].into();
        store.renew_deliveries(who, &held, lease_ms).await.unwrap();
    };
    let first = claim("one").await;
    assert!(first.len() == 1 && first[0].tries > 0, "one of the hail: {first:?}");
    assert!(claim("other").await.is_empty());
    // A lease that is renewed lasts; one that is not ends.
    world.clock.advance(lease_ms - 1);
    renew("one", first[0].event_id, lease_ms).await;
    renew("other", first[0].event_id, 0).await;
    world.clock.advance(lease_ms - 1);
    assert!(claim("other").await.is_empty());
    world.clock.advance(1);
    assert_eq!(claim("other").await[0].event_id, first[0].event_id);
    assert_eq!(end("one", &first[0], Then::Told).await, [], "it is another's");
    assert!(claim("one").await.is_empty());
    assert_eq!(end("other", &first[0], Then::Told).await, [Then::Told]);
    assert_eq!(end("other", &first[0], Then::Dead).await, [], "it has ended");
    // What is given back is free at once; and so is what waited for something that has ended.
    let second = claim("one").await;
    assert!(second.len() == 1 && second[0].event_id > first[0].event_id, "{second:?}");
    renew("one", second[0].event_id, 0).await;
    assert_eq!(claim("other").await[0].event_id, second[0].event_id);
    // Where an earlier one is due again meanwhile, it waits; and where that fails, the later ones do.
    let again = Again::Event(first[0].event_id);
    assert_eq!(store.redeliver(&webhook, again, 1).await.unwrap(), 1);
    assert!(claim("one").await.is_empty());
    assert_eq!(end("other", &second[0], Then::Told).await, [Then::Told]);
    let first = claim("one").await;
    assert_eq!(first[0].tries, 0);
    let later = world.clock.now().0 + 60_000;
    assert_eq!(end("one", &first[0], Then::Again(later)).await, [Then::Again(later)]);
    assert!(store.webhooks_due().await.unwrap().is_empty());
    world.clock.advance(60_000);
    assert_eq!(claim("one").await[0].tries, 1);
    store.close().await;
}

async fn a_backlog_is_bounded(world: &mut World) {
    start(world).await;
    let server = Operator::start(BROKEN).await;
    let webhook = add(world, "app", &server).await;
    let store = alone(world).await;
    // Four events each of five thousand hails.
    let now = world.clock.now().0;
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO webhook_deliveries (webhook_id, event_id, hail_id, due_at, since, tries, is_dead)
         SELECT '{webhook}', i, 'h' || (i % 5000), {now}, {now} + i, 0, FALSE FROM n"
    );
    execute(world, sql).await;
    world.clock.advance(1_000);
    let waiting = async || {
        let all = store.deliveries_waiting().await.unwrap();
        assert!(all.len() == 1 && all[0].webhook_id == webhook, "{all:?}");
        (all[0].events, all[0].since - now)
    };
    assert_eq!(waiting().await, (20_000, 1));
    let claimed = store.claim_deliveries(&webhook, "one", 16, 60_000).await.unwrap();
    let mut events: Vec<_> = claimed.iter().map(|one| one.event_id).collect();
    events.sort_unstable();
    assert_eq!(events, (1..=16).collect::<Vec<_>>(), "the earliest");
    // The earliest are given up, but those that are being told; by two processes no more than by one.
    assert_eq!(store.give_up_all_but(&webhook, 17_000).await.unwrap(), 2_984);
    assert_eq!(store.give_up_all_but(&webhook, 17_000).await.unwrap(), 0);
    assert_eq!(waiting().await, (17_016, 1));
    assert_eq!(store.dead_letters(&webhook, (30, 0)).await.unwrap().1, 2_984);
    store.forget_dead_letters(3_000).await.unwrap();
    assert_eq!(store.dead_letters(&webhook, (30, 0)).await.unwrap().1, 2_984);
    store.forget_dead_letters(500).await.unwrap();
    assert_eq!(store.dead_letters(&webhook, (30, 0)).await.unwrap().1, 500);
    // Those that are left are told again, in several transactions and no more than so many.
    assert_eq!(store.redeliver(&webhook, Again::Dead, 400).await.unwrap(), 400);
    assert_eq!(store.redeliver(&webhook, Again::Dead, 20_000).await.unwrap(), 100);
    assert_eq!(waiting().await.0, 17_516);
    // One that is removed is gone from the first moment on, and its rows are a little later.
    store.remove_webhook(&webhook).await.unwrap();
    assert!(store.webhooks_due().await.unwrap().is_empty());
    assert!(store.claim_deliveries(&webhook, "one", 16, 60_000).await.unwrap().is_empty());
    store.prune_webhooks().await.unwrap();
    assert!(store.deliveries_waiting().await.unwrap().is_empty());
    store.close().await;
}

async fn what_it_is_told_is_what_a_stream_shows(world: &mut World) {
    start(world).await;
    let mut server = Operator::start(TAKEN).await;
    let taxi = taxi(world, 1).await;
    add(world, "app", &server).await;
    let hail = short_hail(world, "app", &taxi).await;
    let mut last = body(&server.next().await);
    for _ in 1..SHORT.len() {
        last = body(&server.next().await);
    }
    // The stream of a hail that has ended ends, too.
    let url = format!("{}/hails/{hail}/events", world.client.base);
    let shown = reqwest::Client::new().get(url).header("X-Api-Key", world.key("app")).send().await.unwrap();
    let shown = shown.text().await.unwrap();
    let (_, shown) = shown.split_once(&format!("id: {}\nevent: hail\ndata: ", last["id"])).unwrap();
    let shown: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    let whole = last.clone();
    let told = last.as_object_mut().unwrap();
    told.remove("id");
    assert_eq!(told.remove("type"), Some(json!("hail.declined_by_customer")));
    assert_eq!(last, shown);
    let document = world.client.get("", "/openapi.json").await.body;
    let sent = &document["webhooks"]["hail"]["post"]["requestBody"]["content"]["application/json"];
    assert_eq!(same_shape(&sent["example"], &whole), Ok(()), "{whole}");
}

async fn a_hail_is_told_of_as_long_as_it_is_shown(world: &mut World) {
    start(world).await;
    let mut server = Operator::start(BROKEN).await;
    let taxi = taxi(world, 1).await;
    let webhook = add(world, "app", &server).await;
    let events = give_up(world, &mut server, &webhook, &taxi).await;
    server.reply(TAKEN);
    world.clock.advance(58 * 24 * HOUR_MS);
    redeliver(world, &webhook, &json!({"event": events[0]})).await.element(200);
    assert_eq!(told(&server.next().await).0, events[0]);
    counted(world, "told", 1).await;
    world.clock.advance(2 * 24 * HOUR_MS);
    redeliver(world, &webhook, &json!({})).await.element(200);
    let given_up = async || {
        let letters = dead_letters(world, &webhook).await;
        (letters.len() == 2).then_some(letters)
    };
    for letter in within(SOON, "two dead letters", given_up).await {
        assert_eq!(
            (&letter["outcome"], &letter["tries"]),
            (&json!("the hail is no longer shown"), &json!(1))
        );
    }
    assert!(server.look().is_none());
}

async fn whoever_may_listen_no_more_is_told_nothing(world: &mut World) {
    let (mut server, webhook) = failed_once(world).await;
    execute(world, "DELETE FROM user_roles WHERE role = 'moteur'".to_owned()).await;
    world.start_as(|config| config.behaviour.private_endpoints = true).await;
    world.clock.advance(2_000);
    let given_up = async || (dead_letters(world, &webhook).await.len() == 3).then_some(());
    within(SOON, "three dead letters", given_up).await;
    assert_eq!(
        dead_letters(world, &webhook).await[0]["outcome"],
        "the account may have no webhooks any more"
    );
    assert!(server.look().is_none());
    // What is theirs they see and remove.
    assert_eq!(redeliver(world, &webhook, &json!({})).await.status, 403);
    let path = format!("/webhooks/{webhook}");
    let removed = world.client.ask(Method::DELETE, &path, world.key("app"), None).await.unwrap();
    assert_eq!((removed.status, world.client.get(world.key("app"), &path).await.status), (204, 404));
}

async fn what_waits_is_shown(world: &mut World) {
    start(world).await;
    let server = Operator::start(BROKEN).await;
    let taxi = taxi(world, 1).await;
    add(world, "app", &server).await;
    short_hail(world, "app", &taxi).await;
    counted(world, "failed", 1).await;
    world.clock.advance(HOUR_MS);
    let shown = async || {
        let families = scrape(world).await;
        let waiting = families.value("maraude_webhook_waiting_events", &[]);
        let seconds = families.value("maraude_webhook_waiting_seconds", &[]);
        // It waits from when it has a number, which may be a second later.
        (waiting > 2.5 && seconds >= 3_600.0).then_some((waiting, seconds))
    };
    let (waiting, seconds) = within(SOON, "three events that have waited for an hour", shown).await;
    assert!(waiting < 3.5 && seconds < 3_700.0, "{waiting} {seconds}");
}

async fn a_removal_keeps_no_event_from_its_number(world: &mut World) {
    if world.database.url.starts_with("sqlite:") {
        return;
    }
    start(world).await;
    let mut server = Operator::start(TAKEN).await;
    let taxi = taxi(world, 1).await;
    add(world, "app", &server).await;
    let mut connection = PgConnection::connect(&world.database.url).await.unwrap();
    let mut removal = connection.begin().await.unwrap();
    sqlx::query("UPDATE webhooks SET removed_at = 1").execute(&mut *removal).await.unwrap();
    short_hail(world, "app", &taxi).await;
    assert!(server.look().is_none(), "what is going is not told");
    removal.rollback().await.unwrap();
    assert_eq!(kinds(&tells(&mut server, SHORT.len()).await), SHORT, "nothing was missed");
}

pub(crate) async fn execute(world: &World, sql: String) {
    if world.database.url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(&world.database.url).await.unwrap();
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(&world.database.url).await.unwrap();
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
}

/// Every webhook as it is stored.
async fn rows(world: &World) -> String {
    let sql = "SELECT secret_sealed || url FROM webhooks";
    let rows: Vec<(String,)> = if world.database.url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(&world.database.url).await.unwrap();
        sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
    } else {
        let mut connection = PgConnection::connect(&world.database.url).await.unwrap();
        sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
    };
    assert!(!rows.is_empty());
    rows.into_iter().map(|row| row.0).collect()
}

async fn where_a_webhook_may_be(world: &mut World) {
    let post = async |webhook: &Value| world.client.post(world.key("app"), "/webhooks", webhook).await;
    for url in ["http://127.0.0.1:9/", "http://10.0.0.1/", "ftp://192.0.2.1/", "nowhere", ""] {
        let answer = post(&json!({"url": url})).await;
        let told = json!({"errors": {"data": {"0": {"url": ["This endpoint is invalid."]}}}});
        assert_eq!((answer.status, answer.body), (400, told), "{url}");
    }
    for wrong in [
        json!({}),
        json!({"url": "https://192.0.2.1/", "secret": "too short"}),
        json!({"url": format!("https://192.0.2.1/{}", "x".repeat(2_000))}),
        json!({"url": "https://192.0.2.1/", "foo": 1}),
    ] {
        assert_eq!(post(&wrong).await.status, 400, "{wrong}");
    }
    post(&json!({"url": "https://192.0.2.1/"})).await.element(201);
    // Wherever it is by now, our own network is not called.
    start(world).await;
    let mut server = Operator::start(TAKEN).await;
    add(world, "other-app", &server).await;
    world.stop().await;
    world.start().await;
    let taxi = taxi(world, 1).await;
    short_hail(world, "other-app", &taxi).await;
    counted(world, "failed", 1).await;
    assert!(server.look().is_none());
}
