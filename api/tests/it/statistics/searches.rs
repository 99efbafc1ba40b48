//! Searches of the worked example: what they found, who made them, and from where.

use ingest::position::LatLon;
use ingest::searches::Search;
use serde_json::{Value, json};

use super::example::{GRENOBLE, LYON, OP_A, at, example};
use super::{element, sorted};
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(in example:
    searches_are_as_in_the_example,
    a_search_made_a_second_ago_is_counted,
);

type Row = (&'static str, &'static str, u16, u16, Option<f64>, (f64, f64));

/// When, by whom, found, seen, closest, where.
const SEARCHES: [Row; 8] = [
    ("2025-12-01T09:00:00", "app1", 4, 2, Some(120.0), (45.75, 4.84)),
    ("2026-02-17T23:59:00", "app1", 0, 0, None, (45.76, 4.85)),
    ("2026-02-18T00:00:00", "app1", 3, 3, Some(80.0), (45.76, 4.86)),
    ("2026-03-01T12:00:00", "app2", 1, 0, Some(700.0), (45.18, 5.72)),
    ("2026-03-10T08:00:00", "app1", 2, 1, Some(250.5), (45.19, 5.72)),
    ("2026-03-15T19:00:00", "app2", 5, 4, Some(45.5), (45.75, 4.83)),
    ("2026-03-18T10:00:00", "app1", 0, 0, None, (45.78, 4.80)),
    ("2026-03-18T10:29:00", "opA", 1, 1, Some(310.0), (45.77, 4.85)),
];

/// Makes the searches of the example.
pub(crate) async fn searched(world: &World) {
    let history = world.server().app.history.clone().unwrap();
    for (when, caller, found, seen, closest_m, (lat, lon)) in SEARCHES {
        let town = if lon < 5.0 { LYON } else { GRENOBLE };
        history.add(Search {
            at: at(when),
            caller: world.number(caller),
            customer: LatLon::new(lat, lon).unwrap(),
            town: town.parse().unwrap(),
            found,
            seen,
            closest_m,
        });
    }
    within(SOON, "every search", async || (history.len() == SEARCHES.len()).then_some(())).await;
}

/// Makes one more, in a cell that has one.
pub(crate) fn search_again(world: &World) {
    let history = world.server().app.history.clone().unwrap();
    history.add(Search {
        at: at("2026-03-15T19:00:00"),
        caller: world.number("app1"),
        customer: LatLon::new(45.75, 4.83).unwrap(),
        town: LYON.parse().unwrap(),
        found: 0,
        seen: 0,
        closest_m: None,
    });
}

async fn searches_are_as_in_the_example(world: &mut World) {
    let none = [None; 3];
    assert_eq!(element(world, "/stats/searches").await, answer(none, none, none, &[]));
    searched(world).await;
    let history = world.server().app.history.clone().unwrap();
    let all = answer(
        [0.75, 1.5, 3.25].map(Some),
        [0.0, 1.0, 2.25].map(Some),
        [90.0, 185.25, 295.125].map(Some),
        &[("app1", 3), ("app2", 2), ("opA", 1)],
    );
    let isere = answer(
        [1.25, 1.5, 1.75].map(Some),
        [0.25, 0.5, 0.75].map(Some),
        [362.875, 475.25, 587.625].map(Some),
        &[("app1", 1), ("app2", 1)],
    );
    let of_op_a = answer([Some(1.0); 3], [Some(1.0); 3], [Some(310.0); 3], &[("opA", 1)]);
    for (arguments, expected) in [
        (String::new(), &all),
        ("?departements=38".to_owned(), &isere),
        (format!("?insee={GRENOBLE}"), &isere),
        (format!("?groups={OP_A}"), &of_op_a),
        ("?manager=2".to_owned(), &of_op_a),
        (format!("?groups={OP_A}&departements=38"), &answer(none, none, none, &[])),
    ] {
        assert_eq!(element(world, &format!("/stats/searches{arguments}")).await, *expected, "{arguments}");
    }
    let points = element(world, "/stats/heatmap_searches").await;
    assert_eq!(
        sorted(&points["points"]),
        [
            (45.18, 5.72),
            (45.19, 5.72),
            (45.75, 4.83),
            (45.76, 4.835),
            (45.76, 4.85),
            (45.76, 4.86),
            (45.77, 4.85),
            (45.78, 4.8),
        ]
    );

    // Beside it in cells, of those in which there are five.
    let cells = "/stats/heatmap_searches/cells";
    assert_eq!(element(world, cells).await, json!({"cells": []}));
    for _ in 1..5 {
        search_again(world);
    }
    within(SOON, "five searches", async || (history.len() == SEARCHES.len() + 4).then_some(())).await;
    let told = element(world, cells).await;
    assert_eq!((told["cells"].as_array().unwrap().len(), &told["cells"][0]["count"]), (1, &json!(5)));
    assert!(told["cells"][0]["cell"].as_str().unwrap().starts_with("88"), "{told}");
}

async fn a_search_made_a_second_ago_is_counted(world: &mut World) {
    world.search("app2", (45.75, 4.85)).await;
    let counted = async || {
        let figures = element(world, "/stats/searches").await;
        (figures["moteurs"] == json!([{"moteur": "app2", "count": 1}])).then_some(())
    };
    within(SOON, "the search", counted).await;
    for path in ["/stats/searches", "/stats/heatmap_searches", "/stats/heatmap_searches/cells"] {
        assert_eq!(world.client.get(world.key("app1"), path).await.status, 403, "{path}");
        assert_eq!(world.client.get("", path).await.status, 401, "{path}");
    }
}

/// An answer of these quartiles of taxis found, of taxis seen and of the closest.
fn answer(
    found: [Option<f64>; 3],
    seen: [Option<f64>; 3],
    closest: [Option<f64>; 3],
    callers: &[(&str, u64)],
) -> Value {
    let mut taxis = json!({});
    for (name, quartiles) in [("taxis_found", found), ("taxis_seen", seen), ("closest_taxi", closest)] {
        for (quarter, value) in ["25", "50", "75"].iter().zip(quartiles) {
            taxis[format!("{name}_{quarter}")] = json!(value);
        }
    }
    let callers: Vec<_> =
        callers.iter().map(|(email, count)| json!({"moteur": email, "count": count})).collect();
    json!({"taxis": taxis, "moteurs": callers})
}
