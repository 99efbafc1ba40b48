//! A hail from both simulators, from a taxi that is made on a page to the mark of its customer.

use super::{Browser, HOSTILE, Page};
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    a_hail_goes_from_one_page_to_the_other,
    a_refusal_and_an_incident_tell_their_grounds,
    what_is_refused_is_said,
    each_side_has_its_own,
);

const OPERATOR: &str = "/console/simulator/operator";
const APP: &str = "/console/simulator/app";
const MOVE: &str = "/console/simulator/hail";
const SEARCH: &str = "/console/simulator/app?lat=48,8566&lon=2.3522";

/// Makes a taxi, free and somewhere; gives its id.
async fn taxi(operator: &Browser) -> String {
    let made = operator.post(
        OPERATOR,
        "/console/simulator/operator/taxi",
        &[("plate", HOSTILE_PLATE), ("insee", MIDDLE)],
    );
    let made = made.await;
    let taxi = made.location().split_once("?taxi=").unwrap().1.to_owned();
    let page = made.location().to_owned();
    let set = [("taxi", taxi.as_str()), ("status", "free"), ("radius", "300")];
    assert_eq!(operator.post(&page, "/console/simulator/operator/status", &set).await.location(), page);
    let place = [("taxi", taxi.as_str()), ("lat", "48,8566"), ("lon", "2.3522")];
    assert_eq!(operator.post(&page, "/console/simulator/operator/position", &place).await.location(), page);
    taxi
}

/// A plate that would be a tag.
const HOSTILE_PLATE: &str = "<i>SIM-1";

/// Hails the one taxi that is found, once it is on the map.
async fn hail(app: &Browser, customer: &str) -> String {
    let found = async || {
        let page = app.get(SEARCH).await;
        page.html.contains("Taxis trouvés : 1").then_some(page)
    };
    let page = within(SOON, "the taxi", found).await;
    let (_, rest) = page.html.split_once("<select id=\"taxi\" name=\"taxi\"><option value=\"").unwrap();
    let found = rest.split('"').next().unwrap();
    let wish = [
        ("taxi", found),
        ("customer", customer),
        ("address", "1 rue X"),
        ("phone", "0611111111"),
        ("lat", "48,8566"),
        ("lon", "2.3522"),
    ];
    assert_eq!(app.post(SEARCH, "/console/simulator/app/hail", &wish).await.location(), APP);
    id(&app.get(APP).await)
}

/// The hail at the top of a page.
fn id(page: &Page) -> String {
    let (_, rest) = page.html.split_once("<a href=\"/console/hails/").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Presses a button of a hail, once it is there.
async fn press(browser: &Browser, page: &str, hail: &str, fields: &[(&str, &str)]) {
    let button = format!("name=\"status\" value=\"{}\"", fields[0].1);
    let there = async || browser.get(page).await.html.contains(&button).then_some(());
    within(SOON, fields[0].1, there).await;
    let about = [("hail", hail), ("back", page)];
    let answer = browser.post(page, MOVE, &[&about[..], fields].concat()).await;
    assert_eq!(answer.location(), page, "{fields:?}");
}

async fn a_hail_goes_from_one_page_to_the_other(world: &mut World) {
    let (operator, app) = (Browser::of(world, "op-a").await, Browser::of(world, "app").await);
    operator.get(OPERATOR).await.says("Vous n’avez pas encore de taxi");
    let taxi = taxi(&operator).await;
    let chosen = format!("{OPERATOR}?taxi={taxi}");
    let hail = hail(&app, HOSTILE).await;
    press(&operator, &chosen, &hail, &[("status", "received_by_operator")]).await;
    operator.get(OPERATOR).await.shows_html_as_text();
    press(&operator, &chosen, &hail, &[("status", "received_by_taxi")]).await;
    let accepted = [("status", "accepted_by_taxi"), ("taxi_phone_number", "0612345678")];
    press(&operator, &chosen, &hail, &accepted).await;
    press(&app, APP, &hail, &[("status", "accepted_by_customer")]).await;
    press(&operator, &chosen, &hail, &[("status", "customer_on_board")]).await;
    press(&operator, &chosen, &hail, &[("status", "finished")]).await;
    app.get(APP).await.says("Noter").shows_html_as_text();
    let mark = [("hail", hail.as_str()), ("back", APP), ("rating_ride", "4")];
    assert_eq!(app.post(APP, MOVE, &mark).await.location(), APP);
    let hail = world.stands(&hail, "finished").await;
    assert_eq!((&hail["rating_ride"], &hail["customer_id"]), (&4.into(), &HOSTILE.into()));
}

async fn a_refusal_and_an_incident_tell_their_grounds(world: &mut World) {
    let (operator, app) = (Browser::of(world, "op-a").await, Browser::of(world, "app").await);
    let taxi = taxi(&operator).await;
    let chosen = format!("{OPERATOR}?taxi={taxi}");
    let broken_off = hail(&app, "ann").await;
    press(&operator, &chosen, &broken_off, &[("status", "received_by_operator")]).await;
    press(&operator, &chosen, &broken_off, &[("status", "received_by_taxi")]).await;
    let incident = [("status", "incident_customer"), ("incident_customer_reason", "earthquake")];
    press(&app, APP, &broken_off, &incident).await;
    let over = world.stands(&broken_off, "incident_customer").await;
    assert_eq!(over["incident_customer_reason"], "earthquake");
    world.clock.advance(1_000);
    world.place("op-a", &taxi, (48.8566, 2.3522)).await;
    let declined = hail(&app, "ann").await;
    assert_ne!(declined, broken_off);
    press(&operator, &chosen, &declined, &[("status", "received_by_operator")]).await;
    press(&operator, &chosen, &declined, &[("status", "received_by_taxi")]).await;
    operator.get(&chosen).await.says("<option value=\"rest_time\">temps de repos</option>");
    let refusal = [("status", "declined_by_taxi"), ("declined_by_taxi_reason", "rest_time")];
    press(&operator, &chosen, &declined, &refusal).await;
    let page = operator.get(&chosen).await;
    page.says("hors service").says("refusée par le taxi");
    let told = world.client.get(world.key("op-a"), &format!("/hails/{declined}")).await.element(200);
    assert_eq!(told["transitions"].as_array().unwrap().last().unwrap()["reason"], "rest_time");
}

async fn what_is_refused_is_said(world: &mut World) {
    let (operator, app) = (Browser::of(world, "op-a").await, Browser::of(world, "app").await);
    let taxi = taxi(&operator).await;
    let nowhere = [("taxi", taxi.as_str()), ("lat", "north"), ("lon", "2.3522")];
    let page = operator.post(OPERATOR, "/console/simulator/operator/position", &nowhere).await;
    assert!(page.status == 400 && page.html.contains("Demande refusée"), "{page:?}");
    let unknown = [("plate", "AB-222-CD"), ("insee", "99999")];
    let page = operator.post(OPERATOR, "/console/simulator/operator/taxi", &unknown).await;
    assert!(page.status == 400 && page.html.contains("Demande refusée"), "{page:?}");
    app.get("/console/simulator/app?lat=48.865&lon=2.365").await.says("zone d’exclusion");
    app.get("/console/simulator/app?lat=x&lon=2.365").await.says("class=\"notice failed\"");
    let hail = hail(&app, "ann").await;
    let early = [("hail", hail.as_str()), ("back", "https://evil.example"), ("status", "finished")];
    let page = operator.post(OPERATOR, MOVE, &early).await;
    assert!(page.status == 400 && page.html.contains("Impossible to set status"), "{page:?}");
    world.stands(&hail, "sent_to_operator").await;
    let taken =
        [("hail", hail.as_str()), ("back", "https://evil.example"), ("status", "received_by_operator")];
    assert_eq!(operator.post(OPERATOR, MOVE, &taken).await.location(), "/console");
    let back = format!("{OPERATOR}?taxi=x&to=https://evil.example");
    let shown = [("hail", hail.as_str()), ("back", &back), ("status", "received_by_taxi")];
    assert_eq!(operator.post(OPERATOR, MOVE, &shown).await.location(), "/console");
}

async fn each_side_has_its_own(world: &mut World) {
    let (operator, app) = (Browser::of(world, "op-a").await, Browser::of(world, "app").await);
    assert_eq!(operator.get(APP).await.status, 403);
    assert_eq!(app.get(OPERATOR).await.status, 403);
    operator.get("/console").await.says(OPERATOR);
    assert!(!operator.get("/console").await.html.contains(APP));
}
