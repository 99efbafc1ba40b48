//! The engine by example, one rule a test.

#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use engine::profile::{Description, Profile, Status};
use engine::territory::Insee;
use engine::{Engine, Fix, Hit, Search, Seen};
use ingest::clock::Millis;
use ingest::position::{LatLon, OperatorKey, Order, SourceKey, TaxiKey};

const NOW: Millis = Millis(1_764_000_000_000);

fn paris() -> Insee {
    "75056".parse().unwrap()
}

fn source(taxi: u32, operator: u32) -> SourceKey {
    SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(operator) }
}

fn at(lat: f64, lon: f64) -> LatLon {
    LatLon::new(lat, lon).unwrap()
}

fn fix(taxi: u32, operator: u32, at: LatLon, age_ms: i64) -> Fix {
    let order = Order { received_at: NOW.plus(-age_ms), device_at: None };
    Fix { source: source(taxi, operator), at, order }
}

fn describe(engine: &Engine, taxi: u32, descriptions: &[(u32, Status)]) {
    let descriptions = descriptions
        .iter()
        .map(|&(operator, status)| Description { operator: OperatorKey(operator), status, radius_m: None })
        .collect();
    engine.profiles().put(TaxiKey(taxi), 1, Profile { ads_town: paris(), descriptions, trial_for: None });
}

fn search(engine: &Engine, radius_m: f64, operator: Option<u32>) -> Vec<Hit> {
    let towns = [paris()];
    let operator = operator.map(OperatorKey);
    let search =
        Search { customer: at(48.86, 2.35), radius_m, now: NOW, towns: &towns, operator, account: None };
    engine.nearest(&search, usize::MAX, |_| true)
}

fn taxis(hits: &[Hit]) -> Vec<u32> {
    hits.iter().map(|hit| hit.source.taxi.0).collect()
}

#[test]
fn a_free_fresh_allowed_taxi_is_found_nearest_first() {
    let engine = Engine::start(2);
    for taxi in 1..=3 {
        describe(&engine, taxi, &[(1, Status::Free)]);
    }
    engine.apply(&[
        fix(1, 1, at(48.868, 2.35), 0),
        fix(2, 1, at(48.861, 2.35), 119_999),
        fix(3, 1, at(48.8605, 2.35), 120_000),
    ]);
    engine.settle();
    let hits = search(&engine, 1_000.0, None);
    assert_eq!(taxis(&hits), [2, 1], "the third is stale by a millisecond");
    assert!((hits[0].distance_m - 111.2).abs() < 0.1, "{}", hits[0].distance_m);
    assert_eq!((hits[0].received_at, hits[0].reach_m), (NOW.plus(-119_999), 500));
    assert!(hits[0].within_reach() && !hits[1].within_reach());
    assert_eq!(taxis(&search(&engine, 800.0, None)), [2]);
}

#[test]
fn what_the_registry_does_not_offer_is_not_found() {
    let engine = Engine::start(1);
    engine.apply(&[fix(1, 1, at(48.86, 2.35), 0)]);
    engine.settle();
    assert_eq!(taxis(&search(&engine, 500.0, None)), [0; 0], "no profile");
    for status in Status::ALL {
        describe(&engine, 1, &[(1, status)]);
        assert_eq!(search(&engine, 500.0, None).len(), usize::from(status == Status::Free), "{status}");
    }
    let elsewhere: Insee = "13055".parse().unwrap();
    let descriptions =
        Box::new([Description { operator: OperatorKey(1), status: Status::Free, radius_m: None }]);
    engine.profiles().put(TaxiKey(1), 2, Profile { ads_town: elsewhere, descriptions, trial_for: None });
    assert_eq!(taxis(&search(&engine, 500.0, None)), [0; 0], "another town's licence");
}

#[test]
fn of_two_operators_the_one_heard_last_counts_even_outside() {
    let engine = Engine::start(3);
    describe(&engine, 1, &[(1, Status::Free), (2, Status::Free)]);
    let (near, far) = (at(48.861, 2.35), at(48.90, 2.35));
    engine.apply(&[fix(1, 1, near, 50), fix(1, 2, far, 60)]);
    engine.settle();
    assert_eq!(search(&engine, 500.0, None)[0].source, source(1, 1));
    engine.apply(&[fix(1, 2, far, 50)]);
    engine.settle();
    assert_eq!(search(&engine, 500.0, None), [], "in a tie the greater key counts, and it is outside");
    assert_eq!(search(&engine, 500.0, Some(1))[0].source, source(1, 1), "only operator 1 competes");
    describe(&engine, 1, &[(1, Status::Free), (2, Status::Off)]);
    assert_eq!(search(&engine, 500.0, None)[0].source, source(1, 1), "only the free compete");
}

#[test]
fn taxis_at_one_place_come_in_the_order_of_their_keys() {
    let engine = Engine::start(3);
    let mut fixes: Vec<Fix> = (0..100).map(|taxi| fix(taxi, 1, at(48.861, 2.35), 0)).collect();
    fixes.rotate_left(37);
    for taxi in 0..100 {
        describe(&engine, taxi, &[(1, Status::Free)]);
    }
    engine.apply(&fixes);
    engine.settle();
    assert_eq!(taxis(&search(&engine, 500.0, None)), (0..100).collect::<Vec<_>>());
}

#[test]
fn get_knows_the_last_shown_fix_however_old() {
    let engine = Engine::start(2);
    let (here, there) = (at(48.86, 2.35), at(-21.0, 55.5));
    engine.apply(&[fix(7, 1, here, 500_000), fix(7, 1, there, 600_000)]);
    engine.settle();
    let shown = Some(Seen { at: here, received_at: NOW.plus(-500_000) });
    assert_eq!(engine.get(source(7, 1)), shown, "the older one gave way");
    assert_eq!(engine.get(source(7, 2)), None);
    engine.sweep(NOW);
    assert_eq!((engine.get(source(7, 1)), engine.online()), (shown, 0));
}

#[test]
fn a_sweep_counts_and_a_new_fix_brings_back() {
    let engine = Engine::start(2);
    describe(&engine, 1, &[(1, Status::Free)]);
    describe(&engine, 2, &[(1, Status::Free)]);
    engine.apply(&[fix(1, 1, at(48.86, 2.35), 119_999), fix(2, 1, at(48.86, 2.35), 120_000)]);
    engine.sweep(NOW);
    assert_eq!((engine.online(), taxis(&search(&engine, 500.0, None))), (1, vec![1]));
    engine.sweep(NOW.plus(1));
    engine.apply(&[fix(1, 1, at(48.86, 2.35), 10), fix(2, 1, at(48.861, 2.35), 10)]);
    engine.sweep(NOW.plus(2));
    assert_eq!((engine.online(), taxis(&search(&engine, 500.0, None))), (2, vec![1, 2]));
}

#[test]
fn a_dump_holds_every_source_received_since() {
    let engine = Engine::start(3);
    let all: Vec<Fix> = (0..100).map(|taxi| fix(taxi, 1, at(48.86, 2.35), i64::from(taxi))).collect();
    engine.apply(&all);
    let mut dumped = engine.dump(NOW.plus(-49));
    dumped.sort_by_key(|fix| fix.source);
    assert_eq!(dumped, all[..50]);
}

#[test]
fn the_last_handle_dropped_stops_the_writers() {
    let engine = Engine::start(2);
    let other = engine.clone();
    drop(engine);
    assert!(other.is_alive());
    other.apply(&[fix(1, 1, at(48.86, 2.35), 0)]);
    other.settle();
    assert!(other.get(source(1, 1)).is_some());
    drop(other); // joins: the test would hang
}

#[test]
fn what_the_registry_changes_holds_for_the_next_search() {
    let engine = Engine::start(2);
    let place = at(48.8601, 2.35);
    let put = |version, descriptions: &[(u32, Status)]| {
        let descriptions = descriptions.iter().map(|&(operator, status)| Description {
            operator: OperatorKey(operator),
            status,
            radius_m: Some(300),
        });
        let profile = Profile { ads_town: paris(), descriptions: descriptions.collect(), trial_for: None };
        engine.profiles().put(TaxiKey(1), version, profile)
    };
    let found = || search(&engine, 500.0, None).iter().map(|hit| hit.source.operator.0).collect::<Vec<_>>();
    engine.apply(&[fix(1, 1, place, 10), fix(1, 2, place, 20)]);
    engine.settle();
    assert_eq!(found(), [0; 0], "nobody describes it");
    assert!(put(1, &[(1, Status::Free)]));
    assert_eq!(found(), [1]);
    assert_eq!(search(&engine, 500.0, None)[0].reach_m, 300);
    assert!(put(3, &[(2, Status::Free)]));
    assert_eq!(found(), [2], "the first operator no longer describes it");
    assert!(put(4, &[(1, Status::Free), (2, Status::Free)]));
    assert_eq!(found(), [1], "heard last");
    assert!(put(5, &[(1, Status::Occupied), (2, Status::Free)]));
    assert_eq!(found(), [2]);
    assert!(!put(2, &[(1, Status::Free)]), "an older word");
    assert_eq!(found(), [2]);
    let reading = engine.profiles().begin_reading();
    let profile = engine.profiles().get(&TaxiKey(1)).unwrap();
    let moved = Profile { ads_town: "13055".parse().unwrap(), ..profile };
    engine.profiles().put_read(&reading, TaxiKey(1), 6, moved);
    engine.profiles().finish_reading(&reading);
    assert_eq!(found(), [0; 0], "its ADS is of another town");
    assert!(put(7, &[(1, Status::Free)]));
    assert_eq!(found(), [1]);
    let reading = engine.profiles().begin_reading();
    engine.profiles().finish_reading(&reading);
    assert_eq!(found(), [0; 0], "its row is gone");
    describe(&engine, 2, &[(1, Status::Free)]);
    engine.apply(&[fix(2, 1, place, 0)]);
    engine.settle();
    assert_eq!(taxis(&search(&engine, 500.0, None)), [2], "described before it was heard");
    assert!(engine.profiles().remove(TaxiKey(2), 2));
    assert_eq!(found(), [0; 0]);
}
