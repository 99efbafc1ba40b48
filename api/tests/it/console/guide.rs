//! The guide for partners: whatever it shows is sent, in the order of the page, and answered as it shows.

use std::net::UdpSocket;

use api::guide::{Datagram, Exchange, Known, Request, Side, chapters, filled, filled_in};
use reqwest::Method;
use serde_json::{Value, json};

use super::Browser;
use crate::events::Stream;
use crate::harness::client::Answer;
use crate::harness::wait::{SOON, within};
use crate::world::World;

on_each_database!(what_it_shows_is_answered_so);

/// Fields whose values are told, not only that there are some.
const EXACT: [&str; 8] =
    ["status", "from_status", "to_status", "visible", "passed", "accepted", "rating_ride", "errors"];

/// Whether an answer has all that is shown of it.
fn shows(shown: &Value, answer: &Value) -> Result<(), String> {
    match (shown, answer) {
        (Value::Object(shown), Value::Object(answer)) => shown.iter().try_for_each(|(name, value)| {
            let answered = answer.get(name).ok_or_else(|| format!("no {name} in {answer:?}"))?;
            if EXACT.contains(&name.as_str()) && value != answered {
                return Err(format!("{name} is {answered}, not {value}"));
            }
            shows(value, answered).map_err(|why| format!("{name}: {why}"))
        }),
        (Value::Array(shown), Value::Array(answer)) => match (shown.first(), answer.first()) {
            (Some(shown), Some(answer)) => shows(shown, answer),
            (None, _) => Ok(()),
            (Some(_), None) => Err("an empty list".to_owned()),
        },
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, Value::Null) => Ok(()),
        _ => Err(format!("{answer} is of another kind than {shown}")),
    }
}

#[test]
fn what_is_missing_or_otherwise_is_not_shown() {
    let answer = json!({"data": [{"id": "h", "status": "free", "more": 1}]});
    assert_eq!(shows(&json!({"data": [{"id": "x", "status": "free"}]}), &answer), Ok(()));
    for wrong in [
        json!({"status": "off"}),
        json!({"absent": 1}),
        json!({"id": 5}),
        json!({"id": {"of": "another kind"}}),
    ] {
        assert!(shows(&json!({"data": [wrong]}), &answer).is_err(), "{wrong}");
    }
}

fn account(side: Side) -> &'static str {
    match side {
        Side::Operator => "op-a",
        Side::App => "app",
    }
}

async fn ask(world: &World, request: &Request, known: &mut Known) {
    let method: Method = request.method.parse().unwrap();
    let url = format!("{}{}", world.client.base, filled(request.path, known));
    let mut asked =
        world.client.http.request(method, url).header("X-Api-Key", world.key(account(request.side)));
    if let Some(key) = request.idempotency_key {
        asked = asked.header("Idempotency-Key", key);
    }
    if let Some(element) = &request.element {
        asked = asked.json(&json!({"data": [filled_in(element, known)]}));
    }
    let answer = Answer::of(asked).await.unwrap();
    let what = format!("{} {}", request.method, request.path);
    assert_eq!(answer.status, request.status, "{what}: {answer:?}");
    match &request.answer {
        Some(shown) => shows(shown, &answer.body).unwrap_or_else(|why| panic!("{what}: {why}")),
        None => assert_eq!(answer.headers["content-length"], "0", "{what}"),
    }
    if let Some((name, pointer)) = request.tells {
        let told = answer.body.pointer(&format!("/data/0{pointer}")).and_then(Value::as_str).unwrap();
        known.insert(name, told.to_owned());
    }
}

async fn send(world: &World, datagram: &Datagram, known: &Known) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let text = datagram.signed(known, world.key("op-a"));
    socket.send_to(text.as_bytes(), world.server().udp.unwrap()).unwrap();
    let accepted = async || {
        let counts = world.client.get(world.key("op-a"), "/operators/me/positions").await.element(200);
        (counts["accepted"] == 1).then_some(())
    };
    within(SOON, "the datagram", accepted).await;
}

async fn what_it_shows_is_answered_so(world: &mut World) {
    let page = Browser::new(world).get("/doc/guide").await;
    page.says("<html lang=\"fr\">").says("Premiers pas d’un opérateur").says("<svg class=\"life\"");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
    for elsewhere in [" style=", "<style", "src=\"http", "href=\"http"] {
        assert!(!page.html.contains(elsewhere), "{elsewhere}");
    }
    Browser::new(world).get("/console").await.says("<a href=\"/doc/guide\">");

    let now_s = world.clock.now().seconds();
    let mut known: Known = [("operator", "op-a".to_owned()), ("now", now_s.to_string())].into();
    let (mut streams, mut shown) = (Vec::new(), 0);
    for step in chapters().iter().flat_map(|chapter| &chapter.steps) {
        let command = match &step.exchange {
            Exchange::Request(request) => {
                // What was reported is on the map a moment later.
                if let Some(taxi) = known.get("taxi").filter(|_| request.path.starts_with("/taxis?")) {
                    world.shown("op-a", taxi, (48.8566, 2.3522)).await;
                }
                // Nobody answers a hail before its operator is told.
                if let Some(hail) = known.get("hail").filter(|_| request.path.starts_with("/hails/")) {
                    let path = format!("/hails/{hail}");
                    let is_told = async || {
                        let hail = world.client.get(world.key("op-a"), &path).await.element(200);
                        (hail["status"] != "received").then_some(())
                    };
                    within(SOON, "the operator's call", is_told).await;
                }
                ask(world, request, &mut known).await;
                request.command()
            }
            Exchange::Datagram(datagram) => {
                send(world, datagram, &known).await;
                datagram.command()
            }
            Exchange::Stream(stream) => {
                let key = world.key(account(stream.side));
                streams
                    .push((Stream::begin(&world.client, key, stream.path, None).await, stream.event.clone()));
                stream.command()
            }
        };
        let command =
            command.replace('&', "&amp;").replace('"', "&quot;").replace('>', "&gt;").replace('<', "&lt;");
        assert!(page.html.contains(&command), "not on the page: {command}");
        shown += 1;
    }
    assert!(shown > 30, "{shown}");
    for (mut stream, event) in streams {
        let told = loop {
            let told = stream.next("hail").await;
            if told.data["to_status"] == event["to_status"] {
                break told;
            }
        };
        // The hail is as it is when its event is sent.
        let mut event = event;
        event["hail"]["status"] = told.data["hail"]["status"].clone();
        shows(&event, &told.data).unwrap();
    }
}
