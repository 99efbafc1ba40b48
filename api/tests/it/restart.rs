//! A server that stops and starts again knows what it knew.

use ingest::log::{Offset, Partition};
use serde_json::json;

use crate::harness::places::MIDDLE;
use crate::positions::logged;
use crate::world::World;

on_each_database!(what_was_shown_is_shown_again, last_positions_outlive_the_log);

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
