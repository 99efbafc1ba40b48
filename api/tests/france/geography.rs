//! Every point of the country has the town that exact arithmetic gives, at the places where it is hard to say.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use api::import::features::towns;
use api::registry::geometry::territory;
use api::store::places::Places;
use engine::territory::Territory;
use ingest::position::LatLon;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::exact::{ExactTown, Point};
use crate::{data, text};

/// What every run draws anew from; printed by a failing test.
const SEED: u64 = 2026;

static FRANCE: LazyLock<Option<(Territory, Vec<ExactTown>)>> = LazyLock::new(|| {
    let reading = towns(&text(&data("communes.geojson.gz")?)).unwrap();
    assert_eq!((reading.rows.len(), reading.refused.as_slice()), (34_875, [].as_slice()));
    let territory = territory(Places { towns: reading.rows, ..Places::default() }).unwrap();
    let exact = territory.towns().iter().map(ExactTown::new).collect();
    Some((territory, exact))
});

fn place((lon, lat): Point) -> LatLon {
    LatLon::from_e7(i32::try_from(lat).unwrap(), i32::try_from(lon).unwrap()).unwrap()
}

fn town_at(territory: &Territory, lat: f64, lon: f64) -> Option<&str> {
    territory.town_at(LatLon::new(lat, lon).unwrap()).map(|town| town.insee.as_str())
}

/// The towns that hold a point, by code.
fn holding(exact: &[ExactTown], point: Point) -> Vec<&str> {
    exact.iter().filter(|town| town.holds(point)).map(|town| town.insee.as_str()).collect()
}

/// Checks a point, and gives the towns that hold it: one, none, or on a border those that meet there. A point between
/// the ends of a border is of one of them: its binary degrees lie 1e-15 degrees to one side.
fn check<'a>(territory: &Territory, exact: &'a [ExactTown], point: Point) -> Vec<&'a str> {
    let got = territory.town_at(place(point)).map(|town| town.insee.as_str());
    let holding = holding(exact, point);
    let right = got.map_or(holding.is_empty(), |got| holding.contains(&got));
    assert!(right, "{got:?} at {point:?}, which is of {holding:?}; seed {SEED}");
    holding
}

#[test]
fn the_inner_point_of_each_town_lies_in_it() {
    let Some((territory, _)) = &*FRANCE else { return };
    let index: Value = serde_json::from_str(&text(&data("communes_index.json").unwrap())).unwrap();
    let mut asked = 0;
    for town in index.as_array().unwrap().iter().filter(|town| town["lon"].is_number()) {
        let (lat, lon) = (town["lat"].as_f64().unwrap(), town["lon"].as_f64().unwrap());
        assert_eq!(town_at(territory, lat, lon), town["insee"].as_str(), "{town}");
        asked += 1;
    }
    assert_eq!(asked, 34_875);
}

#[test]
fn points_on_shared_borders_and_1e_7_degrees_beside_them_have_a_town_of_exact_arithmetic() {
    let Some((territory, exact)) = &*FRANCE else { return };
    let mut rng = StdRng::seed_from_u64(SEED);
    let (mut parted, mut both) = (0, BTreeSet::new());
    for _ in 0..400 {
        let town = exact.choose(&mut rng).unwrap();
        let edges: Vec<_> = town.edges().collect();
        let ((ax, ay), (bx, by)) = *edges.choose(&mut rng).unwrap();
        // A vertex belongs to the smallest code of those that meet there.
        let at_vertex = territory.town_at(place((ax, ay))).map(|town| town.insee.as_str());
        assert_eq!(
            at_vertex,
            holding(exact, (ax, ay)).first().copied(),
            "at the vertex {ax} {ay}, seed {SEED}"
        );
        // The vertex itself, and a point as near the edge as whole numbers come.
        let along = rng.random_range(0..=1000);
        for (x, y) in [(ax, ay), (ax + (bx - ax) * along / 1000, ay + (by - ay) * along / 1000)] {
            let around = [(0, 0), (0, 1), (0, -1), (-1, 0), (1, 0)];
            let [_, _, _, west, east] = around.map(|(dx, dy)| check(territory, exact, (x + dx, y + dy)));
            if let ([west], [east]) = (&west[..], &east[..])
                && west != east
            {
                parted += 1;
                both.extend([*west, *east]);
            }
        }
    }
    assert!(parted > 100 && both.len() > 100, "two points 2e-7 degrees apart in two towns: {parted}");
}

#[test]
fn random_points_of_land_and_sea_have_a_town_of_exact_arithmetic() {
    let Some((territory, exact)) = &*FRANCE else { return };
    let mut rng = StdRng::seed_from_u64(SEED);
    let (mut land, mut sea) = (0, 0);
    for _ in 0..500 {
        let point = (rng.random_range(-50_000_000..96_000_000), rng.random_range(413_000_000..511_000_000));
        let count = if check(territory, exact, point).is_empty() { &mut sea } else { &mut land };
        *count += 1;
    }
    assert!(land > 100 && sea > 100);
}

#[test]
fn what_is_cut_out_of_a_town_is_of_another_or_of_none() {
    let Some((territory, exact)) = &*FRANCE else { return };
    let (mut enclaves, mut holes) = (0, 0);
    for town in exact {
        for hole in town.holes() {
            holes += 1;
            // Beside a vertex of the hole, on whichever sides are inside of it.
            for (dx, dy) in [(0, 0), (7, 3), (-7, 3), (7, -3), (-7, -3)] {
                let point = (hole[0].0 + dx, hole[0].1 + dy);
                let holding = check(territory, exact, point);
                if !holding.is_empty() && !holding.contains(&town.insee.as_str()) {
                    enclaves += 1;
                }
            }
        }
    }
    assert!(holes > 10 && enclaves > 10, "{holes} holes, {enclaves} points of enclaves");
}

#[test]
fn places_that_people_know() {
    let Some((territory, _)) = &*FRANCE else { return };
    for (what, lat, lon, insee) in [
        ("the city hall of Paris", 48.8566, 2.3522, Some("75056")),
        ("Lyon, of nine districts", 45.7676, 4.8345, Some("69123")),
        ("Marseille, on the island of If", 43.2799, 5.3256, Some("13055")),
        ("Saint-Denis, La Réunion", -20.8789, 55.4481, Some("97411")),
        ("Fort-de-France", 14.6037, -61.0731, Some("97209")),
        ("Pointe-à-Pitre", 16.2383, -61.5361, Some("97120")),
        ("Cayenne", 4.9372, -52.3260, Some("97302")),
        ("Mamoudzou", -12.7800, 45.2279, Some("97611")),
        ("Ajaccio", 41.9267, 8.7369, Some("2A004")),
        ("the island of Ushant", 48.4570, -5.0960, Some("29155")),
        ("the island of Groix", 47.6380, -3.4550, Some("56069")),
        ("Porquerolles, an island of Hyères", 43.0010, 6.2040, Some("83069")),
        ("Llívia, of Spain, in the middle of France", 42.4640, 1.9810, None),
        ("Monaco", 43.7384, 7.4246, None),
        ("Geneva", 46.2044, 6.1432, None),
        ("the Channel", 50.0, -2.0, None),
        ("the Atlantic", 45.0, -5.0, None),
        ("the null island", 0.0, 0.0, None),
    ] {
        assert_eq!(town_at(territory, lat, lon), insee, "{what}");
    }
}
