//! What is not as it was written is found, and never believed.

use std::sync::Arc;
use std::time::Duration;

use analytics::archive::Registry;
use analytics::archiver::{Archiver, Settings};
use analytics::blur::blur;
use analytics::clean::clean;
use analytics::compact::{CompactError, Outcome, compact};
use analytics::compare::{Compared, compare};
use analytics::footer::BadFile;
use analytics::layout::{Day, Part, Recent, Stream};
use analytics::manifest::manifests;
use analytics::positions::Positions;
use analytics::rollups::RollupName;
use analytics::root::{ArchiveUrl, Root};
use analytics::verify::verify;
use engine::territory::{Insee, Territory};
use ingest::clock::Millis;
use ingest::position::TaxiKey;

use crate::world::{HOUR, MINUTE, NOON, World};

async fn problems(world: &World) -> Vec<String> {
    verify::<Positions>(&world.root, &|_, _| ()).await.unwrap().problems
}

async fn files(world: &World) -> Vec<String> {
    let files = world.root.list::<Recent>("recent/positions").await.unwrap();
    files.iter().map(|file| world.root.place_of(&file.name)).collect()
}

/// Three files of one partition.
async fn world() -> World {
    let world = World::new(1);
    for _ in 0..3 {
        world.append(0..20);
        world.archive().await;
        world.clock.advance(MINUTE);
    }
    world
}

#[tokio::test]
async fn a_missing_file_is_a_gap() {
    let world = world().await;
    std::fs::remove_file(&files(&world).await[1]).unwrap();
    let problems = problems(&world).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("records 1 to 1 of partition 0"), "{problems:?}");
}

#[tokio::test]
async fn a_missing_beginning_is_seen_by_who_has_the_log() {
    let world = world().await;
    std::fs::remove_file(&files(&world).await[0]).unwrap();
    assert_eq!(problems(&world).await, [""; 0], "what was before the first, nobody else knows");
    let compared = compare::<Positions>(&world.root, &world.log, &|_, _| ()).await.unwrap();
    assert_eq!(compared.problems.len(), 1, "{compared:?}");
    assert!(compared.problems[0].starts_with("records 0 to 0 of partition 0"), "{compared:?}");
}

#[tokio::test]
async fn a_file_under_another_name_is_not_believed() {
    let world = world().await;
    let files = files(&world).await;
    std::fs::copy(&files[0], &files[1]).unwrap();
    let problems = problems(&world).await;
    assert!(
        problems.iter().any(|problem| problem.contains("its footer is that of another file")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_damaged_file_keeps_no_other_from_being_held_against_the_log() {
    let world = world().await;
    std::fs::write(&files(&world).await[1], "no Parquet").unwrap();
    let compared = compare::<Positions>(&world.root, &world.log, &|_, _| ()).await.unwrap();
    assert_eq!(compared, Compared { rows: 40, problems: vec![] });
    let problems = problems(&world).await;
    assert!(problems.iter().any(|problem| problem.contains("cannot be read")), "{problems:?}");
}

#[tokio::test]
async fn no_flipped_byte_goes_unseen() {
    let world = world().await;
    let file = &files(&world).await[0];
    let content = std::fs::read(file).unwrap();
    for at in (0..content.len()).step_by(3) {
        let mut changed = content.clone();
        changed[at] ^= 0x10;
        std::fs::write(file, &changed).unwrap();
        assert_eq!(problems(&world).await.len(), 1, "byte {at}");
        let aside = world.path().join("aside");
        let written = compact::<Positions>(&world.root, Day::of(NOON), &aside, &|_, _| ()).await;
        assert!(
            matches!(written, Err(CompactError::File(BadFile::Damaged { .. }))),
            "byte {at}: {written:?}"
        );
    }
    std::fs::write(file, &content).unwrap();
    assert_eq!(world.verified().await.rows, 60);
}

pub(crate) struct Nobody;

impl Registry for Nobody {
    fn territory(&self) -> Arc<Territory> {
        Arc::new(Territory::new(vec![], vec![], vec![]))
    }

    fn ads_town(&self, _: TaxiKey) -> Option<Insee> {
        None
    }
}

#[tokio::test]
async fn a_damaged_manifest_keeps_its_own_day_waiting_and_no_other() {
    let world = world().await;
    let (first, aside) = (Day::of(NOON), world.path().join("aside"));
    let written = compact::<Positions>(&world.root, first, &aside, &|_, _| ()).await;
    assert!(matches!(written, Ok(Outcome::Written(_))), "{written:?}");
    let name = manifests(&world.root, Stream::Positions).await.unwrap()[&first].name;
    std::fs::write(world.root.place_of(&name), "{").unwrap();
    world.clock.advance(3 * 24 * HOUR);
    let other = Day::of(world.clock.now());
    world.append(0..20);
    world.archive().await;

    // Who opens the archive now remembers no manifest.
    let root = Root::open(&ArchiveUrl::File(world.path().join("archive"))).unwrap();
    let parts = async || root.list::<Part>(Stream::Positions.as_str()).await.unwrap().len();
    let before = parts().await;
    for written in [
        compact::<Positions>(&root, first, &aside, &|_, _| ()).await,
        blur::<Positions>(&root, first, &aside, &|_, _| ()).await,
    ] {
        assert!(matches!(written, Err(CompactError::File(BadFile::Damaged { .. }))), "{written:?}");
    }
    clean::<Positions>(&root, Millis(i64::MAX)).await.unwrap();
    assert_eq!(parts().await, before, "nobody knows what of it is of use");

    // Of what is damaged `verify` tells; the rest is held against the log.
    let compared = compare::<Positions>(&root, &world.log, &|_, _| ()).await.unwrap();
    assert_eq!(compared, Compared { rows: 20, problems: vec![] });

    // An archiver writes the other day, adds it up, blurs it, and is not well.
    world.clock.advance(48 * HOUR);
    let settings = Settings { every: Duration::from_millis(10), ..Settings::new(aside.clone()) };
    let (log, clock) = (world.log.clone(), world.clock.clone());
    let archiver = |settings| {
        Archiver::<Positions>::start(log.clone(), root.clone(), Arc::new(Nobody), settings, clock.clone())
            .unwrap()
    };
    let writing = archiver(settings.clone());
    until(async || writing.meters().days.get() == 1 && !writing.is_well()).await;
    let heard = async || root.list::<RollupName>("rollups/heard").await.unwrap();
    until(async || heard().await.iter().any(|found| found.name.day == other)).await;
    drop(writing);
    let blurring = archiver(Settings { exact_ms: HOUR, ..settings });
    until(async || blurring.meters().blurred.get() == 1 && !blurring.is_well()).await;
    drop(blurring);

    let findings = verify::<Positions>(&root, &|_, _| ()).await.unwrap();
    let of_manifest = findings.problems.iter().filter(|problem| problem.contains(&name.to_string()));
    assert_eq!(of_manifest.count(), 1, "{:?}", findings.problems);
    assert_eq!(findings.rows, 20, "those of the other day");
}

pub(crate) async fn until(is_so: impl AsyncFn() -> bool) {
    let looked = tokio::time::timeout(Duration::from_secs(30), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    looked.await.unwrap();
}
