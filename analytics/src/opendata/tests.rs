//! Months of which the figures are worked out by hand.

use bytes::Bytes;
use datafusion::arrow::array::AsArray as _;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use geo::{Area as _, Contains as _, LineString, Point, Polygon};

use super::*;

static COLUMNS: [Column; 2] =
    [Column { name: "all", part: None }, Column { name: "finished", part: Some("finished") }];

fn at(lat: f64, lon: f64) -> LatLon {
    LatLon::new(lat, lon).unwrap()
}

/// So many contributors of a town, from a number on, one each.
fn give(month: &mut Month, town: &str, part: &str, contributors: std::ops::Range<u64>, at: Option<LatLon>) {
    for contributor in contributors {
        month.add(&Given { town, at, part, contributors: [contributor; SIDES], amount: 1 });
    }
}

#[test]
fn places_are_told_with_their_names_or_withheld() {
    let mut month = Month::new(&COLUMNS);
    // In Lyon 9 finished and 5 declined, in Bron 3, in Grenoble 7.
    give(&mut month, "69123", "finished", 0..9, None);
    give(&mut month, "69123", "declined", 20..25, None);
    give(&mut month, "69029", "finished", 30..33, None);
    give(&mut month, "38185", "finished", 40..47, None);
    let names = [("69123", "Lyon"), ("69", "Rhône"), ("FRA", "France")];
    let names = names.map(|(code, name)| (code.to_owned(), name.to_owned())).into();
    let published = month.tables("2026-03", 0, &names, Rule::default()).unwrap().towns;
    // Bron's 3 are withheld, and with them Lyon's 14 and 9, which would give them away.
    let expected = "month,level,code,name,all,finished\n\
                    2026-03,country,FRA,France,24,19\n\
                    2026-03,department,38,,7,7\n\
                    2026-03,town,38185,,7,7\n\
                    2026-03,department,69,Rhône,17,12\n";
    assert_eq!(String::from_utf8(published.csv).unwrap(), expected);
    assert_eq!((published.rows, published.withheld), (4, 4));
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(published.parquet)).unwrap();
    let rows = reader.build().unwrap().next().unwrap().unwrap();
    assert_eq!((rows.num_rows(), rows.num_columns()), (4, 6));
}

#[test]
fn cells_do_not_give_away_who_is_in_which_town() {
    let (here, there) = (at(45.76, 4.835), at(45.78, 4.86));
    let mut month = Month::new(&COLUMNS[..1]);
    give(&mut month, "69123", "finished", 0..12, Some(here));
    give(&mut month, "69029", "finished", 20..25, Some(there));
    // One of the second town in the first one's cell: what a cell has more or less than a town is this one.
    give(&mut month, "69029", "finished", 25..26, Some(here));
    let tables = month.tables("2026-03", 1, &HashMap::new(), Rule::default()).unwrap();
    assert!(String::from_utf8(tables.towns.csv).unwrap().contains("town,69123,,12\n"));
    let cells = tables.cells.unwrap();
    let csv = String::from_utf8(cells.csv).unwrap();
    assert!(!csv.contains("2026-03,8,") && cells.withheld >= 2, "{csv}");
}

#[test]
fn what_is_known_from_elsewhere_gives_nothing_away() {
    const KNOWN: &[&str] = &["69123", "69266"];
    let told = |outside| {
        let mut month = Month::new(&COLUMNS[..1]).known_of(KNOWN);
        for (town, count) in [("69123", 120), ("69266", 2), ("69264", outside), ("38185", 50)] {
            let first = town.parse::<u64>().unwrap() * 1_000;
            give(&mut month, town, "", first..first + count, None);
        }
        let Tables { towns, .. } = month.tables("2026-03", 0, &HashMap::new(), Rule::default()).unwrap();
        String::from_utf8(towns.csv).unwrap()
    };
    // 69 and Lyon alone would leave six, which 122 in both towns together divide into two and four.
    let few = told(4);
    assert!(few.contains("FRA") && !few.contains(",69,") && !few.contains("69123"), "{few}");
    let many = told(9);
    assert!(many.contains(",69,") && many.contains("69264") && !many.contains("69123"), "{many}");
}

#[test]
fn nothing_is_told_beside_what_nobody_should_know() {
    let mut month = Month::new(&COLUMNS[..1]).known_of(&["69266"]);
    give(&mut month, "69266", "", 0..2, None);
    give(&mut month, "38185", "", 10..60, None);
    let Tables { towns, .. } = month.tables("2026-03", 0, &HashMap::new(), Rule::default()).unwrap();
    assert_eq!(towns.rows, 0);
}

#[test]
fn cells_are_told_as_polygons() {
    let (here, there) = (at(45.76, 4.835), at(45.78, 4.86));
    let mut month = Month::new(&COLUMNS);
    give(&mut month, "69123", "finished", 0..9, Some(here));
    give(&mut month, "69123", "finished", 20..28, Some(there));
    // A town of too few, in the cell of others: who knows the town and its cells knows these.
    give(&mut month, "69029", "finished", 30..32, Some(there));
    let cells = |month: &Month| month.tables("2026-03", 1, &HashMap::new(), Rule::default()).unwrap().cells;
    let published = cells(&month).unwrap();
    let csv = String::from_utf8(published.csv).unwrap();
    let cell = |at, resolution| CellIndex::try_from(cell_at(at, resolution).unwrap()).unwrap();
    let [first, second] = [here, there].map(|at| cell(at, Resolution::Eight));
    assert!(csv.starts_with("month,resolution,cell,all\n"), "{csv}");
    assert!(csv.contains(&format!("2026-03,8,{first},9\n")), "{csv}");
    assert!(csv.contains(&format!("2026-03,8,{second},10\n")), "{csv}");

    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(published.parquet)).unwrap();
    let told = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let geo = told.iter().find(|pair| pair.key == "geo").unwrap().value.clone().unwrap();
    let geo: serde_json::Value = serde_json::from_str(&geo).unwrap();
    assert_eq!((&geo["version"], &geo["columns"]["geometry"]["encoding"]), (&"1.1.0".into(), &"WKB".into()));
    let rows = reader.build().unwrap().next().unwrap().unwrap();
    let row =
        rows["cell"].as_string::<i32>().iter().position(|cell| cell == Some(&first.to_string())).unwrap();
    let polygon = polygon(rows["geometry"].as_binary::<i32>().value(row));
    assert!(polygon.contains(&Point::new(here.lon(), here.lat())));
    assert!(polygon.signed_area() > 0.0, "counterclockwise");

    give(&mut month, "69123", "finished", 50..51, None);
    assert_eq!(cells(&month), None);
}

/// Reads a polygon of one ring.
fn polygon(wkb: &[u8]) -> Polygon<f64> {
    assert_eq!(wkb[..9], [1, 3, 0, 0, 0, 1, 0, 0, 0]);
    let numbers: Vec<f64> =
        wkb[13..].chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect();
    let points: Vec<_> = numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    assert_eq!(points.len(), usize::from(wkb[9]));
    assert_eq!(points.first(), points.last());
    Polygon::new(LineString::from(points), Vec::new())
}

#[test]
fn the_same_is_the_same_bytes() {
    let made = |numbers: &[u64]| {
        let mut month = Month::new(&COLUMNS);
        for number in numbers {
            give(&mut month, "69123", "finished", *number..number + 1, Some(at(45.76, 4.835)));
        }
        month.tables("2026-03", COLUMNS.len(), &HashMap::new(), Rule::default()).unwrap()
    };
    let (one, other) = (made(&[1, 2, 3, 4, 5, 6]), made(&[6, 2, 4, 1, 5, 3]));
    assert_eq!(one, other);
    assert_eq!(one.towns.rows, 3);
}
