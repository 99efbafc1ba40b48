//! Searches while everybody moves: nobody inside the disk is missed, nobody is where nobody put them.

#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::{BTreeMap, HashSet};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::epoch;
use engine::cover;
use engine::engine::Room;
use engine::geo::{self, Destination, Geodesic};
use engine::profile::{Description, Profile, Status};
use engine::territory::Insee;
use engine::window::Window;
use engine::{Engine, Fix, Search, Seen};
use ingest::clock::Millis;
use ingest::counter::{Counter, Flag};
use ingest::position::{LatLon, OperatorKey, Order, SourceKey, TaxiKey};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const NOW: Millis = Millis(1_764_000_000_000);
const RADIUS_M: f64 = 1_000.0;
/// Every third of these has two operators.
const INSIDE: u32 = 60;
/// These jump into the disk and out of it.
const ROAMING: u32 = 20;
/// Where each may be.
const PLACES: usize = 16;
const READERS: usize = 3;
const SEARCHES: usize = 1_500;

fn paris() -> LatLon {
    LatLon::new(48.8566, 2.3522).unwrap()
}

fn town() -> Insee {
    "75056".parse().unwrap()
}

fn operators(taxi: u32) -> u32 {
    if taxi.is_multiple_of(3) { 2 } else { 1 }
}

/// Where a taxi may be: its own places, which nobody else is ever put at.
fn places(random: &mut SmallRng, within_m: f64) -> Vec<LatLon> {
    let place = |random: &mut SmallRng| {
        let metres = within_m * random.random_range(0.0_f64..1.0).sqrt();
        let centre = geo::Point::new(paris().lon(), paris().lat());
        let to = Geodesic.destination(centre, random.random_range(0.0..360.0), metres);
        LatLon::new(to.y(), to.x()).unwrap()
    };
    (0..PLACES).map(|_| place(random)).collect()
}

struct World {
    engine: Engine,
    places: Vec<Vec<LatLon>>,
    stop: Flag,
}

impl World {
    fn new(shards: usize) -> Self {
        let mut random = SmallRng::seed_from_u64(7);
        let within = |taxi| if taxi < INSIDE { 0.99 * RADIUS_M } else { 3.0 * RADIUS_M };
        let places: Vec<_> = (0..INSIDE + ROAMING).map(|taxi| places(&mut random, within(taxi))).collect();
        let all: HashSet<LatLon> = places.iter().flatten().copied().collect();
        assert_eq!(
            all.len(),
            places.iter().map(Vec::len).sum::<usize>(),
            "a place of two taxis proves nothing"
        );
        let world = Self { engine: Engine::start(shards), places, stop: Flag::default() };
        for taxi in 0..INSIDE + ROAMING {
            let described = |operator| Description { operator, status: Status::Free, radius_m: None };
            let descriptions = (0..operators(taxi)).map(OperatorKey).map(described).collect();
            let profile = Profile { ads_town: town(), descriptions, trial_for: None };
            world.engine.profiles().put(TaxiKey(taxi), 1, profile);
        }
        world.engine.apply(&world.moves(0, 0..INSIDE + ROAMING, &mut random));
        world.engine.settle();
        world
    }

    /// One move of each source of these taxis, each to any of its places.
    fn moves(&self, round: i64, taxis: impl Iterator<Item = u32>, random: &mut SmallRng) -> Vec<Fix> {
        let order = Order { received_at: NOW.plus(round.min(60_000)), device_at: None };
        let sources = taxis.flat_map(|taxi| (0..operators(taxi)).map(move |operator| (taxi, operator)));
        sources
            .map(|(taxi, operator)| {
                let places = &self.places[taxi as usize];
                let source = SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(operator) };
                Fix { source, at: places[random.random_range(0..places.len())], order }
            })
            .collect()
    }

    /// Moves every taxi whose key leaves `half` as the rest of a division by two, so many times at once, until told to
    /// stop.
    fn write(&self, half: u32, times: u32) {
        let mut random = SmallRng::seed_from_u64(u64::from(half));
        let mut round = 0;
        while !self.stop.is_raised() {
            round += 1;
            let half = (0..INSIDE + ROAMING).filter(|taxi| taxi % 2 == half);
            let moves = (0..times).flat_map(|_| self.moves(round, half.clone(), &mut random));
            self.engine.apply(&moves.collect::<Vec<_>>());
            if round % 16 == 0 {
                self.engine.sweep(NOW.plus(60_000));
            }
        }
    }

    fn read(&self) {
        let towns = [town()];
        let (customer, now) = (paris(), NOW.plus(60_000));
        let search =
            Search { customer, radius_m: RADIUS_M, now, towns: &towns, operator: None, account: None };
        for number in 0..SEARCHES {
            let hits = self.engine.nearby(&search);
            let mut times = BTreeMap::new();
            for hit in hits {
                let taxi = hit.source.taxi.0;
                assert!(
                    self.places[taxi as usize].contains(&hit.at),
                    "search {number}: {hit:?} was never there"
                );
                *times.entry(taxi).or_insert(0) += 1;
            }
            assert!(times.values().all(|&times| times == 1), "search {number}: {times:?}");
            for taxi in 0..INSIDE {
                assert!(times.contains_key(&taxi), "search {number} misses taxi {taxi}");
            }
        }
    }

    fn run(&self, times: u32) {
        /// Raised however the readers end, or writers would outlive a failure and the test hang.
        struct Raise<'a>(&'a Flag);
        impl Drop for Raise<'_> {
            fn drop(&mut self) {
                self.0.raise();
            }
        }
        let start = Barrier::new(READERS + 2);
        thread::scope(|scope| {
            for half in 0..2 {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    self.write(half, times);
                });
            }
            let read = || {
                start.wait();
                self.read();
            };
            let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
            let _raise = Raise(&self.stop);
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }
}

#[test]
fn nobody_inside_is_missed_with_one_writer() {
    World::new(1).run(1);
}

#[test]
fn nobody_inside_is_missed_with_three_writers() {
    World::new(3).run(1);
}

#[test]
fn nobody_inside_is_missed_who_hops_again_and_again_at_once() {
    World::new(2).run(3 * u32::try_from(PLACES).unwrap());
}

/// Waits, by rounds of the writers, until what waited to die has died.
fn room_once(engine: &Engine, small: impl Fn(Room) -> bool) -> Room {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !small(engine.room()) && Instant::now() < deadline {
        engine.settle();
    }
    engine.room()
}

#[test]
fn endless_moves_leave_no_trace() {
    let world = World::new(2);
    let mut random = SmallRng::seed_from_u64(9);
    let sources = world.moves(0, 0..INSIDE + ROAMING, &mut random).len();
    // However long deaths wait, a source has one entry in a cell, and a block twice the room of what it held
    // when it was made.
    let most = 2 * sources * PLACES;
    for round in 1..3_000 {
        let moves = world.moves(round, 0..INSIDE + ROAMING, &mut random);
        world.engine.apply(&moves);
        if round % 100 == 0 {
            world.engine.settle();
            let room = world.engine.room();
            let least = engine::block::MIN_CAPACITY * room.cells;
            assert!(room.entries <= most + least, "round {round}: {room:?} for {sources} sources");
        }
    }
}

#[test]
fn a_window_counts_once_who_moves_in_it_and_stops_where_there_are_too_many() {
    let engine = Engine::start(1);
    let at = |step: u32| LatLon::new(48.8 + f64::from(step) / 100.0, 2.0).unwrap();
    let fix = |taxi: u32, step: u32| {
        let source = SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(0) };
        Fix { source, at: at(step), order: Order { received_at: NOW, device_at: None } }
    };
    let (west, east) = (LatLon::new(48.7, 1.9).unwrap(), LatLon::new(48.9, 2.1).unwrap());
    let window = Window::new(west, east).unwrap();
    let within = |most| engine.within(&window, NOW, most, |_| true);
    // As long as this thread is pinned, whoever moves leaves an entry in each cell.
    let searching = epoch::pin();
    for step in 0..7 {
        engine.apply(&[fix(0, step)]);
    }
    engine.settle();
    assert_eq!(engine.room().cells, 7);
    assert_eq!(within(1), Some(vec![(fix(0, 0).source, Seen { at: at(6), received_at: NOW })]));
    assert_eq!(within(0), None);
    drop(searching);

    let stop = Flag::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut step = 0;
            while !stop.is_raised() {
                step += 1;
                engine.apply(&[fix(0, step % 7), fix(0, step % 5)]);
            }
        });
        let seen: Vec<_> = (0..SEARCHES).map(|_| within(1)).collect();
        stop.raise();
        for seen in seen {
            let [(source, Seen { at: seen, .. })] = seen.unwrap()[..] else { panic!("one, and it is there") };
            assert!(source.taxi == TaxiKey(0) && (0..7).any(|step| at(step) == seen), "{seen:?}");
        }
    });

    engine.apply(&(1..1_000).map(|taxi| fix(taxi, taxi % 7)).collect::<Vec<_>>());
    engine.settle();
    assert_eq!(within(1_000).map(|seen| seen.len()), Some(1_000));
    let asked = Counter::default();
    let found = engine.within(&window, NOW, 10, |_| {
        asked.add(1);
        true
    });
    assert!(found.is_none() && asked.get() < 200, "one cell of seven was enough: {}", asked.get());
}

#[test]
fn cells_that_everybody_left_go() {
    let engine = Engine::start(2);
    let fix = |taxi: u32, lat: f64, ms| {
        let source = SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(0) };
        let order = Order { received_at: NOW.plus(ms), device_at: None };
        Fix { source, at: LatLon::new(lat, 2.0).unwrap(), order }
    };
    // Everybody drives from Perpignan to Dunkirk, and every cell on the way is made and dropped.
    for step in 0..200 {
        let fixes: Vec<_> =
            (0..50).map(|taxi| fix(taxi, 42.7 + f64::from(step) / 25.0, i64::from(step))).collect();
        engine.apply(&fixes);
    }
    engine.settle();
    assert_ne!(cover::cell_at(fix(0, 42.7, 0).at), cover::cell_at(fix(0, 42.74, 0).at));
    let room = room_once(&engine, |room| room.cells <= 2);
    assert_eq!(room.cells, 2, "one cell in each shard: {room:?}");
    engine.sweep(NOW.plus(300_000));
    assert_eq!(room_once(&engine, |room| room.cells == 0), Room { cells: 0, entries: 0 });
    assert!(engine.get(fix(0, 0.0, 0).source).is_some());
}
