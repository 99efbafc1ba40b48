//! The services of `docker-compose.yml` as processes, over `PostgreSQL` and Kafka: any of a pair may be gone.
//!
//! Needs `MARAUDE_TEST_POSTGRES` and `MARAUDE_TEST_KAFKA`, which `scripts/test` sees to; without them it is skipped
//! aloud, and fails with `CI=true`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here fails a test")]

use std::net::UdpSocket;

use api::fleet::datagram::{Report, Writer};
use api::fleet::taxi::Status;
use api::fleet::town::Place;
use ingest::clock::Clock;
use ingest::position::Motion;
use serde_json::{Value, json};

use crate::archive::Logged;
use crate::cluster::Cluster;
use crate::harness::places::MIDDLE;
use crate::harness::wait::{SOON, within};

mod archive;
#[path = "../../../ingest/tests/broker/mod.rs"]
#[allow(dead_code, reason = "brokers of a test's own are others'")]
mod broker;
mod chaos;
mod cluster;
mod compose;
#[path = "../it/database.rs"]
mod database;
#[path = "../harness/mod.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod harness;

const HERE: (f64, f64) = (48.8566, 2.3522);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_of_a_pair_may_be_gone() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let [ingests, apis, archives] = ["ingest", "api", "archive"].map(|role| cluster.of_role(role));
    assert_eq!([ingests.len(), apis.len(), archives.len(), cluster.services.len()], [2, 2, 2, 6]);
    let operator = cluster.operator.clone();
    let api = |cluster: &Cluster, at: usize| cluster.services[&apis[at]].client.clone();
    let mut taxis = Vec::new();
    for number in 0..4 {
        taxis.push(api(&cluster, 0).register(&operator, number, MIDDLE).await);
    }

    // Datagrams and positions over HTTP through either, and all of them in either's searches.
    device(&cluster, &ingests[0], &taxis[0]).await;
    device(&cluster, &ingests[1], &taxis[1]).await;
    report(&cluster, &ingests[1], &taxis[2]).await;
    report(&cluster, &apis[1], &taxis[3]).await;
    for name in &apis {
        found(&cluster, name, 4).await;
    }
    for process in cluster.services.values() {
        // An address that a process chose itself stands in no setting: the flag tells it.
        let http = process.client.base.trim_start_matches("http://");
        let health: Value = serde_json::from_str(&process.done(&["health", "--http", http]).await).unwrap();
        assert_eq!(health["status"], "ready");
    }

    for name in [&ingests[0], &apis[0], &archives[0]] {
        cluster.services.get_mut(name).unwrap().kill().await;
    }
    let fifth = api(&cluster, 1).register(&operator, 4, MIDDLE).await;
    device(&cluster, &ingests[1], &fifth).await;
    found(&cluster, &apis[1], 5).await;
    let sixth = api(&cluster, 1).register(&operator, 5, MIDDLE).await;
    report(&cluster, &ingests[1], &sixth).await;
    found(&cluster, &apis[1], 6).await;
    Logged::read(&cluster.beside).await.is_archived(&cluster.beside).await;

    for name in [&ingests[0], &apis[0], &archives[0]] {
        cluster.services.get_mut(name).unwrap().start_again().await;
    }
    cluster.services.get_mut(&archives[1]).unwrap().kill().await;
    found(&cluster, &apis[0], 6).await;
    // On a slow machine the first ones would fall silent.
    for taxi in taxis.iter().chain([&fifth, &sixth]) {
        report(&cluster, &apis[0], taxi).await;
    }
    let seventh = api(&cluster, 0).register(&operator, 6, MIDDLE).await;
    device(&cluster, &ingests[0], &seventh).await;
    for name in &apis {
        found(&cluster, name, 7).await;
        assert_eq!(cluster.services[name].counted("maraude_follower_skipped_records_total").await, 0);
    }
    for role in ["ingest", "api"] {
        cluster.stop(role).await;
    }
    let logged = Logged::read(&cluster.beside).await;
    logged.is_archived(&cluster.beside).await;
    cluster.services.get_mut(&archives[1]).unwrap().start_again().await;
    cluster.stop("archive").await;
    logged.is_the_archive(&cluster.beside).await;
}

/// Sends datagrams to an ingest until it has accepted one: it may not have heard of the taxi yet.
async fn device(cluster: &Cluster, ingest: &str, taxi: &str) {
    let (socket, mut writer) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Writer::default());
    let process = &cluster.services[ingest];
    let accepted = async || {
        let came = process.client.get(&cluster.operator, "/operators/me/positions").await.element(200);
        came["accepted"].as_u64().unwrap()
    };
    let before = accepted().await;
    let sent = async || {
        let report = Report {
            at: Clock::System.now(),
            operator: "op",
            key: &cluster.operator,
            taxi,
            place: Place { lat: HERE.0, lon: HERE.1 },
            status: Status::Free,
            motion: Motion::default(),
        };
        socket.send_to(writer.write(&report), process.udp.unwrap()).unwrap();
        (accepted().await > before).then_some(())
    };
    within(SOON, "a datagram that is accepted", sent).await;
}

/// Posts a position, which any process takes.
async fn report(cluster: &Cluster, name: &str, taxi: &str) {
    let client = &cluster.services[name].client;
    let positions = json!({"positions": [{"taxi_id": taxi, "lat": HERE.0, "lon": HERE.1}]});
    let answer = client.post(&cluster.operator, "/geotaxi", &positions).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Waits until a search of an api finds so many.
async fn found(cluster: &Cluster, name: &str, count: usize) {
    let client = &cluster.services[name].client;
    let path = format!("/taxis?lat={}&lon={}", HERE.0, HERE.1);
    let found = async || {
        let answer = client.get(&cluster.app, &path).await;
        (answer.body["data"].as_array().map(Vec::len) == Some(count)).then_some(())
    };
    within(SOON, &format!("{count} taxis at {name}"), found).await;
}
