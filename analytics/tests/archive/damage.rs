//! What is not as it was written is found, and never believed.

use analytics::compact::{CompactError, compact};
use analytics::footer::BadFile;
use analytics::layout::{Day, Recent};
use analytics::positions::Positions;
use analytics::verify::verify;

use crate::world::{MINUTE, NOON, World};

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
