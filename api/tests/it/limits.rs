//! Limits of requests and answers, each at it and past it. Those of connections are tried beside them, in the program.

use std::time::Duration;

use api::limits::{
    FILTERS_MAX, HEADERS_MAX, HITS_MAX, Http, PER_PAGE, POSITIONS_A_TRANSACTION, URI_MAX_BYTES,
};
use engine::engine::Fix;
use ingest::clock::Millis;
use ingest::log::{Offset, Partition};
use ingest::position::{LatLon, Order, SourceKey, TaxiKey};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::client::{Answer, parts};
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(
    header_fields_and_addresses_are_bounded,
    a_body_comes_in_its_time,
    requests_under_way_are_bounded,
    a_page_and_its_filters_are_bounded,
    a_search_answers_with_the_nearest,
    last_positions_are_saved_whatever_their_number,
);

async fn header_fields_and_addresses_are_bounded(world: &mut World) {
    let client = &world.client;
    let ask = async |uri: usize, fields: usize| {
        let path = "/health/live?";
        let request = client.http.get(format!("{}{path}{}", client.base, "x".repeat(uri - path.len())));
        // The client sends two of its own.
        let request = (2..fields).fold(request, |request, i| request.header(format!("x-{i}"), "y"));
        Answer::of(request).await.unwrap()
    };
    assert_eq!(ask(URI_MAX_BYTES, HEADERS_MAX).await.status, 200);
    let long = ask(URI_MAX_BYTES + 1, HEADERS_MAX).await;
    let told = json!({"errors": {"url": ["The address of a request may not exceed 8192 bytes."]}});
    assert_eq!((long.status, long.body), (414, told));
    // Past the hundred it is hyper that refuses.
    for fields in [HEADERS_MAX + 1, 101] {
        let many = ask(100, fields).await;
        let message = "The header fields of a request may not be more than 64, nor exceed 16384 bytes.";
        assert_eq!((many.status, many.body), (431, json!({"errors": {"": [message]}})), "{fields}");
    }
}

async fn a_body_comes_in_its_time(world: &mut World) {
    world.stop().await;
    let request_read_within = Duration::from_millis(300);
    world.start_with(Http { request_read_within, ..Default::default() }).await;
    let key = world.key("op-a");
    let mut stream = TcpStream::connect(world.server().http).await.unwrap();
    let head =
        format!("POST /drivers HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: 9\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    let told = json!({"errors": {"": ["The request was not read within 0.3 seconds."]}});
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), told);
}

async fn requests_under_way_are_bounded(world: &mut World) {
    world.stop().await;
    world.start_with(Http { requests: 2, ..Default::default() }).await;
    let [(path, driver), ..] = parts(1, MIDDLE);
    // A search that comes between the two takes the room of the second, which comes again.
    let post = async || {
        let served = async || {
            let answer = world.client.post(world.key("op-a"), path, &driver).await;
            (answer.status != 503).then_some(answer)
        };
        within(SOON, "room", served).await
    };
    let lock = Lock::take(world).await;
    let besides = async {
        let full = async || {
            let answer = world.client.get(world.key("app"), "/taxis?lon=2.35&lat=48.83").await;
            (answer.status != 200).then_some(answer)
        };
        let refused = within(SOON, "a refusal", full).await;
        let message = "The server has too many requests under way now. Please repeat this request.";
        assert_eq!((refused.status, &refused.body), (503, &json!({"errors": {"": [message]}})));
        assert_eq!(refused.headers["retry-after"], "1");
        assert_eq!(world.client.get("", "/health/live").await.status, 200, "health can always be asked");
        lock.release().await;
    };
    let (first, second, ()) = tokio::join!(post(), post(), besides);
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201], "who had room is served");
    assert_eq!(world.client.get(world.key("app"), "/taxis?lon=2.35&lat=48.83").await.status, 200);
}

/// What keeps every write waiting.
enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    async fn take(world: &World) -> Self {
        if world.database.url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(&world.database.url).await.unwrap();
            connection.execute("BEGIN IMMEDIATE").await.unwrap();
            Self::Sqlite(connection)
        } else {
            let mut connection = PgConnection::connect(&world.database.url).await.unwrap();
            connection.execute("BEGIN; LOCK TABLE drivers IN EXCLUSIVE MODE").await.unwrap();
            Self::Postgres(connection)
        }
    }

    async fn release(self) {
        match self {
            Self::Sqlite(mut connection) => connection.execute("ROLLBACK").await.map(|_| ()).unwrap(),
            Self::Postgres(mut connection) => connection.execute("ROLLBACK").await.map(|_| ()).unwrap(),
        }
    }
}

async fn a_page_and_its_filters_are_bounded(world: &mut World) {
    let page = usize::try_from(PER_PAGE).unwrap();
    let key = world.key("op-a");
    let list = async |query: &str| {
        let answer = world.client.get(key, &format!("/taxis/all{query}")).await;
        (answer.status, answer.body["data"].as_array().map_or(0, Vec::len))
    };
    fill(world, page).await;
    assert_eq!((list("").await, list("?p=2").await), ((200, page), (200, 0)));
    world.register("op-a", 1, MIDDLE).await;
    assert_eq!((list("").await, list("?p=2").await), ((200, page), (200, 1)));
    let filters = |count: usize| format!("?{}", vec!["licence_plate=bulk"; count].join("&"));
    assert_eq!(list(&filters(FILTERS_MAX)).await, (200, page));
    assert_eq!(list(&filters(FILTERS_MAX + 1)).await, (400, 0));
    assert_eq!(list(&format!("?p={}", i32::MAX)).await, (200, 0));
}

async fn a_search_answers_with_the_nearest(world: &mut World) {
    fill(world, HITS_MAX).await;
    let here = (48.83, 2.35);
    let taxis = world.server().app.registry.directory().clone();
    let filled = async || (taxis.taxis().len() == HITS_MAX).then_some(());
    within(SOON, "the taxis in memory", filled).await;
    // Each a centimetre and a half from the next one, to the east.
    let place =
        |i: usize| (format!("BULK{i:05}"), here.0, here.1 + f64::from(u32::try_from(i).unwrap()) * 2e-7);
    let places: Vec<_> = (0..HITS_MAX).map(place).collect();
    for batch in places.chunks(50) {
        let batch: Vec<_> = batch.iter().map(|(taxi, lat, lon)| (taxi.as_str(), *lat, *lon)).collect();
        assert_eq!(world.report("op-a", &batch).await.status, 200);
    }
    let found = async || (world.search("admin", here).await.len() == HITS_MAX).then_some(());
    within(SOON, "every taxi at the limit", found).await;
    let one_more = world.register("op-a", 1, MIDDLE).await;
    let ids = async || -> Vec<String> {
        let found = world.search("admin", here).await;
        found.iter().map(|taxi| taxi["id"].as_str().unwrap().to_owned()).collect()
    };
    world.place("op-a", &one_more, (here.0, here.1 + 0.001)).await;
    let found = ids().await;
    assert!(found.len() == HITS_MAX && !found.contains(&one_more), "the farthest is left out");
    let path = format!("/taxis/{one_more}/visibility?lat={}&lon={}", here.0, here.1);
    let why = world.client.get(world.key("op-a"), &path).await.element(200);
    let failed: Vec<_> =
        why["checks"].as_array().unwrap().iter().filter(|check| check["passed"] == false).collect();
    assert_eq!(
        (failed.len(), &failed[0]["name"], &why["visible"]),
        (1, &json!("nearest"), &json!(false)),
        "{why}"
    );
    world.clock.advance(1_000);
    world.place("op-a", &one_more, here).await;
    let found = ids().await;
    assert!(found.len() == HITS_MAX && found.contains(&one_more), "and it is not it when it is the nearest");
}

/// One more than a transaction takes: two, and several statements, the last of them short.
async fn last_positions_are_saved_whatever_their_number(world: &mut World) {
    let count = POSITIONS_A_TRANSACTION + 1;
    fill(world, count).await;
    let store = world.server().app.registry.store();
    let operator = world.operator("op-a");
    let fix = |number: u32, lat_e7| Fix {
        source: SourceKey { taxi: TaxiKey(number), operator },
        at: LatLon::from_e7(lat_e7, 1).unwrap(),
        order: Order {
            received_at: Millis(i64::from(number)),
            device_at: number.is_multiple_of(2).then_some(Millis(7)),
        },
    };
    let numbers = 1..=u32::try_from(count).unwrap();
    let fixes = |lat_e7| numbers.clone().map(|number| fix(number, lat_e7)).collect::<Vec<_>>();
    // Nobody knows the last one: it has no row to refer to.
    let stranger = fix(1 << 30, 1);
    store
        .save_last_positions(&[fixes(1), vec![stranger]].concat(), 9, &[Offset(3), Offset(4)])
        .await
        .unwrap();
    let saved = async || {
        let mut saved = store.last_positions(0, i32::MAX).await.unwrap();
        saved.sort_by_key(|fix| fix.source);
        saved
    };
    assert_eq!(saved().await, fixes(1));
    let covered = Some(vec![(Partition(0), Offset(3)), (Partition(1), Offset(4))]);
    assert_eq!(store.covered_offsets(9).await.unwrap(), covered);
    // What ends early covers nothing more, though what came before its end is there.
    forbid(world, count).await;
    store.save_last_positions(&fixes(2), 9, &[Offset(30), Offset(40)]).await.unwrap_err();
    let halved = [&fixes(2)[..count - 1], &fixes(1)[count - 1..]].concat();
    assert_eq!((saved().await, store.covered_offsets(9).await.unwrap()), (halved, covered));
}

/// Makes the database refuse to change the last position of one taxi.
async fn forbid(world: &World, taxi: usize) {
    if world.database.url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(&world.database.url).await.unwrap();
        let trigger = format!(
            "CREATE TRIGGER forbid BEFORE UPDATE ON last_positions WHEN new.taxi_id = {taxi}
             BEGIN SELECT RAISE(ABORT, 'forbidden'); END"
        );
        connection.execute(AssertSqlSafe(trigger)).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(&world.database.url).await.unwrap();
        let check = format!(
            "ALTER TABLE last_positions ADD CONSTRAINT forbid CHECK (taxi_id <> {taxi} OR lat_e7 <> 2) NOT VALID"
        );
        connection.execute(AssertSqlSafe(check)).await.unwrap();
    }
}

/// Registers so many free taxis of `op-a` just now behind the server's back, and waits until it knows them.
async fn fill(world: &World, taxis: usize) {
    let (operator, now) = (world.number("op-a"), world.clock.now().0);
    let numbers =
        format!("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {taxis})");
    let plate = "'BULK' || substr('00000' || i, length('00000' || i) - 4)";
    let statements = [
        format!("INSERT INTO vehicles (licence_plate, created_at) {numbers} SELECT {plate}, {now} FROM n"),
        format!(
            "INSERT INTO vehicle_descriptions (vehicle_id, operator_id, status, created_at, updated_at, version)
             SELECT id, {operator}, 'free', {now}, {now}, 1 FROM vehicles"
        ),
        format!(
            "INSERT INTO ads (operator_id, insee, numero, created_at, updated_at)
             SELECT {operator}, '{MIDDLE}', licence_plate, {now}, {now} FROM vehicles"
        ),
        format!(
            "INSERT INTO drivers (operator_id, departement, professional_licence, first_name, last_name, created_at,
             updated_at) SELECT {operator}, '75', licence_plate, 'A', 'B', {now}, {now} FROM vehicles"
        ),
        format!(
            "INSERT INTO taxis (public_id, vehicle_id, ads_id, driver_id, operator_id, created_at, updated_at, version)
             SELECT v.licence_plate, v.id, a.id, d.id, {operator}, {now}, {now}, 1 FROM vehicles v
             JOIN ads a ON a.numero = v.licence_plate JOIN drivers d ON d.professional_licence = v.licence_plate"
        ),
    ];
    if world.database.url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(&world.database.url).await.unwrap();
        for statement in statements {
            connection.execute(AssertSqlSafe(statement)).await.unwrap();
        }
    } else {
        let mut connection = PgConnection::connect(&world.database.url).await.unwrap();
        for statement in statements {
            connection.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        connection.execute("SELECT pg_notify('maraude_changes', 'vehicle 1')").await.unwrap();
    }
    world.server().app.registry.read_all().await.unwrap();
}
