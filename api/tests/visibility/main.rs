//! Whatever the world: a taxi is said to be visible exactly where a search finds it. Through the functions that the two
//! handlers call.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use api::visibility::{Condition, Ground};
use engine::distance::distance_m;
use engine::engine::{Engine, Fix, Hit};
use engine::geo::{MultiPolygon, Rect, coord};
use engine::profile::{Description, Profile, Status};
use engine::territory::{Exclusion, Insee, Territory, Town, Zupc};
use ingest::clock::{Clock, Millis};
use ingest::position::{LatLon, OperatorKey, Order, SourceKey, TaxiKey};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const NOW: Millis = Millis(1_790_000_000_000);
const TAXIS: u32 = 10;
const OPERATORS: u32 = 3;
/// Towns in a row and in a column; some places have none.
const SIDE: u32 = 3;
/// A town is so many degrees wide and high: some hundred metres.
const TOWN: f64 = 0.004;
/// Who searches: an account that no taxi is on trial for.
const ANYBODY: (Option<i32>, Option<OperatorKey>) = (Some(2), None);
const SOUTH_WEST: (f64, f64) = (48.85, 2.35);

/// A place: so many steps of a tenth of a town, so that borders are met.
type Steps = (u32, u32);

/// Its south-western corner, and its side in steps.
type Square = (Steps, u32);

#[derive(Clone, Debug)]
struct World {
    towns: BTreeSet<u32>,
    /// The towns of each, and for some a square of land of their own.
    zupcs: Vec<(BTreeSet<u32>, Option<Square>)>,
    exclusions: Vec<(Steps, u32)>,
    taxis: Vec<(u32, Vec<Described>)>,
    heard: Vec<Heard>,
    /// Of a trial.
    on_trial: BTreeSet<u32>,
    /// Without anything to show.
    hidden: BTreeSet<(u32, u32)>,
    /// How far the clock goes on before each look, and where from.
    looks: Vec<(i64, Vec<Steps>)>,
}

#[derive(Clone, Debug)]
struct Described {
    operator: u32,
    status: Status,
    radius_m: Option<u16>,
}

#[derive(Clone, Debug)]
struct Heard {
    taxi: u32,
    operator: u32,
    at: Steps,
    age_ms: i64,
}

fn steps() -> impl Strategy<Value = Steps> {
    // Half a town's width beyond the others on each side.
    (5..=SIDE * 10 + 15, 5..=SIDE * 10 + 15)
}

fn worlds() -> impl Strategy<Value = World> {
    let town = 0..SIDE * SIDE;
    let towns = prop::collection::btree_set(town.clone(), 5..=9);
    let land = prop::option::of((steps(), 5..15_u32));
    let zupcs = prop::collection::vec((prop::collection::btree_set(town.clone(), 1..5), land), 0..3);
    let exclusions = prop::collection::vec((steps(), 5..15_u32), 0..3);
    let status = prop_oneof![6 => Just(Status::Free), 1 => prop::sample::select(Status::ALL.to_vec())];
    let radius_m = prop::option::of(prop_oneof![Just(150_u16), Just(500), 150..=500_u16]);
    let described = (1..=OPERATORS, status, radius_m).prop_map(|(operator, status, radius_m)| Described {
        operator,
        status,
        radius_m,
    });
    let taxis = prop::collection::vec((town, prop::collection::vec(described, 1..4)), 5..=10);
    let age_ms =
        prop_oneof![3 => 0..4_i64, 1 => 0..1_000_i64, 2 => 118_000..121_000_i64, 1 => 119_999..=120_000_i64];
    let heard = (0..TAXIS, 1..=OPERATORS, steps(), age_ms).prop_map(|(taxi, operator, at, age_ms)| Heard {
        taxi,
        operator,
        at,
        age_ms,
    });
    let heard = prop::collection::vec(heard, 20..80);
    let on_trial = prop::collection::btree_set(0..TAXIS, 0..3);
    let hidden = prop::collection::btree_set((0..TAXIS, 1..=OPERATORS), 0..3);
    let later_ms = prop_oneof![Just(0), Just(1), 0..2_000_i64, 118_000..120_000_i64];
    let looks = prop::collection::vec((later_ms, prop::collection::vec(steps(), 6)), 1..4);
    (towns, zupcs, exclusions, taxis, heard, on_trial, hidden, looks).prop_map(
        |(towns, zupcs, exclusions, taxis, heard, on_trial, hidden, looks)| World {
            towns,
            zupcs,
            exclusions,
            taxis,
            heard,
            on_trial,
            hidden,
            looks,
        },
    )
}

#[test]
fn visible_means_found() {
    let seen = RefCell::new(BTreeMap::<String, u32>::new());
    let mut runner = TestRunner::new(Config { cases: 1_000, failure_persistence: None, ..Config::default() });
    runner.run(&worlds(), |world| check(&world, &seen)).unwrap();
    let seen = seen.into_inner();
    // Nothing is proved of what never happened. A taxi that is not known has no position either, and where there is no
    // town no ADS is good; a thousand taxis that crowd one out are tried elsewhere.
    let never_alone = [Condition::Registered, Condition::Town, Condition::Nearest];
    let alone = Condition::ALL.into_iter().filter(|one| !never_alone.contains(one));
    for what in alone.map(only_fails).chain(["visible".to_owned()]) {
        assert!(seen.get(&what).is_some_and(|count| *count > 20), "{what}: {seen:?}");
    }
}

fn only_fails(condition: Condition) -> String {
    format!("only {} fails", condition.name())
}

fn check(world: &World, seen: &RefCell<BTreeMap<String, u32>>) -> Result<(), TestCaseError> {
    let (territory, engine, clock) = (world.territory(), Engine::start(1), Clock::manual(NOW));
    let sources = world.describe(&engine);
    engine.apply(&world.heard.iter().map(Heard::fix).collect::<Vec<_>>());
    for (later_ms, customers) in &world.looks {
        clock.advance(*later_ms);
        engine.sweep(clock.now());
        engine.settle();
        for &customer in customers {
            let ground = Ground::at(&territory, place(customer));
            let now = clock.now();
            let hits = ground.look(&engine, now, ANYBODY, usize::MAX).offered;
            // The nearest so many are the first so many of all, by the distance that decides.
            prop_assert!(hits.is_sorted_by(|a, b| a.nearer(b).is_lt()));
            let exact_m = |hit: &Hit| distance_m(place(customer), hit.at);
            prop_assert!(hits.iter().all(|hit| hit.distance_m.total_cmp(&exact_m(hit)).is_eq()));
            for count in 0..hits.len() {
                prop_assert_eq!(&ground.look(&engine, now, ANYBODY, count).offered, &hits[..count]);
            }
            let mut found: Vec<_> = hits.iter().map(|hit| hit.source).collect();
            found.retain(|&source| world.is_known(source));
            for &source in &sources {
                let visibility = ground.visibility(&engine, now, source, world.is_known(source));
                let failed: Vec<_> =
                    Condition::ALL.into_iter().filter(|condition| !visibility.holds(*condition)).collect();
                prop_assert_eq!(
                    visibility.is_visible(),
                    found.contains(&source),
                    "{:?}: {:?}",
                    source,
                    failed
                );
                prop_assert_eq!(visibility.is_visible(), failed.is_empty());
                let what = match failed[..] {
                    [] => "visible".to_owned(),
                    [only] => only_fails(only),
                    _ => continue,
                };
                *seen.borrow_mut().entry(what).or_default() += 1;
            }
        }
    }
    Ok(())
}

impl World {
    fn territory(&self) -> Territory {
        let towns = self.towns.iter().map(|&number| {
            let south_west = (10 + number % SIDE * 10, 10 + number / SIDE * 10);
            Town { insee: insee(number), name: format!("Town {number}"), shape: square(south_west, 10) }
        });
        let zupcs = self.zupcs.iter().enumerate().map(|(number, (towns, land))| Zupc {
            id: number.to_string(),
            name: format!("Zone {number}"),
            area: land.map(|(south_west, side)| square(south_west, side)),
            allowed: towns.iter().map(|&town| insee(town)).collect(),
        });
        let exclusions = self.exclusions.iter().enumerate().map(|(number, &(south_west, side))| Exclusion {
            id: number.to_string(),
            name: format!("Exclusion {number}"),
            shape: square(south_west, side),
        });
        Territory::new(towns.collect(), zupcs.collect(), exclusions.collect())
    }

    /// Tells the engine of the taxis; gives every source, whether it is one or not.
    fn describe(&self, engine: &Engine) -> Vec<SourceKey> {
        for (taxi, (town, described)) in (0..).zip(&self.taxis) {
            let mut by_operator = BTreeMap::new();
            for Described { operator, status, radius_m } in described {
                let operator = OperatorKey(*operator);
                by_operator.insert(operator, Description { operator, status: *status, radius_m: *radius_m });
            }
            let descriptions = by_operator.into_values().collect();
            let trial_for = self.on_trial.contains(&taxi).then_some(1);
            let profile = Profile { ads_town: insee(*town), descriptions, trial_for };
            engine.profiles().put(TaxiKey(taxi), 1, profile);
        }
        let all = (0..TAXIS).flat_map(|taxi| (1..=OPERATORS).map(move |operator| (taxi, operator)));
        all.map(|(taxi, operator)| SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(operator) })
            .collect()
    }

    fn is_known(&self, source: SourceKey) -> bool {
        !self.hidden.contains(&(source.taxi.0, source.operator.0))
    }
}

impl Heard {
    fn fix(&self) -> Fix {
        let source = SourceKey { taxi: TaxiKey(self.taxi), operator: OperatorKey(self.operator) };
        let order = Order { received_at: NOW.plus(-self.age_ms), device_at: None };
        Fix { source, at: place(self.at), order }
    }
}

fn insee(town: u32) -> Insee {
    format!("7500{town}").parse().unwrap()
}

fn degrees((east, north): Steps) -> (f64, f64) {
    let step = TOWN / 10.0;
    (SOUTH_WEST.0 + f64::from(north) * step, SOUTH_WEST.1 + f64::from(east) * step)
}

fn place(steps: Steps) -> LatLon {
    let (lat, lon) = degrees(steps);
    LatLon::new(lat, lon).unwrap()
}

/// Its corners are where places are, to the last digit.
fn square(south_west: Steps, side: u32) -> MultiPolygon<f64> {
    let corner = |steps| {
        let at = place(steps);
        coord! { x: at.lon(), y: at.lat() }
    };
    let north_east = (south_west.0 + side, south_west.1 + side);
    MultiPolygon(vec![Rect::new(corner(south_west), corner(north_east)).to_polygon()])
}
