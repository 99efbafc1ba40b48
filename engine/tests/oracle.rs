//! The search against its definition, read off a plain list of fixes.

#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::cmp::Reverse;
use std::collections::BTreeMap;

use engine::distance::distance_m;
use engine::engine::{FRESH_MS, MAX_RADIUS_M};
use engine::geo::{self, Destination, Geodesic};
use engine::profile::{DEFAULT_RADIUS_M, Description, Profile, Status};
use engine::territory::Insee;
use engine::window::Window;
use engine::{Engine, Fix, Hit, Search, Seen};
use ingest::clock::Millis;
use ingest::position::{LatLon, OperatorKey, Order, SourceKey, TaxiKey};
use proptest::prelude::*;

const NOW: Millis = Millis(1_764_000_000_000);
const TAXIS: u32 = 12;
const OPERATORS: u32 = 3;
const TOWNS: [&str; 3] = ["13055", "2A004", "75056"];

/// What the engine promises, kept in the simplest way.
#[derive(Default)]
struct Oracle {
    profiles: BTreeMap<TaxiKey, Profile>,
    shown: BTreeMap<SourceKey, Fix>,
}

impl Oracle {
    fn apply(&mut self, fixes: &[Fix]) {
        for fix in fixes {
            if self.shown.get(&fix.source).is_none_or(|shown| fix.order.supersedes(shown.order)) {
                self.shown.insert(fix.source, *fix);
            }
        }
    }

    fn nearby(&self, search: &Search<'_>) -> Vec<Hit> {
        let mut hits: Vec<Hit> = self.profiles.keys().filter_map(|&taxi| self.hit(search, taxi)).collect();
        hits.sort_by(|a, b| a.distance_m.partial_cmp(&b.distance_m).unwrap().then(a.source.cmp(&b.source)));
        hits
    }

    fn hit(&self, search: &Search<'_>, taxi: TaxiKey) -> Option<Hit> {
        let profile = &self.profiles[&taxi];
        let mut last: Option<(Millis, OperatorKey, LatLon, u16)> = None;
        for Description { operator, status, radius_m } in &profile.descriptions {
            let asked = search.operator.is_none() || search.operator == Some(*operator);
            let Some(fix) = self.shown.get(&SourceKey { taxi, operator: *operator }) else { continue };
            let heard = (fix.order.received_at, *operator);
            let fresh = search.now.0 - fix.order.received_at.0 < FRESH_MS;
            if *status == Status::Free && asked && fresh && last.is_none_or(|last| heard > (last.0, last.1)) {
                last = Some((heard.0, heard.1, fix.at, radius_m.unwrap_or(DEFAULT_RADIUS_M)));
            }
        }
        let (received_at, operator, at, reach_m) = last?;
        let distance_m = distance_m(search.customer, at);
        let is_shown = profile.trial_for.is_none_or(|account| search.account == Some(account));
        let found = is_shown
            && search.towns.contains(&profile.ads_town)
            && distance_m <= search.radius_m.min(MAX_RADIUS_M);
        found.then_some(Hit { source: SourceKey { taxi, operator }, at, received_at, distance_m, reach_m })
    }
}

/// Where somebody is: so many metres in a direction from the place of the case.
#[derive(Clone, Debug)]
struct Offset {
    bearing: f64,
    metres: f64,
}

impl Offset {
    fn from(&self, place: LatLon) -> LatLon {
        let to = Geodesic.destination(geo::Point::new(place.lon(), place.lat()), self.bearing, self.metres);
        LatLon::new(to.y().clamp(-90.0, 90.0), to.x().clamp(-180.0, 180.0)).unwrap()
    }
}

#[derive(Clone, Debug)]
struct Told {
    source: SourceKey,
    offset: Offset,
    age_ms: i64,
    skew_ms: Option<i64>,
}

impl Told {
    fn fix(&self, place: LatLon) -> Fix {
        let received_at = NOW.plus(-self.age_ms);
        let device_at = self.skew_ms.map(|skew_ms| received_at.plus(skew_ms));
        Fix { source: self.source, at: self.offset.from(place), order: Order { received_at, device_at } }
    }
}

#[derive(Clone, Debug)]
struct Asked {
    offset: Offset,
    radius_m: f64,
    now: Millis,
    towns: Vec<Insee>,
    operator: Option<OperatorKey>,
    account: Option<i32>,
}

fn places() -> impl Strategy<Value = LatLon> {
    let places = [
        (48.8566, 2.3522),
        (90.0, 0.0),
        (-90.0, 12.0),
        (51.9, 180.0),
        (-16.8, -179.999),
        (0.0, 0.0),
        // Where cells double their width, and where a disk comes to hold every longitude.
        (60.003, 10.0),
        (-75.52, -70.0),
        (82.82, 0.0),
        (88.21, -45.0),
        (-89.1, 90.0),
    ];
    prop::sample::select(places.map(|(lat, lon)| LatLon::new(lat, lon).unwrap()).to_vec())
}

fn offsets() -> impl Strategy<Value = Offset> {
    // A rank is one point; most are near, some just outside the greatest radius.
    let metres = prop_oneof![Just(0.0), Just(37.5), 0.0..600.0, 0.0..1_500.0, 4_900.0..6_000.0];
    (0.0..360.0, metres).prop_map(|(bearing, metres)| Offset { bearing, metres })
}

fn operators() -> impl Strategy<Value = OperatorKey> {
    (1..=OPERATORS).prop_map(OperatorKey)
}

fn accounts() -> impl Strategy<Value = i32> {
    8..10
}

fn told(taxis: u32) -> impl Strategy<Value = Told> {
    let source =
        (0..taxis, operators()).prop_map(|(taxi, operator)| SourceKey { taxi: TaxiKey(taxi), operator });
    let age_ms = prop_oneof![119_998..120_002_i64, 115_000..125_000_i64, 0..3_i64, 0..300_000_i64];
    let skew_ms = prop::option::of(prop_oneof![-500..500_i64, 9_990..10_010_i64]);
    (source, offsets(), age_ms, skew_ms).prop_map(|(source, offset, age_ms, skew_ms)| Told {
        source,
        offset,
        age_ms,
        skew_ms,
    })
}

/// What is told at once: of everybody, or of one who hops from place to place.
fn batches() -> impl Strategy<Value = Vec<Told>> {
    let hops = prop::collection::vec(told(1), 60..160).prop_map(|mut hops| {
        hops.sort_by_key(|told| Reverse(told.age_ms));
        hops
    });
    prop_oneof![3 => prop::collection::vec(told(TAXIS), 0..60), 1 => hops]
}

fn profiles() -> impl Strategy<Value = BTreeMap<TaxiKey, Profile>> {
    let status = prop_oneof![4 => Just(Status::Free), 1 => prop::sample::select(Status::ALL.to_vec())];
    let description = (operators(), status, prop::option::of(150..=500_u16));
    // In no order: who comes first in a profile decides nothing.
    let descriptions = prop::collection::vec(description, 1..4).prop_map(|all| {
        let mut described: Vec<Description> = Vec::new();
        for (operator, status, radius_m) in all {
            if described.iter().all(|one| one.operator != operator) {
                described.push(Description { operator, status, radius_m });
            }
        }
        described.into()
    });
    let town = prop::sample::select(TOWNS.map(|code| code.parse().unwrap()).to_vec());
    let trial_for = prop_oneof![3 => Just(None), 1 => accounts().prop_map(Some)];
    let profile = (town, descriptions, trial_for).prop_map(|(ads_town, descriptions, trial_for)| Profile {
        ads_town,
        descriptions,
        trial_for,
    });
    prop::collection::btree_map((0..TAXIS).prop_map(TaxiKey), profile, 1..12)
}

fn asked() -> impl Strategy<Value = Asked> {
    let radius_m =
        prop_oneof![Just(0.0), Just(500.0), Just(1_000.0), 0.0..1_500.0, Just(5_000.0), Just(9_000.0)];
    let now = prop_oneof![Just(0), -5_000..5_000_i64].prop_map(|ms| NOW.plus(ms));
    let codes = TOWNS.map(|code| code.parse().unwrap()).to_vec();
    let towns = prop_oneof![3 => Just(codes.clone()), 1 => prop::sample::subsequence(codes, 0..=3)];
    let operator = prop_oneof![2 => Just(None), 1 => operators().prop_map(Some)];
    let account = prop_oneof![1 => Just(None), 2 => accounts().prop_map(Some)];
    (offsets(), radius_m, now, towns, operator, account).prop_map(
        |(offset, radius_m, now, towns, operator, account)| Asked {
            offset,
            radius_m,
            now,
            towns,
            operator,
            account,
        },
    )
}

/// Whether a point is between these latitudes, and from the first of these longitudes eastwards to the second.
fn is_in(at: LatLon, lat: (f64, f64), lon: (f64, f64)) -> bool {
    let eastwards = |from: f64, to: f64| (to - from).rem_euclid(360.0);
    let all_around = lon.1 - lon.0 >= 360.0;
    let is_between = all_around || eastwards(lon.0, at.lon()) <= eastwards(lon.0, lon.1);
    (lat.0..=lat.1).contains(&at.lat()) && is_between
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_answer_is_what_the_definition_says(
        shards in 1..4_usize,
        place in places(),
        profiles in profiles(),
        rounds in prop::collection::vec((batches(), any::<bool>()), 1..5),
        searches in prop::collection::vec(asked(), 12),
    ) {
        let (engine, mut oracle) = (Engine::start(shards), Oracle::default());
        for (taxi, profile) in &profiles {
            engine.profiles().put(*taxi, 1, profile.clone());
        }
        oracle.profiles = profiles;
        for (batch, sweep) in rounds {
            let fixes: Vec<Fix> = batch.iter().map(|told| told.fix(place)).collect();
            oracle.apply(&fixes);
            engine.apply(&fixes);
            if sweep {
                // Not ahead of any search below.
                engine.sweep(NOW.plus(-5_000));
            }
            engine.settle();
            for Asked { offset, radius_m, now, towns, operator, account } in &searches {
                let (customer, radius_m, now, operator) = (offset.from(place), *radius_m, *now, *operator);
                let search = Search { customer, radius_m, now, towns, operator, account: *account };
                let wanted = oracle.nearby(&search);
                let mut found = engine.nearby(&search);
                found.sort_by(Hit::nearer);
                prop_assert_eq!(found, wanted.clone());
                for count in [2, usize::MAX] {
                    let reaching = wanted.iter().filter(|hit| hit.within_reach()).take(count).copied();
                    let nearest = engine.nearest(&search, count, Hit::within_reach);
                    prop_assert_eq!(nearest, reaching.collect::<Vec<_>>());
                }
                for (&taxi, profile) in &oracle.profiles {
                    for operator in (1..=OPERATORS).map(OperatorKey) {
                        let source = SourceKey { taxi, operator };
                        let sight = engine.sight(&search, source);
                        let described = profile.descriptions.iter().any(|one| one.operator == operator);
                        prop_assert_eq!(sight.is_some(), described);
                        let offered = wanted.iter().any(|hit| hit.source == source && hit.within_reach());
                        prop_assert_eq!(sight.is_some_and(|sight| sight.is_offered()), offered, "{:?}", sight);
                    }
                }
            }
        }
        for Asked { offset, radius_m, now, .. } in searches.iter().take(3) {
            let (a, b) = (offset.from(place), Offset { bearing: offset.bearing + 90.0, metres: *radius_m }.from(place));
            let (south, north) = (a.lat().min(b.lat()), a.lat().max(b.lat()));
            // Either way round: at the antimeridian the one, elsewhere the other is small.
            for (west, east) in [(a.lon(), b.lon()), (b.lon(), a.lon())] {
                let corner = |lat, lon| LatLon::new(lat, lon).unwrap();
                let window = Window::new(corner(south, west), corner(north, east)).unwrap();
                let width_e7 = i32::try_from(window.size_e7().1).unwrap_or(i32::MAX);
                if f64::from(width_e7) * south.to_radians().cos() > 10e7 {
                    continue; // half a million cells
                }
                let is_fresh = |fix: &Fix| now.since(fix.order.received_at) < FRESH_MS;
                let is_wanted = |fix: &&Fix| is_fresh(fix) && is_in(fix.at, (south, north), (west, east));
                let wanted = oracle.shown.values().filter(is_wanted);
                let wanted = wanted.map(|fix| (fix.source, Seen { at: fix.at, received_at: fix.order.received_at }));
                let wanted: Vec<_> = wanted.collect();
                prop_assert_eq!(engine.within(&window, *now, 1_000, |_| true), Some(wanted.clone()));
                prop_assert_eq!(engine.within(&window, *now, 0, |_| true).is_some(), wanted.is_empty());
                let of_one = |source: SourceKey| source.operator == OperatorKey(1);
                let own: Vec<_> = wanted.into_iter().filter(|one| of_one(one.0)).collect();
                prop_assert_eq!(engine.within(&window, *now, 1_000, of_one), Some(own));
            }
        }
        for (source, fix) in &oracle.shown {
            let seen = Seen { at: fix.at, received_at: fix.order.received_at };
            prop_assert_eq!(engine.get(*source), Some(seen));
        }
        let since = NOW.plus(-FRESH_MS);
        let mut dumped = engine.dump(since);
        dumped.sort_by_key(|fix| fix.source);
        let received_since = oracle.shown.values().filter(|fix| fix.order.received_at >= since);
        prop_assert_eq!(dumped, received_since.copied().collect::<Vec<_>>());
        engine.sweep(NOW);
        let fresh = oracle.shown.values().filter(|fix| NOW.since(fix.order.received_at) < FRESH_MS).count();
        prop_assert_eq!(engine.online(), u64::try_from(fresh).unwrap());
    }
}
