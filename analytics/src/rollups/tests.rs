//! Rollups of small archives, by hand and against sets.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::RecordBatch;
use ingest::position::ReportedStatus;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::encode::{Encoder, Format};
use crate::layout::Part;
use crate::limits::FEWEST_SHOWN;
use crate::pseudonym::Pseudonyms;
use crate::sample::{Heard, LIMITS, LYON, Sample, at, table};
use crate::views::View;

const LYON_ADS: &str = "69123";
const GRENOBLE_ADS: &str = "38185";

pub(super) async fn make_all(sample: &Sample) -> Vec<Due> {
    make_all_since(sample, Since::EVER).await
}

/// Makes all that is due of what may be added up.
pub(super) async fn make_all_since(sample: &Sample, since: Since) -> Vec<Due> {
    let aside = tempfile::tempdir().unwrap();
    let territory = sample.dimensions.territory.clone().unwrap();
    let mut made = Vec::new();
    loop {
        let due = due(&sample.root, since).await.unwrap();
        if due.is_empty() {
            assert_eq!(std::fs::read_dir(aside.path()).unwrap().count(), 0, "nothing stays aside");
            return made;
        }
        for due in due {
            make(&sample.root, &territory, aside.path(), (due, since)).await.unwrap();
            made.push(due);
        }
    }
}

async fn ask(sample: &Sample, sql: &str) -> String {
    let answer = sample.warehouse(LIMITS).query(sql, &View::Everything, &sample.dimensions).await.unwrap();
    table(&answer.collect().await.unwrap())
}

fn heard<'a>(when: &str, taxi: u32, operator: u32, ads: &'a str) -> Heard<'a> {
    (at(when), taxi, operator, ReportedStatus::Free, LYON, LYON_ADS, ads)
}

#[tokio::test]
async fn connected_taxis_are_counted_once_in_each_minute_hour_day_and_week() {
    let sample = Sample::new();
    // A Wednesday, and the Thursday after it.
    let wednesday = [
        heard("2026-03-18T10:00:05", 1, 2, LYON_ADS),
        heard("2026-03-18T10:00:10", 1, 2, LYON_ADS),
        // The same taxi through another operator, and another taxi an hour later.
        heard("2026-03-18T10:00:20", 1, 3, LYON_ADS),
        heard("2026-03-18T11:30:00", 3, 2, GRENOBLE_ADS),
    ];
    sample.day(10, &wednesday).await;
    sample.day(20, &[heard("2026-03-19T08:00:00", 3, 2, GRENOBLE_ADS)]).await;
    let day = |text: &str| text.parse::<Day>().unwrap();
    let made = make_all(&sample).await;
    let expected = [
        Due::Day(Stream::Positions, day("2026-03-18"), 2),
        Due::Day(Stream::Positions, day("2026-03-19"), 1),
        Due::Week(day("2026-03-16"), 3),
    ];
    assert_eq!(made, expected);
    let by = "SELECT \"by\", insee, zupc, operator, at, taxis FROM";
    let rows =
        ask(&sample, &format!("{by} connected_hour WHERE date = '2026-03-18' ORDER BY 1, 2, 3, 4, 5")).await;
    assert_eq!(
        rows,
        "\
+---------------+-------+------+----------+----------------------+-------+
| by            | insee | zupc | operator | at                   | taxis |
+---------------+-------+------+----------+----------------------+-------+
| all           |       |      |          | 2026-03-18T10:00:00Z | 1     |
| all           |       |      |          | 2026-03-18T11:00:00Z | 1     |
| operator      |       |      | 2        | 2026-03-18T10:00:00Z | 1     |
| operator      |       |      | 2        | 2026-03-18T11:00:00Z | 1     |
| operator      |       |      | 3        | 2026-03-18T10:00:00Z | 1     |
| town          | 38185 |      |          | 2026-03-18T11:00:00Z | 1     |
| town          | 69123 |      |          | 2026-03-18T10:00:00Z | 1     |
| town_operator | 38185 |      | 2        | 2026-03-18T11:00:00Z | 1     |
| town_operator | 69123 |      | 2        | 2026-03-18T10:00:00Z | 1     |
| town_operator | 69123 |      | 3        | 2026-03-18T10:00:00Z | 1     |
| zupc          |       | Z1   |          | 2026-03-18T10:00:00Z | 1     |
| zupc          |       | Z2   |          | 2026-03-18T10:00:00Z | 1     |
| zupc          |       | Z2   |          | 2026-03-18T11:00:00Z | 1     |
| zupc_operator |       | Z1   | 2        | 2026-03-18T10:00:00Z | 1     |
| zupc_operator |       | Z1   | 3        | 2026-03-18T10:00:00Z | 1     |
| zupc_operator |       | Z2   | 2        | 2026-03-18T10:00:00Z | 1     |
| zupc_operator |       | Z2   | 2        | 2026-03-18T11:00:00Z | 1     |
| zupc_operator |       | Z2   | 3        | 2026-03-18T10:00:00Z | 1     |
+---------------+-------+------+----------+----------------------+-------+"
    );
    let all = "SELECT CAST(at AS DATE) AS day, taxis FROM";
    let days = ask(&sample, &format!("{all} connected_day WHERE \"by\" = 'all' ORDER BY 1")).await;
    assert!(days.contains("| 2026-03-18 | 2     |") && days.contains("| 2026-03-19 | 1     |"), "{days}");
    let weeks = ask(&sample, &format!("{all} connected_week WHERE \"by\" = 'zupc' AND zupc = 'Z2'")).await;
    assert!(weeks.contains("| 2026-03-16 | 2     |"), "{weeks}");
}

#[tokio::test]
async fn a_day_is_made_again_with_what_was_logged_after_midnight() {
    let sample = Sample::new();
    sample.day(10, &[heard("2026-03-18T23:59:00", 1, 2, LYON_ADS)]).await;
    make_all(&sample).await;
    let minutes = "SELECT count(*) AS minutes FROM connected_minute WHERE \"by\" = 'all'";
    assert!(ask(&sample, minutes).await.contains("| 1       |"));
    // The log took the second of these after midnight, though it was received before.
    let late =
        [heard("2026-03-19T00:00:01", 1, 2, LYON_ADS), heard("2026-03-18T23:59:59", 3, 2, GRENOBLE_ADS)];
    sample.day(20, &late).await;
    assert_eq!(make_all(&sample).await.len(), 3, "both days and their week");
    let last = "SELECT taxis FROM connected_minute WHERE \"by\" = 'all' AND at = '2026-03-18T23:59:00Z'";
    assert!(ask(&sample, last).await.contains("| 2     |"));

    let files = async || sample.root.list::<RollupName>(FOLDER).await.unwrap().len();
    let before = files().await;
    clean(&sample.root, Millis(0)).await.unwrap();
    assert_eq!(files().await, before, "what somebody may still read stays");
    clean(&sample.root, Millis(i64::MAX)).await.unwrap();
    assert_eq!(files().await, 5 + 5 + 1, "of each day and week the highest");
    assert!(ask(&sample, minutes).await.contains("| 2       |"));
}

#[tokio::test]
async fn searches_and_hails_are_added_up() {
    let sample = Sample::new();
    sample
        .searches(&[
            ("2026-03-18T10:10:00", 4, LYON, LYON_ADS, 2, 1, Some(80.0)),
            ("2026-03-18T10:50:00", 4, LYON, LYON_ADS, 1, 0, Some(700.0)),
            ("2026-03-18T11:00:00", 4, LYON, LYON_ADS, 0, 0, None),
        ])
        .await;
    let on_board = ("customer_on_board", 90);
    sample
        .hails(&[
            ("2026-03-18T10:10:00", "finished", 2, 1, LYON_ADS, &[("accepted_by_taxi", 4), on_board]),
            ("2026-03-18T10:20:00", "finished", 2, 1, LYON_ADS, &[("accepted_by_taxi", 8), on_board]),
            ("2026-03-18T10:21:00", "finished", 2, 1, LYON_ADS, &[("accepted_by_taxi", 8), on_board]),
            ("2026-03-18T10:22:00", "finished", 2, 1, LYON_ADS, &[("accepted_by_taxi", 4), on_board]),
            ("2026-03-18T10:23:00", "finished", 2, 1, LYON_ADS, &[("accepted_by_taxi", 6)]),
            ("2026-03-18T10:30:00", "timeout_taxi", 2, 1, LYON_ADS, &[]),
        ])
        .await;
    make_all(&sample).await;
    let searches = ask(&sample, "SELECT searches, found, answered FROM searches_hour ORDER BY at").await;
    let rows: Vec<_> = searches.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows, ["| 2        | 2     | 1        |", "| 1        | 0     | 0        |"]);
    let hails =
        "SELECT status, hails, taxis, accepted_after_p50_s, on_board_after_p90_s FROM hails_day ORDER BY 1";
    let hails = ask(&sample, hails).await;
    let finished = hails.lines().find(|line| line.starts_with("| finished     | 5     | 1     | 6.0 "));
    let of_four = finished.and_then(|line| line.split('|').nth(5)).map(str::trim);
    assert_eq!(of_four, Some(""), "four had a customer on board: {hails}");
    assert!(hails.contains("| timeout_taxi | 1     | 1     |  "), "{hails}");
}

/// What is counted, with sets: by what, town, zone, operator and time.
type Model = BTreeMap<(&'static str, String, String, Option<u32>, i64), BTreeSet<u32>>;

fn model(rows: &[Heard<'_>], span_ms: i64, from_ms: i64) -> Model {
    let mut model = Model::new();
    for &(received, taxi, operator, _, _, _, ads) in rows {
        let at = (received.0 - from_ms).div_euclid(span_ms) * span_ms + from_ms;
        let zones: &[&str] = if ads == LYON_ADS { &["Z1", "Z2"] } else { &["Z2"] };
        let none = String::new;
        let mut counts = vec![("all", none(), none(), None), ("operator", none(), none(), Some(operator))];
        counts.push(("town", ads.to_owned(), none(), None));
        counts.push(("town_operator", ads.to_owned(), none(), Some(operator)));
        for zone in zones {
            counts.push(("zupc", none(), (*zone).to_owned(), None));
            counts.push(("zupc_operator", none(), (*zone).to_owned(), Some(operator)));
        }
        for (by, insee, zupc, operator) in counts {
            model.entry((by, insee, zupc, operator, at)).or_default().insert(taxi);
        }
    }
    model
}

#[tokio::test]
async fn every_figure_is_that_of_sets_counted_one_by_one() {
    const MINUTE: i64 = 60_000;
    const DAY: i64 = 24 * 60 * MINUTE;
    // In few minutes of few hours, so that taxis meet.
    let moments = (0..9_i64, 0..3_i64, 0..3_i64, 0..MINUTE, 0..12_u32, 2..5_u32);
    let picked = prop::collection::vec(moments, 1_000).new_tree(&mut TestRunner::deterministic()).unwrap();
    let monday = at("2026-03-16T00:00:00");
    let row = |(day, hour, minute, ms, taxi, operator)| {
        let received = monday.plus(day * DAY + (hour * 480 + minute) * MINUTE + ms);
        let ads = if taxi % 3 == 0 { LYON_ADS } else { GRENOBLE_ADS };
        (received, taxi, operator, ReportedStatus::Off, LYON, LYON_ADS, ads)
    };
    let mut rows: Vec<_> = picked.current().into_iter().map(row).collect();
    rows.sort_by_key(|row| row.0);
    let sample = Sample::new();
    for of_day in rows.chunk_by(|a, b| Day::of(a.0) == Day::of(b.0)) {
        sample.day(0, of_day).await;
    }
    make_all(&sample).await;
    for (name, span_ms) in [("minute", MINUTE), ("hour", 60 * MINUTE), ("day", DAY), ("week", 7 * DAY)] {
        let sql = format!(
            "SELECT concat_ws(' ', \"by\", coalesce(insee, ''), coalesce(zupc, ''), coalesce(operator, 0),
                 CAST(at AS BIGINT), taxis) AS line FROM connected_{name} ORDER BY 1"
        );
        let told = ask(&sample, &sql).await;
        let told: BTreeSet<_> = told
            .lines()
            .filter_map(|line| line.strip_prefix("| ").map(|line| line.trim_end_matches('|').trim_end()))
            .filter(|line| *line != "line")
            .map(str::to_owned)
            .collect();
        let expected: BTreeSet<_> = model(&rows, span_ms, monday.0)
            .into_iter()
            .map(|((by, insee, zupc, operator, at), taxis)| {
                format!("{by} {insee} {zupc} {} {at} {}", operator.unwrap_or(0), taxis.len())
            })
            .collect();
        assert_eq!(told, expected, "connected_{name}");
    }
}

#[tokio::test]
async fn no_flipped_byte_of_a_rollup_goes_unseen_and_a_removed_one_is_made_again() {
    let sample = Sample::new();
    sample.day(10, &[heard("2026-03-18T10:00:05", 1, 2, LYON_ADS)]).await;
    sample.searches(&[("2026-03-18T10:10:00", 4, LYON, LYON_ADS, 2, 1, Some(80.0))]).await;
    make_all(&sample).await;
    let verified = async || verify::verify(&sample.root, Since::EVER.exact, &|_, _| ()).await.unwrap();
    let sound = verified().await;
    assert_eq!((sound.files, sound.unsealed, sound.problems), (5 + 1 + 1, 0, vec![]));
    assert_eq!(
        sound.rows,
        4 * 8 + 1 + 1 + 1,
        "eight of each grain, who was where and was heard, and an hour of searches"
    );

    let name: RollupName = "rollups/connected_hour/date=2026-03-18/000001.parquet".parse().unwrap();
    let path = sample.root.place_of(&name);
    let content = std::fs::read(&path).unwrap();
    for at in (0..content.len()).step_by(5) {
        let mut changed = content.clone();
        changed[at] ^= 0x10;
        std::fs::write(&path, &changed).unwrap();
        let problems = verified().await.problems;
        assert!(problems.len() == 1 && problems[0].starts_with(&name.to_string()), "byte {at}: {problems:?}");
    }
    // One of before has no seal.
    let told = sample.warehouse(LIMITS).query("SELECT 1 AS n", &View::Everything, &sample.dimensions).await;
    let rows = told.unwrap().collect().await.unwrap();
    let mut writer = Encoder::new(Format::Parquet, rows[0].schema()).unwrap();
    let mut before = writer.rows(&rows[0]).unwrap();
    before.extend(writer.finish().unwrap());
    std::fs::write(&path, &before).unwrap();
    let found = verified().await;
    assert_eq!((found.unsealed, found.problems), (1, vec![]));
    std::fs::write(&path, &before[..before.len() / 2]).unwrap();
    assert_eq!(verified().await.problems.len(), 1);

    std::fs::remove_file(&path).unwrap();
    assert_eq!(verified().await.problems, [format!("{name} is not there")]);
    assert_eq!(make_all(&sample).await, [Due::Day(Stream::Positions, name.day, 1)]);
    assert_eq!(verified().await.problems, [""; 0]);
    assert_eq!(std::fs::read(&path).unwrap(), content, "the same rows are the same bytes");
}

#[test]
fn names_say_what_they_name() {
    let day = "2026-03-18".parse().unwrap();
    for rollup in Rollup::ALL {
        let name = RollupName { rollup, day, number: 12 };
        assert_eq!(name.to_string(), format!("rollups/{rollup}/date=2026-03-18/000012.parquet"));
        assert_eq!(name.to_string().parse(), Ok(name));
    }
    assert_eq!("rollups/other/date=2026-03-18/000012.parquet".parse::<RollupName>(), Err(NoName));
    // The names of days of streams are others.
    assert_eq!("rollups/heard/date=2026-03-18/000012.parquet".parse::<Part>(), Err(NoName));
}

#[tokio::test]
async fn analysts_see_what_counts_many() {
    let sample = Sample::new();
    let mut rows: Vec<_> =
        (0..FEWEST_SHOWN).map(|taxi| heard("2026-03-18T10:00:05", taxi, 2, LYON_ADS)).collect();
    rows.push(heard("2026-03-18T11:00:05", 0, 2, LYON_ADS));
    sample.day(10, &rows).await;
    make_all(&sample).await;
    let warehouse = sample.warehouse(LIMITS);
    let told = async |view| {
        let sql = "SELECT DISTINCT at, taxis FROM connected_hour ORDER BY at";
        let answer = warehouse.query(sql, &view, &sample.dimensions).await.unwrap();
        table(&answer.collect().await.unwrap())
    };
    assert!(told(View::Everything).await.contains("11:00"));
    let by = Pseudonyms::new([7; 32]);
    let shown = told(View::Pseudonymous { by, now: at("2026-03-19T00:00:00") }).await;
    assert!(shown.contains("10:00") && !shown.contains("11:00"), "{shown}");
}

#[tokio::test]
async fn analysts_see_hails_of_many_taxis_and_not_the_many_hails_of_one() {
    let sample = Sample::new();
    let steps: &[(&str, i64)] = &[];
    let hail = |taxi, status| ("2026-03-18T10:10:00", status, 2, taxi, LYON_ADS, steps);
    let mut rows: Vec<_> = (0..FEWEST_SHOWN).map(|taxi| hail(taxi, "finished")).collect();
    rows.extend((0..FEWEST_SHOWN).map(|_| hail(0, "declined_by_taxi")));
    sample.hails(&rows).await;
    make_all(&sample).await;
    let warehouse = sample.warehouse(LIMITS);
    let by = Pseudonyms::new([7; 32]);
    let told = async |view, sql: &str| {
        warehouse.query(sql, &view, &sample.dimensions).await.unwrap().collect().await.unwrap()
    };
    let analyst = View::Pseudonymous { by, now: at("2026-03-19T00:00:00") };
    let rows = "SELECT status, hails, taxis FROM hails_day ORDER BY 1";
    let shown = table(&told(View::Everything, rows).await);
    assert!(shown.contains("| declined_by_taxi | 5     | 1     |"), "{shown}");
    let shown = table(&told(analyst, rows).await);
    assert!(shown.contains("| finished | 5     | 5     |") && !shown.contains("declined"), "{shown}");

    // A file of before says of no row how many taxis it is of.
    let before = told(View::Everything, "SELECT * EXCLUDE (date, taxis) FROM hails_day").await;
    let mut writer = Encoder::new(Format::Parquet, before[0].schema()).unwrap();
    let mut content = writer.rows(&before[0]).unwrap();
    content.extend(writer.finish().unwrap());
    let name = RollupName { rollup: Rollup::HailsDay, day: "2026-03-18".parse().unwrap(), number: 2 };
    sample.root.create(&name, content.into()).await.unwrap();
    let shown = table(&told(View::Everything, rows).await);
    assert!(shown.contains("| finished         | 5     |       |"), "{shown}");
    assert_eq!(told(analyst, rows).await.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
}

#[tokio::test]
async fn what_a_deleted_day_added_up_to_stays_under_whatever_setting() {
    let sample = Sample::new();
    let steps: &[(&str, i64)] = &[];
    sample.hails(&[("2026-03-18T10:10:00", "finished", 2, 1, LYON_ADS, steps)]).await;
    make_all(&sample).await;
    let written = manifests(&sample.root, Stream::Hails).await.unwrap();
    let name = written.values().next().unwrap().name;
    let mut manifest = Manifest::read(&sample.root, name).await.unwrap().unwrap();
    manifest.name.number += 1;
    assert!(manifest.create(&sample.root).await.unwrap());
    assert_eq!(due(&sample.root, Since::EVER).await.unwrap().len(), 1, "its rows may be others");
    manifest.name.number += 1;
    manifest.parts.clear();
    assert!(manifest.create(&sample.root).await.unwrap());
    assert_eq!(due(&sample.root, Since::EVER).await.unwrap(), []);
}
