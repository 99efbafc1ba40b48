//! Hails from end to end: nobody gets what another has, nothing is lost, nobody waits for somebody else.

use api::activity::Actor;
use api::limits::CALLS_AN_OPERATOR;
use api::outbound::{SIGNATURE, signature};
use api::store::hails::{NewHail, NotHailed};
use ingest::position::LatLon;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::harness::client::{Answer, Client};
use crate::harness::operator::{Operator, Reply, TAKEN};
use crate::harness::places::MIDDLE;
use crate::world::{World, wanted};

on_each_database!(
    a_hail_goes_from_request_to_end,
    an_operator_is_called_in_its_own_name,
    of_many_that_want_a_taxi_one_gets_it,
    a_vehicle_of_two_operators_is_hailed_once,
    a_vehicle_is_hailed_once_through_two_operators_at_once,
    a_transition_and_its_deadline_are_one,
    what_is_overdue_ends_at_the_next_start,
    nobody_is_called_too_late,
    a_slow_operator_keeps_nobody_waiting,
    a_hail_whose_row_somebody_holds_keeps_nobody_waiting,
    our_own_network_is_not_called,
    a_call_that_fails_ends_the_hail,
    a_request_that_is_repeated_is_made_once,
    a_place_without_an_address_is_looked_up,
    a_refusal_has_a_ground_and_a_duration,
);

/// Where the taxis stand.
const HERE: (f64, f64) = (48.8566, 2.3522);

/// A free taxi of an operator's, seen in the middle.
async fn taxi(world: &World, operator: &str, number: u32) -> String {
    let taxi = world.register(operator, number, MIDDLE).await;
    world.place(operator, &taxi, HERE).await;
    taxi
}

/// Lets an operator take hails at a server.
async fn serve(world: &World, operator: &str, url: &str) {
    let path = format!("/users/{}", world.number(operator));
    let at = json!({"hail_endpoint_production": url, "operator_header_name": "X-Secret", "operator_api_key": "sesame"});
    world.client.put(world.key(operator), &path, &at).await.element(200);
}

async fn restart_with_private_endpoints(world: &mut World) {
    world.stop().await;
    world.start_as(|config| config.behaviour.private_endpoints = true).await;
}

async fn status(world: &World, operator: &str, taxi: &str) -> Value {
    world.look(operator, taxi).await["status"].take()
}

/// Where a hail came from and went to, step by step.
fn steps(hail: &Value) -> Vec<(Option<&str>, &str)> {
    let steps = hail["transitions"].as_array().unwrap().iter();
    steps.map(|step| (step["from_status"].as_str(), step["to_status"].as_str().unwrap())).collect()
}

/// Every step begins where the one before ended.
fn assert_unbroken(hail: &Value) {
    let steps = steps(hail);
    assert_eq!(steps[0], (None, "received"), "{hail}");
    for pair in steps.windows(2) {
        assert_eq!(pair[1].0, Some(pair[0].1), "{hail}");
    }
    assert_eq!(hail["status"], steps.last().unwrap().1, "{hail}");
}

async fn a_hail_goes_from_request_to_end(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let hail = world.hail("app", &taxi, "op-a").await;
    assert_eq!(status(world, "op-a", &taxi).await, "answering");
    world.take("op-a", &hail).await;
    for (account, wish, taxi_is) in [
        ("op-a", json!({"status": "received_by_taxi"}), "answering"),
        ("op-a", json!({"status": "accepted_by_taxi", "taxi_phone_number": "0622222222"}), "answering"),
        ("app", json!({"status": "accepted_by_customer"}), "oncoming"),
        ("op-a", json!({"status": "customer_on_board"}), "occupied"),
        ("op-a", json!({"status": "finished"}), "free"),
    ] {
        let moved = world.moves(account, &hail, &wish).await;
        assert_eq!(moved["status"], wish["status"]);
        assert!(moved["last_status_change"].as_str().unwrap().ends_with("+00:00"), "{moved}");
        assert_eq!(status(world, "op-a", &taxi).await, taxi_is, "{wish}");
        // The same again changes nothing.
        let again = world.moves(account, &hail, &json!({"status": wish["status"]})).await;
        assert_eq!(again["transitions"], moved["transitions"]);
    }
    let ended = world.stands(&hail, "finished").await;
    assert_unbroken(&ended);
    assert_eq!(ended["transitions"].as_array().unwrap().len(), 8);
    assert_eq!(world.search("app", HERE).await.len(), 1, "the taxi is found again");
    let logs = world.client.get(world.key("admin"), &format!("/activity_logs?resource_id={taxi}")).await;
    let changes = logs.body["data"].as_array().unwrap();
    let by_hail = changes.iter().filter(|entry| entry["extra"]["hail_id"] == hail.as_str()).count();
    assert_eq!(by_hail, 4, "{changes:?}");
    let logs = world.client.get(world.key("admin"), "/activity_logs?resource=customer&resource_id=ann").await;
    assert_eq!(logs.body["data"][0]["extra"]["hail_id"], hail.as_str(), "{logs:?}");
}

async fn an_operator_is_called_in_its_own_name(world: &mut World) {
    restart_with_private_endpoints(world).await;
    let mut operator =
        Operator::start(Reply::With(201, r#"{"data": [{"taxi_phone_number": "0633"}]}"#)).await;
    serve(world, "op-a", &operator.url).await;
    let taxi = taxi(world, "op-a", 1).await;
    let hail = world.hail("app", &taxi, "op-a").await;
    let received = operator.next().await;
    assert_eq!((&received.hail["id"], &received.hail["taxi"]["id"]), (&json!(hail), &json!(taxi)));
    assert_eq!(received.headers["x-secret"], "sesame");
    let expected = signature(world.key("op-a"), world.clock.now(), &received.bytes);
    assert_eq!(received.headers[SIGNATURE], expected.as_str());
    assert_eq!(world.stands(&hail, "received_by_operator").await["taxi_phone_number"], "0633");
}

/// Asks for a taxi as two apps, many times at once.
async fn rush(world: &World, taxi: &str) -> Vec<Answer> {
    let asking = (0..8).map(|number| {
        let (client, taxi) = (world.client.clone(), wanted(taxi));
        let key = world.key(if number % 2 == 0 { "app" } else { "other-app" }).to_owned();
        tokio::spawn(async move { client.post(&key, "/hails", &taxi).await })
    });
    let mut answers = Vec::new();
    for answer in asking.collect::<Vec<_>>() {
        answers.push(answer.await.unwrap());
    }
    answers
}

async fn of_many_that_want_a_taxi_one_gets_it(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    for _ in 0..5 {
        world.free("op-a", &taxi).await;
        let answers = rush(world, &taxi).await;
        let (got, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
        assert_eq!(got.len(), 1, "{answers:?}");
        let message = json!({"errors": {"data": {"0": {"taxi_id": ["Taxi is not free."]}}}});
        assert!(refused.iter().all(|answer| (answer.status, &answer.body) == (400, &message)), "{refused:?}");
        assert_eq!(status(world, "op-a", &taxi).await, "answering");
    }
}

async fn a_vehicle_of_two_operators_is_hailed_once(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    // The other operator describes the same vehicle and reports the same taxi.
    let vehicle = json!({"licence_plate": "AB-001-CD"});
    world.client.post(world.key("op-b"), "/vehicles", &vehicle).await.element(201);
    world.free("op-b", &taxi).await;
    world.clock.advance(1_000);
    world.place("op-b", &taxi, HERE).await;
    let answer = world.client.post(world.key("app"), "/hails", &wanted(&taxi)).await.element(201);
    let hail = world.stands(answer["id"].as_str().unwrap(), "sent_to_operator").await;
    assert_eq!(hail["operateur"], "op-b", "who was heard last");
    let second = world.client.post(world.key("other-app"), "/hails", &wanted(&taxi)).await;
    assert_eq!(second.status, 400, "{second:?}");
}

async fn a_vehicle_is_hailed_once_through_two_operators_at_once(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let vehicle = json!({"licence_plate": "AB-001-CD"});
    world.client.post(world.key("op-b"), "/vehicles", &vehicle).await.element(201);
    let registry = world.server().app.registry.clone();
    let number = i32::try_from(registry.directory().taxis().get(taxi.as_str()).unwrap().key.0).unwrap();
    let app = world.number("app");
    let through = async |operator: &str, customer: &str| {
        let at = LatLon::new(HERE.0, HERE.1).unwrap();
        let new = NewHail {
            app,
            taxi: number,
            operator: world.number(operator),
            shown_taxi_id: taxi.clone(),
            taxi_at: at,
            customer: customer.to_owned(),
            customer_at: at,
            address: Some("25 rue Quincampoix".to_owned()),
            phone_number: "06".to_owned(),
            session: None,
            once: None,
        };
        registry.create_hail(Actor::account(app), new).await.unwrap()
    };
    for round in 0..10 {
        for operator in ["op-a", "op-b"] {
            world.free(operator, &taxi).await;
        }
        let (a, b) = tokio::join!(through("op-a", "ann"), through("op-b", "bob"));
        assert_eq!([&a, &b].iter().filter(|made| made.is_ok()).count(), 1, "{round}: {a:?} {b:?}");
        let other = a.err().or(b.err());
        assert_eq!(other, Some(NotHailed::NotFree), "{round}");
    }
}

async fn a_transition_and_its_deadline_are_one(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    for round in 0..12 {
        let hail = world.hail("app", &taxi, "op-a").await;
        world.take("op-a", &hail).await;
        world.moves("op-a", &hail, &json!({"status": "received_by_taxi"})).await;
        let path = format!("/hails/{hail}");
        let wish = json!({"status": "accepted_by_taxi", "taxi_phone_number": "06"});
        let accept = world.client.put(world.key("op-a"), &path, &wish);
        let answer = match round % 3 {
            // Whoever comes late has lost, even where nobody has ended the hail yet.
            0 => {
                world.clock.advance(30_000);
                accept.await
            }
            1 => tokio::join!(accept, async { world.clock.advance(30_000) }).0,
            _ => accept.await,
        };
        if round % 3 != 1 {
            assert_eq!(answer.status, if round % 3 == 0 { 400 } else { 200 }, "{round}: {answer:?}");
        }
        let end = if answer.status == 200 { "accepted_by_taxi" } else { "timeout_taxi" };
        let hail = world.stands(&hail, end).await;
        assert_unbroken(&hail);
        assert_eq!(
            steps(&hail).iter().filter(|step| step.0 == Some("received_by_taxi")).count(),
            1,
            "{hail}"
        );
        world.place("op-a", &taxi, HERE).await;
    }
}

async fn what_is_overdue_ends_at_the_next_start(world: &mut World) {
    let mut hails = Vec::new();
    for number in 1..=5 {
        let taxi = taxi(world, "op-a", number).await;
        let hail = world.hail("app", &taxi, "op-a").await;
        world.take("op-a", &hail).await;
        world.clock.advance(100);
        hails.push((hail, taxi));
    }
    world.stop().await;
    world.clock.advance(3_600_000);
    world.start().await;
    for (hail, taxi) in &hails {
        let ended = world.stands(hail, "failure").await;
        assert_unbroken(&ended);
        assert_eq!(ended["transitions"].as_array().unwrap().last().unwrap()["reason"], "deadline");
        assert_eq!(status(world, "op-a", taxi).await, "free");
    }
}

async fn nobody_is_called_too_late(world: &mut World) {
    restart_with_private_endpoints(world).await;
    let mut operator = Operator::start(Reply::Never).await;
    serve(world, "op-a", &operator.url).await;
    let taxi = taxi(world, "op-a", 1).await;
    let hail = world.hail("app", &taxi, "op-a").await;
    operator.next().await;
    // The process ends with the call under way; the hail's time is over before the next one begins.
    world.stop().await;
    world.clock.advance(10_000);
    restart_with_private_endpoints(world).await;
    let ended = world.stands(&hail, "failure").await;
    assert_unbroken(&ended);
    assert!(operator.look().is_none(), "a hail that is over is sent to nobody");
    // A call that the next process finds in time is made again, once nobody seems to be at it any more.
    let second = world.hail("app", &taxi, "op-a").await;
    operator.next().await;
    world.stop().await;
    operator.reply(TAKEN);
    world.clock.advance(4_000);
    restart_with_private_endpoints(world).await;
    assert_eq!(operator.next().await.hail["id"], second);
    world.stands(&second, "received_by_operator").await;
}

async fn a_hail_whose_row_somebody_holds_keeps_nobody_waiting(world: &mut World) {
    if world.database.url.starts_with("sqlite:") {
        // It has no locks of rows.
        return;
    }
    restart_with_private_endpoints(world).await;
    let mut slow = Operator::start(Reply::Never).await;
    let mut quick = Operator::start(TAKEN).await;
    serve(world, "op-a", &slow.url).await;
    serve(world, "op-b", &quick.url).await;
    let (held, other) = (taxi(world, "op-a", 1).await, taxi(world, "op-b", 2).await);
    let hail = world.hail("app", &held, "op-a").await;
    slow.next().await;
    // Its process ends: the call is due again. Whoever has the row does not let go of it.
    world.stop().await;
    let mut connection = PgConnection::connect(&world.database.url).await.unwrap();
    let mut holding = connection.begin().await.unwrap();
    let lock = "SELECT id FROM hails WHERE id = $1 FOR UPDATE";
    sqlx::query(lock).bind(&hail).execute(&mut *holding).await.unwrap();
    world.clock.advance(4_000);
    restart_with_private_endpoints(world).await;
    let other = world.hail("other-app", &other, "op-b").await;
    assert_eq!(quick.next().await.hail["id"], other);
    world.stands(&other, "received_by_operator").await;
    assert!(slow.look().is_none());
    holding.rollback().await.unwrap();
    slow.next().await;
}

async fn a_slow_operator_keeps_nobody_waiting(world: &mut World) {
    restart_with_private_endpoints(world).await;
    let mut slow = Operator::start(Reply::Never).await;
    let mut quick = Operator::start(TAKEN).await;
    serve(world, "op-a", &slow.url).await;
    serve(world, "op-b", &quick.url).await;
    // More than it may have under way: the last ones wait for a place.
    let mut waiting = Vec::new();
    for number in 1..=CALLS_AN_OPERATOR + 3 {
        let taxi = taxi(world, "op-a", u32::try_from(number).unwrap()).await;
        waiting.push(world.hail("app", &taxi, "op-a").await);
        if number <= CALLS_AN_OPERATOR {
            slow.next().await;
        }
    }
    let taxi = taxi(world, "op-b", 900).await;
    let hail = world.hail("app", &taxi, "op-b").await;
    quick.next().await;
    world.stands(&hail, "received_by_operator").await;
    assert!(slow.look().is_none(), "no more than it has places for");
    for hail in &waiting {
        let hail = world.client.get(world.key("admin"), &format!("/hails/{hail}")).await.element(200);
        assert_eq!(hail["status"], "received");
    }
    world.clock.advance(10_000);
    for hail in &waiting {
        world.stands(hail, "failure").await;
    }
}

async fn our_own_network_is_not_called(world: &mut World) {
    restart_with_private_endpoints(world).await;
    let mut operator = Operator::start(TAKEN).await;
    let taxi = taxi(world, "op-a", 1).await;
    for url in [operator.url.clone(), operator.url.replace("127.0.0.1", "localhost")] {
        serve(world, "op-a", &url).await;
        // What was allowed when it was saved is not any more.
        world.stop().await;
        world.start().await;
        world.place("op-a", &taxi, HERE).await;
        let hail = world.hail("app", &taxi, "op-a").await;
        let ended = world.stands(&hail, "failure").await;
        let reason = ended["transitions"][1]["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("public") && !reason.contains("127"), "{reason}");
        assert!(operator.look().is_none());
        restart_with_private_endpoints(world).await;
    }
}

async fn a_call_that_fails_ends_the_hail(world: &mut World) {
    restart_with_private_endpoints(world).await;
    let mut operator = Operator::start(TAKEN).await;
    serve(world, "op-a", &operator.url).await;
    let taxi = taxi(world, "op-a", 1).await;
    for reply in [Reply::With(500, "{}"), Reply::With(200, "hello"), Reply::With(302, "{}")] {
        operator.reply(reply.clone());
        let hail = world.hail("app", &taxi, "op-a").await;
        operator.next().await;
        let ended = world.stands(&hail, "failure").await;
        assert!(ended["transitions"][1]["reason"].is_string(), "{reply:?}: {ended}");
        assert_eq!(status(world, "op-a", &taxi).await, "free", "{reply:?}");
    }
}

/// The request for a taxi, one field of it otherwise.
fn at(field: &str, value: &str, taxi: &str) -> Value {
    let mut wanted = wanted(taxi);
    wanted[field] = json!(value);
    wanted
}

/// Asks for a taxi under a name.
pub(crate) async fn ask_once(client: &Client, key: &str, name: &str, wanted: &Value) -> Answer {
    let request = client.http.post(format!("{}/hails", client.base)).header("X-Api-Key", key);
    let request = request.header("Idempotency-Key", name).json(&json!({"data": [wanted]}));
    Answer::of(request).await.unwrap()
}

async fn a_request_that_is_repeated_is_made_once(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let ask = async |key: &str, name: &str, wanted: &Value| {
        ask_once(&world.client, world.key(key), name, wanted).await
    };
    let first = ask("app", "one", &wanted(&taxi)).await;
    assert_eq!(first.status, 201, "{first:?}");
    let again = ask("app", "one", &wanted(&taxi)).await;
    assert_eq!((again.status, &again.body), (201, &first.body), "the same answer");
    let repeated = world.client.get(world.key("app"), "/hails?repeated=true").await.body["data"].take();
    assert_eq!((repeated.as_array().unwrap().len(), &repeated[0]["id"]), (1, &first.body["data"][0]["id"]));
    let other = ask("app", "one", &at("customer_phone_number", "07", &taxi)).await;
    assert_eq!(other.status, 422, "{other:?}");
    assert_eq!(ask("app", "two", &wanted(&taxi)).await.status, 400, "another request finds the taxi busy");
    assert_eq!(ask("other-app", "one", &wanted(&taxi)).await.status, 400, "another app's names are its own");
    assert_eq!(ask("app", "", &wanted(&taxi)).await.status, 400);
    // What was refused is not remembered.
    world.free("op-a", &taxi).await;
    assert_eq!(ask("app", "two", &wanted(&taxi)).await.status, 201);

    world.free("op-a", &taxi).await;
    let asking = (0..6).map(|_| {
        let (client, key, wanted) = (world.client.clone(), world.key("app").to_owned(), wanted(&taxi));
        tokio::spawn(async move { ask_once(&client, &key, "three", &wanted).await })
    });
    let mut ids = std::collections::BTreeSet::new();
    for answer in asking.collect::<Vec<_>>() {
        ids.insert(answer.await.unwrap().element(201)["id"].to_string());
    }
    assert_eq!(ids.len(), 1, "at the same moment, too");

    world.clock.advance(24 * 3_600_000 + 1);
    world.place("op-a", &taxi, HERE).await;
    world.free("op-a", &taxi).await;
    let next_day = ask("app", "one", &wanted(&taxi)).await.element(201);
    assert_ne!(next_day["id"], first.body["data"][0]["id"]);
}

async fn a_place_without_an_address_is_looked_up(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let nowhere = at("customer_address", "", &taxi);
    let ask = async |world: &World| world.client.post(world.key("app"), "/hails", &nowhere).await;
    let message = "Customer can't be located, please provide an pickup address for the taxi.";
    let unlocated = json!({"errors": {"data": {"0": {"customer_address": [message]}}}});
    let answer = ask(world).await;
    assert_eq!((answer.status, &answer.body), (400, &unlocated));
    assert_eq!(status(world, "op-a", &taxi).await, "free");
    let label = r#"{"features": [{"properties": {"label": "8 Boulevard du Port 80000 Amiens"}}]}"#;
    for (reply, address) in
        [(Reply::With(200, label), Some("8 Boulevard du Port 80000 Amiens")), (Reply::With(500, "{}"), None)]
    {
        let geocoder = Operator::start(reply).await;
        world.stop().await;
        world.start_as(|config| config.geocoder = Some(geocoder.url.parse().unwrap())).await;
        world.place("op-a", &taxi, HERE).await;
        world.free("op-a", &taxi).await;
        let answer = ask(world).await;
        match address {
            Some(address) => assert_eq!(answer.element(201)["customer_address"], address),
            None => assert_eq!((answer.status, &answer.body), (400, &unlocated)),
        }
    }
}

async fn a_refusal_has_a_ground_and_a_duration(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let hail = world.hail("app", &taxi, "op-a").await;
    world.take("op-a", &hail).await;
    world.moves("op-a", &hail, &json!({"status": "received_by_taxi"})).await;
    let path = format!("/hails/{hail}");
    let put = async |account: &str, wish: Value| world.client.put(world.key(account), &path, &wish).await;
    let early = put("op-a", json!({"declined_by_taxi_reason": "prior_booking"})).await;
    assert_eq!(early.status, 400, "{early:?}");
    let wrong = put("op-a", json!({"status": "declined_by_taxi", "declined_by_taxi_reason": "mood"})).await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    world.clock.advance(7_000);
    let refused =
        put("op-a", json!({"status": "declined_by_taxi", "declined_by_taxi_reason": "prior_booking"})).await;
    assert_eq!(refused.element(200)["transitions"][4]["reason"], "prior_booking");
    assert_eq!(
        put("app", json!({"declined_by_taxi_reason": "event"})).await.status,
        400,
        "it is the operator's"
    );
    let row = world.server().app.registry.store().hail(&hail).await.unwrap().unwrap();
    assert_eq!(
        (row.declined_after_ms, row.declined_by_taxi_reason.as_deref()),
        (Some(7_000), Some("prior_booking"))
    );
    let later = put("op-a", json!({"declined_by_taxi_reason": "event"})).await.element(200);
    assert_eq!(later["transitions"][4]["reason"], "event");
}
