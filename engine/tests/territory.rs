//! Which town a point lies in, at the places where it is hard to say.

#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use engine::geo::{Coord, LineString, MultiPolygon, Polygon};
use engine::territory::{Exclusion, Insee, Territory, Town, Zupc};
use ingest::position::LatLon;
use proptest::prelude::*;

type Ring<'a> = &'a [(f64, f64)];

fn insee(code: &str) -> Insee {
    code.parse().unwrap()
}

fn ring(lon_lat: Ring<'_>) -> LineString<f64> {
    lon_lat.iter().map(|&(x, y)| Coord { x, y }).collect()
}

fn polygon(outer: Ring<'_>, holes: &[Ring<'_>]) -> Polygon<f64> {
    Polygon::new(ring(outer), holes.iter().map(|hole| ring(hole)).collect())
}

fn town(code: &str, polygons: Vec<Polygon<f64>>) -> Town {
    Town { insee: insee(code), name: format!("Town {code}"), shape: MultiPolygon::new(polygons) }
}

fn square(west: f64, south: f64, side: f64) -> Vec<(f64, f64)> {
    let (east, north) = (west + side, south + side);
    vec![(west, south), (east, south), (east, north), (west, north)]
}

fn code_at(territory: &Territory, lat: f64, lon: f64) -> Option<&str> {
    territory.town_at(LatLon::new(lat, lon).unwrap()).map(|town| town.insee.as_str())
}

#[test]
fn a_shared_border_is_decided_to_the_last_digit() {
    let (west, east) = (polygon(&square(2.0, 48.0, 1.0), &[]), polygon(&square(3.0, 48.0, 1.0), &[]));
    let territory =
        Territory::new(vec![town("20000", vec![west]), town("10000", vec![east])], vec![], vec![]);
    assert_eq!(code_at(&territory, 48.5, 2.999_999_9), Some("20000"));
    assert_eq!(code_at(&territory, 48.5, 3.0), Some("10000"), "the smaller code has the border");
    assert_eq!(code_at(&territory, 48.5, 3.000_000_1), Some("10000"));
    assert_eq!(code_at(&territory, 48.0, 2.5), Some("20000"), "an outer border belongs to the town");
    assert_eq!(code_at(&territory, 47.999_999_9, 2.5), None);
}

#[test]
fn a_slanted_border_parts_points_a_centimetre_apart() {
    let above = polygon(&[(2.0, 48.0), (2.3, 48.1), (2.0, 48.1)], &[]);
    let below = polygon(&[(2.0, 48.0), (2.3, 48.0), (2.3, 48.1)], &[]);
    let territory =
        Territory::new(vec![town("00001", vec![above]), town("00002", vec![below])], vec![], vec![]);
    for third in (1..1_000_000).step_by(17) {
        let (lat, lon) = (48.0 + f64::from(third) * 1e-7, 2.0 + f64::from(third) * 3e-7);
        assert_eq!(code_at(&territory, lat + 1e-7, lon), Some("00001"));
        assert_eq!(code_at(&territory, lat - 1e-7, lon), Some("00002"));
        assert!(code_at(&territory, lat, lon).is_some(), "no gap between them");
    }
}

#[test]
fn a_vertex_of_three_towns_goes_to_the_smallest_code() {
    let corner = (2.5, 48.5);
    let towns = |codes: [&str; 3]| {
        let west = polygon(&[corner, (2.0, 49.0), (2.0, 48.0)], &[]);
        let south = polygon(&[corner, (2.0, 48.0), (3.0, 48.0), (3.0, 48.5)], &[]);
        let north = polygon(&[corner, (3.0, 48.5), (3.0, 49.0), (2.0, 49.0)], &[]);
        codes.into_iter().zip([west, south, north]).map(|(code, shape)| town(code, vec![shape])).collect()
    };
    for codes in [["2A004", "10000", "97411"], ["97411", "2A004", "10000"], ["10000", "97411", "2A004"]] {
        let territory = Territory::new(towns(codes), vec![], vec![]);
        assert_eq!(code_at(&territory, corner.1, corner.0), Some("10000"), "{codes:?}");
    }
}

#[test]
fn an_enclave_is_not_of_the_town_around_it_but_its_border_is() {
    let enclave = square(2.4, 48.4, 0.2);
    let around = polygon(&square(2.0, 48.0, 1.0), &[&enclave]);
    let empty = Territory::new(vec![town("20000", vec![around.clone()])], vec![], vec![]);
    assert_eq!(code_at(&empty, 48.5, 2.5), None, "a hole");
    assert_eq!(code_at(&empty, 48.4, 2.5), Some("20000"), "its border");
    assert_eq!(code_at(&empty, 48.399_999_9, 2.5), Some("20000"));
    for (code, border) in [("10000", "10000"), ("30000", "20000")] {
        let towns = vec![town("20000", vec![around.clone()]), town(code, vec![polygon(&enclave, &[])])];
        let filled = Territory::new(towns, vec![], vec![]);
        assert_eq!(code_at(&filled, 48.5, 2.5), Some(code));
        assert_eq!(code_at(&filled, 48.4, 2.5), Some(border));
    }
}

#[test]
fn a_town_of_several_parts_has_each_and_not_the_sea_between() {
    let parts = || vec![polygon(&square(2.0, 48.0, 0.1), &[]), polygon(&square(2.5, 48.0, 0.1), &[])];
    let touching = vec![polygon(&square(4.0, 48.0, 0.1), &[]), polygon(&square(4.1, 48.0, 0.1), &[])];
    let territory = Territory::new(vec![town("20000", parts()), town("10000", touching)], vec![], vec![]);
    assert_eq!(code_at(&territory, 48.05, 2.05), Some("20000"));
    assert_eq!(code_at(&territory, 48.05, 2.55), Some("20000"));
    assert_eq!(code_at(&territory, 48.05, 2.3), None);
    assert_eq!(code_at(&territory, 48.05, 4.1), Some("10000"), "on the border of two parts of one town");
}

#[test]
fn towns_share_their_zones_both_ways_and_nothing_further() {
    let towns = ["30000", "10000", "20000", "40000", "50000"].map(|code| town(code, vec![])).to_vec();
    let zupc = |id: &str, codes: &[&str]| Zupc {
        id: id.into(),
        name: String::new(),
        allowed: codes.iter().map(|code| insee(code)).collect(),
        area: None,
    };
    let zones = vec![zupc("a", &["30000", "10000"]), zupc("b", &["20000", "30000", "2B033"]), zupc("c", &[])];
    let territory = Territory::new(towns, zones, vec![]);
    let allowed =
        |code| -> Vec<&str> { territory.towns_allowed(insee(code)).iter().map(Insee::as_str).collect() };
    assert_eq!(allowed("30000"), ["10000", "20000", "2B033", "30000"], "of two zones");
    assert_eq!(allowed("10000"), ["10000", "30000"]);
    assert_eq!(allowed("20000"), ["20000", "2B033", "30000"]);
    assert_eq!(allowed("2B033"), ["20000", "2B033", "30000"], "of a zone, though its shape is not known");
    assert_eq!(allowed("40000"), ["40000"], "of no zone");
    assert_eq!(allowed("50000"), ["50000"], "not one list for all of no zone");
    assert_eq!(allowed("99999"), [""; 0], "of nothing at all");
    assert_eq!(territory.town(insee("40000")).map(|town| town.name.as_str()), Some("Town 40000"));
    assert!(territory.town(insee("2B033")).is_none());
    assert_eq!((territory.towns().len(), territory.zupcs().len()), (5, 3));
}

#[test]
fn a_zone_with_land_of_its_own_holds_there_and_does_not_make_its_towns_share() {
    let codes = ["10000", "20000", "30000"];
    let towns = codes.map(|code| town(code, vec![])).to_vec();
    let zupc = |id: &str, codes: &[&str], area: Option<Polygon<f64>>| Zupc {
        id: id.into(),
        name: String::new(),
        allowed: codes.iter().map(|code| insee(code)).collect(),
        area: area.map(MultiPolygon::from),
    };
    let airport = polygon(&square(2.4, 48.4, 0.1), &[]);
    let zones = vec![
        zupc("airport", &["30000", "20000"], Some(airport)),
        zupc("shared", &["10000", "20000"], None),
        zupc("station", &[], Some(polygon(&square(2.6, 48.4, 0.1), &[]))),
    ];
    let territory = Territory::new(towns, zones, vec![]);
    let at = |lon| LatLon::new(48.45, lon).unwrap();
    let allowed = |code, lon| territory.towns_allowed_at(insee(code), at(lon)).into_owned();
    let codes = |codes: &[&str]| -> Vec<Insee> { codes.iter().map(|code| insee(code)).collect() };
    assert_eq!(allowed("30000", 2.45), codes(&["20000", "30000"]));
    assert_eq!(allowed("10000", 2.4), codes(&["10000", "20000", "30000"]), "its border is inside");
    assert_eq!(allowed("10000", 2.399_999_9), codes(&["10000", "20000"]));
    assert_eq!(allowed("30000", 2.55), codes(&["30000"]), "beside the airport");
    assert_eq!(allowed("30000", 2.65), codes(&["30000"]), "a zone that nobody shares");
    let ids = |code, lon| -> Vec<&str> {
        territory.zupcs_at(insee(code), at(lon)).iter().map(|zone| zone.id.as_str()).collect()
    };
    assert_eq!(ids("20000", 2.45), ["airport", "shared"]);
    assert_eq!(ids("20000", 2.55), ["shared"]);
    assert_eq!(ids("30000", 2.65), ["station"]);
    assert_eq!(ids("30000", 2.55), [""; 0]);
}

#[test]
fn an_exclusion_zone_is_found_border_included() {
    let zone = |id: &str, west| {
        let shape = MultiPolygon::new(vec![polygon(&square(west, 48.0, 1.0), &[])]);
        Exclusion { id: id.into(), name: id.into(), shape }
    };
    let territory = Territory::new(vec![], vec![], vec![zone("b", 2.0), zone("a", 2.5)]);
    let id = |lon| territory.exclusion_at(LatLon::new(48.5, lon).unwrap()).map(|zone| zone.id.as_str());
    assert_eq!([2.0, 2.4, 2.5, 3.0, 3.5].map(id), [Some("b"), Some("b"), Some("a"), Some("a"), Some("a")]);
    assert_eq!([1.999_999_9, 3.500_000_1].map(id), [None, None]);
}

#[test]
fn only_codes_are_codes() {
    for code in ["", "7505", "750560", "2a004", "75 56", "é056", "75-56"] {
        assert!(code.parse::<Insee>().is_err(), "{code:?}");
    }
    assert_eq!(insee("2A004").to_string(), "2A004");
    assert!(insee("10000") < insee("2A004") && insee("2A004") < insee("97411"));
}

/// Twice the area to the left of a to b, of the triangle with c: whole degrees make it exact.
fn turn(a: (i64, i64), b: (i64, i64), c: (i64, i64)) -> i64 {
    (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A country of triangles with shared corners in whole degrees, against arithmetic in whole numbers.
    #[test]
    fn every_point_of_a_country_has_the_town_that_exact_arithmetic_gives(
        jitter in prop::collection::vec((-2_i64..=2, -2_i64..=2), 25),
        rotation in 0..32_usize,
    ) {
        let corner = |row: usize, column: usize| {
            let (x, y) = jitter[row * 5 + column];
            (10 * i64::try_from(column).unwrap() + x, 10 * i64::try_from(row).unwrap() + y)
        };
        let mut triangles = Vec::new();
        for (row, column) in (0..4).flat_map(|row| (0..4).map(move |column| (row, column))) {
            let [a, b] = [corner(row, column), corner(row, column + 1)];
            let [c, d] = [corner(row + 1, column + 1), corner(row + 1, column)];
            triangles.extend([[a, b, c], [a, c, d]]);
        }
        let code = |index: usize| format!("{:05}", (index * 11 + rotation) % 32);
        #[expect(clippy::cast_precision_loss, reason = "whole degrees")]
        let towns = triangles.iter().enumerate().map(|(index, corners)| {
            town(&code(index), vec![polygon(&corners.map(|(x, y)| (x as f64, y as f64)), &[])])
        });
        let territory = Territory::new(towns.collect(), vec![], vec![]);
        for (x, y) in (-3..=43).flat_map(|x| (-3..=43).map(move |y| (x, y))) {
            let holds = |&[a, b, c]: &[(i64, i64); 3]| {
                [(a, b), (b, c), (c, a)].iter().all(|&(from, to)| turn(from, to, (x, y)) >= 0)
            };
            let holding = triangles.iter().enumerate().filter(|(_, corners)| holds(corners));
            let expected = holding.map(|(index, _)| code(index)).min();
            let (lat, lon) = (i32::try_from(y).unwrap(), i32::try_from(x).unwrap());
            let got = code_at(&territory, f64::from(lat), f64::from(lon));
            prop_assert_eq!(got, expected.as_deref(), "at {}, {}", x, y);
        }
    }
}

#[test]
fn what_may_be_seen_in_a_box_is_found_once_and_in_order() {
    let square = |west| polygon(&square(west, 48.0, 1.0), &[]);
    let islands = town("20000", vec![square(2.0), square(4.0)]);
    let zone = Exclusion { id: "e".to_owned(), name: "E".to_owned(), shape: MultiPolygon(vec![square(6.0)]) };
    let territory = Territory::new(vec![islands, town("10000", vec![square(3.0)])], vec![], vec![zone]);
    let at = |lat, lon| LatLon::new(lat, lon).unwrap();
    let seen = |west, east| {
        let (from, to) = (at(48.4, west), at(48.6, east));
        let towns: Vec<_> = territory.towns_near(from, to).map(|town| town.insee.as_str()).collect();
        (towns, territory.exclusions_near(to, from).count())
    };
    assert_eq!(seen(1.0, 7.0), (vec!["10000", "20000"], 1), "a town of two islands is one");
    assert_eq!(seen(2.4, 2.6), (vec!["20000"], 0), "in the middle of it");
    assert_eq!(seen(3.0, 3.5), (vec!["10000", "20000"], 0), "on the border");
    assert_eq!(seen(5.2, 5.8), (vec![], 0));
}
