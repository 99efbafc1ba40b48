//! Taxis driven for hours.

use std::f64::consts::{FRAC_PI_2, PI};
use std::sync::Arc;

use geo::{MultiPolygon, polygon};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{SPEED_MAX_KMH, STEP_MAX_S, Status, Taxi, best_turn};
use crate::fleet::tests::{demo_town, demo_towns};
use crate::fleet::town::{Place, Town};

fn taxi(town: &Arc<Town>, rng: &mut StdRng) -> Taxi {
    let start = town.random_place(rng);
    Taxi::new(Arc::clone(town), start, None, rng)
}

#[test]
fn for_hours_it_stays_in_town_and_within_the_speed_limit() {
    let mut rng = StdRng::seed_from_u64(1);
    for town in demo_towns() {
        let (mut taxi, mut driven_m) = (taxi(&town, &mut rng), 0.0);
        for _ in 0..4 * 3600 {
            let (before, before_mps) = (taxi.place(), taxi.speed_mps);
            taxi.step(1.0, &mut rng);
            // No sports cars.
            assert!(taxi.speed_mps - before_mps < 1.51, "{before_mps} to {}", taxi.speed_mps);
            let metres = before.distance_m(taxi.place());
            // Rounding moves either end by up to 8 cm.
            assert!(metres < SPEED_MAX_KMH / 3.6 + 0.2, "{metres}");
            assert!((0.0..=SPEED_MAX_KMH).contains(&taxi.speed_kmh()));
            assert!(town.contains(taxi.place()), "{}: {:?}", town.name(), taxi);
            driven_m += metres;
        }
        // It works for its living: 5 to 25 km/h on average, stops, ranks and breaks included.
        assert!((20_000.0..100_000.0).contains(&driven_m), "{}: {driven_m}", town.name());
    }
}

#[test]
fn a_town_smaller_than_a_street_is_long_keeps_its_taxi_moving() {
    let lane = polygon![(x: 2.0, y: 48.0), (x: 2.0003, y: 48.0), (x: 2.0003, y: 48.01), (x: 2.0, y: 48.01)];
    // Three sides of a yard of 45 m, 15 m wide each.
    let yard = polygon![
        (x: 2.0, y: 48.0), (x: 2.0006, y: 48.0), (x: 2.0006, y: 48.0004), (x: 2.0004, y: 48.0004),
        (x: 2.0004, y: 48.00013), (x: 2.0002, y: 48.00013), (x: 2.0002, y: 48.0004), (x: 2.0, y: 48.0004),
    ];
    for (shape, reach) in [(lane, 0.005), (yard, 0.0003)] {
        let town = Arc::new(Town::new("00001", "La Ruelle", MultiPolygon(vec![shape])).unwrap());
        let mut rng = StdRng::seed_from_u64(2);
        let mut taxi = taxi(&town, &mut rng);
        // Having turned back, it can drive on: it stands for lights, customers and breaks, not for ever at a
        // wall.
        let (mut south, mut north, mut refused) = (f64::MAX, f64::MIN, 0);
        for _ in 0..20_000 {
            let before = taxi.place();
            taxi.step(1.0, &mut rng);
            assert!(town.contains(taxi.place()));
            (south, north) = (south.min(taxi.place().lat), north.max(taxi.place().lat));
            refused += u32::from(taxi.speed_mps > 0.0 && before == taxi.place());
        }
        assert!(north - south > reach, "it got stuck between {south} and {north}");
        assert!(refused < 6_000, "{refused}");
    }
}

#[test]
fn the_same_seed_drives_the_same_way() {
    let town = demo_town("69123");
    let drive = |seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut taxi = Taxi::new(Arc::clone(&town), town.centre(), None, &mut rng);
        (0..2_000).map(|_| (taxi.step(1.0, &mut rng), taxi.place())).collect::<Vec<_>>()
    };
    assert_eq!(drive(5), drive(5));
    assert_ne!(drive(5), drive(6));
}

#[test]
fn most_are_free_from_the_first_moment_on() {
    let (town, mut rng) = (demo_town("75056"), StdRng::seed_from_u64(3));
    let mut taxis: Vec<_> = (0..400).map(|_| taxi(&town, &mut rng)).collect();
    for minute in 0..61 {
        if minute % 15 == 0 {
            let count = |status| taxis.iter().filter(|taxi| taxi.status() == status).count();
            let counts = (count(Status::Free), count(Status::Occupied), count(Status::Off));
            assert!((216..296).contains(&counts.0), "minute {minute}: {counts:?}");
            assert!((84..172).contains(&counts.1), "minute {minute}: {counts:?}");
            assert!((3..40).contains(&counts.2), "minute {minute}: {counts:?}");
        }
        for taxi in &mut taxis {
            taxi.step(60.0, &mut rng);
        }
    }
}

#[test]
fn each_change_of_status_is_told_once_and_follows_the_last() {
    let mut rng = StdRng::seed_from_u64(4);
    let mut taxi = taxi(&demo_town("69266"), &mut rng);
    let (mut before, mut changes) = (taxi.status(), 0);
    for _ in 0..36_000 {
        let told = taxi.step(1.0, &mut rng);
        assert_eq!(told.unwrap_or(before), taxi.status());
        if let Some(after) = told {
            let legal = match before {
                Status::Free => after == Status::Occupied,
                Status::Occupied => after != Status::Occupied,
                Status::Off => after == Status::Free,
            };
            assert!(legal, "{before:?} to {after:?}");
            (before, changes) = (after, changes + 1);
        }
    }
    // Ten hours in cycles of 25 minutes.
    assert!((30..70).contains(&changes), "{changes}");
}

#[test]
fn turns_are_square_or_none() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut taxi = taxi(&demo_town("75056"), &mut rng);
    let (mut square, mut all) = (0, 0);
    for _ in 0..36_000 {
        let (before, was_far) = (taxi.heading_rad, taxi.at.distance_m(taxi.goal) > 300.0);
        taxi.step(1.0, &mut rng);
        let turn = (taxi.heading_rad - before + PI).rem_euclid(2.0 * PI) - PI;
        // The last street to a goal may bend.
        if turn != 0.0 && was_far && taxi.at.distance_m(taxi.goal) > 300.0 {
            all += 1;
            let near = |wanted: &f64| (turn - wanted).abs() < 0.13;
            square += u32::from([-PI, -FRAC_PI_2, 0.0, FRAC_PI_2, PI].iter().any(near));
        }
    }
    assert!(all > 300 && square * 100 > all * 98, "{square} of {all}");
}

#[test]
fn a_free_taxi_is_often_at_its_rank_and_stands_there() {
    let (town, mut rng) = (demo_town("69123"), StdRng::seed_from_u64(6));
    let rank = town.ranks()[0];
    let (mut free, mut there, mut standing) = (0, 0, 0);
    for _ in 0..20 {
        let mut taxi = Taxi::new(Arc::clone(&town), rank, Some(rank), &mut rng);
        for _ in 0..720 {
            taxi.step(10.0, &mut rng);
            if taxi.status() == Status::Free {
                free += 1;
                if taxi.place().distance_m(rank) < 50.0 {
                    there += 1;
                    standing += u32::from(taxi.speed_kmh() == 0.0);
                }
            }
        }
    }
    assert!(there * 10 > free * 3, "{there} of {free}");
    assert!(standing * 10 > there * 8, "{standing} of {there}");
}

#[test]
fn a_step_of_no_sense_passes_no_time_and_a_long_one_is_cut() {
    let town = demo_town("94080");
    let mut rng = StdRng::seed_from_u64(7);
    let mut taxi = Taxi::new(Arc::clone(&town), town.centre(), None, &mut rng);
    let before = format!("{taxi:?}");
    for dt_s in [0.0, -5.0, f64::NEG_INFINITY] {
        assert_eq!(taxi.step(dt_s, &mut rng), None);
    }
    assert_eq!(format!("{taxi:?}"), before);
    let (mut other, mut other_rng) = (taxi.clone(), StdRng::seed_from_u64(9));
    rng = StdRng::seed_from_u64(9);
    taxi.step(f64::INFINITY, &mut rng);
    other.step(STEP_MAX_S, &mut other_rng);
    assert_eq!(format!("{taxi:?}"), format!("{other:?}"));
}

#[test]
fn a_start_outside_becomes_the_centre() {
    let town = demo_town("94080");
    let mut rng = StdRng::seed_from_u64(8);
    let taxi = Taxi::new(Arc::clone(&town), Place { lat: 45.0, lon: 4.0 }, None, &mut rng);
    assert_eq!(taxi.place(), town.centre());
}

#[test]
fn the_best_turn_points_to_the_goal() {
    assert!(best_turn(0.1).abs() < 1e-9 && best_turn(-0.7).abs() < 1e-9);
    assert!((best_turn(1.0) - FRAC_PI_2).abs() < 1e-9 && (best_turn(PI - 0.1) - FRAC_PI_2).abs() < 1e-9);
    assert!((best_turn(-1.0) + FRAC_PI_2).abs() < 1e-9 && (best_turn(4.0) + FRAC_PI_2).abs() < 1e-9);
}
