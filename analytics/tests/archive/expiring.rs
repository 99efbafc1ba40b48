//! Days of searches that are too old are deleted, and nothing of them is missed.

use std::time::Duration;

use analytics::archiver::{Archiver, Settings};
use analytics::blur::Plan;
use analytics::clean::clean;
use analytics::compact::{Outcome, compact};
use analytics::compare::{Compared, compare};
use analytics::current::Current;
use analytics::expire::{delete, due, plan};
use analytics::layout::{Day, Part, Recent, Stream};
use analytics::manifest::Manifest;
use analytics::positions::Positions;
use analytics::searches::Searches;
use analytics::verify::verify;
use ingest::clock::Millis;
use ingest::log::Log;
use ingest::searches::Search;

use crate::damage::{Nobody, until};
use crate::searches::search;
use crate::world::{HOUR, NOON, World, append, open_log};

const DAY: i64 = 24 * HOUR;

/// A world with searches of three days, ten in each, and more that came late to the first.
async fn searched() -> (World, Log<Search>, [Day; 3]) {
    let world = World::new(1);
    let log = open_log(&world.path().join("log-searches"), 1, &world.clock);
    let mut days = [Day(0); 3];
    for day in &mut days {
        *day = Day::of(world.clock.now());
        append(&log, (0..10).map(|n| search(n, world.clock.now())).collect());
        world.archive_all::<Searches>(&log).await;
        world.clock.advance(DAY);
    }
    (world, log, days)
}

async fn written(world: &World, day: Day) {
    let written = compact::<Searches>(&world.root, day, &world.path().join("aside"), &|_, _| ()).await;
    assert!(matches!(written, Ok(Outcome::Written(_))), "{written:?}");
}

async fn deleted(world: &World, day: Day) -> Manifest {
    match delete::<Searches>(&world.root, day).await.unwrap() {
        Outcome::Written(manifest) => manifest,
        other => panic!("{other:?}"),
    }
}

/// How many searches there are; nothing is wrong with them, nor different from the log.
async fn left(world: &World, log: &Log<Search>) -> u64 {
    let findings = verify::<Searches>(&world.root, &|_, _| ()).await.unwrap();
    assert_eq!(findings.problems, [""; 0]);
    let compared = compare::<Searches>(&world.root, log, &|_, _| ()).await.unwrap();
    assert_eq!(compared, Compared { rows: findings.rows, problems: vec![] });
    findings.rows
}

async fn planned(world: &World, kept_since: Millis) -> Vec<(Day, u64, usize)> {
    let (plans, damaged) = plan::<Searches>(&world.root, kept_since).await.unwrap();
    assert!(damaged.is_empty(), "{damaged:?}");
    plans.into_iter().map(|Plan { day, rows, files }| (day, rows, files.len())).collect()
}

#[tokio::test]
async fn of_a_deleted_day_no_file_is_left_and_no_record_is_missing() {
    let (world, log, days) = searched().await;
    written(&world, days[0]).await;
    // The first two days are deleted: one that was written, and hours that never became a day.
    for (count, day) in days.into_iter().take(2).enumerate() {
        let before = planned(&world, day.next().begins()).await;
        assert_eq!(before, [(day, 10, 1)], "the day before is gone already");
        assert_eq!(planned(&world, day.next().begins().plus(-1)).await, [], "not a moment earlier");
        let manifest = deleted(&world, day).await;
        assert_eq!((manifest.rows(), manifest.parts.len(), manifest.covers.len()), (0, 0, 1));
        assert_eq!(delete::<Searches>(&world.root, day).await.unwrap(), Outcome::Nothing);
        assert_eq!(left(&world, &log).await, 20 - 10 * count as u64);
    }
    assert_eq!(
        verify::<Searches>(&world.root, &|_, _| ()).await.unwrap().exact.len(),
        4,
        "until the grace ended"
    );
    while clean::<Searches>(&world.root, Millis(i64::MAX)).await.unwrap() > 0 {}
    let files = world.root.list::<Recent>("recent/searches").await.unwrap();
    assert!(files.iter().all(|file| file.name.hour.day() == days[2]), "{files:?}");
    assert_eq!(world.root.list::<Part>(Stream::Searches.as_str()).await.unwrap(), []);
    assert_eq!(left(&world, &log).await, 10);

    // All days gone, what comes next is archived where they ended.
    deleted(&world, days[2]).await;
    while clean::<Searches>(&world.root, Millis(i64::MAX)).await.unwrap() > 0 {}
    assert_eq!(world.root.list::<Recent>("recent/searches").await.unwrap(), []);
    append(&log, vec![search(7, world.clock.now())]);
    world.archive_all::<Searches>(&log).await;
    assert_eq!(left(&world, &log).await, 1);
}

#[tokio::test]
async fn what_comes_late_of_a_deleted_day_is_deleted_too() {
    let world = World::new(1);
    let log = open_log(&world.path().join("log-searches"), 1, &world.clock);
    let day = Day::of(NOON);
    for manifest in 1..=2 {
        append(&log, vec![search(1, world.clock.now())]);
        world.archive_all::<Searches>(&log).await;
        let found = Current::read(&world.root, Stream::Searches).await.unwrap();
        assert_eq!(due::<Searches>(&found, day.next().begins()), [day]);
        assert_eq!(deleted(&world, day).await.name.number, manifest);
        assert_eq!(left(&world, &log).await, 0);
    }
}

#[tokio::test]
async fn positions_stay() {
    let world = World::new(1);
    world.append(0..10);
    world.archive().await;
    let (plans, damaged) = plan::<Positions>(&world.root, Millis(i64::MAX)).await.unwrap();
    assert_eq!((plans.len(), damaged.len()), (0, 0));
}

#[tokio::test]
async fn an_archiver_deletes_what_is_old_and_a_damaged_file_keeps_no_other_day_waiting() {
    let (world, log, days) = searched().await;
    let hour = world.root.list::<Recent>("recent/searches").await.unwrap()[0].name;
    assert_eq!(hour.hour.day(), days[0]);
    let file = world.root.place_of(&hour);
    let content = std::fs::read(&file).unwrap();
    std::fs::write(&file, &content[..100]).unwrap();
    let (plans, damaged) = plan::<Searches>(&world.root, days[1].next().begins()).await.unwrap();
    assert_eq!(plans.iter().map(|plan| plan.day).collect::<Vec<_>>(), [days[1]]);
    assert!(damaged.len() == 1 && damaged[0].to_string().contains(&hour.to_string()), "{damaged:?}");

    // Noon of the fourth day: the second one ended a day and a half ago.
    let settings = Settings {
        every: Duration::from_millis(10),
        hails_ms: DAY + HOUR,
        ..Settings::new(world.path().join("aside"))
    };
    let archiver = Archiver::<Searches>::start(
        log.clone(),
        world.root.clone(),
        std::sync::Arc::new(Nobody),
        settings,
        world.clock.clone(),
    )
    .unwrap();
    let found = async || Current::read(&world.root, Stream::Searches).await.unwrap();
    let is_deleted = async |day| found().await.days.get(&day).is_some_and(|day| day.parts.is_empty());
    until(async || is_deleted(days[1]).await && !archiver.is_well()).await;
    assert!(!found().await.days.contains_key(&days[0]), "it waits");
    std::fs::write(&file, &content).unwrap();
    until(async || is_deleted(days[0]).await && archiver.is_well()).await;
    drop(archiver);
    assert_eq!(left(&world, &log).await, 10);
}
