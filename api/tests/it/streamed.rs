//! Positions by the thousand: taken one by one, whatever is wrong with others, and told what became of each.

use std::sync::Arc;
use std::time::Duration;

use api::limits::{
    self, LINE_MAX_BYTES, POSITIONS_AN_APPEND, REFUSALS_SHOWN_MAX, STREAMED_POSITIONS_MAX,
    STREAMED_REQUESTS_AN_ACCOUNT,
};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_ipc::writer::StreamWriter;
use ingest::clock::Millis;
use ingest::position::{Accuracy, Heading, Position, ReportedStatus, Speed, Transport};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::client::Answer;
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::metrics::scrape;
use crate::positions::logged;
use crate::world::{NOW, World};

on_each_database!(
    good_lines_are_taken_and_bad_ones_are_told_one_by_one,
    columns_say_what_lines_say,
    clocks_far_off_are_counted,
    a_body_that_breaks_off_tells_what_was_taken_before,
    a_connection_that_is_cut_loses_nothing_that_had_come,
    there_is_an_end_to_everything,
    a_body_that_does_not_come_is_not_waited_for,
    a_closed_log_takes_nothing_and_says_so,
    who_may_not_send_is_told_whatever_the_body,
    one_account_leaves_room_for_others,
);

const LINES: &str = "application/x-ndjson";
const COLUMNS: &str = "application/vnd.apache.arrow.stream";
const HERE: (f64, f64) = (48.83, 2.35);

async fn send(world: &World, operator: &str, kind: &str, body: Vec<u8>) -> Answer {
    let url = format!("{}/positions", world.client.base);
    let request =
        world.client.http.post(url).header("X-Api-Key", world.key(operator)).header("Content-Type", kind);
    Answer::of(request.body(body)).await.unwrap()
}

fn line(taxi: &str) -> String {
    json!({"taxi": taxi, "lat": HERE.0, "lon": HERE.1}).to_string() + "\n"
}

/// What became of a request's positions, beside errors or not.
fn told(answer: &Answer) -> (u64, u64) {
    let told = &answer.body["data"][0];
    (told["taken"].as_u64().unwrap(), told["refused"].as_u64().unwrap())
}

async fn good_lines_are_taken_and_bad_ones_are_told_one_by_one(world: &mut World) {
    let (mine, theirs) = (world.register("op-a", 1, MIDDLE).await, world.register("op-b", 2, MIDDLE).await);
    let moving = json!({"taxi": mine, "lat": HERE.0, "lon": HERE.1, "speed": 8.25, "heading": 360, "accuracy": 4.5,
                        "timestamp": 1_790_000_000.25, "status": "occupied"});
    let with = |name: &str, value: Value| {
        let mut line = moving.clone();
        line[name] = value;
        line.to_string()
    };
    let wrong = [
        ("{oops".to_owned(), json!(null), "not_json"),
        ("[]".to_owned(), json!(null), "not_an_object"),
        ("x".repeat(LINE_MAX_BYTES + 1), json!(null), "too_long"),
        (json!({"taxi": mine, "lat": 48.83}).to_string(), json!("lon"), "missing_field"),
        (with("lat", json!("48.83")), json!("lat"), "wrong_type"),
        (with("colour", json!("red")), json!("colour"), "unknown_field"),
        (with("lat", json!(85.06)), json!("lat"), "lat_out_of_range"),
        (with("lon", json!(-180.1)), json!("lon"), "lon_out_of_range"),
        (with("speed", json!(-1)), json!("speed"), "speed_out_of_range"),
        (with("heading", json!(361)), json!("heading"), "heading_out_of_range"),
        (with("accuracy", json!(1e9)), json!("accuracy"), "accuracy_out_of_range"),
        (with("timestamp", json!(1_790_000_000_000_i64)), json!("timestamp"), "wrong_type"),
        (with("taxi", json!("nobody")), json!("taxi"), "unknown_taxi"),
        (with("taxi", json!(theirs)), json!("taxi"), "not_their_taxi"),
    ];
    let mut body = Vec::new();
    for (wrong, _, _) in &wrong {
        body.extend(format!("{wrong}\r\n\n").bytes());
    }
    body.extend(b"\"\xff\"\n");
    body.extend(moving.to_string().bytes());
    let answer = send(world, "op-a", LINES, body).await.element(200);
    let mut expected = Vec::new();
    for (index, (_, field, reason)) in wrong.iter().enumerate() {
        expected.push(json!({"index": index, "field": field, "reason": reason}));
    }
    expected.push(json!({"index": wrong.len(), "field": null, "reason": "not_utf8"}));
    assert_eq!(answer, json!({"taken": 1, "refused": expected.len(), "refusals": expected}));
    let logged = logged(world);
    assert_eq!(logged.len(), 1);
    assert_eq!(logged[0].source, world.source("op-a", &mine).unwrap());
    is_moving(&logged[0]);
    world.shown("op-a", &mine, HERE).await;

    let noted = world.server().app.refusals.take();
    let reasons: Vec<_> = noted.iter().map(|(operator, refusal, _)| (*operator, refusal.name())).collect();
    for refused in &expected {
        let reason = refused["reason"].as_str().unwrap();
        assert!(reasons.contains(&(world.operator("op-a"), reason)), "{reason} in {reasons:?}");
    }
    let speed = noted.iter().find(|(_, refusal, _)| refusal.name() == "speed_out_of_range").unwrap();
    assert!(speed.2.examples[0].text.contains("\"speed\":-1"), "{:?}", speed.2.examples);
}

fn is_moving(position: &Position) {
    let motion = position.motion;
    assert_eq!((position.status, position.transport), (ReportedStatus::Occupied, Transport::Http));
    assert_eq!((position.received_at, position.device_at), (NOW, Some(Millis(1_790_000_000_250))));
    assert_eq!(motion.speed.map(Speed::cm_s), Some(825));
    assert_eq!(motion.heading.map(Heading::centidegrees), Some(0));
    assert_eq!(motion.accuracy.map(Accuracy::dm), Some(45));
}

/// A stream of batches of so many rows of one taxi, the last of them nowhere.
fn columns(taxi: &str, batches: &[usize]) -> Vec<u8> {
    let batch = |rows: usize| {
        let number = |number: f64| Arc::new(Float64Array::from(vec![number; rows])) as ArrayRef;
        let mut lat = vec![HERE.0; rows];
        lat[rows - 1] = 91.0;
        let timestamp = TimestampMillisecondArray::from(vec![1_790_000_000_250; rows]).with_timezone("UTC");
        RecordBatch::try_from_iter([
            ("taxi", Arc::new(StringArray::from(vec![taxi; rows])) as ArrayRef),
            ("lat", Arc::new(Float64Array::from(lat)) as ArrayRef),
            ("lon", number(HERE.1)),
            ("speed", number(8.25)),
            ("heading", number(360.0)),
            ("accuracy", number(4.5)),
            ("timestamp", Arc::new(timestamp) as ArrayRef),
            ("status", Arc::new(StringArray::from(vec!["occupied"; rows])) as ArrayRef),
        ])
        .unwrap()
    };
    let batches: Vec<_> = batches.iter().map(|rows| batch(*rows)).collect();
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

async fn columns_say_what_lines_say(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let answer = send(world, "op-a", COLUMNS, columns(&taxi, &[3_000, 2])).await.element(200);
    let refusal = |index| json!({"index": index, "field": "lat", "reason": "lat_out_of_range"});
    assert_eq!(answer, json!({"taken": 3_000, "refused": 2, "refusals": [refusal(2_999), refusal(3_001)]}));
    let logged = logged(world);
    assert_eq!(logged.len(), 3_000);
    logged.iter().for_each(is_moving);
    assert_eq!(world.server().app.meters.http_positions.get(), 3_000);
}

async fn clocks_far_off_are_counted(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let at = |seconds: i64| json!({"taxi": taxi, "lat": HERE.0, "lon": HERE.1, "timestamp": NOW.seconds() + seconds});
    let lines = [-121, -120, 0, 120, 121].map(|seconds| at(seconds).to_string() + "\n").concat();
    let answer = send(world, "op-a", LINES, lines.into_bytes()).await;
    assert_eq!((answer.status, told(&answer)), (200, (5, 0)), "{answer:?}");
    let clocks_off = scrape(world).await.value("maraude_http_positions_clock_off_total", &[]);
    assert_eq!(clocks_off.to_string(), "2");
    let counted = world.client.get(world.key("op-a"), "/operators/me/positions").await.element(200);
    let ages = json!({"up_to_5_s": 1, "up_to_15_s": 0, "up_to_60_s": 0, "over_60_s": 4});
    assert_eq!((&counted["accepted"], &counted["ages"]), (&json!(0), &ages), "they were no datagrams");
}

async fn a_body_that_breaks_off_tells_what_was_taken_before(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let whole = columns(&taxi, &[1_500, 10]);
    let answer = send(world, "op-a", COLUMNS, whole[..whole.len() - 100].to_vec()).await;
    assert_eq!((answer.status, told(&answer)), (400, (1_499, 1)), "{answer:?}");
    let message = answer.body["errors"][""][0].as_str().unwrap();
    assert!(message.contains("ends within a message"), "{message}");
    assert_eq!(logged(world).len(), 1_499);
    let answer = send(world, "op-a", COLUMNS, b"no stream at all".to_vec()).await;
    assert_eq!((answer.status, told(&answer)), (400, (0, 0)), "{answer:?}");
    // Lines have no end of their own: the last one may come without one.
    let answer = send(world, "op-a", LINES, line(&taxi).trim_end().into()).await;
    assert_eq!((answer.status, told(&answer)), (200, (1, 0)), "{answer:?}");
    let answer = send(world, "op-a", LINES, Vec::new()).await;
    assert_eq!((answer.status, told(&answer)), (200, (0, 0)), "{answer:?}");
}

/// A request that says it has so many bytes, as far as its head.
async fn begin(world: &World, operator: &str, kind: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(world.server().http).await.unwrap();
    let head = format!(
        "POST /positions HTTP/1.1\r\nHost: x\r\nX-Api-Key: {}\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n\r\n",
        world.key(operator)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn a_connection_that_is_cut_loses_nothing_that_had_come(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let mut stream = begin(world, "op-a", LINES, 10 << 20).await;
    let mut body = line(&taxi).repeat(1_200).into_bytes();
    body.extend(&line(&taxi).as_bytes()[..20]);
    stream.write_all(&body).await.unwrap();
    drop(stream);
    // Nobody hears of it, but what came whole is taken.
    let all = async || (logged(world).len() == 1_200).then_some(());
    within(SOON, "1,200 positions in the log", all).await;
}

async fn there_is_an_end_to_everything(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let wrong = "{}\n".repeat(REFUSALS_SHOWN_MAX + 20);
    let answer = send(world, "op-a", LINES, wrong.into_bytes()).await;
    assert_eq!((answer.status, told(&answer)), (200, (0, 120)));
    assert_eq!(answer.body["data"][0]["refusals"].as_array().unwrap().len(), REFUSALS_SHOWN_MAX);

    let most = usize::try_from(STREAMED_POSITIONS_MAX).unwrap();
    let answer = send(world, "op-a", LINES, "7\n".repeat(most + 1).into_bytes()).await;
    assert_eq!(
        (answer.status, told(&answer)),
        (413, (0, STREAMED_POSITIONS_MAX)),
        "{}",
        answer.body["errors"]
    );
    let mut long = line(&taxi).into_bytes();
    long.resize(limits::STREAMED_MAX_BYTES + 1, b' ');
    let answer = send(world, "op-a", LINES, long).await;
    assert_eq!((answer.status, told(&answer)), (413, (1, 0)), "{answer:?}");
}

async fn a_body_that_does_not_come_is_not_waited_for(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.stop().await;
    let streamed_within = Duration::from_millis(300);
    world.start_with(limits::Http { streamed_within, ..limits::Http::default() }).await;
    let mut stream = begin(world, "op-a", LINES, 1_000_000).await;
    stream.write_all(line(&taxi).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["data"][0]["taken"], 1, "{body}");
}

async fn a_closed_log_takes_nothing_and_says_so(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    world.server().app.log.close();
    let lines = line(&taxi).repeat(2 * POSITIONS_AN_APPEND);
    let answer = send(world, "op-a", LINES, lines.into_bytes()).await;
    assert_eq!((answer.status, told(&answer)), (503, (0, 0)), "{answer:?}");
    assert_eq!(answer.headers["retry-after"], "1");
    let overloaded = world.server().app.refusals.take();
    assert!(overloaded.iter().any(|(_, refusal, _)| refusal.name() == "overloaded"), "{overloaded:?}");
    let datagrams = world.client.get(world.key("op-a"), "/operators/me/positions").await.element(200);
    assert_eq!((&datagrams["accepted"], &datagrams["refused"]), (&json!(0), &json!({})), "it was none");
}

async fn who_may_not_send_is_told_whatever_the_body(world: &mut World) {
    let large = || vec![b'x'; 4 << 20];
    assert_eq!(send(world, "app", LINES, large()).await.status, 403);
    for kind in ["application/json", "text/plain"] {
        let answer = send(world, "op-a", kind, large()).await;
        let message = answer.body["errors"][""][0].as_str().unwrap();
        assert_eq!(answer.status, 415, "{answer:?}");
        assert!(message.contains(LINES) && message.contains(COLUMNS), "{message}");
    }
    let url = format!("{}/positions/", world.client.base);
    let request = world.client.http.post(url).header("Content-Type", LINES).body(large());
    assert_eq!(Answer::of(request).await.unwrap().status, 401);
}

async fn one_account_leaves_room_for_others(world: &mut World) {
    let (mine, theirs) = (world.register("op-a", 1, MIDDLE).await, world.register("op-b", 2, MIDDLE).await);
    let mut under_way = Vec::new();
    let ask = async || send(world, "op-a", LINES, line(&mine).into()).await;
    let refused = async || {
        under_way.push(begin(world, "op-a", LINES, 1_000_000).await);
        Some(ask().await).filter(|answer| answer.status == 503)
    };
    let refused = within(SOON, "one request too many", refused).await;
    assert!(under_way.len() >= STREAMED_REQUESTS_AN_ACCOUNT, "{} before", under_way.len());
    let message =
        "The server has too many streams of positions of this account now. Please repeat this request.";
    assert_eq!(refused.body, json!({"errors": {"": [message]}}));
    assert_eq!(refused.headers["retry-after"], "1");
    let others = send(world, "op-b", LINES, line(&theirs).into()).await;
    assert_eq!((others.status, told(&others)), (200, (1, 0)), "{others:?}");
    drop(under_way);
    let taken = async || (ask().await.status == 200).then_some(());
    within(SOON, "room where requests ended", taken).await;
}
