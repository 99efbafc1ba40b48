//! A server that stops and starts again knows what it knew.

use ingest::batch::SCHEMA_VERSION;
use ingest::log::{Log, LogUrl, Offset, Partition, Settings};
use ingest::position::{LatLon, Motion, Position, ReportedStatus, Transport};
use serde_json::json;

use crate::harness::client::{Client, plate};
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::positions::logged;
use crate::records;
use crate::world::World;

on_each_database!(
    what_was_shown_is_shown_again,
    every_letter_and_offer_of_a_vehicle_is_read_again,
    last_positions_outlive_the_log,
    a_map_that_meets_a_record_of_a_later_version_says_that_it_is_not_ready,
);

const PLACES: [(f64, f64); 3] = [(48.83, 2.35), (48.831, 2.351), (48.832, 2.352)];

async fn what_was_shown_is_shown_again(world: &mut World) {
    let mut taxis = Vec::new();
    for (number, place) in (1..).zip(PLACES) {
        let taxi = world.register("op-a", number, MIDDLE).await;
        world.place("op-a", &taxi, place).await;
        world.clock.advance(1_000);
        taxis.push(taxi);
    }
    let mut end = world.server().app.log.end(Partition(0));
    assert_eq!(end, Offset(3));
    let positions = logged(world);
    for round in 1..4 {
        let mut before = Vec::new();
        for taxi in &taxis {
            before.push(world.look("op-a", taxi).await);
        }
        let found = world.search("admin", PLACES[0]).await;
        assert_eq!(found.len(), 3);

        world.stop().await;
        world.start().await;
        for (taxi, before) in taxis.iter().zip(before) {
            assert_eq!(world.look("op-a", taxi).await, before, "at once: readiness says that it is so");
        }
        assert_eq!(world.search("admin", PLACES[0]).await, found);
        assert_eq!(logged(world)[..3], positions, "what was written stays as it was");
        assert_eq!(world.server().app.log.end(Partition(0)), end, "no offset twice");
        world.place("op-a", &taxis[0], (48.833, 2.35 + f64::from(round) / 1000.0)).await;
        end = Offset(end.0 + 1);
        assert_eq!(world.server().app.log.end(Partition(0)), end);
    }
    assert_eq!(logged(world).len(), 6);
}

/// What no program writes that way: quotes, what JSON escapes, letters of four bytes.
async fn every_letter_and_offer_of_a_vehicle_is_read_again(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, PLACES[0]).await;
    let (model, offers) =
        ("Zoé \"R\" \\ \n\u{1}'😀", ["pet_accepted", "baby_seat", "vasp_handicap", "bank_check_accepted"]);
    let mut vehicle =
        json!({"licence_plate": plate(1), "model": model, "constructor": "[1,2]", "wifi": false});
    for offer in offers {
        vehicle[offer] = json!(true);
    }
    world.client.post(world.key("op-a"), "/vehicles", &vehicle).await.element(200);
    for _ in 0..2 {
        let found = world.search("admin", PLACES[0]).await;
        let vehicle = &found[0]["vehicle"];
        assert_eq!(
            (&vehicle["model"], &vehicle["constructor"]),
            (&json!(model), &json!("[1,2]")),
            "{found:?}"
        );
        assert_eq!((&vehicle["characteristics"], &vehicle["nb_seats"]), (&json!(offers), &json!(4)));
        world.stop().await;
        world.start().await;
    }
}

/// What SQL keeps of positions is enough, and another log's offsets say nothing of this one's.
async fn last_positions_outlive_the_log(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    for place in PLACES {
        world.place("op-a", &taxi, place).await;
    }
    let epoch = world.server().app.log.epoch();
    let before = world.look("op-a", &taxi).await;
    world.stop().await;
    std::fs::remove_dir_all(world.folder().join("log")).unwrap();
    world.start().await;
    assert_ne!(world.server().app.log.epoch(), epoch);
    assert_eq!(world.look("op-a", &taxi).await, before);
    world.clock.advance(1_000);
    world.place("op-a", &taxi, PLACES[0]).await;
    world.stop().await;
    world.start().await;
    let after = world.look("op-a", &taxi).await;
    assert_eq!(after["position"], json!({"lat": PLACES[0].0, "lon": PLACES[0].1}));
}

async fn a_map_that_meets_a_record_of_a_later_version_says_that_it_is_not_ready(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, PLACES[0]).await;
    let (source, before) = (world.source("op-a", &taxi).unwrap(), world.look("op-a", &taxi).await);
    world.stop().await;
    let folder = world.folder().join("log");
    let url = LogUrl::File(folder.clone());
    for (lat, lon) in [PLACES[1], PLACES[2]] {
        world.clock.advance(1_000);
        let position = Position {
            source,
            at: LatLon::new(lat, lon).unwrap(),
            received_at: world.clock.now(),
            device_at: None,
            status: ReportedStatus::Unsaid,
            motion: Motion::default(),
            transport: Transport::Udp,
        };
        let log = Log::open(&url, &Settings::default(), world.clock.clone()).unwrap();
        log.append(vec![position]).unwrap();
        log.close();
    }
    let write = |version: u16| {
        records::change(&folder, 1, |record| record[4..6].copy_from_slice(&version.to_le_bytes()));
    };
    write(SCHEMA_VERSION + 1);
    let (server, _folder) = world.another(|config| config.log = url).await;
    let lost = async || server.app.readiness.lost.is_raised().then_some(());
    within(SOON, "the end of following", lost).await;
    let client = Client::new(server.http);
    let ready = client.get("", "/health/ready").await;
    let told = ["status", "map", "log", "database"].map(|part| ready.body[part].as_str().unwrap_or_default());
    assert_eq!(
        (ready.status, told),
        (503, ["not ready", "not ready", "ready", "ready"]),
        "and the archive when it notices"
    );
    let shown = client.get(world.key("op-a"), &format!("/taxis/{taxi}")).await.element(200);
    assert_eq!(shown["position"], before["position"], "what comes after it is not shown either");
    let metrics = format!("http://{}/metrics", server.metrics.unwrap());
    let metrics = reqwest::get(metrics).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\nmaraude_follower_skipped_records_total 0\n"), "{metrics}");
    server.stop().await;

    // A program that knows the version goes on from there.
    write(SCHEMA_VERSION);
    world.start().await;
    world.shown("op-a", &taxi, PLACES[2]).await;
}
