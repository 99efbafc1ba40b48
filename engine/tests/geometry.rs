//! Distances and covers against the geodesic, everywhere on Earth.

#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::HashSet;

use engine::cover::{self, CIRCUMRADIUS_M, RESOLUTION};
use engine::distance::{Point, distance_m};
use engine::geo::{self, Destination, Distance, Geodesic};
use engine::heart::Heart;
use h3o::{CellIndex, LatLng};
use ingest::position::LatLon;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// The largest distance from a cell's centre to one of its corners that was found is 587.6 m.
const LARGEST_FOUND_M: f64 = 590.0;

fn at(point: geo::Point) -> LatLon {
    LatLon::new(point.y().clamp(-90.0, 90.0), point.x().clamp(-180.0, 180.0)).unwrap()
}

fn geo_point(at: LatLon) -> geo::Point {
    geo::Point::new(at.lon(), at.lat())
}

fn at_cell(cell: CellIndex) -> LatLon {
    let centre = LatLng::from(cell);
    LatLon::new(centre.lat(), centre.lng()).unwrap()
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

/// The places where grids and formulas break: poles, antimeridian, pentagons, and what is near them.
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
    let pentagons: Vec<_> = RESOLUTION.pentagons().map(at_cell).collect();
    assert_eq!(pentagons.len(), 12);
    let near = |&pentagon: &LatLon| [around(pentagon, 300.0, random), around(pentagon, 3_000.0, random)];
    places.extend(pentagons.iter().flat_map(near).collect::<Vec<_>>());
    places.extend(pentagons);
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
fn no_cell_is_larger_than_its_bound() {
    let mut random = SmallRng::seed_from_u64(2);
    let mut cells: HashSet<CellIndex> = HashSet::new();
    for place in odd_places(&mut random) {
        cells.extend(cover::cell_at(place).grid_disk_safe(25));
    }
    cells.extend((0..100_000).map(|_| cover::cell_at(anywhere(&mut random))));
    let to_corner = |cell: CellIndex| {
        let centre = cover::centre_of(cell);
        let corners = cell.boundary();
        let metres = |corner: &LatLng| {
            Point::from_radians(corner.lat_radians(), corner.lng_radians()).distance_m(centre)
        };
        corners.iter().map(metres).fold(0.0, f64::max)
    };
    let largest_m = cells.iter().map(|&cell| to_corner(cell)).fold(0.0, f64::max);
    assert!(largest_m < LARGEST_FOUND_M, "{largest_m} m");
    const { assert!(LARGEST_FOUND_M < CIRCUMRADIUS_M) };
}

#[test]
fn whatever_the_heart_of_a_cell_holds_is_in_the_cell() {
    let mut random = SmallRng::seed_from_u64(4);
    let mut cells: HashSet<CellIndex> = HashSet::new();
    for place in odd_places(&mut random) {
        cells.extend(cover::cell_at(place).grid_disk_safe(12));
    }
    cells.extend((0..50_000).map(|_| cover::cell_at(anywhere(&mut random))));
    let (mut held, mut inside) = (0, 0);
    for cell in cells {
        let (heart, centre) = (Heart::of(cell), at_cell(cell));
        assert!(heart.holds(centre), "{cell}");
        for _ in 0..20 {
            let place = around(centre, LARGEST_FOUND_M, &mut random);
            let is_inside = cover::cell_at(place) == cell;
            assert!(is_inside || !heart.holds(place), "{cell}: {place:?}");
            inside += u32::from(is_inside);
            held += u32::from(heart.holds(place));
        }
        // At the rim, from just within to just without.
        let rim_m = edge_m(cell);
        for share in [0.98, 0.99, 0.995, 0.999, 1.0, 1.001, 1.005] {
            let bearing = random.random_range(0.0..360.0);
            let place = at(Geodesic.destination(geo_point(centre), bearing, rim_m * share));
            assert!(cover::cell_at(place) == cell || !heart.holds(place), "{cell}: {place:?}");
        }
    }
    assert!(f64::from(held) > 0.75 * f64::from(inside), "{held} of {inside}: hardly worth it");
}

/// About how far the middle of the nearest edge is from a cell's centre, in metres.
fn edge_m(cell: CellIndex) -> f64 {
    let corners: Vec<_> =
        cell.boundary().iter().map(|c| Point::from_radians(c.lat_radians(), c.lng_radians())).collect();
    let centre = cover::centre_of(cell);
    let edges = corners.iter().zip(corners.iter().cycle().skip(1)).map(|(a, b)| {
        let (to_a, to_b, side) = (centre.distance_m(*a), centre.distance_m(*b), a.distance_m(*b));
        // The median of the triangle of the centre and the edge.
        (2.0 * (to_a * to_a + to_b * to_b) - side * side).sqrt() / 2.0
    });
    edges.fold(f64::INFINITY, f64::min)
}

#[test]
fn no_point_is_further_from_the_centre_of_its_cell_than_the_bound() {
    let mut random = SmallRng::seed_from_u64(3);
    let odd: Vec<_> = odd_places(&mut random);
    let near_odd: Vec<_> = odd.iter().flat_map(|&place| vec![place; 500]).collect();
    let near_odd = near_odd.into_iter().map(|place| around(place, 2_000.0, &mut random)).collect::<Vec<_>>();
    let anywhere = (0..200_000).map(|_| anywhere(&mut random)).collect::<Vec<_>>();
    for place in odd.into_iter().chain(near_odd).chain(anywhere) {
        let off_m = cover::centre_of(cover::cell_at(place)).distance_m(Point::from(place));
        assert!(off_m < LARGEST_FOUND_M, "{place:?} is {off_m} m off");
    }
}

#[test]
fn a_cover_holds_every_point_of_the_disk() {
    let mut random = SmallRng::seed_from_u64(4);
    let mut places = odd_places(&mut random);
    places.extend((0..200).map(|_| anywhere(&mut random)));
    for centre in places {
        for (radius_m, at_most) in [(0.0, 4), (150.0, 7), (500.0, 11), (1_000.0, 22), (5_000.0, 230)] {
            let cells = cover::cells(centre, radius_m);
            let distinct: HashSet<_> = cells.iter().copied().collect();
            assert_eq!(distinct.len(), cells.len(), "{centre:?}: a cell twice");
            assert!(cells.len() <= at_most, "{centre:?}: {} cells for {radius_m} m", cells.len());
            for _ in 0..100 {
                let point = around(centre, radius_m, &mut random);
                let covered = distinct.contains(&cover::cell_at(point));
                assert!(covered, "{centre:?}, {radius_m} m: {point:?} is in no cell of the cover");
            }
        }
    }
}
