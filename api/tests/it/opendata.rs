//! Statistics of a month are published once, when all of it is known, and stay as they are.

use std::collections::BTreeMap;
use std::io::Read as _;

use analytics::layout::Day;
use analytics::rollups::presence::{of_days, written};
use api::form::instant::instant;
use api::hail::Status;
use api::publication::Dataset;
use api::statistics::outcome::Outcome;
use api::store::daily::{Run, Stands};
use api::store::releases::NewRelease;
use api::store::statistics::copies::{HailCopy, TIMED};
use axum::body::Bytes;
use ingest::clock::Millis;
use serde_json::{Value, json};

use crate::harness::places::{EAST, MIDDLE, WEST};
use crate::harness::wait::{SOON, within};
use crate::world::{World, wanted};

on_each_database!(a_month_is_published_once_and_stays_as_it_is);

/// Where customers and taxis are: in the town of that name.
const IN_WEST: (f64, f64) = (48.85, 2.25);
const IN_MIDDLE: (f64, f64) = (48.8566, 2.3522);
const IN_EAST: (f64, f64) = (48.85, 2.45);

const HOUR_MS: i64 = 3_600_000;

async fn get(base: &str, path: &str, headers: &[(&str, &str)]) -> (u16, BTreeMap<String, String>, Bytes) {
    let request = reqwest::Client::new().get(format!("{base}{path}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let told = response.headers().iter();
    let told = told.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (response.status().as_u16(), told, response.bytes().await.unwrap())
}

/// The months of the ledger.
async fn ledger(world: &World) -> Vec<Value> {
    let (status, _, body) = get(&world.client.base, "/opendata/ledger", &[]).await;
    assert_eq!(status, 200);
    let mut told = serde_json::from_slice::<Value>(&body).unwrap()["data"].as_array().unwrap().clone();
    told.retain(|release| !["stations", "zupc"].contains(&release["dataset"].as_str().unwrap()));
    told
}

async fn text(world: &World, path: &str) -> String {
    let (status, _, body) = get(&world.client.base, path, &[]).await;
    assert_eq!(status, 200, "{path}");
    String::from_utf8(body.to_vec()).unwrap()
}

/// A customer there hails a taxi, and thinks better of it.
async fn hail(world: &World, operator: &str, taxi: &str, (lat, lon): (f64, f64)) {
    world.free(operator, taxi).await;
    let mut asked = wanted(taxi);
    // Each taxi has a customer of its own.
    asked["customer_id"] = json!(format!("of {taxi}"));
    (asked["customer_lat"], asked["customer_lon"]) = (json!(lat), json!(lon));
    let made = world.client.post(world.key("app"), "/hails", &asked).await.element(201);
    world.moves("app", made["id"].as_str().unwrap(), &json!({"status": "declined_by_customer"})).await;
}

/// Goes on to this time, when a month that ended is published; waits for so many releases.
async fn published(world: &World, at: &str, releases: usize) -> Vec<Value> {
    world.clock.advance(instant(at).unwrap().since(world.clock.now()));
    within(SOON, "releases", async || Some(ledger(world).await).filter(|told| told.len() == releases)).await
}

/// A copy of a hail in the middle that was made then, and went well.
pub(crate) fn copy_of(world: &World, id: &str, added_at: Millis) -> HailCopy {
    HailCopy {
        id: id.to_owned(),
        added_at: added_at.0,
        last_update_at: added_at.0,
        status: Status::Finished,
        outcome: Outcome::Finished,
        app_id: world.number("app"),
        operator_id: world.number("op-a"),
        session_id: String::new(),
        taxi_hash: 1,
        insee: Some(MIDDLE.to_owned()),
        distance_m: None,
        incident_taxi_reason: None,
        incident_customer_reason: None,
        reporting_customer: None,
        reporting_customer_reason: None,
        times: [None; TIMED.len()],
    }
}

/// Another hail of a month that is published, which was not copied by then; and nobody can publish it once more.
async fn copy_late(world: &World) {
    let store = world.server().app.registry.store();
    let run = Run { name: "late", due_at: world.clock.now(), holder: "the test".to_owned() };
    assert_eq!(store.take_run(&run).await.unwrap(), Stands::Held);
    let copy = copy_of(world, "late", instant("2026-10-21T20:00:00").unwrap());
    assert!(store.add_copies(&run, &[copy]).await.unwrap());
    let anew = NewRelease {
        dataset: Dataset::Hails.name(),
        period: "2026-10".to_owned(),
        rows: 1,
        withheld: 0,
        resolution: None,
        files: Vec::new(),
    };
    assert!(store.release(&run, vec![anew]).await.is_err());
}

async fn a_month_is_published_once_and_stays_as_it_is(world: &mut World) {
    // 2026-09-21T14:13:20. What there was of September before is not known: it is never published.
    let first = world.register("op-a", 12, MIDDLE).await;
    world.place("op-a", &first, IN_MIDDLE).await;
    hail(world, "op-a", &first, IN_MIDDLE).await;
    world.stop().await;
    world.clock.advance(instant("2026-10-21T14:13:20").unwrap().since(world.clock.now()));
    world.start().await;

    // Six taxis of the middle, five of the east, all connected within this hour and hailed once in their towns; two of
    // the middle once more, in the west.
    for number in 1..=6 {
        let taxi = world.register("op-a", number, MIDDLE).await;
        world.place("op-a", &taxi, IN_MIDDLE).await;
        hail(world, "op-a", &taxi, IN_MIDDLE).await;
        if number <= 2 {
            hail(world, "op-a", &taxi, IN_WEST).await;
        }
    }
    for number in 7..=11 {
        let taxi = world.register("op-b", number, EAST).await;
        world.place("op-b", &taxi, IN_EAST).await;
        hail(world, "op-b", &taxi, IN_EAST).await;
    }
    world.clock.advance(HOUR_MS);
    // A stop saves who was heard.
    world.stop().await;
    world.start().await;
    assert_eq!(ledger(world).await, [Value::Null; 0]);

    let october = published(world, "2026-11-02T04:30:00", 3).await;
    let names: Vec<_> = october.iter().map(|release| release["dataset"].as_str().unwrap()).collect();
    assert_eq!(names, ["availability", "hails", "hails-by-cell"]);
    for release in &october {
        assert_eq!((&release["period"], &release["version"]), (&json!("2026-10"), &json!(1)));
        assert_eq!(release["final"], true);
        let finest = if release["dataset"] == "hails-by-cell" { json!(8) } else { Value::Null };
        assert_eq!(release["resolution"], finest);
        assert_eq!(release["released_at"], "2026-11-02T04:30:00");
    }

    // 13 hails, all of one outcome: 6 in the middle, 5 in the east, 2 in the west. Those 2 are of two taxis, and the 5
    // would give them away.
    let row = |place: &str, hails| format!("2026-10,{place},{hails},,,{hails},,,,,,,\n");
    let [country, paris] = [row("country,FRA,France", 13), row("department,75,Paris", 6)];
    let town = row(&format!("town,{MIDDLE},Town {MIDDLE}"), 6);
    let csv = text(world, "/opendata/hails-2026-10.csv").await;
    let (heading, rows) = csv.split_once('\n').unwrap();
    assert_eq!(rows, [country, paris, town].concat());
    // How many figures are withheld would tell, where none is, that those that are missing are nil.
    assert_eq!((&october[1]["rows"], &october[1]["suppressed"]), (&json!(3), &Value::Null));
    let schema: Value = serde_json::from_str(&text(world, "/opendata/hails.schema.json").await).unwrap();
    let columns: Vec<_> =
        schema["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(heading.split(',').collect::<Vec<_>>(), columns);

    let cells = text(world, "/opendata/hails-by-cell-2026-10.csv").await;
    let finest: Vec<_> = cells.lines().filter(|line| line.starts_with("2026-10,8,")).collect();
    assert!(matches!(finest[..], [middle] if middle.ends_with(",6,")), "{cells}");

    // Eleven taxis in one hour, from 14 h to 15 h.
    let hours = text(world, "/opendata/availability-2026-10.csv").await;
    let row = |place: &str, hours| format!("2026-10,{place},{hours},,,{hours},\n");
    let rows = [
        row("country,FRA,France", 11),
        row("department,75,Paris", 6),
        row(&format!("town,{MIDDLE},Town {MIDDLE}"), 6),
        row("department,94,Val-de-Marne", 5),
        row(&format!("town,{EAST},Town {EAST}"), 5),
    ];
    assert_eq!(hours.split_once('\n').unwrap().1, rows.concat());
    assert!(!csv.contains(WEST) && !hours.contains(WEST));

    let october = presence_is_published_once_the_archive_has_the_month(world).await;
    files_are_as_the_catalogue_and_the_ledger_say(world, &october).await;
    let before = contents(&world.client.base, &october).await;
    let (another, _folder) = world.another(|_| {}).await;
    assert_eq!(contents(&format!("http://{}", another.http), &october).await, before);
    another.stop().await;

    // What comes later changes nothing of it.
    copy_late(world).await;
    let later = published(world, "2026-12-02T04:30:00", 7).await;
    let of_october: Vec<_> = later.iter().filter(|release| release["period"] == "2026-10").cloned().collect();
    assert_eq!(of_october, october);
    assert_eq!(contents(&world.client.base, &october).await, before);
    // People read of each month, and find its files, on a page.
    let page = text(world, "/console/opendata").await;
    for of_page in ["Demandes de course par commune, 2026-10", "du 01/10/2026 au 31/10/2026"] {
        assert!(page.contains(of_page), "{page}");
    }
    for file in later.iter().flat_map(|release| release["files"].as_array().unwrap()) {
        assert!(page.contains(&format!("href={}", file["path"])), "{file} in {page}");
    }
    for path in ["/opendata/hails-2026-12.csv", "/opendata/hails-2026-1%00.csv"] {
        assert_eq!(get(&world.client.base, path, &[]).await.0, 404, "{path}");
    }
}

/// Where the eleven taxis were in October is told by cell once a day of November is written; gives the ledger then.
async fn presence_is_published_once_the_archive_has_the_month(world: &mut World) -> Vec<Value> {
    let taxi = world.register("op-a", 20, MIDDLE).await;
    world.place("op-a", &taxi, IN_MIDDLE).await;
    world.clock.advance(24 * HOUR_MS);
    let root = world.server().app.asked.root().clone();
    let [october, november] = ["2026-10-01", "2026-11-01"].map(|day| day.parse::<Day>().unwrap());
    let is_whole = async || {
        let (_, last) = written(&root).await.unwrap()?;
        let files = of_days(&root, october..november, Millis(i64::MIN)).await.unwrap()?;
        (last >= november && files.len() == 1).then_some(())
    };
    // Days are looked for every ten seconds: one is written, and what it adds up to made, in some of these rounds.
    within(4 * SOON, "the month in the archive", is_whole).await;
    let told = published(world, "2026-11-04T04:30:00", 4).await;
    let by_cell = &told[1];
    assert_eq!(
        (&by_cell["dataset"], &by_cell["period"]),
        (&json!("availability-by-cell"), &json!("2026-10"))
    );
    assert_eq!(by_cell["resolution"], 8);
    let csv = text(world, "/opendata/availability-by-cell-2026-10.csv").await;
    let mut finest: Vec<_> = csv.lines().filter(|line| line.starts_with("2026-10,8,")).collect();
    finest.sort_by_key(|line| line.rsplit_once(',').unwrap().1);
    // A minute each.
    assert!(matches!(finest[..], [east, middle] if east.ends_with(",5") && middle.ends_with(",6")), "{csv}");
    let path = "/opendata/availability-by-cell.schema.json";
    let schema: Value = serde_json::from_str(&text(world, path).await).unwrap();
    assert_eq!(schema["fields"][3]["name"], "taxi_minutes");
    told
}

fn files(ledger: &[Value]) -> impl Iterator<Item = &Value> {
    ledger.iter().flat_map(|release| release["files"].as_array().unwrap())
}

/// What all of these files are.
async fn contents(base: &str, ledger: &[Value]) -> Vec<Bytes> {
    let mut contents = Vec::new();
    for file in files(ledger) {
        let (status, _, body) = get(base, file["path"].as_str().unwrap(), &[]).await;
        assert_eq!((status, json!(body.len())), (200, file["bytes"].clone()));
        contents.push(body);
    }
    contents
}

async fn files_are_as_the_catalogue_and_the_ledger_say(world: &World, ledger: &[Value]) {
    let base = &world.client.base;
    let catalogue: Value = serde_json::from_str(&text(world, "/opendata").await).unwrap();
    let datasets = catalogue["dcat:dataset"].as_array().unwrap();
    let distributions: BTreeMap<_, _> = datasets
        .iter()
        .flat_map(|dataset| dataset["dcat:distribution"].as_array().unwrap())
        .map(|file| (file["@id"].as_str().unwrap(), file))
        .collect();
    let hails = datasets.iter().find(|dataset| dataset["dct:identifier"] == "hails-2026-10").unwrap();
    let days = ["dcat:startDate", "dcat:endDate"].map(|end| &hails["dct:temporal"][end]["@value"]);
    assert_eq!(days, ["2026-10-01", "2026-10-31"]);
    assert_eq!(hails["dct:modified"]["@value"], "2026-11-02");
    assert!(hails["adms:status"]["@id"].as_str().unwrap().ends_with("/COMPLETED"));
    let by_cell = datasets.iter().find(|dataset| dataset["dct:identifier"] == "availability-by-cell-2026-10");
    let about = by_cell.unwrap()["dct:description"]["@value"].as_str().unwrap();
    assert!(about.contains("Résolution H3 la plus fine : 8."), "{about}");
    for file in files(ledger) {
        let path = file["path"].as_str().unwrap();
        let listed = distributions[path];
        assert_eq!(listed["spdx:checksum"]["spdx:checksumValue"]["@value"], file["sha256"], "{path}");
        assert_eq!(listed["dcat:byteSize"]["@value"], file["bytes"].to_string());
        let (_, told, plain) = get(base, path, &[]).await;
        let media_type = told["content-type"].split(';').next().unwrap();
        assert!(listed["dcat:mediaType"]["@id"].as_str().unwrap().ends_with(media_type), "{path}");
        assert_eq!(plain.starts_with(b"PAR1"), media_type == "application/vnd.apache.parquet", "{path}");

        let (status, _, again) = get(base, path, &[("if-none-match", &told["etag"])]).await;
        assert_eq!((status, again.len()), (304, 0), "{path}");
        let (status, _, part) = get(base, path, &[("range", "bytes=2-5")]).await;
        assert_eq!((status, part), (206, plain.slice(2..6)), "{path}");
        let (_, told, gzip) = get(base, path, &[("accept-encoding", "gzip")]).await;
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!((told["content-encoding"].as_str(), unpacked), ("gzip", plain.to_vec()), "{path}");
        let asked = [("accept-encoding", "gzip"), ("if-none-match", &*told["etag"])];
        let (status, told, again) = get(base, path, &asked).await;
        assert_eq!((status, told["content-encoding"].as_str(), again.len()), (304, "gzip", 0), "{path}");
    }
}
