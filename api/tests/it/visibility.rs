//! Why a taxi is or is not seen: check by check, and in agreement with what a search finds.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::harness::places::{EAST, MIDDLE, WEST};
use crate::world::World;

on_each_database!(
    a_taxi_that_is_seen_passes_every_check,
    each_check_tells_what_it_saw_and_what_it_needs,
    of_two_operators_the_one_heard_last_is_told_so,
    only_the_taxis_operators_and_administrators_may_ask,
    visible_means_found_step_by_step,
);

/// In the middle town.
const HERE: (f64, f64) = (48.83, 2.35);

/// In the order in which they are told.
const NAMES: [&str; 9] =
    ["registered", "free", "position", "exclusion", "town", "zupc", "radius", "heard_last", "nearest"];

fn path(taxi: &str, (lat, lon): (f64, f64)) -> String {
    format!("/taxis/{taxi}/visibility?lon={lon}&lat={lat}")
}

async fn ask(world: &World, operator: &str, taxi: &str, customer: (f64, f64)) -> Value {
    world.client.get(world.key(operator), &path(taxi, customer)).await.element(200)
}

/// The names of the checks that failed.
fn failed(answer: &Value) -> Vec<&str> {
    let checks = answer["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES, "always all of them");
    assert!(checks.iter().all(|check| !check["message"].as_str().unwrap().is_empty()), "{answer}");
    let failed = checks.iter().filter(|check| check["passed"] == false);
    let failed: Vec<_> = failed.map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(answer["visible"] == true, failed.is_empty(), "{answer}");
    failed
}

/// What a check saw, and what it needs.
fn evidence<'a>(answer: &'a Value, name: &str) -> (&'a Value, &'a Value) {
    let place = NAMES.iter().position(|one| *one == name).unwrap();
    let check = &answer["checks"][place];
    (&check["seen"], &check["needed"])
}

async fn a_taxi_that_is_seen_passes_every_check(world: &mut World) {
    let taxi = world.register("op-a", 1, WEST).await;
    world.place("op-a", &taxi, HERE).await;
    world.clock.advance(1_500);
    let answer = ask(world, "op-a", &taxi, HERE).await;
    assert!(failed(&answer).is_empty(), "{answer}");
    let fields = (&answer["taxi"], &answer["operator"], &answer["at"], &answer["lat"], &answer["lon"]);
    let at = json!("2026-09-21T14:13:21.500000");
    assert_eq!(fields, (&json!(taxi), &json!("op-a"), &at, &json!(HERE.0), &json!(HERE.1)));
    for (name, seen, needed) in [
        ("registered", json!(true), json!(true)),
        ("free", json!("free"), json!("free")),
        (
            "position",
            json!({"lat": HERE.0, "lon": HERE.1, "received_at": "2026-09-21T14:13:20", "age_s": 1.5}),
            json!({"age_s_below": 120.0}),
        ),
        ("exclusion", Value::Null, Value::Null),
        ("town", json!({"insee": MIDDLE, "name": format!("Town {MIDDLE}")}), json!("a town")),
        ("zupc", json!({"insee": WEST}), json!({"insee": MIDDLE, "zupc": [{"id": "z", "name": "Z"}]})),
        ("radius", json!({"distance_m": 0.0}), json!({"distance_m_at_most": 500.0})),
        ("heard_last", json!({"received_at": "2026-09-21T14:13:20"}), json!({"received_after": null})),
        ("nearest", json!({"nearer": 0}), json!({"nearer_below": 1_000})),
    ] {
        assert_eq!(evidence(&answer, name), (&seen, &needed), "{name}");
    }
    assert_eq!(world.search("app", HERE).await.len(), 1);
}

async fn each_check_tells_what_it_saw_and_what_it_needs(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let answer = ask(world, "op-a", &taxi, HERE).await;
    assert_eq!(failed(&answer), ["position", "radius"]);
    assert_eq!(evidence(&answer, "position").0, &Value::Null);
    assert!(answer["checks"][2]["message"].as_str().unwrap().contains("/operators/me/refusals"), "{answer}");

    world.place("op-a", &taxi, HERE).await;
    let set = async |element: Value| {
        world.client.put(world.key("op-a"), &format!("/taxis/{taxi}"), &element).await.element(200);
    };
    set(json!({"status": "occupied", "radius": 200})).await;
    let answer = ask(world, "op-a", &taxi, HERE).await;
    assert_eq!((failed(&answer), evidence(&answer, "free").0), (vec!["free"], &json!("occupied")));
    set(json!({"status": "free"})).await;

    let near = (HERE.0 + 0.001_9, HERE.1);
    let answer = ask(world, "op-a", &taxi, near).await;
    let (seen, needed) = evidence(&answer, "radius");
    assert_eq!((failed(&answer), needed), (vec!["radius"], &json!({"distance_m_at_most": 200.0})));
    let distance_m = seen["distance_m"].as_f64().unwrap();
    assert!((211.0..212.0).contains(&distance_m), "{distance_m}");
    set(json!({"radius": null})).await;
    assert!(failed(&ask(world, "op-a", &taxi, near).await).is_empty());

    let closed = (48.865, 2.365);
    world.place("op-a", &taxi, closed).await;
    let answer = ask(world, "op-a", &taxi, closed).await;
    assert_eq!(failed(&answer), ["exclusion"]);
    assert_eq!(evidence(&answer, "exclusion").0, &json!({"id": "e", "name": "Airport"}));

    world.place("op-a", &taxi, (48.83, 2.399)).await;
    let answer = ask(world, "op-a", &taxi, (48.83, 2.401)).await;
    assert_eq!(failed(&answer), ["zupc"]);
    let (seen, needed) = evidence(&answer, "zupc");
    assert_eq!((seen, needed), (&json!({"insee": MIDDLE}), &json!({"insee": EAST, "zupc": []})));
    let answer = ask(world, "op-a", &taxi, (48.83, 2.6)).await;
    assert_eq!(failed(&answer), ["town", "zupc", "radius"]);
    assert_eq!((evidence(&answer, "town").0, evidence(&answer, "zupc").1), (&Value::Null, &Value::Null));

    world.place("op-a", &taxi, HERE).await;
    world.clock.advance(119_999);
    assert!(failed(&ask(world, "op-a", &taxi, HERE).await).is_empty());
    world.clock.advance(1);
    let answer = ask(world, "op-a", &taxi, HERE).await;
    assert_eq!(
        (failed(&answer), &evidence(&answer, "position").0["age_s"]),
        (vec!["position"], &json!(120.0))
    );
}

async fn of_two_operators_the_one_heard_last_is_told_so(world: &mut World) {
    let taxi = shared(world, 1).await;
    world.place("op-a", &taxi, HERE).await;
    world.clock.advance(1_000);
    world.place("op-b", &taxi, HERE).await;
    let (a, b) = (ask(world, "op-a", &taxi, HERE).await, ask(world, "op-b", &taxi, HERE).await);
    assert_eq!((failed(&a), failed(&b)), (vec!["heard_last"], vec![]));
    assert_eq!(
        evidence(&a, "heard_last"),
        (&json!({"received_at": "2026-09-21T14:13:20"}), &json!({"received_after": "2026-09-21T14:13:21"}))
    );
    assert!(!a.to_string().contains("op-b"), "a competitor is not named: {a}");
    let both = world.client.get(world.key("admin"), &path(&taxi, HERE)).await;
    let both: Vec<_> = both.body["data"].as_array().unwrap().clone();
    let seen: Vec<_> = both.iter().map(|one| (&one["operator"], &one["visible"])).collect();
    assert_eq!(seen, [(&json!("op-a"), &json!(false)), (&json!("op-b"), &json!(true))]);
}

async fn only_the_taxis_operators_and_administrators_may_ask(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    for (account, id, status) in [
        ("op-a", taxi.as_str(), 200),
        ("admin", &taxi, 200),
        ("op-b", &taxi, 404),
        ("op-a", "nobody", 404),
        ("admin", "nobody", 404),
        ("app", &taxi, 403),
    ] {
        let answer = world.client.get(world.key(account), &path(id, HERE)).await;
        assert_eq!(answer.status, status, "{account} {answer:?}");
    }
    let url = format!("/taxis/{taxi}/visibility");
    let answer = world.client.get(world.key("op-a"), &url).await;
    let missing = json!(["Missing data for required field."]);
    assert_eq!((answer.status, answer.body), (400, json!({"errors": {"lat": missing, "lon": missing}})));
    let answer = world.client.get(world.key("op-a"), &format!("{url}?lon=181&lat=x")).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.body["errors"]["lat"], json!(["Not a valid number."]));
    assert!(answer.body["errors"]["lon"].is_array(), "{answer:?}");
}

/// Six taxis, some of two operators, live at random on both sides of every line there is.
async fn visible_means_found_step_by_step(world: &mut World) {
    let mut random = StdRng::seed_from_u64(7);
    let mut taxis = Vec::new();
    for (number, insee) in [(1, MIDDLE), (2, WEST), (3, EAST)] {
        taxis.push((shared(world, 10 + number).await, vec!["op-a", "op-b"]));
        taxis.push((world.register("op-a", number, insee).await, vec!["op-a"]));
    }
    // Around the corner of a zone, the border of two towns, and the end of all towns.
    let places = [(48.86, 2.37), (48.85, 2.399), (48.899, 2.35), (48.85, 2.301)];
    let (mut found_in_all, mut asked) = (0, 0);
    for step in 0..40 {
        let centre = places[step % places.len()];
        let mut around = |reach: f64| {
            let mut off = |from: f64| ((from + random.random_range(-reach..reach)) * 1e6).round() / 1e6;
            (off(centre.0), off(centre.1))
        };
        let (at, customer) = (around(0.003), around(0.003));
        let (taxi, operators) = &taxis[random.random_range(0..taxis.len())];
        let operator = operators[random.random_range(0..operators.len())];
        match random.random_range(0..4) {
            0 => {
                let status = ["free", "free", "occupied", "off"][random.random_range(0..4)];
                let element = json!({"status": status, "radius": random.random_range(150..=500)});
                world.client.put(world.key(operator), &format!("/taxis/{taxi}"), &element).await.element(200);
            }
            1 => world.clock.advance([1, 1_000, 30_000, 59_999][random.random_range(0..4)]),
            _ => {
                // Everybody comes along, so that somebody is seen.
                for (taxi, operators) in &taxis {
                    let operator = operators[random.random_range(0..operators.len())];
                    world.clock.advance(1_000);
                    world.place(operator, taxi, at).await;
                }
            }
        }
        let answer = world
            .client
            .get(world.key("admin"), &format!("/taxis?lon={}&lat={}", customer.1, customer.0))
            .await;
        assert!([200, 404].contains(&answer.status), "{answer:?}");
        let found: Vec<_> = answer.body["data"].as_array().cloned().unwrap_or_default();
        found_in_all += found.len();
        for (taxi, operators) in &taxis {
            for &operator in operators {
                let answer = ask(world, operator, taxi, customer).await;
                let is_found = found.iter().any(|one| one["id"] == *taxi && one["operator"] == operator);
                assert_eq!(failed(&answer).is_empty(), is_found, "step {step}: {answer} among {found:?}");
                asked += 1;
            }
        }
    }
    assert!(found_in_all > 20 && asked - found_in_all > 20, "{found_in_all} of {asked}");
}

/// A taxi that two operators describe as free.
async fn shared(world: &World, number: u32) -> String {
    let taxi = world.register("op-a", number, MIDDLE).await;
    let plate = &world.look("op-a", &taxi).await["vehicle"]["licence_plate"];
    world.client.post(world.key("op-b"), "/vehicles", &json!({"licence_plate": plate})).await.element(201);
    let free = json!({"status": "free"});
    world.client.put(world.key("op-b"), &format!("/taxis/{taxi}"), &free).await.element(200);
    taxi
}
