//! Days from their hours.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use analytics::clean::clean;
use analytics::compact::{Outcome, compact};
use analytics::current::Current;
use analytics::layout::{Day, Part, Recent, Stream};
use analytics::manifest::Manifest;
use analytics::positions::Positions;
use analytics::rows::Rows as _;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::compute::{SortColumn, lexsort_to_indices};
use datafusion::arrow::datatypes::UInt32Type;
use ingest::clock::Millis;

use crate::world::{HOUR, MINUTE, NOON, World};

async fn written(world: &World) -> Manifest {
    let outcome =
        compact::<Positions>(&world.root, Day::of(NOON), &world.path().join("aside"), &|_, _| ()).await;
    match outcome.unwrap() {
        Outcome::Written(manifest) => manifest,
        other => panic!("{other:?}"),
    }
}

async fn open_days(world: &World) -> Vec<Day> {
    Current::read(&world.root, Stream::Positions).await.unwrap().open_days()
}

async fn fill(world: &World) {
    for _ in 0..6 {
        world.append(0..1_000);
        world.clock.advance(30 * MINUTE);
    }
    world.archive().await;
}

#[tokio::test]
async fn a_day_has_the_rows_of_its_hours_sorted() {
    let world = World::new(3);
    fill(&world).await;
    assert_eq!(open_days(&world).await, [Day::of(NOON)]);
    let manifest = written(&world).await;
    assert_eq!((manifest.rows(), manifest.digest()), (6_000, world.digest_of_log()));
    assert_eq!(manifest.covers.len(), 3);
    assert_eq!(open_days(&world).await, []);
    assert_eq!(world.verified().await.files, 1, "its hours are not read any more");

    let content = world.root.get(&manifest.parts[0].part).await.unwrap().unwrap();
    let batches: Vec<_> = analytics::file::read(content).unwrap().1.collect::<Result<_, _>>().unwrap();
    let rows = concat_batches(&batches[0].schema(), &batches).unwrap();
    let columns: Vec<_> = Positions::ORDER
        .iter()
        .map(|column| SortColumn { values: rows[*column].clone(), options: None })
        .collect();
    let indices = lexsort_to_indices(&columns, None).unwrap();
    let sorted = datafusion::arrow::array::PrimitiveArray::<UInt32Type>::from_iter_values(0..6_000);
    assert_eq!(indices, sorted);
}

#[tokio::test]
async fn replaced_files_go_after_a_time_and_nothing_else() {
    let world = World::new(2);
    fill(&world).await;
    assert_eq!(clean::<Positions>(&world.root, Millis(i64::MAX)).await.unwrap(), 0);
    written(&world).await;
    assert_eq!(clean::<Positions>(&world.root, Millis(0)).await.unwrap(), 0, "queries may still read them");
    let recent = world.root.list::<Recent>("recent/positions").await.unwrap().len();
    assert_eq!(clean::<Positions>(&world.root, Millis(i64::MAX)).await.unwrap(), recent - 2);
    assert_eq!(world.verified().await.rows, 6_000);
    world.append(0..10);
    world.archive().await;
    assert_eq!(world.verified().await.rows, 6_010, "the newest of each partition says where to go on");
}

/// Polls a future so often at most; whether it came to its end.
async fn is_done_within(polls: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

#[tokio::test]
async fn what_a_kill_left_goes_before_what_leads_to_it_wherever_the_next_kill_comes() {
    let world = World::new(2);
    fill(&world).await;
    let name = written(&world).await.name;
    let left = Part { stream: Stream::Positions, day: name.day, manifest: 1, number: 0, hash: 1 };
    assert_eq!(name.number, left.manifest);
    world.root.create(&left, vec![1].into()).await.unwrap();
    let mut polls = 0;
    while !is_done_within(polls, clean::<Positions>(&world.root, Millis(i64::MAX))).await {
        let recent = world.root.list::<Recent>("recent/positions").await.unwrap().len();
        let is_left = world.root.get(&left).await.unwrap().is_some();
        assert!(recent == 6 || !is_left, "after {polls} polls");
        polls += 1;
    }
    assert!(polls > 3, "it was stopped on its way");
    assert_eq!(world.root.get(&left).await.unwrap(), None);
    assert_eq!(world.verified().await.rows, 6_000);
}

#[tokio::test]
async fn what_comes_late_rewrites_the_day() {
    let world = World::new(2);
    fill(&world).await;
    let first = written(&world).await;
    world.append(0..100);
    world.archive().await;
    assert_eq!(world.verified().await.rows, 6_100, "it counts before");
    let second = written(&world).await;
    assert_eq!((second.name.number, second.rows()), (first.name.number + 1, 6_100));
    assert_eq!(world.verified().await.rows, 6_100);
    clean::<Positions>(&world.root, Millis(i64::MAX)).await.unwrap();
    let parts = world.root.list::<Part>(&Part::folder(Stream::Positions, Day::of(NOON))).await.unwrap();
    let listed: Vec<_> = second.parts.iter().map(|listed| listed.part).collect();
    assert_eq!(parts.iter().map(|file| file.name).collect::<Vec<_>>(), listed);
    assert_eq!(world.verified().await.rows, 6_100);
}

#[tokio::test]
async fn of_two_that_write_a_day_one_wins() {
    let world = World::new(2);
    fill(&world).await;
    let aside = world.path().join("aside");
    let write = || compact::<Positions>(&world.root, Day::of(NOON), &aside, &|_, _| ());
    let (one, other) = tokio::join!(write(), write());
    let outcomes = [one.unwrap(), other.unwrap()];
    let won = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Written(_))).count();
    assert_eq!(won, 1, "{outcomes:?}");
    assert_eq!(world.verified().await.rows, 6_000);
}

#[tokio::test]
async fn days_are_written_each_by_itself() {
    let world = World::new(2);
    fill(&world).await;
    world.clock.advance(12 * HOUR);
    world.append(0..100);
    world.archive().await;
    assert_eq!(open_days(&world).await, [Day::of(NOON), Day::of(NOON).next()]);
    assert_eq!(written(&world).await.rows(), 6_000);
    assert_eq!(open_days(&world).await, [Day::of(NOON).next()]);
    assert_eq!(world.verified().await.rows, 6_100);
}
