//! Filing what the log takes.

use std::fs::File;
use std::time::Duration;

use analytics::layout::{Hour, Recent, Stream};
use analytics::root::Found;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::metadata::ParquetMetaDataReader;
use ingest::log::Offset;

use crate::world::{HOUR, MINUTE, NOON, World};

async fn files(world: &World) -> Vec<Found<Recent>> {
    world.root.list(&Stream::Positions.recent_folder()).await.unwrap()
}

#[tokio::test]
async fn what_the_log_took_is_in_the_archive_by_partition_and_hour() {
    let world = World::new(2);
    for _ in 0..3 {
        world.append(0..100);
        world.clock.advance(40 * MINUTE);
    }
    world.archive().await;
    let findings = world.verified().await;
    assert_eq!((findings.rows, findings.files), (300, 4), "two hours of two partitions");
    assert!(world.has_reached_the_end());
    let files = files(&world).await;
    let hours = files.iter().map(|file| (file.name.partition.0, file.name.hour)).collect::<Vec<_>>();
    let (first, second) = (Hour::of(NOON), Hour::of(NOON.plus(HOUR)));
    assert_eq!(hours, [(0, first), (0, second), (1, first), (1, second)]);
    assert_eq!(files[1].name.first, Offset(2));
}

#[tokio::test]
async fn a_file_is_compressed_and_says_which_taxis_it_does_not_have() {
    let world = World::new(1);
    world.append(0..100);
    world.archive().await;
    let file = world.root.place_of(&files(&world).await[0].name);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(file).unwrap()).unwrap();
    for column in metadata.row_group(0).columns() {
        let name = column.column_path().string();
        assert!(matches!(column.compression(), Compression::ZSTD(_)), "{name}");
        assert_eq!(column.bloom_filter_offset().is_some(), name == "taxi", "{name}");
    }
}

#[tokio::test]
async fn what_was_not_filed_is_read_again_after_a_kill() {
    let world = World::new(3);
    world.append(0..50);
    world.archive().await;
    world.append(50..90);
    {
        let mut killed = world.filing().await;
        assert!(killed.take(Duration::ZERO).await.unwrap());
    }
    assert_eq!(world.archive_rows().await, 50);
    world.archive().await;
    assert_eq!(world.verified().await.rows, 90);
    let before = files(&world).await;
    world.archive().await;
    assert_eq!(files(&world).await, before, "there is nothing more to do");
}

#[tokio::test]
async fn what_waits_is_filed_once_it_has_waited_long_enough() {
    let world = World::new(1);
    world.append(0..10);
    let mut filing = world.filing().await;
    while filing.take(Duration::ZERO).await.unwrap() {}
    world.clock.advance(9 * MINUTE);
    filing.file_since(world.clock.now().plus(-10 * MINUTE)).await.unwrap();
    assert_eq!(files(&world).await, []);
    world.clock.advance(MINUTE);
    filing.file_since(world.clock.now().plus(-10 * MINUTE)).await.unwrap();
    assert_eq!(world.verified().await.rows, 10);
}

#[tokio::test]
async fn of_two_archivers_one_files_each_record() {
    let world = World::new(2);
    let (mut one, mut other) = (world.filing().await, world.filing().await);
    for round in 0..20_u32 {
        world.append(0..30);
        // They read and file at different paces, so that their files would overlap.
        while one.take(Duration::ZERO).await.unwrap() {}
        if round % 3 == 0 {
            one.file_since(world.clock.now()).await.unwrap();
        }
        if round % 2 == 0 {
            while other.take(Duration::ZERO).await.unwrap() {}
            other.file_since(world.clock.now()).await.unwrap();
        }
        world.clock.advance(7 * MINUTE);
    }
    for filing in [&mut one, &mut other] {
        // What another one filed first is read again from there.
        loop {
            while filing.take(Duration::ZERO).await.unwrap() {}
            filing.file_since(world.clock.now()).await.unwrap();
            if !filing.take(Duration::ZERO).await.unwrap() {
                break;
            }
        }
    }
    assert_eq!(world.verified().await.rows, 600);
    assert!(world.meters.outrun.get() > 0, "they did get in each other's way");
}

#[tokio::test]
async fn positions_have_their_town_their_ads_and_their_cell() {
    use datafusion::arrow::array::{Array as _, AsArray as _};
    use datafusion::arrow::datatypes::{Int32Type, UInt32Type, UInt64Type};

    let world = World::new(1);
    world.append(0..5_000);
    world.archive().await;
    let content = world.root.get(&files(&world).await[0].name).await.unwrap().unwrap();
    let (_, batches) = analytics::file::read(content).unwrap();
    let (mut inside, mut outside) = (0, 0);
    for batch in batches {
        let batch = batch.unwrap();
        let (taxis, cells) =
            (batch["taxi"].as_primitive::<UInt32Type>(), batch["cell"].as_primitive::<UInt64Type>());
        let (towns, ads) =
            (batch["town"].as_dictionary::<Int32Type>(), batch["ads"].as_dictionary::<Int32Type>());
        let lons = batch["lon_e7"].as_primitive::<Int32Type>();
        for row in 0..batch.num_rows() {
            assert_eq!(towns.is_valid(row), lons.value(row) <= 23_600_000, "the town ends there");
            assert_eq!(ads.is_valid(row), taxis.value(row) % 2 == 0);
            let cell = h3o::CellIndex::try_from(cells.value(row)).unwrap();
            assert_eq!(cell.resolution(), h3o::Resolution::Eight);
            if towns.is_valid(row) { inside += 1 } else { outside += 1 }
        }
    }
    assert!(inside > 1_000 && outside > 1_000, "{inside} in the town, {outside} not");
}
