//! Hails, in lists and as time lines.

use serde_json::json;

use super::{Browser, HOSTILE};
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::{World, wanted};

on_each_database!(
    each_side_sees_its_hails_and_an_administrator_all,
    a_hail_is_a_time_line,
    where_its_taxi_was_is_part_of_it_until_it_is_blurred,
    a_failed_call_is_shown_to_the_operator_alone,
    names_of_html_are_text,
);

/// A hail of a taxi of op-a's by the app; gives its id.
async fn hailed(world: &World) -> String {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, (48.8566, 2.3522)).await;
    world.hail("app", &taxi, "op-a").await
}

async fn each_side_sees_its_hails_and_an_administrator_all(world: &mut World) {
    let hail = hailed(world).await;
    let page = format!("/console/hails/{hail}");
    for (account, sees, status) in [
        ("app", true, 200),
        ("op-a", true, 200),
        ("admin", true, 200),
        ("other-app", false, 403),
        ("op-b", false, 403),
    ] {
        let browser = Browser::of(world, account).await;
        let list = browser.get("/console/hails").await;
        list.says(if sees { "1 résultat" } else { "Aucun résultat" });
        assert_eq!(list.html.contains(&hail), sees, "{account}: {list:?}");
        assert_eq!(browser.get(&page).await.status, status, "{account}");
        let file = browser.get("/console/hails?format=csv").await;
        assert_eq!(file.html.lines().count(), 1 + usize::from(sees), "{account}: {file:?}");
    }
    let admin = Browser::of(world, "admin").await;
    admin.get("/console/hails?status=finished").await.says("Aucun résultat");
    admin.get("/console/hails?operateur=op-a&moteur=app").await.says("1 résultat");
    let day = admin.get("/console/hails?date=2026-09-21").await;
    day.says("1 résultat").says("name=\"date\" type=\"date\" value=\"2026-09-21\"");
    admin.get("/console/hails?date=2026/09/21").await.says("1 résultat").says("value=\"2026-09-21\"");
    admin.get("/console/hails?date=2026-09-20").await.says("Aucun résultat");
    let wrong = admin.get("/console/hails?status=teleported").await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    assert_eq!(admin.get("/console/hails/nowhere").await.status, 404);
    world.add_account("group", &[api::role::Role::Groupement]).await;
    let group = Browser::of(world, "group").await;
    for path in ["/console/hails", "/console/hails?format=csv", &page] {
        assert_eq!(group.get(path).await.status, 403, "{path}");
    }
}

async fn a_hail_is_a_time_line(world: &mut World) {
    let hail = hailed(world).await;
    world.stands(&hail, "sent_to_operator").await;
    world.clock.advance(1_250);
    world.take("op-a", &hail).await;
    let page = Browser::of(world, "op-a").await.get(&format!("/console/hails/{hail}")).await;
    let story =
        page.says("<h2>Déroulement (heures UTC)</h2>").html.split_once("class=\"timeline\"").unwrap().1;
    let steps = [
        "14:13:20</time> <strong>reçue par le registre",
        "envoyée à l’opérateur",
        "Échéance (10 s) : <time datetime=\"2026-09-21T14:13:30Z\">21/09/2026 14:13:30</time> ; tenue, 8,75 s avant.",
        "14:13:21,250</time> <strong>reçue par l’opérateur",
        "14:13:31,250</time> ; sans réponse d’ici là, la course prend fin.",
    ];
    let places: Vec<_> = steps.iter().map(|step| story.find(step)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {story}");
    // An ended one is due no more.
    world.clock.advance(3_600_000);
    world.stands(&hail, "failure").await;
    let page = Browser::of(world, "app").await.get(&format!("/console/hails/{hail}")).await;
    page.says("échec").says("échéance passée");
    page.says("14:13:31,250</time> ; passée, elle a mis fin à la course.");
    assert!(!page.html.contains("d’ici là"), "{page:?}");
}

async fn where_its_taxi_was_is_part_of_it_until_it_is_blurred(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, (48.8666, 2.3522)).await;
    let hail = world.hail("app", &taxi, "op-a").await;
    let page = format!("/console/hails/{hail}");
    world.take("op-a", &hail).await;
    for (account, wish) in [
        ("op-a", json!({"status": "received_by_taxi"})),
        ("op-a", json!({"status": "accepted_by_taxi", "taxi_phone_number": "06"})),
        ("app", json!({"status": "accepted_by_customer"})),
    ] {
        world.moves(account, &hail, &wish).await;
    }
    let app = Browser::of(world, "app").await;
    app.get(&page).await.says("de 1112 m du client à 1112 m, en 1 position.");
    world.clock.advance(60_000);
    world.place("op-a", &taxi, (48.8576, 2.3522)).await;
    let told = "de 1112 m du client à 111 m, en 2 positions.";
    let kept = async || {
        let shown = app.get(&page).await;
        shown.html.contains(told).then_some(shown)
    };
    let shown = within(SOON, "where the taxi is", kept).await;
    shown.says("<svg class=\"track\"").says("21/09/2026 14:14:20</time></td>").says("48,85760");
    // Once it is over, the app is told no more where the taxi was.
    world.moves("app", &hail, &json!({"status": "incident_customer"})).await;
    let over = app.get(&page).await;
    over.says("montrées à l’application tant que la course dure");
    assert!(!over.html.contains("48,85760") && !over.html.contains("<svg"), "{over:?}");
    for account in ["op-a", "admin"] {
        Browser::of(world, account).await.get(&page).await.says(told);
    }
    // Sixty days later, in the night.
    world.clock.advance(61 * 86_400_000);
    let admin = Browser::of(world, "admin").await;
    let gone = async || admin.get(&page).await.html.contains("ne sont plus gardées").then_some(());
    within(SOON, "a blurred hail", gone).await;
}

async fn a_failed_call_is_shown_to_the_operator_alone(world: &mut World) {
    world.stop().await;
    world.start_as(|config| config.behaviour.private_endpoints = true).await;
    let account = format!("/users/{}", world.number("op-a"));
    let nobody = json!({"hail_endpoint_production": "http://127.0.0.1:9/hails"});
    world.client.put(world.key("op-a"), &account, &nobody).await.element(200);
    let hail = hailed(world).await;
    world.stands(&hail, "failure").await;
    let page = format!("/console/hails/{hail}");
    for (account, told) in [("op-a", true), ("admin", true), ("app", false)] {
        let page = Browser::of(world, account).await.get(&page).await;
        assert_eq!(page.html.contains("Appel du serveur de l’opérateur"), told, "{account}: {page:?}");
        assert_eq!(page.html.contains("aucun serveur n’écoute à cette adresse"), told, "{account}: {page:?}");
    }
}

async fn names_of_html_are_text(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, (48.8566, 2.3522)).await;
    let mut wish = wanted(&taxi);
    (wish["customer_id"], wish["customer_address"]) = (json!(HOSTILE), json!(HOSTILE));
    let hail = world.client.post(world.key("app"), "/hails", &wish).await.element(201);
    let browser = Browser::of(world, "app").await;
    browser.get("/console/hails").await.says("1 résultat").shows_html_as_text();
    browser.get(&format!("/console/hails/{}", hail["id"].as_str().unwrap())).await.shows_html_as_text();
}
