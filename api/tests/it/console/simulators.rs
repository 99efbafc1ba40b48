//! Hails from both simulators, from a taxi that is made on a page to the mark of its customer.

use reqwest::Method;

use super::{Browser, HOSTILE, Page};
use crate::events::Stream;
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    a_hail_goes_from_one_page_to_the_other,
    a_refusal_and_an_incident_tell_their_grounds,
    what_is_refused_is_said_and_stays_in_its_form,
    what_is_asked_of_the_api_is_shown,
    one_of_many_taxis_is_found_by_how_it_begins,
    hails_arrive_while_the_session_lasts,
    who_acts_for_another_does_so_by_their_own_key,
    each_side_has_its_own,
);

const OPERATOR: &str = "/console/simulator/operator";
const MAKE: &str = "/console/simulator/operator/taxi";
const POSITION: &str = "/console/simulator/operator/position";
const STATUS: &str = "/console/simulator/operator/status";
const APP: &str = "/console/simulator/app";
const HAIL: &str = "/console/simulator/app/hail";
const MOVE: &str = "/console/simulator/hail";
const EVENTS: &str = "/console/simulator/events";
const SEARCH: &str = "/console/simulator/app?lat=48,8566&lon=2.3522";
/// A plate that would be a tag.
const HOSTILE_PLATE: &str = "<i>SIM-1";

/// Makes a taxi; gives its id.
async fn make(operator: &Browser, plate: &str) -> String {
    let made = operator.post(OPERATOR, MAKE, &[("plate", plate), ("insee", MIDDLE)]).await;
    made.says("Le taxi est fait");
    let (_, rest) = made.html.split_once("data-id=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Makes a taxi, free and somewhere; gives its id.
async fn taxi(operator: &Browser) -> String {
    let taxi = make(operator, HOSTILE_PLATE).await;
    let set = [("taxi", taxi.as_str()), ("status", "free"), ("radius", "300")];
    operator.post(OPERATOR, STATUS, &set).await.says("<dd>libre</dd>").says("<dd>300 m</dd>");
    let place = [("taxi", taxi.as_str()), ("lat", "48,8566"), ("lon", "2.3522")];
    operator.post(OPERATOR, POSITION, &place).await.says("<span id=\"place\">48.8566, 2.3522</span>");
    taxi
}

/// Hails the one taxi that is found, once it is on the map.
async fn hail(app: &Browser, customer: &str) -> String {
    let found = async || {
        let page = app.get(SEARCH).await;
        page.html.contains("Taxis trouvés : 1").then_some(page)
    };
    let page = within(SOON, "the taxi", found).await;
    let (_, rest) = page.html.split_once("<select id=\"taxi\" name=\"taxi\"><option value=\"").unwrap();
    let found = rest.split('"').next().unwrap();
    let made = app.post(SEARCH, HAIL, &wish(found, customer)).await;
    made.says("La course est demandée");
    id(&made)
}

fn wish<'a>(taxi: &'a str, customer: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("taxi", taxi),
        ("customer", customer),
        ("address", "1 rue X"),
        ("phone", "0611111111"),
        ("lat", "48,8566"),
        ("lon", "2.3522"),
    ]
}

/// The hail at the top of a page.
fn id(page: &Page) -> String {
    let (_, rest) = page.html.split_once("<a href=\"/console/hails/").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Presses a button of a hail, once it is there.
async fn press(browser: &Browser, page: &str, hail: &str, fields: &[(&str, &str)]) -> Page {
    let button = format!("name=\"status\" value=\"{}\"", fields[0].1);
    let there = async || browser.get(page).await.html.contains(&button).then_some(());
    within(SOON, fields[0].1, there).await;
    let taxi = page.split_once("?taxi=").map(|(_, taxi)| ("taxi", taxi));
    let about = [("hail", hail)].into_iter().chain(taxi);
    let answer = browser.post(page, MOVE, &about.chain(fields.iter().copied()).collect::<Vec<_>>()).await;
    answer.says("La course est à jour");
    answer
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
    press(&app, APP, &hail, &[("status", "accepted_by_customer")]).await.says("0612345678");
    // The customer sees the taxi come.
    let there = [("taxi", taxi.as_str()), ("lat", "48.8575"), ("lon", "2.3522")];
    operator.post(&chosen, POSITION, &there).await.says("La position est envoyée").says("100 m");
    let page = app.get(APP).await;
    page.says("<strong class=\"distance\">100 m</strong>").says("entendu à 14:13:20 UTC");
    page.says("class=\"approach\" data-metres=\"100\"");
    page.says("data-point=\"taxi\" data-status=\"oncoming\" data-at=\"48.8575,2.3522\"");
    press(&operator, &chosen, &hail, &[("status", "customer_on_board")]).await;
    press(&operator, &chosen, &hail, &[("status", "finished")]).await;
    app.get(APP).await.says("Noter").shows_html_as_text();
    let mark = [("hail", hail.as_str()), ("rating_ride", "4")];
    app.post(APP, MOVE, &mark).await.says("La course est à jour");
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
    let page = press(&operator, &chosen, &declined, &refusal).await;
    page.says("hors service").says("refusée par le taxi");
    let told = world.client.get(world.key("op-a"), &format!("/hails/{declined}")).await.element(200);
    assert_eq!(told["transitions"].as_array().unwrap().last().unwrap()["reason"], "rest_time");
}

/// That a page refused something, and says so.
fn refuses(page: &Page, status: u16, texts: &[&str]) {
    assert!(page.status == status && page.html.contains("class=\"notice failed\""), "{page:?}");
    for text in texts {
        assert!(page.html.contains(text), "no {text:?} in {page:?}");
    }
}

async fn what_is_refused_is_said_and_stays_in_its_form(world: &mut World) {
    let (operator, app) = (Browser::of(world, "op-a").await, Browser::of(world, "app").await);
    let taxi = taxi(&operator).await;
    let nowhere = [("taxi", taxi.as_str()), ("lat", "north"), ("lon", "2.3522")];
    let page = operator.post(OPERATOR, POSITION, &nowhere).await;
    refuses(&page, 400, &["<code>lat</code> : Il faut un nombre.", "value=\"north\""]);
    for (radius, why) in [
        ("twelve", "<code>radius</code> : Il faut un nombre entier."),
        ("300,5", "<code>radius</code> : Il faut un nombre entier."),
        ("100", "<code>radius</code> : Il faut un nombre de 150 à 500."),
    ] {
        let set = [("taxi", taxi.as_str()), ("status", "occupied"), ("radius", radius)];
        let page = operator.post(OPERATOR, STATUS, &set).await;
        refuses(&page, 400, &[why, &format!("value=\"{radius}\"")]);
    }
    let stays = world.look("op-a", &taxi).await;
    assert_eq!((&stays["radius"], &stays["status"]), (&300.into(), &"free".into()));
    let unknown = [("plate", "AB-222-CD"), ("insee", "99999")];
    let page = operator.post(OPERATOR, MAKE, &unknown).await;
    refuses(&page, 400, &["<code>numero</code> : Ce département n’existe pas.", "value=\"AB-222-CD\""]);
    app.get("/console/simulator/app?lat=48.865&lon=2.365").await.says("zone d’exclusion");
    app.get("/console/simulator/app?lat=x&lon=2.365").await.says("<code>lat</code> : Il faut un nombre.");
    let page = app.post(SEARCH, HAIL, &wish("nobody's", "ann")).await;
    refuses(&page, 400, &["cherchez de nouveau", "value=\"1 rue X\"", "Taxis trouvés : 1"]);
    let hail = hail(&app, "ann").await;
    let chosen = format!("{OPERATOR}?taxi={taxi}");
    let early = [("hail", hail.as_str()), ("taxi", &taxi), ("status", "finished")];
    let why = "Une course « envoyée à l’opérateur » ne peut pas devenir « terminée ».";
    refuses(&operator.post(&chosen, MOVE, &early).await, 400, &[why]);
    let theirs = [("hail", hail.as_str()), ("taxi", &taxi), ("status", "declined_by_customer")];
    refuses(&operator.post(&chosen, MOVE, &theirs).await, 400, &["c’est l’autre côté qui agit"]);
    // What no page of ours sends the API refuses in its own words.
    let none = [("hail", hail.as_str()), ("taxi", &taxi), ("status", "x")];
    refuses(&operator.post(&chosen, MOVE, &none).await, 400, &["<span lang=\"en\">Must be one of: "]);
    world.stands(&hail, "sent_to_operator").await;
}

async fn what_is_asked_of_the_api_is_shown(world: &mut World) {
    let (operator, app) = (Browser::of(world, "op-a").await, Browser::of(world, "app").await);
    let page = operator.post(OPERATOR, MAKE, &[("plate", "AB-111-CD"), ("insee", MIDDLE)]).await;
    for path in ["/drivers", "/vehicles", "/ads", "/taxis"] {
        page.says(&format!("<code>POST {path}\nX-Api-Key: …\nX-Version: 2\n"));
    }
    page.says("&quot;licence_plate&quot;: &quot;AB-111-CD&quot;").says("<code>HTTP 201 Created\n");
    assert!(!page.html.contains(world.key("op-a")), "{page:?}");
    let page = app.get(SEARCH).await;
    page.says("<code>GET /taxis?lat=48.8566&amp;lon=2.3522\n").says("<code>HTTP 200 OK\n");
    assert!(!page.html.contains(world.key("app")), "{page:?}");
}

async fn one_of_many_taxis_is_found_by_how_it_begins(world: &mut World) {
    let operator = Browser::of(world, "op-a").await;
    let first = make(&operator, "AB-111-CD").await;
    let second = make(&operator, "AB-222-CD").await;
    let is_chosen = |page: &Page, taxi: &str| page.html.contains(&format!("data-id=\"{taxi}\""));
    // The newest, and a way to the other.
    let page = operator.get(OPERATOR).await;
    assert!(is_chosen(&page, &second), "{page:?}");
    page.says(&format!("<a href=\"{OPERATOR}?taxi={first}\">AB-111-CD</a>"));
    for sought in ["AB-111-CD", "ab-1", &first] {
        let page = operator.get(&format!("{OPERATOR}?q={sought}")).await;
        assert!(is_chosen(&page, &first), "{sought}: {page:?}");
    }
    let page = operator.get(&format!("{OPERATOR}?q=AB-")).await;
    assert!(!is_chosen(&page, &first) && !is_chosen(&page, &second), "{page:?}");
    page.says(&format!("?taxi={first}\">")).says(&format!("?taxi={second}\">"));
    operator.get(&format!("{OPERATOR}?q=ZZ")).await.says("Aucun de vos taxis ne commence ainsi");
    assert_eq!(operator.get(&format!("{OPERATOR}?taxi=nobody%27s%2F..")).await.status, 404);
}

async fn hails_arrive_while_the_session_lasts(world: &mut World) {
    let (operator, app) = (Browser::of(world, "op-a").await, Browser::of(world, "app").await);
    let taxi = taxi(&operator).await;
    let mut stream = Stream::of(operator.request(Method::GET, EVENTS).send().await.unwrap());
    // It listens once it has said where it begins.
    stream.block().await.unwrap();
    let hail = hail(&app, "ann").await;
    let began = stream.next("hail").await.data;
    assert_eq!((&began["hail"]["id"], &began["hail"]["taxi"]["id"]), (&hail.into(), &taxi.into()));
    operator.post("/console", "/console/logout", &[]).await;
    let ended = async { while stream.block().await.is_some() {} };
    tokio::time::timeout(SOON, ended).await.expect("a stream ends with its session");
}

async fn who_acts_for_another_does_so_by_their_own_key(world: &mut World) {
    let admin = Browser::of(world, "admin").await;
    let number = world.number("op-a").to_string();
    admin.post("/console/act-as", "/console/act-as", &[("account", &number)]).await;
    let taxi = make(&admin, "AB-111-CD").await;
    assert_eq!(world.look("op-a", &taxi).await["vehicle"]["licence_plate"], "AB-111-CD");
    let logged = world.client.get(world.key("admin"), "/activity_logs?action=auth_logas").await;
    let logged = logged.body["data"].as_array().unwrap().clone();
    let made = logged.iter().find(|entry| entry["extra"]["location"] == "/taxis").unwrap();
    assert_eq!(made["extra"]["apikey_belongs_to"], world.number("admin").to_string());
}

async fn each_side_has_its_own(world: &mut World) {
    let (operator, app) = (Browser::of(world, "op-a").await, Browser::of(world, "app").await);
    assert_eq!(operator.get(APP).await.status, 403);
    assert_eq!(app.get(OPERATOR).await.status, 403);
    let admin = Browser::of(world, "admin").await;
    for path in [APP, OPERATOR, EVENTS] {
        assert_eq!(admin.get(path).await.status, 403, "{path}");
    }
    operator.get("/console").await.says(OPERATOR);
    assert!(!operator.get("/console").await.html.contains(APP));
    let policy = app.get(APP).await.headers["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.ends_with("; worker-src blob:") && !policy.contains("unsafe"), "{policy}");
}
