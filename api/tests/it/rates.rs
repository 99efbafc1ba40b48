//! How often an account may ask: what it is told, and whom it concerns.

use api::openapi::document;
use api::router::routes;
use serde_json::json;

use crate::harness::client::Answer;
use crate::metrics::scrape;
use crate::world::World;

on_each_database!(
    a_limited_account_is_told_what_is_left_and_when_to_come_again,
    who_acts_for_another_uses_its_own,
    nobody_is_limited_by_default,
);

const SEARCH: &str = "/taxis?lon=2.35&lat=48.83";

/// Of an answer: limit, remaining, reset; None where none of them is told.
fn told(answer: &Answer) -> Option<[u64; 3]> {
    let names = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
    let number = |name| answer.headers.get(name).map(|value| value.to_str().unwrap().parse::<u64>().unwrap());
    let [Some(limit), Some(remaining), Some(reset)] = names.map(number) else {
        assert_eq!(names.map(number), [None; 3], "all of them or none");
        return None;
    };
    Some([limit, remaining, reset])
}

async fn start(world: &mut World, limits: &str) {
    world.stop().await;
    world
        .start_as(|config| {
            config.rate_limits = limits.parse().unwrap();
            config.behaviour.integration_account = Some("op-b".to_owned());
        })
        .await;
}

async fn search(world: &World, account: &str) -> Answer {
    world.client.get(world.key(account), SEARCH).await
}

async fn a_limited_account_is_told_what_is_left_and_when_to_come_again(world: &mut World) {
    start(world, "moteur=6/m:4").await;
    let first = search(world, "app").await;
    assert_eq!((first.status, told(&first)), (200, Some([4, 3, 10])));
    for (path, status, left) in [("/taxis?lon=x", 400, 2), ("/users/0", 404, 1), ("/drivers", 405, 1)] {
        let bad = world.client.get(world.key("app"), path).await;
        let left = (status != 405).then_some([4, left, 10]);
        assert_eq!((bad.status, told(&bad)), (status, left), "{path}: {bad:?}");
    }
    assert_eq!(told(&search(world, "app").await), Some([4, 0, 10]));
    world.clock.advance(3_500);
    let refused = search(world, "app").await;
    let message = "Too many requests with this key. Please repeat this one after Retry-After seconds.";
    assert_eq!((refused.status, &refused.body), (429, &json!({"errors": {"": [message]}})));
    assert_eq!((told(&refused), &refused.headers["retry-after"]), (Some([4, 0, 7]), &"7".parse().unwrap()));

    let other = search(world, "other-app").await;
    assert_eq!((other.status, told(&other)), (200, Some([4, 3, 10])), "a bucket of its own");
    let operator = search(world, "op-a").await;
    assert_eq!((operator.status, told(&operator)), (200, None), "a role without a limit");
    let wrong = world.client.get("no such key", SEARCH).await;
    assert_eq!((wrong.status, told(&wrong)), (401, None));

    world.clock.advance(7_000);
    let again = search(world, "app").await;
    assert_eq!((again.status, told(&again)), (200, Some([4, 0, 10])));
    let throttled = scrape(world).await.value("maraude_http_throttled_total", &[("role", "moteur")]);
    assert!((throttled - 1.0).abs() < f64::EPSILON, "{throttled}");
}

async fn who_acts_for_another_uses_its_own(world: &mut World) {
    start(world, "moteur=1/m:2,operateur=1/m:9").await;
    let log_as = async |account: &str, email: &str| {
        let request = world.client.http.get(format!("{}{SEARCH}", world.client.base));
        Answer::of(request.header("X-Api-Key", world.key(account)).header("X-Logas", email)).await.unwrap()
    };
    for _ in 0..3 {
        let free = log_as("admin", "app").await;
        assert_eq!((free.status, told(&free)), (200, None), "nobody named administrators");
    }
    let lent = log_as("app", "op-b").await;
    assert_eq!((lent.status, told(&lent)), (200, Some([2, 1, 60])));
    let guess = log_as("app", "op-a").await;
    assert_eq!((guess.status, told(&guess)), (401, Some([2, 0, 60])));
    assert_eq!(log_as("app", "op-b").await.status, 429);
    assert_eq!(search(world, "app").await.status, 429);
    assert_eq!(told(&search(world, "op-b").await), Some([9, 8, 60]), "the account that was lent");
}

async fn nobody_is_limited_by_default(world: &mut World) {
    for _ in 0..100 {
        let answer = search(world, "app").await;
        assert_eq!((answer.status, told(&answer)), (200, None));
    }
}

#[test]
fn every_operation_with_a_key_describes_it() {
    let (_, registered) = routes().finish();
    let document = document::of(&registered);
    for registered in registered {
        let described = &document["paths"][registered.path][registered.method];
        let has_key = described.get("security").is_some();
        let name = format!("{} {}", registered.method, registered.path);
        let throttled = described["responses"].get("429").is_some() && registered.path != "/internal/auth";
        assert_eq!(throttled, has_key, "{name}");
        let good =
            described["responses"].as_object().unwrap().iter().find(|(status, _)| status.starts_with('2'));
        let headers = &good.unwrap().1["headers"];
        assert_eq!(headers.get("RateLimit-Remaining").is_some(), has_key, "{name}: {headers}");
    }
    assert_eq!(document["components"]["headers"].as_object().unwrap().len(), 3);
}
