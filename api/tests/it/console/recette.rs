//! Acceptance runs begun on a page, and their reports.

use std::time::Duration;

use api::certify::report::read_signed;
use api::limits::{CERTIFICATION_LEASE, CERTIFICATIONS_AN_ACCOUNT};
use api::store::certifications::CertificationRow;

use super::Browser;
use crate::accounts::execute;
use crate::certify::{Manners, operate};
use crate::harness::places::MIDDLE;
use crate::harness::wait::within;
use crate::world::World;

on_each_database!(
    a_run_is_begun_followed_and_kept,
    a_run_is_stopped_and_leaves_no_report,
    a_run_ends_with_its_server,
    an_account_takes_part_in_one_run_wherever_that_goes_on,
    the_latest_reports_of_an_account_are_kept,
    who_has_nothing_to_be_judged_is_refused,
);

const PAGE: &str = "/console/recette";
const START: &str = "/console/recette/start";
/// How long a run of seven hails may take on a busy machine.
const RUN: Duration = Duration::from_secs(90);

async fn a_run_is_begun_followed_and_kept(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let browser = Browser::of(world, "op-a").await;
    browser.get(PAGE).await.says("Commencer une recette").says("Aucun rapport n’est gardé.");
    let wish = [
        ("side", "operator"),
        ("counterpart", world.key("app")),
        ("taxi", &taxi),
        ("patience", "60"),
        ("positions", "3"),
    ];
    let begun = browser.post(PAGE, START, &wish).await;
    assert_eq!(begun.location(), PAGE);
    browser.get(PAGE).await.says("Recette en cours, opérateur").says("Arrêter");
    let again = browser.post(PAGE, START, &wish).await;
    assert!(again.status == 400 && again.html.contains("déjà en cours"), "{again:?}");
    let other = Browser::of(world, "op-b").await.post(PAGE, START, &wish).await;
    assert!(other.status == 400 && other.html.contains("joue déjà une recette"), "{other:?}");
    // Who plays the other side is not judged meanwhile, nor does who is judged play for another.
    let own =
        [("side", "search"), ("counterpart", world.key("op-b")), ("patience", "60"), ("lat", "48.8566")];
    let own = [&own[..], &[("lon", "2.3522"), ("insee", MIDDLE)]].concat();
    let judged = Browser::of(world, "app").await.post(PAGE, START, &own).await;
    assert!(judged.status == 400 && judged.html.contains("déjà en cours"), "{judged:?}");
    let manners = Manners {
        every_s: 2,
        step_ms: 1_000,
        pause: Duration::from_millis(200),
        behind_s: 0,
        is_careful: true,
        is_signed: true,
        compact: None,
    };
    let is_over = async || {
        let page = browser.get(PAGE).await;
        page.html.contains("Terminée : le rapport est gardé.").then_some(page)
    };
    let page = tokio::select! {
        page = within(RUN, "the end of the run", is_over) => page,
        () = operate(world, &taxi, &manners) => unreachable!(),
    };
    let (_, rest) = page.html.split_once("<a href=\"/console/recette/").unwrap();
    let report = format!("{PAGE}/{}", rest.split('"').next().unwrap());
    let shown = browser.get(&report).await;
    shown.says("Recette réussie").says("Signature vérifiée").says("Cadence des positions").says(&taxi);
    page.says("réussie").says("Essai 7 sur 7");
    let (text, signature) = read_signed(&shown.html).unwrap();
    assert!(world.server().app.registry.signer().is_right(&text, &signature), "{signature} of {text}");
    // It is the account's alone.
    assert_eq!(Browser::of(world, "op-b").await.get(&report).await.status, 404);
    execute(world, "UPDATE certifications SET report = replace(report, 'op-a', 'op-z')").await;
    browser.get(&report).await.says("La signature n’est pas celle de ce registre");
}

/// Begins a run of the app, and waits until it finds the run's taxi.
async fn begun(world: &World) -> Browser {
    let browser = Browser::of(world, "app").await;
    let there = [("lat", "48,8566"), ("lon", "2.3522"), ("insee", MIDDLE)];
    let wish = [("side", "search"), ("counterpart", world.key("op-b")), ("patience", "600")];
    let wish: Vec<_> = wish.into_iter().chain(there).collect();
    assert_eq!(browser.post(PAGE, START, &wish).await.location(), PAGE);
    let waits = async || {
        let page = browser.get(PAGE).await;
        page.html.contains("Un taxi libre attend en 48.8566, 2.3522").then_some(())
    };
    within(RUN, "a taxi", waits).await;
    let found = async || (world.search("app", (48.8566, 2.3522)).await.len() == 1).then_some(());
    within(RUN, "the taxi in a search", found).await;
    browser
}

async fn a_run_ends_with_its_server(world: &mut World) {
    begun(world).await;
    world.stop().await;
    world.start().await;
    let taxis = world.client.get(world.key("op-b"), "/taxis/all").await;
    assert_eq!(taxis.element(200)["status"], "off", "what it began is tidied up");
}

async fn an_account_takes_part_in_one_run_wherever_that_goes_on(world: &mut World) {
    let store = world.server().app.registry.store();
    let [a, b, c] = ["op-a", "app", "op-b"].map(|account| world.number(account));
    assert!(store.take_parties("one", &[a, b]).await.unwrap().is_empty());
    assert_eq!(store.take_parties("two", &[b, c]).await.unwrap(), [b], "as whatever it takes part");
    assert_eq!(store.take_parties("three", &[c, a]).await.unwrap(), [a], "and the second has nobody");
    assert!(store.take_parties("one", &[a, b]).await.unwrap().is_empty(), "they are its own");
    assert_eq!(store.take_parties("four", &[a, b]).await.unwrap(), [b, a], "each of them is told");
    store.leave_parties("one").await.unwrap();
    assert!(store.take_parties("two", &[b, c]).await.unwrap().is_empty());
    world.clock.advance(i64::try_from(CERTIFICATION_LEASE.as_millis()).unwrap());
    assert!(store.take_parties("three", &[c, a]).await.unwrap().is_empty(), "its process is gone");
}

async fn the_latest_reports_of_an_account_are_kept(world: &mut World) {
    let store = world.server().app.registry.store();
    let row =
        |id: &str| CertificationRow { id: id.to_owned(), report: "{}".to_owned(), signature: String::new() };
    let (own, other) = (world.number("app"), world.number("op-a"));
    store.keep_certification(other, 0, &row("other")).await.unwrap();
    for number in 0..=CERTIFICATIONS_AN_ACCOUNT {
        store.keep_certification(own, number, &row(&format!("{number:02}"))).await.unwrap();
    }
    let kept = store.certifications(own).await.unwrap();
    assert_eq!(kept.len(), usize::try_from(CERTIFICATIONS_AN_ACCOUNT).unwrap());
    assert_eq!((kept[0].id.as_str(), kept[kept.len() - 1].id.as_str()), ("50", "01"));
    assert!(store.certification(other, "other").await.unwrap().is_some());
    assert!(store.certification(own, "other").await.unwrap().is_none());
}

async fn a_run_is_stopped_and_leaves_no_report(world: &mut World) {
    let browser = begun(world).await;
    assert_eq!(browser.post(PAGE, "/console/recette/stop", &[]).await.location(), PAGE);
    let stopped = async || browser.get(PAGE).await.html.contains("Arrêtée.").then_some(());
    within(RUN, "the end", stopped).await;
    browser.get(PAGE).await.says("Aucun rapport n’est gardé.").says("Commencer une recette");
}

async fn who_has_nothing_to_be_judged_is_refused(world: &mut World) {
    let browser = Browser::of(world, "op-a").await;
    for (wrong, says) in [
        (
            [("side", "search"), ("counterpart", world.key("app")), ("patience", "60")],
            "ne peut pas être jugé ainsi",
        ),
        (
            [("side", "operator"), ("counterpart", world.key("op-b")), ("patience", "60")],
            "qui a le rôle moteur",
        ),
        ([("side", "operator"), ("counterpart", ""), ("patience", "60")], "Il manque la clé"),
        (
            [("side", "operator"), ("counterpart", world.key("app")), ("patience", "4")],
            "un nombre de 5 à 1800",
        ),
    ] {
        let fields = [&wrong[..], &[("positions", "3"), ("taxi", "")]].concat();
        let page = browser.post(PAGE, START, &fields).await;
        assert!(page.status == 400 && page.html.contains(says), "{wrong:?}: {page:?}");
        assert!(!page.html.contains(world.key("app")), "a key is not shown again");
    }
    let fields = [
        ("side", "operator"),
        ("counterpart", world.key("app")),
        ("patience", "60"),
        ("positions", "3"),
        ("taxi", "../all"),
    ];
    let page = browser.post(PAGE, START, &fields).await;
    assert!(page.status == 400 && page.html.contains("que des lettres et des chiffres"), "{page:?}");
    let nobody = fields.map(|(name, value)| (name, if name == "taxi" { "" } else { value }));
    let page = browser.post(PAGE, START, &nobody).await;
    assert!(page.status == 400 && page.html.contains("Indiquez le taxi"), "{page:?}");
    world.add_account("group", &[api::role::Role::Groupement]).await;
    let group = Browser::of(world, "group").await;
    assert_eq!(group.get(PAGE).await.status, 403);
    assert!(!group.get("/console").await.html.contains(PAGE));
    assert_eq!(group.get("/console/recette/0011").await.status, 403);
}
