//! What is kept for how long: blurred to its town after sixty days, deleted after a year; listed before.

use api::retention::{Keeping, Plan, Step};
use serde_json::{Value, json};

use crate::harness::client::plate;
use crate::harness::places::{EAST, MIDDLE};
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    what_is_old_becomes_its_towns_and_then_goes,
    the_command_line_lists_what_is_old_and_does_it,
);

const HERE: (f64, f64) = (48.83, 2.35);
const OUTSIDE: (f64, f64) = (48.75, 2.35);
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What each step would do now, without what it would do nothing about.
async fn plans(world: &World) -> Vec<Plan> {
    let app = &world.server().app;
    let territory = app.registry.territory();
    let keeping = Keeping { store: app.registry.store(), territory: &territory, retention: app.retention };
    let mut plans = Vec::new();
    for step in Step::ALL {
        plans.extend(step.plan(&keeping, world.clock.now()).await.unwrap());
    }
    plans.retain(|plan| !plan.rows.is_empty());
    plans
}

fn plan(table: &'static str, what: &'static str, rows: &[&str]) -> Plan {
    Plan { table, what, rows: rows.iter().map(|row| (*row).to_owned()).collect() }
}

async fn get(world: &World, path: &str) -> Value {
    world.client.get(world.key("admin"), path).await.element(200)
}

async fn what_is_old_becomes_its_towns_and_then_goes(world: &mut World) {
    // 2026-09-21T14:13:20. Each of both operators describes the third vehicle and has a taxi of it.
    let (a, b) = (world.register("op-a", 1, MIDDLE).await, world.register("op-b", 2, EAST).await);
    let (heard, silent) = (world.register("op-a", 3, MIDDLE).await, world.register("op-b", 3, MIDDLE).await);
    world.place("op-a", &a, HERE).await;
    world.place("op-b", &b, OUTSIDE).await;
    let hail = world.hail("app", &a, "op-a").await;
    world.moves("app", &hail, &json!({"status": "declined_by_customer"})).await;
    let source =
        |operator: &str, taxi: &str| format!("{} {}", world.taxi(operator, taxi).0, world.number(operator));
    let (of_a, of_b) = (source("op-a", &a), source("op-b", &b));
    // Positions are saved once a minute, and at a stop.
    world.stop().await;
    world.start().await;

    // A millisecond less than sixty days, then no less.
    world.clock.advance(60 * DAY_MS - 1);
    assert_eq!(plans(world).await, []);
    world.clock.advance(1);
    let positions = || plan("last_positions", "blurred", &[&of_a, &of_b]);
    assert_eq!(plans(world).await, [positions()]);
    world.clock.advance(1);
    assert_eq!(plans(world).await, [positions(), plan("hails", "blurred", &[&hail])]);
    let exact = get(world, &format!("/hails/{hail}")).await;
    assert_eq!(exact["customer_address"], "1 rue X");
    assert_eq!(world.look("op-a", &a).await["position"], json!({"lat": 48.85, "lon": 2.35}));

    // The next night: 2026-11-21T04:13:20.
    world.clock.advance(14 * HOUR_MS);
    let path = format!("/hails/{hail}");
    let gone = async || {
        let hail = get(world, &path).await;
        (hail["customer_address"] == "[REDACTED]").then_some(hail)
    };
    let blurred = within(SOON, "a blurred hail", gone).await;
    assert_eq!((&blurred["customer_lat"], &blurred["customer_lon"]), (&json!(48.85), &json!(2.35)));
    for phone in ["customer_phone_number", "taxi_phone_number"] {
        assert_eq!(blurred[phone], "[REDACTED]", "{phone}");
    }
    assert_eq!(get(world, "/stats/heatmap_hails").await["points"], json!([[48.85, 2.35]]));
    assert_eq!(plans(world).await, []);
    // Nor does the next saving bring the exact ones back, or memory tell them.
    world.stop().await;
    world.start().await;
    assert_eq!(plans(world).await, []);
    for (operator, taxi, (lat, lon)) in [("op-a", &a, (48.85, 2.35)), ("op-b", &b, (0.0, 0.0))] {
        let seen = world.look(operator, taxi).await;
        assert_eq!(seen["position"], json!({"lat": lat, "lon": lon}), "{operator}");
        assert_eq!(seen["last_update"], 1_790_000_000, "{operator}");
    }
    let figures = get(world, "/stats/hails").await;
    assert_eq!(figures["hails_received"]["today"], 1);
    assert_eq!(figures["average_hail_distance"]["today"], 2_962, "as it was exactly");

    // Half a year later the other operator reports the third vehicle's first taxi; a year later all else is old.
    world.clock.advance(180 * DAY_MS);
    assert_eq!(world.report("op-b", &[(&heard, HERE.0, HERE.1)]).await.status, 200);
    world.stop().await;
    world.start().await;
    // 2027-09-22T03:13:20: the nights' times are to come.
    world.clock.advance(125 * DAY_MS - HOUR_MS);
    let old = [plan("hails", "deleted", &[&hail]), plan("taxis", "deleted", &[&b, &silent])];
    let blurred = async || (plans(world).await == old).then_some(());
    within(SOON, "the last position of the third vehicle blurred, and nothing else done yet", blurred).await;
    world.clock.advance(HOUR_MS);
    let registered = async || {
        let figures = get(world, "/stats/taxis").await;
        (figures["registered_taxis"]["today"] == 1).then_some(())
    };
    within(SOON, "three taxis gone", registered).await;
    let empty = async || plans(world).await.is_empty().then_some(());
    within(SOON, "their parts gone", empty).await;
    let path = format!("/hails/{hail}");
    assert_eq!(world.client.get(world.key("admin"), &path).await.status, 404);
    for (operator, taxi) in [("op-a", &a), ("op-b", &b), ("op-b", &silent)] {
        let path = format!("/taxis/{taxi}");
        assert_eq!(world.client.get(world.key(operator), &path).await.status, 404, "{operator}");
        assert!(world.source(operator, taxi).is_none(), "memory has forgotten it");
    }
    // Its parts stay, whoever describes them.
    assert_eq!(world.look("op-a", &heard).await["vehicle"]["licence_plate"], plate(3));
    assert!(world.source("op-b", &heard).is_some());
    assert_eq!(get(world, "/stats/hails").await["hails_received"]["today"], 1, "a copy outlives its hail");
}

async fn the_command_line_lists_what_is_old_and_does_it(world: &mut World) {
    let program = world.program();
    let told = async |arguments: &[&str]| {
        let told: Value = serde_json::from_str(&program.done(arguments).await).unwrap();
        told.as_array().unwrap().clone()
    };
    let listed = told(&["retain", "--dry-run", "--json"]).await;
    let tables: Vec<_> = listed.iter().map(|plan| plan["table"].as_str().unwrap()).collect();
    assert_eq!(
        tables,
        [
            "last_positions",
            "hails",
            "hails",
            "taxis",
            "drivers",
            "ads",
            "vehicle_descriptions",
            "vehicles",
            "hail_sessions",
            "customers",
            "archive/positions",
            "archive/searches",
            "archive/searches",
            "archive/hails",
            "archive/rollups/presence",
        ]
    );
    assert!(listed.iter().all(|plan| plan["rows"] == json!([])), "{listed:?}");
    let done = told(&["retain", "--json"]).await;
    let names: Vec<_> = done.iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(names, Step::ALL.map(Step::name));
    assert!(done.iter().all(|run| run["rows"] == 0), "{done:?}");
    assert!(program.done(&["retain"]).await.contains("delete_orphans: 0 rows"));
}
