//! Days that are old lose whatever is finer than the town, in their files.

use analytics::blur::{blur, due, is_old, plan};
use analytics::clean::clean;
use analytics::compact::{Outcome, compact};
use analytics::compare::{Compared, compare};
use analytics::current::Current;
use analytics::file::{FileWriter, open, read};
use analytics::footer::Footer;
use analytics::layout::{Day, ManifestName, Part, Recent, Stream};
use analytics::manifest::{Listed, Manifest};
use analytics::positions::Positions;
use analytics::rows::Rows;
use analytics::verify::verify;
use datafusion::arrow::array::{Array as _, PrimitiveArray, RecordBatch};
use datafusion::arrow::compute::{SortColumn, concat_batches, lexsort_to_indices};
use datafusion::arrow::datatypes::UInt32Type;
use ingest::clock::Millis;

use crate::world::{HOUR, MINUTE, NOON, World};

const NEVER: Millis = Millis(i64::MIN);

async fn blurred(world: &World) -> Outcome {
    blur::<Positions>(&world.root, Day::of(NOON), &world.path().join("aside"), &|_, _| ()).await.unwrap()
}

async fn compacted(world: &World) -> Manifest {
    let aside = world.path().join("aside");
    match compact::<Positions>(&world.root, Day::of(NOON), &aside, &|_, _| ()).await.unwrap() {
        Outcome::Written(manifest) => manifest,
        other => panic!("{other:?}"),
    }
}

fn written(outcome: Outcome) -> Manifest {
    match outcome {
        Outcome::Written(manifest) => manifest,
        other => panic!("{other:?}"),
    }
}

/// A world with six thousand positions of an afternoon.
async fn filled(partitions: u16) -> World {
    let world = World::new(partitions);
    for _ in 0..6 {
        world.append(0..1_000);
        world.clock.advance(30 * MINUTE);
    }
    world.archive().await;
    world
}

/// Nothing is wrong with the archive, and it has these rows of the log.
async fn is_that_of_the_log(world: &World, rows: u64) {
    let findings = verify::<Positions>(&world.root, &|_, _| ()).await.unwrap();
    assert_eq!((findings.problems, findings.rows), (vec![], rows));
    let compared = compare::<Positions>(&world.root, &world.log, &|_, _| ()).await.unwrap();
    assert_eq!(compared, Compared { rows, problems: vec![] });
}

async fn rows_of(world: &World, manifest: &Manifest) -> RecordBatch {
    let mut batches = Vec::new();
    for listed in &manifest.parts {
        let (footer, rows) = read(world.root.get(&listed.part).await.unwrap().unwrap()).unwrap();
        assert_eq!(footer.is_blurred, !manifest.is_exact, "a file says so itself");
        batches.extend(rows.map(Result::unwrap));
    }
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[tokio::test]
async fn of_a_blurred_day_the_town_is_left_and_the_exact_bytes_go() {
    let world = filled(3).await;
    let exact = compacted(&world).await;
    let day = Day::of(NOON);
    let manifest = written(blurred(&world).await);
    assert_eq!((manifest.name.number, manifest.is_exact, exact.is_exact), (2, false, true));
    assert_eq!((manifest.rows(), &manifest.covers), (6_000, &exact.covers));
    assert_eq!(blurred(&world).await, Outcome::Nothing, "it is blurred once");
    is_that_of_the_log(&world, 6_000).await;

    let rows = rows_of(&world, &manifest).await;
    for name in Positions::BLURRED {
        assert_eq!(rows[*name].null_count(), 6_000, "{name}");
    }
    assert_eq!(rows["town"].null_count(), 0, "the town is left");
    let columns = Positions::BLURRED_ORDER.iter();
    let columns: Vec<_> =
        columns.map(|column| SortColumn { values: rows[*column].clone(), options: None }).collect();
    let sorted = PrimitiveArray::<UInt32Type>::from_iter_values(0..6_000);
    assert_eq!(lexsort_to_indices(&columns, None).unwrap(), sorted);

    let limit = day.next().begins();
    let replaced = verify::<Positions>(&world.root, &|_, _| ()).await.unwrap();
    assert_eq!(replaced.too_exact(limit, NEVER), [""; 0], "queries may still read them");
    let left = replaced.too_exact(limit, Millis(i64::MAX));
    assert_eq!(left.len(), exact.parts.len() + 9, "a part, and three hours of three partitions");
    assert!(left.iter().all(|problem| problem.contains("replaced long ago")), "{left:?}");

    let before = world.filing().await;
    drop(before);
    let reached = world.meters.reached();
    while clean::<Positions>(&world.root, Millis(i64::MAX)).await.unwrap() > 0 {}
    let findings = verify::<Positions>(&world.root, &|_, _| ()).await.unwrap();
    assert_eq!((findings.exact, findings.rows), (vec![], 6_000));
    assert_eq!(world.root.list::<Recent>("recent/positions").await.unwrap(), [], "the last hours neither");
    drop(world.filing().await);
    assert_eq!(world.meters.reached(), reached, "the day says how far the archive is");
    world.append(0..10);
    world.archive().await;
    is_that_of_the_log(&world, 6_010).await;
}

#[tokio::test]
async fn hours_that_never_became_a_day_are_blurred_with_it() {
    let world = filled(2).await;
    let manifest = written(blurred(&world).await);
    assert_eq!((manifest.name.number, manifest.is_exact, manifest.rows()), (1, false, 6_000));
    is_that_of_the_log(&world, 6_000).await;
}

#[tokio::test]
async fn what_comes_late_of_a_blurred_day_is_blurred() {
    let world = filled(2).await;
    blurred(&world).await;
    world.append(0..100);
    world.archive().await;
    let limit = Day::of(NOON).next().begins();
    let found = Current::read(&world.root, Stream::Positions).await.unwrap();
    assert_eq!(due::<Positions>(&found, limit), [Day::of(NOON)], "it is due again");
    let findings = verify::<Positions>(&world.root, &|_, _| ()).await.unwrap();
    assert_eq!(findings.too_exact(limit, NEVER).len(), 2, "a file of each partition is named");
    let manifest = compacted(&world).await;
    assert_eq!((manifest.name.number, manifest.is_exact, manifest.rows()), (2, false, 6_100));
    is_that_of_the_log(&world, 6_100).await;
}

#[tokio::test]
async fn of_two_that_write_a_day_exact_and_blurred_one_wins_and_leaves_nothing_of_the_other() {
    let world = filled(2).await;
    let aside = world.path().join("aside");
    let exact = compact::<Positions>(&world.root, Day::of(NOON), &aside, &|_, _| ());
    let (exact, blurred) = tokio::join!(exact, blurred(&world));
    let won = match (exact.unwrap(), blurred) {
        (Outcome::Written(won), Outcome::Outrun) | (Outcome::Outrun, Outcome::Written(won)) => won,
        other => panic!("{other:?}"),
    };
    let parts = world.root.list::<Part>(&Part::folder(Stream::Positions, Day::of(NOON))).await.unwrap();
    let listed: Vec<_> = won.parts.iter().map(|listed| listed.part).collect();
    assert_eq!(parts.iter().map(|part| part.name).collect::<Vec<_>>(), listed);
    is_that_of_the_log(&world, 6_000).await;
}

#[tokio::test]
async fn days_around_the_limit_are_planned_and_named_to_the_millisecond() {
    let world = World::new(1);
    for _ in 0..4 {
        world.append(0..20);
        world.clock.advance(24 * HOUR);
    }
    world.archive().await;
    let aside = world.path().join("aside");
    let days: Vec<_> = (0..4).map(|day| Day(Day::of(NOON).0 + day)).collect();
    for &day in &days[..3] {
        compact::<Positions>(&world.root, day, &aside, &|_, _| ()).await.unwrap();
    }
    blur::<Positions>(&world.root, days[1], &aside, &|_, _| ()).await.unwrap();
    let findings = verify::<Positions>(&world.root, &|_, _| ()).await.unwrap();
    for end in days.iter().map(|day| day.next().begins()) {
        for limit in [end.plus(-1), end, end.plus(1), end.plus(12 * HOUR)] {
            let old = days.iter().filter(|&&day| is_old(day, limit) && day != days[1]);
            let old: Vec<_> = old.copied().collect();
            let (plans, _) = plan::<Positions>(&world.root, limit).await.unwrap();
            assert_eq!(plans.iter().map(|plan| plan.day).collect::<Vec<_>>(), old);
            assert!(plans.iter().all(|plan| (plan.rows, plan.files.len()) == (20, 1)), "{plans:?}");
            let named = findings.too_exact(limit, NEVER);
            let files = plans.iter().flat_map(|plan| &plan.files);
            assert!(files.zip(&named).all(|(file, named)| named.starts_with(file)), "{named:?}");
            assert_eq!(named.len(), old.len());
        }
    }
}

#[tokio::test]
async fn a_file_that_only_says_it_is_blurred_is_found_out() {
    let world = filled(1).await;
    let exact = compacted(&world).await;
    let mut file = FileWriter::new::<Positions>().unwrap();
    for listed in &exact.parts {
        let content = world.root.get(&listed.part).await.unwrap().unwrap();
        for batch in open(content).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            file.write(&RecordBatch::try_new(Positions::schema(), batch.columns().to_vec()).unwrap())
                .unwrap();
        }
    }
    let about = Footer { is_blurred: true, ..Footer::default() };
    let (content, footer) = file.finish(about).unwrap();
    let (stream, day) = (Stream::Positions, Day::of(NOON));
    let part = Part { stream, day, manifest: 2, number: 0, hash: 7 };
    let listed = Listed { part, rows: footer.rows, bytes: content.len() as u64, digest: footer.digest };
    world.root.create(&part, content).await.unwrap();
    let lie = Manifest {
        name: ManifestName { stream, day, number: 2 },
        parts: vec![listed],
        is_exact: false,
        ..exact
    };
    assert!(lie.create(&world.root).await.unwrap());
    let findings = verify::<Positions>(&world.root, &|_, _| ()).await.unwrap();
    assert_eq!(findings.problems, [format!("{part} has exact places, and says that it is blurred")]);
    let named = findings.too_exact(day.next().begins(), NEVER);
    assert_eq!(named, [format!("{part} has exact places that are too old")]);
    let compared = compare::<Positions>(&world.root, &world.log, &|_, _| ()).await.unwrap();
    assert_eq!(compared.problems, [format!("day {day} does not hold the rows of the log")]);
}
