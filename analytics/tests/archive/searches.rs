//! Searches are archived as positions are, from a log of their own.

use analytics::clean::clean;
use analytics::compact::{Outcome, compact};
use analytics::current::Current;
use analytics::layout::{Day, Recent, Stream};
use analytics::positions::Positions;
use analytics::searches::Searches;
use analytics::verify::verify;
use datafusion::arrow::array::{Array as _, AsArray as _};
use datafusion::arrow::datatypes::{
    Float64Type, Int32Type, TimestampMillisecondType, UInt16Type, UInt64Type,
};
use ingest::clock::Millis;
use ingest::log::Log;
use ingest::position::LatLon;
use ingest::searches::Search;

use crate::world::{MINUTE, NOON, World, append, open_log};

/// The n-th of some searches from two towns, of which every third finds nothing.
pub(crate) fn search(n: u16, at: Millis) -> Search {
    let found = n % 3;
    Search {
        at,
        caller: i32::from(n % 7),
        customer: LatLon::from_e7(488_600_000, 23_300_000 + 10_000 * i32::from(n % 100)).unwrap(),
        town: if n.is_multiple_of(2) { "75056" } else { "2A004" }.parse().unwrap(),
        found,
        seen: found / 2,
        closest_m: (found > 0).then(|| f64::from(n) + 0.25),
    }
}

/// A world with searches of three hours in a log beside the positions'.
fn searched() -> (World, Log<Search>) {
    let world = World::new(1);
    let log = open_log(&world.path().join("log-searches"), 1, &world.clock);
    for hour in 0..3 {
        append(&log, (0..500).map(|n| search(hour * 500 + n, world.clock.now())).collect());
        world.append(0..10);
        world.clock.advance(60 * MINUTE);
    }
    (world, log)
}

#[tokio::test]
async fn searches_are_in_the_archive_once_beside_the_positions() {
    let (world, log) = searched();
    for _ in 0..2 {
        world.archive_all::<Searches>(&log).await;
    }
    let findings = world.verified_against::<Searches>(&log).await;
    assert_eq!((findings.rows, findings.files), (1_500, 3), "three hours");
    assert_eq!(verify::<Positions>(&world.root, &|_, _| ()).await.unwrap().files, 0, "a stream of their own");
    world.archive().await;
    assert_eq!(world.verified().await.rows, 30);

    let current = Current::read(&world.root, Stream::Searches).await.unwrap();
    let content = world.root.get(&current.recent[1].name).await.unwrap().unwrap();
    let batch = analytics::file::read(content).unwrap().1.next().unwrap().unwrap();
    // The eleventh of the second hour.
    let (row, expected) = (10, search(510, NOON.plus(60 * MINUTE)));
    let point =
        [&batch["lat_e7"], &batch["lon_e7"]].map(|column| column.as_primitive::<Int32Type>().value(row));
    assert_eq!(point, [expected.customer.lat_e7(), expected.customer.lon_e7()]);
    assert_eq!(batch["at"].as_primitive::<TimestampMillisecondType>().value(row), expected.at.0);
    assert_eq!(batch["caller"].as_primitive::<Int32Type>().value(row), expected.caller);
    let numbers =
        [&batch["found"], &batch["seen"]].map(|column| column.as_primitive::<UInt16Type>().value(row));
    assert_eq!(numbers, [expected.found, expected.seen]);
    let closest = batch["closest_m"].as_primitive::<Float64Type>();
    assert!(closest.is_null(row) && closest.is_valid(row + 1));
    let cell = h3o::CellIndex::try_from(batch["cell"].as_primitive::<UInt64Type>().value(row)).unwrap();
    let at = h3o::LatLng::new(expected.customer.lat(), expected.customer.lon()).unwrap();
    assert_eq!(cell, at.to_cell(h3o::Resolution::Eight));
}

#[tokio::test]
async fn a_day_of_searches_is_written_from_its_hours() {
    let (world, log) = searched();
    world.archive_all::<Searches>(&log).await;
    let aside = world.path().join("aside");
    let written = compact::<Searches>(&world.root, Day::of(NOON), &aside, &|_, _| ()).await.unwrap();
    let Outcome::Written(manifest) = written else { panic!("{written:?}") };
    assert_eq!(manifest.rows(), 1_500);
    let findings = world.verified_against::<Searches>(&log).await;
    assert_eq!((findings.rows, findings.files), (1_500, 1));
    assert_eq!(clean::<Searches>(&world.root, Millis(i64::MAX)).await.unwrap(), 2);
    let left = world.root.list::<Recent>("recent/searches").await.unwrap();
    assert_eq!(left.len(), 1, "the newest says where to go on");
    append(&log, vec![search(7, world.clock.now())]);
    world.archive_all::<Searches>(&log).await;
    assert_eq!(world.verified_against::<Searches>(&log).await.rows, 1_501);
}
