//! Lists of hails and of sessions: who sees what, and customers who are banned.

use api::limits::SESSION_HAILS_MAX;
use api::routes::hails::SHOWN_MS;
use serde_json::{Value, json};

use crate::harness::client::Answer;
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::{World, wanted};

on_each_database!(
    each_sees_its_own_hails_as_it_may,
    who_is_app_and_operator_sees_both_kinds,
    lists_are_narrowed_by_what_the_caller_sees,
    wrong_arguments_are_told_at_once,
    lists_are_read_in_pages,
    hails_are_shown_for_sixty_days,
    a_session_is_hails_less_than_five_minutes_apart,
    a_session_shows_what_its_app_may_see,
    a_session_shows_its_first_hundred_hails,
    customer_support_sees_settled_hails,
    a_reported_customer_is_banned_and_a_report_taken_back_ends_it,
    an_app_bans_its_own_customers,
    moments_of_bans_are_answered_as_they_were_given,
);

/// In the middle town.
const HERE: (f64, f64) = (48.83, 2.35);
const NEUTRAL: &str = "chauffeur professionnel";
const HIDDEN: &str = "0600000000";
const DAY_MS: i64 = 24 * 3_600_000;

/// A taxi that is seen where customers are.
async fn taxi(world: &World, operator: &str, number: u32) -> String {
    let taxi = world.register(operator, number, MIDDLE).await;
    world.place(operator, &taxi, HERE).await;
    taxi
}

/// Sets the status of an operator's taxi.
async fn set(world: &World, operator: &str, taxi: &str, status: &str) {
    let status = json!({"status": status});
    world.client.put(world.key(operator), &format!("/taxis/{taxi}"), &status).await.element(200);
}

/// Asks for a taxi by any id of its, a second after whatever was before.
async fn ask(world: &World, key: &str, taxi: &str, customer: &str) -> Answer {
    world.clock.advance(1_000);
    let mut wanted = wanted(taxi);
    wanted["customer_id"] = json!(customer);
    world.client.post(key, "/hails", &wanted).await
}

/// Gives the id of a hail whose customer declines at once, so that its taxi is free again.
async fn hail_with(world: &World, key: &str, taxi: &str, customer: &str) -> String {
    let hail = ask(world, key, taxi, customer).await.element(201);
    let id = hail["id"].as_str().unwrap().to_owned();
    let declined = json!({"status": "declined_by_customer"});
    world.client.put(key, &format!("/hails/{id}"), &declined).await.element(200);
    id
}

/// The same by an account of the world.
async fn hail(world: &World, app: &str, taxi: &str, customer: &str) -> String {
    hail_with(world, world.key(app), taxi, customer).await
}

async fn get_with(world: &World, key: &str, path: &str) -> Value {
    let answer = world.client.get(key, path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body
}

async fn get(world: &World, account: &str, path: &str) -> Value {
    get_with(world, world.key(account), path).await
}

/// One field of each element of a list.
fn field<'a>(body: &'a Value, name: &str) -> Vec<&'a str> {
    let elements = body["data"].as_array().unwrap();
    elements.iter().map(|element| element[name].as_str().unwrap()).collect()
}

/// Asserts which hails a list of an account has, and that it counts them.
async fn lists(world: &World, account: &str, arguments: &str, expected: &[&str]) {
    let body = get(world, account, &format!("/hails{arguments}")).await;
    assert_eq!(field(&body, "id"), expected, "{arguments} as {account}");
    assert_eq!(body["meta"]["total"], expected.len(), "{arguments} as {account}");
}

async fn each_sees_its_own_hails_as_it_may(world: &mut World) {
    let (a, b) = (taxi(world, "op-a", 1).await, taxi(world, "op-b", 2).await);
    let ann = hail(world, "app", &a, "ann").await;
    let bob = hail(world, "other-app", &b, "bob").await;
    set(world, "op-a", &a, "off").await;
    let pseudonym = world.search("app", HERE).await[0]["id"].as_str().unwrap().to_owned();
    assert_ne!(pseudonym, b);
    let carl = ask(world, world.key("app"), &pseudonym, "carl").await.element(201);
    let carl = carl["id"].as_str().unwrap().to_owned();
    world.stands(&carl, "sent_to_operator").await;

    let element = |id: &str, app: &str, operator: &str, taxi: &str, customer: &str| {
        let (second, status) = match customer {
            "ann" => (21, "declined_by_customer"),
            "bob" => (22, "declined_by_customer"),
            _ => (23, "sent_to_operator"),
        };
        json!({"id": id, "added_by": app, "operateur": operator, "status": status, "taxi_id": taxi,
               "creation_datetime": format!("2026-09-21T14:13:{second}"), "customer_id": customer})
    };
    for (account, expected) in [
        (
            "admin",
            vec![
                element(&carl, "app", "op-b", &b, "carl"),
                element(&bob, "other-app", "op-b", &b, "bob"),
                element(&ann, "app", "op-a", &a, "ann"),
            ],
        ),
        (
            "app",
            vec![
                element(&carl, "app", NEUTRAL, &pseudonym, "carl"),
                element(&ann, "app", NEUTRAL, &a, "ann"),
            ],
        ),
        ("other-app", vec![element(&bob, "other-app", NEUTRAL, &b, "bob")]),
        ("op-a", vec![element(&ann, "app", "op-a", &a, "ann")]),
        (
            "op-b",
            vec![element(&carl, "app", "op-b", &b, "carl"), element(&bob, "other-app", "op-b", &b, "bob")],
        ),
    ] {
        for path in ["/hails", "/hails/"] {
            assert_eq!(get(world, account, path).await["data"], json!(expected), "{path} as {account}");
        }
    }
    world.stop().await;
    world.start_as(|config| config.behaviour.neutral_operator = false).await;
    assert_eq!(field(&get(world, "app", "/hails").await, "operateur"), ["op-b", "op-a"]);
}

async fn who_is_app_and_operator_sees_both_kinds(world: &mut World) {
    let roles = ["user", "add", "both", "--role", "operateur", "--role", "moteur", "--json"];
    let added: Value = serde_json::from_str(&world.program().done(&roles).await).unwrap();
    let key = added["apikey"].as_str().unwrap();
    let known = async || (world.client.get(key, "/hails").await.status == 200).then_some(());
    within(SOON, "a new account", known).await;
    let a = taxi(world, "op-a", 1).await;
    let b = world.client.register(key, 2, MIDDLE).await;
    let position = json!({"taxi_id": b, "lat": HERE.0, "lon": HERE.1});
    let reported = world.client.post(key, "/geotaxi", &json!({"positions": [position]})).await;
    assert_eq!(reported.status, 200, "{reported:?}");
    let seen = async || (world.search("admin", HERE).await.len() == 2).then_some(());
    within(SOON, "both taxis", seen).await;

    let of_its_taxi = hail(world, "app", &b, "ann").await;
    let made = hail_with(world, key, &a, "bob").await;
    let own = hail_with(world, key, &b, "carl").await;
    hail(world, "app", &a, "nobody of theirs").await;

    let all = get_with(world, key, "/hails").await;
    assert_eq!(field(&all, "id"), [&own, &made, &of_its_taxi], "each once");
    assert_eq!(all["meta"]["total"], 3);
    assert_eq!(field(&all, "operateur"), ["both", NEUTRAL, "both"]);
    for (arguments, expected) in [
        (format!("taxi_id={a}&taxi_id={b}"), vec![&own, &made, &of_its_taxi]),
        (format!("taxi_id={a}"), vec![&made]),
        (format!("taxi_id={b}&moteur=both"), vec![&own]),
        ("moteur=app".to_owned(), vec![&of_its_taxi]),
        ("customer_id=c&customer_id=b".to_owned(), vec![&own, &made]),
    ] {
        let body = get_with(world, key, &format!("/hails?{arguments}")).await;
        assert_eq!(field(&body, "id"), expected, "{arguments}");
    }
}

async fn lists_are_narrowed_by_what_the_caller_sees(world: &mut World) {
    let (a, b) = (taxi(world, "op-a", 1).await, taxi(world, "op-b", 2).await);
    set(world, "op-b", &b, "off").await;
    let seen = world.search("app", HERE).await[0]["id"].as_str().unwrap().to_owned();
    set(world, "op-b", &b, "free").await;
    let ann = hail(world, "app", &seen, "Ann").await;
    let anton = hail(world, "other-app", &b, "anton").await;
    let bob = hail(world, "app", &b, "bob 100%_").await;
    let all: [&str; 3] = [&bob, &anton, &ann];
    for (arguments, expected) in [
        ("?customer_id=AN", &[&*anton, &ann] as &[&str]),
        ("?customer_id=ann&customer_id=bo", &[&bob, &ann]),
        ("?customer_id=nn", &[]),
        ("?customer_id=bob%20100%25_", &[&bob]),
        ("?customer_id=%25", &[]),
        ("?customer_id=x&customer_id=", &all),
        (&format!("?id={}", ann.to_lowercase()), &[&ann]),
        (&format!("?id={bob}&id={anton}&id=0"), &[&bob, &anton]),
        ("?moteur=OTHER", &[&anton]),
        ("?moteur=nobody", &[]),
        ("?operateur=op-B&operateur=nobody", &[&bob, &anton]),
        ("?operateur=op", &all),
        ("?operateur=op-b&moteur=app&customer_id=b", &[&bob]),
        (&format!("?taxi_id={}", a.to_uppercase()), &[&ann]),
        (&format!("?taxi_id={seen}"), &[]),
        ("?status=declined_by_customer", &all),
        ("?status=finished&status=failure", &[]),
        ("?date=2026/9/21", &all),
        ("?date=2026/09/20&date=2026/09/22", &[]),
        ("?date=0001/01/01&date=9999/12/31", &[]),
    ] {
        lists(world, "admin", arguments, expected).await;
    }
    // An app knows the pseudonym and no operator: that it asks for one does nothing.
    lists(world, "app", &format!("?taxi_id={seen}"), &[&ann]).await;
    lists(world, "app", &format!("?taxi_id={a}"), &[]).await;
    lists(world, "app", "?operateur=op-a", &[&bob, &ann]).await;
    lists(world, "app", "?customer_id=an", &[&ann]).await;
    lists(world, "app", "?moteur=other-app", &[]).await;
    lists(world, "op-b", "?moteur=app", &[&bob]).await;
    lists(world, "op-b", &format!("?taxi_id={b}&operateur=op-a"), &[&bob, &anton]).await;
}

async fn wrong_arguments_are_told_at_once(world: &mut World) {
    let one_of = "Must be one of: received, sent_to_operator, received_by_operator, received_by_taxi, \
                  accepted_by_taxi, accepted_by_customer, customer_on_board, failure, declined_by_taxi, \
                  incident_taxi, timeout_taxi, declined_by_customer, incident_customer, timeout_customer, \
                  timeout_accepted_by_customer, finished.";
    let date = "?date=2026/09/21&date=2026-09-21&status=foo&foo=1&p=x";
    let errors = json!({"date": {"1": ["Not a valid date."]}, "status": {"0": [one_of]},
                        "foo": ["Unknown field."], "p": {"0": ["Not a valid integer."]}});
    let refused = async |account: &str, path: &str| {
        let answer = world.client.get(world.key(account), path).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        answer.body["errors"].clone()
    };
    assert_eq!(refused("app", &format!("/hails{date}")).await, errors);
    let many = format!("/hails?{}", "id=a&".repeat(51));
    assert_eq!(refused("op-a", &many).await, json!({"id": ["Up to 50 values are accepted"]}));
    assert_eq!(refused("app", "/sessions?id=x").await, json!({"id": ["Unknown field."]}));
    let errors = json!({"date": {"0": ["Not a valid date."]}});
    assert_eq!(refused("app", "/sessions?date=2026-09-21").await, errors);
    let support = "/internal/customers?status=foo&customer_id=ann";
    let errors = json!({"status": {"0": [one_of]}, "customer_id": ["Unknown field."]});
    assert_eq!(refused("admin", support).await, errors);
    for (account, path) in [("op-a", "/sessions"), ("app", "/internal/customers")] {
        assert_eq!(world.client.get(world.key(account), path).await.status, 403, "{path}");
    }
}

async fn lists_are_read_in_pages(world: &mut World) {
    let a = taxi(world, "op-a", 1).await;
    let mut made = Vec::new();
    for customer in 0..31 {
        made.insert(0, hail(world, "app", &a, &format!("customer {customer}")).await);
    }
    for account in ["admin", "app", "op-a"] {
        let (first, second) = (get(world, account, "/hails").await, get(world, account, "/hails?p=2").await);
        assert_eq!(field(&first, "id"), made[..30], "{account}");
        assert_eq!(field(&second, "id"), made[30..], "{account}");
        let meta = json!({"next_page": null, "prev_page": 1, "pages": 2, "per_page": 30, "total": 31});
        assert_eq!(second["meta"], meta);
        let narrowed = get(world, account, "/hails?customer_id=customer%202").await;
        assert_eq!(narrowed["meta"]["total"], 11, "2 and 20 to 29");
    }
    let sessions = get(world, "app", "/sessions?p=2").await;
    assert_eq!(field(&sessions, "customer_id"), ["customer 0"]);
    assert_eq!(sessions["data"][0]["hails"][0]["id"], made[30]);
    assert_eq!(sessions["meta"]["total"], 31);
    for (query, total) in [
        ("customer_id=Customer%202", 11),
        ("customer_id=customer%202&customer_id=customer%201&date=2026/09/21", 22),
        ("date=2026/9/20", 0),
        ("moteur=app", 31),
        ("moteur=other", 0),
    ] {
        for account in ["app", "admin"] {
            let narrowed = get(world, account, &format!("/sessions?{query}")).await;
            assert_eq!(narrowed["meta"]["total"], total, "{account}: {query}");
        }
        let others = get(world, "other-app", &format!("/sessions?{query}")).await;
        assert_eq!(others["meta"]["total"], 0, "{query}: nobody else's");
    }
    let beyond = get(world, "app", "/sessions?p=4").await;
    assert_eq!((&beyond["data"], &beyond["meta"]["prev_page"]), (&json!([]), &json!(3)));
}

async fn hails_are_shown_for_sixty_days(world: &mut World) {
    let a = taxi(world, "op-a", 1).await;
    let ann = hail(world, "app", &a, "ann").await;
    world.clock.advance(SHOWN_MS);
    for account in ["app", "op-a", "admin"] {
        lists(world, account, "", &[&ann]).await;
    }
    assert_eq!(get(world, "app", "/sessions").await["meta"]["total"], 1);
    world.clock.advance(1);
    for account in ["app", "op-a"] {
        lists(world, account, "", &[]).await;
        let answer = world.client.get(world.key(account), &format!("/hails/{ann}")).await;
        assert_eq!(answer.status, 404, "{account}");
    }
    assert_eq!(get(world, "app", "/sessions").await["data"], json!([]));
    lists(world, "admin", "", &[&ann]).await;
    let sessions = get(world, "admin", "/sessions").await;
    assert_eq!(sessions["data"][0]["hails"][0]["id"], ann);
}

async fn a_session_is_hails_less_than_five_minutes_apart(world: &mut World) {
    let a = taxi(world, "op-a", 1).await;
    let later = async |ms: i64| {
        world.clock.advance(ms);
        world.place("op-a", &a, HERE).await;
    };
    let first = hail(world, "app", &a, "ann").await;
    // With the second that passes before each hail, a millisecond less than five minutes.
    later(5 * 60_000 - 1_001).await;
    let second = hail(world, "app", &a, "ann").await;
    let bobs = hail(world, "app", &a, "bob").await;
    let others = hail(world, "other-app", &a, "ann").await;
    // Five minutes.
    later(5 * 60_000 - 3_000).await;
    let third = hail(world, "app", &a, "ann").await;

    let sessions = get(world, "app", "/sessions").await;
    assert_eq!(field(&sessions, "customer_id"), ["ann", "bob", "ann"]);
    let hails = |session: usize| {
        let hails = sessions["data"][session]["hails"].as_array().unwrap();
        hails.iter().map(|hail| hail["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((hails(0), hails(1), hails(2)), (vec![third], vec![bobs], vec![first.clone(), second]));
    let session = &sessions["data"][2];
    assert_eq!(session["added_at"], "2026-09-21T14:13:21");
    assert_eq!(session["added_by_id"], world.number("app").to_string());
    let id = session["session_id"].as_str().unwrap();
    assert_eq!(get(world, "app", &format!("/hails/{first}")).await["data"][0]["session_id"], id);
    let of_other = get(world, "other-app", "/sessions").await;
    assert_eq!(
        (of_other["meta"]["total"].as_i64(), &of_other["data"][0]["hails"][0]["id"]),
        (Some(1), &json!(others))
    );
    assert_eq!(field(&get(world, "admin", "/sessions").await, "customer_id"), ["ann", "ann", "bob", "ann"]);

    // An app may say which session it is, however long ago.
    world.free("op-a", &a).await;
    let mut again = wanted(&a);
    again["session_id"] = json!(id);
    world.client.post(world.key("app"), "/hails", &again).await.element(201);
    let sessions = get(world, "app", "/sessions").await;
    assert_eq!(sessions["data"][2]["hails"].as_array().unwrap().len(), 3);
}

async fn a_session_shows_what_its_app_may_see(world: &mut World) {
    let public = taxi(world, "op-a", 1).await;
    let seen = world.search("app", HERE).await[0]["id"].as_str().unwrap().to_owned();
    let ann = ask(world, world.key("app"), &seen, "ann").await.element(201);
    let ann = ann["id"].as_str().unwrap();
    world.take("op-a", ann).await;
    world.moves("op-a", ann, &json!({"status": "received_by_taxi"})).await;
    let accepted = json!({"status": "accepted_by_taxi", "taxi_phone_number": "0622222222"});
    world.moves("op-a", ann, &accepted).await;
    let number = |account: &str| world.number(account).to_string();
    let account = |name: &str| json!({"id": number(name), "email": name, "commercial_name": name});
    let hail = json!({
        "id": ann, "status": "accepted_by_taxi", "moteur": account("app"),
        "operateur": {"id": null, "email": NEUTRAL, "commercial_name": NEUTRAL}, "taxi": {"id": seen},
        "added_at": "2026-09-21T14:13:21", "customer_lon": 2.3522, "customer_lat": 48.8566,
        "customer_address": "1 rue X", "customer_phone_number": HIDDEN, "taxi_phone_number": HIDDEN,
        "initial_taxi_lat": HERE.0, "initial_taxi_lon": HERE.1,
    });
    let mine = get(world, "app", "/sessions").await["data"][0].take();
    assert_eq!(mine["hails"], json!([hail]));

    let mut unhidden = hail.clone();
    unhidden["operateur"] = account("op-a");
    unhidden["taxi"]["id"] = json!(public);
    (unhidden["customer_phone_number"], unhidden["taxi_phone_number"]) =
        (json!("0611111111"), json!("0622222222"));
    assert_eq!(get(world, "admin", "/sessions").await["data"][0]["hails"], json!([unhidden]));

    world.moves("app", ann, &json!({"status": "accepted_by_customer"})).await;
    let coming = get(world, "app", "/sessions").await["data"][0]["hails"][0].take();
    let numbers = (&coming["customer_phone_number"], &coming["taxi_phone_number"]);
    assert_eq!(numbers, (&json!("0611111111"), &json!("0622222222")), "while the taxi is on its way");
}

async fn a_session_shows_its_first_hundred_hails(world: &mut World) {
    let a = taxi(world, "op-a", 1).await;
    let mut made = Vec::new();
    for _ in 0..=SESSION_HAILS_MAX {
        made.push(hail(world, "app", &a, "ann").await);
    }
    hail(world, "app", &a, "bob").await;
    let sessions = get(world, "app", "/sessions").await;
    let shown = |session: usize| sessions["data"][session]["hails"].as_array().unwrap().iter();
    let ids: Vec<_> = shown(1).map(|hail| hail["id"].as_str().unwrap()).collect();
    assert_eq!(ids, made[..SESSION_HAILS_MAX]);
    assert_eq!(shown(0).count(), 1, "others are shown all the same");
}

async fn customer_support_sees_settled_hails(world: &mut World) {
    let a = taxi(world, "op-a", 1).await;
    let ann = ask(world, world.key("app"), &a, "ann").await.element(201);
    let ann = ann["id"].as_str().unwrap().to_owned();
    world.take("op-a", &ann).await;
    world.moves("op-a", &ann, &json!({"status": "received_by_taxi"})).await;
    world
        .moves("op-a", &ann, &json!({"status": "accepted_by_taxi", "taxi_phone_number": "0622222222"}))
        .await;
    world.clock.advance(25_500);
    world.moves("app", &ann, &json!({"status": "declined_by_customer"})).await;
    let bob = hail(world, "other-app", &a, "bob").await;
    assert_eq!(get(world, "admin", "/internal/customers").await["meta"]["total"], 0);
    world.clock.advance(DAY_MS / 2);
    let support =
        async |arguments: &str| get(world, "admin", &format!("/internal/customers{arguments}")).await;
    assert_eq!(field(&support("").await, "id"), [&ann], "more than twelve hours ago");
    world.clock.advance(1);
    let all = support("/").await;
    assert_eq!(field(&all, "id"), [&bob, &ann]);
    assert_eq!(
        all["data"][1],
        json!({
            "id": ann, "added_at": "2026-09-21T14:13:21", "duration": "0:00:25", "moteur": "app",
            "operateur": "op-a", "status": "declined_by_customer", "customer_lon": 2.3522, "customer_lat": 48.8566,
            "customer_address": "1 rue X", "customer_phone_number": "0611111111", "taxi_phone_number": "0622222222",
        })
    );
    let meta = json!({"next_page": null, "prev_page": null, "pages": 1, "per_page": 100, "total": 2});
    assert_eq!(all["meta"], meta);
    for (arguments, expected) in [
        ("?moteur=App&operateur=op", vec![&ann]),
        ("?operateur=op-b", vec![]),
        ("?status=finished", vec![]),
        ("?status=declined_by_customer&moteur=other", vec![&bob]),
        ("?p=2", vec![]),
    ] {
        assert_eq!(field(&support(arguments).await, "id"), expected, "{arguments}");
    }
    assert_eq!(field(&support(&format!("?id={}", bob.to_uppercase())).await, "id"), [&bob]);
}

/// Whether a customer of an app can hail; if so, they decline at once.
async fn can_hail(world: &World, app: &str, taxi: &str) -> bool {
    let answer = ask(world, world.key(app), taxi, "ann").await;
    if answer.status == 403 {
        let errors = json!({"data": {"0": {"customer_id": ["This customer is banned."]}}});
        assert_eq!(answer.body["errors"], errors);
        return false;
    }
    let hail = answer.element(201);
    let declined = json!({"status": "declined_by_customer"});
    world.moves(app, hail["id"].as_str().unwrap(), &declined).await;
    true
}

async fn a_reported_customer_is_banned_and_a_report_taken_back_ends_it(world: &mut World) {
    let a = taxi(world, "op-a", 1).await;
    let ann = hail(world, "app", &a, "ann").await;
    let other = hail(world, "app", &a, "ann").await;
    let report = async |hail: &str, is_so: bool| {
        world.moves("op-a", hail, &json!({"reporting_customer": is_so})).await;
    };
    let can_hail_again = async || {
        world.place("op-a", &a, HERE).await;
        can_hail(world, "app", &a).await
    };
    report(&ann, true).await;
    assert!(!can_hail_again().await);
    hail(world, "app", &a, "bob").await;
    report(&ann, true).await;
    // Saying so again is no other report; a second has passed with each try.
    world.clock.advance(DAY_MS - 3_000);
    assert!(!can_hail_again().await, "to the last");
    assert!(can_hail_again().await, "a day has passed");

    report(&ann, false).await;
    report(&ann, true).await;
    world.clock.advance(DAY_MS / 2);
    report(&other, true).await;
    world.clock.advance(DAY_MS);
    assert!(!can_hail_again().await, "a second report during a ban doubles it");
    world.clock.advance(DAY_MS / 2);
    assert!(can_hail_again().await);

    report(&ann, false).await;
    report(&ann, true).await;
    assert!(!can_hail_again().await);
    report(&ann, false).await;
    assert!(can_hail_again().await, "taken back");
}

async fn an_app_bans_its_own_customers(world: &mut World) {
    let a = taxi(world, "op-a", 1).await;
    hail(world, "app", &a, "ann").await;
    hail(world, "other-app", &a, "ann").await;
    let can_hail = async |app: &str| can_hail(world, app, &a).await;
    let put = async |account: &str, customer: &str, element: Value| {
        world.client.put(world.key(account), &format!("/customers/{customer}"), &element).await
    };
    put("app", "ann", json!({"ban_begin": "2026-09-21T00:00:00", "ban_end": "2026-09-22T00:00:00"}))
        .await
        .element(200);
    assert!(!can_hail("app").await);
    assert!(can_hail("other-app").await, "each app has its own");
    put("app", "ann", json!({"ban_begin": null, "ban_end": null})).await.element(200);
    assert!(can_hail("app").await);

    let moteur = "Invalid moteur_id. Should match your user id.";
    let wrong = "Not a valid datetime.";
    let (app, other) = (world.number("app"), world.number("other-app"));
    for (account, element, errors) in [
        (
            "app",
            json!({"ban_begin": "yesterday", "ban_end": 3, "reprieve_begin": "", "foo": 1, "moteur_id": "x"}),
            json!({"ban_begin": [wrong], "ban_end": [wrong], "reprieve_begin": [wrong], "foo": ["Unknown field."],
                   "moteur_id": ["Not a valid integer."]}),
        ),
        ("app", json!({"moteur_id": null}), json!({"moteur_id": ["Field may not be null."]})),
        ("app", json!({"ban_begin": null, "moteur_id": other}), json!({"moteur_id": [moteur]})),
        ("admin", json!({"ban_end": null}), json!({"moteur_id": ["Missing data for required field."]})),
        ("admin", json!({"ban_end": 3}), json!({"ban_end": [wrong]})),
    ] {
        let answer = put(account, "ann", element.clone()).await;
        assert_eq!(
            (answer.status, &answer.body["errors"]["data"]["0"]),
            (400, &errors),
            "{element} by {account}"
        );
    }
    for (account, customer, element, whose) in [
        ("app", "nobody", json!({"ban_begin": null}), "app"),
        ("admin", "nobody", json!({"moteur_id": other}), "other-app"),
        ("admin", "ann", json!({"moteur_id": 987_654}), "987654"),
    ] {
        let answer = put(account, customer, element).await;
        let message = format!("No customer {customer} found associated to user {whose}");
        assert_eq!((answer.status, &answer.body["errors"]), (404, &json!({"url": [message]})));
    }
    assert_eq!(put("op-a", "ann", json!({"ban_begin": null})).await.status, 403);
    assert_eq!(world.client.put(world.key("app"), "/customers/ann", &Value::Null).await.status, 400);

    let until = json!({"ban_end": "2026-10-01T00:00:00Z", "moteur_id": app});
    put("app", "ann", until.clone()).await.element(200);
    put("admin", "ann", until).await.element(200);
    assert!(!can_hail("app").await && can_hail("other-app").await);
}

async fn moments_of_bans_are_answered_as_they_were_given(world: &mut World) {
    let a = taxi(world, "op-a", 1).await;
    hail(world, "app", &a, "ann of ours").await;
    let put = async |element: Value| {
        world.client.put(world.key("app"), "/customers/ann%20of%20ours/", &element).await.element(200)
    };
    let nothing = json!({"ban_begin": null, "ban_end": null, "reprieve_begin": null, "reprieve_end": null});
    assert_eq!(put(json!({})).await, nothing);
    assert_eq!(
        put(json!({"ban_begin": "2022-02-01T16:42:58.248Z", "ban_end": "2022-03-01 16:42+02:00"})).await,
        json!({"ban_begin": "2022-02-01T16:42:58.248000+00:00", "ban_end": "2022-03-01T16:42:00+02:00",
               "reprieve_begin": null, "reprieve_end": null})
    );
    assert_eq!(
        put(json!({"reprieve_end": "2022-02-01T00:00:00.123456"})).await,
        json!({"ban_begin": "2022-02-01T16:42:58.248000", "ban_end": "2022-03-01T14:42:00",
               "reprieve_begin": null, "reprieve_end": "2022-02-01T00:00:00.123456"})
    );
    assert_eq!(
        put(json!({"ban_begin": null, "ban_end": null})).await,
        json!({"ban_begin": null, "ban_end": null, "reprieve_begin": null,
               "reprieve_end": "2022-02-01T00:00:00.123000"})
    );
}
