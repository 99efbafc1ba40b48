//! Distances and covers against the geodesic, everywhere on Earth.

#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::HashSet;

use engine::cover;
use engine::disk::Disk;
use engine::distance::{Origin, Point, distance_m};
use engine::geo::{self, Destination, Distance, Geodesic};
use ingest::position::{LatLon, MAX_REPORTABLE_LAT};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

fn at(point: geo::Point) -> LatLon {
    LatLon::new(point.y().clamp(-90.0, 90.0), point.x().clamp(-180.0, 180.0)).unwrap()
}

fn geo_point(at: LatLon) -> geo::Point {
    geo::Point::new(at.lon(), at.lat())
}

/// Uniform on the sphere.
fn anywhere(random: &mut SmallRng) -> LatLon {
    let lat: f64 = random.random_range(-1.0_f64..=1.0).asin().to_degrees();
    LatLon::new(lat, random.random_range(-180.0..=180.0)).unwrap()
}

/// A point at most `radius_m` away.
fn around(from: LatLon, radius_m: f64, random: &mut SmallRng) -> LatLon {
    // Half of them at the rim, where covers fail first.
    let share: f64 = if random.random() { 0.999_99 } else { random.random_range(0.0_f64..1.0).sqrt() };
    at(Geodesic.destination(geo_point(from), random.random_range(0.0..360.0), radius_m * share))
}

/// The places where grids and formulas break: poles, antimeridian, cells that double, and what is near them.
fn odd_places(random: &mut SmallRng) -> Vec<LatLon> {
    let mut places = Vec::new();
    for (lat, lon) in
        [(90.0, 0.0), (90.0, 77.7), (-90.0, 0.0), (-90.0, -180.0), (89.999, 10.0), (-89.99, 180.0)]
    {
        places.push(LatLon::new(lat, lon).unwrap());
    }
    for lat in [-84.0, -16.8, 0.0, 0.000_1, 51.9, 65.0] {
        places.extend([180.0, -180.0, 179.999_999_9, -179.999_9].map(|lon| LatLon::new(lat, lon).unwrap()));
    }
    // Where cells double their width.
    for lat in [60.003, 75.523_5, 82.822_5, 86.418, 88.213_5] {
        places.extend([lat, -lat].map(|lat| LatLon::new(lat, 77.7).unwrap()));
    }
    let near = |&place: &LatLon| [around(place, 300.0, random), around(place, 3_000.0, random)];
    places.extend(places.iter().flat_map(near).collect::<Vec<_>>());
    places
}

#[test]
fn the_chord_is_the_geodesic_up_to_five_kilometres() {
    let mut random = SmallRng::seed_from_u64(1);
    let mut places = odd_places(&mut random);
    places.extend((0..2_000).map(|_| anywhere(&mut random)));
    for from in places {
        for reach_m in [0.5, 30.0, 500.0, 1_000.0, 5_000.0] {
            let to = around(from, reach_m, &mut random);
            let geodesic_m = Geodesic.distance(geo_point(from), geo_point(to));
            let off_m = (distance_m(from, to) - geodesic_m).abs();
            let straight_m = Point::from(from).distance_m(Point::from(to));
            assert!((distance_m(from, to) - straight_m).abs() < 1e-7, "{from:?} to {to:?}: {straight_m} m");
            // d^3 / 24 R^2, and what rounding makes of coordinates of 6,400 km.
            let may_be_off_m = geodesic_m.powi(3) / (24.0 * 6.3e6_f64.powi(2)) + 1e-7;
            assert!(off_m <= may_be_off_m, "{from:?} to {to:?}: {geodesic_m} m, off by {off_m} m");
        }
    }
}

#[test]
fn one_point_of_two_names_is_at_no_distance() {
    let named = |a: (f64, f64), b: (f64, f64)| {
        distance_m(LatLon::new(a.0, a.1).unwrap(), LatLon::new(b.0, b.1).unwrap())
    };
    assert!(named((16.5, 180.0), (16.5, -180.0)) < 1e-6);
    assert!(named((90.0, 12.0), (90.0, -120.0)) < 1e-6);
    assert!(named((-90.0, 0.0), (-90.0, 180.0)) < 1e-6);
}

#[test]
fn whatever_is_within_the_radius_may_be_in_the_disk() {
    let mut random = SmallRng::seed_from_u64(2);
    let mut places = odd_places(&mut random);
    places.extend((0..20_000).map(|_| anywhere(&mut random)));
    for centre in places {
        let (origin, radius_m) = (Origin::new(centre), random.random_range(0.0..6_000.0));
        let disk = Disk::around(centre, radius_m);
        for _ in 0..20 {
            let point = around(centre, radius_m, &mut random);
            let is_in = origin.distance_m(point) <= radius_m;
            assert!(
                !is_in || disk.may_hold([(point.lat_e7(), point.lon_e7())]) == 1,
                "{centre:?}: {point:?}"
            );
        }
        for nobody in [(i32::MIN, i32::MIN), (i32::MAX, i32::MAX)] {
            assert!(disk.may_hold([nobody]) == 0, "{centre:?}: nowhere");
        }
    }
}

#[test]
fn few_who_are_without_may_be_in_the_disk() {
    for lat in [0.0, 43.0, 49.0, -21.0, 60.0, 85.0] {
        let centre = LatLon::new(lat, 5.0).unwrap();
        let disk = Disk::around(centre, 1_000.0);
        for bearing in 0..360 {
            let beyond = Geodesic.destination(geo_point(centre), f64::from(bearing), 1_012.0);
            let beyond = at(beyond);
            assert!(disk.may_hold([(beyond.lat_e7(), beyond.lon_e7())]) == 0, "{centre:?}: {beyond:?}");
        }
    }
}

#[test]
fn a_cover_holds_every_point_of_the_disk() {
    let mut random = SmallRng::seed_from_u64(4);
    let mut places = odd_places(&mut random);
    places.extend((0..200).map(|_| anywhere(&mut random)));
    for centre in places {
        for (radius_m, at_most) in [(0.0, 4), (150.0, 9), (500.0, 20), (1_000.0, 46), (5_000.0, 700)] {
            let cells = cover::cells(&Disk::around(centre, radius_m));
            let distinct: HashSet<_> = cells.iter().copied().collect();
            assert_eq!(distinct.len(), cells.len(), "{centre:?}: a cell twice");
            let is_reportable = centre.lat().abs() <= MAX_REPORTABLE_LAT;
            assert!(!is_reportable || cells.len() <= at_most, "{centre:?}: {} for {radius_m} m", cells.len());
            for _ in 0..100 {
                let point = around(centre, radius_m, &mut random);
                let covered = distinct.contains(&cover::cell_at(point));
                assert!(covered, "{centre:?}, {radius_m} m: {point:?} is in no cell of the cover");
            }
        }
    }
}
