//! The demonstration fleet: which taxis there are, how they move, what their devices send, where customers
//! stand.
//!
//! Nothing here does I/O or asks a clock: all is a function of a seed and of elapsed seconds, so that a run
//! can be repeated. It is no traffic model: streets are imagined, and two taxis may pass through each other.

pub mod compact;
pub mod customers;
pub mod datagram;
mod names;
pub mod plan;
pub mod taxi;
pub mod town;

/// The demonstration's geography, as the text of the files that `maraude import` reads.
#[derive(Clone, Copy, Debug)]
pub struct Outlines {
    /// A dozen towns around Paris and Lyon, `GeoJSON`, one feature a line.
    pub towns: &'static str,
    /// One zone of common pick-up around Paris, one around Lyon, JSON.
    pub zupc: &'static str,
    /// Where nobody may search: an airport, `GeoJSON`.
    pub exclusions: &'static str,
}

/// The outlines that ship with the program. They are drawn by hand, good to a few hundred metres: for
/// showing, not for deciding who may pick up where.
pub fn outlines() -> Outlines {
    Outlines {
        towns: include_str!("../outlines/demo_towns.geojson"),
        zupc: include_str!("../outlines/demo_zupc.json"),
        exclusions: include_str!("../outlines/demo_exclusions.geojson"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use geo::{Contains, Coord, LineString, MultiPolygon, Polygon};
    use serde_json::Value;

    use super::outlines;
    use super::town::{Place, Town};

    /// The drawn towns, ready to drive in.
    pub(super) fn demo_towns() -> Vec<Arc<Town>> {
        let text: Value = serde_json::from_str(outlines().towns).unwrap();
        let features = text["features"].as_array().unwrap();
        features.iter().map(|feature| Arc::new(town(feature))).collect()
    }

    pub(super) fn demo_town(insee: &str) -> Arc<Town> {
        demo_towns().into_iter().find(|town| town.insee() == insee).unwrap()
    }

    fn town(feature: &Value) -> Town {
        let property = |name: &str| feature["properties"][name].as_str().unwrap().to_owned();
        let shape = MultiPolygon(vec![polygon(feature)]);
        Town::new(property("insee"), property("nom"), shape).unwrap()
    }

    fn polygon(feature: &Value) -> Polygon<f64> {
        let ring = feature["geometry"]["coordinates"][0].as_array().unwrap().iter();
        let ring = ring.map(|at| Coord { x: at[0].as_f64().unwrap(), y: at[1].as_f64().unwrap() });
        Polygon::new(LineString(ring.collect()), Vec::new())
    }

    #[test]
    fn the_zones_name_every_town_once() {
        let drawn: BTreeSet<_> = demo_towns().iter().map(|town| town.insee().to_owned()).collect();
        let zones: Value = serde_json::from_str(outlines().zupc).unwrap();
        let named =
            zones["zones"].as_array().unwrap().iter().flat_map(|zone| zone["allowed"].as_array().unwrap());
        let named: Vec<_> = named.map(|town| town["insee"].as_str().unwrap().to_owned()).collect();
        assert_eq!(named.len(), drawn.len());
        assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), drawn);
    }

    #[test]
    fn the_exclusion_lies_in_bron() {
        let zones: Value = serde_json::from_str(outlines().exclusions).unwrap();
        let zone = polygon(&zones["features"][0]);
        let bron = demo_town("69029");
        assert!(zone.exterior().coords().all(|at| bron.contains(Place { lat: at.y, lon: at.x })));
        assert!(zone.contains(&Coord { x: 4.931, y: 45.731 }));
    }

    #[test]
    fn no_point_has_two_towns_and_the_centres_have_one() {
        let towns = demo_towns();
        let at = |place: Place| {
            towns.iter().filter(|town| town.contains(place)).map(|town| town.insee()).collect()
        };
        let found = |lat, lon| -> Vec<&str> { at(Place { lat, lon }) };
        assert_eq!(found(48.8566, 2.3522), ["75056"]);
        assert_eq!(found(45.7640, 4.8357), ["69123"]);
        // A grid of about 100 m over both agglomerations.
        for (south, west) in [(48.79, 2.21), (45.70, 4.76)] {
            for step in 0..200 * 200 {
                let (row, column) = (f64::from(step / 200), f64::from(step % 200));
                let towns = found(south + row * 0.001, west + column * 0.0014);
                assert!(towns.len() < 2, "{towns:?}");
            }
        }
    }
}
