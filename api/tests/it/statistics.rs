//! The figures of `/stats`: the contract's worked example over both databases, figure by figure, and who may see them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::World;

mod copies;
pub(crate) mod example;
mod hours;
mod narrowed;
pub(crate) mod searches;

use example::{OP_A, OP_B, example};

on_each_database!(in example:
    groups_and_departments_are_as_in_the_example,
    the_public_figures_are_as_in_the_example,
    taxis_are_as_in_the_example,
    hails_are_as_in_the_example,
    heat_maps_are_as_in_the_example,
    the_minute_is_as_in_the_example,
    what_support_reads_is_as_in_the_example,
    wrong_accounts_are_told_and_only_administrators_ask,
);

/// The endpoints that are narrowed.
const NARROWED: [&str; 5] =
    ["/stats/taxis", "/stats/hails", "/stats/groupements", "/stats/adsmap", "/stats/searches"];

/// The elements of an answer to the administrator.
async fn elements(world: &World, path: &str) -> Value {
    let mut answer = world.client.get(world.key("admin"), path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body["data"].take()
}

async fn element(world: &World, path: &str) -> Value {
    elements(world, path).await[0].take()
}

/// Milestones as the example writes them.
fn milestones([today, three, six, twelve]: [i64; 4]) -> Value {
    json!({"today": today, "three_months_ago": three, "six_months_ago": six, "twelve_months_ago": twelve})
}

async fn taxis_are_as_in_the_example(world: &mut World) {
    let taxis = |[registered, registered_since, connected, connected_since]: [[i64; 4]; 4],
                 now: i64,
                 monthly: f64,
                 radius: Value,
                 change: f64,
                 per_hour: Value| {
        json!({"registered_taxis": milestones(registered),
               "registered_taxis_since_threshold": milestones(registered_since),
               "connected_taxis": milestones(connected),
               "connected_taxis_since_threshold": milestones(connected_since), "connected_taxis_now": now,
               "monthly_hails_per_taxi": monthly, "average_radius": radius, "average_radius_change": change,
               "connected_taxis_per_hour": per_hour})
    };
    let all = [[6, 4, 3, 2], [4, 2, 1, 0], [6, 4, 2, 2], [6, 4, 2, 2]];
    let isere = [[2, 1, 1, 0], [2, 1, 1, 0], [2, 1, 0, 0], [2, 1, 0, 0]];
    // Of opA: T1 and T2 in Lyon, T3 in Grenoble; copies of the last three months: H6, H8 (T3) and H9 (T1).
    let managed = [[3, 3, 3, 2], [1, 1, 1, 0], [3, 3, 2, 2], [3, 3, 2, 2]];
    for (arguments, expected) in [
        (
            "",
            taxis(
                all,
                5,
                0.277_777_777_777_777_8,
                json!(175.0),
                33.333_333_333_333_336,
                json!({"9": 3.5, "14": 1.0}),
            ),
        ),
        ("?departements=38", taxis(isere, 1, 0.333_333_333_333_333_3, json!(200.0), 50.0, json!({"9": 1.0}))),
        (
            "?groups=4",
            taxis(
                [[3, 1, 0, 0]; 4],
                2,
                0.222_222_222_222_222_2,
                Value::Null,
                0.0,
                json!({"9": 1.5, "14": 1.0}),
            ),
        ),
        (
            "?manager=2",
            taxis(
                managed,
                3,
                0.333_333_333_333_333_3,
                json!(175.0),
                66.666_666_666_666_67,
                json!({"9": 2.0}),
            ),
        ),
    ] {
        assert_eq!(element(world, &format!("/stats/taxis{arguments}")).await, expected, "{arguments}");
    }
    let nobody = element(world, "/stats/taxis?groups=2").await;
    assert_eq!(nobody["registered_taxis"], milestones([0; 4]));
    for field in ["monthly_hails_per_taxi", "average_radius", "average_radius_change"] {
        assert_eq!(nobody[field], Value::Null, "{field}");
    }
    assert_eq!(
        (&nobody["connected_taxis_now"], &nobody["connected_taxis_per_hour"]),
        (&json!(0), &json!({}))
    );
}

async fn groups_and_departments_are_as_in_the_example(world: &mut World) {
    let fleet = |id: i32, email: &str, size: Value, count: i64, ratio: Value, last: &str, manager: Value| {
        json!({"id": id, "email": email, "fleet_size": size, "count": count, "ratio": ratio, "last_taxi": last,
               "manager": manager})
    };
    let (boss, none) = (json!("boss"), Value::Null);
    let of_a =
        |count, ratio| fleet(3, "opA", json!(8), count, json!(ratio), "2025-05-02T09:00:00", boss.clone());
    let of_b = |count, last| fleet(4, "opB", none.clone(), count, none.clone(), last, none.clone());
    for (arguments, fleets) in [
        ("", vec![of_a(3, 37.5), of_b(3, "2026-03-18T10:00:00")]),
        ("?departements=38", vec![of_a(1, 12.5), of_b(1, "2026-02-20T14:00:00")]),
        ("?groups=4", vec![of_b(3, "2026-03-18T10:00:00")]),
        ("?manager=2", vec![of_a(3, 37.5)]),
        ("?manager=2&groups=4", vec![]),
        ("?insee=38185&groups=3,4&manager=2", vec![of_a(1, 12.5)]),
        ("?departements=75", vec![]),
    ] {
        let expected = json!({"registered_groupements": fleets.len(), "fleet_data": fleets});
        assert_eq!(element(world, &format!("/stats/groupements{arguments}")).await, expected, "{arguments}");
    }

    let department = |number: &str, name: &str, count: i64, at: [f64; 2]| {
        json!({"insee": number, "name": name, "count": count,
               "position": {"type": "Point", "coordinates": at}})
    };
    let isere = |count| department("38", "Isère", count, [5.72, 45.185]);
    let rhone = |count| department("69", "Rhône", count, [4.835, 45.76]);
    for (arguments, expected) in [
        ("", vec![isere(2), rhone(4)]),
        ("?groups=3", vec![isere(1), rhone(2)]),
        ("?insee=69123", vec![rhone(4)]),
        ("?groups=99", vec![]),
    ] {
        assert_eq!(
            elements(world, &format!("/stats/adsmap{arguments}")).await,
            json!(expected),
            "{arguments}"
        );
    }

    let [a, b, boss] = [(OP_A, "opA", "OPA"), (OP_B, "opB", "OPB"), (2, "boss", "BOSS")]
        .map(|(id, email, name)| json!({"id": id, "email": email, "commercial_name": name}));
    for (path, expected) in [
        ("/stats/groups", json!([a, b])),
        ("/stats/groups/", json!([a, b])),
        ("/stats/groups?search=OPa", json!([a])),
        ("/stats/groups?search=&search=opA", json!([a, b])),
        ("/stats/groups?search=%25", json!([])),
        ("/stats/managers", json!([boss])),
    ] {
        assert_eq!(elements(world, path).await, expected, "{path}");
    }
}

async fn the_public_figures_are_as_in_the_example(world: &mut World) {
    let answer = world.client.http.get(format!("{}/stats/letaxi", world.client.base)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let figures: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!((&figures["groups"], &figures["apps"]), (&json!(2), &json!(1)));
    assert_eq!(figures["hails_growth"], json!({"lyon": 100.0}));
    let lyon = json!({"lyon": 0.14});
    let both = |lyon: f64, grenoble: f64| json!({"lyon": lyon, "grenoble": grenoble});
    assert_eq!(
        figures["taxis_connected"],
        json!([
            ["2025-03-01", lyon],
            ["2025-04-01", lyon],
            ["2025-05-01", lyon],
            ["2025-06-01", both(0.14, 0.47)],
            ["2025-07-01", both(0.14, 0.47)],
            ["2025-08-01", both(0.14, 0.47)],
            ["2025-09-01", both(0.14, 0.47)],
            ["2025-10-01", both(0.14, 0.47)],
            ["2025-11-01", both(0.21, 0.47)],
            ["2025-12-01", both(0.21, 0.47)],
            ["2026-01-01", both(0.21, 0.47)],
            ["2026-02-01", both(0.21, 0.47)],
            ["2026-03-01", both(0.21, 0.94)],
        ])
    );
}

/// `hails_average` of five means a day, week and month.
fn window([daily, weekly, monthly]: [[f64; 5]; 3]) -> Value {
    let means = |[total, timeout_customer, declined_by_customer, incident_taxi, declined_by_taxi]: [f64;
                     5]| {
        json!({"total": total, "timeout_customer": timeout_customer, "declined_by_customer": declined_by_customer,
               "incident_taxi": incident_taxi, "declined_by_taxi": declined_by_taxi})
    };
    json!({"daily": means(daily), "weekly": means(weekly), "monthly": means(monthly)})
}

/// `average_times` in the order of the example.
fn times(seconds: [f64; 8]) -> Value {
    let names = [
        "accepted_by_taxi",
        "accepted_by_customer",
        "timeout_customer",
        "declined_by_customer",
        "timeout_taxi",
        "incident_taxi",
        "customer_on_board_incident_taxi",
        "customer_on_board",
    ];
    names.into_iter().zip(seconds).map(|(name, seconds)| (name.to_owned(), json!(seconds))).collect()
}

async fn hails_are_as_in_the_example(world: &mut World) {
    let figures = element(world, "/stats/hails").await;
    let busy = |total: f64| [total, 1.0, 1.0, 1.0, 0.0];
    let fives_thirds = busy(1.666_666_666_666_666_7);
    let of_2025 = [1.0, 0.0, 0.0, 0.0, 1.0];
    let expected = json!({
        "hails_received": milestones([8, 3, 3, 1]), "hails_finished": milestones([2, 1, 1, 1]),
        "hails_declined_by_taxi": milestones([1, 1, 1, 0]), "hails_declined_by_customer": milestones([1, 0, 0, 0]),
        "hails_timeout_taxi": milestones([1, 0, 0, 0]), "hails_timeout_ride": milestones([1, 1, 1, 0]),
        "hails_timeout_customer": milestones([1, 0, 0, 0]), "hails_incident_taxi": milestones([1, 0, 0, 0]),
        "hails_incident_customer": milestones([0; 4]),
        "hails_timeout_accepted_by_customer": milestones([0; 4]), "hails_failure": milestones([0; 4]),
        "average_hail_distance": milestones([230, 223, 223, 200]),
        "hails_total": {"current_year": [[1, 1], [2, 3]], "last_year": [[2, 1], [3, 1], [7, 1], [12, 1]]},
        "average_times": times([10.857_143, 6.6, 30.0, 9.0, 30.0, 505.0, 300.0, 378.6]),
        "hails_average": {
            "last_three_months": window([busy(1.25), fives_thirds, fives_thirds]),
            "current_year": window([busy(1.333_333_333_333_333_3), busy(2.0), busy(2.0)]),
            "last_year": window([of_2025, of_2025, of_2025]),
        },
    });
    assert_eq!(figures, expected);

    let isere = element(world, "/stats/hails?departements=38").await;
    assert_eq!(isere["hails_received"], milestones([2, 0, 0, 0]));
    assert_eq!(isere["average_hail_distance"], milestones([90, 0, 0, 0]));
    assert_eq!(isere["hails_total"], json!({"current_year": [[1, 1], [2, 1]], "last_year": []}));
    assert_eq!(isere["average_times"], times([14.0, 5.0, 30.0, 0.0, 0.0, 505.0, 300.0, 205.0]));

    let of_b = element(world, "/stats/hails?groups=4").await;
    assert_eq!(of_b["hails_received"], milestones([2, 0, 0, 0]));
    assert_eq!(of_b["average_hail_distance"], milestones([295, 0, 0, 0]));
    assert_eq!(of_b["hails_total"], json!({"current_year": [[2, 1]], "last_year": [[12, 1]]}));
    // Only opA's: H2, H3, H4, H6, H8 and H9; of these H6 and H8 were in Grenoble.
    let managed = element(world, "/stats/hails?manager=2").await;
    assert_eq!(managed["hails_received"], milestones([6, 3, 3, 1]));
    let there = element(world, "/stats/hails?manager=2&insee=38185,75056").await;
    assert_eq!(there["hails_received"], milestones([2, 0, 0, 0]));
    assert_eq!(element(world, "/stats/hails?groups=5").await["hails_received"], milestones([0; 4]));
}

/// Points in an order of their own.
fn sorted(points: &Value) -> Vec<(f64, f64)> {
    let points = points.as_array().unwrap().iter();
    let mut points: Vec<_> =
        points.map(|point| (point[0].as_f64().unwrap(), point[1].as_f64().unwrap())).collect();
    points.sort_by(|a, b| a.partial_cmp(b).unwrap());
    points
}

async fn heat_maps_are_as_in_the_example(world: &mut World) {
    let hails = element(world, "/stats/heatmap_hails").await;
    assert_eq!(
        sorted(&hails["points"]),
        [
            (45.18, 5.71),
            (45.185, 5.72),
            (45.19, 5.73),
            (45.75, 4.85),
            (45.76, 4.835),
            (45.76, 4.835),
            (45.76, 4.835),
            (45.77, 4.86),
        ]
    );
    // Of five hails that are exact no cell has five.
    assert_eq!(element(world, "/stats/heatmap_hails/cells").await, json!({"cells": []}));
    let taxis = element(world, "/stats/heatmap_taxis").await;
    assert_eq!(sorted(&taxis["points"]), [(45.19, 5.72), (45.75, 4.85), (45.76, 4.82)]);
    // Nor of three taxis.
    assert_eq!(element(world, "/stats/heatmap_taxis/cells").await, json!({"cells": []}));
}

async fn the_minute_is_as_in_the_example(world: &mut World) {
    let ask = async |account: &str, path: &str| {
        let answer = world.client.get(world.key(account), path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let zones = answer.body["data"].as_array().unwrap().iter();
        let id = |zone: &Value| {
            let id = [&zone["id"], &zone["zupc_id"]].into_iter().find_map(Value::as_str);
            id.unwrap().to_owned()
        };
        zones.map(|zone| (id(zone), zone["stats"].clone())).collect::<BTreeMap<_, _>>()
    };
    let total = |total: u32| json!({ "total": total });
    let own = |account: &str, taxis: u32| json!({ "operators": { account: taxis } });
    for (account, of_z1, of_z2) in [
        ("admin", total(4), total(5)),
        ("opA", own("opA", 2), own("opA", 3)),
        ("opB", own("opB", 3), own("opB", 3)),
    ] {
        let both = BTreeMap::from([("Z1".to_owned(), of_z1), ("Z2".to_owned(), of_z2.clone())]);
        assert_eq!(ask(account, "/zupc/live").await, both, "{account}");
        assert_eq!(ask(account, "/zupc?lon=4.85&lat=45.75").await, both, "{account} in Lyon");
        let one = BTreeMap::from([("Z2".to_owned(), of_z2)]);
        assert_eq!(ask(account, "/zupc?lon=5.72&lat=45.19").await, one, "{account} in Grenoble");
    }
}

async fn what_support_reads_is_as_in_the_example(world: &mut World) {
    let told = elements(world, "/internal/customers").await;
    let told: Vec<_> =
        told.as_array().unwrap().iter().map(|hail| hail["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, ["H10", "H8", "H9", "H7", "H6", "H5", "H4", "H3"]);
}

async fn wrong_accounts_are_told_and_only_administrators_ask(world: &mut World) {
    let wrong = json!(["Not a valid integer."]);
    for path in NARROWED {
        let answer = world.client.get(world.key("admin"), &format!("{path}?manager=x&groups=3,%204,y")).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert_eq!(answer.body["errors"], json!({"manager": {"0": wrong}, "groups": {"2": wrong}}), "{path}");
        for unheard in ["?departements=&insee=&groups=&manager=0", "?unknown=x"] {
            let (plain, unheard) = (format!("{path}{unheard}"), element(world, path).await);
            assert_eq!(element(world, &plain).await, unheard, "{plain}");
        }
        for account in ["opA", "boss", "app1"] {
            assert_eq!(world.client.get(world.key(account), path).await.status, 403, "{path} as {account}");
        }
        assert_eq!(world.client.get("", path).await.status, 401, "{path}");
    }
}
