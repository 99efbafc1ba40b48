//! Positions in: over HTTP and as datagrams, in order, fresh or not, and when the log takes no more.

use std::net::UdpSocket;

use api::fleet::datagram::{Report, Writer};
use api::fleet::taxi::Status;
use api::fleet::town::Place;
use ingest::clock::Millis;
use ingest::gate::Refusal;
use ingest::log::Partition;
use ingest::position::{Accuracy, Heading, LatLon, Motion, Position, Speed, Transport};
use ingest::wire::binary::{Acknowledgement, Claim, Head, MacKey, Writer as Compact};
use serde_json::json;

use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::{NOW, World};

on_each_database!(
    what_is_acknowledged_is_shown,
    a_batch_is_taken_whole_or_not_at_all,
    datagrams_are_shown_in_the_order_of_their_devices,
    a_compact_datagram_is_acknowledged_once_it_is_in_the_log,
    refused_datagrams_are_counted_by_operator_and_reason,
    a_closed_log_refuses_and_everything_else_goes_on,
    a_taxi_is_found_for_two_minutes_and_shown_for_ever,
    of_two_operators_of_a_vehicle_the_one_heard_last_is_found,
);

const HERE: (f64, f64) = (48.83, 2.35);
const THERE: (f64, f64) = (48.831, 2.351);

async fn what_is_acknowledged_is_shown(world: &mut World) {
    let (first, second) = (world.register("op-a", 1, MIDDLE).await, world.register("op-a", 2, MIDDLE).await);
    let nowhere = json!({"lat": null, "lon": null});
    assert_eq!(world.look("op-a", &first).await["position"], nowhere);
    assert_eq!(world.look("op-a", &first).await["last_update"], json!(null));
    let answer = world.report("op-a", &[(&first, HERE.0, HERE.1), (&second, THERE.0, THERE.1)]).await;
    assert_eq!(answer.status, 200);
    let logged: Vec<_> = logged(world).iter().map(|position| (position.source, position.at.lat())).collect();
    for (taxi, lat) in [(&first, HERE.0), (&second, THERE.0)] {
        let source = world.source("op-a", taxi).unwrap();
        assert!(logged.contains(&(source, lat)), "what is acknowledged is in the log: {logged:?}");
    }
    world.shown("op-a", &first, HERE).await;
    world.shown("op-a", &second, THERE).await;
    assert_eq!(world.look("op-a", &first).await["last_update"], NOW.seconds());
}

async fn a_batch_is_taken_whole_or_not_at_all(world: &mut World) {
    let (mine, theirs) = (world.register("op-a", 1, MIDDLE).await, world.register("op-b", 2, MIDDLE).await);
    world.place("op-a", &mine, HERE).await;
    let good = (mine.as_str(), THERE.0, THERE.1);
    let bad = [
        ("nobody", 48.8, 2.3),
        (theirs.as_str(), 48.8, 2.3),
        (mine.as_str(), 85.06, 2.3),
        (&mine, 48.8, -180.1),
    ];
    for wrong in bad {
        assert_eq!(world.report("op-a", &[good, wrong]).await.status, 400, "{wrong:?}");
        assert_eq!(world.report("op-a", &[wrong, good]).await.status, 400, "{wrong:?}");
    }
    assert_eq!(world.report("op-a", &vec![good; 51]).await.status, 400);
    // What comes after shows that nothing came before.
    world.place("op-b", &theirs, HERE).await;
    let places: Vec<_> = logged(world).iter().map(|position| position.at.lat()).collect();
    assert_eq!(places, [HERE.0, HERE.0]);
    assert_eq!(world.report("op-a", &vec![good; 50]).await.status, 200);
    world.shown("op-a", &mine, THERE).await;
}

async fn datagrams_are_shown_in_the_order_of_their_devices(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let fence = world.register("op-a", 2, MIDDLE).await;
    let device = Device::new(world, "op-a");
    let now_s = NOW.seconds();
    // When it is received after the beginning, in ms; what its device's clock says; its latitude; what is shown then.
    let story = [
        (0, now_s, 48.81, 48.81),
        (400, now_s - 1, 48.82, 48.81),
        (500, now_s - 9, 48.83, 48.81),
        (2_000, now_s + 2, 48.84, 48.84),
        (2_100, now_s + 2, 48.85, 48.85),
        // A clock more than 10 s off orders nothing: the later receipt wins.
        (2_200, now_s - 60, 48.86, 48.86),
        (2_300, now_s + 1, 48.87, 48.87),
        (2_400, 0, 48.88, 48.88),
        (2_500, now_s + 200, 48.89, 48.89),
    ];
    for (i, (received, device_s, lat, shown)) in story.into_iter().enumerate() {
        world.clock.advance(NOW.plus(received).since(world.clock.now()));
        device.send(device_s, &taxi, lat);
        let count = 2 * i + 1;
        let logged = async || (logged(world).len() == count).then_some(());
        within(SOON, "a datagram in the log", logged).await;
        // The log has one order: once this is shown, the datagram before has been looked at.
        world.place("op-a", &fence, (lat, 2.31)).await;
        assert_eq!(world.look("op-a", &taxi).await["position"]["lat"], shown, "step {i}");
    }
    let datagrams: Vec<_> = logged(world).into_iter().filter(|at| at.transport == Transport::Udp).collect();
    assert_eq!(datagrams.len(), story.len(), "what is not shown is logged all the same");
    assert_eq!(datagrams[1].device_at, Some(Millis((now_s - 1) * 1000)));
    assert_eq!(datagrams[1].received_at, NOW.plus(400));
    let refusals = &world.server().app.refusals;
    assert_eq!((refusals.accepted(), refusals.clocks_off()), (9, 2));
}

async fn a_compact_datagram_is_acknowledged_once_it_is_in_the_log(world: &mut World) {
    let (first, second) = (world.register("op-a", 1, MIDDLE).await, world.register("op-a", 2, MIDDLE).await);
    let theirs = world.register("op-b", 3, MIDDLE).await;
    let key = MacKey::of_api_key(world.key("op-a"));
    let claim = |taxi| Claim {
        taxi,
        status: 1,
        lat_e7: 488_300_000,
        lon_e7: 23_500_000,
        device_after_ms: Some(-2_000),
        speed_cm_s: Some(830),
        heading_cdeg: Some(9_000),
        accuracy_dm: None,
    };
    let bare =
        Claim { device_after_ms: None, speed_cm_s: None, heading_cdeg: None, ..claim(second.as_bytes()) };
    let claims = [claim(first.as_bytes()), claim(theirs.as_bytes()), bare];
    let (sequence, session, operator) = (3, 0xabcd, "op-a");
    let head = Head { wants_acknowledgement: true, sequence, session, sent_at: NOW.plus(60_000), operator };
    let mut writer = Compact::default();
    writer.begin(&head).unwrap();
    for claim in &claims {
        writer.push(claim).unwrap();
    }
    let device = Device::new(world, "op-a");
    device.socket.set_read_timeout(Some(SOON)).unwrap();
    device.socket.send_to(writer.seal(&key), device.server).unwrap();
    let mut answer = [0; 64];
    let (length, from) = device.socket.recv_from(&mut answer).unwrap();
    assert_eq!(from, device.server);
    let wanted = Acknowledgement { sequence, session, taken: 2, refused: 1 };
    assert_eq!(Acknowledgement::open(&answer[..length], &key), Some(wanted));
    let motions: Vec<_> =
        logged(world).iter().map(|position| (position.device_at, position.motion)).collect();
    let motion = Motion {
        speed: Some(Speed::from_m_s(8.3).unwrap()),
        heading: Some(Heading::from_degrees(90.0).unwrap()),
        accuracy: None::<Accuracy>,
    };
    assert_eq!(motions, [(Some(NOW.plus(58_000)), motion), (None, Motion::default())]);
    world.shown("op-a", &first, (48.83, 2.35)).await;
    world.shown("op-a", &second, (48.83, 2.35)).await;
    let counted = world.client.get(world.key("op-a"), "/operators/me/positions").await.element(200);
    assert_eq!((&counted["accepted"], &counted["refused"]), (&json!(2), &json!({"not_their_taxi": 1})));
}

async fn refused_datagrams_are_counted_by_operator_and_reason(world: &mut World) {
    let (mine, theirs) = (world.register("op-a", 1, MIDDLE).await, world.register("op-b", 2, MIDDLE).await);
    let device = Device::new(world, "op-a");
    let now_s = NOW.seconds();
    Device { operator: "nobody".to_owned(), ..Device::new(world, "op-a") }.send(now_s, &mine, 48.83);
    Device { key: world.key("op-b").to_owned(), ..Device::new(world, "op-a") }.send(now_s, &mine, 48.83);
    device.send(now_s, "unknown", 48.83);
    device.send(now_s, &theirs, 48.83);
    device.send(now_s, &mine, 85.06);
    for text in [&b"{"[..], b"[]", b"{}", b"\xff", &[b' '; 3000]] {
        device.socket.send_to(text, device.server).unwrap();
    }
    let operator = Some(world.operator("op-a"));
    let mut wanted = vec![
        (None, Refusal::TooLong, 1),
        (None, Refusal::NotUtf8, 1),
        (None, Refusal::NotJson, 1),
        (None, Refusal::NotAnObject, 1),
        (None, Refusal::MissingField, 1),
        (None, Refusal::UnknownOperator, 1),
        (operator, Refusal::LatOutOfRange, 1),
        (operator, Refusal::BadHash, 1),
        (operator, Refusal::UnknownTaxi, 1),
        (operator, Refusal::NotTheirTaxi, 1),
    ];
    wanted.sort_unstable();
    let refusals = &world.server().app.refusals;
    let counted = async || (refusals.snapshot().len() >= wanted.len()).then_some(());
    within(SOON, "every refusal", counted).await;
    assert_eq!(refusals.snapshot(), wanted);
    assert_eq!(refusals.accepted(), 0);
    device.send(now_s, &mine, 48.84);
    world.shown("op-a", &mine, (48.84, 2.35)).await;
    assert_eq!((refusals.accepted(), logged(world).len()), (1, 1));
}

async fn a_closed_log_refuses_and_everything_else_goes_on(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, HERE).await;
    let log = world.server().app.log.clone();
    tokio::task::spawn_blocking(move || log.close()).await.unwrap();

    let refused = world.report("op-a", &[(&taxi, THERE.0, THERE.1)]).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.headers["retry-after"], "1");
    let message = refused.body["errors"][""][0].as_str().unwrap();
    assert!(message.contains("log") && message.contains("repeat"), "{message}");
    let device = Device::new(world, "op-a");
    device.send(NOW.seconds(), &taxi, THERE.0);
    let refusals = &world.server().app.refusals;
    let counted = async || (refusals.total(Refusal::Overloaded) == 1).then_some(());
    within(SOON, "a datagram without room", counted).await;

    assert_eq!(world.client.get("", "/health/live").await.status, 200);
    world.shown("op-a", &taxi, HERE).await;
    assert_eq!(world.search("app", HERE).await.len(), 1);
    world.register("op-b", 2, MIDDLE).await;
    // The remedy is to restart.
    world.stop().await;
    world.start().await;
    world.shown("op-a", &taxi, HERE).await;
    world.place("op-a", &taxi, THERE).await;
}

async fn a_taxi_is_found_for_two_minutes_and_shown_for_ever(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.place("op-a", &taxi, HERE).await;
    world.clock.advance(119_999);
    assert_eq!(world.search("app", HERE).await.len(), 1);
    world.clock.advance(1);
    assert_eq!(world.search("app", HERE).await.len(), 0);
    let seen = world.look("op-a", &taxi).await;
    assert_eq!((&seen["last_update"], &seen["position"]["lat"]), (&json!(NOW.seconds()), &json!(HERE.0)));
    let (engine, now) = (world.server().app.engine.clone(), world.clock.now());
    tokio::task::spawn_blocking(move || (engine.sweep(now), engine.settle())).await.unwrap();
    assert_eq!(world.look("op-a", &taxi).await, seen, "swept, not forgotten");
    world.place("op-a", &taxi, HERE).await;
    assert_eq!(world.search("app", HERE).await.len(), 1);
}

async fn of_two_operators_of_a_vehicle_the_one_heard_last_is_found(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let plate = &world.look("op-a", &taxi).await["vehicle"]["licence_plate"];
    assert_eq!(world.report("op-b", &[(&taxi, HERE.0, HERE.1)]).await.status, 400, "not yet theirs");
    let vehicle = json!({"licence_plate": plate, "model": "Model of B"});
    world.client.post(world.key("op-b"), "/vehicles", &vehicle).await.element(201);
    let set = async |operator, element| {
        let path = format!("/taxis/{taxi}");
        world.client.put(world.key(operator), &path, &element).await.element(200)
    };
    world.place("op-a", &taxi, HERE).await;
    world.place("op-b", &taxi, THERE).await;
    assert_eq!(found(world).await, ["op-a"], "whom B describes as off is A's");

    assert_eq!(set("op-b", json!({"status": "free", "radius": 200})).await["status"], "free");
    assert_eq!(found(world).await, ["op-b"]);
    assert_eq!(world.look("op-a", &taxi).await["radius"], json!(null), "each has a radius of its own");
    assert_eq!(world.search("admin", THERE).await[0]["vehicle"]["model"], "Model of B");
    world.clock.advance(1_000);
    // Elsewhere than before: otherwise nothing tells when it arrived.
    world.place("op-a", &taxi, HERE).await;
    assert_eq!(found(world).await, ["op-a"]);
    world.shown("op-b", &taxi, THERE).await;

    set("op-a", json!({"status": "occupied"})).await;
    assert_eq!(found(world).await, ["op-b"]);
    assert_eq!(world.look("op-b", &taxi).await["status"], "free", "each has a status of its own");
    set("op-b", json!({"status": "off"})).await;
    assert!(found(world).await.is_empty());
    let only = set("op-a", json!({"status": "free"})).await;
    assert_eq!((&only["status"], &only["operator"]), (&json!("free"), &json!("op-a")));
    assert_eq!(found(world).await, ["op-a"]);
}

/// By whom each taxi is offered, as an administrator sees it.
async fn found(world: &World) -> Vec<String> {
    let found = world.search("admin", HERE).await;
    found.iter().map(|taxi| taxi["operator"].as_str().unwrap().to_owned()).collect()
}

/// Every position in the log.
pub(crate) fn logged(world: &World) -> Vec<Position> {
    let log = &world.server().app.log;
    let end = log.end(Partition(0));
    let mut reader = log.reader(&[]);
    let mut positions = Vec::new();
    while reader.offsets()[0] < end {
        positions.extend(reader.poll(SOON).unwrap().unwrap().entries);
    }
    positions
}

/// What sends datagrams on behalf of an operator.
pub(crate) struct Device {
    pub(crate) socket: UdpSocket,
    pub(crate) server: std::net::SocketAddr,
    pub(crate) operator: String,
    pub(crate) key: String,
}

impl Device {
    pub(crate) fn new(world: &World, operator: &str) -> Self {
        Self {
            socket: UdpSocket::bind("127.0.0.1:0").unwrap(),
            server: world.server().udp.unwrap(),
            operator: operator.to_owned(),
            key: world.key(operator).to_owned(),
        }
    }

    pub(crate) fn send(&self, timestamp_s: i64, taxi: &str, lat: f64) {
        let report = Report {
            at: Millis(timestamp_s * 1_000),
            operator: &self.operator,
            key: &self.key,
            taxi,
            place: Place { lat, lon: 2.35 },
            status: Status::Free,
            motion: Motion::default(),
        };
        self.socket.send_to(Writer::default().write(&report), self.server).unwrap();
    }

    /// The same as a compact datagram of this number, as often.
    pub(crate) fn send_compact(&self, (sequence, times): (u32, u8), at: Millis, taxi: &str, lat: f64) {
        let place = LatLon::new(lat, 2.35).unwrap();
        let (session, operator) = (0xabcd, self.operator.as_str());
        let head = Head { wants_acknowledgement: false, sequence, session, sent_at: at, operator };
        let mut writer = Compact::default();
        writer.begin(&head).unwrap();
        let claim = Claim {
            taxi: taxi.as_bytes(),
            status: 1,
            lat_e7: place.lat_e7(),
            lon_e7: place.lon_e7(),
            device_after_ms: Some(0),
            speed_cm_s: None,
            heading_cdeg: None,
            accuracy_dm: None,
        };
        writer.push(&claim).unwrap();
        let datagram = writer.seal(&MacKey::of_api_key(&self.key));
        for _ in 0..times {
            self.socket.send_to(datagram, self.server).unwrap();
        }
    }
}
