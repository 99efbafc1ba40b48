//! Lists of drivers, vehicles and ADS.

use serde_json::json;

use super::{Browser, HOSTILE};
use crate::harness::client::plate;
use crate::harness::places::MIDDLE;
use crate::world::World;

on_each_database!(
    an_operator_lists_what_it_registered_and_an_administrator_all,
    lists_are_searched_paged_and_downloaded,
    the_case_of_letters_does_not_matter,
    who_registered_a_driver_alone_sees_when_it_was_born,
    names_of_html_are_text,
);

const LISTS: [&str; 3] = ["/console/drivers", "/console/vehicles", "/console/ads"];

async fn an_operator_lists_what_it_registered_and_an_administrator_all(world: &mut World) {
    world.register("op-a", 1, MIDDLE).await;
    world.register("op-b", 2, MIDDLE).await;
    let (own, admin) = (Browser::of(world, "op-a").await, Browser::of(world, "admin").await);
    let app = Browser::of(world, "app").await;
    for path in LISTS {
        let list = own.get(path).await;
        list.says("1 résultat");
        assert!(!list.html.contains(">op-a</td>"), "whose it is goes without saying: {list:?}");
        admin.get(path).await.says("2 résultats").says("<td>op-a</td>").says("<td>op-b</td>");
        assert_eq!(app.get(path).await.status, 403, "{path}");
        assert!(Browser::new(world).get(path).await.location().starts_with("/console/login"), "{path}");
    }
    own.get("/console/drivers").await.says("licence-1").says("21/09/2026 14:13:20");
    own.get("/console/vehicles").await.says(&plate(1)).says("libre");
    own.get("/console/ads").await.says("ads-1").says("Town 75056");
}

async fn lists_are_searched_paged_and_downloaded(world: &mut World) {
    for number in 1..=31 {
        world.register("op-a", number, MIDDLE).await;
    }
    let browser = Browser::of(world, "op-a").await;
    for (path, oldest) in LISTS.into_iter().zip(["licence-1".to_owned(), plate(1), "ads-1".to_owned()]) {
        let oldest = format!(">{oldest}<");
        let first = browser.get(path).await;
        first.says("31 résultats").says("page 1 sur 2");
        assert!(!first.html.contains(&oldest), "the newest come first: {first:?}");
        browser.get(&format!("{path}?p=2")).await.says("page 2 sur 2").says(&oldest);
        let file = browser.get(&format!("{path}?format=csv")).await;
        assert_eq!(file.html.lines().count(), 32, "{file:?}");
        let wrong = browser.get(&format!("{path}?p=x")).await;
        assert!(wrong.status == 400 && wrong.html.contains("role=\"search\""), "{wrong:?}");
    }
    browser
        .get("/console/drivers?professional_licence=LICENCE-31")
        .await
        .says("1 résultat")
        .says("licence-31");
    browser.get(&format!("/console/vehicles?licence_plate={}", plate(7))).await.says("1 résultat");
    browser.get("/console/ads?numero=ads-3&insee=75").await.says("3 résultats");
    browser.get("/console/ads?insee=13").await.says("Aucun résultat");
}

async fn the_case_of_letters_does_not_matter(world: &mut World) {
    for (number, name) in (0..).zip(["Élie", "ÉLIE", "élie", "Elie", "DURAND"]) {
        let driver = json!({"first_name": "Ada", "last_name": name, "birth_date": null,
                            "professional_licence": format!("licence-{number}"), "departement": {"numero": "75"}});
        world.client.post(world.key("op-a"), "/drivers", &driver).await.element(201);
    }
    let browser = Browser::of(world, "op-a").await;
    for name in ["élie", "Élie", "ÉLIE"] {
        let page = browser.get(&format!("/console/drivers?last_name={name}")).await;
        page.says("3 résultats").says("Élie").says("ÉLIE").says("élie");
    }
    browser.get("/console/drivers?last_name=dur").await.says("1 résultat").says("DURAND");
}

async fn who_registered_a_driver_alone_sees_when_it_was_born(world: &mut World) {
    world.register("op-a", 1, MIDDLE).await;
    let (own, admin) = (Browser::of(world, "op-a").await, Browser::of(world, "admin").await);
    for path in ["/console/drivers", "/console/drivers?format=csv"] {
        own.get(path).await.says("licence-1").says("1980-02-03");
        let others = admin.get(path).await;
        others.says("licence-1");
        assert!(!others.html.contains("1980-02-03"), "{others:?}");
    }
}

async fn names_of_html_are_text(world: &mut World) {
    let key = world.key("op-a");
    let driver = json!({"first_name": HOSTILE, "last_name": HOSTILE, "birth_date": "1980-02-03",
                        "professional_licence": HOSTILE, "departement": {"numero": "75"}});
    let vehicle =
        json!({"licence_plate": plate(1), "model": HOSTILE, "constructor": HOSTILE, "color": HOSTILE});
    let ads = json!({"numero": HOSTILE, "insee": MIDDLE, "owner_name": HOSTILE, "owner_type": "individual"});
    for (path, element) in [("/drivers", driver), ("/vehicles", vehicle), ("/ads", ads)] {
        world.client.post(key, path, &element).await.element(201);
    }
    let browser = Browser::of(world, "op-a").await;
    for path in LISTS {
        browser.get(path).await.says("1 résultat").shows_html_as_text();
    }
    browser.get("/console/ads").await.says("personne physique");
}
