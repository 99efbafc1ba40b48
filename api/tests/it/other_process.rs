//! What the command line writes beside a running server shows in it within two seconds.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::parts;
use crate::harness::places::{MIDDLE, collection, rectangle, towns};
use crate::harness::wait::within;
use crate::world::World;

on_each_database!(accounts_of_another_process_are_heard_of, places_of_another_process_are_heard_of);

/// What is promised, from the end of the command.
const PROMISED: Duration = Duration::from_secs(2);
/// A town that is not there at first.
const NEW_TOWN: &str = "93048";

async fn accounts_of_another_process_are_heard_of(world: &mut World) {
    let program = world.program();
    let path = |key: &Value| format!("/users/{}", key["id"]);
    let status = async |key: &str, path: &str| world.client.get(key, path).await.status;
    let becomes = async |key: &str, path: &str, wanted: u16| {
        let what = format!("{wanted} for {path}");
        within(PROMISED, &what, async || (status(key, path).await == wanted).then_some(())).await;
    };

    let added = program.done(&["user", "add", "op-c", "--role", "operateur", "--json"]).await;
    let added: Value = serde_json::from_str(&added).unwrap();
    let old = added["apikey"].as_str().unwrap();
    becomes(old, &path(&added), 200).await;

    let rotated = program.done(&["user", "rotate-key", "op-c", "--json"]).await;
    let rotated: Value = serde_json::from_str(&rotated).unwrap();
    let new = rotated["apikey"].as_str().unwrap();
    becomes(new, &path(&added), 200).await;
    assert_eq!(status(old, &path(&added)).await, 401, "the old key dies as the new one lives");
    let operator = world.server().app.registry.directory().operators().get("op-c").unwrap();
    assert_eq!(operator.api_key(), new, "datagrams are checked with the new key, too");

    program.done(&["user", "set-manager", "op-a", "op-c"]).await;
    let managed = async || {
        let request = world.client.http.get(format!("{}/taxis/all", world.client.base));
        let request = request.header("X-Api-Key", new).header("X-Logas", "op-a");
        (request.send().await.unwrap().status() == 200).then_some(())
    };
    within(PROMISED, "a manager logged as whom it manages", managed).await;
    program.done(&["user", "set-manager", "op-a"]).await;

    program.done(&["user", "remove", "op-c"]).await;
    becomes(new, &path(&added), 401).await;
    assert!(world.server().app.registry.directory().operators().get("op-c").is_none());
}

async fn places_of_another_process_are_heard_of(world: &mut World) {
    let here = (48.75, 2.35);
    let ads = json!({"insee": NEW_TOWN, "numero": "1"});
    assert_eq!(world.client.post(world.key("op-a"), "/ads", &ads).await.status, 404);
    let mut features = towns()["features"].as_array().unwrap().clone();
    features.push(json!({"type": "Feature", "properties": {"insee": NEW_TOWN, "nom": "New"},
                         "geometry": rectangle((2.3, 2.4), (48.7, 48.8))}));
    import(world, "towns", &collection(&features)).await;
    let known =
        async || (world.client.post(world.key("op-a"), "/ads", &ads).await.status != 404).then_some(());
    within(PROMISED, "a new town", known).await;
    let taxi = world.register("op-a", 1, NEW_TOWN).await;
    world.place("op-a", &taxi, here).await;
    let found = async |count| {
        let found = async || (world.search("app", here).await.len() == count).then_some(());
        within(PROMISED, "a search in the new town", found).await;
    };
    found(1).await;

    // A ZUPC lets the taxis of the middle in.
    let middle = world.register("op-a", 2, MIDDLE).await;
    world.place("op-a", &middle, here).await;
    assert_eq!(world.search("app", here).await.len(), 1);
    let allowed = [json!({"insee": NEW_TOWN}), json!({"insee": MIDDLE})];
    import(world, "zupc", &json!({"zones": [{"id": "n", "name": "N", "allowed": allowed}]})).await;
    found(2).await;

    let zone = json!({"type": "Feature", "id": 7, "properties": {"name": "Works"},
                      "geometry": rectangle((2.34, 2.36), (48.74, 48.76))});
    import(world, "exclusions", &collection(&[zone])).await;
    let closed = async || {
        let path = format!("/taxis?lon={}&lat={}", here.1, here.0);
        (world.client.get(world.key("app"), &path).await.status == 404).then_some(())
    };
    within(PROMISED, "a new exclusion zone", closed).await;
    for (path, element) in parts(3, NEW_TOWN) {
        world.client.post(world.key("op-a"), path, &element).await.element(201);
    }
}

async fn import(world: &World, what: &str, text: &Value) {
    let file = world.folder().join(format!("{what}.json"));
    std::fs::write(&file, text.to_string()).unwrap();
    world.program().done(&["import", what, file.to_str().unwrap()]).await;
}
