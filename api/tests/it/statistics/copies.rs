//! Hails are copied once a day, when they are more than a day old, by one process.

use api::form::instant::instant;
use api::store::daily::{Run, Stands};
use serde_json::{Value, json};

use super::{element, milestones};
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::opendata::copy_of;
use crate::world::World;

on_each_database!(
    hails_are_copied_when_they_are_a_day_old,
    a_day_that_cannot_be_archived_keeps_no_other_waiting,
    a_run_is_one_processes_own,
    the_command_line_says_how_large_a_fleet_is,
);

const HERE: (f64, f64) = (48.83, 2.35);
const HOUR_MS: i64 = 3_600_000;

/// Waits until there are copies of so many hails, and gives the figures.
async fn copied(world: &World, hails: i64, arguments: &str) -> Value {
    let copied = async || {
        let figures = element(world, &format!("/stats/hails{arguments}")).await;
        (figures["hails_received"]["today"] == hails).then_some(figures)
    };
    within(SOON, "copies", copied).await
}

async fn hails_are_copied_when_they_are_a_day_old(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, HERE).await;
    // It is 2026-09-21T14:13:20.
    let first = world.hail("app", &taxi, "op-a").await;
    world.take("op-a", &first).await;
    for (account, after_s, status) in [
        ("op-a", 1, "received_by_taxi"),
        ("op-a", 2, "accepted_by_taxi"),
        ("app", 3, "accepted_by_customer"),
        ("op-a", 60, "customer_on_board"),
        ("op-a", 600, "finished"),
    ] {
        world.clock.advance(after_s * 1_000);
        let wish = if status == "accepted_by_taxi" {
            json!({"status": status, "taxi_phone_number": "0612345678"})
        } else {
            json!({"status": status})
        };
        world.moves(account, &first, &wish).await;
    }
    // 14:24:26 of that day, and then 05:24:26 of the next: more than a day before the next run but one.
    world.clock.advance(15 * HOUR_MS);
    world.place("op-a", &taxi, HERE).await;
    let second = world.hail("other-app", &taxi, "op-a").await;
    world.moves("other-app", &second, &json!({"status": "declined_by_customer"})).await;
    assert_eq!(element(world, "/stats/hails").await["hails_received"], milestones([0; 4]));

    // On the 23rd at 05:24:26: what was made before 04:10 of the 22nd is copied, all of it at once.
    world.clock.advance(24 * HOUR_MS);
    let figures = copied(world, 1, "").await;
    assert_eq!(figures["hails_finished"], milestones([1, 0, 0, 0]));
    // From (48.83, 2.35) to (48.8566, 2.3522): 2,962.5 m.
    assert_eq!(figures["average_hail_distance"]["today"], 2_962);
    assert_eq!(figures["hails_total"]["current_year"], json!([[9, 1]]));
    let times = &figures["average_times"];
    assert_eq!(times["accepted_by_taxi"], 2.0);
    assert_eq!(times["accepted_by_customer"], 3.0);
    assert_eq!(times["customer_on_board"], 63.0);
    assert_eq!(times["timeout_taxi"], 0.0);
    for (arguments, hails) in [
        (format!("?insee={MIDDLE}"), 1),
        ("?departements=92,94".to_owned(), 0),
        (format!("?groups={}", world.number("op-a")), 1),
        (format!("?groups={}", world.number("app")), 0),
    ] {
        let found = element(world, &format!("/stats/hails{arguments}")).await;
        assert_eq!(found["hails_received"], milestones([hails, 0, 0, 0]), "{arguments}");
    }

    world.clock.advance(24 * HOUR_MS);
    let figures = copied(world, 2, "").await;
    assert_eq!(figures["hails_declined_by_customer"], milestones([1, 0, 0, 0]));
    assert_eq!(figures["hails_average"]["current_year"]["daily"]["total"], 1.0, "two days, a hail each");
    assert_eq!(figures["hails_average"]["current_year"]["weekly"]["total"], 2.0);
}

async fn a_day_that_cannot_be_archived_keeps_no_other_waiting(world: &mut World) {
    let store = world.server().app.registry.store();
    let run = Run { name: "earlier copies", due_at: world.clock.now(), holder: "the test".to_owned() };
    assert_eq!(store.take_run(&run).await.unwrap(), Stands::Held);
    let copies = ["2026-09-18", "2026-09-19"].map(|day| copy_of(world, day, instant(day).unwrap()));
    assert!(store.add_copies(&run, &copies).await.unwrap());
    let archive = world.folder().join("archive");
    std::fs::create_dir_all(archive.join("hails")).unwrap();
    // Where the first day's folder would be.
    std::fs::write(archive.join("hails/date=2026-09-18"), "").unwrap();
    world.clock.advance(24 * HOUR_MS);
    let manifest = |day: &str| archive.join(format!("manifests/hails/date={day}/000001.json"));
    let is_archived = async || manifest("2026-09-19").is_file().then_some(());
    within(SOON, "the second day in the archive", is_archived).await;
    assert!(!manifest("2026-09-18").exists());
}

async fn a_run_is_one_processes_own(world: &mut World) {
    let store = world.server().app.registry.store();
    let run = |holder: &str| Run {
        name: "a run of this test",
        due_at: world.clock.now(),
        holder: holder.to_owned(),
    };
    let (one, other) = (run("one"), run("other"));
    assert_eq!(store.take_run(&one).await.unwrap(), Stands::Held);
    assert_eq!(store.take_run(&other).await.unwrap(), Stands::Elsewhere);
    assert_eq!(store.take_run(&one).await.unwrap(), Stands::Held, "again");
    assert!(!store.add_copies(&other, &[]).await.unwrap());
    assert!(store.add_copies(&one, &[]).await.unwrap());
    // Who does not go on for too long loses it.
    world.clock.advance(2 * 60_000);
    assert_eq!(store.take_run(&other).await.unwrap(), Stands::Held);
    assert!(!store.add_copies(&one, &[]).await.unwrap());
    assert_eq!(store.end_run(&one).await.unwrap(), None);
    assert_eq!(store.end_run(&other).await.unwrap(), Some(0));
    assert_eq!(store.end_run(&other).await.unwrap(), None);
    for run in [one, other] {
        assert_eq!(store.take_run(&run).await.unwrap(), Stands::Ended);
    }
}

async fn the_command_line_says_how_large_a_fleet_is(world: &mut World) {
    let program = world.program();
    let shown = async || {
        let shown = program.done(&["user", "show", "op-a", "--json"]).await;
        serde_json::from_str::<Value>(&shown).unwrap()["fleet_size"].take()
    };
    assert_eq!(shown().await, Value::Null);
    program.done(&["user", "set-fleet-size", "op-a", "8"]).await;
    assert_eq!(shown().await, 8);
    program.done(&["user", "set-fleet-size", "op-a"]).await;
    assert_eq!(shown().await, Value::Null);
    let (status, _, complaints) = program.run(&["user", "set-fleet-size", "op-a", "-1"]).await;
    assert!(!status.success(), "{complaints}");
}
