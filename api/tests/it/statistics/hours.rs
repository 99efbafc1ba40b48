//! Hours are counted from positions as they are followed: each taxi once, whenever the server stops.

use serde_json::{Value, json};

use super::{element, milestones};
use crate::harness::places::{MIDDLE, WEST};
use crate::world::World;

on_each_database!(hours_are_counted_once_over_and_each_taxi_once);

const HERE: (f64, f64) = (48.85, 2.35);
const HOUR_MS: i64 = 3_600_000;

/// A stop saves what is known, and counts the hours of which all is.
async fn restart(world: &mut World) {
    world.stop().await;
    world.start().await;
}

async fn per_hour(world: &World, arguments: &str) -> Value {
    element(world, &format!("/stats/taxis{arguments}")).await["connected_taxis_per_hour"].take()
}

async fn hours_are_counted_once_over_and_each_taxi_once(world: &mut World) {
    let (a, b, c) = (
        world.register("op-a", 1, MIDDLE).await,
        world.register("op-a", 2, WEST).await,
        world.register("op-b", 3, MIDDLE).await,
    );
    // 2026-09-21T14:13:20.
    world.place("op-a", &a, HERE).await;
    let figures = element(world, "/stats/taxis").await;
    assert_eq!(figures["connected_taxis"], milestones([0; 4]), "before now, not at it");
    assert_eq!(figures["connected_taxis_now"], 1);
    world.clock.advance(10_000);
    let figures = element(world, "/stats/taxis").await;
    assert_eq!(figures["connected_taxis"], milestones([1, 0, 0, 0]), "the map knows it already");
    assert_eq!(figures["connected_taxis_since_threshold"], milestones([1, 0, 0, 0]));

    restart(world).await;
    world.place("op-a", &a, HERE).await;
    world.place("op-a", &b, HERE).await;
    assert_eq!(per_hour(world, "").await, json!({}), "the hour is not over");
    restart(world).await;
    world.clock.advance(HOUR_MS);
    world.place("op-b", &c, HERE).await;
    restart(world).await;
    let of_14 = json!({"14": 2.0});
    assert_eq!(per_hour(world, "").await, of_14);
    // Both 14 and 15 on the next day.
    world.clock.advance(24 * HOUR_MS - HOUR_MS);
    world.place("op-b", &c, HERE).await;
    world.clock.advance(HOUR_MS);
    world.place("op-b", &c, HERE).await;
    world.clock.advance(HOUR_MS);
    restart(world).await;
    restart(world).await;
    for (arguments, expected) in [
        (String::new(), json!({"14": 1.5, "15": 1.0})),
        (format!("?insee={MIDDLE}"), json!({"14": 1.0, "15": 1.0})),
        ("?departements=92".to_owned(), json!({"14": 1.0})),
        (format!("?groups={}", world.number("op-a")), json!({"14": 2.0})),
        (format!("?groups={}&departements=75", world.number("op-b")), json!({"14": 1.0, "15": 1.0})),
    ] {
        assert_eq!(per_hour(world, &arguments).await, expected, "{arguments}");
    }
    let figures = element(world, "/stats/taxis").await;
    assert_eq!(figures["connected_taxis"], milestones([3, 0, 0, 0]));
    assert_eq!(figures["connected_taxis_now"], 0);
}
