//! Roles killed at random under load: every acknowledged position is in the log once, every api comes to the same
//! answer, none passes over a part of the log, and each row of it is in the archive once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ingest::clock::Clock;
use ingest::log::Offset;
use ingest::wire::binary::{Acknowledgement, Claim, Head, MacKey, Writer};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::archive::{Logged, Place};
use crate::cluster::Cluster;
use crate::harness::client::Client;
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};

const TAXIS: u32 = 40;
/// How often each taxi is reported, once over HTTP and once in a datagram.
const EVERY: Duration = Duration::from_millis(50);
/// Taxis in a datagram: of several partitions of the log.
const TAXIS_A_DATAGRAM: usize = 10;
/// How long an acknowledgement is waited for: what ends just now never sends it.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(500);
/// How long the processes live between two crashes, in milliseconds.
const LIFE_MS: std::ops::RangeInclusive<u64> = 500..=2_500;
const SEED: u64 = 6;
/// Where the taxis start northwards side by side, a centimetre between them and between two positions of each.
const SOUTH_WEST: (i32, i32) = (488_500_000, 23_500_000);
/// How far east of that datagrams say that they are.
const EAST: i32 = 1_000;

/// Where clients may post positions and send datagrams: every process that takes them, or where it was.
type Doors = watch::Receiver<(Vec<Client>, Vec<SocketAddr>)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_outlive_crashes_of_any_role() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let number = |variable: &str, default| {
        std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seed, seconds) = (number("MARAUDE_TEST_SEED", SEED), number("MARAUDE_CHAOS_SECONDS", 20));
    println!("{seconds} s of seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let apis = cluster.of_role("api");
    let mut taxis = Vec::new();
    for number in 0..TAXIS {
        taxis.push(cluster.services[&apis[0]].client.register(&cluster.operator, number, MIDDLE).await);
    }

    let (doors, listening) = watch::channel(doors_of(&cluster));
    let stop = watch::Sender::new(false);
    let (mut driving, mut sending) = (JoinSet::new(), JoinSet::new());
    for (number, taxi) in (0..).zip(&taxis) {
        let driver = Driver {
            key: cluster.operator.clone(),
            taxi: taxi.clone(),
            doors: listening.clone(),
            number,
            rng: StdRng::seed_from_u64(seed + 1_000 + u64::from(number.unsigned_abs())),
        };
        driving.spawn(driver.drive(stop.subscribe()));
    }
    for (session, taxis) in (0..).zip(taxis.chunks(TAXIS_A_DATAGRAM)) {
        let device = Device {
            key: MacKey::of_api_key(&cluster.operator),
            taxis: taxis.to_vec(),
            doors: listening.clone(),
            session,
            rng: StdRng::seed_from_u64(seed + 2_000 + session),
        };
        sending.spawn(device.drive(stop.subscribe()));
    }
    let (until, mut crashes) = (Instant::now() + Duration::from_secs(seconds), BTreeMap::new());
    while Instant::now() < until {
        sleep(Duration::from_millis(rng.random_range(LIFE_MS))).await;
        let names: Vec<_> = cluster.services.keys().cloned().collect();
        let count = rng.random_range(1..=2);
        let victims: Vec<_> = names.sample(&mut rng, count).cloned().collect();
        for name in &victims {
            assert_nothing_skipped(&cluster, name).await;
            cluster.services.get_mut(name).unwrap().kill().await;
            *crashes.entry(name.clone()).or_insert(0) += 1;
        }
        for name in &victims {
            cluster.services.get_mut(name).unwrap().start_again().await;
            doors.send_replace(doors_of(&cluster));
        }
    }
    stop.send_replace(true);
    let driven = [driving.join_all().await.concat(), sending.join_all().await.concat()];

    let last = report_all(&cluster, &taxis).await;
    for api in &apis {
        for (taxi, at) in &last {
            shows(&cluster, api, taxi, at).await;
        }
        assert_nothing_skipped(&cluster, api).await;
    }
    let answers = [answer(&cluster, &apis[0]).await, answer(&cluster, &apis[1]).await];
    assert!(answers[0].len() > 3 && answers[0] == answers[1], "{answers:?}");
    for role in ["ingest", "api"] {
        cluster.stop(role).await;
    }
    let logged = Logged::read(&cluster.beside).await;
    logged.is_archived(&cluster.beside).await;
    cluster.stop("archive").await;

    for place in driven.iter().flatten() {
        assert_eq!(logged.places.get(place), Some(&1), "{place:?} was acknowledged");
    }
    let driven_through = || logged.places.iter().filter(|((lat, _), _)| *lat >= SOUTH_WEST.0);
    let once = driven_through().all(|(_, count)| *count == 1);
    assert!(once, "nothing is logged twice, acknowledged or not");
    let covered = covered(&cluster.beside.database, logged.epoch).await;
    assert_eq!(covered, logged.ends, "the last positions in SQL are of the log's end");
    logged.is_the_archive(&cluster.beside).await;
    let [over_http, in_datagrams] = driven.map(|places| places.len() as u64);
    println!(
        "acknowledged: {over_http} positions over HTTP, {in_datagrams} in datagrams; {} logged",
        driven_through().count()
    );
    println!("crashes: {crashes:?}");
    let crashes: u64 = crashes.values().sum();
    assert!(
        over_http.min(in_datagrams) > 20 * seconds && crashes > seconds / 10,
        "crashes fall into something"
    );
}

fn doors_of(cluster: &Cluster) -> (Vec<Client>, Vec<SocketAddr>) {
    let processes = || cluster.services.values().filter(|process| process.takes_positions());
    (
        processes().map(|process| process.client.clone()).collect(),
        processes().filter_map(|process| process.udp).collect(),
    )
}

async fn assert_nothing_skipped(cluster: &Cluster, name: &str) {
    if cluster.of_role("api").iter().any(|api| api == name) {
        let skipped = cluster.services[name].counted("maraude_follower_skipped_records_total").await;
        assert!(skipped == 0, "{name} passed over {skipped} records");
    }
}

/// Reports one taxi through whichever process comes.
struct Driver {
    key: String,
    taxi: String,
    doors: Doors,
    number: i32,
    rng: StdRng,
}

impl Driver {
    /// Drives until `stop`; gives the positions that were acknowledged.
    async fn drive(mut self, stop: watch::Receiver<bool>) -> Vec<Place> {
        let (mut acknowledged, mut place) = (Vec::new(), (SOUTH_WEST.0, SOUTH_WEST.1 + self.number));
        while !*stop.borrow() {
            let next = Instant::now() + EVERY;
            place.0 += 1;
            let client = self.doors.borrow().0.choose(&mut self.rng).unwrap().clone();
            let positions = positions(&self.taxi, place);
            // What came of one that was not answered is unknown: it is another's turn.
            let answer = client.ask(Method::POST, "/geotaxi", &self.key, Some(&positions)).await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                acknowledged.push(place);
            }
            sleep_until(next).await;
        }
        acknowledged
    }
}

/// Reports some taxis in compact datagrams to whichever ingest comes.
struct Device {
    key: MacKey,
    taxis: Vec<String>,
    doors: Doors,
    session: u64,
    rng: StdRng,
}

impl Device {
    /// Drives until `stop`; gives the positions that were acknowledged.
    async fn drive(mut self, stop: watch::Receiver<bool>) -> Vec<Place> {
        let (mut acknowledged, mut sequence) = (Vec::new(), 0);
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let west = SOUTH_WEST.1 + EAST * (1 + i32::try_from(self.session).unwrap());
        while !*stop.borrow() {
            let next = Instant::now() + EVERY;
            sequence += 1;
            let lat = SOUTH_WEST.0 + i32::try_from(sequence).unwrap();
            let places: Vec<Place> = (west..).take(self.taxis.len()).map(|lon| (lat, lon)).collect();
            let ingest = *self.doors.borrow().1.choose(&mut self.rng).unwrap();
            socket.send_to(&self.datagram(sequence, &places), ingest).await.unwrap();
            if timeout(ACKNOWLEDGED_WITHIN, self.answer(&socket, sequence)).await == Ok(places.len()) {
                acknowledged.extend(places);
            }
            sleep_until(next).await;
        }
        acknowledged
    }

    /// Never sent twice: what came of one that was not answered is unknown.
    fn datagram(&self, sequence: u32, places: &[Place]) -> Vec<u8> {
        let (session, sent_at) = (self.session, Clock::System.now());
        let mut writer = Writer::default();
        let head = Head { wants_acknowledgement: true, sequence, session, sent_at, operator: "op" };
        writer.begin(&head).unwrap();
        for (taxi, &(lat_e7, lon_e7)) in self.taxis.iter().zip(places) {
            let claim = Claim {
                taxi: taxi.as_bytes(),
                status: 1,
                lat_e7,
                lon_e7,
                device_after_ms: None,
                speed_cm_s: None,
                heading_cdeg: None,
                accuracy_dm: None,
            };
            writer.push(&claim).unwrap();
        }
        writer.seal(&self.key).to_vec()
    }

    /// How many positions of this datagram are in the log, once somebody says so.
    async fn answer(&self, socket: &UdpSocket, sequence: u32) -> usize {
        let mut bytes = [0; 64];
        loop {
            let length = socket.recv(&mut bytes).await.unwrap();
            let answer = Acknowledgement::open(&bytes[..length], &self.key).unwrap();
            if (answer.session, answer.sequence) == (self.session, sequence) {
                return answer.taken.into();
            }
        }
    }
}

fn positions(taxi: &str, (lat_e7, lon_e7): Place) -> Value {
    json!({"positions": [{"taxi_id": taxi, "lat": f64::from(lat_e7) / 1e7, "lon": f64::from(lon_e7) / 1e7}]})
}

/// Reports every taxi once more, until it is taken; gives where each was seen last.
async fn report_all(cluster: &Cluster, taxis: &[String]) -> BTreeMap<String, Value> {
    let mut last = BTreeMap::new();
    let (doors, _) = doors_of(cluster);
    for ((number, taxi), client) in (0..).zip(taxis).zip(doors.iter().cycle()) {
        let place = (488_200_000 + 1_000 * number, 23_600_000);
        let positions = positions(taxi, place);
        let taken = async || {
            let answer = client.ask(Method::POST, "/geotaxi", &cluster.operator, Some(&positions)).await;
            answer.is_ok_and(|answer| answer.status == 200).then_some(())
        };
        within(SOON, "a last position", taken).await;
        last.insert(taxi.clone(), positions["positions"][0].clone());
    }
    last
}

/// Waits until an api shows a taxi where it was seen last.
async fn shows(cluster: &Cluster, api: &str, taxi: &str, at: &Value) {
    let client = &cluster.services[api].client;
    let shown = async || {
        let position =
            client.get(&cluster.operator, &format!("/taxis/{taxi}")).await.element(200)["position"].take();
        (position["lat"] == at["lat"] && position["lon"] == at["lon"]).then_some(())
    };
    within(SOON, &format!("{taxi} at {at}, of {api}"), shown).await;
}

/// What an api finds, but for ids, which are fresh in each answer.
async fn answer(cluster: &Cluster, api: &str) -> Vec<(Value, Value)> {
    let found = cluster.services[api].client.get(&cluster.app, "/taxis?lat=48.82&lon=2.36").await;
    assert_eq!(found.status, 200, "{found:?}");
    let found = found.body["data"].as_array().unwrap();
    found.iter().map(|taxi| (taxi["position"].clone(), taxi["crowfly_distance"].clone())).collect()
}

/// How far the last positions in SQL cover the log, by partition.
async fn covered(database: &str, epoch: u64) -> Vec<Offset> {
    let mut rows = PgConnection::connect(database).await.unwrap();
    let covered =
        sqlx::query_scalar("SELECT next_offset FROM log_offsets WHERE log_epoch = $1 ORDER BY log_partition");
    let covered: Vec<i64> = covered.bind(format!("{epoch:016x}")).fetch_all(&mut rows).await.unwrap();
    covered.into_iter().map(|next| Offset(next.cast_unsigned())).collect()
}
