//! What figures are narrowed to: departments overseas, whom an administrator logs as, and hours counted by two.

use api::store::places::ShapeRow;
use engine::heard::HeardTaxi;
use serde_json::{Value, json};

use super::{NARROWED, element, elements};
use crate::harness::client::Answer;
use crate::harness::places::{MIDDLE, WEST, rectangle};
use crate::world::World;

on_each_database!(
    departments_overseas_have_three_characters,
    the_roles_of_whom_one_logs_as_decide,
    hours_that_two_count_are_what_their_parts_are,
);

/// Saint-Denis on La Réunion, and a town of New Caledonia, which is no department.
const OVERSEAS: [&str; 2] = ["97411", "98818"];
const HOUR_MS: i64 = 3_600_000;

async fn departments_overseas_have_three_characters(world: &mut World) {
    let app = &world.server().app;
    let town = |(insee, west): (&str, f64)| ShapeRow {
        key: insee.to_owned(),
        name: format!("Town {insee}"),
        shape: rectangle((west, west + 0.1), (-20.95, -20.85)).to_string(),
    };
    let towns: Vec<_> = OVERSEAS.into_iter().zip([55.4, 166.4]).map(town).collect();
    app.registry.store().import_towns(&towns, |_| {}).await.unwrap();
    app.registry.read_all().await.unwrap();
    world.register("op-a", 1, MIDDLE).await;
    let there = world.register("op-a", 2, OVERSEAS[0]).await;
    world.register("op-b", 3, OVERSEAS[1]).await;
    let heard = HeardTaxi { taxi: world.taxi("op-a", &there), received_at: world.clock.now().plus(-HOUR_MS) };
    app.registry.store().save_heard_hours(&[heard]).await.unwrap();
    app.registry.store().count_hours(world.clock.now()).await.unwrap();
    world.clock.advance(1_000);
    for (arguments, taxis, connected) in [
        ("", 3, 1),
        ("?departements=974", 1, 1),
        ("?departements=75,974", 2, 1),
        ("?departements=974&insee=97411", 1, 1),
        ("?departements=75,974&insee=75056", 1, 0),
        ("?departements=988", 1, 0),
        ("?departements=971,97,98,9,9741", 0, 0),
        ("?departements=75,%20974", 1, 0),
        ("?groups=3000000000", 0, 0),
        ("?manager=3000000000", 0, 0),
    ] {
        let figures = element(world, &format!("/stats/taxis{arguments}")).await;
        assert_eq!(figures["registered_taxis"]["today"], taxis, "{arguments}");
        let per_hour = figures["connected_taxis_per_hour"].as_object().unwrap();
        assert_eq!(per_hour.len(), connected, "{arguments}");
    }
    let shown = async |arguments: &str| {
        let departments = elements(world, &format!("/stats/adsmap{arguments}")).await;
        let shown = departments.as_array().unwrap().iter();
        shown.map(|one| json!([one["insee"], one["name"], one["count"]])).collect::<Value>()
    };
    assert_eq!(shown("").await, json!([["75", "Paris", 1], ["974", "La Réunion", 1]]));
    assert_eq!(shown("?departements=974").await, json!([["974", "La Réunion", 1]]));
}

async fn the_roles_of_whom_one_logs_as_decide(world: &mut World) {
    for path in NARROWED {
        let request = world.client.http.get(format!("{}{path}", world.client.base));
        let request = request.header("X-Api-Key", world.key("admin")).header("X-Logas", "op-a");
        assert_eq!(Answer::of(request).await.unwrap().status, 403, "{path}");
    }
}

async fn hours_that_two_count_are_what_their_parts_are(world: &mut World) {
    let (early, late) = (world.register("op-a", 1, MIDDLE).await, world.register("op-b", 2, WEST).await);
    let store = world.server().app.registry.store();
    let now = world.clock.now();
    for hours in (1..24).rev() {
        let received_at = now.plus(-hours * HOUR_MS);
        let heard = |operator, taxi: &str| [HeardTaxi { taxi: world.taxi(operator, taxi), received_at }];
        store.save_heard_hours(&heard("op-a", &early)).await.unwrap();
        let (over, late) = (received_at.plus(HOUR_MS), heard("op-b", &late));
        let (one, saved, other) =
            tokio::join!(store.count_hours(over), store.save_heard_hours(&late), store.count_hours(over));
        one.and(saved).and(other).unwrap();
    }
    let per_hour = async |arguments: String| {
        element(world, &format!("/stats/taxis{arguments}")).await["connected_taxis_per_hour"].take()
    };
    let all = per_hour(String::new()).await;
    assert_eq!(all.as_object().unwrap().len(), 23);
    let both = format!("?groups={},{}", world.number("op-a"), world.number("op-b"));
    assert_eq!(per_hour(both).await, all);
}
