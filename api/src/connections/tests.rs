//! Each limit of a connection, at it and past it, by raw sockets.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tower::util::BoxCloneSyncService;

use super::*;

/// A limit of time short enough to wait for, long enough for a busy machine to keep.
const SHORT: Duration = Duration::from_millis(300);
/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than the system's buffers take of an answer that nobody reads.
const LARGE: usize = 64 << 20;

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

async fn serve_with(limits: limits::Http) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new()
        .route("/", get(|| async { "served" }))
        .route("/large", get(|| async { "x".repeat(LARGE) }));
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(serve(listener, BoxCloneSyncService::new(routes), limits, stop.clone()));
    Served { address, stop, tasks }
}

/// A client that sends bytes as they are.
struct Raw(TcpStream);

impl Raw {
    async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// What comes until the other side closes.
    async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut all)).await.expect("it does not close").unwrap();
        String::from_utf8(all).unwrap()
    }

    /// What comes up to and with `end`.
    async fn until(&mut self, end: &str) -> String {
        let mut all = Vec::new();
        while !all.ends_with(end.as_bytes()) {
            let byte = timeout(PATIENCE, self.0.read_u8()).await.expect("nothing comes").unwrap();
            all.push(byte);
        }
        String::from_utf8(all).unwrap()
    }
}

/// The status of an answer and what it says, which is in the contract's shape.
fn refusal(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
    let status = head[9..12].parse().unwrap();
    assert_eq!(head.contains("retry-after"), status == 503, "{head}");
    (status, serde_json::from_str::<Value>(body).unwrap()["errors"].take())
}

fn head_of(size: usize) -> String {
    let around = "GET / HTTP/1.1\r\nhost: x\r\nx: \r\n\r\n".len();
    format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(size - around))
}

#[tokio::test]
async fn a_head_is_small_and_what_is_beyond_is_told_in_shape() {
    let served = serve_with(limits::Http::default()).await;
    let mut raw = Raw::open(served.address).await;
    raw.send(&head_of(HEAD_MAX_BYTES)).await;
    assert!(raw.until("served").await.starts_with("HTTP/1.1 200"));
    let message = "The header fields of a request may not be more than 64, nor exceed 16384 bytes.";
    let many = "x: y\r\n".repeat(101);
    for head in [
        head_of(HEAD_MAX_BYTES + 1),
        head_of(1 << 20),
        format!("GET / HTTP/1.1\r\n{many}\r\n"),
        // A head that never ends.
        "x".repeat(1 << 20),
    ] {
        let mut raw = Raw::open(served.address).await;
        raw.send(&head).await;
        let (status, errors) = refusal(&raw.rest().await);
        let garbage = !head.starts_with("GET");
        assert!(status == 431 && errors == json!({"": [message]}) || garbage && status == 400, "{status}");
    }
    for garbage in ["GET / HTTP/9.9\r\n\r\n", "\0\0\0\0\r\n\r\n", "GET / HTTP/1.1\r\na b: c\r\n\r\n"] {
        let mut raw = Raw::open(served.address).await;
        raw.send(garbage).await;
        let told = json!({"": ["The request is not valid HTTP."]});
        assert_eq!(refusal(&raw.rest().await), (400, told), "{garbage:?}");
    }
}

#[tokio::test]
async fn a_request_comes_in_its_time() {
    let limits = limits::Http { request_read_within: SHORT, ..Default::default() };
    let served = serve_with(limits).await;
    let told = json!({"": ["The request was not read within 0.3 seconds."]});
    // The time is the head's, not a pause's: more bytes do not prolong it.
    let mut raw = Raw::open(served.address).await;
    raw.send("GET / HTTP/1.1\r\nhost: ").await;
    let (mut from, mut to) = raw.0.split();
    let trickle = async {
        while to.write_all(b"x").await.is_ok() {
            sleep(SHORT / 20).await;
        }
    };
    let mut answer = Vec::new();
    let read = async { timeout(PATIENCE, from.read_to_end(&mut answer)).await.expect("it does not close") };
    tokio::select! { read = read => drop(read.unwrap()), () = trickle => unreachable!("it was reset") }
    assert_eq!(refusal(&String::from_utf8(answer).unwrap()), (408, told.clone()));
    // Another request on the same connection has its own time.
    let mut raw = Raw::open(served.address).await;
    for _ in 0..3 {
        sleep(SHORT * 2 / 3).await;
        raw.send("GET / HTTP/1.1\r\n\r\n").await;
        raw.until("served").await;
    }
    raw.send("GET /").await;
    assert_eq!(refusal(&raw.rest().await), (408, told));
    // Whoever said nothing is told nothing.
    assert_eq!(Raw::open(served.address).await.rest().await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_its_time() {
    let limits = limits::Http { idle_within: SHORT, ..Default::default() };
    let served = serve_with(limits).await;
    let mut raw = Raw::open(served.address).await;
    raw.send("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n").await;
    let began = Instant::now();
    let answers = raw.rest().await;
    assert_eq!(answers.matches("served").count(), 2);
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_answer_is_read_in_its_time() {
    let limits = limits::Http { answer_read_within: SHORT, ..Default::default() };
    let served = serve_with(limits).await;
    let mut slow = Raw::open(served.address).await;
    slow.send("GET /large HTTP/1.1\r\n\r\n").await;
    let mut quick = Raw::open(served.address).await;
    // Who reads gets what the other is denied.
    quick.send("GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(quick.rest().await.ends_with("served"));
    sleep(SHORT * 2).await;
    let mut all = Vec::new();
    let read = timeout(PATIENCE, slow.0.read_to_end(&mut all)).await.expect("it does not close");
    assert!(all.len() < LARGE, "{read:?}: {}", all.len());
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_the_next_is_served() {
    let limits = limits::Http { connections: 2, ..Default::default() };
    let served = serve_with(limits).await;
    let (mut first, mut second) = (Raw::open(served.address).await, Raw::open(served.address).await);
    for raw in [&mut first, &mut second] {
        raw.send("GET / HTTP/1.1\r\n\r\n").await;
        raw.until("served").await;
    }
    let told = json!({"": ["The server has too many connections now. Please repeat this request."]});
    for said in ["", "GET / HTTP/1.1\r\n\r\n"] {
        let mut third = Raw::open(served.address).await;
        third.send(said).await;
        let answer = third.until("]}}").await;
        assert_eq!(refusal(&answer), (503, told.clone()));
    }
    drop(first);
    let again = async {
        loop {
            let mut raw = Raw::open(served.address).await;
            raw.send("GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
            if raw.rest().await.ends_with("served") {
                return;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("room is not given back");
    second.send("GET / HTTP/1.1\r\n\r\n").await;
    second.until("served").await;
}

#[tokio::test]
async fn a_stop_ends_what_is_idle_at_once_and_serves_what_is_under_way() {
    let mut served = serve_with(limits::Http::default()).await;
    let mut new = Raw::open(served.address).await;
    let mut idle = Raw::open(served.address).await;
    idle.send("GET / HTTP/1.1\r\n\r\n").await;
    idle.until("served").await;
    let mut under_way = Raw::open(served.address).await;
    under_way.send("GET /large HTTP/1.1\r\n\r\n").await;
    under_way.until("\r\n\r\n").await;
    served.stop.cancel();
    assert_eq!((new.rest().await, idle.rest().await), (String::new(), String::new()));
    assert_eq!(under_way.rest().await.len(), LARGE);
    timeout(PATIENCE, served.tasks.join_next()).await.expect("it does not end");
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[test]
fn there_are_files_for_every_connection_and_stream() {
    let few = limits::Http { connections: 1, streams: 1, ..Default::default() };
    assert_eq!(within_files(few), few);
    let many = within_files(limits::Http { connections: 2, streams: 1 << 40, ..few });
    assert!(many.connections == 2 && (1..1 << 40).contains(&many.streams), "{many:?}");
    let many = within_files(limits::Http { connections: 1 << 40, streams: 1, ..few });
    assert!(many.connections < 1 << 40 && many.streams == 0, "{many:?}");
}
