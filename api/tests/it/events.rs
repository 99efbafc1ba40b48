//! Event streams from end to end: everybody hears of everything that is theirs, once, in one order, wherever they
//! listen, and again after they were away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::hail::Status;
use api::hail::streams::{Line, Message};
use api::limits::Http;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use tokio::time::timeout;

use crate::harness::client::Client;
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::metrics::scrape;
use crate::world::{World, wanted};

on_each_database!(
    every_stream_of_every_server_tells_everything_once_in_one_order,
    who_was_away_hears_the_rest,
    a_hails_stream_ends_with_it,
    nobody_hears_of_what_is_not_theirs,
    an_operator_without_a_server_takes_hails_from_its_stream,
    taxis_of_hails_in_progress_are_followed,
    a_refusal_tells_its_ground_and_how_long_it_took,
    what_commits_late_comes_late,
    who_falls_behind_misses_nothing,
    a_stream_says_that_it_is_there_and_ends_with_its_account,
    a_stop_ends_streams,
    streams_are_bounded_and_take_no_requests_place,
);

/// Where the taxis stand.
const HERE: (f64, f64) = (48.8566, 2.3522);

/// A client of one stream.
pub(crate) struct Stream {
    response: reqwest::Response,
    unread: String,
}

/// A block of a stream. Without a kind: one that tells nothing but where it stands, or a comment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    id: Option<i64>,
    kind: String,
    pub(crate) data: Value,
}

impl Stream {
    /// Opens a stream, and passes over its first block.
    async fn open(client: &Client, key: &str, path: &str, last: Option<i64>) -> Self {
        let mut stream = Self::begin(client, key, path, last).await;
        let begin = stream.block().await.unwrap();
        assert!(begin.id.is_some() && begin.kind.is_empty(), "{begin:?}");
        stream
    }

    pub(crate) async fn begin(client: &Client, key: &str, path: &str, last: Option<i64>) -> Self {
        // Without the other client's time limit.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.get(format!("{}{path}", client.base)).header("X-Api-Key", key);
        let request = match last {
            Some(last) => request.header("Last-Event-ID", last),
            None => request,
        };
        Self::of(request.send().await.unwrap())
    }

    /// What is answered, which is to be one.
    pub(crate) fn of(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        Self { response, unread: String::new() }
    }

    /// The next block; None: the stream has ended.
    pub(crate) async fn block(&mut self) -> Option<Told> {
        while !self.unread.contains("\n\n") {
            let chunk = timeout(SOON, self.response.chunk()).await.expect("nothing comes").unwrap()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let end = self.unread.find("\n\n").unwrap();
        let block: String = self.unread.drain(..end + 2).collect();
        let mut told = Told::default();
        for line in block.trim_end().lines() {
            match line.split_once(':').unwrap() {
                ("id", id) => told.id = Some(id.trim().parse().unwrap()),
                ("event", kind) => kind.trim().clone_into(&mut told.kind),
                ("data", data) => told.data = serde_json::from_str(data).unwrap(),
                ("retry", ms) => assert_eq!(ms.trim(), "2000"),
                ("", _) => {}
                other => panic!("{other:?}"),
            }
        }
        Some(told)
    }

    /// The next event of a kind; others are passed over.
    pub(crate) async fn next(&mut self, kind: &str) -> Told {
        loop {
            let told = self.block().await.expect("the stream has ended");
            if told.kind == kind {
                assert_eq!(told.id.is_some(), kind == "hail", "{told:?}");
                return told;
            }
        }
    }

    /// The next transitions, so many.
    async fn transitions(&mut self, count: usize) -> Vec<Told> {
        let mut all = Vec::new();
        while all.len() < count {
            all.push(self.next("hail").await);
        }
        all
    }
}

/// Which hail went where.
fn step(told: &Told) -> (i64, String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (told.id.unwrap(), text(&told.data["hail"]["id"]), text(&told.data["to_status"]))
}

fn steps(told: &[Told]) -> Vec<(i64, String, String)> {
    told.iter().map(step).collect()
}

fn went(told: &[Told]) -> Vec<String> {
    told.iter().map(|told| step(told).2).collect()
}

async fn taxi(world: &World, operator: &str, number: u32) -> String {
    let taxi = world.register(operator, number, MIDDLE).await;
    world.place(operator, &taxi, HERE).await;
    taxi
}

/// From when it was taken to its end: who does what.
const REST: [(&str, &str); 5] = [
    ("op-a", "received_by_taxi"),
    ("op-a", "accepted_by_taxi"),
    ("app", "accepted_by_customer"),
    ("op-a", "customer_on_board"),
    ("op-a", "finished"),
];

/// Where a whole hail goes.
const WAY: [&str; 8] = [
    "received",
    "sent_to_operator",
    "received_by_operator",
    "received_by_taxi",
    "accepted_by_taxi",
    "accepted_by_customer",
    "customer_on_board",
    "finished",
];

fn wish(status: &str) -> Value {
    json!({"status": status, "taxi_phone_number": "0622222222"})
}

async fn drive(world: &World, hail: &str) {
    world.take("op-a", hail).await;
    for (account, status) in REST {
        world.moves(account, hail, &wish(status)).await;
    }
}

/// Drives a hail with each step on another server than the one before.
async fn drive_across(
    servers: [Client; 2],
    keys: BTreeMap<&'static str, String>,
    taxi: String,
    first: usize,
) -> String {
    let hail = servers[first].post(&keys["app"], "/hails", &wanted(&taxi)).await.element(201);
    let path = format!("/hails/{}", hail["id"].as_str().unwrap());
    for (i, (account, status)) in [("op-a", "received_by_operator")].into_iter().chain(REST).enumerate() {
        // Refused until the hail has been offered; what waits longer than a test does fails it.
        while servers[(first + i) % 2].put(&keys[account], &path, &wish(status)).await.status != 200 {}
    }
    hail["id"].as_str().unwrap().to_owned()
}

async fn every_stream_of_every_server_tells_everything_once_in_one_order(world: &mut World) {
    const TAXIS: usize = 10;
    let (other, _folder) = world.another(|_| {}).await;
    let clients = [world.client.clone(), Client::new(other.http)];
    let mut taxis = Vec::new();
    for number in 0..TAXIS {
        let taxi = taxi(world, "op-a", u32::try_from(number).unwrap()).await;
        let position = json!({"positions": [{"taxi_id": taxi, "lat": HERE.0, "lon": HERE.1}]});
        // It learns of what is written here within a moment.
        let known = async || {
            (clients[1].post(world.key("op-a"), "/geotaxi/", &position).await.status == 200).then_some(())
        };
        within(SOON, "a position at the other server", known).await;
        let source = world.source("op-a", &taxi).unwrap();
        let seen = async || {
            let free =
                other.app.engine.profiles().get(&source.taxi)?.descriptions[0].status.as_str() == "free";
            other.app.engine.get(source).filter(|_| free)
        };
        within(SOON, "a free taxi at the other server", seen).await;
        taxis.push(taxi);
    }
    let mut streams = Vec::new();
    for client in &clients {
        for account in ["admin", "app", "op-a"] {
            streams.push(Stream::open(client, world.key(account), "/events", None).await);
        }
    }
    let keys: BTreeMap<_, _> = ["app", "op-a"].map(|account| (account, world.key(account).to_owned())).into();
    let driven: Vec<_> = (taxis.into_iter().enumerate())
        .map(|(i, taxi)| tokio::spawn(drive_across(clients.clone(), keys.clone(), taxi, i % 2)))
        .collect();
    let mut hails = Vec::new();
    for hail in driven {
        hails.push(hail.await.unwrap());
    }
    let first = steps(&streams[0].transitions(TAXIS * WAY.len()).await);
    assert!(first.windows(2).all(|pair| pair[0].0 < pair[1].0), "{first:?}");
    for hail in &hails {
        let of_hail: Vec<_> =
            first.iter().filter(|step| step.1 == *hail).map(|step| step.2.as_str()).collect();
        assert_eq!(of_hail, WAY, "{hail}");
    }
    for stream in &mut streams[1..] {
        assert_eq!(steps(&stream.transitions(TAXIS * WAY.len()).await), first);
    }
    other.stop().await;
}

async fn who_was_away_hears_the_rest(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let (app, client) = (world.key("app").to_owned(), world.client.clone());
    let mut live = Stream::open(&client, &app, "/events", None).await;
    let hail = world.hail("app", &taxi, "op-a").await;
    drive(world, &hail).await;
    let all = live.transitions(WAY.len()).await;
    assert_eq!(went(&all), WAY);
    let step_of = |told: &Told| (told.data["from_status"].clone(), told.data["timestamp"].clone());
    for (i, told) in all.iter().enumerate() {
        let mut rest = Stream::open(&client, &app, "/events", told.id).await;
        let told = rest.transitions(WAY.len() - 1 - i).await;
        assert_eq!(steps(&told), steps(&all)[i + 1..]);
        assert_eq!(
            told.iter().map(step_of).collect::<Vec<_>>(),
            all[i + 1..].iter().map(step_of).collect::<Vec<_>>()
        );
        assert!(told.iter().all(|told| told.data["hail"]["status"] == "finished"), "as it is by now");
    }
    // The same by the query, where there is no header; one that nobody gave is as none.
    let third = all[2].id.unwrap();
    let mut rest = Stream::open(&client, &app, &format!("/events?last_event_id={third}"), None).await;
    assert_eq!(steps(&rest.transitions(5).await), steps(&all)[3..]);
    let mut rest = Stream::open(&client, &app, "/events?last_event_id=0", Some(third)).await;
    assert_eq!(steps(&rest.transitions(5).await), steps(&all)[3..]);
    let last = all[7].id.unwrap();
    let mut ahead = Stream::begin(&client, &app, "/events", Some(last + 1_000)).await;
    assert_eq!(ahead.block().await.unwrap().id, Some(last));
    for wrong in ["x", "-1", "1.5", "", "99999999999999999999", "%2B1"] {
        let answer = client.get(&app, &format!("/events?last_event_id={wrong}")).await;
        let told = json!({"errors": {"last_event_id": ["Not the number of an event."]}});
        assert_eq!((answer.status, answer.body), (400, told), "{wrong}");
    }
    // What the streams that went on are told next comes after all that.
    let next = world.hail("app", &taxi, "op-a").await;
    for stream in [&mut live, &mut rest, &mut ahead] {
        assert_eq!(step(&stream.next("hail").await), (last + 1, next.clone(), "received".to_owned()));
    }
}

async fn a_hails_stream_ends_with_it(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let hail = world.hail("app", &taxi, "op-a").await;
    world.take("op-a", &hail).await;
    let path = format!("/hails/{hail}/events");
    let mut live = Stream::open(&world.client, world.key("op-a"), &path, None).await;
    assert_eq!(went(&live.transitions(3).await), WAY[..3]);
    for (account, status) in REST {
        world.moves(account, &hail, &wish(status)).await;
        assert_eq!(step(&live.next("hail").await).2, status);
    }
    assert_eq!(live.block().await, None);
    // Of one that has ended all is told, and then that there is no more.
    let mut again = Stream::open(&world.client, world.key("app"), &path, None).await;
    let all = again.transitions(WAY.len()).await;
    assert_eq!((went(&all), again.block().await), (WAY.map(str::to_owned).to_vec(), None));
    let last = all[7].id.unwrap();
    let mut end = Stream::open(&world.client, world.key("app"), &path, Some(last - 1)).await;
    assert_eq!((step(&end.next("hail").await).2.as_str(), end.block().await), ("finished", None));
    for (query, header) in [(format!("?last_event_id={last}"), None), (String::new(), Some(last))] {
        let request = world.client.http.get(format!("{}{path}{query}", world.client.base));
        let request = request.header("X-Api-Key", world.key("app"));
        let answer =
            header.iter().fold(request, |request, last| request.header("Last-Event-ID", *last)).send().await;
        assert_eq!(answer.unwrap().status(), 204);
    }
}

async fn nobody_hears_of_what_is_not_theirs(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let found = world.search("app", HERE).await[0]["id"].as_str().unwrap().to_owned();
    let mut streams = BTreeMap::new();
    for account in ["admin", "app", "other-app", "op-a", "op-b"] {
        streams.insert(account, Stream::open(&world.client, world.key(account), "/events", None).await);
    }
    let hail = world.client.post(world.key("app"), "/hails", &wanted(&found)).await.element(201);
    let hail = hail["id"].as_str().unwrap();
    drive(world, hail).await;
    for (account, id, operator) in
        [("admin", &taxi, "op-a"), ("app", &found, "opérateur indépendant"), ("op-a", &taxi, "op-a")]
    {
        let told = streams.get_mut(account).unwrap().transitions(WAY.len()).await;
        assert_eq!(went(&told), WAY, "{account}");
        let shown = &told[0].data["hail"];
        assert_eq!(
            (&shown["taxi"]["id"], shown["operateur"] == "op-a"),
            (&json!(id), operator == "op-a"),
            "{account}"
        );
        // The hail is shown as it stood when this was told, and so is the number; an administrator sees it throughout.
        let status = told[0].data["hail"]["status"].as_str().unwrap();
        let is_shown =
            account == "admin" || Status::try_from(status.to_owned()).unwrap().shows_phone_numbers();
        let number = if is_shown { "0611111111" } else { "0600000000" };
        assert_eq!(told[0].data["hail"]["customer_phone_number"], number, "{account}");
    }
    // The next thing that the others hear of is theirs.
    world.clock.advance(1_000);
    let own = world.register("op-b", 2, MIDDLE).await;
    world.place("op-b", &own, HERE).await;
    let others = world.hail("other-app", &own, "op-b").await;
    for account in ["other-app", "op-b"] {
        assert_eq!(step(&streams.get_mut(account).unwrap().next("hail").await).1, others, "{account}");
    }
    for (account, id, status) in
        [("other-app", hail, 403), ("op-b", hail, 403), ("app", "nobodys", 404), ("app", &others, 403)]
    {
        let path = format!("/hails/{id}/events");
        assert_eq!(world.client.get(world.key(account), &path).await.status, status, "{account} {path}");
        let whole = world.client.get(world.key(account), &format!("/hails/{id}")).await;
        assert_eq!(whole.status, status, "as the hail itself");
    }
    // After two months, only administrators do; what is resumed after skips it.
    world.clock.advance(61 * 24 * 3_600_000);
    let path = format!("/hails/{hail}/events");
    assert_eq!(world.client.get(world.key("app"), &path).await.status, 404);
    let mut all = Stream::open(&world.client, world.key("admin"), "/events", Some(0)).await;
    assert_eq!(step(&all.next("hail").await).1, hail);
    world.place("op-a", &taxi, HERE).await;
    let mut later = Stream::open(&world.client, world.key("app"), "/events", Some(0)).await;
    let new = world.hail("app", &taxi, "op-a").await;
    assert_eq!(step(&later.next("hail").await).1, new);
}

async fn an_operator_without_a_server_takes_hails_from_its_stream(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let mut stream = Stream::open(&world.client, world.key("op-a"), "/events", None).await;
    let made = world.hail("app", &taxi, "op-a").await;
    let offered = loop {
        let told = stream.next("hail").await;
        if told.data["to_status"] == "sent_to_operator" {
            break told.data;
        }
    };
    assert_eq!((&offered["hail"]["id"], &offered["hail"]["taxi"]["id"]), (&json!(made), &json!(taxi)));
    assert_eq!(offered["hail"]["customer_address"], "1 rue X");
    world.moves("op-a", &made, &json!({"status": "received_by_operator"})).await;
    assert_eq!(step(&stream.next("hail").await).2, "received_by_operator");
    world.moves("op-a", &made, &json!({"status": "received_by_taxi"})).await;
}

async fn taxis_of_hails_in_progress_are_followed(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let found = world.search("app", HERE).await[0]["id"].as_str().unwrap().to_owned();
    let mut early = Stream::open(&world.client, world.key("app"), "/events", None).await;
    let mut strange = Stream::open(&world.client, world.key("other-app"), "/events", None).await;
    let hail = world.client.post(world.key("app"), "/hails", &wanted(&found)).await.element(201);
    let hail = hail["id"].as_str().unwrap().to_owned();
    world.take("op-a", &hail).await;
    let path = format!("/hails/{hail}/events");
    let mut as_app = Stream::open(&world.client, world.key("app"), &path, None).await;
    let mut as_operator = Stream::open(&world.client, world.key("op-a"), &path, None).await;
    early.transitions(3).await;
    as_app.transitions(3).await;
    as_operator.transitions(3).await;
    let there = (48.857, 2.353);
    world.clock.advance(2_000);
    world.place("op-a", &taxi, there).await;
    let position = |taxi: &str| {
        let last_update = world.clock.now().seconds();
        json!({"hail": hail, "taxi": taxi, "lat": there.0, "lon": there.1, "last_update": last_update})
    };
    assert_eq!(early.next("position").await.data, position(&found));
    assert_eq!(as_app.next("position").await.data, position(&found));
    assert_eq!(as_operator.next("position").await.data, position(&taxi));
    // One that begins to listen in the middle of a hail hears of the next position, and nobody of any after the end.
    drop((early, as_app, as_operator));
    let mut late = Stream::open(&world.client, world.key("op-a"), "/events", None).await;
    world.clock.advance(2_000);
    world.place("op-a", &taxi, there).await;
    assert_eq!(late.next("position").await.data, position(&taxi));
    world.moves("app", &hail, &json!({"status": "declined_by_customer"})).await;
    late.next("hail").await;
    world.clock.advance(2_000);
    world.place("op-a", &taxi, HERE).await;
    let next = world.hail("app", &taxi, "op-a").await;
    let told = late.block().await.unwrap();
    assert_eq!((told.kind.as_str(), step(&told).1), ("hail", next));
    // A stranger hears of nothing before its own.
    let own = world.register("op-b", 2, MIDDLE).await;
    world.place("op-b", &own, HERE).await;
    world.hail("other-app", &own, "op-b").await;
    assert_eq!(strange.block().await.unwrap().kind, "hail");
    let sent = scrape(world).await;
    assert!(sent.value("maraude_events_sent_total", &[("kind", "position")]) >= 4.0);
    assert!(sent.value("maraude_events_sent_total", &[("kind", "hail")]) >= 12.0);
    assert!(sent.value("maraude_event_streams", &[]) >= 2.0);
}

async fn a_refusal_tells_its_ground_and_how_long_it_took(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let hail = world.hail("app", &taxi, "op-a").await;
    world.take("op-a", &hail).await;
    world.moves("op-a", &hail, &json!({"status": "received_by_taxi"})).await;
    world.clock.advance(4_500);
    let declined = json!({"status": "declined_by_taxi", "declined_by_taxi_reason": "rest_time"});
    world.moves("op-a", &hail, &declined).await;
    let mut stream =
        Stream::open(&world.client, world.key("app"), &format!("/hails/{hail}/events"), None).await;
    for told in stream.transitions(5).await {
        let is_last = told.data["to_status"] == "declined_by_taxi";
        let (ground, after_ms) =
            if is_last { (json!("rest_time"), json!(4_500)) } else { (Value::Null, Value::Null) };
        assert_eq!(
            (&told.data["declined_by_taxi_reason"], &told.data["after_ms"]),
            (&ground, &after_ms),
            "{told:?}"
        );
    }
    assert_eq!(stream.block().await, None);
}

/// A transition that happened first and is committed last has the higher number: who has heard of the other hears of
/// it, too.
async fn what_commits_late_comes_late(world: &mut World) {
    let mut hails = Vec::new();
    for number in [1, 2] {
        let taxi = taxi(world, "op-a", number).await;
        hails.push(world.hail("app", &taxi, "op-a").await);
        world.take("op-a", &hails[hails.len() - 1]).await;
    }
    let [hail, slow] = [&hails[0], &hails[1]];
    let mut live = Stream::open(&world.client, world.key("app"), "/events", Some(0)).await;
    live.transitions(6).await;
    let insert = format!(
        "INSERT INTO hail_transitions (hail_id, number, at, from_status, to_status, app_id, operator_id)
         SELECT id, 99, 1, 'x', 'slow', app_id, operator_id FROM hails WHERE id = '{slow}'"
    );
    let moves = async |live: &mut Stream| {
        world.moves("op-a", hail, &json!({"status": "received_by_taxi"})).await;
        let told = live.next("hail").await;
        assert_eq!(step(&told).2, "received_by_taxi");
        told.id
    };
    let heard = if world.database.url.starts_with("sqlite:") {
        let heard = moves(&mut live).await;
        let mut connection = SqliteConnection::connect(&world.database.url).await.unwrap();
        connection.execute(AssertSqlSafe(insert)).await.unwrap();
        heard
    } else {
        let mut connection = PgConnection::connect(&world.database.url).await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        transaction.execute(AssertSqlSafe(insert)).await.unwrap();
        let heard = moves(&mut live).await;
        transaction.commit().await.unwrap();
        heard
    };
    let late = live.next("hail").await;
    assert_eq!((late.id, step(&late).2.as_str()), (heard.map(|id| id + 1), "slow"));
    let mut resumed = Stream::open(&world.client, world.key("app"), "/events", heard).await;
    assert_eq!(step(&resumed.next("hail").await), step(&late));
}

/// A line on which far more is told than it holds: what it loses comes from the rows, in its place.
async fn who_falls_behind_misses_nothing(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let (streams, app) = (world.server().app.streams.clone(), world.number("app"));
    let mut stream = Stream::open(&world.client, world.key("app"), "/events", None).await;
    let is_over = AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        scope.spawn(|| {
            let noise = Message::Positions { count: 1, text: ":\n\n".into() };
            while !is_over.load(Ordering::Relaxed) {
                streams.tell(&Line::Account(app), noise.clone());
            }
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let hail = world.hail("app", &taxi, "op-a").await;
                let (told, ()) = tokio::join!(stream.transitions(WAY.len()), drive(world, &hail));
                is_over.store(true, Ordering::Relaxed);
                told
            })
        })
    });
    assert_eq!(went(&told), WAY);
    assert!(told.windows(2).all(|pair| pair[0].id < pair[1].id), "{told:?}");
}

async fn a_stream_says_that_it_is_there_and_ends_with_its_account(world: &mut World) {
    world.stop().await;
    let heartbeat = Duration::from_millis(50);
    let answer_read_within = Duration::from_secs(1);
    world.start_with(Http { heartbeat, answer_read_within, ..Default::default() }).await;
    let mut stream = Stream::open(&world.client, world.key("app"), "/events", None).await;
    let mut other = Stream::open(&world.client, world.key("op-a"), "/events", None).await;
    // Longer than any other answer may take.
    for _ in 0..30 {
        assert_eq!(stream.block().await, Some(Told::default()));
        assert_eq!(other.block().await, Some(Told::default()));
    }
    let path = format!("/users/{}", world.number("app"));
    world.client.put(world.key("app"), &path, &json!({"name": "Another"})).await.element(200);
    while stream.block().await.is_some() {}
    assert_eq!(other.block().await, Some(Told::default()), "nobody else's ends");
    drop(other);
    let none = async || (world.server().app.streams.count() == 0).then_some(());
    within(SOON, "the end of every stream", none).await;
}

async fn a_stop_ends_streams(world: &mut World) {
    let taxi = taxi(world, "op-a", 1).await;
    let mut stream = Stream::open(&world.client, world.key("app"), "/events", None).await;
    let hail = world.hail("app", &taxi, "op-a").await;
    let last = stream.transitions(2).await[1].id;
    let began = std::time::Instant::now();
    let ((), end) = tokio::join!(world.stop(), stream.block());
    assert_eq!(end, None, "whole, not cut off");
    assert!(began.elapsed() < api::limits::DRAIN, "{:?}", began.elapsed());
    world.start().await;
    let mut stream = Stream::open(&world.client, world.key("app"), "/events", last).await;
    world.take("op-a", &hail).await;
    let next = stream.next("hail").await;
    assert_eq!((next.id, step(&next).2.as_str()), (last.map(|id| id + 1), "received_by_operator"));
}

async fn streams_are_bounded_and_take_no_requests_place(world: &mut World) {
    world.stop().await;
    // Fewer connections than streams, but room for those that the server has not seen closed yet.
    world.start_with(Http { connections: 4, streams: 5, streams_an_account: 3, ..Default::default() }).await;
    // Its clients' connections are few, and kept.
    let asks = async |account: &str| {
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let client = Client { http, ..world.client.clone() };
        client.get(world.key(account), "/events").await
    };
    let open = async |account| Stream::open(&world.client, world.key(account), "/events", None).await;
    let mut streams = vec![open("app").await, open("app").await, open("app").await];
    let refused = asks("app").await;
    let told = json!({"errors": {"": [
        "The server has too many event streams of this account now. Please repeat this request."
    ]}});
    assert_eq!((refused.status, &refused.body), (503, &told));
    assert_eq!(refused.headers["retry-after"], "1");
    streams.extend([open("op-a").await, open("op-b").await]);
    let refused = asks("admin").await;
    let told =
        json!({"errors": {"": ["The server has too many event streams now. Please repeat this request."]}});
    assert_eq!((refused.status, &refused.body), (503, &told));
    assert_eq!(world.client.get(world.key("app"), "/taxis?lon=2.35&lat=48.83").await.status, 200);
    drop(streams.pop());
    let room = async || (world.server().app.streams.count() == 4).then_some(());
    within(SOON, "room for another stream", room).await;
    open("admin").await;
}
