//! Operators' taxis.

use serde_json::json;

use super::{Browser, HOSTILE};
use crate::harness::client::plate;
use crate::harness::places::MIDDLE;
use crate::world::World;

on_each_database!(
    an_operator_sees_its_own_taxis_and_nobody_elses,
    who_has_no_taxis_is_refused,
    a_list_has_pages_and_is_downloaded_whole,
    names_of_html_are_text,
);

async fn an_operator_sees_its_own_taxis_and_nobody_elses(world: &mut World) {
    let (first, second) = (world.register("op-a", 1, MIDDLE).await, world.register("op-a", 2, MIDDLE).await);
    let foreign = world.register("op-b", 3, MIDDLE).await;
    let browser = Browser::of(world, "op-a").await;
    let all = browser.get("/console/taxis").await;
    all.says("2 résultats")
        .says(&first)
        .says(&second)
        .says("libre")
        .says("href=\"/console/taxis\" aria-current");
    assert!(!all.html.contains(&foreign), "{all:?}");
    let one = browser.get(&format!("/console/taxis?licence_plate={}&id=", plate(2))).await;
    one.says("1 résultat").says(&second).says(&format!("value=\"{}\"", plate(2)));
    assert!(!one.html.contains(&first), "{one:?}");

    world.place("op-a", &first, (48.8566, 2.3522)).await;
    world.clock.advance(5_000);
    let card = browser.get(&format!("/console/taxis/{first}")).await;
    card.says("48.8566, 2.3522 (reçue il y a 5 s)").says(&plate(1)).says("Ada Nr 1");
    browser.get(&format!("/console/taxis/{second}")).await.says("Aucune n’est connue");
    assert_eq!(browser.get(&format!("/console/taxis/{foreign}")).await.status, 404);
}

async fn who_has_no_taxis_is_refused(world: &mut World) {
    let nobody = Browser::new(world).get("/console/taxis?id=x").await;
    assert_eq!(nobody.location(), "/console/login?to=%2Fconsole%2Ftaxis%3Fid%3Dx");
    let app = Browser::of(world, "app").await;
    assert_eq!(app.get("/console/taxis").await.status, 403);
    let home = app.get("/console").await;
    assert!(home.html.contains("Courses") && !home.html.contains("Mes taxis"), "{home:?}");
}

async fn a_list_has_pages_and_is_downloaded_whole(world: &mut World) {
    for number in 0..31 {
        world.register("op-a", number, MIDDLE).await;
    }
    let browser = Browser::of(world, "op-a").await;
    let first = browser.get("/console/taxis?licence_plate=AB").await;
    first.says("31 résultats").says("page 1 sur 2").says("href=\"/console/taxis?licence_plate=AB&amp;p=2\"");
    browser.get("/console/taxis?licence_plate=AB&p=2").await.says("page 2 sur 2").says(&plate(0));
    let wrong = browser.get("/console/taxis?p=x").await;
    assert!(wrong.status == 400 && wrong.html.contains("Il faut un nombre entier"), "{wrong:?}");

    first.says("/console/taxis?licence_plate=AB&amp;format=csv");
    let file = browser.get("/console/taxis?licence_plate=AB&format=csv&p=2").await;
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"taxis.csv\"");
    assert!(file.html.starts_with("\u{feff}\"id\";\"statut\";\"immatriculation\";"), "{file:?}");
    assert_eq!(file.html.lines().count(), 32);
}

async fn names_of_html_are_text(world: &mut World) {
    let key = world.key("op-a");
    let driver = json!({"first_name": HOSTILE, "last_name": HOSTILE, "birth_date": "1980-02-03",
                        "professional_licence": "licence-1", "departement": {"numero": "75"}});
    let vehicle =
        json!({"licence_plate": plate(1), "model": HOSTILE, "constructor": HOSTILE, "color": HOSTILE});
    let ads = json!({"numero": "ads-1", "insee": MIDDLE, "owner_name": HOSTILE, "owner_type": "individual"});
    for (path, element) in [("/drivers", driver), ("/vehicles", vehicle), ("/ads", ads)] {
        world.client.post(key, path, &element).await.element(201);
    }
    let taxi = world.client.post(key, "/taxis", &crate::harness::client::taxi(1, MIDDLE)).await.element(201);
    let browser = Browser::of(world, "op-a").await;
    browser.get("/console/taxis").await.says("1 résultat").shows_html_as_text();
    let card = format!("/console/taxis/{}", taxi["id"].as_str().unwrap());
    browser.get(&card).await.says("Titulaire").shows_html_as_text();
    let search = format!(
        "/console/taxis?id={}",
        form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>()
    );
    browser.get(&search).await.says("Aucun résultat").shows_html_as_text();
}
