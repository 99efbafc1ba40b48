//! Towns, zones and stations as partners ask for them.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::harness::places::{EAST, MIDDLE, WEST, collection, rectangle};
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    towns_are_listed_by_how_their_names_begin,
    a_point_has_its_zones_or_its_town_and_who_is_connected_there,
    a_zone_with_land_of_its_own_lets_its_taxis_be_found_there_and_nowhere_else,
    stations_are_public_in_each_form,
    open_data_is_made_anew_each_day_and_downloaded_in_parts,
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

async fn open_data_is_made_anew_each_day_and_downloaded_in_parts(world: &mut World) {
    let import = async |world: &World, names: &[&str]| {
        let rows =
            names.iter().enumerate().map(|(i, name)| format!("75056-T-00{i};{name};75056;\"2.35, 48.83\"\n"));
        let file = world.folder().join("stations.csv");
        std::fs::write(&file, format!("id;nom;insee;geopoint\n{}", rows.collect::<String>())).unwrap();
        world.program().done(&["import", "stations", file.to_str().unwrap()]).await;
    };
    let get = async |world: &World, path: &str, headers: &[(&str, &str)]| {
        let request = world.client.http.get(format!("{}{path}", world.client.base));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let told = move |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (status, told, response.bytes().await.unwrap())
    };
    import(world, &["Nord"]).await;
    let (status, told, csv) = get(world, "/opendata/stations.csv", &[]).await;
    assert_eq!((status, told("accept-ranges").as_deref()), (200, Some("bytes")));
    let tag = told("etag").unwrap();
    import(world, &["Nord", "Sud"]).await;
    assert_eq!(get(world, "/opendata/stations.csv", &[]).await.2, csv, "until tomorrow");

    // What the catalogue names is there, as it says.
    let (status, told, catalogue) = get(world, "/opendata", &[]).await;
    assert_eq!((status, told("content-type").as_deref()), (200, Some("application/ld+json")));
    let catalogue: Value = serde_json::from_slice(&catalogue).unwrap();
    let mut files = 0;
    for dataset in catalogue["dcat:dataset"].as_array().unwrap() {
        assert_eq!(dataset["dct:temporal"]["dcat:endDate"]["@value"], "2026-09-21");
        for file in dataset["dcat:distribution"].as_array().unwrap() {
            let (status, told, body) =
                get(world, file["dcat:downloadURL"]["@id"].as_str().unwrap(), &[]).await;
            assert_eq!(
                (status, json!(body.len().to_string())),
                (200, file["dcat:byteSize"]["@value"].clone())
            );
            let media = told("content-type").unwrap();
            let media = media.split(';').next().unwrap();
            assert!(file["dcat:mediaType"]["@id"].as_str().unwrap().ends_with(media), "{file}");
            if let Some(schema) = file["dct:conformsTo"]["@id"].as_str() {
                let schema: Value = serde_json::from_slice(&get(world, schema, &[]).await.2).unwrap();
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
    let zones: Value = serde_json::from_slice(&get(world, "/opendata/zupc.geojson", &[]).await.2).unwrap();
    assert_eq!(
        (&zones["features"][0]["id"], &zones["features"][0]["geometry"]["type"]),
        (&json!("z"), &json!("MultiPolygon"))
    );

    // In parts, compressed, or not again.
    let part = get(world, "/opendata/stations.csv", &[("range", "bytes=3-6"), ("if-range", &tag)]).await;
    let range = format!("bytes 3-6/{}", csv.len());
    assert_eq!((part.0, part.1("content-range"), part.2), (206, Some(range), csv.slice(3..7)));
    let stale = get(world, "/opendata/stations.csv", &[("range", "bytes=3-6"), ("if-range", "\"x\"")]).await;
    assert_eq!((stale.0, stale.2), (200, csv.clone()));
    assert_eq!(get(world, "/opendata/stations.csv", &[("range", "bytes=99999-")]).await.0, 416);
    let same = get(world, "/opendata/stations.csv", &[("if-none-match", &tag)]).await;
    assert_eq!((same.0, same.2.len()), (304, 0));
    let (status, told, gzip) = get(world, "/opendata/stations.csv", &[("accept-encoding", "gzip")]).await;
    assert_eq!((status, told("content-encoding").as_deref()), (200, Some("gzip")));
    assert_ne!(told("etag").unwrap(), tag);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, csv);

    // The ledger has what was published, and a version more once it is another.
    let ledger = async |world: &World| {
        let told: Value = serde_json::from_slice(&get(world, "/opendata/ledger", &[]).await.2).unwrap();
        let told = told["data"].as_array().unwrap().iter();
        told.map(|release| {
            let [dataset, period] = ["dataset", "period"].map(|name| release[name].as_str().unwrap());
            format!("{dataset} {period} {} {}", release["version"], release["files"][0]["path"])
        })
        .collect::<Vec<_>>()
    };
    let today =
        ["stations 2026-09-21 1 \"/opendata/stations.csv\"", "zupc 2026-09-21 1 \"/opendata/zupc.geojson\""];
    assert_eq!(ledger(world).await, today);

    world.clock.advance(86_400_000);
    let tomorrow = get(world, "/opendata/stations.csv", &[("if-none-match", &tag)]).await;
    assert_eq!((tomorrow.0, tomorrow.2.windows(3).filter(|letters| letters == b"Sud").count()), (200, 1));
    let [stations, zupc] = today;
    assert_eq!(ledger(world).await, [stations, "stations 2026-09-22 2 \"/opendata/stations.csv\"", zupc]);
}
