//! What happened: sessions, support, the activity log, refused positions; and who there is.

use std::time::Duration;

use serde_json::json;

use super::{Browser, HOSTILE};
use crate::harness::places::MIDDLE;
use crate::harness::wait::within;
use crate::world::{World, wanted};

on_each_database!(
    sessions_are_listed_with_their_hails,
    who_helps_customers_sees_settled_hails,
    the_activity_log_is_searched,
    refused_positions_are_told_by_reason,
    accounts_are_listed_with_roles_and_managers,
);

/// A hail of a taxi of op-a's by the app; gives its id.
async fn hailed(world: &World) -> String {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, (48.8566, 2.3522)).await;
    let mut wish = wanted(&taxi);
    (wish["customer_id"], wish["customer_address"]) = (json!(HOSTILE), json!(HOSTILE));
    let hail = world.client.post(world.key("app"), "/hails", &wish).await.element(201);
    hail["id"].as_str().unwrap().to_owned()
}

async fn sessions_are_listed_with_their_hails(world: &mut World) {
    let hail = hailed(world).await;
    for (account, sees) in [("app", true), ("admin", true), ("other-app", false)] {
        let list = Browser::of(world, account).await.get("/console/sessions").await;
        list.says(if sees { "1 résultat" } else { "Aucun résultat" });
        assert_eq!(
            list.html.contains(&format!("href=\"/console/hails/{hail}\"")),
            sees,
            "{account}: {list:?}"
        );
        if sees {
            list.shows_html_as_text();
        }
    }
    let operator = Browser::of(world, "op-a").await;
    assert_eq!(operator.get("/console/sessions").await.status, 403);
    let (app, admin) = (Browser::of(world, "app").await, Browser::of(world, "admin").await);
    let file = app.get("/console/sessions?format=csv").await;
    assert!(file.html.lines().count() == 2 && file.html.contains(&hail), "{file:?}");
    let found = "1 résultat";
    for (query, told) in [
        ("customer_id=%3CSCRIPT", found),
        ("customer_id=other", "Aucun résultat"),
        ("date=2026-09-21&customer_id=%3Cs", found),
        ("date=2026-09-20", "Aucun résultat"),
        ("moteur=app", found),
        ("moteur=other-app", "Aucun résultat"),
    ] {
        admin.get(&format!("/console/sessions?{query}")).await.says(told);
    }
    let own = app.get("/console/sessions?date=2026-09-21&customer_id=%3Cscript").await;
    own.says(found).says("name=\"date\" type=\"date\" value=\"2026-09-21\"");
    assert!(!own.html.contains("name=\"moteur\""), "{own:?}");
    let wrong = app.get("/console/sessions?date=yesterday").await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
}

async fn who_helps_customers_sees_settled_hails(world: &mut World) {
    let hail = hailed(world).await;
    let admin = Browser::of(world, "admin").await;
    admin.get("/console/support").await.says("Aucun résultat");
    // Short of the end of the session that began before it.
    world.clock.advance(13 * 3_600_000);
    let admin = Browser::of(world, "admin").await;
    admin.get("/console/support?moteur=app").await.says("1 résultat").says(&hail).shows_html_as_text();
    admin.get("/console/support?moteur=nobody").await.says("Aucun résultat");
    assert_eq!(Browser::of(world, "app").await.get("/console/support").await.status, 403);
}

async fn the_activity_log_is_searched(world: &mut World) {
    let browser = Browser::of(world, "admin").await;
    let other = Browser::of(world, "op-a").await;
    assert_eq!(other.get("/console/activity").await.status, 403);
    let log = browser.get("/console/activity?action=login_password").await;
    log.says("2 résultats").says("connexion par mot de passe").says("value=\"login_password\" selected");
    let number = world.number("op-a");
    let own = format!("/console/activity?action=login_password&resource=user&resource_id={number}");
    browser.get(&own).await.says("1 résultat");
    let file = browser.get(&format!("{own}&format=csv")).await;
    assert!(file.html.contains("\"login_password\";\"user\""), "{file:?}");
    let wrong = browser.get("/console/activity?action=luck").await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
}

async fn refused_positions_are_told_by_reason(world: &mut World) {
    let refused = world.report("op-a", &[("nowhere", 48.85, 2.35)]).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let browser = Browser::of(world, "op-a").await;
    let page = within(Duration::from_secs(10), "a refusal", async || {
        let page = browser.get("/console/refusals").await;
        page.html.contains("unknown_taxi").then_some(page)
    })
    .await;
    page.says("1 position refusée depuis").says("Aucun taxi n’a cet identifiant").says("nowhere");
    let file = browser.get("/console/refusals?hours=168&format=csv").await;
    assert!(file.html.contains("\"unknown_taxi\";"), "{file:?}");
    let admin = Browser::of(world, "admin").await;
    let number = world.number("op-a");
    admin.get(&format!("/console/refusals?account={number}&hours=1")).await.says("unknown_taxi");
    admin.get("/console/refusals?account=op-a").await.says("op-a : 1 position refusée").says("unknown_taxi");
    assert_eq!(admin.get("/console/refusals?account=9999").await.status, 404);
    let other = Browser::of(world, "op-b").await;
    for account in [number.to_string(), "op-a".to_owned()] {
        let page = other.get(&format!("/console/refusals?account={account}")).await;
        page.says("op-b : aucune position refusée");
        assert!(!page.html.contains("unknown_taxi"), "others have no field for it: {page:?}");
    }
    assert_eq!(Browser::of(world, "app").await.get("/console/refusals").await.status, 403);
}

async fn accounts_are_listed_with_roles_and_managers(world: &mut World) {
    let path = format!("/users/{}", world.number("op-a"));
    world.client.put(world.key("op-a"), &path, &json!({"name": HOSTILE})).await.element(200);
    world.program().done(&["user", "set-manager", "op-b", "op-a"]).await;
    world.server().app.registry.read_all().await.unwrap();
    let admin = Browser::of(world, "admin").await;
    admin
        .get("/console/users")
        .await
        .says("5 résultats")
        .says("application de recherche")
        .shows_html_as_text();
    let operators = admin.get("/console/users?role=operateur").await;
    operators.says("2 résultats").says("<td>op-a</td>");
    assert!(!operators.html.contains(world.key("op-a")), "no key is shown: {operators:?}");
    let one = admin.get(&format!("/console/users/{}", world.number("op-a"))).await;
    one.says("Comptes gérés").says("op-b</a>").shows_html_as_text();
    assert!(!one.html.contains(world.key("op-a")), "{one:?}");
    assert_eq!(admin.get("/console/users/9999").await.status, 404);
    let operator = Browser::of(world, "op-a").await;
    assert_eq!(operator.get("/console/users").await.status, 403);
    assert_eq!(operator.get(&format!("/console/users/{}", world.number("op-a"))).await.status, 403);
}
