//! What is seen along the way of a position and of a search, and that no secret is among it. A program of its own: who
//! listens to spans listens to every thread of a process.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here fails a test")]

use std::io::Write;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

use api::fleet::datagram::{Report, Writer};
use api::fleet::taxi::Status;
use api::fleet::town::Place;
use ingest::position::Motion;
use reqwest::Method;
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::database::Backend;
use crate::harness::client::Answer;
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};
use crate::world::World;

#[allow(dead_code, reason = "what the other tests need")]
#[path = "../it/database.rs"]
mod database;
#[allow(dead_code, reason = "what the other tests need")]
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, unused_macros, reason = "what the other tests need")]
#[path = "../it/world.rs"]
mod world;

/// Everything that is told, one line for each span that ends and each event.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Told {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The first line that has all of these, in this order.
    async fn line(&self, parts: &[&str]) -> String {
        let has_all = |line: &str| {
            let mut rest = line;
            parts.iter().all(|part| match rest.split_once(part) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            })
        };
        let found = async || self.text().lines().find(|line| has_all(line)).map(str::to_owned);
        within(SOON, &format!("a line with {parts:?}"), found).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_follow_a_position_and_a_search_and_tell_no_secret() {
    let told = Told::default();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("api=trace,engine=trace,ingest=trace,sqlx=debug"))
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .without_time()
        .with_writer(Mutex::new(told.clone()))
        .init();
    world::over(Backend::Sqlite, async |world| {
        let taxi = world.register("op-a", 1, MIDDLE).await;
        a_position(world, &told, &taxi).await;
        a_search(world, &told).await;
        a_failure(world, &told, &taxi).await;
        let text = told.text();
        let keys = ["admin", "app", "op-a", "op-b"].map(|account| world.key(account));
        // As degrees and as the index holds them.
        let places = ["48.851", "48.861", "2.351", "2.361", "488512340", "23512340"];
        for secret in keys.iter().chain(&places) {
            let line = text.lines().map(without_durations).find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} is told");
        }
    })
    .await;
}

/// A line up to where it says how long something took, which may have the digits of anything.
fn without_durations(line: &str) -> &str {
    let ends = [" elapsed=", " time.busy="].into_iter().filter_map(|name| line.find(name));
    &line[..ends.min().unwrap_or(line.len())]
}

async fn a_position(world: &World, told: &Told, taxi: &str) {
    let report = Report {
        at: world.clock.now(),
        operator: "op-a",
        key: world.key("op-a"),
        taxi,
        place: Place { lat: 48.851_234, lon: 2.351_234 },
        status: Status::Free,
        motion: Motion::default(),
    };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(Writer::default().write(&report), world.server().udp.unwrap()).unwrap();
    for parts in [
        &["DEBUG receive:gate{accepted=1}", "close"][..],
        &["DEBUG receive{datagrams=1}:append{positions=1}", "close"],
        &["DEBUG receive{datagrams=1}", "close"],
        &["DEBUG commit{entries=1 acknowledged=0}", "close"],
        &["DEBUG follow{partition=0 offset=0 entries=1}", "close"],
        &["DEBUG apply{fixes=1}", "close"],
    ] {
        told.line(parts).await;
    }
}

async fn a_search(world: &World, told: &Told) {
    let search = async |id: &str| {
        let url = format!("{}/taxis?lat=48.851&lon=2.351", world.client.base);
        let request = world.client.http.get(url).header("X-Api-Key", world.key("app"));
        Answer::of(request.header("X-Request-Id", id)).await.unwrap()
    };
    let found = async || {
        let answer = search("my-search.1").await;
        (answer.body["data"].as_array().unwrap().len() == 1).then_some(answer)
    };
    let answer = within(SOON, "the taxi", found).await;
    assert_eq!(answer.headers["x-request-id"], "my-search.1");
    let within_request = "request{request_id=\"my-search.1\"";
    for span in ["authenticate", "territory", "nearby", "render{hits=1}"] {
        told.line(&["DEBUG", within_request, &format!("}}:{span}"), "close"]).await;
    }
    let whole = told.line(&[within_request, "route=\"/taxis\"", "status=200}", "close"]).await;
    assert!(!whole.contains("authenticate"), "{whole}");

    let odd = search("a name, with spaces").await;
    let id = odd.headers["x-request-id"].to_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    told.line(&["request{request_id=", id, "close"]).await;
    assert!(!told.text().contains("with spaces"));
}

/// The log takes nothing any more: a request fails, and one line tells which and why.
async fn a_failure(world: &World, told: &Told, taxi: &str) {
    let log = world.server().app.log.clone();
    tokio::task::spawn_blocking(move || log.close()).await.unwrap();
    let positions = json!({"data": [{"positions": [{"taxi_id": taxi, "lat": 48.861, "lon": 2.361}]}]});
    let url = format!("{}/geotaxi/", world.client.base);
    let request = world.client.http.request(Method::POST, url).header("X-Api-Key", world.key("op-a"));
    let answer = Answer::of(request.header("X-Request-Id", "failing-1").json(&positions)).await.unwrap();
    assert_eq!((answer.status, &answer.headers["x-request-id"]), (503, &"failing-1".parse().unwrap()));
    let line = told.line(&["ERROR", "a request failed"]).await;
    for part in ["request_id=\"failing-1\"", "method=POST", "route=\"/geotaxi\"", "status=503", "cause=\""] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let of_the_request = told.text().lines().filter(|line| line.contains("ERROR")).count();
    assert_eq!(of_the_request, 1, "a failure is told once");
}
