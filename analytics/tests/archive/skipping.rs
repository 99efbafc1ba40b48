//! Records of the log that cannot be read: they are told as such, and nothing waits for them.

use std::path::Path;

use analytics::compact::{Outcome, compact};
use analytics::compare::compare;
use analytics::footer::Skipped;
use analytics::layout::Day;
use analytics::positions::Positions;
use analytics::verify::{Findings, verify};
use fjall::{Database, KeyspaceCreateOptions};
use ingest::log::{Log, Offset, Partition};

use crate::world::{NOON, World, append, open_log, position};

/// A log of so many records of ten positions, some of which are overwritten.
fn damaged(folder: &Path, world: &World, records: u64, unreadable: &[u64]) -> Log {
    let log: Log = open_log(folder, 1, &world.clock);
    for _ in 0..records {
        append(&log, (0..10).map(|taxi| position(taxi, NOON)).collect());
    }
    log.close();
    drop(log);
    let database = Database::builder(folder).open().unwrap();
    let day = database.keyspace(&format!("p0-d{}", Day::of(NOON).0), KeyspaceCreateOptions::default).unwrap();
    for offset in unreadable {
        day.insert(offset.to_be_bytes(), b"no record").unwrap();
    }
    drop((day, database));
    open_log(folder, 1, &world.clock)
}

async fn found(world: &World) -> Findings {
    let findings = verify::<Positions>(&world.root, &|_, _| ()).await.unwrap();
    assert_eq!(findings.problems, [""; 0]);
    findings
}

fn skipped(log: &Log, from: u64, next: u64) -> Skipped {
    Skipped { epoch: log.epoch(), partition: Partition(0), from: Offset(from), next: Offset(next) }
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_its_day_is_written() {
    let world = World::new(1);
    let log = damaged(&world.path().join("damaged"), &world, 6, &[1, 2, 5]);
    world.archive_all::<Positions>(&log).await;
    assert_eq!(world.meters.reached(), Some(vec![Offset(6)]), "nothing is left to wait for");
    assert_eq!(world.meters.skipped.get(), 3);
    let all = [skipped(&log, 1, 3), skipped(&log, 5, 6)];
    let findings = found(&world).await;
    assert_eq!((findings.rows, findings.skipped), (30, all.to_vec()));

    let aside = world.path().join("aside");
    let outcome = compact::<Positions>(&world.root, Day::of(NOON), &aside, &|_, _| ()).await.unwrap();
    assert!(matches!(outcome, Outcome::Written(_)), "{outcome:?}");
    let findings = found(&world).await;
    assert_eq!((findings.rows, findings.skipped), (30, all.to_vec()));
    let compared = compare::<Positions>(&world.root, &log, &|_, _| ()).await.unwrap();
    assert_eq!((compared.rows, compared.problems), (30, vec![]));
}

#[tokio::test]
async fn what_comes_after_records_of_which_none_could_be_read_tells_their_hour() {
    let world = World::new(1);
    let log = damaged(&world.path().join("damaged"), &world, 2, &[0, 1]);
    world.archive_all::<Positions>(&log).await;
    assert_eq!(found(&world).await.files, 0);
    append(&log, (0..10).map(|taxi| position(taxi, NOON)).collect());
    world.archive_all::<Positions>(&log).await;
    let findings = found(&world).await;
    assert_eq!((findings.rows, findings.skipped), (10, vec![skipped(&log, 0, 2)]));
}
