//! The real binary while it lives: the end of a server, the demonstration, the simulation.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use api::role::Role;
use ingest::clock::Clock;
use ingest::log::{Log, LogUrl, Settings};
use ingest::position::LatLon;
use nix::sys::signal::Signal;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, LOCATION, ORIGIN};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::client::{Answer, Client};
use crate::harness::places::{MIDDLE, towns};
use crate::harness::program::{Program, Running};
use crate::harness::wait::{SOON, within};

/// What is promised of SIGTERM.
const STOP_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_a_busy_server_in_time_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path(), None);
    let file = folder.path().join("towns.json");
    std::fs::write(&file, towns().to_string()).unwrap();
    program.done(&["import", "towns", file.to_str().unwrap()]).await;
    let key = add_user(&program, "op", "operateur").await;
    let (mut server, http, _) = program.serve().await;
    let client = Client::new(http);
    ready(&client).await;
    let taxi = client.register(&key, 1, MIDDLE).await;

    let (counted, mut count) = tokio::sync::watch::channel(0);
    let mut busy = JoinSet::new();
    for task in 0..4_u32 {
        let (client, key, taxi, counted) = (client.clone(), key.clone(), taxi.clone(), counted.clone());
        busy.spawn(async move {
            let mut acknowledged = Vec::new();
            for n in 0..1_000_000_u32 {
                let at = LatLon::new(48.81 + f64::from(task) / 1e3, 2.31 + f64::from(n) / 1e6).unwrap();
                let position = json!({"taxi_id": taxi, "lat": at.lat(), "lon": at.lon()});
                let element = json!({"positions": [position]});
                match client.ask(Method::POST, "/geotaxi/", &key, Some(&element)).await {
                    Ok(answer) if answer.status == 200 => acknowledged.push(at),
                    // Once it stops, what it cannot take any more it refuses or does not answer.
                    Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                    Err(_) => break,
                }
                counted.send_modify(|count| *count += 1);
            }
            acknowledged
        });
    }
    // Two that never finish: one keeps silent, the other one's body stays away.
    let silent = TcpStream::connect(http).unwrap();
    let mut slow = TcpStream::connect(http).unwrap();
    write!(slow, "POST /ads HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\nContent-Length: 100\r\n\r\n{{")
        .unwrap();
    tokio::time::timeout(SOON, count.wait_for(|count| *count > 100)).await.unwrap().unwrap();

    let began = Instant::now();
    server.signal(Signal::SIGTERM);
    let status = server.end().await;
    let took = began.elapsed();
    assert!(status.success(), "{status}");
    assert!(took < STOP_WITHIN, "it took {took:?}");
    assert!(TcpStream::connect(http).is_err(), "nobody listens any more");
    drop((silent, slow));
    let acknowledged: Vec<_> = busy.join_all().await.into_iter().flatten().collect();
    let log: Log =
        Log::open(&LogUrl::File(folder.path().join("log")), &Settings::default(), Clock::System).unwrap();
    let (mut reader, mut logged) = (log.reader(&[]), HashSet::new());
    while let Some(record) = reader.poll(Duration::ZERO).unwrap() {
        logged.extend(record.entries.iter().map(|position| position.at));
    }
    log.close();
    assert!(acknowledged.len() > 100);
    assert!(acknowledged.iter().all(|at| logged.contains(at)), "what was acknowledged is in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_does_not_wait_for_an_archive_that_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let arguments = ["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--archive", "s3://archive"];
    let mut command = Program::new(folder.path(), None).command(&arguments);
    command.env("AWS_ENDPOINT", endpoint).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "here");
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    let mut server = Running::start(&mut command);
    server.line("  http  ").await;
    // Those that archive positions and searches, and the one that looks for searches of before.
    let mut asking = Vec::new();
    while asking.len() < 3 {
        asking.push(tokio::time::timeout(SOON, silent.accept()).await.unwrap().unwrap());
    }

    let began = Instant::now();
    server.signal(Signal::SIGTERM);
    let status = server.end().await;
    let took = began.elapsed();
    assert!(status.success(), "{status}");
    assert!(took < STOP_WITHIN, "it took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_address_is_told_and_a_data_directory_belongs_to_one() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, http, _) = Program::new(first.path(), None).serve().await;
    let http = http.to_string();
    let arguments = ["serve", "--http", &http, "--udp", "127.0.0.1:0"];
    let (status, _, complaints) = Program::new(second.path(), None).run(&arguments).await;
    assert!(!status.success() && complaints.contains(&http), "{complaints}");
    let arguments = ["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0"];
    let (status, _, complaints) = Program::new(first.path(), None).run(&arguments).await;
    assert!(!status.success() && complaints.contains("log"), "{complaints}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pasted_lines_of_the_demonstration_find_taxis() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path(), None);
    let ports = ["--http", "127.0.0.1:0", "--udp", "127.0.0.1:0"];
    let arguments = [&["demo", "--taxis", "60", "--archive-after-s", "0"][..], &ports].concat();
    let mut demo = Running::start(&mut program.command(&arguments));
    let http = demo.line("  http  ").await;
    let http = http.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let client = Client::new(http.parse::<SocketAddr>().unwrap());
    let console = demo.line("  console  ").await;
    let password = console.trim_end_matches(')').split_whitespace().last().unwrap();
    let roles = every_account_logs_in(&mut demo, &client, password).await;
    assert_eq!(
        roles,
        HashSet::from(Role::ALL.map(Role::as_str).map(str::to_owned)),
        "one of each role at least"
    );
    let mut curls = Vec::new();
    for _ in 0..4 {
        curls.push(demo.line("curl ").await);
    }

    let search = async || Answer::of(paste(&client, &curls[0])).await.unwrap();
    let found = async || search().await.body["data"].as_array().filter(|found| !found.is_empty()).cloned();
    let found = within(SOON, "a taxi around the customer", found).await;
    assert_eq!(found[0]["operator"], "chauffeur professionnel");
    let own = Answer::of(paste(&client, &curls[1])).await.unwrap();
    assert_eq!((own.status, &own.body["meta"]["total"]), (200, &json!(20)));
    assert_eq!(Answer::of(paste(&client, &curls[2])).await.unwrap().status, 200);
    let asked = async || {
        let rows = paste(&client, &curls[3]).send().await.unwrap().text().await.unwrap();
        assert!(rows.starts_with("town,taxis\n"), "{rows}");
        rows.contains("\n75056,").then_some(())
    };
    within(SOON, "taxis in the archive", asked).await;
    let live = demo.line("positions/s").await;
    assert!(live.contains("taxis online") && live.contains("searches/s") && live.contains("p99"), "{live}");

    demo.signal(Signal::SIGINT);
    let status = demo.end().await;
    assert!(status.success(), "{status}");
    // A second one begins afresh; a directory that holds something else is left alone.
    let again = [&["demo", "--taxis", "3", "--seconds", "2"][..], &ports].concat();
    let out = program.done(&again).await;
    let live = out.lines().filter(|line| line.starts_with("positions/s")).count();
    assert!((1..=2).contains(&live), "a line a second: {out}");
    let list: Vec<Value> = serde_json::from_str(&program.done(&["user", "list", "--json"]).await).unwrap();
    assert_eq!(list.len(), 12, "those of the screen, the integration account, and no others");
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("precious"), "").unwrap();
    let (status, _, complaints) = Program::new(other.path(), None).run(&["demo", "--seconds", "0"]).await;
    assert!(!status.success() && complaints.contains("--data-dir"), "{complaints}");
    assert!(other.path().join("precious").exists());
}

/// Logs in to the console as each account of the screen; gives the roles that they are said to have.
async fn every_account_logs_in(demo: &mut Running, client: &Client, password: &str) -> HashSet<String> {
    demo.line("  account ").await;
    let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let mut roles = HashSet::new();
    loop {
        let line = demo.line("").await;
        let [account, role, key] = line.split_whitespace().collect::<Vec<_>>()[..] else { break };
        assert_eq!(client.get(key, "/users").await.status, 200, "{line}");
        let form = http.post(format!("{}/console/login", client.base)).header(ORIGIN, &client.base);
        let form = form.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = form.body(format!("email={account}&password={password}")).send().await.unwrap();
        assert_eq!(answer.status(), 303, "{account}");
        assert_eq!(answer.headers()[LOCATION], "/console");
        roles.insert(role.to_owned());
    }
    roles
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulation_drives_a_fleet_against_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path(), None);
    let outlines = concat!(env!("CARGO_MANIFEST_DIR"), "/outlines/demo_towns.geojson");
    program.done(&["import", "towns", outlines]).await;
    let (operator, app) =
        (add_user(&program, "op", "operateur").await, add_user(&program, "app", "moteur").await);
    let (server, http, udp) = program.serve().await;
    let client = Client::new(http);
    ready(&client).await;
    let (address, positions) = (format!("http://{http}"), udp.to_string());
    let mut all_sent = 0;
    for protocol in [1, 2] {
        let arguments = format!(
            "simulate --seconds 2 --taxis 20 --hz 5 --towns 75056 --operator op:{operator} --app {app} --searches 20 \
             --server {address} --positions {positions} --protocol {protocol}"
        );
        let arguments: Vec<_> = arguments.split(' ').collect();
        let out = program.done(&arguments).await;
        assert!(out.contains("20 taxis of 1 operators are registered"), "{out}");
        let summary = out.lines().last().unwrap();
        let numbers: Vec<u64> = summary.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [sent, _, searches, _, failures] = numbers[..] else { panic!("{summary}") };
        assert!(sent >= 100 && searches >= 10 && failures == 0, "{summary}");
        all_sent += sent;
        let counted = async || {
            let counted = client.get(&operator, "/operators/me/positions").await.element(200);
            (counted["accepted"] == all_sent && counted["refused"] == json!({})).then_some(())
        };
        within(SOON, "every position, and nothing refused", counted).await;
    }
    let all = client.get(&operator, "/taxis/all").await.body;
    let ids: Vec<_> =
        all["data"].as_array().unwrap().iter().map(|taxi| taxi["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 20);
    for id in ids {
        let seen = client.get(&operator, &format!("/taxis/{id}")).await.element(200);
        assert!(seen["last_update"].is_i64(), "{seen}");
    }
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_replayed_in_compact_datagrams() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path(), None);
    let (file, trace) = (folder.path().join("towns.json"), folder.path().join("trace.csv"));
    std::fs::write(&file, towns().to_string()).unwrap();
    program.done(&["import", "towns", file.to_str().unwrap()]).await;
    let operator = add_user(&program, "op", "operateur").await;
    let (server, http, udp) = program.serve().await;
    ready(&Client::new(http)).await;
    let mut text = "taxi_id,unix_ts,lat,lon\n".to_owned();
    for (second, taxi) in (0..20).flat_map(|second| (0..50).map(move |taxi| (second, taxi))) {
        writeln!(text, "t{taxi},{second},48.85,2.35").unwrap();
    }
    std::fs::write(&trace, text).unwrap();
    let (address, positions) = (format!("http://{http}"), udp.to_string());
    let arguments = format!(
        "replay {} --protocol 2 --speed 20 --register --insee {MIDDLE} --operator op:{operator} --json \
         --server {address} --positions {positions}",
        trace.display()
    );
    let account = program.done(&arguments.split(' ').collect::<Vec<_>>()).await;
    let account: Value = serde_json::from_str(&account).unwrap();
    let wanted = json!({"sent": 1_000, "failed": {}, "not_due": 0, "accepted": 1_000, "refused": {}, "lost": 0,
                        "dropped_by_kernel": 0});
    assert_eq!(account["positions"], wanted, "{account}");
    drop(server);
}

async fn ready(client: &Client) {
    let ready = async || (client.get("", "/health/ready").await.status == 200).then_some(());
    within(SOON, "readiness", ready).await;
}

async fn add_user(program: &Program, email: &str, role: &str) -> String {
    let added = program.done(&["user", "add", email, "--role", role, "--json"]).await;
    serde_json::from_str::<Value>(&added).unwrap()["apikey"].as_str().unwrap().to_owned()
}

/// What a line of curl would ask, by the texts that it quotes: headers, a body, an address.
fn paste(client: &Client, line: &str) -> reqwest::RequestBuilder {
    let quoted: Vec<_> = line.split('\'').skip(1).step_by(2).collect();
    let (url, options) = quoted.split_last().unwrap();
    assert!(url.starts_with("http://"), "{line}");
    let body = options.iter().find(|text| text.starts_with('{'));
    let request = match body {
        Some(body) => client.http.post(*url).body((*body).to_owned()),
        None => client.http.get(*url),
    };
    let headers = options.iter().filter(|text| !text.starts_with('{'));
    headers.fold(request, |request, header| {
        let (name, value) = header.split_once(": ").unwrap();
        request.header(name, value)
    })
}
