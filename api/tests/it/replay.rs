//! Recorded traces against a server: every row and every position has its place in the account.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::places::{EAST, MIDDLE};
use crate::harness::program::Running;
use crate::harness::wait::{SOON, within};
use crate::positions::Device;
use crate::world::World;

const HERE: (f64, f64) = (48.85, 2.35);

on_each_database!(
    every_position_is_accounted_for_and_taxis_are_found,
    a_run_that_is_interrupted_gives_its_account,
    many_taxis_are_found_again,
    nothing_is_concluded_when_others_send_with_the_key,
    what_reaches_nobody_is_lost_and_said,
    a_clock_that_is_off_is_what_refuses_compact_datagrams,
    what_cannot_be_replayed_says_why,
    an_operator_reads_what_came_of_its_datagrams,
);

async fn every_position_is_accounted_for_and_taxis_are_found(world: &mut World) {
    // Unsorted, every taxi each second; the order of columns is their own, and some rows are wrong.
    let mut text = "trip,lat,taxi_id,lon,unix_ts\n".to_owned();
    for second in (0..20).rev() {
        for taxi in ["porto1", "porto2", "porto3"] {
            writeln!(text, "x,{},{taxi},{},{}.7", HERE.0 + f64::from(second) / 1e5, HERE.1, 1000 + second)
                .unwrap();
        }
    }
    text.push_str(
        "x,NaN,porto1,2.35,1000\nx,48.85,porto9,2.35,5000\nx,48.85,porto1,2.35,1019\nx,99,porto1,2.35,1\n",
    );
    let file = file(world, &text);
    let file = file.to_str().unwrap();
    let arguments = [file, "--speed", "10", "--limit-hours", "0.01", "--register", "--insee", MIDDLE];
    let mut running = start(world, "op-a", &arguments);
    let found = async || Some(world.search("app", HERE).await.len()).filter(|found| *found == 3);
    within(SOON, "the three taxis in the middle of the run", found).await;

    let account = end(&mut running).await;
    let rows = &account["rows"];
    assert_eq!((&rows["read"], &rows["past_limit"], &rows["to_send"]), (&json!(64), &json!(1), &json!(60)));
    let reasons = [
        ("lat", "is not a number"),
        ("lat", "is out of range (-85.05112878 to 85.05112878)"),
        ("unix_ts", "repeats an earlier row of this taxi and second"),
    ];
    let by_reason = reasons.map(|(field, reason)| json!({"field": field, "reason": reason, "count": 1}));
    assert_eq!(rows["refused"]["by_reason"], json!(by_reason));
    assert_eq!(rows["refused"]["examples"].as_array().unwrap().len(), 3);
    let positions = json!({"sent": 60, "failed": {}, "not_due": 0, "accepted": 60, "refused": {}, "lost": 0,
                           "dropped_by_kernel": 0});
    assert_eq!((&account["positions"], &account["taxis"]), (&positions, &json!(3)), "{account}");
    assert_eq!(account["explanations"], json!([]));
    // A little less: the first one is sent a moment after the clock was looked at.
    assert!(account["seconds"].as_f64().unwrap() > 1.8, "19 s at ten times their speed: {account}");
    assert_eq!(world.server().app.refusals.accepted_of(world.operator("op-a")), 60);

    // Again: the same taxis, registered once more or merely found.
    let again = end(&mut start(
        world,
        "op-a",
        &[file, "--speed", "1000", "--status", "off", "--limit-hours", "0.01"],
    ))
    .await;
    assert_eq!(
        (&again["positions"]["accepted"], &again["positions"]["lost"]),
        (&json!(60), &json!(0)),
        "{again}"
    );
    assert_eq!(world.search("app", HERE).await.len(), 0, "all of them are off");
    let arguments = [file, "--speed", "1000", "--register", "--insee", MIDDLE];
    let mut running = Running::start(&mut command(world, "op-a", &arguments, false));
    assert!(running.end().await.success());
    let plain = running.rest().await;
    assert!(
        plain.contains("64 read: 3 refused") && plain.contains("61 accepted, 0 refused, 0 lost"),
        "{plain}"
    );
    let all = world.client.get(world.key("op-a"), "/taxis/all").await.body;
    assert_eq!(all["meta"]["total"], 4, "the three of before and the one past the limit of hours");
}

async fn a_run_that_is_interrupted_gives_its_account(world: &mut World) {
    let mut text = "taxi_id,unix_ts,lat,lon\n".to_owned();
    for second in 0..1000 {
        writeln!(text, "a,{second},{},{}", HERE.0, HERE.1).unwrap();
    }
    let file = file(world, &text);
    let arguments = [file.to_str().unwrap(), "--speed", "5", "--register", "--insee", MIDDLE];
    let mut running = start(world, "op-a", &arguments);
    let found = async || (world.search("app", HERE).await.len() == 1).then_some(());
    within(SOON, "a taxi in the middle of the run", found).await;
    running.signal(Signal::SIGINT);
    let account = end(&mut running).await;
    let count = |name: &str| account["positions"][name].as_u64().unwrap();
    assert!(count("sent") > 0 && count("not_due") > 0, "{account}");
    assert_eq!((count("sent") + count("not_due"), count("sent")), (1000, count("accepted")), "{account}");
}

async fn many_taxis_are_found_again(world: &mut World) {
    // More than a page of the registry's list has.
    let mut text = "taxi_id,unix_ts,lat,lon\n".to_owned();
    for taxi in 0..32 {
        writeln!(text, "{taxi},0,{},{}", HERE.0, HERE.1).unwrap();
    }
    let whole = file(world, &text);
    let file = whole.to_str().unwrap();
    // Stopped as soon as the first taxi is registered: nothing was sent.
    let mut running = start(world, "op-a", &[file, "--register", "--insee", MIDDLE]);
    let total =
        async || world.client.get(world.key("op-a"), "/taxis/all").await.body["meta"]["total"].as_u64();
    within(SOON, "the first taxi", async || total().await.filter(|total| *total > 0)).await;
    running.signal(Signal::SIGINT);
    let account = end(&mut running).await;
    let counts = ["sent", "not_due"].map(|name| account["positions"][name].as_u64().unwrap());
    assert_eq!(counts.iter().sum::<u64>(), 32, "{account}");

    let registered = end(&mut start(world, "op-a", &[file, "--register", "--insee", MIDDLE])).await;
    let found = end(&mut start(world, "op-a", &[file])).await;
    for account in [registered, found] {
        assert_eq!(
            (&account["taxis"], &account["positions"]["accepted"]),
            (&json!(32), &json!(32)),
            "{account}"
        );
    }
    assert_eq!(total().await, Some(32));

    // Some in a second town too: a page of the newest taxis does not have all the plates.
    let lines: Vec<_> = text.lines().collect();
    let part = world.folder().join("part.csv");
    std::fs::write(&part, [&lines[..1], &lines[13..]].concat().join("\n")).unwrap();
    let arguments = [part.to_str().unwrap(), "--register", "--insee", EAST];
    let part = end(&mut start(world, "op-a", &arguments)).await;
    let found = end(&mut start(world, "op-a", &[file])).await;
    let accepted = [part, found].map(|account| account["positions"]["accepted"].as_u64());
    assert_eq!(accepted, [Some(20), Some(32)]);
    assert_eq!(total().await, Some(52));
}

async fn nothing_is_concluded_when_others_send_with_the_key(world: &mut World) {
    let text = "taxi_id,unix_ts,lat,lon\na,0,48.85,2.35\na,20,48.85,2.35\n";
    let file = file(world, text);
    let arguments = [file.to_str().unwrap(), "--speed", "10", "--register", "--insee", MIDDLE];
    let mut running = start(world, "op-a", &arguments);
    let accepted = async || (world.server().app.refusals.accepted() > 0).then_some(());
    within(SOON, "the first position", accepted).await;
    let device = Device::new(world, "op-a");
    for _ in 0..3 {
        device.send(0, "nobody's", 48.85);
    }
    let account = end(&mut running).await;
    let positions = &account["positions"];
    assert_eq!((&positions["sent"], &positions["lost"]), (&json!(2), &Value::Null), "{account}");
    assert!(
        account["explanations"][0].as_str().unwrap().contains("others send with the same key"),
        "{account}"
    );
}

async fn what_reaches_nobody_is_lost_and_said(world: &mut World) {
    let file = file(world, "taxi_id,unix_ts,lat,lon\na,0,48.85,2.35\na,1,48.85,2.35\na,2,48.85,2.35\n");
    // A port that was free a moment ago.
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut arguments = vec![file.to_str().unwrap(), "--speed", "20", "--register", "--insee", MIDDLE];
    arguments.extend(["--positions", &nobody]);
    let account = end(&mut start(world, "op-a", &arguments)).await;
    let positions = &account["positions"];
    let failed: u64 = positions["failed"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let sent = positions["sent"].as_u64().unwrap();
    assert_eq!((sent + failed, &positions["lost"]), (3, &json!(sent)), "{account}");
    let said = account["explanations"].to_string();
    assert!(said.contains("did not reach the server") && said.contains("refused"), "{said}");
}

async fn a_clock_that_is_off_is_what_refuses_compact_datagrams(world: &mut World) {
    // The server's clock stands still, in another month than the program's.
    let file = file(world, "taxi_id,unix_ts,lat,lon\na,0,48.85,2.35\na,1,48.85,2.35\na,2,48.85,2.35\n");
    let arguments = [file.to_str().unwrap(), "--speed", "1000", "--register", "--insee", MIDDLE];
    let arguments = [&arguments[..], &["--protocol", "2"]].concat();
    let account = end(&mut start(world, "op-a", &arguments)).await;
    let positions = &account["positions"];
    assert_eq!((&positions["sent"], &positions["lost"]), (&json!(3), &json!(0)), "{account}");
    assert_eq!(positions["refused"], json!({"sent_at_off": 3}), "{account}");
    assert!(account["explanations"][0].as_str().unwrap().contains("clock"), "{account}");
}

async fn what_cannot_be_replayed_says_why(world: &mut World) {
    let good = file(world, "taxi_id,unix_ts,lat,lon\na,0,48.85,2.35\n");
    let good = good.to_str().unwrap();
    let bad = world.folder().join("bad.csv");
    std::fs::write(&bad, "taxi,unix_ts,lat,lon\n").unwrap();
    let empty = world.folder().join("empty.csv");
    std::fs::write(&empty, "taxi_id,unix_ts,lat,lon\nx,y,1,1\n").unwrap();
    let fails = async |operator: &str, arguments: &[&str], told: &[&str]| {
        let mut all = arguments.to_vec();
        let (server, udp) = addresses(world);
        all.extend(["--server", &server, "--positions", &udp, "--operator", operator]);
        let (status, _, complaints) = world.program().run(&[&["replay"][..], &all].concat()).await;
        assert!(!status.success(), "{arguments:?}");
        assert!(told.iter().all(|told| complaints.contains(told)), "{arguments:?}: {complaints}");
    };
    let ours = format!("op-a:{}", world.key("op-a"));
    fails(&ours, &[good], &["1 of the trace's 1 taxis", "--register --insee"]).await;
    fails(&ours, &[good, "--register", "--insee", "75999"], &["/ads", "75999"]).await;
    fails(&ours, &[good, "--register"], &["--insee"]).await;
    fails(&ours, &[good, "--speed", "0"], &["a number above 0"]).await;
    fails(&ours, &[good, "--max-rate", "0"], &["1..=1000000"]).await;
    fails(&ours, &[good, "--protocol", "3"], &["1 (JSON) or 2 (compact)"]).await;
    fails(&ours, &[good, "--status", "busy"], &["free, occupied or off"]).await;
    fails(&ours, &[bad.to_str().unwrap()], &["bad.csv", "no column taxi_id"]).await;
    fails(&ours, &[empty.to_str().unwrap()], &["empty.csv", "no position to send, of 1 rows"]).await;
    fails(&ours, &["missing.csv"], &["missing.csv"]).await;
    fails(&format!("op-b:{}", world.key("op-a")), &[good], &["key given for op-b is the key of op-a"]).await;
    fails("op-a:wrong", &[good], &["401"]).await;
}

async fn an_operator_reads_what_came_of_its_datagrams(world: &mut World) {
    let taxi = world.register("op-a", 1, MIDDLE).await;
    let device = Device::new(world, "op-a");
    device.send(0, &taxi, 48.85);
    device.send(0, "nobody's", 48.85);
    let read = async |account: &str| world.client.get(world.key(account), "/operators/me/positions").await;
    let counted = async || Some(read("op-a").await.element(200)).filter(|c| c["refused"] != json!({}));
    let counts = within(SOON, "both datagrams", counted).await;
    let expected = json!({"operator": "op-a", "since": "2026-09-21T14:13:20", "accepted": 1, "compact": 0,
                          "refused": {"unknown_taxi": 1}, "dropped_by_kernel": 0,
                          "ages": {"up_to_5_s": 0, "up_to_15_s": 0, "up_to_60_s": 0, "over_60_s": 1}});
    assert_eq!(counts, expected);
    let other = read("op-b").await.element(200);
    assert_eq!((&other["accepted"], &other["refused"]), (&json!(0), &json!({})), "nobody sees another's");
    assert_eq!(read("app").await.status, 403);
    assert_eq!(
        world
            .client
            .http
            .get(format!("{}/operators/me/positions", world.client.base))
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
}

fn file(world: &World, text: &str) -> PathBuf {
    let path = world.folder().join("trace.csv");
    std::fs::write(&path, text).unwrap();
    path
}

fn addresses(world: &World) -> (String, String) {
    (format!("http://{}", world.server().http), world.server().udp.unwrap().to_string())
}

fn command(world: &World, operator: &str, arguments: &[&str], json: bool) -> std::process::Command {
    let (server, udp) = addresses(world);
    let mut command = world.program().command(&[&["replay"][..], arguments].concat());
    command.args(["--server", &server, "--operator", &format!("{operator}:{}", world.key(operator))]);
    if !arguments.contains(&"--positions") {
        command.args(["--positions", &udp]);
    }
    if json {
        command.arg("--json");
    }
    command
}

fn start(world: &World, operator: &str, arguments: &[&str]) -> Running {
    Running::start(&mut command(world, operator, arguments, true))
}

/// The account that a run ends with.
async fn end(running: &mut Running) -> Value {
    let status = running.end().await;
    let out = running.rest().await;
    assert!(status.success(), "{status} {out}");
    serde_json::from_str(&out).unwrap()
}
