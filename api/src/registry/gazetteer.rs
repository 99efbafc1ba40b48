//! What is told of places beside searches: towns by name, and the land of each ZUPC.

use std::sync::{Arc, OnceLock};

use engine::territory::{Territory, Town, Zupc};
use serde_json::value::{RawValue, to_raw_value};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::geometry::{geojson, land};

/// An index over a territory; made with it, and immutable.
pub struct Gazetteer {
    territory: Arc<Territory>,
    /// Each town's name, folded, and its place in the territory; by the name as it is written.
    names: Vec<(String, usize)>,
    /// The land of each ZUPC as a GeoJSON geometry, for those that have any; made when somebody asks.
    lands: OnceLock<Vec<Option<Box<RawValue>>>>,
}

impl Gazetteer {
    /// O(towns log towns).
    pub fn new(territory: Arc<Territory>) -> Self {
        let towns = territory.towns();
        let mut names: Vec<_> = towns.iter().enumerate().map(|(i, town)| (fold(&town.name), i)).collect();
        names.sort_by(|(_, a), (_, b)| towns[*a].name.cmp(&towns[*b].name));
        Self { territory, names, lands: OnceLock::new() }
    }

    /// The towns whose names begin with these letters, by name; accents and capitals count for nothing. O(towns).
    pub fn towns(&self, prefix: &str) -> impl Iterator<Item = &Town> {
        let prefix = fold(prefix);
        let found = self.names.iter().filter(move |(name, _)| name.starts_with(&prefix));
        found.map(|(_, place)| &self.territory.towns()[*place])
    }

    /// Every ZUPC that has land, and its land as a GeoJSON geometry: its own or that of its towns together. The first
    /// call unites the towns, O(vertices log vertices).
    pub fn zupcs(&self) -> impl Iterator<Item = (&Zupc, &RawValue)> {
        let zupcs = self.territory.zupcs();
        let told = |zupc: &Zupc| {
            let land = land(&self.territory, zupc);
            if land.0.is_empty() { None } else { to_raw_value(&geojson(&land)).ok() }
        };
        let lands = self.lands.get_or_init(|| zupcs.iter().map(told).collect());
        zupcs.iter().zip(lands).filter_map(|(zupc, land)| Some((zupc, land.as_deref()?)))
    }
}

/// Small letters without accents.
fn fold(name: &str) -> String {
    let small = name.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    small.fold(String::with_capacity(name.len()), |mut folded, letter| {
        match letter {
            'œ' => folded.push_str("oe"),
            'æ' => folded.push_str("ae"),
            letter => folded.push(letter),
        }
        folded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::geometry::parse_shape;

    fn town(insee: &str, name: &str, west: u8) -> Town {
        let east = west + 1;
        let square = format!(
            r#"{{"type":"Polygon","coordinates":[[[{west},0],[{west},1],[{east},1],[{east},0],[{west},0]]]}}"#
        );
        Town { insee: insee.parse().unwrap(), name: name.to_owned(), shape: parse_shape(&square).unwrap() }
    }

    fn gazetteer() -> Gazetteer {
        let towns = vec![
            town("91228", "Évry-Courcouronnes", 0),
            town("75056", "Paris", 1),
            town("62454", "Œuf-en-Ternois", 3),
            town("71342", "Paray-le-Monial", 5),
        ];
        let zupc = |id: &str, codes: &[&str]| Zupc {
            id: id.to_owned(),
            name: id.to_owned(),
            allowed: codes.iter().map(|code| code.parse().unwrap()).collect(),
            area: None,
        };
        let zupcs = vec![zupc("a", &["75056", "91228", "62454", "99999"]), zupc("nowhere", &[])];
        Gazetteer::new(Arc::new(Territory::new(towns, zupcs, Vec::new())))
    }

    #[test]
    fn towns_are_found_by_how_their_names_begin_without_accents_or_capitals() {
        let gazetteer = gazetteer();
        let names = |prefix| gazetteer.towns(prefix).map(|town| town.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names(""), ["Paray-le-Monial", "Paris", "Évry-Courcouronnes", "Œuf-en-Ternois"]);
        assert_eq!(names("PAR"), ["Paray-le-Monial", "Paris"]);
        assert_eq!(names("evry"), ["Évry-Courcouronnes"]);
        assert_eq!(names("é"), ["Évry-Courcouronnes"]);
        assert_eq!(names("oeuf"), ["Œuf-en-Ternois"]);
        assert_eq!(names("aris"), [""; 0]);
        assert_eq!(names("par%"), [""; 0], "no wildcards");
    }

    #[test]
    fn a_zone_has_the_land_of_its_towns_together() {
        use geo::Area as _;
        let gazetteer = gazetteer();
        let zones: Vec<_> = gazetteer.zupcs().collect();
        assert_eq!(zones.len(), 1, "one without land is left out");
        let (zupc, land) = (zones[0].0, parse_shape(zones[0].1.get()).unwrap());
        assert_eq!((zupc.id.as_str(), land.0.len()), ("a", 2), "two that touch are one, and one lies apart");
        assert!((land.unsigned_area() - 3.0).abs() < 1e-6);
        assert!(land.iter().all(|polygon| polygon.interiors().is_empty()));
    }
}
