//! Searches: who sees which id, where taxis may be taken, and how far.

use std::collections::HashSet;

use api::pseudonym::LIFETIME_S;
use serde_json::{Value, json};

use crate::harness::places::{EAST, MIDDLE, WEST};
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    a_pseudonym_is_fresh_each_time_and_means_something_to_its_app_for_an_hour,
    administrators_and_operators_see_more_than_apps,
    nobody_is_found_in_an_exclusion_zone_or_out_of_town,
    a_taxi_is_found_where_its_ads_is_valid,
    a_taxi_is_found_within_its_own_radius_nearest_first,
    whoever_asks_for_the_nearest_gets_no_more,
    a_search_from_a_town_is_remembered_with_what_it_found,
);

/// In the middle town.
const HERE: (f64, f64) = (48.83, 2.35);

/// Nearly so many metres north of there; exact to the digits that positions have.
fn north(metres: f64) -> (f64, f64) {
    let lat = HERE.0 + metres / 111_200.0;
    ((lat * 1e6).round() / 1e6, HERE.1)
}

async fn a_pseudonym_is_fresh_each_time_and_means_something_to_its_app_for_an_hour(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, HERE).await;
    let (key, began) = (world.taxi("op-a", &taxi), world.clock.now());
    let mut ids = HashSet::new();
    for account in ["app", "app", "other-app"] {
        let id = id(&world.search(account, HERE).await[0]);
        assert_ne!(id, taxi);
        let resolve = |account, now| {
            let pseudonyms = &world.server().app.pseudonyms;
            pseudonyms.resolve(&id, world.number(account), now)
        };
        let another = if account == "app" { "other-app" } else { "app" };
        assert_eq!(resolve(account, began), Some(key));
        assert_eq!(resolve(account, began.plus(LIFETIME_S * 1000 - 1)), Some(key));
        assert_eq!(resolve(account, began.plus(LIFETIME_S * 1000)), None);
        assert_eq!(resolve(another, began), None);
        assert_eq!(world.source("op-a", &id), None, "no operator's id");
        assert_eq!(world.client.get(world.key("op-a"), &format!("/taxis/{id}")).await.status, 404);
        assert!(ids.insert(id));
    }
}

async fn administrators_and_operators_see_more_than_apps(world: &mut World) {
    let (a, b) = (world.register("op-a", 1, MIDDLE).await, world.register("op-b", 2, MIDDLE).await);
    world.place("op-a", &a, HERE).await;
    world.place("op-b", &b, north(50.0)).await;
    let seen = world.search("admin", HERE).await;
    let told: Vec<_> =
        seen.iter().map(|taxi| (id(taxi), &taxi["operator"], &taxi["vehicle"]["licence_plate"])).collect();
    assert_eq!(told, [(a, &json!("op-a"), &json!("AB-001-CD")), (b, &json!("op-b"), &json!("AB-002-CD"))]);
    for taxi in world.search("app", HERE).await {
        let told = (&taxi["operator"], &taxi["vehicle"]["licence_plate"]);
        assert_eq!(told, (&json!("chauffeur professionnel"), &json!("")));
    }
    let own = world.search("op-b", HERE).await;
    assert_eq!(own.len(), 1, "an operator finds its own taxis");
    assert!((own[0]["crowfly_distance"].as_f64().unwrap() - 50.0).abs() < 1.0, "{}", own[0]);
}

async fn nobody_is_found_in_an_exclusion_zone_or_out_of_town(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    // A metre or so west of the zone, and in it.
    world.place("op-a", &taxi, (48.865, 2.359_98)).await;
    assert_eq!(world.search("app", (48.865, 2.359_99)).await.len(), 1);
    let excluded = world.client.get(world.key("app"), "/taxis?lon=2.36001&lat=48.865").await;
    assert_eq!(excluded.status, 404);
    assert_eq!(excluded.body, json!({"errors": {"url": ["No cruising allowed in this area"]}}));
    world.place("op-a", &taxi, (48.865, 2.360_1)).await;
    assert_eq!(world.search("app", (48.865, 2.359_99)).await.len(), 1, "the customer counts, not the taxi");

    world.place("op-a", &taxi, (48.899_9, 2.35)).await;
    assert_eq!(world.search("app", (48.899_9, 2.35)).await.len(), 1);
    assert_eq!(world.search("app", (48.900_1, 2.35)).await.len(), 0, "of no town");
}

async fn a_taxi_is_found_where_its_ads_is_valid(world: &mut World) {
    let mut taxis = Vec::new();
    for (number, insee) in [(1, WEST), (2, MIDDLE), (3, EAST)] {
        taxis.push(world.register("op-a", number, insee).await);
    }
    let found = async |border: f64, east: f64| {
        for taxi in &taxis {
            world.place("op-a", taxi, (48.85, border)).await;
        }
        let found = world.search("admin", (48.85, border + east)).await;
        let mut numbers: Vec<_> =
            found.iter().map(|found| 1 + taxis.iter().position(|taxi| *taxi == id(found)).unwrap()).collect();
        numbers.sort_unstable();
        numbers
    };
    // West and middle share a ZUPC; the east is alone.
    assert_eq!(found(2.3, -0.000_1).await, [1, 2]);
    assert_eq!(found(2.3, 0.000_1).await, [1, 2]);
    assert_eq!(found(2.4, -0.000_1).await, [1, 2]);
    assert_eq!(found(2.4, 0.000_1).await, [3]);
    let on_the_border = found(2.4, 0.0).await;
    assert!([vec![1, 2], vec![3]].contains(&on_the_border), "one town, not two or none: {on_the_border:?}");
    for _ in 0..5 {
        assert_eq!(found(2.4, 0.0).await, on_the_border, "always the same");
    }
}

async fn a_taxi_is_found_within_its_own_radius_nearest_first(world: &mut World) {
    let mut taxis = Vec::new();
    for (number, metres) in [(1, 480.0), (2, 130.0), (3, 300.0)] {
        let taxi = world.register("op-a", number, MIDDLE).await;
        world.place("op-a", &taxi, north(metres)).await;
        taxis.push(taxi);
    }
    let found = async || world.search("admin", HERE).await.iter().map(id).collect::<Vec<_>>();
    let set = async |taxi: &str, element: Value| {
        world.client.put(world.key("op-a"), &format!("/taxis/{taxi}"), &element).await.element(200);
    };
    assert_eq!(found().await, [&*taxis[1], &taxis[2], &taxis[0]]);
    set(&taxis[2], json!({"radius": 200})).await;
    assert_eq!(found().await, [&*taxis[1], &taxis[0]]);
    set(&taxis[1], json!({"radius": 150})).await;
    assert_eq!(found().await, [&*taxis[1], &taxis[0]]);
    set(&taxis[0], json!({"status": "occupied"})).await;
    set(&taxis[2], json!({"radius": null})).await;
    assert_eq!(found().await, [&*taxis[1], &taxis[2]]);
    world.place("op-a", &taxis[1], north(520.0)).await;
    assert_eq!(found().await, [&*taxis[2]]);
}

fn id(taxi: &Value) -> String {
    taxi["id"].as_str().unwrap().to_owned()
}

async fn whoever_asks_for_the_nearest_gets_no_more(world: &mut World) {
    let mut taxis = Vec::new();
    for (number, metres) in [(1, 300.0), (2, 30.0), (3, 400.0), (4, 200.0)] {
        let taxi = world.register("op-a", number, MIDDLE).await;
        world.place("op-a", &taxi, north(metres)).await;
        taxis.push(taxi);
    }
    let [far, near, _, second] = [0, 1, 2, 3].map(|number: usize| taxis[number].as_str());
    let path = format!("/taxis?lon={}&lat={}", HERE.1, HERE.0);
    let ask = async |nearest: &str| {
        world.client.get(world.key("admin"), &format!("{path}&nearest={nearest}")).await
    };
    for (nearest, found) in
        [("1", &[near][..]), ("3", &[near, second, far]), ("1000", &[near, second, far, &taxis[2]])]
    {
        let answer = ask(nearest).await;
        assert_eq!(answer.status, 200);
        let ids: Vec<_> = answer.body["data"].as_array().unwrap().iter().map(id).collect();
        assert_eq!(ids, found, "{nearest}");
    }
    let range = "Must be greater than or equal to 1 and less than or equal to 1000.";
    let none = "Not a valid integer.";
    for (nearest, wrong) in
        [("0", range), ("1001", range), ("-1", range), ("x", none), ("1.5", none), ("", none)]
    {
        let answer = ask(nearest).await;
        assert_eq!((answer.status, answer.body), (400, json!({"errors": {"nearest": [wrong]}})), "{nearest}");
    }
}

async fn a_search_from_a_town_is_remembered_with_what_it_found(world: &mut World) {
    for (number, metres) in [(1, 130.0), (2, 700.0), (3, 1_100.0)] {
        let taxi = world.register("op-a", number, MIDDLE).await;
        world.place("op-a", &taxi, north(metres)).await;
    }
    let near = world.search("app", HERE).await[0]["crowfly_distance"].as_f64();
    // The fewest, by an operator with no taxi there, in an exclusion zone, and of no town.
    let nearest = format!("/taxis?lon={}&lat={}&nearest=1", HERE.1, north(400.0).0);
    assert_eq!(world.client.get(world.key("admin"), &nearest).await.status, 200);
    assert_eq!(world.search("op-b", HERE).await.len(), 0);
    assert_eq!(world.client.get(world.key("app"), "/taxis?lon=2.365&lat=48.865").await.status, 404);
    assert_eq!(world.search("app", (48.95, 2.35)).await.len(), 0);
    world.search("op-a", HERE).await;

    let now = world.clock.now();
    let kept = |world: &World| {
        let app = &world.server().app;
        let kept = app.history.as_ref().unwrap().kept(now, &app.registry.territory());
        let who = |name| world.number(name);
        ["app", "admin", "op-b", "op-a"]
            .map(|name| kept.statistics(|town, caller| town.as_str() == MIDDLE && caller == who(name)))
    };
    let all = async || (world.server().app.history.as_ref().unwrap().len() == 4).then_some(());
    within(SOON, "four searches", all).await;
    let [app, admin, op_b, op_a] = kept(world);
    assert_eq!((app.found, app.seen), (Some([2.0; 3]), Some([1.0; 3])));
    assert_eq!(app.closest_m.map(|closest| closest[0]), near, "as it was shown");
    assert_eq!(
        (admin.found, admin.seen),
        (Some([3.0; 3]), Some([2.0; 3])),
        "all that are there, not only the nearest"
    );
    assert_eq!((op_b.found, op_b.seen, op_b.closest_m), (Some([0.0; 3]), Some([0.0; 3]), None));
    assert_eq!(op_a, app);

    world.stop().await;
    world.start().await;
    within(SOON, "what was logged before", async || {
        (world.server().app.history.as_ref().unwrap().len() == 4).then_some(())
    })
    .await;
    assert_eq!(kept(world), [app, admin, op_b, op_a]);
}
