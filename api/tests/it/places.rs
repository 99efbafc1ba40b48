//! Towns, zones and stations as partners ask for them.

use std::collections::BTreeMap;
use std::io::Read as _;

use api::store::daily::{Run, Stands};
use api::store::releases::NewFile;
use api::store::releases::places::{NewPlaces, Turn};
use axum::body::Bytes;
use serde_json::{Value, json};

use crate::harness::places::{EAST, MIDDLE, WEST, collection, rectangle};
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    towns_are_listed_by_how_their_names_begin,
    a_point_has_its_zones_or_its_town_and_who_is_connected_there,
    a_zone_with_land_of_its_own_lets_its_taxis_be_found_there_and_nowhere_else,
    stations_are_public_in_each_form,
    open_data_is_listed_and_downloaded_in_parts,
    places_are_published_anew_each_night_and_by_every_process_alike,
    a_version_follows_the_highest_and_of_two_first_ones_one_is,
);

async fn towns_are_listed_by_how_their_names_begin(world: &mut World) {
    let list = async |query: &str| world.client.get(world.key("app"), &format!("/towns{query}")).await;
    let town = |insee: &str| json!({"insee": insee, "name": format!("Town {insee}")});
    let all = json!({"data": [town(MIDDLE), town(WEST), town(EAST)]});
    assert_eq!(list("").await.body, all);
    assert_eq!(list("?search=").await.body, all);
    assert_eq!(list("?search=t%C3%B4WN%209").await.body, json!({"data": [town(WEST), town(EAST)]}));
    assert_eq!(list("?search=94080").await.body, json!({"data": []}));
    let wrong = list("?search=a&foo=1&bar=2").await;
    let unknown = json!(["Unknown field."]);
    assert_eq!((wrong.status, wrong.body), (400, json!({"errors": {"foo": unknown, "bar": unknown}})));
    assert_eq!(world.client.get("", "/towns").await.status, 401);
}

async fn a_point_has_its_zones_or_its_town_and_who_is_connected_there(world: &mut World) {
    let ask = async |who: &str, path: &str| world.client.get(world.key(who), path).await;
    let (middle, east) = ("/zupc?lon=2.35&lat=48.83", "/zupc?lon=2.45&lat=48.83");
    let zone =
        |stats: Value| json!({"data": [{"zupc_id": "z", "name": "Z", "type": "ZUPC", "stats": stats}]});
    assert_eq!(ask("app", middle).await.body, zone(json!({})));
    assert_eq!(ask("op-a", middle).await.body, zone(json!({"operators": {"op-a": 0}})));
    let here = world.register("op-a", 1, MIDDLE).await;
    let west = world.register("op-a", 2, WEST).await;
    let other = world.register("op-b", 3, MIDDLE).await;
    world.register("op-b", 4, MIDDLE).await; // and never heard
    for (operator, taxi) in [("op-a", &here), ("op-a", &west), ("op-b", &other)] {
        world.place(operator, taxi, (48.83, 2.35)).await;
    }
    world.clock.advance(1_000); // what was told is told again for a second
    let off = json!({"status": "off"});
    world.client.put(world.key("op-a"), &format!("/taxis/{here}"), &off).await.element(200);
    assert_eq!(
        ask("op-a", middle).await.body,
        zone(json!({"operators": {"op-a": 2}})),
        "whatever the status"
    );
    assert_eq!(ask("op-b", middle).await.body, zone(json!({"operators": {"op-b": 1}})));
    assert_eq!(ask("admin", middle).await.body, zone(json!({"total": 3})));
    let town = json!({"insee": EAST, "name": format!("Town {EAST}"), "type": "city", "stats": {"total": 0}});
    assert_eq!(ask("admin", east).await.body, json!({"data": [town]}));
    assert_eq!(ask("admin", "/zupc?lon=0&lat=48.83").await.body, json!({"data": []}), "nowhere");

    let live = ask("admin", "/zupc/live").await.body;
    let live = live["data"].as_array().unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(
        (&live[0]["id"], &live[0]["nom"], &live[0]["stats"]),
        (&json!("z"), &json!("Z"), &json!({"total": 3}))
    );
    assert_eq!(live[0]["geojson"]["type"], "MultiPolygon");
    assert_eq!(
        live[0]["geojson"]["coordinates"].as_array().unwrap().len(),
        1,
        "two towns side by side are one land"
    );
    world.clock.advance(59_000);
    assert_eq!(ask("admin", middle).await.body, zone(json!({"total": 3})), "a minute is inside");
    world.clock.advance(1_000);
    assert_eq!(ask("admin", middle).await.body, zone(json!({"total": 0})), "nobody was heard since");

    let missing = json!(["Missing data for required field."]);
    let wrong = ask("app", "/zupc").await;
    assert_eq!((wrong.status, wrong.body), (400, json!({"errors": {"lon": missing, "lat": missing}})));
    let wrong = ask("app", "/zupc?lon=2.35&lat=x&foo=1").await;
    let errors = json!({"lat": ["Not a valid number."], "foo": ["Unknown field."]});
    assert_eq!((wrong.status, wrong.body), (400, json!({"errors": errors})));
    assert_eq!(world.client.get("nobody's", middle).await.status, 401);
}

async fn a_zone_with_land_of_its_own_lets_its_taxis_be_found_there_and_nowhere_else(world: &mut World) {
    let airport =
        collection(&[json!({"type": "Feature", "geometry": rectangle((2.32, 2.33), (48.84, 48.85))})]);
    std::fs::write(world.folder().join("airport.geojson"), airport.to_string()).unwrap();
    let zones = json!({"zones": [
        {"id": "airport", "name": "Airport", "allowed": [{"insee": EAST}], "feature": "airport.geojson"},
    ]});
    let file = world.folder().join("zones.json");
    std::fs::write(&file, zones.to_string()).unwrap();
    let taxi = world.register("op-a", 1, EAST).await;
    let (inside, outside) = ((48.8499, 2.325), (48.8501, 2.325));
    world.place("op-a", &taxi, outside).await;
    assert_eq!(world.search("app", inside).await.len(), 0);
    world.program().done(&["import", "zupc", file.to_str().unwrap()]).await;
    within(SOON, "the airport", async || (world.search("app", inside).await.len() == 1).then_some(())).await;
    assert_eq!(world.search("app", outside).await.len(), 0, "twenty metres beside it");
    let zones = world.client.get(world.key("app"), "/zupc?lon=2.325&lat=48.8499").await.body;
    let ids: Vec<_> = zones["data"].as_array().unwrap().iter().map(|zone| zone["zupc_id"].as_str()).collect();
    assert_eq!(ids, [Some("airport"), Some("z")]);
}

async fn stations_are_public_in_each_form(world: &mut World) {
    let file = world.folder().join("stations.csv");
    let table = "id;nom;insee;geopoint;adresse;emplacements;no_appel;info\n\
                 75056-T-002;Gare \"Sud\";75056;\"2.35, 48.83\";;0;;\n\
                 75056-T-001;Nord;75056;\"2.3, 48.0\";1 rue X;6;0476544254;au fond\n";
    std::fs::write(&file, table).unwrap();
    world.program().done(&["import", "stations", file.to_str().unwrap()]).await;
    let all = world.client.get("", "/stations/all").await;
    let point = |lon: f64, lat: f64| json!({"type": "Point", "coordinates": [lon, lat]});
    assert_eq!(
        all.body["data"],
        json!([
            {"id": "75056-T-001", "name": "Nord", "places": 6, "geojson": point(2.3, 48.0)},
            {"id": "75056-T-002", "name": "Gare \"Sud\"", "places": 0, "geojson": point(2.35, 48.83)},
        ])
    );
    let geojson = world.client.get("", "/stations/stations.json").await;
    let feature = |geometry: Value, properties: Value| {
        let kind = "Feature";
        json!({"type": kind, "geometry": geometry, "properties": properties})
    };
    let nord = json!({"id": "75056-T-001", "nom": "Nord", "insee": "75056", "adresse": "1 rue X", "emplacements": 6,
                      "no_appel": "0476544254", "info": "au fond"});
    let sud = json!({"id": "75056-T-002", "nom": "Gare \"Sud\"", "insee": "75056"});
    let expected = json!({
        "type": "FeatureCollection",
        "properties": {"version": "0.0.3", "date": "2026-09-21", "producteur": "le.taxi"},
        "features": [feature(point(2.3, 48.0), nord), feature(point(2.35, 48.83), sud)],
    });
    assert_eq!(geojson.body, expected);
    let csv = world.client.http.get(format!("{}/stations/stations.csv", world.client.base));
    let csv = csv.send().await.unwrap();
    let told = |name: &str| csv.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(told("content-type"), "text/plain; charset=utf-8");
    assert_eq!(told("content-disposition"), "inline; filename=\"stationstaxi_LeTaxi_20260921.csv\"");
    assert_eq!(told("expires"), "Tue, 22 Sep 2026 14:13:20 GMT");
    let csv = csv.text().await.unwrap();
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert_eq!(
        lines,
        [
            "\"id\";\"nom\";\"insee\";\"geopoint\";\"adresse\";\"emplacements\";\"no_appel\";\"info\"",
            "\"75056-T-001\";\"Nord\";\"75056\";\"2.3, 48.0\";\"1 rue X\";\"6\";\"0476544254\";\"au fond\"",
            "\"75056-T-002\";\"Gare \"\"Sud\"\"\";\"75056\";\"2.35, 48.83\";\"\";\"\";\"\";\"\"",
            "",
        ]
    );
}

/// What is downloaded: status, headers, bytes.
type Download = (u16, BTreeMap<String, String>, Bytes);

async fn get(base: &str, path: &str, headers: &[(&str, &str)]) -> Download {
    let request = reqwest::Client::new().get(format!("{base}{path}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let told = response.headers().iter();
    let told = told.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (response.status().as_u16(), told, response.bytes().await.unwrap())
}

async fn json_of(base: &str, path: &str) -> Value {
    let (status, _, body) = get(base, path, &[]).await;
    assert_eq!(status, 200, "{path}");
    serde_json::from_slice(&body).unwrap()
}

/// Stations of these names.
async fn import(world: &World, names: &[&str]) {
    let rows =
        names.iter().enumerate().map(|(i, name)| format!("75056-T-00{i};{name};75056;\"2.35, 48.83\"\n"));
    let file = world.folder().join("stations.csv");
    std::fs::write(&file, format!("id;nom;insee;geopoint\n{}", rows.collect::<String>())).unwrap();
    world.program().done(&["import", "stations", file.to_str().unwrap()]).await;
}

/// The ledger: dataset, first day, version and path.
async fn ledger(base: &str) -> Vec<String> {
    let told = json_of(base, "/opendata/ledger").await;
    let told = told["data"].as_array().unwrap().iter();
    told.map(|release| {
        let [dataset, period] = ["dataset", "period"].map(|name| release[name].as_str().unwrap());
        format!("{dataset} {period} {} {}", release["version"], release["files"][0]["path"].as_str().unwrap())
    })
    .collect()
}

/// Waits until what a new registry has, no station and a zone, is published: its first run is due at its start.
async fn first_published(world: &World) -> [&'static str; 2] {
    let first = ["stations 2026-09-21 1 /opendata/stations.csv", "zupc 2026-09-21 1 /opendata/zupc.geojson"];
    let is_there = async || (ledger(&world.client.base).await == first).then_some(());
    within(SOON, "what is published at first", is_there).await;
    first
}

async fn open_data_is_listed_and_downloaded_in_parts(world: &mut World) {
    let base = &world.client.base.clone();
    first_published(world).await;
    import(world, &["Nord"]).await;
    // There was none: nobody waits for the night.
    let (status, told, csv) = get(base, "/opendata/stations.csv", &[]).await;
    assert_eq!((status, &*told["accept-ranges"]), (200, "bytes"));
    assert!(csv.windows(4).any(|letters| letters == b"Nord"));
    let tag = &*told["etag"];

    // What the catalogue names is there, as it says.
    let (status, told, catalogue) = get(base, "/opendata", &[]).await;
    assert_eq!((status, &*told["content-type"]), (200, "application/ld+json"));
    let catalogue: Value = serde_json::from_slice(&catalogue).unwrap();
    let mut files = 0;
    for dataset in catalogue["dcat:dataset"].as_array().unwrap() {
        assert_eq!(dataset["dct:temporal"]["dcat:endDate"]["@value"], "2026-09-21");
        for file in dataset["dcat:distribution"].as_array().unwrap() {
            let path = file["dcat:downloadURL"]["@id"].as_str().unwrap();
            let (status, told, body) = get(base, path, &[]).await;
            assert_eq!(
                (status, json!(body.len().to_string())),
                (200, file["dcat:byteSize"]["@value"].clone())
            );
            let media = told["content-type"].split(';').next().unwrap();
            assert!(file["dcat:mediaType"]["@id"].as_str().unwrap().ends_with(media), "{file}");
            if let Some(schema) = file["dct:conformsTo"]["@id"].as_str() {
                let schema = json_of(base, schema).await;
                let columns: Vec<_> =
                    schema["fields"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
                let heading = String::from_utf8(body.to_vec()).unwrap().replace(['"', '\r'], "");
                assert_eq!(
                    json!(heading.lines().next().unwrap().split(';').collect::<Vec<_>>()),
                    json!(columns)
                );
            }
            files += 1;
        }
    }
    assert_eq!(files, 3);
    let zones = json_of(base, "/opendata/zupc.geojson").await;
    assert_eq!(
        (&zones["features"][0]["id"], &zones["features"][0]["geometry"]["type"]),
        (&json!("z"), &json!("MultiPolygon"))
    );

    // In parts, compressed, or not again.
    let part = get(base, "/opendata/stations.csv", &[("range", "bytes=3-6"), ("if-range", tag)]).await;
    let range = format!("bytes 3-6/{}", csv.len());
    assert_eq!((part.0, &part.1["content-range"], part.2), (206, &range, csv.slice(3..7)));
    let stale = get(base, "/opendata/stations.csv", &[("range", "bytes=3-6"), ("if-range", "\"x\"")]).await;
    assert_eq!((stale.0, stale.2), (200, csv.clone()));
    assert_eq!(get(base, "/opendata/stations.csv", &[("range", "bytes=99999-")]).await.0, 416);
    let same = get(base, "/opendata/stations.csv", &[("if-none-match", tag)]).await;
    assert_eq!((same.0, same.2.len()), (304, 0));
    let (status, told, gzip) = get(base, "/opendata/stations.csv", &[("accept-encoding", "gzip")]).await;
    assert_eq!((status, &*told["content-encoding"]), (200, "gzip"));
    assert_ne!(told["etag"], tag);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, csv);
}

async fn places_are_published_anew_each_night_and_by_every_process_alike(world: &mut World) {
    const PATHS: [&str; 3] =
        ["/opendata/stations.csv", "/opendata/stations.geojson", "/opendata/zupc.geojson"];
    let (another, _folder) = world.another(|_| {}).await;
    let bases = [world.client.base.clone(), format!("http://{}", another.http)];
    let [base, other] = &bases;
    let files = async || {
        let mut files = Vec::new();
        for path in PATHS {
            for coding in ["identity", "gzip"] {
                let asked = [("accept-encoding", coding)];
                let (one, same) = (get(base, path, &asked).await, get(other, path, &asked).await);
                assert_eq!((one.0, &one.1["etag"], &one.2), (same.0, &same.1["etag"], &same.2), "{path}");
                files.push((one.1["etag"].clone(), one.2));
            }
        }
        files
    };
    let made_on = async || {
        let days = bases.each_ref().map(async |base| {
            let told = json_of(base, "/opendata").await;
            let days = told["dcat:dataset"].as_array().unwrap().iter();
            let days: Vec<_> = days.map(|dataset| dataset["dct:modified"]["@value"].clone()).collect();
            assert_eq!(days, [told["dct:modified"]["@value"].clone(), days[0].clone()]);
            days[0].as_str().unwrap().to_owned()
        });
        let [one, same] = days;
        (one.await, same.await)
    };
    let on = |day: &str| (day.to_owned(), day.to_owned());
    let [empty, zupc] = first_published(world).await;
    import(world, &["Nord"]).await;
    let first = files().await;
    import(world, &["Nord", "Sud"]).await;
    // 03:13:20 of the day after.
    world.clock.advance(13 * 3_600_000);
    assert_eq!((files().await, made_on().await), (first.clone(), on("2026-09-21")));

    world.clock.advance(3_600_000);
    within(SOON, "the night's run", async || (made_on().await == on("2026-09-22")).then_some(())).await;
    let second = files().await;
    assert!(second[0].1.windows(3).any(|letters| letters == b"Sud"));
    let are_others: Vec<_> = first.iter().zip(&second).map(|(first, second)| first != second).collect();
    assert_eq!(are_others, [true, true, true, true, false, false], "zones are what they were");
    let nord = "stations 2026-09-21 2 /opendata/stations.csv";
    let sud = "stations 2026-09-22 3 /opendata/stations.csv";
    assert_eq!(ledger(base).await, [empty, nord, sud, zupc]);

    // A night after which all is as it was adds nothing to the ledger.
    world.clock.advance(24 * 3_600_000);
    within(SOON, "the next night's", async || (made_on().await == on("2026-09-23")).then_some(())).await;
    assert_eq!(
        (files().await, ledger(other).await),
        (second, vec![empty.to_owned(), nord.into(), sud.into(), zupc.into()])
    );
    another.stop().await;
}

async fn a_version_follows_the_highest_and_of_two_first_ones_one_is(world: &mut World) {
    let store = world.server().app.registry.store();
    let run = Run { name: "places", due_at: world.clock.now(), holder: "the test".to_owned() };
    assert_eq!(store.take_run(&run).await.unwrap(), Stands::Held);
    let places = |dataset, content: String| NewPlaces {
        dataset,
        made_on: "2026-09-21".to_owned(),
        rows: 1,
        files: vec![NewFile {
            form: "csv",
            sha256: format!("of {content}"),
            gzip: content.clone().into(),
            content: content.into(),
        }],
    };
    let nightly = async |number: i32| {
        let made = [places("many", number.to_string())];
        store.publish_places(Turn::Nightly(&run), &made).await.unwrap()
    };
    for number in 1..=12 {
        assert_eq!(nightly(number).await.unwrap(), ["many"], "version {number}");
    }
    assert_eq!(nightly(12).await.unwrap(), [""; 0], "the same again");
    let content = async |dataset: &str| {
        let all = store.current_places_contents().await.unwrap();
        let of_it: Vec<_> = all.into_iter().filter(|file| file.about.dataset == dataset).collect();
        assert_eq!(of_it.len(), 1);
        String::from_utf8(of_it[0].content.clone()).unwrap()
    };
    assert_eq!(content("many").await, "12");
    let versions = async |dataset: &str| -> Vec<i32> {
        let ledger = store.ledger().await.unwrap().into_iter();
        ledger.filter(|file| file.dataset == dataset).map(|file| file.version).collect()
    };
    assert_eq!(versions("many").await, (1..=12).collect::<Vec<_>>());

    // Nobody else's run, and no first one where there is something.
    let lost = Run { holder: "another".to_owned(), ..run.clone() };
    let none = [places("many", "none".to_owned())];
    assert_eq!(store.publish_places(Turn::Nightly(&lost), &none).await.unwrap(), None);
    assert_eq!(store.publish_places(Turn::First, &none).await.unwrap(), Some(vec![]));
    assert_eq!(content("many").await, "12");
    let [one, other] = ["one", "other"].map(|content| [places("both", content.to_owned())]);
    let (a, b) =
        tokio::join!(store.publish_places(Turn::First, &one), store.publish_places(Turn::First, &other));
    let won: Vec<_> = [a, b].into_iter().map(|others| !others.unwrap().unwrap().is_empty()).collect();
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    assert_eq!(content("both").await, if won[0] { "one" } else { "other" });
    assert_eq!(versions("both").await, [1]);
}
